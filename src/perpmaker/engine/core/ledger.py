"""One account's money over all lives of the engine: its book, where the PnL came from, and what a restart must keep.

`portfolio.Attribution` splits the PnL of one life, from its start. The ledger carries the sum of the lives before, and
books what happened between two lives (fills read back, marks that moved) as spread where the fair price is known and as
inventory where it is not. So at every moment, exactly,

    equity now - equity when the journal began - transfers since = spread + adverse + inventory - fees + funding.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.engine.records import EquityMark, FillBooked
from perpmaker.errors import InvariantError
from perpmaker.model.events import AccountSnapshot, Fill, FundingPaid, PositionAdjusted
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.portfolio.account import AccountBook, AccountState
from perpmaker.portfolio.attribution import Attribution, Split
from perpmaker.portfolio.trades import Booking

ZERO: Final = Decimal(0)
NOTHING: Final = Split(ZERO, ZERO, ZERO, ZERO, ZERO)
KEPT_FILLS: Final = 1_000
KEPT_FILLS_NS: Final = 900 * NS_PER_S
"""A checkpoint keeps the fills of the last 15 minutes, so that what the venue repeats after a restart is known."""


class Baseline(msgspec.Struct, frozen=True):
    """The account at an instant at which its equity could be computed."""

    equity: Decimal
    transfers: Decimal
    fees: Decimal
    funding: Decimal


class LedgerState(msgspec.Struct, frozen=True):
    """A ledger at rest. `origin` is where the journal's PnL counts from, `carried` the parts up to `last`."""

    book: AccountState
    origin: Baseline | None
    last: Baseline | None
    carried: Split
    fills: tuple[FillBooked, ...]
    last_fill_ns: int


class Ledger:
    """Books one account. `split` and `assert_identity` span all lives of the journal."""

    def __init__(self, account: AccountId) -> None:
        self.account = account
        self.book = AccountBook(account)
        self.attribution = Attribution(self.book)
        self.fills: deque[FillBooked] = deque(maxlen=KEPT_FILLS)
        self._trades: dict[tuple[str, Side], None] = {}
        self.last_fill_ns = 0
        """Venue time of the newest fill booked, 0 for none."""
        self.replaying = False
        """While the journal is replayed: this life's PnL has not begun."""
        self._origin: Baseline | None = None
        self._last: Baseline | None = None
        """Where this life's PnL counts from; until it began, where the one before was last known."""
        self._carried = NOTHING
        self._between_spread = ZERO

    # --- booking

    def open(self, snapshot: AccountSnapshot) -> None:
        """Start the account from the first snapshot ever."""
        self.book.open(snapshot)
        self.last_fill_ns = max((fill.ts_event_ns for fill in snapshot.fills), default=0)
        self.begin()

    def on_fill(self, fill: Fill, strategy: StrategyId, layer: int | None) -> tuple[Booking, Decimal | None]:
        """Book a fill; returns how it was booked and the fair price it was judged by, None for none known."""
        booking = self.book.on_fill(fill)
        if booking is not Booking.NEW:
            return booking, None
        self._trades[(fill.trade_id, fill.side)] = None
        if len(self._trades) > KEPT_FILLS:
            del self._trades[next(iter(self._trades))]
        self.last_fill_ns = max(self.last_fill_ns, fill.ts_event_ns)
        if not self.attribution.started:
            return booking, None
        return booking, self.attribution.on_fill(fill, strategy, layer)

    def knows(self, fill: Fill) -> bool:
        """Whether a fill is among the last ones booked."""
        return (fill.trade_id, fill.side) in self._trades

    def on_funding(self, payment: FundingPaid) -> bool:
        """Book a payment; returns whether it was new."""
        if not self.book.on_funding(payment):
            return False
        if self.attribution.started:
            self.attribution.on_funding(payment)
        return True

    def on_adjustment(self, adjustment: PositionAdjusted) -> bool:
        """Book a reconciliation difference; returns whether it was new."""
        if not self.book.on_adjustment(adjustment):
            return False
        if self.attribution.started:
            self.attribution.on_adjustment(adjustment)
        return True

    def on_mark(self, instrument: InstrumentId, mark_px: Decimal) -> None:
        self.book.on_mark(instrument, mark_px)
        if not self.attribution.started:
            self.begin()

    def begin(self) -> bool:
        """Let this life's PnL count from now, once equity can be computed; what came between is split first."""
        if self.replaying or self.attribution.started or not self.attribution.start():
            return False
        now = self._baseline()
        if now is None:
            return False
        if self._origin is None:
            self._origin = now
        elif self._last is not None:
            self._carried = _plus(self._carried, self._between(self._last, now))
        self._last = now
        return True

    # --- reading

    def split(self) -> Split | None:
        """The parts since the journal began; None while a mark price is missing."""
        life = self.attribution.split()
        return None if life is None else _plus(self._carried, life)

    def assert_identity(self) -> bool:
        """Raise InvariantError unless the parts sum exactly to the change of equity; False when nothing can be compared."""
        if not self.attribution.assert_identity():
            return False
        split, origin, equity = self.split(), self._origin, self.book.equity
        if split is None or origin is None or equity is None:
            return False
        change = equity - origin.equity - (self.book.transfers - origin.transfers)
        if split.total != change:
            raise InvariantError(
                f"account {self.account}: equity changed by {change} since the journal began, its parts sum to "
                f"{split.total}"
            )
        return True

    def mark(self, now_ns: int) -> EquityMark | None:
        """Return the account's equity and its parts for the journal, None while it cannot be computed."""
        split, now = self.split(), self._baseline()
        if split is None or now is None:
            return None
        held = {name: position.qty for name, position in self.book.positions.items() if position.qty}
        marks = {name: px for name in held if (px := self.book.mark_px(name)) is not None}
        return EquityMark(
            account=self.account,
            equity=now.equity,
            balance=self.book.balance,
            transfers=now.transfers,
            positions=held,
            marks=marks,
            spread=split.spread,
            adverse=split.adverse,
            inventory=split.inventory,
            fees=split.fees,
            funding=split.funding,
            book_fees=now.fees,
            book_funding=now.funding,
            ts_ns=now_ns,
        )

    # --- restarts

    def state(self, extra: frozenset[int]) -> LedgerState:
        """Return what a restart needs; fills of the orders in `extra` (still live) are kept however old."""
        newest = self.last_fill_ns - KEPT_FILLS_NS
        kept = tuple(
            booked for booked in self.fills if booked.fill.ts_event_ns >= newest or booked.fill.client_order_id in extra
        )
        split = self.split()
        now = self._baseline()
        carried, last = (self._carried, self._last) if split is None or now is None else (split, now)
        return LedgerState(self.book.state(), self._origin, last, carried, kept, self.last_fill_ns)

    def restore(self, state: LedgerState) -> None:
        """Take over a state; the attribution of this life begins anew."""
        self.book = AccountBook.restored(state.book, fills=[booked.fill for booked in state.fills])
        self.attribution = Attribution(self.book)
        self.fills.extend(state.fills)
        self.last_fill_ns = state.last_fill_ns
        self._origin, self._last, self._carried = state.origin, state.last, state.carried

    def replay_mark(self, mark: EquityMark) -> None:
        """Take over what the journal last knew of the parts."""
        self._carried = Split(mark.spread, mark.adverse, mark.inventory, mark.fees, mark.funding)
        self._last = Baseline(mark.equity, mark.transfers, mark.book_fees, mark.book_funding)
        self._between_spread = ZERO
        if self._origin is None:
            self._origin = Baseline(
                mark.equity - self._carried.total, mark.transfers, mark.book_fees, mark.book_funding
            )

    def replay_fill(self, booked: FillBooked) -> None:
        """Note a fill of an earlier life that `on_fill` booked again from the journal: its spread is known."""
        self.fills.append(booked)
        if booked.fair_px is not None:
            sign = 1 if booked.fill.side is Side.BUY else -1
            self._between_spread += sign * booked.fill.qty * (booked.fair_px - booked.fill.px)

    def _between(self, last: Baseline, now: Baseline) -> Split:
        fees, funding = now.fees - last.fees, now.funding - last.funding
        change = now.equity - last.equity - (now.transfers - last.transfers)
        spread, self._between_spread = self._between_spread, ZERO
        return Split(spread, ZERO, change - spread + fees - funding, fees, funding)

    def _baseline(self) -> Baseline | None:
        equity = self.book.equity
        if equity is None:
            return None
        return Baseline(equity, self.book.transfers, self.book.fees, self.book.funding)


def _plus(a: Split, b: Split) -> Split:
    return Split(
        a.spread + b.spread, a.adverse + b.adverse, a.inventory + b.inventory, a.fees + b.fees, a.funding + b.funding
    )
