"""`perpmaker up`: exchange (for env local), engine and dashboard, started in order, watched, stopped in order."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from perpmaker.cli.supervision import Child, StartFailed, refuse_second
from perpmaker.control.home import make_home, running
from perpmaker.errors import ConfigError, PerpmakerError

if TYPE_CHECKING:
    from perpmaker.config import Config

START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = {"engine": 20.0, "dashboard": 5.0, "exchange": 10.0}
MAX_RESTARTS, RESTART_WINDOW_S = 3, 600.0
STATUS_EVERY_S = 10.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("config_path", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the dashboard (default 8410, else the next free).")
@click.option("--quiet", is_flag=True, help="Print the address and problems only.")
@click.pass_obj
def command(home: Path, config_path: Path | None, port: int | None, quiet: bool) -> None:
    """Start exchange, engine and dashboard, and watch over them.

    CONFIG defaults to config.toml in the home folder, else configs/local.toml. Ctrl-C once stops in good order: engine
    (orders cancelled and verified), dashboard, exchange. Ctrl-C twice leaves at once.
    """
    from perpmaker import config as configuration
    from perpmaker.cli.config import load_whole

    path = config_path or default_config(home)
    load_whole(path)  # what the engine would refuse is refused before anything is started
    config = configuration.load(path)
    make_home(home)
    names = ["exchange", "engine", "dashboard"] if config.env == "local" else ["engine", "dashboard"]
    for name in names:
        refuse_second(home, name)
    children = {name: Child(home, name, arguments(name, home, path, config, port), os.environ) for name in names}
    Supervisor(home, children, quiet=quiet).run()


def default_config(home: Path) -> Path:
    for path in (home / "config.toml", Path("configs/local.toml"), home.parent / "configs" / "local.toml"):
        if path.is_file():
            return path
    raise PerpmakerError(f"no configuration given, and neither {home / 'config.toml'} nor configs/local.toml exists")


def arguments(name: str, home: Path, path: Path, config: Config, port: int | None) -> list[str]:
    """Return the command line of a child."""
    if name == "engine":
        return ["run", str(path)]
    if name == "dashboard":
        return ["dashboard", "--port", str(config.dashboard.port if port is None else port)]
    exchange = config.exchange
    options = ["exchange", "--port", str(exchange.port), "--next-free", "--market", exchange.market]
    options += ["--seed", str(exchange.seed), "--accounts", str(exchange.accounts)]
    options += ["--state", str(home / "exchange"), "--history-s", str(exchange.history_s)]
    if exchange.market == "simulated":
        options += ["--activity", str(exchange.activity)]
    if any(account.venue.removeprefix("ccxt:") == "backpack" for account in config.account.values()):
        options += ["--venues", "grvt,backpack"]
    for tape in exchange.tape:
        options += ["--tape", tape]
    for tape in exchange.backpack_tape:
        options += ["--backpack-tape", tape]
    if exchange.fee_tier is not None:
        options += ["--fee-tier", str(exchange.fee_tier)]
    return options


class Supervisor:
    """Starts the children in order, restarts what dies, and stops them in the right order."""

    def __init__(self, home: Path, children: dict[str, Child], *, quiet: bool) -> None:
        self._home = home
        self._children = children
        self._quiet = quiet
        self._signals = 0

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        problem: PerpmakerError | None = None
        try:
            self._start()
            self._watch()
        except PerpmakerError as error:
            problem = error
        clean = self._stop()
        if problem is not None:
            raise problem
        if not clean:
            raise PerpmakerError(f"not everything ended in good order; see {self._home / 'logs'}")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            for child in self._children.values():
                child.kill()

    def _start(self) -> None:
        for name, child in self._children.items():
            if self._signals:
                return
            self._say(f"starting {name} ...")
            child.start()
            run_file = child.wait_ready(START_TIMEOUT_S)
            if name == "dashboard":
                click.echo(f"\n  Dashboard: {run_file.urls['dashboard']}/#{run_file.token}\n")
                click.echo(f"  Home {self._home}; Ctrl-C stops everything in good order.\n", nl=True)
                sys.stdout.flush()

    def _watch(self) -> None:
        next_status = time.monotonic() + STATUS_EVERY_S
        while not self._signals:
            time.sleep(0.2)
            for name, child in self._children.items():
                code = child.returncode()
                if code is None or self._signals:
                    continue
                if name == "engine" and code == 0:
                    self._say("engine ended in good order (perpmaker stop)")
                    return
                self._restart(name, child, code)
            if not self._quiet and time.monotonic() >= next_status:
                next_status += STATUS_EVERY_S
                self._status()

    def _restart(self, name: str, child: Child, code: int) -> None:
        if code == ConfigError.exit_code:  # the next life would read the same configuration
            raise StartFailed(f"{name} cannot run as it is configured:\n{child.last_lines()}")
        now = time.monotonic()
        child.restarts = [at for at in child.restarts if now - at < RESTART_WINDOW_S] + [now]
        if len(child.restarts) > MAX_RESTARTS:
            raise StartFailed(f"{name} ended {len(child.restarts)} times in ten minutes:\n{child.last_lines()}")
        click.echo(
            f"{name} ended with code {code}; starting it again ({len(child.restarts)} of {MAX_RESTARTS})", err=True
        )
        child.start()
        child.wait_ready(START_TIMEOUT_S)

    def _status(self) -> None:
        from perpmaker.cli.status import one_line

        engine = running(self._home, "engine")
        if engine is not None:
            click.echo(one_line(engine))

    def _stop(self) -> bool:
        clean = True
        for name in ("engine", "dashboard", "exchange"):
            child = self._children.get(name)
            if child is not None:
                self._say(f"stopping {name} ...")
                clean = child.stop(STOP_TIMEOUT_S[name]) and clean
        if self._signals > 1:
            click.echo("left at once: orders may still be open at the venue until its dead-man timer fires", err=True)
        return clean

    def _say(self, text: str) -> None:
        if not self._quiet:
            click.echo(text)
