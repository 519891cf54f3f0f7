"""`perpmaker pause`."""

from __future__ import annotations

from pathlib import Path

import click

from perpmaker.cli.engine_link import carry_out


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--strategy", help="One strategy by name; default all.")
@click.pass_obj
def command(home: Path, strategy: str | None) -> None:
    """Cancel the quotes and stop quoting. Positions stay; `perpmaker resume` goes on."""
    carry_out(home, "pause", {"strategy": strategy} if strategy else None)
