"""The ccxt adapter on Backpack against the practice exchange's second face, which an independent builder wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from perpmaker.clock import WallClock
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder
from perpmaker.venues.api import IntentLog, KillEpoch
from perpmaker.venues.ccxt.feed import CcxtFeed
from perpmaker.venues.ccxt.gateway import CcxtAccount, CcxtGateway
from perpmaker.venues.ccxt.library import addresses
from perpmaker.venues.ccxt.quirks import quirks_of
from perpmaker.venues.secret import Secret

from .adapters import Fault, Truth

ACCOUNTS = 64
QUIRKS = quirks_of("backpack")


class BackpackAdapter:
    """Starts one practice exchange with both venues; each test trades on a Backpack account of its own."""

    instrument = InstrumentId("ETH_USDC_PERP@backpack")
    faults = frozenset(Fault) - {Fault.END_SESSION, Fault.MARK_MOVES}
    """Its requests are signed one by one, there are no sessions; and it takes no orders that wait for a price."""

    def __init__(self) -> None:
        self._ready: dict[str, Any] = {}
        self._next_account = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [sys.executable, "-m", "perpmaker.exchange", "--port", "0", "--accounts", str(ACCOUNTS), "--seed", "5",
                   "--venues", "grvt,backpack"]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            try:
                self._ready = json.loads(process.stdout.readline())
                yield
            finally:
                process.terminate()
                process.wait(10)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[BackpackSession]:
        place = self._next_account
        self._next_account += 1
        async with aiohttp.ClientSession() as control:
            made = BackpackSession(self._ready, place, control, self.instrument)
            try:
                yield made
            finally:
                await made.clear_faults()


class BackpackSession:
    def __init__(
        self, ready: Mapping[str, Any], place: int, control: aiohttp.ClientSession, instrument: InstrumentId
    ) -> None:
        self.account = AccountId("contract")
        self._face = ready["backpack"]
        self._keys = self._face["accounts"][place]
        self._control = control
        self._control_url = ready["control"]
        self._instrument = instrument
        self._urls = addresses(QUIRKS, self._face)

    def feed(self) -> CcxtFeed:
        return CcxtFeed(quirks=QUIRKS, clock=WallClock(), seed=1, urls=self._urls)

    def gateway(self, intents: IntentLog, kill: KillEpoch) -> CcxtGateway:
        return CcxtGateway(
            quirks=QUIRKS,
            who=CcxtAccount(self.account, Secret(self._keys["api_key"]), Secret(self._keys["secret"])),
            intents=intents,
            kill=kill,
            clock=WallClock(),
            seed=2,
            urls=self._urls,
        )

    def refused(self, order: NewOrder, instrument: Instrument) -> NewOrder:
        """The venue has no minimum notional; more than the margin allows it refuses."""
        return msgspec.structs.replace(order, qty=instrument.qty(10_000_000))

    async def truth(self) -> Truth:
        ledger = await self._ledger()
        mine = next(a for a in ledger["accounts"] if a["main_account"] == self._keys["api_key"])
        symbol = self._instrument.partition("@")[0]
        held = [Decimal(p["qty"]) for p in mine["positions"] if p["instrument"] == symbol]
        return Truth(
            open_orders=frozenset(int(o["client_order_id"]) for o in mine["open_orders"]),
            position=sum(held, Decimal(0)),
            trade_ids=frozenset(f["trade_id"] for f in mine["fills"]),
            fees=Decimal(mine["fees"]),
            balance=Decimal(mine["balance"]),
        )

    async def inject(self, fault: Fault) -> None:
        sub_account_id = await self._sub_account_id()
        for rule in self._rules(fault, sub_account_id):
            async with self._control.post(
                self._control_url + "/faults", json={"venue": "backpack", **rule}
            ) as response:
                assert response.status == 200, await response.text()

    async def clear_faults(self) -> None:
        async with self._control.delete(self._control_url + "/faults") as response:
            assert response.status == 200

    async def _ledger(self) -> Any:
        async with self._control.get(self._control_url + "/ledger") as response:
            ledger = (await response.json())["venues"]["backpack"]
        assert ledger["violations"] == []
        return ledger

    async def _sub_account_id(self) -> str:
        ledger = await self._ledger()
        return next(str(a["sub_account_id"]) for a in ledger["accounts"] if a["main_account"] == self._keys["api_key"])

    def _rules(self, fault: Fault, account: str) -> list[dict[str, Any]]:
        once, symbol = {"hits": 1}, self._instrument.partition("@")[0]
        create = {"op": "orderExecute"}  # requests are matched by what they ask alone
        book = {"stream": "depth", "symbol": symbol}
        rules: dict[Fault, list[dict[str, Any]]] = {
            Fault.LOSE_CREATE_ANSWER: [{"action": "drop_response", "executed": True, "match": create, "until": once}],
            Fault.LOSE_CREATE: [{"action": "drop_request", "match": create, "until": once}],
            Fault.REFUSE_WITH_SERVER_ERROR: [
                {"action": "http", "status": 500, "executed": True, "match": create, "until": once}
            ],
            Fault.CUT_EVERYTHING: [{"action": "close", "abort": True}],
            Fault.BOOK_GAP: [{"action": "gap", "match": book, "until": once}],
            Fault.BOOK_NAN: [{"action": "bad_number", "value": "NaN", "match": book, "until": once}],
            Fault.BOOK_MUTE: [{"action": "mute", "match": book}],
            Fault.ALL_MUTE: [{"action": "mute", "match": {"symbol": symbol}}],
            Fault.DUPLICATE_FILL: [
                {"action": "duplicate", "match": {"stream": "account.orderUpdate", "sub_account_id": account}}
            ],
            Fault.MUTE_PRIVATE: [
                {"action": "mute", "match": {"stream": "account.orderUpdate", "sub_account_id": account}}
            ],
            Fault.TOO_FAST: [{"action": "burst_429", "match": create}],
        }
        return rules[fault]
