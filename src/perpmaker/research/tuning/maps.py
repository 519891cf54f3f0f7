"""Where in the space it is good: every trial over each number, and the space cut along its two most telling numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import combinations
from statistics import median
from typing import Final

import numpy as np

from perpmaker.research.report_charts import number
from perpmaker.research.svg import Linear
from perpmaker.research.tuning.search import Tried
from perpmaker.research.tuning.space import Dimension, Space, Value

CELLS: Final = 8
PAIRS: Final = 3
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 250, 54, 12, 10, 34


def strips(space: Space, tried: Sequence[Tried], best: Tried | None) -> list[str]:
    """Return a picture for each dimension: the objective's value of every trial over the value of that key."""
    return [_strip(dimension, tried, best) for dimension in space.dimensions]


def heat_maps(space: Space, tried: Sequence[Tried], best: Tried | None) -> list[str]:
    """Return pictures of the most telling pairs of numbers: the median value in each cell of a grid."""
    numbers = [dimension for dimension in space.dimensions if dimension.is_number]
    telling = sorted(numbers, key=lambda one: -tells(one, tried))[:PAIRS]
    return [_heat(x, y, tried, best) for x, y in combinations(telling, 2)]


def tells(dimension: Dimension, tried: Sequence[Tried]) -> float:
    """Return which part of the variance of the ranks a dimension explains alone: the correlation ratio over five bins."""
    known = [(one.value, place_of(dimension, one.params[dimension.name])) for one in tried if one.value is not None]
    if len(known) < 5:
        return 0.0
    ranks = np.argsort(np.argsort([value for value, _ in known])).astype(np.float64)
    bins = np.array([min(4, int(place * 5)) for _, place in known])
    whole = float(np.var(ranks))
    between = sum(
        float(np.sum(bins == one)) * (float(np.mean(ranks[bins == one])) - float(np.mean(ranks))) ** 2
        for one in np.unique(bins)
    )
    return between / len(known) / whole if whole else 0.0


def place_of(dimension: Dimension, value: Value) -> float:
    """Return where a value lies along a dimension, 0 to 1; names stand in the middle of equal parts."""
    if dimension.is_number:
        return dimension.unit(value)
    return (dimension.choices.index(value) + 0.5) / len(dimension.choices)


def written(value: Value) -> str:
    """Write a value as a configuration has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _strip(dimension: Dimension, tried: Sequence[Tried], best: Tried | None) -> str:
    known = [one for one in tried if one.value is not None]
    values = sorted(one.value for one in known if one.value is not None)
    low, high = _core(values)
    y = Linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    parts = [_axis_y(y), _axis_x(dimension)]
    for one in known:
        if one.value is None:
            continue
        cx, cy = _x(dimension, one.params[dimension.name]), y(min(max(one.value, low), high))
        looks = {"neighbour": "probe", "scattered": "trial s5"}.get(one.kind, "trial s0")
        fill = "" if one.kind == "neighbour" else ' fill="currentColor"'
        parts.append(
            f'<circle class="{looks}" cx="{cx:.1f}" cy="{cy:.1f}" r="3.2"{fill}>{_tip(dimension, one)}</circle>'
        )
    if best is not None and best.value is not None:
        cx, cy = _x(dimension, best.params[dimension.name]), y(min(max(best.value, low), high))
        parts.append(f'<circle class="best" cx="{cx:.1f}" cy="{cy:.1f}" r="7"/>')
    return _picture(parts, f"value over {dimension.name}")


def _heat(x: Dimension, y: Dimension, tried: Sequence[Tried], best: Tried | None) -> str:
    known = [one for one in tried if one.value is not None]
    ranked = sorted(one.value for one in known if one.value is not None)
    cells: dict[tuple[int, int], list[float]] = {}
    for one in known:
        if one.value is not None:
            cells.setdefault((_cell(x, one), _cell(y, one)), []).append(one.value)
    wide, tall = (_WIDTH - _LEFT - _RIGHT) / CELLS, (_HEIGHT - _TOP - _BOTTOM) / CELLS
    parts = []
    for column in range(CELLS):
        for row in range(CELLS):
            values = cells.get((column, row))
            place = (
                f'x="{_LEFT + column * wide + 1:.1f}" y="{_HEIGHT - _BOTTOM - (row + 1) * tall + 1:.1f}" '
                f'width="{wide - 2:.1f}" height="{tall - 2:.1f}" rx="2"'
            )
            if not values:
                parts.append(f'<rect class="nothing" {place}/>')
                continue
            rank = float(np.searchsorted(ranked, median(values), side="right")) / len(ranked)
            tip = f"<title>median {number(median(values), 3)} of {len(values)}</title>"
            parts.append(
                f'<rect class="s0" fill="currentColor" fill-opacity="{0.08 + 0.92 * rank**2:.2f}" {place}>{tip}</rect>'
            )
    if best is not None:
        cx, cy = (
            _x(x, best.params[x.name]),
            _HEIGHT - _BOTTOM - place_of(y, best.params[y.name]) * (_HEIGHT - _TOP - _BOTTOM),
        )
        parts.append(f'<circle class="best" cx="{cx:.1f}" cy="{cy:.1f}" r="7"/>')
    parts.append(_axis_x(x))
    ends = ((0.0, y.at(0.0)), (1.0, y.at(1.0)))
    for part, value in ends:
        at = _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM) + (0 if part == 0 else 10)
        parts.append(f'<text x="{_LEFT - 6}" y="{at:.1f}" text-anchor="end">{written(value)}</text>')
    middle = (_HEIGHT - _BOTTOM + _TOP) / 2
    parts.append(
        f'<text x="14" y="{middle}" transform="rotate(-90 14 {middle})" text-anchor="middle">{escape(y.name)}</text>'
    )
    return _picture(parts, f"value over {x.name} and {y.name}")


def _cell(dimension: Dimension, one: Tried) -> int:
    return min(CELLS - 1, int(place_of(dimension, one.params[dimension.name]) * CELLS))


def _core(values: Sequence[float]) -> tuple[float, float]:
    """Return the range to draw: the lowest tenth does not press all the others together."""
    if not values:
        return 0.0, 1.0
    low, high = values[len(values) // 10], values[-1]
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _x(dimension: Dimension, value: Value) -> float:
    return _LEFT + place_of(dimension, value) * (_WIDTH - _LEFT - _RIGHT)


def _axis_x(dimension: Dimension) -> str:
    base = _HEIGHT - _BOTTOM
    if dimension.is_number:
        labels = [(part, written(dimension.at(part))) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
    else:
        labels = [(place_of(dimension, choice), written(choice)) for choice in dimension.choices]
    parts = [f'<line class="outline" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>']
    for part, text in labels:
        anchor = "start" if part == 0 else "end" if part == 1 else "middle"
        at = _LEFT + part * (_WIDTH - _LEFT - _RIGHT)
        parts.append(f'<text x="{at:.1f}" y="{base + 14}" text-anchor="{anchor}">{escape(text)}</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{base + 29}" text-anchor="middle">{escape(dimension.name)}</text>'
    )
    return "".join(parts)


def _axis_y(y: Linear) -> str:
    return "".join(
        f'<line class="outline" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{_short(value)}</text>'
        for value in y.ticks(4)
    )


def _short(value: float) -> str:
    return number(value, 0) if abs(value) >= 100 or value == 0 else f"{value:.3g}".replace("-", "−")


def _tip(dimension: Dimension, one: Tried) -> str:
    value = math.nan if one.value is None else one.value
    return f"<title>{escape(f'{dimension.name} = {written(one.params[dimension.name])}: {number(value, 3)}')}</title>"


def _picture(parts: Sequence[str], told: str) -> str:
    opened = f'<svg class="map" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(told)}">'
    return f"{opened}{''.join(parts)}</svg>"
