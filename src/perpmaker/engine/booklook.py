"""One look at the public book of an instrument: no account, no lock, no order; nothing of it stays behind."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from perpmaker.clock import Clock
from perpmaker.control.home import RunFile
from perpmaker.engine.assembly import LOCAL, venue_addresses
from perpmaker.errors import ConfigError, VenueUnavailable
from perpmaker.marketdata.book import OrderBook
from perpmaker.marketdata.books import Books
from perpmaker.model.events import ConversionRate, Event
from perpmaker.model.ids import HOME_EXCHANGE, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.venues.api import MarketFeed, Subscription
from perpmaker.venues.ccxt.feed import CcxtFeed, FeedOptions
from perpmaker.venues.ccxt.quirks import quirks_of
from perpmaker.venues.grvt.environments import environment
from perpmaker.venues.grvt.feed import GrvtFeed
from perpmaker.venues.grvt.rest import allow_list
from perpmaker.venues.transport.http import open_http

PATIENCE_S: Final = 15.0
"""How long a usable book is waited for."""
RATE_PATIENCE_S: Final = 5.0
LISTING_PATIENCE_S, AGAIN_S = 6.0, 0.5


class Market(msgspec.Struct, frozen=True):
    """Where an instrument is traded: a venue as configured, the environment, and the practice exchange for env local."""

    venue: str
    env: str
    exchange: RunFile | None


async def look(market: Market, instrument: InstrumentId, clock: Clock) -> OrderBook:
    """Return the book as it is now; ConfigError for an unknown instrument, VenueError when the venue cannot be seen."""
    async with _feed(market, clock) as feed:
        try:
            listed = {one.instrument_id: one for one in await _listing(feed)}
            if instrument not in listed:
                raise unknown(instrument, listed, market)
            return await _first_book(feed, listed[instrument], clock)
        finally:
            await feed.stop()


async def told_rate(market: Market, source: str, target: str, clock: Clock) -> ConversionRate | None:
    """Return what a venue says one `source` is worth in `target`; None where it does not say so soon."""
    if market.venue == HOME_EXCHANGE or source == target:
        return None
    found: asyncio.Future[ConversionRate] = asyncio.get_running_loop().create_future()

    def take(event: Event) -> None:
        if isinstance(event, ConversionRate) and not found.done():
            found.set_result(event)

    async with _feed(market, clock, convert=(source, target)) as feed:
        try:
            await feed.start(take)
            async with asyncio.timeout(RATE_PATIENCE_S):
                return await found
        except TimeoutError:
            return None
        finally:
            await feed.stop()


async def _listing(feed: MarketFeed) -> Sequence[Instrument]:
    """Read what is listed; a venue that cannot be reached is tried again for a while."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LISTING_PATIENCE_S
    while True:
        try:
            return await feed.instruments()
        except VenueUnavailable:
            if loop.time() >= until:
                raise
        await asyncio.sleep(AGAIN_S)


async def _first_book(feed: MarketFeed, rules: Instrument, clock: Clock) -> OrderBook:
    """Return a copy of the first book that may be traded on."""
    name = rules.instrument_id
    books = Books((rules,))
    found: asyncio.Future[OrderBook] = asyncio.get_running_loop().create_future()

    def take(event: Event) -> None:
        books.apply(event)
        book = books.book(name, clock.now_ns())
        if book is not None and not found.done():
            copy = OrderBook(rules)
            copy.snapshot(tuple(book.each(Side.BUY)), tuple(book.each(Side.SELL)), book.ts_event_ns, book.ts_recv_ns)
            found.set_result(copy)

    feed.subscribe(Subscription(name, trades=False))
    await feed.start(take)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await found
    except TimeoutError:
        reason = books.stale_reason(name, clock.now_ns())
        why = "not usable" if reason is None else reason.value
        raise VenueUnavailable(f"the book of {name} is {why} after {PATIENCE_S:g} s") from None


def unknown(instrument: str, listed: dict[InstrumentId, Instrument], market: Market) -> ConfigError:
    """Return the error that names what is listed, what sounds alike first."""
    names = sorted(listed)
    near = difflib.get_close_matches(instrument, names, n=3, cutoff=0.5)
    said = f"did you mean {' or '.join(near)}? " if near else ""
    return ConfigError(
        f"--instrument {instrument}: is not listed on {market.venue} {market.env}; {said}allowed: {_some(names)}"
    )


@asynccontextmanager
async def _feed(market: Market, clock: Clock, *, convert: tuple[str, str] | None = None) -> AsyncIterator[MarketFeed]:
    addresses = venue_addresses(market.venue, market.env, market.exchange)
    if market.venue != HOME_EXCHANGE:
        options = FeedOptions(convert=convert)
        yield CcxtFeed(quirks=quirks_of(market.venue), clock=clock, seed=1, urls=addresses, options=options)
        return
    hosts = environment(market.env, addresses if market.env == LOCAL else None)
    async with open_http(allow_list(hosts)) as http:
        yield GrvtFeed(environment=hosts, http=http, clock=clock, seed=1)


def _some(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
