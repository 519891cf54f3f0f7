"""The exchange as one synchronous object: orders, accounts, market data, funding, ledger, with time as an input.

How it is driven. The owner of the clock calls `advance(now_ns)` before anything else it does at that instant; every
other method acts at `now_ns`. What happened is collected with `take_events()`, in the order it happened; take them
after every call or batch of calls. Nothing here waits, reads a clock or draws a random number.

Three kinds of caller use it:

- a protocol face: accounts, orders, queries, market data, events;
- a market source (`MarketSource`: simulator, tape replay): `add_participant` and the `flow_*` methods, `set_index`;
- the control port: `ledger`, `set_mark`, `pay_funding`, `fail_over`, `set_mode`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from perpmaker.exchange.core.book import Book, Order
from perpmaker.exchange.core.fees import FeeTier
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.ledger import Ledger
from perpmaker.exchange.core.types import (
    ALL_INSTRUMENTS,
    AccountView,
    BulkOutcome,
    Candle,
    CandleInterval,
    CandleType,
    Event,
    Fill,
    FundingPayment,
    FundingRate,
    InstrumentFilter,
    InstrumentMode,
    LeverageView,
    OrderRejectReason,
    OrderRequest,
    OrderView,
    Page,
    PositionHistoryRow,
    PositionMarginType,
    PositionView,
    Rejection,
    Side,
    TickerView,
    Trade,
)


class VenueLimits(msgspec.Struct, frozen=True):
    """Numbers the venue does not publish, or that bound memory; all configurable."""

    max_open_orders: int = 1000
    """Per sub-account, pending ones included (2090)."""
    speed_bump_ns: int = 25_000_000
    """How long an order that may take waits in front of the engine (PROTOCOL 11.2)."""
    max_bulk: int = 100
    max_signature_ns: int = 30 * 86_400 * 1_000_000_000
    history_rows: int = 20_000
    """Closed orders, fills and so on kept per sub-account; running totals are never cut."""
    trades_kept: int = 10_000
    """Public trades kept per instrument."""
    candles_kept: int = 1_500
    """Per instrument, interval and type."""


DEFAULT_LIMITS = VenueLimits()


class MarketSource(Protocol):
    """What moves the market: the simulator or a tape. It advances the venue, step by step, to `now_ns`."""

    def advance(self, now_ns: int) -> None:
        """Do everything due up to and including `now_ns`, calling `Venue.advance` before each step and at the end."""

    def next_event_ns(self) -> int | None:
        """When the source wants to act next; None when it is over."""


class Venue:
    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        now_ns: int,
        fees: FeeTier,
        limits: VenueLimits = DEFAULT_LIMITS,
    ) -> None:
        raise NotImplementedError

    # time and output

    @property
    def now_ns(self) -> int: ...
    def advance(self, now_ns: int) -> None:
        """Move time to `now_ns`, doing everything due on the way at its own time: waits, expiries, funding, timers."""

    def next_timer_ns(self) -> int | None:
        """When `advance` next has something to do."""

    def take_events(self) -> list[Event]:
        """Return what happened since the last call, oldest first."""

    # accounts

    def open_account(self, *, owner: str, main_account: str, sub_account_id: int, deposit: Decimal) -> None: ...
    def sub_accounts(self, main_account: str | None = None) -> list[int]: ...
    def account(self, sub_account_id: int) -> AccountView | None: ...
    def positions(self, sub_account_id: int, which: InstrumentFilter = ALL_INSTRUMENTS) -> list[PositionView]:
        """Open positions; flat ones are left out."""

    def position(self, sub_account_id: int, instrument: str) -> PositionView | None: ...
    def fee_tier(self, sub_account_id: int) -> FeeTier: ...
    def set_fee_tier(self, sub_account_id: int, tier: FeeTier) -> None: ...
    def leverages(self, sub_account_id: int) -> list[LeverageView]: ...
    def set_leverage(self, sub_account_id: int, instrument: str, leverage: Decimal) -> Rejection | None: ...
    def set_position_config(
        self, sub_account_id: int, instrument: str, margin_type: PositionMarginType, leverage: Decimal
    ) -> Rejection | None: ...

    # orders

    def create_order(self, request: OrderRequest) -> OrderView | Rejection:
        """Accept an order (the view says PENDING and `0x00`) or refuse it; outcomes of the engine come as events."""

    def cancel_order(
        self,
        sub_account_id: int,
        *,
        order_id: str | None = None,
        client_order_id: int | None = None,
        time_to_live_ms: int | None = None,
    ) -> Rejection | None: ...
    def cancel_all(
        self,
        sub_account_id: int,
        which: InstrumentFilter = ALL_INSTRUMENTS,
        *,
        miss_pending: bool = False,
    ) -> int:
        """Cancel open orders, and pending ones unless `miss_pending`; return how many."""

    def bulk_orders(
        self,
        sub_account_id: int,
        creations: Sequence[OrderRequest],
        *,
        cancel_order_ids: Sequence[str] = (),
        cancel_client_order_ids: Sequence[int] = (),
        time_to_live_ms: int | None = None,
    ) -> BulkOutcome | Rejection: ...
    def cancel_on_disconnect(self, sub_account_id: int, countdown_ms: int) -> Rejection | None: ...
    def order(
        self, sub_account_id: int, *, order_id: str | None = None, client_order_id: int | None = None
    ) -> OrderView | None:
        """Active or closed; by client id the active one, else the latest closed one."""

    def open_orders(self, sub_account_id: int, which: InstrumentFilter = ALL_INSTRUMENTS) -> list[OrderView]: ...

    # history, newest first; times inclusive

    def order_history(
        self,
        sub_account_id: int,
        which: InstrumentFilter = ALL_INSTRUMENTS,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[OrderView]: ...
    def fill_history(
        self,
        sub_account_id: int,
        which: InstrumentFilter = ALL_INSTRUMENTS,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[Fill]: ...
    def funding_payments(
        self,
        sub_account_id: int,
        which: InstrumentFilter = ALL_INSTRUMENTS,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[FundingPayment]: ...
    def position_history(
        self,
        sub_account_id: int,
        which: InstrumentFilter = ALL_INSTRUMENTS,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[PositionHistoryRow]: ...
    def account_history(
        self,
        sub_account_id: int,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[AccountView]: ...

    # market data

    @property
    def instruments(self) -> tuple[Instrument, ...]: ...
    def instrument(self, name: str) -> Instrument | None: ...
    def mode(self, instrument: str) -> InstrumentMode: ...
    def book(self, instrument: str) -> Book:
        """The live book: `snapshot(depth)`, `changes_since(version)`, `best_bid`; see `exchange.core.book`."""

    def ticker(self, instrument: str) -> TickerView: ...
    def trades(self, instrument: str, limit: int) -> list[Trade]:
        """The most recent ones, newest first."""

    def trade_history(
        self,
        instrument: str,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[Trade]: ...
    def candles(
        self,
        instrument: str,
        interval: CandleInterval,
        kind: CandleType,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[Candle]:
        """Newest first; the first one may still be open. `before` is an open time."""

    def funding_history(
        self,
        instrument: str,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[FundingRate]: ...

    # market sources

    def add_participant(self, name: str) -> int:
        """Register a source of flow: no margin, no fees, no ledger; it may hold any number of orders."""

    def participant_lots(self, participant: int, instrument: str) -> int:
        """Its signed position."""

    def flow_limit(
        self,
        participant: int,
        instrument: str,
        side: Side,
        px_ticks: int,
        qty_lots: int,
        *,
        post_only: bool = False,
        rpi: bool = False,
        retail: bool = False,
    ) -> Order | None:
        """Trade what crosses, rest what remains and return it; None when nothing rests (or post-only would cross)."""

    def flow_take(
        self,
        participant: int,
        instrument: str,
        side: Side,
        qty_lots: int,
        *,
        limit_ticks: int | None = None,
        retail: bool = False,
        publish: bool = True,
    ) -> int:
        """Take up to `qty_lots` at `limit_ticks` or better; return the lots filled. `publish` False prints no trade."""

    def flow_reduce(self, order: Order, leaves_lots: int) -> None:
        """Shrink a resting flow order to `leaves_lots` in place (0 removes it); its place in the queue stays."""

    def flow_cancel(self, order: Order) -> None: ...
    def set_index(self, instrument: str, px_nano: int) -> None:
        """Tell the index price; mark, premium and the MARK, INDEX and MID candles follow. Call it at least each 200 ms."""

    def print_trade(self, instrument: str, side: Side, px_ticks: int, qty_lots: int) -> None:
        """Publish a trade that did not happen in this book (a tape's); `side` is the taker's."""

    # control

    def ledger(self) -> Ledger: ...
    def set_mark(self, instrument: str, px_nano: int | None) -> None:
        """Hold the mark price at `px_nano`; None lets it follow index and book again."""

    def pay_funding(self, instrument: str | None = None, rate_cb: int | None = None) -> list[FundingRate]:
        """Settle funding now, at the running rate or `rate_cb`; the schedule is not changed."""

    def fail_over(self) -> int:
        """Cancel every client order, open or pending, with SYSTEM_FAILOVER; return how many."""

    def cancel_everything(self, sub_account_id: int, reason: OrderRejectReason) -> int: ...
    def set_mode(self, instrument: str, mode: InstrumentMode) -> None: ...

    # state

    def export_state(self) -> bytes: ...
    @classmethod
    def restore(
        cls,
        state: bytes,
        instruments: Sequence[Instrument],
        *,
        now_ns: int,
        fees: FeeTier,
        events: Iterable[Event] = (),
        limits: VenueLimits = DEFAULT_LIMITS,
    ) -> Venue:
        """Rebuild from `export_state` plus the events taken after it; orders open then are closed with SYSTEM_FAILOVER."""
        raise NotImplementedError
