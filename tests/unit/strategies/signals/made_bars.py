"""Bars for tests: seeded walks of every temper, the real ones of ../shared/data, and single ones by their close."""

from __future__ import annotations

import csv
import gzip
import io
import random
from pathlib import Path

from perpmaker.model.events import Bar
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S

BTC = InstrumentId("BTC_USDT_Perp")
START_NS = 1_800_000_000 * NS_PER_S
REAL = Path(__file__).resolve().parents[5] / "shared/data/nautilus/btc-perp-20211231-20220201_1m.csv.gz"

Ohlc = tuple[float, float, float]
"""(high, low, close)."""


def walk(seed: int, count: int = 3000, *, sigma: float = 1e-3, tick: float = 0.1) -> list[Ohlc]:
    """Bars of a random walk on a tick grid, with stretches of trend, of calm and of no trade at all."""
    rng = random.Random(seed)
    close, rows, drift, calm = 60_000.0, [], 0.0, 1.0
    for number in range(count):
        if number % 100 == 0:
            drift, calm = rng.gauss(0, sigma / 2), rng.choice((0.0, 0.1, 1.0, 3.0))
        first = close
        close = max(tick, round(close * (1 + calm * (drift + rng.gauss(0, sigma))) / tick) * tick)
        high = max(first, close) + round(calm * rng.expovariate(1) * sigma * close / tick) * tick
        low = max(tick, min(first, close) - round(calm * rng.expovariate(1) * sigma * close / tick) * tick)
        rows.append((high, low, close))
    return rows


def real() -> list[Ohlc]:
    """A month of minutes of a BTC perpetual."""
    with gzip.open(REAL, "rb") as file:
        rows = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
        return [(float(row["high"]), float(row["low"]), float(row["close"])) for row in rows]


def bar(number: int, close: float, *, high: float | None = None, low: float | None = None, bar_s: int = 60) -> Bar:
    """The bar `number` intervals after the start."""
    open_ns = START_NS + number * bar_s * NS_PER_S
    return Bar(
        instrument=BTC,
        interval_s=bar_s,
        open_ns=open_ns,
        open=close,
        high=close if high is None else high,
        low=close if low is None else low,
        close=close,
        volume=1.0,
        trades=1,
        ts_recv_ns=open_ns + bar_s * NS_PER_S,
    )
