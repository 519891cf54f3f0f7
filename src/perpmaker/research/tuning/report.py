"""The report of a tuning: one HTML file with the verdict first, and everything as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from perpmaker.model.units import NS_PER_S
from perpmaker.research.report_charts import Chart, Line, drawn, number
from perpmaker.research.report_figures import duration
from perpmaker.research.report_page import (
    WINDOW,
    Bar,
    Card,
    bars,
    cards,
    definitions,
    header,
    page,
    panel,
    remarks_list,
    table,
)
from perpmaker.research.tuning.campaign import Outcome, Verdict, WindowOutcome
from perpmaker.research.tuning.maps import heat_maps, strips, written
from perpmaker.research.tuning.scoring import Score
from perpmaker.research.tuning.space import Dimension, Value

HTML: Final = "report.html"
JSON: Final = "tuning.json"
TOML: Final = "recommended.toml"
_SHOWN_TRIALS: Final = 12
_UNITS: Final = {
    "sharpe": "annual Sharpe ratio",
    "sortino": "annual Sortino ratio",
    "pnl": "PnL",
    "calmar": "Calmar ratio",
    "cost": "bps of volume, PnL per traded notional",
}


class Told(msgspec.Struct, frozen=True):
    """What a report has to say besides the outcome."""

    title: str
    tape: str
    strategy: str
    present: dict[str, Value | None]
    """The varied keys as they are now."""
    models: dict[str, str]


def write_tuning(outcome: Outcome, told: Told, folder: Path) -> Path:
    """Write report.html, tuning.json and, if something is recommended, recommended.toml; returns the page's path."""
    target = folder / HTML
    target.write_text(tuning_html(outcome, told), encoding="utf-8")
    (folder / JSON).write_bytes(msgspec.json.format(msgspec.json.encode(_as_json(outcome, told)), indent=2) + b"\n")
    recommended = outcome.recommended
    if recommended is None:
        (folder / TOML).unlink(missing_ok=True)
    else:
        (folder / TOML).write_text(recommended_toml(recommended, told), encoding="utf-8")
    return target


def tuning_html(outcome: Outcome, told: Told) -> str:
    return page(f"{told.title} · tuning", _body(outcome, told))


def recommended_toml(recommended: Mapping[str, Value], told: Told) -> str:
    """Return the keys to change, as they stand in a [[strategy]] table."""
    lines = [f"# Keys of the strategy {told.strategy!r}, found on {told.tape}; what they were before stands behind."]
    tables: dict[str, list[str]] = {}
    for name, value in recommended.items():
        where, _, key = name.rpartition(".")
        text = f'"{value}"' if isinstance(value, str) else written(value)
        before = told.present.get(name)
        tables.setdefault(where, []).append(f"{key} = {text}  # {'none' if before is None else written(before)}")
    for where, keys in sorted(tables.items()):
        lines += [f"\n[strategy.{where}]" if where else "", *keys]
    return "\n".join(lines) + "\n"


def _as_json(outcome: Outcome, told: Told) -> dict[str, object]:
    def short(score: Score | None) -> dict[str, object] | None:
        if score is None:
            return None
        plain = {"value": outcome.value(score), "pnl": score.pnl, "notional": score.notional, "fills": score.fills}
        return {**plain, "drawdown_frac": score.drawdown_frac, "hash": score.digest}

    def window(one: WindowOutcome) -> dict[str, object]:
        return {
            "window": one.window,
            "choice": None if one.choice.best is None else one.choice.best.params,
            "stability": one.choice.stability,
            "spikes": one.choice.refused,
            "present": short(one.present),
            "present_test": short(one.present_test),
            "test": short(one.test),
            "trials": [
                {
                    "number": tried.number,
                    "kind": tried.kind,
                    "params": tried.params,
                    "error": tried.error,
                    **(short(tried.score) or {"value": None}),
                }
                for tried in one.tried
            ],
        }

    return {
        "schema": 1,
        "verdict": outcome.verdict.value,
        "reason": outcome.reason,
        "cautions": outcome.cautions,
        "recommended": outcome.recommended,
        "present": told.present,
        "deflated_sharpe": outcome.deflated_sharpe,
        "test_sharpe_above_zero": outcome.test_sharpe_above_zero,
        "test_better": outcome.test_better,
        "plan": outcome.plan,
        "space": outcome.space,
        "tape": told.tape,
        "strategy": told.strategy,
        "models": told.models,
        "windows": [window(one) for one in outcome.windows],
    }


def _body(outcome: Outcome, told: Told) -> Iterator[str]:
    newest, plan = outcome.newest, outcome.plan
    yield header(
        told.title,
        {
            "tuning": f"of {told.strategy}",
            "on": told.tape,
            "from": _moment(outcome.windows[0].window.train_from_ns),
            "for": duration((newest.window.train_to_ns - outcome.windows[0].window.train_from_ns) / NS_PER_S),
            "looking for": _UNITS[plan.objective],
        },
        told.models,
    )
    yield _verdict(outcome)
    yield _first_figures(outcome)
    yield remarks_list(outcome.cautions)
    yield "<h2>What to change</h2>"
    yield _changes(outcome, told)
    yield "<h2>Out of sample</h2>"
    yield WINDOW
    chart = _tests_chart(outcome)
    if chart is not None:
        from_ns, to_ns = outcome.folds[0].window.test_from_ns, outcome.folds[-1].window.test_to_ns
        yield drawn(chart, from_ns, to_ns)
    yield _windows_table(outcome)
    yield "<h2>How stable it is</h2>"
    yield from _stability(outcome)
    yield "<h2>The best trials of the newest window</h2>"
    yield _trials_table(outcome)
    yield "<h2>Under these assumptions</h2>"
    yield f'<section class="panel">{definitions(_assumptions(outcome, told))}</section>'
    yield (
        "<footer>A fold's choice was made without its test. Deflated Sharpe ratio: Bailey and Lopez de Prado (2014), with "
        "every trial counted as independent. Every figure is defined in docs/reference/metrics.md.</footer>"
    )


def _verdict(outcome: Outcome) -> str:
    good = outcome.verdict is Verdict.RECOMMENDED
    words = {
        Verdict.RECOMMENDED: "Recommended with cautions: change the keys below, if they do not trouble you."
        if outcome.cautions
        else "Recommended: change the keys below.",
        Verdict.SPIKE: "Nothing is recommended: the best is a spike.",
        Verdict.NO_BETTER: "Nothing is recommended: out of sample it is no better than what you have.",
        Verdict.TOO_FEW_FILLS: "Nothing is recommended: there are too few fills to judge by.",
    }
    return (
        f'<div class="verdict {"" if good else "no"}"><strong>{words[outcome.verdict]}</strong>'
        f"<p>{escape(outcome.reason[:1].upper() + outcome.reason[1:])}.</p></div>"
    )


def _first_figures(outcome: Outcome) -> str:
    newest = outcome.newest
    best, judged = newest.choice.best, newest.choice.stability
    found = math.nan if best is None or best.value is None else best.value
    tests, present = _values(outcome, "test"), _values(outcome, "present_test")
    weakest = judged.weakest if judged is not None else ""
    beside = f"in {weakest} alone {_percent(judged.by_dimension[weakest])}" if judged is not None and weakest else ""
    against = f"present {_short(_median(present))}, {len(tests)} test(s)"
    return cards(
        [
            Card("In sample, newest", _short(found), "", f"present {_short(outcome.value(newest.present))}"),
            Card("Out of sample, median", _short(_median(tests)), "", against),
            Card(
                "Deflated Sharpe ratio",
                _percent(outcome.deflated_sharpe),
                "",
                f"better than the luck of {_searched(newest)} trials",
            ),
            Card("Truly above the present", _percent(outcome.test_better), "", "returns of the tests, side by side"),
            Card("Neighbours keep", "–" if judged is None else _percent(judged.kept), "", beside),
        ]
    )


def _changes(outcome: Outcome, told: Told) -> str:
    best = outcome.newest.choice.best
    rows = []
    for dimension in outcome.space.dimensions:
        name = dimension.name
        before = told.present.get(name)
        found = "–" if best is None else written(best.params[name])
        rows.append((name, "none" if before is None else written(before), found, _range(dimension)))
    head = "recommended" if outcome.verdict is Verdict.RECOMMENDED else "found, not recommended"
    return table(["key", "present", head, "searched"], rows)


def _tests_chart(outcome: Outcome) -> Chart | None:
    """Return what the folds' choices earned in their tests one after the other, beside the present configuration."""
    lines = []
    for name, looks, scores in (
        ("present configuration", "s4", [(fold, fold.present_test) for fold in outcome.folds]),
        ("chosen before each test", "s0 thick", [(fold, fold.test) for fold in outcome.folds]),
    ):
        when, values, earned = [], [], 0.0
        for fold, score in scores:
            if score is None or not score.returns:
                continue
            count = len(score.returns)
            step_ns = round(score.period_s * NS_PER_S)
            start_ns = fold.window.test_from_ns
            when.append(start_ns + step_ns * np.arange(count + 2, dtype=np.int64))
            values.append(100 * (earned + np.concatenate([np.zeros(1), np.cumsum(score.array), np.full(1, np.nan)])))
            earned += float(np.sum(score.array))
        if not when:
            return None
        lines.append(Line(name, looks, np.concatenate(when), np.concatenate(values)))
    return Chart(
        "Earned in the tests",
        "Each test was tried with what was chosen before it. Gaps are embargoes.",
        "% of equity, summed",
        4,
        lines,
        with_zero=True,
        looks="tall",
    )


def _windows_table(outcome: Outcome) -> str:
    rows = []
    for one in outcome.windows:
        best = one.choice.best
        chosen = "nothing stood" if best is None else ", ".join(written(value) for value in best.params.values())
        inside = math.nan if best is None or best.value is None else best.value
        test = outcome.value(one.test)
        rows.append(
            (
                one.window.name,
                duration((one.window.train_to_ns - one.window.train_from_ns) / NS_PER_S),
                chosen,
                _short(inside),
                _short(test),
                _short(outcome.value(one.present_test)),
                _percent(test / inside) if inside > 0 else "–",
                str(one.test.fills) if one.test is not None else "–",
            )
        )
    head = ["window", "trained on", "chosen", "in sample", "test", "present, test", "kept", "fills"]
    return table(head, rows)


def _stability(outcome: Outcome) -> Iterator[str]:
    newest = outcome.newest
    choice, tried = newest.choice, newest.tried
    judged = [*([choice.stability] if choice.stability is not None else []), *choice.refused]
    for stability in judged:
        at = ", ".join(f"{name} = {written(value)}" for name, value in stability.params.items())
        rows = [Bar("all neighbours", stability.kept, _percent(stability.kept))]
        rows += [Bar(name, kept, _percent(kept)) for name, kept in stability.by_dimension.items()]
        title = "A spike, refused" if stability.is_spike else "The choice and its neighbours"
        yield panel(
            title,
            f"{at}. What the median neighbour keeps of the gain over the typical set; {stability.needed:.0%} are needed, "
            "of all and in each key alone.",
            bars({"": rows}),
        )
    best = choice.best
    told = (
        "Dark: searched. Light: scattered evenly. Rings: neighbours. The large ring is the choice; the lowest tenth stands "
        "on the line."
    )
    pictures = "".join(strips(outcome.space, tried, best))
    yield panel("Every trial, key by key", told, f'<div class="side-by-side">{pictures}</div>')
    maps = heat_maps(outcome.space, tried, best)
    if maps:
        yield panel(
            "The map",
            "Median value of the trials in each cell, the darker the better its rank; the most telling keys first.",
            f'<div class="side-by-side">{"".join(maps)}</div>',
        )


def _trials_table(outcome: Outcome) -> str:
    tried = [one for one in outcome.newest.tried if one.value is not None and one.score is not None]
    ranked = sorted(tried, key=lambda one: -(one.value or 0.0))[:_SHOWN_TRIALS]
    names = [dimension.name for dimension in outcome.space.dimensions]
    rows = [
        (
            f"{one.number}, {one.kind}",
            *(written(one.params[name]) for name in names),
            _short(one.value or 0.0),
            number(one.score.pnl, 2, signed=True),
            str(one.score.fills),
            number(100 * one.score.drawdown_frac, 3),
        )
        for one in ranked
        if one.score is not None
    ]
    return table(["trial", *names, "value", "PnL", "fills", "drawdown, %"], rows)


def _assumptions(outcome: Outcome, told: Told) -> dict[str, str]:
    plan, newest = outcome.plan, outcome.newest
    failed = sum(bool(one.error) for window in outcome.windows for one in window.tried)
    return {
        "tape": told.tape,
        **told.models,
        "search": f"{plan.sampler}, seed {plan.seed}, {plan.trials} trials a window, {plan.scattered} of them scattered, "
        f"{plan.batch} at a time",
        "windows": f"{len(outcome.folds)} fold(s) and the newest, each trained on "
        f"{duration((newest.window.train_to_ns - newest.window.train_from_ns) / NS_PER_S)}",
        "returns": "" if newest.present is None else f"per {duration(newest.present.period_s)}",
        "can be chosen": f"with {plan.min_fills} fills or more in training",
        "a spike": f"its median neighbour, {' and '.join(f'{step:.0%}' for step in plan.steps)} of a range away, keeps "
        f"less than {plan.kept:.0%} of its gain over the median scattered set, over all neighbours or in one key",
        "could not be run": f"{failed} trial(s)",
        "evaluated": plan.about,
    }


def _values(outcome: Outcome, name: str) -> list[float]:
    return [outcome.value(getattr(fold, name)) for fold in outcome.folds if getattr(fold, name) is not None]


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _searched(one: WindowOutcome) -> int:
    return sum(tried.kind != "neighbour" for tried in one.tried)


def _range(dimension: Dimension) -> str:
    if dimension.choices:
        return ", ".join(written(choice) for choice in dimension.choices)
    return f"{dimension.low:g} to {dimension.high:g}{', log' if dimension.log else ''}"


def _percent(share: float) -> str:
    return number(100 * share, 0) + " %" if math.isfinite(share) else "–"


def _short(value: float) -> str:
    return number(value, 0 if abs(value) >= 1000 else 2 if abs(value) >= 1 else 4)


def _moment(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S}"
