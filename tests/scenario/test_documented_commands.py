"""What the pages tell a reader to type works, in the order in which they tell it, on the thing that `./run` starts."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.docs.pages import ROOT, CommandLine, named, pages, shell_lines

from perpmaker.control.client import ControlClient, EngineUnreachable
from perpmaker.control.home import running

SERVES = {"up", "run", "exchange", "dashboard"}
"""Commands that go on until they are stopped; the one `up` of a page stands for them."""
OFFLINE = {"new", "config", "tape", "backtest", "tune", "init"}
"""Commands that need nothing running; a page with no others has nothing started for it."""
LOCAL = "configs/local.toml"
READY_S, COMMAND_S, END_S = 90.0, 240.0, 90.0
PORTS = {f"PERPMAKER__{name}__PORT": "0" for name in ("EXCHANGE", "CONTROL", "DASHBOARD")}


def configuration_of(page: Path) -> str:
    """What the page has its reader start: the `up CONFIG` it shows, else what `./run` starts."""
    shown = (line.arguments or [] for line in shell_lines(page))
    return next((words[1] for words in shown if words[:1] == ["up"] and len(words) > 1), LOCAL)


def steps(page: Path) -> list[CommandLine]:
    """The commands of a page that end by themselves."""
    return [line for line in shell_lines(page) if line.arguments is not None and line.arguments[0] not in SERVES]


def before_the_start(page: Path) -> list[CommandLine]:
    """The commands by which a page makes what it starts later; all of them when it starts nothing."""
    if {line.arguments[0] for line in steps(page) if line.arguments} <= OFFLINE:
        return steps(page)
    if (ROOT / configuration_of(page)).is_file():
        return []
    told = [line for line in shell_lines(page) if line.arguments is not None]
    return list(itertools.takewhile(lambda line: line.arguments is not None and line.arguments[0] != "up", told))


class Reader:
    """Somebody who follows a page: a folder with the configurations in it, and a home of its own."""

    def __init__(self, folder: Path, configuration: str = LOCAL) -> None:
        self.folder = folder
        self.configuration = configuration
        self.home = folder / ".perpmaker"
        self.said = folder / "up.txt"
        shutil.copytree(ROOT / "configs", folder / "configs")
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("PERPMAKER")} | PORTS
        self.up: subprocess.Popen[bytes] | None = None

    def types(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(*arguments),
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def follows(self, line: CommandLine) -> None:
        """Type a line as it is told; it works, says something, and writes what it says it writes."""
        arguments = line.arguments
        assert arguments is not None
        done = self.types(*arguments)
        assert done.returncode == 0, f"{line.place}: {line.text}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip() or "--output" in arguments, f"{line.place}: {line.text} says nothing"
        for option, value in itertools.pairwise(arguments):
            assert option != "--output" or (self.folder / value).is_file(), f"{line.place}: no {value}"

    @contextmanager
    def starts(self) -> Iterator[subprocess.Popen[bytes]]:
        """`perpmaker up CONFIG`, until the end of the page; then Ctrl-C, unless a command ended it."""
        with self.said.open("wb") as said:
            self.up = subprocess.Popen(
                self._command("up", self.configuration),
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.waits_until_it_trades()
            yield self.up
        finally:
            if self.up.poll() is None:
                self.up.send_signal(signal.SIGINT)
                try:
                    self.up.wait(END_S)
                except subprocess.TimeoutExpired:
                    os.killpg(self.up.pid, signal.SIGKILL)
                    self.up.wait()

    def waits_until_it_trades(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            assert self.up is not None
            assert self.up.poll() is None, self.words()
            if "Dashboard: " in self.words() and self.trades():
                return
            time.sleep(0.1)
        pytest.fail(f"nothing traded within {READY_S:.0f} s\n{self.words()}")

    def trades(self) -> bool:
        """Whether the engine has orders; one that trades nothing by itself: whether it sees every market it names."""
        engine = running(self.home, "engine")
        if engine is None:
            return False
        try:
            status = ControlClient.of(engine).status()
        except EngineUnreachable:
            return False
        seen = self.configuration != LOCAL and status.books and all(top.bid for top in status.books.values())
        return status.state == "running" and bool(status.open_orders or seen)

    def words(self) -> str:
        return self.said.read_text(errors="replace") if self.said.exists() else ""

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "perpmaker", "--home", str(self.home), *arguments]


@pytest.mark.mostly_waits
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in pages() if steps(page)], ids=named)
def test_every_command_of_a_page_works_in_its_order(page: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path, configuration_of(page))
    first = before_the_start(page)
    for line in first:
        reader.follows(line)
    rest = steps(page)[len(first) :]
    if not rest:
        return
    with reader.starts() as up:
        for line in rest:
            reader.follows(line)
        stopped = any(line.arguments is not None and line.arguments[0] == "stop" for line in rest)
        if stopped:
            assert up.wait(END_S) == 0, reader.words()
    assert up.returncode == 0, reader.words()
    assert list((reader.home / "run").glob("*.json")) == []


def test_the_pages_show_commands_for_a_running_engine() -> None:
    shown = {line.text for page in pages() for line in steps(page)}
    assert {"./run status", "./run pause", "./run resume", "./run stop --close"} <= shown
