"""Paging through a venue's past: each row once, oldest first, and an end whatever the venue does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from perpmaker.errors import ConfigError, DataError
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.venues.ccxt.history import History, Row, by_offset, by_time, printed
from perpmaker.venues.ccxt.library import CallFailed
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.quirks import Quirks

Ask = Callable[[int], Awaitable[Sequence[Row]]]


def row(ts_ms: int, name: str = "") -> Row:
    return Row(ts_ms, name or ts_ms, (name or str(ts_ms),))


class Venue:
    """A past, told in pages; `asked` is what was asked for."""

    def __init__(self, rows: Sequence[Row], page: Callable[[Sequence[Row], int], Sequence[Row]]) -> None:
        self._rows = rows
        self._page = page
        self.asked: list[int] = []

    async def ask(self, place: int) -> Sequence[Row]:
        self.asked.append(place)
        assert len(self.asked) < 1000, "it does not end"
        return self._page(self._rows, place)


def from_then(most: int) -> Callable[[Sequence[Row], int], Sequence[Row]]:
    return lambda rows, since_ms: [one for one in rows if one.ts_ms >= since_ms][:most]


async def by_time_of(venue: Venue, begin_ms: int, end_ms: int, step_ms: int = 10, **hears: Any) -> list[Row]:
    return [one async for page in by_time(venue.ask, begin_ms, end_ms, step_ms=step_ms, **hears) for one in page]


async def by_offset_of(venue: Venue, begin_ms: int, end_ms: int) -> list[Row]:
    return [one async for page in by_offset(venue.ask, begin_ms, end_ms) for one in page]


async def test_rows_at_the_border_of_two_pages_are_there_once_and_none_is_missing() -> None:
    past = [row(1, "a"), row(2, "b"), row(3, "c"), row(3, "d"), row(3, "e"), row(4, "f"), row(9, "g"), row(12, "h")]
    venue = Venue(past, from_then(4))
    assert await by_time_of(venue, 1, 12) == past[:-1]
    assert venue.asked == [1, 3, 4]


async def test_a_page_full_of_one_time_is_passed_and_told() -> None:
    past = [row(1, "a"), *(row(5, name) for name in "bcd"), row(6, "e")]
    told: list[tuple[int, int]] = []
    found = await by_time_of(Venue(past, from_then(2)), 0, 7, full=lambda at_ms, rows: told.append((at_ms, rows)))
    assert [one.key for one in found] == ["a", "b", "c", "e"]
    assert (5, 2) in told


async def test_an_empty_page_in_the_middle_is_not_the_end() -> None:
    def of_ten(rows: Sequence[Row], since_ms: int) -> Sequence[Row]:
        return [one for one in rows if since_ms <= one.ts_ms < since_ms + 10]

    past = [row(3), row(4), row(47), row(95)]
    assert await by_time_of(Venue(past, of_ten), 0, 96) == past


async def test_rows_out_of_order_are_put_in_order() -> None:
    past = [row(4), row(2), row(9), row(7), row(3)]
    venue = Venue(past, lambda rows, since_ms: [one for one in rows if one.ts_ms >= since_ms])
    assert [one.ts_ms for one in await by_time_of(venue, 3, 9)] == [3, 4, 7]


async def test_the_later_reading_of_a_row_counts() -> None:
    readings = iter([[row(1), Row(2, 2, ("half",))], [Row(2, 2, ("whole",))], []])
    venue = Venue([], lambda rows, since_ms: next(readings, []))
    assert [one.cells for one in await by_time_of(venue, 1, 5)] == [("1",), ("whole",)]


@pytest.mark.parametrize("told", [[row(3), row(5), row(5, "x")], [row(90)], [row(-7)], []])
async def test_a_venue_that_ignores_the_time_has_an_end(told: list[Row]) -> None:
    found = await by_time_of(Venue(told, lambda rows, since_ms: rows), 0, 50)
    assert found == [one for one in told if 0 <= one.ts_ms < 50]


async def test_a_venue_that_always_has_something_newer_is_left_at_the_end() -> None:
    endless = Venue([], lambda rows, since_ms: [row(since_ms), row(since_ms + 1)])
    assert [one.ts_ms for one in await by_time_of(endless, 0, 40)] == list(range(40))


async def test_newest_first_is_read_back_to_the_beginning_and_turned() -> None:
    past = [row(ts_ms) for ts_ms in range(100, 0, -1)]
    venue = Venue(past, lambda rows, offset: rows[offset : offset + 10])
    assert [one.ts_ms for one in await by_offset_of(venue, 55, 90)] == list(range(55, 90))
    assert venue.asked == [0, 10, 20, 30, 40]


async def test_what_happens_between_two_pages_takes_nothing_away() -> None:
    past = [row(ts_ms) for ts_ms in range(30, 0, -1)]

    def moving(rows: Sequence[Row], offset: int) -> Sequence[Row]:
        now = [row(ts_ms) for ts_ms in range(30 + offset, 30, -1)] + list(rows)  # as many new ones as were passed over
        return now[offset : offset + 5]

    stuck = Venue(past, moving)
    assert [one.ts_ms for one in await by_offset_of(stuck, 0, 100)] == [26, 27, 28, 29, 30]
    assert len(stuck.asked) == 4

    def shifted(rows: Sequence[Row], offset: int) -> Sequence[Row]:
        now = [row(31), row(32)] if offset else []
        return [*reversed(now), *rows][offset : offset + 5]

    assert [one.ts_ms for one in await by_offset_of(Venue(past, shifted), 0, 31)] == list(range(1, 31))


async def test_a_venue_that_ignores_the_offset_has_an_end() -> None:
    venue = Venue([row(2), row(1)], lambda rows, offset: rows)
    assert [one.ts_ms for one in await by_offset_of(venue, 0, 9)] == [1, 2]


def test_a_number_is_written_as_the_venue_printed_it() -> None:
    assert printed(100.0, {"price": "100.00", "p": 7}, "px") == "100.00"
    assert printed("0.10", None, "px") == "0.10"
    assert printed(1e-8, {"id": "x"}, "px") == "0.00000001"
    with pytest.raises(DataError, match="px: None is not a number"):
        printed(None, {}, "px")


class Client:
    """A ccxt object that answers from lists, and fails as often as it is told."""

    timeframes = {"1m": "1", "15": "15m", "1M": "1month"}  # noqa: RUF012 (as ccxt has it)
    own_codes: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, *, fails: int = 0, **answers: Any) -> None:
        self.has = {"fetchOHLCV": True, "fetchTrades": True, "fetchFundingRateHistory": None}
        self._answers = answers
        self.fails = fails

    def feature_value(self, symbol: str, method: str, name: str) -> None:
        return None

    async def fetch_trades(self, symbol: str, since_ms: int, limit: int | None, params: Any) -> Any:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("lost")
        return [one for one in self._answers["trades"] if one["timestamp"] >= since_ms]

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since_ms: int, limit: int) -> Any:
        return [one for one in self._answers["candles"] if one[0] >= since_ms]


LISTED = Listed(
    Instrument(
        instrument_id=InstrumentId("XUSDT@x"), symbol="XUSDT", exchange="x", base="X", quote="USDT",
        tick=Decimal("0.1"), lot=Decimal("0.01"), min_qty=Decimal("0.01"), min_notional=Decimal(0),
    ),
    "X/USDT:USDT", "XUSDT", Decimal("0.01"),
)  # fmt: skip


def history(client: Client) -> History:
    return History("x", Quirks(ccxt_id="x", exchange="x"), client, pauses_s=(0.0, 0.0))


async def cells(past: History, what: str, **options: Any) -> list[tuple[str, ...]]:
    return [one.cells async for page in past.rows(what, LISTED, 0, 120_000, **options) for one in page]


async def test_contracts_become_base_units_and_equal_trades_without_ids_all_count() -> None:
    trade = {"timestamp": 5, "side": "buy", "price": 2.5, "amount": 30.0, "info": {"p": "2.50"}}
    past = history(Client(trades=[trade, trade, trade | {"timestamp": 9, "id": "7"}], fails=2))
    assert await cells(past, "trades") == [
        ("buy", "2.50", "0.3", ""),
        ("buy", "2.50", "0.3", ""),
        ("buy", "2.50", "0.3", "7"),
    ]


async def test_a_venue_that_does_not_answer_is_an_error_after_some_tries() -> None:
    with pytest.raises(CallFailed, match="lost"):
        await cells(history(Client(fails=9)), "trades")


async def test_candles_are_exact_and_one_that_contradicts_itself_is_refused() -> None:
    past = history(Client(candles=[[60_000, 1.1, 1.3, 1.1, 1.2, None]]))
    assert await cells(past, "candles") == [("1.1", "1.3", "1.1", "1.2", "", "")]
    assert past.notes == ["volume is in X or in contracts of 0.01 X, as ccxt tells it"]
    with pytest.raises(DataError, match="contradicts itself"):
        await cells(history(Client(candles=[[60_000, 1.1, 1.0, 1.1, 1.2, 3.0]])), "candles")


async def test_what_a_venue_does_not_tell_is_refused_with_what_it_does() -> None:
    with pytest.raises(ConfigError, match="x tells no funding; it tells: candles, trades"):
        await cells(history(Client()), "funding")
    with pytest.raises(ConfigError, match="420 s is not offered by x; allowed: 1m, 15m"):
        await cells(history(Client()), "candles", interval_s=420)


async def test_an_instrument_that_is_not_listed_is_answered_with_near_ones() -> None:
    market = {"swap": True, "linear": True, "base": "X", "quote": "USDT", "precision": {"amount": 1, "price": 1}}
    names = [f"N{place}USDT" for place in range(30)] + ["BTCUSDT"]
    markets = {name: market | {"id": name, "symbol": f"{name}:USDT"} for name in names}
    client = SimpleNamespace(load_markets=_nothing, markets=markets, precisionMode=4, own_codes={})
    past = History("x", Quirks(ccxt_id="x", exchange="x"), client)
    assert (await past.instrument("BTCUSDT:USDT")).market_id == "BTCUSDT"
    with pytest.raises(ConfigError, match="BTCUSD is not listed; listed: BTCUSDT.* more"):
        await past.instrument("BTCUSD")


async def _nothing() -> None:
    """Markets are there already."""
