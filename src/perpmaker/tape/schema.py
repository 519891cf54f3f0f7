"""What a tape holds, in words: kinds of rows, flags, the instruments' rules, and the table of contents at its end.

docs/reference/tape-format.md describes the bytes. Nothing here needs numpy.
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final, Literal

import msgspec

from perpmaker.model.events import StaleReason
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument

SCHEMA_VERSION: Final = 2
"""1: all of a column is stored in one piece. 2 adds to it what `ColumnCode` says from `is_lag` on, and prices of tickers
that lie apart (`ChunkEntry.columns`). Both are read; 2 is written."""
SUFFIX: Final = ".tape"
CHUNK_ROWS: Final = 131_072
"""Rows per chunk: 5.9 MB decoded, so that a reader's memory does not depend on the length of a tape."""
NO_INSTRUMENT: Final = 65_535
FIXED: Final = Decimal("1e-9")
"""Unit of prices that are not on the tick (mark, index, last): 1e-9 quote units, as the venue's own."""
RATE: Final = Decimal("1e-15")
"""Unit of funding rates: a fraction per interval."""


class Kind(enum.IntEnum):
    """What a row says. `px` is in ticks and `qty` in lots unless said otherwise; unused columns are 0."""

    SNAPSHOT = 1
    """A level of a whole book; FIRST empties the book before, LAST makes it whole. `side` 0: a book without levels."""
    DELTA = 2
    """A level's new size, 0 removes it. LAST ends the message. `side` 0: a message without levels."""
    TRADE = 3
    """A public trade; `side` is the aggressor's; `aux` the trade id."""
    BBO = 4
    """The best price of a side as a ticker stream told it; `aux` is the update id; LAST with the ask."""
    MARK = 5
    """`px` in 1e-9 quote units, `qty` the digits after the point as the venue printed it."""
    INDEX = 6
    """As MARK."""
    LAST_PX = 7
    """As MARK."""
    FUNDING = 8
    """`px` is the rate per interval in 1e-15 (positive: longs pay), `qty` its digits after the point, `aux` the next
    payment, ns. Ends a ticker."""
    STALE = 9
    """The book cannot be vouched for until the next SNAPSHOT; `aux` is the place of the reason in STALE_REASONS."""
    EVENT = 10
    """Anything else the engine saw, as JSON in `texts`; `aux` says where."""
    COMMAND = 11
    """What the engine answered to the event before, as JSON in `texts`; `aux` says where."""
    SESSION = 12
    """Beginning of a recorded life of an engine: what it started from, as JSON in `texts`."""


FIRST: Final = 1
LAST: Final = 2
ABSENT: Final = 4
"""FUNDING: the ticker carried no rate."""
REPLAYED: Final = 8
"""TRADE: from before the subscription, told again by the venue."""

STALE_REASONS: Final = tuple(StaleReason)
"""Their order is part of the format: new reasons are added at the end."""

Contract = Literal["linear", "inverse", "spot"]


class TapeInstrument(msgspec.Struct, frozen=True):
    """An instrument and how its quantities turn into money; `instrument` has tick, lot, currencies and venue.

    Linear and spot: a quantity is `multiplier` base units each. Inverse: a quantity is contracts of `multiplier` quote
    units each, settled in base units.
    """

    instrument: Instrument
    contract: Contract = "linear"
    multiplier: Decimal = Decimal(1)

    @property
    def instrument_id(self) -> InstrumentId:
        return self.instrument.instrument_id

    @property
    def grid(self) -> tuple[Decimal, Decimal, Decimal]:
        """What a tick and a lot are."""
        return self.instrument.tick, self.instrument.lot, self.multiplier


class ColumnCode(msgspec.Struct, frozen=True, array_like=True):
    """How a column of a chunk is stored: `width` bytes per row (0: all rows are `base`), zstd-compressed to `length` bytes.

    value = base + scale * stored, or with `is_delta` base + scale * (sum of what is stored up to here). With `runs` so many
    values are stored, and behind them, in `run_length` bytes, for how many rows each holds (`run_width` bytes each).
    `is_lag`: what is said is how much later than `recv_ns` the value is. `is_planar`: the lowest bytes of all that is
    stored come first, then the next ones.
    """

    is_delta: bool
    width: int
    base: int
    scale: int
    length: int
    runs: int = 0
    run_width: int = 0
    run_length: int = 0
    is_lag: bool = False
    is_planar: bool = False


class ChunkEntry(msgspec.Struct, frozen=True):
    """Where a chunk lies, what it spans, and the BLAKE2b-128 of its bytes as hex (columns have a checksum each besides)."""

    offset: int
    length: int
    rows: int
    first_recv_ns: int
    last_recv_ns: int
    checksum: str
    columns: tuple[ColumnCode, ...]
    """In the order of the rows' columns. A tenth is `px` of the rows of tickers, which count in other units: in `px` itself
    such a row repeats the one before."""
    texts_length: int = 0


class Contents(msgspec.Struct, frozen=True):
    """The table of contents, at the end of the file: written last, so a tape without it was never finished."""

    schema: int
    instruments: tuple[TapeInstrument, ...]
    chunks: tuple[ChunkEntry, ...]
    rows: int
    counts: dict[str, int]
    """Rows by the name of their kind."""
    in_order: bool
    """Whether receive times never go back from row to row."""
    source: str
    """Who recorded it and how it came here, for people."""
    notes: dict[str, str] = {}
    """What was counted on the way: bad rows, gaps, clock steps, shifts."""
