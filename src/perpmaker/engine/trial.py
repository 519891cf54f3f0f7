"""`perpmaker doctor CONFIG --test-order`: one order placed, seen, cancelled and verified gone on each account that trades.

It is a short life of the engine itself, with its journal, locks, kill latch, gate and reconciliation, but with one trial
order in place of each account's strategies. So whatever goes wrong on the way, the engine's own machinery finds out what
became of the order and cancels it, and a later start knows of it; behind that stand the venue's dead-man timer and the
expiration of the order's signature.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from perpmaker import config as configuration
from perpmaker import logs
from perpmaker.clock import Clock
from perpmaker.control.home import make_home
from perpmaker.engine.assembly import Plan
from perpmaker.engine.commands import arming_words
from perpmaker.engine.core import AccountSpec, EngineSpec, StrategySpec
from perpmaker.engine.failpoints import Failpoints
from perpmaker.engine.folders import engine_folder, journal_folder
from perpmaker.engine.locks import Holder, held, lock_folder
from perpmaker.engine.pairing import all_legs
from perpmaker.engine.parts import Parts, Surroundings
from perpmaker.engine.records import Closed
from perpmaker.engine.trial_order import TrialOrder
from perpmaker.engine.trial_steps import Ear, OneAccount, Step, trial_name
from perpmaker.engine.venue_io import load_libraries
from perpmaker.errors import ConfigError, OutcomeUnknown, PerpmakerError
from perpmaker.model.events import Operator
from perpmaker.model.ids import HOME_EXCHANGE, AccountId, InstrumentId
from perpmaker.model.order import OrderState
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.api import Strategy
from perpmaker.venues.api import OrderGateway
from perpmaker.venues.ccxt.quirks import quirks_of
from perpmaker.venues.grvt.answers import Reply, as_error
from perpmaker.venues.grvt.gateway import GrvtGateway
from perpmaker.venues.grvt.routes import OPEN_ORDERS, OfSubAccount

LEAVE_S: Final = 130.0
"""How long the end waits for proof that nothing is left: longer than any order's signature lives."""
NOTHING_PLACED_S: Final = 3.0
ARMED_NS: Final = 300 * NS_PER_S
READ_S: Final = 15.0
"""How long an account may take to be read as a whole."""
LOOK_BACK_NS: Final = 3600 * NS_PER_S
_BEAT_S: Final = 0.1
_LATE_S: Final = 5.0


class Interrupted(PerpmakerError):
    """A person interrupted the trial; what had been placed is cancelled all the same."""

    exit_code = 130


class TrialPlan(Plan, frozen=True, kw_only=True):
    """An engine's plan with a trial order in place of each account's strategies, and nothing that flattens a position."""

    trials: dict[AccountId, TrialOrder]

    def spec(self, epoch: int, numbers: Mapping[str, int]) -> EngineSpec:
        spec = super().spec(epoch, {row.name: number for number, row in enumerate(self.config.strategy, 1)})
        strategies = tuple(
            StrategySpec(trial_name(account), trial.kind, 0, account, trial.params.instrument, _giver(trial))
            for account, trial in self.trials.items()
        )
        return msgspec.structs.replace(spec, accounts=tuple(map(_calm, spec.accounts)), strategies=strategies)


def trial_plan(plan: Plan) -> TrialPlan:
    """Return the plan of a trial: on each account the first instrument of its strategies, else the first it names.

    An account whose venue has no post-only orders has no trial: nothing there may rest with certainty.
    """
    first: dict[AccountId, InstrumentId] = {}
    for row in plan.config.strategy:
        for leg in all_legs(row):
            first.setdefault(leg.account, leg.instrument)
    for name in plan.keys:
        for instrument in plan.config.account[name].instruments[:1]:
            first.setdefault(name, InstrumentId(instrument))
    first = {name: first[name] for name in plan.keys if name in first and name not in without_post_only(plan)}
    collar_bps = plan.config.risk.price_collar_bps
    trials = {account: TrialOrder(instrument, collar_bps) for account, instrument in first.items()}
    return TrialPlan(**{name: getattr(plan, name) for name in Plan.__struct_fields__}, trials=trials)


def without_post_only(plan: Plan) -> list[AccountId]:
    """Return the accounts on which no order can be told to rest or not to be."""
    other = [name for name in plan.keys if plan.venue_of(name) != HOME_EXCHANGE]
    return [name for name in other if not quirks_of(plan.venue_of(name)).post_only]


def confirmation(plan: Plan) -> str:
    """Return the words a person has to type first, "" where the environment trades without being armed."""
    spec = plan.spec(0, {row.name: number for number, row in enumerate(plan.config.strategy, 1)})
    return arming_words(spec.name, [who.sub_account_id for who in plan.keys.values()]) if spec.needs_arming else ""


class Trial:
    """One run of it. `run` reports every step as it is done and raises the first thing that went wrong, if any did."""

    def __init__(self, plan: Plan, home: Path, clock: Clock, report: Callable[[Step], None], *, confirmed: str) -> None:
        wanted = confirmation(plan)
        if wanted and " ".join(confirmed.split()).lower() != wanted.lower():
            raise ConfigError(f"a test order on {plan.config.env} is a live order: type exactly: {wanted}")
        load_libraries(plan)
        self._plan = trial_plan(plan)
        self._home = home
        self._folder = engine_folder(home, plan.config.name, plan.config.env)
        self._clock = clock
        self._report = report
        self._log = logs.get("engine.trial").bind(engine=plan.config.name, env=plan.config.env)
        self._interrupted = False
        self._fatal: BaseException | None = None

    def interrupt(self) -> None:
        """Go no further: cancel what was placed, verify, end."""
        self._interrupted = True

    async def run(self, *, handle_signals: bool = False) -> None:
        """Hold the engine's locks, and try every account. Raises ConfigError naming an engine that holds one of them."""
        loop = asyncio.get_running_loop()
        if handle_signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._on_signal)
        make_home(self._home)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as until_end:
            keys = self._plan.lock_keys(journal_folder(self._folder))
            until_end.enter_context(held(lock_folder(configuration.runtime_folder()), keys, self._holder()))
            parts = Parts(self._surroundings(), loop)
            beat = loop.create_task(self._beat(parts))
            try:
                await self._live(parts)
            finally:
                beat.cancel()
                parts.pump.stop()
                await parts.venue.stop()
                parts.close()
                await loop.run_in_executor(None, parts.store.close)

    # --- a life

    async def _live(self, parts: Parts) -> None:
        ear = Ear(parts.pump.take, self._clock, self._why_stop)
        problem: PerpmakerError | None = None
        parts.pump.begin()
        if parts.halt:
            parts.operate("halt", {"reason": parts.halt})
        if not parts.engine.world.gate.armed:
            until_ns = self._clock.now_ns() + ARMED_NS
            parts.operate("arm", {"until_ns": str(until_ns), "config": self._plan.config_hash}, "doctor")
        await parts.venue.start(ear.take)
        try:
            for account, trial in self._plan.trials.items():
                reader = OpenOrdersReader(self._plan, parts, self._clock, ear)
                await OneAccount(parts, ear, account, trial, self._clock, self._report, reader.read).run()
        except PerpmakerError as error:
            problem = error
        await self._leave(parts)
        if problem is not None:
            raise problem

    async def _leave(self, parts: Parts) -> None:
        """Cancel what is ours and wait until each account was read twice without it; OutcomeUnknown when not proven."""
        loop = asyncio.get_running_loop()
        began, told = loop.time(), False
        placed = {account: trial for account, trial in self._plan.trials.items() if _has_left(parts, account, trial)}
        parts.pump.take(Operator("", "stop", None, {"reason": "trial over"}, "doctor", self._clock.now_ns()))
        while not parts.engine.verified_empty and self._fatal is None:
            late_s = loop.time() - began
            if late_s > (LEAVE_S if placed or parts.may_have_orders() else NOTHING_PLACED_S):
                break
            if late_s > _LATE_S and placed and not told:
                told = True
                sys.stderr.write("perpmaker: not yet proven that the order is gone; cancelling and asking on\n")
            await asyncio.sleep(0.02)
        verified = parts.engine.verified_empty and self._fatal is None
        parts.pump.write(Closed(verified, "trial order", self._clock.now_ns()))
        if not placed:
            return
        took_ms = (loop.time() - began) * 1e3
        for account in placed:
            text = "the account was read twice, a second apart: no order of ours is open"
            if not verified:
                text = "not proven: " + (parts.what_is_open() or "the account could not be read")
            self._report(Step(account, "nothing left", verified, text, took_ms if verified else None))
        if self._fatal is not None:
            raise PerpmakerError(f"{type(self._fatal).__name__}: {self._fatal}")
        if not verified:
            raise OutcomeUnknown(f"the trial order may be open until its signature expires; {parts.what_is_open()}")

    async def _beat(self, parts: Parts) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            parts.pump.beat()

    def _why_stop(self) -> PerpmakerError | None:
        if self._fatal is not None:
            return PerpmakerError(f"{type(self._fatal).__name__}: {self._fatal}")
        return Interrupted("interrupted") if self._interrupted else None

    def _fail(self, error: BaseException) -> None:
        self._fatal = self._fatal or error

    def _on_signal(self) -> None:
        if not self._interrupted:
            self.interrupt()
            sys.stderr.write("perpmaker: interrupted; cancelling and verifying. Again to leave at once.\n")
            return
        sys.stderr.write("perpmaker: left at once; an order may be open until the venue's dead-man timer fires\n")
        sys.stderr.flush()
        os._exit(Interrupted.exit_code)

    # --- descriptions

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            plan=self._plan,
            folder=self._folder,
            recent=logs.RecentLines(),
            clock=self._clock,
            failpoints=Failpoints(),
            log=self._log,
            on_fatal=self._fail,
        )

    def _holder(self) -> Holder:
        since = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Holder(f"{self._plan.config.name} (doctor)", os.getpid(), str(self._home), since)


class OpenOrdersReader:
    """Reads open orders and times the answer, on GRVT that alone and not the wait for our own request budget."""

    def __init__(self, plan: Plan, parts: Parts, clock: Clock, ear: Ear) -> None:
        self._plan = plan
        self._parts = parts
        self._clock = clock
        self._ear = ear

    async def read(self, account: AccountId) -> tuple[set[int], float]:
        """Return the client order ids of the account's open orders and how many ms the answer took; raises VenueError."""
        gateway = self._parts.venue.gateways[account]
        if isinstance(gateway, GrvtGateway):
            return await self._of_grvt(account, gateway)
        return await self._by_snapshot(account, gateway)

    async def _by_snapshot(self, account: AccountId, gateway: OrderGateway) -> tuple[set[int], float]:
        """Have the account read as a whole, which every adapter can."""
        asked_ns, began_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        gateway.request_snapshot(asked_ns - LOOK_BACK_NS)
        await self._ear.until(
            lambda: self._ear.read_since(account, asked_ns) is not None, READ_S, lambda: "the account was not read"
        )
        read = self._ear.read_since(account, asked_ns)
        numbers = set() if read is None else {int(report.client_order_id) for report in read.open_orders}
        return numbers, (self._clock.monotonic_ns() - began_ns) / NS_PER_MS

    async def _of_grvt(self, account: AccountId, gateway: GrvtGateway) -> tuple[set[int], float]:
        rest = gateway.rest
        body = rest.codec.encode(rest.codec.form(OfSubAccount)(sub_account_id=self._plan.keys[account].sub_account_id))
        await rest.budget(OPEN_ORDERS.cost)
        began_ns = self._clock.monotonic_ns()
        answer = await rest.ask(OPEN_ORDERS, body)
        ms = (self._clock.monotonic_ns() - began_ns) / NS_PER_MS
        if not isinstance(answer, Reply):
            raise as_error(answer, OPEN_ORDERS.path)
        orders = rest.codec.decode(answer.body, OPEN_ORDERS.reply).result
        return {int(order.metadata.client_order_id) for order in orders}, ms


def _has_left(parts: Parts, account: AccountId, trial: TrialOrder) -> bool:
    """Whether the trial order of an account may have reached the venue."""
    if trial.client_order_id is None:
        return False
    order = parts.engine.world.table.get(account, trial.client_order_id)
    return order is not None and order.state not in (OrderState.DENIED, OrderState.NOT_SENT)


def _calm(account: AccountSpec) -> AccountSpec:
    """Limits as they are, but nothing is flattened: a trial may not trade."""
    limits = msgspec.structs.replace(account.limits, flatten_on_loss=False, flatten_on_drawdown=False)
    return msgspec.structs.replace(account, limits=limits)


def _giver(trial: TrialOrder) -> Callable[[], Strategy[Any]]:
    return lambda: trial
