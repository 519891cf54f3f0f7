"""Best prices that become part of the book: what is better is gone, and an older frame does not bring it back."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("numpy", reason="tapes need the research extra")

from tests.unit.tape.market import BTC, listed

from perpmaker.cli.tape import command
from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import BookDelta, BookSnapshot, Event, Trade
from perpmaker.tape.columns import columns_of
from perpmaker.tape.fuse import Fused, fuse
from perpmaker.tape.levels import Levels
from perpmaker.tape.own import PIECE, is_session
from perpmaker.tape.reader import events, open_tape
from perpmaker.tape.rows import Rows
from perpmaker.tape.schema import Kind
from perpmaker.tape.writer import TapeWriter

MS = 1_000_000
START = 1_700_000_000_000 * MS


class Told:
    """Messages at milliseconds, heard 5 ms later, numbered by the venue."""

    def __init__(self) -> None:
        self.rows = Rows([listed(BTC)])

    def snapshot(self, ms: int, bids: list[Level], asks: list[Level], number: int) -> Told:
        self.rows.levels(Kind.SNAPSHOT, BTC, bids, asks, START + ms * MS, START + (ms + 5) * MS, number)
        return self

    def frame(self, ms: int, bids: list[Level], asks: list[Level], number: int, *, heard: int = 0) -> Told:
        recv_ns = START + (heard or ms + 5) * MS
        self.rows.levels(Kind.DELTA, BTC, bids, asks, START + ms * MS, recv_ns, number)
        return self

    def best(self, ms: int, bid: Level, ask: Level, number: int, *, has_time: bool = True) -> Told:
        event_ns = START + ms * MS if has_time else 0
        self.rows.bbo(BTC, {1: bid, -1: ask}, number, event_ns, START + (ms + 5) * MS)
        return self

    def fused(self, folder: Path) -> tuple[list[Event], Fused]:
        with TapeWriter(folder / "a.tape", [listed(BTC)]) as writer:
            writer.add_columns(columns_of(self.rows.values))
        found = fuse(open_tape(folder / "a.tape"), folder / "b.tape")
        return list(events(open_tape(folder / "b.tape"))), found


def top(told: list[Event]) -> tuple[dict[int, int], dict[int, int]]:
    """The book after all of it."""
    book = Levels()
    for event in told:
        if isinstance(event, BookSnapshot):
            book.start(event.bids, event.asks)
        elif isinstance(event, BookDelta):
            book.change(event.bids, event.asks)
    return book.bids, book.asks


def begun() -> Told:
    return Told().snapshot(0, [(100, 10), (99, 20), (98, 5)], [(101, 10), (102, 20)], 10)


def test_what_is_better_than_the_best_is_gone_and_the_best_holds_what_is_said(tmp_path: Path) -> None:
    told, found = begun().best(3, (98, 7), (99, 4), 12).fused(tmp_path)
    assert top(told) == ({98: 7}, {99: 4, 101: 10, 102: 20})
    assert (found.changed, found.known, found.unplaced) == (1, 0, 0)
    assert told[-1].ts_recv_ns == START + 8 * MS


def test_an_older_frame_does_not_undo_what_best_prices_said_and_a_newer_one_does(tmp_path: Path) -> None:
    market = begun().best(3, (99, 7), (101, 10), 12)
    market.frame(2, [(100, 9), (99, 6), (97, 1)], [], 11, heard=9)  # heard later, but older
    told, _ = market.fused(tmp_path)
    assert top(told)[0] == {99: 7, 98: 5, 97: 1}
    newer = begun().best(3, (99, 7), (101, 10), 12).frame(6, [(100, 3)], [], 14)
    (tmp_path / "newer").mkdir()
    assert top(newer.fused(tmp_path / "newer")[0])[0] == {100: 3, 99: 7, 98: 5}


def test_a_frame_whose_every_level_is_old_still_tells_that_the_feed_lives(tmp_path: Path) -> None:
    told, _ = begun().best(3, (99, 7), (101, 10), 12).frame(2, [(99, 6)], [], 11, heard=9).fused(tmp_path)
    last = told[-1]
    assert isinstance(last, BookDelta)
    assert (last.bids, last.asks, last.ts_recv_ns) == ((), (), START + 9 * MS)


def test_best_prices_without_a_book_or_a_time_are_left_as_they_are(tmp_path: Path) -> None:
    early = Told().best(0, (90, 1), (91, 1), 1).snapshot(1, [(100, 10)], [(101, 10)], 10)
    told, found = early.best(3, (100, 4), (101, 10), 12, has_time=False).fused(tmp_path)
    assert top(told) == ({100: 10}, {101: 10})
    assert found.unplaced == 2


def test_trades_stay_where_they_were(tmp_path: Path) -> None:
    market = begun()
    market.rows.print(BTC, 1, 101, 4, "7", START + 2 * MS, START + 7 * MS)
    told, _ = market.best(3, (100, 10), (101, 6), 12).fused(tmp_path)
    assert [type(event) for event in told] == [BookSnapshot, Trade, BookDelta]


def test_the_command_says_what_became_of_them_and_refuses_a_tape_without(tmp_path: Path) -> None:
    begun().best(3, (98, 7), (99, 4), 12).fused(tmp_path)
    done = CliRunner().invoke(command, ["fuse", str(tmp_path / "a.tape"), str(tmp_path / "c.tape")])
    assert "1 messages of best prices changed the book, 0 said nothing new" in done.output
    with TapeWriter(tmp_path / "none.tape", [listed(BTC)]) as writer:
        writer.add_columns(columns_of(begun().rows.values))
    with pytest.raises(DataError, match="no stream of best prices"):
        fuse(open_tape(tmp_path / "none.tape"), tmp_path / "d.tape")


def test_what_was_noted_of_the_tape_and_of_each_file_of_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    for number, notes in ((1, {"latency": "20 ms", "bad rows of a": "2"}), (2, {"latency": "20 ms"})):
        told = Told().snapshot(100 * number, [(100, 5)], [(102, 5)], 1).best(100 * number + 3, (98, 7), (99, 4), 2)
        with TapeWriter(tmp_path / "day" / f"{number}.tape", [listed(BTC)]) as writer:
            writer.notes |= notes
            writer.add_columns(columns_of(told.rows.values))
    for source, kept in ((tmp_path / "day", "1.tape: 2"), (tmp_path / "day" / "1.tape", "2")):
        tape = open_tape(source)
        fuse(tape, tmp_path / "fused.tape")
        assert open_tape(tmp_path / "fused.tape").contents.notes == {  # type: ignore[attr-defined]
            "latency": "20 ms",
            "bad rows of a": kept,
            "best prices in the book": tape.fingerprint,
        }


def test_a_session_is_still_known_as_one(tmp_path: Path) -> None:
    """Its first row told it; what came after that has none that does."""
    told = Told().snapshot(0, [(100, 5)], [(102, 5)], 1).best(10, (101, 1), (102, 5), 2)
    with TapeWriter(tmp_path / "piece.tape", [listed(BTC)]) as writer:
        writer.notes[PIECE] = "life.tape"
        writer.add_columns(columns_of(told.rows.values))
    fuse(open_tape(tmp_path / "piece.tape"), tmp_path / "fused.tape")
    assert is_session(open_tape(tmp_path / "fused.tape"))
    assert open_tape(tmp_path / "fused.tape").contents.notes[PIECE] == "life.tape"  # type: ignore[attr-defined]
    told.fused(tmp_path)
    assert not is_session(open_tape(tmp_path / "b.tape"))
