"""`perpmaker train`: models made of recorded markets. Each is a module of its own."""

from __future__ import annotations

from typing import Final

import click

from perpmaker.cli.lazy import LazyGroup

MODELS: Final = {
    "regime": "Train the regime model, and say whether it pays out of sample.",
}


@click.group(
    cls=LazyGroup,
    summaries=MODELS,
    modules="perpmaker.cli.train_{}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Train a model on a recorded market; needs the research packages."""
