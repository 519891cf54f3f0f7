"""Charts over time as HTML: SVG that stretches with its page, labels beside it, one look for all.

A path's places are whole numbers: x from 0 to `WIDTH` over the report's time, y from 0 (top) to `HEIGHT`. What is drawn is
thinned without losing a peak: of each bucket the first, the last, the lowest and the highest point (M4: Jugel et al. 2014,
PVLDB 7(10), 797-808). `page/report.js` reads the same paths for crosshair and zoom.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final, NamedTuple

import numpy as np

from perpmaker.research import metrics
from perpmaker.research.metrics import Floats, Times
from perpmaker.research.svg import Linear

WIDTH: Final = 100_000
HEIGHT: Final = 1_000_000
BUCKETS: Final = 1_000
MOST_DOTS: Final = 20_000
_MARGIN: Final = 0.06
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


class Line(NamedTuple):
    """Values that hold from their time on; nan leaves a gap. `looks` are classes of the page's style."""

    name: str
    looks: str
    ts_ns: Times
    values: Floats
    is_step: bool = False


class Area(NamedTuple):
    """Between two lines."""

    looks: str
    ts_ns: Times
    low: Floats
    high: Floats


class Dots(NamedTuple):
    """Single events, such as fills at their prices."""

    name: str
    looks: str
    ts_ns: Times
    values: Floats


class Chart(NamedTuple):
    """One picture over the report's time. `unit` and `digits` are how values are written."""

    title: str
    told: str
    unit: str
    digits: int
    lines: Sequence[Line]
    areas: Sequence[Area] = ()
    dots: Sequence[Dots] = ()
    with_zero: bool = False
    looks: str = ""


def drawn(chart: Chart, from_ns: int, to_ns: int) -> str:
    """Return the chart as a <figure>."""
    scale = _Places(from_ns, to_ns, *_bounds(chart))
    paths = [
        *(_area_path(area, scale) for area in chart.areas),
        *(_line_path(line, scale) for line in chart.lines),
        *(_dots_path(dots, scale) for dots in chart.dots),
    ]
    named: list[Line | Dots] = [*chart.lines, *chart.dots]
    legend = "".join(
        f'<li><i class="key {escape(part.looks)}"></i>{escape(part.name)} <output>{_told(part, chart)}</output></li>'
        for part in named
    )
    told = f'<p class="told">{escape(chart.told)}</p>' if chart.told else ""
    data = {"from": from_ns // 1_000_000, "to": to_ns // 1_000_000, "low": scale.low, "high": scale.high}
    data |= {"digits": chart.digits, "zero": int(chart.with_zero)}
    attributes = " ".join(f'data-{name}="{value!r}"' for name, value in data.items())
    return (
        f'<figure class="chart" {attributes}><figcaption><h3>{escape(chart.title)} <small>{escape(chart.unit)}</small></h3>'
        f'{told}<ul class="legend">{legend}</ul></figcaption>'
        f'<div class="plot {chart.looks}"><div class="grid">{_grid(scale)}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{escape(chart.title)}">'
        f"{''.join(paths)}</svg></div>"
        f'<div class="times">{_times(from_ns, to_ns)}</div></figure>'
    )


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """Write a number with thousands separated, "-" when it is not known; no minus before a zero."""
    if not math.isfinite(value):
        return "–"
    value = round(value, digits) + 0.0
    return f"{value:{'+' if signed and value else ''},.{digits}f}".replace("-", "−")


def digits_for(step: float) -> int:
    """Return how many decimals show steps of this size."""
    return min(8, max(0, -math.floor(math.log10(step) + 1e-9))) if step > 0 else 0


class _Places:
    """Where a time and a value stand in a path."""

    def __init__(self, from_ns: int, to_ns: int, low: float, high: float) -> None:
        self.from_ns, self.to_ns, self.low, self.high = from_ns, to_ns, low, high

    def x(self, ts_ns: Times) -> Times:
        places = np.rint((ts_ns - self.from_ns) * (WIDTH / (self.to_ns - self.from_ns)))
        return np.asarray(np.clip(places, 0, WIDTH), dtype=np.int64)

    def y(self, values: Floats) -> Times:
        part = (values - self.low) / (self.high - self.low)
        return np.asarray(np.rint((1 - np.where(np.isfinite(part), part, 0.0)) * HEIGHT), dtype=np.int64)


def _bounds(chart: Chart) -> tuple[float, float]:
    arrays = [line.values for line in chart.lines] + [dots.values for dots in chart.dots]
    arrays += [side for area in chart.areas for side in (area.low, area.high)]
    known = [array[np.isfinite(array)] for array in arrays]
    lows, highs = [float(a.min()) for a in known if len(a)], [float(a.max()) for a in known if len(a)]
    zero = [0.0] if chart.with_zero or not lows else []
    low, high = min([*lows, *zero]), max([*highs, *zero])
    if high <= low:
        apart = abs(low) * 1e-4 or 1.0
        return low - apart, high + apart
    margin = (high - low) * _MARGIN
    return low - margin, high + margin


def _line_path(line: Line, scale: _Places) -> str:
    kept = thinned(line.values, BUCKETS)
    x, y = scale.x(line.ts_ns[kept]).tolist(), scale.y(line.values[kept]).tolist()
    known = np.isfinite(line.values[kept]).tolist()
    parts: list[str] = []
    pen_down = False
    for place, is_known in enumerate(known):
        if pen_down and (line.is_step or not is_known):
            parts.append(f"L{x[place]} {y[place - 1]}")
        if is_known:
            parts.append(f"{'L' if pen_down else 'M'}{x[place]} {y[place]}")
        pen_down = is_known
    if pen_down and line.is_step:
        parts.append(f"L{WIDTH} {y[-1]}")
    return f'<path class="line {escape(line.looks)}" d="{"".join(parts)}"/>'


def _area_path(area: Area, scale: _Places) -> str:
    known = np.isfinite(area.low) & np.isfinite(area.high)
    x = scale.x(area.ts_ns[known]).tolist()
    high, low = scale.y(area.high[known]).tolist(), scale.y(area.low[known]).tolist()
    there = [f"L{px} {py}" for px, py in zip(x, high, strict=True)]
    back = [f"L{px} {py}" for px, py in zip(reversed(x), reversed(low), strict=True)]
    outline = "".join([*there, *back])
    return f'<path class="area {escape(area.looks)}" d="M{outline[1:]}Z"/>' if outline else ""


def _dots_path(dots: Dots, scale: _Places) -> str:
    known = np.flatnonzero(np.isfinite(dots.values))
    every = max(1, math.ceil(len(known) / MOST_DOTS))
    kept = known[::every]
    x, y = scale.x(dots.ts_ns[kept]).tolist(), scale.y(dots.values[kept]).tolist()
    marks = "".join(f"M{px} {py}h0" for px, py in zip(x, y, strict=True))
    return f'<path class="dots {escape(dots.looks)}" d="{marks}"/>'


def thinned(values: Floats, buckets: int) -> Times:
    """Return the places to draw, in order: all of few; else of each bucket first, last, lowest, highest and one gap."""
    count = len(values)
    if count <= 4 * buckets:
        return np.arange(count)
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    kept: set[int] = set()
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[begin:end]
        gaps = np.isnan(part)
        kept.update((begin, end - 1))
        if gaps.any():
            kept.add(begin + int(np.argmax(gaps)))
        if not gaps.all():
            kept.update((begin + int(np.nanargmin(part)), begin + int(np.nanargmax(part))))
    return np.array(sorted(kept), dtype=np.int64)


def _told(part: Line | Dots, chart: Chart) -> str:
    """Return what the legend says while no pointer is there: the last value, or how many dots."""
    if isinstance(part, Dots):
        return number(len(part.values), 0)
    known = part.values[np.isfinite(part.values)]
    return number(float(known[-1]), chart.digits) if len(known) else "–"


def _grid(scale: _Places) -> str:
    axis = Linear(scale.low, scale.high, 100.0, 0.0)
    ticks = axis.ticks(5)
    digits = digits_for(ticks[1] - ticks[0]) if len(ticks) > 1 else 2
    return "".join(
        f'<span class="{"" if value else "zero"}" style="top:{axis(value):.2f}%">{number(value, digits)}</span>'
        for value in ticks
    )


def _times(from_ns: int, to_ns: int) -> str:
    span_s = (to_ns - from_ns) / 1e9
    step_s = next((step for step in _STEPS_S if span_s / step <= 6), 86_400 * math.ceil(span_s / 86_400 / 6))
    return "".join(
        f'<span style="left:{(at_s - from_ns / 1e9) / span_s * 100:.2f}%">{_clock(at_s, step_s)}</span>'
        for at_s in _round_times(from_ns / 1e9, to_ns / 1e9, step_s)
    )


def _round_times(from_s: float, to_s: float, step_s: int) -> Iterator[int]:
    at_s = math.ceil(from_s / step_s) * step_s
    while at_s <= to_s:
        yield at_s
        at_s += step_s


def _clock(at_s: int, step_s: int) -> str:
    moment = datetime.fromtimestamp(at_s, UTC)
    if step_s >= 86_400 or at_s % 86_400 == 0:
        return f"{moment.day} {moment:%b}"
    return f"{moment:%H:%M}" if step_s >= 60 else f"{moment:%H:%M:%S}"


def band(lines: Sequence[Line], looks: str, from_ns: int, to_ns: int) -> Area:
    """Return what lies between the lowest and the highest of lines at each time."""
    ts_ns = np.linspace(from_ns, to_ns, BUCKETS + 1).astype(np.int64)
    values = np.array([metrics.last_at(line.ts_ns, line.values, ts_ns) for line in lines])
    known = np.isfinite(values).all(axis=0)
    return Area(looks, ts_ns[known], values.min(axis=0)[known], values.max(axis=0)[known])
