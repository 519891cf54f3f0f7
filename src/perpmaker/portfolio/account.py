"""One account's money: positions, fees, funding, equity, the day's PnL, peak and drawdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from perpmaker.model.account import Position
from perpmaker.model.events import AccountSnapshot, Fill, FundingPaid, PositionAdjusted
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.portfolio.position import RunningPosition
from perpmaker.portfolio.trades import Booking


class DayState(msgspec.Struct, frozen=True):
    """What a restart must not forget: the base of the day's loss and the peak of the drawdown."""

    day: int
    """Days since 1970 in UTC."""
    base_equity: Decimal
    peak_equity: Decimal


class AccountBook:
    """One account, in its own currency. Everything exact in Decimal; float never enters.

    **Equity, the one definition**: balance + sum over positions of (qty * mark price - cost), where balance is the settled
    cash of the first snapshot plus realised PnL, less fees, plus funding, plus transfers since, all from our own records
    (fills, payments), and the mark price is the venue's. It is None while a position has no mark price. Snapshots after
    the first are compared (`drift`), never copied. Fees in another currency than the account's are kept apart in
    `other_fees`.

    The day's PnL is equity less the equity at 00:00 UTC, transfers taken out: realised + unrealised + fees + funding.
    """

    account: AccountId
    currency: str
    balance: Decimal
    transfers: Decimal
    positions: Mapping[InstrumentId, RunningPosition]
    fees: Decimal
    funding: Decimal
    volume: Decimal
    day_volume: Decimal
    other_fees: dict[str, Decimal]

    def __init__(self, account: AccountId) -> None:
        raise NotImplementedError

    @property
    def opened(self) -> bool:
        """Whether a first snapshot, or a stored state, gave the account its balance."""
        raise NotImplementedError

    def open(self, snapshot: AccountSnapshot, *, positions: Iterable[Position] | None = None) -> None:
        """Start from a snapshot: its balance, its positions (or those given, from the journal), its fills as booked."""
        raise NotImplementedError

    def on_fill(self, fill: Fill) -> Booking:
        """Book a fill unless it was booked before; only NEW changed anything."""
        raise NotImplementedError

    def on_funding(self, payment: FundingPaid) -> bool:
        """Book a payment once per `payment_id`; returns whether it was new."""
        raise NotImplementedError

    def on_adjustment(self, adjustment: PositionAdjusted) -> bool:
        """Book a reconciliation difference once per `adjustment_id`; returns whether it was new."""
        raise NotImplementedError

    def transfer(self, amount: Decimal) -> None:
        """Book money moved in (> 0) or out by a person: part of equity, of no PnL."""
        raise NotImplementedError

    def on_mark(self, instrument: InstrumentId, mark_px: Decimal) -> None:
        """Take over the venue's mark price; moves equity, the peak and the drawdown."""
        raise NotImplementedError

    def position(self, instrument: InstrumentId) -> Position:
        """The account's position, flat when it never traded."""
        raise NotImplementedError

    def position_qty(self, instrument: InstrumentId) -> Decimal:
        raise NotImplementedError

    @property
    def equity(self) -> Decimal | None:
        raise NotImplementedError

    @property
    def unrealized(self) -> Decimal | None:
        raise NotImplementedError

    @property
    def day_pnl(self) -> Decimal | None:
        """Equity less the day's base, transfers taken out; None while equity is not computable."""
        raise NotImplementedError

    @property
    def peak_equity(self) -> Decimal | None:
        raise NotImplementedError

    @property
    def drawdown_frac(self) -> Decimal | None:
        """(peak - equity) / peak, 0 at the peak; None while not computable."""
        raise NotImplementedError

    def drift(self, snapshot: AccountSnapshot) -> Decimal:
        """The venue's balance less ours: 0 unless fees, funding or transfers are missing here."""
        raise NotImplementedError

    def roll(self, now_ns: int) -> bool:
        """Begin a new day when `now_ns` is in one; returns whether it did. Call before booking what happened then."""
        raise NotImplementedError

    def day_state(self) -> DayState | None:
        raise NotImplementedError

    def restore_day(self, state: DayState) -> None:
        """Continue a day after a restart; a state of another day only restores the peak."""
        raise NotImplementedError
