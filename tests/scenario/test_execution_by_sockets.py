"""The schemes of the comparison once more, through sockets: same markets, same outcome to the last lot.

The books stand still here, so that the outcome does not depend on the time that real sockets take.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
from benchmarks.execution_quality import TICK, market_order, original_iterative, original_smart
from benchmarks.thin_market import NAME, NO_FAULTS, Frame, Lab, ThinBook
from benchmarks.virtual_engine import ready
from tests.contract.exchange.client import Client
from tests.scenario.engine_stage import PATIENCE_S, Stage

from perpmaker.clock import WallClock
from perpmaker.control.home import RunFile, make_home, published
from perpmaker.exchange import server
from perpmaker.exchange.core.instruments import ETH
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.order import Side, TimeInForce
from perpmaker.model.units import NS_PER_MS, NS_PER_S

SEEDS = (1, 2, 3, 4, 5)
LOOK_S, LOOK_NS = 0.03, 60 * NS_PER_MS
QTY = Decimal(1)
OURS = {"algo": "sweep", "patience_ms": "1000", "aim_children": "20"}
CONFIG = """
schema_version = 1
env = "local"
mode = "live"
name = "stage"

[account.main]
local_account = 0

[risk]
max_loss = 100000
max_order_notional = 20000
max_position_notional = 50000
orders_per_s = 20

[control]
port = 0

[[strategy]]
name = "eth"
kind = "market_maker"
account = "main"
instrument = "ETH_USDT_Perp"
"""


class Result(NamedTuple):
    """By the exchange's books."""

    filled: Decimal
    vwap: Decimal
    children: int


class StillMarket:
    """A market source that only keeps the index fresh; the book is a ThinBook that stands still."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.book = ThinBook(venue, Rng(1).split("market"), moves=False)

    def advance(self, now_ns: int) -> None:
        self._venue.advance(now_ns)
        for instrument in self._venue.instruments:
            start_nano = 260_000 * ETH.tick_nano if instrument.name == NAME else instrument.start_px_nano
            self._venue.set_index(instrument.name, start_nano)

    def next_event_ns(self) -> int:
        return self._venue.now_ns + 200 * NS_PER_MS

    def renew(self, seed: int) -> tuple[Decimal, Decimal]:
        self.book.withdraw()
        self.book = ThinBook(self._venue, Rng(seed).split("market"), moves=False)
        ladder = self._venue.book(NAME)
        assert ladder.best_bid_ticks is not None
        assert ladder.best_ask_ticks is not None
        return ladder.best_bid_ticks * TICK, ladder.best_ask_ticks * TICK


class Scene:
    """An exchange on a thread of its own, with a book a test may put in place."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.line: dict[str, Any] = {}
        self._market: StillMarket | None = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        patch.setattr(server, "_simulated", self._source)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def book(self, seed: int) -> tuple[Decimal, Decimal]:
        """Put the book of an episode in place; return its best bid and ask."""
        market = self._market
        assert market is not None

        async def renew() -> tuple[Decimal, Decimal]:
            return market.renew(seed)

        return asyncio.run_coroutine_threadsafe(renew(), self._loop).result(PATIENCE_S)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _source(self, options: object, venue: Venue, second: object) -> StillMarket:
        self._market = StillMarket(venue)
        return self._market

    def _serve(self) -> None:
        options = server.ExchangeOptions(port=0, accounts=2)
        self._loop.run_until_complete(server.serve(options, self._told, self._stop))

    def _told(self, line: dict[str, Any]) -> None:
        self.line = msgspec.json.decode(msgspec.json.encode(line))
        self._ready.set()


class SocketWire:
    """What a scheme trades through, by HTTP: orders are sent, and their state and the book asked for, all the time.

    Its clock goes on by `LOOK_NS` with each look, however long that took: the schemes wait for a number of looks, so that a
    machine busy with other tests makes no answer late.
    """

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._loop = client, loop
        self.on_frame: Callable[[Frame], None] = lambda frame: None
        self.on_event: Callable[[Any], None] = lambda event: None
        self.on_link: Callable[[bool], None] = lambda up: None
        self.on_told: Callable[..., None] = lambda number, filled, ended: None
        self.orders: list[int] = []
        self._open: set[int] = set()
        self._now_ns = WallClock().now_ns()
        self._base = (1 << 63) + self._now_ns % (1 << 40) * 1000

    @property
    def now_ns(self) -> int:
        return self._now_ns

    @now_ns.setter
    def now_ns(self, _: int) -> None:
        raise AttributeError("looking sets the clock")

    def begin(self) -> None:
        """Nothing goes wrong here."""

    def submit(
        self, client_order_id: int, side: Side, qty: Decimal, px: Decimal | None, tif: TimeInForce = TimeInForce.IOC
    ) -> None:
        self.orders.append(client_order_id)
        self._open.add(client_order_id)
        terms: dict[str, Any] = {"buy": side is Side.BUY, "qty": str(qty), "instrument": NAME}
        terms |= {"px": None if px is None else str(px), "tif": "IMMEDIATE_OR_CANCEL"}
        self._loop.run_until_complete(self._client.create(client_order_id=self._base + client_order_id, **terms))

    def run(self, until_ns: int, stop: Callable[[], bool] = lambda: False) -> bool:
        while not stop():
            if self.now_ns >= until_ns:
                return False
            self._loop.run_until_complete(self._look())
        return True

    async def _look(self) -> None:
        await asyncio.sleep(LOOK_S)
        self._now_ns += LOOK_NS
        found = (await self._client.ok("book", {"instrument": NAME, "depth": 100}))["result"]
        sides = [
            tuple((int(Decimal(row["price"]) * 100), int(Decimal(row["size"]) * 100)) for row in found[side])
            for side in ("bids", "asks")
        ]
        self.on_frame(Frame(sides[0], sides[1], self.now_ns))
        for number in tuple(self._open):
            body = {"sub_account_id": self._client.sub, "client_order_id": str(self._base + number)}
            state = (await self._client.ok("order", body))["result"]["state"]
            ended = state["status"] not in ("PENDING", "OPEN")
            if ended:
                self._open.discard(number)
            self.on_told(number, Decimal(state["traded_size"][0]), ended=ended)


@contextmanager
def scene(patch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(patch)
    try:
        yield made
    finally:
        made.end()


def in_virtual_time(name: str, seed: int) -> Result:
    """The same scheme on the same still book in the laboratory."""
    lab = Lab(seed, faults=NO_FAULTS, moves=False)
    if name == "ours":
        engine = ready(lab)
        lab.begin()
        engine.execute(_side(seed), QTY, **OURS)
    else:
        PLAIN[name](lab, _side(seed), QTY)
    lab.run(lab.now_ns + NS_PER_S)
    fills = [(Decimal(fill.px_ticks) / 100, Decimal(fill.qty_lots) / 100) for fill in lab.fills()]
    return _result(fills, lab.orders)


PLAIN = {"market": market_order, "iterative": original_iterative, "smart": original_smart}


def _side(seed: int) -> Side:
    return Side.BUY if seed % 2 else Side.SELL


def _result(fills: list[tuple[Decimal, Decimal]], children: int) -> Result:
    filled = sum((qty for _, qty in fills), Decimal(0))
    return Result(filled, sum((px * qty for px, qty in fills), Decimal(0)) / filled, children)


def _new_fills(books: dict[str, Any], before: int) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(row["px"]), Decimal(row["qty"])) for row in books["fills"][before:]]


@pytest.mark.mostly_waits
def test_the_originals_schemes_agree_with_their_episodes_in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with scene(monkeypatch) as made:
        loop = asyncio.new_event_loop()

        async def opened() -> Client:
            client = Client(aiohttp.ClientSession(), made.line, 1)
            await client.log_in()
            return client

        client = loop.run_until_complete(opened())
        try:
            for name, scheme in PLAIN.items():
                for seed in SEEDS:
                    made.book(seed)
                    before = len(loop.run_until_complete(client.ledger())["fills"])
                    wire = SocketWire(client, loop)
                    monkeypatch.setattr("benchmarks.execution_quality.WARM_UP_NS", 200 * NS_PER_MS)
                    scheme(wire, _side(seed), QTY)
                    fills = _new_fills(loop.run_until_complete(client.ledger()), before)
                    assert _result(fills, len(wire.orders)) == in_virtual_time(name, seed), (name, seed)
        finally:
            loop.run_until_complete(client.http.close())
            loop.close()


@pytest.mark.mostly_waits
def test_the_engine_by_sockets_agrees_with_its_episodes_in_virtual_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage = Stage(make_home(tmp_path / "home"))
    stage.config.write_text(CONFIG)
    with scene(monkeypatch) as made, published(stage.home, _run_file(made.line)):
        stage.ready = made.line
        try:
            stage.start_engine()
            stage.until(lambda: stage.status().state == "running", "the engine to run")
            assert stage.command("pause").state == "done"
            for seed in SEEDS:
                touch = made.book(seed)
                stage.until(lambda touch=touch: sees(stage, touch), "the engine to see the new book")
                time.sleep(0.5)  # where the last one had the same touch: a few frames more
                before = len(stage.ledger()["fills"])
                words = {"instrument": NAME, "side": _side(seed).value, "qty": str(QTY), **OURS}
                answer = stage.command("execute", **words)
                assert answer.state == "done", answer
                row = stage.status().executions[-1]
                found = _result(_new_fills(stage.ledger(), before), row.children)
                assert found == in_virtual_time("ours", seed), (seed, answer.text)
                assert Decimal(row.filled) == found.filled
                assert Decimal(row.filled) + Decimal(row.remaining) == QTY
            assert stage.stop_engine() == 0
            stage.assert_settled()
        finally:
            stage.end()


def sees(stage: Stage, touch: tuple[Decimal, Decimal]) -> bool:
    top = stage.status().books[NAME]
    return top.bid is not None and top.ask is not None and (Decimal(top.bid), Decimal(top.ask)) == touch


def _run_file(line: dict[str, Any]) -> RunFile:
    urls = {key: value for key, value in line.items() if isinstance(value, str) and "://" in value}
    extra = {
        "instance_id": line["instance_id"],
        "accounts": msgspec.json.encode(line["accounts"]).decode(),
    }
    return RunFile(name="exchange", pid=os.getpid(), urls=urls, started_ns=WallClock().now_ns(), extra=extra)
