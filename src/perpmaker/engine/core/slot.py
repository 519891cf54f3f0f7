"""One running strategy: what it wants, in which state it is, and what it said last."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from perpmaker.engine.core.spec import StrategySpec
from perpmaker.execution.guards import WorkingGuards
from perpmaker.execution.working import WorkingOrders
from perpmaker.model.guard import Guard
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, OrderIds, order_ids
from perpmaker.model.order import CancelOrder, NewOrder
from perpmaker.model.quote import Algorithm, Quote
from perpmaker.strategies.api import Explained, Strategy, Subscription


class SlotState(enum.Enum):
    STARTING = "starting"
    """Waits for its account to be reconciled; no hook was called yet."""
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    """It raised; its orders were cancelled. A person may resume it: it then starts afresh."""


class Ladder(NamedTuple):
    """The whole wanted ladder of one instrument."""

    bids: tuple[Quote, ...]
    asks: tuple[Quote, ...]


class Wish:
    """What a strategy said during one hook; carried out when the hook has returned."""

    def __init__(self) -> None:
        self.ladders: dict[InstrumentId, Ladder] = {}
        self.orders: list[NewOrder] = []
        self.cancels: list[CancelOrder] = []
        self.targets: dict[InstrumentId, tuple[Decimal, Algorithm]] = {}
        self.guards: dict[InstrumentId, tuple[Guard, ...]] = {}
        self.timers: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.ladders or self.orders or self.cancels or self.targets or self.guards or self.timers)


class Ids:
    """Hands out the client order ids of a strategy, as wide as the account's venue takes them.

    `renew` goes on with those of a later boot epoch, which `on_low` asks for before those of this one are used up.
    """

    def __init__(
        self, bits: Mapping[AccountId, int], *, instance: int, strategy: int, epoch: int, on_low: Callable[[], None]
    ) -> None:
        self._bits = bits
        self._instance, self._strategy, self._epoch = instance, strategy, epoch
        self._on_low = on_low
        self._of_bits: dict[int, OrderIds] = {}
        for width in set(bits.values()):
            self._ids(width)

    def next(self, account: AccountId) -> ClientOrderId:
        ids = self._ids(self._bits.get(account, 64))
        made = ids.next()
        if ids.low:
            self._on_low()
        return made

    def of(self, account: AccountId) -> Callable[[], ClientOrderId]:
        """Return what hands out ids for one account."""
        return lambda: self.next(account)

    def renew(self, epoch: int) -> None:
        self._epoch = epoch
        self._of_bits.clear()

    def _ids(self, width: int) -> OrderIds:
        known = self._of_bits.get(width)
        if known is None:
            known = self._of_bits[width] = order_ids(
                width, instance=self._instance, strategy=self._strategy, epoch=self._epoch
            )
        return known


class Slot:
    """A strategy and what the engine keeps for it."""

    def __init__(self, spec: StrategySpec, ids: Ids, working: Callable[[InstrumentId], WorkingOrders]) -> None:
        self.spec = spec
        self.ids = ids
        self.strategy: Strategy[Any] = spec.make()
        self.state = SlotState.STARTING
        self.paused = False
        self.error = ""
        self.memo = ""
        """What it asked to remember; outlives a restart."""
        self.question = ""
        """What it asked a person, "" while nothing is open."""
        self.told = ""
        """What a person told it before it started, for when it has."""
        self.wanted: dict[InstrumentId, Ladder] = {}
        """What it last asked to quote, worked whenever that is allowed."""
        self.guards: dict[InstrumentId, WorkingGuards] = {}
        """What protects its positions at the venue, from when it first asked for that. Outlives a failure of its."""
        self.explained: dict[InstrumentId, Mapping[str, Explained]] = {}
        self.explained_ns = 0
        self.sampled_ns = 0
        self.sampled_turn: tuple[object, ...] = ()
        """What the decision written down last said in words."""
        self.subscriptions: dict[InstrumentId, Subscription] = {}
        self.book_told_ns: dict[InstrumentId, int] = {}
        self.book_pending: set[InstrumentId] = set()
        """Only asked about one instrument at a time, never walked: its order is nobody's."""
        self.wish = Wish()
        self._make_working = working
        self._working: dict[InstrumentId, WorkingOrders] = {}
        self._subscribe()

    @property
    def running(self) -> bool:
        return self.state is SlotState.RUNNING

    @property
    def quoting_allowed(self) -> bool:
        """Whether it may place orders, as far as its own state goes."""
        return self.running and not self.paused

    def working(self, instrument: InstrumentId) -> WorkingOrders:
        """Its ladder on an instrument."""
        known = self._working.get(instrument)
        if known is None:
            known = self._working[instrument] = self._make_working(instrument)
        return known

    @property
    def ladders(self) -> Mapping[InstrumentId, WorkingOrders]:
        return self._working

    def renew(self) -> None:
        """Begin afresh after a failure: a new strategy with nothing wanted; its orders were cancelled before."""
        self.strategy = self.spec.make()
        self.state, self.error, self.paused, self.question = SlotState.STARTING, "", False, ""
        self.wanted.clear()
        self.explained.clear()
        self.book_told_ns.clear()
        self.book_pending.clear()
        self._subscribe()

    def take_wish(self) -> Wish:
        wish, self.wish = self.wish, Wish()
        return wish

    def _subscribe(self) -> None:
        self.subscriptions = {wanted.instrument: wanted for wanted in self.strategy.subscriptions()}
