"""What one run of one strategy came to, from its tables: money, what it risked for it, and how it was filled.

Risk is what the inventory would have done to equity had the price been a walk: the root of the time integral of
(position notional)^2 sigma^2, in quote currency, sigma the market's own over the whole tape (moves of a minute). So a
ratio of 2 says that the strategy earned two standard deviations of what its inventory put at stake.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from perpmaker.engine.backtest import RunResult
from perpmaker.engine.backtest_tables import NONE, Column
from perpmaker.model.units import NS_PER_S
from perpmaker.research.metrics import NAN, Floats, Times, bootstrap_interval, last_at, markout_bps, ratio

BLOCK_S: Final = 60
_NANO = 1e-9
_MEAN_BLOCKS: Final = 10.0
"""Ten minutes of blocks are drawn together."""


class Measures(msgspec.Struct, frozen=True):
    """Money in quote currency, markouts in bps of notional; `blocks` are minutes of (net, risk squared)."""

    net: float
    risk: float
    per_risk: float
    markout_10s: float | None
    markout_60s: float | None
    fill_ratio: float | None
    """Filled over ordered quantity."""
    drawdown: float
    volume: float
    fills: int
    orders: int
    refused: dict[str, int]
    errors: tuple[str, ...]
    blocks: tuple[tuple[float, float], ...]


def measured(run: RunResult) -> Measures:
    """Return the measures of a run of one account on one instrument."""
    quotes, equity = run.tables["quotes"], run.tables["equity"]
    ts_ns = np.array(quotes["ts_ns"].whole(), dtype=np.int64)
    bid, ask = (_known(quotes[name]) for name in ("bid_px", "ask_px"))
    mid = _filled((bid + ask) / 2)
    notional = _known(quotes["position"]) * mid
    at_stake = _at_stake(ts_ns, notional, sigma_per_root_s(ts_ns, mid))
    figures = run.figures
    risk = math.sqrt(float(np.sum(at_stake)))
    markouts = [_markout(run, ts_ns, mid, horizon_s) for horizon_s in (10, 60)]
    ordered, filled = (
        float(np.sum(np.array(run.tables["orders"][name].whole(), dtype=float))) for name in ("qty", "cum_qty")
    )
    value = _filled(_known(equity["equity"]))
    return Measures(
        net=float(figures.pnl),
        risk=risk,
        per_risk=per_risk(float(figures.pnl), risk),
        markout_10s=_or_none(markouts[0]),
        markout_60s=_or_none(markouts[1]),
        fill_ratio=_or_none(ratio(filled, ordered)),
        drawdown=float(figures.max_drawdown),
        volume=float(figures.volume),
        fills=figures.fills,
        orders=figures.orders,
        refused=dict(figures.refused),
        errors=run.errors,
        blocks=_blocks(ts_ns, at_stake, np.array(equity["ts_ns"].whole(), dtype=np.int64), value),
    )


def per_risk(net: float, risk: float) -> float:
    """Return net over risk; 0 for who never held anything."""
    return net / risk if risk > 0 else 0.0


def sigma_per_root_s(ts_ns: Times, mid: Floats) -> float:
    """Return the root mean square log move of a minute, per square-root second."""
    if len(ts_ns) < 2 or ts_ns[-1] - ts_ns[0] < 2 * BLOCK_S * NS_PER_S:
        moves, step_s = np.diff(np.log(mid)), 1.0
    else:
        minutes = np.arange(ts_ns[0], ts_ns[-1], BLOCK_S * NS_PER_S)
        moves, step_s = np.diff(np.log(last_at(ts_ns, mid, minutes))), float(BLOCK_S)
    moves = moves[np.isfinite(moves)]
    return math.sqrt(float(np.mean(moves**2)) / step_s) if len(moves) else 0.0


def interval(blocks: list[tuple[float, float]], *, seed: int = 1) -> tuple[float, float] | None:
    """Return the central 90 % of net per risk over resampled minutes, ten of them together on average."""
    found = bootstrap_interval(np.array(blocks).reshape(-1, 2), _of_blocks, seed=seed, block=_MEAN_BLOCKS)
    return None if math.isnan(found.low) else (found.low, found.high)


def _of_blocks(rows: Floats) -> float:
    return per_risk(float(np.sum(rows[:, 0])), math.sqrt(float(np.sum(rows[:, 1]))))


def _at_stake(ts_ns: Times, notional: Floats, sigma: float) -> Floats:
    """Return notional^2 sigma^2 dt of each sample."""
    lasted_s = np.diff(ts_ns, append=ts_ns[-1:]) / NS_PER_S
    stake = np.nan_to_num(notional) ** 2 * sigma**2 * lasted_s
    return np.asarray(stake)


def _markout(run: RunResult, ts_ns: Times, mid: Floats, horizon_s: int) -> float:
    fills = run.tables["fills"]
    when_ns = np.array(fills["ts_event_ns"].whole(), dtype=np.int64) + horizon_s * NS_PER_S
    later = np.where(when_ns <= ts_ns[-1], last_at(ts_ns, mid, when_ns), NAN)
    side = np.array(fills["side"].whole(), dtype=float)
    return markout_bps(side, _known(fills["px"]), _known(fills["qty"]), later)


def _blocks(ts_ns: Times, at_stake: Floats, equity_ns: Times, equity: Floats) -> tuple[tuple[float, float], ...]:
    edges = np.arange(ts_ns[0], ts_ns[-1] + 1, BLOCK_S * NS_PER_S)
    if len(edges) < 2:
        return ()
    known = last_at(equity_ns, equity, np.maximum(edges, equity_ns[0]))
    nets = np.diff(known)
    sums = np.add.reduceat(at_stake, np.searchsorted(ts_ns, edges))[: len(nets)]
    return tuple((round(float(net), 6), round(float(stake), 8)) for net, stake in zip(nets, sums, strict=True))


def _known(values: Column) -> Floats:
    """Return nanos as floats, nan where there is none."""
    found = np.array(values.whole(), dtype=np.int64)
    return np.where(found == NONE, NAN, found * _NANO)


def _filled(values: Floats) -> Floats:
    """Return the values with the last known one where there is none."""
    places = np.where(np.isfinite(values), np.arange(len(values)), 0)
    return np.asarray(values[np.maximum.accumulate(places)])


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
