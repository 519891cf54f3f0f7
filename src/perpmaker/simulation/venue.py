"""The simulated venue: a synchronous state machine with time as input.

It has two clocks. Ours is that of the commands and of every event's `ts_recv_ns`; the venue's is that of `ts_event_ns` and
runs `offset` ahead. A command of ours arrives `entry` later and meets the market of that instant; what the venue says of it
reaches us `response` later. What the feed has not told yet cannot be met, so the venue's side is played `hold` behind our
clock (`Latency.hold_ns`): an event that is later than that takes effect when it comes, but fills no order of ours that
arrived after it. At one instant funding comes first, then the market, then our commands.

Use: `next_ns` says when there is something to do, `advance(now)` does what is due and returns what we learn. Never advance
past `next_ns` without having handled what came before: a reaction to it may be due earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import groupby
from typing import Any

from perpmaker.errors import InvariantError
from perpmaker.model.events import (
    AccountSnapshot,
    BookDelta,
    BookSnapshot,
    BookStale,
    CancelSent,
    ClockOffset,
    Event,
    Fill,
    InstrumentDelisted,
    InstrumentListed,
    OrderNotSent,
    OrderPrepared,
    Source,
    Ticker,
    Trade,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder
from perpmaker.portfolio.position import RunningPosition
from perpmaker.simulation.account import AccountAtRest, SimulatedAccount
from perpmaker.simulation.chance import Chance
from perpmaker.simulation.house import DISCONNECTED, MARKET, OURS, House, Shown
from perpmaker.simulation.latency import Latency
from perpmaker.simulation.market import Market
from perpmaker.simulation.money import Money
from perpmaker.simulation.order import Execution, VenueOrder
from perpmaker.simulation.settings import VenueSettings
from perpmaker.simulation.trading import Trading


class SimulatedVenue:
    """One exchange with any number of instruments and accounts. `mark` begins its ids: two lives never share one."""

    def __init__(self, settings: VenueSettings, latency: Latency, chance: Chance, mark: str = "s") -> None:
        house = self._house = House(settings, latency, chance, mark)
        self.settings, self.latency = settings, latency
        self.markets, self.accounts = house.markets, house.accounts
        self._money = Money(house)
        self._trading = Trading(house, self._money)
        self._book_ns: dict[InstrumentId, int] = {}
        self._sent_ns: dict[AccountId, int] = {}
        self._appliers: Mapping[type, Callable[[Market, Any], list[Execution]]] = {
            BookDelta: Market.on_delta,
            BookSnapshot: Market.on_snapshot,
            Trade: Market.on_trade,
            Ticker: self._on_ticker,
            BookStale: _lose,
        }

    # --- making

    def list_instrument(self, instrument: Instrument) -> None:
        """Offer an instrument, or change its rules: a new tick or lot ends what rests on it."""
        name = instrument.instrument_id
        known = self.markets.get(name)
        if known is None:
            self.markets[name] = Market(instrument, self.settings, self._house.chance)
        elif (known.instrument.tick, known.instrument.lot) == (instrument.tick, instrument.lot):
            known.instrument = known.book.instrument = instrument
        else:
            self._end_all(name, "INSTRUMENT_DEACTIVATED")
            market = self.markets[name] = Market(instrument, self.settings, self._house.chance)
            market.mark_px, market.funding_rate = known.mark_px, known.funding_rate

    def open_account(self, account: AccountId, balance: Decimal, currency: str) -> None:
        if account in self.accounts:
            raise InvariantError(f"the simulated account {account} exists already")
        self.accounts[account] = SimulatedAccount(account, balance, currency)

    def restore_account(self, rest: AccountAtRest) -> None:
        """Open an account as an earlier life left it; the instruments it traded must be listed."""
        self.open_account(rest.account, rest.balance, rest.currency)
        account = self.accounts[rest.account]
        for name, (qty, cost) in rest.positions.items():
            position = account.positions[name] = RunningPosition(name, qty)
            position.cost = cost
        account.fills.extend(rest.fills)
        for order, cum_qty in rest.orders:
            market = self.markets.get(order.instrument)
            if market is None:
                continue
            rules = market.instrument
            gone = VenueOrder(order, rules, 0, rules.to_lots(order.qty), self._house.venue_ns)
            gone.leaves_lots, gone.cum_lots = gone.qty_lots - rules.to_lots(cum_qty), rules.to_lots(cum_qty)
            gone.cost_tick_lots = gone.cum_lots * (0 if order.px is None else rules.to_ticks(order.px))
            gone.status, gone.reason = VenueStatus.CANCELED, DISCONNECTED
            account.close(gone)

    # --- time

    @property
    def next_ns(self) -> int | None:
        """When, by our clock, `advance` has something to do; None for never."""
        house = self._house
        action_ns, delivery_ns = house.actions.next_ns, house.deliveries.next_ns
        if action_ns is None:
            return delivery_ns
        due_ns = action_ns - house.offset_ns + self.latency.hold_ns
        return due_ns if delivery_ns is None or due_ns < delivery_ns else delivery_ns

    def advance(self, now_ns: int) -> list[Event]:
        """Do everything due by our clock; returns what reached us by then, in order."""
        house = self._house
        limit_ns = now_ns + house.offset_ns - self.latency.hold_ns
        actions, deliveries = house.actions, house.deliveries
        while (due_ns := actions.next_ns) is not None and due_ns <= limit_ns:
            _, action = actions.pop()
            house.venue_ns = max(house.venue_ns, due_ns)
            if callable(action):
                action(house.venue_ns)
            else:
                self._apply(action)
        house.venue_ns = max(house.venue_ns, limit_ns)
        arrived: list[Event] = []
        while (due_ns := deliveries.next_ns) is not None and due_ns <= now_ns:
            arrived.append(deliveries.pop()[1])
        return arrived

    # --- what the feed says

    def on_market(self, event: Event) -> None:
        """Take in what the feed tells us now; it takes effect at the venue's own time of it."""
        # not `isinstance`, which takes 0.1 us and more to deny it of a Struct
        if type(event) is BookDelta or type(event) is BookSnapshot or type(event) is Trade or type(event) is Ticker:
            name, at_ns = event.instrument, event.ts_event_ns
            if type(event) is BookDelta or (type(event) is Trade and not event.replayed):
                self.latency.heard(at_ns, event.ts_recv_ns + self._house.offset_ns)
            if type(event) is not Trade:  # a book's frames change it in the order they came
                at_ns = self._book_ns[name] = max(at_ns, self._book_ns.get(name, 0))
            next_ns = self._house.actions.next_ns
            limit_ns = event.ts_recv_ns + self._house.offset_ns - self.latency.hold_ns
            if at_ns <= limit_ns and (next_ns is None or at_ns < next_ns):
                self._house.venue_ns = max(self._house.venue_ns, at_ns)
                self._apply(event)
            else:
                self._house.actions.put(at_ns, event, MARKET)
        elif isinstance(event, BookStale):
            self._apply(event)
        elif isinstance(event, InstrumentListed):
            self.list_instrument(event.instrument)
        elif isinstance(event, InstrumentDelisted):
            self._end_all(event.instrument, "INSTRUMENT_DEACTIVATED")
        elif isinstance(event, ClockOffset):
            self._house.offset_ns = event.offset_ns

    def _apply(self, event: Shown) -> None:
        market = self.markets.get(event.instrument)
        if market is not None:
            executions = self._appliers[type(event)](market, event)
            if executions:
                self._money.settle(executions)

    def _on_ticker(self, market: Market, ticker: Ticker) -> list[Execution]:
        market.on_ticker(ticker)
        self._money.schedule_funding(market)
        for account in self.accounts.values():
            if account.qty(market.instrument.instrument_id):
                self._money.judge_margin(account)
        return []

    # --- what we ask

    def unsendable(self, order: NewOrder) -> str:
        """Return why an order cannot be stated to the venue at all, "" when it can."""
        market = self.markets.get(order.instrument)
        if market is None:
            return f"{order.instrument} is not listed"
        try:
            market.instrument.to_lots(order.qty)
            if order.px is not None:
                market.instrument.to_ticks(order.px)
        except ValueError as error:
            return str(error)
        return ""

    def submit(self, account: AccountId, orders: Sequence[NewOrder], now_ns: int) -> None:
        self._send_creations(account, (), orders, now_ns)

    def replace(
        self, account: AccountId, cancels: Sequence[CancelOrder], orders: Sequence[NewOrder], now_ns: int
    ) -> None:
        """Cancels first, then creations, in one request (`VenueSettings.whole_requests`)."""
        self._send_creations(account, cancels, orders, now_ns)

    def _send_creations(
        self, account: AccountId, cancels: Sequence[CancelOrder], orders: Sequence[NewOrder], now_ns: int
    ) -> None:
        sendable: list[NewOrder] = []
        for order in orders:
            why_not = self.unsendable(order)
            told: Event
            if why_not:
                told = OrderNotSent(account, order.client_order_id, why_not, now_ns)
            else:
                told = OrderPrepared(account, order.client_order_id, now_ns)
                sendable.append(order)
            self._house.tell_at(now_ns, told)
        for cancel in cancels:
            self._house.tell_at(now_ns, CancelSent(account, cancel.client_order_id, now_ns))
        at_ns = self._arrival_ns(account, now_ns)
        runs = [tuple(run) for _, run in groupby(sendable, key=lambda order: order.instrument)] or [()]
        for place, run in enumerate(runs):  # the creations of a request are on one instrument
            ending = tuple(cancels) if not place else ()
            if not ending and not run:
                continue
            self._house.actions.put(at_ns, partial(self._trading.request, account, ending, run), OURS)

    def cancel(self, account: AccountId, requests: Sequence[CancelOrder], now_ns: int) -> None:
        for request in requests:
            self._house.tell_at(now_ns, CancelSent(account, request.client_order_id, now_ns))
        at_ns = self._arrival_ns(account, now_ns)
        self._house.actions.put(at_ns, partial(self._trading.cancel, account, tuple(requests), "CLIENT_CANCEL"), OURS)

    def cancel_all(self, account: AccountId, instrument: InstrumentId | None, now_ns: int) -> None:
        at_ns = self._arrival_ns(account, now_ns)
        self._house.actions.put(at_ns, partial(self._house.cancel_all, account, instrument), OURS)

    def query(self, account: AccountId, client_order_ids: Sequence[ClientOrderId], now_ns: int) -> None:
        at_ns = self._arrival_ns(account, now_ns)
        self._house.actions.put(at_ns, partial(self._trading.query, account, tuple(client_order_ids)), OURS)

    def request_snapshot(self, account: AccountId, fills_since_ns: int, now_ns: int) -> None:
        at_ns = self._arrival_ns(account, now_ns)
        self._house.actions.put(at_ns, partial(self._snapshot, account, fills_since_ns, now_ns), OURS)

    def keep_alive(self, account: AccountId, countdown_ns: int, now_ns: int) -> None:
        """Arm or refresh cancel-on-disconnect."""
        at_ns = self._arrival_ns(account, now_ns)
        self._house.actions.put(at_ns, partial(self._trading.arm_dead_man, account, countdown_ns), OURS)

    def _arrival_ns(self, account: AccountId, now_ns: int) -> int:
        """When a request of now is at the venue; requests of an account arrive in order."""
        at_ns = now_ns + self._house.offset_ns + self.latency.entry_ns(now_ns)
        at_ns = self._sent_ns[account] = max(at_ns, self._sent_ns.get(account, 0), self._house.venue_ns)
        return at_ns

    def _end_all(self, instrument: InstrumentId, reason: str) -> None:
        for name in self.accounts:
            self._house.cancel_all(name, instrument, self._house.venue_ns, reason)

    def _snapshot(self, name: AccountId, fills_since_ns: int, asked_ns: int, venue_ns: int) -> None:
        account = self.accounts[name]
        recv_ns = self._house.recv_ns(name, venue_ns)
        equity = account.equity(self.markets)
        snapshot = AccountSnapshot(
            account=name,
            open_orders=tuple(o.report(Source.SNAPSHOT, venue_ns, recv_ns) for o in account.live.values()),
            positions=tuple(
                account.position_report(self.markets[n], venue_ns, recv_ns, Source.SNAPSHOT)
                for n, position in account.positions.items()
                if position.qty and n in self.markets
            ),
            fills=_since(account.fills, fills_since_ns),
            funding=tuple(p for p in account.payments if p.ts_event_ns >= fills_since_ns),
            balance=account.balance,
            equity=equity,
            available=equity - account.initial_margin(self.markets, self.settings.margin),
            currency=account.currency,
            fills_since_ns=fills_since_ns,
            ts_asked_ns=asked_ns,
            ts_event_ns=venue_ns,
            ts_recv_ns=recv_ns,
        )
        self._house.tell_at(recv_ns, snapshot)


def _since(fills: Sequence[Fill], since_ns: int) -> tuple[Fill, ...]:
    """Return the fills from a time on, oldest first; asked often and for few, so it looks from the newest back."""
    found: list[Fill] = []
    for fill in reversed(fills):
        if fill.ts_event_ns < since_ns:
            break
        found.append(fill)
    return tuple(reversed(found))


def _lose(market: Market, event: Event) -> list[Execution]:
    market.lose()
    return []
