"""From wanted quotes to the fewest changes: which orders stay, which are cancelled, which are new."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

import msgspec

from perpmaker.execution.orders import OrderTable
from perpmaker.execution.tracked import OrderChange, TrackedOrder
from perpmaker.marketdata.book import TopOfBook
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder, OrderState, Side, TimeInForce
from perpmaker.model.quote import Quote
from perpmaker.model.units import NS_PER_MS, NS_PER_S

_TTL_MS: Final = 5000
"""How long a cancel waits at the venue for an order that may still be under way."""
_UNANSWERED: Final = (OrderState.PREPARED, OrderState.SENT)
_UNCONFIRMED: Final = (OrderState.PREPARED, OrderState.SENT, OrderState.UNKNOWN)


class LadderRules(msgspec.Struct, frozen=True):
    """What makes an existing order good enough to keep, how long quotes live, and how hard to try."""

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
    refused_hold_ns: int = 250 * NS_PER_MS
    """A layer whose quote the gate refused waits this long."""


DEFAULT_RULES: Final = LadderRules()


class Dropped(enum.Enum):
    """Why a wanted quote is not worked now."""

    BAD_PRICE = "bad_price"
    """Price or quantity is not finite and positive."""
    BELOW_MIN_QTY = "below_min_qty"
    BELOW_MIN_NOTIONAL = "below_min_notional"
    BAD_LAYER = "bad_layer"
    """Stated twice, or not in 0..255."""
    IN_FLIGHT = "in_flight"
    """The layer has an order whose creation or cancel is not answered yet, or whose outcome is unknown."""
    UNANSWERED = "unanswered"
    """Too many requests of the instrument are unanswered."""
    REJECT_HOLD = "reject_hold"
    """The venue rejected the last ones of this side, or the gate refused the last one of this layer."""
    OWN_CROSS = "own_cross"
    """It would meet an own order that is still live; that one's cancel has to be confirmed first."""
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
        return not self.cancels and not self.orders


_MAX_LAYERS: Final = 256
_FOREVER: Final = 1 << 63
_TAGS: Final = tuple(f"quote {side} {layer}" for layer in range(_MAX_LAYERS) for side in ("bid", "ask"))
_SLOTS: Final = {tag: slot for slot, tag in enumerate(_TAGS)}
"""A slot is what at most one order of a ladder works: 2 * layer, and 1 more for an ask. Inner slots sort first."""


def quote_tag(side: Side, layer: int) -> str:
    """Name a ladder slot as orders carry it: "quote bid 2". ValueError for a layer not in 0..255."""
    if not 0 <= layer < _MAX_LAYERS:
        raise ValueError(f"a layer must be between 0 and {_MAX_LAYERS - 1}, not {layer}")
    return _TAGS[2 * layer + (side is Side.SELL)]


def quote_slot(tag: str) -> tuple[Side, int] | None:
    """Read side and layer back from an order's tag; None for an order that is no quote."""
    slot = _SLOTS.get(tag)
    return None if slot is None else (_side(slot), slot // 2)


def _side(slot: int) -> Side:
    return Side.SELL if slot & 1 else Side.BUY


class WorkingOrders:
    """The ladder of one strategy on one instrument of one account.

    Each slot has at most one order that is not being cancelled, in-flight and unknown ones included; an order whose cancel
    is under way keeps its slot until it has ended, except in the very change that cancels and replaces it. Orders are
    read from the order table, so a restart needs no more than their tags.

    Nothing is cancelled that could stay: an order within tolerance and with adequate size keeps its queue place; one that
    is only too far from the market stays until it can be replaced. Cancels are never held back.
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
        self._account = account
        self._strategy = strategy
        self._instrument = instrument
        self._table = table
        self._next_id = next_id
        self._rules = rules
        self._requests: list[_Request] = []
        self._rejects = [0, 0]
        self._held_until_ns = [0, 0]
        """Of the bids and of the asks."""
        self._refused_until_ns: dict[int, int] = {}
        self._rounded_for: Instrument | None = None
        self._rounded: dict[int, _Rounded] = {}
        self._stand: _Stand | None = None

    def stands(
        self, bids: Sequence[Quote], asks: Sequence[Quote], *, instrument: Instrument, book: TopOfBook, now_ns: int
    ) -> bool:
        """Whether `change` would surely change nothing: it did not last time, and nothing it looks at is different."""
        stand = self._stand
        if (
            stand is None
            or stand.instrument is not instrument
            or stand.bid_ticks != book.bid_ticks
            or stand.ask_ticks != book.ask_ticks
            or now_ns >= stand.until_ns
            or not _are_equal(stand.bids, bids)
            or not _are_equal(stand.asks, asks)
            or self._table.live(self._account, self._instrument, self._strategy) != stand.live
        ):
            return False
        self._unanswered()
        for tracked, cum_qty, is_going in zip(stand.live, stand.cum_qtys, stand.are_going, strict=True):
            if tracked.cum_qty is not cum_qty or (tracked.cancel_sent_ns != 0) is not is_going:
                return False
        return True

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
        unanswered = self._unanswered() >= self._rules.max_unanswered
        budget = 0 if unanswered else allowance
        if self._rounded_for is not instrument:
            self._rounded_for, self._rounded = instrument, {}
        plan = _Plan(self._quotes(), instrument, book, self._rules, now_ns, budget, self._rounded)
        plan.short_of = Dropped.UNANSWERED if unanswered else Dropped.NO_BUDGET
        plan.want(Side.BUY, bids)
        plan.want(Side.SELL, asks)
        slots = plan.open_slots()
        if slots:
            best = self._table.best_own_px
            opposite = (best(self._instrument, Side.SELL), best(self._instrument, Side.BUY))
            for slot in slots:
                plan.work(slot, self._held(slot, now_ns), opposite[slot & 1])
        orders = tuple([self._order(slot, target, now_ns) for slot, target in plan.creations])
        cancels = tuple([self._cancel(tracked) for tracked in plan.cancels])
        self._stand = None
        if not plan.dropped:
            self._stand = _Stand(bids, asks, instrument, book.bid_ticks, book.ask_ticks)
            if not (orders or cancels):
                self._stands_with()
        return LadderChange(cancels, orders, plan.kept, tuple(plan.dropped))

    def pull(self) -> tuple[CancelOrder, ...]:
        """Return cancels for every quote that is not being cancelled already; needs no book."""
        return tuple(self._cancel(tracked) for _, tracked in self._quotes() if not tracked.cancel_pending)

    def sent(self, change: LadderChange, approved: Iterable[ClientOrderId], now_ns: int) -> None:
        """Note that a change went out, with those of its orders the gate approved: it counts as unanswered until it is."""
        passed = dict.fromkeys(approved)
        self._table.note_cancels(change.cancels, now_ns)
        for order in change.orders:
            if order.client_order_id not in passed:
                self._refused_until_ns[_SLOTS[order.tag]] = now_ns + self._rules.refused_hold_ns
                self._stand = None
        self._stands_with()
        created = [self._table.get(self._account, order) for order in passed]
        canceled = [self._table.get(self._account, cancel.client_order_id) for cancel in change.cancels]
        if created or canceled:
            self._requests.append(_Request([t for t in created if t], [t for t in canceled if t]))

    def on_change(self, change: OrderChange, now_ns: int) -> None:
        """Learn from what happened to the quotes: rejections hold the side back, acceptances release it."""
        tracked = change.order
        if tracked is None or change.before is change.after or not self._is_mine(tracked):
            return
        side = int(tracked.order.side is Side.SELL)
        if change.after is OrderState.REJECTED:
            hold_ns = min(self._rules.reject_hold_ns << self._rejects[side], self._rules.reject_hold_max_ns)
            self._rejects[side] = min(self._rejects[side] + 1, 16)
            self._held_until_ns[side] = now_ns + hold_ns
        elif change.after is OrderState.OPEN and change.before in _UNCONFIRMED:
            self._rejects[side] = self._held_until_ns[side] = 0

    def _is_mine(self, tracked: TrackedOrder) -> bool:
        order = tracked.order
        return (
            order.strategy == self._strategy
            and order.instrument == self._instrument
            and order.account == self._account
            and order.tag in _SLOTS
        )

    def _quotes(self) -> list[tuple[int, TrackedOrder]]:
        return [
            (slot, tracked)
            for tracked in self._table.live(self._account, self._instrument, self._strategy)
            if (slot := _SLOTS.get(tracked.order.tag)) is not None
        ]

    def _stands_with(self) -> None:
        """Note that the wanted ladder is there with the orders that are live now."""
        if self._stand is not None:
            live = self._table.live(self._account, self._instrument, self._strategy)
            renew_ns = self._rules.renew_before_ns
            ends = [tracked.order.expire_ns - renew_ns for tracked in live if tracked.order.expire_ns]
            self._stand = self._stand._replace(
                until_ns=min(ends, default=_FOREVER),
                live=live,
                cum_qtys=[tracked.cum_qty for tracked in live],
                are_going=[tracked.cancel_sent_ns != 0 for tracked in live],
            )

    def _unanswered(self) -> int:
        requests = self._requests
        if requests:
            requests = self._requests = [request for request in requests if request.is_unanswered]
        return len(requests)

    def _held(self, slot: int, now_ns: int) -> Dropped | None:
        held = now_ns < self._held_until_ns[slot & 1] or now_ns < self._refused_until_ns.get(slot, 0)
        return Dropped.REJECT_HOLD if held else None

    def _order(self, slot: int, target: _Target, now_ns: int) -> NewOrder:
        px, qty, _, rpi = target
        return NewOrder(
            client_order_id=self._next_id(),
            account=self._account,
            strategy=self._strategy,
            instrument=self._instrument,
            side=_side(slot),
            px=px,
            qty=qty,
            tif=TimeInForce.RPI if rpi else TimeInForce.GTT,
            post_only=True,
            expire_ns=now_ns + self._rules.quote_life_ns if self._rules.quote_life_ns else 0,
            tag=_TAGS[slot],
        )

    def _cancel(self, tracked: TrackedOrder) -> CancelOrder:
        return CancelOrder(
            account=self._account,
            instrument=self._instrument,
            client_order_id=tracked.client_order_id,
            venue_order_id=tracked.venue_order_id,
            ttl_ms=_TTL_MS if tracked.state in _UNCONFIRMED else 0,
        )


class _Request(msgspec.Struct):
    """One request that went out. It is answered when every part of it is, by whatever way."""

    created: list[TrackedOrder]
    canceled: list[TrackedOrder]

    @property
    def is_unanswered(self) -> bool:
        for tracked in self.created:
            if tracked.state in _UNANSWERED:
                return True
        for tracked in self.canceled:  # noqa: SIM110 (asked for each event of an order)
            if tracked.cancel_sent_ns and not tracked.cancel_received:
                return True
        return False


class _Stand(NamedTuple):
    """A ladder that was as wanted, and all that made it so."""

    bids: Sequence[Quote]
    asks: Sequence[Quote]
    instrument: Instrument
    bid_ticks: int
    ask_ticks: int
    until_ns: int = 0
    """When the first order is to be renewed."""
    live: Sequence[TrackedOrder] = ()
    cum_qtys: Sequence[Decimal] = ()
    are_going: Sequence[bool] = ()
    """Which of them are being cancelled."""


class _Plan:
    """One comparison of wanted and live; slots are worked inner layers first, so that they get the budget."""

    def __init__(
        self,
        quotes: Sequence[tuple[int, TrackedOrder]],
        instrument: Instrument,
        book: TopOfBook,
        rules: LadderRules,
        now_ns: int,
        budget: int,
        rounded: dict[int, _Rounded],
    ) -> None:
        self.cancels: list[TrackedOrder] = []
        self.creations: list[tuple[int, _Target]] = []
        """(slot, what it shall hold)."""
        self.dropped: list[DroppedQuote] = []
        self.kept = 0
        self.short_of = Dropped.NO_BUDGET
        """What to say of a quote for which the budget is used up."""
        self._instrument = instrument
        self._book = book
        self._rules = rules
        self._now_ns = now_ns
        self._budget = budget
        self._rounded = rounded
        self._wanted: dict[int, _Target | None] = {}
        """What each slot shall hold; None where what is there was found good at a glance."""
        self._live: dict[int, list[TrackedOrder]] = {}
        for slot, tracked in quotes:
            self._live.setdefault(slot, []).append(tracked)

    def want(self, side: Side, quotes: Sequence[Quote]) -> None:
        """Take in the wanted quotes of a side; drop what cannot be sent."""
        is_sell = side is Side.SELL
        for quote in quotes:
            slot = 2 * quote.layer + is_sell
            if slot in self._wanted or not 0 <= quote.layer < _MAX_LAYERS:
                self.dropped.append(DroppedQuote(side, quote.layer, Dropped.BAD_LAYER))
                continue
            present = self._live.get(slot)
            try:
                if present is not None and len(present) == 1 and self._is_good_at_a_glance(present[0], quote):
                    self._wanted[slot] = None
                    self.kept += 1
                    continue
                target = self._target(side, quote, slot)
            except ValueError:  # not finite, or out of range
                target = Dropped.BAD_PRICE
            if isinstance(target, Dropped):
                self.dropped.append(DroppedQuote(side, quote.layer, target))
            else:
                self._wanted[slot] = target

    def open_slots(self) -> list[int]:
        """Return the slots still to be worked: wanted or live and not found good at a glance; inner layers first."""
        live_only = [slot for slot in self._live if slot not in self._wanted]
        return sorted([slot for slot, target in self._wanted.items() if target is not None] + live_only)

    def work(self, slot: int, held: Dropped | None, opposite_px: Decimal | None) -> None:
        """Decide one slot; `held` forbids creations on it, `opposite_px` is the best own price of the other side."""
        target = self._wanted.get(slot)
        present = self._live.get(slot, ())
        standing = [tracked for tracked in present if not tracked.cancel_sent_ns]
        if target is None:
            self.cancels += standing
            return
        px = target[0]
        for good in standing:
            if self._is_good(good, target):
                self.kept += 1
                self.cancels += [tracked for tracked in standing if tracked is not good]
                return
        reason = held
        if len(present) > len(standing) or [t for t in present if t.state in _UNCONFIRMED]:
            reason = Dropped.IN_FLIGHT
        elif opposite_px is not None and not (px > opposite_px if slot & 1 else px < opposite_px):
            reason = Dropped.OWN_CROSS
        elif reason is None and self._budget <= 0:
            reason = self.short_of
        if reason is None:
            self._budget -= 1
            self.cancels += standing
            self.creations.append((slot, target))
            return
        self.dropped.append(DroppedQuote(_side(slot), slot // 2, reason))
        for tracked in standing:
            if tracked.state is OrderState.OPEN and not self._is_too_passive(tracked, target):
                self.cancels.append(tracked)

    def _target(self, side: Side, quote: Quote, slot: int) -> _Target | Dropped:
        """Round outward, and clip so as not to cross the venue's best price. ValueError for what is no figure."""
        instrument, book = self._instrument, self._book
        known = self._rounded.get(slot)
        if known is not None and known[0] is quote:  # the same wish as for the event before
            _, ticks, qty = known
        else:
            ticks, qty = instrument.round_ticks(quote.px, side), instrument.round_qty(quote.qty)
            self._rounded[slot] = quote, ticks, qty
        ticks = min(ticks, book.ask_ticks - 1) if side is Side.BUY else max(ticks, book.bid_ticks + 1)
        if ticks <= 0:
            return Dropped.BAD_PRICE
        if qty < instrument.min_qty or not qty:
            return Dropped.BELOW_MIN_QTY
        px = instrument.tick * ticks
        if px * qty < instrument.min_notional:
            return Dropped.BELOW_MIN_NOTIONAL
        return px, qty, quote.tolerance_bps, quote.rpi

    def _is_good_at_a_glance(self, tracked: TrackedOrder, quote: Quote) -> bool:
        """Say whether `_is_good` surely holds, in floats and without rounding: within tolerance by more than a tick."""
        if not quote.tolerance_bps or tracked.cancel_sent_ns:
            return False
        if not self._lives_on(tracked) or _is_rpi(tracked) is not quote.rpi:
            return False
        wanted_px = float(quote.px)
        if not abs(tracked.px_float - wanted_px) <= quote.tolerance_bps * 1e-4 * wanted_px - float(
            self._instrument.tick
        ):
            return False
        book = self._book
        if not (wanted_px > book.bid_px if tracked.order.side is Side.SELL else wanted_px < book.ask_px):
            return False  # it would be clipped
        if not quote.qty.is_finite():
            return False
        over = quote.qty - tracked.leaves_qty
        return bool(0 <= over < self._instrument.lot)

    def _is_good(self, tracked: TrackedOrder, target: _Target) -> bool:
        """Say whether an order may keep its queue place: near enough, adequate size, not about to expire."""
        px, qty, tolerance_bps, rpi = target
        if _is_rpi(tracked) is not rpi:
            return False
        if tracked.order.px != px:
            if not tolerance_bps:
                return False
            wanted_px = float(px)
            if not abs(tracked.px_float - wanted_px) * 1e4 <= tolerance_bps * wanted_px:
                return False
        leaves = tracked.leaves_qty
        if leaves != qty and not (
            qty * self._rules.keep_size_min_frac <= leaves <= qty * self._rules.keep_size_max_frac
        ):
            return False
        return self._lives_on(tracked)

    def _lives_on(self, tracked: TrackedOrder) -> bool:
        """Say whether an order is not about to expire."""
        expire_ns = tracked.order.expire_ns
        return not expire_ns or expire_ns - self._now_ns > self._rules.renew_before_ns

    def _is_too_passive(self, tracked: TrackedOrder, target: _Target) -> bool:
        """Say whether all that is wrong with an order is that it is too far from the market: no risk while it waits."""
        order, (px, qty, _, _) = tracked.order, target
        if order.px is None or tracked.leaves_qty > qty * self._rules.keep_size_max_frac:
            return False
        return order.px <= px if order.side is Side.BUY else order.px >= px


def _are_equal(before: Sequence[Quote], now: Sequence[Quote]) -> bool:
    try:
        return before is now or before == now
    except InvalidOperation:  # a price that is no figure
        return False


def _is_rpi(tracked: TrackedOrder) -> bool:
    return tracked.order.tif is TimeInForce.RPI


_Rounded = tuple[Quote, int, Decimal]
"""A wanted quote with what it rounds to: ticks, quantity."""
_Target = tuple[Decimal, Decimal, float, bool]
"""A wanted quote, rounded and clipped: (price, quantity, tolerance in bps, for retail flow only)."""
