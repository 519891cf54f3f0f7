"""The exchange as one synchronous object: orders, accounts, market data, funding, ledger, with time as an input.

How it is driven. The owner of the clock calls `advance(now_ns)` before anything else it does at that instant; every
other method acts at `now_ns`. What happened is collected with `take_events()`, in the order it happened; take them
after every call or batch of calls. Nothing here waits, reads a clock or draws a random number.

Three kinds of caller use it:

- a protocol face: accounts, orders, queries, market data, events;
- a market source (`MarketSource`: simulator, tape replay): `add_participant` and the `flow_*` methods, `set_index`;
- the control port: `ledger`, `set_mark`, `pay_funding`, `fail_over`, `set_mode`.

An unknown instrument or sub-account is a `Rejection` or None where a client may have named it, and a KeyError where only
the exchange's own code can have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from perpmaker.exchange.core import state as state_file
from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.amounts import to_nano
from perpmaker.exchange.core.book import Book, BookChanges, Order
from perpmaker.exchange.core.engine import Engine
from perpmaker.exchange.core.fees import SEEN_LIVE, FeeTier
from perpmaker.exchange.core.floor import DEFAULT_LIMITS, Floor, Participant, VenueLimits
from perpmaker.exchange.core.funding import Funding
from perpmaker.exchange.core.gateway import Gateway
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.ledger import Ledger, build_ledger, ledger_pieces
from perpmaker.exchange.core.leverage import leverage_views, set_leverage, set_position_config
from perpmaker.exchange.core.listing import Listing
from perpmaker.exchange.core.orders import ClientOrder, order_id_number
from perpmaker.exchange.core.pieces import Pieces
from perpmaker.exchange.core.types import (
    ALL_INSTRUMENTS,
    AccountOpened,
    AccountView,
    BulkOutcome,
    Candle,
    CandleInterval,
    CandleType,
    Event,
    FeeTierSet,
    Fill,
    FundingPayment,
    FundingRate,
    InstrumentFilter,
    InstrumentMode,
    InstrumentModeChanged,
    Kind,
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
from perpmaker.exchange.core.views import account_view, matches, open_position_views, position_view

__all__ = ["DEFAULT_LIMITS", "Book", "BookChanges", "MarketSource", "Order", "Venue", "VenueLimits"]

_HOUR_NS = 3_600 * 1_000_000_000
_CARRIED = "carried over"


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
        fees: FeeTier = SEEN_LIVE,
        limits: VenueLimits = DEFAULT_LIMITS,
    ) -> None:
        self._floor = Floor(now_ns, fees, limits)
        self._engine = Engine(self._floor)
        self._gateway = Gateway(self._floor, self._engine)
        self._funding = Funding(self._floor)
        for index, instrument in enumerate(instruments):
            listing = Listing(instrument, index, self._floor)
            self._floor.listings[instrument.name] = listing
            if instrument.kind is Kind.PERPETUAL:
                self._funding.schedule(listing)
        self.add_participant(_CARRIED)
        self._schedule_hourly()

    # time and output

    @property
    def now_ns(self) -> int:
        return self._floor.now_ns

    def advance(self, now_ns: int) -> None:
        """Move time to `now_ns`, doing everything due on the way at its own time: waits, expiries, funding, timers.

        Time never goes back: an earlier `now_ns` changes nothing.
        """
        floor = self._floor
        while (due := floor.timers.pop_due(now_ns)) is not None:
            due_ns, action = due
            floor.now_ns = max(floor.now_ns, due_ns)
            action()
            self._engine.fire_due()
        floor.now_ns = max(floor.now_ns, now_ns)

    def next_timer_ns(self) -> int | None:
        """When `advance` next has something to do."""
        return self._floor.timers.next_ns()

    def take_events(self) -> list[Event]:
        """Return what happened since the last call, oldest first."""
        taken = self._floor.events[:]
        self._floor.events.clear()
        if taken:
            for listing in self._floor.listings.values():
                listing.book.events_taken()
        return taken

    # accounts

    def open_account(self, *, owner: str, main_account: str, sub_account_id: int, deposit: Decimal) -> None:
        """Open a funded sub-account; ids are the caller's and must be new."""
        if sub_account_id in self._floor.accounts:
            raise ValueError(f"sub-account {sub_account_id} exists already")
        opened = AccountOpened(
            event_ns=self.now_ns,
            sub_account_id=sub_account_id,
            main_account=main_account,
            owner=owner,
            deposit_nano=to_nano(deposit),
            fees=self._floor.fees,
        )
        state_file.apply_event(self._floor, opened)
        self._floor.events.append(opened)

    def sub_accounts(self, main_account: str | None = None) -> list[int]:
        """In the order they were opened; of one main account, any letter case, or of all."""
        accounts = self._floor.accounts.values()
        if main_account is None:
            return [account.sub_account_id for account in accounts]
        wanted = main_account.lower()
        return [account.sub_account_id for account in accounts if account.main_account.lower() == wanted]

    def account(self, sub_account_id: int) -> AccountView | None:
        account = self._floor.accounts.get(sub_account_id)
        return account_view(self._floor, account) if account is not None else None

    def positions(self, sub_account_id: int, which: InstrumentFilter = ALL_INSTRUMENTS) -> list[PositionView]:
        """Open positions; flat ones are left out."""
        return open_position_views(self._floor, self._floor.accounts[sub_account_id], which)

    def position(self, sub_account_id: int, instrument: str) -> PositionView | None:
        """The position as it is, also when flat again; None if the account never traded the instrument."""
        account = self._floor.accounts[sub_account_id]
        position = account.positions.get(instrument)
        if position is None:
            return None
        return position_view(self._floor, account, self._floor.listings[instrument], position)

    def fee_tier(self, sub_account_id: int) -> FeeTier:
        return self._floor.accounts[sub_account_id].fees

    def set_fee_tier(self, sub_account_id: int, tier: FeeTier) -> None:
        changed = FeeTierSet(self.now_ns, sub_account_id, tier)
        state_file.apply_event(self._floor, changed)
        self._floor.events.append(changed)

    def leverages(self, sub_account_id: int) -> list[LeverageView]:
        return leverage_views(self._floor, self._floor.accounts[sub_account_id])

    def set_leverage(self, sub_account_id: int, instrument: str, leverage: Decimal) -> Rejection | None:
        return set_leverage(self._floor, self._floor.accounts[sub_account_id], instrument, leverage)

    def set_position_config(
        self, sub_account_id: int, instrument: str, margin_type: PositionMarginType, leverage: Decimal
    ) -> Rejection | None:
        account = self._floor.accounts[sub_account_id]
        return set_position_config(self._floor, account, instrument, margin_type, leverage)

    # orders

    def create_order(self, request: OrderRequest) -> OrderView | Rejection:
        """Accept an order (the view says PENDING and `0x00`) or refuse it; outcomes of the engine come as events."""
        account = self._floor.accounts.get(request.sub_account_id)
        if account is None:
            return Rejection(2003)
        outcome = self._gateway.create(account, request)
        self._engine.fire_due()
        return outcome

    def cancel_order(
        self,
        sub_account_id: int,
        *,
        order_id: str | None = None,
        client_order_id: int | None = None,
        time_to_live_ms: int | None = None,
    ) -> Rejection | None:
        """Cancel by either id; None is the acknowledgement, which by client id says nothing about the order."""
        account = self._floor.accounts[sub_account_id]
        return self._gateway.cancel(account, order_id, client_order_id, time_to_live_ms)

    def cancel_all(
        self, sub_account_id: int, which: InstrumentFilter = ALL_INSTRUMENTS, *, miss_pending: bool = False
    ) -> int:
        """Cancel open orders, and pending ones unless `miss_pending`; return how many."""

        def wanted(order: ClientOrder) -> bool:
            return matches(which, order.listing.instrument) and not (miss_pending and not order.number)

        account = self._floor.accounts[sub_account_id]
        return self._gateway.cancel_where(account, OrderRejectReason.CLIENT_BULK_CANCEL, wanted)

    def bulk_orders(
        self,
        sub_account_id: int,
        creations: Sequence[OrderRequest],
        *,
        cancel_order_ids: Sequence[str] = (),
        cancel_client_order_ids: Sequence[int] = (),
        time_to_live_ms: int | None = None,
    ) -> BulkOutcome | Rejection:
        """Cancel, then create; with both the cancelled orders say CLIENT_REPLACE."""
        account = self._floor.accounts.get(sub_account_id)
        if account is None or any(request.sub_account_id != sub_account_id for request in creations):
            return Rejection(2003)
        outcome = self._gateway.bulk(account, creations, cancel_order_ids, cancel_client_order_ids, time_to_live_ms)
        self._engine.fire_due()
        return outcome

    def cancel_on_disconnect(self, sub_account_id: int, countdown_ms: int) -> Rejection | None:
        return self._gateway.arm_disconnect(self._floor.accounts[sub_account_id], countdown_ms)

    def order(
        self, sub_account_id: int, *, order_id: str | None = None, client_order_id: int | None = None
    ) -> OrderView | None:
        """Active or closed; by client id the active one, else the latest closed one."""
        account = self._floor.accounts[sub_account_id]
        number = order_id_number(order_id)
        if number is not None:
            order = self._engine.open_order(number)
            found = order if order is not None and order.account is account else None
        else:
            found = account.active.get(client_order_id or 0)
        if found is not None:
            return found.view()
        return account.closed_order(number=number, client_order_id=client_order_id)

    def open_orders(self, sub_account_id: int, which: InstrumentFilter = ALL_INSTRUMENTS) -> list[OrderView]:
        """Pending and open ones, oldest first."""
        active = self._floor.accounts[sub_account_id].active.values()
        return [order.view() for order in active if matches(which, order.listing.instrument)]

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
    ) -> Page[OrderView]:
        """Closed orders by the time they closed."""
        names = self._names(which)
        return self._floor.accounts[sub_account_id].closed_orders.page(
            start_ns=start_ns,
            end_ns=end_ns,
            before=before,
            limit=limit,
            wanted=lambda view: view.terms.instrument in names,
        )

    def fill_history(
        self,
        sub_account_id: int,
        which: InstrumentFilter = ALL_INSTRUMENTS,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[Fill]:
        names = self._names(which)
        return self._floor.accounts[sub_account_id].fills.page(
            start_ns=start_ns, end_ns=end_ns, before=before, limit=limit, wanted=lambda fill: fill.instrument in names
        )

    def funding_payments(
        self,
        sub_account_id: int,
        which: InstrumentFilter = ALL_INSTRUMENTS,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[FundingPayment]:
        names = self._names(which)
        return self._floor.accounts[sub_account_id].payments.page(
            start_ns=start_ns, end_ns=end_ns, before=before, limit=limit, wanted=lambda paid: paid.instrument in names
        )

    def position_history(
        self,
        sub_account_id: int,
        which: InstrumentFilter = ALL_INSTRUMENTS,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
        wanted: Callable[[PositionHistoryRow], bool] | None = None,
    ) -> Page[PositionHistoryRow]:
        """Closed positions by their close; the first page begins with open ones that were partially closed."""
        account, names = self._floor.accounts[sub_account_id], self._names(which)

        def keep(row: PositionHistoryRow) -> bool:
            return row.instrument in names and (wanted is None or wanted(row))

        page = account.closed_positions.page(start_ns=start_ns, end_ns=end_ns, before=before, limit=limit, wanted=keep)
        if before is not None:
            return page
        partial = [
            account.partially_closed_row(position, self._floor.listings[name].prices.mark_nano)
            for name, position in account.positions.items()
            if position.lots and position.closed_lots
        ]
        latest_ns = self.now_ns if end_ns is None else end_ns
        fitting = [row for row in partial if keep(row) and start_ns <= row.close_ns <= latest_ns]
        return Page((*fitting, *page.rows), page.next_before)

    def account_history(
        self,
        sub_account_id: int,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[AccountView]:
        """Hourly snapshots of the last 30 days, none for an hour in which nothing happened and nothing was held."""
        return self._floor.accounts[sub_account_id].snapshots.page(
            start_ns=start_ns, end_ns=end_ns, before=before, limit=limit
        )

    # market data

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        return tuple(listing.instrument for listing in self._floor.listings.values())

    def instrument(self, name: str) -> Instrument | None:
        listing = self._floor.listings.get(name)
        return listing.instrument if listing is not None else None

    def mode(self, instrument: str) -> InstrumentMode:
        return self._floor.listings[instrument].mode

    def book(self, instrument: str) -> Book:
        """The live book: `snapshot(depth)`, `changes_since(version)`, `best_bid_ticks`; see `exchange.core.book`."""
        return self._floor.listings[instrument].book

    def ticker(self, instrument: str) -> TickerView:
        return self._floor.listings[instrument].ticker()

    def trades(self, instrument: str, limit: int) -> list[Trade]:
        """The most recent ones, newest first."""
        return self._floor.listings[instrument].trades.latest(limit)

    def trade_history(
        self,
        instrument: str,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[Trade]:
        return self._floor.listings[instrument].trades.page(
            start_ns=start_ns, end_ns=end_ns, before=before, limit=limit
        )

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
        candles = self._floor.listings[instrument].candles[kind]
        if self._floor.listings[instrument].is_trading:
            candles.roll(self.now_ns)
        return candles.page(interval, start_ns=start_ns, end_ns=end_ns, before=before, limit=limit)

    def funding_history(
        self,
        instrument: str,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
    ) -> Page[FundingRate]:
        return self._floor.listings[instrument].funding.page(
            start_ns=start_ns, end_ns=end_ns, before=before, limit=limit
        )

    # market sources

    def add_participant(self, name: str) -> int:
        """Register a source of flow: no margin, no fees, no ledger; it may hold any number of orders."""
        self._floor.participants.append(Participant(name, len(self._floor.listings)))
        return len(self._floor.participants) - 1

    def participant_lots(self, participant: int, instrument: str) -> int:
        """Its signed position."""
        return self._floor.participants[participant].lots[self._floor.listings[instrument].index]

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
        """Trade what crosses, rest what remains and return it; None when nothing rests.

        A post-only or RPI order that would cross is not placed. On a frozen market nothing is.
        """
        listing = self._floor.listings[instrument]
        if not listing.is_trading:
            return None
        order = Order(participant, side, px_ticks, qty_lots, rpi=rpi)
        if post_only or rpi:
            if listing.book.crosses(side, px_ticks):
                return None
        else:
            self._engine.take(listing, order, retail=retail, publish=True)
        if order.leaves_lots:
            listing.book.add(order)
        self._engine.fire_due()
        return order if order.leaves_lots else None

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
        listing = self._floor.listings[instrument]
        if not listing.is_trading:
            return 0
        order = Order(participant, side, limit_ticks or 0, qty_lots)
        self._engine.take(listing, order, retail=retail, publish=publish)
        self._engine.fire_due()
        return order.cum_lots

    def flow_reduce(self, order: Order, leaves_lots: int) -> None:
        """Shrink a resting flow order to `leaves_lots` in place (0 removes it); its place in the queue stays."""
        if order.level is not None and leaves_lots < order.leaves_lots:
            order.level.book.shrink(order, order.leaves_lots - leaves_lots)

    def flow_cancel(self, order: Order) -> None:
        """Take a flow order off the book; one that is filled or gone already is left alone."""
        if order.level is not None:
            order.level.book.remove(order)

    def set_index(self, instrument: str, px_nano: int) -> None:
        """Tell the index price; mark, premium and the MARK, INDEX and MID candles follow. Call it each 200 ms or so."""
        listing = self._floor.listings[instrument]
        if listing.is_trading:
            listing.set_index(px_nano)
            self._engine.fire_due()

    def print_trade(self, instrument: str, side: Side, px_ticks: int, qty_lots: int) -> None:
        """Publish a trade that did not happen in this book (a tape's); `side` is the taker's."""
        listing = self._floor.listings[instrument]
        if listing.is_trading:
            listing.print(side, px_ticks, qty_lots, next(self._engine.trade_ids()), is_rpi=False)
            self._engine.fire_due()

    # control

    def ledger(self) -> Ledger:
        """The books of all client accounts, in decimals as text."""
        return build_ledger(self._floor)

    def ledger_pieces(self) -> dict[str, Pieces]:
        """The members of `ledger` as JSON, to be sent piece by piece; also later ones say what is so now."""
        return ledger_pieces(self._floor)

    def set_mark(self, instrument: str, px_nano: int | None) -> None:
        """Hold the mark price at `px_nano`; None lets it follow index and book again."""
        self._floor.listings[instrument].hold_mark(px_nano)
        self._engine.fire_due()

    def pay_funding(self, instrument: str | None = None, rate_cb: int | None = None) -> list[FundingRate]:
        """Settle funding now, of one or all instruments, at the running rate or `rate_cb`; the schedule is not changed."""
        listings = [
            listing
            for listing in self._floor.listings.values()
            if instrument in (None, listing.instrument.name) and listing.instrument.kind is Kind.PERPETUAL
        ]
        return [
            self._funding.settle(listing, listing.funding_rate_cb() if rate_cb is None else rate_cb)
            for listing in listings
        ]

    def fail_over(self) -> int:
        """Cancel every client order, open or pending, with SYSTEM_FAILOVER; return how many."""
        return sum(
            self.cancel_everything(account.sub_account_id, OrderRejectReason.SYSTEM_FAILOVER)
            for account in self._floor.accounts.values()
        )

    def cancel_everything(self, sub_account_id: int, reason: OrderRejectReason) -> int:
        """Cancel all of an account's orders, pending ones too, for a reason of the venue's choice."""
        return self._gateway.cancel_where(self._floor.accounts[sub_account_id], reason, lambda order: True)

    def set_mode(self, instrument: str, mode: InstrumentMode) -> None:
        """Change what may happen on an instrument; delisting cancels its orders with INSTRUMENT_DEACTIVATED."""
        listing = self._floor.listings[instrument]
        if listing.mode is mode:
            return
        listing.mode = mode
        self._floor.events.append(InstrumentModeChanged(self.now_ns, instrument, mode))
        if mode is InstrumentMode.DELISTED:
            for account in self._floor.accounts.values():
                reason = OrderRejectReason.INSTRUMENT_DEACTIVATED
                self._gateway.cancel_where(account, reason, lambda order: order.listing is listing)
        listing.trade_again()
        self._engine.fire_due()

    # state

    def export_state(self) -> bytes:
        """Everything but keys and simulated flow, as JSON for `restore`."""
        return b"".join(self.state_pieces())

    def state_pieces(self) -> Iterator[bytes]:
        """What `export_state` returns, piece by piece; nothing may happen before the last one.

        Take the events first: those still untaken are in the document and must not be in the log after it.
        """
        return state_file.export_state(self._floor)

    @classmethod
    def restore(
        cls,
        state: bytes,
        instruments: Sequence[Instrument],
        *,
        now_ns: int,
        fees: FeeTier = SEEN_LIVE,
        events: Iterable[Event] = (),
        limits: VenueLimits = DEFAULT_LIMITS,
    ) -> Venue:
        """Rebuild from `export_state` and the events taken after it (b"" for events alone).

        Orders open at the end are closed with SYSTEM_FAILOVER and reported by `take_events`, but for triggers that did not
        fire: they go on waiting. Balances, positions, fills and histories are exactly what they were; time goes on at
        `now_ns`, or where it stood if that is later.
        """
        document, later = state_file.read_state(state), list(events)
        start_ns = max(now_ns, state_file.latest_ns(document, later))
        venue = cls(instruments, now_ns=start_ns, fees=fees, limits=limits)
        for view in state_file.restore_state(venue._floor, document, later):
            venue._engine.resume(view)
        for account in venue._floor.accounts.values():
            venue._gateway.resume_disconnect(account)
        return venue

    # inside

    def _names(self, which: InstrumentFilter) -> frozenset[str]:
        return frozenset(item.name for item in self.instruments if matches(which, item))

    def _schedule_hourly(self) -> None:
        next_hour_ns = (self.now_ns // _HOUR_NS + 1) * _HOUR_NS
        self._floor.timers.at(next_hour_ns, self._snapshot_accounts)

    def _snapshot_accounts(self) -> None:
        for account in self._floor.accounts.values():
            if account.changed_this_hour or _holds_anything(account):
                account.snapshots.append(account_view(self._floor, account))
            account.changed_this_hour = False
        self._schedule_hourly()


def _holds_anything(account: Account) -> bool:
    return any(position.lots for position in account.positions.values())
