"""How commands reach the running engine of a home."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perpmaker.clock import WallClock
from perpmaker.control.home import RunFile, running
from perpmaker.errors import PerpmakerError

if TYPE_CHECKING:
    from perpmaker.control.client import ControlClient
    from perpmaker.control.messages import CommandAnswer, CommandKind

ANSWER_TIMEOUT_S = 30.0


class NothingRuns(PerpmakerError):
    """No engine serves this home."""

    exit_code = 9


class Refused(PerpmakerError):
    """The engine refused the command; the text says why."""

    exit_code = 6


def refuse_single(engine: RunFile) -> None:
    """Raise Refused for an engine that lives for another command: what it were given would end with that."""
    if engine.extra.get("lives_for"):
        raise Refused(
            f"engine {engine.extra.get('engine', '?')} (pid {engine.pid}) was started for another `perpmaker execute` or "
            "`perpmaker pair` and ends with it; try again when that has ended"
        )


def connect(home: Path) -> ControlClient:
    """Return a client of the home's engine; raise NothingRuns when there is none."""
    engine = running(home, "engine")
    if engine is None:
        raise NothingRuns(f"no engine runs in {home}; start one with `perpmaker up` or `perpmaker run CONFIG`")
    return client_of(engine)


def client_of(engine: RunFile) -> ControlClient:
    from perpmaker.control.client import ControlClient

    return ControlClient.of(engine)


def carry_out(home: Path, kind: CommandKind, arguments: dict[str, str] | None = None, *, wait: bool = True) -> None:
    """Send a command and follow it until it is done; raise Refused with the engine's reason."""
    client = connect(home)
    answer = client.command(
        kind, arguments or {}, actor=f"cli:{os.environ.get('USER', 'unknown')}", now_ns=WallClock().now_ns()
    )
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while wait and answer.state == "accepted" and time.monotonic() < deadline:
        time.sleep(0.2)
        answer = client.answer(answer.command_id)
    report(kind, answer)


def report(kind: str, answer: CommandAnswer) -> None:
    if answer.state == "refused":
        raise Refused(f"{kind} refused: {answer.text}")
    click.echo(f"{kind}: {answer.state}{' - ' + answer.text if answer.text else ''}")
