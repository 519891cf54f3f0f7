"""What becomes of an order at the simulated venue, from its arrival at the gateway to its end."""

from __future__ import annotations

from functools import partial
from typing import Final

from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    Event,
    OrderNotFound,
    Source,
    SubmitRejected,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId
from perpmaker.model.order import CancelOrder, NewOrder, TimeInForce
from perpmaker.model.units import NS_PER_MS
from perpmaker.simulation.account import SimulatedAccount
from perpmaker.simulation.checks import Rejection, outgrown, refusal
from perpmaker.simulation.house import DISCONNECTED, OURS, House
from perpmaker.simulation.market import Market
from perpmaker.simulation.money import Money
from perpmaker.simulation.order import ZERO, Execution, VenueOrder
from perpmaker.simulation.pace import Pace
from perpmaker.simulation.settings import FillModel

MIN_TTL_MS, DEFAULT_TTL_MS, MAX_TTL_MS = 100, 100, 5_000
_REASON: Final = {2080: "BELOW_MARGIN", 2081: "EXCEED_MAX_POSITION_SIZE", 2083: "EXCEED_MAX_POSITION_SIZE"}


class Trading:
    """Each request is called with the venue's time of its arrival."""

    def __init__(self, house: House, money: Money) -> None:
        self._house = house
        self._money = money
        self._paces: dict[AccountId, Pace] = {}

    def create(self, name: AccountId, orders: tuple[NewOrder, ...], venue_ns: int) -> None:
        account = self._house.accounts[name]
        for place, order in enumerate(orders):
            refused = self._refusal(account, order, place, venue_ns)
            if refused is not None:
                recv_ns = self._house.recv_ns(name, venue_ns)
                self._house.tell_at(
                    recv_ns, SubmitRejected(name, order.client_order_id, refused.code, refused.text, recv_ns)
                )
                continue
            market = self._house.markets[order.instrument]
            rules = market.instrument
            px_ticks = 0 if order.px is None else rules.to_ticks(order.px)
            made = VenueOrder(order, rules, px_ticks, rules.to_lots(order.qty), venue_ns)
            account.live[order.client_order_id] = made
            self._house.report(made, venue_ns, Source.REPLY)
            if account.armed.pop(order.client_order_id, None) is not None:
                self._house.close(made, VenueStatus.CANCELED, "CLIENT_CANCEL", venue_ns)
            elif order.post_only or not self._house.settings.speed_bump_ns:
                self._arrive(made, venue_ns)
            else:
                waited_ns = venue_ns + self._house.settings.speed_bump_ns
                self._house.actions.put(waited_ns, partial(self._arrive_after_wait, made), OURS)

    def _refusal(self, account: SimulatedAccount, order: NewOrder, place: int, venue_ns: int) -> Rejection | None:
        if place >= self._house.settings.max_bulk:
            return Rejection(2235, f"at most {self._house.settings.max_bulk} orders in a request")
        if not self._pace(account.account).take(venue_ns):
            return Rejection(1006, "you have surpassed the allocated rate limit for your tier")
        return refusal(account, self._house.markets, self._house.settings, order, venue_ns)

    def _pace(self, account: AccountId) -> Pace:
        pace = self._paces.get(account)
        if pace is None:
            settings = self._house.settings
            pace = self._paces[account] = Pace(settings.orders_per_s, settings.orders_burst)
        return pace

    def _arrive_after_wait(self, order: VenueOrder, venue_ns: int) -> None:
        if not order.is_live:
            return
        wanted = order.order
        if not wanted.reduce_only:
            account = self._house.accounts[wanted.account]
            del account.live[wanted.client_order_id]  # as if it were not counted yet
            grown = outgrown(
                account, self._house.markets, self._house.settings, wanted, order.instrument.qty(order.leaves_lots)
            )
            account.live[wanted.client_order_id] = order
            if grown is not None:
                self._house.close(order, VenueStatus.REJECTED, _REASON[grown.code], venue_ns)
                return
        self._arrive(order, venue_ns)

    def _arrive(self, order: VenueOrder, venue_ns: int) -> None:
        """An order meets the market: it is refused, trades, rests, or both of the last."""
        wanted, market = order.order, self._house.markets[order.order.instrument]
        self._house.number(order)
        order.arrived_ns = venue_ns
        if order.expire_ns <= venue_ns:
            self._house.close(order, VenueStatus.EXPIRED, "EXPIRED", venue_ns)
            return
        if wanted.reduce_only and not self._trim_to_position(order):
            self._house.close(order, VenueStatus.REJECTED, "FAIL_REDUCE_ONLY", venue_ns)
            return
        crosses, classic = market.crosses(order), self._house.settings.fill_model is FillModel.CLASSIC
        if wanted.post_only and crosses and not classic:
            self._house.close(order, VenueStatus.REJECTED, "FAIL_POST_ONLY", venue_ns)
            return
        if wanted.tif is TimeInForce.FOK and market.takeable_lots(order) < order.leaves_lots:
            self._house.close(order, VenueStatus.CANCELED, "FOK_CANCEL", venue_ns)
            return
        executions = market.take(order) if crosses and not wanted.post_only else []
        if order.leaves_lots and order.may_rest:
            self._rest(order, market, executions, venue_ns)
        else:
            self._end_taker(order, executions, venue_ns)

    def _rest(self, order: VenueOrder, market: Market, executions: list[Execution], venue_ns: int) -> None:
        order.status = VenueStatus.OPEN
        more = market.rest(order)
        if not executions:
            self._house.report(order, venue_ns)
        self._house.actions.put(order.expire_ns, partial(self._expire, order), OURS)
        if executions or more:
            self._money.settle([*executions, *more])

    def _end_taker(self, order: VenueOrder, executions: list[Execution], venue_ns: int) -> None:
        if order.leaves_lots:
            reason = "MARKET_CANCEL" if not order.px_ticks else "IOC_CANCEL"
            self._money.settle(executions, ending=(order, VenueStatus.CANCELED, reason))
            if not executions:
                self._house.close(order, VenueStatus.CANCELED, reason, venue_ns)
        else:
            self._money.settle(executions)

    def _expire(self, order: VenueOrder, venue_ns: int) -> None:
        if order.is_live:
            self._house.close(order, VenueStatus.EXPIRED, "EXPIRED", venue_ns)

    def _trim_to_position(self, order: VenueOrder) -> bool:
        """Cut a reduce-only order to what it can close; returns whether anything is left."""
        held = self._house.accounts[order.order.account].qty(order.order.instrument)
        closes = order.instrument.to_lots(max(-order.side.sign * held, ZERO))
        cut = max(0, order.leaves_lots - closes)
        order.leaves_lots -= cut
        order.trimmed_lots += cut
        return order.leaves_lots > 0

    def cancel(self, name: AccountId, requests: tuple[CancelOrder, ...], reason: str, venue_ns: int) -> None:
        account = self._house.accounts[name]
        for request in requests:
            order = account.live.get(request.client_order_id)
            recv_ns = self._house.recv_ns(name, venue_ns)
            if order is None and request.by_venue_id:
                failed = CancelFailed(name, request.client_order_id, True, "1004 no such order is open", recv_ns)
                self._house.tell_at(recv_ns, failed)
                continue
            self._house.tell_at(recv_ns, CancelReceived(name, request.client_order_id, recv_ns))
            if order is not None:
                self._house.close(order, VenueStatus.CANCELED, reason, venue_ns)
            else:
                self._arm_cancel(account, request, venue_ns)

    def _arm_cancel(self, account: SimulatedAccount, request: CancelOrder, venue_ns: int) -> None:
        """Keep a cancel for an order that may still come."""
        ttl_ms = min(max(request.ttl_ms or DEFAULT_TTL_MS, MIN_TTL_MS), MAX_TTL_MS)
        due_ns = account.armed[request.client_order_id] = venue_ns + ttl_ms * NS_PER_MS
        self._house.actions.put(due_ns, partial(self._disarm, account, request.client_order_id), OURS)

    def _disarm(self, account: SimulatedAccount, client_order_id: ClientOrderId, venue_ns: int) -> None:
        due_ns = account.armed.get(client_order_id)
        if due_ns is None or due_ns > venue_ns:
            return
        del account.armed[client_order_id]
        recv_ns = self._house.recv_ns(account.account, venue_ns)
        self._house.tell_at(recv_ns, CancelFailed(account.account, client_order_id, True, "EXPIRED", recv_ns))

    def arm_dead_man(self, name: AccountId, countdown_ns: int, venue_ns: int) -> None:
        account = self._house.accounts[name]
        due_ns = account.dead_man_ns = venue_ns + countdown_ns
        self._house.actions.put(due_ns, partial(self._dead_man, account), OURS)

    def _dead_man(self, account: SimulatedAccount, venue_ns: int) -> None:
        if account.dead_man_ns and account.dead_man_ns <= venue_ns:
            account.dead_man_ns = 0
            self._house.cancel_all(account.account, None, venue_ns, DISCONNECTED)

    def query(self, name: AccountId, client_order_ids: tuple[ClientOrderId, ...], venue_ns: int) -> None:
        for client_order_id in client_order_ids:
            order = self._house.accounts[name].order(client_order_id)
            recv_ns = self._house.recv_ns(name, venue_ns)
            told: Event = OrderNotFound(name, client_order_id, recv_ns)
            if order is not None:
                told = order.report(Source.QUERY, venue_ns, recv_ns)
            self._house.tell_at(recv_ns, told)
