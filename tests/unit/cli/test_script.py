"""What `./run` sets up, and the `perpmaker` script that it writes into its virtual environment."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from tools.bootstrap import SCRIPT, other_clients_run, research_needed, waited_for


def test_the_script_runs_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "perpmaker"
    path.write_text(SCRIPT)
    monkeypatch.setattr("sys.argv", ["perpmaker", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0


def test_a_worker_process_that_reads_the_script_again_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "perpmaker"
    path.write_text(SCRIPT)
    monkeypatch.setattr("sys.argv", ["perpmaker", "--version"])
    runpy.run_path(str(path), run_name="__mp_main__")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("", True),
        ("-x", True),
        ("tests", True),
        ("tests/interop/test_clients.py::test_x", True),
        ("-k nothing", True),
        ("tests/unit/cli", False),
        ("tests/unit/cli/test_script.py::test_x -x", False),
        ("configs", False),
    ],
)
def test_other_peoples_clients_are_installed_for_their_tests_alone(words: str, needed: bool) -> None:
    assert other_clients_run(words.split()) is needed


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("init --tape a.tape", True),
        ("init --tape=a.tape", True),
        ("init --env prod", False),
        ("backtest a.toml", True),
        ("report gate", True),
        ("report execution", False),
        ("status", False),
        ("", False),
    ],
)
def test_what_reads_tapes_gets_the_research_packages(words: str, needed: bool) -> None:
    assert research_needed(words.split()) is needed


def test_the_end_of_a_silent_command_is_its_own() -> None:
    assert [waited_for([sys.executable, "-c", f"raise SystemExit({code})"]) for code in (0, 3)] == [0, 3]
