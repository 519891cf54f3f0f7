"""`perpmaker report pair`: what the sessions of pairs came to, exact, from the journal."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from perpmaker.errors import PerpmakerError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--name", metavar="PAIR", help="Of one pair alone.")
@click.option("--session", metavar="ID", help="One session alone, by the beginning of its id.")
@click.option(
    "--last", metavar="N", type=click.IntRange(1), default=10, show_default=True, help="Newest sessions to show."
)
@click.option("--engine", "engine_name", metavar="NAME", help="Engine name, when the home holds several.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output; every amount exact.")
@click.pass_obj
def command(
    home: Path, /, name: str | None, session: str | None, last: int, engine_name: str | None, as_json: bool
) -> None:
    """Sum the sessions of pairs up: cycles, volume, gross, fees, funding, net, edge, cost, final positions, net delta.

    Each leg in its own currency, exact; sums in the lead's, by the rate the pair last knew. What is still held is valued at
    the last mark price written down.
    """
    from perpmaker.cli.export import chosen
    from perpmaker.engine.folders import journal_folder
    from perpmaker.research.pair_sessions import sessions_in

    engine = chosen(home, engine_name)
    found = [
        one
        for one in sessions_in(journal_folder(engine))
        if name in (None, one.strategy) and one.session.startswith(session or "")
    ]
    if not found:
        wanted = f" of {name}" if name else ""
        raise PerpmakerError(
            f"the journal of {engine.name} tells of no session{wanted} of a pair; `perpmaker pair` runs one"
        )
    shown = found[-last:]
    if as_json:
        whole = {"engine": engine.name, "sessions": shown}
        click.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
        return
    from rich.console import Console

    from perpmaker.cli.pair_text import session_text

    console = Console(highlight=False)
    for one in shown:
        console.print(session_text(one))
    if len(shown) < len(found):
        console.print(f"{len(found) - len(shown)} earlier sessions; --last {len(found)} shows them", style="dim")
