"""What a venue behind ccxt tells of its past, without a key: candles, trades, funding rates; each row once, oldest first.

Venues page in two ways: from a time on (ccxt's `since`), and by how many of the newest rows to pass over (`offset`). What a
venue does with a page is not to be trusted: borders repeat rows, quiet hours give empty pages, `since` may be ignored.
"""

from __future__ import annotations

import asyncio
import difflib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final, NamedTuple

import aiohttp

from perpmaker.errors import ConfigError, DataError
from perpmaker.model.ids import HOME_EXCHANGE
from perpmaker.venues.ccxt import library, listing, numbers
from perpmaker.venues.ccxt.library import CallFailed
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.quirks import PREFIX, Quirks, quirks_of
from perpmaker.venues.ccxt.verdicts import Verdict

METHODS: Final = {"candles": "fetchOHLCV", "trades": "fetchTrades", "funding": "fetchFundingRateHistory"}
_MS_PER_H: Final = 3_600_000
_STEP_MS: Final = {"trades": _MS_PER_H, "funding": 7 * 24 * _MS_PER_H}
"""How far an empty page is taken to reach. Venues that bound a page by time bound trades by an hour and more."""
_MOST: Final = 1000
_USUAL: Final = 100
"""Candles of a page where ccxt does not know how many there can be."""
_SUSPECT: Final = 50
"""So many trades of one millisecond may be a page that was too small for them."""
_STALE_PAGES: Final = 3
_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Between the tries of a request that failed on the way or came too fast."""
_CALL_S: Final = 60.0
"""With ccxt's own queue, which knows what each request costs at a venue."""
_MANY: Final = 20


class Row(NamedTuple):
    """One thing that happened. Rows of one key are one row told twice; the later reading counts."""

    ts_ms: int
    key: Hashable
    cells: tuple[str, ...]


async def by_time(
    ask: Callable[[int], Awaitable[Sequence[Row]]],
    begin_ms: int,
    end_ms: int,
    *,
    step_ms: int,
    reached: Callable[[int], None] = lambda at_ms: None,
    full: Callable[[int, int], None] = lambda at_ms, rows: None,
) -> AsyncIterator[list[Row]]:
    """Yield what happened from `begin_ms` until before `end_ms`; `ask` returns a page of what happened from a time on.

    Each request begins where the newest row known is, because a page may end between two rows of one millisecond. `full`
    hears of pages that held one millisecond alone. It ends for any venue: every request begins later than the one before.
    """
    at_ms = begin_ms
    held: dict[Hashable, Row] = {}
    """The rows of `at_ms` that are known already."""
    while at_ms < end_ms:
        reached(at_ms)
        told = sorted((row for row in await ask(at_ms) if row.ts_ms >= at_ms), key=lambda row: row.ts_ms)
        rows = held | {row.key: row for row in told if row.ts_ms < end_ms}
        newest_ms = max((row.ts_ms for row in told), default=at_ms)
        if newest_ms >= end_ms:
            yield list(rows.values())
            return
        if newest_ms > at_ms:
            yield [row for row in rows.values() if row.ts_ms < newest_ms]
            held = {key: row for key, row in rows.items() if row.ts_ms == newest_ms}
            at_ms = newest_ms
            continue
        yield list(rows.values())
        held = {}
        if told:
            full(at_ms, len(told))
        at_ms += 1 if told else step_ms
    yield list(held.values())


async def by_offset(
    ask: Callable[[int], Awaitable[Sequence[Row]]],
    begin_ms: int,
    end_ms: int,
    *,
    reached: Callable[[int], None] = lambda at_ms: None,
) -> AsyncIterator[list[Row]]:
    """Yield what happened from `begin_ms` until before `end_ms`; `ask` returns a page after passing over the newest rows.

    What happens meanwhile moves rows on to later pages, where they are met again. A few pages in a row without anything
    new are the end, so that a venue that ignores the offset has one.
    """
    found: dict[Hashable, Row] = {}
    offset = stale = 0
    while stale < _STALE_PAGES:
        page = sorted(await ask(offset), key=lambda row: row.ts_ms, reverse=True)
        if not page:
            break
        known = len(found)
        for row in page:
            found.setdefault(row.key, row)
        oldest_ms = page[-1].ts_ms
        reached(begin_ms + max(end_ms - oldest_ms, 0))
        if oldest_ms < begin_ms:
            break
        stale = stale + 1 if len(found) == known else 0
        offset += len(page)
    inside = [row for row in reversed(found.values()) if begin_ms <= row.ts_ms < end_ms]
    yield sorted(inside, key=lambda row: row.ts_ms)


class _NoStream:
    """Who hears of a stream where none is opened."""

    def on_stream_message(self, message: Any) -> bool:
        return True

    def on_stream_open(self) -> None:
        """None is."""

    def on_stream_broken(self, reason: str) -> None:
        """None can be."""


class History:
    """Reads one venue's past."""

    def __init__(self, venue: str, quirks: Quirks, client: Any, pauses_s: Sequence[float] = _PAUSES_S) -> None:
        self._venue = venue
        self._quirks = quirks
        self._client = client
        self._pauses_s = pauses_s
        self.notes: list[str] = []
        """What a reader of the rows should know."""

    async def instrument(self, name: str) -> Listed:
        """Return a perpetual by the venue's symbol or ccxt's; ConfigError when there is none of that name."""
        await self._call("load_markets")
        reading = listing.read(self._client.markets, self._quirks.exchange, self._client.precisionMode)
        by_name = {found.market_id: found for found in reading.listed.values()}
        found = by_name.get(name) or next((one for one in by_name.values() if one.symbol == name), None)
        if found is not None:
            return found
        if name in reading.unreadable:
            raise DataError(f"--instrument: the rules of {name} cannot be read: {reading.unreadable[name]}")
        near = difflib.get_close_matches(name, by_name, 5, 0.5) if len(by_name) > _MANY else []
        shown = near or sorted(by_name)[:_MANY]
        more = f" and {len(by_name) - len(shown)} more" if len(by_name) > len(shown) else ""
        raise ConfigError(f"--instrument: {name} is not listed; listed: {', '.join(shown)}{more}")

    def rows(
        self,
        what: str,
        listed: Listed,
        begin_ms: int,
        end_ms: int,
        *,
        interval_s: int = 60,
        reached: Callable[[int], None] = lambda at_ms: None,
    ) -> AsyncIterator[list[Row]]:
        """Yield candles, trades or funding rates; ConfigError when the venue tells none of these, or not so."""
        method = METHODS[what]
        has = self._client.has
        if has.get(method) is not True:
            told = [name for name, other in METHODS.items() if has.get(other) is True]
            raise ConfigError(f"{self._venue} tells no {what}; it tells: {', '.join(told) or 'nothing of its past'}")
        limit = self._limit(method, listed)
        if what == "candles":
            if listed.contract_size != 1:
                base = listed.instrument.base
                self.notes.append(
                    f"volume is in {base} or in contracts of {listed.contract_size:f} {base}, as ccxt tells it"
                )
            limit, timeframe = limit or _USUAL, self._timeframe(interval_s)
            return by_time(
                lambda since_ms: self._candles(listed, timeframe, since_ms, limit),
                begin_ms, end_ms, step_ms=limit * interval_s * 1000, reached=reached,
            )  # fmt: skip
        read = self._trades if what == "trades" else self._funding
        if self._quirks.pages_by_offset:
            return by_offset(
                lambda offset: read(listed, None, limit or _MOST, {"offset": offset}), begin_ms, end_ms, reached=reached
            )
        return by_time(
            lambda since_ms: read(listed, since_ms, limit, {}),
            begin_ms, end_ms, step_ms=_STEP_MS[what], reached=reached, full=self._on_full_page,
        )  # fmt: skip

    def _limit(self, method: str, listed: Listed) -> int | None:
        """Return how many rows ccxt says a page has at most, None when it does not say."""
        told = self._client.feature_value(listed.symbol, method, "limit")
        return min(int(told), _MOST) if told else None

    def _timeframe(self, interval_s: int) -> str:
        """Return ccxt's word for a length. Some of its tables have wrong keys, so the venue's own words count too."""
        known = self._client.timeframes or {}
        lengths = {length: word for word in (*known.values(), *known) if (length := _length_s(str(word)))}
        if interval_s not in lengths:
            allowed = ", ".join(word for _, word in sorted(lengths.items()))
            raise ConfigError(f"--interval: {interval_s} s is not offered by {self._venue}; allowed: {allowed}")
        return str(lengths[interval_s])

    def _on_full_page(self, at_ms: int, rows: int) -> None:
        if rows >= _SUSPECT:
            self.notes.append(f"{rows} rows of one millisecond ({at_ms} ms) filled a page: more of them may be missing")

    async def _candles(self, listed: Listed, timeframe: str, since_ms: int, limit: int) -> list[Row]:
        rows = []
        for told in await self._call("fetch_ohlcv", listed.symbol, timeframe, since_ms, limit):
            at_ms = numbers.whole(told[0], "candle.time")
            prices = [numbers.exact(value, f"candle.{name}") for value, name in zip(told[1:5], _PRICES, strict=True)]
            opened, high, low, closed = prices
            if not low <= min(opened, closed) <= max(opened, closed) <= high:
                raise DataError(f"{listed.market_id}: the candle at {at_ms} ms contradicts itself: {told[1:5]}")
            volume = numbers.optional(told[5], "candle.volume")
            rows.append(Row(at_ms, at_ms, (*(f"{px:f}" for px in prices), "" if volume is None else f"{volume:f}", "")))
        return rows

    async def _trades(
        self, listed: Listed, since_ms: int | None, limit: int | None, params: Mapping[str, Any]
    ) -> list[Row]:
        rows, alike = [], Counter[Hashable]()
        for told in await self._call("fetch_trades", listed.symbol, since_ms, limit, dict(params)):
            at_ms, info = numbers.whole(told.get("timestamp"), "trade.timestamp"), told.get("info")
            px = printed(told.get("price"), info, "trade.price")
            qty = printed(told.get("amount"), info, "trade.amount")
            if listed.contract_size != 1:
                qty = f"{listed.qty(Decimal(qty)).normalize():f}"
            cells = (str(told.get("side") or ""), px, qty, str(told.get("id") or ""))
            key: Hashable = cells[-1]
            if not key:  # nothing tells two such trades apart but that a page has both
                alike[at_ms, cells] += 1
                key = (at_ms, cells, alike[at_ms, cells])
            rows.append(Row(at_ms, key, cells))
        return rows

    async def _funding(
        self, listed: Listed, since_ms: int | None, limit: int | None, params: Mapping[str, Any]
    ) -> list[Row]:
        rows = []
        for told in await self._call("fetch_funding_rate_history", listed.symbol, since_ms, limit, dict(params)):
            at_ms = numbers.whole(told.get("timestamp"), "funding.timestamp")
            rate = printed(told.get("fundingRate"), told.get("info"), "funding.rate")
            rows.append(Row(at_ms, at_ms, (rate, "", "")))
        return rows

    async def _call(self, method: str, *arguments: Any) -> Any:
        """Ask, again when it failed on the way or was too fast: reading twice does no harm."""
        for pause_s in self._pauses_s:
            try:
                return await library.call(self._client, method, *arguments, limit_s=_CALL_S)
            except CallFailed as failed:
                if failed.outcome.verdict not in (Verdict.RATE_LIMIT, Verdict.UNKNOWN):
                    raise
            await asyncio.sleep(pause_s)
        return await library.call(self._client, method, *arguments, limit_s=_CALL_S)


_PRICES: Final = ("open", "high", "low", "close")


def printed(value: Any, info: Any, name: str) -> str:
    """Return a number as the venue's own answer printed it, without an exponent; else as it reads shortest."""
    number = numbers.exact(value, name)
    if not isinstance(value, str):
        for text in _texts(info):
            if _is_number(text) and float(text) == float(number):
                return f"{Decimal(text):f}"
    return f"{number:f}"


def _texts(info: Any) -> Iterable[str]:
    values = info.values() if isinstance(info, Mapping) else info if isinstance(info, list | tuple) else ()
    return (value for value in values if isinstance(value, str))


def _is_number(text: str) -> bool:
    try:
        numbers.exact(text, "text")
    except DataError:
        return False
    return True


_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def _length_s(timeframe: str) -> int:
    """Return how long a candle of ccxt's word is, 0 for what has no fixed length."""
    count, unit = timeframe[:-1], timeframe[-1:]
    return int(count) * _UNITS_S[unit] if count.isascii() and count.isdigit() and unit in _UNITS_S else 0


def venue_row(venue: str) -> Quirks:
    """Return the row of a venue that ccxt knows with perpetuals; ConfigError that names what is near."""
    name = venue.removeprefix(PREFIX)
    if name == HOME_EXCHANGE:
        raise ConfigError(f"--venue: {venue} is not read by ccxt here; say {HOME_EXCHANGE}")
    ccxt = library.load()
    kind = getattr(ccxt, name, None) if name in ccxt.exchanges else None
    if kind is None:
        near = difflib.get_close_matches(name, [HOME_EXCHANGE, *ccxt.exchanges], 3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"allowed: {', '.join(_with_perpetuals(ccxt))}"
        raise ConfigError(f"--venue: {venue!r} is not known; {hint}")
    if not kind().has.get("swap"):
        raise ConfigError(
            f"--venue: {venue} has no perpetuals that ccxt knows; allowed: {', '.join(_with_perpetuals(ccxt))}"
        )
    return quirks_of(f"{PREFIX}{name}")


def _with_perpetuals(ccxt: Any) -> list[str]:
    return sorted({HOME_EXCHANGE, *(name for name in ccxt.exchanges if getattr(ccxt, name)().has.get("swap"))})


def environments(quirks: Quirks) -> list[str]:
    """Return where a venue's past can be read: the practice exchange, its testnet, the venue itself."""
    has_testnet = bool(getattr(library.load(), quirks.ccxt_id)().urls.get("test"))
    return [*(["local"] if quirks.urls else []), *(["testnet"] if has_testnet else []), "prod"]


@asynccontextmanager
async def open_history(venue: str, quirks: Quirks, env: str, urls: Mapping[str, Any]) -> AsyncIterator[History]:
    """Give a venue's past in an environment; `urls` are ccxt's of the practice exchange for env local, else {}."""
    is_testnet = env == "testnet"
    hosts = getattr(library.load(), quirks.ccxt_id)().urls["test"] if is_testnet else urls
    http = library.open_client_http(quirks, hosts if isinstance(hosts, Mapping) else {"rest": hosts})
    try:
        client = _client(quirks, http, urls, is_testnet=is_testnet)
        try:
            yield History(venue, quirks, client)
        finally:
            await library.close_client(client)
    finally:
        await http.close()


def _client(quirks: Quirks, http: aiohttp.ClientSession, urls: Mapping[str, Any], *, is_testnet: bool) -> Any:
    client = library.make_client(quirks, http, _NoStream(), urls=urls)
    client.enableRateLimit = True  # nothing here is in a hurry: ccxt's queue knows each venue's costs
    if is_testnet:
        client.set_sandbox_mode(True)
    return client
