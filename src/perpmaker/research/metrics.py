"""Figures of a run: return and risk, fills, inventory, cost, and how far luck explains them. Pure functions of arrays.

Every definition with its unit and source is on docs/reference/metrics.md too. A figure that is not defined for what it is
given (a Sharpe ratio of one return, a fill ratio without orders) is `nan`, never 0 and never infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from perpmaker.model.units import NS_PER_S

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
"""UTC nanoseconds, never falling."""

DAY_S: Final = 86_400
YEAR_S: Final = 365 * DAY_S
"""Perpetuals trade every day of the year."""
NAN: Final = math.nan
_EULER: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()


# Series


def last_at(ts_ns: Times, values: Floats, when_ns: Times) -> Floats:
    """Return the last value at or before each time of `when_ns`; nan before the first."""
    if not len(ts_ns):
        return np.full(len(when_ns), NAN)
    places = np.searchsorted(ts_ns, when_ns, side="right") - 1
    return np.where(places >= 0, values[np.maximum(places, 0)], NAN)


def grid(from_ns: int, to_ns: int, step_s: float) -> Times:
    """Return `from_ns` and then every `step_s` seconds, the last whole step within `to_ns` included."""
    step_ns = round(step_s * NS_PER_S)
    return from_ns + step_ns * np.arange((to_ns - from_ns) // step_ns + 1, dtype=np.int64)


def period_returns(equity: Floats) -> Floats:
    """Return r_t = E_t / E_(t-1) - 1 of an equity sampled once a period, as fractions; nan once E was not above 0."""
    before, after = equity[:-1], equity[1:]
    alive = np.minimum.accumulate(before > 0) if len(before) else np.zeros(0, dtype=bool)
    return np.where(alive, after / np.where(before > 0, before, 1.0) - 1.0, NAN)


# Return and risk


def sharpe(returns: Floats, periods_per_year: float) -> float:
    """Return the annual Sharpe ratio: mean over standard deviation (n - 1) of returns, times sqrt(periods per year).

    Sharpe (1994), J. Portfolio Management 21(1), 49-58, with no risk-free rate: margin of a perpetual earns none. The root
    takes returns as independent (Lo 2002, Financial Analysts Journal 58(4), eq. 10). Dimensionless.
    """
    return _per_period_sharpe(returns) * math.sqrt(periods_per_year)


def sortino(returns: Floats, periods_per_year: float, target: float = 0.0) -> float:
    """Return the annual Sortino ratio: mean excess over `target` over the downside deviation, which counts all periods.

    Sortino and Price (1994), J. Investing 3(3), 59-64: deviation = sqrt(mean(min(r - target, 0)**2)). Dimensionless.
    """
    if len(returns) < 2:
        return NAN
    excess = returns - target
    deviation = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    return float(np.mean(excess)) / deviation * math.sqrt(periods_per_year) if deviation > 0 else NAN


class Drawdown(NamedTuple):
    """The deepest fall from a peak. `frac` of the peak, `amount` in the equity's unit; places into the series."""

    frac: float
    amount: float
    peak: int
    trough: int
    recovered: int | None
    """The first place at which the peak is reached again, None if it never was."""


def drawdowns(equity: Floats) -> Floats:
    """Return how far each value is below the highest so far, as a fraction of that; 0 at a peak, never negative."""
    peaks = np.maximum.accumulate(equity)
    return (peaks - equity) / np.where(peaks > 0, peaks, NAN)


def deepest_drawdown(equity: Floats) -> Drawdown:
    """Return the deepest drawdown by fraction of its peak (the first of equals)."""
    below = drawdowns(equity)
    if not len(below) or not np.isfinite(below).any():
        return Drawdown(NAN, NAN, 0, 0, None)
    trough = int(np.nanargmax(below))
    peak = int(np.argmax(equity[: trough + 1]))
    again = np.flatnonzero(equity[trough:] >= equity[peak])
    recovered = trough + int(again[0]) if len(again) else None
    return Drawdown(float(below[trough]), float(equity[peak] - equity[trough]), peak, trough, recovered)


def calmar(equity: Floats, years: float) -> float:
    """Return the annual return over the deepest drawdown, both fractions; dimensionless.

    Young (1991), Futures 20(1), 40. The return is not compounded: of a run of hours that would be astronomy.
    """
    depth = deepest_drawdown(equity).frac
    if len(equity) < 2 or years <= 0 or not depth > 0 or not equity[0] > 0:
        return NAN
    return float(equity[-1] / equity[0] - 1.0) / years / depth


# Fills


def ratio(part: float, whole: float) -> float:
    """Return part / whole, nan without a whole. Fill ratio: filled over ordered quantity, each order's last size."""
    return part / whole if whole else NAN


def markout_bps(side: Floats, px: Floats, qty: Floats, later_px: Floats) -> float:
    """Return the markout of fills: sum of s q (M - p) over sum of q p, in bps of notional, > 0 is good for us.

    `side` s is 1 for a buy and -1 for a sell, `later_px` M the mid without own orders a horizon later; a fill whose M is
    nan (the tape ended) is left out. Huang and Stoll (1996), J. Financial Economics 41, 313-357: the realised half-spread.
    """
    known = np.isfinite(later_px)
    notional = float(np.sum((px * qty)[known]))
    gained = float(np.sum((side * qty * (later_px - px))[known]))
    return ratio(gained, notional) * 1e4


def turnover_per_day(notional: float, mean_equity: float, seconds: float) -> float:
    """Return traded notional (buys and sells) per day over the mean equity: how often capital is turned; 1 per day."""
    return ratio(ratio(notional, mean_equity), seconds / DAY_S)


def cost_bps(pnl: float, notional: float) -> float:
    """Return what volume cost: -PnL (after fees and funding) over traded notional, in bps; > 0 is a cost."""
    return -ratio(pnl, notional) * 1e4


# Inventory


class InventoryTime(NamedTuple):
    """How inventory was held. `held_share` of the time not flat; `mean_abs_qty` over all time; `holding_s` per unit."""

    held_share: float
    mean_abs_qty: float
    holding_s: float


def inventory_time(ts_ns: Times, qty: Floats, to_ns: int, traded_qty: float) -> InventoryTime:
    """Return how a position that is `qty[i]` (signed, base units) from `ts_ns[i]` on was held until `to_ns`.

    `holding_s`, how long a unit stays, is mean |qty| over the rate at which units come: half of `traded_qty`, the sum of
    all fills, per second. Little (1961), Operations Research 9(3), 383-387: L = lambda W.
    """
    if not len(ts_ns) or to_ns <= ts_ns[0]:
        return InventoryTime(NAN, NAN, NAN)
    lasted_s = np.diff(ts_ns, append=np.int64(to_ns)) / NS_PER_S
    whole_s = float(np.sum(lasted_s))
    unit_s = float(np.sum(np.abs(qty) * lasted_s))
    return InventoryTime(
        held_share=float(np.sum(lasted_s[qty != 0])) / whole_s,
        mean_abs_qty=unit_s / whole_s,
        holding_s=ratio(unit_s, traded_qty / 2),
    )


# Luck


def probabilistic_sharpe(returns: Floats, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio, per period, is above `benchmark`, given these returns.

    Bailey and Lopez de Prado (2012), J. Risk 15(2), 3-44, eq. 11: it minds length, skew and fat tails; a fraction.
    """
    estimate, count = _per_period_sharpe(returns), len(returns)
    if count < 3 or math.isnan(estimate):
        return NAN
    skew, kurtosis = _shape(returns)
    return _sharpe_probability(estimate, benchmark, count, skew, kurtosis)


def expected_best_sharpe(spread: float, trials: int) -> float:
    """Return the best Sharpe ratio to expect of `trials` without any skill, when theirs have standard deviation `spread`.

    Bailey and Lopez de Prado (2014), J. Portfolio Management 40(5), 94-107, eq. 1. In the unit of `spread`; 0 for one.
    """
    if trials < 2:
        return 0.0
    first = _NORMAL.inv_cdf(1 - 1 / trials)
    second = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return spread * ((1 - _EULER) * first + _EULER * second)


def deflated_sharpe(returns: Floats, trial_sharpes: Floats, trials: int | None = None) -> float:
    """Return the probability that the best of many trials has a Sharpe ratio above what luck gives the best of so many.

    Bailey and Lopez de Prado (2014), eq. 2. `returns` are the chosen trial's, `trial_sharpes` the ratios per period of all
    trials; `trials` how many count as independent (all of them if not given, which is the cautious side). A fraction.
    """
    finite = trial_sharpes[np.isfinite(trial_sharpes)]
    count = len(finite) if trials is None else trials
    spread = float(np.std(finite, ddof=1)) if len(finite) > 1 else 0.0
    return probabilistic_sharpe(returns, expected_best_sharpe(spread, count))


class Interval(NamedTuple):
    low: float
    high: float


def bootstrap_interval(
    values: Floats,
    statistic: Callable[[Floats], float],
    *,
    seed: int,
    level: float = 0.9,
    resamples: int = 300,
    block: float | None = None,
) -> Interval:
    """Return the central `level` of a statistic over resampled series: the stationary bootstrap.

    Politis and Romano (1994), J. American Statistical Association 89, 1303-1313: blocks of random length, mean `block`
    (n**(1/3) if not given) keep what hangs together in time. Rows of a table are drawn whole. The ends are percentiles;
    nan below ten values.
    """
    count = len(values)
    if count < 10:
        return Interval(NAN, NAN)
    random = np.random.default_rng(seed)
    mean = max(1.0, count ** (1 / 3) if block is None else block)
    found = [statistic(values[_resampled(random, count, mean)]) for _ in range(resamples)]
    finite = np.array([value for value in found if math.isfinite(value)])
    if len(finite) < resamples / 2:
        return Interval(NAN, NAN)
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _resampled(random: np.random.Generator, count: int, mean_block: float) -> Times:
    """Return places of a resampled series: with chance 1 / mean_block a new beginning, else the place after (a circle)."""
    begins = random.random(count) < 1 / mean_block
    begins[0] = True
    starts = random.integers(0, count, size=count)
    place = np.arange(count)
    since = place - np.maximum.accumulate(np.where(begins, place, 0))
    started = starts[np.maximum.accumulate(np.where(begins, place, 0))]
    return np.asarray((started + since) % count, dtype=np.int64)


def _per_period_sharpe(returns: Floats) -> float:
    if len(returns) < 2 or not np.isfinite(returns).all():
        return NAN
    deviation = float(np.std(returns, ddof=1))
    return float(np.mean(returns)) / deviation if deviation > 0 else NAN


def _shape(returns: Floats) -> tuple[float, float]:
    """Return skewness and (not excess) kurtosis, from the moments as they are."""
    centred = returns - np.mean(returns)
    variance = float(np.mean(centred**2))
    return float(np.mean(centred**3)) / variance**1.5, float(np.mean(centred**4)) / variance**2


def _sharpe_probability(estimate: float, benchmark: float, count: int, skew: float, kurtosis: float) -> float:
    variance = 1 - skew * estimate + (kurtosis - 1) / 4 * estimate**2
    if variance <= 0:
        return NAN
    return _NORMAL.cdf((estimate - benchmark) * math.sqrt(count - 1) / math.sqrt(variance))
