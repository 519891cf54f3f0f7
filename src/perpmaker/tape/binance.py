"""Binance raw combined-stream captures: one line is `<local receive time, ns> <JSON as it came>`.

Wire fields as in Binance's API documentation of the USD-M futures and spot streams (`<symbol>@depth@0ms`,
`@bookTicker`, `@trade`) and of the REST depth snapshot, which the recorder writes between them. Futures messages carry
`T` (matching time) and `E` (sending time), spot ones `E` or, for a book ticker, no time at all.

`recv_ns` is the recorder's clock, which nobody promises to agree with the exchange's.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.errors import DataError
from perpmaker.model.units import NS_PER_MS

PxQty = tuple[Decimal, Decimal]
"""A price level: (price, quantity in base units); quantity 0 removes the level."""


class DepthSnapshot(msgspec.Struct, frozen=True):
    """A REST book; levels best first. `ts_event_ns` is 0 where the venue sent no time (spot)."""

    recv_ns: int
    ts_event_ns: int
    last_update_id: int
    bids: tuple[PxQty, ...]
    asks: tuple[PxQty, ...]


class DepthUpdate(msgspec.Struct, frozen=True):
    """New sizes of some levels. `prev_update_id` is the previous message's last id (futures), None for spot."""

    recv_ns: int
    ts_event_ns: int
    symbol: str
    first_update_id: int
    last_update_id: int
    prev_update_id: int | None
    bids: tuple[PxQty, ...]
    asks: tuple[PxQty, ...]


class BookTicker(msgspec.Struct, frozen=True):
    """The best bid and ask after update `update_id`. `ts_event_ns` is 0 where the venue sent no time (spot)."""

    recv_ns: int
    ts_event_ns: int
    symbol: str
    update_id: int
    bid_px: Decimal
    bid_qty: Decimal
    ask_px: Decimal
    ask_qty: Decimal


class Trade(msgspec.Struct, frozen=True):
    """One print: one maker order met by one taker. The aggressor bought unless `is_buyer_maker`."""

    recv_ns: int
    ts_event_ns: int
    symbol: str
    trade_id: int
    px: Decimal
    qty: Decimal
    is_buyer_maker: bool


Row = DepthSnapshot | DepthUpdate | BookTicker | Trade


class ImpossibleRow(DataError):
    """A line that is whole, and says what cannot be: a price that is not above 0, a quantity below it, no number."""


def read_capture(path: Path) -> Iterator[Row]:
    """Yield the rows of a capture, gzipped or plain, in file order; lines that are no market data are left out.

    Raises DataError, naming file and line, at the first line that cannot be read; the rows before it have been yielded.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for line in lines:
                number += 1
                row = parse_line(line)
                if row is not None:
                    yield row
    except DataError as error:
        raise DataError(f"{path}:{number}: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not readable after line {number}: {error}") from error


def parse_line(line: bytes) -> Row | None:
    """Return the row of one line; None for an empty line and for messages that are no market data.

    Raises DataError when the line is cut off, is not JSON, or lacks a field of its kind; ImpossibleRow for its values.
    """
    head, _, body = line.strip().partition(b" ")
    if not head:
        return None
    try:
        recv_ns = int(head)
        wire = _ENVELOPE.decode(body)
        data = wire if isinstance(wire.data, msgspec.UnsetType) else wire.data
        return _row(recv_ns, data)
    except _Impossible as error:
        raise ImpossibleRow(f"not a line of a Binance capture: {error}: {line[:80]!r}") from error
    except (ValueError, msgspec.DecodeError) as error:
        raise DataError(f"not a line of a Binance capture: {error}: {line[:80]!r}") from error


class _Impossible(ValueError):
    """A value that a price or a quantity cannot have."""


class _Data(msgspec.Struct):
    """The union of the kinds' fields; which are there tells the kind (a spot book ticker has no `e`)."""

    e: str | None = None
    E: int | None = None
    T: int | None = None
    s: str = ""
    u: int | None = None
    U: int | None = None
    pu: int | None = None
    b: tuple[PxQty, ...] | Decimal | None = None
    B: Decimal | None = None
    a: tuple[PxQty, ...] | Decimal | None = None
    A: Decimal | None = None
    t: int | None = None
    p: Decimal | None = None
    q: Decimal | None = None
    m: bool | None = None
    lastUpdateId: int | None = None  # noqa: N815  the wire's name
    bids: tuple[PxQty, ...] | None = None
    asks: tuple[PxQty, ...] | None = None


class _Envelope(_Data):
    """A combined-stream message has its fields under `data`, a snapshot at the top."""

    data: _Data | msgspec.UnsetType = msgspec.UNSET


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def _row(recv_ns: int, data: _Data) -> Row | None:
    ts_event_ns = (data.T or data.E or 0) * NS_PER_MS
    match data:
        case _Data(lastUpdateId=int() as last, bids=tuple() as bids, asks=tuple() as asks):
            return DepthSnapshot(recv_ns, ts_event_ns, last, _levels(bids), _levels(asks))
        case _Data(e="depthUpdate", U=int() as first, u=int() as last, b=tuple() as bids, a=tuple() as asks):
            return DepthUpdate(recv_ns, ts_event_ns, data.s, first, last, data.pu, _levels(bids), _levels(asks))
        case _Data(
            e="bookTicker" | None,
            u=int() as update_id,
            b=Decimal() as bid,
            B=Decimal() as bid_qty,
            a=Decimal() as ask,
            A=Decimal() as ask_qty,
        ):
            best_bid, best_ask = _levels(((bid, bid_qty), (ask, ask_qty)))
            return BookTicker(recv_ns, ts_event_ns, data.s, update_id, *best_bid, *best_ask)
        case _Data(e="trade", t=int() as trade_id, p=Decimal() as px, q=Decimal() as qty, m=bool() as is_buyer_maker):
            _levels(((px, qty),))
            return Trade(recv_ns, ts_event_ns, data.s, trade_id, px, qty, is_buyer_maker)
        case _Data(e="depthUpdate" | "bookTicker" | "trade" as kind):
            raise ValueError(f"a {kind} without all of its fields")
    return None


def _levels(levels: tuple[PxQty, ...]) -> tuple[PxQty, ...]:
    """Return `levels` as they are; raise _Impossible when a price or quantity cannot be one."""
    for px, qty in levels:
        if not (px.is_finite() and qty.is_finite() and px > 0 and qty >= 0):
            raise _Impossible(f"{px} x {qty} is no price level")
    return levels
