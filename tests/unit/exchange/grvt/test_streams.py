"""Selectors: what is understood, and which code answers what is not (protocol page §10.3)."""

from __future__ import annotations

import pytest

from perpmaker.exchange.core.instruments import BTC
from perpmaker.exchange.core.types import CandleInterval, CandleType
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.streams import STREAMS, Primary, Selection, read_selector

SUB = "2147050003876484"
MAIN = "0xc73c0c2538fd9b833d20933ccc88fdaa74fcb0d0"


def read(stream: str, text: str) -> Selection:
    return read_selector(stream, text, {BTC.name: BTC}.get)


@pytest.mark.parametrize(
    ("stream", "text", "code"),
    [
        ("v1.nothing", "BTC_USDT_Perp@500", 3001),
        ("v1.mini.s", "BTC_USDT_Perp", 1101),
        ("v1.mini.s", "@500", 1101),
        ("v1.mini.s", "BTC_USDT_Perp@500@1", 1101),
        ("v1.mini.s", "BTC_USDT_Perp-x@500", 1102),
        ("v1.mini.s", "DOGE_USDT_Perp@500", 3000),
        ("v1.mini.s", "BTC_USDT_Perp@50", 3030),
        ("v1.mini.s", "BTC_USDT_Perp@", 3030),
        ("v1.mini.s", "BTC_USDT_Perp@-500", 1103),
        ("v1.mini.s", "BTC_USDT_Perp@٥٠٠", 3030),
        ("v1.mini.s", "BTC_USDT_Perp@500-10", 1103),
        ("v1.ticker.s", "BTC_USDT_Perp@200", 3030),
        ("v1.ticker.d", "BTC_USDT_Perp@50", 3030),
        ("v1.book.s", "BTC_USDT_Perp@500", 1103),
        ("v1.book.s", "BTC_USDT_Perp@100-10", 3030),
        ("v1.book.s", "BTC_USDT_Perp@500-11", 3031),
        ("v1.book.d", "BTC_USDT_Perp@200", 3030),
        ("v1.book.d", "BTC_USDT_Perp@50-10", 3031),
        ("v1.trade", "BTC_USDT_Perp@0", 3011),
        ("v1.trade", "BTC_USDT_Perp@1001", 3011),
        ("v1.trade", "BTC_USDT_Perp@51", 3013),
        ("v1.candle", "BTC_USDT_Perp@CI_1_M", 1103),
        ("v1.candle", "BTC_USDT_Perp@CI_7_M-TRADE", 3040),
        ("v1.candle", "BTC_USDT_Perp@CI_1_M-LAST", 3041),
        ("v1.order", "", 1102),
        ("v1.order", "abc", 3020),
        ("v1.order", str(1 << 64), 3020),
        ("v1.order", f"{SUB}@500", 1103),
        ("v1.order", f"{SUB}-DOGE_USDT_Perp", 3000),
        ("v1.order", f"{SUB}-a-b", 1102),
        ("v1.cancel", f"{SUB}-BTC_USDT_Perp", 1102),
        ("v1.deposit", "", 1102),
        ("v1.deposit", f"{MAIN}-{SUB}", 1102),
    ],
)
def test_wrong_selector_is_answered_with_its_code(stream: str, text: str, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        read(stream, text)
    assert refused.value.code == code


@pytest.mark.parametrize("stream", [row for row in STREAMS.values() if row.rates_ms], ids=lambda row: row.name)
def test_every_rate_of_the_page_is_understood(stream: object) -> None:
    listed = STREAMS[getattr(stream, "name", "")]
    tail = "-10" if listed.name == "v1.book.s" else ""
    for rate_ms in listed.rates_ms:
        assert read(listed.name, f"BTC_USDT_Perp@{rate_ms}{tail}").rate_ms == rate_ms


def test_legacy_book_selectors_are_understood() -> None:
    assert read("v1.book.s", "BTC_USDT_Perp@500-100-10").depth == 100
    assert read("v1.book.d", "BTC_USDT_Perp@50-0").depth == 0


def test_candle_selector_names_interval_and_type() -> None:
    selection = read("v1.candle", "BTC_USDT_Perp@CI_4_H-INDEX")
    assert (selection.interval, selection.candle) == (CandleInterval.CI_4_H, CandleType.INDEX)


def test_private_selectors_name_account_instrument_and_legacy_filters() -> None:
    assert read("v1.fill", SUB).instrument == ""
    assert read("v1.fill", f"{SUB}-BTC_USDT_Perp").instrument == "BTC_USDT_Perp"
    legacy = read("v1.fill", f"{SUB}-PERPETUAL-BTC-USDT")
    assert (legacy.sub_account_id, legacy.base, legacy.quote) == (int(SUB), "BTC", "USDT")
    assert read("v1.transfer", f"{MAIN}-{SUB}").main_account == MAIN


def test_every_private_stream_needs_an_account() -> None:
    for stream in STREAMS.values():
        assert stream.is_private == (stream.primary is not Primary.INSTRUMENT)
