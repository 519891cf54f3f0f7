"""Protective orders that wait at the venue: from what is wanted to the fewest changes, never more than two of a kind.

The engine closes positions itself; these stand behind it, for when it cannot act. They are reduce-only and of the size of
the position: a venue takes none that is larger (GRVT 2402), and trims it when the position shrinks, which we then take as
done. One is replaced when its trigger or what it covers is no longer what is wanted: the new one first, the old one once
the venue has confirmed it, so that the position is not bare in between; after a refusal that may be for
the old one the other way round, since the venue may take one only. One on the wrong side is cancelled at once: it could
protect nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from perpmaker.execution.orders import OrderTable
from perpmaker.execution.tracked import OrderChange, OrderKey, TrackedOrder
from perpmaker.model.events import Fill
from perpmaker.model.guard import Guard
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import (
    CancelOrder,
    NewOrder,
    OrderState,
    Side,
    TimeInForce,
    Trigger,
    TriggerBy,
    TriggerKind,
)
from perpmaker.model.units import NS_PER_S

_BPS: Final = Decimal(10_000)
_ZERO: Final = Decimal(0)
_TTL_MS: Final = 5000
_UNCONFIRMED: Final = (OrderState.PREPARED, OrderState.SENT, OrderState.UNKNOWN)
_TAKEN_AWAY: Final = (OrderState.CANCELED, OrderState.EXPIRED)
_FAILED: Final = (OrderState.REJECTED, OrderState.NOT_SENT, OrderState.RETIRED)
MOST_OF_A_KIND: Final = 2
"""One, and the one that takes its place or is going."""


class GuardRules(msgspec.Struct, frozen=True):
    """How often to replace, how long to live, and when the venue is believed no longer."""

    every_ns: int = 5 * NS_PER_S
    """At most one new order of a kind in this time."""
    life_ns: int = 24 * 3600 * NS_PER_S
    """Signature expiration: far longer than a quote's, for the time when nobody is there to renew it."""
    renew_before_ns: int = 3600 * NS_PER_S
    failed_hold_ns: int = 5 * NS_PER_S
    """After one that was refused, or ended at once, the next waits this long, doubled by each further one."""
    failed_hold_max_ns: int = 300 * NS_PER_S
    give_way_ns: int = 30 * NS_PER_S
    """How long none waits after the venue refused an order that closes."""
    cleared_ns: int = 300 * NS_PER_S
    """How long none gives way any more, once a closing was refused with none there: it was not for them."""
    too_soon_ns: int = 2 * NS_PER_S
    too_far_bps: Decimal = Decimal(20)
    """One that trades while the venue's mark has not reached its trigger did not wait for it, if that is within this time
    of its making or the mark is so far away: a mark that was there for a moment may have gone back."""


DEFAULT_RULES: Final = GuardRules()


class GuardChange(NamedTuple):
    """What has to go out now."""

    cancels: tuple[CancelOrder, ...]
    orders: tuple[NewOrder, ...]


NO_CHANGE: Final = GuardChange((), ())


class Scene(msgspec.Struct, frozen=True):
    """What the orders are judged by. `position` signed, in base units."""

    now_ns: int
    instrument: Instrument
    position: Decimal
    mark_px: Decimal | None
    hindrance: str
    """Why nothing can be placed now, "" when it can."""


class WorkingGuards:
    """The protective orders of one strategy on one instrument of one account, read from the order table.

    So a restart needs no more than the orders' own words: what is there and still wanted stays.
    """

    def __init__(
        self,
        *,
        account: AccountId,
        strategy: StrategyId,
        instrument: InstrumentId,
        table: OrderTable,
        next_id: Callable[[], ClientOrderId],
        rules: GuardRules = DEFAULT_RULES,
    ) -> None:
        self._account = account
        self._strategy = strategy
        self._instrument = instrument
        self._table = table
        self._next_id = next_id
        self._rules = rules
        self._not_before_ns = dict.fromkeys(TriggerKind, 0)
        self._failures = dict.fromkeys(TriggerKind, 0)
        self._one_only = dict.fromkeys(TriggerKind, False)
        """Whether the venue refused the last one, maybe for another that was there."""
        self._gives_way_until_ns = 0
        self._cleared_until_ns = 0
        self._last_live_ns = 0
        """When one was last there."""
        self._refusal = dict.fromkeys(TriggerKind, "")
        """Why the last one was refused."""
        self._ended_early: dict[TriggerKind, str] = {}
        """What the venue said of one it ended, unasked and unexecuted, as soon as it was there; until the next is due."""
        self._early_ends = dict.fromkeys(TriggerKind, 0)
        """How many in a row ended so."""
        self._covers: dict[OrderKey, Decimal] = {}
        """The most that an order still closes: its size, or the smallest position it has lived through. Of one from an
        earlier life nobody knows that, nor does the venue's report say: 0."""
        self.wanted: tuple[Guard, ...] = ()
        """What the strategy last asked for."""
        self.distrust = ""
        """Why nothing is placed any more in this life, "" while the venue does as it is told."""
        self.waits: dict[TriggerKind, str] = {}
        """Why a wanted one is not there, or not as wanted."""

    def step(self, scene: Scene) -> GuardChange:
        """Return what turns the orders that are there into those that are wanted; empty when nothing has to change."""
        self.waits.clear()
        live = self._live()
        if live:
            self._last_live_ns = scene.now_ns
        self._covers = {t.key: min(self._covers.get(t.key, _ZERO), t.leaves_qty) for t in live}
        self.met(scene.position)
        if not self.wanted and not live:
            self._ended_early.clear()
            return NO_CHANGE
        cancels: list[TrackedOrder] = []
        orders: list[NewOrder] = []
        for kind in TriggerKind:
            present = [tracked for tracked in live if _kind(tracked) is kind]
            guard = self._wanted(kind, scene)
            if guard is None:
                self._ended_early.pop(kind, None)  # for want of a position, as far as anybody can tell
                cancels += [tracked for tracked in present if not tracked.cancel_pending]
            else:
                orders += self._work(guard, present, scene, cancels)
        return GuardChange(tuple(self._cancel(tracked) for tracked in cancels), tuple(orders))

    def met(self, position: Decimal) -> None:
        """The position is, or was, this: what waits is trimmed to it by the venue, for good."""
        for tracked in self._live():
            closes = max(-tracked.order.side.sign * position, _ZERO)
            self._covers[tracked.key] = min(self._covers.get(tracked.key, _ZERO), closes)

    def failed(self, kind: TriggerKind, why: str, now_ns: int, *, stands_alone: bool = False) -> None:
        """One was refused by the venue, or could not be sent: wait longer before the next. With `stands_alone` it was not
        for an old one, which stays until there is a new one.
        """
        self._refusal[kind] = why
        self._hold(kind, self._failures[kind], now_ns)
        self._failures[kind] += 1
        self._one_only[kind] = not stands_alone

    def denied(self, kind: TriggerKind, why: str, now_ns: int) -> None:
        """Our own gate refused one: what hinders it may be over soon, and an old one is no part of it."""
        self._refusal[kind] = why
        self._hold(kind, 0, now_ns)

    def give_way(self, made_ns: int, now_ns: int) -> None:
        """The venue refused an order that closes, maybe for what waits here to reduce the same: closing goes first.

        Unless nothing was waiting any more when it was made (`made_ns`): that clears what waits of it.
        """
        if not self._live() and made_ns > self._last_live_ns:
            self._cleared_until_ns = now_ns + self._rules.cleared_ns
            self._gives_way_until_ns = 0
        elif now_ns >= self._cleared_until_ns:
            self._gives_way_until_ns = now_ns + self._rules.give_way_ns

    def on_change(self, change: OrderChange, now_ns: int, *, stands_alone: bool = False) -> str:
        """Learn what became of one; returns what people have to hear of, "" for nothing."""
        tracked = change.order
        if tracked is None or tracked.order.trigger is None or tracked.order.strategy != self._strategy:
            return ""
        kind = tracked.order.trigger.kind
        if tracked.is_terminal:
            self._last_live_ns = now_ns  # until now it may have been in the way of what was made before
        if change.after is not change.before:
            if change.after in _FAILED:
                was_refused = change.after is OrderState.REJECTED and not stands_alone
                self.failed(kind, tracked.reason, now_ns, stands_alone=not was_refused)
            elif change.after is OrderState.OPEN:
                self._failures[kind], self._refusal[kind], self._one_only[kind] = 0, "", False
            elif change.after in _TAKEN_AWAY and change.before is not OrderState.CANCEL_SENT and not tracked.cum_qty:
                if now_ns - tracked.created_ns < self._rules.too_soon_ns:
                    self._ended_early[kind] = f"ended at once: {tracked.reason}"
                else:
                    self._early_ends[kind] = 0
        if change.fill is None:
            return ""
        if not self.distrust and not self._has_waited(tracked, tracked.order.trigger, change.fill):
            self.distrust = "the venue executed one that its mark price had not reached"
        return "executed"

    def shown(self) -> str:
        """Say how the protection at the venue stands."""
        if self.distrust:
            return f"none: {self.distrust}"
        parts = [
            f"{_NAMES[kind]} at {tracked.order.trigger.px}"
            for tracked in self._live()
            if tracked.state is OrderState.OPEN and tracked.order.trigger is not None
            for kind in (tracked.order.trigger.kind,)
        ]
        parts += [f"no new {_NAMES[kind]} yet: {text}" for kind, text in self.waits.items()]
        return "; ".join(parts) or "none: nothing to protect"

    # --- inside

    def _hold(self, kind: TriggerKind, times: int, now_ns: int) -> None:
        """Place none for a while, doubled for each of the `times` that this has happened before."""
        hold_ns = min(self._rules.failed_hold_ns << min(times, 16), self._rules.failed_hold_max_ns)
        self._not_before_ns[kind] = max(self._not_before_ns[kind], now_ns + hold_ns)

    def _work(
        self, guard: Guard, present: Sequence[TrackedOrder], scene: Scene, cancels: list[TrackedOrder]
    ) -> list[NewOrder]:
        """Bring the orders of one kind, those that are `present`, to the one wanted; returns the new one, if any."""
        standing = [tracked for tracked in present if not tracked.cancel_pending]
        cancels += [tracked for tracked in standing if tracked.order.side is not guard.side]
        rest = [tracked for tracked in standing if tracked.order.side is guard.side]
        wish = _wish(guard, scene)
        if wish is None:
            self.waits[guard.kind] = f"{guard.px:g} is no price that the venue takes"
            return []
        good = sorted((tracked for tracked in rest if self._is_good(tracked, wish, guard, scene)), key=_unconfirmed)
        if good:
            if good[0].state is OrderState.OPEN:
                cancels += [tracked for tracked in rest if tracked is not good[0]]
            return []
        why_not = self._why_not(guard, wish, present, scene)
        if not why_not and present and (self._one_only[guard.kind] or len(present) >= MOST_OF_A_KIND):
            cancels += rest if self._one_only[guard.kind] else self._overtaken(rest)
            why_not = "the old one has to go first"
        if not why_not:
            why_not = self._early_end(guard.kind, scene.now_ns)
        if why_not:
            self.waits[guard.kind] = why_not
            return []
        self._not_before_ns[guard.kind] = scene.now_ns + self._rules.every_ns
        order = self._order(guard, wish, scene)
        self._covers[order.client_order_id] = order.qty
        return [order]

    def _overtaken(self, rest: Sequence[TrackedOrder]) -> Sequence[TrackedOrder]:
        """Return the one of two that closes less, the older of equals: what is wanted now needs a third in its place."""
        if len(rest) < MOST_OF_A_KIND:
            return ()  # one of them is going
        return (min(rest, key=lambda tracked: (self._covers[tracked.key], tracked.created_ns)),)

    def _early_end(self, kind: TriggerKind, now_ns: int) -> str:
        """Say that the next one is held back, since more than one ended early with the position there all the time."""
        ended_early = self._ended_early.pop(kind, None)
        if ended_early is None:
            return ""
        times = self._early_ends[kind]
        self._early_ends[kind] += 1
        if not times:
            return ""
        self._refusal[kind] = ended_early
        self._hold(kind, times - 1, now_ns)
        return f"refused: {ended_early}"

    def _has_waited(self, tracked: TrackedOrder, trigger: Trigger, fill: Fill) -> bool:
        """Say whether an execution may be one that the trigger released, by the mark the venue states with it."""
        rules, mark_px = self._rules, fill.mark_px
        if mark_px is not None and trigger.is_reached(tracked.order.side, mark_px):
            return True
        if fill.ts_recv_ns - tracked.created_ns < rules.too_soon_ns:
            return False
        return mark_px is None or abs(mark_px - trigger.px) * _BPS <= rules.too_far_bps * trigger.px

    def _live(self) -> list[TrackedOrder]:
        live = self._table.live(self._account, self._instrument, self._strategy)
        return [tracked for tracked in live if tracked.waits]

    def _wanted(self, kind: TriggerKind, scene: Scene) -> Guard | None:
        if self.distrust:
            return None
        for guard in self.wanted:
            if guard.kind is kind and guard.side.sign * scene.position < 0:
                if scene.now_ns >= self._gives_way_until_ns:
                    return guard
                self.waits[kind] = "it gives way to a closing that the venue refused"
        return None

    def _is_good(self, tracked: TrackedOrder, wish: _Wish, guard: Guard, scene: Scene) -> bool:
        """Say whether an order on the right side may stay: near enough, large enough, and not about to expire."""
        order = tracked.order
        if order.trigger is None or self._covers[tracked.key] < wish.qty:
            return False
        if order.expire_ns and order.expire_ns - scene.now_ns <= self._rules.renew_before_ns:
            return False
        off = abs(float(order.trigger.px) - float(wish.trigger.px)) * 1e4
        return off <= guard.tolerance_bps * float(wish.trigger.px)

    def _why_not(self, guard: Guard, wish: _Wish, present: Sequence[TrackedOrder], scene: Scene) -> str:
        """Say why no new one is placed now, "" when one is."""
        if any(tracked.state in _UNCONFIRMED for tracked in present):
            return "another one is under way"
        if scene.hindrance:
            return scene.hindrance
        if scene.now_ns < self._not_before_ns[guard.kind]:
            refusal = self._refusal[guard.kind]
            return f"refused: {refusal}" if refusal else "one was placed a moment ago"
        if scene.mark_px is None:
            return "no mark price"
        if wish.trigger.is_reached(guard.side, scene.mark_px):
            return f"the mark has reached {wish.trigger.px} already"
        if wish.qty < scene.instrument.min_qty or wish.qty * wish.px < scene.instrument.min_notional:
            return "the position is below the venue's minimum"
        return ""

    def _order(self, guard: Guard, wish: _Wish, scene: Scene) -> NewOrder:
        return NewOrder(
            client_order_id=self._next_id(),
            account=self._account,
            strategy=self._strategy,
            instrument=self._instrument,
            side=guard.side,
            px=wish.px,
            qty=wish.qty,
            tif=TimeInForce.IOC,
            reduce_only=True,
            expire_ns=scene.now_ns + self._rules.life_ns,
            tag=_NAMES[guard.kind],
            trigger=wish.trigger,
        )

    def _cancel(self, tracked: TrackedOrder) -> CancelOrder:
        return CancelOrder(
            account=self._account,
            instrument=self._instrument,
            client_order_id=tracked.client_order_id,
            venue_order_id=tracked.venue_order_id,
            ttl_ms=_TTL_MS if tracked.state in _UNCONFIRMED else 0,
        )


class _Wish(NamedTuple):
    """A wanted order in the instrument's own steps."""

    trigger: Trigger
    px: Decimal
    qty: Decimal


_NAMES: Final = {TriggerKind.STOP_LOSS: "stop loss", TriggerKind.TAKE_PROFIT: "take profit"}


def _wish(guard: Guard, scene: Scene) -> _Wish | None:
    """Round the trigger away from the market, the worst price towards it, and find the size; None without a price."""
    rules = scene.instrument
    falls = (guard.side is Side.SELL) is (guard.kind is TriggerKind.STOP_LOSS)
    try:
        trigger_px = rules.round_px(guard.px, Side.BUY if falls else Side.SELL)
        px = rules.round_px(trigger_px * (1 + guard.side.sign * guard.slippage_bps / _BPS), guard.side)
    except ValueError:
        return None
    return _Wish(Trigger(guard.kind, TriggerBy.MARK, trigger_px), px, rules.round_qty(abs(scene.position)))


def _kind(tracked: TrackedOrder) -> TriggerKind | None:
    return None if tracked.order.trigger is None else tracked.order.trigger.kind


def _unconfirmed(tracked: TrackedOrder) -> bool:
    return tracked.state is not OrderState.OPEN
