"""Loss and drawdown turned into decisions the engine acts on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perpmaker.model.ids import AccountId
from perpmaker.portfolio.account import AccountBook
from perpmaker.risk.codes import Code
from perpmaker.risk.limits import Limits


class Halt(msgspec.Struct, frozen=True):
    """Cancel everything of the account and stop it; `flatten` asks to close its positions as well."""

    account: AccountId
    code: Code
    text: str
    flatten: bool
    ts_ns: int


class Halts:
    """Remembers which accounts are halted. A halt outlives the figure that caused it; a person resumes the account."""

    def __init__(self) -> None:
        raise NotImplementedError

    @property
    def active(self) -> Mapping[AccountId, Halt]:
        raise NotImplementedError

    def check(self, book: AccountBook, limits: Limits, now_ns: int) -> Halt | None:
        """Judge an account after a fill, a payment or a mark; returns a new halt once, None when nothing changed.

        A figure that cannot be computed for an account that holds a position halts it without flattening: not knowing is
        no reason to trade, and none to panic (RELIABILITY M6).
        """
        raise NotImplementedError

    def halt(self, halt: Halt) -> None:
        """Halt an account for another reason, or as the journal says it was."""
        raise NotImplementedError

    def resume(self, account: AccountId, *, actor: str) -> Halt | None:
        """A person resumes the account; returns what it was halted for."""
        raise NotImplementedError
