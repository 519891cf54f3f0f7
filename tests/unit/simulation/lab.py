"""A simulated venue on a tape of a few lines: what is shown, traded and sent, in milliseconds; then what filled.

Prices are in ticks of 1 USD and quantities in lots of 1, so that a hand can follow. Market events are heard 5 ms after they
happened. An order takes 10 ms to the venue, its answer 5 ms back; nothing waits unless a case says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from perpmaker.model.events import (
    BookDelta,
    BookSnapshot,
    Event,
    Fill,
    FundingPaid,
    OrderReport,
    Source,
    Ticker,
    Trade,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder, Side, TimeInForce
from perpmaker.model.units import NS_PER_MS
from perpmaker.simulation import Chance, ConstantLatency, FeeSchedule, SimulatedVenue, VenueSettings

START_NS = 1_700_000_000_000_000_000
FEED_MS, ENTRY_MS, RESPONSE_MS = 5, 10, 5
MAIN = AccountId("main")
BTC = InstrumentId("BTC_USDT_Perp")
BUY, SELL = Side.BUY, Side.SELL
PLAIN = VenueSettings(speed_bump_ns=0, fees=FeeSchedule(Decimal(0), Decimal(0), Decimal(0)))

RULES = Instrument(
    instrument_id=BTC,
    symbol="BTC_USDT_Perp",
    exchange="grvt",
    base="BTC",
    quote="USDT",
    tick=Decimal(1),
    lot=Decimal(1),
    min_qty=Decimal(1),
    min_notional=Decimal(0),
)

Levels = dict[int, int]


class Lab:
    """Each call happens at its own millisecond; the venue is brought there step by step first."""

    def __init__(
        self, settings: VenueSettings = PLAIN, *, balance: int = 1_000_000, seed: int = 1, **changes: Any
    ) -> None:
        self.settings = msgspec.structs.replace(settings, **changes)
        self.venue = SimulatedVenue(
            self.settings, ConstantLatency(ENTRY_MS * NS_PER_MS, RESPONSE_MS * NS_PER_MS), Chance(seed)
        )
        self.venue.list_instrument(RULES)
        self.venue.open_account(MAIN, Decimal(balance), "USDT")
        self.events: list[Event] = []
        self.now_ns = START_NS
        self._ids = 0

    # --- what happens

    def to(self, ms: float) -> Lab:
        """Let time pass by our clock."""
        until_ns = START_NS + int(ms * NS_PER_MS)
        while (due_ns := self.venue.next_ns) is not None and due_ns <= until_ns:
            self.now_ns = max(self.now_ns, due_ns)
            self.events += self.venue.advance(self.now_ns)
        self.now_ns = max(self.now_ns, until_ns)
        self.events += self.venue.advance(self.now_ns)
        return self

    def _heard(self, ms: float, late_ms: float) -> tuple[int, int]:
        self.to(ms + FEED_MS + late_ms)
        return START_NS + int(ms * NS_PER_MS), self.now_ns

    def book(self, ms: float, bids: Levels, asks: Levels, *, late_ms: float = 0) -> None:
        event_ns, recv_ns = self._heard(ms, late_ms)
        self.venue.on_market(BookSnapshot(BTC, tuple(bids.items()), tuple(asks.items()), event_ns, recv_ns))

    def level(self, ms: float, side: Side, px: int, lots: int, *, late_ms: float = 0) -> None:
        event_ns, recv_ns = self._heard(ms, late_ms)
        bids, asks = (((px, lots),), ()) if side is BUY else ((), ((px, lots),))
        self.venue.on_market(BookDelta(BTC, bids, asks, event_ns, recv_ns))

    def trade(self, ms: float, px: int, lots: int, aggressor: Side, *, late_ms: float = 0) -> None:
        event_ns, recv_ns = self._heard(ms, late_ms)
        self.venue.on_market(Trade(BTC, px, lots, aggressor, TradeId(f"{ms}"), event_ns, recv_ns))

    def ticker(self, ms: float, mark: int, *, funding: str | None = None, next_funding_ms: float | None = None) -> None:
        event_ns, recv_ns = self._heard(ms, 0)
        next_ns = 0 if next_funding_ms is None else START_NS + int(next_funding_ms * NS_PER_MS)
        rate = None if funding is None else Decimal(funding)
        self.venue.on_market(Ticker(BTC, Decimal(mark), None, None, rate, next_ns, event_ns, recv_ns))

    # --- what we send; it is at the venue ENTRY_MS later

    def order(self, side: Side, px: int | None, lots: int, **changes: Any) -> NewOrder:
        self._ids += 1
        plain = NewOrder(
            client_order_id=ClientOrderId(self._ids),
            account=MAIN,
            strategy=StrategyId("lab"),
            instrument=BTC,
            side=side,
            px=None if px is None else Decimal(px),
            qty=Decimal(lots),
            post_only=True,
            expire_ns=START_NS + 3_600_000 * NS_PER_MS,
        )
        return msgspec.structs.replace(plain, **changes)

    def send(self, ms: float, *orders: NewOrder) -> NewOrder:
        self.to(ms)
        self.venue.submit(MAIN, orders, self.now_ns)
        return orders[0]

    def quote(self, ms: float, side: Side, px: int, lots: int, **changes: Any) -> NewOrder:
        return self.send(ms, self.order(side, px, lots, **changes))

    def take(self, ms: float, side: Side, px: int | None, lots: int, **changes: Any) -> NewOrder:
        plain = {"post_only": False, "tif": TimeInForce.IOC}
        return self.send(ms, self.order(side, px, lots, **(plain | changes)))

    def cancel(self, ms: float, order: NewOrder, *, ttl_ms: int = 0) -> None:
        self.to(ms)
        self.venue.cancel(MAIN, [CancelOrder(MAIN, BTC, order.client_order_id, ttl_ms=ttl_ms)], self.now_ns)

    def replace(self, ms: float, old: Sequence[NewOrder], *new: NewOrder) -> None:
        """Cancel and create in one request."""
        self.to(ms)
        cancels = [CancelOrder(MAIN, BTC, order.client_order_id) for order in old]
        self.venue.replace(MAIN, cancels, new, self.now_ns)

    # --- what came of it

    def fills(self, order: NewOrder | None = None) -> list[tuple[int, int]]:
        """(price, lots) of each fill, of one order or of all."""
        return [
            (int(fill.px), int(fill.qty))
            for fill in self.events
            if isinstance(fill, Fill) and (order is None or fill.client_order_id == order.client_order_id)
        ]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def ended(self, order: NewOrder) -> tuple[str, str, int]:
        """The last status the stream told of an order, its reason, and what it executed."""
        last = [
            report
            for report in self.of(OrderReport)
            if report.client_order_id == order.client_order_id and report.source is Source.STREAM
        ][-1]
        return last.status.value, last.reason, int(last.cum_qty)

    def funding(self) -> list[Decimal]:
        return [payment.amount for payment in self.of(FundingPaid)]

    def heard_ms(self, event: Any) -> tuple[float, float]:
        """When the venue did it and when we heard."""
        return (event.ts_event_ns - START_NS) / NS_PER_MS, (event.ts_recv_ns - START_NS) / NS_PER_MS

    @property
    def position(self) -> int:
        return int(self.venue.accounts[MAIN].qty(BTC))
