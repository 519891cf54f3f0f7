"""From a book frame on a socket to the signed create request back in the server: our engine, bots on peers, the floor.

    python -m benchmarks tick_to_order

This process stands between the practice exchange and each client's sockets and passes everything on, both ways, but the
books: after the first whole one it sends book frames of its own, one each 50 ms, and notes when the order that answers
comes in. Times are taken here alone, in the step that writes the frame and in the step that has read the order. Clients
stay connected throughout and take turns; each order goes on to the exchange, which cancels it (immediate or cancel,
1 % below the best bid).
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections import deque
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import WSMsgType, web
from benchmarks.figures import Case, Goal, Report, absent
from benchmarks.options import Options, progress
from benchmarks.peers import PeerAbsent
from benchmarks.processes import PURE_PYTHON_CURVE, SUPERVISED, Process, exchange, ours, peer

from perpmaker.control.client import ControlClient
from perpmaker.control.home import running

TURNS, FRAMES, DROPPED = 4, 80, 20
EVERY_S = 0.05
REHEARSE_MS = 2
LATE_S = 0.3
"""How long an answer to the last frame of a turn is waited for."""
START_S = 30.0
COLD = "perpmaker, whole engine"
WARM = f"the same, rehearsing each {REHEARSE_MS} ms"
FLOOR = "floor: picows on uvloop, constant reply"
LEVELS = 7
"""How many levels a change names: the mean of the synthetic deltas of the performance page."""


PASSED = ("Cookie", "X-Grvt-Account-Id", "Content-Type")
"""Headers of a client that the exchange needs."""


class Book:
    """The book as one client saw it first, and further frames made from it."""

    def __init__(self) -> None:
        self._template: dict[str, Any] = {}
        self._sequence = 0
        self._number = 0

    @property
    def is_known(self) -> bool:
        return bool(self._template)

    def acknowledged(self, first: int) -> None:
        self._sequence = first - 1

    def seen(self, frame: dict[str, Any]) -> None:
        self._template = frame

    def touch(self) -> dict[str, str]:
        """The best bid and ask as a ticker says them."""
        bid, ask = self._template["feed"]["bids"][0], self._template["feed"]["asks"][0]
        return {
            "best_bid_price": bid["price"],
            "best_bid_size": bid["size"],
            "best_ask_price": ask["price"],
            "best_ask_size": ask["size"],
        }

    def first_frame(self) -> str:
        """Return the first frame once more: what a client gets that subscribes again."""
        return json.dumps(self._template, separators=(",", ":"))

    def next_frame(self) -> str:
        """Return a frame as the stream in use has it: all levels (book.s), or seven of them with other sizes (book.d)."""
        self._number += 1
        whole = self._template["stream"] == "v1.book.s"
        feed = dict(self._template["feed"])
        for side, changed in (("bids", LEVELS // 2 + 1), ("asks", LEVELS // 2)):
            levels = [self._level(level) for level in feed[side][: changed if not whole else 10]]
            feed[side] = levels
        feed["event_time"] = str(time.time_ns())  # noqa: TID251 (the exchange's clock, outside the product)
        previous, self._sequence = self._sequence, self._sequence + 1
        numbers = {"sequence_number": str(self._sequence), "prev_sequence_number": str(previous)}
        return json.dumps({**self._template, **numbers, "feed": feed}, separators=(",", ":"))

    def _level(self, level: dict[str, Any]) -> dict[str, Any]:
        return {**level, "size": f"{0.5 + (self._number % 400) / 1000:.3f}"}


class Tap:
    """Three listening addresses of one client: its market-data and its trading sockets, and its trading requests by HTTP.

    All is passed on to the exchange.
    """

    def __init__(
        self, http: aiohttp.ClientSession, line: dict[str, Any], account: int, *, forward: bool = True
    ) -> None:
        self._http = http
        self._line = line
        self._account = account
        self._forward = forward
        self._runners: list[web.AppRunner] = []
        self.books = Book()
        self._listener: web.WebSocketResponse | None = None
        self._sent_ns: deque[int] = deque()
        self._taken_us: list[float] = []

    async def open(self) -> dict[str, Any]:
        """Listen, and return the ready line for the client."""
        line = {**self._line, "accounts": self._line["accounts"][self._account :]}
        listening = (("ws_market_data", self._market_data), ("ws_trades", self._trades), ("trades", self._requests))
        for key, handle in listening:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handle)
            runner = web.AppRunner(app, shutdown_timeout=0.5)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._runners.append(runner)
            line[key] = f"{'ws' if key.startswith('ws') else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        return line

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def nudge(self) -> None:
        """Send frames now and then, until cancelled: a client that starts is ready when it answers one."""
        while True:
            await asyncio.sleep(0.2)
            if self._listener is not None and self._forward:
                await self._listener.send_str(self.books.next_frame())

    async def turn(self, frames: int) -> tuple[list[float], int]:
        """Send frames and return the microseconds to the order that answers each, and how many have none.

        Orders come in the order of their frames. When one is missing at the end nobody can say whose answer the others
        are, so all of the turn is missed.
        """
        listener = self._listener
        if listener is None:
            raise RuntimeError("no client listens to books")
        self._taken_us = []
        due = time.perf_counter()
        for _ in range(frames):
            frame = self.books.next_frame() if self._forward else CONSTANT
            self._sent_ns.append(time.perf_counter_ns())
            await listener.send_str(frame)
            due += EVERY_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await asyncio.sleep(LATE_S)
        missed = bool(self._sent_ns) * frames
        self._sent_ns.clear()
        return ([], missed) if missed else (self._taken_us, 0)

    async def _market_data(self, request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse(compress=False, max_msg_size=0)
        await client.prepare(request)
        if not self._forward:
            self._listener = client
            async for _ in client:
                pass
            return client
        await self._pass(request, client, self._line["ws_market_data"], from_exchange=self._altered)
        return client

    async def _trades(self, request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse(compress=False, max_msg_size=0)
        await client.prepare(request)
        if not self._forward:
            async for message in client:
                self._note(message.data)
            return client
        await self._pass(request, client, self._line["ws_trades"])
        return client

    async def _requests(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._note(request.path)
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        url = self._line["trades"] + request.path_qs
        async with self._http.request(request.method, url, data=body, headers=headers) as answer:
            kept = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _pass(
        self, request: web.Request, client: web.WebSocketResponse, base: str, from_exchange: Any = None
    ) -> None:
        headers = {name: request.headers[name] for name in PASSED[:2] if name in request.headers}
        async with self._http.ws_connect(base + request.path_qs, headers=headers, max_msg_size=0) as venue:

            async def back() -> None:
                async for message in venue:
                    if message.type is WSMsgType.TEXT:
                        text = message.data if from_exchange is None else from_exchange(client, message.data)
                        if text:
                            await client.send_str(text)
                await client.close()

            passing = asyncio.create_task(back())
            try:
                async for message in client:
                    if message.type is WSMsgType.TEXT:
                        self._note(message.data)
                        await venue.send_str(message.data)
            finally:
                passing.cancel()
                await asyncio.gather(passing, return_exceptions=True)

    def _note(self, text: str) -> None:
        if self._sent_ns and "create_order" in text:
            self._taken_us.append((time.perf_counter_ns() - self._sent_ns.popleft()) / 1000)

    def _altered(self, client: web.WebSocketResponse, text: str) -> str:
        """Return what the client gets instead: everything, but of books the first alone, and tickers that agree with it.

        Our engine takes a ticker that moves away from the book as a sign that book frames are lost.
        """
        if '"stream":"v1.ticker.' in text[:400]:
            return self._ticker(text)
        if '"stream":"v1.book.' not in text[:400]:
            return text
        message = json.loads(text)
        if "feed" not in message:
            for first in message.get("result", {}).get("first_sequence_number", ()):
                self.books.acknowledged(int(first))
            return text
        if not self.books.is_known:
            self.books.seen(message)
        elif message["sequence_number"] != "0":
            return ""
        self._listener = client
        return self.books.first_frame()

    def _ticker(self, text: str) -> str:
        ticker = json.loads(text)
        if "feed" not in ticker:
            return text
        if not self.books.is_known:
            return ""
        ticker["feed"] |= self.books.touch()
        return json.dumps(ticker, separators=(",", ":"))


CONSTANT = json.dumps({"stream": "v1.book.d", "feed": "x" * 800})


async def _measure(options: Options) -> Report:
    async with AsyncExitStack() as until_end:
        http = await until_end.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        venue = until_end.enter_context(exchange("--accounts", "5"))
        line = venue.hear()
        missing: dict[str, str] = {}

        async def tap(account: int, *, forward: bool = True) -> tuple[Tap, str]:
            made = Tap(http, line, account, forward=forward)
            opened = await made.open()
            until_end.push_async_callback(made.close)
            return made, json.dumps(opened)

        async def seated(made: Tap, process: Process) -> dict[str, Any]:
            until_end.push_async_callback(asyncio.to_thread, process.end)
            nudging = asyncio.create_task(made.nudge())
            try:
                return await asyncio.wait_for(asyncio.to_thread(process.hear), START_S)
            finally:
                nudging.cancel()

        async def engine(venue: Process, line: dict[str, Any], rehearse_ms: int) -> tuple[Tap, Path]:
            made = Tap(http, line, 0)
            until_end.push_async_callback(made.close)
            home = Path(until_end.enter_context(tempfile.TemporaryDirectory()))
            more = (json.dumps(await made.open()), str(venue.pid), str(home), str(rehearse_ms))
            await seated(made, ours("tick_ours.py", *more, environment=SUPERVISED))
            return made, home

        async def bot(
            account: int, worker: str, name: str, environment: dict[str, str] | None = None
        ) -> tuple[str, Tap | None]:
            if not options.peers:
                missing[name] = "peers were not asked for"
                return name, None
            made, text = await tap(account)
            try:
                about = await seated(made, await asyncio.to_thread(peer, worker, text, environment=environment))
            except (PeerAbsent, RuntimeError, TimeoutError) as error:
                missing[name] = str(error) or f"no order within {START_S:g} s"
                progress(f"tick_to_order: {name}: {missing[name]}")
                return name, None
            return f"{about['version']} {name.partition(' ')[2]}", made

        cold, home = await engine(venue, line, 0)
        other = until_end.enter_context(
            exchange("--accounts", "2")
        )  # no two engines work an instrument of one exchange
        warm, home_warm = await engine(other, other.hear(), REHEARSE_MS)
        quick, quick_bot = await bot(1, "tick_pysdk.py", "grvt-pysdk bot with coincurve")
        plain, plain_bot = await bot(2, "tick_pysdk.py", "grvt-pysdk bot as pip installs it", PURE_PYTHON_CURVE)
        ccxt, ccxt_bot = await bot(4, "tick_ccxt.py", "ccxt.pro bot, rate limiter off")
        floor, text = await tap(3, forward=False)
        await seated(floor, ours("tick_floor.py", text))
        seats = {COLD: cold, WARM: warm, quick: quick_bot, plain: plain_bot, ccxt: ccxt_bot, FLOOR: floor}
        await asyncio.sleep(1.0)
        taken: dict[str, list[list[float]]] = {name: [] for name in seats}
        missed = dict.fromkeys(seats, 0)
        first_us: dict[str, float] = {}
        turns, frames, dropped = options.of(TURNS, 1), options.of(FRAMES, 12), options.of(DROPPED, 4)
        for turn in range(turns):
            progress(f"tick_to_order: turn {turn + 1} of {turns}")
            for name, made in seats.items():
                if made is None:
                    continue
                warm_up, _ = await made.turn(dropped)
                first_us.setdefault(name, warm_up[0] if warm_up else 0.0)
                values, late = await made.turn(frames - dropped)
                taken[name].append(values)
                missed[name] += late
        stages = {name: await asyncio.to_thread(_stages, path) for name, path in (("cold", home), ("warm", home_warm))}
    for name, made in seats.items():
        if made is not None and not any(taken[name]):
            missing[name] = "no turn in which every frame was answered; BENCHMARK_STDERR=1 shows what it says"
    report = Report(
        "tick_to_order",
        "Book frame in, signed create out (wall time)",
        [
            absent(name, missing[name])
            if name in missing
            else Case(name, [part for part in rounds if part], missed[name])
            for name, rounds in taken.items()
        ],
        FLOOR,
        {"first_order_us": {name: round(value) for name, value in first_us.items()}, "stages_of_ours_p50_us": stages},
    )
    return report._replace(goals=_goals(report, quick, plain, ccxt))


def _goals(report: Report, quick: str, plain: str, ccxt: str) -> list[Goal]:
    warm = next(case for case in report.cases if case.name == WARM)
    tail = warm.p99 / warm.median if warm.rounds else None
    return [
        report.goal("cold over the floor", COLD, FLOOR, 1.7, at_most=True),
        report.goal("rehearsing over the floor", WARM, FLOOR, 1.1, at_most=True),
        report.goal("cold: faster than grvt-pysdk with coincurve", quick, COLD, 3.5),
        report.goal("rehearsing: faster than grvt-pysdk with coincurve", quick, WARM, 5),
        report.goal("cold: faster than grvt-pysdk as pip installs it", plain, COLD, 12),
        report.goal("cold: faster than ccxt.pro", ccxt, COLD, 12),
        Goal("p99 over p50, rehearsing", tail, 2),
    ]


def _stages(home: Path) -> dict[str, float | None]:
    """What the engine says of itself: the median of each stage, over all frames it was sent."""
    engine = running(home, "engine")
    if engine is None:
        raise RuntimeError("the engine has ended")
    latency_us = ControlClient.of(engine).status().latency_us
    return {stage: value.p50 for stage, value in latency_us.items()}


def measure(options: Options) -> Report:
    os.environ["TZ"] = "UTC"
    return uvloop.run(_measure(options))
