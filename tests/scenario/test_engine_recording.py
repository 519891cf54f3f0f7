"""An engine that records leaves sessions that replay to the same commands, also when it was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perpmaker.engine.folders import engine_folder, recordings_folder
from perpmaker.engine.recording import FLUSH_S
from perpmaker.engine.replaying import replay
from perpmaker.tape.session import Began, read_session

from .engine_stage import stage

pytestmark = pytest.mark.mostly_waits


def test_both_lives_of_an_engine_that_was_killed_replay_to_the_same_commands(tmp_path: Path) -> None:
    with stage(tmp_path, more="[engine]\nrecord = true") as play:
        play.start_exchange()
        play.start_engine()
        play.until_quoting()
        play.until_fills(1)
        fills = play.status().fills_total
        folder = recordings_folder(engine_folder(tmp_path, "stage", "local"))
        [first] = folder.iterdir()
        size = sum(file.stat().st_size for file in first.iterdir())
        play.until(lambda: sum(file.stat().st_size for file in first.iterdir()) > size, f"a flush each {FLUSH_S} s")
        play.kill_engine()
        play.start_engine()
        play.until_quoting()
        assert play.stop_engine() == 0
    sessions = sorted(folder.iterdir())
    assert len(sessions) == 2
    for session in sessions:
        found = replay(session)
        assert found.difference is None
        assert found.events > 50
        assert found.commands > 10
    began = next(read_session(sessions[1]))
    assert isinstance(began, Began)
    assert fills
    assert '"records":[]' not in began.text  # the second life began with what the journal of the first one held
    target = tmp_path / "session.tape"
    for command in (["tape", "convert", sessions[1], target], ["tape", "replay", target]):
        done = subprocess.run(
            [sys.executable, "-m", "perpmaker", *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    assert "the same commands" in done.stdout
