"""The standings as a picture: a line per strategy, a dot per day, the mean with what resampled days make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.strategies.contestants import Contestant
from benchmarks.strategies.markets import KINDS
from benchmarks.strategies.runs import MODELS, Day, Kept, Run
from benchmarks.strategies.standings import Standings, by_day

from perpmaker.research.svg import Drawing, Frame, Linear, legend

_WIDTH: Final = 980
_LEFT: Final = 190
_TOP: Final = 130
_ROW: Final = 44
_LANES: Final = 10
_EDGES: Final = (0.02, 0.98)
"""Shares of all days between which the scale goes; what is beyond is drawn at its edge."""


def drawn(
    runs: Mapping[Run, Kept], days: Sequence[Day], contestants: Sequence[Contestant], found: Standings, told: str
) -> str:
    """Return the picture as SVG."""
    title = "Net PnL per unit of inventory risk"
    draw = Drawing(_WIDTH, _TOP + _ROW * len(contestants) + 70, title, told)
    draw.text(30, 40, title, "head")
    draw.text(30, 62, told, "soft")
    looks = {kind: f"s{place}" for place, kind in enumerate(KINDS)}
    legend(draw, 30, 88, [(f"{look} bar", kind) for kind, look in looks.items()])
    table = by_day(runs)
    values = sorted(one.per_risk for (_, _, model), one in table.items() if model == MODELS[0])
    if not values:
        return draw.svg()
    low, high = (values[min(len(values) - 1, int(share * len(values)))] for share in _EDGES)
    frame = Frame(draw, "", _LEFT, _TOP, _WIDTH - _LEFT - 40, _ROW * len(contestants))
    x = Linear(min(low, 0.0), max(high, 1.0), frame.left, frame.right)
    for value in x.ticks(8):
        draw.line(x(value), frame.top, x(value), frame.bottom, "axis" if value == 0 else "grid")
    frame.x_axis(x, lambda value: f"{value:g}", "net over the standard deviation of what the inventory put at stake", 8)
    for place, row in enumerate(sorted(found.rows, key=lambda row: -row.per_risk)):
        middle = frame.top + (place + 0.5) * _ROW
        draw.text(frame.left - 12, middle + 4, row.name, "", anchor="end")
        for number, day in enumerate(days):
            one = table.get((day, row.name, MODELS[0]))
            if one is not None:
                at = min(max(x(one.per_risk), frame.left), frame.right)
                up = (number // len(KINDS) % _LANES - _LANES / 2) * 2.4
                draw.circle(
                    at, middle + up, 3, f"{looks.get(day.kind, 'plain')} dot", f"{day.name}: {one.per_risk:.2f}"
                )
        draw.line(x(row.per_risk_low), middle, x(row.per_risk_high), middle, "axis mean")
        draw.circle(x(row.per_risk), middle, 5, "plain", f"{row.name}: mean {row.per_risk:.2f}")
    return draw.svg()
