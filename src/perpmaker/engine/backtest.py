"""A backtest: the one engine, a tape for its feed, simulated venues for its gateways, the tape's clock for its timers.

Event by event: every event of the feed goes through `Engine.process`, as it would live. Nothing waits and nothing is drawn
at random but from the seed, so a run repeats to the last bit, which its hash shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from perpmaker.config import Config
from perpmaker.engine.backtest_feed import Played, TapeFeed, plan_feed
from perpmaker.engine.backtest_ledger import Chronicle, Figures
from perpmaker.engine.backtest_models import (
    account_plans,
    latency_model,
    simulated_spec,
    traded_instruments,
    venue_settings,
    with_expiry,
)
from perpmaker.engine.backtest_tables import Table
from perpmaker.engine.core import Engine
from perpmaker.errors import ConfigError
from perpmaker.model.commands import (
    CancelAll,
    CancelOrders,
    Command,
    Notice,
    QueryOrders,
    ReplaceOrders,
    RequestSnapshot,
    SetTimer,
    SubmitOrders,
)
from perpmaker.model.events import Channel, Connectivity, Event, InstrumentListed, Operator
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.order import Approved, NewOrder
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import Chance, FillModel, SimulatedVenue, Timeline
from perpmaker.tape.reader import ALWAYS, Tape

BAND: Final = (FillModel.PESSIMISTIC, FillModel.QUEUE, FillModel.OPTIMISTIC)
"""What a result is stated as: one number would hide how much of it is the fill model."""
_TELL_EVERY: Final = 4_096
_EPOCH: Final = 1

Progress = Callable[[int, int], None]
"""(events so far, rows of the tape behind them); called now and then."""


class Setup(msgspec.Struct, frozen=True):
    """What is to be run."""

    config: Config
    seed: int = 1
    from_ns: int = 0
    to_ns: int = ALWAYS
    is_fast: bool = True
    """Let compiled code take what nothing listens to; the result is the same."""
    named: dict[str, str] = {}
    """Names on the tape -> names in the configuration, where they differ by more than currencies show."""
    started_ns: int = 0
    """When the engine starts, for a tape that is a session's market, whose times stand as they are. 0: with the tape."""
    opening: tuple[Event, ...] = ()
    """What the feeds told between that start and the tape's beginning."""


class RunResult(msgspec.Struct, frozen=True):
    """One run with one fill model: figures, everything that happened, and under what assumptions."""

    fill_model: FillModel
    figures: Figures
    digest: str
    """Over the integers of all tables."""
    models: dict[str, str]
    """What was assumed, by name: latency, queue, fees, funding, margin, mark ..."""
    tables: dict[str, Table]
    """fills, orders, equity, quotes, funding, notices; docs/explanation/simulation.md has their columns."""
    texts: Sequence[str]
    events: int
    """Of the feed, the venue and timers, as the engine took them."""

    @property
    def errors(self) -> tuple[str, ...]:
        """What the engine called an error, a strategy that raised above all; each once, in order."""
        level, name, text = (self.tables["notices"][column] for column in ("level", "name", "text"))
        rows = zip(level, name, text, strict=True)
        told = [f"{self.texts[name]}: {self.texts[text]}" for level, name, text in rows if self.texts[level] == "error"]
        return tuple(dict.fromkeys(told))


class Results(msgspec.Struct, frozen=True):
    """A whole backtest."""

    tape: str
    tape_fingerprint: str
    played: Played
    seed: int
    runs: tuple[RunResult, ...]

    def run(self, model: FillModel) -> RunResult | None:
        return next((run for run in self.runs if run.fill_model is model), None)


def backtest(
    setup: Setup,
    tape: Tape,
    models: Sequence[FillModel] = BAND,
    progress: Callable[[FillModel, int], Progress] = lambda model, rows: _silent,
) -> Results:
    """Run a configuration over a tape, once per fill model. Raises ConfigError for what a person must change.

    `progress` is asked for each run, with the rows there are in the time that is played.
    """
    feed_ms = setup.config.simulation.feed_ms
    feed_ns = None if feed_ms is None else int(feed_ms * NS_PER_MS)
    played = plan_feed(tape, traded_instruments(setup.config), setup.named, setup.from_ns, setup.to_ns, feed_ns)
    played = played.unshifted() if setup.started_ns else played
    runs = tuple(Run(setup, tape, played, model).play(progress(model, played.rows)) for model in models)
    return Results(tape.name, tape.fingerprint, played, setup.seed, runs)


class Run:
    """One pass over the tape. `chronicle` holds what happened so far."""

    def __init__(self, setup: Setup, tape: Tape, played: Played, model: FillModel) -> None:
        config = setup.config
        self._setup = setup
        self._played = played
        self._model = model
        self.engine = Engine(simulated_spec(config, epoch=_EPOCH))
        self.chronicle = Chronicle(self.engine, played.instruments)
        self._plans = account_plans(config, played.instruments)
        self._exchanges = list(dict.fromkeys(plan.exchange for plan in self._plans))
        self.venues = {
            name: self._venue(place, config.account[self._first_account(name)].quote_expiry_s)
            for place, name in enumerate(self._exchanges)
        }
        self._venue_of = {plan.account: self.venues[plan.exchange] for plan in self._plans}
        self.timeline = Timeline(self.venues, self._deliver, setup.started_ns or played.first_ns)
        self._feed = TapeFeed(tape, played, _bars(self.engine))
        self._events = 0
        self._sample_ns = 0

    def play(self, progress: Progress) -> RunResult:
        """Run to the tape's end and return what came of it."""
        self._begin()
        if self._setup.is_fast:
            self._play_fast(progress)
        else:
            self._play_each(progress)
        self.chronicle.sample(self.timeline.now_ns)
        self.engine.assert_identity()
        progress(self._events, self._feed.rows_done)
        return RunResult(
            fill_model=self._model,
            figures=self.chronicle.figures(self.venues.values()),
            digest=self.chronicle.digest(),
            models=self._described(),
            tables=self.chronicle.tables,
            texts=self.chronicle.texts.texts,
            events=self._events,
        )

    # --- the tape

    def _play_each(self, progress: Progress) -> None:
        for number, event in enumerate(self._feed.events(self._setup.from_ns, self._setup.to_ns)):
            self._hear(event)
            if not number % _TELL_EVERY:
                progress(self._events, self._feed.rows_done)

    def _play_fast(self, progress: Progress) -> None:
        """The same with compiled code for what nothing listens to."""
        from perpmaker.engine.backtest_fast import FastPlay

        setup, feed = self._setup, self._feed
        for event in feed.begin(setup.from_ns):
            self._hear(event)
        fast = FastPlay(self.engine, self.timeline, feed, self._played)
        for columns in feed.columns(setup.from_ns, setup.to_ns):
            skipped = fast.play(columns, self._hear, lambda: self._sample_ns)
            self._events += skipped
            progress(self._events, feed.rows_done)
        self.timeline.advance(self.timeline.now_ns)

    def _hear(self, event: Event) -> None:
        timeline = self.timeline
        timeline.feed(event)
        if timeline.now_ns >= self._sample_ns:
            self._sample_ns = timeline.now_ns - timeline.now_ns % NS_PER_S + NS_PER_S
            self.chronicle.sample(timeline.now_ns)

    # --- the life of the engine

    def _begin(self) -> None:
        """Start the engine, list what is traded, open the accounts, bring all links up: in the order of a paper session."""
        self._carry_out(self.engine.start(self.timeline.now_ns))
        for event in self._setup.opening:
            self.timeline.feed(event)
        now_ns = self._played.first_ns
        self.timeline.advance(now_ns)
        for rules in self._played.instruments.values():
            self.timeline.feed(InstrumentListed(rules, now_ns))
        for plan in self._plans:
            self.venues[plan.exchange].open_account(plan.account, plan.balance, plan.currency)
        linked = {event.name for event in self._setup.opening if isinstance(event, Connectivity) and event.up}
        for name in (name for name in self._exchanges if name not in linked):
            self.timeline.feed(Connectivity(name, Channel.MARKET_DATA, True, "the tape begins", now_ns))
        for plan in self._plans:
            for channel in (Channel.PRIVATE, Channel.ORDER_ENTRY):
                self.timeline.feed(Connectivity(plan.account, channel, True, "simulated", now_ns))

    def _deliver(self, event: Event) -> None:
        self._events += 1
        self.chronicle.heard(event)
        self._carry_out(self.engine.process(event))
        world = self.engine.world
        if world.seen_epoch >= world.epoch:  # narrow client order ids of this epoch run low
            seen, world.seen_epoch = world.seen_epoch, 0
            now_ns = self.timeline.now_ns
            self._deliver(Operator("", "epoch", None, {"epoch": str(seen + 1)}, "engine", now_ns))

    def _carry_out(self, commands: Sequence[Command]) -> None:
        now_ns = self.timeline.now_ns
        records = self.engine.take_records()
        if records:
            self.chronicle.recorded(records)
        for command in commands:
            match command:
                case SetTimer(key=key, at_ns=at_ns):
                    self.timeline.set_timer(key, at_ns)
                case SubmitOrders(account=account, orders=approved):
                    self._venue_of[account].submit(account, self._sent(account, approved, now_ns), now_ns)
                case ReplaceOrders(account=account, cancels=cancels, orders=approved):
                    orders = self._sent(account, approved, now_ns)
                    self._venue_of[account].replace(account, cancels, orders, now_ns)
                case CancelOrders(account=account, cancels=cancels):
                    self._venue_of[account].cancel(account, cancels, now_ns)
                case CancelAll(account=account, instrument=instrument):
                    self._venue_of[account].cancel_all(account, instrument, now_ns)
                case QueryOrders(account=account, client_order_ids=wanted):
                    self._venue_of[account].query(account, wanted, now_ns)
                case RequestSnapshot(account=account, fills_since_ns=since_ns):
                    self._venue_of[account].request_snapshot(account, since_ns, now_ns)
                case Notice():
                    self.chronicle.told(command)

    def _sent(self, account: AccountId, approved: Sequence[Approved], now_ns: int) -> list[NewOrder]:
        """Give orders their expiry, as a gateway does, and note them."""
        life_ns = self._venue_of[account].settings.resting_life_ns
        orders = [with_expiry(one.order, now_ns, life_ns) for one in approved]
        for order in orders:
            self.chronicle.sent(order, now_ns)
        return orders

    # --- making and describing

    def _venue(self, place: int, resting_s: int) -> SimulatedVenue:
        section = self._setup.config.simulation
        settings = venue_settings(section, resting_s=resting_s, exchange=self._exchanges[place])
        settings = msgspec.structs.replace(settings, fill_model=self._model)
        seed = self._setup.seed * 64 + place
        latency = latency_model(section, seed, self._played.latencies)
        return SimulatedVenue(settings, latency, Chance(seed))

    def _first_account(self, exchange: str) -> str:
        return next(plan.account for plan in self._plans if plan.exchange == exchange)

    def _described(self) -> dict[str, str]:
        section, played = self._setup.config.simulation, self._played
        venue = next(iter(self.venues.values()))
        queue = f"power law, n = {section.queue_exponent}" if section.queue_model == "power" else "risk averse"
        funded = any(market.funding_rate is not None for one in self.venues.values() for market in one.markets.values())
        rate = section.funding_rate_bps
        world = self.engine.world
        conversions = [
            f"{currency}/{world.reporting_currency} {found.rate} ({found.told_by})"
            if found is not None
            else f"{currency}/{world.reporting_currency} 1 (assumed)"
            for currency, found in world.rates().items()
        ]
        return {
            "fill model": self._model.value,
            "queue": queue if self._model is FillModel.QUEUE else "none",
            "latency": venue.latency.describe(),
            "taking orders wait": f"{section.speed_bump_ms} ms",
            "feed": _feed(played),
            "fees": f"maker {section.maker_fee_bps} bps, taker {section.taker_fee_bps} bps of notional",
            "funding": f"{rate} bps an interval" if rate is not None else "as the tape says" if funded else "none told",
            "margin": venue.settings.margin.describe(),
            "mark": "mid, once a second" if played.marks_from_mid else "as the tape says",
            "balance": f"{section.balance} per account",
            **({"market": "; ".join(played.not_linear)} if played.not_linear else {}),
            **({"own orders": played.own_orders} if played.own_orders else {}),
            **({"conversion": ", ".join(conversions)} if conversions else {}),
        }


def _bars(engine: Engine) -> Mapping[InstrumentId, Sequence[int]]:
    """Return the bar lengths that strategies want, by instrument."""
    wanted: dict[InstrumentId, list[int]] = {}
    for slot in engine.world.slots.values():
        for instrument, subscription in slot.subscriptions.items():
            lengths = wanted.setdefault(instrument, [])
            lengths += [bar_s for bar_s in subscription.bars_s if bar_s not in lengths]
    return wanted


def _silent(events: int, rows: int) -> None:
    """Tell nobody."""


def _feed(played: Played) -> str:
    if played.feed_ns is not None:
        return f"{played.feed_ns / 1e6:g} ms after the venue's time"
    return "as recorded" + (f", clock set by {played.shift_ns / 1e6:+.3f} ms" if played.shift_ns else "")


def only(models: Sequence[str]) -> tuple[FillModel, ...]:
    """Return fill models by name; ConfigError names those there are."""
    known = {model.value: model for model in FillModel}
    unknown = [name for name in models if name not in known]
    if unknown:
        raise ConfigError(f"--fill-model {unknown[0]}: is not one of {', '.join(known)}")
    return tuple(known[name] for name in models)
