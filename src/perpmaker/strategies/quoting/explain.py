"""A stance in the words of the dashboard and the journal."""

from __future__ import annotations

from collections.abc import Sequence

from perpmaker.model.order import Side
from perpmaker.strategies.api import Explained
from perpmaker.strategies.estimators.arrivals import ArrivalFit
from perpmaker.strategies.estimators.market import Reading
from perpmaker.strategies.quoting.governor import Ratios
from perpmaker.strategies.quoting.inert import Inert
from perpmaker.strategies.quoting.markouts import HORIZONS_S, Markouts
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.stance import Stance


def explain_stance(
    quoting: QuotingParams, stance: Stance, reading: Reading, inert: Sequence[Inert]
) -> dict[str, Explained]:
    """Return the inputs behind a stance.

    `sigma` in quote units per square-root second and `sigma_bps` in bps per square-root second, `A_*` per second,
    `kappa_*` per quote unit, `gamma` per quote unit; `fit_*` are the quality and age of A and kappa as measured.
    """
    fair = stance.fair
    sigma = reading.sigma.sigma if reading.sigma else None
    return {
        "model": quoting.model,
        "warming_up": stance.warming_up,
        "doubts": stance.doubts,
        "sigma": None if sigma is None else sigma * fair,
        "sigma_bps": None if sigma is None else sigma * 1e4,
        "gamma": stance.shape.gamma,
        "half_spread_bps": stance.half_spread_bps,
        "floor": stance.floor_rule,
        "tolerance_bps": stance.tolerance_bps,
        **_arrivals("bid", reading.bid, reading, fair),
        **_arrivals("ask", reading.ask, reading, fair),
        "inert": tuple(found.text for found in inert),
    }


def explain_watching(markouts: Markouts, ratios: Ratios, vpin: float | None) -> dict[str, Explained]:
    """Return how the fills fared (mean net markouts of the last ones, in bps) and how good the orders are.

    `order_quality` says which share of the orders that ended in the venue's window was unfilled, cancelled, expired, dust.
    """
    found: dict[str, Explained] = {}
    for horizon_s in HORIZONS_S:
        for name, side in (("bid", Side.BUY), ("ask", Side.SELL)):
            mean = markouts.mean_bps(horizon_s, side)
            if mean is not None:
                found[f"markout_{horizon_s}s_{name}_bps"] = mean
    layers = markouts.by_place(10)
    if layers:
        found["layer_markouts"] = ", ".join(
            f"{'bid' if side is Side.BUY else 'ask'} {layer}{' rpi' if is_rpi else ''} {mean:+.1f} ({count})"
            for (side, layer, is_rpi), mean, count in layers
        )
    if ratios.orders:
        found["order_quality"] = (
            f"{ratios.orders} ended: {ratios.share(ratios.unfilled):.0%} unfilled, "
            f"{ratios.share(ratios.cancelled):.0%} cancelled, {ratios.share(ratios.expired):.0%} expired, "
            f"{ratios.share(ratios.dust):.0%} dust"
        )
    if vpin is not None:
        found["vpin"] = vpin
    return found


def _arrivals(name: str, fit: ArrivalFit | None, reading: Reading, fair: float) -> dict[str, Explained]:
    return {
        f"A_{name}": fit.rate if fit else None,
        f"kappa_{name}": fit.kappa_per_bps * 1e4 / fair if fit else None,
        f"fit_r2_{name}": fit.r2 if fit else None,
        f"fit_age_s_{name}": fit.age_s(reading.now_ns) if fit else None,
    }
