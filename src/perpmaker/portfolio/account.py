"""One account's money: positions, fees, funding, equity, the day's PnL, peak and drawdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.errors import InvariantError
from perpmaker.model.account import Position
from perpmaker.model.events import AccountSnapshot, Fill, FundingPaid, PositionAdjusted
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.portfolio.exact import exactly
from perpmaker.portfolio.position import ZERO, FifoLot, FifoLots, RunningPosition
from perpmaker.portfolio.trades import Booking, SeenTrades

_DAY_NS: Final = 86_400 * NS_PER_S
_KEPT_IDS: Final = 2_000


class DayState(msgspec.Struct, frozen=True):
    """What a restart must not forget: the base of the day's loss and the peak of the drawdown, transfers taken out."""

    day: int
    """Days since 1970 in UTC."""
    base_equity: Decimal
    peak_equity: Decimal


class PositionState(msgspec.Struct, frozen=True):
    """A RunningPosition and its FifoLots at rest."""

    instrument: InstrumentId
    qty: Decimal
    cost: Decimal
    realized_pnl: Decimal
    fees: Decimal
    funding: Decimal
    volume: Decimal
    lots_side: Side
    lots: tuple[FifoLot, ...]
    fifo_pnl: Decimal


class AccountState(msgspec.Struct, frozen=True):
    """An AccountBook at rest, marks and remembered trades apart."""

    account: AccountId
    currency: str
    balance: Decimal
    transfers: Decimal
    positions: tuple[PositionState, ...]
    other_fees: dict[str, Decimal]
    day_volume: Decimal
    day: DayState | None


class AccountBook:
    """One account, in its own currency. Everything exact in Decimal; float never enters.

    **Equity, the one definition**: balance + sum over positions of (qty * mark price - cost), where balance is the settled
    cash of the first snapshot plus realised PnL, less fees, plus funding, plus transfers since, all from our own records
    (fills, payments), and the mark price is the venue's. It is None while a position has no mark price. Snapshots after
    the first are compared (`drift`), never copied. Fees in another currency than the account's are kept apart in
    `other_fees`.

    The day's PnL is equity less the equity at 00:00 UTC, transfers taken out: realised + unrealised + fees + funding.
    """

    def __init__(self, account: AccountId) -> None:
        self.account = account
        self.currency = ""
        self.balance = self.transfers = ZERO
        self.fees = self.funding = ZERO
        self.volume = self.day_volume = ZERO
        self.other_fees: dict[str, Decimal] = {}
        self._positions: dict[InstrumentId, RunningPosition] = {}
        self._lots: dict[InstrumentId, FifoLots] = {}
        self._marks: dict[InstrumentId, Decimal] = {}
        self._trades = SeenTrades()
        self._ids: dict[str, None] = {}
        """Payments and adjustments booked."""
        self._opened = False
        self._day = 0
        self._base: Decimal | None = None
        self._peak: Decimal | None = None
        self._equity: Decimal | None = None

    @property
    def opened(self) -> bool:
        """Whether a first snapshot, or a stored state, gave the account its balance."""
        return self._opened

    @property
    def positions(self) -> Mapping[InstrumentId, RunningPosition]:
        """Every position ever held here, flat ones included."""
        return self._positions

    @exactly
    def open(self, snapshot: AccountSnapshot) -> None:
        """Start from the first snapshot: its balance, its positions; its fills and payments count as booked."""
        if self._opened:
            raise InvariantError(f"account {self.account} was opened before")
        self._opened = True
        self.balance, self.currency = snapshot.balance, snapshot.currency
        for report in snapshot.positions:
            avg_entry_px = report.avg_entry_px or ZERO
            self._positions[report.instrument] = RunningPosition(report.instrument, report.qty, avg_entry_px)
            if report.qty:
                side = Side.BUY if report.qty > 0 else Side.SELL
                self.lots(report.instrument).book(side, avg_entry_px, abs(report.qty), snapshot.ts_event_ns)
            if report.mark_px is not None:
                self._marks[report.instrument] = report.mark_px
        for fill in snapshot.fills:
            self._trades.add(fill)
        for payment in snapshot.funding:
            self._first(f"funding {payment.payment_id}")
        self.roll(snapshot.ts_recv_ns)
        self._revalue()

    @exactly
    def on_fill(self, fill: Fill) -> Booking:
        """Book a fill unless it was booked before; only NEW changed anything."""
        booking = self._trades.add(fill)
        if booking is not Booking.NEW:
            return booking
        position = self._running(fill.instrument)
        self.balance += position.trade(fill.side, fill.px, fill.qty)
        self.lots(fill.instrument).book(fill.side, fill.px, fill.qty, fill.ts_event_ns)
        notional = fill.px * fill.qty
        self.volume += notional
        self.day_volume += notional
        if fill.fee_currency in ("", self.currency):
            self.balance -= fill.fee
            self.fees += fill.fee
            position.fees += fill.fee
        else:
            self.other_fees[fill.fee_currency] = self.other_fees.get(fill.fee_currency, ZERO) + fill.fee
        self._revalue()
        return booking

    def remember(self, fill: Fill) -> None:
        """Count a fill as booked without booking it: after a restart from a state that includes it."""
        self._trades.add(fill)

    @exactly
    def on_funding(self, payment: FundingPaid) -> bool:
        """Book a payment once per `payment_id`; returns whether it was new."""
        if not self._first(f"funding {payment.payment_id}"):
            return False
        if payment.currency in ("", self.currency):
            self.balance += payment.amount
            self.funding += payment.amount
            self._running(payment.instrument).funding += payment.amount
        else:
            self.other_fees[payment.currency] = self.other_fees.get(payment.currency, ZERO) - payment.amount
        self._revalue()
        return True

    @exactly
    def on_adjustment(self, adjustment: PositionAdjusted) -> bool:
        """Book a reconciliation difference once per `adjustment_id`, as a trade without fee; returns whether it was new."""
        if not self._first(f"adjustment {adjustment.adjustment_id}"):
            return False
        side = Side.BUY if adjustment.qty > 0 else Side.SELL
        position = self._running(adjustment.instrument)
        volume = position.volume
        self.balance += position.trade(side, adjustment.px, abs(adjustment.qty))
        position.volume = volume  # nobody traded
        self.lots(adjustment.instrument).book(side, adjustment.px, abs(adjustment.qty), adjustment.ts_recv_ns)
        self._revalue()
        return True

    @exactly
    def transfer(self, amount: Decimal) -> None:
        """Book money moved in (> 0) or out by a person: part of equity, of no PnL."""
        self.balance += amount
        self.transfers += amount
        self._revalue()

    def on_mark(self, instrument: InstrumentId, mark_px: Decimal) -> None:
        """Take over the venue's mark price; moves equity, the peak and the drawdown."""
        if not mark_px.is_finite() or mark_px <= 0 or self._marks.get(instrument) == mark_px:
            return
        self._marks[instrument] = mark_px
        position = self._positions.get(instrument)
        if position is not None and position.qty:
            self._revalue()

    def mark_px(self, instrument: InstrumentId) -> Decimal | None:
        """Return the mark price positions are valued at."""
        return self._marks.get(instrument)

    def position(self, instrument: InstrumentId) -> Position:
        """Return the account's position, flat when it never traded."""
        position = self._positions.get(instrument)
        return (position or RunningPosition(instrument)).view()

    def position_qty(self, instrument: InstrumentId) -> Decimal:
        """Return the signed quantity held, 0 when flat or never traded."""
        position = self._positions.get(instrument)
        return ZERO if position is None else position.qty

    def lots(self, instrument: InstrumentId) -> FifoLots:
        """Return the instrument's open lots and what closing them first-in first-out realised; read it, do not book."""
        lots = self._lots.get(instrument)
        if lots is None:
            lots = self._lots[instrument] = FifoLots()
        return lots

    @property
    def equity(self) -> Decimal | None:
        """As the class says; None before the account is opened, or while a position has no mark price."""
        return self._equity

    @property
    def unrealized(self) -> Decimal | None:
        """Sum over positions of qty * mark price - cost; None while a position has no mark price."""
        total = ZERO
        for instrument, position in self._positions.items():
            if not position.qty:
                continue
            mark_px = self._marks.get(instrument)
            if mark_px is None:
                return None
            total += position.unrealized(mark_px)
        return total

    @property
    def realized(self) -> Decimal:
        """Realised PnL of all positions since the account was opened, fees and funding apart."""
        return sum((position.realized_pnl for position in self._positions.values()), ZERO)

    @property
    def day_pnl(self) -> Decimal | None:
        """Equity less the day's base, transfers taken out; None while equity is not computable."""
        if self._equity is None or self._base is None:
            return None
        return self._equity - self.transfers - self._base

    @property
    def peak_equity(self) -> Decimal | None:
        """The highest equity since the account was opened, transfers since then added; None while never computable."""
        return None if self._peak is None else self._peak + self.transfers

    @property
    def drawdown_frac(self) -> Decimal | None:
        """(peak - equity) / peak, 0 at the peak; None while not computable."""
        peak = self.peak_equity
        if peak is None or peak <= 0 or self._equity is None:
            return None
        return (peak - self._equity) / peak

    def drift(self, snapshot: AccountSnapshot) -> Decimal:
        """Return the venue's balance less ours: 0 unless fees, funding or transfers are missing here."""
        return snapshot.balance - self.balance

    def roll(self, now_ns: int) -> bool:
        """Begin a new day when `now_ns` is in one; returns whether it did. Call before booking what happened then."""
        day = now_ns // _DAY_NS
        if day <= self._day:
            return False
        self._day = day
        self.day_volume = ZERO
        self._base = None if self._equity is None else self._equity - self.transfers
        return True

    def day_state(self) -> DayState | None:
        """Return what a restart must not forget; None while equity was never computable."""
        if self._base is None or self._peak is None:
            return None
        return DayState(day=self._day, base_equity=self._base, peak_equity=self._peak)

    def restore_day(self, state: DayState) -> None:
        """Continue a day after a restart; a state of another day only restores the peak."""
        self._peak = state.peak_equity if self._peak is None else max(self._peak, state.peak_equity)
        if self._day in (0, state.day):
            self._day, self._base = state.day, state.base_equity

    def state(self) -> AccountState:
        """Return everything a restart needs besides marks and the trades still to be remembered."""
        return AccountState(
            account=self.account,
            currency=self.currency,
            balance=self.balance,
            transfers=self.transfers,
            positions=tuple(self._position_state(position) for position in self._positions.values()),
            other_fees=dict(self.other_fees),
            day_volume=self.day_volume,
            day=self.day_state(),
        )

    @classmethod
    def restored(cls, state: AccountState, *, fills: Iterable[Fill] = ()) -> AccountBook:
        """Make an account from its state; `fills` are those already in it that the venue may repeat."""
        book = cls(state.account)
        book._opened = True
        book.currency, book.balance, book.transfers = state.currency, state.balance, state.transfers
        book.other_fees, book.day_volume = dict(state.other_fees), state.day_volume
        for stored in state.positions:
            position = RunningPosition(stored.instrument, stored.qty)
            position.cost, position.realized_pnl, position.volume = stored.cost, stored.realized_pnl, stored.volume
            position.fees, position.funding = stored.fees, stored.funding
            book._positions[stored.instrument] = position
            book._lots[stored.instrument] = FifoLots(stored.lots_side, stored.lots, stored.fifo_pnl)
            book.fees += stored.fees
            book.funding += stored.funding
            book.volume += stored.volume
        for fill in fills:
            book.remember(fill)
        if state.day is not None:
            book.restore_day(state.day)
        book._revalue()
        return book

    def _position_state(self, position: RunningPosition) -> PositionState:
        lots = self.lots(position.instrument)
        return PositionState(
            instrument=position.instrument,
            qty=position.qty,
            cost=position.cost,
            realized_pnl=position.realized_pnl,
            fees=position.fees,
            funding=position.funding,
            volume=position.volume,
            lots_side=lots.side,
            lots=lots.lots,
            fifo_pnl=lots.realized_pnl,
        )

    def _running(self, instrument: InstrumentId) -> RunningPosition:
        position = self._positions.get(instrument)
        if position is None:
            position = self._positions[instrument] = RunningPosition(instrument)
        return position

    def _first(self, key: str) -> bool:
        if key in self._ids:
            return False
        self._ids[key] = None
        if len(self._ids) > _KEPT_IDS:
            del self._ids[next(iter(self._ids))]
        return True

    @exactly
    def _revalue(self) -> None:
        """Reckon equity anew, and raise the peak to it; the first figure of a day becomes its base."""
        unrealized = self.unrealized
        if not self._opened or unrealized is None:
            self._equity = None
            return
        self._equity = self.balance + unrealized
        net = self._equity - self.transfers
        if self._base is None:
            self._base = net
        if self._peak is None or net > self._peak:
            self._peak = net
