"""A venue with two funded clients and one source of flow, in the words the tests use."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

from perpmaker.exchange.core.book import Order
from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS, Instrument
from perpmaker.exchange.core.types import (
    NANO,
    Event,
    Fill,
    FillReported,
    Leg,
    OrderRejectReason,
    OrderRequest,
    OrderStatus,
    OrderUpdated,
    OrderView,
    Rejection,
    Side,
    Signature,
    TriggerBy,
    TriggerRequest,
    TriggerType,
)
from perpmaker.exchange.core.venue import DEFAULT_LIMITS, Venue, VenueLimits

BTC, ETH, SOL = "BTC_USDT_Perp", "ETH_USDT_Perp", "SOL_USDT_Perp"
BUY, SELL = Side.BUY, Side.SELL
START_NS = 1_700_000_000 * NANO
MS_NS = 1_000_000
S_NS = NANO
HOUR_NS = 3_600 * NANO
DAY_NS = 24 * HOUR_NS
ALICE, ALICE_2, BOB = 11, 12, 21
"""ALICE and ALICE_2 have one owner."""

TAKE_PROFIT, STOP_LOSS = TriggerType.TAKE_PROFIT, TriggerType.STOP_LOSS
INDEX, LAST, MID, MARK = TriggerBy.INDEX, TriggerBy.LAST, TriggerBy.MID, TriggerBy.MARK

T = TypeVar("T")


class Desk:
    """Events of a call are in `events`; the book of BTC starts empty."""

    def __init__(
        self,
        *,
        limits: VenueLimits = DEFAULT_LIMITS,
        instruments: Sequence[Instrument] = DEFAULT_INSTRUMENTS,
        deposit: str = "100000",
    ) -> None:
        self.venue = Venue(instruments, now_ns=START_NS, limits=limits)
        for owner, account in (("alice", ALICE), ("alice", ALICE_2), ("bob", BOB)):
            self.venue.open_account(
                owner=owner, main_account=f"0x{owner}", sub_account_id=account, deposit=Decimal(deposit)
            )
        self.flow = self.venue.add_participant("flow")
        self.events: list[Event] = self.venue.take_events()
        self._nonce = 0

    def request(
        self,
        side: Side,
        qty: str,
        px: str | None,
        *,
        account: int = ALICE,
        instrument: str = BTC,
        cid: int | None = None,
        expires_in_ns: int = DAY_NS,
        nonce: int | None = None,
        **terms: Any,
    ) -> OrderRequest:
        self._nonce += 1
        nonce = self._nonce if nonce is None else nonce
        leg = Leg(instrument, side, Decimal(qty), None if px is None else Decimal(px))
        signature = Signature(
            "0xSigner", "0x" + "1" * 64, "0x" + "ab" * 32, 27, self.venue.now_ns + expires_in_ns, nonce
        )
        cid = 1_000 + self._nonce if cid is None else cid
        return OrderRequest(account, (leg,), signature, cid, **terms)

    def send(self, side: Side, qty: str, px: str | None, **options: Any) -> OrderView:
        """Create an order that must be accepted; return it as it is after its wait."""
        request = self.request(side, qty, px, **options)
        answer = self.venue.create_order(request)
        assert isinstance(answer, OrderView), answer
        self.wait_ns(DEFAULT_LIMITS.speed_bump_ns)
        found = self.venue.order(request.sub_account_id, client_order_id=request.client_order_id)
        assert found is not None
        return found

    def maker(self, side: Side, qty: str, px: str, **options: Any) -> OrderView:
        return self.send(side, qty, px, post_only=True, **options)

    def market(self, side: Side, qty: str, **options: Any) -> OrderView:
        return self.send(side, qty, None, is_market=True, **options)

    def refused(self, side: Side, qty: str, px: str | None, **options: Any) -> int:
        """Create an order that must be refused at once; return the code."""
        answer = self.venue.create_order(self.request(side, qty, px, **options))
        assert isinstance(answer, Rejection), answer
        self.collect()
        return answer.code

    def quote(self, side: Side, px: str, qty: str, *, instrument: str = BTC, **options: Any) -> Order:
        """Rest an order of the flow."""
        ticks, lots = self.steps(px, qty, instrument)
        order = self.venue.flow_limit(self.flow, instrument, side, ticks, lots, **options)
        self.collect()
        assert order is not None
        return order

    def index(self, px: str, *, instrument: str = BTC) -> None:
        """Tell the index price."""
        self.venue.set_index(instrument, int(Decimal(px) * NANO))
        self.collect()

    def hit(self, side: Side, qty: str, px: str | None = None, *, instrument: str = BTC, **options: Any) -> int:
        """Let the flow take; return the lots it got."""
        rules = self.rules(instrument)
        lots = int(Decimal(qty) * NANO) // rules.lot_nano
        limit = None if px is None else int(Decimal(px) * NANO) // rules.tick_nano
        got = self.venue.flow_take(self.flow, instrument, side, lots, limit_ticks=limit, **options)
        self.collect()
        return got

    def wait_ns(self, elapsed_ns: int) -> None:
        self.venue.advance(self.venue.now_ns + elapsed_ns)
        self.collect()

    def collect(self) -> list[Event]:
        """Move the venue's events into `events`; return the new ones."""
        new = self.venue.take_events()
        self.events += new
        return new

    def rules(self, instrument: str = BTC) -> Instrument:
        found = self.venue.instrument(instrument)
        assert found is not None
        return found

    def steps(self, px: str, qty: str, instrument: str = BTC) -> tuple[int, int]:
        rules = self.rules(instrument)
        return int(Decimal(px) * NANO) // rules.tick_nano, int(Decimal(qty) * NANO) // rules.lot_nano

    def seen(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    def fills(self, account: int = ALICE) -> list[Fill]:
        return [event.fill for event in self.seen(FillReported) if event.fill.sub_account_id == account]

    def path(self, order: OrderView) -> list[tuple[OrderStatus, OrderRejectReason]]:
        """What the order stream said about an order, in order."""
        terms = order.terms
        return [
            (event.order.state.status, event.order.state.reason)
            for event in self.seen(OrderUpdated)
            if event.order.terms.client_order_id == terms.client_order_id
            and event.order.terms.sub_account_id == terms.sub_account_id
        ]

    def lots(self, account: int = ALICE, instrument: str = BTC) -> int:
        position = self.venue.position(account, instrument)
        return position.qty_lots if position is not None else 0


def at(kind: TriggerType, px: str, by: TriggerBy = INDEX, **block: Any) -> TriggerRequest:
    """What an order waits for."""
    return TriggerRequest(kind, by, Decimal(px), **block)


def end_of(order: OrderView) -> tuple[OrderStatus, OrderRejectReason]:
    return order.state.status, order.state.reason
