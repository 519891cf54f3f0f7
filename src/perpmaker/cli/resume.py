"""`perpmaker resume`."""

from __future__ import annotations

from pathlib import Path

import click

from perpmaker.cli.engine_link import carry_out


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--strategy", help="One strategy by name; default all.")
@click.pass_obj
def command(home: Path, strategy: str | None) -> None:
    """Quote again after a pause. A kill is not undone by this."""
    carry_out(home, "resume", {"strategy": strategy} if strategy else None)
