"""`perpmaker export`: trades, equity or orders from the journal's store as CSV."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", type=click.Choice(["trades", "pnl", "orders"]))
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; default standard output."
)
@click.option("--engine", "engine_name", default=None, help="Engine name, when the home holds several.")
@click.pass_obj
def command(home: Path, what: str, output: Path | None, engine_name: str | None) -> None:
    """Write trade_history, pnl_history or orders as CSV. Works with and without a running engine."""
    raise NotImplementedError(home, what, output, engine_name)
