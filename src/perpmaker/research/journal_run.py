"""A life of an engine as its journal tells it: read without the engine, while it runs or not, and summed up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from perpmaker.engine.journalfile import Segment, decode_record, segments
from perpmaker.engine.records import (
    Boot,
    Closed,
    Crashed,
    EquityMark,
    FillBooked,
    Fingerprint,
    HaltChanged,
    Happened,
    Intent,
    Latch,
    Ready,
    Record,
    Said,
    SegmentStart,
)
from perpmaker.errors import PerpmakerError
from perpmaker.model.events import OrderReport, OrderRetired, SubmitRejected, VenueStatus
from perpmaker.model.ids import AccountId, ClientOrderId
from perpmaker.model.order import Side
from perpmaker.research.metrics import Floats, Times, last_at
from perpmaker.research.results import CAUSES, Fills, Market, OrderCounts, Quotes, Results, Run

_READ: Final = (
    Boot,
    Closed,
    Crashed,
    EquityMark,
    FillBooked,
    HaltChanged,
    Happened,
    Intent,
    Latch,
    Ready,
    Said,
    SegmentStart,
)
_KINDS: Final = tuple(kind.__name__.encode() for kind in _READ)
_STARTED: Final = "start"
_TAG_WITHIN: Final = 32
"""The name of a record's kind is among its first bytes."""
_PRIVATE: Final = (b"OrderReport", b"SubmitRejected", b"OrderRetired")
_NONE: Final = np.zeros(0)


class Life(msgspec.Struct):
    """From one boot to the last word of that life."""

    epoch: int
    began_ns: int
    last_ns: int
    ready_ns: int = 0
    ending: str = ""
    """How it ended: "" while nobody said so (it runs, or it was killed)."""
    crashed: bool = False
    verified_empty: bool = False


class Lived(msgspec.Struct):
    """What a journal tells, gathered."""

    fingerprint: Fingerprint
    lives: list[Life] = []
    latches: list[Latch] = []
    halts: list[HaltChanged] = []
    errors: list[Said] = []
    marks: dict[AccountId, list[EquityMark]] = {}
    fills: list[FillBooked] = []
    orders: int = 0
    ordered: dict[ClientOrderId, Decimal] = {}
    """Notional of each order, at its own price."""
    filled: dict[ClientOrderId, Decimal] = {}
    rejected: set[ClientOrderId] = set()
    """Not taken by the venue: said at once, or found out by asking."""

    @property
    def from_ns(self) -> int:
        return self.lives[0].began_ns

    @property
    def to_ns(self) -> int:
        return self.lives[-1].last_ns


def lived_in(folder: Path) -> Lived:
    """Read a journal; PerpmakerError when there is none."""
    lived = gathered(_records(folder))
    if lived is None or not lived.lives:
        raise PerpmakerError(f"{folder}: holds no journal of an engine that ran")
    return lived


def gathered(records: Iterable[Record]) -> Lived | None:
    """Return what records tell, None when they do not begin as a journal does."""
    lived: Lived | None = None
    for record in records:
        if isinstance(record, SegmentStart):
            if lived is None:
                lived = Lived(record.fingerprint)
                if record.number > 1:  # what was before has been pruned: a life that goes on
                    lived.lives.append(Life(record.epoch, record.ts_ns, record.ts_ns))
        elif lived is not None and (lived.lives or isinstance(record, Boot)):
            _take(lived, record)
    return lived


def _take(lived: Lived, record: Record) -> None:
    if isinstance(record, Boot) and record.reason == _STARTED:  # other reasons: a life that takes a later epoch
        lived.lives.append(Life(record.epoch, record.ts_ns, record.ts_ns))
    life = lived.lives[-1]
    life.last_ns = max(life.last_ns, record.ts_ns)
    match record:
        case Ready():
            life.ready_ns = record.ts_ns
        case Closed():
            life.ending, life.verified_empty = record.reason, record.verified_empty
        case Crashed():
            life.ending, life.crashed = record.reason, True
        case HaltChanged():
            lived.halts.append(record)
        case Latch():
            lived.latches.append(record)
        case Said(level="error"):
            lived.errors.append(record)
        case EquityMark():
            lived.marks.setdefault(record.account, []).append(record)
        case FillBooked(fill=fill):
            lived.fills.append(record)
            order = fill.client_order_id
            lived.filled[order] = lived.filled.get(order, Decimal(0)) + fill.px * fill.qty
        case Intent(order=order):
            lived.orders += 1
            lived.ordered[order.client_order_id] = (order.px or Decimal(0)) * order.qty
        case Happened(event=SubmitRejected() | OrderRetired() as event):
            lived.rejected.add(event.client_order_id)
        case Happened(event=OrderReport(status=VenueStatus.REJECTED) as event):
            lived.rejected.add(event.client_order_id)
        case _:
            pass


def _records(folder: Path) -> Iterator[Record]:
    """Read what is gathered; everything else is passed over undecoded."""
    for path in segments(folder):
        for offset, payload in Segment(path):
            head = payload[:_TAG_WITHIN]
            if not any(kind in head for kind in _KINDS):
                continue
            if Happened.__name__.encode() in head and not any(kind in payload for kind in _PRIVATE):
                continue
            yield decode_record(payload, f"{path}: byte {offset}")


def results_of(lived: Lived, name: str) -> Results:
    """Return it as a report shows it. Equity is that of the marks (every ten seconds), mids are those known at fills.

    Quotes are not in a journal, and mids only at fills and while something was held.
    """
    if not lived.marks:
        raise PerpmakerError("the journal has no equity yet; wait until the engine has traded for a while")
    ts_ns = np.unique(np.array([mark.ts_ns for row in lived.marks.values() for mark in row], dtype=np.int64))
    if len(ts_ns) < 2:
        raise PerpmakerError("the journal has less than two samples of equity; wait for some more seconds")
    run = Run(
        fill_model="simulated" if lived.fingerprint.mode == "paper" else "venue",
        digest="",
        ts_ns=ts_ns,
        equity=_summed(lived.marks, "equity", ts_ns) - _moved(lived.marks, ts_ns),
        causes={cause: _since(_summed(lived.marks, cause, ts_ns)) * (-1 if cause == "fees" else 1) for cause in CAUSES},
        markets=tuple(
            _market(lived, instrument) for instrument in sorted({str(one.fill.instrument) for one in lived.fills})
        ),
        orders=OrderCounts(
            orders=lived.orders,
            filled=len(lived.filled.keys() & lived.ordered.keys()),
            refused=len(lived.rejected),
            ordered_notional=float(sum(lived.ordered.values())),
            filled_notional=float(sum(lived.filled[order] for order in lived.filled.keys() & lived.ordered.keys())),
        ),
        liquidations=sum(one.fill.is_liquidation for one in lived.fills),
    )
    fingerprint = lived.fingerprint
    return Results(
        title=name,
        kind=fingerprint.mode,
        tape=f"the journal of {name}",
        fingerprint="",
        from_ns=int(ts_ns[0]),
        to_ns=max(int(ts_ns[-1]), int(ts_ns[0]) + 1),
        currency=next((one.fill.fee_currency for one in lived.fills if one.fill.fee_currency), "account currency"),
        seed=None,
        models={"venue": f"{fingerprint.env}, orders {'simulated' if fingerprint.mode == 'paper' else 'real'}"},
        runs=(run,),
        remarks=("Markouts are from mids known at fills and at marks every ten seconds: rough below a minute.",),
    )


def _summed(marks: Mapping[AccountId, Sequence[EquityMark]], field: str, ts_ns: Times) -> Floats:
    total = np.zeros(len(ts_ns))
    for row in marks.values():
        when = np.array([mark.ts_ns for mark in row], dtype=np.int64)
        values: Floats = np.array([float(getattr(mark, field)) for mark in row], dtype=np.float64)
        seen = last_at(when, values, ts_ns)
        total += np.where(np.isnan(seen), values[0], seen)
    return total


def _moved(marks: Mapping[AccountId, Sequence[EquityMark]], ts_ns: Times) -> Floats:
    """Return what was transferred since the first mark: no gain and no loss."""
    return _since(_summed(marks, "transfers", ts_ns))


def _since(values: Floats) -> Floats:
    return np.asarray(values - values[0], dtype=np.float64)


def _market(lived: Lived, instrument: str) -> Market:
    booked = sorted(
        (one for one in lived.fills if one.fill.instrument == instrument), key=lambda one: one.fill.ts_recv_ns
    )
    when = np.array([one.fill.ts_recv_ns for one in booked], dtype=np.int64)
    side = np.array([1.0 if one.fill.side is Side.BUY else -1.0 for one in booked])
    qty = np.array([float(one.fill.qty) for one in booked])
    known = [(one.fill.ts_recv_ns, float(one.fair_px)) for one in booked if one.fair_px is not None]
    for row in lived.marks.values():
        known += [(mark.ts_ns, float(px)) for mark in row for name, px in mark.marks.items() if name == instrument]
    known.sort()
    return Market(
        instrument=instrument,
        mid_ns=np.array([at for at, _ in known], dtype=np.int64),
        mid_px=np.array([px for _, px in known]),
        position_ns=when,
        position_qty=np.array([float(one.position_after) for one in booked]),
        fills=Fills(
            ts_ns=when,
            side=side,
            px=np.array([float(one.fill.px) for one in booked]),
            qty=qty,
            fee=np.array([float(one.fill.fee) for one in booked]),
            is_maker=np.array([not one.fill.is_taker for one in booked], dtype=np.bool_),
        ),
        quotes=Quotes(np.zeros(0, dtype=np.int64), _NONE, _NONE),
    )
