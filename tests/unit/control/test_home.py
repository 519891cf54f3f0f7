from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from perpmaker.control.home import RunFile, find_home, make_home, published, read_run_file, running, write_private
from perpmaker.errors import ConfigError, DataError


def test_the_option_wins_over_the_variable_and_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".perpmaker").mkdir()
    chosen = find_home(str(tmp_path / "a"), {"PERPMAKER_HOME": str(tmp_path / "b")}, tmp_path)
    assert chosen == tmp_path / "a"


def test_the_nearest_folder_upward_is_found(tmp_path: Path) -> None:
    (tmp_path / ".perpmaker").mkdir()
    inner = tmp_path / "x" / "y"
    inner.mkdir(parents=True)
    assert find_home(None, {}, inner) == tmp_path / ".perpmaker"


def test_the_state_folder_is_the_last_resort(tmp_path: Path) -> None:
    assert find_home(None, {"XDG_STATE_HOME": str(tmp_path / "state")}, tmp_path) == tmp_path / "state" / "perpmaker"


def test_a_file_as_home_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(ConfigError, match="--home must name a folder"):
        find_home(str(tmp_path / "f"), {}, tmp_path)


def test_home_and_run_file_are_private(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with published(home, RunFile(name="engine", pid=os.getpid(), urls={}, token="t")) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert running(home, "engine") is not None
    assert not path.exists()


def test_a_run_file_of_a_dead_process_is_not_running(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    write_private(home / "run" / "engine.json", b'{"name":"engine","pid":%d,"urls":{}}' % child.pid)
    assert read_run_file(home, "engine") is not None
    assert running(home, "engine") is None


def test_a_broken_run_file_names_itself(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    (home / "run" / "engine.json").write_text("{")
    with pytest.raises(DataError, match=r"engine\.json"):
        read_run_file(home, "engine")


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "x"
    with pytest.raises(OSError, match="No such file"):
        write_private(path, b"new")
    assert list(tmp_path.iterdir()) == []
