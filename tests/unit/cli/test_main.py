from __future__ import annotations

import errno
import importlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from perpmaker.cli import main as command_line
from perpmaker.cli.main import COMMANDS, RESEARCH, main

ROOT = Path(__file__).resolve().parents[3]


def perpmaker(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "perpmaker", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def test_help_answers_in_under_four_tenths_of_a_second() -> None:
    """Of processor time, which is all it needs: other tests run beside this one."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "perpmaker", "--help"], capture_output=True, check=True, timeout=200)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert 0 < min(times) < 0.4


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import perpmaker.cli.main\n"
        "heavy = {'aiohttp', 'pydantic', 'fastapi', 'structlog', 'coincurve', 'msgspec', 'rich'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_listed_command_exists_and_explains_itself(name: str) -> None:
    command = importlib.import_module(f"perpmaker.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.help


def test_an_unknown_command_is_a_usage_error(tmp_path: Path) -> None:
    done = perpmaker("fly", home=tmp_path)
    assert done.returncode == 2
    assert "No such command 'fly'" in done.stderr


@pytest.mark.parametrize("name", ["status", "pause", "resume", "stop", "kill", "logs"])
def test_a_command_without_an_engine_says_so_and_exits_with_nine(name: str, tmp_path: Path) -> None:
    done = perpmaker(name, home=tmp_path)
    assert done.returncode == 9
    assert "no engine runs" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_configuration_exits_with_three_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text('schema_version = 1\nenv = "prd"\n')
    done = perpmaker("up", str(path), home=tmp_path / "home")
    assert done.returncode == 3
    assert "env: 'prd' is not allowed" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "perpmaker: No space left on device\n"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "out/x"), "perpmaker: out/x: Read-only file system\n"),
    ],
)
def test_a_disk_that_does_not_take_it_is_told_in_one_line(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr(command_line.cli, "main", fails)
    with pytest.raises(SystemExit) as stop:
        main()
    assert (stop.value.code, capsys.readouterr().err) == (1, said)


def test_an_error_that_no_disk_gives_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(command_line.cli, "main", fails)
    with pytest.raises(OSError, match="Bad file descriptor"):
        main()


def test_a_command_that_lacks_the_research_packages_says_how_to_get_them(tmp_path: Path) -> None:
    """As an environment made for trading alone has it: `./run` installs them, `.venv/bin/perpmaker` cannot."""
    code = "import sys; sys.modules['numpy'] = None; from perpmaker.cli.main import main; main()"
    command = [sys.executable, "-c", code, "--home", str(tmp_path), "tape", "info", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stderr) == (
        3,
        "perpmaker: this needs the research packages (numpy is missing); `./run` with the same command installs them\n",
    )


def test_a_module_of_our_own_that_is_missing_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'perpmaker.gone'", name="perpmaker.gone")

    monkeypatch.setattr(command_line.cli, "main", fails)
    with pytest.raises(ModuleNotFoundError, match=r"perpmaker\.gone"):
        main()


def test_the_research_packages_are_those_of_their_requirements() -> None:
    lines = (ROOT / "requirements" / "research.in").read_text(encoding="utf-8").splitlines()
    asked = {line.partition("==")[0] for line in lines if "==" in line}
    modules = {"databento-dbn": "databento_dbn", "scikit-learn": "sklearn"}
    assert {modules.get(name, name) for name in asked} == RESEARCH
