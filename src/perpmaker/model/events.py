"""Everything that can happen. The engine is a function of these and of nothing else.

`ts_event_ns` is the venue's time of the thing, `ts_recv_ns` ours when we learned of it; in a handler `ctx.now_ns()` is
the latter. Evidence about orders is stated as the venue stated it; `execution` alone decides what it means.
"""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from perpmaker.model.book import Level
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId, VenueOrderId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side, Trigger

# --- market data -----------------------------------------------------------------------------------------------------


class StaleReason(enum.Enum):
    """Why a book must not be traded on."""

    STARTING = "starting"
    GAP = "gap"
    CROSSED = "crossed"
    EMPTY = "empty"
    BAD_FRAME = "bad_frame"
    DISCONNECTED = "disconnected"
    SILENT = "silent"
    OLD = "old"


class BookSnapshot(msgspec.Struct, frozen=True, tag=True):
    """A whole book as the venue stated it, best first; not yet judged (marketdata judges crossed, empty and old)."""

    instrument: InstrumentId
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    ts_event_ns: int
    ts_recv_ns: int


class BookDelta(msgspec.Struct, frozen=True, tag=True):
    """Changed levels, in sequence with the snapshot before; quantity 0 removes the level."""

    instrument: InstrumentId
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    ts_event_ns: int
    ts_recv_ns: int


class BookStale(msgspec.Struct, frozen=True, tag=True):
    """The feed cannot vouch for the book until the next BookSnapshot."""

    instrument: InstrumentId
    reason: StaleReason
    ts_recv_ns: int


class Trade(msgspec.Struct, frozen=True, tag=True):
    """A public trade; `aggressor` is the taker's side. Replayed ones (from before the subscription) are marked."""

    instrument: InstrumentId
    px_ticks: int
    qty_lots: int
    aggressor: Side
    trade_id: TradeId
    ts_event_ns: int
    ts_recv_ns: int
    replayed: bool = False


class Ticker(msgspec.Struct, frozen=True, tag=True):
    """Mark, index, last and funding; None where the venue sent none. It is also the instrument's heartbeat.

    `funding_rate` is a fraction per funding interval, positive when longs pay.
    """

    instrument: InstrumentId
    mark_px: Decimal | None
    index_px: Decimal | None
    last_px: Decimal | None
    funding_rate: Decimal | None
    next_funding_ns: int
    ts_event_ns: int
    ts_recv_ns: int


class Bar(msgspec.Struct, frozen=True, tag=True):
    """A finished candle of `interval_s` seconds beginning at `open_ns`; `volume` in base units."""

    instrument: InstrumentId
    interval_s: int
    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int
    ts_recv_ns: int


class InstrumentListed(msgspec.Struct, frozen=True, tag=True):
    """The venue lists this instrument, or changed its rules."""

    instrument: Instrument
    ts_recv_ns: int


class InstrumentDelisted(msgspec.Struct, frozen=True, tag=True):
    instrument: InstrumentId
    ts_recv_ns: int


# --- evidence about our orders ---------------------------------------------------------------------------------------


class VenueStatus(enum.Enum):
    """An order's status in the venue's words."""

    __hash__ = object.__hash__

    PENDING = "pending"
    OPEN = "open"
    FILLED = "filled"
    REJECTED = "rejected"
    CANCELED = "canceled"
    EXPIRED = "expired"


class Source(enum.Enum):
    """Where evidence came from; it never changes what the evidence means, only how fresh it is."""

    REPLY = "reply"
    STREAM = "stream"
    QUERY = "query"
    HISTORY = "history"
    SNAPSHOT = "snapshot"
    JOURNAL = "journal"


class OrderPrepared(msgspec.Struct, frozen=True, tag=True):
    """The intent with its signed bytes is in the journal; the bytes leave in the same step."""

    account: AccountId
    client_order_id: ClientOrderId
    ts_recv_ns: int


class OrderNotSent(msgspec.Struct, frozen=True, tag=True):
    """Certainly no byte left: journal failure, closed socket, kill epoch changed, rate budget used up."""

    account: AccountId
    client_order_id: ClientOrderId
    reason: str
    ts_recv_ns: int


class OrderReport(msgspec.Struct, frozen=True, tag=True):
    """The venue's statement about one order, from a reply, a stream, a query or a snapshot.

    `cum_qty`, `avg_px` (None before the first fill) are the venue's; `reason` its reject or cancel reason, "" for none.
    `client_order_id` may be foreign (not of our form). `order` fields are given where the statement carries them.
    """

    account: AccountId
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None
    instrument: InstrumentId
    status: VenueStatus
    cum_qty: Decimal
    avg_px: Decimal | None
    reason: str
    source: Source
    ts_event_ns: int
    ts_recv_ns: int
    side: Side | None = None
    px: Decimal | None = None
    qty: Decimal | None = None
    reduce_only: bool = False
    trigger: Trigger | None = None


class SubmitRejected(msgspec.Struct, frozen=True, tag=True):
    """The reply to a create was a refusal that is certain by the venue's code table."""

    account: AccountId
    client_order_id: ClientOrderId
    code: int
    text: str
    ts_recv_ns: int
    stands_alone: bool = False
    """Certain to have been refused with no other order of ours there: for its rate, its login, its price."""


class SubmitUnknown(msgspec.Struct, frozen=True, tag=True):
    """A create may or may not have reached the venue: timeout, lost link, ambiguous code."""

    account: AccountId
    client_order_id: ClientOrderId
    reason: str
    ts_recv_ns: int


class CancelReceived(msgspec.Struct, frozen=True, tag=True):
    """A receipt only: the venue got the cancel. The order may still fill."""

    account: AccountId
    client_order_id: ClientOrderId
    ts_recv_ns: int


class CancelSent(msgspec.Struct, frozen=True, tag=True):
    """The cancel left us."""

    account: AccountId
    client_order_id: ClientOrderId
    ts_recv_ns: int


class CancelFailed(msgspec.Struct, frozen=True, tag=True):
    """The cancel was refused, could not be sent, got no answer, or its time-to-live ran out without meeting the order.

    `not_found` means the venue knows no such active order: that calls for a query, it never proves "was not placed".
    """

    account: AccountId
    client_order_id: ClientOrderId
    not_found: bool
    reason: str
    ts_recv_ns: int


class OrderNotFound(msgspec.Struct, frozen=True, tag=True):
    """A single-order query answered "unknown": evidence, not proof (RELIABILITY E11)."""

    account: AccountId
    client_order_id: ClientOrderId
    ts_recv_ns: int


class Fill(msgspec.Struct, frozen=True, tag=True):
    """One execution. `fee` > 0 is a cost in `fee_currency`; `realized_pnl` is the venue's own figure."""

    account: AccountId
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None
    trade_id: TradeId
    instrument: InstrumentId
    side: Side
    px: Decimal
    qty: Decimal
    fee: Decimal
    fee_currency: str
    is_taker: bool
    realized_pnl: Decimal
    ts_event_ns: int
    ts_recv_ns: int
    source: Source = Source.STREAM
    is_rpi: bool = False
    is_liquidation: bool = False
    mark_px: Decimal | None = None


class OrderRetired(msgspec.Struct, frozen=True, tag=True):
    """Reconciliation proved that the venue never had, and can no longer get, this order; `proof` says how."""

    account: AccountId
    client_order_id: ClientOrderId
    proof: str
    ts_recv_ns: int


# --- account ---------------------------------------------------------------------------------------------------------


class PositionReport(msgspec.Struct, frozen=True, tag=True):
    """The venue's position; `qty` signed, long > 0; `avg_entry_px` None when flat."""

    account: AccountId
    instrument: InstrumentId
    qty: Decimal
    avg_entry_px: Decimal | None
    mark_px: Decimal | None
    unrealized_pnl: Decimal
    ts_event_ns: int
    ts_recv_ns: int
    source: Source = Source.STREAM


class FundingPaid(msgspec.Struct, frozen=True, tag=True):
    """A funding payment; `amount` > 0 was received (the venue's own sign is turned at the edge)."""

    account: AccountId
    instrument: InstrumentId
    amount: Decimal
    currency: str
    payment_id: str
    ts_event_ns: int
    ts_recv_ns: int


class AccountSnapshot(msgspec.Struct, frozen=True, tag=True):
    """One complete pass over an account: every list was read to its end after `ts_asked_ns`, or there is no snapshot.

    `fills` reach back to `fills_since_ns`. `equity` is the venue's total equity, `balance` its settled cash.
    """

    account: AccountId
    open_orders: tuple[OrderReport, ...]
    positions: tuple[PositionReport, ...]
    fills: tuple[Fill, ...]
    funding: tuple[FundingPaid, ...]
    balance: Decimal
    equity: Decimal
    available: Decimal
    currency: str
    fills_since_ns: int
    ts_asked_ns: int
    ts_event_ns: int
    ts_recv_ns: int


class SnapshotFailed(msgspec.Struct, frozen=True, tag=True):
    """A pass could not be completed. It says nothing about orders or positions: a failed read is not an empty one."""

    account: AccountId
    reason: str
    ts_recv_ns: int


class PositionAdjusted(msgspec.Struct, frozen=True, tag=True):
    """Our position was set to the venue's without fills that explain it, once reconciliation had looked for them.

    `qty` signed is what was added to ours, valued at `px`; `adjustment_id` is the same for the same difference, so that it
    is booked once.
    """

    account: AccountId
    instrument: InstrumentId
    qty: Decimal
    px: Decimal
    adjustment_id: str
    ts_recv_ns: int


# --- links, time, people ---------------------------------------------------------------------------------------------


class Channel(enum.Enum):
    MARKET_DATA = "market_data"
    PRIVATE = "private"
    ORDER_ENTRY = "order_entry"


class Connectivity(msgspec.Struct, frozen=True, tag=True):
    """A channel of an account (or, for public data, of an exchange) came up or went down."""

    name: str
    """The account id, or the exchange for MARKET_DATA."""
    channel: Channel
    up: bool
    reason: str
    ts_recv_ns: int


class ClockOffset(msgspec.Struct, frozen=True, tag=True):
    """Venue time minus ours, and how long the question took."""

    exchange: str
    offset_ns: int
    round_trip_ns: int
    ts_recv_ns: int


class RateBudget(msgspec.Struct, frozen=True, tag=True):
    """What is left of the request budget, and until when a penalty keeps us silent (0: no penalty)."""

    account: AccountId
    orders_left: float
    cancels_left: float
    penalty_until_ns: int
    ts_recv_ns: int


class Leverage(msgspec.Struct, frozen=True):
    """How many times its margin a position may be worth; `margin_type` is the venue's word, "" where it has none."""

    leverage: Decimal
    margin_type: str = ""


class LeverageTold(msgspec.Struct, frozen=True, tag=True):
    """The leverage that the owner has set, by instrument, under "" for all of the account. It is shown, never changed."""

    account: AccountId
    leverages: dict[str, Leverage]
    ts_recv_ns: int


class FeesTold(msgspec.Struct, frozen=True, tag=True):
    """What trading costs an account by the venue's own word, as fractions of notional; > 0 is a cost, < 0 a rebate."""

    account: AccountId
    maker: Decimal
    taker: Decimal
    ts_recv_ns: int


class ConversionRate(msgspec.Struct, frozen=True, tag=True):
    """What one unit of currency `source` is worth in `target`, and who says so."""

    source: str
    target: str
    rate: Decimal
    told_by: str
    ts_event_ns: int
    ts_recv_ns: int


class Timer(msgspec.Struct, frozen=True, tag=True):
    """A timer somebody asked for is due. `ts_recv_ns` is the time it was set for or later."""

    key: str
    ts_recv_ns: int


class Operator(msgspec.Struct, frozen=True, tag=True):
    """A person's command that passed the control server's checks; `command_id` makes it safe to repeat."""

    command_id: str
    kind: str
    """pause, resume, stop, close, kill, clear_kill, reload ..."""
    strategy: StrategyId | None
    arguments: dict[str, str]
    actor: str
    ts_recv_ns: int


MarketEvent = BookSnapshot | BookDelta | BookStale | Trade | Ticker | Bar | InstrumentListed | InstrumentDelisted
OrderEvent = (
    OrderPrepared
    | OrderNotSent
    | OrderReport
    | SubmitRejected
    | SubmitUnknown
    | CancelSent
    | CancelReceived
    | CancelFailed
    | OrderNotFound
    | OrderRetired
    | Fill
)
AccountEvent = PositionReport | FundingPaid | AccountSnapshot | SnapshotFailed | PositionAdjusted
LinkEvent = Connectivity | ClockOffset | RateBudget | ConversionRate | LeverageTold | FeesTold
Event = MarketEvent | OrderEvent | AccountEvent | LinkEvent | Timer | Operator
