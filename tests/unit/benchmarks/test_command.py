"""`python -m benchmarks`: names, what it prints and keeps, and whose turn it is."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from benchmarks import __main__ as command
from benchmarks.figures import Case, Goal, Report, absent
from benchmarks.options import Options
from benchmarks.peers import PeerAbsent
from benchmarks.recorded_frames import record
from benchmarks.seats import Seats
from benchmarks.workers.frames import Frames


class Answering:
    """A worker that says one thing again and again."""

    def __init__(self, said: list[str], name: str, answer: Any) -> None:
        self._said, self._name, self._answer = said, name, answer

    def hear(self) -> dict[str, str]:
        return {"version": self._name}

    def ask(self, request: dict[str, Any]) -> Any:
        self._said.append(f"{self._name} {request['case']}")
        return self._answer

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None: ...


def measured(options: Options) -> list[Report]:
    cases = (Case("ours", [[2.0]]), absent("peer", "not here"), Case("floor", [[1.0]]))
    goals = [Goal("over the floor", 2.0, 3), Goal("over the peer", None, 3)]
    turns = {"quick": options.quick, "peers": options.peers, "minutes": options.minutes, "long": options.long}
    return [Report("mine", "Mine", cases, "floor", turns, goals=goals)]


@pytest.fixture
def _one_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("benchmarks.mine")
    module.measure = measured  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "benchmarks.mine", module)
    monkeypatch.setattr(command, "COMPARED", {"mine": "mine"})


@pytest.mark.usefixtures("_one_benchmark")
def test_a_run_prints_tables_goals_and_what_was_absent_and_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "kept.json"
    assert command.main(["mine", "--quick", "--no-peers", "--minutes", "2", "--json", str(target)]) == 0
    printed = capsys.readouterr().out
    assert "### Mine" in printed
    assert "- peer: absent: not here" in printed
    assert "1 of 2 goals met" in printed
    (kept,) = json.loads(target.read_text())["benchmarks"]
    assert kept["more"].pop("load average")
    assert kept["more"] == {"quick": True, "peers": False, "minutes": 2.0, "long": False}


@pytest.mark.usefixtures("_one_benchmark")
def test_without_names_everything_that_is_compared_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--json", str(tmp_path / "kept.json")]) == 0
    assert "### Mine" in capsys.readouterr().out


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["sign_orders"])
    assert "sign_orders: none of sign_order" in capsys.readouterr().err


def test_workers_take_turns_and_a_peer_that_is_absent_keeps_its_row() -> None:
    said: list[str] = []

    def gone() -> Any:
        raise PeerAbsent("no network")

    with ExitStack() as until_end:
        seats = Seats("mine", Options(), until_end)
        ours = seats.seat(lambda: Answering(said, "ours", [3_000, 5_000]))  # type: ignore[arg-type,return-value]
        other = seats.seat_peer(lambda: Answering(said, "other", [[8_000], {"fills": 3}]))  # type: ignore[arg-type,return-value]
        seats.add("ours", ours, {"case": "a"})
        seats.add("other", other, {"case": "b"}, divisor=4000.0)
        seats.add("peer", seats.seat_peer(gone), {"case": "a"})
        mine, theirs, missing = seats.take(2)
    assert said == ["ours a", "other b"] * 2
    assert mine.rounds == [[3.0, 5.0], [3.0, 5.0]]
    assert (theirs.rounds, theirs.more) == ([[2.0], [2.0]], {"fills": 3})
    assert (missing.rounds, missing.absent) == ([], "no network")


def test_without_peers_none_is_started() -> None:
    with ExitStack() as until_end:
        seats = Seats("mine", Options(peers=False), until_end)
        seated = seats.seat_peer(lambda: pytest.fail("started"))
    assert seated.process is None
    assert seated.why == "peers were not asked for"


def test_recorded_frames_are_the_same_each_time_and_numbered_without_a_gap(tmp_path: Path) -> None:
    about = record(tmp_path / "one.json", 20)
    record(tmp_path / "two.json", 20)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    frames = Frames(tmp_path / "one.json")
    assert len(frames) == about["changes"] == 20
    read = [json.loads(text) for text in [frames.whole(), *frames.changes(7)]]
    assert read[0]["sequence_number"] == "0"
    assert [int(frame["sequence_number"]) for frame in read[1:]] == list(range(7, 27))
    assert [int(frame["prev_sequence_number"]) for frame in read[1:]] == list(range(6, 26))
    assert float(frames.touch[0]) < float(frames.touch[1])
