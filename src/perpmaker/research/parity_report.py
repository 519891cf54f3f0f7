"""The page of a parity: what was real beside what was simulated, and where the gap comes from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from statistics import median
from typing import Final

import numpy as np

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS
from perpmaker.research.parity import Execution, Parity, Traded
from perpmaker.research.report_charts import Chart, Dots, digits_for, drawn, number
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

_CAUSES: Final = (("fees", "Fees"), ("funding", "Funding"), ("latency", "Latency"), ("queue", "Queue, the rest"))


def parity_html(found: Parity) -> str:
    """Return a parity as one HTML file."""
    return page(f"{found.session} · parity", _body(found))


def late_s(found: Parity) -> float:
    """Return how much later the median real fill came; nan without a match."""
    return median(pair.late_s for pair in found.pairs) if found.pairs else math.nan


def _body(found: Parity) -> Iterator[str]:
    worse_bps, late_ms = _known(found.worse_bps), late_s(found) * 1000
    worse, later = "better" if worse_bps < 0 else "worse", "earlier" if late_ms < 0 else "later"
    yield header(
        f"Parity of {found.session}",
        {"session": f"{found.mode} on {found.env}", "against": "a backtest of its own market"},
        {name: found.models.get(name, "") for name in ("fill model", "latency", "queue", "fees", "funding")},
    )
    yield cards(
        [
            Card("Real PnL", number(float(found.real.pnl), 2, signed=True), "", f"{len(found.real.fills)} fills"),
            Card(
                "Simulated PnL",
                number(float(found.simulated.pnl), 2, signed=True),
                "",
                f"{len(found.simulated.fills)} fills",
            ),
            Card("Real fills simulated", _percent(found.of_real), "", "of the quantity"),
            Card("Simulated fills real", _percent(found.of_simulated), "", "of the quantity"),
            Card(f"Real prices {worse} by", number(abs(worse_bps), 3), "bps", "of matched fills"),
            Card(f"Real fills {later} by", number(abs(late_ms), 0), "ms", "the median match"),
        ]
    )
    yield remarks_list(found.remarks)
    yield "<h2>The gap</h2>"
    rows = [_gap_bar(name, float(getattr(found.gap, field))) for field, name in _CAUSES]
    yield panel(
        "Real less simulated PnL",
        "Latency: what simulating with the latency that was measured changes. Queue: the rest, other fills at one latency.",
        bars({"": [*rows, _gap_bar("All", float(found.gap.whole))]}),
    )
    yield _sums(found)
    yield "<h2>Fills</h2>"
    yield WINDOW
    every = [*found.real.fills, *found.simulated.fills]
    if every:
        from_ns, to_ns = _with_margin(min(one.ts_ns for one in every), max(one.ts_ns for one in every))
        for name in sorted({str(one.instrument) for one in every}):
            yield drawn(_fills_chart(found, name), from_ns, to_ns)
    yield "<h2>Under these assumptions</h2>"
    measured = "no order was answered" if found.latency_ms is None else f"{found.latency_ms:.1f} ms, half a round trip"
    yield f'<section class="panel">{definitions({**found.models, "measured latency": measured})}</section>'


def _with_margin(first_ns: int, last_ns: int) -> tuple[int, int]:
    """Return a time in which the first and the last fill are not cut in half by the edge."""
    margin_ns = max((last_ns - first_ns) // 50, NS_PER_MS)
    return first_ns - margin_ns, last_ns + margin_ns


def _gap_bar(name: str, value: float) -> Bar:
    return Bar(name, value, number(value, 4, signed=True))


def _sums(found: Parity) -> str:
    def row(name: str, field: str) -> tuple[str, str, str]:
        values = [float(getattr(side, field)) for side in (found.real, found.simulated)]
        return (name, *(number(value, 4) for value in values))  # type: ignore[return-value]

    rows = [
        row("traded notional", "notional"),
        row("PnL of prices", "price_pnl"),
        row("fees", "fees"),
        row("funding", "funding"),
        row("PnL", "pnl"),
    ]
    return table(["", "real", "simulated"], rows)


def _fills_chart(found: Parity, instrument: str) -> Chart:
    dots = [
        _dots(f"{word} {noun}", looks, traded, instrument, side)
        for word, traded, of in (
            ("real", found.real, ("s0", "s1")),
            ("simulated", found.simulated, ("ink centre", "ink centre")),
        )
        for noun, side, looks in (("buys", Side.BUY, of[0]), ("sells", Side.SELL, of[1]))
    ]
    values = np.concatenate([one.values for one in dots])
    spread = float(values.max() - values.min()) if len(values) else 0.0
    told = "Real fills are discs, simulated ones small and dark: a disc with a dark centre is a fill that both had."
    return Chart(escape(instrument), told, "quote currency", digits_for(spread / 1000), (), dots=dots, looks="tall")


def _dots(name: str, looks: str, traded: Traded, instrument: str, side: Side) -> Dots:
    chosen: Sequence[Execution] = [one for one in traded.fills if one.instrument == instrument and one.side is side]
    ts_ns = np.array([one.ts_ns for one in chosen], dtype=np.int64)
    return Dots(name, f"{looks} dot", ts_ns, np.array([float(one.px) for one in chosen], dtype=np.float64))


def _percent(share: float) -> str:
    return f"{number(100 * share, 1)} %"


def _known(value: float | None) -> float:
    return math.nan if value is None else value
