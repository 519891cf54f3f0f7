"""Noise, sweeps, informed and momentum traders against a book written by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.unit.exchange.core.desk import ALICE, BTC, START_NS, Desk

from perpmaker.exchange.core.market.latent import LatentPrice
from perpmaker.exchange.core.market.parameters import LatentParameters, TakerParameters
from perpmaker.exchange.core.market.pit import Pit
from perpmaker.exchange.core.market.takers import InformedTrader, MomentumTrader, NoiseTaker, Sweeper
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import NANO, Side, TradePrinted

STILL = LatentParameters(sigma_bps=0.0, news_per_s=0.0, delay_s=0.0)


def pit_of(desk: Desk) -> Pit:
    """A book of 1 BTC each 10 USD, on both sides, to 100 USD away."""
    for step in range(10):
        desk.quote(Side.BUY, f"{59_995 - 10 * step}", "1")
        desk.quote(Side.SELL, f"{60_005 + 10 * step}", "1")
    desk.events.clear()
    return Pit(desk.venue, desk.rules(), LatentPrice(STILL, Rng(1), START_NS))


def prices(desk: Desk) -> list[int]:
    desk.collect()
    return [event.trade.px_ticks for event in desk.seen(TradePrinted)]


def test_noise_stays_near_the_touch_and_comes_from_both_sides() -> None:
    desk = Desk()
    taker = NoiseTaker(pit_of(desk), TakerParameters(size_usd=60.0, size_sigma=0.0), Rng(1))
    now_ns = START_NS
    for _ in range(200):
        now_ns = taker.wake(now_ns)
    assert set(prices(desk)) == {599_950, 600_050}
    assert now_ns > START_NS + 100 * NANO


def test_noise_keeps_its_side_for_a_while() -> None:
    desk = Desk()
    taker = NoiseTaker(pit_of(desk), TakerParameters(size_usd=60.0, size_sigma=0.0, noise_persistence=0.9), Rng(1))
    for _ in range(400):
        taker.wake(START_NS)
    signs = [event.trade.is_taker_buyer for event in (desk.collect() and desk.seen(TradePrinted))]
    same = sum(now == later for now, later in pairwise(signs)) / (len(signs) - 1)
    assert 0.9 < same < 0.99


def test_a_sweep_takes_every_level_to_its_reach_and_moves_the_latent_price_its_way() -> None:
    desk = Desk()
    pit = pit_of(desk)
    sweeper = Sweeper(pit, TakerParameters(sweep_reach_bps=10.0, sweep_impact=0.2), Rng(4))
    sweeper.wake(START_NS)
    taken = prices(desk)
    side = 1 if taken[0] > 600_000 else -1
    assert len(taken) > 3
    assert taken == [600_000 + side * (50 + 100 * step) for step in range(len(taken))]
    assert side * pit.latent.bps(START_NS) > 0


def test_a_sweep_stops_at_its_most() -> None:
    desk = Desk()
    sweeper = Sweeper(pit_of(desk), TakerParameters(sweep_reach_bps=10.0, sweep_usd=90_000.0), Rng(4))
    sweeper.wake(START_NS)
    assert sum(event.trade.qty_lots for event in (desk.collect() and desk.seen(TradePrinted))) == 1_500


@pytest.mark.parametrize(("latent_bps", "bought"), [(3.0, True), (-3.0, False)])
def test_informed_traders_take_only_what_the_latent_price_makes_a_bargain(latent_bps: float, bought: bool) -> None:
    desk = Desk()
    pit = pit_of(desk)
    trader = InformedTrader(pit, TakerParameters(informed_edge_bps=0.5, size_usd=1e6, size_sigma=0.0), Rng(1))
    trader.wake(START_NS)
    assert prices(desk) == []
    pit.latent.jump(latent_bps, START_NS + 1)
    trader.wake(START_NS + 2)
    side = 1 if bought else -1
    assert prices(desk) == [600_000 + side * 50, 600_000 + side * 150]


def test_informed_traders_take_a_clients_order_that_is_wrong() -> None:
    desk = Desk()
    pit = pit_of(desk)
    desk.maker(Side.SELL, "0.01", "60003.0")
    trader = InformedTrader(pit, TakerParameters(), Rng(1))
    pit.latent.jump(2.0, START_NS + 1)
    trader.wake(START_NS + 2)
    desk.collect()
    assert [fill.px_ticks for fill in desk.fills(ALICE)] == [600_030]


def test_momentum_traders_follow_a_move_and_not_its_absence() -> None:
    desk = Desk()
    pit = pit_of(desk)
    trader = MomentumTrader(pit, TakerParameters(momentum_bps=1.0, momentum_chance=1.0), Rng(1))
    for _ in range(20):
        trader.wake(START_NS)
    assert prices(desk) == []
    desk.hit(Side.BUY, "3")
    desk.events.clear()
    trader.wake(START_NS)
    assert prices(desk) == [600_350]


def test_retail_flow_alone_takes_rpi_orders() -> None:
    for retail, filled in ((0.0, 0), (1.0, 1)):
        desk = Desk()
        pit = pit_of(desk)
        desk.quote(Side.SELL, "60004.0", "0.001", rpi=True)
        parameters = TakerParameters(size_usd=60.0, size_sigma=0.0, noise_retail=retail)
        taker = NoiseTaker(pit, parameters, Rng(1))
        for _ in range(30):
            taker.wake(START_NS)
        desk.collect()
        assert sum(event.trade.is_rpi for event in desk.seen(TradePrinted)) == filled


def test_nobody_takes_from_an_empty_book() -> None:
    desk = Desk()
    pit = Pit(desk.venue, desk.rules(), LatentPrice(STILL, Rng(1), START_NS))
    for actor in (
        NoiseTaker(pit, TakerParameters(), Rng(1)),
        Sweeper(pit, TakerParameters(), Rng(1)),
        InformedTrader(pit, TakerParameters(), Rng(1)),
        MomentumTrader(pit, TakerParameters(), Rng(1)),
    ):
        assert actor.wake(START_NS) > START_NS
    assert desk.venue.book(BTC).best_bid_ticks is None
    assert prices(desk) == []
