"""The gate every order passes. No other code makes an `Approved`; there is no way round and no switch that opens one."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

import msgspec

from perpmaker.marketdata.books import Books
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.order import Approved, NewOrder, Refused, Side
from perpmaker.portfolio.account import AccountBook
from perpmaker.risk.halts import Halts
from perpmaker.risk.kill import KillLatch
from perpmaker.risk.limits import Limits


class Exposure(msgspec.Struct, frozen=True):
    """What the not yet settled orders of one account on one instrument can still do, in base units.

    PREPARED, SENT, UNKNOWN, OPEN and CANCEL_SENT count in full; executions the venue stated but whose fills are not
    booked yet count too.
    """

    buy_qty: Decimal
    sell_qty: Decimal
    unknown: int
    """Orders in state UNKNOWN."""


class OwnOrders(Protocol):
    """What the gate asks of the order table (execution.orders.OrderTable)."""

    def exposure(self, account: AccountId, instrument: InstrumentId) -> Exposure: ...
    def open_count(self, account: AccountId) -> int: ...
    def best_own_px(self, instrument: InstrumentId, side: Side) -> Decimal | None:
        """Highest own buy or lowest own sell price that could still trade, over all accounts and strategies."""
        ...

    def knows(self, account: AccountId, client_order_id: ClientOrderId) -> bool: ...


class ReadyState(enum.Enum):
    """How far an instrument of an account is reconciled with the venue."""

    READY = "ready"
    STARTING = "starting"
    PRIVATE_DOWN = "private_down"
    FROZEN = "frozen"


class Readiness(Protocol):
    """What the gate asks of reconciliation (execution.reconcile.Reconcilers)."""

    def ready_state(self, account: AccountId, instrument: InstrumentId) -> ReadyState: ...


class Gate:
    """Approves or refuses orders, in the order of checks that `check` documents. Pure but for its rate windows.

    `accounts` and `limits` are live mappings the engine owns; an account without limits is refused. An approved order must
    be entered into the order table before the next check, so that it counts: `OrderTable.admit` does both.
    """

    armed: bool
    """Set by the engine: env local, or the arm ceremony passed."""

    def __init__(
        self,
        *,
        kill: KillLatch,
        books: Books,
        accounts: Mapping[AccountId, AccountBook],
        limits: Mapping[AccountId, Limits],
        own_orders: OwnOrders,
        readiness: Readiness,
        halts: Halts,
        armed: bool = False,
    ) -> None:
        raise NotImplementedError

    def check(self, order: NewOrder, now_ns: int) -> Approved | Refused:
        """Judge one order: kill latch, armed, readiness, stale data, instrument, exactness, price collar, size, notional,
        reduce-only, own-cross, position with everything open counted, open orders, unknown orders, order rate, halts,
        daily loss, drawdown. The first check that does not pass names the code (`risk.codes`).

        Orders that only reduce the position pass frozen, halts, position, loss and drawdown, and have a rate window of
        their own; nothing passes the latch, exactness and own-cross.
        """
        raise NotImplementedError

    def allowance(self, account: AccountId, now_ns: int) -> int:
        """Return how many orders the rate limit would still pass at `now_ns`."""
        raise NotImplementedError
