"""From wanted quotes to the fewest changes: which orders stay, which are cancelled, which are new."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.execution.orders import OrderChange, OrderTable
from perpmaker.marketdata.book import TopOfBook
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder, Side
from perpmaker.model.quote import Quote
from perpmaker.model.units import NS_PER_MS, NS_PER_S


class LadderRules(msgspec.Struct, frozen=True):
    """What makes an existing order good enough to keep, and how long quotes live."""

    keep_size_min_frac: Decimal = Decimal("0.5")
    """Kept when at least this fraction of the wanted quantity is left ..."""
    keep_size_max_frac: Decimal = Decimal("1.1")
    """... and at most this."""
    quote_life_ns: int = 120 * NS_PER_S
    """Signature expiration of a quote; 0 leaves it to the gateway."""
    renew_before_ns: int = 5 * NS_PER_S
    """A quote this close to its expiration is replaced."""
    max_unanswered: int = 2
    """Requests without an answer per instrument at which no more creations are asked for (RELIABILITY N14)."""
    reject_hold_ns: int = 500 * NS_PER_MS
    """After a rejected quote its side waits this long, doubled by each further one (RELIABILITY E21)."""
    reject_hold_max_ns: int = 16 * NS_PER_S


DEFAULT_RULES: Final = LadderRules()


class Dropped(enum.Enum):
    """Why a wanted quote is not worked now."""

    BAD_PRICE = "bad_price"
    """Not finite and positive."""
    BELOW_MIN_QTY = "below_min_qty"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    DUPLICATE_LAYER = "duplicate_layer"
    IN_FLIGHT = "in_flight"
    """The layer has an order whose creation or cancel is not answered yet, or whose outcome is unknown."""
    UNANSWERED = "unanswered"
    """Too many requests of the instrument are unanswered."""
    REJECT_HOLD = "reject_hold"
    """The venue rejected the last ones of this side."""
    NO_BUDGET = "no_budget"
    """The order rate is used up; inner layers go first."""


class DroppedQuote(msgspec.Struct, frozen=True):
    side: Side
    layer: int
    reason: Dropped


class LadderChange(msgspec.Struct, frozen=True):
    """One change of a ladder, to go out as one ReplaceOrders once the gate has seen `orders`."""

    cancels: tuple[CancelOrder, ...]
    orders: tuple[NewOrder, ...]
    kept: int
    dropped: tuple[DroppedQuote, ...]

    @property
    def is_empty(self) -> bool:
        raise NotImplementedError


def quote_tag(side: Side, layer: int) -> str:
    """Name a ladder slot as orders carry it: "quote bid 2"."""
    raise NotImplementedError


def quote_slot(tag: str) -> tuple[Side, int] | None:
    """Read a ladder slot back from an order's tag; None for an order that is no quote."""
    raise NotImplementedError


class WorkingOrders:
    """The ladder of one strategy on one instrument of one account.

    Each (side, layer) has at most one order that is not being cancelled, in-flight and unknown ones included; an order
    whose cancel is under way keeps its layer until it has ended, except in the very change that cancels and replaces it.
    Everything is read from the order table, so a restart needs no more than the orders' tags.
    """

    def __init__(
        self,
        *,
        account: AccountId,
        strategy: StrategyId,
        instrument: InstrumentId,
        table: OrderTable,
        next_id: Callable[[], ClientOrderId],
        rules: LadderRules = DEFAULT_RULES,
    ) -> None:
        raise NotImplementedError

    def change(
        self,
        bids: Sequence[Quote],
        asks: Sequence[Quote],
        *,
        instrument: Instrument,
        book: TopOfBook,
        now_ns: int,
        allowance: int = 1_000_000,
    ) -> LadderChange:
        """Return what turns the live orders into the wanted ladder; empty when nothing has to change.

        `book` is the venue's book with our own orders in it: quotes are clipped so as not to cross its best prices.
        `allowance` is how many creations the rate limit still passes (`Gate.allowance`).
        """
        raise NotImplementedError

    def pull(self) -> tuple[CancelOrder, ...]:
        """Return cancels for every quote that is not being cancelled already; needs no book."""
        raise NotImplementedError

    def sent(self, change: LadderChange, approved: Sequence[ClientOrderId], now_ns: int) -> None:
        """Note that a change went out, with those of its orders the gate approved: it counts as unanswered until it is."""
        raise NotImplementedError

    def on_change(self, change: OrderChange, now_ns: int) -> None:
        """Learn from what happened to the quotes: rejections hold the side back, acceptances release it."""
        raise NotImplementedError
