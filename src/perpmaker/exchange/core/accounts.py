"""Sub-accounts: balance, positions, what is open, and every history a client may ask for.

balance = deposits + realised PnL - trading fees - builder fees - funding paid, in exact nanos, at every moment.
"""

from __future__ import annotations

from itertools import islice

from perpmaker.exchange.core.fees import FeeTier
from perpmaker.exchange.core.floor import VenueLimits
from perpmaker.exchange.core.history import History, PackedHistory
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.orders import ClientOrder, order_id_number
from perpmaker.exchange.core.positions import Position
from perpmaker.exchange.core.timers import Timer
from perpmaker.exchange.core.types import (
    AccountView,
    Fill,
    FundingPayment,
    OrderView,
    PositionCloseStatus,
    PositionHistoryRow,
    PositionMarginType,
    Side,
)

_ACCOUNT_HISTORY_HOURS = 30 * 24


class OpenLots:
    """Lots of active orders that may grow a position; reduce-only orders are not counted."""

    __slots__ = ("buys", "sells")

    def __init__(self) -> None:
        self.buys = 0
        self.sells = 0

    def add(self, side: Side, lots: int) -> None:
        if side is Side.BUY:
            self.buys += lots
        else:
            self.sells += lots


class Account:
    def __init__(
        self,
        *,
        owner: str,
        main_account: str,
        sub_account_id: int,
        deposit_nano: int,
        fees: FeeTier,
        limits: VenueLimits,
    ) -> None:
        self.owner = owner
        self.main_account = main_account
        self.sub_account_id = sub_account_id
        self.fees = fees
        self.limits = limits
        self.deposits_nano = deposit_nano
        self.balance_nano = deposit_nano
        self.realized_nano = 0
        self.fees_nano = 0
        self.builder_fees_nano = 0
        self.funding_nano = 0
        self.positions: dict[str, Position] = {}
        self.leverage_e6: dict[str, int] = {}
        self.active: dict[int, ClientOrder] = {}
        """Pending and open orders by client order id, oldest first."""
        self.open_lots: dict[str, OpenLots] = {}
        self.resting_reduce_only: dict[str, dict[int, ClientOrder]] = {}
        """By instrument and number, in order of arrival."""
        self.dormant: dict[int, list[ClientOrder]] = {}
        """Triggers that wait for another order to trade, by its client order id."""
        self.orders_accepted = 0
        self.changed_this_hour = False

        self.armed_cancels: dict[int, Timer] = {}
        self.disconnect_timer: Timer | None = None
        self.disconnect_due_ns = 0
        self._payloads: dict[bytes, None] = {}

        self.closed_orders: History[OrderView] = History(limits.closed_orders_kept, _order_time)
        self._closed_by_number: dict[int, OrderView] = {}
        self._closed_by_client_id: dict[int, OrderView] = {}
        self.fills: History[Fill] = PackedHistory(Fill, limits.fills_kept, _fill_time)
        self.payments: History[FundingPayment] = History(limits.history_rows, _payment_time)
        self.closed_positions: History[PositionHistoryRow] = PackedHistory(
            PositionHistoryRow, limits.history_rows, _close_time
        )
        self.snapshots: History[AccountView] = History(_ACCOUNT_HISTORY_HOURS, _snapshot_time)

    def position_in(self, instrument: Instrument) -> Position:
        position = self.positions.get(instrument.name)
        if position is None:
            position = self.positions[instrument.name] = Position(instrument)
        return position

    def lots_in(self, instrument: str) -> int:
        position = self.positions.get(instrument)
        return position.lots if position is not None else 0

    def open_lots_in(self, instrument: str) -> OpenLots:
        found = self.open_lots.get(instrument)
        if found is None:
            found = self.open_lots[instrument] = OpenLots()
        return found

    def leverage_in(self, instrument: Instrument) -> int:
        default = min(self.limits.default_leverage, instrument.max_leverage) * 1_000_000
        return self.leverage_e6.get(instrument.name, default)

    def closed_order(self, *, number: int | None, client_order_id: int | None) -> OrderView | None:
        if number is not None:
            return self._closed_by_number.get(number)
        return self._closed_by_client_id.get(client_order_id) if client_order_id is not None else None

    def keep_closed_order(self, view: OrderView) -> None:
        number = order_id_number(view.order_id)
        if number is not None:
            self._closed_by_number[number] = view
        self._closed_by_client_id[view.terms.client_order_id] = view
        for old in self.closed_orders.append(view):
            old_number = order_id_number(old.order_id)
            if old_number is not None:
                self._closed_by_number.pop(old_number, None)
            if self._closed_by_client_id.get(old.terms.client_order_id) is old:
                del self._closed_by_client_id[old.terms.client_order_id]

    def first_use(self, payload: bytes) -> bool:
        """Remember a signed payload (its digest); False when the same one, nonce included, was used before."""
        if payload in self._payloads:
            return False
        self._payloads[payload] = None
        most = self.limits.payloads_kept
        if len(self._payloads) > most:
            for old in list(islice(self._payloads, most // 10)):
                del self._payloads[old]
        return True

    def book_execution(
        self,
        instrument: Instrument,
        side: Side,
        lots: int,
        px_ticks: int,
        *,
        fee_nano: int,
        builder_fee_nano: int,
        mark_nano: int,
        now_ns: int,
    ) -> int:
        """Move position and balance for one execution; return the PnL realised.

        A trade through zero closes one position and opens the next: each gets its share of the fees.
        """
        position = self.position_in(instrument)
        charge = fee_nano + builder_fee_nano
        closing = position.reducing_lots(side, lots)
        realized = 0
        if closing:
            realized = position.reduce(side, closing, px_ticks, now_ns=now_ns)
            closing_charge = charge if closing == lots else charge * closing // lots
            position.fees_nano += closing_charge
            charge -= closing_charge
            if position.lots == 0:
                self.closed_positions.append(self._closed_row(position, mark_nano))
        if closing < lots:
            leverage = self.leverage_in(instrument)
            position.open(side, lots - closing, px_ticks, leverage_e6=leverage, now_ns=now_ns)
            position.fees_nano += charge
        self.realized_nano += realized
        self.fees_nano += fee_nano
        self.builder_fees_nano += builder_fee_nano
        self.balance_nano += realized - fee_nano - builder_fee_nano
        self.changed_this_hour = True
        return realized

    def book_funding(self, payment: FundingPayment) -> None:
        position = self.positions[payment.instrument]
        position.funding_nano += payment.amount_nano
        position.update_ns = payment.event_ns
        self.funding_nano += payment.amount_nano
        self.balance_nano -= payment.amount_nano
        self.payments.append(payment)
        self.changed_this_hour = True

    def partially_closed_row(self, position: Position, mark_nano: int) -> PositionHistoryRow:
        return self._history_row(
            position,
            PositionCloseStatus.PARTIALLY_CLOSED,
            close_mark_nano=None,
            unrealized_nano=position.unrealized_nano(mark_nano),
        )

    def _closed_row(self, position: Position, mark_nano: int) -> PositionHistoryRow:
        return self._history_row(position, PositionCloseStatus.CLOSED, close_mark_nano=mark_nano, unrealized_nano=None)

    def _history_row(
        self,
        position: Position,
        status: PositionCloseStatus,
        *,
        close_mark_nano: int | None,
        unrealized_nano: int | None,
    ) -> PositionHistoryRow:
        return PositionHistoryRow(
            sub_account_id=self.sub_account_id,
            instrument=position.instrument.name,
            open_ns=position.open_ns,
            close_ns=position.last_reduce_ns,
            status=status,
            is_long=position.was_long,
            margin_type=PositionMarginType.CROSS,
            entry_px_nano=position.opened_px_nano,
            exit_px_nano=position.exit_px_nano,
            close_mark_nano=close_mark_nano,
            realized_pnl_nano=position.realized_nano,
            cumulative_fee_nano=position.fees_nano,
            cumulative_funding_nano=position.funding_nano,
            closed_lots=position.closed_lots,
            closed_quote_nano=position.closed_nano,
            max_lots=position.max_lots,
            max_notional_nano=position.max_notional_nano,
            cumulative_initial_margin_nano=position.initial_margin_sum_nano,
            max_initial_margin_nano=position.max_initial_margin_nano,
            leverage_e6=self.leverage_in(position.instrument),
            unrealized_pnl_nano=unrealized_nano,
        )


def _order_time(view: OrderView) -> int:
    return view.state.update_ns


def _fill_time(fill: Fill) -> int:
    return fill.event_ns


def _payment_time(payment: FundingPayment) -> int:
    return payment.event_ns


def _close_time(row: PositionHistoryRow) -> int:
    return row.close_ns


def _snapshot_time(view: AccountView) -> int:
    return view.event_ns
