"""The `perpmaker` script that `./run` writes into its virtual environment."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from tools.bootstrap import SCRIPT


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
