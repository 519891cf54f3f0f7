"""The execution report as tables of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from perpmaker.research.execution_needs import Need
    from perpmaker.research.execution_orders import OrderSeen
    from perpmaker.research.execution_report import Children, ExecutionAnalysis
    from perpmaker.research.execution_report import Group as Orders

_NONE: Final = "-"
_OF_GROUPS: Final = (
    "bps: slippage from the arrival touch, above 0 is worse, weighted by what was filled; p50, p95 of orders; half: the "
    "half-spread, apart; fees in bps; ch. and took: the median order"
)
_OF_NEEDS: Final = (
    "short: for want of offers, time or children; p50: worst child of the median order, from the arrival touch; cap: would "
    "have done 95 of 100, with room; execute --adapt uses cap and timeout"
)
_OF_CHILDREN: Final = (
    "none: sent and not filled; of shown: filled, in parts of what the book showed, haircut off, for as much as was asked; "
    "fills of a child that had any; drift: of the touch since arrival, above 0 is away; answer: to its last fill"
)


def report_text(analysis: ExecutionAnalysis, last: int) -> Group:
    """Lay the report out, 80 columns wide; the newest `last` orders are listed one by one."""
    parts: list[Table | Text] = [_head(analysis)]
    if last:
        parts.append(_orders(analysis.orders[-last:], len(analysis.orders)))
    if analysis.whole.orders:
        parts += [
            _grouped("Size, in parts of the depth shown at arrival", "size", analysis.by_size),
            _grouped("Venue", "venue", analysis.by_venue),
            _grouped("Algorithm", "by", analysis.by_algorithm),
            _grouped("Hour of the beginning, UTC", "hour", [hour for hour in analysis.by_hour if hour.orders]),
            Text(_OF_GROUPS, "dim"),
        ]
    if analysis.needs:
        parts += [_needs(analysis.needs), Text(_OF_NEEDS, "dim")]
    children = [*analysis.taking, *([analysis.resting] if analysis.resting.children else [])]
    if children:
        parts += [_children(children), Text(_OF_CHILDREN, "dim")]
    return Group(*parts)


def _head(analysis: ExecutionAnalysis) -> Text:
    whole = analysis.whole
    open_orders = len(analysis.orders) - whole.orders
    endings = ", ".join(f"{name} {count}" for name, count in analysis.endings.items())
    lines = [
        f"Parent orders of {analysis.engine}, {_time(analysis.from_ns)} to {_time(analysis.to_ns)} UTC",
        f"{whole.orders} ended ({endings})" if whole.orders else "none has ended",
    ]
    if open_orders:
        lines[-1] += f", {open_orders} not over"
    if whole.slippage_bps is not None and whole.half_spread_bps is not None:
        lines.append(
            f"filled {whole.notional:,.0f}: slippage {_signed(whole.slippage_bps)} bps, half-spread "
            f"{whole.half_spread_bps:.2f} bps, fees {_number(whole.fee_bps)} bps"
        )
    return Text("\n".join(lines))


def _orders(orders: Sequence[OrderSeen], of: int) -> Table:
    table = _table(f"The newest {len(orders)} of {of} orders" if of > len(orders) else "Orders")
    table.add_column("begun", no_wrap=True)
    table.add_column("order", overflow="fold")
    table.add_column("by", no_wrap=True)
    for name in ("filled", "vwap", "bps", "ch.", "took"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("end", no_wrap=True)
    for order in orders:
        whose = {"order": "", "step": f" for {order.strategy}", "closing": " to close"}[order.kind]
        table.add_row(
            _time(order.started_ns)[5:],
            Text(f"{order.side} {_qty(order.qty)} {order.instrument}{whose}"),
            order.algorithm,
            _qty(order.filled_qty),
            _NONE if order.vwap is None else _qty(order.vwap, 4),
            _signed(order.slippage_bps),
            str(len(order.children)),
            _took(order.took_s),
            order.ending or "not over",
        )
    return table


def _grouped(title: str, what: str, groups: Sequence[Orders]) -> Table:
    table = _table(title)
    table.add_column(what, no_wrap=True, min_width=11)
    for name in ("orders", "done", "filled", "bps", "p50", "p95", "half", "fees", "ch.", "took"):
        table.add_column(name, justify="right", no_wrap=True, min_width=6 if name in ("bps", "p50", "p95") else 4)
    for group in groups:
        table.add_row(
            group.name,
            str(group.orders),
            str(group.done),
            _percent(group.filled_share),
            _signed(group.slippage_bps),
            _signed(group.slippage_p50_bps),
            _signed(group.slippage_p95_bps),
            _number(group.half_spread_bps),
            _number(group.fee_bps),
            _number(group.children_p50, 1),
            _took(group.took_p50_s),
        )
    return table


def _needs(needs: Sequence[Need]) -> Table:
    table = _table("What sweeps needed")
    table.add_column("instrument", overflow="fold")
    table.add_column("size", no_wrap=True)
    for name in ("orders", "short", "p50", "cap bps", "answers", "timeout"):
        table.add_column(name, justify="right", no_wrap=True)
    for need in needs:
        table.add_row(
            need.instrument,
            need.size,
            str(need.orders),
            str(need.short),
            _signed(need.needed_p50_bps),
            _NONE if need.cap_bps is None else str(need.cap_bps),
            str(need.answers),
            _NONE if need.timeout_ms is None else f"{need.timeout_ms} ms",
        )
    return table


def _children(rows: Sequence[Children]) -> Table:
    table = _table("Children, by their number in the order")
    table.add_column("child", no_wrap=True)
    for name in ("sent", "whole", "part", "none", "refused", "filled", "of shown", "fills", "bps", "drift", "answer"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            str(row.children),
            str(row.whole),
            str(row.part),
            str(row.nothing),
            str(row.refused),
            _percent(row.filled_share),
            _percent(row.of_believed),
            _number(row.fills, 1),
            _signed(row.offset_bps),
            _signed(row.drift_bps),
            _NONE if row.answer_p50_ms is None else f"{row.answer_p50_ms:.0f} ms",
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        header_style="dim",
        show_edge=False,
        box=None,
        padding=(0, 1, 0, 0),
    )


def _time(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{share:.0%}"


def _signed(bps: float | None) -> str:
    return _NONE if bps is None else f"{round(bps, 2) + 0.0:+.2f}"


def _took(seconds: float | None) -> str:
    return _NONE if seconds is None else f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _number(value: float | None, digits: int = 2) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _qty(qty: Decimal, digits: int = 9) -> str:
    return f"{qty:.{digits}f}".rstrip("0").rstrip(".")
