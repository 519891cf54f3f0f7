"""Parent orders and their children as a journal tells them: read without the engine, while it runs or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.engine.journalfile import Segment, decode_record, segments
from perpmaker.engine.records import ExecutionBegun, ExecutionChild, ExecutionEnded, FillBooked, Record
from perpmaker.execution.algos.tally import ChildRecord
from perpmaker.model.events import Fill
from perpmaker.model.execution import Arrival, ChildReport, Ending, ExecutionReport, ParentOrder
from perpmaker.model.ids import HOME_EXCHANGE, ClientOrderId
from perpmaker.model.order import Side
from perpmaker.model.quote import name_of
from perpmaker.model.units import NS_PER_S

_ZERO: Final = Decimal(0)
_BPS: Final = 10_000
_KINDS: Final = tuple(kind.__name__.encode() for kind in (ExecutionBegun, ExecutionChild, ExecutionEnded, FillBooked))
_TAG_WITHIN: Final = 32
"""The name of a record's kind is among its first bytes."""


class ChildSeen(msgspec.Struct, frozen=True):
    """One child order. `visible_qty` is what the book showed inside its price, haircut taken off; 0 for one that rested.

    `offset_bps` is of its average price from the arrival touch, > 0 is worse; `drift_bps` how far the touch had gone from
    there when it was sent; `answer_ms` from sending it to its last fill. `was_refused` is known of the newest twenty of an
    order that has ended.
    """

    number: int
    px: Decimal
    qty: Decimal
    visible_qty: Decimal
    filled_qty: Decimal
    notional: Decimal
    fills: int
    was_refused: bool
    offset_bps: float | None
    drift_bps: float | None
    answer_ms: float | None
    ts_ns: int

    @property
    def rested(self) -> bool:
        return not self.visible_qty


class OrderSeen(msgspec.Struct, frozen=True):
    """A parent order. Slippage is from the arrival touch to `vwap` in basis points of the arrival mid, > 0 is worse.

    `kind`: order (a person's), step (towards a strategy's target), closing. `ending` is "" for one that is not over.
    Amounts are in the instrument's quote currency; `fees` > 0 is a cost.
    """

    id: str
    kind: str
    strategy: str
    account: str
    venue: str
    instrument: str
    side: str
    algorithm: str
    qty: Decimal
    filled_qty: Decimal
    vwap: Decimal | None
    fees: Decimal
    mid_px: Decimal | None
    visible_qty: Decimal | None
    """Shown within 50 levels at arrival, for the side that takes."""
    slippage_bps: float | None
    half_spread_bps: float | None
    ending: str
    text: str
    started_ns: int
    took_s: float | None
    children: tuple[ChildSeen, ...]

    @property
    def is_done(self) -> bool:
        return self.ending == Ending.DONE.value

    @property
    def notional(self) -> Decimal:
        """Of what was filled."""
        return _ZERO if self.vwap is None else self.vwap * self.filled_qty

    @property
    def asked_notional(self) -> Decimal:
        """Of the whole quantity, at the arrival mid."""
        return _ZERO if self.mid_px is None else self.mid_px * self.qty

    @property
    def of_depth(self) -> float | None:
        """The quantity in parts of what the book showed at arrival."""
        return float(self.qty / self.visible_qty) if self.visible_qty else None


def orders_in(folder: Path, steps: Callable[[int, int], None] = lambda done, total: None) -> list[OrderSeen]:
    """Return all parent orders that the journal in `folder` still tells of, oldest first. Raises DataError.

    `steps` is told how many of the journal's files have been read, and of how many.
    """
    return gathered(_records(folder, steps))


def gathered(records: Iterable[Record]) -> list[OrderSeen]:
    """Return the parent orders that records tell of, oldest first."""
    gathering = _Gathering()
    for record in records:
        gathering.take(record)
    return gathering.orders()


def venue_of(instrument: str) -> str:
    return instrument.partition("@")[2] or HOME_EXCHANGE


def _records(folder: Path, steps: Callable[[int, int], None]) -> Iterator[Record]:
    """Decode only what concerns parent orders; a file that is pruned meanwhile is passed over."""
    paths = segments(folder)
    for done, path in enumerate(paths):
        steps(done, len(paths))
        try:
            segment = Segment(path)
        except FileNotFoundError:
            continue
        for offset, payload in segment:
            if any(kind in payload[:_TAG_WITHIN] for kind in _KINDS):
                yield decode_record(payload, f"{path}: byte {offset}")


class _Outcome(msgspec.Struct, frozen=True):
    """What an order has come to, by its report or, while it is worked, by its fills."""

    filled_qty: Decimal
    vwap: Decimal | None
    fees: Decimal
    ending: str = ""
    text: str = ""
    took_s: float | None = None


class _Gathering:
    """Puts what records say about one parent order together."""

    def __init__(self) -> None:
        self._begun: dict[str, ExecutionBegun] = {}
        self._children: dict[str, list[ExecutionChild]] = {}
        self._ended: dict[str, ExecutionReport] = {}
        self._ids: set[ClientOrderId] = set()
        self._fills: dict[ClientOrderId, list[Fill]] = {}

    def take(self, record: Record) -> None:
        match record:
            case ExecutionBegun(parent=parent):
                self._begun[parent.order.execution_id] = record
            case ExecutionChild(execution_id=execution_id, child=child):
                self._children.setdefault(execution_id, []).append(record)
                self._ids.add(child.client_order_id)
            case ExecutionEnded(report=report):
                self._ended[report.order.execution_id] = report
            case FillBooked(fill=fill):
                if fill.client_order_id in self._ids:  # a child is written down before it is sent
                    self._fills.setdefault(fill.client_order_id, []).append(fill)

    def orders(self) -> list[OrderSeen]:
        found = [self._ended_order(report) for report in self._ended.values()]
        for execution_id, record in self._begun.items():
            if execution_id not in self._ended:
                found.append(self._open_order(record))
        return sorted(found, key=lambda order: order.started_ns)

    def _ended_order(self, report: ExecutionReport) -> OrderSeen:
        told = {child.number: child for child in report.last_children}
        outcome = _Outcome(
            filled_qty=report.filled_qty,
            vwap=report.vwap,
            fees=report.fees,
            ending="" if report.ending is None else report.ending.value,
            text=report.text,
            took_s=(report.ended_ns - report.started_ns) / NS_PER_S,
        )
        children = self._seen(report.order, report.arrival, told)
        return _order(report.order, report.arrival, report.started_ns, outcome, children)

    def _open_order(self, record: ExecutionBegun) -> OrderSeen:
        parent = record.parent
        children = self._children.get(parent.order.execution_id, ())
        fills = [fill for child in children for fill in self._fills.get(child.child.client_order_id, ())]
        qty = sum((fill.qty for fill in fills), _ZERO)
        outcome = _Outcome(
            filled_qty=qty,
            vwap=sum((fill.qty * fill.px for fill in fills), _ZERO) / qty if qty else None,
            fees=sum((fill.fee for fill in fills), _ZERO),
        )
        seen = self._seen(parent.order, parent.arrival, {})
        return _order(parent.order, parent.arrival, parent.started_ns, outcome, seen)

    def _seen(self, order: ParentOrder, arrival: Arrival | None, told: dict[int, ChildReport]) -> tuple[ChildSeen, ...]:
        records = self._children.get(order.execution_id, ())
        return tuple(
            _child(record, record.child, self._fills.get(record.child.client_order_id, []), order.side, arrival, told)
            for record in records
        )


def _order(
    order: ParentOrder, arrival: Arrival | None, started_ns: int, outcome: _Outcome, children: tuple[ChildSeen, ...]
) -> OrderSeen:
    half_spread = slippage = None
    if arrival is not None:
        half_spread = float(arrival.half_spread_bps(order.side))
        slippage = None if outcome.vwap is None else _worse_bps(order.side, outcome.vwap, arrival)
    return OrderSeen(
        id=order.execution_id,
        kind="closing" if order.is_closing else "order" if order.target_qty is None else "step",
        strategy=order.strategy,
        account=order.account,
        venue=venue_of(order.instrument),
        instrument=order.instrument,
        side=order.side.value,
        algorithm=name_of(order.algorithm),
        qty=order.qty,
        filled_qty=outcome.filled_qty,
        vwap=outcome.vwap,
        fees=outcome.fees,
        mid_px=None if arrival is None else arrival.mid_px,
        visible_qty=None if arrival is None else arrival.visible_qty,
        slippage_bps=slippage,
        half_spread_bps=half_spread,
        ending=outcome.ending,
        text=outcome.text,
        started_ns=started_ns,
        took_s=outcome.took_s,
        children=children,
    )


def _child(
    record: ExecutionChild,
    child: ChildRecord,
    fills: list[Fill],
    side: Side,
    arrival: Arrival | None,
    told: dict[int, ChildReport],
) -> ChildSeen:
    qty = sum((fill.qty for fill in fills), _ZERO)
    notional = sum((fill.qty * fill.px for fill in fills), _ZERO)
    report = told.get(child.number)
    return ChildSeen(
        number=child.number,
        px=child.px,
        qty=child.qty,
        visible_qty=record.visible_qty,
        filled_qty=qty,
        notional=notional,
        fills=len(fills),
        was_refused=not qty and report is not None and report.state in ("denied", "rejected", "not_sent"),
        offset_bps=_worse_bps(side, notional / qty, arrival) if qty and arrival is not None else None,
        drift_bps=_worse_bps(side, record.touch_px, arrival) if record.touch_px and arrival is not None else None,
        answer_ms=(max(fill.ts_recv_ns for fill in fills) - record.ts_ns) / 1e6 if fills else None,
        ts_ns=record.ts_ns,
    )


def _worse_bps(side: Side, px: Decimal, arrival: Arrival) -> float:
    return float(side.sign * (px - arrival.touch_px) / arrival.mid_px * _BPS)
