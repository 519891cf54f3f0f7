"""Tapes give back what was written, in bounded pieces, or say what is wrong with them."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="tapes need the research extra")

import numpy as np
from tests.unit.tape.market import BTC, ETH, START_NS, listed, random_events, snapshot

from perpmaker.errors import DataError
from perpmaker.model.events import BookDelta, Channel, Connectivity, Event, InstrumentListed, Ticker, Timer
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S
from perpmaker.tape.columns import ARRAYS, Columns, decode_chunk, encode_chunk
from perpmaker.tape.reader import MergedTape, TapeFile, events, open_tape
from perpmaker.tape.schema import LAST, Kind, TapeInstrument
from perpmaker.tape.writer import TapeWriter


def _write(path: Path, given: list[Event], *, chunk_rows: int = 500, **options: bool) -> Path:
    with TapeWriter(path, [listed(BTC), listed(ETH, "0.01")], chunk_rows=chunk_rows, **options) as writer:
        for event in given:
            writer.add(event)
    return path


def test_every_event_comes_back_as_it_was(tmp_path: Path) -> None:
    given = random_events(5000)
    given.insert(7, Connectivity("grvt", Channel.MARKET_DATA, False, "gone", START_NS))
    given.insert(9, Timer("second", START_NS))
    path = _write(tmp_path / "x.tape", given)
    assert list(events(open_tape(path))) == given


def test_chunks_hold_whole_messages_and_no_more_rows_than_asked(tmp_path: Path) -> None:
    tape = open_tape(_write(tmp_path / "x.tape", random_events(5000)))
    chunks = list(tape.chunks())
    assert len(chunks) > 10
    assert all(chunk.rows < 500 + 10 for chunk in chunks)
    assert all(int(chunk.flags[-1]) & LAST for chunk in chunks)
    assert sum(chunk.rows for chunk in chunks) == tape.rows == sum(tape.counts.values())


def test_a_price_finer_than_the_columns_unit_is_kept_exactly(tmp_path: Path) -> None:
    fine = Ticker(BTC, Decimal("1.00000000000001"), None, Decimal("1e30"), None, 0, START_NS, START_NS)
    assert list(events(open_tape(_write(tmp_path / "x.tape", [fine])))) == [fine]


def test_numbers_of_a_ticker_keep_the_digits_they_were_printed_with(tmp_path: Path) -> None:
    told = [("61590.300000000", "0.00010"), ("100", "0"), ("0.10", "-0.0001"), ("1E+2", "0E-9"), ("0.000", "0.010000")]
    given: list[Event] = [
        Ticker(BTC, Decimal(px), Decimal(px), None, Decimal(rate), 0, START_NS, START_NS) for px, rate in told
    ]
    found = list(events(open_tape(_write(tmp_path / "x.tape", given))))
    assert list(map(str, found)) == list(map(str, given))


def test_a_tape_of_schema_1_is_read_as_it_was_written() -> None:
    """The file holds the first 400 of `random_events`, written before prices of tickers lay apart."""
    tape = open_tape(Path(__file__).parents[2] / "data" / "tape" / "schema1.tape")
    assert isinstance(tape, TapeFile)
    assert tape.contents.schema == 1
    assert list(events(tape)) == random_events(400)


@pytest.mark.parametrize("tickers", [0.0, 0.1, 0.5, 0.97, 1.0])
def test_prices_of_tickers_come_back_wherever_they_stand(tickers: float) -> None:
    noise = np.random.default_rng(7)
    for rows in (1, 2, 5, 300):
        for _ in range(40):
            given = _columns(noise, rows, tickers)
            data, entry = encode_chunk(given, 0)
            found = decode_chunk(data, entry)
            assert all(np.array_equal(getattr(found, name), getattr(given, name)) for name in ARRAYS)
            assert all(getattr(found, name).dtype == getattr(given, name).dtype for name in ARRAYS)


def _columns(noise: np.random.Generator, rows: int, tickers: float) -> Columns:
    """Rows of all kinds in any order; lags are all the same now and then, and a ticker's prices are in other units."""
    kind = np.where(noise.random(rows) < tickers, noise.integers(5, 9, rows), noise.choice([1, 2, 3, 4, 9, 12], rows))
    recv_ns = START_NS + np.cumsum(noise.integers(0, 3, rows) * noise.choice([1, 1000, 1_000_000]))
    quoted = (kind >= Kind.MARK) & (kind <= Kind.FUNDING)
    px = np.where(
        quoted, noise.integers(1, 10**9, rows) * noise.choice([1, 100_000_000]), noise.integers(1, 2000, rows)
    )
    return Columns(
        recv_ns,
        recv_ns - (noise.integers(0, 9, rows) if noise.random() < 0.5 else noise.integers(-9, 9)),
        kind.astype(np.uint8),
        noise.integers(0, 16, rows).astype(np.uint8),
        np.zeros(rows, np.uint16),
        noise.integers(-1, 2, rows).astype(np.int8),
        px,
        noise.integers(0, 10 ** int(noise.integers(1, 18)), rows),
        noise.integers(0, 1 << 62, rows),
    )


def test_a_part_of_the_time_is_read_alone(tmp_path: Path) -> None:
    given = random_events(3000)
    tape = open_tape(_write(tmp_path / "x.tape", given))
    begin, end = given[1000].ts_recv_ns, given[2000].ts_recv_ns
    assert list(events(tape, begin, end)) == [event for event in given if begin <= event.ts_recv_ns < end]


def test_extreme_integers_survive(tmp_path: Path) -> None:
    edge = (1 << 63) - 1
    given: list[Event] = [
        BookDelta(BTC, ((edge, 1), (1, edge)), ((-edge, edge),), -edge, START_NS),
        BookDelta(BTC, ((1, 1),), (), 0, START_NS),
    ]
    assert list(events(open_tape(_write(tmp_path / "x.tape", given)))) == given


def test_a_clock_that_stepped_back_is_counted_and_order_is_kept(tmp_path: Path) -> None:
    given: list[Event] = [snapshot(START_NS + NS_PER_S), snapshot(START_NS)]
    tape = open_tape(_write(tmp_path / "x.tape", given))
    assert tape.in_order
    assert [event.ts_recv_ns for event in events(tape)] == [START_NS + NS_PER_S] * 2
    exact = open_tape(_write(tmp_path / "y.tape", given, clamp=False))
    assert not exact.in_order
    assert list(events(exact)) == given


def test_market_data_of_an_unlisted_instrument_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="SOL.* was not listed"):
        _write(tmp_path / "x.tape", [snapshot(START_NS, InstrumentId("SOL_USDT_Perp"))])
    assert list(tmp_path.iterdir()) == []


def test_new_ticks_of_an_instrument_are_refused_but_in_a_session(tmp_path: Path) -> None:
    changed: list[Event] = [InstrumentListed(listed(BTC, "0.5").instrument, START_NS), snapshot(START_NS)]
    with pytest.raises(DataError, match="changed its tick or lot"):
        _write(tmp_path / "x.tape", changed)
    assert list(events(open_tape(_write(tmp_path / "y.tape", changed, clamp=False)))) == changed


def test_a_listing_makes_its_instrument_known(tmp_path: Path) -> None:
    told = InstrumentListed(listed("SOL_USDT_Perp").instrument, START_NS)
    given: list[Event] = [told, snapshot(START_NS, told.instrument.instrument_id)]
    tape = open_tape(_write(tmp_path / "x.tape", given))
    assert list(events(tape)) == given
    assert [known.instrument_id for known in tape.instruments] == [BTC, ETH, "SOL_USDT_Perp"]


def test_an_error_while_writing_leaves_neither_a_tape_nor_half_of_one(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.tape", random_events(100))
    before = path.read_bytes()
    with pytest.raises(DataError):
        _write(path, [snapshot(START_NS), snapshot(START_NS, InstrumentId("SOL_USDT_Perp"))])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cut", [1, 100, 2000])
def test_a_tape_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = _write(tmp_path / "x.tape", random_events(1000))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match="has no end"):
        open_tape(path)


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.tape", random_events(200), chunk_rows=100)
    whole = path.read_bytes()
    expected = list(events(open_tape(path)))
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            found = list(events(open_tape(path)))
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017 (most places raise, a few bits of a frame carry nothing)
        else:
            assert found == expected, place


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.tape", random_events(10))
    data = bytearray(path.read_bytes())
    data[-28:-24] = (99).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="schema 99"):
        open_tape(path)


def test_a_folder_is_its_files_one_after_the_other(tmp_path: Path) -> None:
    given = random_events(3000)
    for number, begin in enumerate(range(0, 3000, 1000)):
        _write(tmp_path / f"{number}.tape", given[begin : begin + 1000])
    tape = open_tape(tmp_path)
    assert list(events(tape)) == given
    assert tape.in_order


def test_two_tapes_are_merged_by_receive_time_the_first_going_first(tmp_path: Path) -> None:
    btc, eth = random_events(3000, 1, (BTC,)), random_events(2000, 2, (ETH,))
    paths = [_write(tmp_path / "a.tape", btc, chunk_rows=70), _write(tmp_path / "b.tape", eth, chunk_rows=90)]
    tape = open_tape(*paths)
    assert isinstance(tape, MergedTape)
    assert list(events(tape)) == sorted([*btc, *eth], key=lambda event: event.ts_recv_ns)
    assert all(np.all(np.diff(chunk.recv_ns) >= 0) for chunk in tape.chunks())
    assert tape.rows == sum(open_tape(path).rows for path in paths)


def test_texts_find_their_rows_after_a_merge(tmp_path: Path) -> None:
    a: list[Event] = [Timer(f"a{i}", START_NS + 2 * i) for i in range(50)]
    b: list[Event] = [Timer(f"b{i}", START_NS + 2 * i + 1) for i in range(50)]
    paths = [_write(tmp_path / "a.tape", a, chunk_rows=7), _write(tmp_path / "b.tape", b, chunk_rows=11)]
    assert list(events(open_tape(*paths))) == sorted(a + b, key=lambda event: event.ts_recv_ns)


def test_tapes_that_disagree_about_an_instrument_are_not_merged(tmp_path: Path) -> None:
    _write(tmp_path / "a.tape", [snapshot(START_NS)])
    with TapeWriter(tmp_path / "b.tape", [listed(BTC, "0.5")]) as writer:
        writer.add(snapshot(START_NS))
    with pytest.raises(DataError, match="another tick"):
        open_tape(tmp_path / "a.tape", tmp_path / "b.tape")


def test_columns_written_as_they_are_come_back_as_they_were(tmp_path: Path) -> None:
    given = random_events(3000)
    tape = open_tape(_write(tmp_path / "x.tape", given, chunk_rows=333))
    with TapeWriter(tmp_path / "y.tape", tape.instruments, chunk_rows=100) as writer:
        for columns in tape.chunks():
            writer.add_columns(columns)
    assert list(events(open_tape(tmp_path / "y.tape"))) == given


def test_reading_holds_a_chunk_or_two_however_long_the_tape(tmp_path: Path) -> None:
    """What a backtest within a memory cap rests on; the same for tapes played side by side."""
    short = [_write(tmp_path / f"s{i}.tape", random_events(600, i), chunk_rows=200) for i in range(2)]
    long = [_write(tmp_path / f"l{i}.tape", random_events(12_000, i), chunk_rows=200) for i in range(2)]

    def peak(*paths: Path) -> int:
        tape = open_tape(*paths)
        tracemalloc.start()
        try:
            for _ in tape.chunks():
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(long[0]) < 1.5 * peak(short[0])
    assert peak(*long) < 1.5 * peak(*short)


def test_a_folder_of_recordings_that_were_left_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "20260101T000000-000000Z.live").touch()
    with pytest.raises(DataError, match="tape convert"):
        open_tape(tmp_path)


def test_the_fingerprint_names_the_content(tmp_path: Path) -> None:
    same = [open_tape(_write(tmp_path / f"{i}.tape", random_events(500))).fingerprint for i in range(2)]
    other = open_tape(_write(tmp_path / "z.tape", random_events(500, 2))).fingerprint
    assert same[0] == same[1] != other


def test_the_numbers_of_kinds_are_part_of_the_format() -> None:
    assert {kind.name: kind.value for kind in Kind} == {
        "SNAPSHOT": 1,
        "DELTA": 2,
        "TRADE": 3,
        "BBO": 4,
        "MARK": 5,
        "INDEX": 6,
        "LAST_PX": 7,
        "FUNDING": 8,
        "STALE": 9,
        "EVENT": 10,
        "COMMAND": 11,
        "SESSION": 12,
    }


def test_contracts_keep_their_multiplier(tmp_path: Path) -> None:
    one = Decimal(1)
    rules = Instrument(
        instrument_id=BTC, symbol="BTCUSD_PERP", exchange="binance", base="BTC", quote="USD",
        tick=Decimal("0.1"), lot=one, min_qty=one, min_notional=Decimal(0),
    )  # fmt: skip
    inverse = TapeInstrument(rules, "inverse", Decimal(100))
    with TapeWriter(tmp_path / "x.tape", [inverse]) as writer:
        writer.add(snapshot(START_NS))
    assert open_tape(tmp_path / "x.tape").instruments == (inverse,)
