"""The signed requests (protocol page §5) of one account."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final, TypeVar

from perpmaker.exchange.backpack import render
from perpmaker.exchange.backpack.codes import ApiError, error_of_reason, error_of_rejection
from perpmaker.exchange.backpack.market_api import DEFAULT_ROWS, MOST_ROWS, MOST_SKIPPED, listed
from perpmaker.exchange.backpack.render import Message
from perpmaker.exchange.backpack.requests import (
    CLIENT_IDS,
    SIDES,
    Params,
    check_form,
    client_id_of,
    core_client_id,
    order_request,
)
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import (
    NANO,
    AccountView,
    FundingPayment,
    InstrumentFilter,
    Kind,
    OrderStatus,
    OrderView,
    Page,
    Rejection,
)
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.units import NS_PER_MS

MOST_IN_BATCH: Final = 50
_EVER_MS: Final = 10**14

Row = TypeVar("Row")


class TradingApi:
    """Answers each route's request; the method is named like the route's operation."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._numbers = itertools.count(CLIENT_IDS + 1 + venue.now_ns)
        """For orders without a client id, and as nonces; above those of a former life of the exchange."""

    # account

    def account_query(self, _params: Params, account_id: int) -> Message:
        leverages = self._venue.leverages(account_id)
        return {"leverageLimit": str(min(row.leverage_e6 for row in leverages) // 1_000_000)}

    def account_update(self, params: Params, account_id: int) -> None:
        """Leverage is the account's: it is set for every market, or for none."""
        leverage = params.decimal("leverageLimit")
        if leverage is None:
            return
        names = [row.name for row in self._venue.instruments]
        before = {row.instrument: row.leverage_e6 for row in self._venue.leverages(account_id)}
        for name in names:
            refused = self._venue.set_leverage(account_id, name, leverage)
            if refused is not None:
                for done in names[: names.index(name)]:
                    self._venue.set_leverage(account_id, done, Decimal(before[done]) / 1_000_000)
                raise error_of_rejection(refused)

    def balance_query(self, _params: Params, account_id: int) -> Message:
        return render.capital_message(self._account(account_id))

    def collateral_query(self, _params: Params, account_id: int) -> Message:
        return render.collateral_message(self._account(account_id))

    def position_query(self, params: Params, account_id: int) -> list[Message]:
        rows = self._venue.positions(account_id, self._which(params))
        return [render.position_message(row, self._listed(row.instrument)) for row in rows]

    # orders

    def order_execute(self, params: Params, account_id: int) -> Message:
        check_form(params)
        instrument = listed(self._venue, params.text("symbol"))
        if instrument.kind is not Kind.PERPETUAL:
            raise ApiError("INVALID_MARKET", "This market is for its price alone")
        number = next(self._numbers)
        client_id = number
        if params.has("clientId"):
            client_id = core_client_id(params.integer("clientId", low=0, high=CLIENT_IDS - 1))
        qty = self._quantity(params, instrument)
        request = order_request(params, account_id, client_id, number, self._venue.now_ns, qty)
        accepted = self._venue.create_order(request)
        if isinstance(accepted, Rejection):
            raise error_of_rejection(accepted)
        view = self._venue.order(account_id, client_order_id=client_id)
        if view is None:
            raise LookupError(f"order {client_id} was accepted and is not there")
        if view.state.status is OrderStatus.REJECTED:
            raise error_of_reason(view.state.reason)
        return self._order(view)

    def order_execute_batch(self, orders: list[Params], account_id: int) -> list[Message]:
        """Each order for itself: one that is refused answers its error in its place [guess]."""
        if len(orders) > MOST_IN_BATCH:
            raise ApiError("INVALID_CLIENT_REQUEST", f"At most {MOST_IN_BATCH} orders")
        answers = []
        for params in orders:
            try:
                answers.append(self.order_execute(params, account_id))
            except ApiError as error:
                answers.append({"code": error.code, "message": error.message})
        return answers

    def order_query(self, params: Params, account_id: int) -> Message:
        return self._order(self._open_order(params, account_id))

    def order_cancel(self, params: Params, account_id: int) -> Message:
        view = self._open_order(params, account_id)
        self._venue.cancel_order(account_id, order_id=view.order_id)
        return self._order(self._again(view, account_id))

    def order_query_all(self, params: Params, account_id: int) -> list[Message]:
        return [self._order(row) for row in self._venue.open_orders(account_id, self._which(params))]

    def order_cancel_all(self, params: Params, account_id: int) -> list[Message]:
        instrument = listed(self._venue, params.text("symbol"))
        which = InstrumentFilter(instruments=(instrument.name,))
        rows = self._venue.open_orders(account_id, which)
        self._venue.cancel_all(account_id, which)
        return [self._order(self._again(row, account_id)) for row in rows]

    # histories

    def order_history_query_all(self, params: Params, account_id: int) -> list[Message]:
        """Orders that ended; those that never were accepted are not among them."""
        wanted = params.text("orderId")

        def keep(view: OrderView) -> bool:
            return view.state.status is not OrderStatus.REJECTED and wanted in ("", view.order_id)

        rows = self._rows(self._venue.order_history, keep, params, account_id)
        return [render.order_message(row, self._listed(row.terms.instrument), created_iso=True) for row in rows]

    def fill_history_query_all(self, params: Params, account_id: int) -> list[Message]:
        wanted = params.text("orderId")
        rows = self._rows(self._venue.fill_history, lambda fill: wanted in ("", fill.order_id), params, account_id)
        return [render.fill_message(row, self._listed(row.instrument)) for row in rows]

    def funding_history_query_all(self, params: Params, account_id: int) -> list[Message]:
        rows = self._rows(self._venue.funding_payments, lambda _: True, params, account_id)
        return [self._funding_payment(row) for row in rows]

    # within

    def _quantity(self, params: Params, instrument: Instrument) -> Decimal:
        """The order's size; one in quote currency is what the book gives for it now, rounded down to a step."""
        qty, quote = params.decimal("quantity"), params.decimal("quoteQuantity")
        if (qty is None) == (quote is None):
            raise ApiError("INVALID_CLIENT_REQUEST", "Must specify either quantity or quoteQuantity")
        if qty is not None:
            return qty
        if params.text("orderType") != "Market" or quote is None:
            raise ApiError("INVALID_CLIENT_REQUEST", "quoteQuantity is for market orders")
        left_nano, lots = int(quote * NANO), 0
        for level in self._venue.book(instrument.name).depth(params.choice("side", SIDES).opposite):
            taken = min(level.qty_lots, left_nano // (level.px_ticks * instrument.unit_nano))
            lots += taken
            left_nano -= taken * level.px_ticks * instrument.unit_nano
            if taken < level.qty_lots:
                break
        return Decimal(lots * instrument.lot_nano) / NANO

    def _open_order(self, params: Params, account_id: int) -> OrderView:
        """The open order a request names by either id; RESOURCE_NOT_FOUND when there is none."""
        symbol = listed(self._venue, params.text("symbol")).name
        order_id = params.text("orderId")
        client_id = params.integer("clientId", low=0, high=CLIENT_IDS - 1) if params.has("clientId") else None
        if not order_id and client_id is None:
            raise ApiError("INVALID_CLIENT_REQUEST", "Must specify orderId or clientId")
        for view in self._venue.open_orders(account_id, InstrumentFilter(instruments=(symbol,))):
            named = view.order_id == order_id if order_id else client_id_of(view.terms.client_order_id) == client_id
            if named:
                return view
        raise ApiError("RESOURCE_NOT_FOUND", "Order not found")

    def _again(self, view: OrderView, account_id: int) -> OrderView:
        """An order as it is now."""
        return self._venue.order(account_id, order_id=view.order_id) or view

    def _rows(
        self, query: Callable[..., Page[Row]], keep: Callable[[Row], bool], params: Params, account_id: int
    ) -> list[Row]:
        limit = params.integer("limit", low=1, high=MOST_ROWS, default=DEFAULT_ROWS)
        offset = params.integer("offset", low=0, high=MOST_SKIPPED, default=0)
        window = {
            "start_ns": params.integer("from", low=0, high=_EVER_MS, default=0) * NS_PER_MS,
            "end_ns": params.integer("to", low=0, high=_EVER_MS, default=_EVER_MS) * NS_PER_MS,
        }
        which = self._which(params)
        fitting = filter(keep, _all_rows(lambda before: query(account_id, which, before=before, **window)))
        return list(itertools.islice(fitting, offset, offset + limit))

    def _funding_payment(self, payment: FundingPayment) -> Message:
        page = self._venue.funding_history(
            payment.instrument, start_ns=payment.event_ns, end_ns=payment.event_ns, limit=1
        )
        return render.funding_payment_message(payment, page.rows[0] if page.rows else None)

    def _which(self, params: Params) -> InstrumentFilter:
        if not params.has("symbol"):
            return InstrumentFilter()
        return InstrumentFilter(instruments=(listed(self._venue, params.text("symbol")).name,))

    def _account(self, account_id: int) -> AccountView:
        view = self._venue.account(account_id)
        if view is None:
            raise ApiError("UNAUTHORIZED")
        return view

    def _listed(self, name: str) -> Instrument:
        return listed(self._venue, name)

    def _order(self, view: OrderView) -> Message:
        return render.order_message(view, self._listed(view.terms.instrument))


def _all_rows(page_of: Callable[[int | None], Page[Any]]) -> Iterator[Any]:
    before: int | None = None
    while True:
        page = page_of(before)
        yield from page.rows
        before = page.next_before
        if before is None:
            return
