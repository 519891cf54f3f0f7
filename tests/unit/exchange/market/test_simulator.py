"""The market as a whole, over seconds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from tests.unit.exchange.core.desk import ALICE, BTC, MS_NS, S_NS, START_NS, Desk

from perpmaker.exchange.core.instruments import BTC as BTC_RULES
from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS, ETH, SOL, Instrument
from perpmaker.exchange.core.market.parameters import (
    DEFAULT_MARKETS,
    LatentParameters,
    MarketParameters,
    sweep_variance_bps2_per_s,
    with_activity,
)
from perpmaker.exchange.core.market.simulator import SimulatedMarket
from perpmaker.exchange.core.types import BookSnapshot, Event, InstrumentMode, Side, Trade, TradePrinted


def start(seed: int = 1, *, instruments: Sequence[Instrument] = DEFAULT_INSTRUMENTS) -> tuple[Desk, SimulatedMarket]:
    desk = Desk(instruments=instruments, deposit="10000000")
    return desk, SimulatedMarket(desk.venue, seed=seed)


def play(desk: Desk, market: SimulatedMarket, seconds: float, step_ns: int = 10 * MS_NS) -> None:
    end_ns = desk.venue.now_ns + round(seconds * S_NS)
    while desk.venue.now_ns < end_ns:
        market.advance(min(end_ns, desk.venue.now_ns + step_ns))
        desk.collect()


def trades(events: list[Event], instrument: str) -> list[Trade]:
    return [event.trade for event in events if isinstance(event, TradePrinted) and event.trade.instrument == instrument]


def books(desk: Desk) -> list[BookSnapshot]:
    return [desk.venue.book(instrument.name).snapshot() for instrument in desk.venue.instruments]


def test_every_book_has_two_sides_before_anything_was_advanced() -> None:
    desk, _ = start()
    for book in books(desk):
        assert len(book.bids) > 20
        assert len(book.asks) > 20
        assert book.bids[0].px_ticks < book.asks[0].px_ticks


def test_prices_start_where_the_instruments_say() -> None:
    desk, _ = start()
    for instrument in DEFAULT_INSTRUMENTS:
        book = desk.venue.book(instrument.name)
        assert book.best_bid_ticks is not None
        assert abs(book.best_bid_ticks * instrument.tick_nano / instrument.start_px_nano - 1) < 3e-4


def test_it_does_not_matter_how_often_time_is_advanced() -> None:
    seen = []
    for step_ns in (MS_NS, 250 * MS_NS):
        desk, market = start()
        play(desk, market, 10, step_ns)
        seen.append(([trades(desk.events, i.name) for i in DEFAULT_INSTRUMENTS], books(desk)))
    assert seen[0] == seen[1]


def test_a_client_in_one_instrument_changes_nothing_in_another() -> None:
    seen = []
    for client in (False, True):
        desk, market = start()
        play(desk, market, 2)
        if client:
            desk.market(Side.BUY, "3")
        play(desk, market, 8)
        seen.append([(t.event_ns, t.px_ticks, t.qty_lots) for t in trades(desk.events, ETH.name)])
    assert seen[0] == seen[1]


def test_next_event_is_when_something_happens_next() -> None:
    _, market = start()
    market.advance(START_NS + S_NS)
    next_ns = market.next_event_ns()
    assert next_ns is not None
    assert START_NS + S_NS < next_ns < START_NS + 2 * S_NS
    market.advance(next_ns)
    later_ns = market.next_event_ns()
    assert later_ns is not None
    assert later_ns > next_ns


def test_a_large_order_is_filled_against_real_depth_and_the_book_refills() -> None:
    desk, market = start()
    play(desk, market, 5)
    book = desk.venue.book(BTC)

    def near_lots() -> int:
        bid = book.best_bid_ticks
        assert bid is not None
        return sum(level.qty_lots for level in book.depth(Side.SELL) if level.px_ticks < bid * 1.002)

    before = near_lots()
    desk.market(Side.BUY, "10")
    fills = desk.fills(ALICE)
    assert sum(fill.qty_lots for fill in fills) == 10_000
    assert len({fill.px_ticks for fill in fills}) > 5
    assert near_lots() < before
    bid, ask = book.best_bid_ticks, book.best_ask_ticks
    assert bid is not None
    assert ask is not None
    assert ask - bid > 60
    play(desk, market, 0.2)
    assert book.best_ask_ticks is not None
    assert book.best_ask_ticks < ask
    play(desk, market, 20)
    assert near_lots() > before / 4


def test_a_resting_order_at_the_touch_is_filled_within_a_minute() -> None:
    desk, market = start()
    play(desk, market, 1)
    bid = desk.venue.book(BTC).best_bid_ticks
    assert bid is not None
    desk.maker(Side.BUY, "0.01", desk.rules().px_text(bid))
    play(desk, market, 60)
    assert sum(fill.qty_lots for fill in desk.fills(ALICE)) == 10


def test_index_and_mark_stay_near_the_book() -> None:
    desk, market = start()
    play(desk, market, 60, 200 * MS_NS)
    for instrument in DEFAULT_INSTRUMENTS:
        ticker = desk.venue.ticker(instrument.name)
        assert ticker.mid_nano is not None
        assert ticker.index_nano != instrument.start_px_nano
        for px_nano in (ticker.index_nano, ticker.mark_nano):
            assert abs(px_nano / ticker.mid_nano - 1) < 2e-3


def test_a_restarted_venue_goes_on_from_its_index() -> None:
    desk, _ = start()
    desk.venue.set_index(BTC, 61_234 * S_NS)
    restarted = SimulatedMarket(desk.venue, seed=2)
    restarted.advance(desk.venue.now_ns + S_NS)
    assert abs(desk.venue.ticker(BTC).index_nano / (61_234 * S_NS) - 1) < 1e-3


def test_a_frozen_instrument_stands_still_while_others_go_on() -> None:
    desk, market = start()
    play(desk, market, 2)
    desk.venue.set_mode(BTC, InstrumentMode.FROZEN)
    desk.events.clear()
    play(desk, market, 10)
    assert trades(desk.events, BTC) == []
    assert trades(desk.events, ETH.name) != []


@pytest.mark.parametrize("tick_nano", [SOL.tick_nano, 10 * SOL.tick_nano, SOL.tick_nano // 100])
def test_an_instrument_nobody_tuned_gets_a_working_market(tick_nano: int) -> None:
    odd = msgspec.structs.replace(SOL, name="ODD_USDT_Perp", tick_nano=tick_nano)
    desk, market = start(instruments=(odd,))
    play(desk, market, 30)
    book = desk.venue.book(odd.name)
    assert book.best_bid_ticks is not None
    assert book.best_ask_ticks is not None
    assert book.best_ask_ticks - book.best_bid_ticks <= 3
    assert len(trades(desk.events, odd.name)) > 30


def test_activity_scales_rates_and_sizes_and_keeps_the_latent_variance() -> None:
    full, calm = MarketParameters(), with_activity(MarketParameters(), 0.25)
    assert calm.takers.noise_per_s == full.takers.noise_per_s / 4
    assert calm.takers.size_usd == full.takers.size_usd / 4
    assert calm.makers.touch_usd == full.makers.touch_usd / 4
    assert calm.makers.ladders[0].usd_per_bps == full.makers.ladders[0].usd_per_bps / 4

    def variance(market: MarketParameters) -> float:
        return market.latent.sigma_bps**2 + sweep_variance_bps2_per_s(market.takers)

    for activity in (0.1, 0.25, 1.0, 2.0):
        assert variance(with_activity(full, activity)) == pytest.approx(variance(full))


def test_activity_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="activity must be from"):
        SimulatedMarket(Desk().venue, seed=1, activity=0.0)


def test_less_activity_is_fewer_trades() -> None:
    counts = []
    for activity in (0.1, 1.0):
        desk = Desk()
        play(desk, SimulatedMarket(desk.venue, seed=1, activity=activity), 60)
        counts.append(len(trades(desk.events, BTC)))
    assert 4 * counts[0] < counts[1]


def test_an_instrument_of_little_activity_is_thin_beside_a_lively_one() -> None:
    thin = msgspec.structs.replace(BTC_RULES, name="THIN_USDT_Perp", asset_id=0x030701, activity=0.1)
    desk = Desk(instruments=(BTC_RULES, thin))
    play(desk, SimulatedMarket(desk.venue, seed=1), 60)
    assert 4 * len(trades(desk.events, thin.name)) < len(trades(desk.events, BTC))


def test_a_market_without_movement_stays_put() -> None:
    still = {
        name: msgspec.structs.replace(
            market,
            latent=LatentParameters(sigma_bps=0.0, news_per_s=0.0),
            takers=msgspec.structs.replace(market.takers, sweep_impact=0.0),
        )
        for name, market in DEFAULT_MARKETS.items()
    }
    desk = Desk()
    play(desk, SimulatedMarket(desk.venue, seed=1, markets=still), 60)
    mid_nano = desk.venue.ticker(BTC).mid_nano
    assert mid_nano is not None
    assert abs(mid_nano / BTC_RULES.start_px_nano - 1) < 1e-4
