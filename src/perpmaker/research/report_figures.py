"""The figures of a run that a report shows, and what a reader should mind about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from perpmaker.model.units import NS_PER_S
from perpmaker.research import metrics
from perpmaker.research.metrics import NAN, Floats
from perpmaker.research.results import CAUSES, Market, Results, Run

HORIZONS_S: Final = (1, 10, 60)
FEW_FILLS: Final = 100
"""Below this a report warns: averages over fills are mostly chance."""
LEVEL: Final = 0.9
_PERIODS: Final = ((10 * metrics.DAY_S, 3600), (3600, 60), (600, 10), (0, 1))
"""(run of at least so many seconds, period of its returns in seconds)."""


class MarkoutFigure(msgspec.Struct, frozen=True):
    """Fills of one side, `horizon_s` later, in bps of notional, > 0 is good for us; `low`, `high`: 90 % by bootstrap."""

    side: str
    horizon_s: int
    fills: int
    bps: float
    low: float
    high: float


class Figures(msgspec.Struct, frozen=True):
    """One run in figures; docs/reference/metrics.md defines each. Money in the account's currency, `nan`: not defined."""

    fill_model: str
    pnl: float
    causes: dict[str, float]
    notional: float
    cost_bps: float
    return_frac: float
    period_s: int
    """Length of the periods whose returns the ratios are made of."""
    sharpe: float
    sharpe_low: float
    sharpe_high: float
    sortino: float
    calmar: float
    sharpe_above_zero: float
    """Probability that the true Sharpe ratio is above 0."""
    drawdown: float
    drawdown_frac: float
    drawdown_s: float
    """From the peak until it is reached again, or until the end."""
    fills: int
    maker_share: float
    """Of the traded notional."""
    fill_ratio: float
    orders: int
    orders_filled: float
    """Share of orders that had any fill."""
    refused: int
    liquidations: int
    turnover_per_day: float
    held_share: float
    """Share of the time with a position, of the instrument most held."""
    mean_inventory: float
    """Time-weighted mean of |position| at mid, summed over instruments."""
    holding_s: float
    """How long a unit of inventory stays, weighted by notional over instruments."""
    markouts: tuple[MarkoutFigure, ...]

    def markout(self, side: str, horizon_s: int) -> MarkoutFigure:
        return next(row for row in self.markouts if (row.side, row.horizon_s) == (side, horizon_s))


def figures_of(run: Run, results: Results) -> Figures:
    """Work out the figures of a run."""
    period_s = return_period_s(results.seconds)
    equity = periodic_equity(run, results, period_s)
    returns = metrics.period_returns(equity)
    per_year = metrics.YEAR_S / period_s
    seed = 0 if results.seed is None else results.seed
    interval = metrics.bootstrap_interval(returns, lambda part: metrics.sharpe(part, per_year), seed=seed, level=LEVEL)
    drawdown = metrics.deepest_drawdown(run.equity)
    fell_until = len(run.ts_ns) - 1 if drawdown.recovered is None else drawdown.recovered
    orders, made = run.orders, sum(float(np.sum(m.fills.notional[m.fills.is_maker])) for m in run.markets)
    held = [_held(market, results.to_ns) for market in run.markets]
    return Figures(
        fill_model=run.fill_model,
        pnl=run.pnl,
        causes={name: float(run.causes[name][-1] - run.causes[name][0]) for name in CAUSES if name in run.causes},
        notional=run.notional,
        cost_bps=metrics.cost_bps(run.pnl, run.notional),
        return_frac=metrics.ratio(run.pnl, float(run.equity[0])),
        period_s=period_s,
        sharpe=metrics.sharpe(returns, per_year),
        sharpe_low=interval.low,
        sharpe_high=interval.high,
        sortino=metrics.sortino(returns, per_year),
        calmar=metrics.calmar(run.equity, results.seconds / metrics.YEAR_S),
        sharpe_above_zero=metrics.probabilistic_sharpe(returns),
        drawdown=drawdown.amount,
        drawdown_frac=drawdown.frac,
        drawdown_s=float(run.ts_ns[fell_until] - run.ts_ns[drawdown.peak]) / 1e9 if drawdown.frac > 0 else 0.0,
        fills=sum(len(market.fills) for market in run.markets),
        maker_share=metrics.ratio(made, run.notional),
        fill_ratio=metrics.ratio(orders.filled_notional, orders.ordered_notional),
        orders=orders.orders,
        orders_filled=metrics.ratio(orders.filled, orders.orders),
        refused=orders.refused,
        liquidations=run.liquidations,
        turnover_per_day=metrics.turnover_per_day(run.notional, float(np.mean(equity)), results.seconds),
        held_share=max((part.held_share for part, _ in held if math.isfinite(part.held_share)), default=NAN),
        mean_inventory=float(np.nansum([part.mean_abs_qty * px for part, px in held])),
        holding_s=_weighted([(part.holding_s, m.notional) for (part, _), m in zip(held, run.markets, strict=True)]),
        markouts=_markouts(run.markets, seed),
    )


def return_period_s(seconds: float) -> int:
    """Return the period of the returns for a run of this length: an hour, a minute, ten seconds or one."""
    return next(period for least, period in _PERIODS if seconds >= least)


def remarks(results: Results, figures: Sequence[Figures]) -> list[str]:
    """Say what the figures cannot carry, the gravest first."""
    found = list(results.remarks)
    main = next(one for one in figures if one.fill_model == results.main.fill_model)
    pnls = [one.pnl for one in figures]
    if len(pnls) > 1 and min(pnls) < 0 < max(pnls):
        found.append(
            "The sign of the result depends on the fill model: the same quotes lose under one assumption and earn under "
            "another. Treat it as undecided."
        )
    if main.fills < FEW_FILLS:
        found.append(f"{main.fills} fills are few: averages over them are mostly chance.")
    if results.seconds < metrics.DAY_S:
        found.append(
            f"Annual ratios of {duration(results.seconds)} of market compare runs on one market; they foretell no year."
        )
    if main.liquidations:
        found.append(f"The account was liquidated {main.liquidations} time(s).")
    for run in results.runs:
        if run.causes:
            unexplained = run.pnl - sum(float(run.causes[name][-1] - run.causes[name][0]) for name in run.causes)
            if abs(unexplained) > max(1e-6 * abs(float(run.equity[0])), 1e-6):
                found.append(
                    f"{run.fill_model}: {unexplained:+,.4f} {results.currency} of the PnL has no cause in the attribution."
                )
    return found


def duration(seconds: float) -> str:
    """Say a duration in its two largest units."""
    parts = []
    rest = round(seconds)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or f"{seconds:.1f} s"


def later_mids(market: Market, horizon_s: int) -> Floats:
    """Return the mid `horizon_s` after each fill, nan where none was sampled since the fill or samples end before."""
    when_ns = market.fills.ts_ns + horizon_s * NS_PER_S
    mids = metrics.last_at(market.mid_ns, market.mid_px, when_ns)
    if not len(market.mid_ns):
        return mids
    sampled_ns = metrics.last_at(market.mid_ns, market.mid_ns.astype(np.float64), when_ns)
    return np.where((when_ns <= market.mid_ns[-1]) & (sampled_ns > market.fills.ts_ns), mids, NAN)


def periodic_equity(run: Run, results: Results, period_s: int) -> Floats:
    """Return the equity at the ends of periods; before the first sample it is that sample's."""
    values = metrics.last_at(run.ts_ns, run.equity, metrics.grid(results.from_ns, results.to_ns, period_s))
    return np.where(np.isnan(values), run.equity[0], values)


def _held(market: Market, to_ns: int) -> tuple[metrics.InventoryTime, float]:
    """Return how the position was held, and the mean mid to value it by."""
    traded = float(np.sum(market.fills.qty))
    mean_px = float(np.nanmean(market.mid_px)) if np.isfinite(market.mid_px).any() else NAN
    return metrics.inventory_time(market.position_ns, market.position_qty, to_ns, traded), mean_px


def _markouts(markets: Sequence[Market], seed: int) -> tuple[MarkoutFigure, ...]:
    return tuple(
        _markout(markets, side, signs, horizon_s, seed)
        for side, signs in (("all", (1.0, -1.0)), ("buys", (1.0,)), ("sells", (-1.0,)))
        for horizon_s in HORIZONS_S
    )


def _markout(markets: Sequence[Market], side: str, signs: Sequence[float], horizon_s: int, seed: int) -> MarkoutFigure:
    pairs = np.column_stack(_gains(markets, signs, horizon_s))
    interval = metrics.bootstrap_interval(pairs, _bps, seed=seed, level=LEVEL)
    return MarkoutFigure(side, horizon_s, len(pairs), _bps(pairs), interval.low, interval.high)


def _gains(markets: Sequence[Market], signs: Sequence[float], horizon_s: int) -> tuple[Floats, Floats]:
    """Return s q (M - p) and q p of every fill of these sides whose later mid is known, oldest first."""
    gained, notional, when = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for market in markets:
        fills, later = market.fills, later_mids(market, horizon_s)
        chosen = np.isin(fills.side, signs) & np.isfinite(later)
        gained.append((fills.side * fills.qty * (later - fills.px))[chosen])
        notional.append(fills.notional[chosen])
        when.append(fills.ts_ns[chosen])
    order = np.argsort(np.concatenate(when), kind="stable")
    return np.concatenate(gained)[order], np.concatenate(notional)[order]


def _bps(pairs: Floats) -> float:
    return metrics.ratio(float(np.sum(pairs[:, 0])), float(np.sum(pairs[:, 1]))) * 1e4


def _weighted(values: Sequence[tuple[float, float]]) -> float:
    known = [(value, weight) for value, weight in values if math.isfinite(value)]
    return metrics.ratio(sum(value * weight for value, weight in known), sum(weight for _, weight in known))
