"""GRVT as an OrderGateway: one sub account's order entry and private streams."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import ConfigError, DataError, RequestRejected, VenueError
from perpmaker.logs import get, register_secret
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    Channel,
    Connectivity,
    Event,
    FeesTold,
    Leverage,
    LeverageTold,
    OrderNotFound,
    OrderReport,
    RateBudget,
    SnapshotFailed,
    Source,
    SubmitUnknown,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, CancelOrder, NewOrder, TimeInForce
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.api import Capabilities, IntentLog, KillEpoch, NoTimings, Sink, Timings
from perpmaker.venues.grvt import numbers, parse
from perpmaker.venues.grvt.answers import Answer, Refusal
from perpmaker.venues.grvt.cancels import Cancels
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.codes import NOT_FOUND, OVERLAPPING, Outcome
from perpmaker.venues.grvt.creates import Creates
from perpmaker.venues.grvt.dead_man import DeadMan
from perpmaker.venues.grvt.entry import OrderEntry
from perpmaker.venues.grvt.environments import Environment
from perpmaker.venues.grvt.limits import rate_limiter
from perpmaker.venues.grvt.lite import Encoding
from perpmaker.venues.grvt.orders import Lives, OrderWriter
from perpmaker.venues.grvt.parse import FeeRates
from perpmaker.venues.grvt.private import PrivateStreams
from perpmaker.venues.grvt.rest import Rest
from perpmaker.venues.grvt.routes import (
    FUNDING_ACCOUNT,
    LEVERAGES,
    MAX_BULK,
    ORDER,
    Cost,
    Nothing,
    OnlySubAccount,
    OrderQuery,
)
from perpmaker.venues.grvt.session import Session, login_cap
from perpmaker.venues.grvt.signing import Signer
from perpmaker.venues.grvt.snapshot import read_snapshot
from perpmaker.venues.grvt.socket import GrvtSocket, connect_cap
from perpmaker.venues.secret import Secret
from perpmaker.venues.transport.rate_limit import RateLimiter

TICK_S: Final = 0.1
BUDGET_EVERY_S: Final = 1.0
TERMS_EVERY_NS: Final = 300 * NS_PER_S
"""How often the owner's leverage and the account's fees are read."""
REMEMBERED_ORDERS: Final = 2_000
QUERIES_AT_ONCE: Final = 8
CAPABILITIES: Final = Capabilities(
    bulk=True,
    post_only=True,
    reduce_only=True,
    rpi=True,
    fill_stream=True,
    cancel_by_client_id=True,
    cancel_ttl=True,
    dead_man=True,
    signature_expiry=True,
    max_bulk=MAX_BULK,
    triggers=True,
)
_IMMEDIATE: Final = (TimeInForce.IOC, TimeInForce.FOK)

_log = get("venues.grvt.gateway")


class GatewayAccount(msgspec.Struct, frozen=True):
    """Whose orders: the account's name here, its sub account at the venue, and the keys that log in and sign."""

    account: AccountId
    sub_account_id: str
    api_key: Secret
    private_key: Secret


class GatewayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to behave; every duration is bounded where the venue, or safety, bounds it."""

    dead_man_s: float = 25.0
    """Countdown of the venue's dead-man timer, 5 to 120; refreshed at a quarter of it."""
    lives: Lives = Lives()
    session_max_age_s: float | None = None
    rest_fallback: bool = True
    encoding: Encoding = Encoding.FULL


class Attempts(msgspec.Struct, frozen=True):
    """When a gateway logged in and connected lately (UTC ns), so that a restart does not start the caps anew."""

    logins: tuple[int, ...] = ()
    orders: tuple[int, ...] = ()
    private: tuple[int, ...] = ()


class GrvtGateway:
    """An OrderGateway. Commands return at once; each order ends in accepted, rejected, not sent or unknown.

    `instruments` is a live mapping (the feed's `listed`). `seed` makes jitter repeatable; `nonce_seed` has to differ
    between lives of the process, so that a signature nonce is not used twice (the boot epoch shifted left does).
    """

    def __init__(
        self,
        *,
        environment: Environment,
        who: GatewayAccount,
        instruments: Mapping[InstrumentId, Instrument],
        intents: IntentLog,
        kill: KillEpoch,
        http: aiohttp.ClientSession,
        clock: Clock,
        seed: int,
        nonce_seed: int,
        options: GatewayOptions | None = None,
        limiter: RateLimiter | None = None,
        timings: Timings | None = None,
        past: Attempts | None = None,
    ) -> None:
        options = options or GatewayOptions()
        past = past or Attempts()
        codec = Codec(options.encoding)
        register_secret(who.private_key.reveal())
        self._account = who.account
        self._sub_account_id = who.sub_account_id
        self._clock = clock
        self._sink: Sink = _nowhere
        self._limiter = limiter or rate_limiter(clock)
        self.session = Session(
            http, environment, who.api_key, clock, seed=seed, max_age_s=options.session_max_age_s,
            cap=login_cap(past.logins),
        )  # fmt: skip
        self.rest = Rest(http, environment, clock, self._limiter, session=self.session, encoding=options.encoding)
        self._entry_socket = GrvtSocket(
            name=f"{who.account}:orders", url=environment.ws_trades, owner=_EntryLink(self), codec=codec,
            clock=clock, seed=seed + 1, session=self.session, cap=connect_cap(past.orders),
        )  # fmt: skip
        self._private_socket = GrvtSocket(
            name=f"{who.account}:private", url=environment.ws_trades, owner=_PrivateLink(), codec=codec,
            clock=clock, seed=seed + 2, session=self.session, cap=connect_cap(past.private),
        )  # fmt: skip
        self._entry = OrderEntry(self._entry_socket, self.rest, rest_fallback=options.rest_fallback)
        self._private = PrivateStreams(self._private_socket, self, who.account, who.sub_account_id, clock)
        self._dead_man = DeadMan(
            countdown_s=options.dead_man_s, sub_account_id=who.sub_account_id, entry=self._entry, codec=codec,
            clock=clock, on_change=self._judge_entry, on_answer=lambda answer: self.answered(Cost.DEAD_MAN, answer),
        )  # fmt: skip
        self._cancels = Cancels(
            account=who.account, sub_account_id=who.sub_account_id, instruments=instruments, entry=self._entry,
            codec=codec, limiter=self._limiter, clock=clock, emit=self.emit, on_answer=self.answered,
        )  # fmt: skip
        writer = OrderWriter(
            signer=Signer(who.private_key, environment.chain_id), sub_account_id=who.sub_account_id,
            chain_id=environment.chain_id, codec=codec, clock=clock, nonce_seed=nonce_seed, lives=options.lives,
        )  # fmt: skip
        self._creates = Creates(
            account=who.account, sub_account_id=who.sub_account_id, instruments=instruments, owner=self,
            entry=self._entry, writer=writer, codec=codec, limiter=self._limiter, intents=intents, kill=kill,
            cancels=self._cancels, clock=clock, timings=timings or NoTimings(),
        )  # fmt: skip
        self._instrument_of: OrderedDict[ClientOrderId, InstrumentId] = OrderedDict()
        self._entry_is_up: bool | None = None
        self._fatal = ""
        self._link_reason = "connecting"
        self._tasks: list[asyncio.Task[None]] = []
        self._reads: set[asyncio.Task[None]] = set()
        self._asked: set[ClientOrderId] = set()
        self._snapshot_since_ns: int | None = None
        self._snapshot_is_running = False
        self._budget: tuple[float, float, bool] = (-1.0, -1.0, False)
        self._budget_due_ns = self._terms_due_ns = 0

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def start(self, sink: Sink) -> None:
        """Begin to connect, log in, arm the dead-man timer; returns at once. A venue that is down is waited for."""
        if self._tasks:
            raise ConfigError("the gateway has been started already")
        self._sink = sink
        loop = asyncio.get_running_loop()
        jobs = {"orders": self._entry_socket.run, "private": self._private_socket.run, "tick": self._keep_ticking}
        self._tasks = [loop.create_task(job(), name=f"grvt_gateway_{name}") for name, job in jobs.items()]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    async def stop(self) -> None:
        """Close every link. The dead-man timer is left armed: it stands behind whatever may still be open."""
        tasks, self._tasks = self._tasks, []
        for task in (*tasks, *self._reads):
            task.cancel()
        await asyncio.gather(*tasks, *self._reads, return_exceptions=True)
        await self._cancels.close()
        await self._entry.close()
        await self.session.close()

    def prepare(self, approved: Approved) -> None:
        """See `PreparingGateway`."""
        self._creates.prepare(approved)

    def forget(self, orders: Sequence[Approved]) -> None:
        """See `PreparingGateway`."""
        self._creates.forget(orders)

    def submit(self, orders: Sequence[Approved]) -> None:
        self._creates.submit(orders)

    def cancel(self, requests: Sequence[CancelOrder]) -> None:
        self._cancels.cancel(requests)

    def replace(self, request: ReplaceOrders) -> None:
        self._creates.replace(request)

    def cancel_all(self, instrument: InstrumentId | None) -> None:
        self._cancels.cancel_all(instrument)

    def query(self, client_order_ids: Sequence[ClientOrderId]) -> None:
        """Ask about single orders; one that is being asked about is not asked about twice at a time."""
        for client_order_id in client_order_ids:
            if client_order_id not in self._asked and len(self._asked) < QUERIES_AT_ONCE * 8:
                self._asked.add(client_order_id)
                self._read(self._query(client_order_id))

    def request_snapshot(self, fills_since_ns: int) -> None:
        """Answers with one AccountSnapshot, or SnapshotFailed. Asked while one is being read, another one follows it."""
        since_ns = self._snapshot_since_ns
        self._snapshot_since_ns = fills_since_ns if since_ns is None else min(since_ns, fills_since_ns)
        if not self._snapshot_is_running:
            self._snapshot_is_running = True
            self._read(self._read_snapshots())

    @property
    def attempts(self) -> Attempts:
        """What to hand to the next life as `past`."""
        return Attempts(self.session.cap.recent, self._entry_socket.cap.recent, self._private_socket.cap.recent)

    async def fee_rates(self) -> FeeRates:
        """Read what the account's tier costs; raises VenueError or DataError."""
        reply = await self.rest.call(FUNDING_ACCOUNT, self.rest.codec.form(Nothing)())
        return parse.fee_rates(reply.tier)

    def emit(self, event: Event) -> None:
        self._sink(event)

    def why_not(self, order: NewOrder) -> str:
        """See `CreatesOwner`. An immediate reducing order may leave before the dead-man timer is armed: it never rests,
        unless it waits for a price.
        """
        if self._fatal:
            return f"the venue takes no orders of this account: {self._fatal}"
        if self._entry_socket.is_congested:
            return "the venue does not read what we send"
        acts_at_once = order.tif in _IMMEDIATE and order.trigger is None
        protects = order.reduce_only and acts_at_once and self._entry_socket.is_open
        return "" if self._entry_is_up or protects else f"order entry is not up: {self._link_reason}"

    def written(self, order: NewOrder) -> None:
        """See `CreatesOwner`."""
        self._remember(order.client_order_id, order.instrument)
        self._private.debts.written(order.client_order_id)

    def accepted(self, report: OrderReport) -> None:
        """See `CreatesOwner`."""
        self._private.debts.acknowledged(report.client_order_id)
        self._private.report(report)

    def answered(self, cost: Cost, answer: Answer) -> None:
        """Act on what an answer means beyond the request it is about."""
        if not isinstance(answer, Refusal):
            return
        if answer.session_expired:
            if not answer.over_http:
                self._entry_socket.session_is_over()
        elif answer.outcome is Outcome.RATE_LIMIT:
            self.rest.note(cost, answer)
            self._tell_budget()
        elif answer.outcome is Outcome.FATAL and cost is Cost.CREATE:
            self.account_refused(f"{answer.code} {answer.text}")

    def instrument_of(self, client_order_id: ClientOrderId) -> InstrumentId | None:
        """See `PrivateOwner`."""
        return self._instrument_of.get(client_order_id)

    def ask_about(self, client_order_id: ClientOrderId, why: str) -> None:
        """See `PrivateOwner`."""
        _log.warning("order_asked_about", account=self._account, client_order_id=client_order_id, why=why)
        self.query([client_order_id])

    def account_refused(self, reason: str) -> None:
        """No further order is tried: one attempt, no storm. A restart of the gateway, after a person acted, clears it."""
        if not self._fatal:
            self._fatal = reason
            _log.error("account_refused", account=self._account, reason=reason)
            self._judge_entry()

    def private_changed(self, whole: bool, reason: str) -> None:
        """See `PrivateOwner`."""
        self._tell(Channel.PRIVATE, whole, reason)

    def entry_link_up(self) -> None:
        """The trading socket stands; unless orders go over HTTP already, it counts once the timer is armed over it."""
        self._link_reason = "arming the dead-man timer"
        self._dead_man.refresh()

    def entry_link_down(self, reason: str) -> None:
        """Orders may go on over HTTP once the dead-man timer has been refreshed that way: that proves the way."""
        self._link_reason = reason
        self._dead_man.distrust()
        self._judge_entry()

    def _judge_entry(self) -> None:
        is_up = self._dead_man.is_armed and not self._fatal
        if is_up == self._entry_is_up:
            return
        self._entry_is_up = is_up
        way = "over the trading socket" if self._entry_socket.is_open else "over HTTP"
        if not is_up and not self._fatal and self._entry_socket.is_open:
            self._link_reason = "the dead-man timer is not armed"
        self._tell(Channel.ORDER_ENTRY, is_up, way if is_up else (self._fatal or self._link_reason))

    async def _keep_ticking(self) -> None:
        """Ten times a second: refresh what has to be, and look for what should have come."""
        while True:
            await asyncio.sleep(TICK_S)
            self.session.maintain()
            self._dead_man.tick()
            self._judge_entry()
            self._private.tick()
            if self._clock.monotonic_ns() >= self._budget_due_ns:
                self._tell_budget()

    async def _query(self, client_order_id: ClientOrderId) -> None:
        form = self.rest.codec.form(OrderQuery)
        try:
            reply = await self._entry.read(
                ORDER, form(sub_account_id=self._sub_account_id, client_order_id=str(client_order_id))
            )
            report = parse.order_report(reply.result, self._account, Source.QUERY, self._clock.now_ns())
        except RequestRejected as error:
            if error.code == NOT_FOUND:
                self.emit(OrderNotFound(self._account, client_order_id, self._clock.now_ns()))
            else:
                _log.warning("query_refused", client_order_id=client_order_id, reason=str(error))
        except (VenueError, DataError) as error:
            _log.warning("query_failed", client_order_id=client_order_id, reason=str(error))
        else:
            self._query_answered(client_order_id, report)
        finally:
            self._asked.discard(client_order_id)

    def _query_answered(self, client_order_id: ClientOrderId, report: OrderReport) -> None:
        if report.client_order_id != client_order_id:
            _log.warning("query_answered_about_another", client_order_id=client_order_id)
        elif report.reason == OVERLAPPING:
            now_ns = self._clock.now_ns()
            self.emit(SubmitUnknown(self._account, client_order_id, report.reason, now_ns))
        else:
            self._remember(client_order_id, report.instrument)
            self.emit(report)

    async def _read_snapshots(self) -> None:
        try:
            while self._snapshot_since_ns is not None:
                since_ns, self._snapshot_since_ns = self._snapshot_since_ns, None
                try:
                    snapshot = await read_snapshot(
                        self.rest, self._account, self._sub_account_id, since_ns, self._clock
                    )
                except (VenueError, DataError) as error:
                    self.emit(SnapshotFailed(self._account, str(error), self._clock.now_ns()))
                else:
                    for report in snapshot.open_orders:
                        self._remember(report.client_order_id, report.instrument)
                    self.emit(snapshot)
                    if self._clock.monotonic_ns() >= self._terms_due_ns:
                        self._terms_due_ns = self._clock.monotonic_ns() + TERMS_EVERY_NS
                        self._read(self._read_fees())
                        self._read(self._read_leverages())
        finally:
            self._snapshot_is_running = False

    async def _read_leverages(self) -> None:
        """Tell what the owner has set; without an answer people are told nothing, and nothing else depends on it."""
        request = self.rest.codec.form(OnlySubAccount)(sub_account_id=self._sub_account_id)
        try:
            rows = (await self.rest.call(LEVERAGES, request)).results
            told = {
                row.instrument: Leverage(numbers.decimal(row.leverage, "leverage"), row.margin_type) for row in rows
            }
        except (VenueError, DataError) as error:
            _log.info("leverage_not_read", account=self._account, reason=str(error))
        else:
            self.emit(LeverageTold(self._account, told, self._clock.now_ns()))

    async def _read_fees(self) -> None:
        """Tell what the account's tier costs; without an answer own fills will show it."""
        try:
            rates = await self.fee_rates()
        except (VenueError, DataError) as error:
            _log.info("fees_not_read", account=self._account, reason=str(error))
        else:
            self.emit(FeesTold(self._account, rates.maker, rates.taker, self._clock.now_ns()))

    def _read(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._reads.add(task)
        task.add_done_callback(self._reads.discard)

    def _remember(self, client_order_id: ClientOrderId, instrument: InstrumentId) -> None:
        self._instrument_of[client_order_id] = instrument
        self._instrument_of.move_to_end(client_order_id)
        if len(self._instrument_of) > REMEMBERED_ORDERS:
            self._instrument_of.popitem(last=False)

    def _tell(self, channel: Channel, up: bool, reason: str) -> None:
        log = _log.info if up else _log.warning
        log("channel_changed", account=self._account, channel=channel.value, up=up, reason=reason)
        self.emit(Connectivity(self._account, channel, up, reason, self._clock.now_ns()))

    def _tell_budget(self) -> None:
        """Tell what is left when it changed, once a second at most unless the venue has just asked for silence."""
        now_ns = self._clock.monotonic_ns()
        self._budget_due_ns = now_ns + int(BUDGET_EVERY_S * NS_PER_S)
        penalty_s = self._limiter.penalty_s()
        orders_left = round(self._limiter.left(Cost.CREATE.value), 1)
        cancels_left = round(self._limiter.left(Cost.CANCEL.value), 1)
        budget = (orders_left, cancels_left, penalty_s > 0)
        if budget != self._budget:
            self._budget = budget
            wall_ns = self._clock.now_ns()
            until_ns = wall_ns + int(penalty_s * NS_PER_S) if penalty_s else 0
            self.emit(RateBudget(self._account, orders_left, cancels_left, until_ns, wall_ns))

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A job that ends by itself is a fault of ours: without it nothing new may be risked."""
        if not task.cancelled():
            reason = f"{task.get_name()} ended: {task.exception()!r}"
            _log.error("gateway_task_died", account=self._account, reason=reason)
            self.account_refused(reason)


class _EntryLink:
    """The trading socket's owner."""

    def __init__(self, gateway: GrvtGateway) -> None:
        self._gateway = gateway

    def on_link_up(self) -> None:
        self._gateway.entry_link_up()

    def on_link_down(self, reason: str) -> None:
        self._gateway.entry_link_down(reason)


class _PrivateLink:
    """The private socket's owner: its streams tell all there is to tell."""

    def on_link_up(self) -> None: ...
    def on_link_down(self, reason: str) -> None: ...


def _nowhere(_: Event) -> None:
    """Before the start there is nobody to tell."""
