"""`perpmaker new`: beginnings of something of one's own. Each is a module of its own."""

from __future__ import annotations

from typing import Final

import click

from perpmaker.cli.lazy import LazyGroup

BEGINNINGS: Final = {
    "strategy": "Write a small working strategy, its test and its configuration.",
}


@click.group(
    cls=LazyGroup,
    summaries=BEGINNINGS,
    modules="perpmaker.cli.new_{}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Begin something of your own: a strategy in a folder that is yours."""
