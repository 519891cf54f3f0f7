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

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from perpmaker.errors import InvariantError
from perpmaker.model.events import (
    AccountSnapshot,
    BookDelta,
    BookSnapshot,
    BookStale,
    CancelFailed,
    CancelReceived,
    CancelSent,
    ClockOffset,
    Event,
    Fill,
    FundingPaid,
    InstrumentDelisted,
    InstrumentListed,
    OrderNotFound,
    OrderNotSent,
    OrderPrepared,
    Source,
    SubmitRejected,
    Ticker,
    Trade,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder, Side, TimeInForce
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.portfolio.position import RunningPosition
from perpmaker.simulation.account import AccountAtRest, SimulatedAccount, mark_of
from perpmaker.simulation.chance import Chance
from perpmaker.simulation.checks import Rejection, outgrown, refusal
from perpmaker.simulation.latency import Latency
from perpmaker.simulation.market import Market
from perpmaker.simulation.order import Execution, VenueOrder
from perpmaker.simulation.pace import Pace
from perpmaker.simulation.schedule import Schedule
from perpmaker.simulation.settings import FillModel, VenueSettings

_FUNDING, _MARKET, _OURS = 0, 1, 2
"""Ranks at one instant."""
_HOUR_NS: Final = 3_600 * NS_PER_S
MIN_TTL_MS, DEFAULT_TTL_MS, MAX_TTL_MS = 100, 100, 5_000
_REASON: Final = {2080: "BELOW_MARGIN", 2081: "EXCEED_MAX_POSITION_SIZE"}
_NOBODY: Final = ClientOrderId(0)
_VENUE: Final = StrategyId("")
_DISCONNECTED: Final = "CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED"

_Action = Callable[[int], None]
_Shown = BookDelta | BookSnapshot | BookStale | Trade | Ticker


class SimulatedVenue:
    """One exchange with any number of instruments and accounts. `mark` begins its ids: two lives never share one."""

    def __init__(self, settings: VenueSettings, latency: Latency, chance: Chance, mark: str = "s") -> None:
        self.settings = settings
        self._mark = mark
        self.latency = latency
        self.markets: dict[InstrumentId, Market] = {}
        self.accounts: dict[AccountId, SimulatedAccount] = {}
        self._chance = chance
        self._offset_ns = 0
        self._venue_ns = 0
        """Everything of the venue up to here is done."""
        self._actions: Schedule[_Action | _Shown] = Schedule()
        self._deliveries: Schedule[Event] = Schedule()
        self._book_ns: dict[InstrumentId, int] = {}
        self._sent_ns: dict[AccountId, int] = {}
        self._heard_ns: dict[AccountId, int] = {}
        self._funding_ns: dict[InstrumentId, int] = {}
        self._paces: dict[AccountId, Pace] = {}
        self._orders = self._trades = self._payments = 0
        self._appliers: Mapping[type, Callable[[Market, Event], list[Execution]]] = {
            BookDelta: lambda market, event: market.on_delta(event),  # type: ignore[arg-type]
            BookSnapshot: lambda market, event: market.on_snapshot(event),  # type: ignore[arg-type]
            Trade: lambda market, event: market.on_trade(event),  # type: ignore[arg-type]
            Ticker: self._on_ticker,  # type: ignore[dict-item]
            BookStale: _lose,
        }

    # --- making

    def list_instrument(self, instrument: Instrument) -> None:
        """Offer an instrument, or change its rules: a new tick or lot ends what rests on it."""
        name = instrument.instrument_id
        known = self.markets.get(name)
        if known is None:
            self.markets[name] = Market(instrument, self.settings, self._chance)
        elif (known.instrument.tick, known.instrument.lot) == (instrument.tick, instrument.lot):
            known.instrument = known.book.instrument = instrument
        else:
            self._end_all(name, "INSTRUMENT_DEACTIVATED")
            market = self.markets[name] = Market(instrument, self.settings, self._chance)
            market.mark_px, market.funding_rate = known.mark_px, known.funding_rate

    def open_account(self, account: AccountId, balance: Decimal, currency: str) -> None:
        if account in self.accounts:
            raise InvariantError(f"the simulated account {account} exists already")
        self.accounts[account] = SimulatedAccount(account, balance, currency)
        self._paces[account] = Pace(self.settings.orders_per_s, self.settings.orders_burst)

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
            gone = VenueOrder(order, rules, 0, rules.to_lots(order.qty), self._venue_ns)
            gone.leaves_lots, gone.cum_lots = gone.qty_lots - rules.to_lots(cum_qty), rules.to_lots(cum_qty)
            gone.cost_tick_lots = gone.cum_lots * (0 if order.px is None else rules.to_ticks(order.px))
            gone.status, gone.reason = VenueStatus.CANCELED, _DISCONNECTED
            account.close(gone)

    # --- time

    @property
    def next_ns(self) -> int | None:
        """When, by our clock, `advance` has something to do; None for never."""
        action_ns, delivery_ns = self._actions.next_ns, self._deliveries.next_ns
        if action_ns is None:
            return delivery_ns
        due_ns = action_ns - self._offset_ns + self.latency.hold_ns
        return due_ns if delivery_ns is None or due_ns < delivery_ns else delivery_ns

    def advance(self, now_ns: int) -> list[Event]:
        """Do everything due by our clock; returns what reached us by then, in order."""
        limit_ns = now_ns + self._offset_ns - self.latency.hold_ns
        actions = self._actions
        while (due_ns := actions.next_ns) is not None and due_ns <= limit_ns:
            _, action = actions.pop()
            self._venue_ns = max(self._venue_ns, due_ns)
            if callable(action):
                action(self._venue_ns)
            else:
                self._apply(action)
        self._venue_ns = max(self._venue_ns, limit_ns)
        arrived: list[Event] = []
        while (due_ns := self._deliveries.next_ns) is not None and due_ns <= now_ns:
            arrived.append(self._deliveries.pop()[1])
        return arrived

    # --- what the feed says

    def on_market(self, event: Event) -> None:
        """Take in what the feed tells us now; it takes effect at the venue's own time of it."""
        if isinstance(event, BookDelta | BookSnapshot | Trade | Ticker):
            name, at_ns = event.instrument, event.ts_event_ns
            self.latency.heard(at_ns, event.ts_recv_ns + self._offset_ns)
            if not isinstance(event, Trade):  # a book's frames change it in the order they came
                at_ns = self._book_ns[name] = max(at_ns, self._book_ns.get(name, 0))
            next_ns = self._actions.next_ns
            limit_ns = event.ts_recv_ns + self._offset_ns - self.latency.hold_ns
            if at_ns <= limit_ns and (next_ns is None or at_ns < next_ns):
                self._venue_ns = max(self._venue_ns, at_ns)
                self._apply(event)
            else:
                self._actions.put(at_ns, event, _MARKET)
        elif isinstance(event, BookStale):
            self._apply(event)
        elif isinstance(event, InstrumentListed):
            self.list_instrument(event.instrument)
        elif isinstance(event, InstrumentDelisted):
            self._end_all(event.instrument, "INSTRUMENT_DEACTIVATED")
        elif isinstance(event, ClockOffset):
            self._offset_ns = event.offset_ns

    def _apply(self, event: _Shown) -> None:
        market = self.markets.get(event.instrument)
        if market is not None:
            executions = self._appliers[type(event)](market, event)
            if executions:
                self._settle(executions)

    def _on_ticker(self, market: Market, ticker: Ticker) -> list[Execution]:
        market.on_ticker(ticker)
        self._schedule_funding(market)
        for account in self.accounts.values():
            if account.qty(market.instrument.instrument_id):
                self._judge_margin(account)
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
        """Cancels first, then creations, in one request. Each creation is judged by itself."""
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
            self._tell_at(now_ns, told)
        for cancel in cancels:
            self._tell_at(now_ns, CancelSent(account, cancel.client_order_id, now_ns))
        at_ns = self._arrival_ns(account, now_ns)
        if cancels:
            reason = "CLIENT_REPLACE" if sendable else "CLIENT_CANCEL"
            self._actions.put(at_ns, partial(self._cancel, account, tuple(cancels), reason), _OURS)
        if sendable:
            self._actions.put(at_ns, partial(self._create, account, tuple(sendable)), _OURS)

    def cancel(self, account: AccountId, requests: Sequence[CancelOrder], now_ns: int) -> None:
        for request in requests:
            self._tell_at(now_ns, CancelSent(account, request.client_order_id, now_ns))
        at_ns = self._arrival_ns(account, now_ns)
        self._actions.put(at_ns, partial(self._cancel, account, tuple(requests), "CLIENT_CANCEL"), _OURS)

    def cancel_all(self, account: AccountId, instrument: InstrumentId | None, now_ns: int) -> None:
        at_ns = self._arrival_ns(account, now_ns)
        self._actions.put(at_ns, partial(self._cancel_all, account, instrument), _OURS)

    def query(self, account: AccountId, client_order_ids: Sequence[ClientOrderId], now_ns: int) -> None:
        at_ns = self._arrival_ns(account, now_ns)
        self._actions.put(at_ns, partial(self._query, account, tuple(client_order_ids)), _OURS)

    def request_snapshot(self, account: AccountId, fills_since_ns: int, now_ns: int) -> None:
        at_ns = self._arrival_ns(account, now_ns)
        self._actions.put(at_ns, partial(self._snapshot, account, fills_since_ns, now_ns), _OURS)

    def keep_alive(self, account: AccountId, countdown_ns: int, now_ns: int) -> None:
        """Arm or refresh cancel-on-disconnect."""
        at_ns = self._arrival_ns(account, now_ns)
        self._actions.put(at_ns, partial(self._arm_dead_man, account, countdown_ns), _OURS)

    def _arrival_ns(self, account: AccountId, now_ns: int) -> int:
        """When a request of now is at the venue; requests of an account arrive in order."""
        at_ns = now_ns + self._offset_ns + self.latency.entry_ns(now_ns)
        at_ns = self._sent_ns[account] = max(at_ns, self._sent_ns.get(account, 0), self._venue_ns)
        return at_ns

    # --- orders at the venue

    def _create(self, name: AccountId, orders: tuple[NewOrder, ...], venue_ns: int) -> None:
        account = self.accounts[name]
        for place, order in enumerate(orders):
            refused = self._refusal(account, order, place, venue_ns)
            if refused is not None:
                recv_ns = self._recv_ns(name, venue_ns)
                self._tell_at(recv_ns, SubmitRejected(name, order.client_order_id, refused.code, refused.text, recv_ns))
                continue
            market = self.markets[order.instrument]
            rules = market.instrument
            px_ticks = 0 if order.px is None else rules.to_ticks(order.px)
            made = VenueOrder(order, rules, px_ticks, rules.to_lots(order.qty), venue_ns)
            account.live[order.client_order_id] = made
            self._report(made, venue_ns, Source.REPLY)
            if account.armed.pop(order.client_order_id, None) is not None:
                self._close(made, VenueStatus.CANCELED, "CLIENT_CANCEL", venue_ns)
            elif order.post_only or not self.settings.speed_bump_ns:
                self._arrive(made, venue_ns)
            else:
                waited_ns = venue_ns + self.settings.speed_bump_ns
                self._actions.put(waited_ns, partial(self._arrive_after_wait, made), _OURS)

    def _refusal(self, account: SimulatedAccount, order: NewOrder, place: int, venue_ns: int) -> Rejection | None:
        if place >= self.settings.max_bulk:
            return Rejection(2235, f"at most {self.settings.max_bulk} orders in a request")
        if not self._paces[account.account].take(venue_ns):
            return Rejection(1006, "you have surpassed the allocated rate limit for your tier")
        return refusal(account, self.markets, self.settings, order, venue_ns)

    def _arrive_after_wait(self, order: VenueOrder, venue_ns: int) -> None:
        if not order.is_live:
            return
        wanted = order.order
        if not wanted.reduce_only:
            account = self.accounts[wanted.account]
            del account.live[wanted.client_order_id]  # as if it were not counted yet
            grown = outgrown(account, self.markets, self.settings, wanted, order.instrument.qty(order.leaves_lots))
            account.live[wanted.client_order_id] = order
            if grown is not None:
                self._close(order, VenueStatus.REJECTED, _REASON[grown.code], venue_ns)
                return
        self._arrive(order, venue_ns)

    def _arrive(self, order: VenueOrder, venue_ns: int) -> None:
        """An order meets the market: it is refused, trades, rests, or both of the last."""
        wanted, market = order.order, self.markets[order.order.instrument]
        self._orders += 1
        order.number, order.order_id, order.arrived_ns = self._orders, f"{self._mark}{self._orders}", venue_ns
        if order.expire_ns <= venue_ns:
            self._close(order, VenueStatus.EXPIRED, "EXPIRED", venue_ns)
            return
        if wanted.reduce_only and not self._trim_to_position(order):
            self._close(order, VenueStatus.REJECTED, "FAIL_REDUCE_ONLY", venue_ns)
            return
        crosses, classic = market.crosses(order), self.settings.fill_model is FillModel.CLASSIC
        if wanted.post_only and crosses and not classic:
            self._close(order, VenueStatus.REJECTED, "FAIL_POST_ONLY", venue_ns)
            return
        if wanted.tif is TimeInForce.FOK and market.takeable_lots(order) < order.leaves_lots:
            self._close(order, VenueStatus.CANCELED, "FOK_CANCEL", venue_ns)
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
            self._report(order, venue_ns)
        self._actions.put(order.expire_ns, partial(self._expire, order), _OURS)
        if executions or more:
            self._settle([*executions, *more])

    def _end_taker(self, order: VenueOrder, executions: list[Execution], venue_ns: int) -> None:
        if order.leaves_lots:
            reason = "MARKET_CANCEL" if not order.px_ticks else "IOC_CANCEL"
            self._settle(executions, ending=(order, VenueStatus.CANCELED, reason))
            if not executions:
                self._close(order, VenueStatus.CANCELED, reason, venue_ns)
        else:
            self._settle(executions)

    def _expire(self, order: VenueOrder, venue_ns: int) -> None:
        if order.is_live:
            self._close(order, VenueStatus.EXPIRED, "EXPIRED", venue_ns)

    def _trim_to_position(self, order: VenueOrder) -> bool:
        """Cut a reduce-only order to what it can close; returns whether anything is left."""
        held = self.accounts[order.order.account].qty(order.order.instrument)
        closes = order.instrument.to_lots(max(-order.side.sign * held, Decimal(0)))
        cut = max(0, order.leaves_lots - closes)
        order.leaves_lots -= cut
        order.trimmed_lots += cut
        return order.leaves_lots > 0

    def _close(self, order: VenueOrder, status: VenueStatus, reason: str, venue_ns: int) -> None:
        self.markets[order.order.instrument].remove(order)
        order.status, order.reason, order.updated_ns = status, reason, venue_ns
        self.accounts[order.order.account].close(order)
        self._report(order, venue_ns)

    # --- cancels

    def _cancel(self, name: AccountId, requests: tuple[CancelOrder, ...], reason: str, venue_ns: int) -> None:
        account = self.accounts[name]
        for request in requests:
            order = account.live.get(request.client_order_id)
            recv_ns = self._recv_ns(name, venue_ns)
            if order is None and request.by_venue_id:
                failed = CancelFailed(name, request.client_order_id, True, "1004 no such order is open", recv_ns)
                self._tell_at(recv_ns, failed)
                continue
            self._tell_at(recv_ns, CancelReceived(name, request.client_order_id, recv_ns))
            if order is not None:
                self._close(order, VenueStatus.CANCELED, reason, venue_ns)
            else:
                self._arm_cancel(account, request, venue_ns)

    def _arm_cancel(self, account: SimulatedAccount, request: CancelOrder, venue_ns: int) -> None:
        """Keep a cancel for an order that may still come."""
        ttl_ms = min(max(request.ttl_ms or DEFAULT_TTL_MS, MIN_TTL_MS), MAX_TTL_MS)
        due_ns = account.armed[request.client_order_id] = venue_ns + ttl_ms * NS_PER_MS
        self._actions.put(due_ns, partial(self._disarm, account, request.client_order_id), _OURS)

    def _disarm(self, account: SimulatedAccount, client_order_id: ClientOrderId, venue_ns: int) -> None:
        due_ns = account.armed.get(client_order_id)
        if due_ns is None or due_ns > venue_ns:
            return
        del account.armed[client_order_id]
        recv_ns = self._recv_ns(account.account, venue_ns)
        self._tell_at(recv_ns, CancelFailed(account.account, client_order_id, True, "EXPIRED", recv_ns))

    def _cancel_all(
        self, name: AccountId, instrument: InstrumentId | None, venue_ns: int, reason: str = "CLIENT_BULK_CANCEL"
    ) -> None:
        for order in list(self.accounts[name].live.values()):
            if instrument in (None, order.order.instrument):
                self._close(order, VenueStatus.CANCELED, reason, venue_ns)

    def _end_all(self, instrument: InstrumentId, reason: str) -> None:
        for name in self.accounts:
            self._cancel_all(name, instrument, self._venue_ns, reason)

    def _arm_dead_man(self, name: AccountId, countdown_ns: int, venue_ns: int) -> None:
        account = self.accounts[name]
        due_ns = account.dead_man_ns = venue_ns + countdown_ns
        self._actions.put(due_ns, partial(self._dead_man, account), _OURS)

    def _dead_man(self, account: SimulatedAccount, venue_ns: int) -> None:
        if account.dead_man_ns and account.dead_man_ns <= venue_ns:
            account.dead_man_ns = 0
            self._cancel_all(account.account, None, venue_ns, _DISCONNECTED)

    # --- money

    def _settle(
        self, executions: Iterable[Execution], *, ending: tuple[VenueOrder, VenueStatus, str] | None = None
    ) -> None:
        """Book executions, tell fills, then orders, then positions, then look at what they mean for the accounts."""
        venue_ns = self._venue_ns
        touched: dict[int, VenueOrder] = {}
        held: dict[tuple[AccountId, InstrumentId], None] = {}
        for execution in executions:
            order = execution.order
            rate = self.settings.fees.taker if execution.is_taker else self.settings.fees.maker
            self._book(order, execution, rate, venue_ns)
            touched[order.number] = order
            held[(order.order.account, order.order.instrument)] = None
        for order in touched.values():
            if ending is not None and order is ending[0]:
                self._close(order, ending[1], ending[2], venue_ns)
            elif order.leaves_lots:
                self._report(order, venue_ns)
            elif order.trimmed_lots:
                self._close(order, VenueStatus.CANCELED, "REDUCE_ONLY_LIMIT", venue_ns)
            else:
                self._close(order, VenueStatus.FILLED, "", venue_ns)
        for name, instrument in held:
            self._tell_position(name, instrument, venue_ns)
            self._trim_reduce_only(name, instrument, venue_ns)
        for name in dict.fromkeys(name for name, _ in held):
            self._judge_margin(self.accounts[name])

    def _book(
        self, order: VenueOrder, execution: Execution, rate: Decimal, venue_ns: int, *, liquidation: bool = False
    ) -> None:
        account, market = self.accounts[order.order.account], self.markets[order.order.instrument]
        rules = market.instrument
        px, qty = rules.px(execution.px_ticks), rules.qty(execution.lots)
        fee, realized = account.book(rules, order.side, px, qty, rate)
        self._trades += 1
        recv_ns = self._recv_ns(account.account, venue_ns)
        fill = Fill(
            account=account.account,
            client_order_id=order.order.client_order_id,
            venue_order_id=order.venue_order_id,
            trade_id=TradeId(f"{self._mark}{self._trades}"),
            instrument=rules.instrument_id,
            side=order.side,
            px=px,
            qty=qty,
            fee=fee,
            fee_currency=rules.quote,
            is_taker=execution.is_taker,
            realized_pnl=realized,
            ts_event_ns=venue_ns,
            ts_recv_ns=recv_ns,
            is_liquidation=liquidation,
            mark_px=mark_of(market),
        )
        account.fills.append(fill)
        self._tell_at(recv_ns, fill)

    def _trim_reduce_only(self, name: AccountId, instrument: InstrumentId, venue_ns: int) -> None:
        """A position that shrank cuts the reduce-only orders that rest on it, the newest first."""
        resting = [
            o
            for o in self.accounts[name].live.values()
            if o.order.reduce_only and o.order.instrument == instrument and o.status is VenueStatus.OPEN
        ]
        if not resting:
            return
        held = self.accounts[name].qty(instrument)
        for side in Side:
            rules = self.markets[instrument].instrument
            left = rules.to_lots(max(-side.sign * held, Decimal(0)))
            for order in resting:
                if order.side is not side:
                    continue
                kept = min(order.leaves_lots, left)
                left -= kept
                cut = order.leaves_lots - kept
                order.leaves_lots, order.trimmed_lots = kept, order.trimmed_lots + cut
                if not kept:
                    self._close(order, VenueStatus.CANCELED, "REDUCE_ONLY_LIMIT", venue_ns)
                elif cut:
                    self._report(order, venue_ns)

    def _schedule_funding(self, market: Market) -> None:
        """Settle at the boundary the venue names, else at the multiples of the interval since 1970 in UTC."""
        if market.funding_rate is None:
            return
        name, interval_ns = market.instrument.instrument_id, market.instrument.funding_interval_h * _HOUR_NS
        due_ns = market.next_funding_ns
        if due_ns <= self._venue_ns:
            due_ns = (self._venue_ns // interval_ns + 1) * interval_ns
        if self._funding_ns.get(name) != due_ns:
            self._funding_ns[name] = due_ns
            self._actions.put(due_ns, partial(self._fund, name), _FUNDING)

    def _fund(self, name: InstrumentId, venue_ns: int) -> None:
        market = self.markets[name]
        if self._funding_ns.get(name, 0) > venue_ns:
            return  # the venue named another time since
        mark_px, rate = mark_of(market), market.funding_rate
        for account in self.accounts.values():
            if account.qty(name) and mark_px is not None and rate is not None:
                amount = account.pay_funding(name, mark_px, rate)
                self._payments += 1
                recv_ns = self._recv_ns(account.account, venue_ns)
                payment = FundingPaid(
                    account=account.account,
                    instrument=name,
                    amount=amount,
                    currency=market.instrument.quote,
                    payment_id=f"{self._mark}{self._payments}",
                    ts_event_ns=venue_ns,
                    ts_recv_ns=recv_ns,
                )
                account.payments.append(payment)
                self._tell_at(recv_ns, payment)
                self._judge_margin(account)
        self._schedule_funding(market)

    def _judge_margin(self, account: SimulatedAccount) -> None:
        """Liquidate an account whose equity is below its maintenance margin: orders cancelled, positions taken out."""
        needed = account.maintenance_margin(self.markets, self.settings.margin)
        if not needed or account.equity(self.markets) >= needed:
            return
        venue_ns = self._venue_ns
        account.liquidations += 1
        self._cancel_all(account.account, None, venue_ns, "LIQUIDATION")
        for name, position in list(account.positions.items()):
            if position.qty:
                self._take_out(account, self.markets[name], position.qty, venue_ns)
                self._tell_position(account.account, name, venue_ns)

    def _take_out(self, account: SimulatedAccount, market: Market, held: Decimal, venue_ns: int) -> None:
        """Close a position at what the book shows; what it does not show goes at the mark, as to an insurance fund."""
        side = Side.SELL if held > 0 else Side.BUY
        rules = market.instrument
        wanted = NewOrder(
            client_order_id=_NOBODY,
            account=account.account,
            strategy=_VENUE,
            instrument=rules.instrument_id,
            side=side,
            px=None,
            qty=abs(held),
            tif=TimeInForce.IOC,
            reduce_only=True,
        )
        self._orders += 1
        order = VenueOrder(wanted, rules, 0, rules.to_lots(abs(held)), venue_ns)
        order.number, order.order_id = self._orders, f"{self._mark}{self._orders}"
        executions = market.take(order)
        mark_px = mark_of(market)
        if order.leaves_lots and mark_px is not None:
            lots, px_ticks = order.leaves_lots, rules.round_ticks(mark_px, side.opposite)
            order.execute(lots, px_ticks)
            executions.append(Execution(order, lots, px_ticks, is_taker=True))
        for execution in executions:
            self._book(order, execution, self.settings.fees.liquidation, venue_ns, liquidation=True)

    # --- reads

    def _query(self, name: AccountId, client_order_ids: tuple[ClientOrderId, ...], venue_ns: int) -> None:
        for client_order_id in client_order_ids:
            order = self.accounts[name].order(client_order_id)
            recv_ns = self._recv_ns(name, venue_ns)
            told: Event = OrderNotFound(name, client_order_id, recv_ns)
            if order is not None:
                told = order.report(Source.QUERY, venue_ns, recv_ns)
            self._tell_at(recv_ns, told)

    def _snapshot(self, name: AccountId, fills_since_ns: int, asked_ns: int, venue_ns: int) -> None:
        account = self.accounts[name]
        recv_ns = self._recv_ns(name, venue_ns)
        equity = account.equity(self.markets)
        snapshot = AccountSnapshot(
            account=name,
            open_orders=tuple(o.report(Source.SNAPSHOT, venue_ns, recv_ns) for o in account.live.values()),
            positions=tuple(
                account.position_report(self.markets[n], venue_ns, recv_ns, Source.SNAPSHOT)
                for n, position in account.positions.items()
                if position.qty
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
        self._tell_at(recv_ns, snapshot)

    # --- telling

    def _recv_ns(self, account: AccountId, venue_ns: int) -> int:
        """When we hear what the venue says now: after the response latency, in order, never before we could know it."""
        ours_ns = venue_ns - self._offset_ns
        recv_ns = ours_ns + max(self.latency.response_ns(ours_ns), self.latency.hold_ns)
        recv_ns = self._heard_ns[account] = max(recv_ns, self._heard_ns.get(account, 0))
        return recv_ns

    def _tell_at(self, recv_ns: int, event: Event) -> None:
        self._deliveries.put(recv_ns, event)

    def _report(self, order: VenueOrder, venue_ns: int, source: Source = Source.STREAM) -> None:
        recv_ns = self._recv_ns(order.order.account, venue_ns)
        self._tell_at(recv_ns, order.report(source, venue_ns, recv_ns))

    def _tell_position(self, name: AccountId, instrument: InstrumentId, venue_ns: int) -> None:
        recv_ns = self._recv_ns(name, venue_ns)
        market = self.markets[instrument]
        self._tell_at(recv_ns, self.accounts[name].position_report(market, venue_ns, recv_ns))


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
