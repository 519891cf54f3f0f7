from perpmaker.dashboard.pacing import FRAME_NS, HEARTBEAT_NS, MAX_UNACKNOWLEDGED, STALL_NS, Allowance, Pacing

SECOND = 1_000_000_000
START = 100 * SECOND


def test_the_first_frame_is_due_at_once() -> None:
    due_ns = Pacing().due_ns(version=0)
    assert due_ns is not None
    assert due_ns <= 0


def test_news_waits_for_a_tenth_of_a_second_after_the_last_frame() -> None:
    pacing = Pacing()
    pacing.acknowledged(pacing.sent(START, version=1), START)
    due_ns = pacing.due_ns(version=2)
    assert due_ns is not None
    assert START + 0.9 * FRAME_NS <= due_ns <= START + FRAME_NS


def test_without_news_a_heartbeat_comes_twice_a_second() -> None:
    pacing = Pacing()
    pacing.acknowledged(pacing.sent(START, version=1), START)
    assert pacing.due_ns(version=1) == START + HEARTBEAT_NS


def test_at_most_two_frames_are_unacknowledged() -> None:
    pacing = Pacing()
    for count in range(MAX_UNACKNOWLEDGED):
        assert pacing.due_ns(version=count) is not None
        pacing.sent(START, version=count)
    assert pacing.due_ns(version=9) is None
    pacing.acknowledged(1, START)
    assert pacing.due_ns(version=9) is not None


def test_acknowledging_a_frame_acknowledges_those_before_it() -> None:
    pacing = Pacing()
    pacing.sent(START, version=1)
    number = pacing.sent(START + FRAME_NS, version=2)
    pacing.acknowledged(number, START + FRAME_NS + 7)
    assert pacing.stalled_at_ns() is None
    assert pacing.lag_ns == 7


def test_a_browser_that_acknowledges_nothing_stalls_within_ten_seconds() -> None:
    pacing = Pacing()
    pacing.sent(START, version=1)
    pacing.sent(START + SECOND, version=2)
    assert pacing.stalled_at_ns() == START + STALL_NS
    assert STALL_NS < 10 * SECOND


def test_frames_are_numbered_from_one_without_a_break() -> None:
    pacing = Pacing()
    assert [pacing.sent(START, version=1) for _ in range(3)] == [1, 2, 3]


def test_an_allowance_gives_its_burst_and_then_its_rate() -> None:
    allowance = Allowance(rate=2.0, burst=3.0, now_ns=START)
    assert [allowance.take(START) for _ in range(4)] == [True, True, True, False]
    assert allowance.take(START + SECOND // 2)
    assert not allowance.take(START + SECOND // 2)
    assert [allowance.take(START + 100 * SECOND) for _ in range(4)] == [True, True, True, False]
