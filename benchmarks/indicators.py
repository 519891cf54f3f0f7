"""Five indicators a bar, and the regime model on one row: ours, TA-Lib's streams and batch, scikit-learn.

    python -m benchmarks indicators

RSI 14, Bollinger 20, ADX 14, ATR 14, choppiness 14, on a made walk; processor time a bar, all in this process. There is no
floor below ours but TA-Lib's streams, which are compiled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from benchmarks.figures import Case, Report, absent
from benchmarks.options import Options, progress

from perpmaker.research.regime.fitting import fit
from perpmaker.strategies.regimes.features import FEATURES
from perpmaker.strategies.signals.indicators import Adx, Atr, Bollinger, Choppiness, Rsi

TURNS, BARS, ROWS = 7, 2000, 400
PAST = 500
"""Bars that a batch is computed over for its last value."""
SEED = 3
OURS = "perpmaker, O(1) updates in plain Python"
STREAMS, BATCH = "TA-Lib 0.8 streams", f"TA-Lib batch over {PAST} bars"
MIXTURE, SKLEARN = "perpmaker", "scikit-learn predict_proba"
Step = Callable[[int], object]


def measure(options: Options) -> list[Report]:
    turns = options.of(TURNS, 2)
    bars = _walk(PAST + BARS)
    cases = [_timed(OURS, _ours(bars), options.of(BARS, 100), turns)]
    try:
        import talib  # type: ignore[import-untyped]
    except ImportError:
        cases += [absent(name, "ta-lib is not installed (./run setup dev)") for name in (STREAMS, BATCH)]
    else:
        cases.append(_timed(STREAMS, _streams(talib, bars), options.of(BARS, 100), turns))
        cases.append(_timed(BATCH, _batch(talib, bars), options.of(ROWS, 20), turns))
    five = Report("indicators", "Five indicators, one bar (processor time)", cases, STREAMS, {})
    regime = _regime(options.of(ROWS, 20), turns)
    return [
        five._replace(
            goals=[
                five.goal("five indicators faster than TA-Lib's batch", BATCH, OURS, 10),
                five.goal("five indicators over TA-Lib's streams", OURS, STREAMS, 1.5, at_most=True),
            ]
        ),
        regime._replace(goals=[regime.goal("regime model faster than scikit-learn", SKLEARN, MIXTURE, 15)]),
    ]


def _timed(name: str, step: Step, calls: int, turns: int) -> Case:
    progress(f"indicators: {name}")
    rounds = []
    at = 0
    for _ in range(turns):
        began = time.thread_time_ns()
        for number in range(at, at + calls):
            step(number)
        rounds.append([(time.thread_time_ns() - began) / 1000 / calls])
        at += calls
    return Case(name, rounds)


def _walk(count: int) -> list[tuple[float, float, float]]:
    """High, low, close; later bars repeat the earlier ones."""
    noise = np.random.default_rng(SEED)
    close = 60_000.0 + np.cumsum(noise.normal(0, 20, count))
    spread = np.abs(noise.normal(0, 15, (2, count)))
    return [(c + up, c - down, c) for c, up, down in zip(close.tolist(), *spread.tolist(), strict=True)]


def _ours(bars: list[tuple[float, float, float]]) -> Step:
    five = (Rsi(), Bollinger(), Adx(), Atr(), Choppiness())

    def step(number: int) -> None:
        high, low, close = bars[number % len(bars)]
        for indicator in five:
            indicator.update(high, low, close)

    return step


def _streams(talib: Any, bars: list[tuple[float, float, float]]) -> Step:
    stream = talib.stream
    high, low, close = np.array(bars[:PAST]).T.copy()
    spans = talib.TRANGE(high, low, close)[1:].copy()
    rsi, bands = stream.RSI(close, 14), stream.BBANDS(close, 20, 2.0, 2.0, 0)
    adx, atr = stream.ADX(high, low, close, 14), stream.ATR(high, low, close, 14)
    ranges, total = stream.TRANGE(high, low, close), stream.SUM(spans, 14)
    most, least = stream.MAX(high, 14), stream.MIN(low, 14)
    scale = 100 / math.log10(14)

    def step(number: int) -> object:
        high, low, close = bars[number % len(bars)]
        span = total.update(ranges.update(high, low, close))
        reach = most.update(high) - least.update(low)
        return (
            rsi.update(close),
            bands.update(close),
            adx.update(high, low, close),
            atr.update(high, low, close),
            scale * math.log10(span / reach) if reach > 0 else 100.0,
        )

    return step


def _batch(talib: Any, bars: list[tuple[float, float, float]]) -> Step:
    high, low, close = np.array(bars).T.copy()
    scale = 100 / math.log10(14)

    def step(number: int) -> object:
        at = number % (len(close) - PAST)
        h, lo, c = high[at : at + PAST], low[at : at + PAST], close[at : at + PAST]
        span = talib.SUM(talib.TRANGE(h, lo, c)[1:], 14)[-1]
        reach = talib.MAX(h, 14)[-1] - talib.MIN(lo, 14)[-1]
        return (
            talib.RSI(c, 14)[-1],
            talib.BBANDS(c, 20, 2.0, 2.0, 0)[1][-1],
            talib.ADX(h, lo, c, 14)[-1],
            talib.ATR(h, lo, c, 14)[-1],
            scale * math.log10(span / reach) if reach > 0 else 100.0,
        )

    return step


def _regime(calls: int, turns: int) -> Report:
    """The stored model evaluated by hand, beside the model it was made from. Both must say the same."""
    samples = np.random.default_rng(SEED).normal(0, 1, (900, len(FEATURES)))
    samples[:300] += 3.0
    samples[300:600, 0] -= 4.0
    fitted = fit(samples, window_s=60, levels=5, seed=SEED)
    model, mixture = fitted.model, fitted.mixture
    rows = [tuple(row) for row in samples.tolist()]
    standard = (samples - np.array(model.centre)) / np.array(model.scale)
    theirs = mixture.predict_proba(standard[:1])[0][list(fitted.order)]
    apart = float(np.max(np.abs(theirs - np.array(model.posterior(rows[0]).shares))))
    if apart > 1e-9:
        raise RuntimeError(f"the two models differ by {apart:g}")

    def ours(number: int) -> object:
        return model.posterior(rows[number % len(rows)])

    def sklearn(number: int) -> object:
        at = number % len(rows)
        return mixture.predict_proba(standard[at : at + 1])

    cases = [_timed(MIXTURE, ours, calls, turns), _timed(SKLEARN, sklearn, calls, turns)]
    title = f"Regime model, one row of {len(FEATURES)} features (processor time)"
    return Report("regime_model", title, cases, MIXTURE, {"largest difference": f"{apart:.1g}"})
