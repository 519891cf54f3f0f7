"""From asked to live, and what is held, dropped or refused on the way."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perpmaker.errors import DataError
from perpmaker.venues.grvt import streams
from perpmaker.venues.grvt.objects import Incoming, SubscribeResult, WireBook
from perpmaker.venues.grvt.subscription import MAX_HELD, Broken, Gap, State, StreamKind, Subscription

SELECTOR = "BTC_USDT_Perp@50"


class Heard:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def on_ready(self) -> None:
        self.log.append("ready")

    def on_frame(self, feed: Any, event_ns: int, *, snapshot: bool) -> None:
        assert event_ns == int(feed.event_time)
        self.log.append(("snapshot" if snapshot else "change", event_ns))

    def on_broken(self, reason: Broken, text: str) -> None:
        self.log.append(reason)


def frame(number: int | str, prev: int | str) -> Incoming:
    return Incoming(feed=msgspec.Raw(b"{}"), sequence_number=number, prev_sequence_number=prev)


def book(at: int) -> WireBook:
    return WireBook(str(at), "BTC_USDT_Perp", [], [])


def result(first: int | str = "10", selector: str = SELECTOR) -> SubscribeResult:
    return SubscribeResult(
        stream=streams.BOOK_CHANGES, subs=[selector], num_snapshots=[1], first_sequence_number=[first]
    )


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def asked(heard: Heard) -> Subscription:
    subscription = Subscription(streams.BOOK_CHANGES, SELECTOR, heard, StreamKind(needs_snapshot=True))
    subscription.asked(first_on_link=True)
    return subscription


def test_reply_snapshot_change(asked: Subscription, heard: Heard) -> None:
    asked.acknowledge(result())
    assert asked.state is State.ASKED
    asked.take(frame("0", "0"), book(1))
    assert asked.state is State.LIVE
    asked.take(frame(10, 9), book(2))
    assert heard.log == [("snapshot", 1), "ready", ("change", 2)]


def test_changes_before_the_snapshot_follow_it(asked: Subscription, heard: Heard) -> None:
    asked.acknowledge(result())
    asked.take(frame(10, 9), book(11))
    asked.take(frame(11, 10), book(12))
    assert heard.log == []
    asked.take(frame(0, 0), book(10))
    assert heard.log == [("snapshot", 10), ("change", 11), ("change", 12), "ready"]


def test_a_snapshot_that_overtakes_the_first_reply_counts(asked: Subscription, heard: Heard) -> None:
    asked.take(frame(0, 0), book(1))
    asked.take(frame(10, 9), book(2))
    asked.acknowledge(result())
    assert heard.log == [("snapshot", 1), ("change", 2), "ready"]


def test_a_snapshot_of_an_earlier_asking_does_not_count(asked: Subscription, heard: Heard) -> None:
    asked.asked(first_on_link=False)
    asked.take(frame(0, 0), book(1))
    asked.take(frame(8, 7), book(2))
    asked.acknowledge(result())
    assert heard.log == []
    asked.take(frame(0, 0), book(9))
    assert heard.log == [("snapshot", 9), "ready"]  # change 8 is inside the snapshot


def test_a_gap_is_raised_and_counted(asked: Subscription, heard: Heard) -> None:
    asked.acknowledge(result())
    asked.take(frame(0, 0), book(1))
    with pytest.raises(Gap):
        asked.take(frame(12, 11), book(2))
    assert asked.counters.gaps == 1
    assert ("change", 2) not in heard.log


def test_a_duplicate_is_dropped_and_counted(asked: Subscription, heard: Heard) -> None:
    asked.acknowledge(result())
    asked.take(frame(0, 0), book(1))
    asked.take(frame(10, 9), book(2))
    asked.take(frame(10, 9), book(2))
    assert heard.log.count(("change", 2)) == 1
    assert asked.counters.duplicates == 1


def test_after_a_stop_frames_are_ignored(asked: Subscription, heard: Heard) -> None:
    asked.acknowledge(result())
    assert asked.stop()
    asked.take(frame(0, 0), book(1))
    assert heard.log == []
    assert not asked.stop()


def test_a_late_reply_to_an_earlier_asking_changes_nothing(asked: Subscription, heard: Heard) -> None:
    asked.stop()
    asked.acknowledge(result())
    assert asked.state is State.IDLE


@pytest.mark.parametrize(
    "reply",
    [
        SubscribeResult(),
        result(selector="ETH_USDT_Perp@50"),
        SubscribeResult(subs=[SELECTOR]),
        result(first="x"),
        result(first=-1),
        SubscribeResult(unsubs=[SELECTOR], first_sequence_number=["1"]),
    ],
)
def test_a_reply_that_does_not_cover_it_is_refused(asked: Subscription, reply: SubscribeResult) -> None:
    with pytest.raises(DataError):
        asked.acknowledge(reply)


@pytest.mark.parametrize("numbers", [("", ""), ("x", "0"), (-1, 0), ("1e3", "2"), (5, "")])
def test_a_frame_without_usable_numbers_is_refused(asked: Subscription, numbers: tuple[Any, Any]) -> None:
    asked.acknowledge(result())
    with pytest.raises(DataError):
        asked.take(frame(*numbers), book(1))


def test_what_is_held_is_bounded(asked: Subscription) -> None:
    asked.acknowledge(result())
    for n in range(MAX_HELD):
        asked.take(frame(10 + n, 9 + n), book(n))
    with pytest.raises(Gap, match="no snapshot"):
        asked.take(frame(10 + MAX_HELD, 9 + MAX_HELD), book(1))


def test_whole_frames_go_on_over_a_gap(heard: Heard) -> None:
    subscription = Subscription(streams.BOOK, SELECTOR, heard, StreamKind(whole_frames=True))
    subscription.asked(first_on_link=True)
    subscription.acknowledge(result())
    subscription.take(frame(15, 14), book(1))
    subscription.take(frame(16, 15), book(2))
    assert heard.log == ["ready", ("change", 1), ("change", 2)]
    assert subscription.counters.gaps == 1
