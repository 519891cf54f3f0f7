"""However frames are lost, repeated and reordered, what is published is the venue's book at that frame, or nothing is."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from perpmaker.clock import ManualClock
from perpmaker.errors import DataError
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt import streams
from perpmaker.venues.grvt.objects import Incoming, SubscribeResult, WireBook
from perpmaker.venues.grvt.subscription import Broken, State, StreamKind, Subscription
from perpmaker.venues.transport.backoff import AttemptCap
from perpmaker.venues.transport.rate_limit import Rate, RateLimiter

FIRST = 100


class Built:
    """Adds up changes: after change n its value is n, if and only if nothing was lost, repeated or reordered."""

    def __init__(self) -> None:
        self.value: int | None = None
        self.log: list[int] = []

    def on_ready(self) -> None: ...

    def on_frame(self, feed: Any, event_ns: int, *, snapshot: bool) -> None:
        number = event_ns
        if snapshot:
            self.value = number
        else:
            assert self.value is not None
            assert number == self.value + 1
            self.value = number
        self.log.append(number)

    def on_broken(self, reason: Broken, text: str) -> None: ...


def frame(number: int) -> tuple[Incoming, WireBook]:
    wire = Incoming(feed=msgspec.Raw(b"{}"), sequence_number=str(number), prev_sequence_number=str(number - 1))
    return wire, WireBook(str(number), "X", [], [])


def snapshot_at(number: int) -> tuple[Incoming, WireBook]:
    wire = Incoming(feed=msgspec.Raw(b"{}"), sequence_number="0", prev_sequence_number="0")
    return wire, WireBook(str(number), "X", [], [])


MISHAPS = st.lists(st.sampled_from(["next", "next", "next", "lose", "repeat", "swap", "old"]), max_size=60)


@settings(max_examples=500, deadline=None)
@given(MISHAPS, st.integers(0, 5))
def test_what_is_built_is_gapless_or_stopped(mishaps: list[str], early: int) -> None:
    built = Built()
    subscription = Subscription(streams.BOOK_CHANGES, "X@50", built, StreamKind(needs_snapshot=True))
    subscription.asked(first_on_link=True)
    number = FIRST
    for n in range(early):  # changes that overtake the acknowledgement
        subscription.take(*frame(number + n))
    number += early
    subscription.acknowledge(SubscribeResult(subs=["X@50"], first_sequence_number=[str(FIRST)]))
    subscription.take(*snapshot_at(FIRST - 1))
    assert built.value == number - 1
    for mishap in mishaps:
        try:
            if mishap == "lose":
                number += 1
            elif mishap == "repeat":
                subscription.take(*frame(number - 1))
            elif mishap == "old":
                subscription.take(*frame(max(number - 7, 1)))
            elif mishap == "swap":
                subscription.take(*frame(number + 1))
            else:
                subscription.take(*frame(number))
                number += 1
        except DataError:
            subscription.stop()
            break
    published = [n for n in built.log if n >= FIRST]
    assert published == list(range(FIRST, FIRST + len(published)))
    if subscription.state is State.LIVE and built.value is not None:
        assert built.value == FIRST - 1 + len(published)


@given(st.lists(st.floats(0, 30), max_size=60))
def test_no_window_holds_more_attempts_than_the_cap(pauses: list[float]) -> None:
    cap = AttemptCap(limit=6, window_s=60.0)
    now_ns, made = 0, []
    for pause_s in pauses:
        now_ns += int(pause_s * NS_PER_S)
        now_ns += round(cap.wait_s(now_ns) * NS_PER_S)
        cap.note(now_ns)
        made.append(now_ns)
    for start in made:
        assert sum(start <= at < start + 60 * NS_PER_S for at in made) <= 6


@given(
    st.lists(st.tuples(st.sampled_from(["create", "cancel", "read", "penalty", "wait"]), st.floats(0, 3)), max_size=200)
)
def test_cancels_always_pass_and_creates_leave_the_reserve(steps: list[tuple[str, float]]) -> None:
    clock = ManualClock()
    limiter = RateLimiter(
        clock,
        {"create": Rate(20, 20), "read": Rate(5, 5), "cancel": Rate(10, 10)},
        total=Rate(30, 40),
        protected=["cancel"],
    )
    level, silent_until_ns = 40.0, 0
    for step, amount in steps:
        now_ns = clock.monotonic_ns()
        if step == "wait":
            clock.advance(int(amount * NS_PER_S))
            level = min(level + amount * 30, 40)
        elif step == "penalty":
            limiter.penalise("create", amount)
            silent_until_ns = max(silent_until_ns, now_ns + int((amount or 1.0) * NS_PER_S))
        elif step == "cancel":
            assert limiter.try_take("cancel")
            level = max(level - 1, -40)
        elif limiter.try_take(step):
            level -= 1
            assert level >= 40 * 0.3 - 1e-6
            assert now_ns >= silent_until_ns
