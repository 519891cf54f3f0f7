"""The matching engine: what becomes of an order from its acceptance to its end.

An accepted order is PENDING. If it may take it waits 25 ms, then it arrives; post-only and RPI orders arrive at once.
On arrival it gets its id and is refused (REJECTED), rests (OPEN), trades, or both; what cannot rest is CANCELLED, without
an OPEN in between. PROTOCOL 16 leaves open which of the two a crossing post-only order or an unfilled IOC gets: here
REJECTED and CANCELLED, after the rule that an order is rejected before it was open [guess]. A client's cancel of a pending
order makes it CANCELLED.

An order with a trigger gets its id and is OPEN at once, but in no book: it waits for its price. When it is reached the
order fires, which is told, and goes on as the plain order it is; refused then, it is CANCELLED, as it was open. One with
a parent looks at its price once the parent has ended with a trade.

Matching is by price, then time. Every change of a client's order, fill and position becomes an event, in the order it
happens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.book import Order
from perpmaker.exchange.core.fees import fee_nano
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.listing import Listing
from perpmaker.exchange.core.orders import ClientOrder, order_id_text
from perpmaker.exchange.core.triggers import counterpart, linked
from perpmaker.exchange.core.types import (
    Fill,
    FillReported,
    OrderRejectReason,
    OrderStatus,
    OrderTerms,
    OrderUpdated,
    OrderView,
    PositionUpdated,
    SelfTrade,
    TimeInForce,
    Violation,
    ViolationRecorded,
)
from perpmaker.exchange.core.validation import Planned, grows_beyond_limits
from perpmaker.exchange.core.views import position_view

_LAST_64_BITS = (1 << 64) - 1
"""Where an order id has its growing number."""
_TAKEN_BACK = {
    OrderRejectReason.CLIENT_CANCEL,
    OrderRejectReason.CLIENT_BULK_CANCEL,
    OrderRejectReason.CLIENT_REPLACE,
    OrderRejectReason.CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED,
}
"""Ends by the client's will: they end a whole group."""
_REASON_OF_CODE = {
    2080: OrderRejectReason.BELOW_MARGIN,
    2081: OrderRejectReason.EXCEED_MAX_POSITION_SIZE,
    2083: OrderRejectReason.EXCEED_MAX_POSITION_SIZE,
}


class Engine:
    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._by_number: dict[int, ClientOrder] = {}
        """Open orders; pending ones have no number yet."""

    def open_order(self, number: int) -> ClientOrder | None:
        return self._by_number.get(number)

    # an order's way

    def accept(
        self, account: Account, listing: Listing, terms: OrderTerms, ended: OrderRejectReason | None = None
    ) -> OrderView:
        """Take in a valid order; return it as the client is told: PENDING, without an id. `ended`: only to end it."""
        order = ClientOrder(account, listing, terms)
        account.active[terms.client_order_id] = order
        account.orders_accepted += 1
        account.changed_this_hour = True
        if not terms.reduce_only:
            account.open_lots_in(terms.instrument).add(terms.side, terms.qty_lots)
        pending = order.view()
        armed = account.armed_cancels.pop(terms.client_order_id, None)
        if armed is not None:
            self._floor.timers.cancel(armed)
            ended = OrderRejectReason.CLIENT_CANCEL
        if ended is not None:
            self.cancel(order, ended)
        elif terms.trigger is not None:
            self._await_price(order)
        else:
            if self._must_wait(order):
                self._floor.events.append(OrderUpdated(pending))
            self._send(order)
        return pending

    def resume(self, view: OrderView) -> None:
        """Take over an order that waited for its price when the venue's last life ended."""
        terms = view.terms
        order = ClientOrder(self._floor.accounts[terms.sub_account_id], self._floor.listings[terms.instrument], terms)
        order.status, order.update_ns = OrderStatus.OPEN, view.state.update_ns
        order.account.active[terms.client_order_id] = order
        if not terms.reduce_only:
            order.account.open_lots_in(terms.instrument).add(terms.side, terms.qty_lots)
        self._name(order, view.order_id)
        self._expire_later(order)
        order.listing.triggers.add(order, None)

    def cancel(self, order: ClientOrder, reason: OrderRejectReason) -> None:
        """End an active order."""
        self._close(order, OrderStatus.CANCELLED, reason)

    def fire_due(self) -> None:
        """Fire the orders whose price was reached, oldest first. Call it when an act is over: it trades."""
        due = self._floor.due
        while due:
            reached = sorted(due, key=_number_of)
            due.clear()
            for order in reached:
                if order.awaits_price:  # the counterpart of an order that fired before it is cancelled by now
                    self._fire(order)

    def _await_price(self, order: ClientOrder) -> None:
        self._number(order)
        refused = self._refusal_at_any_price(order)
        if refused is not None:
            self._close(order, OrderStatus.REJECTED, refused)
            return
        order.status = OrderStatus.OPEN
        self._expire_later(order)
        self._tell_order(order)
        self._watch(order)

    def _watch(self, order: ClientOrder) -> None:
        """Let an order look at its price, or first wait for its parent to trade."""
        trigger = order.terms.trigger
        if trigger is not None and trigger.parent:
            order.account.dormant.setdefault(trigger.parent, []).append(order)
        elif trigger is not None:
            px_nano = order.listing.price_by(trigger.by) if order.listing.is_trading else None
            order.listing.triggers.add(order, px_nano)

    def _wake(self, order: ClientOrder) -> None:
        """The parent of an order traded: forget it, so that whoever replays events need not know of it."""
        if order.terms.trigger is not None:
            trigger = msgspec.structs.replace(order.terms.trigger, parent=0)
            order.terms = msgspec.structs.replace(order.terms, trigger=trigger)
        self._tell_order(order)
        self._watch(order)

    def disown(self, account: Account, parent: int) -> None:
        """Cancel the triggers whose parent never came to be."""
        for order in account.dormant.pop(parent, ()):
            self.cancel(order, OrderRejectReason.CLIENT_CANCEL)

    def _fire(self, order: ClientOrder) -> None:
        """Send an order on its way. That it fired is told first: whoever replays events must never fire it again."""
        order.fired_ns = self._floor.now_ns
        self._floor.timers.cancel(order.timer)
        order.timer = None
        self._tell_order(order)
        other = counterpart(order)
        if other is not None:
            self.cancel(other, OrderRejectReason.OCO_COUNTER_PART_TRIGGERED)
        self._send(order)

    def _must_wait(self, order: ClientOrder) -> bool:
        return not (order.terms.post_only or order.rpi) and self._floor.limits.speed_bump_ns > 0

    def _send(self, order: ClientOrder) -> None:
        """Let an order arrive: at once, or after the wait of those that may take."""
        if not self._must_wait(order):
            self._arrive(order, again=order.fired_ns > 0)
            return
        release_ns = self._floor.now_ns + self._floor.limits.speed_bump_ns
        order.timer = self._floor.timers.at(release_ns, lambda: self._arrive(order, again=True))

    def _arrive(self, order: ClientOrder, *, again: bool) -> None:
        """Match or rest an order; `again`: check the account once more, as time went by since it was accepted."""
        order.timer = None
        if not order.number:
            self._number(order)
        refused = self._refusal(order, again=again)
        if refused is not None:
            self._close(order, OrderStatus.CANCELLED if order.fired_ns else OrderStatus.REJECTED, refused)
            return
        terms = order.terms
        stopped: OrderRejectReason | None = None
        if not (terms.post_only or order.rpi):
            if terms.time_in_force is TimeInForce.FILL_OR_KILL:
                stopped = self._cannot_fill_whole(order)
            if stopped is None:
                stopped = self._match(order.listing, order, retail=terms.retail)
        if not order.leaves_lots:
            self._finish_filled(order)
        elif stopped is not None:
            self.cancel(order, stopped)
        elif terms.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL:
            self.cancel(order, OrderRejectReason.IOC_CANCEL)
        elif terms.is_market:
            self.cancel(order, OrderRejectReason.MARKET_CANCEL)
        else:
            self._rest(order)
        if order.cum_lots:
            self._tell_position(order)

    def _refusal_at_any_price(self, order: ClientOrder) -> OrderRejectReason | None:
        """Why the engine does not take an order whatever the market and the account look like."""
        expiration_ns, now_ns = order.terms.signature.expiration_ns, self._floor.now_ns
        if not order.listing.is_trading:
            return OrderRejectReason.INSTRUMENT_DEACTIVATED
        if expiration_ns <= now_ns:
            return OrderRejectReason.EXPIRED
        if expiration_ns > now_ns + self._floor.limits.max_signature_ns:
            return OrderRejectReason.EXCEED_MAX_SIGNATURE_EXPIRATION
        return None

    def _refusal(self, order: ClientOrder, *, again: bool) -> OrderRejectReason | None:
        """Why the engine does not take an arriving order; a reduce-only one that is too large is trimmed instead."""
        terms, listing = order.terms, order.listing
        refused = self._refusal_at_any_price(order)
        if refused is not None:
            return refused
        if terms.reduce_only:
            reducible = -terms.side * order.account.lots_in(terms.instrument)
            if reducible <= 0:
                return OrderRejectReason.FAIL_REDUCE_ONLY
            self._trim(order, reducible)
        elif again:
            grown = self._outgrown(order)
            if grown is not None:
                return grown
        if (terms.post_only or order.rpi) and listing.book.crosses(terms.side, terms.px_ticks):
            return OrderRejectReason.FAIL_POST_ONLY
        return None

    def _outgrown(self, order: ClientOrder) -> OrderRejectReason | None:
        """Check the account again, as if the order were not counted yet."""
        others = Planned()
        others.cancel(order.terms.client_order_id, order.side, order.leaves_lots)
        floor, account, listing = self._floor, order.account, order.listing
        refused = grows_beyond_limits(floor, account, listing, order.side, order.leaves_lots, others)
        return None if refused is None else _REASON_OF_CODE[refused.code]

    def _number(self, order: ClientOrder) -> None:
        self._floor.orders_numbered += 1
        terms = order.terms
        if self._floor.limits.plain_ids:
            self._name(order, str(self._floor.orders_numbered))
        else:
            asset_id = order.listing.instrument.asset_id
            self._name(order, order_id_text(asset_id, terms.signature.s, self._floor.orders_numbered))

    def _name(self, order: ClientOrder, order_id: str) -> None:
        order.order_id = order_id
        order.number = int(order_id, 16)
        self._by_number[order.number] = order

    def _expire_later(self, order: ClientOrder) -> None:
        expiry_ns = order.terms.signature.expiration_ns
        order.timer = self._floor.timers.at(expiry_ns, lambda: self.cancel(order, OrderRejectReason.EXPIRED))

    def _rest(self, order: ClientOrder) -> None:
        order.status = OrderStatus.OPEN
        order.listing.book.add(order)
        self._expire_later(order)
        if order.terms.reduce_only:
            order.account.resting_reduce_only.setdefault(order.terms.instrument, {})[order.number] = order
        self._tell_order(order)

    def _finish_filled(self, order: ClientOrder) -> None:
        """End an order that has nothing left to trade: FILLED, or CANCELLED when reduce-only took a part away."""
        if order.trimmed_lots:
            self._close(order, OrderStatus.CANCELLED, OrderRejectReason.REDUCE_ONLY_LIMIT)
        else:
            self._close(order, OrderStatus.FILLED, OrderRejectReason.UNSPECIFIED)

    def _close(self, order: ClientOrder, status: OrderStatus, reason: OrderRejectReason) -> None:
        """End an order, and with one that did not fire its counterpart and the parent they wait for."""
        account, terms = order.account, order.terms
        others = [] if order.fired_ns else linked(order)
        self._floor.timers.cancel(order.timer)
        order.timer = None
        order.listing.book.remove(order)
        order.listing.triggers.remove(order)
        if not terms.reduce_only:
            account.open_lots_in(terms.instrument).add(terms.side, -order.leaves_lots)
        else:
            account.resting_reduce_only.get(terms.instrument, {}).pop(order.number, None)
        account.active.pop(terms.client_order_id, None)
        self._by_number.pop(order.number, None)
        order.status = status
        order.reason = reason
        view = self._tell_order(order)
        account.keep_closed_order(view)
        account.changed_this_hour = True
        for child in account.dormant.pop(terms.client_order_id, ()):
            if child.awaits_price and order.cum_lots and reason not in _TAKEN_BACK:
                self._wake(child)
            else:
                others.append(child)
        for other in others:
            if other.is_active:
                self.cancel(other, reason)

    # matching

    def take(self, listing: Listing, taker: Order, *, retail: bool, publish: bool) -> None:
        """Match simulated flow."""
        self._match(listing, taker, retail=retail, publish=publish)

    def _match(self, listing: Listing, taker: Order, *, retail: bool, publish: bool = True) -> OrderRejectReason | None:
        """Trade until the order is filled or nothing crosses; return why it must stop when it met its own owner."""
        book = listing.book
        client = taker if isinstance(taker, ClientOrder) else None
        limit_ticks = taker.px_ticks or None
        numbers = self.trade_ids()
        while taker.leaves_lots:
            maker = book.first_against(taker.side, limit_ticks, retail=retail)
            if maker is None:
                return None
            if client is not None and isinstance(maker, ClientOrder):
                own = self._self_trade(client, maker)
                if own is not None:
                    if client.terms.self_trade is not SelfTrade.CANCEL_TAKER:
                        self.cancel(maker, own)
                    if client.terms.self_trade is not SelfTrade.CANCEL_MAKER:
                        return own
                    continue
            self._execute(listing, taker, maker, next(numbers), publish=publish)
        return None

    def trade_ids(self) -> Iterator[str]:
        """The ids of what one order executes: "12-1", "12-2", or plain numbers."""
        floor = self._floor
        if floor.limits.plain_ids:
            while True:
                floor.executions_numbered += 1
                yield str(floor.executions_numbered)
        floor.executions_numbered += 1
        execution = floor.executions_numbered
        for match in itertools.count(1):
            yield f"{execution}-{match}"

    def _execute(self, listing: Listing, taker: Order, maker: Order, trade_id: str, *, publish: bool) -> None:
        lots = min(taker.leaves_lots, maker.leaves_lots)
        px_ticks, is_rpi = maker.px_ticks, maker.rpi
        taker.leaves_lots -= lots
        taker.cum_lots += lots
        maker.cum_lots += lots
        listing.book.shrink(maker, lots)
        if publish:
            listing.print(taker.side, px_ticks, lots, trade_id, is_rpi=is_rpi)
        for order, is_taker in ((maker, False), (taker, True)):
            if isinstance(order, ClientOrder):
                self._book_client(order, lots, px_ticks, trade_id, is_taker=is_taker, is_rpi=is_rpi)
            else:
                self._book_flow(listing, order, lots, px_ticks)

    def _book_flow(self, listing: Listing, order: Order, lots: int, px_ticks: int) -> None:
        participant = self._floor.participants[order.participant]
        before = participant.lots[listing.index]
        participant.lots[listing.index] = after = before + order.side * lots
        participant.cash_nano -= order.side * px_ticks * lots * listing.unit_nano
        listing.position_changed(before, after)

    def _book_client(
        self, order: ClientOrder, lots: int, px_ticks: int, trade_id: str, *, is_taker: bool, is_rpi: bool
    ) -> None:
        floor, account, listing, terms = self._floor, order.account, order.listing, order.terms
        notional = px_ticks * lots * listing.unit_nano
        rate_cb = account.fees.taker_cb if is_taker else account.fees.maker_cb
        fee, builder_fee = fee_nano(notional, rate_cb), fee_nano(notional, terms.builder_fee_cb)
        order.cost_tick_lots += px_ticks * lots
        if not terms.reduce_only:
            account.open_lots_in(terms.instrument).add(terms.side, -lots)
        before = account.lots_in(terms.instrument)
        realized = account.book_execution(
            listing.instrument,
            terms.side,
            lots,
            px_ticks,
            fee_nano=fee,
            builder_fee_nano=builder_fee,
            mark_nano=listing.prices.mark_nano,
            now_ns=floor.now_ns,
        )
        floor.fees_collected_nano += fee + builder_fee
        listing.position_changed(before, account.lots_in(terms.instrument))
        fill = Fill(
            event_ns=floor.now_ns,
            sub_account_id=account.sub_account_id,
            instrument=terms.instrument,
            side=terms.side,
            is_taker=is_taker,
            qty_lots=lots,
            px_ticks=px_ticks,
            mark_nano=listing.prices.mark_nano,
            index_nano=listing.prices.index_nano,
            realized_pnl_nano=realized,
            fee_nano=fee,
            fee_rate_cb=rate_cb,
            trade_id=trade_id,
            order_id=order.order_id,
            client_order_id=terms.client_order_id,
            signer=terms.signature.signer,
            broker=terms.broker,
            is_rpi=is_rpi,
            builder=terms.builder,
            builder_fee_rate_cb=terms.builder_fee_cb,
            builder_fee_nano=builder_fee,
        )
        account.fills.append(fill)
        floor.events.append(FillReported(fill))
        if not is_taker:
            self._after_maker_fill(order)
        self._trim_reduce_only(account, listing)

    def _after_maker_fill(self, order: ClientOrder) -> None:
        if order.leaves_lots:
            self._tell_order(order)
        else:
            self._finish_filled(order)
        self._tell_position(order)

    # own orders

    def _self_trade(self, incoming: ClientOrder, resting: ClientOrder) -> OrderRejectReason | None:
        """Return why two orders must not meet, and write it down; None when their owners differ."""
        reason = _own(incoming, resting)
        if reason is None:
            return None
        violation = Violation(
            event_ns=self._floor.now_ns,
            reason=reason,
            instrument=incoming.terms.instrument,
            px_ticks=resting.px_ticks,
            incoming_order_id=incoming.order_id,
            incoming_sub_account_id=incoming.account.sub_account_id,
            incoming_client_order_id=incoming.terms.client_order_id,
            resting_order_id=resting.order_id,
            resting_sub_account_id=resting.account.sub_account_id,
            resting_client_order_id=resting.terms.client_order_id,
        )
        self._floor.violations.append(violation)
        self._floor.events.append(ViolationRecorded(violation))
        return reason

    def _cannot_fill_whole(self, order: ClientOrder) -> OrderRejectReason | None:
        """Why a fill-or-kill order must not start to trade, None when all of it can be filled."""
        missing = order.leaves_lots
        for maker in order.listing.book.walk(order.side, order.px_ticks or None, retail=order.terms.retail):
            if isinstance(maker, ClientOrder) and _own(order, maker) is not None:
                if order.terms.self_trade is SelfTrade.CANCEL_MAKER:
                    continue
                own = self._self_trade(order, maker)
                if order.terms.self_trade is SelfTrade.CANCEL_BOTH and own is not None:
                    self.cancel(maker, own)
                return own
            missing -= maker.leaves_lots
            if missing <= 0:
                return None
        return OrderRejectReason.FOK_CANCEL

    # reduce-only

    def _trim_reduce_only(self, account: Account, listing: Listing) -> None:
        """Cut resting reduce-only orders to what the position, as it is now, can still be reduced by."""
        resting = account.resting_reduce_only.get(listing.instrument.name)
        if not resting:
            return
        lots = account.lots_in(listing.instrument.name)
        for order in list(resting.values()):
            reducible = -order.side * lots
            if reducible <= 0:
                self.cancel(order, OrderRejectReason.REDUCE_ONLY_LIMIT)
            elif self._trim(order, reducible):
                self._tell_order(order)

    def _trim(self, order: ClientOrder, to_lots: int) -> bool:
        """Take away what is above `to_lots`; say whether anything was."""
        surplus = order.leaves_lots - to_lots
        if surplus <= 0:
            return False
        order.trimmed_lots += surplus
        if order.is_resting:
            order.listing.book.shrink(order, surplus)
        else:
            order.leaves_lots -= surplus
        return True

    # telling

    def _tell_order(self, order: ClientOrder) -> OrderView:
        order.update_ns = self._floor.now_ns
        view = order.view()
        self._floor.events.append(OrderUpdated(view))
        return view

    def _tell_position(self, order: ClientOrder) -> None:
        account, listing = order.account, order.listing
        position = account.position_in(listing.instrument)
        self._floor.events.append(PositionUpdated(position_view(self._floor, account, listing, position)))


def _number_of(order: ClientOrder) -> int:
    return order.number & _LAST_64_BITS


def _own(incoming: ClientOrder, resting: ClientOrder) -> OrderRejectReason | None:
    """The reason that two orders of one owner must not meet; None when their owners differ."""
    if incoming.account is resting.account:
        return OrderRejectReason.SELF_MATCHED_SUBACCOUNT
    if incoming.account.owner == resting.account.owner:
        return OrderRejectReason.SELF_TRADE_PROTECTION
    return None
