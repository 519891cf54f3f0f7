"""`perpmaker arm`: allow live trading on a real venue, after a typed confirmation."""

from __future__ import annotations

from pathlib import Path

import click

from perpmaker.cli.engine_link import carry_out, connect


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--confirm", metavar="TEXT", help="The confirmation, for scripts: arm ENGINE SUB_ACCOUNT_ID.")
@click.pass_obj
def command(home: Path, confirm: str | None) -> None:
    """Arm live trading. Needed on prod only: the local exchange and the testnet trade without it.

    Shows account and caps first; the confirmation names the engine and the sub-account.
    """
    status = connect(home).status()
    if confirm is None:
        click.echo(
            f"{status.engine}: {status.venue} {status.env} {status.mode}, equity {status.equity} {status.currency}"
        )
        for warning in status.warnings:
            click.echo(f"  ! {warning}")
        confirm = click.prompt(f"Type 'arm {status.engine.split()[0]} SUB_ACCOUNT_ID'", default="", show_default=False)
    carry_out(home, "arm", {"confirmation": confirm})
