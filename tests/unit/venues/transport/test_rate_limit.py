"""Creates are shed first; cancels always get through, except into a silence that a cancel itself earned."""

from __future__ import annotations

import pytest

from perpmaker.clock import ManualClock
from perpmaker.errors import ConfigError
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.venues.transport.rate_limit import Rate, RateLimiter

CREATE, READ, CANCEL = "create", "read", "cancel"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def limiter(clock: ManualClock) -> RateLimiter:
    return RateLimiter(
        clock,
        {CREATE: Rate(20, 20), READ: Rate(5, 5), CANCEL: Rate(10, 10)},
        total=Rate(30, 40),
        protected=[CANCEL],
        reserve=0.3,
    )


def taken(limiter: RateLimiter, kind: str, upto: int = 1000) -> int:
    count = 0
    while count < upto and limiter.try_take(kind):
        count += 1
    return count


def test_a_kind_has_its_own_burst_and_rate(limiter: RateLimiter, clock: ManualClock) -> None:
    assert taken(limiter, READ) == 5
    clock.advance(400 * NS_PER_MS)
    assert taken(limiter, READ) == 2
    clock.advance(3600 * NS_PER_S)
    assert taken(limiter, READ) == 5


def test_unprotected_kinds_leave_the_reserved_share_to_cancels(limiter: RateLimiter) -> None:
    assert taken(limiter, CREATE) + taken(limiter, READ) == 25
    clockless = RateLimiter(
        ManualClock(), {CREATE: Rate(20, 100), CANCEL: Rate(10, 10)}, total=Rate(30, 40), protected=[CANCEL]
    )
    assert taken(clockless, CREATE) == 28  # 40 less 30 %
    assert taken(clockless, CANCEL, 12) == 12


def test_cancels_are_never_refused_by_a_budget_and_their_debt_sheds_creates(
    limiter: RateLimiter, clock: ManualClock
) -> None:
    assert taken(limiter, CANCEL, 500) == 500
    assert not limiter.try_take(CREATE)
    clock.advance(NS_PER_S)
    assert not limiter.try_take(CREATE)
    clock.advance(3 * NS_PER_S)
    assert limiter.try_take(CREATE)


def test_a_refused_take_takes_nothing(limiter: RateLimiter) -> None:
    assert not limiter.try_take(CREATE, 21)
    assert limiter.try_take(CREATE, 20)


def test_the_wait_is_exactly_as_long_as_needed(limiter: RateLimiter, clock: ManualClock) -> None:
    taken(limiter, CREATE)
    wait_s = limiter.wait_s(CREATE, 4)
    assert wait_s == pytest.approx(0.2)
    clock.advance(int(wait_s * NS_PER_S) - NS_PER_MS)
    assert not limiter.try_take(CREATE, 4)
    clock.advance(2 * NS_PER_MS)
    assert limiter.try_take(CREATE, 4)


def test_a_penalty_silences_everything_unprotected_for_as_long_as_the_venue_says(
    limiter: RateLimiter, clock: ManualClock
) -> None:
    limiter.penalise(CREATE, 3.0)
    assert not limiter.try_take(CREATE)
    assert not limiter.try_take(READ)
    assert limiter.left(CREATE) == 0.0
    assert limiter.penalty_s() == 3.0
    assert limiter.wait_s(READ) == pytest.approx(3.0)
    assert limiter.try_take(CANCEL)
    clock.advance(3 * NS_PER_S)
    assert limiter.try_take(CREATE)
    assert limiter.penalty_s() == 0.0


def test_a_penalty_that_a_cancel_earned_holds_cancels_for_a_second_at_most(
    limiter: RateLimiter, clock: ManualClock
) -> None:
    limiter.penalise(CANCEL, 30.0)
    assert not limiter.try_take(CANCEL)
    assert limiter.wait_s(CANCEL) == pytest.approx(1.0)
    clock.advance(NS_PER_S)
    assert limiter.try_take(CANCEL)
    assert not limiter.try_take(CREATE)


def test_a_penalty_without_a_time_lasts_a_second_and_a_shorter_one_never_shortens(
    limiter: RateLimiter, clock: ManualClock
) -> None:
    limiter.penalise(CREATE, 0.0)
    assert limiter.penalty_s() == 1.0
    limiter.penalise(CREATE, 5.0)
    limiter.penalise(CREATE, 0.5)
    assert limiter.penalty_s() == 5.0
    limiter.penalise(CREATE, 1e9)
    assert limiter.penalty_s() == 600.0


def test_what_is_left_is_what_could_be_taken(limiter: RateLimiter) -> None:
    assert limiter.left(CREATE) == 20
    taken(limiter, CREATE)
    assert limiter.left(CREATE) == 0
    assert limiter.left(CANCEL) == 10
    taken(limiter, CANCEL, 15)
    assert limiter.left(CANCEL) == 0


@pytest.mark.parametrize("reserve", [0.0, 0.29, 1.0, -1.0])
def test_less_than_the_reserved_share_is_refused(reserve: float) -> None:
    with pytest.raises(ConfigError, match="reserved"):
        RateLimiter(ManualClock(), {}, total=Rate(1, 1), protected=[], reserve=reserve)


@pytest.mark.parametrize("rate", [Rate(0, 1), Rate(1, 0), Rate(-1, 1)])
def test_an_impossible_rate_is_refused(rate: Rate) -> None:
    with pytest.raises(ConfigError, match="budget"):
        RateLimiter(ManualClock(), {CREATE: rate}, total=Rate(1, 1), protected=[])
