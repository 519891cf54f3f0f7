"""A small venue with one account and a participant, for the protocol face's tests."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.types import Leg, OrderRequest, OrderView, Side, Signature
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.faults import Faults
from perpmaker.exchange.grvt.feeds import MarketView
from perpmaker.exchange.grvt.hub import Hub
from perpmaker.model.units import NS_PER_MS, NS_PER_S

START_NS = 1_767_225_600 * NS_PER_S
SUB = 2147050003876484
BTC_PX = 600_000
"""60,000.0 in ticks."""


class Bench:
    """A venue, a hub, and hands to move the market with."""

    def __init__(self) -> None:
        self.venue = Venue(DEFAULT_INSTRUMENTS, now_ns=START_NS)
        self.venue.open_account(owner="o", main_account="0x" + "a" * 40, sub_account_id=SUB, deposit=Decimal(100_000))
        self.flow = self.venue.add_participant("flow")
        self.faults = Faults()
        self.delayed: list[tuple[int, Callable[[], None]]] = []
        self.hub = Hub(
            self.venue, MarketView(self.venue), self.faults, lambda ms, call: self.delayed.append((ms, call))
        )
        self.orders_made = 0

    def rest(self, side: Side, px_ticks: int, lots: int = 10) -> None:
        self.venue.flow_limit(self.flow, "BTC_USDT_Perp", side, px_ticks, lots)

    def take(self, side: Side, lots: int) -> None:
        self.venue.flow_take(self.flow, "BTC_USDT_Perp", side, lots)

    def order(self, side: Side, px: str, qty: str = "0.01") -> OrderView:
        self.orders_made += 1
        request = OrderRequest(
            sub_account_id=SUB,
            legs=(Leg("BTC_USDT_Perp", side, Decimal(qty), Decimal(px)),),
            signature=Signature("0x01", "0x", "0x", 27, self.venue.now_ns + 3600 * NS_PER_S, self.orders_made),
            client_order_id=self.orders_made,
            post_only=True,
        )
        made = self.venue.create_order(request)
        assert isinstance(made, OrderView)
        return made

    def pass_ms(self, ms: int) -> None:
        """Let time pass and send what is due."""
        self.tell()
        self.venue.advance(self.venue.now_ns + ms * NS_PER_MS)
        self.tell()
        self.hub.tick()

    def tell(self) -> None:
        events = self.venue.take_events()
        self.hub.note(events)
        self.hub.on_events(events)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.rest(Side.BUY, BTC_PX)
    bench.rest(Side.SELL, BTC_PX + 1)
    bench.tell()
    return bench
