"""`perpmaker report execution`: how well parent orders were executed, as tables, as JSON, as a picture."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from perpmaker.errors import PerpmakerError

if TYPE_CHECKING:
    from perpmaker.research.execution_report import ExecutionAnalysis

_TIMES: Final = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--from", "since", metavar="TIME", type=_TIMES, help="Orders begun at or after this, UTC.")
@click.option("--to", "until", metavar="TIME", type=_TIMES, help="Orders begun before this, UTC.")
@click.option("--instrument", metavar="NAME", help="One alone, by its name in the engine.")
@click.option("--engine", "engine_name", metavar="NAME", help="Engine name, when the home holds several.")
@click.option("--last", metavar="N", type=click.IntRange(0), default=10, show_default=True, help="Orders to list.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output, every order and child in it."
)
@click.option(
    "--svg",
    "picture",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw it too, as one file any browser shows.",
)
@click.pass_obj
def command(
    home: Path,
    /,
    since: datetime | None,
    until: datetime | None,
    instrument: str | None,
    engine_name: str | None,
    last: int,
    as_json: bool,
    picture: Path | None,
) -> None:
    """Tell how well parent orders were executed: children, partial fills, slippage by size against depth, venue, hour.

    Parent orders are those of execute, steps to strategies' targets, and closings. Slippage is signed, above 0 is worse,
    from the touch at arrival, in basis points of the mid; the half-spread stands apart. TIME is 2026-11-21 or
    2026-11-21T09:30.
    """
    from perpmaker.cli.export import chosen as chosen_engine
    from perpmaker.cli.export import progress
    from perpmaker.engine.folders import journal_folder
    from perpmaker.research.execution_orders import orders_in
    from perpmaker.research.execution_report import analysed, chosen

    engine = chosen_engine(home, engine_name)
    with progress("reading the journal") as read:
        orders = orders_in(journal_folder(engine), read)
    wanted = chosen(orders, from_ns=_utc_ns(since), to_ns=_utc_ns(until), instrument=instrument)
    if not wanted:
        raise PerpmakerError(_nothing(engine.name, orders_there=len(orders)))
    analysis = analysed(engine.name, wanted)
    if picture is not None:
        _draw(analysis, picture)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(analysis), indent=2).decode())
        return
    from rich.console import Console

    from perpmaker.cli.report_execution_text import report_text

    Console(highlight=False).print(report_text(analysis, last))
    if picture is not None:
        click.echo(f"drawn: {picture}")


def _utc_ns(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def _nothing(engine: str, *, orders_there: int) -> str:
    if orders_there:
        return (
            f"none of the {orders_there} parent orders in the journal of {engine} is within --from, --to, --instrument"
        )
    return f"the journal of {engine} tells of no parent order; `perpmaker execute` works one"


def _draw(analysis: ExecutionAnalysis, path: Path) -> None:
    from perpmaker.cli.csv_file import opened
    from perpmaker.research.execution_picture import drawn

    with opened(path, "--svg") as file:
        file.write(drawn(analysis))
