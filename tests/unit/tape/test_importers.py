"""Other people's recordings become tapes, whole or not at all; bad rows are counted and named.

The small files are written by hand after the published formats; the real ones are those of ../shared/data.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

pytest.importorskip("numpy", reason="tapes need the research extra")

import numpy as np

from perpmaker.errors import ConfigError, DataError
from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, Event, StaleReason, Ticker, Trade
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.tape.importers.convert import Format, Options, Report, convert, detect
from perpmaker.tape.importers.sheet import currencies
from perpmaker.tape.levels import Levels
from perpmaker.tape.reader import Tape, chunk_events, events, open_tape
from perpmaker.tape.schema import Kind

SNAPSHOT_LINE = (
    b'1723161254000000000 {"lastUpdateId":100,"E":1723161255200,"T":1723161255190,'
    b'"bids":[["99.9","2"],["99.8","1"]],"asks":[["100.0","3"],["100.2","4"]]}\n'
)


def depth_line(first: int, last: int, before: int, bid: str, recv_ms: int = 0) -> bytes:
    return (
        f'{1723161254000000000 + recv_ms * NS_PER_MS} {{"stream":"s","data":{{"e":"depthUpdate","E":1723161255300,'
        f'"T":1723161255299,"s":"XYZUSDT","U":{first},"u":{last},"pu":{before},"b":[["99.9","{bid}"]],"a":[]}}}}\n'
    ).encode()


def write(path: Path, *lines: bytes | str) -> Path:
    path.write_bytes(b"".join(line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines))
    return path


def imported(tmp_path: Path, *paths: Path, **options: object) -> tuple[Report, Tape, list[Event]]:
    report = convert(paths, tmp_path / "x.tape", Options(**options))  # type: ignore[arg-type]
    tape = open_tape(tmp_path / "x.tape")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    return report, tape, list(events(tape))


def book_after(found: Sequence[Event]) -> Levels:
    book = Levels()
    for event in found:
        if isinstance(event, BookSnapshot):
            book.start(event.bids, event.asks)
        elif isinstance(event, BookDelta):
            book.change(event.bids, event.asks)
    return book


# --- Binance


def test_binance_updates_around_the_snapshot_are_spliced_by_their_ids(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.txt",
        depth_line(90, 95, 89, "7", 1),  # known to the snapshot
        depth_line(96, 104, 95, "8", 2),  # not all of it known
        SNAPSHOT_LINE,
        depth_line(105, 106, 104, "9", 3),
    )
    _, tape, found = imported(tmp_path, path)
    assert [type(event) for event in found] == [BookSnapshot, BookDelta, BookDelta]
    assert [event.bids for event in found[1:] if isinstance(event, BookDelta)] == [((999, 8),), ((999, 9),)]
    listed = tape.instruments[0]
    assert (listed.instrument_id, listed.contract) == ("XYZUSDT@binance_usdm", "linear")
    assert (listed.instrument.tick, listed.instrument.lot) == (Decimal("0.1"), Decimal(1))


def test_a_binance_gap_makes_the_book_stale_until_a_snapshot(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", depth_line(90, 95, 89, "7"), SNAPSHOT_LINE, depth_line(110, 112, 109, "8"))
    found = imported(tmp_path, path)[2]
    assert isinstance(found[-1], BookStale)
    assert found[-1].reason is StaleReason.GAP


def test_a_broken_line_is_named_and_leaves_no_tape(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", depth_line(90, 95, 89, "7"), SNAPSHOT_LINE, b'1723161254000000001 {"cut of')
    with pytest.raises(DataError, match=r"a\.txt:3: "):
        convert([path], tmp_path / "x.tape", Options())
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_an_impossible_row_of_a_capture_is_counted_and_what_it_changed_is_in_doubt(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.txt",
        depth_line(88, 89, 87, "-1"),
        depth_line(90, 95, 89, "7"),
        SNAPSHOT_LINE,
        depth_line(101, 102, 100, "NaN", 1),
        depth_line(103, 104, 102, "9", 2),
        SNAPSHOT_LINE.replace(b'"lastUpdateId":100', b'"lastUpdateId":104'),
    )
    report, _, found = imported(tmp_path, path)
    assert report.bad == {"a.txt": "2 x a price or quantity that cannot be one (first: line 1)"}
    assert [type(event) for event in found] == [BookSnapshot, BookStale, BookSnapshot]


@pytest.mark.parametrize("said", ["binance", None])
def test_a_gzip_file_that_breaks_off_is_named_with_its_line(said: Format | None, tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(depth_line(i, i, i - 1, str(i)) for i in range(1, 5_000)))
    path = write(tmp_path / "a.gz", whole[: len(whole) * 9 // 10])
    with pytest.raises(DataError, match=r"a\.gz: not readable after line [1-9]\d+"):
        convert([path], tmp_path / "x.tape", Options(format=said))


@pytest.mark.parametrize(
    ("files", "symbol", "contract", "tick", "multiplier"),
    [
        (["cm_btcusd_perp_20240808.gz"], "BTCUSD_PERP@binance_coinm", "inverse", "0.1", 100),
        (["spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"], "ETHUSDT@binance_spot", "spot", "0.01", 1),
    ],
)  # fmt: skip
def test_real_binance_captures_are_read_whole_and_their_book_is_the_tickers(
    files: list[str], symbol: str, contract: str, tick: str, multiplier: int, tmp_path: Path, shared_data: Path
) -> None:
    paths = [shared_data / "binance_hftbacktest" / name for name in files]
    report = convert(paths, tmp_path / "x.tape", Options(least_latency_ns=NS_PER_MS))
    tape = open_tape(tmp_path / "x.tape")
    assert report.bad == {}
    assert report.least_latency_ns is not None
    assert -1_280 * NS_PER_MS < report.least_latency_ns < -1_260 * NS_PER_MS
    listed = tape.instruments[0]
    assert (listed.instrument_id, listed.contract, listed.multiplier) == (symbol, contract, multiplier)
    assert listed.instrument.tick == Decimal(tick)
    assert "stale" not in tape.counts
    latency_ns = min(int((c.recv_ns - c.event_ns)[c.event_ns > 0].min()) for c in tape.chunks())
    assert latency_ns == NS_PER_MS
    assert (tmp_path / "x.tape").stat().st_size / tape.rows < 6.5
    _compare_tops(tape)


def _compare_tops(tape: Tape) -> None:
    """Where a ticker and a depth update name the same update id, the rebuilt book has the ticker's best prices."""
    book, same, compared = Levels(), 0, 0
    tickers: dict[int, tuple[int, int]] = {}
    for columns in tape.chunks():
        rows = zip(*(column.tolist() for column in (columns.kind, columns.side, columns.px, columns.aux)), strict=True)
        for kind, side, px, aux in rows:
            if kind == Kind.BBO:
                bid, ask = tickers.get(aux, (0, 0))
                tickers[aux] = (px, ask) if side > 0 else (bid, px)
    for columns in tape.chunks():
        ends = np.flatnonzero((columns.flags & 2) != 0)
        wanted = {int(columns.aux[end]) for end in ends if columns.kind[end] in (1, 2)} & tickers.keys()
        if not wanted:
            for event in chunk_events(columns, ["?"]):  # type: ignore[list-item]
                _apply(book, event)
            continue
        begin = 0
        for end in ends.tolist():
            if columns.kind[end] in (1, 2):
                rows = range(begin, end + 1)
                for side in (1, -1):
                    levels = [
                        (int(columns.px[row]), int(columns.qty[row])) for row in rows if columns.side[row] == side
                    ]
                    (book.change(levels, ()) if side > 0 else book.change((), levels))
                best = tickers.get(int(columns.aux[end]))
                if best is not None and compared < 300:
                    compared += 1
                    same += (max(book.bids), min(book.asks)) == best
            begin = end + 1
    assert compared > 20
    assert same == compared


def _apply(book: Levels, event: Event) -> None:
    if isinstance(event, BookSnapshot):
        book.start(event.bids, event.asks)
    elif isinstance(event, BookDelta):
        book.change(event.bids, event.asks)


# --- Bybit


def test_the_real_bybit_book_is_read_whole(tmp_path: Path, shared_data: Path) -> None:
    report, tape, found = imported(tmp_path, shared_data / "nautilus" / "xrpusdt-ob500.data.zip")
    assert report.bad == {}
    assert [type(event) for event in found] == [BookSnapshot] + [BookDelta] * 49
    assert tape.instruments[0].instrument.tick == Decimal("0.0001")
    book = book_after(found)
    assert len(book.bids) == len(book.asks) == 500
    assert max(book.bids) < min(book.asks)


def bybit_line(kind: str, update_id: int, qty: str) -> str:
    return (
        f'{{"topic":"orderbook.500.ABCUSDT","type":"{kind}","ts":{1733011200000 + update_id},"cts":1733011199990,'
        f'"data":{{"s":"ABCUSDT","b":[["1.50","{qty}"]],"a":[["1.55","2"]],"u":{update_id},"seq":9}}}}'
    )


def test_a_bybit_gap_makes_the_book_stale(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.data", bybit_line("snapshot", 5, "1"), bybit_line("delta", 6, "2"), bybit_line("delta", 8, "3")
    )
    found = imported(tmp_path, path)[2]
    assert [type(event).__name__ for event in found] == ["BookSnapshot", "BookDelta", "BookStale", "BookDelta"]


def test_bybit_books_and_trades_are_merged_by_time(tmp_path: Path) -> None:
    book = write(tmp_path / "a.data", bybit_line("snapshot", 0, "1"), bybit_line("snapshot", 500, "2"))
    trades = write(
        tmp_path / "ABCUSDT2024-12-01.csv",
        "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional",
        "1733011200.2500,ABCUSDT,Buy,3,1.55,PlusTick,aaa-bbb,1,1,1",
        "1733011200.2600,ABCUSDT,What,3,1.55,PlusTick,aaa-bbc,1,1,1",
    )
    report, _, found = imported(tmp_path, book, trades)
    assert [type(event).__name__ for event in found] == ["BookSnapshot", "Trade", "BookSnapshot"]
    trade = found[1]
    assert isinstance(trade, Trade)
    assert (trade.px_ticks, trade.qty_lots, trade.aggressor, trade.trade_id) == (31, 3, Side.BUY, "aaa-bbb")
    assert report.bad == {"ABCUSDT2024-12-01.csv": "1 x a trade without a side (first: line 3)"}


# --- hftbacktest


def hft(tmp_path: Path, rows: list[tuple[int, int, int, float, float]]) -> Path:
    dtype = [("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8"), ("order_id", "<u8"),
             ("ival", "<i8"), ("fval", "<f8")]  # fmt: skip
    np.savez_compressed(tmp_path / "a.npz", data=np.array([(*row, 0, 0, 0.0) for row in rows], dtype=dtype))
    return tmp_path / "a.npz"


def test_hftbacktest_arrays_are_read_as_they_were_seen_locally(tmp_path: Path) -> None:
    both, bid, ask = (1 << 31) | (1 << 30), 1 << 29, 1 << 28
    path = hft(
        tmp_path,
        [
            (3 | both | bid, 1000, 2000, 0.0, 0.0),
            (4 | both | bid, 1000, 2000, 99.9, 2.0),
            (4 | both | bid, 1000, 2000, 99.7, 1.5),
            (4 | both | ask, 1000, 2000, 100.1, 0.5),
            (1 | (1 << 31) | bid, 1100, 2100, 99.8, 7.0),  # for the exchange's side alone
            (1 | (1 << 30) | bid, 1100, 2100, 99.8, 3.0),
            (2 | both | bid, 1200, 2200, 100.1, 0.5),
            (3 | both | bid, 1300, 2300, 99.8, 0.0),
        ],
    )
    _, tape, found = imported(tmp_path, path, symbol="BTC_USDT_Perp")
    assert tape.instruments[0].instrument_id == "BTC_USDT_Perp"
    assert tape.instruments[0].instrument.tick == Decimal("0.1")
    cleared, snapshot, delta, trade, clear = found
    assert isinstance(cleared, BookDelta)
    assert (cleared.bids, cleared.asks) == ((), ())
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.bids, snapshot.asks) == (((999, 20), (997, 15)), ((1001, 5),))
    assert isinstance(delta, BookDelta)
    assert (delta.bids, delta.ts_event_ns, delta.ts_recv_ns) == (((998, 30),), 1100, 2100)
    assert isinstance(trade, Trade)
    assert trade.aggressor is Side.BUY
    assert isinstance(clear, BookDelta)
    assert set(clear.bids) == {(999, 0), (998, 0)}


def test_an_npz_file_needs_to_be_told_its_instrument(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--symbol"):
        convert([hft(tmp_path, [])], tmp_path / "x.tape", Options())


def test_an_npz_file_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", other=np.arange(3))
    with pytest.raises(DataError, match="no array 'data'"):
        convert([tmp_path / "a.npz"], tmp_path / "x.tape", Options(symbol="X"))


# --- Tardis

TARDIS_BOOK = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"


def test_tardis_books_trades_and_tickers_become_one_tape(tmp_path: Path) -> None:
    book = write(
        tmp_path / "book.csv",
        TARDIS_BOOK,
        "deribit,BTC-PERPETUAL,1585699200245000,1585699200250000,true,bid,6425.5,100",
        "deribit,BTC-PERPETUAL,1585699200245000,1585699200250000,true,ask,6426,50",
        "deribit,BTC-PERPETUAL,1585699201245000,1585699201250000,false,bid,6425.5,0",
        "deribit,BTC-PERPETUAL,1585699201245000,1585699201250000,false,bid,6425,10",
    )
    trades = write(
        tmp_path / "trades.csv",
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
        "deribit,BTC-PERPETUAL,1585699200500000,1585699200505000,T-77,sell,6425.5,10",
    )
    ticker = write(
        tmp_path / "ticker.csv",
        "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
        "last_price,index_price,mark_price",
        "deribit,BTC-PERPETUAL,1585699200600000,1585699200605000,,0.0001,,1,6425.5,6424.9,6425.123",
    )
    _, tape, found = imported(tmp_path, book, trades, ticker)
    assert [type(event) for event in found] == [BookSnapshot, Trade, Ticker, BookDelta]
    assert tape.instruments[0].contract == "inverse"
    assert tape.instruments[0].instrument.tick == Decimal("0.5")
    told = found[2]
    assert isinstance(told, Ticker)
    assert (told.mark_px, told.funding_rate, told.next_funding_ns) == (Decimal("6425.123"), Decimal("0.0001"), 0)
    delta = found[3]
    assert isinstance(delta, BookDelta)
    assert delta.bids == ((12851, 0), (12850, 1))
    assert delta.ts_recv_ns == 1585699201250000 * 1000


def test_a_long_tardis_snapshot_is_one_book(tmp_path: Path) -> None:
    """Some snapshots come in several messages; only the first empties the book."""
    row = "binance-futures,BTCUSDT,1585699200{0}45000,1585699200{0}50000,{1},{2},{3},1"
    path = write(
        tmp_path / "book.csv",
        TARDIS_BOOK,
        *(row.format(*cells) for cells in ((2, "true", "bid", 10), (3, "true", "ask", 11), (4, "false", "ask", 12))),
        *(row.format(*cells) for cells in ((5, "true", "bid", 9), (6, "true", "ask", 10))),
    )
    found = imported(tmp_path, path)[2]
    assert [type(event).__name__ for event in found] == [
        "BookSnapshot", "BookDelta", "BookDelta", "BookSnapshot", "BookDelta",
    ]  # fmt: skip
    assert book_after(found).bids == {9: 1}


def test_a_tardis_row_with_a_missing_field_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "book.csv", TARDIS_BOOK, "deribit,BTC-PERPETUAL,1,2,true,bid,6425.5")
    with pytest.raises(DataError, match=r"book\.csv:2: 7 fields"):
        convert([path], tmp_path / "x.tape", Options())


def test_bad_rows_are_counted_by_kind_and_too_many_are_an_error(tmp_path: Path) -> None:
    good = [f"deribit,BTC-PERPETUAL,{i}000,{i}500,{'true' if i == 1 else 'false'},bid,64.5,{i}" for i in range(1, 99)]
    bad = ["deribit,BTC-PERPETUAL,7,8,false,bid,abc,1", "deribit,BTC-PERPETUAL,7,8,false,bid,64.5,-1"]
    report = imported(tmp_path, write(tmp_path / "book.csv", TARDIS_BOOK, *good, *bad))[0]
    assert report.bad["book.csv"] == (
        "1 x a price that is no number (first: line 100); 1 x a quantity below 0 (first: line 101)"
    )
    with pytest.raises(DataError, match="110 of 208 rows are bad"):
        imported(tmp_path, write(tmp_path / "book.csv", TARDIS_BOOK, *good, *(bad * 55)))
    with pytest.raises(DataError, match="4 of 7 rows are bad"):
        imported(tmp_path, write(tmp_path / "book.csv", TARDIS_BOOK, *good[:3], *(bad * 2)))
    assert len(imported(tmp_path, write(tmp_path / "book.csv", TARDIS_BOOK, *good, *(bad * 49)))[0].bad) == 1


# --- LOBSTER


def test_lobster_messages_and_books_become_changes_and_trades(tmp_path: Path) -> None:
    path = write(
        tmp_path / "AAPL_2012-06-21_34200000_57600000_message_2.csv",
        "34200.004241176,1,16113575,18,5853300,1",
        "34200.025551909,4,16113575,5,5853300,1",
        "34200.025551909,5,0,9,5853500,-1",
        "34201.0,7,0,0,-1,-1",
    )
    write(
        tmp_path / "AAPL_2012-06-21_34200000_57600000_orderbook_2.csv",
        "5859400,200,5853300,18,9999999999,0,-9999999999,0",
        "5859400,200,5853300,13,5859800,1,-9999999999,0",
        "5859400,200,5853300,13,5859800,1,-9999999999,0",
        "5859400,200,5853300,13,5859800,1,-9999999999,0",
    )
    _, tape, found = imported(tmp_path, path)
    snapshot, trade, delta, hidden, halt = found
    assert isinstance(snapshot, BookSnapshot)
    assert tape.instruments[0].instrument.tick == Decimal("0.01")
    assert snapshot.ts_recv_ns == 1340285400 * NS_PER_S + 4241176  # 09:30 in New York on a summer day
    assert isinstance(trade, Trade)
    assert (trade.aggressor, trade.qty_lots) == (Side.SELL, 5)
    assert isinstance(delta, BookDelta)
    assert (delta.bids, delta.asks) == (((58533, 13),), ((58598, 1),))
    assert isinstance(hidden, Trade)
    assert hidden.aggressor is Side.BUY
    assert isinstance(halt, BookStale)


def test_a_lobster_message_file_without_its_books_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "AAPL_2012-06-21_34200000_57600000_message_2.csv", "34200.0,1,1,18,5853300,1")
    with pytest.raises(DataError, match="orderbook_2.csv is missing"):
        convert([path], tmp_path / "x.tape", Options())
    write(tmp_path / "AAPL_2012-06-21_34200000_57600000_orderbook_2.csv", "")
    with pytest.raises(DataError, match="message_2.csv:1: .*orderbook_2.csv ends"):
        convert([path], tmp_path / "x.tape", Options())


# --- Databento

MBO = (
    "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,price,size,channel_id,order_id,flags,ts_in_delta,"
    "sequence"
)


def mbo(ts_ns: int, action: str, side: str, price: int, size: int, order_id: int, flags: int = 128) -> str:
    return f"{ts_ns},{ts_ns - 500},160,1,5482,{action},{side},{price},{size},0,{order_id},{flags},100,{ts_ns}"


def test_databento_orders_are_summed_to_levels(tmp_path: Path) -> None:
    px = 3_720_250_000_000
    path = write(
        tmp_path / "mbo.csv",
        MBO,
        mbo(1000, "R", "N", (1 << 63) - 1, 0, 0, 8),
        mbo(1000, "A", "B", px, 10, 1, 0),
        mbo(1000, "A", "B", px, 5, 2, 0),
        mbo(1000, "A", "A", px + 250_000_000, 7, 3),
        mbo(2000, "T", "A", px, 4, 0, 0),  # a sell meets order 1
        mbo(2000, "F", "B", px, 4, 1, 0),
        mbo(2000, "C", "B", px, 4, 1),
        mbo(3000, "M", "A", px + 500_000_000, 8, 3),
        mbo(4000, "C", "B", px, 5, 2),
        mbo(5000, "C", "B", px, 5, 99),  # never added
    )
    report, tape, found = imported(tmp_path, path, symbol="ES", exchange="cme")
    snapshot, trade, taken, moved, gone = found
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.bids, snapshot.asks) == (((14881, 15),), ((14882, 7),))
    assert isinstance(trade, Trade)
    assert (trade.aggressor, trade.qty_lots) == (Side.SELL, 4)
    assert [event.bids for event in (taken, gone) if isinstance(event, BookDelta)] == [((14881, 11),), ((14881, 6),)]
    assert isinstance(moved, BookDelta)
    assert moved.asks == ((14882, 0), (14883, 8))
    assert report.bad == {"mbo.csv": "1 x a cancel of an order that was not added (first: line 11)"}
    assert tape.instruments[0].instrument.tick == Decimal("0.25")


def test_pretty_prices_and_times_of_databento_are_understood(tmp_path: Path) -> None:
    row = (
        "2024-01-02T14:30:00.000000500Z,2024-01-02T14:30:00.000000001Z,160,1,5482,A,B,4769.500000000,3,0,7,128,1,5,ESH4"
    )
    _, tape, found = imported(tmp_path, write(tmp_path / "mbo.csv", f"{MBO},symbol", row))
    assert tape.instruments[0].instrument.symbol == "ESH4"
    assert isinstance(found[0], BookSnapshot)
    assert (found[0].ts_event_ns, found[0].ts_recv_ns) == (1704205800000000001, 1704205800000000500)


def dbn(schema: str = "mbo", symbol: str = "ESH4", rows: Sequence[str] = ()) -> bytes:
    """CSV rows as DBN, by Databento's own encoder; 5482 is `symbol` on the day the times are of and the one after it."""
    import databento_dbn as db

    def dated(days: int) -> date:
        return date(1970, 1, 1) + timedelta(days)

    mapping = SimpleNamespace(
        raw_symbol=symbol,
        intervals=[SimpleNamespace(start_date=dated(0), end_date=dated(2), symbol="5482")],
    )
    metadata = db.Metadata(
        dataset="GLBX.MDP3", start=0, stype_in=db.SType.RAW_SYMBOL, stype_out=db.SType.INSTRUMENT_ID,
        schema=db.Schema.from_str(schema), symbols=[symbol], mappings=[mapping],
    )  # fmt: skip
    parts = [metadata.encode()]
    for row in rows:
        recv, event, _, publisher, number, action, side, px, size, channel, order_id, flags, delta, sequence = (
            int(cell) if cell.isdigit() else cell for cell in row.split(",")
        )
        record = db.MBOMsg(
            publisher, number, event, order_id, px, size, db.Action(action), db.Side(side), recv, flags, channel, delta,
            sequence % (1 << 32),
        )  # fmt: skip
        parts.append(bytes(record))
    return b"".join(parts)


DBN_ROWS = [
    mbo(1000, "R", "N", (1 << 63) - 1, 0, 0, 8),
    mbo(1000, "A", "B", 3_720_250_000_000, 10, 1, 0),
    mbo(1000, "A", "A", 3_720_500_000_000, 7, 3),
    mbo(2000, "T", "A", 3_720_250_000_000, 4, 0, 0),
    mbo(2000, "F", "B", 3_720_250_000_000, 4, 1, 0),
    mbo(2000, "C", "B", 3_720_250_000_000, 4, 1),
    mbo(3000, "M", "A", 3_720_750_000_000, 8, 3),
    mbo(5000, "C", "B", 3_720_250_000_000, 5, 99),
]


@pytest.mark.parametrize("name", ["mbo.dbn", "mbo.dbn.zst", "mbo.bin"])
def test_databento_binary_says_what_its_csv_says(tmp_path: Path, name: str) -> None:
    """The zstd file is of two frames, as one that was put together from two downloads."""
    plain = dbn(rows=DBN_ROWS)
    packed = b"".join(zstandard.compress(part) for part in (plain[:500], plain[500:]))
    (tmp_path / name).write_bytes(packed if name.endswith(".zst") else plain)
    (tmp_path / "csv").mkdir()
    text = [f"{row},ESH4" for row in DBN_ROWS]
    _, _, wanted = imported(tmp_path / "csv", write(tmp_path / "csv" / "mbo.csv", f"{MBO},symbol", *text))
    report, tape, found = imported(tmp_path, tmp_path / name)
    assert len(found) == 4
    assert found == wanted
    assert tape.instruments[0].instrument.symbol == "ESH4"
    assert report.bad == {name: "1 x a cancel of an order that was not added (first: line 8)"}


@pytest.mark.parametrize("name", ["mbo.dbn.csv", "mbo.dbn.csv.zst"])
def test_a_text_made_of_databento_binary_is_read_as_text_whatever_its_name_keeps(tmp_path: Path, name: str) -> None:
    text = "".join(f"{line}\n" for line in (f"{MBO},symbol", *(f"{row},ESH4" for row in DBN_ROWS))).encode()
    (tmp_path / name).write_bytes(zstandard.compress(text) if name.endswith(".zst") else text)
    _, tape, found = imported(tmp_path, tmp_path / name)
    assert (len(found), tape.instruments[0].instrument.symbol) == (4, "ESH4")


def test_a_databento_number_has_the_symbol_of_its_day_else_it_stays_a_number(tmp_path: Path) -> None:
    day_ns = 86_400 * 10**9
    for days, symbol in ((1, "ESH4"), (2, "5482")):
        rows = [mbo(days * day_ns + 1000, "A", "B", 3_720_250_000_000, 10, 1)]
        (tmp_path / "day.dbn").write_bytes(dbn(rows=rows))
        _, tape, _ = imported(tmp_path, tmp_path / "day.dbn")
        assert tape.instruments[0].instrument.symbol == symbol


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: dbn(rows=DBN_ROWS)[:-20], "x.dbn: breaks off in record 8"),
        (lambda: b"no such thing" * 9, r"x.dbn: record 1: .*invalid DBN header"),
        (lambda: dbn("trades"), "x.dbn: holds trades, not mbo; only market by order is read"),
        (dbn, "holds no rows"),
    ],
)
def test_a_databento_file_that_cannot_be_read_is_an_error_and_no_tape(
    tmp_path: Path, content: Callable[[], bytes], said: str
) -> None:
    (tmp_path / "x.dbn").write_bytes(content())
    with pytest.raises(DataError, match=said):
        convert([tmp_path / "x.dbn"], tmp_path / "x.tape", Options())
    assert not (tmp_path / "x.tape").exists()


# --- any


def test_a_tick_that_does_not_fit_is_named_with_the_price(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", depth_line(90, 95, 89, "7"), SNAPSHOT_LINE)
    with pytest.raises(DataError, match=r"99\.9 at 1723161254000000000 ns is no multiple of the tick, 0\.5"):
        convert([path], tmp_path / "x.tape", Options(tick=Decimal("0.5")))
    assert not (tmp_path / "x.tape").exists()


def test_an_instrument_can_be_renamed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", depth_line(90, 95, 89, "7"), SNAPSHOT_LINE)
    _, tape, _ = imported(tmp_path, path, symbol="BTC_USDT_Perp", lot=Decimal("0.001"))
    listed = tape.instruments[0].instrument
    assert (listed.instrument_id, listed.exchange, listed.lot) == ("BTC_USDT_Perp", "grvt", Decimal("0.001"))


def test_a_file_of_no_known_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no format that is known"):
        detect(write(tmp_path / "a.csv", "a,b,c", "1,2,3"))


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("BTCUSD_PERP", ("BTC", "USD")),
        ("BTC-PERPETUAL", ("BTC", "USD")),
        ("BTC_USDT_Perp", ("BTC", "USDT")),
        ("ETHBTC", ("ETH", "BTC")),
        ("AAPL", ("AAPL", "USD")),
    ],
)
def test_currencies_are_read_from_a_symbol(symbol: str, expected: tuple[str, str]) -> None:
    assert currencies(symbol) == expected


def test_receive_times_never_go_back(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.txt",
        depth_line(90, 95, 89, "7", 9),
        SNAPSHOT_LINE,
        depth_line(96, 101, 95, "8", 5),
        depth_line(102, 103, 101, "8", 2),
    )
    _, tape, found = imported(tmp_path, path)
    assert all(a.ts_recv_ns <= b.ts_recv_ns for a, b in pairwise(found))
    assert tape.in_order
