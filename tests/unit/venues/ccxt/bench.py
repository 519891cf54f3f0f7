"""A feed and a gateway on a scripted Backpack: what the tests here start from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
from tests.unit.venues.grvt.bench import Intents, Kill
from tests.unit.venues.grvt.collected import Collected

from perpmaker.clock import WallClock
from perpmaker.model.events import Channel, Connectivity
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, CancelOrder, NewOrder, Side
from perpmaker.venues.ccxt.gateway import CcxtAccount, CcxtGateway
from perpmaker.venues.ccxt.library import addresses
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.quirks import quirks_of
from perpmaker.venues.secret import Secret

from .fake_backpack import FakeBackpack, running

QUIRKS = quirks_of("backpack")
ACCOUNT = AccountId("hedge")
ETH = InstrumentId("ETH_USDC_PERP@backpack")
API_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ID = (1 << 31) + 5
LISTED = Listed(
    Instrument(ETH, "ETH_USDC_PERP", "backpack", "ETH", "USDC", Decimal("0.01"), Decimal("0.0001"), Decimal("0.0001"),
               Decimal(0)),
    "ETH/USDC:USDC", "ETH_USDC_PERP", Decimal(1),
)  # fmt: skip


def urls_of(fake: FakeBackpack) -> dict[str, Any]:
    return addresses(QUIRKS, {"rest": fake.url, "ws": fake.ws_url})


def order(n: int = 0, **changes: Any) -> NewOrder:
    plain = NewOrder(
        client_order_id=ClientOrderId(ID + n),
        account=ACCOUNT,
        strategy=StrategyId("s"),
        instrument=ETH,
        side=Side.BUY,
        px=Decimal("2900.10"),
        qty=Decimal("0.1"),
        post_only=True,
    )
    return msgspec.structs.replace(plain, **changes)


class Bench:
    """A gateway whose links are up."""

    def __init__(self, fake: FakeBackpack) -> None:
        self.fake = fake
        self.events, self.intents, self.kill = Collected(), Intents(), Kill()
        self.gateway = CcxtGateway(
            quirks=QUIRKS,
            who=CcxtAccount(ACCOUNT, Secret(API_KEY), Secret(SECRET)),
            intents=self.intents,
            kill=self.kill,
            clock=WallClock(),
            seed=1,
            urls=urls_of(fake),
        )

    def submit(self, *orders: NewOrder) -> None:
        self.gateway.submit([Approved(one, self.kill.current) for one in orders])

    def cancel(self, one: NewOrder, **changes: Any) -> None:
        plain = CancelOrder(ACCOUNT, ETH, one.client_order_id)
        self.gateway.cancel([msgspec.structs.replace(plain, **changes)])

    async def link(self, channel: Channel, up: bool) -> Connectivity:
        return await self.events.first(Connectivity, lambda c: c.channel is channel and c.up is up, timeout_s=10)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with running() as fake:
        made = Bench(fake)
        await made.gateway.start(made.events)
        try:
            await made.link(Channel.ORDER_ENTRY, True)
            yield made
        finally:
            await made.gateway.stop()
