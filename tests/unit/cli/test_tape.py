"""`perpmaker tape`: what a person types about tapes, and what comes of it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="tapes need the research extra")

import numpy as np
from click.testing import CliRunner, Result
from tests.unit.tape.market import BTC, ETH, listed, random_events
from tests.unit.tape.test_importers import SNAPSHOT_LINE, depth_line

from perpmaker.cli.tape import command
from perpmaker.model.events import BookSnapshot, InstrumentListed, Ticker
from perpmaker.model.units import NS_PER_S
from perpmaker.tape import live
from perpmaker.tape.levels import Books
from perpmaker.tape.reader import events, open_tape
from perpmaker.tape.recorder import Recorder
from perpmaker.tape.writer import TapeWriter


def typed(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(command, [str(word) for word in words])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "x.tape"
    with TapeWriter(path, [listed(BTC), listed(ETH, "0.01")], source="a test") as writer:
        for event in random_events(2000):
            writer.add(event)
    return path


def test_info_tells_what_a_tape_holds(tape: Path) -> None:
    said = json.loads(typed("info", tape, "--json").output)
    assert [row["instrument"] for row in said["instruments"]] == [BTC, ETH]
    assert said["source"] == "a test"
    assert said["fingerprint"] == open_tape(tape).fingerprint
    assert "BTC_USDT_Perp" in typed("info", tape).output


def test_check_passes_a_good_tape_and_names_what_is_damaged(tape: Path) -> None:
    assert "good" in typed("check", tape).output
    data = bytearray(tape.read_bytes())
    data[200] ^= 1
    tape.write_bytes(bytes(data))
    result = typed("check", tape, code=7)
    assert f"error: {tape}: chunk 0 at byte 8 is damaged" in result.output.replace("\n", "")


def test_a_cut_begins_with_the_books_as_they_were_and_ends_before_its_end(tape: Path, tmp_path: Path) -> None:
    given = list(events(open_tape(tape)))
    start_ns = given[0].ts_recv_ns
    typed("cut", tape, tmp_path / "y.tape", "--from", "+0.5", "--to", "+1.5", "--instrument", BTC)
    found = list(events(open_tape(tmp_path / "y.tape")))
    begin_ns, end_ns = start_ns + NS_PER_S // 2, start_ns + 3 * NS_PER_S // 2
    books = Books()
    for event in given:
        if event.ts_recv_ns < begin_ns and getattr(event, "instrument", None) == BTC:
            books.apply(event)
    stated = [event for event in found if event.ts_recv_ns == begin_ns and isinstance(event, BookSnapshot | Ticker)]
    assert [event for event in stated if isinstance(event, BookSnapshot)] == books.snapshots(begin_ns)
    inside = [e for e in given if begin_ns <= e.ts_recv_ns < end_ns and getattr(e, "instrument", None) == BTC]
    assert found[len(stated) :] == inside
    assert [known.instrument_id for known in open_tape(tmp_path / "y.tape").instruments] == [BTC]


def test_a_cut_keeps_the_notes_and_says_what_was_cut(tape: Path, tmp_path: Path) -> None:
    noted(tape, tmp_path / "noted.tape", {"own orders": "3 orders taken out", "latency": "20 ms"})
    typed("cut", tmp_path / "noted.tape", tmp_path / "y.tape", "--from", "+0.5", "--instrument", BTC)
    typed("cut", tmp_path / "y.tape", tmp_path / "z.tape", "--to", "-0.5s")
    notes = json.loads(typed("info", tmp_path / "z.tape", "--json").output)["notes"]
    first = open_tape(tmp_path / "noted.tape").fingerprint
    second = open_tape(tmp_path / "y.tape").fingerprint
    last_cut, earlier = notes.pop("cut from").split("; before that: ")
    assert notes == {"own orders": "3 orders taken out", "latency": "20 ms"}
    assert earlier == f"noted.tape {first} from 2023-11-14T22:13:20.500000000 of {BTC}"
    assert last_cut.startswith(f"y.tape {second} to 2023-11-14T22:13:2")


def test_notes_of_several_tapes_are_kept_by_the_name_of_each_where_they_differ(tape: Path, tmp_path: Path) -> None:
    noted(tape, tmp_path / "a.tape", {"own orders": "3 orders taken out", "latency": "20 ms"})
    noted(tape, tmp_path / "b.tape", {"own orders": "4 orders taken out", "latency": "20 ms", "gaps": "1"})
    typed("convert", tmp_path / "a.tape", tmp_path / "b.tape", tmp_path / "c.tape")
    notes = open_tape(tmp_path / "c.tape").contents.notes  # type: ignore[attr-defined]
    assert notes["own orders"] == "a.tape: 3 orders taken out; b.tape: 4 orders taken out"
    assert notes["latency"] == "20 ms"
    assert notes["gaps"] == "b.tape: 1"
    assert notes.keys() == {"own orders", "latency", "gaps", "cut from"}


def noted(tape: Path, target: Path, notes: dict[str, str]) -> None:
    """Write a tape with notes beside the same rows."""
    given = open_tape(tape)
    with TapeWriter(target, given.instruments) as writer:
        writer.notes |= notes
        for columns in given.chunks():
            writer.add_columns(columns)


def test_a_cut_of_what_is_not_there_is_refused(tape: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["cut", str(tape), str(tmp_path / "y.tape"), "--instrument", "SOL_USDT_Perp"])
    assert f"holds no SOL_USDT_Perp; it holds {BTC}, {ETH}" in str(result.exception)
    result = CliRunner().invoke(command, ["cut", str(tape), str(tmp_path / "y.tape"), "--from", "+1.5s", "--to", "+1s"])
    assert "--from +1.5s: has to be before --to +1s; x.tape holds 2023-11-14T22:13:20 to" in str(result.exception)
    assert not (tmp_path / "y.tape").exists()


def test_a_capture_is_imported_and_its_clock_spoken_of(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(depth_line(90, 95, 89, "7") + SNAPSHOT_LINE + depth_line(96, 101, 95, "8", 5))
    assert "--least-latency-ms 1" in typed("convert", path, tmp_path / "x.tape").output
    said = typed("convert", path, tmp_path / "y.tape", "--least-latency-ms", "1", "--symbol", "BTC_USDT_Perp").output
    assert "shifted by +1" in said
    assert json.loads(typed("info", tmp_path / "y.tape", "--json").output)["instruments"][0]["instrument"] == BTC


def test_a_gap_that_never_heals_is_told_when_a_tape_is_written(tmp_path: Path) -> None:
    lines = (SNAPSHOT_LINE, depth_line(101, 102, 100, "8", 5), depth_line(110, 112, 109, "8", 2_000))
    path, whole, again = tmp_path / "a.txt", tmp_path / "x.tape", tmp_path / "y.tape"
    trade = b'1723161260500000000 {"e":"trade","E":1723161255300,"s":"XYZUSDT","t":1,"p":"99.9","q":"1","m":true}\n'
    path.write_bytes(b"".join((*lines, trade)))
    told = "warning: XYZUSDT@binance_usdm: the book cannot be vouched for in the last 4.5 s: nothing on the tape makes"
    assert told in typed("convert", path, whole).output
    assert told in typed("convert", whole, again).output
    path.write_bytes(b"".join(lines[:2]))
    assert "vouched" not in typed("convert", path, whole, "--force").output


def test_recordings_that_were_not_compacted_become_a_tape(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    recorder = Recorder(folder, rotate_ns=NS_PER_S)
    given = [InstrumentListed(listed(name).instrument, 1) for name in (BTC, ETH)]
    for event in (*given, *random_events(1000)):
        recorder.take(event)
        recorder.flush(event.ts_recv_ns, sync=False)
    recorder.close()
    assert len(list(folder.glob(f"*{live.SUFFIX}"))) > 1
    typed("convert", folder, tmp_path / "x.tape")
    assert open_tape(tmp_path / "x.tape").counts["trade"] == recorder.seen[BTC].trades + recorder.seen[ETH].trades


def test_a_tape_is_written_for_other_programs(tape: Path, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    typed("cut", tape, tmp_path / "one.tape", "--instrument", BTC)
    one = open_tape(tmp_path / "one.tape")
    typed("convert", tmp_path / "one.tape", tmp_path / "one.parquet")
    [(count, name)] = (
        duckdb.read_parquet(str(tmp_path / "one.parquet")).aggregate("count(*), max(instrument)").fetchall()
    )
    assert (count, name) == (one.rows, BTC)
    typed("convert", tmp_path / "one.tape", tmp_path / "one.npz")
    with np.load(tmp_path / "one.npz") as archive:
        rows = archive["data"]
    codes = rows["ev"] & 0xFF
    assert np.count_nonzero(codes == 2) == one.counts["trade"]
    assert np.count_nonzero(codes == 3) == 2 * sum(isinstance(event, BookSnapshot) for event in events(one))
    typed("convert", tmp_path / "one.npz", tmp_path / "back.tape", "--symbol", BTC, "--tick", "0.1", "--lot", "0.001")
    assert open_tape(tmp_path / "back.tape").counts["trade"] == one.counts["trade"]


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["convert", str(tmp_path / "none.gz"), str(tmp_path / "y.tape")])
    assert str(result.exception) == f"{tmp_path / 'none.gz'}: cannot be read: No such file or directory"


def test_inputs_of_different_kinds_are_refused(tape: Path, tmp_path: Path) -> None:
    other = tmp_path / "a.txt"
    other.write_bytes(SNAPSHOT_LINE)
    typed("convert", tape, other, tmp_path / "y.tape", code=2)
    typed("convert", other, tmp_path / "y.parquet", code=2)
    typed("convert", tape, tape, code=2)


def test_a_file_that_is_there_is_kept_unless_it_is_told_otherwise(tape: Path, tmp_path: Path) -> None:
    there = tmp_path / "y.tape"
    there.write_bytes(b"mine")
    for words in (("simulate", "--hours", "0.001"), ("cut", tape), ("convert", tape), ("fuse", tape), ("market", tape)):
        said = typed(*words, there, code=2).output
        assert "is there already; choose another OUTPUT, or write over it by --force" in " ".join(said.split())
        assert there.read_bytes() == b"mine"
    typed("cut", tape, there, "--instrument", BTC, "--force")
    assert [str(known.instrument_id) for known in open_tape(there).instruments] == [BTC]


def test_a_source_is_never_written_over(tape: Path, tmp_path: Path) -> None:
    before = tape.read_bytes()
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / "first.tape").hardlink_to(tape)
    link = tmp_path / "link.tape"
    link.symlink_to(tape)
    for words in (
        ("cut", tape, tape), ("cut", folder, folder / "first.tape"), ("convert", folder, folder / "first.tape"),
        ("convert", tape, link), ("convert", link, tape), ("fuse", tape, tape), ("market", tape, tape),
    ):  # fmt: skip
        assert "OUTPUT is one of the inputs" in typed(*words, "--force", code=2).output
    assert tape.read_bytes() == before


def test_a_simulated_tape_repeats_by_its_seed_and_is_good(tmp_path: Path) -> None:
    prints = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        typed("simulate", tmp_path / f"{name}.tape", "--hours", "0.01", "--seed", seed)
        prints.append(open_tape(tmp_path / f"{name}.tape").fingerprint)
    assert prints[0] == prints[1] != prints[2]
    found = json.loads(typed("check", tmp_path / "a.tape", "--json").output)
    assert found["errors"] == found["warnings"] == []
    assert set(found["instruments"]) == {"BTC_USDT_Perp", "ETH_USDT_Perp", "SOL_USDT_Perp"}
    assert all(row["trades"] > 20 and row["deltas"] > 100 for row in found["instruments"].values())


@pytest.mark.parametrize(
    ("words", "said"),
    [(("cut", "y.tape"), "perpmaker: File too large\n"), (("convert", "y.parquet"), "y.parquet: cannot be written: ")],
)
def test_a_file_that_cannot_grow_leaves_nothing_behind_and_is_told_in_one_line(
    tape: Path, tmp_path: Path, words: tuple[str, str], said: str
) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    command = [sys.executable, "-m", "perpmaker", "tape", words[0], str(tape), str(tmp_path / words[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, preexec_fn=small_files)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [tape.name]
