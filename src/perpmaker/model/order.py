"""Orders in FIX words, and the outcome of asking risk for permission."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, VenueOrderId


class Side(enum.Enum):
    __hash__ = object.__hash__  # members are single objects; Enum's own hash is that of the name, in Python, and is hot
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: a fill moves the position by `side.sign * qty`."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class TimeInForce(enum.Enum):
    GTT = "gtt"
    """Good till time: rests until its signature expires."""
    IOC = "ioc"
    FOK = "fok"
    AON = "aon"
    RPI = "rpi"
    """Retail price improvement: post-only, taken by retail flow alone."""


class OrderState(enum.Enum):
    """DESIGN §5. Partial fills are data (`cum_qty > 0`), not a state."""

    __hash__ = object.__hash__

    PREPARED = "prepared"
    SENT = "sent"
    OPEN = "open"
    CANCEL_SENT = "cancel_sent"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DENIED = "denied"
    NOT_SENT = "not_sent"
    RETIRED = "retired"

    @property
    def is_terminal(self) -> bool:
        """A terminal order never becomes live again; late fills are still booked."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.DENIED,
        OrderState.NOT_SENT,
        OrderState.RETIRED,
    }
)


class TriggerKind(enum.Enum):
    """What an order that waits for a price is for."""

    __hash__ = object.__hash__

    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"


class TriggerBy(enum.Enum):
    """Which price fires a trigger, by the venue's own figures."""

    INDEX = "index"
    LAST = "last"
    MID = "mid"
    MARK = "mark"


class Trigger(msgspec.Struct, frozen=True):
    """What an order waits for at the venue. Until then it is OPEN there and in no book; then it acts as its tif says.

    A stop loss that sells fires when the price has fallen to `px`, one that buys when it has risen to it; a take profit
    the other way round.
    """

    kind: TriggerKind
    by: TriggerBy
    px: Decimal

    def is_reached(self, side: Side, px: Decimal) -> bool:
        """Return whether an order of `side` would fire at this price."""
        falling = (side is Side.SELL) is (self.kind is TriggerKind.STOP_LOSS)
        return px <= self.px if falling else px >= self.px


class NewOrder(msgspec.Struct, frozen=True):
    """An order as wanted, before risk has seen it. `px` None means a market order; `qty` > 0 in base units."""

    client_order_id: ClientOrderId
    account: AccountId
    strategy: StrategyId
    instrument: InstrumentId
    side: Side
    px: Decimal | None
    qty: Decimal
    tif: TimeInForce = TimeInForce.GTT
    post_only: bool = False
    reduce_only: bool = False
    expire_ns: int = 0
    """UTC ns after which the order cannot rest or arrive any more (GRVT: signature expiration); 0 = gateway default."""
    tag: str = ""
    """Why it exists, for people: "quote bid 2", "close", "sweep 3"."""
    trigger: Trigger | None = None
    """What it waits for at the venue, None for an order that acts on arrival."""


class CancelOrder(msgspec.Struct, frozen=True):
    """A wish to cancel. By client order id where the venue allows it, so that it also meets orders in flight."""

    account: AccountId
    instrument: InstrumentId
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None = None
    ttl_ms: int = 0
    """How long the venue keeps an unmatched cancel armed (GRVT 100..5000); 0 = the venue's default."""
    by_venue_id: bool = False
    """Ask by `venue_order_id`: a second try, when the cancel by client order id led to nothing."""


class Approved(msgspec.Struct, frozen=True):
    """An order that passed the risk gate. Only `perpmaker.risk` makes these (a test proves it).

    `kill_epoch` is the gate's at the time; the gateway compares it with the current one in the step that writes.
    """

    order: NewOrder
    kill_epoch: int


class Refused(msgspec.Struct, frozen=True):
    """An order that risk refused: a documented code, and a sentence with the figures for people."""

    order: NewOrder
    code: str
    text: str


class OrderView(msgspec.Struct, frozen=True):
    """One order of a strategy's own as it stands now, for the strategy and for people.

    `qty`, `cum_qty`, `leaves_qty` in base units, positive; `px` None for a market order; `avg_px` None before the first
    fill. `reason` is why it ended, "" while it lives. An order that is UNKNOWN counts as live at full `leaves_qty`.
    """

    client_order_id: ClientOrderId
    instrument: InstrumentId
    side: Side
    px: Decimal | None
    qty: Decimal
    cum_qty: Decimal
    state: OrderState
    avg_px: Decimal | None = None
    tag: str = ""
    reason: str = ""
    trigger: Trigger | None = None

    @property
    def leaves_qty(self) -> Decimal:
        return Decimal(0) if self.state.is_terminal else self.qty - self.cum_qty
