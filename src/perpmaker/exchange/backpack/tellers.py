"""What the private streams say of events (protocol page §7): each fill and each step of an order as an order update."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from perpmaker.exchange.backpack.render import (
    US_NS,
    ZERO,
    Message,
    break_even_nano,
    capital_message,
    fraction_text,
    initial_fraction,
    order_message,
    position_id,
    status_text,
)
from perpmaker.exchange.core.amounts import decimal_text
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import (
    Event,
    Fill,
    FillReported,
    FundingPaid,
    OrderStatus,
    OrderUpdated,
    OrderView,
    PositionUpdated,
    PositionView,
)
from perpmaker.exchange.core.venue import Venue

Told = tuple[str, int, str, Message]
"""A private message: the kind of stream, the account, the market ("" for none), what it says."""
_ENDED: Final = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)


class _Progress:
    """What was told of a live order."""

    __slots__ = ("lots", "nano", "remaining")

    def __init__(self, remaining: int) -> None:
        self.lots = 0
        self.nano = 0
        self.remaining = remaining


class PrivateTeller:
    """Turns the venue's events into private messages, in their order. Show it every event, whoever listens."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._live: dict[str, _Progress] = {}
        self._held: dict[tuple[int, str], int] = {}
        self._balances: dict[int, Message] = {}
        for account_id in venue.sub_accounts():
            for position in venue.positions(account_id):
                self._held[account_id, position.instrument] = position.qty_lots

    def messages(self, events: Iterable[Event]) -> list[Told]:
        told: list[Told] = []
        touched: dict[int, None] = {}
        for event in events:
            match event:
                case OrderUpdated(order=order):
                    told += self._on_order(order)
                    touched[order.terms.sub_account_id] = None
                case FillReported(fill=fill):
                    told += self._on_fill(fill)
                case PositionUpdated(position=position):
                    told += self._on_position(position)
                case FundingPaid(payment=payment):
                    touched[payment.sub_account_id] = None
        for account_id in touched:
            told += self._on_balance(account_id)
        return told

    def _on_order(self, view: OrderView) -> list[Told]:
        status, known = view.state.status, self._live.get(view.order_id)
        if status in (OrderStatus.REJECTED, OrderStatus.PENDING):
            return []
        told = [] if known is not None else [self._accepted(view)]
        progress = self._live[view.order_id]
        if status in _ENDED:
            del self._live[view.order_id]
            if status is OrderStatus.CANCELLED:
                kind = "orderExpired" if status_text(view) == "Expired" else "orderCancelled"
                told.append(self._order_told(kind, view, progress, status_text(view)))
        elif known is not None and view.state.book_lots < progress.remaining:
            progress.remaining = view.state.book_lots
            told.append(self._order_told("orderModified", view, progress, status_text(view)))
        else:
            progress.remaining = view.state.book_lots
        return told

    def _on_fill(self, fill: Fill) -> list[Told]:
        view = self._venue.order(fill.sub_account_id, order_id=fill.order_id)
        if view is None:
            return []
        told = [] if fill.order_id in self._live else [self._accepted(view)]
        instrument, progress = self._listed(fill.instrument), self._live[fill.order_id]
        progress.lots += fill.qty_lots
        progress.nano += fill.px_ticks * fill.qty_lots * instrument.unit_nano
        progress.remaining -= fill.qty_lots
        status = "PartiallyFilled" if progress.lots < view.terms.qty_lots else "Filled"
        kind, account_id, symbol, message = self._order_told("orderFill", view, progress, status)
        message |= {
            "t": int(fill.trade_id),
            "l": instrument.qty_text(fill.qty_lots),
            "L": instrument.px_text(fill.px_ticks),
            "m": not fill.is_taker,
            "n": decimal_text(fill.fee_nano),
            "N": instrument.quote,
            "T": fill.event_ns // US_NS,
        }
        return [*told, (kind, account_id, symbol, message)]

    def _accepted(self, view: OrderView) -> Told:
        progress = self._live[view.order_id] = _Progress(view.terms.qty_lots)
        return self._order_told("orderAccepted", view, progress, "New")

    def _order_told(self, event: str, view: OrderView, progress: _Progress, status: str) -> Told:
        terms = view.terms
        instrument = self._listed(terms.instrument)
        order = order_message(view, instrument)
        now_us = self._venue.now_ns // US_NS
        message = {
            "e": event,
            "E": now_us,
            "T": now_us,
            "s": terms.instrument,
            "c": order["clientId"],
            "S": order["side"],
            "o": order["orderType"].upper(),
            "f": order["timeInForce"],
            "q": order["quantity"],
            "X": status,
            "i": view.order_id,
            "z": instrument.qty_text(progress.lots),
            "Z": decimal_text(progress.nano),
            "r": terms.reduce_only,
            "V": order["selfTradePrevention"],
            "O": "USER",
        }
        if not terms.is_market:
            message["p"] = order["price"]
        return "account.orderUpdate", terms.sub_account_id, terms.instrument, message

    def _on_position(self, view: PositionView) -> list[Told]:
        key = view.sub_account_id, view.instrument
        before = self._held.get(key, 0)
        self._held[key] = view.qty_lots
        if not view.qty_lots and not before:
            return []
        event = "positionAdjusted" if before and view.qty_lots else "positionClosed" if before else "positionOpened"
        instrument = self._listed(view.instrument)
        message = {
            "e": event,
            "E": self._venue.now_ns // US_NS,
            "T": view.event_ns // US_NS,
            "s": view.instrument,
            "b": decimal_text(view.entry_px_nano),
            "B": decimal_text(break_even_nano(view, instrument)),
            "q": instrument.qty_text(view.qty_lots),
            "Q": instrument.qty_text(abs(view.qty_lots)),
            "n": decimal_text(abs(view.notional_nano)),
            "M": decimal_text(view.mark_nano),
            "p": decimal_text(view.realized_pnl_nano),
            "P": decimal_text(view.unrealized_pnl_nano),
            "l": decimal_text(view.est_liquidation_px_nano),
            "f": initial_fraction(view),
            "m": fraction_text(instrument.brackets[0].maintenance_rate_cb),
            "i": position_id(view, instrument),
        }
        return [("account.positionUpdate", view.sub_account_id, view.instrument, message)]

    def _on_balance(self, account_id: int) -> list[Told]:
        view = self._venue.account(account_id)
        if view is None:
            return []
        capital = capital_message(view)
        if self._balances.get(account_id) == capital:
            return []
        self._balances[account_id] = capital
        ((asset, amounts),) = capital.items()
        message = {
            "e": "balanceUpdate",
            "E": self._venue.now_ns // US_NS,
            "a": asset,
            "A": amounts["available"],
            "L": amounts["locked"],
            "S": amounts.get("staked", ZERO),
        }
        return [("account.balanceUpdate", account_id, "", message)]

    def _listed(self, name: str) -> Instrument:
        instrument = self._venue.instrument(name)
        if instrument is None:
            raise LookupError(f"{name} is not listed")
        return instrument
