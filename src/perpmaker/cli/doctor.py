"""`perpmaker doctor`: would this configuration trade? Reads only, unless `--test-order` asks for one order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from perpmaker.cli.doctor_checks import Check
from perpmaker.clock import WallClock
from perpmaker.errors import ConfigError, PerpmakerError

if TYPE_CHECKING:
    from perpmaker.config import AccountSection, Config

FAILED: Final = 1
"""Exit code when a check failed that raised nothing, as that of the clock."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
@click.option(
    "--test-order", is_flag=True, help="Place, see, cancel and verify one order on every account that trades."
)
@click.option(
    "--confirm", metavar="TEXT", help="The confirmation of --test-order on prod: arm ENGINE SUB_ACCOUNT_ID, as for arm."
)
@click.pass_obj
def command(home: Path, path: Path, as_json: bool, test_order: bool, confirm: str | None) -> None:
    """Check credentials, clock, instruments, fees, balance, positions and open orders of every account in CONFIG.

    Each account on its own venue: GRVT by its routes, every other one through the adapter that would trade on it.

    Sends nothing but reads, unless --test-order is given: then, when all else is well, the smallest post-only order far
    from the market passes the risk gate, is placed, seen in the private stream and in the open orders, cancelled, and
    verified gone, each step with its time. It is refused while an engine holds the account. Whatever happens on the way,
    Ctrl-C included, the order is cancelled and its end verified. The exit code is that of the worst finding.
    """
    from perpmaker import config as configuration
    from perpmaker import logs
    from perpmaker.cli.config import load_whole

    load_whole(path)
    config = configuration.load(path)
    if config.mode == "paper":
        raise ConfigError('mode = "paper" has no account to check: its orders are simulated beside the public market')
    logs.configure(level="ERROR")  # what is found is told in the table
    findings: list[Check] = []
    worst: PerpmakerError | None = None
    for name, account in config.account.items():
        try:
            asyncio.run(examine(home, config, name, account, findings))
        except PerpmakerError as error:
            findings.append(Check(name, "stopped", "failed", str(error)))
            worst = error
    if test_order and worst is None and all(row.state != "failed" for row in findings):
        try:
            place_test_order(home, config, confirm, findings)
        except PerpmakerError as error:
            findings.append(Check("", "test order", "failed", str(error)))
            worst = error
    findings = [msgspec.structs.replace(row, text=logs.redacted(row.text)) for row in findings]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    else:
        show(findings)
    if worst is not None:
        raise SystemExit(worst.exit_code)
    if any(row.state == "failed" for row in findings):
        raise SystemExit(FAILED)


async def examine(home: Path, config: Config, name: str, account: AccountSection, findings: list[Check]) -> None:
    """Add what is found about one account; raise what makes going on pointless."""
    from perpmaker.model.ids import HOME_EXCHANGE

    if account.venue == HOME_EXCHANGE:
        from perpmaker.cli import doctor_grvt

        await doctor_grvt.examine(home, config, name, account, findings)
    else:
        from perpmaker.cli import doctor_adapter

        await doctor_adapter.examine(home, config, name, account, findings, WallClock())


def place_test_order(home: Path, config: Config, confirm: str | None, findings: list[Check]) -> None:
    """Add the steps of a trial order; raise what went wrong, when its order has been seen to."""
    from perpmaker.control.home import running
    from perpmaker.engine.assembly import make_plan
    from perpmaker.engine.trial import Trial, confirmation, without_post_only
    from perpmaker.engine.trial_steps import Step

    dotenv = next((path for path in (home / ".env", Path(".env")) if path.is_file()), None)
    plan = make_plan(config, running(home, "exchange") if config.env == "local" else None, dotenv)
    wanted = confirmation(plan)
    if wanted and confirm is None:
        click.echo(f"This places a live order on {config.env}, far from the market, and cancels it.", err=True)
        confirm = click.prompt(f"Type '{wanted}'", default="", show_default=False, err=True)

    for name in without_post_only(plan):
        text = "no order can be told to rest or not to be on this venue: none is placed"
        findings.append(Check(name, "test order", "warning", text))

    def report(step: Step) -> None:
        state = "ok" if step.ok else "failed"
        findings.append(Check(step.account, f"test order: {step.name}", state, step.text, step.ms))

    trial = Trial(plan, home, WallClock(), report, confirmed=confirm or "")
    asyncio.run(trial.run(handle_signals=True))


def show(findings: list[Check]) -> None:
    """Print the findings as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False)
    for column in ("account", "check", "state", "ms"):
        table.add_column(column, justify="right" if column == "ms" else "left")
    table.add_column("finding", overflow="fold")
    colours = {"ok": "green", "warning": "yellow", "failed": "red"}
    for row in findings:
        state = f"[{colours[row.state]}]{row.state}[/]"
        table.add_row(row.account, row.name, state, "" if row.ms is None else f"{row.ms:.1f}", Text(row.text))
    Console().print(table)
