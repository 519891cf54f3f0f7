"""What the contract suite needs to know of an adapter. A later adapter adds an `Adapter` and one line in `ADAPTERS`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from decimal import Decimal
from enum import Enum
from typing import Protocol

import msgspec

from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder
from perpmaker.venues.api import IntentLog, KillEpoch, MarketFeed, OrderGateway


class Fault(Enum):
    """What a venue under test can be made to do wrong."""

    LOSE_CREATE_ANSWER = "the order is accepted, its answer is lost"
    LOSE_CREATE = "the creation never arrives"
    REFUSE_WITH_SERVER_ERROR = "the order is accepted, the answer says internal error"
    CUT_EVERYTHING = "every connection is cut once"
    BOOK_GAP = "a book frame is missing"
    BOOK_NAN = "a book frame holds NaN"
    BOOK_MUTE = "the book stream stops, the others go on"
    ALL_MUTE = "every stream of the instrument stops"
    DUPLICATE_FILL = "fill frames are sent twice"
    MUTE_PRIVATE = "the account's order streams stop"
    END_SESSION = "the login is over"
    TOO_FAST = "creations are answered with too fast"
    MARK_MOVES = "the mark goes where a test wants it (`hold_mark`)"


class Truth(msgspec.Struct, frozen=True):
    """The venue's own books on one account: the oracle, never what the adapter says."""

    open_orders: frozenset[int]
    """Client order ids."""
    position: Decimal
    trade_ids: frozenset[str]
    fees: Decimal
    balance: Decimal


class Adapter(Protocol):
    """A venue that runs on this machine, and the adapter's two ends for it."""

    instrument: InstrumentId
    faults: frozenset[Fault]
    """What can go wrong between gateway and venue; tests of other faults are not this adapter's."""

    def running(self) -> AbstractContextManager[None]:
        """The venue, for a whole test session, with a market on it."""
        ...

    def session(self) -> AbstractAsyncContextManager[Session]:
        """One test's own account, connections and faults."""
        ...


class Session(Protocol):
    """What one test uses."""

    account: AccountId

    def feed(self) -> MarketFeed: ...
    def gateway(self, intents: IntentLog, kill: KillEpoch) -> OrderGateway:
        """A gateway on the session's own account; the feed it needs for the instrument list is running already."""
        ...

    def refused(self, order: NewOrder, instrument: Instrument) -> NewOrder:
        """Return an order that the venue refuses in its answer, made of one that it would take."""
        ...

    async def truth(self) -> Truth: ...
    async def inject(self, fault: Fault) -> None: ...
    async def clear_faults(self) -> None: ...
    async def hold_mark(self, px: Decimal | None) -> None:
        """Hold the instrument's mark at a price, None to let it follow the market again."""
        ...
