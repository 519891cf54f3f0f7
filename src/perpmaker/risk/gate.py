"""The gate every order passes. No other code makes an `Approved`; there is no way round and no switch that opens one.

Every limit is written so that only a figure proven inside passes: what is missing, NaN or infinite is refused.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Protocol

import msgspec

from perpmaker.marketdata.books import Books
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, NewOrder, Refused, Side, TimeInForce, Trigger
from perpmaker.model.units import NS_PER_S
from perpmaker.portfolio.account import AccountBook
from perpmaker.risk.codes import Code
from perpmaker.risk.halts import Halts, is_inside_drawdown, is_inside_loss
from perpmaker.risk.kill import KillLatch
from perpmaker.risk.limits import Limits
from perpmaker.risk.rates import OrderWindow

_BPS: Final = Decimal(10_000)
_ZERO: Final = Decimal(0)


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
        self.armed = armed
        """Set by the engine: env local, or the arm ceremony passed."""
        self._kill = kill
        self._books = books
        self._accounts = accounts
        self._limits = limits
        self._own_orders = own_orders
        self._readiness = readiness
        self._halts = halts
        self._rates: dict[tuple[AccountId, bool], OrderWindow] = {}
        """By account and whether the orders only reduce."""

    def check(self, order: NewOrder, now_ns: int) -> Approved | Refused:
        """Judge one order: kill latch, armed, readiness, instrument, stale data, exactness, price collar, size, notional,
        reduce-only, own-cross, position with everything open counted, open orders, unknown orders, order rate, halts,
        daily loss, drawdown. The first check that does not pass names the code (`risk.codes`).

        Orders that only reduce the position pass frozen, halts, position, loss and drawdown, and have a rate window of
        their own; nothing passes the latch, exactness and own-cross. An order that waits for a price at the venue only
        reduces, and stands in no book: it is judged by its trigger instead of the market (`_judge_waiting`).
        """
        refused = self._judge(order, now_ns)
        if refused is not None:
            return Refused(order, refused[0].value, refused[1])
        return Approved(order, self._kill.current)

    def allowance(self, account: AccountId, now_ns: int) -> int:
        """Return how many orders the rate limit would still pass at `now_ns`."""
        limits = self._limits.get(account)
        return 0 if limits is None else self._window(account, False).left(limits.orders_per_s, now_ns)

    def _judge(self, order: NewOrder, now_ns: int) -> _Reason | None:
        if self._kill.latched:
            return Code.KILLED, self._kill.reason
        if not self.armed:
            return Code.NOT_ARMED, "live trading is not armed"
        account, limits = self._accounts.get(order.account), self._limits.get(order.account)
        if account is None or limits is None or not account.opened:
            return Code.UNKNOWN_ACCOUNT, f"account {order.account} is not ready to trade"
        state = self._readiness.ready_state(order.account, order.instrument)
        if state is ReadyState.STARTING:
            return Code.NOT_READY, f"{order.instrument} of {order.account} is being reconciled"
        if state is ReadyState.PRIVATE_DOWN:
            return Code.PRIVATE_DOWN, f"the private stream of {order.account} is down"
        instrument = self._books.instrument(order.instrument)
        if instrument is None:
            return Code.UNKNOWN_INSTRUMENT, f"{order.instrument} is not listed"
        stale = self._books.stale_reason(order.instrument, now_ns)
        if stale is not None:
            return Code.STALE_DATA, f"the book of {order.instrument} is stale: {stale.value}"
        if order.px is None:
            return Code.NO_PRICE, "a market order names no worst price"
        reason = _inexact(order, order.px, instrument)
        if reason is not None:
            return reason
        if order.trigger is not None:
            return self._judge_waiting(order, order.px, order.trigger, instrument, account, limits, now_ns)
        reference = self._reference(order, order.px, limits, now_ns)
        if not isinstance(reference, Decimal):
            return reference
        reason = _size(order, order.px, reference, instrument, limits)
        if reason is not None:
            return reason
        return self._judge_exposure(order, order.px, reference, instrument, account, limits, state, now_ns)

    def _judge_waiting(
        self,
        order: NewOrder,
        px: Decimal,
        trigger: Trigger,
        instrument: Instrument,
        account: AccountBook,
        limits: Limits,
        now_ns: int,
    ) -> _Reason | None:
        """Judge an order that waits for a price: reduce-only and immediate, its price near its trigger, which the mark has
        not reached, its size at most what is held; that may be more than an order of another kind.
        """
        if not order.reduce_only or order.tif is not TimeInForce.IOC or order.post_only:
            return Code.TRIGGER, "an order that waits for a price has to be reduce-only and immediate"
        reason = _inexact(order, trigger.px, instrument)
        if reason is not None:
            return reason
        prices = self._books.prices(order.instrument)
        oldest_ns = now_ns - limits.max_reference_age_s * NS_PER_S
        mark_px = None if prices is None else _known(prices.mark_px, prices.mark_ns, oldest_ns)
        if mark_px is None:
            return Code.NO_REFERENCE, f"no recent mark price of {order.instrument}"
        if trigger.is_reached(order.side, mark_px):
            return Code.TRIGGER, f"its trigger at {trigger.px} is reached already: the mark is {mark_px}"
        if not abs(px - trigger.px) * _BPS <= limits.price_collar_bps * trigger.px:
            return Code.PRICE_COLLAR, f"{px} is more than {limits.price_collar_bps} bps from its trigger {trigger.px}"
        position = account.position_qty(order.instrument)
        if not order.side.sign * position < _ZERO:
            return Code.REDUCE_ONLY, f"a {order.side.value} does not reduce a position of {position}"
        if not order.qty <= abs(position):
            return Code.REDUCE_ONLY, f"{order.side.value} {order.qty} does not only reduce a position of {position}"
        reason = _venue_size(order, px, instrument)
        if reason is not None:
            return reason
        exposure = self._own_orders.exposure(order.account, order.instrument)
        return self._judge_pace(order, exposure, account, limits, True, now_ns)

    def _judge_exposure(
        self,
        order: NewOrder,
        px: Decimal,
        reference: Decimal,
        instrument: Instrument,
        account: AccountBook,
        limits: Limits,
        state: ReadyState,
        now_ns: int,
    ) -> _Reason | None:
        """Judge what depends on the position and on the other orders."""
        exposure = self._own_orders.exposure(order.account, order.instrument)
        position = account.position_qty(order.instrument)
        reduces = _only_reduces(order, position, exposure)
        if order.reduce_only and not reduces:
            return Code.REDUCE_ONLY, f"{order.side.value} {order.qty} does not only reduce a position of {position}"
        if state is not ReadyState.READY and not reduces:
            return Code.FROZEN, f"{order.instrument} of {order.account} is frozen"
        opposite_px = self._own_orders.best_own_px(order.instrument, order.side.opposite)
        if opposite_px is not None and not (px < opposite_px if order.side is Side.BUY else px > opposite_px):
            return Code.OWN_CROSS, f"{order.side.value} at {px} meets an own order at {opposite_px}"
        if not reduces:
            reason = _position(order, reference, position, exposure, instrument, limits)
            if reason is not None:
                return reason
        return self._judge_pace(order, exposure, account, limits, reduces, now_ns)

    def _judge_pace(
        self, order: NewOrder, exposure: Exposure, account: AccountBook, limits: Limits, reduces: bool, now_ns: int
    ) -> _Reason | None:
        """Judge counts, rate and losses; the rate last but for them, so that what is refused before uses none of it up."""
        count = self._own_orders.open_count(order.account)
        if not count < limits.max_open_orders:
            return (
                Code.MAX_OPEN_ORDERS,
                f"{count} orders of {order.account} are open, the limit is {limits.max_open_orders}",
            )
        if not exposure.unknown < limits.max_unknown_orders:
            return Code.UNKNOWN_ORDERS, f"the outcome of {exposure.unknown} orders of {order.instrument} is unknown"
        if self._own_orders.knows(order.account, order.client_order_id):
            return Code.DUPLICATE_ID, f"client order id {order.client_order_id} was used before"
        window = self._window(order.account, reduces)
        if not window.left(limits.orders_per_s, now_ns) > 0:
            return Code.ORDER_RATE, f"more than {limits.orders_per_s} orders a second"
        if not reduces:
            halt = self._halts.active.get(order.account)
            if halt is not None:
                return Code.HALTED, f"{order.account} is halted: {halt.text}"
            if not is_inside_loss(account.day_pnl, limits):
                return Code.MAX_LOSS, f"the day's PnL is {_short(account.day_pnl)}, the limit is -{limits.max_loss}"
            if not is_inside_drawdown(account.drawdown_frac, limits):
                limit = limits.max_drawdown_frac
                return (
                    Code.MAX_DRAWDOWN,
                    f"the drawdown is {_short(account.drawdown_frac)} of the peak, the limit is {limit}",
                )
        window.count(now_ns)
        return None

    def _reference(self, order: NewOrder, px: Decimal, limits: Limits, now_ns: int) -> Decimal | _Reason:
        """Return the highest recent price known, for notionals; refuse a price too far from any of them.

        A mark price is needed. Index and own mid are judged as well where known: the worst counts (RELIABILITY D10).
        """
        prices = self._books.prices(order.instrument)
        book = self._books.book(order.instrument, now_ns)
        oldest_ns = now_ns - limits.max_reference_age_s * NS_PER_S
        mark_px = None if prices is None else _known(prices.mark_px, prices.mark_ns, oldest_ns)
        index_px = None if prices is None else _known(prices.index_px, prices.index_ns, oldest_ns)
        if mark_px is None:
            return Code.NO_REFERENCE, f"no recent mark price of {order.instrument}"
        highest = px
        mid_px = None if book is None else book.mid_px
        for name, reference in (("mark", mark_px), ("index", index_px), ("mid", mid_px)):
            if reference is None:
                continue
            if not abs(px - reference) * _BPS <= limits.price_collar_bps * reference:
                return Code.PRICE_COLLAR, f"{px} is more than {limits.price_collar_bps} bps from the {name} {reference}"
            highest = max(highest, reference)
        return highest

    def _window(self, account: AccountId, reduces: bool) -> OrderWindow:
        window = self._rates.get((account, reduces))
        if window is None:
            window = self._rates[(account, reduces)] = OrderWindow()
        return window


_Reason = tuple[Code, str]


def _short(figure: Decimal | None) -> str:
    return "unknown" if figure is None else f"{figure:.4f}"


def _known(px: Decimal | None, ts_ns: int, oldest_ns: int) -> Decimal | None:
    """Return a price that is proven to be one, and recent."""
    return px if px is not None and px.is_finite() and px > _ZERO and ts_ns >= oldest_ns else None


def _inexact(order: NewOrder, px: Decimal, instrument: Instrument) -> _Reason | None:
    try:
        ticks, lots = instrument.to_ticks(px), instrument.to_lots(order.qty)
    except ValueError as error:
        return Code.INEXACT, str(error)
    if ticks <= 0 or lots <= 0:
        return Code.INEXACT, f"price {px} and quantity {order.qty} must be positive"
    return None


def _size(order: NewOrder, px: Decimal, reference: Decimal, instrument: Instrument, limits: Limits) -> _Reason | None:
    """Minimums by the order's own price; the maximum by the highest price known, since a sell may fill there."""
    reason = _venue_size(order, px, instrument)
    if reason is not None:
        return reason
    notional = order.qty * reference
    if not notional <= limits.max_order_notional:
        return Code.MAX_ORDER_NOTIONAL, f"a notional of {notional} is above the limit of {limits.max_order_notional}"
    return None


def _venue_size(order: NewOrder, px: Decimal, instrument: Instrument) -> _Reason | None:
    if not order.qty >= instrument.min_qty:
        return Code.MIN_SIZE, f"{order.qty} is below the minimum quantity of {instrument.min_qty}"
    if not order.qty * px >= instrument.min_notional:
        return Code.MIN_SIZE, f"a notional of {order.qty * px} is below the minimum of {instrument.min_notional}"
    if instrument.max_position_qty is not None and not order.qty <= instrument.max_position_qty:
        return Code.MAX_SIZE, f"{order.qty} is above the instrument's maximum of {instrument.max_position_qty}"
    return None


def _only_reduces(order: NewOrder, position: Decimal, exposure: Exposure) -> bool:
    """Say whether the position cannot change its sign even if everything open on this side fills first."""
    if order.side is Side.BUY:
        return position < _ZERO and exposure.buy_qty + order.qty <= -position
    return position > _ZERO and exposure.sell_qty + order.qty <= position


def _position(
    order: NewOrder,
    reference: Decimal,
    position: Decimal,
    exposure: Exposure,
    instrument: Instrument,
    limits: Limits,
) -> _Reason | None:
    """Judge the position after everything open on this side has filled, and nothing of the other side."""
    open_qty = exposure.buy_qty if order.side is Side.BUY else exposure.sell_qty
    worst = order.side.sign * position + open_qty + order.qty
    if not worst * reference <= limits.max_position_notional:
        text = (
            f"the position could become {worst} worth {worst * reference}, the limit is {limits.max_position_notional}"
        )
        return Code.MAX_POSITION, text
    if instrument.max_position_qty is not None and not worst <= instrument.max_position_qty:
        return Code.MAX_POSITION, f"the position could become {worst}, the venue allows {instrument.max_position_qty}"
    return None
