"""Order entry: creations, cancels with their time to live, bulk requests and the cancel-on-disconnect countdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.engine import Engine
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.orders import ClientOrder, order_id_number, payload_of
from perpmaker.exchange.core.types import (
    UNASSIGNED_ORDER_ID,
    BulkOutcome,
    CancelStatus,
    CancelStatusUpdated,
    DisconnectArmed,
    OrderRejectReason,
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderTerms,
    OrderView,
    Rejection,
)
from perpmaker.exchange.core.validation import Planned, check_creation

_MS_NS = 1_000_000
_DEFAULT_TTL_MS = 100
_MIN_TTL_MS = 100
_MAX_TTL_MS = 5_000
_COUNTDOWN_OFF_MS = 1_000
_MAX_COUNTDOWN_MS = 300_000


class Gateway:
    """What clients send, after signature and session were checked by the face (PROTOCOL 6)."""

    def __init__(self, floor: Floor, engine: Engine) -> None:
        self._floor = floor
        self._engine = engine

    def create(self, account: Account, request: OrderRequest) -> OrderView | Rejection:
        terms = check_creation(self._floor, account, request)
        return terms if isinstance(terms, Rejection) else self._accept(account, terms)

    def cancel(
        self, account: Account, order_id: str | None, client_order_id: int | None, time_to_live_ms: int | None
    ) -> Rejection | None:
        """Cancel one order. By client id always acknowledged: an unknown one stays armed for its time to live.

        By order id an order that is not open is 1004: only the client id has a time to live.
        """
        number = order_id_number(order_id)
        if number is not None:
            order = self._own_open_order(account, number)
            if order is None:
                return Rejection(1004, order_id or "")
            self._engine.cancel(order, OrderRejectReason.CLIENT_CANCEL)
            return None
        if not client_order_id:
            return Rejection(3021)
        ttl = _time_to_live_ns(time_to_live_ms)
        if isinstance(ttl, Rejection):
            return ttl
        self._cancel_client_id(account, client_order_id, ttl, OrderRejectReason.CLIENT_CANCEL)
        return None

    def cancel_where(self, account: Account, reason: OrderRejectReason, wanted: Callable[[ClientOrder], bool]) -> int:
        """Cancel all active orders that are wanted, oldest first; return how many."""
        orders = [order for order in account.active.values() if wanted(order)]
        for order in orders:
            if order.is_active:
                self._engine.cancel(order, reason)
        return len(orders)

    def bulk(
        self,
        account: Account,
        creations: Sequence[OrderRequest],
        cancel_order_ids: Sequence[str],
        cancel_client_order_ids: Sequence[int],
        time_to_live_ms: int | None,
    ) -> BulkOutcome | Rejection:
        """Cancel, then create. Either every creation passes the gateway's checks or nothing at all is done [guess]."""
        refused = self._check_bulk(creations, cancel_order_ids, cancel_client_order_ids)
        ttl = _time_to_live_ns(time_to_live_ms)
        if refused is not None or isinstance(ttl, Rejection):
            return refused or ttl  # type: ignore[return-value]  # an int only when not refused
        numbers = [order_id_number(text) or -1 for text in cancel_order_ids]
        by_number = [self._own_open_order(account, number) for number in numbers]
        by_client_id = [account.active.get(client_id) for client_id in cancel_client_order_ids]
        to_cancel = by_number + by_client_id
        refused = _check_replacement(creations, to_cancel)
        if refused is not None:
            return refused
        planned = Planned()
        for order in dict.fromkeys(to_cancel):
            if order is not None:
                growing = 0 if order.terms.reduce_only else order.leaves_lots
                planned.cancel(order.terms.client_order_id, order.side, growing)
        accepted: dict[int, OrderTerms] = {}
        for place in sorted(range(len(creations)), key=lambda place: creations[place].trigger is not None):
            terms = check_creation(self._floor, account, creations[place], planned)
            if isinstance(terms, Rejection):
                return terms
            planned.create(terms)
            accepted[place] = terms
        reason = OrderRejectReason.CLIENT_REPLACE if creations else OrderRejectReason.CLIENT_BULK_CANCEL
        acks = [order is not None for order in by_number] + [True] * len(by_client_id)
        for order in to_cancel:
            if order is not None and order.is_active:  # the other one of a pair may have gone with the first
                self._engine.cancel(order, reason)
        for client_order_id, order in zip(cancel_client_order_ids, by_client_id, strict=True):
            if order is None:
                self._cancel_client_id(account, client_order_id, ttl, reason)
        linked = _linked([accepted[place] for place in range(len(creations))])
        return BulkOutcome(self._accept_all(account, linked), tuple(acks))

    def arm_disconnect(self, account: Account, countdown_ms: int) -> Rejection | None:
        """Arm, refresh or (0 to 1000 ms) disable the countdown after which every order is cancelled."""
        if countdown_ms > _MAX_COUNTDOWN_MS:
            return Rejection(6000, f"{countdown_ms} ms")
        whole_ms = countdown_ms // 1_000 * 1_000
        self._set_disconnect(account, self._floor.now_ns + whole_ms * _MS_NS if countdown_ms > _COUNTDOWN_OFF_MS else 0)
        return None

    def resume_disconnect(self, account: Account) -> None:
        """Let the countdown of the venue's last life go on; what was due meanwhile is done at once."""
        due_ns = account.disconnect_due_ns
        if due_ns:
            account.disconnect_timer = self._floor.timers.at(due_ns, lambda: self._disconnected(account))

    def _accept(self, account: Account, terms: OrderTerms, ended: OrderRejectReason | None = None) -> OrderView:
        """Hand a checked order to the engine; the same signed payload a second time is acknowledged and dropped."""
        if not account.first_use(payload_of(terms)):
            state = OrderState(
                OrderStatus.PENDING, OrderRejectReason.UNSPECIFIED, terms.qty_lots, 0, 0, self._floor.now_ns
            )
            return OrderView(UNASSIGNED_ORDER_ID, terms, state)
        return self._engine.accept(account, self._floor.listings[terms.instrument], terms, ended)

    def _accept_all(self, account: Account, linked: Sequence[OrderTerms]) -> tuple[OrderView, ...]:
        """Take in the orders of a request, a group's triggers before the order they wait for: it may trade at once.

        A trigger that does not come to wait takes the others of its group with it: they would stand without it.
        """
        views: dict[int, OrderView] = {}
        is_group = len(linked) > 1 and any(terms.trigger is not None for terms in linked)
        ended: OrderRejectReason | None = None
        for place in sorted(range(len(linked)), key=lambda place: not _parent_of(linked[place])):
            terms = linked[place]
            views[place] = self._accept(account, terms, ended)
            if is_group and ended is None and terms.trigger is not None and terms.client_order_id not in account.active:
                ended = _why_ended(account, terms)
                for other in [account.active.get(other.client_order_id) for other in linked]:
                    if other is not None and other.is_active:
                        self._engine.cancel(other, ended)
        for parent in {_parent_of(terms) for terms in linked} - {0, *account.active}:
            self._engine.disown(account, parent)  # dropped, as its signed payload was used before
        return tuple(views[place] for place in range(len(linked)))

    def _check_bulk(
        self, creations: Sequence[OrderRequest], cancel_order_ids: Sequence[str], cancel_client_order_ids: Sequence[int]
    ) -> Rejection | None:
        if cancel_order_ids and cancel_client_order_ids:
            return Rejection(2233)
        most = self._floor.limits.max_bulk
        if max(len(creations), len(cancel_order_ids), len(cancel_client_order_ids)) > most:
            return Rejection(2235, f"at most {most}")
        if len({leg.instrument for request in creations for leg in request.legs}) > 1:
            return Rejection(2234)
        if all(request.trigger is None for request in creations) or _is_group(creations):
            return None
        return Rejection(2236, "one trigger or a pair of them, with or without one order against them")

    def _own_open_order(self, account: Account, number: int) -> ClientOrder | None:
        order = self._engine.open_order(number)
        return order if order is not None and order.account is account else None

    def _cancel_client_id(self, account: Account, client_order_id: int, ttl_ns: int, reason: OrderRejectReason) -> None:
        order = account.active.get(client_order_id)
        if order is not None:
            self._engine.cancel(order, reason)
        elif client_order_id in account.armed_cancels:
            self._tell_cancel(account, client_order_id, CancelStatus.DROPPED_DUPLICATE)
        else:
            due_ns = self._floor.now_ns + ttl_ns
            timer = self._floor.timers.at(due_ns, lambda: self._cancel_expired(account, client_order_id))
            account.armed_cancels[client_order_id] = timer

    def _cancel_expired(self, account: Account, client_order_id: int) -> None:
        del account.armed_cancels[client_order_id]
        self._tell_cancel(account, client_order_id, CancelStatus.EXPIRED)

    def _tell_cancel(self, account: Account, client_order_id: int, status: CancelStatus) -> None:
        self._floor.events.append(
            CancelStatusUpdated(
                event_ns=self._floor.now_ns,
                sub_account_id=account.sub_account_id,
                client_order_id=client_order_id,
                status=status,
                reason=OrderRejectReason.UNSPECIFIED,
            )
        )

    def _set_disconnect(self, account: Account, due_ns: int) -> None:
        self._floor.timers.cancel(account.disconnect_timer)
        account.disconnect_timer = None
        if account.disconnect_due_ns or due_ns:
            self._floor.events.append(DisconnectArmed(self._floor.now_ns, account.sub_account_id, due_ns))
        account.disconnect_due_ns = due_ns
        self.resume_disconnect(account)

    def _disconnected(self, account: Account) -> None:
        self._set_disconnect(account, 0)
        self.cancel_where(account, OrderRejectReason.CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED, lambda order: True)


def _is_group(creations: Sequence[OrderRequest]) -> bool:
    """Whether these are one trigger, or a take-profit and a stop-loss of one side and size (OCO), alone or with the order
    on the other side that they wait for (OTO, OTOCO)."""
    if any(len(request.legs) != 1 for request in creations):
        return False
    waiting = [(request.trigger.kind, request.legs[0]) for request in creations if request.trigger is not None]
    parents = [request.legs[0] for request in creations if request.trigger is None]
    kinds, sides = {kind for kind, _ in waiting}, {leg.side for _, leg in waiting}
    if len(kinds) != len(waiting) or len(sides) != 1 or len({leg.qty for _, leg in waiting}) != 1:
        return False
    return not parents or (len(parents) == 1 and parents[0].side not in sides)


def _linked(accepted: Sequence[OrderTerms]) -> Sequence[OrderTerms]:
    """The terms of a bulk request, those of triggers with the client order ids of each other and of their parent."""
    ids = [terms.client_order_id for terms in accepted if terms.trigger is not None]
    if not ids:
        return accepted
    parent = next((terms.client_order_id for terms in accepted if terms.trigger is None), 0)
    linked = []
    for terms in accepted:
        if terms.trigger is None:
            linked.append(terms)
            continue
        other = next((number for number in ids if number != terms.client_order_id), 0)
        trigger = msgspec.structs.replace(terms.trigger, counterpart=other, parent=parent)
        linked.append(msgspec.structs.replace(terms, trigger=trigger))
    return linked


def _parent_of(terms: OrderTerms) -> int:
    return 0 if terms.trigger is None else terms.trigger.parent


def _why_ended(account: Account, terms: OrderTerms) -> OrderRejectReason:
    """Why an order of this request is over; CLIENT_CANCEL when it was dropped."""
    closed = account.closed_order(number=None, client_order_id=terms.client_order_id)
    return OrderRejectReason.CLIENT_CANCEL if closed is None or closed.terms != terms else closed.state.reason


def _check_replacement(creations: Sequence[OrderRequest], cancelled: Sequence[ClientOrder | None]) -> Rejection | None:
    """Refuse triggers in place of what is not as many triggers, of one pair if there are two, that wait (PROTOCOL 6).

    So a replacement of one that fired meanwhile makes no second order.
    """
    if not cancelled or all(request.trigger is None for request in creations):
        return None
    if any(order is not None and order.terms.trigger is None for order in cancelled):
        return Rejection(2222)
    awaiting = [order for order in cancelled if order is not None and order.awaits_price]
    if any(_parent_of(order.terms) for order in awaiting):
        return Rejection(2413, "of a group whose first order did not trade yet")
    waiting = {order.terms.client_order_id: order for order in awaiting}
    if len(waiting) != len(creations):
        return Rejection(2413, f"{len(waiting)} wait, {len(creations)} created")
    counterparts = {order.terms.trigger.counterpart for order in waiting.values() if order.terms.trigger is not None}
    if len(waiting) == 2 and counterparts != set(waiting):
        return Rejection(2413, "not of one pair")
    if len(waiting) == 1 and counterparts != {0}:
        return Rejection(2413, "one of a pair")
    return None


def _time_to_live_ns(time_to_live_ms: int | None) -> int | Rejection:
    ttl = _DEFAULT_TTL_MS if time_to_live_ms is None else time_to_live_ms
    if ttl > _MAX_TTL_MS:
        return Rejection(2301, f"{ttl} ms, at most {_MAX_TTL_MS}")
    return max(_MIN_TTL_MS, ttl) * _MS_NS
