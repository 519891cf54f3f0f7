"""The practice exchange as a process: options in, one ready line out, and everything in between wired together."""

from __future__ import annotations

import asyncio
import gc
import itertools
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import structlog
from aiohttp import web

from perpmaker.clock import Clock, WallClock
from perpmaker.errors import ConfigError
from perpmaker.exchange.accounts import Credentials, new_credentials
from perpmaker.exchange.backpack.market import INSTRUMENTS, RATE
from perpmaker.exchange.clockwork import Clockwork, Hub
from perpmaker.exchange.control import Controlled, ControlPort, MarketEnd
from perpmaker.exchange.core.fees import SEEN_LIVE, TIERS
from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS, Instrument
from perpmaker.exchange.core.instruments_file import parse_instruments
from perpmaker.exchange.core.market.basis import Together
from perpmaker.exchange.core.market.parameters import LEAST_ACTIVITY, MOST_ACTIVITY
from perpmaker.exchange.core.market.simulator import SimulatedMarket
from perpmaker.exchange.core.pieces import Pieces
from perpmaker.exchange.core.replay import TapeMarket
from perpmaker.exchange.core.types import Event, InstrumentModeChanged
from perpmaker.exchange.core.venue import MarketSource, Venue
from perpmaker.exchange.faults import BACKPACK, GRVT, VENUES, Faults
from perpmaker.exchange.grvt.creations import Builder
from perpmaker.exchange.grvt.face import FaceOptions, GrvtFace
from perpmaker.exchange.grvt.signatures import GRVT_CHAINS
from perpmaker.exchange.second import SecondVenue
from perpmaker.exchange.state import AtVenue, BuilderAuthorized, Memory, StateFolder, new_instance_id
from perpmaker.exchange.tapes import Taped, open_tapes, play_together
from perpmaker.model.units import NS_PER_S

if sys.platform != "win32":
    import uvloop

HOST: Final = "127.0.0.1"
DEPOSIT: Final = Decimal(100_000)
_PORTS: Final = 3
"""Trading, market data, control."""
_PORTS_TRIED: Final = 50
_SYNC_EVERY_S: Final = 1.0
_SAVE_AFTER_BYTES: Final = 32 << 20
"""A log longer than this is folded into a new document."""

logger = structlog.get_logger(__name__)


class ExchangeOptions(msgspec.Struct, frozen=True):
    """How an exchange is set up; the members are the options of `perpmaker exchange`."""

    venues: tuple[str, ...] = (GRVT,)
    """Which venues are served: GRVT, and Backpack beside it."""
    port: int = 8420
    """0: any free one. The socket for market data and the control port take the next free ones."""
    next_free: bool = False
    """When `port` is taken use the next free one instead of failing."""
    market: Literal["simulated", "tape"] = "simulated"
    tapes: tuple[Path, ...] = ()
    """What GRVT plays: tapes, folders of them, or raw captures of Binance."""
    backpack_tapes: tuple[Path, ...] = ()
    """What Backpack plays beside it, at the same moment of the recording."""
    seed: int = 1
    activity: float = 1.0
    """How busy and how deep the simulated market is, from 0.1 to 2."""
    instruments: Path | None = None
    accounts: int = 2
    owners: int | None = None
    """How many owners share the accounts; None: every account has its own."""
    fee_tier: int | None = None
    """Row of the venue's fee table; None: the fees last seen live."""
    chain_id: int | None = None
    """Accept signatures for this chain alone; None: for any of the venue's."""
    state: Path | None = None
    session_life_s: float = 86_400.0
    """How long a login cookie is good."""
    history_s: int = 0
    """How long the simulated market has traded already when a new exchange opens: candles, trades, statistics."""


Ready = Callable[[dict[str, Any]], None]


def run(options: ExchangeOptions, ready: Ready | None = None) -> None:
    """Serve until SIGTERM or SIGINT; tell `ready`, then print the ready line on stdout."""

    def print_line(line: dict[str, Any]) -> None:
        if ready is not None:
            ready(line)
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(options, print_line, stop)

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(until_signalled())


async def serve(options: ExchangeOptions, ready: Ready, stop: asyncio.Event, clock: Clock | None = None) -> None:
    """Serve until `stop` is set; `ready` is told once, where and with which accounts."""
    exchange = Exchange(options, clock or WallClock())
    try:
        await exchange.start()
        gc.collect()
        gc.freeze()  # what is there now stays: later collections need not look at it again
        ready(exchange.ready_line())
        logger.info("exchange_started", port=exchange.ports[0], market=options.market, instance=exchange.instance_id)
        await exchange.watch(stop)
    finally:
        await exchange.stop()
    logger.info("exchange_stopped")


class Exchange:
    """Venue, market, faces, control port, state: made, started, stopped."""

    def __init__(self, options: ExchangeOptions, clock: Clock) -> None:
        _check(options)
        self._folder = None if options.state is None else StateFolder(options.state)
        memory = None if self._folder is None else self._folder.load()
        self._taped = {GRVT: open_tapes(options.tapes, GRVT)} if options.tapes else {}
        if options.backpack_tapes:
            self._taped[BACKPACK] = open_tapes(options.backpack_tapes, BACKPACK)
        self.instance_id = new_instance_id() if memory is None else memory.instance_id
        self.credentials = _credentials(options, memory)
        history_ns = options.history_s * NS_PER_S if memory is None and options.market == "simulated" else 0
        listed = _instruments(options, self._taped.get(GRVT, ()))
        self.venue = _venue(options, clock.now_ns() - history_ns, memory, self.credentials, listed)
        self._dormant = {} if memory is None else dict(memory.venues)
        self.second = self._second(options, clock.now_ns() - history_ns)
        self._tape_markets: list[TapeMarket] = []
        source = self._source(options)
        venues = [self.venue] if self.second is None else [self.venue, self.second.venue]
        _live_through(venues, source, clock.now_ns())
        for venue in venues:
            venue.take_events()  # of opening, restoring, living through: they are in the document that is saved below
        rule_numbers = itertools.count(1)
        self.faults = Faults(rule_numbers)
        self._session_life_ns = int(options.session_life_s * NS_PER_S)
        self.clockwork = Clockwork(clock, self._record)
        self.face = GrvtFace(
            self.venue,
            self.credentials,
            self.faults,
            FaceOptions(chain_id=options.chain_id, session_life_ns=self._session_life_ns),
            self.clockwork.advance,
            self.clockwork.settle,
            self._on_builder,
        )
        self._builders = list(memory.builders) if memory is not None else []
        for row in self._builders:
            self.face.trading.add_builder(row.main_account, row.builder)
        self._save()
        self._controlled = {GRVT: Controlled(self.venue, self.faults, self.face)}
        hubs: dict[str, tuple[Venue, Hub]] = {GRVT: (self.venue, self.face.hub)}
        if self.second is not None:
            faults = Faults(rule_numbers)
            self.second.open_face(faults, self.clockwork.advance, self.clockwork.settle)
            self._controlled[BACKPACK] = Controlled(self.second.venue, faults, self.second.face)
            hubs[BACKPACK] = (self.second.venue, self.second.face.hub)
        self.clockwork.connect(source, hubs)
        self.ports: tuple[int, ...] = ()
        self._options = options
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the ports and set the clockwork going."""
        control = ControlPort(
            self._controlled, self.instance_id, self.clockwork.advance, self.clockwork.settle, self._ended
        )
        count = _PORTS if self.second is None else _PORTS + 1
        sockets = _bind(self._options.port, count, next_free=self._options.next_free)
        self.ports = tuple(handle.getsockname()[1] for handle in sockets)
        trading, market, controlling, *others = sockets
        if self.second is not None:
            await self._listen(self.second.face.application(), others)
        face = self.face.application()
        await self._listen(face, [trading, market])
        await self._listen(control.application(), [controlling])
        self._tasks = [asyncio.create_task(self.clockwork.run()), asyncio.create_task(self._keep_state())]

    def ready_line(self) -> dict[str, Any]:
        """Where everything is, and who may trade: the one line other programs start from; docs name its members."""
        trading, market, control, *others = (f"{HOST}:{port}" for port in self.ports)
        line: dict[str, Any] = {
            "edge": f"http://{trading}",
            "trades": f"http://{trading}",
            "market_data": f"http://{market}",
            "ws_trades": f"ws://{trading}",
            "ws_market_data": f"ws://{market}",
            "control": f"http://{control}",
            "accounts": [msgspec.to_builtins(row) for row in self.credentials],
            "instance_id": self.instance_id,
        }
        if self.second is not None:
            line[BACKPACK] = self.second.ready_part(*others)
        return line

    async def watch(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set; raise what breaks the clockwork before."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            task.result()

    async def stop(self) -> None:
        """Stop listening, then save; safe after a start that failed half way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for controlled in self._controlled.values():
            await controlled.face.close_sockets("all", abort=False)
        for runner in self._runners:
            await runner.cleanup()
        if self._folder is not None:
            self.clockwork.advance()
            self._save()
            self._folder.close()

    async def _listen(self, app: web.Application, sockets: Sequence[socket.socket]) -> None:
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        self._runners.append(runner)
        await runner.setup()
        for handle in sockets:
            await web.SockSite(runner, handle).start()

    # state

    def _second(self, options: ExchangeOptions, now_ns: int) -> SecondVenue | None:
        """The second venue, when it is asked for; else what is known of it stays asleep in the state."""
        if BACKPACK not in options.venues:
            return None
        kept = self._dormant.pop(BACKPACK, None)
        taped = self._taped.get(BACKPACK)
        instruments = INSTRUMENTS if taped is None else (*(one.instrument for one in taped), RATE)
        return SecondVenue(
            now_ns=now_ns, accounts=options.accounts, owners=options.owners, kept=kept, instruments=instruments
        )

    def _source(self, options: ExchangeOptions) -> MarketSource:
        """What moves the venues: the simulated market, or tapes that begin together."""
        if options.market != "tape":
            return _simulated(options, self.venue, self.second)
        markets = self._tape_markets
        markets += [taped.market(self.venue) for taped in self._taped[GRVT]]
        if self.second is None:
            play_together(markets)
            return markets[0] if len(markets) == 1 else Together(markets)
        markets += [taped.market(self.second.venue) for taped in self._taped[BACKPACK]]
        play_together(markets)
        return Together([*markets, self.second.rate(seed=options.seed)])

    def _record(self, venue: str, events: Iterable[Event]) -> None:
        if self._folder is not None:
            self._folder.append(events if venue == GRVT else (AtVenue(venue, event) for event in events))
        for event in events:
            if isinstance(event, InstrumentModeChanged):
                why = {name: end.reason for name, end in self._ended().items() if name == event.instrument}
                fields = {"reason": why[event.instrument]} if why else {}
                logger.warning("market_mode_changed", instrument=event.instrument, mode=event.mode.name, **fields)

    def _ended(self) -> dict[str, MarketEnd]:
        """Which markets stand still for good, and why."""
        return {
            market.instrument.name: MarketEnd(market.end.reason, str(market.end.ts_ns))
            for market in self._tape_markets
            if market.end is not None
        }

    def _on_builder(self, main_account: str, builder: Builder) -> None:
        authorized = BuilderAuthorized(main_account, builder)
        self._builders.append(authorized)
        if self._folder is not None:
            self._folder.append([authorized])

    def _save(self) -> None:
        if self._folder is not None:
            self._folder.save(
                instance_id=self.instance_id,
                credentials=self.credentials,
                builders=self._builders,
                venue=self.venue.state_pieces(),
                venues=self._other_documents(),
            )

    def _other_documents(self) -> dict[str, Pieces]:
        """Of the venues beside the first, also of those that are not served now."""
        documents: dict[str, Pieces] = {name: (msgspec.json.encode(row),) for name, row in self._dormant.items()}
        if self.second is not None:
            documents[BACKPACK] = self.second.document()
        return documents

    async def _keep_state(self) -> None:
        """Bring the log to the disk every second, and fold a long one into the document."""
        if self._folder is None:
            await asyncio.Event().wait()
            return
        while True:
            await asyncio.sleep(_SYNC_EVERY_S)
            await asyncio.to_thread(self._folder.sync)
            if self._folder.log_bytes > _SAVE_AFTER_BYTES:
                self.clockwork.advance()
                self._save()


def _check(options: ExchangeOptions) -> None:
    if options.market == "tape" and not options.tapes:
        raise ConfigError("--market tape needs at least one --tape PATH")
    if (options.tapes or options.backpack_tapes) and options.market != "tape":
        raise ConfigError("--tape is read with --market tape only")
    if not LEAST_ACTIVITY <= options.activity <= MOST_ACTIVITY:
        raise ConfigError(f"--activity {options.activity:g}: {LEAST_ACTIVITY:g} to {MOST_ACTIVITY:g}")
    if options.activity != 1.0 and options.market == "tape":
        raise ConfigError("--activity is of the simulated market; a tape is as busy as it was")
    if options.chain_id is not None and options.chain_id not in GRVT_CHAINS:
        raise ConfigError(f"--chain-id {options.chain_id}: one of {', '.join(map(str, sorted(GRVT_CHAINS)))}")
    if options.fee_tier is not None and not 1 <= options.fee_tier < len(TIERS):
        raise ConfigError(f"--fee-tier {options.fee_tier}: 1 to {len(TIERS) - 1}")
    if GRVT not in options.venues or not set(options.venues) <= set(VENUES):
        raise ConfigError(f"--venues {','.join(options.venues)}: {GRVT}, or {','.join(VENUES)}")
    if options.market == "tape" and (BACKPACK in options.venues) is not bool(options.backpack_tapes):
        raise ConfigError("--backpack-tape and --venues grvt,backpack go together: each venue plays a tape of its own")
    if BACKPACK in options.venues and options.instruments is not None:
        raise ConfigError("--venues: backpack follows the listed instruments; with --instruments there is only grvt")
    if options.accounts < 1:
        raise ConfigError(f"--accounts {options.accounts}: at least 1")
    if options.owners is not None and options.owners < 1:
        raise ConfigError(f"--owners {options.owners}: at least 1")


def _instruments(options: ExchangeOptions, taped: Sequence[Taped]) -> tuple[Instrument, ...]:
    if options.instruments is not None:
        form = options.instruments.suffix.removeprefix(".").lower()
        try:
            return parse_instruments(options.instruments.read_text(), form=form)
        except OSError as error:
            raise ConfigError(f"--instruments {options.instruments}: {error.strerror}") from error
    if options.market == "tape":  # nothing would move the others
        return tuple(one.instrument for one in taped)
    return DEFAULT_INSTRUMENTS


def _credentials(options: ExchangeOptions, memory: Memory | None) -> tuple[Credentials, ...]:
    """Those of the last life, and new ones up to the wanted number."""
    known = () if memory is None else memory.credentials
    missing = range(len(known), options.accounts)
    return (*known, *(new_credentials(number, owners=options.owners) for number in missing))


def _venue(
    options: ExchangeOptions,
    now_ns: int,
    memory: Memory | None,
    credentials: Iterable[Credentials],
    instruments: Sequence[Instrument],
) -> Venue:
    fees = SEEN_LIVE if options.fee_tier is None else TIERS[options.fee_tier]
    state, events = (b"", ()) if memory is None else (memory.venue, memory.events)
    venue = Venue.restore(state, instruments, now_ns=now_ns, fees=fees, events=events)
    known = venue.sub_accounts()
    for row in credentials:
        sub_account_id = int(row.sub_account_id)
        if sub_account_id not in known:
            venue.open_account(
                owner=row.owner, main_account=row.main_account, sub_account_id=sub_account_id, deposit=DEPOSIT
            )
        elif options.fee_tier is not None and venue.fee_tier(sub_account_id) != fees:
            venue.set_fee_tier(sub_account_id, fees)
    return venue


def _live_through(venues: Sequence[Venue], source: MarketSource, until_ns: int) -> None:
    """Let the market trade up to `until_ns` with nobody watching; nothing of it concerns an account."""
    now_ns = max(venue.now_ns for venue in venues)
    while now_ns + NS_PER_S <= until_ns:
        now_ns += NS_PER_S
        source.advance(now_ns)
        for venue in venues:
            venue.take_events()


def _simulated(options: ExchangeOptions, venue: Venue, second: SecondVenue | None) -> MarketSource:
    market = SimulatedMarket(venue, seed=options.seed, activity=options.activity)
    if second is None:
        return market
    return Together([market, second.market(venue, market, seed=options.seed, activity=options.activity)])


def _bind(port: int, count: int, *, next_free: bool) -> list[socket.socket]:
    """Open loopback ports: the wanted one (0: any), and behind it those of market data, control, the second venue."""
    first = _bind_one(port, tries=_PORTS_TRIED if next_free else 1)
    bound = [first]
    for _ in range(count - 1):
        follow = bound[-1].getsockname()[1] + 1 if port else 0
        bound.append(_bind_one(follow, tries=_PORTS_TRIED))
    return bound


def _bind_one(port: int, *, tries: int) -> socket.socket:
    for candidate in range(port, min(port + tries, 65_536)):
        handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            handle.bind((HOST, candidate))
        except OSError:
            handle.close()
            continue
        return handle
    raise ConfigError(
        f"--port {port}: taken" if tries == 1 else f"--port {port}: no free port up to {port + tries - 1}"
    )


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop where it exists: 5 us less per message."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
