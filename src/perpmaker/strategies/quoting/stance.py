"""How to quote for the next second: everything that follows from estimates and parameters and not from the last tick."""

from __future__ import annotations

import msgspec

from perpmaker.strategies.estimators.arrivals import ArrivalFit
from perpmaker.strategies.estimators.market import Reading
from perpmaker.strategies.estimators.params import EstimateParams
from perpmaker.strategies.quoting.fixed import fixed_shape
from perpmaker.strategies.quoting.models import MODELS, Model, floored, half_spread_floor
from perpmaker.strategies.quoting.multiples import PLAIN, Multiples
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.shape import Arrivals, Market, Shape


class Conditions(msgspec.Struct, frozen=True):
    """What the venue and the account set. `tick` in quote units, `maker_fee` a fraction of notional, > 0 a cost.

    `q_max` is the largest position in orders.
    """

    fair: float
    tick: float
    maker_fee: float
    q_max: float


class Stance(msgspec.Struct, frozen=True):
    """Distances in quote units around fair, the market they were made for, and why they are not the model's own.

    `market` is None as long as the model's estimates cannot be believed (`doubts` says why); the shape is then the fixed
    warm-up one.
    """

    fair: float
    shape: Shape
    market: Market | None
    doubts: tuple[str, ...]
    floor_rule: str | None
    """The rule that sets the half-spread when the model's own is too small."""
    half_spread_bps: float
    tolerance_bps: float
    least_spread: float = 0.0
    """Bid and ask are never nearer to each other, in quote units, however they lean: twice the floor."""

    def apart(self, bid_px: float, ask_px: float, q: float) -> tuple[float, float]:
        """Return the innermost prices at least that far apart; the side that adds to the position q gives way.

        A model whose sides lean by skews of their own can bring them together, or past each other, when much is held.
        """
        if ask_px - bid_px >= self.least_spread:
            return bid_px, ask_px
        return (ask_px - self.least_spread, ask_px) if q > 0 else (bid_px, bid_px + self.least_spread)

    @property
    def warming_up(self) -> bool:
        return self.market is None


def take_stance(
    quoting: QuotingParams,
    estimates: EstimateParams,
    reading: Reading,
    conditions: Conditions,
    *,
    multiples: Multiples = PLAIN,
) -> Stance:
    """Return the model's floored shape, or the warm-up's while the reading cannot be believed.

    `multiples` change gamma, kappa and the half-spreads before the floor: a regime's, the tuner's.
    """
    model = MODELS[quoting.model]
    doubts = reading.doubts(estimates, sigma=model.measures_sigma, arrivals=model.needs_arrivals(quoting))
    if doubts:
        market = None
        raw = fixed_shape(
            conditions.fair, estimates.warm_up_half_spread_bps, quoting.skew_bps_at_max_position, conditions.q_max
        )
        raw = _leaning(raw, multiples)
    else:
        market = measured_market(quoting, reading, conditions.fair)
        raw = _shape(model, market, quoting, conditions.q_max, multiples)
    width = multiples.width
    raw = msgspec.structs.replace(raw, half_bid=raw.half_bid * width, half_ask=raw.half_ask * width)
    floor = half_spread_floor(quoting, conditions.fair, conditions.tick, conditions.maker_fee)
    shape = floored(raw, floor)
    half_bps = (shape.half_bid + shape.half_ask) / 2 / conditions.fair * 1e4
    return Stance(
        fair=conditions.fair,
        shape=shape,
        market=market,
        doubts=doubts,
        floor_rule=floor.rule if max(raw.half_bid, raw.half_ask) < floor.half else None,
        half_spread_bps=half_bps,
        tolerance_bps=quoting.tolerance_for(half_bps),
        least_spread=2 * floor.half,
    )


def _shape(model: Model, market: Market, quoting: QuotingParams, q_max: float, multiples: Multiples) -> Shape:
    """Return the model's shape with gamma, given or solved, and kappa, given or measured, so many times as large."""
    if multiples.gamma == multiples.kappa == 1:
        return model.shape(market, quoting, q_max)
    if "gamma" not in model.parameters:
        return _leaning(model.shape(market, quoting, q_max), multiples)
    gamma = model.shape(market, quoting, q_max).gamma
    turned = msgspec.structs.replace(
        quoting,
        gamma=None if gamma is None else gamma * multiples.gamma,
        kappa=quoting.kappa and quoting.kappa * multiples.kappa,
    )
    steeper = msgspec.structs.replace(
        market, bid=_steeper(market.bid, multiples.kappa), ask=_steeper(market.ask, multiples.kappa)
    )
    return model.shape(steeper, turned, q_max)


def _leaning(shape: Shape, multiples: Multiples) -> Shape:
    """Return the shape of a model that has neither: gamma is the skew, kappa one over the half-spread."""
    return msgspec.structs.replace(
        shape,
        half_bid=shape.half_bid / multiples.kappa,
        half_ask=shape.half_ask / multiples.kappa,
        skew_bid=shape.skew_bid * multiples.gamma,
        skew_ask=shape.skew_ask * multiples.gamma,
    )


def _steeper(arrivals: Arrivals, kappa_mult: float) -> Arrivals:
    return Arrivals(rate=arrivals.rate, kappa=arrivals.kappa * kappa_mult)


def measured_market(quoting: QuotingParams, reading: Reading, fair: float) -> Market:
    """Return the market in quote units, a given A or kappa in the place of the measured one; 0 for what nobody needs."""
    sigma, typical = (reading.sigma.sigma, reading.sigma.typical) if reading.sigma else (0.0, 0.0)
    return Market(
        fair=fair,
        sigma=fair * sigma,
        typical_sigma=fair * typical,
        bid=_arrivals(quoting, reading.bid, fair),
        ask=_arrivals(quoting, reading.ask, fair),
        tick_sigma=reading.tick_sigma,
    )


def _arrivals(quoting: QuotingParams, fit: ArrivalFit | None, fair: float) -> Arrivals:
    rate = quoting.arrivals_per_s or (fit.rate if fit else 0.0)
    kappa = quoting.kappa or (fit.kappa_per_bps * 1e4 / fair if fit else 0.0)
    return Arrivals(rate=rate, kappa=kappa)
