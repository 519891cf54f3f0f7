"""The original bot's quotes, for comparison: Avellaneda and Stoikov's formula on returns instead of prices.

Units as the original has them: the mid is 1, `sigma` the standard deviation of the last 20 log returns, `kappa` 1000 and
`gamma` 1 per whole price, T - t = 1. The result hardly depends on any of them: sigma = 1e-4 gives 19.990 bps, and so does
every market. What it quotes is its floor, `min_half_spread_bps` (half of its spread of 0.5 %).
"""

from __future__ import annotations

from perpmaker.strategies.quoting.avellaneda_stoikov import spread
from perpmaker.strategies.quoting.shape import Shape

GAMMA = 1.0
KAPPA = 1000.0


def classic_spread(sigma: float, gamma: float = GAMMA, kappa: float = KAPPA) -> float:
    """Return gamma * sigma**2 + 2 / gamma * ln(1 + gamma / kappa), a fraction of price."""
    return spread(gamma, sigma, kappa, 1.0)


def classic_shape(
    fair: float, sigma: float, *, gamma: float, kappa: float, least_half_bps: float, skew_factor: float, q_max: float
) -> Shape:
    """Return half the spread, which the floor `least_half_bps` raises after this, and a skew of `skew_factor` such halves.

    The skew is that at a full position. Our reading of its `inventory_skew_factor`, the only thing in it that leans against
    the position: both quotes move by factor * position / limit * half.
    """
    half = fair * classic_spread(sigma, gamma, kappa) / 2
    skew = skew_factor * max(half, fair * least_half_bps / 1e4) / q_max
    return Shape(half_bid=half, half_ask=half, skew_bid=skew, skew_ask=skew, gamma=gamma)
