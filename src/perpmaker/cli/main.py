"""The `perpmaker` command. Each command is one module, imported when it is asked for: `--help` stays quick."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from perpmaker import __version__
from perpmaker.cli.lazy import LazyGroup
from perpmaker.errors import ConfigError, PerpmakerError

COMMANDS: Final = {
    "up": "Start exchange, engine and dashboard, and watch over them; what ./run does.",
    "init": "Write a commented configuration, its numbers computed from the market as it is.",
    "run": "Run an engine with a configuration.",
    "backtest": "Run a configuration over a recorded market, with simulated orders.",
    "parity": "Compare a recorded session with its own simulation, fill by fill.",
    "signals": "Try a regime filter on candles, and whether it looks ahead.",
    "tune": "Search a strategy's parameters on a recorded market, and test them out of sample.",
    "train": "Train a model on a recorded market, and say whether it pays.",
    "data": "Download a venue's candles, trades and funding history.",
    "record": "Record the public streams of a venue into tapes.",
    "tape": "Show, check, cut, convert and simulate recorded markets.",
    "new": "Begin a strategy of your own.",
    "exchange": "Serve the practice exchange.",
    "dashboard": "Serve the dashboard of a running engine.",
    "status": "Show what the engine does.",
    "pause": "Cancel the quotes and stop quoting; positions stay.",
    "resume": "Quote again after a pause.",
    "stop": "Cancel all orders and end the engine; --close flattens first.",
    "execute": "Work one large order by an algorithm: plan, confirm, follow, sum up.",
    "pair": "Hedge one exchange against another: plan, confirm, follow, sum up.",
    "pairs": "Show all pairs and steer them.",
    "kill": "Cancel everything and latch; --clear lifts the latch.",
    "arm": "Arm live trading on a real venue.",
    "doctor": "Check credentials, clock, latency, instruments and balance.",
    "config": "Check or show a configuration.",
    "export": "Write trades, PnL history or orders as CSV.",
    "report": "Report on what was traded, and how well.",
    "logs": "Show the engine's log.",
}
OF_THE_DISK: Final = frozenset(
    (
        errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOSPC,
        errno.ENOTDIR, errno.EPERM, errno.EROFS,
    )
)  # fmt: skip
"""What a file or a folder may answer that a person can mend; any other is a mistake of ours, and shows its traceback."""
RESEARCH: Final = frozenset({"databento_dbn", "distributed", "duckdb", "numba", "numpy", "optuna", "sklearn"})
"""What requirements/research.in adds: an environment made for trading alone does not have them."""
EXIT_CODES: Final = """\b
Exit codes: 0 done; 1 failed; 2 wrong usage; 3 wrong configuration; 4 credentials refused;
5 venue failed; 6 refused by risk or by the engine; 7 broken data; 8 own books contradict
themselves; 9 nothing is running; 10 less was done than asked; 130 interrupted."""


@click.group(
    cls=LazyGroup,
    summaries=COMMANDS,
    modules="perpmaker.cli.{}",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)
@click.option(
    "--home", "home_option", metavar="FOLDER", help="Home folder (default: PERPMAKER_HOME, .perpmaker upward)."
)
@click.version_option(__version__, prog_name="perpmaker")
@click.pass_context
def cli(ctx: click.Context, home_option: str | None) -> None:
    """Trade perpetual futures on GRVT: market making, practice exchange, live dashboard."""
    from perpmaker.control.home import find_home

    ctx.obj = find_home(home_option, dict(os.environ), Path.cwd())


def main() -> None:
    """Run the command line; errors meant for people come as one text on stderr and an exit code."""
    os.umask(0o077)
    try:
        code: Any = cli.main(prog_name="perpmaker", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PerpmakerError as error:
        click.echo(f"perpmaker: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in RESEARCH:
            raise
        click.echo(
            f"perpmaker: this needs the research packages ({error.name} is missing); `./run` with the same command "
            "installs them",
            err=True,
        )
        sys.exit(ConfigError.exit_code)
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        click.echo(f"perpmaker: {_of_the_disk(error)}", err=True)
        sys.exit(PerpmakerError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _of_the_disk(error: OSError) -> str:
    """Return the file and what is wrong with it; a disk that is full does not say which file it was."""
    place = "" if error.filename is None else f"{error.filename2 or error.filename}: "
    return f"{place}{error.strerror}"
