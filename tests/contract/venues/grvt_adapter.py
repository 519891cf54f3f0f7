"""The GRVT adapter against the practice exchange, which an independent builder wrote from the same protocol page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
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
from perpmaker.venues.grvt.environments import Environment, environment
from perpmaker.venues.grvt.feed import FeedOptions, GrvtFeed
from perpmaker.venues.grvt.gateway import GatewayAccount, GatewayOptions, GrvtGateway
from perpmaker.venues.grvt.lite import Encoding
from perpmaker.venues.grvt.rest import allow_list
from perpmaker.venues.secret import Secret
from perpmaker.venues.transport.http import open_http

from .adapters import Fault, Truth

ACCOUNTS = 64
READY_S = 30.0


class GrvtAdapter:
    """Starts one practice exchange; each test trades on an account of its own."""

    encoding = Encoding.FULL
    instrument = InstrumentId("BTC_USDT_Perp")
    faults = frozenset(Fault)

    def __init__(self) -> None:
        self._ready: dict[str, Any] = {}
        self._next_account = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [
            sys.executable,
            "-m",
            "perpmaker.exchange",
            "--port",
            "0",
            "--accounts",
            str(ACCOUNTS),
            "--seed",
            "5",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            try:
                self._ready = json.loads(process.stdout.readline())
                yield
            finally:
                process.terminate()
                process.wait(10)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[GrvtSession]:
        keys = self._ready["accounts"][self._next_account]
        self._next_account += 1
        env = environment("local", self._ready)
        async with open_http(allow_list(env)) as http, aiohttp.ClientSession() as control:
            made = GrvtSession(env, keys, http, control, self._ready["control"], self.instrument, self.encoding)
            await made.listing.start(lambda event: None)
            try:
                yield made
            finally:
                await made.clear_faults()
                await made.hold_mark(None)
                await made.listing.stop()


class GrvtLiteAdapter(GrvtAdapter):
    """The same in the short encoding."""

    encoding = Encoding.LITE


class GrvtSession:
    def __init__(
        self,
        env: Environment,
        keys: dict[str, str],
        http: aiohttp.ClientSession,
        control: aiohttp.ClientSession,
        control_url: str,
        instrument: InstrumentId,
        encoding: Encoding,
    ) -> None:
        self.account = AccountId("contract")
        self.listing = GrvtFeed(environment=env, http=http, clock=WallClock(), seed=9)
        self._env = env
        self._keys = keys
        self._http = http
        self._control = control
        self._control_url = control_url
        self._instrument = instrument
        self._encoding = encoding

    def feed(self) -> GrvtFeed:
        return GrvtFeed(
            environment=self._env,
            http=self._http,
            clock=WallClock(),
            seed=1,
            options=FeedOptions(encoding=self._encoding),
        )

    def gateway(self, intents: IntentLog, kill: KillEpoch) -> GrvtGateway:
        keys = self._keys
        return GrvtGateway(
            environment=self._env,
            who=GatewayAccount(
                self.account, keys["sub_account_id"], Secret(keys["api_key"]), Secret(keys["private_key"])
            ),
            instruments=self.listing.listed,
            intents=intents,
            kill=kill,
            http=self._http,
            clock=WallClock(),
            seed=2,
            nonce_seed=1 << 16,
            options=GatewayOptions(encoding=self._encoding),
        )

    def refused(self, order: NewOrder, instrument: Instrument) -> NewOrder:
        """Below the minimum notional."""
        return msgspec.structs.replace(order, qty=instrument.min_qty)

    async def truth(self) -> Truth:
        async with self._control.get(self._control_url + "/ledger") as response:
            ledger = await response.json()
        assert ledger["violations"] == []
        mine = next(a for a in ledger["accounts"] if a["sub_account_id"] == self._keys["sub_account_id"])
        held = [Decimal(p["qty"]) for p in mine["positions"] if p["instrument"] == self._instrument]
        return Truth(
            open_orders=frozenset(int(o["client_order_id"]) for o in mine["open_orders"]),
            position=sum(held, Decimal(0)),
            trade_ids=frozenset(f["trade_id"] for f in mine["fills"]),
            fees=Decimal(mine["fees"]),
            balance=Decimal(mine["balance"]),
        )

    async def inject(self, fault: Fault) -> None:
        for rule in self._rules(fault):
            async with self._control.post(self._control_url + "/faults", json=rule) as response:
                assert response.status == 200, await response.text()

    async def clear_faults(self) -> None:
        async with self._control.delete(self._control_url + "/faults") as response:
            assert response.status == 200

    async def hold_mark(self, px: Decimal | None) -> None:
        body = {"instrument": self._instrument, "price": None if px is None else str(px)}
        async with self._control.post(self._control_url + "/mark", json=body) as response:
            assert response.status == 200, await response.text()

    def _rules(self, fault: Fault) -> list[dict[str, Any]]:
        once, account = {"hits": 1}, self._keys["sub_account_id"]
        create = {"op": "create_order", "sub_account_id": account}
        book = {"stream": "v1.book.d", "symbol": self._instrument}
        rules: dict[Fault, list[dict[str, Any]]] = {
            Fault.LOSE_CREATE_ANSWER: [{"action": "drop_response", "executed": True, "match": create, "until": once}],
            Fault.LOSE_CREATE: [{"action": "drop_request", "match": create, "until": once}],
            Fault.REFUSE_WITH_SERVER_ERROR: [
                {"action": "http", "code": 1002, "status": 500, "executed": True, "match": create, "until": once}
            ],
            Fault.CUT_EVERYTHING: [{"action": "close", "abort": True}],
            Fault.BOOK_GAP: [{"action": "gap", "match": book, "until": once}],
            Fault.BOOK_NAN: [{"action": "bad_number", "field": "price", "value": "NaN", "match": book, "until": once}],
            Fault.BOOK_MUTE: [{"action": "mute", "match": book}],
            Fault.ALL_MUTE: [{"action": "mute", "match": {"symbol": self._instrument}}],
            Fault.DUPLICATE_FILL: [{"action": "duplicate", "match": {"stream": "v1.fill", "sub_account_id": account}}],
            Fault.MUTE_PRIVATE: [
                {"action": "mute", "match": {"stream": stream, "sub_account_id": account}}
                for stream in ("v1.order", "v1.state")
            ],
            Fault.END_SESSION: [{"action": "expire_cookie", "match": {"sub_account_id": account}}],
            Fault.TOO_FAST: [{"action": "burst_429", "match": create}],
        }
        return rules[fault]
