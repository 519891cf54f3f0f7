"""The report of a run: one HTML file with everything in it, and the same figures as JSON.

    write_report(results, folder)      # folder/report.html and folder/metrics.json

The file needs no network and no server. What it shows is on docs/reference/metrics.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from perpmaker.research import metrics
from perpmaker.research.report_charts import Area, Chart, Dots, Line, band, digits_for, drawn, number
from perpmaker.research.report_figures import HORIZONS_S, Figures, duration, figures_of, remarks
from perpmaker.research.report_page import (
    WINDOW,
    Bar,
    Card,
    bars,
    cards,
    definitions,
    header,
    interval_text,
    page,
    panel,
    remarks_list,
    table,
)
from perpmaker.research.results import BAND, CAUSES, Market, Results, Run

HTML: Final = "report.html"
JSON: Final = "metrics.json"
_CAUSE_NAMES: Final = {
    "spread": "Spread",
    "adverse": "Adverse selection",
    "inventory": "Inventory",
    "fees": "Fees",
    "funding": "Funding",
}
_IN_HEADER: Final = ("latency", "queue", "fees", "funding")
_MODEL_LOOKS: Final = {"pessimistic": "s1 thin", "queue": "s0 thick", "optimistic": "s2 thin"}


def write_report(results: Results, folder: Path) -> Path:
    """Write `report.html` and `metrics.json` into an existing folder; returns the page's path."""
    figures = [figures_of(run, results) for run in results.band()]
    target = folder / HTML
    target.write_text(report_html(results, figures), encoding="utf-8")
    content = msgspec.json.format(msgspec.json.encode(_as_json(results, figures)), indent=2)
    (folder / JSON).write_bytes(content + b"\n")
    return target


def report_html(results: Results, figures: Sequence[Figures] | None = None, first: str = "") -> str:
    """Return the report of a result as one HTML file; `first` is HTML to stand above its figures."""
    figures = figures or [figures_of(run, results) for run in results.band()]
    return page(f"{results.title} · {results.kind}", _body(results, figures, first))


def _as_json(results: Results, figures: Sequence[Figures]) -> dict[str, object]:
    return {
        "schema": 1,
        "title": results.title,
        "kind": results.kind,
        "tape": results.tape,
        "tape_fingerprint": results.fingerprint,
        "from_ns": results.from_ns,
        "to_ns": results.to_ns,
        "currency": results.currency,
        "seed": results.seed,
        "models": dict(results.models),
        "runs": {one.fill_model: one for one in figures},
        "hashes": {run.fill_model: run.digest for run in results.runs},
        "remarks": remarks(results, figures),
    }


def _body(results: Results, figures: Sequence[Figures], first: str) -> Iterator[str]:
    main = next(one for one in figures if one.fill_model == results.main.fill_model)
    yield header(
        results.title,
        {
            results.kind: "of " + results.tape,
            "from": _moment(results.from_ns),
            "for": duration(results.seconds),
            "trading": ", ".join(market.instrument for market in results.main.markets),
            "hash": results.main.digest[:16],
        },
        {name: results.models.get(name, "") for name in _IN_HEADER},
    )
    yield first
    yield _first_figures(results, main, figures)
    yield remarks_list(remarks(results, figures))
    yield "<h2>The account</h2>"
    yield WINDOW
    for chart in _account_charts(results):
        yield drawn(chart, results.from_ns, results.to_ns)
    yield "<h2>Where it came from</h2>"
    yield '<div class="side-by-side">' + _causes_panel(main, results.currency) + _markouts_panel(main) + "</div>"
    if results.main.causes:
        yield drawn(_causes_chart(results), results.from_ns, results.to_ns)
    for market in results.main.markets:
        yield f"<h2>{escape(market.instrument)}</h2>"
        for chart in _market_charts(market, results):
            yield drawn(chart, results.from_ns, results.to_ns)
    yield "<h2>All figures</h2>"
    yield _figures_table(figures, results)
    yield "<h2>Under these assumptions</h2>"
    yield _assumptions(results)
    yield (
        "<footer>Buys and sells both count as traded. Above zero is good for us, except for costs and drawdowns. "
        "Intervals hold 90 % of a stationary bootstrap. Drag over a chart to zoom, double click for the whole time. "
        "Every figure is defined, with its unit and source, in docs/reference/metrics.md.</footer>"
    )


def _first_figures(results: Results, main: Figures, figures: Sequence[Figures]) -> str:
    others = [f"{one.fill_model} {number(one.pnl, 2, signed=True)}" for one in figures if one is not main]
    markout = main.markout("all", 10)
    return cards(
        [
            Card(
                f"PnL, {main.fill_model}",
                number(main.pnl, 2, signed=True),
                results.currency,
                " · ".join(others) or ("one fill model only" if results.seed is not None else ""),
                "good" if main.pnl > 0 else "bad" if main.pnl < 0 else "",
            ),
            Card(
                "Cost of volume",
                number(main.cost_bps, 2, signed=True),
                "bps",
                f"{number(main.notional, 0)} {results.currency} traded",
            ),
            Card(
                "Deepest drawdown",
                number(main.drawdown_frac * 100, max(2, digits_for(main.drawdown_frac * 100))),
                "%",
                f"{number(main.drawdown, 2)} {results.currency}, {duration(main.drawdown_s)}",
            ),
            Card(
                "Sharpe ratio, annual", number(main.sharpe, 1), "", interval_text(main.sharpe_low, main.sharpe_high, 0)
            ),
            Card(
                "Fills",
                number(main.fills, 0),
                "",
                f"{number(main.fill_ratio * 100, 1)} % of what was ordered, {number(main.maker_share * 100, 0)} % as maker",
            ),
            Card(
                "Markout after 10 s",
                number(markout.bps, 2, signed=True),
                "bps",
                interval_text(markout.low, markout.high, 2),
            ),
        ]
    )


def _account_charts(results: Results) -> Iterator[Chart]:
    from_ns, to_ns, runs = results.from_ns, results.to_ns, results.band()
    lines = [Line(run.fill_model, _model_looks(run), run.ts_ns, run.equity - run.equity[0]) for run in runs]
    main = next(line for line, run in zip(lines, runs, strict=True) if run is results.main)
    ordered = [*(line for line in lines if line is not main), main]
    banded = [line for line in lines if line.name in BAND]
    yield Chart(
        "Equity since the start",
        "The band lies between the pessimistic and the optimistic fill model." if len(banded) > 1 else "",
        results.currency,
        2,
        ordered,
        [band(banded, "s0", from_ns, to_ns)] if len(banded) > 1 else (),
        with_zero=True,
        looks="tall",
    )
    run = results.main
    below = Line(run.fill_model, "badline", run.ts_ns, -100 * metrics.drawdowns(run.equity))
    yield Chart(
        "Drawdown",
        "Below the highest equity so far.",
        "% of the peak",
        3,
        [below],
        [_down_to_zero(below, "badline", results)],
        with_zero=True,
        looks="low",
    )


def _causes_chart(results: Results) -> Chart:
    run = results.main
    lines = [
        Line(_CAUSE_NAMES[name], f"s{place}", run.ts_ns, run.causes[name] - run.causes[name][0])
        for place, name in enumerate(CAUSES)
        if name in run.causes
    ]
    total = Line("All", "ink thick", run.ts_ns, run.equity - run.equity[0])
    return Chart(
        "PnL by cause over time", f"Fill model {run.fill_model}.", results.currency, 2, [*lines, total], with_zero=True
    )


def _causes_panel(main: Figures, currency: str) -> str:
    rows = [Bar(_CAUSE_NAMES[name], value, number(value, 2, signed=True)) for name, value in main.causes.items()]
    rows.append(Bar("All", main.pnl, number(main.pnl, 2, signed=True)))
    return panel(
        f"PnL by cause, {currency}",
        "Spread: fair price against fill price. Adverse selection: how fair moved against us within 10 s. Inventory: the "
        "rest of price moves.",
        bars({"": rows}),
    )


def _markouts_panel(main: Figures) -> str:
    groups = {
        f"{horizon_s} s after the fill": [
            Bar(row.side, row.bps, number(row.bps, 2, signed=True), row.low, row.high)
            for row in main.markouts
            if row.horizon_s == horizon_s
        ]
        for horizon_s in HORIZONS_S
    }
    return panel(
        "Markouts, bps of notional",
        "What fills were worth so much later, at mid; fees apart. Whiskers: 90 %.",
        bars(groups),
    )


def _market_charts(market: Market, results: Results) -> Iterator[Chart]:
    fills, quotes = market.fills, market.quotes
    mids = market.mid_px[np.isfinite(market.mid_px)]
    spread = float(np.nanmax(mids) - np.nanmin(mids)) if len(mids) else 0.0
    digits = digits_for(spread / 1000)
    buys, sells = fills.side > 0, fills.side < 0
    yield Chart(
        "Price, own quotes and fills" if len(quotes.ts_ns) else "Price and fills",
        _price_told(results, has_quotes=len(quotes.ts_ns) > 0),
        "quote currency",
        digits,
        [
            Line("mid", "ink", market.mid_ns, market.mid_px),
            *(
                [
                    Line("own bid", "s5 thin", quotes.ts_ns, quotes.bid_px, True),
                    Line("own ask", "s4 thin", quotes.ts_ns, quotes.ask_px, True),
                ]
                if len(quotes.ts_ns)
                else []
            ),
        ],
        dots=[
            Dots("buys", "s0 dot", fills.ts_ns[buys], fills.px[buys]),
            Dots("sells", "s1 dot", fills.ts_ns[sells], fills.px[sells]),
        ],
        looks="tall",
    )
    largest = float(np.max(np.abs(market.position_qty))) if len(market.position_qty) else 0.0
    position = Line("position", "s0", market.position_ns, market.position_qty, True)
    yield Chart(
        "Position",
        "",
        "base units, long above zero",
        digits_for(largest / 100) if largest else 2,
        [position],
        [_down_to_zero(position, "s0", results)],
        with_zero=True,
        looks="low",
    )


def _price_told(results: Results, *, has_quotes: bool) -> str:
    if not has_quotes:  # a journal has fills and marks; what was quoted each second is in nobody's memory
        return "Mid without our orders, and fills."
    return f"Mid without our orders, our best bid and ask, and fills; fill model {results.main.fill_model}."


def _down_to_zero(line: Line, looks: str, results: Results) -> Area:
    zero = line._replace(values=0 * line.values)
    return band([line, zero], looks, results.from_ns, results.to_ns)


def _figures_table(figures: Sequence[Figures], results: Results) -> str:
    money = results.currency

    def row(name: str, values: Sequence[str], means: str) -> list[str]:
        return [name, *values, means]

    def per_run(name: str, field: str, digits: int, means: str, *, times: float = 1, signed: bool = False) -> list[str]:
        values = [number(getattr(one, field) * times, digits, signed=signed) for one in figures]
        return row(name, values, means)

    rows: list[Sequence[str]] = [
        ("Result",),
        per_run(f"PnL, {money}", "pnl", 2, "change of equity, after fees and funding", signed=True),
        *(
            row(
                f"· {_CAUSE_NAMES[name].lower()}",
                [number(one.causes.get(name, math.nan), 2, signed=True) for one in figures],
                "",
            )
            for name in CAUSES
            if any(name in one.causes for one in figures)
        ),
        per_run("Return, %", "return_frac", 3, "of the equity at the start", times=100, signed=True),
        per_run("Cost of volume, bps", "cost_bps", 3, "PnL turned round, per traded notional", signed=True),
        ("Risk",),
        per_run("Sharpe ratio", "sharpe", 2, f"annual, of returns per {duration(figures[0].period_s)}"),
        row("· 90 % from", [number(one.sharpe_low, 1) for one in figures], "stationary bootstrap"),
        row("· 90 % to", [number(one.sharpe_high, 1) for one in figures], ""),
        per_run("Truly above zero, %", "sharpe_above_zero", 1, "probabilistic Sharpe ratio", times=100),
        per_run("Sortino ratio", "sortino", 2, "annual, falls alone count as risk"),
        per_run("Calmar ratio", "calmar", 2, "annual return over the deepest drawdown"),
        per_run("Deepest drawdown, %", "drawdown_frac", 3, "of the peak", times=100),
        per_run(f"· {money}", "drawdown", 2, ""),
        row("· until recovered", [duration(one.drawdown_s) for one in figures], "or until the end"),
        per_run("Liquidations", "liquidations", 0, ""),
        ("Trading",),
        per_run(f"Volume, {money}", "notional", 0, "buys and sells"),
        per_run("Turnover per day", "turnover_per_day", 2, "volume over mean equity"),
        per_run("Fills", "fills", 0, ""),
        per_run("As maker, %", "maker_share", 1, "of volume", times=100),
        per_run("Orders", "orders", 0, ""),
        per_run("· with a fill, %", "orders_filled", 2, "", times=100),
        per_run("Fill ratio, %", "fill_ratio", 2, "filled over ordered notional", times=100),
        per_run("Refused", "refused", 0, "by the risk gate or the venue"),
        *(
            row(
                f"Markout {horizon_s} s, bps",
                [number(one.markout("all", horizon_s).bps, 3, signed=True) for one in figures],
                "mid so much later against the fill price",
            )
            for horizon_s in HORIZONS_S
        ),
        ("Inventory",),
        per_run("In a position, %", "held_share", 1, "of the time", times=100),
        per_run(f"Mean inventory, {money}", "mean_inventory", 0, "of its size over time, at mid"),
        row("A unit stays", [_stay(one.holding_s) for one in figures], "mean inventory over its inflow (Little)"),
    ]
    return table(["", *(one.fill_model for one in figures), "what it is"], rows, means=True)


def _assumptions(results: Results) -> str:
    entries = {
        "tape": f"{results.tape} ({results.fingerprint})" if results.fingerprint else results.tape,
        "time": f"{_moment(results.from_ns)} to {_moment(results.to_ns)} UTC",
        **results.models,
        "seed": "none" if results.seed is None else str(results.seed),
        **{f"hash, {run.fill_model}": run.digest for run in results.band()},
        **results.config,
    }
    return f'<section class="panel">{definitions(entries)}</section>'


def _model_looks(run: Run) -> str:
    return _MODEL_LOOKS.get(run.fill_model, "s3 thin")


def _stay(seconds: float) -> str:
    return duration(seconds) if math.isfinite(seconds) else "–"


def _moment(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"
