"""Channels: numbering, snapshots, changes, replaced selectors, and what faults do to frames."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perpmaker.exchange.core.types import InstrumentMode, Side
from perpmaker.exchange.faults import FaultSpec, Match, Until
from perpmaker.exchange.grvt.hub import Subscribed, Variant
from perpmaker.exchange.grvt.schema import Encoding
from perpmaker.exchange.grvt.streams import read_selector

from .conftest import BTC_PX, SUB, Bench

FULL, LITE = Variant(Encoding.FULL), Variant(Encoding.LITE)


class Ear:
    """A listener that keeps what it hears."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.heard: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.heard.append(frame)

    def subscribe(self, stream: str, text: str, variant: Variant = FULL) -> Subscribed:
        selection = read_selector(stream, text, self.bench.venue.instrument)
        return self.bench.hub.subscribe(self, selection, variant)

    def frames(self) -> list[dict[str, Any]]:
        """What was heard since the last call."""
        frames = [msgspec.json.decode(frame) for frame in self.heard]
        self.heard.clear()
        return frames


@pytest.fixture
def ear(bench: Bench) -> Ear:
    return Ear(bench)


def snapshot(done: Subscribed) -> dict[str, Any]:
    (frame,) = done.snapshots
    decoded: dict[str, Any] = msgspec.json.decode(frame)
    return decoded


def levels(frame: dict[str, Any], side: str) -> dict[str, str]:
    return {level["price"]: level["size"] for level in frame["feed"][side]}


def test_book_deltas_rebuild_the_book(bench: Bench, ear: Ear) -> None:
    first = snapshot(ear.subscribe("v1.book.d", "BTC_USDT_Perp@50"))
    assert (first["sequence_number"], first["prev_sequence_number"]) == ("0", "0")
    book = {side: levels(first, side) for side in ("bids", "asks")}
    for step in range(1, 20):
        bench.rest(Side.BUY, BTC_PX - step, lots=step)
        bench.take(Side.SELL, 3)
        bench.pass_ms(50)
    for frame in ear.frames():
        for side in ("bids", "asks"):
            book[side] |= levels(frame, side)
    standing = {side: {px: size for px, size in found.items() if size != "0"} for side, found in book.items()}
    live = bench.venue.book("BTC_USDT_Perp").snapshot()
    btc = bench.venue.instruments[0]
    assert standing["bids"] == {btc.px_text(level.px_ticks): btc.qty_text(level.qty_lots) for level in live.bids}
    assert standing["asks"] == {btc.px_text(level.px_ticks): btc.qty_text(level.qty_lots) for level in live.asks}
    assert "0" in book["bids"].values()


def test_changes_are_numbered_by_one_and_name_their_predecessor(bench: Bench, ear: Ear) -> None:
    done = ear.subscribe("v1.book.d", "BTC_USDT_Perp@50")
    assert (done.first, done.latest) == (1, 0)
    for lots in (1, 2, 3):
        bench.rest(Side.BUY, BTC_PX - 5, lots)
        bench.pass_ms(50)
    numbers = [(frame["sequence_number"], frame["prev_sequence_number"]) for frame in ear.frames()]
    assert numbers == [("1", "0"), ("2", "1"), ("3", "2")]


def test_later_subscriber_shares_the_counter_and_starts_from_the_present(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.book.d", "BTC_USDT_Perp@500")
    bench.rest(Side.BUY, BTC_PX - 5)
    bench.pass_ms(500)
    bench.rest(Side.BUY, BTC_PX - 6)
    late = Ear(bench)
    done = late.subscribe("v1.book.d", "BTC_USDT_Perp@500")
    assert (done.first, done.latest) == (2, 1)
    assert {"59999.5", "59999.4"} <= levels(snapshot(done), "bids").keys()
    bench.pass_ms(500)
    assert ear.heard[-1] is late.heard[-1]


def test_counter_goes_on_where_nobody_listened(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.book.d", "BTC_USDT_Perp@50")
    bench.rest(Side.BUY, BTC_PX - 5)
    bench.pass_ms(50)
    assert bench.hub.unsubscribe(ear, "v1.book.d", "BTC_USDT_Perp@50")
    bench.rest(Side.BUY, BTC_PX - 6)
    bench.pass_ms(50)
    assert len(ear.frames()) == 1
    assert ear.subscribe("v1.book.d", "BTC_USDT_Perp@50").first == 2


def test_nothing_is_said_in_a_delta_stream_when_nothing_changes(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.book.d", "BTC_USDT_Perp@50")
    ear.subscribe("v1.mini.d", "BTC_USDT_Perp@50")
    for _ in range(5):
        bench.pass_ms(50)
    assert ear.frames() == []


def test_complete_streams_repeat_at_their_rate(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.ticker.s", "BTC_USDT_Perp@500")
    ear.subscribe("v1.mini.s", "BTC_USDT_Perp@200")
    ear.subscribe("v1.book.s", "BTC_USDT_Perp@1000-10")
    for _ in range(40):
        bench.pass_ms(50)
    heard = [frame["stream"] for frame in ear.frames()]
    assert {name: heard.count(name) for name in heard} == {"v1.ticker.s": 4, "v1.mini.s": 10, "v1.book.s": 2}


def test_frozen_market_falls_silent(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.ticker.s", "BTC_USDT_Perp@500")
    ear.subscribe("v1.book.s", "BTC_USDT_Perp@500-10")
    bench.venue.set_mode("BTC_USDT_Perp", InstrumentMode.FROZEN)
    for _ in range(10):
        bench.pass_ms(500)
    assert ear.frames() == []


def test_ticker_delta_carries_changed_members_alone(bench: Bench, ear: Ear) -> None:
    first = snapshot(ear.subscribe("v1.mini.d", "BTC_USDT_Perp@100"))
    assert len(first["feed"]) == 11
    bench.rest(Side.BUY, BTC_PX, lots=5)
    bench.pass_ms(100)
    (frame,) = ear.frames()
    assert frame["feed"].keys() == {"event_time", "instrument", "best_bid_size"}


def test_ticker_delta_says_again_what_only_a_newcomer_was_shown(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.mini.d", "BTC_USDT_Perp@5000")
    order = bench.venue.flow_limit(bench.flow, "BTC_USDT_Perp", Side.BUY, BTC_PX, 7)
    assert order is not None
    late = Ear(bench)
    assert snapshot(late.subscribe("v1.mini.d", "BTC_USDT_Perp@5000"))["feed"]["best_bid_size"] == "0.017"
    bench.venue.flow_cancel(order)
    bench.pass_ms(5000)
    (frame,) = late.frames()
    assert frame["feed"]["best_bid_size"] == "0.01"


def test_raw_ticker_is_said_at_once(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.mini.d", "BTC_USDT_Perp@0")
    bench.rest(Side.BUY, BTC_PX, lots=5)
    bench.tell()
    assert len(ear.frames()) == 1


def test_trades_are_replayed_oldest_first_and_then_told_at_once(bench: Bench, ear: Ear) -> None:
    bench.take(Side.BUY, 1)
    bench.take(Side.BUY, 2)
    bench.tell()
    done = ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    assert [msgspec.json.decode(frame)["feed"]["size"] for frame in done.snapshots] == ["0.001", "0.002"]
    assert done.num_snapshots == 2
    bench.take(Side.BUY, 3)
    bench.tell()
    (frame,) = ear.frames()
    assert (frame["feed"]["size"], frame["sequence_number"]) == ("0.003", "1")


def test_candle_is_repeated_while_it_changes_and_closed_by_its_last_word(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.candle", "BTC_USDT_Perp@CI_1_M-TRADE")
    bench.take(Side.BUY, 1)
    bench.pass_ms(500)
    bench.pass_ms(500)
    (frame,) = ear.frames()
    assert (frame["feed"]["trades"], frame["feed"]["volume_b"]) == (1, "0.001")
    bench.take(Side.BUY, 1)
    bench.pass_ms(60_000)
    opens = [frame["feed"]["open_time"] for frame in ear.frames()]
    assert len(opens) == 2
    assert opens[0] == frame["feed"]["open_time"] < opens[1]


def test_private_streams_follow_an_order_to_its_fill(bench: Bench, ear: Ear) -> None:
    for stream in ("v1.order", "v1.state", "v1.fill", "v1.position"):
        ear.subscribe(stream, str(SUB))
    bench.order(Side.BUY, "60000.0")
    bench.pass_ms(50)
    bench.take(Side.SELL, 25)
    bench.tell()
    frames = ear.frames()
    states = [frame["feed"]["order_state"]["status"] for frame in frames if frame["stream"] == "v1.state"]
    assert states[-2:] == ["OPEN", "FILLED"]
    (fill,) = [frame["feed"] for frame in frames if frame["stream"] == "v1.fill"]
    assert (fill["size"], fill["is_taker"], fill["client_order_id"]) == ("0.01", False, "1")
    assert [frame["feed"]["size"] for frame in frames if frame["stream"] == "v1.position"] == ["0.01"]


def test_private_selector_of_one_instrument_hears_that_alone(bench: Bench, ear: Ear) -> None:
    others = Ear(bench)
    ear.subscribe("v1.order", f"{SUB}-BTC_USDT_Perp")
    others.subscribe("v1.order", f"{SUB}-ETH_USDT_Perp")
    Ear(bench).subscribe("v1.order", f"{SUB + 1}")
    bench.order(Side.BUY, "59000.0")
    bench.tell()
    assert ear.frames()
    assert others.frames() == []


def test_positions_are_the_snapshot_of_their_stream(bench: Bench, ear: Ear) -> None:
    bench.order(Side.BUY, "60000.0")
    bench.pass_ms(50)
    bench.take(Side.SELL, 25)
    bench.tell()
    assert snapshot(ear.subscribe("v1.position", str(SUB)))["feed"]["size"] == "0.01"
    assert ear.subscribe("v1.position", f"{SUB}-ETH_USDT_Perp").num_snapshots == 0


def test_selector_with_the_same_primary_replaces_the_former(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.ticker.s", "BTC_USDT_Perp@500")
    assert ear.subscribe("v1.ticker.s", "BTC_USDT_Perp@1000").replaced == "BTC_USDT_Perp@500"
    assert ear.subscribe("v1.mini.s", "BTC_USDT_Perp@1000").replaced == ""
    assert bench.hub.subscriptions(ear) == {
        "v1.ticker.s": ["BTC_USDT_Perp@1000"],
        "v1.mini.s": ["BTC_USDT_Perp@1000"],
    }
    bench.pass_ms(500)
    assert ear.frames() == []


def test_both_encodings_carry_the_same_frame(bench: Bench, ear: Ear) -> None:
    lite = Ear(bench)
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    lite.subscribe("v1.trade", "BTC_USDT_Perp@50", LITE)
    bench.take(Side.BUY, 1)
    bench.tell()
    (full_frame,), (lite_frame,) = ear.frames(), lite.frames()
    assert lite_frame["s1"] == full_frame["selector"] == "BTC_USDT_Perp@50"
    assert (lite_frame["sn"], lite_frame["ps"]) == ("1", "0")
    assert lite_frame["f"]["ti"] == full_frame["feed"]["trade_id"]


def test_global_numbers_grow_without_being_consecutive(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50", Variant(Encoding.FULL, is_global=True))
    other = Ear(bench)
    other.subscribe("v1.book.d", "BTC_USDT_Perp@50")
    numbers = [0]
    for _ in range(3):
        bench.take(Side.BUY, 1)
        bench.pass_ms(50)
        (frame,) = ear.frames()
        assert int(frame["prev_sequence_number"]) == numbers[-1]
        numbers.append(int(frame["sequence_number"]))
    assert all(number % 100_000 == 0 for number in numbers)
    assert numbers[2] - numbers[1] > 100_000


def test_listener_that_is_gone_is_forgotten(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    ear.subscribe("v1.ticker.s", "BTC_USDT_Perp@500")
    bench.hub.forget(ear)
    bench.take(Side.BUY, 1)
    bench.pass_ms(500)
    bench.pass_ms(500)
    assert ear.frames() == []
    assert bench.hub.next_due_ns() is None


def post(bench: Bench, **members: Any) -> None:
    bench.faults.add(FaultSpec(**members), bench.venue.now_ns)


def trade(bench: Bench, times: int = 1) -> None:
    for _ in range(times):
        bench.take(Side.BUY, 1)
        bench.tell()


def test_muted_frames_are_numbered_but_not_sent(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    post(bench, action="mute", match=Match(stream="v1.trade"), until=Until(ms=1000))
    trade(bench, 2)
    bench.pass_ms(1000)
    trade(bench)
    (frame,) = ear.frames()
    assert (frame["sequence_number"], frame["prev_sequence_number"]) == ("3", "2")


def test_gap_loses_as_many_frames_as_asked(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    post(bench, action="gap", match=Match(stream="v1.trade", nth=2), frames=2)
    trade(bench, 5)
    assert [frame["sequence_number"] for frame in ear.frames()] == ["1", "4", "5"]


def test_duplicate_sends_a_frame_twice(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    post(bench, action="duplicate", match=Match(stream="v1.trade"), until=Until(hits=1))
    trade(bench, 2)
    assert [frame["sequence_number"] for frame in ear.frames()] == ["1", "1", "2"]


def test_crossed_book_has_a_bid_above_the_best_ask(bench: Bench, ear: Ear) -> None:
    post(bench, action="crossed", match=Match(stream="v1.book.d", symbol="BTC_USDT_Perp"))
    first = snapshot(ear.subscribe("v1.book.d", "BTC_USDT_Perp@50"))
    assert float(first["feed"]["bids"][0]["price"]) > float(first["feed"]["asks"][0]["price"])
    bench.rest(Side.BUY, BTC_PX - 5)
    bench.pass_ms(50)
    (frame,) = ear.frames()
    assert float(frame["feed"]["bids"][0]["price"]) > float(first["feed"]["asks"][0]["price"])


@pytest.mark.parametrize(
    ("members", "written"),
    [
        ({"value": "NaN"}, b'"price":"NaN"'),
        ({"value": "NaN", "raw": True}, b'"price":NaN'),
        ({"value": "1e400", "raw": True}, b'"price":1e400'),
        ({"value": ""}, b'"price":""'),
        ({"value": None}, b'"price":null'),
        ({"value": "Infinity", "field": "size"}, b'"size":"Infinity"'),
    ],
)
def test_bad_number_is_written_as_asked(bench: Bench, ear: Ear, members: dict[str, Any], written: bytes) -> None:
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    post(bench, action="bad_number", match=Match(stream="v1.trade"), until=Until(hits=1), **members)
    trade(bench, 2)
    assert written in ear.heard[0]
    assert written not in ear.heard[1]


def test_delayed_frame_arrives_later(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    post(bench, action="delay", match=Match(stream="v1.trade"), until=Until(hits=1), ms=700)
    trade(bench)
    assert ear.frames() == []
    ((ms, call),) = bench.delayed
    call()
    assert (ms, len(ear.frames())) == (700, 1)


def test_reset_counters_start_again(bench: Bench, ear: Ear) -> None:
    ear.subscribe("v1.trade", "BTC_USDT_Perp@50")
    trade(bench, 3)
    bench.hub.reset_sequences()
    trade(bench)
    assert [frame["sequence_number"] for frame in ear.frames()] == ["1", "2", "3", "1"]
