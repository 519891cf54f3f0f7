"""`perpmaker export`: trades, PnL history or orders as CSV, from the store and, where that is behind, from the journal."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from perpmaker.errors import PerpmakerError

if TYPE_CHECKING:
    from decimal import Decimal

    from perpmaker.cli.csv_file import Cell
    from perpmaker.engine.store import StoreReader

    Steps = Callable[[int, int], None]
    Row = Sequence[Cell]

TRADES: Final = (
    "time",
    "instrument",
    "side",
    "effect",
    "order_px",
    "fill_px",
    "qty",
    "fee",
    "realized_pnl",
    "grid_profit",
    "position_after",
    "venue",
    "account",
    "strategy",
    "client_order_id",
    "trade_id",
    "fee_currency",
    "liquidity",
)
PNL: Final = (
    "time",
    "venue",
    "account",
    "equity",
    "pnl",
    "spread",
    "adverse",
    "inventory",
    "fees",
    "funding",
    "balance",
    "transfers",
    "positions",
    "marks",
)
ORDERS: Final = (
    "time",
    "ended",
    "instrument",
    "side",
    "px",
    "qty",
    "cum_qty",
    "avg_px",
    "state",
    "reason",
    "tif",
    "post_only",
    "reduce_only",
    "tag",
    "venue",
    "account",
    "strategy",
    "client_order_id",
    "venue_order_id",
)
_PROGRESS_EVERY: Final = 1_000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", type=click.Choice(["trades", "pnl", "orders"]))
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; default standard output."
)
@click.option("--engine", "engine_name", metavar="NAME", help="Engine name, when the home holds several.")
@click.pass_obj
def command(home: Path, what: str, output: Path | None, engine_name: str | None) -> None:
    """Write trade_history, pnl_history or orders as CSV. Works with and without a running engine.

    The file is there whole or not at all. Times are UTC, a fee above 0 is a cost, realized_pnl is the venue's (average
    entry), grid_profit ours (first-in first-out), both before fees.
    """
    from perpmaker.cli.csv_file import opened, write_table
    from perpmaker.engine.folders import journal_folder, store_path
    from perpmaker.engine.store import current

    engine = chosen(home, engine_name)
    header, rows_of, table = TABLES[what]
    try:
        with (
            opened(output) as file,
            progress("reading the journal") as read,
            current(store_path(engine), journal_folder(engine), read) as view,
            progress(f"writing {what}", hidden=output is None and sys.stdout.isatty()) as written,
        ):
            for warning in view.warnings:
                click.echo(f"perpmaker: warning: {warning}", err=True)
            write_table(file, header, counted(rows_of(view.reader), view.reader.count(table), written))
    except BrokenPipeError:  # whoever reads standard output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (sqlite3.Error, OSError) as error:
        kept = f"; {output} is as it was" if output is not None else ""
        raise PerpmakerError(f"the export failed: {error}{kept}") from error


def chosen(home: Path, name: str | None) -> Path:
    """Return the folder of the engine to export: the one that is there, or of several the one named."""
    from perpmaker.engine.folders import engine_folders

    folders = engine_folders(home)
    names = ", ".join(folder.name for folder in folders)
    if not folders:
        raise PerpmakerError(f"nothing is recorded in {home} yet; start an engine with `perpmaker up`")
    if name is None:
        if len(folders) > 1:
            raise click.UsageError(f"{home} holds several engines; say which by --engine: {names}")
        return folders[0]
    found = [folder for folder in folders if folder.name == name] or [
        folder for folder in folders if folder.name.rpartition("-")[0] == name
    ]
    if len(found) == 1:
        return found[0]
    problem = "ran in several environments" if found else "is not known"
    raise click.BadParameter(f"{name!r} {problem}; there are: {names}", param_hint="--engine")


def trades(reader: StoreReader) -> Iterator[Row]:
    from perpmaker.cli.csv_file import utc

    for fill in reader.every_fill():
        yield (
            utc(fill.ts_event_ns),
            fill.instrument,
            fill.side,
            fill.effect,
            fill.order_px,
            fill.px,
            fill.qty,
            fill.fee,
            fill.realized_pnl,
            fill.grid_profit,
            fill.position_after,
            fill.venue,
            fill.account,
            fill.strategy,
            fill.client_order_id,
            fill.trade_id,
            fill.fee_currency,
            "taker" if fill.is_taker else "maker",
        )


def pnl(reader: StoreReader) -> Iterator[Row]:
    from perpmaker.cli.csv_file import utc

    for mark in reader.every_equity():
        yield (
            utc(mark.ts_ns),
            mark.venue,
            mark.account,
            mark.equity,
            mark.pnl,
            mark.spread,
            mark.adverse,
            mark.inventory,
            mark.fees,
            mark.funding,
            mark.balance,
            mark.transfers,
            _pairs(mark.positions),
            _pairs(mark.marks),
        )


def orders(reader: StoreReader) -> Iterator[Row]:
    from perpmaker.cli.csv_file import utc

    for order in reader.every_order():
        yield (
            utc(order.created_ns),
            utc(order.ended_ns),
            order.instrument,
            order.side,
            order.px,
            order.qty,
            order.cum_qty,
            order.avg_px,
            order.state,
            order.reason,
            order.tif,
            order.post_only,
            order.reduce_only,
            order.tag,
            order.venue,
            order.account,
            order.strategy,
            order.client_order_id,
            order.venue_order_id,
        )


TABLES: Final[dict[str, tuple[tuple[str, ...], Callable[[StoreReader], Iterator[Row]], str]]] = {
    "trades": (TRADES, trades, "fills"),
    "pnl": (PNL, pnl, "equity"),
    "orders": (ORDERS, orders, "orders"),
}
"""Header, rows, and the name StoreReader counts them by."""


def counted(rows: Iterable[Row], total: int, steps: Steps) -> Iterator[Row]:
    """Pass rows on and say how many there were so far."""
    for done, row in enumerate(rows, 1):
        yield row
        if not done % _PROGRESS_EVERY:
            steps(done, total)


@contextmanager
def progress(text: str, *, hidden: bool = False) -> Iterator[Steps]:
    """Show a bar on stderr, if that is a terminal, from the first step on until the end.

    Where the total is not known (0), the bar wanders and a count says that it goes on.
    """
    if hidden or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[how_far]}"), TextColumn("after"),
        TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None, visible=False, how_far="", left="")
        yield lambda done, total: bar.update(
            task, completed=done, total=total or None, visible=True, how_far=how_far(done, total),
            left="left" if total else "",
        )  # fmt: skip


def how_far(done: int, total: int) -> str:
    """Return the share that is done, or how much where nobody knows of how much."""
    return f"{100 * done // total} %" if total else f"{done:,}"


def _pairs(values: dict[str, Decimal]) -> str:
    return " ".join(f"{name}={value:f}" for name, value in values.items())
