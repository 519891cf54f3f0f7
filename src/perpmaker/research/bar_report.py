"""The page of a filter tried on candles: whether it looked ahead, what its signals were worth, what it said when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from perpmaker.model.units import NS_PER_S
from perpmaker.research import metrics
from perpmaker.research.bar_signals import After, SignalRun
from perpmaker.research.report_charts import Chart, Dots, Line, digits_for, drawn, number
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

FEW_SIGNALS: Final = 30
"""Below this a report warns: averages over signals are mostly chance."""


def signals_html(run: SignalRun, *, source: str, models: Mapping[str, str], ahead: int | None) -> str:
    """Return a run as one HTML file. `ahead` is the first bar that knew what came after it, None for none."""
    return page(f"{run.bars[0].instrument} · signals", _body(run, source, models, ahead))


def remarks(run: SignalRun, ahead: int | None) -> list[str]:
    """Say what the figures cannot carry, the gravest first."""
    found = []
    if ahead is not None:
        found.append(
            f"IT LOOKS AHEAD: what is said at {moment(int(run.closed_ns[ahead]))} changes with what comes after. Nothing "
            "here is worth anything."
        )
    signals = sum(one.signals for one in run.after if one.bars == 1)
    if not signals:
        found.append("It gave no signal.")
    elif signals < FEW_SIGNALS:
        found.append(f"{signals} signals are few: averages over them are mostly chance.")
    missing = int((run.closed_ns[-1] - run.closed_ns[0]) // (run.bars[0].interval_s * NS_PER_S)) + 1 - len(run.bars)
    if missing:
        found.append(f"{missing} candles are missing between the first and the last.")
    return found


def moment(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S}"


def _body(run: SignalRun, source: str, models: Mapping[str, str], ahead: int | None) -> Iterator[str]:
    first_ns, last_ns = run.bars[0].open_ns, int(run.closed_ns[-1])
    traded, tried = run.traded, "tried with another future"
    held = f"held {number(100 * traded.held_share, 0)} % of the time"
    yield header(
        f"Signals on {run.bars[0].instrument}",
        {
            "candles": f"of {duration(run.bars[0].interval_s)}, {source}",
            "from": moment(first_ns),
            "for": duration((last_ns - first_ns) / NS_PER_S),
            "hash": run.digest[:16],
        },
        models,
    )
    yield cards(
        [
            Card("Looks ahead", *(("no", "", tried, "") if ahead is None else ("YES", "", tried, "bad"))),
            Card("Held as a position", _percent(traded.pnl), "%", f"after {number(100 * traded.cost, 2)} % of costs"),
            Card("Always long", _percent(traded.always_long), "%", "over the same time"),
            Card("Sharpe ratio, annual", number(traded.sharpe, 1), "", f"{traded.trades:,} changes of the position"),
            Card("Deepest drawdown", number(100 * traded.drawdown, 2), "%", held),
        ]
    )
    yield remarks_list(remarks(run, ahead))
    yield "<h2>What came after</h2>"
    yield '<div class="side-by-side">' + "".join(_after_panels(run.after)) + "</div>"
    yield table(
        ["regime said", "of the bars, %", "next bar, bps"],
        [(one.regime, number(100 * one.share, 1), number(one.next_bar_bps, 2)) for one in run.regimes],
    )
    yield "<h2>Over time</h2>"
    yield WINDOW
    for chart in _charts(run):
        yield drawn(chart, first_ns, last_ns)
    yield "<h2>Under these assumptions</h2>"
    every = {**models, "acted on": "at the opening of the next candle", "hash": run.digest}
    yield f'<section class="panel">{definitions(every)}</section>'
    yield (
        "<footer>After a signal: from the next opening to the close so many candles later, turned for a sell; whiskers: "
        "90 %. Next bar: root mean square of its return. Every figure is defined in docs/reference/metrics.md.</footer>"
    )


def _after_panels(after: Sequence[After]) -> Iterator[str]:
    for side, told in (
        ("buy", "The price is low: what buying was worth"),
        ("sell", "The price is high: what selling was worth"),
    ):
        rows = [one for one in after if one.side == side]
        groups = {
            f"{one.bars} {'candle' if one.bars == 1 else 'candles'} after, {one.signals:,} signals": [
                Bar("signal", one.bps, number(one.bps, 2, signed=True), one.low, one.high),
                Bar("any candle", one.any_bar_bps, number(one.any_bar_bps, 2, signed=True)),
            ]
            for one in rows
        }
        yield panel(f"After a {side} signal, bps", f"{told}, before costs.", bars(groups))


def _charts(run: SignalRun) -> Iterator[Chart]:
    closed_ns = run.closed_ns
    closes = np.array([bar.close for bar in run.bars])
    dots = []
    for name, looks, sign in (("buy", "s0 dot", 1), ("sell", "s1 dot", -1)):
        there = np.array([state.signal is not None and state.signal.sign == sign for state in run.said])
        began = there & ~np.concatenate([np.zeros(1, dtype=bool), there[:-1]])
        dots.append(Dots(name, looks, closed_ns[began], closes[began]))
    digits = digits_for(float(closes.max() - closes.min()) / 1000)
    price = Line("close", "ink", closed_ns, closes)
    yield Chart(
        "Price and signals",
        "Where a signal came into force.",
        "quote currency",
        digits,
        [price],
        dots=dots,
        looks="tall",
    )
    opened_ns = np.array([bar.open_ns for bar in run.bars], dtype=np.int64)
    held = Line("signal in force", "s0", opened_ns, run.position, True)
    equity = Line("held as a position", "s0 thick", closed_ns, 100 * (run.equity - 1))
    yield Chart("Earned", "One unit of money, gains not reinvested, after costs.", "%", 2, [equity], with_zero=True)
    below = Line("drawdown", "badline", closed_ns, -100 * metrics.drawdowns(run.equity))
    yield Chart("Drawdown", "Below the highest so far.", "%", 2, [below], with_zero=True, looks="low")
    yield Chart("Position", "1 long, −1 short.", "", 0, [held], with_zero=True, looks="low")


def _percent(share: float) -> str:
    return number(100 * share, 2, signed=True)
