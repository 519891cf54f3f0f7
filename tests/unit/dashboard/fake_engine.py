"""An engine's control API without an engine: moving markets, own orders, fills, and commands that have an effect.

Run it as a process of its own (it can then be frozen with SIGSTOP):

    python -m tests.unit.dashboard.fake_engine --home FOLDER [--seed N] [--hostile] [--pairs]

It publishes `run/engine.json` in the home like an engine does. `--hostile` puts markup, control characters and very long
words wherever an engine passes on text that came from a venue.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import random
import secrets
import signal
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec
from aiohttp import WSMsgType, web
from tests.unit.dashboard.fake_pairs import FakePairs

from perpmaker.clock import Clock, WallClock
from perpmaker.control.home import RunFile, published
from perpmaker.control.messages import (
    BookRows,
    BookTop,
    CandleRow,
    CommandAnswer,
    CommandRequest,
    EquityPoint,
    FillRow,
    Frame,
    LogLine,
    OrderRow,
    Percentiles,
    PnlSplit,
    PositionRow,
    Status,
    StrategyRow,
)

FRAME_S = 0.1
LEVELS, LAYERS = 15, 7
CANDLE_S, CANDLES = 60, 240
HISTORY_FILLS = 90
HOSTILE = '<img src=x onerror="window.__hacked=1"><script>window.__hacked=1</script>\u202e' + "W" * 400


@dataclass
class Market:
    """One instrument: a price in ticks that wanders, a book around it, and our quotes in it."""

    name: str
    tick: Decimal
    lot: Decimal
    mid_ticks: float
    sigma_ticks: float
    order_lots: int
    position_lots: int = 0
    entry_ticks: float = 0.0
    realized: float = 0.0
    fees: float = 0.0
    quoting: bool = True
    candles: dict[int, CandleRow] = field(default_factory=dict)
    quotes: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: {"buy": [], "sell": []})
    """Side -> (client order id, price in ticks), best first."""
    last_ticks: int = 0
    last_side: str = "buy"

    def px(self, ticks: float) -> str:
        return str((Decimal(round(ticks)) * self.tick).quantize(self.tick))

    def qty(self, lots: float) -> str:
        return str((Decimal(round(lots)) * self.lot).quantize(self.lot))


class FakeEngine:
    """The state, moved by `step`; pure but for its seeded generator."""

    def __init__(self, now_ns: int, seed: int = 1, *, hostile: bool = False, pairs: bool = False) -> None:
        self.random = random.Random(seed)
        self.pairs = FakePairs() if pairs else None
        self.hostile = hostile
        self.started_ns = now_ns
        self.now_ns = now_ns
        self.state = "running"
        self.reason = ""
        self.kill_latched = False
        self.orders_sent = 0
        self.sequence = 0
        self.volume = 0.0
        self.spread_pnl = 0.0
        self.funding = 0.42
        self.start_balance = 100_000.0
        self.peak = self.start_balance
        self.fills: list[FillRow] = []
        self.equity: list[EquityPoint] = []
        self.lines: deque[LogLine] = deque(maxlen=3000)
        self.line_number = 0
        self.answers: dict[str, CommandAnswer] = {}
        self.commands: list[CommandRequest] = []
        self.markets = {
            market.name: market
            for market in (
                Market("BTC_USDT_Perp", Decimal("0.1"), Decimal("0.001"), 600_000.0, 14.0, 5),
                Market("ETH_USDT_Perp", Decimal("0.01"), Decimal("0.01"), 260_000.0, 9.0, 8),
                Market("SOL_USDT_Perp", Decimal("0.01"), Decimal("0.1"), 15_000.0, 0.9, 13),
            )
        }
        self._make_history()

    # Moving.

    def step(self, now_ns: int) -> None:
        """Move every market to `now_ns`."""
        self.now_ns = now_ns
        if self.pairs is not None:
            self.pairs.step()
        for market in self.markets.values():
            market.mid_ticks += self.random.gauss(0.0, market.sigma_ticks) * 0.35
            self._candle(market, now_ns)
            self._quote(market)
            if market.quoting and self.random.random() < 0.035:
                self._fill(market, now_ns)
        if self.random.random() < 0.25:
            self._log(f"quotes_replaced instrument={self.random.choice(list(self.markets))} orders={LAYERS * 2}")
        if not self.equity or now_ns / 1e9 - self.equity[-1].ts_s >= 1.0:
            self._equity_point(now_ns / 1e9)

    def command(self, request: CommandRequest) -> CommandAnswer:
        """Carry a command out once; the same id gets the same answer."""
        known = self.answers.get(request.command_id)
        if known is not None:
            return known
        self.commands.append(request)
        state, text = self._carry_out(request)
        answer = CommandAnswer(request.command_id, state, text)
        self.answers[request.command_id] = answer
        self._log(f"command_received kind={request.kind} actor={request.actor} answer={state}")
        return answer

    def _carry_out(self, request: CommandRequest) -> tuple[str, str]:  # type: ignore[return]
        name = request.arguments.get("instrument")
        markets = [self.markets[name]] if name in self.markets else list(self.markets.values())
        if int(request.expires_ns) < self.now_ns:
            return "refused", "expired"
        if request.kind == "kill":
            self.kill_latched, self.state, self.reason = True, "killed", request.arguments.get("reason", "kill")
            self._set_quoting(list(self.markets.values()), False)
            return "done", "latched; every order is cancelled"
        if self.kill_latched:
            return "refused", "the kill switch is latched; perpmaker kill --clear lifts it"
        if self.pairs is not None and request.kind.startswith("pair_"):
            return self.pairs.carry_out(request)
        if request.kind == "pause":
            self._set_quoting(markets, False)
            return "done", "every quote is cancelled"
        if request.kind == "resume":
            self._set_quoting(markets, True)
            return "done", "quoting again"
        if request.kind == "close":
            self._set_quoting(markets, False)
            for market in markets:
                self._flatten(market)
            return "done", "positions are flat"
        return "refused", f"{request.kind} is not known here"

    def _set_quoting(self, markets: list[Market], quoting: bool) -> None:
        for market in markets:
            market.quoting = quoting
            self._quote(market)
        if not self.kill_latched:
            anyone = any(market.quoting for market in self.markets.values())
            self.state, self.reason = ("running", "") if anyone else ("paused", "by command")

    def _candle(self, market: Market, now_ns: int) -> None:
        open_s = now_ns // 1_000_000_000 // CANDLE_S * CANDLE_S
        px = float(market.px(market.mid_ticks))
        old = market.candles.get(open_s)
        if old is None:
            market.candles[open_s] = CandleRow(open_s, px, px, px, px, 0.0)
        else:
            volume = old.volume + abs(self.random.gauss(0.0, 0.3))
            market.candles[open_s] = CandleRow(open_s, old.open, max(old.high, px), min(old.low, px), px, volume)

    def _quote(self, market: Market) -> None:
        """Keep each quote until it is three ticks off; new ones get new ids."""
        if not market.quoting:
            market.quotes = {"buy": [], "sell": []}
            return
        spacing = max(2.0, market.mid_ticks * 0.00012)
        for side, sign in (("buy", -1), ("sell", 1)):
            kept: list[tuple[str, int]] = []
            for layer in range(LAYERS):
                wanted = round(market.mid_ticks + sign * (spacing * 0.6 + layer * spacing))
                old = market.quotes[side][layer] if layer < len(market.quotes[side]) else None
                if old is not None and abs(old[1] - wanted) <= spacing * 0.25:
                    kept.append(old)
                    continue
                self.orders_sent += 1
                kept.append((self._order_id(), wanted))
            market.quotes[side] = kept

    def _order_id(self) -> str:
        self.sequence += 1
        return str((1 << 63) + (1 << 62) + self.sequence)

    def _fill(self, market: Market, now_ns: int) -> None:
        lean = 0.5 - 0.02 * market.position_lots / market.order_lots
        side = "buy" if self.random.random() < lean else "sell"
        client_order_id, ticks = market.quotes[side][0]
        self._book_fill(market, side, ticks, market.order_lots, now_ns, client_order_id)
        market.quotes[side][0] = (self._order_id(), ticks)

    def _flatten(self, market: Market) -> None:
        if market.position_lots:
            side = "sell" if market.position_lots > 0 else "buy"
            lots = abs(market.position_lots)
            self._book_fill(market, side, round(market.mid_ticks), lots, self.now_ns, self._order_id(), taker=True)

    def _book_fill(
        self,
        market: Market,
        side: str,
        ticks: float,
        lots: int,
        ts_ns: int,
        client_order_id: str,
        *,
        taker: bool = False,
    ) -> None:
        sign = 1 if side == "buy" else -1
        px, lot, tick = float(market.px(ticks)), float(market.lot), float(market.tick)
        before = market.position_lots
        realized = 0.0
        if before * sign < 0:
            closed = min(abs(before), lots)
            realized = closed * lot * (px - market.entry_ticks * tick) * (1 if before > 0 else -1)
        market.position_lots += sign * lots
        if before * sign >= 0:
            market.entry_ticks = (market.entry_ticks * abs(before) + ticks * lots) / max(1, abs(before) + lots)
        elif market.position_lots * before < 0:
            market.entry_ticks = ticks
        fee = px * lots * lot * (0.00045 if taker else -0.000001)
        market.realized += realized
        market.fees += fee
        self.volume += px * lots * lot
        self.spread_pnl += abs(px - market.mid_ticks * tick) * lots * lot
        market.last_ticks, market.last_side = round(ticks), "sell" if side == "buy" else "buy"
        self.fills.append(
            FillRow(
                number=len(self.fills) + 1,
                ts_event_ns=str(ts_ns),
                account="main",
                strategy=f"maker-{market.name[:3].lower()}",
                instrument=market.name,
                side=side,  # type: ignore[arg-type]
                px=market.px(ticks),
                qty=market.qty(lots),
                fee=f"{fee:.6f}",
                is_taker=taker,
                realized_pnl=f"{realized:.4f}",
                position_after=market.qty(market.position_lots),
                client_order_id=client_order_id,
                trade_id=f"{1_000_000 + len(self.fills)}",
            )
        )
        self._log(f"order_filled instrument={market.name} side={side} qty={market.qty(lots)} px={market.px(ticks)}")

    def _make_history(self) -> None:
        """Fill the past: candles, some fills, an equity curve, a few log lines."""
        end_s = self.now_ns // 1_000_000_000 // CANDLE_S * CANDLE_S
        for market in self.markets.values():
            px = market.mid_ticks - self.random.gauss(0.0, market.sigma_ticks * 40)
            for open_s in range(end_s - CANDLES * CANDLE_S, end_s, CANDLE_S):
                pull = (market.mid_ticks - px) * (0.02 if open_s < end_s - 8 * CANDLE_S else 0.3)
                close = px + pull + self.random.gauss(0.0, market.sigma_ticks * 6)
                wick = abs(self.random.gauss(0.0, market.sigma_ticks * 3))
                row = [float(market.px(value)) for value in (px, max(px, close) + wick, min(px, close) - wick, close)]
                market.candles[open_s] = CandleRow(open_s, *row, volume=abs(self.random.gauss(9.0, 4.0)))
                px = close
            self._quote(market)
        for index in range(HISTORY_FILLS):
            market = self.random.choice(list(self.markets.values()))
            ts_s = end_s - (HISTORY_FILLS - index) * 75 + self.random.randrange(60)
            candle = market.candles[ts_s // CANDLE_S * CANDLE_S]
            side = "buy" if self.random.random() < 0.5 - 0.05 * market.position_lots / market.order_lots else "sell"
            ticks = (candle.low if side == "buy" else candle.high) / float(market.tick)
            self._book_fill(market, side, ticks, market.order_lots, ts_s * 1_000_000_000, self._order_id())
        value = self.start_balance
        for second in range(1800, 0, -3):
            value += self.random.gauss(0.004, 0.12)
            positions = {name: math.sin(second / 90 + len(name)) * 0.01 for name in self.markets}
            self.equity.append(EquityPoint(self.now_ns / 1e9 - second, value, positions))
        self.peak = max(point.equity for point in self.equity)
        self.start_balance = value - self._pnl()
        for number in range(40):
            self._log(f"engine_started step={number} venue=grvt")

    def _equity_point(self, ts_s: float) -> None:
        positions = {name: float(market.qty(market.position_lots)) for name, market in self.markets.items()}
        equity = self.start_balance + self._pnl()
        self.peak = max(self.peak, equity)
        self.equity.append(EquityPoint(ts_s, equity, positions))

    def _pnl(self) -> float:
        return sum(self._unrealized(market) + market.realized - market.fees for market in self.markets.values())

    def _unrealized(self, market: Market) -> float:
        return market.position_lots * float(market.lot) * (market.mid_ticks - market.entry_ticks) * float(market.tick)

    def _log(self, text: str) -> None:
        self.line_number += 1
        extra = f" venue_text={HOSTILE}" if self.hostile and self.line_number % 5 == 0 else ""
        second = self.now_ns // 1_000_000 % 86_400_000 / 1000
        stamp = f"2026-11-21T{int(second // 3600):02}:{int(second // 60 % 60):02}:{second % 60:06.3f}Z"
        self.lines.append(LogLine(self.line_number, f"{stamp} info    {text}{extra}"))

    # Showing.

    def status(self) -> Status:
        equity = self.start_balance + self._pnl()
        fees = -sum(market.fees for market in self.markets.values())
        change = equity - 100_000.0
        adverse = -0.6 * self.spread_pnl
        inventory = change - self.spread_pnl - adverse - fees - self.funding
        hostile = HOSTILE if self.hostile else ""
        return Status(
            state=self.state,
            reason=self.reason + hostile,
            venue="grvt",
            env="local",
            mode="live",
            engine=f"engine pid {os.getpid()}",
            version="0.1.0",
            ts_ns=str(self.now_ns),
            started_ns=str(self.started_ns),
            currency="USDT",
            equity=f"{equity:.4f}",
            balance=f"{equity - sum(self._unrealized(m) for m in self.markets.values()):.4f}",
            peak_equity=f"{self.peak:.4f}",
            day_pnl=f"{change:.4f}",
            drawdown_frac=max(0.0, 1 - equity / self.peak),
            positions=[self._position(market) for market in self.markets.values() if market.position_lots],
            open_orders=[row for market in self.markets.values() for row in self._orders(market)],
            fills_total=len(self.fills),
            volume=f"{self.volume:.2f}",
            pnl=PnlSplit(*(f"{part:.4f}" for part in (self.spread_pnl, adverse, inventory, fees, self.funding))),
            books={name: self._top(market) for name, market in self.markets.items()}
            | ({} if self.pairs is None else self.pairs.tops()),
            strategies=[self._strategy(market) for market in self.markets.values()],
            latency_us={
                stage: Percentiles(p50 * self.random.uniform(0.9, 1.1), p50 * self.random.uniform(2.0, 4.0))
                for stage, p50 in (
                    ("decode", 4.0),
                    ("book", 1.2),
                    ("decide", 31.0),
                    ("gate", 9.0),
                    ("sign", 29.0),
                    ("journal", 11.0),
                    ("write", 24.0),
                    ("ack", 26_400.0),
                    ("tick_to_order", 131.0),
                    ("loop_lag", 70.0),
                )
            },
            links={"grvt.market_data": True, "grvt.account": True, "grvt.trading_rpc": True, "grvt.rest": True},
            rate_budget={"main orders": 41.0, "main cancels": 58.5},
            markets=[] if self.pairs is None else self.pairs.markets(),
            pairs=[] if self.pairs is None else self.pairs.rows(),
            conversions={} if self.pairs is None else {"USDC/USDT": "1.000180, backpack USDT/USDC, 4 s old"},
            kill_latched=self.kill_latched,
            orders_sent=self.orders_sent,
            orders_refused={"ORDER_RATE": 14, "PRICE_COLLAR": 1, f"OWN_CROSS{hostile}": 3},
            clock_offset_ms=0.21,
            warnings=[f"kappa is inert for maker-sol{hostile}"] if self.hostile else [],
            journal_path="/home/trader/.perpmaker/local-engine/journal",
        )

    def _position(self, market: Market) -> PositionRow:
        notional = market.position_lots * float(market.lot) * market.mid_ticks * float(market.tick)
        return PositionRow(
            account="main",
            instrument=market.name,
            qty=market.qty(market.position_lots),
            avg_entry_px=market.px(market.entry_ticks),
            mark_px=market.px(market.mid_ticks),
            notional=f"{notional:.2f}",
            unrealized_pnl=f"{self._unrealized(market):.4f}",
            realized_pnl=f"{market.realized:.4f}",
            fees=f"{market.fees:.6f}",
            funding="0.14",
        )

    def _orders(self, market: Market) -> list[OrderRow]:
        return [
            OrderRow(
                account="main",
                strategy=f"maker-{market.name[:3].lower()}",
                instrument=market.name,
                client_order_id=client_order_id,
                venue_order_id=f"0x{int(client_order_id) % 2**48:012x}",
                side=side,  # type: ignore[arg-type]
                px=market.px(ticks),
                qty=market.qty(market.order_lots),
                cum_qty=market.qty(0),
                state="OPEN",
                tag=f"L{layer}",
                age_ms=(layer + 1) * 830.0,
            )
            for side in ("buy", "sell")
            for layer, (client_order_id, ticks) in enumerate(market.quotes[side])
        ]

    def _top(self, market: Market) -> BookTop:
        return BookTop(market.px(math.floor(market.mid_ticks)), market.px(math.floor(market.mid_ticks) + 1), 12.0)

    def _strategy(self, market: Market) -> StrategyRow:
        state = "quoting" if market.quoting else "paused"
        reason = HOSTILE if self.hostile else ("" if market.quoting else "by command")
        tick = float(market.tick)
        inputs: dict[str, float | str | None] = {
            "model": "glft",
            "fair": market.mid_ticks * tick,
            "sigma": market.sigma_ticks * tick,
            "A_bid": 1.31,
            "A_ask": 1.27,
            "kappa_bid": 0.82 / tick / 10,
            "kappa_ask": 0.79 / tick / 10,
            "half_spread_bps": 0.72,
            "skew_bps": -0.05 * market.position_lots / market.order_lots,
            "age_ms": 40.0,
        }
        return StrategyRow(
            f"maker-{market.name[:3].lower()}", "market_maker", "main", market.name, state, reason, inputs
        )

    def book(self, market: Market) -> BookRows:
        own: dict[str, int] = {}
        for rows in market.quotes.values():
            for _, ticks in rows:
                own[market.px(ticks)] = own.get(market.px(ticks), 0) + market.order_lots
        sides: list[list[tuple[str, str, str]]] = []
        bid = math.floor(market.mid_ticks)
        for sign, first in ((-1, bid), (1, bid + 1)):
            prices = {market.px(first + sign * level): 0 for level in range(LEVELS)}
            prices |= {px: 0 for px in own if (float(px) <= float(market.px(bid))) == (sign < 0)}
            ordered = sorted(prices, key=float, reverse=sign < 0)[:LEVELS]
            sides.append(
                [
                    (
                        px,
                        market.qty(own.get(px, 0) + self.random.randint(1, 40) * market.order_lots),
                        market.qty(own.get(px, 0)),
                    )
                    for px in ordered
                ]
            )
        last = market.px(market.last_ticks) if market.last_ticks else None
        ts = self.now_ns - 12_000_000
        next_funding = (self.now_ns // 28_800_000_000_000 + 1) * 28_800_000_000_000
        return BookRows(
            sides[0],
            sides[1],
            last,
            market.last_side,
            market.px(market.mid_ticks),
            "0.0001",
            str(next_funding),
            str(ts),
            12.0,
        )

    def frame(self, number: int, *, since: Mark | None) -> Frame:
        """Return everything, or what is new since a mark."""
        return Frame(
            number=number,
            full=since is None,
            ts_ns=str(self.now_ns),
            status=self.status(),
            books={name: self.book(market) for name, market in self.markets.items()},
            candles={
                name: list(market.candles.values()) if since is None else list(market.candles.values())[-2:]
                for name, market in self.markets.items()
            },
            fills=self.fills if since is None else self.fills[since.fills :],
            equity=self.equity if since is None else self.equity[since.equity :],
            logs=[line for line in self.lines if since is None or line.number > since.lines],
        )

    def mark(self) -> Mark:
        return Mark(len(self.fills), len(self.equity), self.line_number)


@dataclass(frozen=True)
class Mark:
    """How much a client has seen."""

    fills: int
    equity: int
    lines: int


class FakeControl:
    """Serves a FakeEngine as `perpmaker.control.messages` says."""

    def __init__(self, engine: FakeEngine, clock: Clock, token: str) -> None:
        self.engine = engine
        self.clock = clock
        self.token = token
        self.connected = asyncio.Event()
        self.frozen = False
        """Says nothing more, and keeps every connection open."""
        self.lost = 0
        """So many of the next frame numbers are left out, as if frames had been lost."""
        self.behind_ns = 0
        """How far its stamps are behind the time."""
        self._moved = asyncio.Condition()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/v1/status", self._status)
        app.router.add_get("/v1/trades", self._trades)
        app.router.add_get("/v1/logs", self._logs)
        app.router.add_post("/v1/commands", self._command)
        app.router.add_get("/v1/stream", self._stream)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:  # type: ignore[type-arg]
        if not request.host.startswith(("127.0.0.1:", "localhost:")) or "Origin" in request.headers:
            return web.Response(status=403)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        return await handler(request)  # type: ignore[operator,no-any-return]

    async def move_for_ever(self) -> None:
        while True:
            if not self.frozen:
                await self.move()
            await asyncio.sleep(FRAME_S)

    async def move(self) -> None:
        """Step the markets once and wake the streams."""
        self.engine.step(self.clock.now_ns() - self.behind_ns)
        async with self._moved:
            self._moved.notify_all()

    async def _status(self, _request: web.Request) -> web.Response:
        return _json(self.engine.status())

    async def _trades(self, request: web.Request) -> web.Response:
        return _json(self.engine.fills[::-1][: int(request.query.get("limit", "100"))])

    async def _logs(self, request: web.Request) -> web.Response:
        after = int(request.query.get("after", "0"))
        return _json([line for line in self.engine.lines if line.number > after])

    async def _command(self, request: web.Request) -> web.Response:
        return _json(self.engine.command(msgspec.json.decode(await request.read(), type=CommandRequest)))

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connected.set()
        sent = acknowledged = 0
        mark: Mark | None = None
        while not socket.closed:
            if sent - acknowledged >= 2:
                message = await socket.receive()
                if message.type != WSMsgType.TEXT:
                    break
                acknowledged = msgspec.json.decode(message.data)["ack"]
                continue
            sent += 1 + self.lost
            acknowledged += self.lost
            self.lost = 0
            frame = self.engine.frame(sent, since=mark)
            mark = self.engine.mark()
            try:
                await socket.send_str(msgspec.json.encode(frame).decode())
            except ConnectionError:
                break
            async with self._moved:
                await self._moved.wait()
        return socket


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


async def start(control: FakeControl) -> tuple[web.AppRunner, int]:
    """Serve on an ephemeral loopback port; return the runner, to be cleaned up, and the port."""
    runner = web.AppRunner(control.application(), shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


async def _main(home: Path, seed: int, *, hostile: bool, pairs: bool) -> None:
    clock = WallClock()
    token = secrets.token_urlsafe(32)
    control = FakeControl(FakeEngine(clock.now_ns(), seed, hostile=hostile, pairs=pairs), clock, token)
    runner, port = await start(control)
    run_file = RunFile("engine", os.getpid(), {"control": f"http://127.0.0.1:{port}"}, token, clock.now_ns())
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    moving = asyncio.create_task(control.move_for_ever())
    with published(home, run_file):
        await ended.wait()
    moving.cancel()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--pairs", action="store_true")
    options = parser.parse_args()
    asyncio.run(_main(options.home, options.seed, hostile=options.hostile, pairs=options.pairs))
