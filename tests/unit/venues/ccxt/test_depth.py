"""The rule that makes a book of changes whole: drop what it has, span its id, then no gap."""

from __future__ import annotations

from perpmaker.venues.ccxt.depth import Sequencer, Step
from perpmaker.venues.ccxt.frames import Depth


def change(first: int, last: int) -> Depth:
    return Depth(first, last, (), (), last)


def whole(last: int) -> Depth:
    return Depth(0, last, ((1, 1),), ((2, 1),), last)


def passed(sequencer: Sequencer) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in sequencer.ready]


def test_the_first_change_asks_for_the_whole_book_and_later_ones_wait_for_it() -> None:
    sequencer = Sequencer()
    assert sequencer.on_change(change(5, 6)) is Step.ASK
    assert sequencer.on_change(change(7, 7)) is Step.NOTHING
    assert sequencer.on_whole(whole(5)) is Step.EMIT
    assert passed(sequencer) == [(0, 5), (5, 6), (7, 7)]
    assert sequencer.on_change(change(8, 9)) is Step.EMIT


def test_changes_that_the_whole_book_has_already_are_dropped() -> None:
    sequencer = Sequencer()
    sequencer.on_change(change(5, 6))
    assert sequencer.on_whole(whole(8)) is Step.EMIT
    assert passed(sequencer) == [(0, 8)]
    assert sequencer.on_change(change(7, 8)) is Step.NOTHING
    assert sequencer.on_change(change(9, 9)) is Step.EMIT


def test_a_whole_book_older_than_the_changes_is_asked_for_again() -> None:
    sequencer = Sequencer()
    sequencer.on_change(change(5, 6))
    assert sequencer.on_whole(whole(3)) is Step.ASK
    assert not sequencer.is_whole
    assert sequencer.on_whole(whole(4)) is Step.EMIT


def test_a_missing_change_is_a_gap_and_a_new_whole_book_is_needed() -> None:
    sequencer = Sequencer()
    sequencer.on_change(change(5, 6))
    sequencer.on_whole(whole(6))
    assert sequencer.on_change(change(8, 8)) is Step.GAP
    assert not sequencer.is_whole
    assert sequencer.on_whole(whole(7)) is Step.EMIT
    assert passed(sequencer) == [(0, 7), (8, 8)]


def test_a_gap_among_the_waiting_changes_needs_a_book_after_it() -> None:
    sequencer = Sequencer()
    sequencer.on_change(change(5, 6))
    sequencer.on_change(change(9, 9))
    assert sequencer.on_whole(whole(5)) is Step.ASK
    assert sequencer.on_whole(whole(8)) is Step.EMIT
    assert passed(sequencer) == [(0, 8), (9, 9)]


def test_after_forgetting_everything_begins_anew() -> None:
    sequencer = Sequencer()
    sequencer.on_change(change(5, 6))
    sequencer.on_whole(whole(6))
    sequencer.forget()
    assert sequencer.on_change(change(1, 1)) is Step.ASK
