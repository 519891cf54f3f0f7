"""Requests on a socket that wait for their answers: correlated by id alone, timed out, never forgotten too early."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from perpmaker.venues.grvt.answers import Answer, Lost, Refusal, Reply, refusal
from perpmaker.venues.grvt.objects import Incoming

MAX_ID: Final = (1 << 32) - 1
LATE_KEPT: Final = 1024
"""How many timed-out requests are remembered, so that a late answer still counts as evidence."""

OnAnswer = Callable[[Answer], None]


class _Pending(msgspec.Struct):
    on_answer: OnAnswer
    timer: asyncio.TimerHandle
    what: str


class Requests:
    """The open requests of one link. Each `on_answer` is called once; after a timeout once more, if the answer comes."""

    def __init__(self) -> None:
        self._next_id = 0
        self._open: dict[int, _Pending] = {}
        self._late: OrderedDict[int, OnAnswer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def next_id(self) -> int:
        """Return an id for the request about to be written; 0 is not echoed by the venue, so it is never used."""
        self._next_id = self._next_id % MAX_ID + 1
        return self._next_id

    def expect(self, request_id: int, what: str, timeout_s: float, on_answer: OnAnswer) -> None:
        """The request has been written; without an answer in `timeout_s` its outcome is Lost."""
        timer = asyncio.get_running_loop().call_later(timeout_s, self._time_out, request_id, timeout_s)
        self._open[request_id] = _Pending(on_answer, timer, what)

    def answer(self, frame: Incoming) -> bool:
        """Deliver an answer; False when nobody waits for it."""
        if frame.id is None:
            return False
        pending = self._open.pop(frame.id, None)
        if pending is not None:
            pending.timer.cancel()
            pending.on_answer(_read(frame))
            return True
        late = self._late.pop(frame.id, None)
        if late is None:
            return False
        late(_read(frame))
        return True

    def lose_all(self, reason: str) -> None:
        """The link ended: nobody knows what became of what was open, and no answer can come any more."""
        lost, self._open = self._open, {}
        self._late.clear()
        for pending in lost.values():
            pending.timer.cancel()
        for pending in lost.values():
            pending.on_answer(Lost(f"{pending.what}: {reason}"))

    def _time_out(self, request_id: int, timeout_s: float) -> None:
        pending = self._open.pop(request_id)
        self._late[request_id] = pending.on_answer
        while len(self._late) > LATE_KEPT:
            self._late.popitem(last=False)
        pending.on_answer(Lost(f"{pending.what}: no answer in {timeout_s:g} s"))


def _read(frame: Incoming) -> Reply | Refusal | Lost:
    if frame.error is not None:
        return refusal(frame.error)
    if not bytes(frame.result):
        return Lost("an answer without result and without error")
    return Reply(frame.result)
