"""From runs to standings: who earned most for what it risked, on which days, and how sure that is."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from benchmarks.strategies.contestants import CLAIMED, CONTESTANTS, Contestant
from benchmarks.strategies.measures import Measures, interval
from benchmarks.strategies.runs import MODELS, Day, Kept, Run

OURS: Final = "perpmaker"
_RESAMPLES: Final = 2_000


class Row(NamedTuple):
    """One strategy over many days; money in quote currency a day, means unless said otherwise."""

    name: str
    whose: str
    per_risk: float
    per_risk_low: float
    per_risk_high: float
    """The central 90 % of the mean over resampled days."""
    net: Mapping[str, float]
    """By fill model, over the days that ran with all of them; of the default model alone while there is no such day."""
    markout_10s: float | None
    markout_60s: float | None
    fill_ratio: float | None
    drawdown: float
    volume: float
    fills: float
    best: int
    worst: int
    """Of so many days it was the best, the worst by net per risk."""
    beats_peers: int
    """Days on which it was above every strategy that is not ours."""


class Standings(NamedTuple):
    """What can be said of a set of days."""

    days: int
    rows: tuple[Row, ...]
    banded: int = 0
    """Of so many days the nets by fill model are."""


def standings(
    runs: Mapping[Run, Kept], days: Sequence[Day], contestants: Sequence[Contestant] = CONTESTANTS
) -> Standings:
    """Return the standings of the days that every contestant has run with the default fill model."""
    table = by_day(runs)
    names = [one.name for one in contestants]
    whole = [day for day in days if all((day, name, MODELS[0]) in table for name in names)]
    if not whole:
        return Standings(0, ())
    ratios = np.array([[table[day, name, MODELS[0]].per_risk for name in names] for day in whole])
    best, worst = ratios.argmax(axis=1), ratios.argmin(axis=1)
    peers = [place for place, one in enumerate(contestants) if not one.whose.startswith(OURS)]
    strongest = ratios[:, peers].max(axis=1) if peers else np.full(len(whole), np.inf)
    banded = [day for day in whole if all((day, name, model) in table for name in names for model in MODELS)]
    rows = []
    for place, one in enumerate(contestants):
        own = ratios[:, place]
        counts = int((best == place).sum()), int((worst == place).sum()), int((own > strongest).sum())
        rows.append(_row(one, table, whole, banded, own, *counts))
    return Standings(len(whole), tuple(rows), len(banded))


def by_day(runs: Mapping[Run, Kept]) -> dict[tuple[Day, str, str], Measures]:
    return {(run.day, run.contestant, run.model): one.measures for run, one in runs.items()}


def _row(
    one: Contestant,
    table: Mapping[tuple[Day, str, str], Measures],
    days: Sequence[Day],
    banded: Sequence[Day],
    ratios: np.ndarray,
    best: int,
    worst: int,
    beats_peers: int,
) -> Row:
    usual = [table[day, one.name, MODELS[0]] for day in days]
    random = np.random.default_rng(1)
    means = ratios[random.integers(0, len(ratios), (_RESAMPLES, len(ratios)))].mean(axis=1)
    low, high = np.quantile(means, [0.05, 0.95])
    models, of_days = (MODELS, banded) if banded else (MODELS[:1], days)
    nets = {model: statistics.mean(table[day, one.name, model].net for day in of_days) for model in models}
    return Row(
        one.name,
        one.whose,
        float(ratios.mean()),
        float(low),
        float(high),
        nets,
        _mean(measures.markout_10s for measures in usual),
        _mean(measures.markout_60s for measures in usual),
        _mean(measures.fill_ratio for measures in usual),
        statistics.mean(measures.drawdown for measures in usual),
        statistics.mean(measures.volume for measures in usual),
        statistics.mean(measures.fills for measures in usual),
        best,
        worst,
        beats_peers,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


# as text


HEAD: Final = (
    "strategy",
    "of",
    "net per risk",
    "90 % of days",
    "best",
    "above all peers",
    "worst",
    "net a day, pessimistic / queue / optimistic",
    "markout 10 s, bps",
    "60 s",
    "filled",
    "drawdown",
    "volume",
    "fills",
)


def as_table(found: Standings) -> str:
    """Return one line per strategy, the best first."""
    rows = sorted(found.rows, key=lambda row: -row.per_risk)
    return _markdown(HEAD, [_cells(row) for row in rows])


def as_matrix(runs: Mapping[Run, Kept], days: Sequence[Day], contestants: Sequence[Contestant]) -> str:
    """Return net per risk of each day and strategy, the best of a day in bold."""
    table, lines = by_day(runs), []
    for day in days:
        found = [table.get((day, one.name, MODELS[0])) for one in contestants]
        if None in found:
            continue
        values = [measures.per_risk for measures in found if measures is not None]
        lines.append((day.name, *(f"**{value:.2f}**" if value == max(values) else f"{value:.2f}" for value in values)))
    return _markdown(("day", *(one.name for one in contestants)), lines)


def as_claim(found: Standings) -> str:
    """Return the claim as it turned out, of each strategy it is made of."""
    told = [
        f"`{row.name}` has the best net per unit of risk on {row.best} of {found.days} days, is above every peer's "
        f"strategy on {row.beats_peers}, and is the worst on {row.worst}."
        for row in found.rows
        if row.name in CLAIMED
    ]
    return "\n".join(told)


def recordings_table(runs: Mapping[Run, Kept]) -> str:
    """Return what came of real recordings, one line per recording and strategy, with the interval of its minutes."""
    head = (
        "recording",
        "strategy",
        "net per risk",
        "90 % of minutes",
        "net, pessimistic / queue / optimistic",
        *HEAD[8:],
    )
    table, lines = by_day(runs), []
    for (day, name, model), measures in table.items():
        if model != MODELS[0] or not day.path:
            continue
        nets = [table[day, name, each].net for each in BAND if (day, name, each) in table]
        found = interval(list(measures.blocks))
        lines.append(
            (
                day.name,
                name,
                f"{measures.per_risk:.2f}",
                "" if found is None else f"{found[0]:.2f} .. {found[1]:.2f}",
                " / ".join(f"{net:.2f}" for net in nets),
                _shown(measures.markout_10s),
                _shown(measures.markout_60s),
                "" if measures.fill_ratio is None else f"{measures.fill_ratio:.0%}",
                f"{measures.drawdown:.2f}",
                f"{measures.volume:,.0f}",
                str(measures.fills),
            )
        )
    return _markdown(head, lines)


BAND: Final = ("pessimistic", "queue", "optimistic")


def as_json(runs: Mapping[Run, Kept], found: Standings) -> dict[str, Any]:
    """Return everything but the minutes."""
    each = [
        {
            "day": run.day.name,
            "hours": run.day.hours,
            "strategy": run.contestant,
            "fill_model": run.model,
            "interval_of_minutes": interval(list(one.measures.blocks)) if run.model == MODELS[0] else None,
            **{
                name: getattr(one.measures, name)
                for name in ("net", "risk", "per_risk", "markout_10s", "markout_60s", "fill_ratio", "drawdown")
            },
            "volume": one.measures.volume,
            "fills": one.measures.fills,
            "orders": one.measures.orders,
            "refused": one.measures.refused,
            "errors": one.measures.errors,
            "processor_s": one.seconds,
        }
        for run, one in runs.items()
    ]
    return {"days": found.days, "standings": [row._asdict() for row in found.rows], "runs": each}


def _cells(row: Row) -> tuple[str, ...]:
    nets = [row.net.get(model) for model in BAND]
    return (
        f"`{row.name}`",
        row.whose,
        f"{row.per_risk:.2f}",
        f"{row.per_risk_low:.2f} .. {row.per_risk_high:.2f}",
        str(row.best),
        str(row.beats_peers),
        str(row.worst),
        " / ".join("-" if net is None else f"{net:.2f}" for net in nets),
        _shown(row.markout_10s),
        _shown(row.markout_60s),
        "" if row.fill_ratio is None else f"{row.fill_ratio:.0%}",
        f"{row.drawdown:.2f}",
        f"{row.volume:,.0f}",
        f"{row.fills:.0f}",
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))
