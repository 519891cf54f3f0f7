"""What the core has to say after an event: commands for the runtime, records for the journal, events for itself."""

from __future__ import annotations

from collections import deque

from perpmaker.engine.records import Happened, Record
from perpmaker.model.commands import Command, Notice, SetTimer
from perpmaker.model.events import Event
from perpmaker.model.units import NS_PER_S

REPEAT_NS = 10 * NS_PER_S
"""A notice that may come with every event is given at most this often."""


class Outbox:
    """Gathers in order; `take_commands` and `take_records` empty it."""

    def __init__(self) -> None:
        self._commands: list[Command] = []
        self._records: list[Record] = []
        self._told_ns: dict[tuple[str, ...], int] = {}
        self._untold: dict[tuple[str, ...], int] = {}
        self.evidence: deque[Event] = deque()
        """Conclusions of the core about orders and positions, processed like events from outside."""

    def command(self, command: Command) -> None:
        self._commands.append(command)

    def timer(self, key: str, at_ns: int) -> None:
        self._commands.append(SetTimer(key, at_ns))

    def record(self, record: Record) -> None:
        self._records.append(record)

    def conclude(self, event: Event, now_ns: int) -> None:
        """Queue a conclusion as evidence; it goes to the journal like everything that happened. Once said is enough."""
        if event in self.evidence:
            return
        self._records.append(Happened(event, now_ns))
        self.evidence.append(event)

    def tell(self, notice: Notice) -> None:
        self._commands.append(notice)

    def tell_seldom(self, notice: Notice, *about: str) -> None:
        """Give a notice unless one with the same name about the same things was given in the last ten seconds."""
        key = (notice.name, *about)
        last_ns = self._told_ns.get(key)
        if last_ns is not None and notice.ts_ns - last_ns < REPEAT_NS:
            self._untold[key] = self._untold.get(key, 0) + 1
            return
        self._told_ns[key] = notice.ts_ns
        untold = self._untold.pop(key, 0)
        fields = {**notice.fields, "untold": str(untold)} if untold else notice.fields
        self._commands.append(Notice(notice.level, notice.name, fields, notice.ts_ns))

    def take_commands(self) -> list[Command]:
        commands, self._commands = self._commands, []
        return commands

    def take_records(self) -> list[Record]:
        records, self._records = self._records, []
        return records
