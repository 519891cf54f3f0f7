"""Loss and drawdown turned into decisions the engine acts on."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.ids import AccountId
from perpmaker.portfolio.account import AccountBook
from perpmaker.risk.codes import Code
from perpmaker.risk.limits import Limits

_UNKNOWN_USED: Final = Decimal("0.75")


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
        self._active: dict[AccountId, Halt] = {}

    @property
    def active(self) -> Mapping[AccountId, Halt]:
        """Return the halted accounts and what each was halted for."""
        return self._active

    def check(self, book: AccountBook, limits: Limits, now_ns: int) -> Halt | None:
        """Judge an account after a fill, a payment or a mark; returns a new halt once, None when nothing changed.

        A halted account is judged on, so that a drawdown can still ask to flatten what a loss only stopped. Figures that
        cannot be computed for an account that holds a position halt it without flattening: not knowing is no reason to
        trade, and none to panic (RELIABILITY M6).
        """
        breach = _breach(book, limits, now_ns)
        if breach is None:
            return None
        known = self._active.get(breach.account)
        if known is not None and (known.flatten or not breach.flatten):
            return None
        self._active[breach.account] = breach
        return breach

    def halt(self, halt: Halt) -> None:
        """Halt an account for another reason, or as the journal says it was."""
        self._active[halt.account] = halt

    def resume(self, account: AccountId, *, actor: str) -> Halt | None:
        """A person resumes the account; returns what it was halted for. ValueError without a name."""
        if not actor.strip():
            raise ValueError("a person resumes a halted account: say who")
        return self._active.pop(account, None)


def _breach(book: AccountBook, limits: Limits, now_ns: int) -> Halt | None:
    """Return the gravest breach: one that flattens before one that only stops."""
    if not book.opened:
        return None
    loss, drawdown = book.day_pnl, book.drawdown_frac
    if not is_inside_loss(loss, limits):
        if loss is None:
            return Halt(book.account, Code.MAX_LOSS, "equity cannot be computed: no mark price", False, now_ns)
        loss_text = f"the day's PnL is {loss:.2f}, the limit is -{limits.max_loss}"
        loss_halt = Halt(book.account, Code.MAX_LOSS, loss_text, limits.flatten_on_loss, now_ns)
    else:
        loss_halt = None
    if is_inside_drawdown(drawdown, limits):
        return loss_halt
    drawdown_text = f"equity is {_frac(drawdown)} below its peak, the limit is {limits.max_drawdown_frac}"
    flatten = limits.flatten_on_drawdown and drawdown is not None and drawdown.is_finite()
    if loss_halt is not None and not flatten:
        return loss_halt
    return Halt(book.account, Code.MAX_DRAWDOWN, drawdown_text, flatten, now_ns)


def loss_used(book: AccountBook, limits: Limits) -> Decimal:
    """Return the part of a loss limit that is used up, the day's loss or the drawdown, whichever is nearer; 0 to 1.

    Three quarters for figures that cannot be computed: no reason to trade, and none to panic (RELIABILITY M6).
    """
    if not book.opened:
        return Decimal(0)
    loss, drawdown = book.day_pnl, book.drawdown_frac
    if loss is None or drawdown is None or not (loss.is_finite() and drawdown.is_finite()):
        return _UNKNOWN_USED
    return min(Decimal(1), max(Decimal(0), -loss / limits.max_loss, drawdown / limits.max_drawdown_frac))


def _frac(drawdown_frac: Decimal | None) -> str:
    return "an unknown part" if drawdown_frac is None else f"{drawdown_frac:.4f}"


def is_inside_loss(day_pnl: Decimal | None, limits: Limits) -> bool:
    """Say whether the day's loss is proven to be below the limit."""
    return day_pnl is not None and day_pnl.is_finite() and day_pnl > -limits.max_loss


def is_inside_drawdown(drawdown_frac: Decimal | None, limits: Limits) -> bool:
    """Say whether the drawdown is proven to be below the limit."""
    return drawdown_frac is not None and drawdown_frac.is_finite() and drawdown_frac < limits.max_drawdown_frac
