"""Paper trading: the venue's public feed, simulated orders, timers on the live clock, no key.

What decides is `simulation.Timeline`, as in a backtest; here the loop wakes it. Everything the feed says, the simulated
venue answers and the engine's timers bring passes through it in the order of time, each at the time it was due, so that the
same feed played from a tape gives the same fills. Private events are journalled as live ones are, which is how the account
survives a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from perpmaker.clock import Clock
from perpmaker.engine.backtest_models import with_expiry
from perpmaker.engine.core import Engine
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import CancelFailed, Channel, Connectivity, Event, OrderNotSent, SnapshotFailed
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, CancelOrder, NewOrder
from perpmaker.model.units import NS_PER_S
from perpmaker.simulation import CAPABILITIES, AccountAtRest, SimulatedVenue, Timeline
from perpmaker.venues.api import Capabilities, IntentLog, KillEpoch, MarketFeed, Sink, Subscription

REFRESHES: Final = 4
"""Refreshes of cancel-on-disconnect within its countdown."""
_EARLY_S: Final = 0.0005
_ACCOUNT: Final = "account"
_NOT_OPEN: Final = "the simulated account is not open: the feed has not listed its instruments"


class PaperClock:
    """Runs a timeline on the event loop. `timers` is for the pump, `take` the sink of the feeds."""

    def __init__(
        self,
        venues: Mapping[str, SimulatedVenue],
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self.timeline = Timeline(venues, self._deliver, clock.now_ns())
        self.timers = PaperTimers(self)
        self._clock = clock
        self._loop = loop
        self._on_fatal = on_fatal
        self._gateways: dict[AccountId, PaperGateway] = {}
        self._public: Sink = _nowhere
        self._armed_ns: int | None = None
        self._handle: asyncio.TimerHandle | None = None

    def listen(self, sink: Sink) -> None:
        """Hand what the feeds say, and the timers, to a sink."""
        self._public = sink

    def join(self, gateway: PaperGateway) -> None:
        self._gateways[gateway.account] = gateway

    def take(self, event: Event) -> None:
        """Take in what a feed says: at its own time, or now when our clock has gone past that.

        It leads to nothing before now, so that is when it counts as heard: its recording then leads to the same.
        """
        now_ns = self.timeline.now_ns
        heard = event if event.ts_recv_ns >= now_ns else msgspec.structs.replace(event, ts_recv_ns=now_ns)
        self._turn(lambda: self.timeline.feed(heard))

    def now_ns(self) -> int:
        """Bring everything to now, unless this is a reaction to something that is just being told; return the time."""
        self.timeline.advance(self._clock.now_ns())
        return self.timeline.now_ns

    def settle(self) -> None:
        """Tell what became due by what was just done."""
        self.timeline.advance(self.timeline.now_ns)
        self.arm()

    def tell(self, event: Event) -> None:
        self._deliver(event)

    def arm(self) -> None:
        """Have the loop wake the timeline when it, or a gateway, has something to do next."""
        wanted = [self.timeline.next_ns, *(gateway.refresh_ns for gateway in self._gateways.values())]
        due_ns = min((at_ns for at_ns in wanted if at_ns is not None), default=None)
        if due_ns == self._armed_ns:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._armed_ns, self._handle = due_ns, None
        if due_ns is not None:
            delay_s = max(0.0, (due_ns - self._clock.now_ns()) / NS_PER_S)
            self._handle = self._loop.call_later(delay_s, self._wake)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle, self._public = None, _nowhere
        self._gateways.clear()

    def _wake(self) -> None:
        due_ns, now_ns = self._armed_ns, self._clock.now_ns()
        if due_ns is not None and now_ns < due_ns:  # loops count in milliseconds and may be early
            self._handle = self._loop.call_later(max(_EARLY_S, (due_ns - now_ns) / NS_PER_S), self._wake)
            return
        self._armed_ns = self._handle = None
        self._turn(lambda: self.timeline.advance(now_ns))

    def _turn(self, do: Callable[[], None]) -> None:
        """Go on; a mistake in the simulation ends the engine, as one in the core does."""
        try:
            do()
            self.timeline.at_once(self._look)
        except Exception as error:  # noqa: BLE001 (a task root: nothing that waits for an answer would get one)
            self.stop()
            self._on_fatal(error)
        else:
            self.arm()

    def _look(self) -> None:
        for gateway in list(self._gateways.values()):
            gateway.look(self.timeline.now_ns)

    def _deliver(self, event: Event) -> None:
        account = event.name if isinstance(event, Connectivity) else getattr(event, _ACCOUNT, None)
        gateway = self._gateways.get(AccountId(account)) if account is not None else None
        if gateway is not None:
            gateway.sink(event)
        else:
            self._public(event)


class PaperTimers:
    """The pump's timers (`engine.timers.LoopTimers`), on the timeline."""

    def __init__(self, clock: PaperClock) -> None:
        self._clock = clock

    def set(self, key: str, at_ns: int) -> None:
        self._clock.timeline.set_timer(key, at_ns)
        self._clock.arm()

    def stop(self) -> None:
        self._clock.stop()


class PaperGateway:
    """An OrderGateway to a simulated venue. It is up once the feed has listed every instrument the account trades."""

    def __init__(
        self,
        *,
        account: AccountId,
        instruments: Sequence[InstrumentId],
        venue: SimulatedVenue,
        clock: PaperClock,
        intents: IntentLog,
        kill: KillEpoch,
        opening: AccountAtRest,
        dead_man_s: int = 25,
        id_bits: int = 64,
    ) -> None:
        self.account = account
        self.sink: Sink = _nowhere
        self._capabilities = msgspec.structs.replace(CAPABILITIES, client_id_bits=id_bits)
        self._instruments = tuple(instruments)
        self._venue = venue
        self._clock = clock
        self._intents = intents
        self._kill = kill
        self._opening = opening
        self._countdown_ns = dead_man_s * NS_PER_S
        self.refresh_ns: int | None = None
        """When cancel-on-disconnect is refreshed next."""
        self._started = self._up = False

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def start(self, sink: Sink) -> None:
        self.open(sink)

    def open(self, sink: Sink) -> None:
        """Begin: there is nothing to wait for."""
        self.sink, self._started = sink, True
        self._clock.join(self)

    async def stop(self) -> None:
        """Leave; what still rests is cancelled when the countdown ends."""
        self._started = self._up = False
        self.sink, self.refresh_ns = _nowhere, None

    def look(self, now_ns: int) -> None:
        """Open the account as soon as that can be done; keep cancel-on-disconnect from firing after that."""
        if self._up:
            if self.refresh_ns is None or now_ns >= self.refresh_ns:
                self.refresh_ns = now_ns + self._countdown_ns // REFRESHES
                self._venue.keep_alive(self.account, self._countdown_ns, now_ns)
            return
        if not self._started or any(name not in self._venue.markets for name in self._instruments):
            return
        self._up = True
        if self.account not in self._venue.accounts:
            rules = self._venue.markets[self._instruments[0]].instrument
            opening = self._opening
            self._venue.restore_account(msgspec.structs.replace(opening, currency=opening.currency or rules.quote))
        for channel in (Channel.PRIVATE, Channel.ORDER_ENTRY):
            self._clock.tell(Connectivity(self.account, channel, True, "simulated", now_ns))
        self.look(now_ns)

    # --- commands

    def submit(self, orders: Sequence[Approved]) -> None:
        now_ns = self._clock.now_ns()
        self._venue.submit(self.account, self._written(orders, now_ns), now_ns)
        self._clock.settle()

    def replace(self, request: ReplaceOrders) -> None:
        now_ns = self._clock.now_ns()
        cancels = self._possible(request.cancels, now_ns)
        self._venue.replace(self.account, cancels, self._written(request.orders, now_ns), now_ns)
        self._clock.settle()

    def cancel(self, requests: Sequence[CancelOrder]) -> None:
        now_ns = self._clock.now_ns()
        possible = self._possible(requests, now_ns)
        if possible:
            self._venue.cancel(self.account, possible, now_ns)
            self._clock.settle()

    def cancel_all(self, instrument: InstrumentId | None) -> None:
        if self._up:
            self._venue.cancel_all(self.account, instrument, self._clock.now_ns())
            self._clock.settle()

    def query(self, client_order_ids: Sequence[ClientOrderId]) -> None:
        if self._up:
            self._venue.query(self.account, client_order_ids, self._clock.now_ns())
            self._clock.settle()

    def request_snapshot(self, fills_since_ns: int) -> None:
        now_ns = self._clock.now_ns()
        if self._up:
            self._venue.request_snapshot(self.account, fills_since_ns, now_ns)
            self._clock.settle()
        else:
            self._clock.tell(SnapshotFailed(self.account, _NOT_OPEN, now_ns))

    def _possible(self, requests: Sequence[CancelOrder], now_ns: int) -> Sequence[CancelOrder]:
        if self._up:
            return requests
        for request in requests:
            self._clock.tell(CancelFailed(self.account, request.client_order_id, False, _NOT_OPEN, now_ns))
        return ()

    def _written(self, orders: Sequence[Approved], now_ns: int) -> list[NewOrder]:
        """Record orders before they leave, as every gateway does; those that must not leave are said to have not."""
        leaving = []
        for approved in orders:
            order = with_expiry(approved.order, now_ns, self._venue.settings.resting_life_ns)
            why_not = self._venue.unsendable(order)
            if not self._up:
                why_not = _NOT_OPEN
            elif approved.kill_epoch != self._kill.current:
                why_not = "killed meanwhile"
            if not why_not:
                try:
                    self._intents.intent(order, msgspec.json.encode(order))
                except OSError as error:
                    why_not = f"not recorded: {error.strerror}"
            if why_not:
                self._clock.tell(OrderNotSent(self.account, order.client_order_id, why_not, now_ns))
            else:
                leaving.append(order)
        return leaving


class PaperFeed:
    """A venue's feed whose events pass through the simulated venue first. It is the feed in all else."""

    def __init__(self, feed: MarketFeed, clock: PaperClock) -> None:
        self._feed = feed
        self._clock = clock

    async def start(self, sink: Sink) -> None:
        self._clock.listen(sink)
        await self._feed.start(self._clock.take)

    async def stop(self) -> None:
        await self._feed.stop()

    def subscribe(self, subscription: Subscription) -> None:
        self._feed.subscribe(subscription)

    async def instruments(self) -> Sequence[Instrument]:
        return await self._feed.instruments()


def at_rest(engine: Engine, account: AccountId, opening: AccountAtRest) -> AccountAtRest:
    """Return an account as the restored engine knows it, `opening` before its first life."""
    ledger = engine.world.ledgers[account]
    if not ledger.book.opened:
        return opening
    live = [order for order in engine.world.table.live(account) if order.own]
    return AccountAtRest(
        account=account,
        currency=ledger.book.currency,
        balance=ledger.book.balance,
        positions={name: (p.qty, p.cost) for name, p in ledger.book.positions.items() if p.qty},
        fills=tuple(booked.fill for booked in ledger.fills),
        orders=tuple((order.order, order.cum_qty) for order in live),
    )


def _nowhere(event: Event) -> None:
    """Tell nobody."""
