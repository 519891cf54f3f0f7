"""Runs of the simulated market, watched event by event, with makers of a client in it or none.

`python -m tests.scenario.market_lab` and `... fills` print the tables of docs/explanation/simulated-market.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import msgspec

from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS, Instrument
from perpmaker.exchange.core.market.simulator import SimulatedMarket
from perpmaker.exchange.core.market.statistics import (
    MarketStatistics,
    Print,
    Quote,
    maker_markout_bps,
    measure,
)
from perpmaker.exchange.core.types import (
    NANO,
    BookChanged,
    Event,
    Fill,
    FillReported,
    Leg,
    OrderRequest,
    Side,
    Signature,
    TradePrinted,
)
from perpmaker.exchange.core.venue import Venue
from perpmaker.tape.binance import BookTicker, Trade, read_capture

START_NS = 1_700_000_000 * NANO
MS_NS = 1_000_000
BTC, ETH, SOL = (instrument.name for instrument in DEFAULT_INSTRUMENTS)
ACCOUNT = 7
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL_TAPE = SHARED / "binance_hftbacktest" / "usdm_btcusdt_20240808.gz"


class Client(Protocol):
    """A trader that looks at the market now and then."""

    def look(self, now_ns: int) -> None: ...


@dataclass
class Run:
    """What could be seen of a run."""

    venue: Venue
    quotes: dict[str, list[Quote]] = field(default_factory=dict)
    prints: dict[str, list[Print]] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    digest: str = ""

    def statistics(self, instrument: str) -> MarketStatistics:
        return measure(self.quotes[instrument], self.prints[instrument])


def open_venue(instruments: Sequence[Instrument] = DEFAULT_INSTRUMENTS) -> Venue:
    venue = Venue(instruments, now_ns=START_NS)
    venue.open_account(owner="lab", main_account="0xlab", sub_account_id=ACCOUNT, deposit=Decimal(100_000))
    return venue


def run_market(
    venue: Venue,
    *,
    seed: int,
    seconds: int,
    activity: float = 1.0,
    clients: Sequence[Client] = (),
    look_every_ns: int = 100 * MS_NS,
) -> Run:
    """Play the market event by event; the digest covers every event, and every second's books."""
    market = SimulatedMarket(venue, seed=seed, activity=activity)
    watch = _Watch(venue)
    end_ns = venue.now_ns + seconds * NANO
    look_ns = venue.now_ns + NANO
    while True:
        next_ns = market.next_event_ns()
        assert next_ns is not None
        now_ns = min(next_ns, look_ns)
        if now_ns > end_ns:
            break
        market.advance(now_ns)
        if now_ns == look_ns:
            look_ns += look_every_ns
            for client in clients:
                client.look(now_ns)
        watch.take(now_ns)
    watch.run.digest = watch.hash.hexdigest()
    return watch.run


class _Watch:
    def __init__(self, venue: Venue) -> None:
        names = [instrument.name for instrument in venue.instruments]
        self.run = Run(venue, {name: [] for name in names}, {name: [] for name in names})
        self.hash = hashlib.sha256()
        self._encoder = msgspec.msgpack.Encoder()
        self._buffer = bytearray()
        self._second = 0
        self._best: dict[str, tuple[int, int]] = {}

    def take(self, now_ns: int) -> None:
        events = self.run.venue.take_events()
        self._digest(now_ns, events)
        for event in events:
            if isinstance(event, BookChanged):
                self._see_quote(now_ns, event.instrument)
            elif isinstance(event, TradePrinted):
                trade = event.trade
                sign = 1 if trade.is_taker_buyer else -1
                self.run.prints[trade.instrument].append(Print(now_ns, sign, trade.px_ticks, trade.qty_lots))
            elif isinstance(event, FillReported):
                self.run.fills.append(event.fill)

    def _see_quote(self, now_ns: int, instrument: str) -> None:
        book = self.run.venue.book(instrument)
        bid, ask = book.best_bid_ticks, book.best_ask_ticks
        if bid is not None and ask is not None and self._best.get(instrument) != (bid, ask):
            self._best[instrument] = bid, ask
            self.run.quotes[instrument].append(Quote(now_ns, bid, ask))

    def _digest(self, now_ns: int, events: list[Event]) -> None:
        self._encoder.encode_into(events, self._buffer)
        self.hash.update(self._buffer)
        if now_ns // NANO != self._second:
            self._second = now_ns // NANO
            for instrument in self.run.venue.instruments:
                snapshot = self.run.venue.book(instrument.name).snapshot(event_ns=now_ns)
                self.hash.update(self._encoder.encode(snapshot))


class _Orders:
    """A client's orders on one instrument, by what they are for."""

    def __init__(self, venue: Venue, instrument: Instrument, usd: float, account: int) -> None:
        self.venue = venue
        self.instrument = instrument
        self._account = account
        self._usd = usd
        self._nonce = 0
        self._live: dict[object, tuple[int, int]] = {}

    def px_ticks(self, slot: object) -> int | None:
        """The price of the order in a slot, None when there is none any more."""
        if slot not in self._live:
            return None
        px_ticks, client_order_id = self._live[slot]
        view = self.venue.order(self._account, client_order_id=client_order_id)
        if view is None or not view.state.book_lots:
            del self._live[slot]
            return None
        return px_ticks

    def cancel(self, slot: object) -> None:
        _, client_order_id = self._live.pop(slot)
        self.venue.cancel_order(self._account, client_order_id=client_order_id)

    def place(self, slot: object, side: Side, px_ticks: int) -> None:
        self._nonce += 1
        client_order_id = self.instrument.asset_id * 10**8 + self._nonce
        px = Decimal(px_ticks * self.instrument.tick_nano) / NANO
        lots = max(
            1, round(self._usd * NANO * NANO / (px_ticks * self.instrument.tick_nano * self.instrument.lot_nano))
        )
        qty = Decimal(lots * self.instrument.lot_nano) / NANO
        signature = Signature("0xlab", "0x1", "0x1", 27, self.venue.now_ns + 3_600 * NANO, self._nonce)
        leg = Leg(self.instrument.name, side, qty, px)
        self.venue.create_order(OrderRequest(self._account, (leg,), signature, client_order_id, post_only=True))
        self._live[slot] = px_ticks, client_order_id

    def lots(self) -> int:
        position = self.venue.position(self._account, self.instrument.name)
        return 0 if position is None else position.qty_lots


class SpreadMaker:
    """Quotes at `half_spread_bps` around mid, moves a quote that is off by a quarter of it, pauses 2 s after a fill."""

    def __init__(
        self,
        venue: Venue,
        instrument: Instrument,
        half_spread_bps: float,
        *,
        layers: int = 1,
        usd: float = 500.0,
        account: int = ACCOUNT,
    ) -> None:
        self._orders = _Orders(venue, instrument, usd, account)
        self._half_spread_bps = half_spread_bps
        self._layers = layers
        self._wanted: set[tuple[Side, int]] = set()
        self._paused_until_ns: dict[tuple[Side, int], int] = {}

    def look(self, now_ns: int) -> None:
        book = self._orders.venue.book(self._orders.instrument.name)
        bid, ask = book.best_bid_ticks, book.best_ask_ticks
        if bid is None or ask is None:
            return
        mid = (bid + ask) / 2
        for layer in range(self._layers):
            away = self._half_spread_bps * (1 + 0.5 * layer) * 1e-4 * mid
            self._keep((Side.BUY, layer), math.floor(mid - away), away, now_ns)
            self._keep((Side.SELL, layer), math.ceil(mid + away), away, now_ns)

    def _keep(self, slot: tuple[Side, int], px_ticks: int, away_ticks: float, now_ns: int) -> None:
        live_ticks = self._orders.px_ticks(slot)
        if live_ticks is None and slot in self._wanted:
            self._wanted.discard(slot)
            self._paused_until_ns[slot] = now_ns + 2 * NANO
        if now_ns < self._paused_until_ns.get(slot, 0):
            return
        if live_ticks is not None:
            if abs(live_ticks - px_ticks) <= 0.25 * away_ticks:
                return
            self._orders.cancel(slot)
        self._orders.place(slot, slot[0], px_ticks)
        self._wanted.add(slot)


class BlindTouchMaker:
    """Always at the best price of both sides, whatever happens, until it holds ten orders' worth."""

    def __init__(self, venue: Venue, instrument: Instrument, *, usd: float = 500.0) -> None:
        self._orders = _Orders(venue, instrument, usd, ACCOUNT)
        self._most_lots = 10 * usd * NANO * NANO / (instrument.start_px_nano * instrument.lot_nano)

    def look(self, now_ns: int) -> None:
        book = self._orders.venue.book(self._orders.instrument.name)
        for side in Side:
            touch = book.best_bid_ticks if side is Side.BUY else book.best_ask_ticks
            live_ticks = self._orders.px_ticks(side)
            is_full = side * self._orders.lots() >= self._most_lots
            if live_ticks is not None and (is_full or live_ticks != touch):
                self._orders.cancel(side)
                live_ticks = None
            if live_ticks is None and touch is not None and not is_full:
                self._orders.place(side, side, touch)


def real_statistics(path: Path = REAL_TAPE) -> MarketStatistics:
    """Measure the recorded BTC tape; by the exchange's matching time, in ticks of 0.1 and lots of 0.001."""
    quotes: list[Quote] = []
    prints: list[Print] = []
    for row in read_capture(path):
        if isinstance(row, BookTicker):
            quote = Quote(row.ts_event_ns, int(row.bid_px * 10), int(row.ask_px * 10))
            if not quotes or (quote.bid_ticks, quote.ask_ticks) != (quotes[-1].bid_ticks, quotes[-1].ask_ticks):
                quotes.append(quote)
        elif isinstance(row, Trade):
            sign = -1 if row.is_buyer_maker else 1
            prints.append(Print(row.ts_event_ns, sign, int(row.px * 10), int(row.qty * 1000)))
    return measure(quotes, prints)


def fills_per_minute(run: Run, instrument: str, minutes: int) -> list[int]:
    """Fills of the client in each minute, from the first on, sorted."""
    counts = Counter((fill.event_ns - START_NS) // (60 * NANO) for fill in run.fills if fill.instrument == instrument)
    return sorted(counts.get(minute, 0) for minute in range(minutes))


def markout_bps(run: Run, instrument: str, horizon_s: int) -> float:
    """Mean gain of the client's fills after `horizon_s` at mid, before fees."""
    quotes = run.quotes[instrument]
    own = [fill for fill in run.fills if fill.instrument == instrument]
    prints = [Print(fill.event_ns, -int(fill.side), fill.px_ticks, fill.qty_lots) for fill in own]
    return maker_markout_bps(quotes, prints, horizon_s)


ISSUED = {
    "one_tick_share": 0.94,
    "return_sd_1s_bps": 1.40,
    "return_sd_10s_bps": 3.76,
    "largest_move_60s_bps": 10.6,
    "size_p90_to_p50": 0.265 / 0.016,
    "size_p99_to_p50": 1.146 / 0.016,
    "sign_autocorrelation": 0.80,
    "markout_1s_bps": -0.42,
    "markout_10s_bps": -0.42,
}
"""The figures of the real market that the simulated one is held against: issue 2, section 3."""

_MORE = ("touch_markout_1s_bps", "touch_markout_10s_bps", "size_p50_lots", "prints_per_s", "orders_per_s")
HALF_SPREADS_BPS = (1.0, 2.0, 3.0, 5.0, 8.0)


def hour(seed: int, seconds: int = 3_600) -> dict[str, object]:
    """One run without a client, as what another process can compare: its digest and BTC's statistics."""
    run = run_market(open_venue(), seed=seed, seconds=seconds)
    statistics = run.statistics(BTC)
    return {"digest": run.digest} | {name: getattr(statistics, name) for name in (*ISSUED, *_MORE)}


def print_comparison(seeds: Sequence[int]) -> None:
    real = real_statistics()
    runs = [run_market(open_venue(), seed=seed, seconds=3_600) for seed in seeds]
    for name in (*ISSUED, *_MORE):
        simulated = [[getattr(run.statistics(instrument), name) for run in runs] for instrument in (BTC, ETH, SOL)]
        recorded = getattr(real, name)
        ratio = sum(simulated[0]) / len(runs) / ISSUED.get(name, recorded)
        columns = " | ".join(f"{min(values):.2f} .. {max(values):.2f}" for values in simulated)
        print(f"| {name} | {ISSUED.get(name, float('nan')):.2f} | {recorded:.2f} | {ratio:.2f} | {columns} |")


def print_activity() -> None:
    for activity in (0.1, 0.3, 1.0, 2.0):
        run = run_market(open_venue(), seed=1, seconds=3_600, activity=activity)
        values = [run.statistics(BTC), run.statistics(ETH), run.statistics(SOL)]
        rates = " | ".join(f"{value.prints_per_s:.1f}" for value in values)
        btc = values[0]
        print(f"| {activity} | {rates} | {btc.return_sd_1s_bps:.2f} | {btc.markout_1s_bps:.2f} |")


def print_fills(seeds: Sequence[int], minutes: int = 30) -> None:
    for half_spread_bps in HALF_SPREADS_BPS:
        runs = []
        for seed in seeds:
            venue = open_venue()
            makers = [SpreadMaker(venue, listed, half_spread_bps) for listed in venue.instruments]
            runs.append(run_market(venue, seed=seed, seconds=60 * minutes, clients=makers))
        for name in (BTC, ETH, SOL):
            counts = sorted(count for run in runs for count in fills_per_minute(run, name, minutes))
            cells = (counts[0], counts[len(counts) // 20], counts[len(counts) // 2], counts[-1])
            earned = sum(markout_bps(run, name, 10) for run in runs) / len(runs)
            print(f"| {half_spread_bps:g} | {name} | {' | '.join(map(str, cells))} | {earned:+.2f} |")


def print_touch(seeds: Sequence[int]) -> None:
    for seed in seeds:
        venue = open_venue()
        run = run_market(
            venue, seed=seed, seconds=600, clients=[BlindTouchMaker(venue, listed) for listed in venue.instruments]
        )
        account = venue.account(ACCOUNT)
        assert account is not None
        markouts = " ".join(f"{markout_bps(run, name, 10):+.2f}" for name in (BTC, ETH, SOL))
        print(f"seed {seed}: equity {account.total_equity_nano / NANO:.2f}, {len(run.fills)} fills, markout {markouts}")


def main(arguments: Sequence[str]) -> None:
    match arguments:
        case ["hour", seed]:
            print(json.dumps(hour(int(seed))))
        case ["fills"]:
            print_fills((1, 2, 3, 4))
        case _:
            print_comparison((1, 2, 3, 4, 5))
            print_activity()
            print_touch((1, 2, 3))


if __name__ == "__main__":
    main(sys.argv[1:])
