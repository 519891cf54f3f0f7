"""The kill latch: once set, no order passes until a person clears it."""

from __future__ import annotations

from typing import Final

import msgspec

CLEAR_PHRASE: Final = "clear the kill latch"


class HumanClear(msgspec.Struct, frozen=True):
    """Proof that a person cleared the latch: who, and what they typed. The engine checks who may; this checks the words."""

    actor: str
    typed: str


class KillLatch:
    """The latch in memory, and the epoch that makes what was approved before it worthless. Implements KillEpoch.

    The engine's journal keeps both over restarts: `restore` comes before anything else at a start. Each trip and each clear
    raises the epoch, so an Approved from before either never reaches a socket.
    """

    latched: bool
    reason: str
    since_ns: int

    def __init__(self) -> None:
        self.latched = False
        self.reason = ""
        self.since_ns = 0
        self._epoch = 0

    @property
    def current(self) -> int:
        """The kill epoch; the gateway compares an Approved's with it in the step that writes."""
        return self._epoch

    def restore(self, *, epoch: int, latched: bool, reason: str = "", since_ns: int = 0) -> None:
        """Take over what the journal says of the life before. Never lowers the epoch, never clears a set latch."""
        self._epoch = max(self._epoch, epoch)
        if latched and not self.latched:
            self.latched, self.reason, self.since_ns = True, reason, since_ns

    def trip(self, reason: str, now_ns: int) -> bool:
        """Set the latch at once; returns False when it was set already (the first reason stays)."""
        if self.latched:
            return False
        self._epoch += 1
        self.latched, self.reason, self.since_ns = True, reason, now_ns
        return True

    def clear(self, proof: HumanClear) -> None:
        """Clear the latch; ValueError without a person's name and the exact words, or when it is not set."""
        if not self.latched:
            raise ValueError("the kill latch is not set")
        if not proof.actor.strip() or proof.typed.strip().lower() != CLEAR_PHRASE:
            raise ValueError(f'to clear the kill latch, type "{CLEAR_PHRASE}"')
        self._epoch += 1
        self.latched, self.reason, self.since_ns = False, "", 0
