from __future__ import annotations

import pytest

from perpmaker.strategies.estimators.volatility import TickVolatility
from perpmaker.strategies.quoting.classic import classic_shape, classic_spread


@pytest.mark.parametrize("sigma", [1e-5, 1e-4, 1e-3])
def test_the_formula_on_returns_gives_twenty_bps_in_every_market(sigma: float) -> None:
    assert classic_spread(sigma) * 1e4 == pytest.approx(19.990, abs=0.012)
    assert classic_spread(1e-4) * 1e4 == pytest.approx(19.990, abs=5e-4)


def test_raising_gamma_narrows_it() -> None:
    assert classic_spread(1e-4, gamma=10) < classic_spread(1e-4, gamma=1)


def test_inventory_moves_both_quotes_by_parts_of_the_floor() -> None:
    shape = classic_shape(60_000.0, 1e-4, gamma=1.0, kappa=1000.0, least_half_bps=25.0, skew_factor=0.5, q_max=25.0)
    assert shape.half_bid == shape.half_ask == pytest.approx(60_000 * 19.990e-4 / 2, rel=1e-4)
    assert shape.skew_bid * 25 == pytest.approx(75.0)


def test_its_sigma_is_of_the_last_twenty_returns_by_ticks() -> None:
    ticks = TickVolatility()
    assert ticks.value == 0.0
    for number in range(100):
        ticks.update(50_000.0 if number < 60 else 60_000.0 * (1 + 1e-4 * (-1) ** number))
    assert ticks.value == pytest.approx(2e-4 * (20 / 19) ** 0.5, rel=1e-3)
