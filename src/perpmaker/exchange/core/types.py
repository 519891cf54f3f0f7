"""The exchange core's vocabulary: enums, order terms and states, fills, views and events.

Units, everywhere in `exchange.core`:

- `*_ticks`, `*_lots`: whole price ticks and size lots of one instrument.
- `*_nano`: quote currency (money, prices) times 10**9. The protocol limits every decimal to nine places (PROTOCOL 2),
  so nanos are exact for whatever can be said on the wire.
- `*_cb`: rates in centibeeps, 1/100 of a basis point, 10**-6 of one; 0.045 % is 450 (PROTOCOL 2, 3.4, 7 ClientTier).
- `*_ns`: Unix nanoseconds.

Enum values are the numbers of PROTOCOL 9. Everything a caller is handed is a frozen value; events are tagged structs, so
that `msgspec` can write them and read them back.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

NANO = 1_000_000_000
UNASSIGNED_ORDER_ID = "0x00"


class Side(enum.IntEnum):
    BUY = 1
    SELL = -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class TimeInForce(enum.IntEnum):
    GOOD_TILL_TIME = 1
    ALL_OR_NONE = 2
    IMMEDIATE_OR_CANCEL = 3
    FILL_OR_KILL = 4
    RETAIL_PRICE_IMPROVEMENT = 5


class OrderStatus(enum.IntEnum):
    PENDING = 1
    OPEN = 2
    FILLED = 3
    REJECTED = 4
    CANCELLED = 5


class OrderRejectReason(enum.IntEnum):
    UNSPECIFIED = 0
    CLIENT_CANCEL = 1
    CLIENT_BULK_CANCEL = 2
    CLIENT_SESSION_END = 3
    MARKET_CANCEL = 4
    IOC_CANCEL = 5
    AON_CANCEL = 6
    FOK_CANCEL = 7
    EXPIRED = 8
    FAIL_POST_ONLY = 9
    FAIL_REDUCE_ONLY = 10
    MM_PROTECTION = 11
    SELF_TRADE_PROTECTION = 12
    SELF_MATCHED_SUBACCOUNT = 13
    OVERLAPPING_CLIENT_ORDER_ID = 14
    BELOW_MARGIN = 15
    LIQUIDATION = 16
    INSTRUMENT_INVALID = 17
    INSTRUMENT_DEACTIVATED = 18
    SYSTEM_FAILOVER = 19
    UNAUTHORISED = 20
    SESSION_KEY_EXPIRED = 21
    SUB_ACCOUNT_NOT_FOUND = 22
    NO_TRADE_PERMISSION = 23
    UNSUPPORTED_TIME_IN_FORCE = 24
    MULTI_LEGGED_ORDER = 25
    EXCEED_MAX_POSITION_SIZE = 26
    EXCEED_MAX_SIGNATURE_EXPIRATION = 27
    MARKET_ORDER_WITH_LIMIT_PRICE = 28
    CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED = 29
    OCO_COUNTER_PART_TRIGGERED = 30
    REDUCE_ONLY_LIMIT = 31
    CLIENT_REPLACE = 32
    DERISK_MUST_BE_IOC = 33
    DERISK_MUST_BE_REDUCE_ONLY = 34
    DERISK_NOT_SUPPORTED = 35
    INVALID_ORDER_TYPE = 36
    CURRENCY_NOT_DEFINED = 37


class CancelStatus(enum.IntEnum):
    EXPIRED = 1
    DROPPED_DUPLICATE = 2


class Kind(enum.IntEnum):
    PERPETUAL = 1
    SPOT = 5
    """Has no funding. A face may list one for its price alone."""


class SelfTrade(enum.IntEnum):
    """Who gives way when an order would meet one of its own owner; it is a violation whoever does."""

    CANCEL_TAKER = 1
    CANCEL_MAKER = 2
    CANCEL_BOTH = 3


class TriggerType(enum.IntEnum):
    TAKE_PROFIT = 1
    STOP_LOSS = 2


class TriggerBy(enum.IntEnum):
    """Which price fires a trigger."""

    INDEX = 1
    LAST = 2
    MID = 3
    MARK = 4


class PositionMarginType(enum.IntEnum):
    ISOLATED = 1
    CROSS = 2


class PositionCloseStatus(enum.IntEnum):
    CLOSED = 1
    LIQUIDATED = 2
    SETTLED = 3
    PARTIALLY_CLOSED = 4


class CandleInterval(enum.IntEnum):
    CI_1_M = 1
    CI_3_M = 2
    CI_5_M = 3
    CI_15_M = 4
    CI_30_M = 5
    CI_1_H = 6
    CI_2_H = 7
    CI_4_H = 8
    CI_6_H = 9
    CI_8_H = 10
    CI_12_H = 11
    CI_1_D = 12
    CI_3_D = 13
    CI_5_D = 14
    CI_1_W = 15
    CI_2_W = 16
    CI_3_W = 17
    CI_4_W = 18


class CandleType(enum.IntEnum):
    TRADE = 1
    MARK = 2
    INDEX = 3
    MID = 4


class InstrumentMode(enum.IntEnum):
    """What the venue lets happen on an instrument; cancels work in every mode."""

    ACTIVE = 1
    REDUCE_ONLY = 2
    """Only reduce-only creations (7304)."""
    FROZEN = 3
    """The market is over: nothing trades or moves, creations get 2060, resting orders stay until cancelled. A face sends no
    more market data for it, so that clients see it go stale."""
    DELISTED = 4
    """As FROZEN, and resting orders were cancelled with INSTRUMENT_DEACTIVATED."""


# --- order entry ------------------------------------------------------------------------------------------------------


class Signature(msgspec.Struct, frozen=True):
    """What the client signed with; the core reads `expiration_ns` and `nonce` and echoes the rest."""

    signer: str
    r: str
    s: str
    v: int
    expiration_ns: int
    nonce: int
    chain_id: str = "0"


class Leg(msgspec.Struct, frozen=True):
    """One leg as asked for, before any check: natural units, possibly off the grid or for no known instrument."""

    instrument: str
    side: Side
    qty: Decimal
    limit_px: Decimal | None = None
    """None, or zero in any spelling, means no price."""


class TriggerRequest(msgspec.Struct, frozen=True):
    """A take-profit or stop-loss block as asked for, before any check."""

    kind: TriggerType
    by: TriggerBy | None = None
    px: Decimal | None = None
    close_position: bool = False
    """Position-linked: closes the whole position when it fires."""
    is_split_position: bool = False
    """One of a set of triggers over a position."""
    is_whole: bool = True
    """The block says more than its type."""


class OrderRequest(msgspec.Struct, frozen=True):
    """A creation as it came in, its signature already verified; `Venue.create_order` does every other check."""

    sub_account_id: int
    legs: tuple[Leg, ...]
    signature: Signature
    client_order_id: int | None
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_TIME
    is_market: bool = False
    post_only: bool = False
    reduce_only: bool = False
    order_id: str = ""
    """Must be empty ("", "0x00", "0x0", "0"); 2010 otherwise."""
    has_state: bool = False
    """The client sent a `state` (2050)."""
    create_time_ns: int = 0
    """The client sent a `metadata.create_time` (2051)."""
    trigger: TriggerRequest | None = None
    broker: str = "UNSPECIFIED"
    builder: str = "0x00"
    builder_fee_cb: int = 0
    retail: bool = False
    """Flow of the venue's own web or mobile client: the only kind that may take RPI orders."""
    self_trade: SelfTrade = SelfTrade.CANCEL_TAKER


class Rejection(msgspec.Struct, frozen=True):
    """A synchronous refusal: an error code of PROTOCOL 8, and words for a log."""

    code: int
    detail: str = ""


class Trigger(msgspec.Struct, frozen=True):
    """What an order waits for."""

    kind: TriggerType
    by: TriggerBy
    px_ticks: int
    counterpart: int = 0
    """The client order id of the other trigger of a pair of which one fires; 0: there is none."""
    parent: int = 0
    """The client order id of the order that has to trade before the price is looked at; 0: there is none, or it did."""

    def is_above(self, side: Side) -> bool:
        """Whether an order of `side` fires at its price or above it, else at it or below: losses of a sale that closes
        a long position are below, its profits above; those of a purchase the other way round."""
        return (side is Side.BUY) is (self.kind is TriggerType.STOP_LOSS)


class OrderTerms(msgspec.Struct, frozen=True):
    """What does not change about an accepted order."""

    sub_account_id: int
    instrument: str
    side: Side
    qty_lots: int
    px_ticks: int
    """0 for a market order."""
    client_order_id: int
    time_in_force: TimeInForce
    is_market: bool
    post_only: bool
    reduce_only: bool
    signature: Signature
    create_ns: int
    broker: str
    builder: str
    builder_fee_cb: int
    retail: bool
    self_trade: SelfTrade = SelfTrade.CANCEL_TAKER
    trigger: Trigger | None = None


class OrderState(msgspec.Struct, frozen=True):
    status: OrderStatus
    reason: OrderRejectReason
    book_lots: int
    """Still open for matching; 0 once closed."""
    traded_lots: int
    avg_px_nano: int
    """0 before the first fill."""
    update_ns: int
    fired_ns: int = 0
    """When its trigger fired; 0: it has none, or waits for it."""


class OrderView(msgspec.Struct, frozen=True):
    order_id: str
    """`0x00` while the order is PENDING (PROTOCOL 6, create_order)."""
    terms: OrderTerms
    state: OrderState


class InstrumentFilter(msgspec.Struct, frozen=True):
    """Which instruments a request is about; an empty tuple means all (PROTOCOL 4)."""

    kinds: tuple[Kind, ...] = ()
    bases: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()


ALL_INSTRUMENTS = InstrumentFilter()


class BulkOutcome(msgspec.Struct, frozen=True):
    orders: tuple[OrderView, ...]
    cancel_acks: tuple[bool, ...]
    """One for each cancel asked for, in order: found, or armed for its time to live."""


# --- what happened ----------------------------------------------------------------------------------------------------


class Fill(msgspec.Struct, frozen=True):
    """One side of an execution, of a client's account; the flow of the simulated market gets none."""

    event_ns: int
    sub_account_id: int
    instrument: str
    side: Side
    is_taker: bool
    qty_lots: int
    px_ticks: int
    mark_nano: int
    index_nano: int
    realized_pnl_nano: int
    """Before fees; 0 for the part that opens or adds."""
    fee_nano: int
    """Cost > 0, rebate < 0; builder fee not included."""
    fee_rate_cb: int
    trade_id: str
    order_id: str
    client_order_id: int
    signer: str
    broker: str
    is_rpi: bool
    builder: str
    builder_fee_rate_cb: int
    builder_fee_nano: int


class Trade(msgspec.Struct, frozen=True):
    """One public execution."""

    event_ns: int
    instrument: str
    is_taker_buyer: bool
    qty_lots: int
    px_ticks: int
    mark_nano: int
    index_nano: int
    trade_id: str
    is_rpi: bool


class FundingRate(msgspec.Struct, frozen=True):
    """A settled funding rate; `rate_cb` is per `interval_hours`, positive: longs pay."""

    instrument: str
    funding_ns: int
    rate_cb: int
    mark_nano: int
    interval_hours: int


class FundingPayment(msgspec.Struct, frozen=True):
    event_ns: int
    sub_account_id: int
    instrument: str
    currency: str
    amount_nano: int
    """Positive = paid."""
    tx_id: int


class FeeTier(msgspec.Struct, frozen=True):
    number: int
    """As in `funding_account_summary.tier`; 0 is the rate ordinary accounts were seen to pay."""
    maker_cb: int
    """Rebates negative."""
    taker_cb: int


class Violation(msgspec.Struct, frozen=True):
    """An order that would have traded against its own owner; what the incoming one's `self_trade` says was cancelled."""

    event_ns: int
    reason: OrderRejectReason
    instrument: str
    px_ticks: int
    incoming_order_id: str
    incoming_sub_account_id: int
    incoming_client_order_id: int
    resting_order_id: str
    resting_sub_account_id: int
    resting_client_order_id: int


# --- views of a moment ------------------------------------------------------------------------------------------------


class PositionView(msgspec.Struct, frozen=True):
    """One open position; after it closes, one last view with `qty_lots` 0."""

    event_ns: int
    sub_account_id: int
    instrument: str
    qty_lots: int
    """Signed, long > 0."""
    notional_nano: int
    entry_px_nano: int
    exit_px_nano: int
    mark_nano: int
    unrealized_pnl_nano: int
    realized_pnl_nano: int
    total_pnl_nano: int
    roi_cb: int
    """Total PnL over entry notional, in centibeeps: PROTOCOL's percent is this / 10**4."""
    est_liquidation_px_nano: int
    leverage_e6: int
    cumulative_fee_nano: int
    cumulative_funding_nano: int
    """Positive = paid."""
    margin_type: PositionMarginType


class AccountView(msgspec.Struct, frozen=True):
    event_ns: int
    sub_account_id: int
    settle_currency: str
    balance_nano: int
    unrealized_pnl_nano: int
    total_equity_nano: int
    initial_margin_nano: int
    maintenance_margin_nano: int
    available_nano: int
    positions: tuple[PositionView, ...]


class LeverageView(msgspec.Struct, frozen=True):
    instrument: str
    leverage_e6: int
    min_leverage_e6: int
    max_leverage_e6: int
    margin_type: PositionMarginType


class PositionHistoryRow(msgspec.Struct, frozen=True):
    sub_account_id: int
    instrument: str
    open_ns: int
    close_ns: int
    """Of the last reducing trade."""
    status: PositionCloseStatus
    is_long: bool
    margin_type: PositionMarginType
    entry_px_nano: int
    exit_px_nano: int
    close_mark_nano: int | None
    """None while partially closed."""
    realized_pnl_nano: int
    cumulative_fee_nano: int
    cumulative_funding_nano: int
    closed_lots: int
    closed_quote_nano: int
    max_lots: int
    max_notional_nano: int
    cumulative_initial_margin_nano: int
    max_initial_margin_nano: int
    leverage_e6: int
    unrealized_pnl_nano: int | None
    """None once closed."""


class TickerView(msgspec.Struct, frozen=True):
    """Everything of a mini ticker and a ticker; None where there is no such price yet."""

    event_ns: int
    instrument: str
    mark_nano: int
    index_nano: int
    last_px_ticks: int | None
    last_lots: int | None
    mid_nano: int | None
    best_bid_ticks: int | None
    best_bid_lots: int | None
    best_ask_ticks: int | None
    best_ask_lots: int | None
    buy_volume_24h_lots: int
    sell_volume_24h_lots: int
    buy_volume_24h_nano: int
    sell_volume_24h_nano: int
    high_ticks: int | None
    low_ticks: int | None
    open_ticks: int | None
    open_interest_lots: int
    long_short_ratio_e4: int
    """Accounts long over accounts short, times 10**4."""
    funding_rate_cb: int
    """For the current interval, as it stands."""
    next_funding_ns: int


class Candle(msgspec.Struct, frozen=True):
    """Prices are nano, also for trades, so that all four types look alike."""

    instrument: str
    open_ns: int
    close_ns: int
    open_nano: int
    high_nano: int
    low_nano: int
    close_nano: int
    volume_lots: int
    volume_nano: int
    trades: int


class BookLevel(msgspec.Struct, frozen=True, array_like=True):
    px_ticks: int
    qty_lots: int
    """0 in a list of changes: the level is gone."""
    num_orders: int


class BookSnapshot(msgspec.Struct, frozen=True):
    """Both sides best first. `version` is where `Book.changes_since` goes on from."""

    instrument: str
    event_ns: int
    version: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]


Row = TypeVar("Row")


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """Rows newest first; `next_before` is what to pass as `before` for the following page, None when there is none."""

    rows: Sequence[Row]
    next_before: int | None


# --- events: the ordered stream that a protocol face turns into its own ------------------------------------------------


class OrderUpdated(msgspec.Struct, frozen=True, tag=True):
    order: OrderView


class FillReported(msgspec.Struct, frozen=True, tag=True):
    fill: Fill


class PositionUpdated(msgspec.Struct, frozen=True, tag=True):
    position: PositionView


class CancelStatusUpdated(msgspec.Struct, frozen=True, tag=True):
    """What became of a cancel that was armed for an unknown client order id (stream v1.cancel)."""

    event_ns: int
    sub_account_id: int
    client_order_id: int
    status: CancelStatus
    reason: OrderRejectReason


class TradePrinted(msgspec.Struct, frozen=True, tag=True):
    trade: Trade


class BookChanged(msgspec.Struct, frozen=True, tag=True):
    """Levels changed since the last time events were taken; said once per instrument and taking."""

    instrument: str


class TickerChanged(msgspec.Struct, frozen=True, tag=True):
    """A mini-ticker value changed since the last time events were taken; said once per instrument and taking."""

    instrument: str


class FundingSettled(msgspec.Struct, frozen=True, tag=True):
    rate: FundingRate


class FundingPaid(msgspec.Struct, frozen=True, tag=True):
    payment: FundingPayment


class InstrumentModeChanged(msgspec.Struct, frozen=True, tag=True):
    event_ns: int
    instrument: str
    mode: InstrumentMode


class AccountOpened(msgspec.Struct, frozen=True, tag=True):
    event_ns: int
    sub_account_id: int
    main_account: str
    owner: str
    deposit_nano: int
    fees: FeeTier


class FeeTierSet(msgspec.Struct, frozen=True, tag=True):
    event_ns: int
    sub_account_id: int
    fees: FeeTier


class LeverageSet(msgspec.Struct, frozen=True, tag=True):
    event_ns: int
    sub_account_id: int
    instrument: str
    leverage_e6: int


class DisconnectArmed(msgspec.Struct, frozen=True, tag=True):
    """The countdown after which all of an account's orders are cancelled was set, stopped or is over."""

    event_ns: int
    sub_account_id: int
    due_ns: int
    """0: there is none."""


class ViolationRecorded(msgspec.Struct, frozen=True, tag=True):
    violation: Violation


Event = (
    OrderUpdated
    | FillReported
    | PositionUpdated
    | CancelStatusUpdated
    | TradePrinted
    | BookChanged
    | TickerChanged
    | FundingSettled
    | FundingPaid
    | InstrumentModeChanged
    | AccountOpened
    | FeeTierSet
    | LeverageSet
    | DisconnectArmed
    | ViolationRecorded
)
