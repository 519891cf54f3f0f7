"""The execution report as a picture: slippage against size, what children got, slippage by hour and by venue."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from perpmaker.model.units import NS_PER_S
from perpmaker.research.execution_orders import OrderSeen
from perpmaker.research.execution_report import ExecutionAnalysis, Group, size_of
from perpmaker.research.svg import SERIES, Drawing, Frame, Linear, Log, legend

_SIZE: Final = (1100, 800)
_LEFT: Final = 60
_RIGHT: Final = 700
_TOP: Final = 150
_LOWER: Final = 510
_PANEL_HEIGHT: Final = 240
_RADIUS: Final = (3.0, 14.0)
_OF_SIZE: Final = "a circle is an order, its area what was filled; hollow: not done; a bar is the mean of a size"
_OF_GROUPS: Final = "bar: median; dot: mean by what was filled; line: to the 95th percentile"
_OF_CHILDREN: Final = "by their number in the order"
_COLUMNS: Final = (("sent", 45), ("filled", 95), ("of shown", 155))
"""Beside the bars, each to so many pixels from them."""
_GOT: Final = (("s2 bar", "whole"), ("s4 bar", "in part"), ("soft pale", "nothing"), ("s3 bar", "refused"))


def drawn(analysis: ExecutionAnalysis) -> str:
    """Return the picture as SVG."""
    title = f"Execution of parent orders, {analysis.engine}"
    draw = Drawing(*_SIZE, title, _told(analysis))
    draw.text(_LEFT - 30, 40, title, "head")
    draw.text(_LEFT - 30, 62, _told(analysis), "soft")
    looks = {group.name: f"s{place % SERIES}" for place, group in enumerate(analysis.by_venue)}
    if len(looks) > 1:
        legend(draw, _LEFT - 30, 84, [(f"{look} bar", venue) for venue, look in looks.items()])
    _by_size(Frame(draw, "Slippage against size, bps", _LEFT, _TOP, 500, _PANEL_HEIGHT, _OF_SIZE), analysis, looks)
    _what_children_got(Frame(draw, "What children got", _RIGHT, _TOP, 200, _PANEL_HEIGHT, _OF_CHILDREN), analysis)
    _by_hour(Frame(draw, "Slippage by hour, bps", _LEFT, _LOWER, 500, _PANEL_HEIGHT - 30, _OF_GROUPS), analysis)
    _by_venue(
        Frame(draw, "Slippage by venue, bps", _RIGHT, _LOWER, 330, _PANEL_HEIGHT - 30, _OF_GROUPS), analysis, looks
    )
    return draw.svg()


def _told(analysis: ExecutionAnalysis) -> str:
    whole = analysis.whole
    words = [f"{_day(analysis.from_ns)} to {_day(analysis.to_ns)} UTC", f"{whole.orders} ended, {whole.done} done"]
    if whole.slippage_bps is not None and whole.half_spread_bps is not None:
        words.append(f"filled {whole.notional:,.0f}")
        words.append(f"slippage {_bps(whole.slippage_bps)} bps from the arrival touch (above 0 is worse)")
        words.append(f"half-spread {whole.half_spread_bps:.2f} bps")
    return ", ".join(words)


# slippage against size


def _by_size(frame: Frame, analysis: ExecutionAnalysis, looks: dict[str, str]) -> None:
    points = [
        (order.of_depth, order.slippage_bps, order)
        for order in analysis.orders
        if order.ending and order.of_depth and order.slippage_bps is not None
    ]
    if not points:
        frame.nothing("no order was filled")
        return
    sizes = [size for size, _, _ in points]
    low, high = min(*sizes, 1.0) / 1.5, max(*sizes, min(sizes) * 10) * 1.5
    x = Log(low, high, frame.left, frame.right)
    y = _bps_scale([bps for _, bps, _ in points], frame)
    frame.y_grid(y, _tick)
    frame.x_axis(x, _percent, "quantity, in parts of the depth shown at arrival")
    most = max(float(order.notional) for _, _, order in points)
    for size, bps, order in sorted(points, key=lambda point: -point[2].notional):
        small, large = _RADIUS
        radius = max(large * math.sqrt(float(order.notional) / most), small)
        look = f"{looks[order.venue]} {'dot' if order.is_done else 'hollow'}"
        frame.drawing.circle(x(size), y(bps), radius, look, _tip(order))
    _means(frame, analysis, x, y)


def _means(frame: Frame, analysis: ExecutionAnalysis, x: Log, y: Linear) -> None:
    """Draw the weighted mean of each size group over the sizes its orders have."""
    for group in analysis.by_size:
        sizes = [
            order.of_depth
            for order in analysis.orders
            if order.ending and order.of_depth and size_of(order) == group.name
        ]
        if group.slippage_bps is None or not sizes:
            continue
        middle = (x(min(sizes)) + x(max(sizes))) / 2
        half = max((x(max(sizes)) - x(min(sizes))) / 2, 8)
        left, right = max(middle - half, frame.left), min(middle + half, frame.right)
        frame.drawing.line(left, y(group.slippage_bps), right, y(group.slippage_bps), "axis mean")


def _tip(order: OrderSeen) -> str:
    slippage = "-" if order.slippage_bps is None else _bps(order.slippage_bps)
    return (
        f"{order.side} {order.filled_qty} of {order.qty} {order.instrument} by {order.algorithm}: {slippage} bps, "
        f"{len(order.children)} children, {order.ending}, {_day(order.started_ns)} UTC"
    )


# what children got


def _what_children_got(frame: Frame, analysis: ExecutionAnalysis) -> None:
    rows = [*analysis.taking, *([analysis.resting] if analysis.resting.children else [])]
    draw = frame.drawing
    if not rows:
        frame.nothing("no child was sent")
        return
    for name, at in _COLUMNS:
        draw.text(frame.right + at, frame.top - 10, name, "soft small", anchor="end")
    height = min(frame.bottom - frame.top, 44.0 * len(rows)) / len(rows)
    for place, row in enumerate(rows):
        top = frame.top + place * height
        draw.text(frame.left - 8, top + height / 2 + 4, row.name, "soft small", anchor="end")
        counts = (row.whole, row.part, row.nothing, row.refused)
        left = frame.left
        for (looks, name), count in zip(_GOT, counts, strict=True):
            width = (frame.right - frame.left) * count / row.children
            if count:
                draw.rect(left, top + 3, width, height - 6, looks, f"{count} of {row.children} {name}")
            left += width
        shares = ["-" if share is None else f"{share:.0%}" for share in (row.filled_share, row.of_believed)]
        for (_, at), text in zip(_COLUMNS, (str(row.children), *shares), strict=True):
            draw.text(frame.right + at, top + height / 2 + 4, text, "small", anchor="end")
    legend(draw, frame.left, frame.bottom + 17, _GOT)


# slippage by hour, by venue


def _by_hour(frame: Frame, analysis: ExecutionAnalysis) -> None:
    hours = [(place, group) for place, group in enumerate(analysis.by_hour) if group.slippage_p50_bps is not None]
    if not hours:
        frame.nothing("no order was filled")
        return
    y = _bps_scale([bps for _, group in hours for bps in _figures(group)], frame)
    frame.y_grid(y, _tick)
    x = Linear(0, 24, frame.left, frame.right)
    frame.x_axis(x, lambda hour: f"{hour:02.0f}", "hour of the beginning, UTC", about=12)
    width = (frame.right - frame.left) / 24
    for place, group in hours:
        _upright(frame, group, x(place) + width / 2, width * 0.7, y, "plain")


def _by_venue(frame: Frame, analysis: ExecutionAnalysis, looks: dict[str, str]) -> None:
    groups = [group for group in analysis.by_venue if group.slippage_p50_bps is not None]
    if not groups:
        frame.nothing("no order was filled")
        return
    y = _bps_scale([bps for group in groups for bps in _figures(group)], frame)
    frame.y_grid(y, _tick)
    width = (frame.right - frame.left) / len(groups)
    for place, group in enumerate(groups):
        middle = frame.left + (place + 0.5) * width
        _upright(frame, group, middle, min(width * 0.5, 60), y, looks[group.name])
        frame.drawing.text(middle, frame.bottom + 17, group.name, "soft small", anchor="middle")
        orders = f"{group.orders} orders, {group.done} done"
        frame.drawing.text(middle, frame.bottom + 34, orders, "soft small", anchor="middle")


def _upright(frame: Frame, group: Group, middle: float, width: float, y: Linear, look: str) -> None:
    """Draw a group's median as a bar from 0, its 95th percentile as a line, its mean as a dot."""
    p50, p95, mean = group.slippage_p50_bps, group.slippage_p95_bps, group.slippage_bps
    if p50 is None or p95 is None or mean is None:
        return
    tip = f"{group.name}: {group.orders} orders, median {_bps(p50)}, mean {_bps(mean)}, p95 {_bps(p95)} bps"
    top, bottom = sorted((y(0), y(p50)))
    frame.drawing.rect(middle - width / 2, top, width, max(bottom - top, 1), f"{look} pale", tip)
    frame.drawing.line(middle, y(p50), middle, y(p95), f"{look} thin")
    frame.drawing.line(middle - width / 4, y(p95), middle + width / 4, y(p95), f"{look} thin")
    frame.drawing.circle(middle, y(mean), 3.5, look, tip)


def _figures(group: Group) -> list[float]:
    figures = (group.slippage_bps, group.slippage_p50_bps, group.slippage_p95_bps)
    return [bps for bps in figures if bps is not None]


def _bps_scale(values: list[float], frame: Frame) -> Linear:
    """Return a scale that has 0 and all values, with some air."""
    low, high = min(*values, 0.0), max(*values, 0.0)
    air = max((high - low) * 0.08, 0.05)
    return Linear(low - air if low < 0 else 0.0, high + air, frame.bottom, frame.top)


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


def _tick(bps: float) -> str:
    return f"{round(bps, 6) + 0.0:g}"


def _bps(bps: float) -> str:
    return f"{round(bps, 2) + 0.0:+.2f}"


def _day(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M}"
