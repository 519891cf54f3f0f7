"""What every quoting model promises for any market, and the ladder for any instrument."""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.strategies.fake_context import perp

from perpmaker.model.order import Side
from perpmaker.strategies.estimators.arrivals import ArrivalFit
from perpmaker.strategies.estimators.market import Reading
from perpmaker.strategies.estimators.params import EstimateParams
from perpmaker.strategies.estimators.volatility import Sigma
from perpmaker.strategies.quoting import avellaneda_stoikov, glft
from perpmaker.strategies.quoting.ladder import SideWish, VenueRules, side_quotes
from perpmaker.strategies.quoting.models import MODELS, floored, half_spread_floor
from perpmaker.strategies.quoting.multiples import Multiples
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.shape import Arrivals, Market, Shape
from perpmaker.strategies.quoting.stance import Conditions, take_stance

SEEDED = settings(derandomize=True, deadline=None, max_examples=200)

Q_MAX = 25.0


def _log(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(low), math.log(high)).map(math.exp)


# relative to price: sigma 0.05 to 20 bps per square-root second, 1 / kappa 0.1 to 50 bps
PRICES = _log(1e-3, 1e6)
SIGMAS = _log(5e-6, 2e-3)
DEPTHS = _log(1e-5, 5e-3)
RATES = _log(0.01, 20.0)
GAMMAS = _log(1e-4, 1e4)
GROWTHS = st.floats(1.05, 10.0)


@st.composite
def markets(draw: st.DrawFn) -> Market:
    fair = draw(PRICES)
    sigma = fair * draw(SIGMAS)

    def side() -> Arrivals:
        return Arrivals(rate=draw(RATES), kappa=1 / (fair * draw(DEPTHS)))

    return Market(fair=fair, sigma=sigma, typical_sigma=sigma * draw(_log(0.2, 5.0)), bid=side(), ask=side())


@st.composite
def quotings(draw: st.DrawFn) -> QuotingParams:
    return QuotingParams(
        model=draw(st.sampled_from(sorted(MODELS))),
        half_spread_bps=draw(_log(0.01, 100)),
        vol_mult=draw(_log(0.01, 10)),
        skew_bps_at_max_position=draw(st.one_of(st.just(0.0), _log(0.01, 100))),
        min_edge_bps=draw(st.floats(0, 5)),
        min_half_spread_bps=draw(st.floats(0, 5)),
    )


@SEEDED
@given(markets(), quotings(), st.floats(-3e-4, 1e-3), _log(1e-6, 1e-3))
def test_quotes_straddle_fair_when_flat_and_pay_their_costs(
    market: Market, params: QuotingParams, fee: float, tick_frac: float
) -> None:
    tick = market.fair * tick_frac
    shape = floored(
        MODELS[params.model].shape(market, params, Q_MAX), half_spread_floor(params, market.fair, tick, fee)
    )
    bid, ask = market.fair - shape.half_bid, market.fair + shape.half_ask
    assert bid < market.fair < ask
    least = max(tick, market.fair * (fee + params.min_edge_bps / 1e4))
    assert min(shape.half_bid, shape.half_ask) >= least * (1 - 1e-12)


@SEEDED
@given(markets(), quotings(), _log(0.05, 20), _log(0.05, 20), _log(1, 10), st.floats(-Q_MAX, Q_MAX))
def test_whatever_a_regime_or_the_tuner_multiplies_quotes_pay_their_costs_and_lean_against_the_position(
    market: Market, params: QuotingParams, gamma: float, kappa: float, width: float, q: float
) -> None:
    sigma, fair = market.sigma / market.fair, market.fair
    fits = [ArrivalFit(side.rate, side.kappa * fair / 1e4, 1.0, 9, 600, 1) for side in (market.bid, market.ask)]
    measured = Sigma(sigma, market.typical_sigma / fair, sigma, None)
    reading = Reading(1, 1e6, measured, fits[0], fits[1], 999, 999, tick_sigma=1e-4)
    conditions = Conditions(fair, fair * 1e-6, 1e-4, Q_MAX)
    plain, changed = (
        take_stance(params, EstimateParams(), reading, conditions, multiples=one)
        for one in (Multiples(width=width), Multiples(gamma=gamma, kappa=kappa, width=width))
    )
    shape = changed.shape
    least = fair * (1e-4 + params.min_edge_bps / 1e4)
    assert min(shape.half_bid, shape.half_ask) >= least * (1 - 1e-12)
    bid_px, ask_px = changed.apart(
        fair - shape.half_bid - shape.skew_bid * q, fair + shape.half_ask - shape.skew_ask * q, q
    )
    assert ask_px - bid_px >= 2 * least * (1 - 1e-9)
    assert min(shape.skew_bid, shape.skew_ask) >= 0
    assert changed.market == plain.market


@SEEDED
@given(markets(), quotings(), st.floats(-Q_MAX, Q_MAX))
def test_the_skew_leans_against_the_position(market: Market, params: QuotingParams, q: float) -> None:
    shape = MODELS[params.model].shape(market, params, Q_MAX)
    assert all(math.isfinite(number) for number in (shape.half_bid, shape.half_ask, shape.skew_bid, shape.skew_ask))
    assert min(shape.skew_bid, shape.skew_ask) >= 0
    lean = (-shape.skew_bid * q, -shape.skew_ask * q)
    assert max(lean) <= 0 if q > 0 else min(lean) >= 0
    leans = params.inventory_skew_factor if params.model == "classic" else params.skew_bps_at_max_position
    assert (shape.skew_bid > 0) == (leans > 0)


@SEEDED
@given(markets(), _log(0.01, 100), st.sampled_from(["glft", "avellaneda_stoikov"]))
def test_a_solved_gamma_skews_as_asked_at_the_typical_sigma(market: Market, skew_bps: float, model: str) -> None:
    usual = msgspec.structs.replace(market, sigma=market.typical_sigma)
    params = QuotingParams(model=model, skew_bps_at_max_position=skew_bps)  # type: ignore[arg-type]
    shape = MODELS[model].shape(usual, params, Q_MAX)
    assert (shape.skew_bid + shape.skew_ask) / 2 * Q_MAX / market.fair * 1e4 == pytest.approx(skew_bps, rel=1e-9)


def _glft(market: Market, gamma_of_kappa: float, xi: float | None = None) -> Shape:
    gamma = gamma_of_kappa * market.bid.kappa
    return glft.glft_shape(market, gamma=gamma, xi=xi, skew_bps_at_max=0.0, q_max=Q_MAX)


def _as(market: Market, gamma_of_kappa: float) -> Shape:
    gamma = gamma_of_kappa * market.bid.kappa
    return avellaneda_stoikov.avellaneda_stoikov_shape(
        market, gamma=gamma, horizon_s=60.0, skew_bps_at_max=0.0, q_max=Q_MAX
    )


@SEEDED
@given(markets(), GAMMAS, GROWTHS)
def test_the_skew_grows_with_gamma(market: Market, gamma: float, growth: float) -> None:
    for shape in (_glft, _as):
        assert shape(market, gamma * growth).skew_bid > shape(market, gamma).skew_bid
        assert shape(market, gamma * growth).skew_ask > shape(market, gamma).skew_ask


@SEEDED
@given(markets(), GAMMAS, GROWTHS)
def test_without_fill_risk_the_half_spread_grows_with_gamma(market: Market, gamma: float, growth: float) -> None:
    assert _glft(market, gamma * growth, xi=0.0).half_bid >= _glft(market, gamma, xi=0.0).half_bid


@SEEDED
@given(markets(), GAMMAS, GROWTHS)
def test_half_spread_and_skew_grow_with_sigma(market: Market, gamma: float, growth: float) -> None:
    wilder = msgspec.structs.replace(market, sigma=market.sigma * growth)
    for shape in (_glft, _as):
        calm, wild = shape(market, gamma), shape(wilder, gamma)
        assert wild.half_bid >= calm.half_bid
        assert wild.half_ask >= calm.half_ask
        assert wild.skew_bid > calm.skew_bid


@SEEDED
@given(markets(), GAMMAS, GROWTHS)
def test_the_half_spread_falls_as_arrivals_fade_faster(market: Market, gamma: float, growth: float) -> None:
    g = gamma * market.bid.kappa  # one gamma for both markets
    steeper = msgspec.structs.replace(
        market, bid=Arrivals(rate=market.bid.rate, kappa=market.bid.kappa * growth), ask=market.ask
    )
    for near, far in (
        (_glft(steeper, g / steeper.bid.kappa), _glft(market, gamma)),
        (_as(steeper, g / steeper.bid.kappa), _as(market, gamma)),
    ):
        assert near.half_bid <= far.half_bid * (1 + 1e-12)
        assert near.half_ask == pytest.approx(far.half_ask)


@SEEDED
@given(markets(), GAMMAS, GROWTHS)
def test_the_half_spread_falls_as_more_arrives(market: Market, gamma: float, growth: float) -> None:
    busier = msgspec.structs.replace(market, bid=Arrivals(rate=market.bid.rate * growth, kappa=market.bid.kappa))
    assert _glft(busier, gamma).half_bid <= _glft(market, gamma).half_bid
    assert _glft(busier, gamma).skew_bid < _glft(market, gamma).skew_bid


@st.composite
def wishes(draw: st.DrawFn) -> tuple[SideWish, VenueRules]:
    lot = draw(st.sampled_from(["0.001", "0.01", "0.1", "1"]))
    rules = VenueRules.of(perp(lot=lot, min_notional=draw(st.sampled_from(["1", "20", "100"]))))
    side = draw(st.sampled_from(list(Side)))
    fair = draw(st.floats(10.0, 1e5))
    sizes = st.floats(0.0, 3_000.0).map(lambda notional: notional / fair)
    wish = SideWish(
        side=side,
        first_px=fair * (1 - side.sign * draw(st.floats(-50, 80)) / 1e4),
        touch_px=fair * (1 + side.sign * draw(st.floats(-1, 5)) / 1e4),
        far_px=fair * (1 - side.sign * 90 / 1e4),
        spacing=fair * draw(st.floats(0.1, 20)) / 1e4,
        qtys=draw(st.lists(sizes, max_size=9)),
        room_notional=draw(st.floats(-5_000, 10_000)),
        mark_px=fair,
        tolerance_bps=1.0,
    )
    return wish, rules


@SEEDED
@given(wishes())
def test_a_ladder_is_ordered_valid_and_inside_the_room(made: tuple[SideWish, VenueRules]) -> None:
    wish, rules = made
    quotes, missing = side_quotes(wish, rules)
    assert (missing is None) == (len(quotes) == len(wish.qtys))
    sign = wish.side.sign
    prices = [float(quote.px) * sign for quote in quotes]
    assert prices == sorted(prices, reverse=True)
    assert all(sign * wish.far_px <= px <= sign * wish.touch_px for px in prices)
    filled = 0.0
    for quote, wanted in zip(quotes, wish.qtys, strict=False):
        assert quote.qty % rules.lot == 0
        assert float(quote.qty) * float(quote.px) >= rules.min_notional * (1 - 1e-6)
        assert float(quote.qty) < wanted + rules.lot_qty
        filled += float(quote.qty) * max(float(quote.px), wish.mark_px)
    assert not quotes or filled <= wish.room_notional + float(Decimal("1e-6")) * wish.mark_px
