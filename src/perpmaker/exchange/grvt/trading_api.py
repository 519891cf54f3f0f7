"""The trading RPCs (protocol page §6) of one logged-in session."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

from perpmaker.exchange.core.amounts import decimal_text, percent_text
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import (
    AccountView,
    Fill,
    OrderView,
    Page,
    PositionHistoryRow,
    PositionMarginType,
    PositionView,
    Rejection,
)
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.grvt import render
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.creations import Builder, Creations
from perpmaker.exchange.grvt.requests import (
    cursor_text,
    instrument_filter,
    order_id_of,
    order_request,
    window,
)
from perpmaker.exchange.grvt.schema import Message
from perpmaker.exchange.grvt.sessions import Session
from perpmaker.exchange.grvt.signatures import SignatureVerifier, position_config_body, scaled

ACK: Final = {"result": {"ack": True}}
DEFAULT_COUNTDOWN_MS: Final = 1000
Outcome = TypeVar("Outcome")


class TradingApi:
    """Answers each route's request; the method is named like the route."""

    def __init__(
        self,
        venue: Venue,
        verifier: SignatureVerifier,
        creations: Creations,
        on_builder: Callable[[str, Builder], None],
    ) -> None:
        self._venue = venue
        self._verifier = verifier
        self._creations = creations
        self._on_builder = on_builder
        self._builders: dict[str, dict[str, Builder]] = {}

    def add_builder(self, main_account: str, builder: Builder) -> None:
        """Let a builder charge a main account's orders; a later one replaces the former with the same address."""
        self._builders.setdefault(main_account, {})[builder.address] = builder

    # orders

    def create_order(self, request: Message, session: Session) -> Message:
        order = request["order"]
        self._creations.admit(order, session, self._builders_of(session))
        return {"result": self._order_message(_accepted(self._venue.create_order(order_request(order))))}

    def bulk_orders(self, request: Message, session: Session) -> Message:
        sub_account_id = self._sub_account(request, session)
        orders = request.get("orders") or []
        if any(order["sub_account_id"] != sub_account_id for order in orders):
            raise ApiError(2003)
        for order in orders:
            self._creations.admit(order, session, self._builders_of(session))
        outcome = _accepted(
            self._venue.bulk_orders(
                sub_account_id,
                [order_request(order) for order in orders],
                cancel_order_ids=request.get("order_i_ds") or (),
                cancel_client_order_ids=request.get("client_order_i_ds") or (),
                time_to_live_ms=request.get("time_to_live_ms"),
            )
        )
        return {
            "orders": [self._order_message(view) for view in outcome.orders],
            "cancel_acks": [{"ack": ack} for ack in outcome.cancel_acks],
        }

    def cancel_order(self, request: Message, session: Session) -> Message:
        refusal = self._venue.cancel_order(
            self._sub_account(request, session),
            order_id=order_id_of(request),
            client_order_id=request.get("client_order_id") or None,
            time_to_live_ms=request.get("time_to_live_ms"),
        )
        return _ack(refusal)

    def cancel_all_orders(self, request: Message, session: Session, *, miss_pending: bool = False) -> Message:
        sub_account_id = self._sub_account(request, session)
        which = instrument_filter(request)
        if which is not None:
            self._venue.cancel_all(sub_account_id, which, miss_pending=miss_pending)
        return ACK

    def cancel_on_disconnect(self, request: Message, session: Session) -> Message:
        countdown_ms = request.get("countdown_time", DEFAULT_COUNTDOWN_MS)
        return _ack(self._venue.cancel_on_disconnect(self._sub_account(request, session), countdown_ms))

    def order(self, request: Message, session: Session) -> Message:
        order_id, client_order_id = order_id_of(request), request.get("client_order_id") or None
        sub_account_id = self._sub_account(request, session)
        if order_id is None and client_order_id is None:
            raise ApiError(3021)
        view = self._venue.order(sub_account_id, order_id=order_id, client_order_id=client_order_id)
        if view is None:
            raise ApiError(1004, "Data Not Found (RESOURCE_NOT_FOUND)")
        return {"result": self._order_message(view)}

    def open_orders(self, request: Message, session: Session) -> Message:
        sub_account_id = self._sub_account(request, session)
        which = instrument_filter(request)
        rows = [] if which is None else self._venue.open_orders(sub_account_id, which)
        return {"result": [self._order_message(row) for row in rows]}

    # histories

    def order_history(self, request: Message, session: Session) -> Message:
        return self._history(request, session, self._venue.order_history, self._order_message)

    def fill_history(self, request: Message, session: Session) -> Message:
        return self._history(request, session, self._venue.fill_history, self._fill_message)

    def funding_payment_history(self, request: Message, session: Session) -> Message:
        return self._history(request, session, self._venue.funding_payments, render.funding_payment_message)

    def position_history(self, request: Message, session: Session) -> Message:
        statuses, margin_types = request.get("status"), request.get("margin_type")
        is_long = request.get("is_long", False)
        one_side = is_long != request.get("is_short", False)

        def wanted(row: PositionHistoryRow) -> bool:
            return (
                (not statuses or row.status.name in statuses)
                and (not margin_types or row.margin_type.name in margin_types)
                and (not one_side or row.is_long == is_long)
            )

        query = partial(self._venue.position_history, wanted=wanted)
        return self._history(request, session, query, self._closed_position_message)

    def account_history(self, request: Message, session: Session) -> Message:
        page = self._venue.account_history(self._sub_account(request, session), **window(request).arguments())
        rows = [render.sub_account_message(row, self._position_messages(row.positions)) for row in page.rows]
        return {"result": rows, "next": cursor_text(page.next_before)}

    # accounts

    def positions(self, request: Message, session: Session) -> Message:
        sub_account_id = self._sub_account(request, session)
        which = instrument_filter(request)
        rows = [] if which is None else self._venue.positions(sub_account_id, which)
        return {"result": self._position_messages(rows)}

    def account_summary(self, request: Message, session: Session) -> Message:
        view = self._account(self._sub_account(request, session))
        return {"result": render.sub_account_message(view, self._position_messages(view.positions))}

    def spot_account_summary(self, request: Message, session: Session) -> Message:
        view = self._account(self._sub_account(request, session))
        return {
            "result": {
                "event_time": str(view.event_ns),
                "sub_account_id": str(view.sub_account_id),
                "total_equity": render.ZERO,
                "spot_balances": [],
            }
        }

    def aggregated_account_summary(self, request: Message, session: Session) -> Message:
        views = [self._account(number) for number in self._venue.sub_accounts(session.main_account)]
        equity = decimal_text(sum(view.total_equity_nano for view in views))
        return {
            "result": {
                "main_account_id": session.main_account,
                "total_equity": equity,
                "spot_balances": [],
                "vault_investments": [],
                "total_sub_account_balance": decimal_text(sum(view.balance_nano for view in views)),
                "total_sub_account_equity": equity,
                "total_vault_investments_balance": render.ZERO,
                "total_sub_account_available_balance": decimal_text(sum(view.available_nano for view in views)),
                "total_usd_notional_invested": render.ZERO,
            }
        }

    def funding_account_summary(self, request: Message, session: Session) -> Message:
        """The funding wallet holds nothing here: deposits are in the sub-accounts."""
        tier = self._venue.fee_tier(session.sub_account_id)
        return {
            "result": {
                "main_account_id": session.main_account,
                "total_equity": render.ZERO,
                "spot_balances": [],
                "vault_investments": [],
                "total_cash_balance": render.ZERO,
                "total_spot_asset_balance": render.ZERO,
            },
            "tier": {
                "tier": tier.number,
                "futures_taker_fee": tier.taker_cb,
                "futures_maker_fee": tier.maker_cb,
                "options_taker_fee": 0,
                "options_maker_fee": 0,
                "spot_taker_fee": 0,
                "spot_maker_fee": 0,
                "spot_borrow_configs": [],  # newer than the protocol page; public clients ask for it
            },
        }

    def get_sub_accounts(self, request: Message, session: Session) -> Message:
        return {"sub_account_ids": [str(number) for number in self._venue.sub_accounts(session.main_account)]}

    # leverage and margin

    def get_all_initial_leverage(self, request: Message, session: Session) -> Message:
        rows = self._venue.leverages(self._sub_account(request, session))
        return {"results": [render.leverage_message(row) for row in rows]}

    def set_initial_leverage(self, request: Message, session: Session) -> Message:
        sub_account_id = self._sub_account(request, session)
        self._listed(request["instrument"])
        _accepted(self._venue.set_leverage(sub_account_id, request["instrument"], request["leverage"]))
        return {"success": True}

    def set_position_config(self, request: Message, session: Session) -> Message:
        sub_account_id = self._sub_account(request, session)
        asset_id = self._listed(request["instrument"]).asset_id
        self._verifier.check(
            "SetSubAccountPositionMarginConfig",
            position_config_body(request, asset_id),
            request["signature"],
            self._venue.now_ns,
        )
        self._creations.check_signer(request["signature"]["signer"], sub_account_id, session)
        margin_type = PositionMarginType[request["margin_type"]]
        _accepted(
            self._venue.set_position_config(sub_account_id, request["instrument"], margin_type, request["leverage"])
        )
        return {"ack": True}

    def get_position_margin_limits(self, request: Message, session: Session) -> Message:
        """Limits of an isolated position's margin; positions are cross here, which is what 7455 says."""
        self._sub_account(request, session)
        self._listed(request["instrument"])
        raise ApiError(7455)

    # builders

    def get_authorized_builders(self, request: Message, session: Session) -> Message:
        rows = self._builders_of(session).values()
        return {
            "results": [
                {
                    "builder_account_id": row.address,
                    "max_futures_fee_rate": percent_text(scaled(row.max_futures_fee, 4)),
                    "max_spot_fee_rate": percent_text(scaled(row.max_spot_fee, 4)),
                }
                for row in rows
            ]
        }

    def authorize_builder(self, request: Message, session: Session) -> Message:
        if request["main_account_id"] != session.main_account:
            raise ApiError(1001)
        futures_fee, spot_fee = request["max_futures_fee_rate"], request["max_spot_fee_rate"]
        body = {
            "mainAccountID": request["main_account_id"],
            "builderAccountID": request["builder_account_id"],
            "maxFutureFeeRate": scaled(futures_fee, 4),
            "maxSpotFeeRate": scaled(spot_fee, 4),
        }
        self._verifier.check("AuthorizeBuilder", body, request["signature"], self._venue.now_ns)
        self._creations.check_signer(request["signature"]["signer"], session.sub_account_id, session)
        if futures_fee < 0 or spot_fee < 0:
            raise ApiError(7501)
        builder = Builder(request["builder_account_id"], futures_fee, spot_fee)
        if self._builders_of(session).get(builder.address) == builder:
            raise ApiError(7503)
        self.add_builder(session.main_account, builder)
        self._on_builder(session.main_account, builder)
        return {"result": {"ack": True, "tx_id": "0"}}

    # within

    def _builders_of(self, session: Session) -> dict[str, Builder]:
        return self._builders.get(session.main_account, {})

    def _sub_account(self, request: Message, session: Session) -> int:
        sub_account_id: int = request["sub_account_id"]
        if sub_account_id not in self._venue.sub_accounts(session.main_account):
            raise ApiError(1001)
        return sub_account_id

    def _history(
        self,
        request: Message,
        session: Session,
        query: Callable[..., Page[Any]],
        render_row: Callable[[Any], Message],
    ) -> Message:
        sub_account_id = self._sub_account(request, session)
        which = instrument_filter(request)
        rows = window(request)
        if which is None:
            return {"result": [], "next": ""}
        page = query(sub_account_id, which, **rows.arguments())
        return {"result": [render_row(row) for row in page.rows], "next": cursor_text(page.next_before)}

    def _account(self, sub_account_id: int) -> AccountView:
        view = self._venue.account(sub_account_id)
        if view is None:
            raise ApiError(1004)
        return view

    def _listed(self, name: str) -> Instrument:
        instrument = self._venue.instrument(name)
        if instrument is None:
            raise ApiError(3000)
        return instrument

    def _order_message(self, view: OrderView) -> Message:
        return render.order_message(view, self._listed(view.terms.instrument))

    def _fill_message(self, fill: Fill) -> Message:
        return render.fill_message(fill, self._listed(fill.instrument))

    def _closed_position_message(self, row: PositionHistoryRow) -> Message:
        return render.position_history_message(row, self._listed(row.instrument))

    def _position_messages(self, rows: Iterable[PositionView]) -> list[Message]:
        return [render.position_message(row, self._listed(row.instrument)) for row in rows]


def _accepted(outcome: Outcome | Rejection) -> Outcome:
    if isinstance(outcome, Rejection):
        raise ApiError(outcome.code)
    return outcome


def _ack(refusal: Rejection | None) -> Message:
    _accepted(refusal)
    return ACK
