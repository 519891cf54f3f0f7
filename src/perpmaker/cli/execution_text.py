"""A plan, the children and the end of a parent order, for people."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from perpmaker.control.messages import AccountRow, ExecutionChildRow, ExecutionRow
    from perpmaker.execution.algos.planning import ExecutionPlan
    from perpmaker.model.instrument import Instrument

SHOWN_CHILDREN: Final = 10


def plan_text(
    plan: ExecutionPlan, rules: Instrument, notes: list[str], where: str = "", limits: AccountRow | None = None
) -> Group:
    """Lay a plan out: what it meets, what it expects, what would remain. `where`: environment, and live or paper."""
    base = rules.base
    rows = [
        ("order", f"{plan.side} {plan.qty} {base} of {rules.instrument_id} by {plan.algorithm}"),
        ("market", f"mid {_px(plan.mid_px)}, touch {plan.touch_px}, half-spread {plan.half_spread_bps:.2f} bps"),
        ("cap", f"no child worse than {plan.cap_px}"),
        ("depth inside the cap", f"{plan.shown_qty} {base} shown, {_qty(plan.believed_qty)} after the haircut"),
        (
            "children",
            "depends on the market's volume" if plan.children_expected is None else str(plan.children_expected),
        ),
        ("worst price", "-" if plan.worst_px is None else str(plan.worst_px)),
        ("expected fill", _expected(plan, base)),
        ("would remain", f"{_qty(plan.remaining_qty)} {base}"),
        ("takes at most", f"{plan.lasts_s:.4g} s"),
        ("limits", _limits(limits, rules)),
    ]
    table = _pairs(f"Plan on the book of now, {rules.exchange} {where}".rstrip(), rows)
    parts: list[Table | Text] = [table]
    if len(plan.children) > 1:
        parts.append(_planned(plan))
    parts += [Text(f"  ! {note}", "yellow") for note in (*plan.notes, *notes)]
    return Group(*parts)


def child_line(child: ExecutionChildRow, row: ExecutionRow) -> str:
    """One line a child: n, filled @ price, offset from the arrival touch, total of the whole."""
    filled = f"filled {_trimmed(child.filled)} of {_trimmed(child.qty)}"
    if child.avg_px is not None:
        filled += f" @ {_px(Decimal(child.avg_px))}"
    offset = "" if child.offset_bps is None else f", {_bps(child.offset_bps)}"
    limit = "" if child.px is None else f" (limit {child.px})"
    why = f" ({child.reason})" if child.reason else ""
    return f"child {child.number}: {filled}{limit}{offset}, {child.state}{why}; total {_trimmed(child.total)}/{row.qty}"


def summary_text(row: ExecutionRow, rules: Instrument, *, worked_by: str) -> Table:
    """Lay the end out: what was done, at what price against arrival, and why it ended."""
    base = rules.base
    slippage = "-"
    if row.slippage_bps is not None and row.half_spread_bps is not None:
        slippage = f"{_bps(row.slippage_bps)} from the arrival touch ({_worse(row.slippage_bps)})"
    half_spread = "-" if row.half_spread_bps is None else f"{row.half_spread_bps:.2f} bps, apart from the slippage"
    took_s = (int(row.ended_ns) - int(row.started_ns)) / 1e9
    rows = [
        ("filled", f"{_trimmed(row.filled)} of {row.qty} {base}"),
        ("vwap", "-" if row.vwap is None else _px(Decimal(row.vwap))),
        ("fees", f"{row.fees} {rules.quote}"),
        ("slippage", slippage),
        ("half-spread", half_spread),
        ("children", str(row.children)),
        ("remaining", f"{_trimmed(row.remaining)} {base}"),
        ("reason", _reason(row)),
        ("took", f"{took_s:.1f} s"),
        ("worked by", worked_by),
        ("id", row.id),
    ]
    return _pairs(f"{row.side} {row.instrument} by {row.algorithm}: {_verdict(row)}", rows)


def _reason(row: ExecutionRow) -> str:
    if not row.text:
        return row.reason
    return row.text if row.text.startswith(row.reason) else f"{row.reason}: {row.text}"


def _verdict(row: ExecutionRow) -> str:
    if row.reason == "done":
        return "done"
    return "nothing was filled" if not Decimal(row.filled) else "filled in part"


def _worse(bps: float) -> str:
    return "worse" if bps > 0 else "better" if bps < 0 else "at it"


def _limits(limits: AccountRow | None, rules: Instrument) -> str:
    if limits is None:
        return "not told"
    currency = limits.currency or rules.quote
    return (
        f"of {limits.account}: order {limits.max_order_notional} {currency}, position {limits.max_position_notional} "
        f"{currency}, {limits.price_collar_bps} bps from the mark price, {limits.orders_per_s} orders a second"
    )


def _expected(plan: ExecutionPlan, base: str) -> str:
    if plan.vwap is None or plan.slippage_bps is None:
        return "-"
    return (
        f"{_qty(plan.filled_qty)} {base} at {_px(plan.vwap)}, slippage {_bps(float(plan.slippage_bps))} from the touch"
    )


def _planned(plan: ExecutionPlan) -> Table:
    table = Table(show_edge=False, box=SIMPLE_HEAD)
    for name in ("child", "at s", "limit", "qty", "expected", "at"):
        table.add_column(name, justify="right")
    for child in plan.children[:SHOWN_CHILDREN]:
        at = "-" if child.avg_px is None else _px(child.avg_px)
        table.add_row(
            str(child.number), f"{child.at_s:.4g}", str(child.px), str(child.qty), _qty(child.expected_qty), at
        )
    if len(plan.children) > SHOWN_CHILDREN:
        table.add_row(f"+{len(plan.children) - SHOWN_CHILDREN} more")
    return table


def _pairs(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, show_edge=False, box=None)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, Text(text))
    return table


def _bps(bps: float) -> str:
    return f"{round(bps, 2) + 0.0:+.2f} bps"  # no minus before a zero


def _px(px: Decimal) -> str:
    return f"{px:.6f}".rstrip("0").rstrip(".")


def _trimmed(qty: str) -> str:
    """Return a quantity without the zeros that depend on who told it."""
    return _qty(Decimal(qty))


def _qty(qty: Decimal) -> str:
    text = f"{qty:.9f}".rstrip("0").rstrip(".")
    return text or "0"
