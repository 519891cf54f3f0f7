"""A gateway on a scripted venue: what every gateway test starts from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from perpmaker.clock import WallClock
from perpmaker.model.events import Channel, Connectivity
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, CancelOrder, NewOrder, Side
from perpmaker.venues.grvt.gateway import GatewayAccount, GatewayOptions, GrvtGateway
from perpmaker.venues.grvt.objects import OrderRequest
from perpmaker.venues.secret import Secret

from .collected import PATIENCE_S, Collected
from .fake_venue import API_KEY, PRIVATE_KEY, SUB_ACCOUNT, FakeVenue, Json, Socket

ACCOUNT = AccountId("main")
BTC = InstrumentId("BTC_USDT_Perp")
ETH = InstrumentId("ETH_USDT_Perp")
ID = (1 << 63) + 1
ACK: Json = {"result": {"ack": True}}


def instrument(name: InstrumentId = BTC) -> Instrument:
    return Instrument(
        instrument_id=name,
        symbol=name,
        exchange="grvt",
        base=name.split("_")[0],
        quote="USDT",
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        min_notional=Decimal(100),
        venue_asset_id="0x030501",
        qty_decimals=9,
    )


def order(n: int = 0, name: InstrumentId = BTC, **changes: Any) -> NewOrder:
    plain = NewOrder(
        client_order_id=ClientOrderId(ID + n),
        account=ACCOUNT,
        strategy=StrategyId("s"),
        instrument=name,
        side=Side.BUY,
        px=Decimal("60000.1"),
        qty=Decimal("0.015"),
        post_only=True,
    )
    return msgspec.structs.replace(plain, **changes)


def cancel(n: int = 0, **changes: Any) -> CancelOrder:
    return msgspec.structs.replace(CancelOrder(ACCOUNT, BTC, ClientOrderId(ID + n)), **changes)


def echo(request: Json, status: str = "PENDING", reason: str = "UNSPECIFIED", **changes: Any) -> Json:
    """Return an order as the venue answers a creation."""
    state = {
        "status": status,
        "reject_reason": reason,
        "book_size": [request["legs"][0]["size"]],
        "traded_size": ["0.0"],
        "update_time": "1700000000000000000",
        "avg_fill_price": ["0.0"],
    }
    return {"order_id": "0x00", **request, "state": state | changes}


def stated(n: int = 0, status: str = "OPEN", reason: str = "UNSPECIFIED", traded: str = "0.0", at: int = 1) -> Json:
    """Return an order as stream v1.order and the lists state it."""
    request = {
        "sub_account_id": SUB_ACCOUNT,
        "is_market": False,
        "time_in_force": "GOOD_TILL_TIME",
        "reduce_only": False,
        "legs": [{"instrument": BTC, "size": "0.015", "limit_price": "60000.1", "is_buying_asset": True}],
        "metadata": {"client_order_id": str(ID + n), "create_time": "1"},
    }
    price = "60000.1" if traded != "0.0" else "0.0"
    return echo(request, status, reason, traded_size=[traded], avg_fill_price=[price], update_time=str(at)) | {
        "order_id": f"0x{n + 1:x}"
    }


def fill(n: int = 0, trade_id: str = "7-1", size: str = "0.015") -> Json:
    return {
        "event_time": "1700000000000000001",
        "sub_account_id": SUB_ACCOUNT,
        "instrument": BTC,
        "is_buyer": True,
        "is_taker": False,
        "size": size,
        "price": "60000.1",
        "mark_price": "60000.0",
        "realized_pnl": "0.0",
        "fee": "-0.0009",
        "trade_id": trade_id,
        "order_id": "0x1",
        "client_order_id": str(ID + n),
    }


class Intents:
    """An intent log that remembers, and fails when told to."""

    def __init__(self) -> None:
        self.recorded: list[tuple[NewOrder, bytes]] = []
        self.failing_from: int | None = None
        self.on_intent: Callable[[NewOrder], None] = lambda order: None

    def intent(self, order: NewOrder, signed: bytes) -> None:
        if self.failing_from is not None and len(self.recorded) >= self.failing_from:
            raise OSError(28, "No space left on device")
        self.recorded.append((order, signed))
        self.on_intent(order)

    def order_requests(self) -> list[OrderRequest]:
        return [msgspec.json.decode(signed, type=OrderRequest) for _, signed in self.recorded]


class Kill:
    def __init__(self) -> None:
        self.current = 0


class Stages:
    def __init__(self) -> None:
        self.seen: dict[str, list[int]] = {}

    def record(self, stage: str, ns: int) -> None:
        self.seen.setdefault(stage, []).append(ns)


class Bench:
    """The gateway under test, everything it was built with, and everything it said."""

    gateway: GrvtGateway

    def __init__(self, venue: FakeVenue) -> None:
        self.venue = venue
        self.events = Collected()
        self.intents = Intents()
        self.kill = Kill()
        self.stages = Stages()
        self.numbers: dict[str, int] = {}

    def submit(self, *orders: NewOrder) -> None:
        self.gateway.submit([Approved(one, self.kill.current) for one in orders])

    @property
    def entry(self) -> Socket:
        """The venue's end of the socket that orders come in on."""
        return next(s for s in reversed(self.venue.sockets) if not s.subscribed and not s.ws.closed)

    @property
    def private(self) -> Socket:
        return next(s for s in reversed(self.venue.sockets) if s.subscribed and not s.ws.closed)

    async def stream(self, name: str, feed: Json, *, skip: int = 0) -> None:
        """Send a frame on a private stream."""
        self.numbers[name] = self.numbers.get(name, 0) + 1 + skip
        await self.private.feed(name, SUB_ACCOUNT, self.numbers[name], feed)

    async def up(self) -> None:
        for channel in (Channel.PRIVATE, Channel.ORDER_ENTRY):
            await self.events.first(Connectivity, lambda c, channel=channel: c.channel is channel and c.up)  # type: ignore[misc]
        self.events.forget()

    async def link(self, channel: Channel, up: bool, timeout_s: float = PATIENCE_S) -> Connectivity:
        return await self.events.first(Connectivity, lambda c: c.channel is channel and c.up is up, timeout_s=timeout_s)


def script(venue: FakeVenue) -> None:
    """Let the venue acknowledge everything, and know nothing."""
    venue.rpc.update(
        {
            "v1/cancel_on_disconnect": lambda body: ACK,
            "v1/create_order": lambda body: {"result": echo(body["order"])},
            "v2/bulk_orders": lambda body: {
                "orders": [echo(one) for one in body["orders"]],
                "cancel_acks": [{"ack": True} for _ in body["client_order_i_ds"]],
            },
            "v1/cancel_order": lambda body: ACK,
            "v1/cancel_all_orders": lambda body: ACK,
        }
    )


@asynccontextmanager
async def running(
    venue: FakeVenue, http: aiohttp.ClientSession, options: GatewayOptions | None = None, **changes: Any
) -> AsyncIterator[Bench]:
    """A started gateway that is not yet up."""
    script(venue)
    bench = Bench(venue)
    bench.gateway = GrvtGateway(
        **(
            {
                "environment": venue.environment,
                "who": GatewayAccount(ACCOUNT, SUB_ACCOUNT, Secret(API_KEY), Secret(PRIVATE_KEY)),
                "instruments": {BTC: instrument(), ETH: instrument(ETH)},
                "intents": bench.intents,
                "kill": bench.kill,
                "http": http,
                "clock": WallClock(),
                "seed": 1,
                "nonce_seed": 41,
                "options": options,
                "timings": bench.stages,
            }
            | changes
        )
    )
    await bench.gateway.start(bench.events)
    try:
        yield bench
    finally:
        await bench.gateway.stop()
