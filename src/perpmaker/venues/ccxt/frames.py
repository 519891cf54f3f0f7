"""Raw stream frames of a venue whose unified ccxt streams lose something: what a reader of them has to offer."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import msgspec

from perpmaker.model.book import Level
from perpmaker.model.events import Bar, Fill, OrderReport, PositionReport, Ticker, Trade
from perpmaker.model.ids import AccountId
from perpmaker.venues.api import Subscription
from perpmaker.venues.ccxt.listing import Listed

Frame = dict[str, Any]


class Kind(enum.Enum):
    """What a frame is about."""

    DEPTH = "depth"
    TRADE = "trade"
    MARK = "mark"
    LAST = "last"
    BAR = "bar"
    ORDER = "order"
    POSITION = "position"
    OTHER = "other"
    REFUSED = "refused"
    """The venue refused a subscription."""


class Heading(msgspec.Struct, frozen=True):
    """What a frame says about itself before it is read: its kind, its market's venue symbol, what it carries."""

    kind: Kind
    symbol: str
    data: Frame


class Depth(msgspec.Struct, frozen=True):
    """Changed levels with the ids of the first and last change in it; a whole book when `first` is 0."""

    first: int
    last: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    ts_event_ns: int


class FrameReader(msgspec.Struct, frozen=True):
    """How one venue's frames are asked for and read. Every reader raises DataError for what cannot be so."""

    public_topics: Callable[[str, Subscription], list[str]]
    depth_topic: Callable[[str], str]
    private_topics: tuple[str, ...]
    heading: Callable[[Any], Heading | None]
    """None for a message that is no frame of this venue's form: ccxt itself may know what it is."""
    depth: Callable[[Frame, Listed], Depth]
    whole_depth: Callable[[Frame, Listed], Depth]
    """Reads the answer to the REST question for a whole book."""
    trade: Callable[[Frame, Listed, int], Trade]
    mark: Callable[[Frame, Listed, int], Ticker]
    last_px: Callable[[Frame, Listed], Any]
    bar: Callable[[Frame, Listed, int, int], Bar]
    order: Callable[[Frame, Listed, AccountId, int], OrderReport]
    fill: Callable[[Frame, Listed, AccountId, int], Fill | None]
    position: Callable[[Frame, Listed, AccountId, int], PositionReport]
