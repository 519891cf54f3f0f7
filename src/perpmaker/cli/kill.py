"""`perpmaker kill`: cancel everything and latch; `--clear` lifts the latch after a typed confirmation."""

from __future__ import annotations

from pathlib import Path

import click

from perpmaker.cli.engine_link import carry_out, connect


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--clear", is_flag=True, help="Lift the latch; asks for a typed confirmation.")
@click.option("--confirm", metavar="TEXT", help="The confirmation, for scripts: clear kill ENGINE.")
@click.option("--reason", default="", help="Noted in the journal.")
@click.pass_obj
def command(home: Path, clear: bool, confirm: str | None, reason: str) -> None:
    """Cancel every order of every account at once and refuse new ones, until a person clears it.

    The latch is on disk: restart, reload and upgrade do not clear it. Positions stay.
    """
    if not clear:
        carry_out(home, "kill", {"reason": reason} if reason else None, wait=False)
        return
    status = connect(home).status()
    wanted = f"clear kill {status.engine.split()[0]}"
    if confirm is None:
        click.echo(f"Trading resumes on {status.venue} {status.env} with the limits of the configuration.")
        confirm = click.prompt(f"Type '{wanted}' to lift the latch", default="", show_default=False)
    carry_out(home, "clear_kill", {"confirmation": confirm})
