"""`perpmaker stop`: end the engine in good order."""

from __future__ import annotations

import time
from pathlib import Path

import click

from perpmaker.cli.engine_link import carry_out
from perpmaker.control.home import running
from perpmaker.errors import PerpmakerError

END_TIMEOUT_S = 20.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--close", is_flag=True, help="Flatten every position with reduce-only orders first.")
@click.pass_obj
def command(home: Path, close: bool) -> None:
    """Cancel all orders, verify that none is open, and end the engine. Says whether positions stay."""
    if close:
        carry_out(home, "close")
    engine = running(home, "engine")
    carry_out(home, "stop", wait=False)
    deadline = time.monotonic() + END_TIMEOUT_S
    while engine is not None and time.monotonic() < deadline:
        current = running(home, "engine")
        if current is None or current.pid != engine.pid:
            click.echo("engine ended; positions were " + ("closed" if close else "left as they are"))
            return
        time.sleep(0.1)
    raise PerpmakerError(f"the engine did not end within {END_TIMEOUT_S:.0f} s; see {home / 'logs'}")
