"""`perpmaker dashboard`: the browser pages of a home's engine, in a process of their own."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--port", default=8410, show_default=True, type=click.IntRange(0, 65535), help="Else the next free one; 0: any."
)
@click.pass_obj
def command(home: Path, port: int) -> None:
    """Serve the dashboard on 127.0.0.1 until stopped, with or without a running engine.

    Prints the address with its login token. The engine does not notice whether a dashboard runs.
    """
    from perpmaker import logs
    from perpmaker.cli.supervision import end_with_parent, refuse_second
    from perpmaker.dashboard.server import run

    refuse_second(home, "dashboard")
    logs.configure()
    end_with_parent()
    run(home, port, ready=lambda address: click.echo(f"Dashboard: {address}"))
