"""`perpmaker pairs`: the monitor over all pairs of the running engine, and what they can be told."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from perpmaker.cli.engine_link import carry_out, connect

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from perpmaker.control.messages import CommandKind

SETTINGS = {"help_option_names": ["-h", "--help"]}


def complete_pair(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of the pairs that run."""
    import os

    from click.shell_completion import CompletionItem

    from perpmaker.control.home import find_home
    from perpmaker.errors import PerpmakerError

    try:
        home = find_home(ctx.find_root().params.get("home_option"), dict(os.environ), Path.cwd())
        rows = connect(home).status().pairs
    except PerpmakerError:
        return []
    return [CompletionItem(row.name, help=row.status) for row in rows if row.name.startswith(incomplete)]


NAME = click.argument("name", metavar="[PAIR]", required=False, shell_complete=complete_pair)


@click.group(invoke_without_command=True, context_settings=SETTINGS)
@click.option("--watch", is_flag=True, help="Again each second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
@click.pass_context
def command(ctx: click.Context, watch: bool, as_json: bool) -> None:
    """Show all pairs: both positions, net delta, Flat, Hedged, Unbalanced or Same side. With a command, steer them."""
    if ctx.invoked_subcommand is not None:
        return
    client = connect(ctx.obj)
    if as_json:
        rows = client.status().pairs
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    from rich.console import Console
    from rich.live import Live

    from perpmaker.cli.pair_text import monitor

    console = Console(highlight=False)
    if not watch:
        rows = client.status().pairs
        console.print(monitor(rows) if rows else "no pair; `perpmaker pair` starts one")
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(monitor(client.status().pairs), refresh=True)
            time.sleep(1.0)


def _tell(home: Path, kind: CommandKind, name: str | None, **arguments: str) -> None:
    carry_out(home, kind, {**({"strategy": name} if name else {}), **arguments})


@command.command(context_settings=SETTINGS)
@NAME
@click.pass_obj
def pause(home: Path, name: str | None) -> None:
    """Place nothing new; what is open is hedged. Of all pairs, or of one."""
    _tell(home, "pair_pause", name)


@command.command(context_settings=SETTINGS)
@NAME
@click.pass_obj
def resume(home: Path, name: str | None) -> None:
    """Go on after a pause, a failure or a halt."""
    _tell(home, "pair_resume", name)


@command.command(context_settings=SETTINGS)
@NAME
@click.pass_obj
def stop(home: Path, name: str | None) -> None:
    """End: place nothing new, hedge what is open; positions stay."""
    _tell(home, "pair_stop", name)


@command.command(context_settings=SETTINGS)
@NAME
@click.pass_obj
def close(home: Path, name: str | None) -> None:
    """Lead the pair's positions to nothing, clip by clip and hedged all the way; then it ends."""
    _tell(home, "pair_close", name)


@command.command(context_settings=SETTINGS)
@click.argument("name", metavar="PAIR", shell_complete=complete_pair)
@click.argument("answer", type=click.Choice(["continue", "stop"]))
@click.pass_obj
def answer(home: Path, name: str, answer: str) -> None:
    """Answer what a pair asks after a fill that it did not expect, or a hedge that failed."""
    _tell(home, "pair_answer", name, answer=answer)
