"""What an account's limits say of an order before it is sent: what binds, and what could not pass at all.

The gate decides, order by order; this only spares people an order of which they can know beforehand how it would end.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from perpmaker.control.messages import AccountRow
from perpmaker.execution.algos.pricing import smallest_qty

if TYPE_CHECKING:
    from perpmaker.config import RiskSection
    from perpmaker.control.messages import Status
    from perpmaker.execution.algos.planning import ExecutionPlan
    from perpmaker.model.instrument import Instrument
    from perpmaker.model.order import Side

_BPS: Final = Decimal(10_000)
_ZERO: Final = Decimal(0)


class Held(msgspec.Struct, frozen=True):
    """What the account has on the instrument: signed position, and what is open on the order's side."""

    position_qty: Decimal
    open_qty: Decimal


def of_config(risk: RiskSection, account: str, venue: str) -> AccountRow:
    """Return the limits of a configuration, as an engine made of it would tell them."""
    return AccountRow(
        account=account,
        venue=venue,
        exchange="",
        currency="",
        max_position_notional=str(risk.max_position_notional),
        max_order_notional=str(risk.max_order_notional),
        max_open_orders=risk.max_open_orders,
        price_collar_bps=str(risk.price_collar_bps),
        orders_per_s=str(risk.orders_per_s),
    )


def held(status: Status, account: str, instrument: str, side: Side) -> Held:
    """Return what a running engine tells of an account's instrument."""
    positions = [Decimal(row.qty) for row in status.positions if (row.account, row.instrument) == (account, instrument)]
    opened = [
        Decimal(row.qty) - Decimal(row.cum_qty)
        for row in status.open_orders
        if (row.account, row.instrument, row.side) == (account, instrument, side.value)
    ]
    return Held(sum(positions, _ZERO), sum(opened, _ZERO))


class Judged(msgspec.Struct, frozen=True):
    """`refused`: why nothing of it can pass, "" when something may. `notes`: what binds."""

    refused: str
    notes: list[str]


def judge(
    limits: AccountRow, planned: ExecutionPlan, rules: Instrument, has: Held | None, *, reduce_only: bool
) -> Judged:
    """Say which limits stand in the way; `has` is None while the account has not been read."""
    sign = 1 if planned.side == "buy" else -1
    least = smallest_qty(rules, planned.mid_px)
    notes: list[str] = []
    if least * planned.mid_px > Decimal(limits.max_order_notional):
        return Judged(
            f"risk.max_order_notional {limits.max_order_notional} is below the smallest order the venue takes, {least} "
            f"{rules.base} worth {least * planned.mid_px:.0f} {rules.quote}",
            notes,
        )
    if reduce_only:
        refused = _reducing(planned, rules, has, sign, notes)
    else:
        refused = _growing(limits, planned, rules, has, sign, least, notes)
    if planned.worst_px is not None:
        away_bps = abs(planned.worst_px - planned.mid_px) / planned.mid_px * _BPS
        if away_bps > Decimal(limits.price_collar_bps):
            notes.append(
                f"the worst price is {away_bps:.0f} bps from the mid; risk.price_collar_bps {limits.price_collar_bps} "
                "refuses what is further from the mark price"
            )
    if limits.halted:
        notes.append(f"the account is halted ({limits.halted}): what does not only reduce a position waits")
    return Judged(refused, notes)


def _reducing(planned: ExecutionPlan, rules: Instrument, has: Held | None, sign: int, notes: list[str]) -> str:
    if has is None:
        notes.append("--reduce-only: what is held is not known before the account is read; what goes beyond is refused")
        return ""
    left = -sign * has.position_qty - has.open_qty
    if left <= 0:
        rest = f", and {has.open_qty} {rules.base} is open on this side already" if has.open_qty else ""
        return f"--reduce-only: a {planned.side} reduces nothing: the position is {has.position_qty} {rules.base}{rest}"
    if planned.qty > left:
        notes.append(f"--reduce-only: only {left} {rules.base} are left to reduce; what goes beyond is refused")
    return ""


def _growing(
    limits: AccountRow,
    planned: ExecutionPlan,
    rules: Instrument,
    has: Held | None,
    sign: int,
    least: Decimal,
    notes: list[str],
) -> str:
    most = Decimal(limits.max_position_notional)
    if has is None:
        worth = planned.qty * planned.mid_px
        if worth > most:
            notes.append(
                f"the order is worth {worth:.0f} {rules.quote}; risk.max_position_notional "
                f"{limits.max_position_notional} refuses what leads beyond it"
            )
        return ""
    towards = sign * has.position_qty + has.open_qty
    if (towards + planned.qty) * planned.mid_px <= most:
        return ""
    room = most / planned.mid_px - towards
    opened = f" and {has.open_qty} open on this side" if has.open_qty else ""
    told = (
        f"risk.max_position_notional {limits.max_position_notional} with a position of {has.position_qty} {rules.base}"
        f"{opened}"
    )
    if room < least and towards + least > 0:
        return f"{told} leaves no room for a {planned.side}"
    notes.append(f"{told} lets {max(rules.round_qty(room), _ZERO)} {rules.base} of it pass and refuses the rest")
    return ""
