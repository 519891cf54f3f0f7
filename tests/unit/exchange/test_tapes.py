"""Any tape plays on the exchange, coin-margined and spot ones too, and two of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="tapes need the research extra")

import msgspec
from tests.unit.tape.market import BTC, ETH, START_NS, listed

from perpmaker.clock import ManualClock
from perpmaker.errors import ConfigError
from perpmaker.exchange.backpack.market import LIMITS as BACKPACK_LIMITS
from perpmaker.exchange.core.market.basis import Together
from perpmaker.exchange.core.types import NANO, Side, TradePrinted
from perpmaker.exchange.core.venue import DEFAULT_LIMITS, Venue
from perpmaker.exchange.faults import BACKPACK, GRVT
from perpmaker.exchange.server import Exchange, ExchangeOptions
from perpmaker.exchange.tapes import open_tapes, play_together
from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, Event, StaleReason, Trade
from perpmaker.model.ids import InstrumentId, TradeId
from perpmaker.model.order import Side as TradeSide
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.tape.binance import read_capture
from perpmaker.tape.schema import TapeInstrument
from perpmaker.tape.writer import TapeWriter

NOW_NS = 1_800_000_000 * NS_PER_S


def write(path: Path, rules: Sequence[TapeInstrument], events: Sequence[Event]) -> Path:
    with TapeWriter(path, rules) as writer:
        for event in events:
            writer.add(event)
    return path


def book(at_ms: int, instrument: InstrumentId = BTC, *, bid: int = 600_000, qty: int = 2_000) -> BookSnapshot:
    at_ns = START_NS + at_ms * NS_PER_MS
    return BookSnapshot(instrument, ((bid, qty), (bid - 1, 3_000)), ((bid + 1, 4_000), (bid + 9, 1)), at_ns, at_ns)


def delta(at_ms: int, *bids: tuple[int, int], asks: tuple[tuple[int, int], ...] = ()) -> BookDelta:
    at_ns = START_NS + at_ms * NS_PER_MS
    return BookDelta(BTC, bids, asks, at_ns, at_ns)


def sale(at_ms: int, px: int, qty: int) -> Trade:
    at_ns = START_NS + at_ms * NS_PER_MS
    return Trade(BTC, px, qty, TradeSide.SELL, TradeId("t"), at_ns, at_ns)


def depths(venue: Venue, name: str, count: int = 2) -> list[list[tuple[int, int]]]:
    return [
        [(level.px_ticks, level.qty_lots) for level in venue.book(name).depth(side, count)]
        for side in (Side.BUY, Side.SELL)
    ]


def test_a_tape_plays_as_it_was_recorded(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.tape", [listed()], [book(0), delta(100, (600_000, 7)), sale(200, 600_000, 7), delta(300)]
    )
    [taped] = open_tapes([path], GRVT)
    venue = Venue([taped.instrument], now_ns=NOW_NS)
    market = taped.market(venue)
    assert depths(venue, BTC) == [[(600_000, 2_000), (599_999, 3_000)], [(600_001, 4_000), (600_009, 1)]]
    venue.take_events()
    market.advance(NOW_NS)
    assert depths(venue, BTC)[0][0] == (600_000, 7)
    market.advance(NOW_NS + 100 * NS_PER_MS)
    [printed] = [event.trade for event in venue.take_events() if isinstance(event, TradePrinted)]
    assert (printed.px_ticks, printed.qty_lots, printed.is_taker_buyer) == (600_000, 7, False)
    market.advance(NOW_NS + 10 * NS_PER_S)
    assert market.end is not None
    assert market.end.reason == "end of tape"


def test_the_listed_instrument_is_the_venues_own_where_the_grid_is_the_same(tmp_path: Path) -> None:
    [same] = open_tapes([write(tmp_path / "x.tape", [listed()], [book(0), delta(1)])], GRVT)
    assert (same.instrument.asset_id, same.instrument.min_notional_nano) == (0x030501, 100 * NANO)
    [finer] = open_tapes([write(tmp_path / "y.tape", [listed(lot="0.00001")], [book(0), delta(1)])], GRVT)
    assert (finer.instrument.name, finer.instrument.lot_nano) == (BTC, 10_000)
    [other] = open_tapes([write(tmp_path / "z.tape", [listed("XRP_USDT_Perp", "0.0001", "1")],
                                [book(at, InstrumentId("XRP_USDT_Perp")) for at in (0, 1)])], GRVT)  # fmt: skip
    assert (other.instrument.name, other.instrument.base) == ("XRP_USDT_Perp", "XRP")
    assert other.instrument.asset_id not in (0x030501, 0x030401, 0x030601)


def test_contracts_become_base_units_at_each_price(tmp_path: Path) -> None:
    plain = listed("BTCUSD_PERP", "0.1", "1")
    rules = msgspec.structs.replace(
        plain.instrument, instrument_id=BTC, base="BTC", quote="USD", exchange="binance_coinm"
    )
    path = write(tmp_path / "x.tape", [TapeInstrument(rules, "inverse", Decimal(100))], [book(0, qty=600), delta(1)])
    [taped] = open_tapes([path], GRVT)
    assert taped.instrument.lot_nano == 10_000  # 0.00001 BTC, a hundredth of 100 USD at 60,000 is 0.0000166
    venue = Venue([taped.instrument], now_ns=NOW_NS)
    taped.market(venue)
    assert depths(venue, BTC)[0][0] == (600_000, 100_000)  # 600 contracts of 100 USD are 1 BTC


def test_after_a_word_of_doubt_the_old_levels_are_gone(tmp_path: Path) -> None:
    at_ns = START_NS + 150 * NS_PER_MS
    events = [book(0), delta(100), BookStale(BTC, StaleReason.GAP, at_ns), delta(200, (599_990, 5)), delta(300)]
    [taped] = open_tapes([write(tmp_path / "x.tape", [listed()], events)], GRVT)
    venue = Venue([taped.instrument], now_ns=NOW_NS)
    taped.market(venue).advance(NOW_NS + 110 * NS_PER_MS)
    assert depths(venue, BTC) == [[(599_990, 5)], []]


def test_instruments_of_a_tape_and_tapes_of_two_venues_play_at_the_same_moments(tmp_path: Path) -> None:
    both = [listed(BTC), listed(ETH, "0.01", "0.01")]
    grvt = write(tmp_path / "g.tape", both, [book(0), book(50, ETH), delta(400, (600_000, 9)), delta(9_000)])
    other = InstrumentId("BTC_USDC_PERP@backpack")
    second = listed("BTC_USDC_PERP", "0.5", "0.0001").instrument
    rules = TapeInstrument(msgspec.structs.replace(second, instrument_id=other, quote="USDC", exchange="backpack"))
    pack = write(tmp_path / "b.tape", [rules], [book(100, other, bid=120_000), book(300, other, bid=120_004)])
    first_taped, second_taped = open_tapes([grvt], GRVT), open_tapes([pack], BACKPACK)
    # ETH has nothing after its book; the others begin together, at 100 ms of the recording
    assert [taped.instrument.name for taped in (*first_taped, *second_taped)] == [BTC, "BTC_USDC_PERP"]
    venues = [Venue([taped.instrument for taped in group], now_ns=NOW_NS) for group in (first_taped, second_taped)]
    markets = [first_taped[0].market(venues[0]), second_taped[0].market(venues[1])]
    play_together(markets)
    together = Together(markets)
    together.advance(NOW_NS + 199 * NS_PER_MS)
    assert depths(venues[1], "BTC_USDC_PERP")[0][0] == (120_000, 2_000)
    together.advance(NOW_NS + 299 * NS_PER_MS)
    assert depths(venues[0], BTC)[0][0] == (600_000, 2_000)
    assert depths(venues[1], "BTC_USDC_PERP")[0][0] == (120_004, 2_000)
    together.advance(NOW_NS + 300 * NS_PER_MS)
    assert depths(venues[0], BTC)[0][0] == (600_000, 9)
    together.advance(NOW_NS + 8_899 * NS_PER_MS)
    assert markets[0].end is None  # silences are not cut when two are played side by side
    together.advance(NOW_NS + 8_900 * NS_PER_MS)
    assert markets[0].end is not None


def test_trades_of_a_tape_have_the_venues_own_form_of_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tape", [listed()], [book(0), delta(1), sale(2, 600_000, 7), delta(3)])
    for limits, expected in ((DEFAULT_LIMITS, "1-1"), (BACKPACK_LIMITS, "1")):
        [taped] = open_tapes([path], GRVT)
        venue = Venue([taped.instrument], now_ns=NOW_NS, limits=limits)
        taped.market(venue).advance(NOW_NS + NS_PER_S)
        printed = [event.trade.trade_id for event in venue.take_events() if isinstance(event, TradePrinted)]
        assert printed == [expected]


def backpack_tape(folder: Path) -> Path:
    other = InstrumentId("BTC_USDC_PERP@backpack")
    plain = listed("BTC_USDC_PERP", "0.5", "0.0001").instrument
    rules = TapeInstrument(msgspec.structs.replace(plain, instrument_id=other, quote="USDC", exchange="backpack"))
    return write(folder / "b.tape", [rules], [book(0, other, bid=120_000), book(300, other, bid=120_004)])


def test_an_exchange_of_two_venues_plays_a_tape_on_each_and_keeps_a_conversion_rate(tmp_path: Path) -> None:
    grvt = write(tmp_path / "g.tape", [listed()], [book(0), delta(200, (600_000, 9)), delta(400)])
    clock = ManualClock(NOW_NS)
    options = ExchangeOptions(
        port=0, venues=(GRVT, BACKPACK), market="tape", tapes=(grvt,), backpack_tapes=(backpack_tape(tmp_path),)
    )
    exchange = Exchange(options, clock)
    second = exchange.second
    assert second is not None
    clock.advance(250 * NS_PER_MS)
    exchange.clockwork.advance()
    assert depths(exchange.venue, BTC)[0][0] == (600_000, 9)
    assert depths(second.venue, "BTC_USDC_PERP")[0][0] == (120_000, 2_000)
    clock.advance(250 * NS_PER_MS)
    exchange.clockwork.advance()
    assert depths(second.venue, "BTC_USDC_PERP")[0][0] == (120_004, 2_000)
    clock.advance(5 * NS_PER_S)
    exchange.clockwork.advance()
    assert second.venue.book("USDT_USDC").best_bid_ticks is not None  # the rate moves by itself
    ended = exchange._ended()
    assert set(ended) == {BTC, "BTC_USDC_PERP"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"venues": (GRVT, BACKPACK)}, "go together"),
        ({"backpack_tapes": True}, "go together"),
        ({"market": "simulated"}, "--market tape only"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, options: dict[str, object], said: str) -> None:
    grvt = write(tmp_path / "g.tape", [listed()], [book(0), delta(1)])
    if "backpack_tapes" in options:
        options = {**options, "backpack_tapes": (backpack_tape(tmp_path),)}
    given = {"port": 0, "market": "tape", "tapes": (grvt,), **options}
    with pytest.raises(ConfigError, match=said):
        Exchange(ExchangeOptions(**given), ManualClock(NOW_NS))


def test_one_instrument_twice_is_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.tape", [listed()], [book(0), delta(1)]) for name in "ab"]
    with pytest.raises(ConfigError, match="BTC_USDT_Perp twice"):
        open_tapes(paths, GRVT)


@pytest.mark.parametrize(
    ("name", "instrument", "tick", "lot"),
    [
        ("usdm_btcusdt_20240808.gz", "BTC_USDT_Perp", "0.1", "0.001"),
        ("cm_btcusd_perp_20240808.gz", "BTC_USDT_Perp", "0.1", "0.00001"),
        ("spot_ethusdt_20240808.gz", "ETH_USDT_Perp", "0.01", "0.00001"),
    ],
)
def test_raw_captures_of_all_three_markets_play(
    name: str, instrument: str, tick: str, lot: str, shared_data: Path
) -> None:
    path = shared_data / "binance_hftbacktest" / name
    [taped] = open_tapes([path], GRVT)
    assert taped.instrument.name == instrument
    assert (taped.instrument.tick_nano, taped.instrument.lot) == (int(Decimal(tick) * NANO), Decimal(lot))
    venue = Venue([taped.instrument], now_ns=NOW_NS)
    market = taped.market(venue)
    market.advance(NOW_NS + 3 * NS_PER_S)
    assert market.end is None
    bid, ask = venue.book(instrument).best_bid_ticks, venue.book(instrument).best_ask_ticks
    assert bid is not None
    assert ask is not None
    assert 0 < ask - bid < 200
    assert next(iter(read_capture(path))) is not None
