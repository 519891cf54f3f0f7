"""What becomes of an order at the simulated venue, from its arrival at the gateway to its end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    Event,
    OrderNotFound,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId
from perpmaker.model.order import CancelOrder, NewOrder, TimeInForce
from perpmaker.model.units import NS_PER_MS
from perpmaker.simulation.account import SimulatedAccount
from perpmaker.simulation.checks import Rejection, is_certain, outgrown, refusal
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

    def request(
        self, name: AccountId, cancels: tuple[CancelOrder, ...], orders: tuple[NewOrder, ...], venue_ns: int
    ) -> None:
        """Cancel, then create: the creations are judged as they would stand after the cancels and each other."""
        account = self._house.accounts[name]
        admitted = [order for place, order in enumerate(orders) if self._is_admitted(name, order, place, venue_ns)]
        if not self._house.settings.whole_requests:
            self.cancel(name, cancels, _cancel_reason(admitted), venue_ns)
            for order in admitted:
                refused = refusal(account, self._house.markets, self._house.settings, order, venue_ns)
                if refused is None:
                    self._accept(account, self._made(order, venue_ns), venue_ns)
                else:
                    self._reject(name, order, refused, venue_ns)
            return
        planned = self._planned(account, cancels, admitted, venue_ns)
        if isinstance(planned, Rejection):
            tell = self._reject if is_certain(planned.code, len(admitted)) else self._leave_unknown
            for order in admitted:
                tell(name, order, planned, venue_ns)
            self._cancel_alone(name, cancels, venue_ns)
            return
        self.cancel(name, cancels, _cancel_reason(admitted), venue_ns)
        for made in planned:
            self._accept(account, made, venue_ns)

    def _planned(
        self, account: SimulatedAccount, cancels: Sequence[CancelOrder], orders: Sequence[NewOrder], venue_ns: int
    ) -> list[VenueOrder] | Rejection:
        """Return the orders of a request, or why one of them, and so all of it, is refused; asking changes nothing."""
        before = dict(account.live)
        made: list[VenueOrder] = []
        for cancel in cancels:
            account.live.pop(cancel.client_order_id, None)
        refused: Rejection | None = None
        for order in orders:
            refused = refusal(account, self._house.markets, self._house.settings, order, venue_ns)
            if refused is not None:
                break
            made.append(self._made(order, venue_ns))
            account.live[order.client_order_id] = made[-1]
        account.live.clear()
        account.live.update(before)
        return refused or made

    def _made(self, order: NewOrder, venue_ns: int) -> VenueOrder:
        rules = self._house.markets[order.instrument].instrument
        px_ticks = 0 if order.px is None else rules.to_ticks(order.px)
        return VenueOrder(order, rules, px_ticks, rules.to_lots(order.qty), venue_ns)

    def _accept(self, account: SimulatedAccount, made: VenueOrder, venue_ns: int) -> None:
        order = made.order
        account.live[order.client_order_id] = made
        self._house.report(made, venue_ns, Source.REPLY)
        if account.armed.pop(order.client_order_id, None) is not None:
            self._house.close(made, VenueStatus.CANCELED, "CLIENT_CANCEL", venue_ns)
        elif order.post_only or not self._house.settings.speed_bump_ns:
            self._arrive(made, venue_ns)
        else:
            waited_ns = venue_ns + self._house.settings.speed_bump_ns
            self._house.actions.put(waited_ns, partial(self._arrive_after_wait, made), OURS)

    def _reject(self, name: AccountId, order: NewOrder, refused: Rejection, venue_ns: int) -> None:
        recv_ns = self._house.recv_ns(name, venue_ns)
        told = SubmitRejected(name, order.client_order_id, refused.code, refused.text, recv_ns)
        self._house.tell_at(recv_ns, told)

    def _leave_unknown(self, name: AccountId, order: NewOrder, refused: Rejection, venue_ns: int) -> None:
        """Refuse an order with no more said of it than the gateway can conclude: whoever sent it has to ask."""
        recv_ns = self._house.recv_ns(name, venue_ns)
        told = SubmitUnknown(name, order.client_order_id, f"{refused.code} {refused.text}", recv_ns)
        self._house.tell_at(recv_ns, told)

    def _cancel_alone(self, name: AccountId, cancels: tuple[CancelOrder, ...], venue_ns: int) -> None:
        """Send the cancels of a refused request again, once its refusal is here: as the gateway does."""
        if cancels:
            recv_ns = self._house.recv_ns(name, venue_ns)
            at_ns = recv_ns + self._house.offset_ns + self._house.latency.entry_ns(recv_ns)
            self._house.actions.put(at_ns, partial(self.cancel, name, cancels, "CLIENT_CANCEL"), OURS)

    def _is_admitted(self, name: AccountId, order: NewOrder, place: int, venue_ns: int) -> bool:
        """Whether a creation is within what may be sent at all; each counts for itself, the venue's buckets are a guess."""
        refused: Rejection | None = None
        if place >= self._house.settings.max_bulk:
            refused = Rejection(2235, f"at most {self._house.settings.max_bulk} orders in a request")
        elif not self._pace(name).take(venue_ns):
            refused = Rejection(1006, "you have surpassed the allocated rate limit for your tier")
        if refused is not None:
            self._reject(name, order, refused, venue_ns)
        return refused is None

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


def _cancel_reason(created: Sequence[NewOrder]) -> str:
    return "CLIENT_REPLACE" if created else "CLIENT_CANCEL"
