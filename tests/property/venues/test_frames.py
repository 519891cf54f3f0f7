"""Malformed frames: whatever arrives, it is an event, or DataError, or ignored. Nothing else, and nothing half done."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpmaker.errors import DataError, VenueError
from perpmaker.model.events import Source
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.venues.grvt import objects, parse, routes, streams
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.lite import Encoding
from perpmaker.venues.grvt.session import read_login

SAMPLES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "grvt" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
]
ACCOUNT = AccountId("a")
NASTY: list[Any] = [
    None, True, False, 0, -1, 1 << 70, 0.5, 1e308, "", " ", "NaN", "Infinity", "-Infinity", "1e400", "-1", "0", "0.0",
    "null", "\x00", "é", "９", "1_000", "0x10", "9" * 400, [], {}, [[]], [None], {"": None}, "BRAND_NEW_VALUE",
]  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
INSTRUMENT = parse.instrument(
    objects.WireInstrument("BTC_USDT_Perp", "0x030501", "BTC", "USDT", "PERPETUAL", 9, "0.1", "0.001", "100.0")
)


def consumers(name: str) -> Callable[[Any, bool], Any]:
    """Return what the client does with a frame of a stream."""
    reader = parse.Reader(INSTRUMENT)
    return {
        streams.BOOK: lambda feed, snapshot: (parse.book_snapshot if snapshot else parse.book_delta)(
            feed, reader, 1, 1
        ),
        streams.TRADES: lambda feed, snapshot: parse.trade(feed, reader, 1, replayed=snapshot),
        streams.TICKER: lambda feed, _: parse.ticker(feed, 1),
        streams.MINI: lambda feed, _: parse.ticker(feed, 1),
        streams.MINI_CHANGES: lambda feed, _: parse.ticker(feed, 1),
        streams.CANDLES: lambda feed, _: parse.bar(feed, 60, 1),
        streams.ORDERS: lambda feed, _: parse.order_report(feed, ACCOUNT, Source.STREAM, 1),
        streams.STATES: lambda feed, _: parse.state_report(feed, InstrumentId("X"), ACCOUNT, Source.STREAM, 1),
        streams.FILLS: lambda feed, _: parse.fill(feed, ACCOUNT, Source.STREAM, 1),
        streams.POSITIONS: lambda feed, _: parse.position_report(feed, ACCOUNT, Source.STREAM, 1),
        streams.CANCELS: lambda feed, _: feed.cancel_status,
    }[name]


def consume(codec: Codec, text: bytes | str, snapshot: bool) -> None:
    """Read a frame as the socket and its handlers do; everything but DataError is a failure of the test."""
    try:
        frame = codec.incoming(text)
        if bytes(frame.feed) and frame.stream in streams.STREAMS:
            event = consumers(str(frame.stream))(codec.feed(str(frame.stream), frame.feed), snapshot)
            check_exact(event)
        elif bytes(frame.result):
            codec.decode(frame.result, objects.SubscribeResult)
    except DataError:
        pass


def check_exact(event: Any) -> None:
    """No event carries a number that is not finite."""
    if isinstance(event, msgspec.Struct):
        for value in msgspec.structs.astuple(event):
            finite = getattr(value, "is_finite", None)
            assert finite is None or finite()
            assert not isinstance(value, float) or value - value == 0


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    found = [here]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*here, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*here, index))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any, drop: bool) -> Any:
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return changed


FEEDS = [s for s in SAMPLES if s["name"].startswith("ws.feed.")]
MUTATED = st.sampled_from(FEEDS).flatmap(
    lambda sample: st.tuples(
        st.just(sample),
        st.sampled_from(paths(sample["value"])),
        st.sampled_from(NASTY) | JSON,
        st.booleans(),
        st.booleans(),
    )
)


@settings(max_examples=3000, deadline=None)
@given(MUTATED)
def test_a_frame_with_any_member_replaced_or_missing_is_an_event_or_data_error(
    case: tuple[dict[str, Any], tuple[Any, ...], Any, bool, bool],
) -> None:
    sample, path, new, drop, snapshot = case
    codec = Codec(Encoding.LITE if sample["encoding"] == "lite" else Encoding.FULL)
    consume(codec, json.dumps(replaced(sample["value"], path, new, drop)), snapshot)


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(FEEDS), st.data())
def test_a_frame_with_bytes_cut_flipped_or_repeated_is_refused_or_read(
    sample: dict[str, Any], data: st.DataObject
) -> None:
    codec = Codec(Encoding.LITE if sample["encoding"] == "lite" else Encoding.FULL)
    text = bytearray(json.dumps(sample["value"]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["cut", "flip", "repeat"]))
        if kind == "cut":
            text = text[:at] or bytearray(b"{")
        elif kind == "flip":
            text[at] = data.draw(st.integers(0, 255))
        else:
            text += text[at:]
    consume(codec, bytes(text), data.draw(st.booleans()))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from(list(Encoding)))
def test_any_bytes_at_all_are_refused_or_ignored(text: bytes, encoding: Encoding) -> None:
    consume(Codec(encoding), text, True)


@pytest.mark.parametrize("depth", [100, 10_000, 200_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '{"stream":"v1.order","feed":[', '{"result":['])
def test_deep_nesting_is_refused_or_skipped(depth: int, opening: str) -> None:
    consume(Codec(), opening * depth, False)
    consume(Codec(), opening * depth + "]" * depth, False)


REPLIES = [
    (routes.POSITIONS, "rest.positions.response.full.live"),
    (routes.OPEN_ORDERS, "rest.open_orders.response.full.live"),
    (routes.FILL_HISTORY, "rest.fill_history_maker.response.full.live"),
    (routes.ACCOUNT_SUMMARY, "rest.account_summary.response.full.live"),
    (routes.INSTRUMENTS, "rest.instruments.response.full"),
    (routes.KLINE, "rest.kline.response.full"),
    (routes.FUNDING, "rest.funding.response.full.live"),
    (routes.FUNDING_PAYMENTS, "rest.funding_payment_history.response.full"),
    (routes.CREATE_ORDER, "rest.create_order_ack.response.full.live"),
]
ROW_PARSERS: dict[str, Callable[[Any], Any]] = {
    "/v1/positions": lambda row: parse.position_report(row, ACCOUNT, Source.SNAPSHOT, 1),
    "/v1/open_orders": lambda row: parse.order_report(row, ACCOUNT, Source.SNAPSHOT, 1),
    "/v1/fill_history": lambda row: parse.fill(row, ACCOUNT, Source.HISTORY, 1),
    "/v1/account_summary": parse.account,
    "/v1/instruments": parse.instrument,
    "/v1/kline": lambda row: parse.bar(row, 60, 1),
    "/v1/funding": parse.funding_rate,
    "/v1/funding_payment_history": lambda row: parse.funding_paid(row, ACCOUNT, 1),
    "/v1/create_order": lambda row: parse.order_report(row, ACCOUNT, Source.REPLY, 1),
}
BY_NAME = {sample["name"]: sample["value"] for sample in SAMPLES}


@settings(max_examples=2000, deadline=None)
@given(
    st.sampled_from(REPLIES).flatmap(
        lambda reply: st.tuples(
            st.just(reply), st.sampled_from(paths(BY_NAME[reply[1]])), st.sampled_from(NASTY) | JSON, st.booleans()
        )
    )
)
def test_an_answer_with_any_member_replaced_or_missing_is_rows_or_data_error(case: Any) -> None:
    (route, name), path, new, drop = case
    try:
        reply = Codec().decode(json.dumps(replaced(BY_NAME[name], path, new, drop)).encode(), route.reply)
        rows = reply.result if isinstance(reply.result, list) else [reply.result]
        for row in rows:
            check_exact(ROW_PARSERS[route.path](row))
    except DataError:
        pass


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([200, 302, 400, 401, 403, 404, 429, 500, 503]) | st.integers(100, 599),
    st.dictionaries(st.sampled_from(["Set-Cookie", "X-Grvt-Account-Id", "Date", "Retry-After"]), st.text(max_size=60)),
    st.binary(max_size=80) | st.sampled_from([b'{"status":"success"}', b'{"status":"failure"}', b'{"code":1006}']),
)
def test_any_login_answer_is_a_login_or_a_venue_error(status: int, headers: dict[str, str], body: bytes) -> None:
    try:
        login = read_login(status, headers, body, 1_795_251_600 * 10**9)
    except VenueError:
        return
    assert login.life_s > 0
    assert login.cookie
    assert login.account_id


def mutate_many(count: int, seed: int) -> None:
    rng = random.Random(seed)
    codecs = {"full": Codec(Encoding.FULL), "lite": Codec(Encoding.LITE)}
    places = [(sample, paths(sample["value"])) for sample in FEEDS]
    for n in range(count):
        sample, found = places[n % len(places)]
        changed = replaced(sample["value"], rng.choice(found), rng.choice(NASTY), rng.random() < 0.3)
        consume(codecs[sample["encoding"]], msgspec.json.encode(changed), rng.random() < 0.5)


def test_twenty_thousand_mutated_frames_leave_nothing_uncaught() -> None:
    mutate_many(20_000, seed=1)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(16))
def test_two_hundred_thousand_mutated_frames_each_leave_nothing_uncaught(seed: int) -> None:
    mutate_many(200_000, seed=seed + 2)


def test_a_large_frame_is_read_in_time_and_not_kept() -> None:
    level = {"price": "65038.1", "size": "1.5", "num_orders": 1}
    frame = {
        "stream": streams.BOOK,
        "selector": "BTC_USDT_Perp@500-500",
        "sequence_number": "0",
        "prev_sequence_number": "0",
        "feed": {"event_time": "1", "instrument": "BTC_USDT_Perp", "bids": [level] * 20_000, "asks": []},
    }
    codec = Codec()
    incoming = codec.incoming(json.dumps(frame))
    snapshot = parse.book_snapshot(codec.feed(streams.BOOK, incoming.feed), parse.Reader(INSTRUMENT), 1, 1)
    assert len(snapshot.bids) == 20_000
