"""One account at the simulated venue: cash, positions, open orders, margin. Exact in Decimal."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Final

import msgspec

from perpmaker.model.events import Fill, FundingPaid, PositionReport, Source
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, Side
from perpmaker.model.units import NS_PER_S
from perpmaker.portfolio.position import RunningPosition
from perpmaker.simulation.market import Market
from perpmaker.simulation.order import ZERO, VenueOrder
from perpmaker.simulation.settings import MarginRules

NANO: Final = Decimal("0.000000001")
KEPT_ORDERS: Final = 5_000
KEPT_FILLS: Final = 20_000
KEPT_NS: Final = 6 * 3_600 * NS_PER_S
"""Of fills, before the newest one: whoever reads an account anew reaches back an hour (execution.findings), or to the
creation of an order that is in question."""


class AccountAtRest(msgspec.Struct, frozen=True):
    """What a paper account keeps over a restart; its orders do not outlive the process (cancel on disconnect)."""

    account: AccountId
    currency: str
    balance: Decimal
    positions: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
    """Signed quantity and entry cost, by instrument."""
    fills: tuple[Fill, ...] = ()
    """The last ones, for whoever reads the account anew."""
    orders: tuple[tuple[NewOrder, Decimal], ...] = ()
    """Those that were live, each with what it had executed: the venue cancelled them when the process was gone."""


class SimulatedAccount:
    def __init__(self, account: AccountId, balance: Decimal, currency: str) -> None:
        self.account = account
        self.currency = currency
        self.balance = balance
        self.positions: dict[InstrumentId, RunningPosition] = {}
        self.live: dict[ClientOrderId, VenueOrder] = {}
        self.ended: OrderedDict[ClientOrderId, VenueOrder] = OrderedDict()
        self.fills: deque[Fill] = deque(maxlen=KEPT_FILLS)
        self.payments: deque[FundingPaid] = deque(maxlen=KEPT_ORDERS)
        self.fees = ZERO
        self.funding = ZERO
        self.armed: dict[ClientOrderId, int] = {}
        """Cancels that met no order, and the number of each one's end."""
        self.dead_man_ns = 0
        """When all orders are cancelled unless the countdown is refreshed; 0: it is not armed."""
        self.liquidations = 0

    def keep(self, fill: Fill) -> None:
        """Keep a fill for whoever reads the account anew; old ones are forgotten."""
        fills = self.fills
        fills.append(fill)
        while fills[0].ts_event_ns < fill.ts_event_ns - KEPT_NS:
            fills.popleft()

    # --- orders

    def order(self, client_order_id: ClientOrderId) -> VenueOrder | None:
        return self.live.get(client_order_id) or self.ended.get(client_order_id)

    def close(self, order: VenueOrder) -> None:
        """Move an order to those that ended."""
        self.live.pop(order.order.client_order_id, None)
        self.ended[order.order.client_order_id] = order
        if len(self.ended) > KEPT_ORDERS:
            self.ended.popitem(last=False)

    def qty(self, instrument: InstrumentId) -> Decimal:
        position = self.positions.get(instrument)
        return ZERO if position is None else position.qty

    # --- money

    def book(
        self, instrument: Instrument, side: Side, px: Decimal, qty: Decimal, fee_rate: Decimal
    ) -> tuple[Decimal, Decimal]:
        """Book an execution; returns its fee, rounded to a nano in the venue's favour, and the PnL it realised."""
        position = self.positions.get(instrument.instrument_id)
        if position is None:
            position = self.positions[instrument.instrument_id] = RunningPosition(instrument.instrument_id)
        realized = position.trade(side, px, qty)
        fee = (px * qty * fee_rate).quantize(NANO, ROUND_CEILING)
        self.balance += realized - fee
        self.fees += fee
        return fee, realized

    def pay_funding(self, instrument: InstrumentId, mark_px: Decimal, rate: Decimal) -> Decimal:
        """Book a funding payment; returns what was received, below zero when it was paid."""
        amount = -(self.qty(instrument) * mark_px * rate).quantize(NANO, ROUND_HALF_EVEN)
        self.balance += amount
        self.funding += amount
        return amount

    # --- margin

    def unrealized(self, markets: Mapping[InstrumentId, Market]) -> Decimal:
        total = ZERO
        for name, position in self.positions.items():
            market = markets.get(name)
            if position.qty and market is not None and (mark_px := mark_of(market)) is not None:
                total += position.unrealized(mark_px)
        return total

    def equity(self, markets: Mapping[InstrumentId, Market]) -> Decimal:
        return self.balance + self.unrealized(markets)

    def initial_margin(
        self,
        markets: Mapping[InstrumentId, Market],
        rules: MarginRules,
        more: Mapping[InstrumentId, Decimal] | None = None,
    ) -> Decimal:
        """Return what positions and open orders need; `more` is signed quantity about to be ordered.

        Of each instrument the larger of |position + open buys| and |position - open sells|, at mark, over the leverage.
        """
        total = ZERO
        names = {*self.positions, *(order.order.instrument for order in self.live.values()), *(more or {})}
        for name in sorted(names):
            market = markets.get(name)
            if market is not None and (mark_px := mark_of(market)) is not None:
                total += self.adjusted_qty(name, (more or {}).get(name, ZERO)) * mark_px
        return total / rules.leverage

    def adjusted_qty(self, instrument: InstrumentId, more: Decimal = ZERO) -> Decimal:
        """Return the order-adjusted position, unsigned; orders that only reduce do not count."""
        buys, sells = max(more, ZERO), max(-more, ZERO)
        for order in self.live.values():
            if order.order.instrument == instrument and not order.order.reduce_only:
                qty = order.instrument.qty(order.leaves_lots)
                if order.side is Side.BUY:
                    buys += qty
                else:
                    sells += qty
        held = self.qty(instrument)
        return max(abs(held + buys), abs(held - sells))

    def maintenance_margin(self, markets: Mapping[InstrumentId, Market], rules: MarginRules) -> Decimal:
        total = ZERO
        for name, position in self.positions.items():
            market = markets.get(name)
            if position.qty and market is not None and (mark_px := mark_of(market)) is not None:
                total += rules.maintenance(name, abs(position.qty) * mark_px)
        return total

    # --- reports

    def position_report(
        self, market: Market, ts_event_ns: int, ts_recv_ns: int, source: Source = Source.STREAM
    ) -> PositionReport:
        name = market.instrument.instrument_id
        position = self.positions.get(name) or RunningPosition(name)
        mark_px = mark_of(market)
        return PositionReport(
            account=self.account,
            instrument=name,
            qty=position.qty,
            avg_entry_px=position.avg_entry_px if position.qty else None,
            mark_px=mark_px,
            unrealized_pnl=position.unrealized(mark_px) if mark_px is not None else ZERO,
            ts_event_ns=ts_event_ns,
            ts_recv_ns=ts_recv_ns,
            source=source,
        )


def mark_of(market: Market) -> Decimal | None:
    """The venue's mark price; before it was ever told, the mid of the book; None before either."""
    if market.mark_px is not None:
        return market.mark_px
    return market.book.mid_px if market.book.bid_ticks and market.book.ask_ticks else None
