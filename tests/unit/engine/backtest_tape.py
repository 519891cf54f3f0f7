"""A tape of two lively minutes for backtests, made of nothing but a seed; run as a program it prints a result's hash."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from perpmaker import config as configuration
from perpmaker.config import Config
from perpmaker.engine.backtest import Setup, backtest, only
from perpmaker.model.events import BookDelta, BookSnapshot, ConversionRate, Event, Ticker, Trade
from perpmaker.model.ids import InstrumentId, TradeId, instrument_id
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import Chance
from perpmaker.tape.reader import Tape, open_tape
from perpmaker.tape.schema import Contract, TapeInstrument
from perpmaker.tape.writer import TapeWriter

START_NS = 1_700_000_000 * NS_PER_S
FEED_NS = 4 * NS_PER_MS
MID = 600_000
"""In ticks of 0.1."""


def rules(symbol: str = "BTC_USDT_Perp", exchange: str = "grvt", base: str = "BTC") -> Instrument:
    return Instrument(
        instrument_id=instrument_id(symbol, exchange),
        symbol=symbol,
        exchange=exchange,
        base=base,
        quote="USDT",
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        min_notional=Decimal(0),
    )


def market(name: InstrumentId, *, seconds: int, seed: int, marks: bool = True) -> Iterator[Event]:
    """A book that wanders and trades that eat into it, ten steps a second."""
    chance = Chance(seed)
    mid, trades = MID, 0
    for step in range(seconds * 10):
        event_ns = START_NS + step * 100 * NS_PER_MS
        recv_ns = event_ns + FEED_NS + chance.below(3) * NS_PER_MS
        moved = mid + (chance.below(3) - 1 if step % 5 == 0 else 0)
        if step == 0:
            yield BookSnapshot(name, _levels(mid, -1), _levels(mid, 1), event_ns, recv_ns)
        else:
            yield BookDelta(name, _change(mid, moved, -1), _change(mid, moved, 1), event_ns, recv_ns)
            mid = moved
        if marks and not step % 10:
            yield Ticker(name, Decimal(mid) / 10, Decimal(mid) / 10, None, Decimal("0.0001"), 0, event_ns, recv_ns)
        for _ in range(chance.below(3)):
            trades += 1
            side = (Side.BUY, Side.SELL)[chance.below(2)]
            px = mid + side.sign * (1, 1, 1, 3)[chance.below(4)]
            trade_ns = event_ns + (10 + chance.below(80)) * NS_PER_MS
            if trade_ns + FEED_NS > recv_ns:
                recv_ns = trade_ns + FEED_NS
                yield Trade(name, px, 1 + chance.below(8), side, TradeId(str(trades)), trade_ns, recv_ns)


def _change(before: int, after: int, side: int) -> tuple[tuple[int, int], ...]:
    gone = dict.fromkeys((px for px, _ in _levels(before, side)), 0)
    return tuple((gone | dict(_levels(after, side))).items())


def _levels(mid: int, side: int) -> tuple[tuple[int, int], ...]:
    return tuple((mid + side * (1 + 2 * level), 5 + 3 * level) for level in range(20))


def write_tape(
    path: Path,
    *instruments: Instrument,
    seconds: int = 120,
    seed: int = 7,
    marks: bool = True,
    contract: Contract = "linear",
    worth: int = 1,
    rate: str | None = None,
) -> Tape:
    """Write what the instruments' markets told; `rate`: what 1 USDC is worth in USDT, told each 10 s."""
    traded = instruments or (rules(),)
    told: list[Event] = [
        event
        for place, one in enumerate(traded)
        for event in market(one.instrument_id, seconds=seconds, seed=seed + place, marks=marks)
    ]
    if rate is not None:
        times = range(START_NS, START_NS + seconds * NS_PER_S, 10 * NS_PER_S)
        told += [ConversionRate("USDC", "USDT", Decimal(rate), "a bank", at_ns, at_ns) for at_ns in times]
    with TapeWriter(
        path, [TapeInstrument(one, contract, Decimal(worth)) for one in traded], chunk_rows=4_000
    ) as writer:
        for event in sorted(told, key=lambda event: event.ts_recv_ns):
            writer.add(event)
    return open_tape(path)


CONFIG = """
schema_version = 1
env = "local"
name = "bt"
[account.main]
[risk]
max_loss = 500
[simulation]
entry_ms = 5
response_ms = 5
[[strategy]]
name = "btc"
kind = "market_maker"
account = "main"
instrument = "BTC_USDT_Perp"
book_interval_ms = 100
[strategy.quoting]
model = "fixed"
half_spread_bps = 0.02
min_edge_bps = 0
order_notional = 300
layers = 2
layer_spacing_bps = 0.03
tolerance_bps = 0.01
"""


def config(text: str = CONFIG) -> Config:
    import tomllib

    return configuration.parse(tomllib.loads(text, parse_float=Decimal), {}, source="test")


def main() -> None:
    tape = open_tape(Path(sys.argv[1]))
    (run,) = backtest(Setup(config(), seed=3), tape, only([sys.argv[2]])).runs
    sys.stdout.write(run.digest)


if __name__ == "__main__":
    main()
