"""`perpmaker pair`: a hedged pair from the command line, planned first, followed to its end."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from perpmaker.cli.pair_options import MAKE, complete_instrument, complete_market, pair_options, read_words
from perpmaker.errors import ConfigError, DataError, PerpmakerError

if TYPE_CHECKING:
    from rich.console import Console

    from perpmaker.cli.execute import Engine
    from perpmaker.cli.pair_drive import Outcome, Start
    from perpmaker.clock import Clock
    from perpmaker.control.messages import PairRow
    from perpmaker.research.pair_sessions import PairSession
    from perpmaker.strategies.pair.planning import PairPlan

INCOMPLETE: Final = 10
INTERRUPTED: Final = 130


class Result(msgspec.Struct, frozen=True):
    """What --json prints. `session` is exact, from the journal; `pair` is the engine's last word."""

    plan: PairPlan | None
    handed_over_to: str
    pair: PairRow | None
    session: PairSession | None
    verdict: str
    interrupted: bool
    exit_code: int


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="[CONFIG]", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--market", metavar="BASE", shell_complete=complete_market,
    help="Base currency, such as ETH: the two instruments of it that are followed.",
)  # fmt: skip
@click.option(
    "--lead", metavar="NAME", shell_complete=complete_instrument,
    help="Where orders rest, by the venue's own symbol (with @EXCHANGE beyond GRVT).",
)  # fmt: skip
@click.option("--hedge", metavar="NAME", shell_complete=complete_instrument, help="Where fills are hedged.")
@click.option("--lead-account", metavar="NAME", help="Default: the one that trades the lead.")
@click.option("--hedge-account", metavar="NAME", help="Default: the one that trades the hedge.")
@click.option("--name", metavar="NAME", help="Of the pair; default made of the base currency.")
@pair_options
@click.option("--resume", is_flag=True, help="Go on with the pair of these legs that is not over, and follow it.")
@click.option("--detach", is_flag=True, help="Hand it over to the running engine and end.")
@click.option("--dry-run", is_flag=True, help="Show the plan and end; sends nothing, takes no lock.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation of the plan.")
@click.option("--confirm", metavar="TEXT", help="On prod: arm ENGINE SUB_ACCOUNT_ID..., as for arm.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output: plan and result.")
@click.pass_obj
def command(
    home: Path,
    /,
    path: Path | None,
    market: str | None,
    lead: str | None,
    hedge: str | None,
    lead_account: str | None,
    hedge_account: str | None,
    name: str | None,
    resume: bool,
    detach: bool,
    dry_run: bool,
    yes: bool,
    confirm: str | None,
    as_json: bool,
    **options: object,
) -> None:
    """Build, hold and close positions of opposite sign on two exchanges: plan, confirmation, progress, summary.

    An engine that holds both accounts runs it; the pair is handed over to it. Otherwise CONFIG is needed, and an engine of
    its own starts, runs the pair, verifies that no order is open, and ends. Without CONFIG the engine that runs in the home
    runs it.

    Ctrl-C stops it: nothing new is placed, what was filled is hedged, positions stay; it then says whether they are flat,
    hedged or left open. Exit codes: 0 everything asked for was done; 10 less; 130 stopped by Ctrl-C; 3 or 6 refused.
    """
    from perpmaker import logs
    from perpmaker.cli.execute import ask
    from perpmaker.cli.pair_drive import Start
    from perpmaker.cli.pair_venues import Asked, find_venues
    from perpmaker.clock import WallClock

    words = {} if resume else read_words(options)
    asked = Asked(market, lead, hedge, lead_account, hedge_account)
    venues = find_venues(home, path, asked, dry_run=dry_run)
    if detach and venues.engine.run_file is None:
        raise ConfigError(
            "--detach: no engine runs that could go on with it; leave it out, or start `perpmaker run` first"
        )
    logs.configure(level="ERROR")  # what happens is told as it happens
    clock, console = WallClock(), _console(as_json)
    planned: PairPlan | None = None
    if not resume:
        from perpmaker.cli.execution_plan import where_text
        from perpmaker.cli.pair_text import plan_text

        planned = venues.planned(words, clock)
        console.print(plan_text(planned, where_text(venues.engine, venues.status)))
    if dry_run:
        if as_json:
            click.echo(_pretty({"plan": planned}))
        return
    arm = ask(venues.engine, yes=yes or resume, confirm=confirm)
    start = Start({**words, **venues.arguments()}, name or "", resume, detach)
    outcome = carry_out(home, venues.engine, venues.legs_text, start, console, clock, arm)
    tell_end(venues.engine, planned, outcome, console, detach=detach, as_json=as_json)


def carry_out(home: Path, engine: Engine, legs: str, start: Start, console: Console, clock: Clock, arm: str) -> Outcome:
    """Have it run, by a running engine or one of our own."""
    from perpmaker.cli.pair_drive import STOPS, Outcome, PairJob, hand_over
    from perpmaker.cli.pair_progress import PairProgress

    with PairProgress(console, legs) as progress:
        job = PairJob(start, progress, own=engine.run_file is None)
        if engine.run_file is not None:
            return asyncio.run(hand_over(engine.run_file, engine.home, job, clock, arm))
        if engine.plan is None:
            raise ConfigError("an engine of its own needs a CONFIG")
        from perpmaker import config as configuration
        from perpmaker.cli.execution_drive import OwnEngine
        from perpmaker.engine.failpoints import Failpoints
        from perpmaker.engine.live import LiveEngine, new_loop, settle_process
        from perpmaker.engine.pairshot import missing_for, named_legs
        from perpmaker.logs import RecentLines

        live = LiveEngine(engine.plan, home, RecentLines(), clock, Failpoints.planned(configuration.failpoint()))
        both = named_legs(engine.plan.config)
        own = OwnEngine(live, home, clock, _untold, lambda: missing_for(live, both, clock), progress.wait)
        settle_process()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            row, interrupted, code = runner.run(own.lend(job.run, arm, meaning=STOPS))
        return Outcome(row, interrupted, live.folder, code, live.verified_empty)


def tell_end(
    engine: Engine,
    planned: PairPlan | None,
    outcome: Outcome,
    console: Console,
    *,
    detach: bool,
    as_json: bool,
) -> None:
    """Sum it up and end with the exit code."""
    from perpmaker.cli.execute import own_engine_text
    from perpmaker.cli.pair_text import row_text, session_text, verdict

    row = outcome.row
    if row is None:
        click.echo("perpmaker: stopped before anything was placed", err=True)
        raise SystemExit(outcome.engine_code or INTERRUPTED)
    if detach:
        console.print(f"{row.name} is run by {engine.name}; follow it with `perpmaker pairs` or on the dashboard")
        if as_json:
            click.echo(_pretty(Result(planned, engine.name, row, None, "", False, 0)))
        return
    session = _session(outcome.folder, row)
    said = verdict(row)
    by = engine.name or own_engine_text(outcome.engine_code, verified=outcome.verified)
    console.print(row_text(row) if session is None else session_text(session))
    console.print(said, soft_wrap=True)
    console.print(f"run by {by}", style="dim", soft_wrap=True)
    code = exit_code(row, interrupted=outcome.interrupted, engine_code=outcome.engine_code)
    if as_json:
        click.echo(_pretty(Result(planned, engine.name, row, session, said, outcome.interrupted, code)))
    raise SystemExit(code)


def exit_code(row: PairRow, *, interrupted: bool, engine_code: int) -> int:
    """Return the exit code of an end: the engine's own trouble, unhedged or unfinished, interrupted, done."""
    if engine_code:
        return engine_code
    is_even = row.status in ("Flat", "Hedged")
    if row.is_over and is_even and row.cycles >= row.asked and not (interrupted and row.mode == MAKE):
        return 0
    return INTERRUPTED if interrupted and is_even else INCOMPLETE


def _session(folder: Path | None, row: PairRow) -> PairSession | None:
    """Return the exact sums from the engine's journal; None where it cannot be read."""
    from perpmaker.engine.folders import journal_folder
    from perpmaker.research.pair_sessions import sessions_in

    if folder is None:
        return None
    try:
        found = [
            one for one in sessions_in(journal_folder(folder)) if (one.strategy, one.session) == (row.name, row.session)
        ]
    except (OSError, DataError, PerpmakerError) as error:
        click.echo(f"perpmaker: the journal could not be read for the summary: {error}", err=True)
        return None
    return found[-1] if found else None


def _untold(_: object) -> None:
    """A pair tells its progress by itself."""


def _console(as_json: bool) -> Console:
    from rich.console import Console

    return Console(stderr=as_json, highlight=False)


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
