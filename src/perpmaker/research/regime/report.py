"""The report of a training: the verdict first, as text, as JSON and as one HTML file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from perpmaker.research.metrics import Floats, Times
from perpmaker.research.regime.evaluation import (
    CONTROL,
    WITH,
    WITHOUT,
    Evaluation,
    Fold,
    Gain,
    Verdict,
    feature_means,
    posteriors,
)
from perpmaker.research.regime.samples import Samples
from perpmaker.research.report_charts import Chart, Dots, Line, drawn, number
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
from perpmaker.strategies.regimes.features import FEATURES
from perpmaker.strategies.regimes.model import COMPONENTS

HTML, JSON, TEXT = "report.html", "report.json", "report.txt"
_ARMS: Final = {
    WITHOUT: "without the model",
    WITH: "with the model",
    CONTROL: "control: its average factors all the time",
}
_OVER: Final = {WITHOUT: "trading without it", CONTROL: "its average factors all the time"}
_LOOKS: Final = {WITHOUT: "s4", WITH: "s0 thick", CONTROL: "s5"}
_STATE_LOOKS: Final = {"trending": "s1", "ranging": "s2", "volatile": "s3"}
_NATURAL: Final = {"volatility": ("bps per √s", math.exp), "trend": ("", float), "spread": ("bps", math.exp),
                   "imbalance": ("", float), "intensity": ("trades per s", math.expm1)}  # fmt: skip


class Told(msgspec.Struct, frozen=True):
    """What a report has to say besides what was found."""

    title: str
    tape: str
    currency: str
    fill_model: str
    seed: int
    window_s: int
    assumptions: dict[str, str]


def write_training(found: Evaluation, samples: Samples, told: Told, folder: Path) -> Path:
    """Write report.html, report.json and report.txt; returns the page's path."""
    (folder / TEXT).write_text("\n".join(training_text(found, told)) + "\n", encoding="utf-8")
    (folder / JSON).write_bytes(msgspec.json.format(msgspec.json.encode(as_json(found, told)), indent=2) + b"\n")
    target = folder / HTML
    target.write_text(page(f"{told.title} · regime model", _body(found, samples, told)), encoding="utf-8")
    return target


def as_json(found: Evaluation, told: Told) -> dict[str, object]:
    """Return everything but the numbers of the model itself, which are in its file."""
    return {
        "schema": 1,
        "verdict": found.verdict.value,
        "pays": found.verdict is Verdict.PAYS,
        "reason": found.reason,
        "cautions": found.cautions,
        "title": told.title,
        "tape": told.tape,
        "currency": told.currency,
        "seed": told.seed,
        "fill_model": told.fill_model,
        "assumptions": told.assumptions,
        "samples": found.samples,
        "period_s": found.period_s,
        "gains": found.gains,
        "components": _natural_means(found),
        "weights": dict(zip(COMPONENTS, found.model.weights, strict=True)),
        "folds": found.folds,
    }


def training_text(found: Evaluation, told: Told) -> Iterator[str]:
    """Yield the report in lines."""
    main = told.fill_model
    yield f"{found.verdict.value}: {found.reason}"
    for caution in found.cautions:
        yield f"- {caution}"
    yield ""
    head = ("", "PnL", "bps of volume", "volume", "fills", "markout 10 s")
    yield from _columns([head, *(row for row in _arm_rows(found, main))])
    yield ""
    yield from _columns(
        [
            ("component", "weight", *(f"{name} {_NATURAL[name][0]}".strip() for name in FEATURES)),
            *_component_rows(found),
        ]
    )
    yield ""
    yield from _columns([_FOLD_HEAD, *(_fold_row(fold) for fold in found.folds)])
    yield ""
    yield (
        f"tape {told.tape}; "
        + "; ".join(f"{name} {text}" for name, text in told.assumptions.items())
        + f"; seed {told.seed}"
    )


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        first, *rest = [
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join([first, *rest]).rstrip()


def _arm_rows(found: Evaluation, main: str) -> Iterator[tuple[str, ...]]:
    for arm, name in _ARMS.items():
        pnl, notional = (found.total(arm, main, field) for field in ("pnl", "notional"))
        fills = found.total(arm, main, "fills")
        marks = [(fold.trial(arm, main).markout_10s_bps, fold.trial(arm, main).fills) for fold in found.folds]
        known = [(bps, count) for bps, count in marks if math.isfinite(bps) and count]
        weight = sum(count for _, count in known)
        markout = sum(bps * count for bps, count in known) / weight if weight else math.nan
        yield (
            name,
            number(pnl, 2, signed=True),
            number(pnl / notional * 1e4 if notional else math.nan, 3, signed=True),
            number(notional, 0),
            number(fills, 0),
            number(markout, 2, signed=True),
        )


_FOLD_HEAD: Final = (
    "test", "trained s", "tested s", "ln density, train", "test", "one normal", "stay s", "agreement", "strange", "gain"
)  # fmt: skip


def _fold_row(fold: Fold) -> tuple[str, ...]:
    states = fold.states
    main = fold.trials[0].fill_model
    gain = fold.trial(WITH, main).pnl - fold.trial(WITHOUT, main).pnl
    return (
        fold.window.name,
        str(fold.samples),
        str(fold.tested),
        number(fold.log_likelihood, 2),
        number(fold.log_likelihood_test, 2),
        number(fold.gaussian_test, 2),
        number(states.mean_stay_s, 0),
        number(states.agreement, 2),
        f"{states.strange_share:.1%}",
        number(gain, 2, signed=True),
    )


def _natural_means(found: Evaluation) -> dict[str, dict[str, float]]:
    return {
        component: {name: _NATURAL[name][1](value) for name, value in means.items()}
        for component, means in feature_means(found.model).items()
    }


def _component_rows(found: Evaluation) -> Iterator[tuple[str, ...]]:
    for (component, means), weight in zip(_natural_means(found).items(), found.model.weights, strict=True):
        yield (component, f"{weight:.0%}", *(number(means[name], 3) for name in FEATURES))


def _body(found: Evaluation, samples: Samples, told: Told) -> Iterator[str]:
    tested = (found.folds[0].window.test_from_ns, found.folds[-1].window.test_to_ns)
    yield header(
        told.title,
        {
            "regime model": f"{len(COMPONENTS)} components",
            "on": told.tape,
            "tested from": f"{datetime.fromtimestamp(tested[0] // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}",
            "for": duration((tested[1] - tested[0]) / 1e9),
        },
        told.assumptions,
    )
    words = {
        Verdict.PAYS: "It pays, out of sample.",
        Verdict.NOT: "It does not pay.",
        Verdict.UNTOLD: "Whether it pays cannot be told.",
        Verdict.TOO_FEW: "There are too few fills to judge by.",
    }
    looks = "" if found.verdict is Verdict.PAYS else "no"
    reason = escape(found.reason[:1].upper() + found.reason[1:])
    yield f'<div class="verdict {looks}"><strong>{words[found.verdict]}</strong><p>{reason}.</p></div>'
    yield _first_figures(found, told)
    yield remarks_list(found.cautions)
    yield "<h2>What it earned in the tests</h2>"
    yield WINDOW
    yield drawn(_equity_chart(found, told), *tested)
    yield table(
        ["", "PnL", "bps of volume", "volume", "fills", "markout 10 s"], list(_arm_rows(found, told.fill_model))
    )
    yield panel(
        "Gain of the model",
        "In the account's currency over all tests, with the central 90 % of a stationary bootstrap.",
        bars(
            {
                f"over {name}": [_gain_bar(one) for one in found.gains if one.over == over]
                for over, name in _OVER.items()
            }
        ),
    )
    yield "<h2>The states</h2>"
    yield drawn(_price_chart(found, samples), *tested)
    yield drawn(_state_chart(found, samples), *tested)
    yield table(
        ["component", "weight", *(f"{name} {_NATURAL[name][0]}".strip() for name in FEATURES)],
        list(_component_rows(found)),
    )
    yield _ahead_panel(found)
    yield "<h2>Does the model hold?</h2>"
    yield table(list(_FOLD_HEAD), [_fold_row(fold) for fold in found.folds])
    yield "<h2>How it was judged</h2>"
    yield f'<section class="panel">{definitions(_how(found, told))}</section>'
    yield (
        "<footer>No test was seen in the training before it. ln density: mean over seconds, in the features' own units; a "
        "mixture is worth its parameters only where its test is above that of one normal distribution.</footer>"
    )


def _first_figures(found: Evaluation, told: Told) -> str:
    main = told.fill_model
    over, control = found.gain(WITHOUT, main), found.gain(CONTROL, main)
    folds = found.folds
    beaten = sum(fold.log_likelihood_test > fold.gaussian_test for fold in folds)
    agreements = [fold.states.agreement for fold in folds if math.isfinite(fold.states.agreement)]
    stay_s = float(np.mean([fold.states.mean_stay_s for fold in folds]))
    return cards(
        [
            Card("More than without", number(over.pnl, 2, signed=True), told.currency,
                 f"90 %: {number(over.low, 2, signed=True)} … {number(over.high, 2, signed=True)}",
                 "good" if over.low > 0 else "bad" if over.high < 0 else ""),
            Card("More than its average", number(control.pnl, 2, signed=True), told.currency,
                 f"90 %: {number(control.low, 2, signed=True)} … {number(control.high, 2, signed=True)}",
                 "good" if control.low > 0 else "bad" if control.high < 0 else ""),
            Card("Better than one normal", f"{beaten} of {len(folds)}", "tests", "by the density of what came"),
            Card("Same states a part later", number(float(np.mean(agreements)), 2) if agreements else "–", "",
                 "agreement beyond chance; 1 is the same"),
            Card("Stay in a state", number(stay_s, 0), "s", "on average, before averaging"),
        ]
    )  # fmt: skip


def _equity_chart(found: Evaluation, told: Told) -> Chart:
    lines = []
    for arm, name in _ARMS.items():
        when: list[Times] = []
        values: list[Floats] = []
        earned = 0.0
        for fold in found.folds:
            returns = np.array(fold.trial(arm, told.fill_model).returns)
            step_ns = found.period_s * 1_000_000_000
            when.append(fold.window.test_from_ns + step_ns * np.arange(len(returns) + 1, dtype=np.int64))
            values.append(earned + np.concatenate([np.zeros(1), np.cumsum(returns)]))
            earned += float(returns.sum())
        lines.append(Line(name, _LOOKS[arm], np.concatenate(when), np.concatenate(values)))
    return Chart(
        "Earned in the tests",
        "Each test with the model trained before it.",
        told.currency,
        2,
        lines,
        with_zero=True,
        looks="tall",
    )


def _tests(found: Evaluation, samples: Samples) -> Iterator[tuple[Fold, Samples]]:
    for fold in found.folds:
        yield fold, samples.between(fold.window.test_from_ns, fold.window.test_to_ns)


def _price_chart(found: Evaluation, samples: Samples) -> Chart:
    """The mid, with a dot on every second in the colour of its state."""
    parts = [(test, np.argmax(posteriors(found.model, test.rows)[0], axis=1)) for _, test in _tests(found, samples)]
    ts_ns = np.concatenate([test.ts_ns for test, _ in parts])
    mids = np.concatenate([test.mid for test, _ in parts])
    state = np.concatenate([one for _, one in parts])
    dots = [
        Dots(name, _STATE_LOOKS[name], ts_ns[state == place], mids[state == place])
        for place, name in enumerate(COMPONENTS)
    ]
    return Chart(
        "Price and state",
        "As the newest model sees it.",
        "",
        2,
        [Line("mid", "faint", ts_ns, mids)],
        dots=dots,
        looks="tall",
    )


def _state_chart(found: Evaluation, samples: Samples) -> Chart:
    parts = [(test.ts_ns, posteriors(found.model, test.rows)[0]) for _, test in _tests(found, samples)]
    ts_ns = np.concatenate([when for when, _ in parts])
    shares = np.concatenate([values for _, values in parts])
    lines = [Line(name, _STATE_LOOKS[name], ts_ns, 100 * shares[:, place]) for place, name in enumerate(COMPONENTS)]
    return Chart("How likely each state is", "Second by second, not averaged.", "%", 0, lines, with_zero=True)


def _gain_bar(gain: Gain) -> Bar:
    return Bar(gain.fill_model, gain.pnl, number(gain.pnl, 2, signed=True), gain.low, gain.high)


def _ahead_panel(found: Evaluation) -> str:
    rows = [
        (fold.window.name, *(number(fold.states.volatility_ahead[name], 3) for name in COMPONENTS),
         *(f"{fold.states.shares[name]:.0%}" for name in COMPONENTS))
        for fold in found.folds
    ]  # fmt: skip
    head = ["test", *(f"after {name}" for name in COMPONENTS), *(f"time {name}" for name in COMPONENTS)]
    return panel(
        "What comes after a state",
        "Volatility of the next minute, bps per √s. States that say nothing about it are names only.",
        table(head, rows),
    )


def _how(found: Evaluation, told: Told) -> dict[str, str]:
    return {
        "training": f"{found.samples} seconds with a full window of {told.window_s} s; Gaussian mixture, full covariances",
        "walk-forward": f"{len(found.folds)} tests, each right after its training; the file's model is of the newest part",
        "pays": "more PnL than without and than the control, both beyond 90 % of the bootstrap, and under every fill model",
        "control": "the same keys with the model's average factors at all times: standing further away without knowing why",
        "fill model": told.fill_model,
        "seed": str(told.seed),
    }
