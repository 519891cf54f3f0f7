"""The peers' formulas, with values worked out by hand or published."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import pairwise

import pytest
from benchmarks.strategies.peers import hftbacktest_glft, hummingbot_avellaneda, hummingbot_pure, passivbot_anchor
from benchmarks.strategies.peers.hummingbot_avellaneda import (
    HummingbotAvellaneda,
    HummingbotAvellanedaParams,
    Intensity,
)
from benchmarks.strategies.peers.hummingbot_pure import HummingbotPure, HummingbotPureParams
from benchmarks.strategies.peers.passivbot_anchor import PassivbotAnchor, PassivbotAnchorParams
from benchmarks.strategies.peers.resting import Wanted, affordable

from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.bench import BenchContext, book, perp

BTC = InstrumentId("BTC_USDT_Perp")


# hummingbot, pure market making


def test_pure_quotes_stand_their_spreads_from_mid_level_by_level() -> None:
    found = hummingbot_pure.proposal(
        1000.0, bid_spread=0.5, ask_spread=1.0, order_amount=2.0, order_levels=2, order_level_amount=0.5
    )
    assert [(one.side, round(one.px, 9), one.qty) for one in found] == [
        (Side.BUY, 995.0, 2.0),
        (Side.SELL, 1010.0, 2.0),
        (Side.BUY, 985.0, 2.5),
        (Side.SELL, 1020.0, 2.5),
    ]


@pytest.mark.parametrize(
    ("base_value", "bid"), [(5_000, 1.0), (5_500, 0.5), (6_000, 0.0), (7_000, 0.0), (4_500, 1.5), (4_000, 2.0)]
)
def test_inventory_skew_goes_from_two_to_nothing_over_its_range(base_value: float, bid: float) -> None:
    found = hummingbot_pure.inventory_skew(base_value, 10_000, 50, 1_000)
    assert (found.bid, found.ask) == (bid, 2 - bid)


def test_a_proposal_rests_its_time_and_none_follows_a_fill_too_soon() -> None:
    rules = perp()
    ctx = BenchContext(rules)
    ctx.books[BTC] = book(rules, "59999.9", "60000.1")
    strategy = HummingbotPure(
        HummingbotPureParams(instrument=BTC, bid_spread=0.1, ask_spread=0.1, order_refresh_time=30)
    )
    strategy.on_start(ctx)
    ctx.wait(strategy, 1)
    assert [(order["side"], order["px"], order["qty"]) for order in ctx.orders] == [
        (Side.BUY, Decimal("59940.0"), Decimal("0.005")),
        (Side.SELL, Decimal("60060.0"), Decimal("0.005")),
    ]
    ctx.live_orders = [
        OrderView(ClientOrderId(place), BTC, order["side"], order["px"], order["qty"], Decimal(0), OrderState.OPEN)
        for place, order in enumerate(ctx.orders)
    ]
    ctx.books[BTC] = book(rules, "60099.9", "60100.1")
    ctx.wait(strategy, 29)
    assert not ctx.cancelled_all
    ctx.wait(strategy, 1)
    assert ctx.cancelled_all == [BTC]
    ctx.live_orders = []
    ctx.fill(strategy, Side.BUY, "0.005", "59940", BTC)
    ctx.wait(strategy, 59)
    assert len(ctx.orders) == 2
    ctx.wait(strategy, 2)
    assert len(ctx.orders) == 4


def test_a_proposal_that_has_not_moved_stays() -> None:
    rules = perp()
    ctx = BenchContext(rules)
    ctx.books[BTC] = book(rules, "59999.9", "60000.1")
    strategy = HummingbotPure(
        HummingbotPureParams(instrument=BTC, bid_spread=0.1, ask_spread=0.1, order_refresh_time=5)
    )
    strategy.on_start(ctx)
    ctx.wait(strategy, 1)
    ctx.live_orders = [
        OrderView(ClientOrderId(place), BTC, order["side"], order["px"], order["qty"], Decimal(0), OrderState.OPEN)
        for place, order in enumerate(ctx.orders)
    ]
    ctx.wait(strategy, 20)
    assert not ctx.cancelled_all


def test_what_would_pass_the_limit_is_left_out_level_by_level() -> None:
    wanted = [Wanted(Side.BUY, 99.0, 2.0), Wanted(Side.BUY, 98.0, 2.0), Wanted(Side.SELL, 101.0, 2.0)]
    assert affordable(wanted, Decimal(1), 4.0) == [wanted[0], wanted[2]]
    assert affordable(wanted, Decimal(-3), 4.0) == wanted[:2]


# hummingbot, Avellaneda


@pytest.mark.parametrize(
    ("gamma", "reservation", "spread"), [(1.0, 64998.7000, 7.397225), (10.0, 64987.0000, 52.608904)]
)
def test_avellaneda_as_hummingbot_normalises_it(gamma: float, reservation: float, spread: float) -> None:
    found = hummingbot_avellaneda.quotes(65_000, 0.25, gamma=gamma, vol=5.2, kappa=0.5)
    assert found.reservation == pytest.approx(reservation, abs=1e-6)
    assert found.spread == pytest.approx(spread, abs=1e-6)
    if gamma == 1.0:
        assert (found.bid, found.ask) == pytest.approx((64995.0014, 65002.3986), abs=1e-4)


def test_the_least_spread_holds_around_mid_not_around_the_reservation_price() -> None:
    found = hummingbot_avellaneda.quotes(1000, 0.0, gamma=1.0, vol=0.1, kappa=10.0, min_spread_pct=1.0)
    assert (found.bid, found.ask) == (995.0, 1005.0)


def test_volatility_divides_by_prices_not_by_moves() -> None:
    assert hummingbot_avellaneda.instant_volatility([10.0, 13.0, 9.0]) == pytest.approx(math.sqrt((9 + 16) / 3))


def test_the_intensity_of_an_exact_decay_is_found_from_nothing() -> None:
    amounts = {distance: 8.0 * math.exp(-0.5 * distance) for distance in (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)}
    found = hummingbot_avellaneda.fit_intensity(amounts, Intensity(0.0, 0.0))
    assert (found.alpha, found.kappa) == pytest.approx((8.0, 0.5), rel=1e-4)
    assert hummingbot_avellaneda.fit_intensity({1.0: 2.0}, found) == found


def test_sizes_shrink_on_the_side_that_grows_the_inventory_alone() -> None:
    assert hummingbot_avellaneda.shaped_qty(2.0, 0.5, Side.BUY, 1.0) == pytest.approx(2 * math.exp(-0.5))
    assert hummingbot_avellaneda.shaped_qty(2.0, 0.5, Side.SELL, 1.0) == 2.0
    assert hummingbot_avellaneda.shaped_qty(2.0, -0.5, Side.SELL, 1.0) == pytest.approx(2 * math.exp(-0.5))


def test_no_quote_is_more_than_a_tick_inside_the_best_price() -> None:
    assert hummingbot_avellaneda.optimised(100.4, Side.BUY, 100.0, 100.5, 0.1) == pytest.approx(100.1)
    assert hummingbot_avellaneda.optimised(99.0, Side.BUY, 100.0, 100.5, 0.1) == 99.0
    assert hummingbot_avellaneda.optimised(100.1, Side.SELL, 100.0, 100.5, 0.1) == pytest.approx(100.4)


def test_avellaneda_waits_for_both_of_its_buffers() -> None:
    rules = perp()
    ctx = BenchContext(rules)
    ctx.books[BTC] = book(rules, "59999.9", "60000.1")
    strategy = HummingbotAvellaneda(HummingbotAvellanedaParams(instrument=BTC, order_refresh_time=10))
    strategy.on_start(ctx)
    for _ in range(300):
        ctx.time_ns += NS_PER_S
        strategy.on_timer(ctx, "tick")
    assert not ctx.orders  # 200 prices, but not one second with a trade


# hftbacktest


def test_glft_coefficients_are_the_published_ones() -> None:
    arrivals = hftbacktest_glft.Arrivals(rate=2.0, k=0.5)
    assert hftbacktest_glft.coefficients(0.01, 0.01, 1.0, arrivals) == pytest.approx((1.980263, 0.117163), abs=1e-6)
    found = hftbacktest_glft.half_spread_and_skew(5.2, arrivals, 0.01)
    assert found == pytest.approx((2.284886, 0.609246), abs=1e-6)


def test_arrivals_of_an_exact_decay_are_found() -> None:
    """20,000 exp(-0.05 d) steps reached each depth d: A = 20,000 / 600 s and k = 0.05 per tick."""
    ends = [20_000 * math.exp(-0.05 * (depth - 0.5)) for depth in range(1, 401)]
    depths = [depth for depth, (more, less) in enumerate(pairwise(ends), 1) for _ in range(round(more - less))]
    found = hftbacktest_glft.fit_arrivals(depths, 600.0)
    assert found is not None
    assert found == pytest.approx((20_000 / 600, 0.05), rel=5e-3)
    assert hftbacktest_glft.fit_arrivals([], 600.0) is None


def test_first_quotes_lean_keep_to_the_touch_and_to_the_grid() -> None:
    assert hftbacktest_glft.first_quotes(1000.0, 999, 1001, 4.0, 0.5, 2.0) == (992, 1004, 4)
    assert hftbacktest_glft.first_quotes(1000.0, 999, 1001, 0.2, 0.0, 0.0) == (999, 1001, 1)


# passivbot


def test_an_average_moves_by_two_over_span_plus_one() -> None:
    assert passivbot_anchor.ema_step(100.0, 110.0, 199.0) == pytest.approx(100.1)


def test_the_band_stands_off_the_outer_averages_and_moves_against_the_exposure() -> None:
    assert passivbot_anchor.band((99.0, 100.0, 101.0), 0.01, 0.0, 0.1) == pytest.approx((98.01, 102.01))
    assert passivbot_anchor.band((100.0, 100.0, 100.0), 0.0, 0.25, 0.1) == pytest.approx((97.5, 97.5))
    assert passivbot_anchor.band((100.0, 100.0, 100.0), 0.0, -0.25, 0.1) == pytest.approx((102.5, 102.5))


def test_the_anchor_maker_quotes_no_better_than_the_touch() -> None:
    rules = perp()
    ctx = BenchContext(rules)
    ctx.books[BTC] = book(rules, "59999.9", "60000.1")
    strategy = PassivbotAnchor(PassivbotAnchorParams(instrument=BTC))
    strategy.on_start(ctx)
    strategy.on_timer(ctx, "tick")
    (bid,), (ask,) = ctx.quotes[BTC].bids, ctx.quotes[BTC].asks
    assert (float(bid.px), float(ask.px)) == pytest.approx((60_000 * 0.998, 60_000 * 1.002))
    ctx.books[BTC] = book(rules, "59000.0", "59000.2")  # below its bid: the touch is enough
    ctx.time_ns += NS_PER_S
    strategy.on_timer(ctx, "tick")
    assert float(ctx.quotes[BTC].bids[0].px) == 59_000.0
    assert not ctx.quotes[BTC].asks  # 1.9 % away: outside of the price collar
