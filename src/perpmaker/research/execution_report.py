"""How well parent orders were executed: slippage by size against depth, by venue, algorithm and hour; what children got.

Averages of slippage are weighted by what was filled; percentiles count orders. Amounts of different quote currencies are
added up as if they were one, as weights only. What is not over yet is listed, and counts nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.units import NS_PER_S
from perpmaker.research.execution_needs import Need, needs
from perpmaker.research.execution_orders import ChildSeen, OrderSeen
from perpmaker.research.execution_sizes import size_named, size_names
from perpmaker.research.quantile import quantile

_HOUR_NS: Final = 3600 * NS_PER_S
LAST_CHILD: Final = 5
"""Children from this number on are one group."""


class Group(msgspec.Struct, frozen=True):
    """Orders with something in common. Shares are fractions; None where nothing was filled.

    `slippage_bps` from the arrival touch, weighted by filled notional; `fee_bps` of filled notional, > 0 is a cost.
    """

    name: str
    orders: int
    done: int
    notional: float
    """Filled, in quote currency."""
    filled_share: float | None
    slippage_bps: float | None
    slippage_p50_bps: float | None
    slippage_p95_bps: float | None
    half_spread_bps: float | None
    fee_bps: float | None
    children_p50: float | None
    took_p50_s: float | None


class Children(msgspec.Struct, frozen=True):
    """Children with the same number within their orders. `of_believed`: filled, in parts of what was believed to be there.

    `drift_bps`: how far the touch had moved from arrival when they were sent, on average, > 0 is away from us.
    """

    name: str
    children: int
    whole: int
    part: int
    nothing: int
    """Sent and not filled at all."""
    refused: int
    """By the risk gate or the venue."""
    filled_share: float | None
    of_believed: float | None
    fills: float | None
    """Executions of one child that had any, on average."""
    offset_bps: float | None
    drift_bps: float | None
    answer_p50_ms: float | None
    answer_p95_ms: float | None


class ExecutionAnalysis(msgspec.Struct, frozen=True):
    """The whole report. `from_ns`, `to_ns`: first and last beginning of an order in it, 0 without any."""

    engine: str
    from_ns: int
    to_ns: int
    whole: Group
    by_size: tuple[Group, ...]
    by_venue: tuple[Group, ...]
    by_algorithm: tuple[Group, ...]
    by_hour: tuple[Group, ...]
    """UTC hour of the beginning, 24 of them."""
    taking: tuple[Children, ...]
    """Children that take, by their number within the order."""
    resting: Children
    needs: tuple[Need, ...]
    endings: dict[str, int]
    orders: tuple[OrderSeen, ...]


def analysed(engine: str, orders: Sequence[OrderSeen]) -> ExecutionAnalysis:
    """Work the report out from orders, oldest first."""
    over = [order for order in orders if order.ending]
    children = [child for order in over for child in order.children]
    endings: dict[str, int] = {}
    for order in over:
        endings[order.ending] = endings.get(order.ending, 0) + 1
    return ExecutionAnalysis(
        engine=engine,
        from_ns=orders[0].started_ns if orders else 0,
        to_ns=orders[-1].started_ns if orders else 0,
        whole=_group("all", over),
        by_size=_groups(over, size_of, size_names()),
        by_venue=_groups(over, lambda order: order.venue),
        by_algorithm=_groups(over, lambda order: order.algorithm),
        by_hour=tuple(_group(f"{hour:02d}", [o for o in over if hour_of(o) == hour]) for hour in range(24)),
        taking=_by_number([child for child in children if not child.rested]),
        resting=_children("resting", [child for child in children if child.rested]),
        needs=needs(over),
        endings=dict(sorted(endings.items(), key=lambda item: -item[1])),
        orders=tuple(orders),
    )


def chosen(
    orders: Iterable[OrderSeen], *, from_ns: int | None = None, to_ns: int | None = None, instrument: str | None = None
) -> list[OrderSeen]:
    """Return the orders that began within [from, to) on an instrument; None leaves a bound away."""
    return [
        order
        for order in orders
        if (from_ns is None or order.started_ns >= from_ns)
        and (to_ns is None or order.started_ns < to_ns)
        and instrument in (None, order.instrument)
    ]


def size_of(order: OrderSeen) -> str:
    """Return the name of the size group of an order."""
    return size_named(order.of_depth)


def hour_of(order: OrderSeen) -> int:
    """Return the UTC hour in which an order began."""
    return order.started_ns // _HOUR_NS % 24


def _groups(
    orders: Sequence[OrderSeen], key: Callable[[OrderSeen], str], names: Sequence[str] | None = None
) -> tuple[Group, ...]:
    """Return the groups that have orders, as `names` has them or by name."""
    held: dict[str, list[OrderSeen]] = {}
    for order in orders:
        held.setdefault(key(order), []).append(order)
    return tuple(_group(name, held[name]) for name in (names or sorted(held)) if name in held)


def _group(name: str, orders: Sequence[OrderSeen]) -> Group:
    known = [order for order in orders if order.asked_notional]
    slippages = [order.slippage_bps for order in orders if order.slippage_bps is not None]
    notional = sum((order.notional for order in orders), Decimal(0))
    fees = sum((order.fees for order in orders), Decimal(0))
    return Group(
        name=name,
        orders=len(orders),
        done=sum(order.is_done for order in orders),
        notional=float(notional),
        filled_share=_share(
            sum((order.filled_qty * (order.mid_px or 0) for order in known), Decimal(0)),
            sum((order.asked_notional for order in known), Decimal(0)),
        ),
        slippage_bps=_weighted((order.slippage_bps, order.notional) for order in orders),
        slippage_p50_bps=quantile(slippages, 0.5),
        slippage_p95_bps=quantile(slippages, 0.95),
        half_spread_bps=_weighted((order.half_spread_bps, order.notional) for order in orders),
        fee_bps=float(fees / notional * 10_000) if notional else None,
        children_p50=quantile([float(len(order.children)) for order in orders], 0.5),
        took_p50_s=quantile([order.took_s for order in orders if order.took_s is not None], 0.5),
    )


def _by_number(children: Sequence[ChildSeen]) -> tuple[Children, ...]:
    found: list[Children] = []
    for number in range(1, LAST_CHILD + 1):
        last = number == LAST_CHILD
        of_it = [child for child in children if child.number == number or (last and child.number > number)]
        if of_it:
            found.append(_children(f"{number}+" if last else str(number), of_it))
    return tuple(found)


def _children(name: str, children: Sequence[ChildSeen]) -> Children:
    stood = [child for child in children if not child.was_refused]
    filled = [child for child in stood if child.fills]
    answers = [child.answer_ms for child in filled if child.answer_ms is not None]
    asked = sum((child.px * child.qty for child in stood), Decimal(0))
    believed = sum((child.px * min(child.qty, child.visible_qty) for child in stood), Decimal(0))
    got = sum((child.px * child.filled_qty for child in stood), Decimal(0))
    return Children(
        name=name,
        children=len(children),
        whole=sum(child.filled_qty >= child.qty for child in stood),
        part=sum(0 < child.filled_qty < child.qty for child in stood),
        nothing=sum(not child.filled_qty for child in stood),
        refused=len(children) - len(stood),
        filled_share=_share(got, asked),
        of_believed=_share(got, believed),
        fills=sum(child.fills for child in filled) / len(filled) if filled else None,
        offset_bps=_weighted((child.offset_bps, child.notional) for child in filled),
        drift_bps=_weighted((child.drift_bps, child.qty * child.px) for child in stood),
        answer_p50_ms=quantile(answers, 0.5),
        answer_p95_ms=quantile(answers, 0.95),
    )


def _weighted(values: Iterable[tuple[float | None, Decimal]]) -> float | None:
    total = weights = 0.0
    for value, weight in values:
        if value is not None:
            total += value * float(weight)
            weights += float(weight)
    return total / weights if weights else None


def _share(part: Decimal, whole: Decimal) -> float | None:
    return float(part / whole) if whole else None
