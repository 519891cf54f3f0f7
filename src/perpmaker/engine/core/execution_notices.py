"""What is told of parent orders: a line for each child that has ended, a line at the end, a warning when it slipped."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from perpmaker.execution.algos.parent import Parent
from perpmaker.execution.algos.tally import ChildTally
from perpmaker.model.commands import Notice
from perpmaker.model.execution import Ending, ExecutionReport
from perpmaker.model.order import OrderState
from perpmaker.model.quote import Peg
from perpmaker.model.units import NS_PER_MS


def child_ended(parent: Parent, child: ChildTally, state: OrderState, now_ns: int) -> Notice:
    """Return the line of a child: n, filled at price, offset from arrival, total."""
    arrival, order = parent.arrival, parent.order
    offset = ""
    if arrival is not None and child.cum_qty:
        offset = bps(order.side.sign * (child.avg_px - arrival.touch_px) / arrival.mid_px * 10_000)
    fields = {
        "execution": order.execution_id,
        "instrument": order.instrument,
        "n": str(child.number),
        "filled": str(child.cum_qty),
        "px": shown(child.avg_px) if child.cum_qty else "",
        "limit": str(child.px),
        "offset_bps": offset,
        "total": f"{parent.tally.filled_qty}/{order.qty}",
        "state": state.value,
    }
    return Notice("info", "execution_child_ended", fields, now_ns)


def ended(report: ExecutionReport, now_ns: int) -> Iterator[Notice]:
    """Yield the line at the end, and a warning when slippage is above what the algorithm is to alert of."""
    fields = told(report)
    done = report.ending is Ending.DONE or report.order.is_closing
    yield Notice("info" if done else "warning", "execution_ended", fields, now_ns)
    algorithm = report.order.algorithm
    alert = algorithm.alert_slippage_bps
    if alert is None and isinstance(algorithm, Peg):
        alert = algorithm.take.alert_slippage_bps
    slippage = report.slippage_bps
    if alert is not None and slippage is not None and slippage > alert:
        yield Notice("warning", "execution_slipped", {**fields, "alert_bps": str(alert)}, now_ns)


def told(report: ExecutionReport) -> dict[str, str]:
    """Return an end as fields of one line."""
    order = report.order
    return {
        "execution": order.execution_id,
        "account": order.account,
        "instrument": order.instrument,
        "strategy": order.strategy,
        "algorithm": report.algorithm,
        "ending": "" if report.ending is None else report.ending.value,
        "text": report.text,
        "side": order.side.value,
        "filled": f"{report.filled_qty}/{order.qty}",
        "remaining": str(report.remaining_qty),
        "vwap": "" if report.vwap is None else shown(report.vwap),
        "fees": shown(report.fees),
        "children": str(report.children),
        "slippage_bps": "" if report.slippage_bps is None else bps(report.slippage_bps),
        "half_spread_bps": "" if report.half_spread_bps is None else bps(report.half_spread_bps),
        "took_ms": str((report.ended_ns - report.started_ns) // NS_PER_MS),
    }


def bps(amount: Decimal) -> str:
    """Return basis points with two decimals, and no minus before a zero."""
    return f"{round(amount, 2) + 0:.2f}"


def shown(amount: Decimal) -> str:
    """Return an amount without exponent and without trailing zeros, at most ten decimals."""
    text = f"{amount:.10f}"
    return text.rstrip("0").rstrip(".")
