"""The second venue's prices: how they leave the first's and come back."""

from __future__ import annotations

import math
from statistics import fmean, pstdev

import pytest

from perpmaker.exchange.core.market.basis import BasisParameters, FollowedPrice, Reversion, RevertingPrice, Together
from perpmaker.exchange.core.rng import Rng

S_NS = 1_000_000_000
STILL = Reversion(sd_bps=0.0, half_life_s=1.0)


class Flat:
    """A leader at one price."""

    def __init__(self, bps: float) -> None:
        self._bps = bps

    def bps(self, now_ns: int) -> float:
        return self._bps

    def seen_bps(self, now_ns: int) -> float:
        return self._bps - 1.0

    def jump(self, bps: float, now_ns: int) -> None:
        raise AssertionError("a follower does not move its leader")


def test_it_has_its_standard_deviation_and_half_life() -> None:
    price = RevertingPrice(Reversion(sd_bps=3.0, half_life_s=10.0, mean_bps=5.0), Rng(1), 0)
    values = [price.bps(second * S_NS) for second in range(40_000)]
    mean = fmean(values)
    kept = fmean((a - mean) * (b - mean) for a, b in zip(values, values[10:], strict=False)) / pstdev(values) ** 2
    assert mean == pytest.approx(5.0, abs=0.4)
    assert pstdev(values) == pytest.approx(3.0, rel=0.1)
    assert kept == pytest.approx(0.5, abs=0.08)


def test_a_push_fades_by_half_in_a_half_life() -> None:
    price = RevertingPrice(Reversion(sd_bps=0.0, half_life_s=10.0), Rng(1), 0)
    price.jump(8.0, 0)
    assert price.bps(10 * S_NS) == pytest.approx(4.0)
    assert price.bps(30 * S_NS) == pytest.approx(1.0)


def follower(basis: BasisParameters, start_bps: float = 0.0) -> FollowedPrice:
    rate = RevertingPrice(STILL, Rng(2), 0)
    return FollowedPrice(Flat(7.0), rate, basis, Rng(1), 0, start_bps=start_bps)


def test_without_a_basis_it_is_the_leader_on_its_own_scale() -> None:
    price = follower(BasisParameters(noise=STILL, drift=STILL), start_bps=2.0)
    assert price.bps(S_NS) == pytest.approx(9.0)
    assert price.seen_bps(S_NS) == pytest.approx(8.0)


def test_makers_see_a_push_late_and_the_leader_never() -> None:
    price = follower(BasisParameters(noise=Reversion(0.0, 1e9), drift=STILL, delay_s=0.1))
    price.seen_bps(S_NS)
    price.jump(4.0, 2 * S_NS)
    assert price.bps(2 * S_NS) == pytest.approx(11.0)
    assert price.seen_bps(2 * S_NS) == pytest.approx(6.0)
    assert price.seen_bps(2 * S_NS + S_NS // 5) == pytest.approx(10.0)


def test_same_seed_is_the_same_basis() -> None:
    paths = [[follower(BasisParameters()).bps(second * S_NS) for second in range(5)] for _ in range(2)]
    assert paths[0] == paths[1]
    assert all(math.isfinite(value) for value in paths[0])


class Steps:
    """A source that acts at given times, and says so."""

    def __init__(self, name: str, times: list[int], said: list[tuple[str, int]]) -> None:
        self._name = name
        self._times = times
        self._said = said
        self.now_ns = 0

    def next_event_ns(self) -> int | None:
        return self._times[0] if self._times else None

    def advance(self, now_ns: int) -> None:
        while self._times and self._times[0] <= now_ns:
            self._said.append((self._name, self._times.pop(0)))
        self.now_ns = now_ns


def test_sources_act_in_order_of_time_and_end_at_the_same() -> None:
    said: list[tuple[str, int]] = []
    sources = [Steps("a", [1, 4, 9], said), Steps("b", [2, 3, 4], said)]
    together = Together(sources)
    assert together.next_event_ns() == 1
    together.advance(8)
    assert said == [("a", 1), ("b", 2), ("b", 3), ("a", 4), ("b", 4)]
    assert [source.now_ns for source in sources] == [8, 8]
    assert together.next_event_ns() == 9
    together.advance(20)
    assert together.next_event_ns() is None
