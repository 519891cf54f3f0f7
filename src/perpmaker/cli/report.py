"""`perpmaker report`: what was traded and how well, worked out from the journal. Each report is a module of its own."""

from __future__ import annotations

from typing import Final

import click

from perpmaker.cli.lazy import LazyGroup

REPORTS: Final = {
    "execution": "How well large orders were executed: children, partial fills, slippage.",
    "gate": "Whether a paper or testnet run of 48 hours may go live.",
    "pair": "What pairs came to: cycles, volume, gross, fees, funding, net, positions.",
}


@click.group(
    cls=LazyGroup,
    summaries=REPORTS,
    modules="perpmaker.cli.report_{}",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Report on what was traded, from the journal; works with and without a running engine."""
