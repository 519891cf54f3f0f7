"""A parent order: what an algorithm is asked to do, and the truth about how far it has come."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.model.order import Side
from perpmaker.model.quote import Algorithm, name_of

_BPS = Decimal(10_000)


class Ending(enum.Enum):
    """Why a parent order is not worked any more."""

    DONE = "done"
    CAP = "cap"
    """Too little was offered inside the price cap."""
    MAX_CHILDREN = "max_children"
    DEADLINE = "deadline"
    STALE_BOOK = "stale_book"
    BELOW_MINIMUM = "below_minimum"
    """What remains is less than the venue takes."""
    REFUSED = "refused"
    """Its children were refused again and again, by the risk gate or the venue."""
    STOPPED = "stopped"
    RESTART = "restart"
    """The engine ended while it was worked; what was filled is told, nothing more is done."""


class ParentOrder(msgspec.Struct, frozen=True):
    """What is to be done: `qty` > 0 of `side`, by `algorithm`. `is_closing`: part of flattening a position."""

    execution_id: str
    account: AccountId
    strategy: StrategyId
    instrument: InstrumentId
    side: Side
    qty: Decimal
    algorithm: Algorithm
    reduce_only: bool = False
    is_closing: bool = False
    target_qty: Decimal | None = None
    """The wanted position, signed, that this is a step to; None for a parent order that stands for itself."""


class Arrival(msgspec.Struct, frozen=True):
    """The market when the parent order began; slippage is measured against it and nothing later."""

    mid_px: Decimal
    touch_px: Decimal
    visible_qty: Decimal
    """Shown within 50 levels, for the side that takes."""
    ts_ns: int

    def half_spread_bps(self, side: Side) -> Decimal:
        return side.sign * (self.touch_px - self.mid_px) / self.mid_px * _BPS


class ChildReport(msgspec.Struct, frozen=True):
    """One child order: `px` its limit, `total_qty` what the parent had filled when this child had."""

    number: int
    px: Decimal
    qty: Decimal
    filled_qty: Decimal
    total_qty: Decimal
    avg_px: Decimal | None
    state: str
    """Of the order (model.order.OrderState); "" while nothing is known of it."""
    is_over: bool
    reason: str = ""
    """Why it was refused, cancelled or expired, "" when nobody said."""


class ExecutionReport(msgspec.Struct, frozen=True):
    """A parent order as it stands. `filled_qty + remaining_qty == order.qty` unless it is a step to a wanted position.

    `slippage_bps` is signed (> 0 is worse) from the arrival touch to `vwap`, in parts of the arrival mid; the half-spread
    that stands between mid and touch is told apart, and their sum is the slippage against the mid. `fees` > 0 is a cost.
    """

    order: ParentOrder
    state: str
    """working, stopping, ended."""
    filled_qty: Decimal
    remaining_qty: Decimal
    vwap: Decimal | None
    fees: Decimal
    arrival: Arrival | None
    slippage_bps: Decimal | None
    half_spread_bps: Decimal | None
    children: int
    ending: Ending | None
    text: str
    """What it waits for, or more about its end."""
    started_ns: int
    deadline_ns: int
    ended_ns: int = 0
    last_children: tuple[ChildReport, ...] = ()
    """The newest twenty, oldest first; the journal has all."""

    @property
    def algorithm(self) -> str:
        return name_of(self.order.algorithm)

    @property
    def mid_slippage_bps(self) -> Decimal | None:
        """Against the arrival mid."""
        if self.slippage_bps is None or self.half_spread_bps is None:
            return None
        return self.slippage_bps + self.half_spread_bps
