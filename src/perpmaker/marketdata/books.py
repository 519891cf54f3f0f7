"""Every instrument's book, judged: what is published is whole, uncrossed, not empty and fresh, or is marked stale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from perpmaker.marketdata.book import BookWithout, OrderBook, OwnLevels
from perpmaker.marketdata.prices import Prices
from perpmaker.model.events import Event, StaleReason
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S

MAX_AGE_NS: Final = 2 * NS_PER_S
MAX_LAG_NS: Final = 2 * NS_PER_S


class Transition(msgspec.Struct, frozen=True):
    """A book became usable (`reason` None) or stale, or is stale for another reason now."""

    instrument: InstrumentId
    reason: StaleReason | None
    ts_ns: int


class Books:
    """Keeps the books and prices of all instruments and says which may be traded on.

    A book is usable when its feed vouches for it (snapshot, then every delta), both sides have levels and do not cross,
    the last book frame was at most `max_lag_ns` old on arrival by the venue's clock, and some frame of the instrument,
    ticker and trades included, came within `max_age_ns`. A frame that is itself too old on arrival proves nothing.
    """

    stale_counts: dict[InstrumentId, Counter[StaleReason]]
    """How often each instrument went stale, by reason."""

    def __init__(
        self, instruments: Iterable[Instrument] = (), *, max_age_ns: int = MAX_AGE_NS, max_lag_ns: int = MAX_LAG_NS
    ) -> None:
        raise NotImplementedError

    def apply(self, event: Event) -> Transition | None:
        """Take in market data, InstrumentListed and Delisted, Connectivity of MARKET_DATA, ClockOffset; ignore the rest.

        Returns what changed about usability. A Connectivity change concerns many instruments: see `transitions`.
        """
        raise NotImplementedError

    def advance(self, now_ns: int) -> Sequence[Transition]:
        """Judge silence: returns the books that went stale because time passed, and those that changed unreported."""
        raise NotImplementedError

    @property
    def next_silence_ns(self) -> int:
        """The earliest time at which a usable book goes silent if nothing comes; 0 when no book is usable."""
        raise NotImplementedError

    def stale_reason(self, instrument: InstrumentId, now_ns: int) -> StaleReason | None:
        """Return why the book must not be traded on now, None when it may. Unknown instruments are STARTING."""
        raise NotImplementedError

    def book(self, instrument: InstrumentId, now_ns: int) -> OrderBook | None:
        """Return the book with our own orders in it, or None unless usable."""
        raise NotImplementedError

    def view_without(self, instrument: InstrumentId, own: OwnLevels, now_ns: int) -> BookWithout | None:
        """Return the book less our own orders, or None unless usable and others' orders are left on both sides."""
        raise NotImplementedError

    def age_ns(self, instrument: InstrumentId, now_ns: int) -> int | None:
        """Return the time since the last frame of the instrument, None before the first."""
        raise NotImplementedError

    def prices(self, instrument: InstrumentId) -> Prices | None:
        """Return mark, index and funding as last stated; None for an unknown instrument."""
        raise NotImplementedError

    def instrument(self, instrument: InstrumentId) -> Instrument | None:
        """Return the instrument's rules as the venue lists them now."""
        raise NotImplementedError
