"""Fills, parent orders and amounts as the control API writes them: pure functions, one row each."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.control.messages import ExecutionChildRow, ExecutionRow, FillRow
from perpmaker.engine.records import FillBooked
from perpmaker.model.execution import ChildReport, ExecutionReport
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Conversion

CHILDREN_SHOWN_NS: Final = 60 * NS_PER_S
"""How long after its end the children of a parent order that people gave are shown; those of strategies are not."""
FIGURES: Final = 10
"""Decimals shown of derived amounts; positions, fills and prices are shown exactly."""


def fill_row(booked: FillBooked) -> FillRow:
    fill = booked.fill
    return FillRow(
        number=booked.number,
        ts_event_ns=str(fill.ts_event_ns),
        account=fill.account,
        strategy=booked.strategy,
        instrument=fill.instrument,
        side="buy" if fill.side is Side.BUY else "sell",
        px=str(fill.px),
        qty=str(fill.qty),
        fee=str(fill.fee),
        is_taker=fill.is_taker,
        realized_pnl=str(fill.realized_pnl),
        position_after=str(booked.position_after),
        client_order_id=str(fill.client_order_id),
        trade_id=fill.trade_id,
    )


def execution_row(report: ExecutionReport, now_ns: int) -> ExecutionRow:
    order, arrival = report.order, report.arrival
    followed = order.target_qty is None and (not report.ended_ns or now_ns - report.ended_ns < CHILDREN_SHOWN_NS)
    return ExecutionRow(
        id=order.execution_id,
        account=order.account,
        strategy=order.strategy,
        instrument=order.instrument,
        side="buy" if order.side is Side.BUY else "sell",
        qty=str(order.qty),
        algorithm=report.algorithm,
        filled=str(report.filled_qty),
        remaining=str(report.remaining_qty),
        vwap=None if report.vwap is None else shown(report.vwap),
        fees=shown(report.fees),
        children=report.children,
        slippage_bps=None if report.slippage_bps is None else float(report.slippage_bps),
        half_spread_bps=None if report.half_spread_bps is None else float(report.half_spread_bps),
        arrival_mid=None if arrival is None else str(arrival.mid_px),
        state=report.state,
        reason="" if report.ending is None else report.ending.value,
        text=report.text,
        started_ns=str(report.started_ns),
        deadline_ns=str(report.deadline_ns),
        ended_ns=str(report.ended_ns),
        last_children=[_child_row(child, report) for child in report.last_children] if followed else [],
    )


def _child_row(child: ChildReport, report: ExecutionReport) -> ExecutionChildRow:
    arrival, offset_bps = report.arrival, None
    if arrival is not None and child.avg_px is not None:
        worse_px = report.order.side.sign * (child.avg_px - arrival.touch_px)
        offset_bps = float(worse_px / arrival.mid_px * 10_000)
    return ExecutionChildRow(
        number=child.number,
        px=str(child.px),
        qty=str(child.qty),
        filled=str(child.filled_qty),
        total=str(child.total_qty),
        avg_px=None if child.avg_px is None else shown(child.avg_px),
        offset_bps=offset_bps,
        state=child.state,
        is_over=child.is_over,
        reason=child.reason,
    )


def rate_told(found: Conversion | None, now_ns: int) -> str:
    if found is None:
        return "1, assumed: nobody told a rate"
    return f"{found.rate:.6f}, {found.told_by}, {max(now_ns - found.ts_ns, 0) / NS_PER_S:.0f} s old"


def total(amounts: list[Decimal | None]) -> str | None:
    known = [amount for amount in amounts if amount is not None]
    return shown(sum(known, Decimal(0))) if known and len(known) == len(amounts) else None


def shown(amount: Decimal) -> str:
    """Return an amount without exponent, rounded to what anybody reads."""
    rounded = round(amount, FIGURES)
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number_or_text(value: float | int | str | bool | None) -> float | str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return float(value) if isinstance(value, int | float) else value
