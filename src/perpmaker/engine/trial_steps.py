"""The steps of a trial on one account, and how it hears what became of the order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from perpmaker.clock import Clock
from perpmaker.engine.parts import Parts
from perpmaker.engine.trial_order import CANCEL, PLACE, TrialOrder
from perpmaker.errors import OutcomeUnknown, PerpmakerError, VenueUnavailable
from perpmaker.model.events import (
    AccountSnapshot,
    CancelReceived,
    CancelSent,
    Event,
    Fill,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    Source,
    SubmitRejected,
    Timer,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.model.order import OrderState
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.risk.gate import ReadyState

READY_S: Final = 30.0
"""How long to wait for links, book and a reconciled account."""
ANSWER_S: Final = 5.0
"""How long each step waits for the venue's word; after that the order is cancelled and its fate found out."""


class Step(msgspec.Struct, frozen=True):
    """One step of a trial, done or failed. `ms` is how long the venue took for it."""

    account: AccountId
    name: str
    ok: bool
    text: str
    ms: float | None = None


class TrialRefused(PerpmakerError):
    """The risk gate refused the trial order."""

    exit_code = 6


ReadOpenOrders = Callable[[AccountId], Awaitable[tuple[set[int], float]]]
"""Asks the venue for an account's open orders: their client order ids, and how many ms the answer took."""


def trial_name(account: AccountId) -> StrategyId:
    """Name the trial order's strategy of an account."""
    return StrategyId(f"trial-{account}")


class OneAccount:
    """The steps on one account; each reports itself, and raises when the next one has no sense."""

    def __init__(
        self,
        parts: Parts,
        ear: Ear,
        account: AccountId,
        trial: TrialOrder,
        clock: Clock,
        report: Callable[[Step], None],
        read_open_orders: ReadOpenOrders,
    ) -> None:
        self._parts = parts
        self._ear = ear
        self._account = account
        self._trial = trial
        self._clock = clock
        self._say = report
        self._read_open_orders = read_open_orders

    async def run(self) -> None:
        await self._ready()
        await self._place()
        await self._see_in_open_orders()
        await self._cancel()
        await self._see_gone()

    async def _ready(self) -> None:
        """Wait until an order could pass: links up, book fresh, mark price known, account reconciled."""
        name = self._trial.params.instrument
        try:
            await self._ear.until(lambda: not self._missing(), READY_S, lambda: f"not ready: {self._missing()}")
        except VenueUnavailable as error:
            self._say(Step(self._account, "ready", False, str(error)))
            raise
        offered = self._parts.venue.gateways[self._account].capabilities
        behind = "dead-man timer armed" if offered.dead_man else "no dead-man timer behind it on this venue"
        self._say(Step(self._account, "ready", True, f"{name}: account reconciled, book fresh, {behind}"))

    def _missing(self) -> str:
        world, name = self._parts.engine.world, self._trial.params.instrument
        for channel in ("private", "order_entry"):
            if not world.links.get(f"{self._account} {channel}"):
                return f"the {channel} channel of {self._account} is down"
        state = world.reconcilers.ready_state(self._account, name)
        if state not in (ReadyState.READY, ReadyState.FROZEN):
            return f"{name} of {self._account} is {state.value}"
        stale = world.books.stale_reason(name, world.now_ns)
        if stale is not None:
            return f"the book of {name} is {stale.value}"
        prices = world.books.prices(name)
        return "" if prices is not None and prices.mark_px is not None else f"no mark price of {name}"

    async def _place(self) -> None:
        trial, account = self._trial, self._account
        began_ns = self._clock.monotonic_ns()
        self._command(PLACE)
        wanted, number = trial.wanted, trial.client_order_id
        if wanted is None or number is None:
            raise VenueUnavailable(f"the book of {trial.params.instrument} went stale")
        if trial.refusal:
            self._say(Step(account, "order", False, f"refused by the risk gate: {trial.refusal}"))
            raise TrialRefused(f"the risk gate refused the trial order: {trial.refusal}")
        self._ear.listen_to(number)
        self._ear.heard.setdefault("sent", began_ns)  # not every adapter tells when it writes
        base = self._parts.engine.world.instruments[InstrumentId(trial.params.instrument)].base
        order = (
            f"{wanted.side.value} {wanted.qty} {base} at {wanted.px}, {wanted.distance_bps:.0f} bps from the market, "
            f"post-only, client order id {number}"
        )
        await self._heard("ack", "order", f"{order}: accepted", since="sent", otherwise=f"{order}: no answer")
        await self._heard("open", "private stream", "seen open", since="sent", otherwise="not seen in the stream")

    async def _see_in_open_orders(self) -> None:
        shown, ms = await self._lists_it("open orders")
        if not shown:
            self._say(Step(self._account, "open orders", False, "the venue does not list it"))
            raise OutcomeUnknown("the trial order was acknowledged but is not among the open orders")
        self._say(Step(self._account, "open orders", True, "listed by the venue", ms))

    async def _cancel(self) -> None:
        self._command(CANCEL)
        await self._heard("receipt", "cancel", "received by the venue", since="cancel", otherwise="no receipt")
        text = "seen cancelled in the private stream"
        await self._heard("canceled", "cancelled", text, since="cancel", otherwise="its end was not seen in the stream")

    async def _see_gone(self) -> None:
        shown, ms = await self._lists_it("gone")
        view = self._trial.view
        if shown or view is None or view.state is not OrderState.CANCELED or view.cum_qty:
            state = "unknown" if view is None else view.state.value
            self._say(Step(self._account, "gone", False, f"still listed: {shown}; state {state}"))
            raise OutcomeUnknown("the trial order was cancelled but is not gone")
        self._say(Step(self._account, "gone", True, "not among the open orders any more, nothing was filled", ms))

    def _command(self, key: str) -> None:
        self._parts.pump.take(Timer(f"strategy {trial_name(self._account)} {key}", self._clock.now_ns()))

    async def _heard(self, what: str, name: str, text: str, *, since: str, otherwise: str) -> None:
        """Wait for something about the order and report how long after `since` it came."""
        ear = self._ear
        try:
            await ear.until(lambda: what in ear.heard or bool(ear.ended), ANSWER_S, lambda: otherwise)
        except VenueUnavailable as error:
            self._say(Step(self._account, name, False, str(error)))
            raise OutcomeUnknown(f"{otherwise} in {ANSWER_S:g} s") from None
        if what not in ear.heard:
            self._say(Step(self._account, name, False, ear.ended))
            raise PerpmakerError(f"the trial order: {ear.ended}")
        self._say(Step(self._account, name, True, text, ear.ms_between(since, what)))

    async def _lists_it(self, name: str) -> tuple[bool, float]:
        """Ask the venue for the open orders; return whether the order is among them, and how long the answer took."""
        try:
            numbers, ms = await self._read_open_orders(self._account)
        except PerpmakerError as error:
            self._say(Step(self._account, name, False, f"the open orders could not be read: {error}"))
            raise
        return self._trial.client_order_id in numbers, ms


class Ear:
    """Passes every event on to the engine, and notes what it says about the trial order, and when."""

    def __init__(
        self, sink: Callable[[Event], None], clock: Clock, why_stop: Callable[[], PerpmakerError | None]
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._why_stop = why_stop
        self._news = asyncio.Event()
        self._number = 0
        self._early: list[tuple[int, Event]] = []
        self._read: dict[AccountId, AccountSnapshot] = {}
        self.heard: dict[str, int] = {}
        """Monotonic ns of the first time: sent, ack, open, cancel, receipt, canceled."""
        self.ended = ""
        """How the order ended otherwise than by our cancel, "" while it has not."""

    def take(self, event: Event) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._number:
            self._note(now_ns, event)
        else:
            self._early = [row for row in self._early if now_ns - row[0] < NS_PER_S]
            self._early.append((now_ns, event))
        if isinstance(event, AccountSnapshot):
            self._read[event.account] = event
        self._sink(event)
        self._news.set()

    def read_since(self, account: AccountId, asked_ns: int) -> AccountSnapshot | None:
        """Return the last reading of an account that was begun no earlier, None while there is none."""
        read = self._read.get(account)
        return read if read is not None and read.ts_asked_ns >= asked_ns else None

    def listen_to(self, client_order_id: int) -> None:
        """Begin with another order; what came about it while it was being sent counts."""
        self._number, self.heard, self.ended = client_order_id, {}, ""
        for at_ns, event in self._early:
            self._note(at_ns, event)
        self._early.clear()

    async def until(self, condition: Callable[[], bool], within_s: float, otherwise: Callable[[], str]) -> None:
        """Return once it holds; raise VenueUnavailable with `otherwise` when it does not in time, or why to stop."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not condition():
            stop = self._why_stop()
            if stop is not None:
                raise stop
            if loop.time() > deadline:
                raise VenueUnavailable(otherwise())
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), 0.1)
            except TimeoutError:
                continue
        stop = self._why_stop()
        if stop is not None:
            raise stop

    def ms_between(self, since: str, what: str) -> float | None:
        if since not in self.heard:
            return None
        return max(0.0, (self.heard[what] - self.heard[since]) / NS_PER_MS)

    def _note(self, at_ns: int, event: Event) -> None:
        if getattr(event, "client_order_id", 0) != self._number:
            return
        what = _meaning(event)
        if what:
            self.heard.setdefault(what, at_ns)
        ended = _unwanted_end(event)
        if ended and not self.ended:
            self.ended = ended


def _meaning(event: Event) -> str:
    if isinstance(event, OrderPrepared):
        return "sent"
    if isinstance(event, CancelSent):
        return "cancel"
    if isinstance(event, CancelReceived):
        return "receipt"
    if isinstance(event, OrderReport):
        if event.source is Source.REPLY and event.status in (VenueStatus.PENDING, VenueStatus.OPEN):
            return "ack"
        if event.source is Source.STREAM and event.status is VenueStatus.OPEN:
            return "open"
        if event.source is Source.STREAM and event.status is VenueStatus.CANCELED:
            return "canceled"
    return ""


def _unwanted_end(event: Event) -> str:
    if isinstance(event, OrderNotSent):
        return f"not sent: {event.reason}"
    if isinstance(event, SubmitRejected):
        return f"rejected: {event.code} {event.text}"
    if isinstance(event, Fill):
        return f"filled: {event.qty} at {event.px}; the position stays open"
    if isinstance(event, OrderReport) and event.status in (VenueStatus.REJECTED, VenueStatus.EXPIRED):
        return f"{event.status.value}: {event.reason}"
    return ""
