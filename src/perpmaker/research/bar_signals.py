"""A regime filter tried on candles, bar by bar, by the code that trades: what it said, what came after, who looked ahead.

What is said at the close of a bar is acted on at the opening of the next one, never before. `signal_run` plays the bars;
`looks_ahead` plays them again with another future and finds the first bar at which that changed what had been said.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from perpmaker.errors import DataError
from perpmaker.model.events import Bar
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.research import metrics
from perpmaker.research.metrics import NAN, Floats, Times
from perpmaker.strategies.signals.filters import Regime
from perpmaker.strategies.signals.params import RegimeParams
from perpmaker.strategies.signals.watch import RegimeState, RegimeWatch

HORIZONS: Final = (1, 5, 15, 60)
"""Bars after a signal at which is looked what it was worth."""
PLACES: Final = 8
"""At so many places the future is exchanged."""
OTHER_FUTURE: Final = 240
"""So many bars of it are told."""

Watching = Callable[[], RegimeWatch]


class After(msgspec.Struct, frozen=True):
    """What `bars` after a signal were worth, bps from the next opening, > 0 when it was right; 90 % by bootstrap."""

    side: str
    bars: int
    signals: int
    bps: float
    low: float
    high: float
    any_bar_bps: float
    """The same of every bar: what a signal that says nothing is worth."""


class RegimeShare(msgspec.Struct, frozen=True):
    """How often a regime was said, and how wild the next bar was."""

    regime: str
    share: float
    next_bar_bps: float
    """Root mean square of the next bar's return."""


class Traded(msgspec.Struct, frozen=True):
    """The signal in force held as one unit of money, entered and left at the next opening; fractions of that unit."""

    pnl: float
    cost: float
    trades: int
    held_share: float
    sharpe: float
    sortino: float
    calmar: float
    drawdown: float
    always_long: float


class SignalRun(msgspec.Struct, frozen=True):
    """Bars and what was said at the end of each."""

    bars: tuple[Bar, ...]
    said: tuple[RegimeState, ...]
    position: Floats
    """Held from the opening of each bar on: what was said at the end of the one before it."""
    equity: Floats
    """At the end of each bar, of one unit of money, positions valued at its close."""
    traded: Traded
    after: tuple[After, ...]
    regimes: tuple[RegimeShare, ...]
    digest: str
    """Over what was said: a second run gives the same."""

    @property
    def closed_ns(self) -> Times:
        return np.array([bar.open_ns + bar.interval_s * NS_PER_S for bar in self.bars], dtype=np.int64)


def signal_run(bars: Sequence[Bar], params: RegimeParams, *, cost_bps: float, seed: int = 1) -> SignalRun:
    """Play candles to the filter of a configuration. `cost_bps` of what is traded, each way."""
    said = tuple(said_of(bars, watch_of(bars, params)))
    if not any(state.warm for state in said):
        raise DataError(f"{len(bars)} candles are too few: {params.filter} has not seen enough bars at their end")
    opens = np.array([bar.open for bar in bars])
    closes = np.array([bar.close for bar in bars])
    wanted = np.array([0 if state.signal is None else state.signal.sign for state in said], dtype=np.float64)
    position = np.concatenate([np.zeros(1), wanted[:-1]])
    equity, traded = _traded(position, opens, closes, cost_bps, bars[0].interval_s)
    return SignalRun(
        bars=tuple(bars),
        said=said,
        position=position,
        equity=equity,
        traded=traded,
        after=tuple(_after(said, opens, closes, seed)),
        regimes=tuple(_regimes(said, closes)),
        digest=_digest(said),
    )


def watch_of(bars: Sequence[Bar], params: RegimeParams) -> Watching:
    return lambda: RegimeWatch(bars[0].instrument, params)


def said_of(bars: Sequence[Bar], watching: Watching) -> Iterator[RegimeState]:
    """Yield what holds at the end of each bar, for somebody who knows nothing of the next."""
    watch = watching()
    for bar in bars:
        watch.on_bar(bar)
        yield watch.state(bar.open_ns + bar.interval_s * NS_PER_S, is_flat=False)


def looks_ahead(
    bars: Sequence[Bar], said: Sequence[RegimeState], watching: Watching, places: int = PLACES
) -> int | None:
    """Return the first bar at which something else is said when what comes after it is another market, None for none.

    What comes after is turned upside down: a rise becomes a fall of the same size. A new filter hears the bars up to
    there, and then those; all that it said up to there has to be what was said before.
    """
    found: int | None = None
    for place in range(1, places + 1):
        known = len(bars) * place // (places + 1)
        if not known:
            continue
        other = [*bars[:known], *_upside_down(bars[known : known + OTHER_FUTURE], bars[known - 1].close)]
        again = tuple(said_of(other, watching))[:known]
        first = next((at for at, (now, then) in enumerate(zip(again, said, strict=False)) if now != then), None)
        if first is not None:
            found = first if found is None else min(found, first)
    return found


def _upside_down(bars: Sequence[Bar], around: float) -> list[Bar]:
    def turned(px: float) -> float:
        return around * around / px

    return [
        msgspec.structs.replace(
            bar, open=turned(bar.open), high=turned(bar.low), low=turned(bar.high), close=turned(bar.close)
        )
        for bar in bars
    ]


def _traded(position: Floats, opens: Floats, closes: Floats, cost_bps: float, interval_s: int) -> tuple[Floats, Traded]:
    """Return the equity at each close, and its figures: gains are summed, not reinvested."""
    before = np.concatenate([np.zeros(1), position[:-1]])
    last = np.concatenate([opens[:1], closes[:-1]])
    gained = before * (opens / last - 1) + position * (closes / opens - 1)
    changed = np.abs(np.diff(position, prepend=0.0))
    cost = changed * cost_bps / 1e4
    equity = 1 + np.cumsum(gained - cost)
    whole = np.concatenate([np.ones(1), equity])
    returns = metrics.period_returns(whole)
    per_year = metrics.YEAR_S / interval_s
    return equity, Traded(
        pnl=float(equity[-1] - 1),
        cost=float(np.sum(cost)),
        trades=int(np.count_nonzero(changed)),
        held_share=float(np.mean(position != 0)),
        sharpe=metrics.sharpe(returns, per_year),
        sortino=metrics.sortino(returns, per_year),
        calmar=metrics.calmar(whole, len(position) * interval_s / metrics.YEAR_S),
        drawdown=metrics.deepest_drawdown(whole).frac,
        always_long=float(closes[-1] / opens[0] - 1),
    )


def _after(said: Sequence[RegimeState], opens: Floats, closes: Floats, seed: int) -> Iterator[After]:
    """Look from the opening after each beginning of a signal to the close so many bars later."""
    for side in Side:
        now = np.array([state.signal is side and not state.latched for state in said])
        began = np.flatnonzero(now & ~np.concatenate([np.zeros(1, dtype=bool), now[:-1]]))
        for bars in HORIZONS:
            known = began[began + bars < len(opens)]
            gained = side.sign * (closes[known + bars] / opens[known + 1] - 1) * 1e4
            ends = closes[bars:]  # none where there are no more candles than that
            every = side.sign * (ends / opens[1 : 1 + len(ends)] - 1) * 1e4
            interval = metrics.bootstrap_interval(gained, _mean, seed=seed)
            yield After(side.value, bars, len(known), _mean(gained), interval.low, interval.high, _mean(every))


def _regimes(said: Sequence[RegimeState], closes: Floats) -> Iterator[RegimeShare]:
    warm = np.array([state.warm for state in said])
    moved = np.concatenate([(closes[1:] / closes[:-1] - 1) * 1e4, [NAN]])
    for regime in Regime:
        there = warm & np.array([state.regime is regime for state in said])
        after = moved[there & np.isfinite(moved)]
        wild = math.sqrt(float(np.mean(after**2))) if len(after) else NAN
        yield RegimeShare(regime.value, float(np.sum(there) / np.sum(warm)), wild)


def _digest(said: Sequence[RegimeState]) -> str:
    codes = [
        (list(Regime).index(state.regime), 0 if state.signal is None else state.signal.sign, state.latched, state.warm)
        for state in said
    ]
    return hashlib.blake2b(np.array(codes, dtype="<i8").tobytes(), digest_size=16).hexdigest()


def _mean(values: Floats) -> float:
    return float(np.mean(values)) if len(values) else NAN
