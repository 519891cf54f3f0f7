"""The compiled fast path gives what event by event gives, to the last bit, on tapes of every temper."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpmaker import config as configuration
from perpmaker.config import Config
from perpmaker.engine import backtest_fast
from perpmaker.engine.backtest import RunResult, Setup, backtest, only
from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, Event, StaleReason, Ticker, Trade
from perpmaker.model.ids import InstrumentId, TradeId, instrument_id
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import Chance
from perpmaker.tape.importers.convert import Options, convert
from perpmaker.tape.reader import Tape, open_tape
from perpmaker.tape.schema import TapeInstrument
from perpmaker.tape.writer import TapeWriter

pytestmark = pytest.mark.timeout(300)  # the first run compiles
ROOT = Path(__file__).resolve().parents[3]
TOUCH = f"{ROOT / 'benchmarks' / 'backtest' / 'touch_maker.py'}:TouchMaker"
START_NS = 1_700_000_000 * NS_PER_S
MID = 5_000
BTC, ETH = (instrument_id(f"{base}_USDT_Perp", "grvt") for base in ("BTC", "ETH"))

TIMER = f"kind = '{TOUCH}'\nqty = 0.002\nevery_ms = 150"
BOOKS = "kind = 'skewed_maker'\nqty = 0.02\nhalf_spread_bps = 2.0"
MAKER = """kind = "market_maker"
book_interval_ms = 100
[strategy.quoting]
model = "fixed"
half_spread_bps = 2
min_edge_bps = 0
order_notional = 10
layers = 3
layer_spacing_bps = 2
tolerance_bps = 0.1"""


def config(strategy: str, latency: str, *, ms: int, queue: str = "power", others: str = "") -> Config:
    text = f"""
schema_version = 1
env = "local"
name = "fast"
[account.main]
{others}
[risk]
max_loss = 5000
[simulation]
entry_ms = {ms}
response_ms = {ms}
latency = "{latency}"
queue_model = "{queue}"
[[strategy]]
name = "btc"
account = "main"
instrument = "BTC_USDT_Perp"
{strategy}
"""
    return configuration.parse(tomllib.loads(text, parse_float=Decimal), {}, source="test")


def rules(name: InstrumentId) -> Instrument:
    return Instrument(
        instrument_id=name,
        symbol=str(name),
        exchange="grvt",
        base=str(name)[:3],
        quote="USDT",
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        min_notional=Decimal(0),
    )


def market(name: InstrumentId, seed: int, *, steps: int, gap_ms: int, crossed: int) -> Iterator[Event]:
    """Snapshots, deltas, trades, tickers and doubts, late and early; `crossed` of a thousand deltas are out of place."""
    chance, ids = Chance(seed), count(1)
    mid, event_ns, last_ns = MID, START_NS, START_NS
    doubted = True
    for _ in range(steps):
        event_ns += chance.below(2 * gap_ms + 1) * NS_PER_MS // 2
        told_ns = event_ns - chance.below(3) * NS_PER_MS
        last_ns = recv_ns = max(last_ns, event_ns + chance.below(8) * NS_PER_MS)
        mid += chance.below(3) - 1 if chance.happens(100) else 0
        what = chance.below(1_000)
        if (doubted and what > 500) or what < 15:
            doubted = False
            bids, asks = (tuple((mid + s * (1 + i), 1 + chance.below(60)) for i in range(12)) for s in (-1, 1))
            yield BookSnapshot(name, bids, asks, told_ns, recv_ns)
        elif what < 18:
            doubted = True
            yield BookStale(name, StaleReason.GAP, recv_ns)
        elif what < 50:
            px = Decimal(mid) / 10
            yield Ticker(name, px, px, None, Decimal("0.0001"), 0, told_ns, recv_ns)
        elif what < 300:
            side = (Side.BUY, Side.SELL)[chance.below(2)]
            px = mid + side.sign * (1 + chance.below(2))
            yield Trade(name, px, 1 + chance.below(40), side, TradeId(str(next(ids))), told_ns, recv_ns, what < 55)
        else:
            yield BookDelta(name, _levels(chance, mid, -1, crossed), _levels(chance, mid, 1, crossed), told_ns, recv_ns)


def _levels(chance: Chance, mid: int, side: int, crossed: int) -> tuple[tuple[int, int], ...]:
    inside = -3 if chance.happens(crossed) else 0
    return tuple(
        (mid + side * (1 + inside + chance.below(8)), chance.below(5) and chance.below(60))
        for _ in range(chance.below(4))
    )


def write(path: Path, events: list[Event], names: tuple[InstrumentId, ...]) -> Tape:
    with TapeWriter(path, [TapeInstrument(rules(name)) for name in names], chunk_rows=600) as writer:
        for event in sorted(events, key=lambda event: event.ts_recv_ns):
            writer.add(event)
    return open_tape(path)


def both(setup: Setup, tape: Tape, model: str) -> tuple[RunResult, RunResult]:
    (slow,) = backtest(msgspec.structs.replace(setup, is_fast=False), tape, only([model])).runs
    (fast,) = backtest(setup, tape, only([model])).runs
    return slow, fast


def assert_same(slow: RunResult, fast: RunResult) -> None:
    for name, table in slow.tables.items():
        assert [list(table[column]) for column in table.columns] == [
            list(fast.tables[name][column]) for column in table.columns
        ], name
    assert fast.digest == slow.digest
    assert (fast.events, fast.figures, fast.models) == (slow.events, slow.figures, slow.models)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    strategy=st.sampled_from([TIMER, TIMER, MAKER, BOOKS]),
    model=st.sampled_from(["queue", "queue", "optimistic", "pessimistic", "classic"]),
    latency=st.sampled_from(["constant", "following", "tape"]),
    queue=st.sampled_from(["power", "risk_averse"]),
    ms=st.sampled_from([0, 3, 20]),
    gap_ms=st.sampled_from([1, 5, 25]),
    crossed=st.sampled_from([0, 5, 60]),
    marks=st.booleans(),
    two=st.booleans(),
    feed_ms=st.sampled_from([None, 2]),
    gives_up=st.booleans(),
)
def test_the_fast_path_gives_the_same_result_on_any_tape(
    seed: int,
    strategy: str,
    model: str,
    latency: str,
    queue: str,
    ms: int,
    gap_ms: int,
    crossed: int,
    marks: bool,
    two: bool,
    feed_ms: int | None,
    gives_up: bool,
) -> None:
    names = (BTC, ETH) if two else (BTC,)
    events = [
        e for n, name in enumerate(names) for e in market(name, seed + n, steps=700, gap_ms=gap_ms, crossed=crossed)
    ]
    if not marks:
        events = [event for event in events if not isinstance(event, Ticker)]
    others = 'instruments = ["ETH_USDT_Perp"]' if two else ""
    made = config(strategy, latency, ms=ms, queue=queue, others=others)
    if feed_ms is not None:
        made = made.model_copy(update={"simulation": made.simulation.model_copy(update={"feed_ms": Decimal(feed_ms)})})
    with tempfile.TemporaryDirectory() as folder:
        tape = write(Path(folder) / "x.tape", events, names)
        with pytest.MonkeyPatch.context() as patch:
            if gives_up:  # in the middle, whatever it is worth
                patch.setattr(backtest_fast, "JUDGED_EVERY", 25)
                patch.setattr(backtest_fast, "WORTH", 1 << 40)
            assert_same(*both(Setup(made, seed=5), tape, model))


@pytest.mark.parametrize("strategy", [TIMER, MAKER], ids=["timer", "maker"])
def test_the_fast_path_gives_the_same_result_on_a_real_tape(strategy: str, tmp_path: Path, shared_data: Path) -> None:
    convert([shared_data / "binance_hftbacktest" / "usdm_btcusdt_20240808.gz"], tmp_path / "x.tape", Options())
    tape = open_tape(tmp_path / "x.tape")
    end_ns = tape.first_recv_ns + 60 * NS_PER_S
    big = strategy.replace("order_notional = 10", "order_notional = 300").replace(
        "half_spread_bps = 2", "half_spread_bps = 0.1"
    )
    slow, fast = both(Setup(config(big, "constant", ms=5), seed=5, to_ns=end_ns), tape, "queue")
    assert slow.figures.fills > 10
    assert_same(slow, fast)
