"""A recording survives a kill at any byte, stands for itself file by file, and becomes a tape."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.tape.market import BTC, ETH, START_NS, listed, random_events, snapshot

from perpmaker.errors import DataError
from perpmaker.model.events import BookSnapshot, BookStale, Event, InstrumentListed, StaleReason
from perpmaker.model.units import NS_PER_S
from perpmaker.tape import live
from perpmaker.tape.live import LiveFile, read_live
from perpmaker.tape.recorder import Recorder, compact
from perpmaker.tape.rows import decode_event

ROOT = Path(__file__).resolve().parents[3]


def told(path: Path) -> list[Event]:
    return [decode_event(line.json.decode()) for line in read_live(path) if line.tag == live.EVENT]


def listings() -> list[Event]:
    return [
        InstrumentListed(listed(BTC).instrument, START_NS),
        InstrumentListed(listed(ETH, "0.01").instrument, START_NS),
    ]


def filled(path: Path, blocks: int = 5) -> bytes:
    file = LiveFile(path)
    for number in range(blocks):
        file.add(live.EVENT, b'{"block":%d}' % number)
        file.add(live.COMMAND, b'{"more":%d}' % number)
        file.flush()
    file.close()
    return path.read_bytes()


def test_lines_come_back_as_they_were_added(tmp_path: Path) -> None:
    filled(tmp_path / "a.live", 2)
    assert [line.tag + line.json for line in read_live(tmp_path / "a.live")] == [
        b'E{"block":0}', b'C{"more":0}', b'E{"block":1}', b'C{"more":1}',
    ]  # fmt: skip


def test_a_file_cut_at_any_byte_gives_its_whole_blocks_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.live"
    whole = filled(path)
    seen = set()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        before = list(read_live(path))
        seen.add(len(before))
        file = LiveFile(path)
        assert file.torn_bytes == length - live.whole_bytes(path)
        file.add(live.EVENT, b"{}")
        file.close()
        assert list(read_live(path)) == [*before, live.Line(b"E", b"{}")]
    assert seen == {0, 2, 4, 6, 8}


def test_damage_before_the_end_is_an_error_not_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "a.live"
    whole = filled(path)
    path.write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
    with pytest.raises(DataError, match=r"damaged at byte 0: whole blocks follow"):
        list(read_live(path))


def test_a_flush_that_fails_keeps_its_lines_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.live"
    file = LiveFile(path)
    file.add(live.EVENT, b"{}")
    real = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 5:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(live.os, "write", half)
    with pytest.raises(OSError, match="No space"):
        file.flush()
    assert path.stat().st_size == 0
    monkeypatch.undo()
    file.close()
    assert len(list(read_live(path))) == 1


def test_each_file_begins_with_rules_and_books_so_that_it_stands_for_itself(tmp_path: Path) -> None:
    finished: list[Path] = []
    recorder = Recorder(tmp_path, rotate_ns=NS_PER_S, compact=finished.append)
    events = [event for event in random_events(3000) if not isinstance(event, BookStale)]
    for event in [*listings(), *events]:
        recorder.take(event)
        recorder.flush(event.ts_recv_ns, sync=False)
    recorder.close()
    assert len(finished) > 3
    for path in finished[1:]:
        first = told(path)[:4]
        assert [type(event) for event in first] == [InstrumentListed] * 2 + [BookSnapshot] * 2
    assert recorder.events == len(events) + 2
    assert sum(seen.trades for seen in recorder.seen.values()) == sum(type(e).__name__ == "Trade" for e in events)


def test_new_rules_of_an_instrument_begin_a_new_file(tmp_path: Path) -> None:
    """A tick of before must not be read as one of now."""
    finished: list[Path] = []
    recorder = Recorder(tmp_path, compact=finished.append)
    changed = InstrumentListed(listed(BTC, "0.5").instrument, START_NS + 9)
    for event in (*listings(), snapshot(START_NS, BTC), snapshot(START_NS, ETH), changed, snapshot(START_NS + 10, BTC)):
        recorder.take(event)
    recorder.close()
    first, second = (told(path) for path in finished)
    assert len(first) == 4
    assert [type(event) for event in second] == [InstrumentListed, BookSnapshot, InstrumentListed, BookSnapshot]
    assert second[0] == InstrumentListed(listed(ETH, "0.01").instrument, START_NS + 9)
    assert second[2:] == [changed, snapshot(START_NS + 10, BTC)]


def test_what_nobody_wants_is_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, wanted=frozenset({BTC}))
    for event in [*listings(), *random_events(300)]:
        recorder.take(event)
    recorder.close()
    (path,) = tmp_path.iterdir()
    assert {getattr(event, "instrument", None) for event in told(path)[1:]} == {BTC}


def test_a_recording_becomes_the_tape_of_its_events(tmp_path: Path) -> None:
    pytest.importorskip("numpy", reason="tapes need the research extra")
    from perpmaker.tape.reader import events, open_tape

    given = [*listings(), *random_events(3000)]
    recorder = Recorder(tmp_path, compact=compact)
    for event in given:
        recorder.take(event)
    recorder.close()
    tape = open_tape(tmp_path)
    assert list(events(tape)) == given
    assert [path.suffix for path in tmp_path.iterdir()] == [".tape"]


WRITER = """
import sys
from pathlib import Path
from perpmaker.tape.recorder import Recorder
from tests.unit.tape.test_recorder import listings
from tests.unit.tape.market import random_events

recorder = Recorder(Path(sys.argv[1]))
for event in listings():
    recorder.take(event)
seed, number = 0, 0
while True:
    seed += 1
    for event in random_events(500, seed):
        recorder.take(event)
        number += 1
        if number % 100 == 0:
            recorder.flush(0)
            print(number, flush=True)
"""


@pytest.mark.mostly_waits
@pytest.mark.timeout(300)
def test_a_kill_loses_nothing_that_was_flushed_and_the_next_life_goes_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 2000:
                break
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    told_last = int(rest[-1]) if rest else int(line)
    taken: list[Path] = []
    recorder = Recorder(tmp_path, compact=taken.append)
    left = recorder.resume()
    assert left == taken
    assert len(left) == 1
    events = told(left[0])[2:]
    assert len(events) >= told_last
    expected = [event for seed in range(1, len(events) // 500 + 2) for event in random_events(500, seed)]
    assert events == expected[: len(events)]
    for event in [*listings(), *random_events(10, 9)]:
        recorder.take(event)
    recorder.close()
    [_, second] = sorted(tmp_path.glob("*.live"), key=lambda path: path.stat().st_mtime_ns)
    doubts = [event for event in told(second)[:4] if isinstance(event, BookStale)]
    assert [(event.instrument, event.reason) for event in doubts] == [
        (BTC, StaleReason.DISCONNECTED),
        (ETH, StaleReason.DISCONNECTED),
    ]
