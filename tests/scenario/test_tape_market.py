"""The real recorded tape, played to its end with a maker in it."""

from __future__ import annotations

import pytest
from tests.scenario.market_lab import ACCOUNT, BTC, MS_NS, NANO, REAL_TAPE, START_NS, SpreadMaker, open_venue

from perpmaker.exchange.core.replay import TapeMarket
from perpmaker.exchange.core.types import FillReported, TradePrinted
from perpmaker.tape.binance import read_capture

RECORDED_LOTS = 2_429_366
"""All trades of the tape: 2429.366 BTC."""
RECORDED_S = 344.5


@pytest.mark.skipif(not REAL_TAPE.exists(), reason="../shared/data is absent")
def test_a_maker_trades_the_real_tape_to_its_end() -> None:
    venue = open_venue()
    rules = venue.instrument(BTC)
    assert rules is not None
    market = TapeMarket(venue, [read_capture(REAL_TAPE)], speed=20.0)
    maker = SpreadMaker(venue, rules, 1.0)
    events = venue.take_events()
    while market.end is None:
        market.advance(venue.now_ns + 10 * MS_NS)
        maker.look(venue.now_ns)
        events += venue.take_events()
    assert market.end.reason == "end of tape"
    assert (market.end.ts_ns - START_NS) / NANO == pytest.approx(RECORDED_S / 20, abs=0.1)

    fills = [event.fill for event in events if isinstance(event, FillReported)]
    position = venue.position(ACCOUNT, BTC)
    assert len(fills) >= 20
    assert sum(fill.side * fill.qty_lots for fill in fills) == (0 if position is None else position.qty_lots)
    assert not venue.ledger().violations

    own = sum(fill.qty_lots for fill in fills)
    public = sum(event.trade.qty_lots for event in events if isinstance(event, TradePrinted))
    assert 0.999 * RECORDED_LOTS <= public <= RECORDED_LOTS + own
    assert (venue.book(BTC).best_bid_ticks, venue.book(BTC).best_ask_ticks) == (616_597, 616_598)
