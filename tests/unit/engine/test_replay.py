"""The same events give the same commands and the same state, in any process and under any hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.unit.engine.rig import Rig
from tests.unit.engine.session import digest, record, replay

from perpmaker.model.events import (
    AccountSnapshot,
    BookSnapshot,
    CancelSent,
    Fill,
    Operator,
    OrderReport,
    PositionAdjusted,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def session() -> Rig:
    return record()


def test_the_session_has_what_it_promises(session: Rig) -> None:
    kinds = {type(event) for event in session.events}
    assert kinds >= {AccountSnapshot, BookSnapshot, CancelSent, Fill, OrderReport, Operator}
    assert session.notices("position_adjusted")
    assert session.notices("killed")
    assert len(session.fills) > 10


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_a_fresh_process_makes_the_same_of_it(session: Rig, tmp_path: Path, seed: str) -> None:
    recording = tmp_path / "events"
    recording.write_bytes(msgspec.msgpack.encode(session.events))
    child = subprocess.run(
        [sys.executable, "-m", "tests.unit.engine.session", str(recording)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout == digest(session.commands, session.engine)


def test_one_event_left_out_shows(session: Rig) -> None:
    without = [event for event in session.events if not isinstance(event, Operator)]
    assert replay(without) != digest(session.commands, session.engine)


def test_conclusions_are_not_events_from_outside(session: Rig) -> None:
    assert not any(isinstance(event, PositionAdjusted) for event in session.events)
