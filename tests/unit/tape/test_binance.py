"""The reader of Binance raw captures; every line here is one of the recorder's, some of them damaged by hand."""

from __future__ import annotations

import gzip
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from perpmaker.errors import DataError
from perpmaker.tape.binance import BookTicker, DepthSnapshot, DepthUpdate, Trade, parse_line, read_capture

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "binance_hftbacktest"

DEPTH = (
    b'1723161255088309867 {"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256353,"T":1723161256352,'
    b'"s":"BTCUSDT","U":5123107837801,"u":5123107842679,"pu":5123107837557,"b":[["61800.20","0.014"],["61799.90","0.000"]],'
    b'"a":[["61800.30","3.330"]]}}\n'
)
TICKER = (
    b'1723161255088169167 {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT",'
    b'"b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256314}}\n'
)
SPOT_TICKER = (
    b'1723161253000000000 {"stream":"btcusdt@bookTicker","data":{"u":50123,"s":"BTCUSDT","b":"61800.01","B":"1.5",'
    b'"a":"61800.02","A":"0.25"}}\n'
)
TRADE = (
    b'1723161255088176367 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT",'
    b'"t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}\n'
)
SNAPSHOT = (
    b'1723161255230000000 {"lastUpdateId":5123107852948,"E":1723161256501,"T":1723161256493,'
    b'"bids":[["61800.20","2.909"]],"asks":[["61800.30","1.072"],["61800.70","0.002"]]}\n'
)


def test_depth_update_keeps_ids_levels_and_matching_time() -> None:
    assert parse_line(DEPTH) == DepthUpdate(
        recv_ns=1723161255088309867,
        ts_event_ns=1723161256352_000_000,
        symbol="BTCUSDT",
        first_update_id=5123107837801,
        last_update_id=5123107842679,
        prev_update_id=5123107837557,
        bids=((Decimal("61800.20"), Decimal("0.014")), (Decimal("61799.90"), Decimal("0.000"))),
        asks=((Decimal("61800.30"), Decimal("3.330")),),
    )


def test_book_ticker_is_the_best_bid_and_ask() -> None:
    assert parse_line(TICKER) == BookTicker(
        recv_ns=1723161255088169167,
        ts_event_ns=1723161256313_000_000,
        symbol="BTCUSDT",
        update_id=5123107839020,
        bid_px=Decimal("61800.20"),
        bid_qty=Decimal("2.507"),
        ask_px=Decimal("61800.30"),
        ask_qty=Decimal("2.510"),
    )


def test_spot_book_ticker_is_known_without_a_kind_and_has_no_venue_time() -> None:
    row = parse_line(SPOT_TICKER)
    assert isinstance(row, BookTicker)
    assert (row.ts_event_ns, row.update_id, row.ask_qty) == (0, 50123, Decimal("0.25"))


def test_trade_tells_the_aggressor() -> None:
    row = parse_line(TRADE)
    assert row == Trade(
        recv_ns=1723161255088176367,
        ts_event_ns=1723161256321_000_000,
        symbol="BTCUSDT",
        trade_id=5266583935,
        px=Decimal("61800.30"),
        qty=Decimal("0.006"),
        is_buyer_maker=False,
    )


def test_snapshot_has_its_fields_at_the_top() -> None:
    row = parse_line(SNAPSHOT)
    assert isinstance(row, DepthSnapshot)
    assert row.last_update_id == 5123107852948
    assert row.asks[1] == (Decimal("61800.70"), Decimal("0.002"))


@pytest.mark.parametrize("line", [b"", b"\n", b'17 {"result":null,"id":1}\n', b'17 {"e":"listenKeyExpired"}\n'])
def test_lines_without_market_data_are_left_out(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "line",
    [
        TRADE[:120],
        b"soon " + TRADE.partition(b" ")[2],
        TRADE.replace(b'"p":"61800.30",', b""),
        TRADE.replace(b"61800.30", b"NaN"),
        TRADE.replace(b"61800.30", b"-1"),
        TICKER.replace(b'"2.507"', b'"Infinity"'),
        DEPTH.replace(b'"0.014"', b'"-0.014"'),
        SNAPSHOT.replace(b'"61800.70"', b'"0"'),
    ],
    ids=["cut off", "no time", "no price", "NaN", "negative price", "infinite", "negative size", "price zero"],
)
def test_a_damaged_line_is_a_data_error(line: bytes) -> None:
    with pytest.raises(DataError):
        parse_line(line)


def test_a_capture_is_read_in_file_order_gzipped_or_plain(tmp_path: Path) -> None:
    content = SNAPSHOT + b"\n" + TICKER + TRADE + DEPTH
    plain, packed = tmp_path / "capture", tmp_path / "capture.gz"
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    kinds = [DepthSnapshot, BookTicker, Trade, DepthUpdate]
    assert [type(row) for row in read_capture(plain)] == kinds
    assert [type(row) for row in read_capture(packed)] == kinds


def test_a_damaged_line_is_named_and_the_rows_before_it_are_read(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(TICKER + TRADE[:90] + b"\n" + TICKER)
    rows = read_capture(path)
    assert isinstance(next(rows), BookTicker)
    with pytest.raises(DataError, match=r"capture:2: "):
        next(rows)


def test_a_gzip_file_cut_off_in_the_middle_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    path.write_bytes(gzip.compress(TICKER * 1000)[:-20])
    with pytest.raises(DataError, match="not readable after line"):
        list(read_capture(path))


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.gz"):
        list(read_capture(tmp_path / "nowhere.gz"))


def test_the_real_usdm_capture_is_read_whole() -> None:
    path = SHARED / "usdm_btcusdt_20240808.gz"
    if not path.exists():
        pytest.skip("../shared/data is absent")
    rows = list(read_capture(path))
    assert Counter(type(row).__name__ for row in rows) == {
        "BookTicker": 66089,
        "Trade": 21313,
        "DepthUpdate": 6551,
        "DepthSnapshot": 1,
    }
    assert sum(row.qty for row in rows if isinstance(row, Trade)) == Decimal("2429.366")
