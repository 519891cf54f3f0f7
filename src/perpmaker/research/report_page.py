"""Pieces of a report's page: one file that loads nothing, cards, tables and signed bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Final, NamedTuple

from perpmaker.research.report_charts import number

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
WINDOW: Final = '<div class="window" hidden><span></span><button type="button">Whole time</button></div>'
"""Says which part of the time the charts show, once they are zoomed."""


class Card(NamedTuple):
    """One figure to see first. `looks` colours it."""

    name: str
    value: str
    unit: str
    told: str
    looks: str = ""


class Bar(NamedTuple):
    """A signed value with, if known, an interval around it."""

    name: str
    value: float
    text: str
    low: float = math.nan
    high: float = math.nan


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole HTML file."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_asset('report.css')}</style></head><body>",
            *body,
            f"<script>\n{_asset('report.js')}</script>",
            "</body></html>\n",
        ]
    )


def header(title: str, of: Mapping[str, str], under: Mapping[str, str]) -> str:
    """Return the head of a page: what it is, of what, and under which assumptions."""
    return f"<header><h1>{escape(title)}</h1>{_named(of, '')}{_named(under, 'under')}</header>"


def cards(shown: Sequence[Card]) -> str:
    return '<div class="cards">' + "".join(map(_card, shown)) + "</div>"


def remarks_list(texts: Sequence[str]) -> str:
    """Return what a reader should mind, "" for nothing."""
    return f'<ul class="remarks">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>' if texts else ""


def bars(groups: Mapping[str, Sequence[Bar]]) -> str:
    """Return signed bars on one scale around 0, in groups with a name each ("" for none)."""
    shown = [bar for group in groups.values() for bar in group]
    ends = [0.0, *(x for bar in shown for x in (bar.value, bar.low, bar.high) if math.isfinite(x))]
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return 2 + (value - low) / span * 96

    rows = []
    for name, group in groups.items():
        rows.append(f'<span class="group">{escape(name)}</span>' if name else "")
        rows.extend(
            f'<span>{escape(bar.name)}</span><span class="track">{_bar(bar, place)}</span>'
            f'<span class="value">{escape(bar.text)}</span>'
            for bar in group
        )
    return f'<div class="bars">{"".join(rows)}</div>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, means: bool = False, numbers: bool = True, bad: str = ""
) -> str:
    """Return a table, numbers to the right; with `means` the last column explains. A row of one cell is a heading.

    A row that begins with the word `bad` stands out.
    """
    columns = len(head)
    looks = ["", *(["n" if numbers else ""] * (columns - 1))]
    if means:
        looks[-1] = "means"
    lines = []
    for row in rows:
        if len(row) == 1:
            lines.append(f'<tr class="head"><th colspan="{columns}">{escape(row[0])}</th></tr>')
            continue
        first = "no" if bad and row[0] == bad else looks[0]
        cells = (f'<td class="{look}">{escape(cell)}</td>' for look, cell in zip([first, *looks[1:]], row, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(f'<th class="{look}">{escape(cell)}</th>' for look, cell in zip(looks, head, strict=True))
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def definitions(entries: Mapping[str, str]) -> str:
    """Return names with what they stand for."""
    parts = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in entries.items())
    return f"<dl>{''.join(parts)}</dl>"


def panel(title: str, told: str, content: str) -> str:
    told = f'<p class="told">{escape(told)}</p>' if told else ""
    return f'<section class="panel"><h3>{escape(title)}</h3>{told}{content}</section>'


def interval_text(low: float, high: float, digits: int) -> str:
    """Say an interval, "" when it is not known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"90 %: {number(low, digits, signed=True)} … {number(high, digits, signed=True)}"


def _named(entries: Mapping[str, str], looks: str) -> str:
    parts = "".join(f"<li>{escape(name)} <b>{escape(value)}</b></li>" for name, value in entries.items() if value)
    return f'<ul class="of {looks}">{parts}</ul>' if parts else ""


def _card(card: Card) -> str:
    unit = f" <small>{escape(card.unit)}</small>" if card.unit else ""
    return (
        f'<div class="card"><h3>{escape(card.name)}</h3><strong class="{card.looks}">{escape(card.value)}{unit}</strong>'
        f"<p>{escape(card.told)}</p></div>"
    )


def _bar(bar: Bar, place: Callable[[float], float]) -> str:
    origin = place(0.0)
    parts = [f'<i class="origin" style="left:{origin:.2f}%"></i>']
    if math.isfinite(bar.value):
        left, right = sorted((origin, place(bar.value)))
        looks = "gain" if bar.value >= 0 else "loss"
        parts.append(f'<i class="{looks}" style="left:{left:.2f}%;width:{right - left:.2f}%"></i>')
    if math.isfinite(bar.low) and math.isfinite(bar.high):
        left, right = place(bar.low), place(bar.high)
        parts.append(f'<i class="range" style="left:{left:.2f}%;width:{right - left:.2f}%"></i>')
    return "".join(parts)


def _asset(name: str) -> str:
    return files("perpmaker.research").joinpath("page", name).read_text(encoding="utf-8")
