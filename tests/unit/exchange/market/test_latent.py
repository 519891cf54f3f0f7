"""The latent price."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

from perpmaker.exchange.core.market.latent import LatentPrice
from perpmaker.exchange.core.market.parameters import LatentParameters
from perpmaker.exchange.core.rng import Rng

S_NS = 1_000_000_000
STEADY = LatentParameters(sigma_bps=2.0, regime_factors=(1.0,), regime_dwell_s=(60.0,), news_per_s=0.0, delay_s=0.1)


def root_mean_square(values: list[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))


def test_returns_have_the_parameters_deviation_however_often_it_is_looked_at() -> None:
    for looks_per_s in (1, 20):
        latent = LatentPrice(STEADY, Rng(1), 0)
        path = [latent.bps(look * S_NS // looks_per_s) for look in range(4_000 * looks_per_s)]
        returns = [later - now for now, later in zip(path, path[looks_per_s:], strict=False)]
        assert 1.9 < root_mean_square(returns[::looks_per_s]) < 2.1


def test_a_second_look_at_the_same_time_sees_the_same_price() -> None:
    latent = LatentPrice(STEADY, Rng(1), 0)
    assert latent.bps(S_NS) == latent.bps(S_NS)


def test_makers_see_a_jump_only_after_the_delay() -> None:
    still = LatentParameters(sigma_bps=0.0, news_per_s=0.0, delay_s=0.1)
    latent = LatentPrice(still, Rng(1), 0)
    latent.jump(5.0, S_NS)
    assert latent.bps(S_NS) == 5.0
    assert latent.seen_bps(S_NS + 99_000_000) == 0.0
    assert latent.seen_bps(S_NS + 100_000_000) == 5.0


def test_volatility_follows_the_regime_with_its_time_constant() -> None:
    two = LatentParameters(regime_factors=(0.5, 2.0), regime_dwell_s=(1e6, 1.0), relaxation_s=20.0)
    latent = LatentPrice(two, Rng(3), 0)
    now_ns, regime = 0, latent.regime
    while latent.regime == regime:
        now_ns += S_NS // 10
        latent.bps(now_ns)
    assert latent.regime != regime
    before = latent.volatility_factor
    for _ in range(200):
        now_ns += S_NS // 10
        latent.bps(now_ns)
    wanted = two.regime_factors[latent.regime]
    assert math.isclose(latent.volatility_factor - wanted, (before - wanted) * math.exp(-1), rel_tol=1e-6)


def test_all_regimes_come_up_for_about_their_share_of_time() -> None:
    parameters = LatentParameters(regime_dwell_s=(10.0, 20.0, 10.0))
    latent = LatentPrice(parameters, Rng(5), 0)
    seconds = [0, 0, 0]
    for second in range(40_000):
        latent.bps(second * S_NS)
        seconds[latent.regime] += 1
    shares = [spent / 40_000 for spent in seconds]
    assert all(abs(share - wanted) < 0.05 for share, wanted in zip(shares, (0.25, 0.5, 0.25), strict=True))


def test_news_moves_the_price_by_its_own_deviation() -> None:
    parameters = LatentParameters(sigma_bps=0.0, news_per_s=0.2, news_bps=3.0)
    latent = LatentPrice(parameters, Rng(2), 0)
    path = [latent.bps(tick * S_NS // 10) for tick in range(100_000)]
    jumps = [later - now for now, later in pairwise(path) if later != now]
    assert abs(len(jumps) - 2_000) < 200
    assert 2.8 < root_mean_square(jumps) < 3.2


def test_a_trend_moves_the_price_at_its_pace_and_turns_now_and_then() -> None:
    still = LatentParameters(sigma_bps=0.0, news_per_s=0.0, drift_bps_per_s=0.5, drift_dwell_s=30.0)
    latent = LatentPrice(still, Rng(2), 0)
    path = [latent.bps(second * S_NS) for second in range(600)]
    steps = [round(after - before, 9) for before, after in pairwise(path)]
    assert set(steps) == {0.5, -0.5}
    turns = sum(before != after for before, after in pairwise(steps))
    assert 5 <= turns <= 20  # a new direction each 30 s on average, the same one half of the time


def test_a_range_brings_the_price_back_with_its_time_constant() -> None:
    still = LatentParameters(sigma_bps=0.0, news_per_s=0.0, reversion_s=100.0)
    latent = LatentPrice(still, Rng(2), 0)
    latent.jump(10.0, 0)
    assert math.isclose(latent.bps(100 * S_NS), 10.0 * math.exp(-1))


def test_a_range_draws_nothing_that_the_usual_market_would_not() -> None:
    ranging = LatentPrice(msgspec.structs.replace(STEADY, reversion_s=50.0), Rng(4), 0)
    assert math.isclose(ranging.bps(S_NS), LatentPrice(STEADY, Rng(4), 0).bps(S_NS) * math.exp(-1 / 50))
