"""`perpmaker execute`: one large order worked by an algorithm, planned first, followed to its end."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from perpmaker.cli.algorithm_options import algorithm_options, read_algorithm
from perpmaker.errors import ConfigError
from perpmaker.model.quote import ALGORITHM_NAMES

if TYPE_CHECKING:
    from rich.console import Console

    from perpmaker.clock import Clock
    from perpmaker.config import Config
    from perpmaker.control.home import RunFile
    from perpmaker.control.messages import AccountRow, ExecutionRow, Status
    from perpmaker.engine.assembly import Plan
    from perpmaker.execution.algos.planning import ExecutionPlan
    from perpmaker.marketdata.book import OrderBook
    from perpmaker.model.ids import AccountId, InstrumentId
    from perpmaker.model.order import Side
    from perpmaker.model.quote import Algorithm

SHORTFALL: Final = 10
INTERRUPTED: Final = 130


class Wanted(msgspec.Struct, frozen=True):
    """What was asked for, read."""

    side: Side
    qty: Decimal
    algorithm: Algorithm
    algo: str
    parameters: dict[str, str]
    reduce_only: bool


class Engine(msgspec.Struct, frozen=True):
    """Who works the order: an engine that runs (`run_file`), or one of our own made of `plan`."""

    run_file: RunFile | None
    plan: Plan | None
    account: AccountId
    instrument: InstrumentId
    venue: str
    env: str
    exchange: RunFile | None
    config: Config | None
    home: Path = Path()
    """Where its journal is."""

    @property
    def name(self) -> str:
        """Who an order is handed over to, "" for an engine of our own."""
        if self.run_file is None:
            return ""
        return f"engine {self.run_file.extra.get('engine', '?')} (pid {self.run_file.pid})"


class Result(msgspec.Struct, frozen=True):
    """What --json prints."""

    plan: ExecutionPlan
    handed_over_to: str
    result: ExecutionRow | None
    interrupted: bool
    exit_code: int


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="[CONFIG]", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--side", type=click.Choice(["buy", "sell"]), required=True, help="Of the order.")
@click.option("--qty", metavar="QTY", required=True, help="How much, in base units.")
@click.option("--instrument", metavar="NAME", required=True, help="By the venue's own symbol.")
@click.option("--algo", metavar="NAME", default="sweep", help=f"{', '.join(ALGORITHM_NAMES)}.")
@click.option("--account", metavar="NAME", help="Account of the configuration; default the one that trades it.")
@click.option(
    "--adapt",
    is_flag=True,
    help="sweep: cap and child timeout by what earlier orders of this size needed; never a wider cap.",
)
@click.option("--reduce-only", is_flag=True, help="Never beyond a flat position.")
@click.option("--dry-run", is_flag=True, help="Show the plan and end; sends nothing, takes no lock.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation of the plan.")
@click.option("--confirm", metavar="TEXT", help="On prod: arm ENGINE SUB_ACCOUNT_ID, as for arm.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output: plan and result.")
@algorithm_options
@click.pass_obj
def command(
    home: Path,
    /,
    path: Path | None,
    side: str,
    qty: str,
    instrument: str,
    algo: str,
    account: str | None,
    adapt: bool,
    reduce_only: bool,
    dry_run: bool,
    yes: bool,
    confirm: str | None,
    as_json: bool,
    **options: str | None,
) -> None:
    """Work one large order by an algorithm: plan on the live book, confirmation, progress, summary.

    An engine that holds the account works it; the order is handed over to it. Otherwise CONFIG is needed, and an engine of
    its own starts, works the order, verifies that nothing is open, and ends. Without CONFIG the engine that runs in the
    home works it.

    Ctrl-C stops it: the order at work is cancelled, its fate awaited, and what was filled is told. Exit codes: 0 all of it
    was done; 10 less than all, with the numbers; 130 stopped by Ctrl-C; 6 refused.
    """
    from perpmaker import logs
    from perpmaker.cli.engine_link import Refused
    from perpmaker.cli.execution_plan import preview, show_plan, status_of, where_text
    from perpmaker.clock import WallClock
    from perpmaker.model.order import Side

    algorithm, parameters = read_algorithm(algo, options)
    wanted = Wanted(Side(side), read_qty(qty), algorithm, algo, parameters, reduce_only)
    engine = find_engine(home, path, instrument, account, dry_run=dry_run)
    logs.configure(level="ERROR")  # what happens is told as it happens
    clock = WallClock()
    book = asyncio.run(_look(engine, clock))
    learned: list[str] = []
    if adapt:
        from perpmaker.cli.execution_adapting import adapted

        given = {key: value for key, value in options.items() if value is not None}
        adapted_parameters, learned = adapted(engine, wanted, given, book)
        algorithm, parameters = read_algorithm(algo, {**options, **adapted_parameters})
        wanted = msgspec.structs.replace(wanted, algorithm=algorithm, parameters=parameters)
    status = status_of(engine)
    seen = preview(engine, wanted, book, status)
    console = _console(as_json)
    show_plan(console, seen, book, learned, where_text(engine, status))
    if dry_run and as_json:
        click.echo(_pretty({"plan": seen.plan, "limits": seen.limits, "notes": [*learned, *seen.notes]}))
    if seen.refused:
        raise Refused(f"nothing is sent: {seen.refused}")
    if dry_run:
        return
    arm = ask(engine, yes=yes, confirm=confirm)
    arguments = command_arguments(engine, wanted)
    row, interrupted, engine_code, verified = carry_out(home, engine, arguments, console, clock, arm)
    code = exit_code(row, interrupted=interrupted, engine_code=engine_code)
    if row is not None:
        from perpmaker.cli.execution_text import summary_text

        by = engine.name or own_engine_text(engine_code, verified=verified)
        console.print(summary_text(row, book.instrument, worked_by=by))
    else:
        click.echo("perpmaker: stopped before anything was sent", err=True)
    if as_json:
        click.echo(_pretty(Result(seen.plan, engine.name, row, interrupted, code)))
    raise SystemExit(code)


def read_qty(text: str) -> Decimal:
    """Return a quantity as typed; whether the venue takes it is seen on its book."""
    try:
        qty = Decimal(text)
    except InvalidOperation:
        raise ConfigError(f"--qty {text}: must be a number above 0, in base units") from None
    if not qty.is_finite() or qty <= 0:
        raise ConfigError(f"--qty {text}: must be a number above 0, in base units")
    return qty


def own_engine_text(engine_code: int, *, verified: bool) -> str:
    """Say who worked an order and what is known of orders that might be left."""
    if engine_code:
        return f"an engine of its own, which ended with code {engine_code}: what is open is not verified"
    if verified:
        return "an engine of its own, which verified that nothing is open"
    return "an engine of its own; every order of it has ended, but the venue did not answer to confirm it"


def exit_code(row: ExecutionRow | None, *, interrupted: bool, engine_code: int) -> int:
    """Return the exit code of an end: the engine's own trouble first, then done, interrupted, shortfall."""
    if engine_code:
        return engine_code
    if row is None:
        return INTERRUPTED
    if row.reason == "done":
        return 0
    return INTERRUPTED if interrupted and row.reason == "stopped" else SHORTFALL  # it may have ended before Ctrl-C


# who works it


def find_engine(home: Path, path: Path | None, instrument: str, account: str | None, *, dry_run: bool) -> Engine:
    """Return who works an order: with CONFIG who holds the account's lock, else one of our own; without, who runs here."""
    from perpmaker.control.home import running

    if path is None:
        return _running_engine(home, instrument, account)
    from perpmaker import config as configuration
    from perpmaker.cli.engine_link import refuse_single
    from perpmaker.cli.supervision import refuse_second
    from perpmaker.engine.locks import lock_folder
    from perpmaker.engine.oneshot import account_for, holder_of_account, oneshot_plan

    config = configuration.load(path)
    exchange = running(home, "exchange") if config.env == "local" else None
    name, instrument_id = account_for(config, instrument, account)
    venue = config.account[name].venue
    if dry_run:
        here = running(home, "engine")
        same = here if here is not None and here.extra.get("engine") == config.name else None
        return Engine(same, None, name, instrument_id, venue, config.env, exchange, config, home)
    dotenv = next((file for file in (home / ".env", Path(".env")) if file.is_file()), None)
    plan = oneshot_plan(config, name, instrument_id, exchange, dotenv)
    holder = holder_of_account(plan, name, lock_folder(configuration.runtime_folder()))
    run_file, at = None, home
    if holder is not None:
        at = Path(holder.home)
        run_file = running(at, "engine")
        if run_file is None or run_file.pid != holder.pid:
            raise ConfigError(
                f"account {name} is in use by {holder.engine!r} (pid {holder.pid}), which takes no orders; try again when "
                "that has ended"
            )
        refuse_single(run_file)
    else:
        refuse_second(home, "engine")
    return Engine(run_file, plan, name, instrument_id, venue, config.env, exchange, config, at)


def _running_engine(home: Path, instrument: str, account: str | None) -> Engine:
    from perpmaker.cli.engine_link import NothingRuns, client_of, refuse_single
    from perpmaker.control.home import running
    from perpmaker.model.ids import AccountId, InstrumentId

    run_file = running(home, "engine")
    if run_file is None:
        raise NothingRuns(f"no engine runs in {home}; name a CONFIG, and one is started for this order")
    refuse_single(run_file)
    env = run_file.extra.get("env", "")
    exchange = running(home, "exchange") if env == "local" else None
    row = account_of(client_of(run_file).status(), instrument, account)
    return Engine(
        run_file, None, AccountId(row.account), InstrumentId(instrument), row.venue, env, exchange, None, home
    )


def account_of(status: Status, instrument: str, wanted: str | None) -> AccountRow:
    """Return the running engine's account that executes on an instrument; ConfigError naming what is allowed.

    It is the one that is named, else the only one that trades the instrument, else the only one on its exchange.
    """
    from perpmaker.model.ids import HOME_EXCHANGE

    exchange = instrument.partition("@")[2] or HOME_EXCHANGE
    there = {row.account: row for row in status.accounts if row.exchange == exchange}
    if not status.accounts:
        raise ConfigError(f"the engine is of version {status.version} and does not tell its accounts; name a CONFIG")
    names = ", ".join(f"{row.account} on {row.exchange}" for row in status.accounts)
    if not there:
        raise ConfigError(f"--instrument {instrument}: the engine has no account on {exchange}; it has {names}")
    if wanted is not None:
        if wanted not in there:
            raise ConfigError(f"--account {wanted}: is not an account of the engine on {exchange}; it has {names}")
        return there[wanted]
    trading = [name for row in status.markets if row.instrument == instrument for name in row.accounts]
    possible = [there[name] for name in trading if name in there] or list(there.values())
    if len(possible) != 1:
        allowed = ", ".join(row.account for row in possible)
        raise ConfigError(f"--account: say which account trades {instrument}; allowed: {allowed}")
    return possible[0]


async def _look(engine: Engine, clock: Clock) -> OrderBook:
    from perpmaker.engine.booklook import Market, look

    return await look(Market(engine.venue, engine.env, engine.exchange), engine.instrument, clock)


# confirmation, arguments


def ask(engine: Engine, *, yes: bool, confirm: str | None) -> str:
    """Have a person confirm; returns the words that arm, "" where none are needed. Raises when it is not confirmed."""
    from perpmaker.engine.oneshot import confirmation

    words = confirmation(engine.plan) if engine.plan is not None and engine.run_file is None else ""
    if words:
        if confirm is None:
            if yes or not sys.stdin.isatty():
                raise ConfigError(f"--confirm: this is a live order on {engine.env}; give --confirm '{words}'")
            confirm = click.prompt(
                f"A live order on {engine.env}. Type '{words}'", default="", show_default=False, err=True
            )
        if " ".join(confirm.split()).lower() != words.lower():
            raise ConfigError(f"--confirm: this is a live order on {engine.env}; type exactly: {words}")
        return words
    if yes or confirm:
        return confirm or ""
    if not sys.stdin.isatty():
        raise ConfigError(
            "--yes: nobody can be asked for confirmation here; give --yes, or --dry-run for the plan alone"
        )
    whom = f" through {engine.name}" if engine.name else ""
    click.confirm(f"Send it{whom}?", abort=True, err=True)
    return ""


def command_arguments(engine: Engine, wanted: Wanted) -> dict[str, str]:
    """Return what the engine's command `execute` takes."""
    arguments = {
        "instrument": str(engine.instrument),
        "side": wanted.side.value,
        "qty": str(wanted.qty),
        "algo": wanted.algo,
        "account": engine.account,
        **wanted.parameters,
    }
    if wanted.reduce_only:
        arguments["reduce_only"] = "true"
    return arguments


# the work


def carry_out(
    home: Path, engine: Engine, arguments: dict[str, str], console: Console, clock: Clock, arm: str
) -> tuple[ExecutionRow | None, bool, int, bool]:
    """Have it worked; returns how it ended and whether Ctrl-C asked for that.

    Of an engine of our own also its exit code, and whether the venue showed that nothing is left open.
    """
    from perpmaker.cli.execution_drive import OwnEngine, hand_over
    from perpmaker.cli.execution_progress import Progress

    with Progress(console, arguments) as progress:
        if engine.run_file is not None:
            from perpmaker.control.client import AsyncControlClient

            client = AsyncControlClient.of(engine.run_file, engine.home)
            row, interrupted = asyncio.run(hand_over(client, arguments, clock, progress.tell, arm))
            return row, interrupted, 0, False
        if engine.plan is None:
            raise ConfigError("an engine of its own needs a CONFIG")
        from perpmaker import config as configuration
        from perpmaker.engine.failpoints import Failpoints
        from perpmaker.engine.live import LiveEngine, new_loop, settle_process
        from perpmaker.engine.oneshot import missing
        from perpmaker.logs import RecentLines

        account, instrument = engine.account, engine.instrument
        failpoints = Failpoints.planned(configuration.failpoint())
        live = LiveEngine(engine.plan, home, RecentLines(), clock, failpoints)
        own = OwnEngine(
            live, home, clock, progress.tell, lambda: missing(live, account, instrument, clock), progress.wait
        )
        settle_process()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            end, interrupted, engine_code = runner.run(own.work(arguments, arm))
        return end, interrupted, engine_code, live.verified_empty


def _console(as_json: bool) -> Console:
    from rich.console import Console

    return Console(stderr=as_json, highlight=False)


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
