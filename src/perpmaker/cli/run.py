"""`perpmaker run CONFIG`: one engine in this process."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def command(home: Path, path: Path) -> None:
    """Run an engine with a configuration until it is stopped.

    Ctrl-C once cancels all orders, verifies and leaves; twice leaves at once and says what may stay open. For env local
    a practice exchange must run in the same home (`perpmaker exchange`, or `perpmaker up` for everything).
    """
    from perpmaker import config as configuration
    from perpmaker import logs
    from perpmaker.cli.config import load_whole
    from perpmaker.cli.supervision import end_with_parent, refuse_second

    load_whole(path)
    config = configuration.load(path)
    refuse_second(home, "engine")
    recent = logs.configure(level=config.log_level)
    end_with_parent()
    from perpmaker.engine.fitting import warnings_of
    from perpmaker.engine.live import run

    for warning in warnings_of(config):
        logs.get("engine").warning("configuration", text=warning)
    raise SystemExit(run(config, home, recent))
