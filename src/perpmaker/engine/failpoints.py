"""Places at which a test can have the process killed, to prove what a restart makes of it (RELIABILITY P1).

Nothing is active unless a plan is passed in: by a test, or by `perpmaker run` from PERPMAKER_FAILPOINT (config.failpoint).
A plan is "NAME:NTH": the NTH time that NAME is reached, the process kills itself as SIGKILL would.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

from perpmaker.errors import ConfigError
from perpmaker.model.order import NewOrder
from perpmaker.venues.api import IntentLog

BEFORE_SIGN: Final = "before_sign"
"""The gate approved an order; it is about to be signed."""
AFTER_JOURNAL: Final = "after_journal"
"""The intent is written, no byte has left."""
AFTER_WRITE: Final = "after_write"
"""The order's bytes were handed to the socket and the loop has turned once, so that they have left."""
AFTER_ACK: Final = "after_ack"
"""The venue's reply was read and nothing has been made of it."""
NAMES: Final = (BEFORE_SIGN, AFTER_JOURNAL, AFTER_WRITE, AFTER_ACK)


class Failpoints:
    """Counts how often each place is reached, and acts at the planned one."""

    def __init__(self, name: str = "", nth: int = 1, act: Callable[[], None] | None = None) -> None:
        self._name = name
        self._left = nth
        self._act = act or _die

    @classmethod
    def planned(cls, plan: str) -> Failpoints:
        """Read a plan, "" for none; raise ConfigError for a name that does not exist."""
        if not plan:
            return cls()
        name, _, nth = plan.partition(":")
        if name not in NAMES or not (nth or "1").isdigit():
            raise ConfigError(f"failpoint {plan!r}: must be NAME:NTH with one of {', '.join(NAMES)}")
        return cls(name, int(nth or "1"))

    @property
    def active(self) -> bool:
        return bool(self._name)

    def hit(self, name: str) -> None:
        """Say that a place was reached."""
        if name != self._name:
            return
        self._left -= 1
        if self._left == 0:
            self._act()


class FailingIntentLog:
    """An IntentLog with AFTER_JOURNAL in it."""

    def __init__(self, log: IntentLog, failpoints: Failpoints) -> None:
        self._log = log
        self._failpoints = failpoints

    def intent(self, order: NewOrder, signed: bytes) -> None:
        self._log.intent(order, signed)
        self._failpoints.hit(AFTER_JOURNAL)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
