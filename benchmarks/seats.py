"""Workers that sit waiting at pipes and take turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from benchmarks.figures import Case, absent
from benchmarks.options import Options, progress
from benchmarks.peers import PeerAbsent
from benchmarks.processes import Process


class Seated(NamedTuple):
    """A worker, and what it said of itself; or why there is none."""

    process: Process | None
    about: dict[str, Any]
    why: str = ""


class _Row(NamedTuple):
    name: str
    seated: Seated
    request: dict[str, Any]
    divisor: float
    more: dict[str, Any]


class Seats:
    """The rows of one table, in the order they were added."""

    def __init__(self, title: str, options: Options, until_end: ExitStack) -> None:
        self._title = title
        self._options = options
        self._until_end = until_end
        self._rows: list[_Row] = []

    def seat(self, start: Callable[[], Process]) -> Seated:
        """Start a worker of ours; its first line says what it is."""
        process = self._until_end.enter_context(start())
        return Seated(process, process.hear())

    def seat_peer(self, start: Callable[[], Process]) -> Seated:
        """Start a peer's worker; one that is not to be had here, or does not start, is told instead."""
        if not self._options.peers:
            return Seated(None, {}, "peers were not asked for")
        try:
            return self.seat(start)
        except (PeerAbsent, RuntimeError) as error:
            progress(f"{self._title}: {error}")
            return Seated(None, {}, str(error))

    def add(self, name: str, seated: Seated, request: dict[str, Any], *, divisor: float = 1000.0, **more: Any) -> None:
        """Add a row: the worker answers `request` with a list of figures, each to be divided (1000: ns become us).

        Or with such a list and further columns.
        """
        self._rows.append(_Row(name, seated, request, divisor, more))

    def take(self, turns: int) -> list[Case]:
        """Have everybody take `turns` turns."""
        taken: dict[str, list[list[float]]] = {row.name: [] for row in self._rows}
        for turn in range(turns):
            progress(f"{self._title}: turn {turn + 1} of {turns}")
            for row in self._rows:
                if row.seated.process is not None:
                    answer = row.seated.process.ask(row.request)
                    values, more = answer if isinstance(answer[-1], dict) else (answer, {})
                    row.more.update(more)
                    taken[row.name].append([value / row.divisor for value in values])
        return [
            Case(row.name, taken[row.name], more=row.more)
            if row.seated.process is not None
            else absent(row.name, row.seated.why)._replace(more=row.more)
            for row in self._rows
        ]
