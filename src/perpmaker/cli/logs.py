"""`perpmaker logs`: the engine's last lines, followed on request."""

from __future__ import annotations

import time
from pathlib import Path

import click

from perpmaker.cli.engine_link import connect


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("-n", "--lines", default=50, type=click.IntRange(1, 3000), show_default=True, help="How many.")
@click.pass_obj
def command(home: Path, follow: bool, lines: int) -> None:
    """Show the engine's log. Files are in the home folder's logs/."""
    client = connect(home)
    recent = client.logs(after=0)[-lines:]
    while True:
        for line in recent:
            click.echo(line.text)
        if not follow:
            return
        last = recent[-1].number if recent else 0
        time.sleep(0.5)
        recent = client.logs(after=last) if last else client.logs(after=0)
