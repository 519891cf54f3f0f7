"""Pictures as SVG text: shapes, scales and axes; one file without anything from elsewhere, light or dark as its reader is.

A shape's looks are a class of `STYLE`; colours of series are `s0` to `s5` (Okabe and Ito's, which nearly everybody
can tell apart).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from xml.sax.saxutils import escape, quoteattr

SERIES: Final = 6
STYLE: Final = """
svg{--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--page:#ffffff;
 --s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#cc79a7;--s4:#e69f00;--s5:#56b4e9;
 font-family:system-ui,-apple-system,"Segoe UI",sans-serif;background:var(--page)}
@media (prefers-color-scheme:dark){svg{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--page:#0d1117;
 --s0:#4aa8e0;--s1:#f28c4f;--s2:#3fc79a;--s3:#e3a3c6;--s4:#f0bd4f;--s5:#8fd0f5}}
text{fill:var(--ink);font-size:12px}
.soft{fill:var(--soft)}.small{font-size:11px}.head{font-size:18px;font-weight:600}.name{font-size:13px;font-weight:600}
.page{fill:var(--page)}.grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}
.s0{fill:var(--s0);stroke:var(--s0)}.s1{fill:var(--s1);stroke:var(--s1)}.s2{fill:var(--s2);stroke:var(--s2)}
.s3{fill:var(--s3);stroke:var(--s3)}.s4{fill:var(--s4);stroke:var(--s4)}.s5{fill:var(--s5);stroke:var(--s5)}
.plain{fill:var(--soft);stroke:var(--soft)}
.dot{fill-opacity:.45;stroke-width:1.2}.hollow{fill-opacity:0;stroke-width:1.5}.bar{stroke:none}
.pale{fill-opacity:.3;stroke:none}.thin{stroke-width:2}.mean{stroke-width:3;stroke-linecap:round}
"""


class Scale(Protocol):
    """From a value to a place on the picture, and the values worth a tick."""

    def __call__(self, value: float) -> float: ...
    def ticks(self, about: int) -> list[float]: ...


class Linear:
    """Equal steps for equal differences."""

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        if high <= low:
            low, high = low - 1, high + 1
        self._low, self._high, self._first, self._last = low, high, first, last

    def __call__(self, value: float) -> float:
        return self._first + (value - self._low) / (self._high - self._low) * (self._last - self._first)

    def ticks(self, about: int) -> list[float]:
        """Return round values within the scale, some `about` of them."""
        step = _round_step((self._high - self._low) / about)
        first, last = math.ceil(self._low / step - 1e-9), math.floor(self._high / step + 1e-9)
        return [place * step for place in range(first, last + 1)]


class Log:
    """Equal steps for equal ratios. Bounds are above 0; what is below the scale is drawn at its edge."""

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        if not 0 < low < high:
            raise ValueError(f"a logarithmic scale goes from above 0 upwards, not from {low} to {high}")
        self._low, self._high, self._first, self._last = low, high, first, last

    def __call__(self, value: float) -> float:
        part = math.log(max(value, self._low) / self._low) / math.log(self._high / self._low)
        return self._first + part * (self._last - self._first)

    def ticks(self, about: int) -> list[float]:
        """Return powers of ten, with 2 and 5 of each where there is room."""
        first, last = math.floor(math.log10(self._low)), math.ceil(math.log10(self._high))
        for steps in ((1, 2, 5), (1,)):
            found = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            inside = [value for value in found if self._low * (1 - 1e-9) <= value <= self._high * (1 + 1e-9)]
            if len(inside) <= about:
                return inside
        return inside


class Drawing:
    """A picture being drawn, from the back to the front."""

    def __init__(self, width: int, height: int, title: str, told: str) -> None:
        """`title` and `told` are what a screen reader says of it."""
        self.width, self.height = width, height
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label={quoteattr(title)}>',
            f"<title>{escape(title)}</title><desc>{escape(told)}</desc><style>{STYLE}</style>",
            f'<rect class="page" width="{width}" height="{height}"/>',
        ]

    def text(self, x: float, y: float, text: str, looks: str = "", *, anchor: str = "start") -> None:
        """Write text; `anchor`: start, middle or end of it stands at x."""
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" class="{looks}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, looks: str) -> None:
        self._parts.append(f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{looks}"/>')

    def rect(self, x: float, y: float, width: float, height: float, looks: str, tip: str = "") -> None:
        """Draw a rectangle; `tip` is told when a pointer rests on it."""
        self._shape(
            f'rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" height="{_n(max(height, 0))}" class="{looks}"',
            tip,
        )

    def circle(self, x: float, y: float, radius: float, looks: str, tip: str = "") -> None:
        self._shape(f'circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" class="{looks}"', tip)

    def svg(self) -> str:
        """Return the whole file."""
        return "\n".join([*self._parts, "</svg>"]) + "\n"

    def _shape(self, shape: str, tip: str) -> None:
        name = shape.partition(" ")[0]
        self._parts.append(f"<{shape}><title>{escape(tip)}</title></{name}>" if tip else f"<{shape}/>")


class Frame:
    """A panel of a drawing: the place its values are drawn in, with a name above it."""

    def __init__(
        self, drawing: Drawing, name: str, left: float, top: float, width: float, height: float, told: str = ""
    ) -> None:
        self.drawing = drawing
        self.left, self.top, self.right, self.bottom = left, top, left + width, top + height
        drawing.text(left, top - 26, name, "name")
        drawing.text(left, top - 10, told, "soft small")

    def x_axis(self, scale: Scale, shown: Callable[[float], str], label: str, about: int = 7) -> None:
        """Draw the axis at the bottom."""
        draw = self.drawing
        draw.line(self.left, self.bottom, self.right, self.bottom, "axis")
        for value in scale.ticks(about):
            draw.line(scale(value), self.bottom, scale(value), self.bottom + 4, "axis")
            draw.text(scale(value), self.bottom + 17, shown(value), "soft small", anchor="middle")
        draw.text((self.left + self.right) / 2, self.bottom + 34, label, "soft small", anchor="middle")

    def y_grid(self, scale: Scale, shown: Callable[[float], str], about: int = 6) -> None:
        """Draw the values at the left, each with a line across."""
        draw = self.drawing
        for value in scale.ticks(about):
            draw.line(self.left, scale(value), self.right, scale(value), "axis" if value == 0 else "grid")
            draw.text(self.left - 6, scale(value) + 4, shown(value), "soft small", anchor="end")

    def nothing(self, why: str) -> None:
        """Say that there is nothing to draw."""
        self.drawing.text((self.left + self.right) / 2, (self.top + self.bottom) / 2, why, "soft", anchor="middle")


def legend(drawing: Drawing, x: float, y: float, entries: Sequence[tuple[str, str]]) -> None:
    """Draw a row of squares with their names; `entries` are looks and name."""
    for looks, name in entries:
        drawing.rect(x, y - 9, 10, 10, looks)
        drawing.text(x + 15, y, name, "soft small")
        x += 27 + 6.3 * len(name)


def _round_step(step: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= step * (1 - 1e-9))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
