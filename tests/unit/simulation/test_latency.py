"""Latency models, chance, pace: small, and the same on every machine."""

from __future__ import annotations

import pytest

from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import (
    Chance,
    ConstantLatency,
    FollowingLatency,
    InterpolatedLatency,
    LatencyPoint,
    SampledLatency,
)
from perpmaker.simulation.latency import MAX_HOLD_NS
from perpmaker.simulation.pace import Pace


def test_the_seeded_draws_are_splitmix64s() -> None:
    """First outputs for seed 0 as published with the algorithm: e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f."""
    chance = Chance(0)
    assert [chance.below(1 << 64) for _ in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_chance_happens_about_as_often_as_it_is_told_to() -> None:
    chance = Chance(5)
    assert 900 < sum(chance.happens(100) for _ in range(10_000)) < 1_100
    assert not any(chance.happens(0) for _ in range(100))
    assert all(chance.happens(1000) for _ in range(100))


def test_samples_are_drawn_with_replacement_and_repeat_with_the_seed() -> None:
    def drawn(seed: int) -> list[int]:
        latency = SampledLatency([1, 2, 3], [10, 20, 30], Chance(seed))
        return [latency.entry_ns(0) for _ in range(20)] + [latency.response_ns(0) for _ in range(20)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert set(drawn(1)) == {1, 2, 3, 10, 20, 30}
    assert SampledLatency([1], [10, 20, 30], Chance(1)).hold_ns == 20


def test_between_points_latency_is_linear_and_flat_beyond_them() -> None:
    latency = InterpolatedLatency([LatencyPoint(2000, 30, 60), LatencyPoint(1000, 10, 20)])
    assert [latency.entry_ns(at) for at in (0, 1000, 1250, 1500, 2000, 9000)] == [10, 10, 15, 20, 30, 30]
    assert [latency.response_ns(at) for at in (0, 1500, 9000)] == [20, 40, 60]


def test_orders_are_as_slow_as_the_feed_was_last_but_never_faster_than_the_floor() -> None:
    latency = FollowingLatency(floor_ns=5, entry_per_cent=200, response_per_cent=50)
    assert (latency.entry_ns(0), latency.response_ns(0)) == (10, 5)
    latency.heard(1000, 1040)
    assert (latency.entry_ns(0), latency.response_ns(0)) == (80, 20)


def test_the_venue_waits_for_the_feed_follows_it_at_once_and_falls_back_slowly() -> None:
    latency = ConstantLatency(0, 5 * NS_PER_MS)
    assert latency.hold_ns == 5 * NS_PER_MS
    latency.heard(0, 80 * NS_PER_MS)
    assert latency.hold_ns == 80 * NS_PER_MS
    for _ in range(100):
        latency.heard(0, 6 * NS_PER_MS)
    assert 50 * NS_PER_MS < latency.hold_ns < 60 * NS_PER_MS
    for _ in range(2000):
        latency.heard(0, 6 * NS_PER_MS)
    assert latency.hold_ns == 6 * NS_PER_MS
    latency.heard(0, MAX_HOLD_NS + 1)
    assert latency.hold_ns == 6 * NS_PER_MS  # a stray one
    latency.heard(0, MAX_HOLD_NS)
    assert latency.hold_ns == MAX_HOLD_NS


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConstantLatency(-1, 0),
        lambda: SampledLatency([], [1], Chance(1)),
        lambda: SampledLatency([1], [-1], Chance(1)),
        lambda: InterpolatedLatency([]),
        lambda: FollowingLatency(floor_ns=-1),
    ],
)
def test_a_latency_that_cannot_be_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"latenc"):
        make()  # type: ignore[operator]


def test_every_model_says_what_it_assumes() -> None:
    models = (
        ConstantLatency(NS_PER_MS, 2 * NS_PER_MS),
        SampledLatency([1], [2 * NS_PER_MS], Chance(1)),
        InterpolatedLatency([LatencyPoint(0, 1, 2 * NS_PER_MS)]),
        FollowingLatency(floor_ns=2 * NS_PER_MS),
    )
    assert [model.describe().partition(",")[0] for model in models] == [
        "constant", "measured", "interpolated between 1 points", "following the feed"
    ]  # fmt: skip
    assert all("2 ms" in model.describe() for model in models)


def test_a_pace_lets_a_burst_through_and_then_its_rate() -> None:
    pace = Pace(2, 3)
    assert [pace.take(0) for _ in range(4)] == [True, True, True, False]
    assert not pace.take(NS_PER_S // 2 - 1)
    assert pace.take(NS_PER_S // 2)
    assert [pace.take(100 * NS_PER_S) for _ in range(4)] == [True, True, True, False]
