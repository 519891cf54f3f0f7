"""A ccxt venue as an OrderGateway: one account's order entry and private streams."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import ConfigError, DataError, VenueError, VenueUnavailable
from perpmaker.logs import get, register_secret
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    AccountSnapshot,
    Channel,
    Connectivity,
    Event,
    Fill,
    LeverageTold,
    OrderNotFound,
    OrderReport,
    RateBudget,
    SnapshotFailed,
    Source,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, TradeId, VenueOrderId
from perpmaker.model.order import Approved, CancelOrder, NewOrder, Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.venues.api import Capabilities, IntentLog, KillEpoch, NoTimings, Sink, Timings
from perpmaker.venues.ccxt import listing
from perpmaker.venues.ccxt.account import Account, NoSuchOrder
from perpmaker.venues.ccxt.feed import stream_url
from perpmaker.venues.ccxt.frames import Heading, Kind
from perpmaker.venues.ccxt.library import call, close_client, make_client, open_client_http
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.orders import CANCEL, CREATE, READ, Orders
from perpmaker.venues.ccxt.quirks import Quirks
from perpmaker.venues.ccxt.stream import Stream
from perpmaker.venues.ccxt.verdicts import Answered, Verdict
from perpmaker.venues.debts import Debts
from perpmaker.venues.memory import Remembered
from perpmaker.venues.secret import Secret
from perpmaker.venues.transport.rate_limit import Rate, RateLimiter

TICK_S: Final = 0.1
BUDGET_EVERY_S: Final = 1.0
LEVERAGE_EVERY_NS: Final = 300 * NS_PER_S
REMEMBERED: Final = 3_000
QUERIES: Final = 64
POLL_S: Final = 2.0
"""How often fills are read where the venue streams none; at once when an order says that it was filled."""
LOOK_BACK_NS: Final = 60 * NS_PER_S

_log = get("venues.ccxt.gateway")


class CcxtAccount(msgspec.Struct, frozen=True):
    """Whose orders: the account's name here, which key the venue knows it by, and what signs."""

    account: AccountId
    api_key: Secret
    secret: Secret
    password: Secret | None = None

    @property
    def sub_account_id(self) -> str:
        """Tell accounts apart without showing a key: the start of the digest of the key's name at the venue."""
        return hashlib.blake2b(self.api_key.reveal().encode(), digest_size=6).hexdigest()


class CcxtGateway:
    """An OrderGateway. Commands return at once; each order ends in accepted, rejected, not sent or unknown."""

    def __init__(
        self,
        *,
        quirks: Quirks,
        who: CcxtAccount,
        intents: IntentLog,
        kill: KillEpoch,
        clock: Clock,
        seed: int,
        urls: Mapping[str, Any] | None = None,
        timings: Timings | None = None,
    ) -> None:
        for secret in (who.secret, who.password):
            if secret:
                register_secret(secret.reveal())
        self._quirks = quirks
        self._account = who.account
        self._clock = clock
        self._sink: Sink = _nowhere
        self._stream = Stream(self, clock, name=f"{who.account}:private", seed=seed)
        self._http: aiohttp.ClientSession = open_client_http(quirks, urls or {})
        self._client = make_client(
            quirks, self._http, self._stream, urls=urls or {}, api_key=who.api_key, secret=who.secret,
            password=who.password,
        )  # fmt: skip
        self._stream.attach(self._client, stream_url(self._client, quirks, "private"))
        self._reader = Account(self._client, quirks, who.account, clock)
        self._limiter = RateLimiter(
            clock,
            {CREATE: quirks.requests, CANCEL: quirks.requests, READ: quirks.requests},
            total=Rate(quirks.requests.per_s, quirks.requests.burst),
            protected=(CANCEL,),
        )
        self._orders = Orders(
            account=who.account, client=self._client, quirks=quirks, owner=self, reader=self._reader, intents=intents,
            kill=kill, limiter=self._limiter, clock=clock, timings=timings or NoTimings(),
        )  # fmt: skip
        self._debts = Debts(clock)
        self._trades = Remembered[tuple[TradeId, Side]](REMEMBERED)
        self._listed: dict[InstrumentId, Listed] = {}
        self._venue_ids: OrderedDict[ClientOrderId, tuple[InstrumentId, VenueOrderId | None]] = OrderedDict()
        self._poll_now = asyncio.Event()
        self._polled_ns = 0
        self._entry_is_up: bool | None = None
        self._fatal = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._jobs: set[asyncio.Task[None]] = set()
        self._asked: set[ClientOrderId] = set()
        self._snapshot_since_ns: int | None = None
        self._snapshot_is_running = False
        self._budget: tuple[float, float, bool] = (-1.0, -1.0, False)
        self._budget_due_ns = self._leverage_due_ns = 0

    @property
    def capabilities(self) -> Capabilities:
        return self._quirks.capabilities

    async def start(self, sink: Sink) -> None:
        """Begin to connect; returns at once. A venue that is down is waited for."""
        if self._tasks:
            raise ConfigError("the gateway has been started already")
        self._sink = sink
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._stream.run(), name="ccxt_gateway_stream"),
            loop.create_task(self._keep_ticking(), name="ccxt_gateway_tick"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    async def stop(self) -> None:
        """Close every link. The venue has no dead-man timer: what rests, rests on."""
        tasks, self._tasks = [*self._tasks, *self._jobs], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sink = _nowhere
        await close_client(self._client)
        await self._http.close()

    def submit(self, orders: Sequence[Approved]) -> None:
        self._orders.submit(orders)

    def cancel(self, requests: Sequence[CancelOrder]) -> None:
        self._orders.cancel(requests)

    def replace(self, request: ReplaceOrders) -> None:
        self._orders.replace(request)

    def cancel_all(self, instrument: InstrumentId | None) -> None:
        self._orders.cancel_all(instrument)

    def query(self, client_order_ids: Sequence[ClientOrderId]) -> None:
        """Ask about single orders; one that is being asked about is not asked about twice at a time."""
        for client_order_id in client_order_ids:
            if client_order_id not in self._asked and len(self._asked) < QUERIES:
                self._asked.add(client_order_id)
                self.spawn(self._query(client_order_id))

    def request_snapshot(self, fills_since_ns: int) -> None:
        """Answers with one AccountSnapshot, or SnapshotFailed. Asked while one is being read, another one follows it."""
        since_ns = self._snapshot_since_ns
        self._snapshot_since_ns = fills_since_ns if since_ns is None else min(since_ns, fills_since_ns)
        if not self._snapshot_is_running:
            self._snapshot_is_running = True
            self.spawn(self._read_snapshots())

    # --- OrdersOwner

    def emit(self, event: Event) -> None:
        self._sink(event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._jobs.add(task)
        task.add_done_callback(self._job_ended)
        return task

    def listed(self, instrument: InstrumentId) -> Listed | None:
        return self._listed.get(instrument)

    def why_not(self) -> str:
        if self._fatal:
            return f"the venue takes no orders of this account: {self._fatal}"
        return "" if self._entry_is_up else "order entry is not up"

    def written(self, order: NewOrder) -> None:
        self._remember(order.client_order_id, order.instrument, None)
        self._debts.written(order.client_order_id)

    def accepted(self, report: OrderReport) -> None:
        """The answer to a creation: the streams owe the same, and soon."""
        self._remember(report.client_order_id, report.instrument, report.venue_order_id)
        self._debts.acknowledged(report.client_order_id)
        self.emit(report)

    def answered(self, kind: str, outcome: Answered) -> None:
        if outcome.verdict is Verdict.RATE_LIMIT:
            self._limiter.penalise(kind, 0.0)
            self._tell_budget()
        elif outcome.verdict is Verdict.FATAL and kind == CREATE:
            self._refused(outcome.text)

    # --- LinkOwner

    async def before_connect(self) -> None:
        """Read the markets, and prove that the keys are accepted."""
        markets = await call(self._client, "load_markets")
        reading = listing.read(markets, self._quirks.exchange, self._client.precisionMode)
        self._listed = reading.listed
        self._reader.know(reading.listed)

    async def open_streams(self) -> Sequence[Awaitable[Any]]:
        reader = self._quirks.frames
        if reader is not None:
            topics = list(reader.private_topics)
            return [call(self._client, "watch_private", topics, [f"raw:{topic}" for topic in topics])]
        watched: list[Awaitable[Any]] = [self._watch_orders()]
        watched.append(self._watch_trades() if self._client.has.get("watchMyTrades") else self._poll_trades())
        if self._client.has.get("watchPositions"):
            watched.append(self._watch_positions())
        return watched

    def on_link_up(self) -> None:
        self._debts.forget_all()
        self._tell(Channel.PRIVATE, True, "subscribed")
        self.spawn(self._prove_entry())

    def on_link_down(self, reason: str) -> None:
        self._debts.forget_all()
        self._judge_entry(False, reason)
        self._tell(Channel.PRIVATE, False, reason)

    def on_message(self, message: Any) -> bool:
        reader = self._quirks.frames
        head = reader.heading(message) if reader is not None else None
        if head is None:
            return False
        try:
            self._on_frame(head)
        except DataError as error:
            _log.error("private_frame_unreadable", account=self._account, kind=head.kind.value, reason=str(error))
            self._stream.doubt(f"a private frame cannot be read: {error}")
        return True

    # --- private streams

    def _on_frame(self, head: Heading) -> None:
        reader = self._quirks.frames
        if head.kind is Kind.REFUSED:
            raise DataError(f"subscription refused: {head.data.get('message')}")
        if reader is None or head.kind not in (Kind.ORDER, Kind.POSITION):
            return
        listed = self._reader.by_market_id(head.symbol)
        if listed is None:  # a spot market, by hand
            return
        now_ns = self._clock.now_ns()
        if head.kind is Kind.POSITION:
            self.emit(reader.position(head.data, listed, self._account, now_ns))
            return
        fill = reader.fill(head.data, listed, self._account, now_ns)
        report = reader.order(head.data, listed, self._account, now_ns)
        if fill is not None:
            self._filled(fill)
        self._reported(report)

    def _reported(self, report: OrderReport) -> None:
        self._remember(report.client_order_id, report.instrument, report.venue_order_id)
        self._debts.reported(report.client_order_id, report.cum_qty)
        self.emit(report)

    def _filled(self, fill: Fill) -> None:
        if self._trades.is_new((fill.trade_id, fill.side)):
            self._debts.filled(fill.client_order_id, fill.qty)
            self.emit(fill)

    async def _watch_orders(self) -> None:
        while True:
            for row in await call(self._client, "watch_orders"):
                report = self._reader.report(row, Source.STREAM)
                self._reported(report)
                if report.cum_qty:
                    self._poll_now.set()

    async def _watch_trades(self) -> None:
        while True:
            for row in await call(self._client, "watch_my_trades"):
                self._filled(self._reader.fill(row, Source.STREAM))

    async def _watch_positions(self) -> None:
        while True:
            for row in await call(self._client, "watch_positions"):
                position = self._reader.position(row, Source.STREAM)
                if position is not None:
                    self.emit(position)

    async def _poll_trades(self) -> None:
        """Read the last trades where none are streamed: every two seconds, and at once after a fill was told of."""
        while True:
            now_ns = self._clock.now_ns()
            since_ms = (max(self._polled_ns, now_ns - NS_PER_S * 3600) - LOOK_BACK_NS) // NS_PER_MS
            for row in await call(self._client, "fetch_my_trades", None, since_ms):
                self._filled(self._reader.fill(row, Source.STREAM))
            self._polled_ns = now_ns
            self._poll_now.clear()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._poll_now.wait()
            except TimeoutError:
                continue

    # --- reads

    async def _prove_entry(self) -> None:
        """A signed read that succeeds proves keys and way; the venue gives no other proof but an order."""
        while self._stream.is_up and not self._entry_is_up and not self._fatal:
            try:
                await self._reader.live_markets()
            except (VenueError, DataError) as error:
                self._judge_entry(False, str(error))
                await asyncio.sleep(1.0)
            else:
                if self._stream.is_up:
                    self._judge_entry(True, "a signed read was answered")

    async def _query(self, client_order_id: ClientOrderId) -> None:
        try:
            instrument, venue_id = self._venue_ids.get(client_order_id, (None, None))
            wanted = [self._listed[instrument]] if instrument in self._listed else list(self._listed.values())
            report = await self._search(wanted, client_order_id, venue_id)
        except NoSuchOrder:
            self.emit(OrderNotFound(self._account, client_order_id, self._clock.now_ns()))
        except (VenueError, DataError) as error:
            _log.warning("query_failed", client_order_id=client_order_id, reason=str(error))
        else:
            self._remember(client_order_id, report.instrument, report.venue_order_id)
            self.emit(report)
        finally:
            self._asked.discard(client_order_id)

    async def _search(
        self, wanted: Sequence[Listed], client_order_id: ClientOrderId, venue_id: VenueOrderId | None
    ) -> OrderReport:
        """Ask on each market it may be on; an order of an earlier life may be on any that is listed."""
        for listed in wanted:
            if not self._limiter.try_take(READ):
                raise VenueUnavailable("no request budget")
            try:
                return await self._reader.order(listed, client_order_id, venue_id)
            except NoSuchOrder:
                continue
        raise NoSuchOrder("on no market")

    async def _read_snapshots(self) -> None:
        try:
            while self._snapshot_since_ns is not None:
                since_ns, self._snapshot_since_ns = self._snapshot_since_ns, None
                self._limiter.try_take(READ, 6.0)
                try:
                    snapshot: AccountSnapshot = await self._reader.snapshot(since_ns)
                except (VenueError, DataError) as error:
                    self.emit(SnapshotFailed(self._account, str(error), self._clock.now_ns()))
                    continue
                for report in snapshot.open_orders:
                    self._remember(report.client_order_id, report.instrument, report.venue_order_id)
                self.emit(snapshot)
                if self._clock.monotonic_ns() >= self._leverage_due_ns and self._limiter.try_take(READ):
                    self._leverage_due_ns = self._clock.monotonic_ns() + LEVERAGE_EVERY_NS
                    self.spawn(self._read_leverage())
        finally:
            self._snapshot_is_running = False

    async def _read_leverage(self) -> None:
        """Tell what the owner has set; without an answer people are told nothing, and nothing else depends on it."""
        try:
            told = await self._reader.leverage()
        except (VenueError, DataError) as error:
            _log.info("leverage_not_read", account=self._account, reason=str(error))
            return
        if told is not None:
            self.emit(LeverageTold(self._account, {"": told}, self._clock.now_ns()))

    # --- keeping watch

    async def _keep_ticking(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            overdue = self._debts.overdue()
            if overdue:
                self._debts.forget_all()
                self._stream.doubt(f"private streams are mute: {overdue}")
            if self._clock.monotonic_ns() >= self._budget_due_ns:
                self._tell_budget()

    def _refused(self, reason: str) -> None:
        """No further order is tried: one attempt, no storm. A restart, after a person acted, clears it."""
        if not self._fatal:
            self._fatal = reason
            _log.error("account_refused", account=self._account, reason=reason)
            self._judge_entry(False, reason)

    def _judge_entry(self, is_up: bool, reason: str) -> None:
        if is_up is not self._entry_is_up:
            self._entry_is_up = is_up
            self._tell(Channel.ORDER_ENTRY, is_up, reason)

    def _remember(self, name: ClientOrderId, instrument: InstrumentId, venue_id: VenueOrderId | None) -> None:
        known = self._venue_ids.get(name)
        self._venue_ids[name] = (instrument, venue_id or (known[1] if known is not None else None))
        self._venue_ids.move_to_end(name)
        if len(self._venue_ids) > REMEMBERED:
            self._venue_ids.popitem(last=False)

    def _tell(self, channel: Channel, up: bool, reason: str) -> None:
        log = _log.info if up else _log.warning
        log("channel_changed", account=self._account, channel=channel.value, up=up, reason=reason)
        self.emit(Connectivity(self._account, channel, up, reason, self._clock.now_ns()))

    def _tell_budget(self) -> None:
        """Tell what is left when it changed, once a second at most unless the venue has just asked for silence."""
        now_ns = self._clock.monotonic_ns()
        self._budget_due_ns = now_ns + int(BUDGET_EVERY_S * NS_PER_S)
        penalty_s = self._limiter.penalty_s()
        budget = (round(self._limiter.left(CREATE), 1), round(self._limiter.left(CANCEL), 1), penalty_s > 0)
        if budget != self._budget:
            self._budget = budget
            wall_ns = self._clock.now_ns()
            until_ns = wall_ns + int(penalty_s * NS_PER_S) if penalty_s else 0
            self.emit(RateBudget(self._account, budget[0], budget[1], until_ns, wall_ns))

    def _job_ended(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("gateway_job_died", account=self._account, reason=repr(error))
            self._stream.doubt(f"a request ended by a mistake of ours: {error!r}")

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A job that ends by itself is a fault of ours: without it nothing new may be risked."""
        if not task.cancelled():
            reason = f"{task.get_name()} ended: {task.exception()!r}"
            _log.error("gateway_task_died", account=self._account, reason=reason)
            self._refused(reason)


def _nowhere(_: Event) -> None:
    """Before the start, and after the end, there is nobody to tell."""
