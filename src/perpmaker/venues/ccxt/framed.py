"""One instrument whose raw frames we read ourselves: events out of frames, and the proof that the book moves along."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any, Final

import msgspec

from perpmaker.errors import DataError, VenueError
from perpmaker.logs import get
from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, StaleReason
from perpmaker.model.ids import TradeId
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.api import Subscription
from perpmaker.venues.candles import BarAssembler
from perpmaker.venues.ccxt.depth import Sequencer, Step
from perpmaker.venues.ccxt.frames import Depth, FrameReader, Heading, Kind
from perpmaker.venues.ccxt.library import call
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.market import MarketOwner
from perpmaker.venues.memory import Remembered

QUIET_S: Final = 1.0
"""A book that says nothing for this long is compared with REST: a quiet market has the same last id, a mute stream not."""
CATCH_UP_S: Final = 0.3
"""How long the stream may take to tell what REST has told already."""
REMEMBERED_TRADES: Final = 1024
ASK_PAUSE_S: Final = 0.2

_log = get("venues.ccxt.feed")


class FramedMarket:
    """Turns frames into events in the step that reads them."""

    def __init__(self, owner: MarketOwner, reader: FrameReader, listed: Listed, wanted: Subscription) -> None:
        self._owner = owner
        self._reader = reader
        self._listed = listed
        self._wanted = wanted
        self._sequencer = Sequencer()
        self._trades = Remembered[TradeId](REMEMBERED_TRADES)
        self._last_px: Decimal | None = None
        self._bars = BarAssembler(wanted.bar_s, owner.emit) if wanted.bar_s else None
        self._heard_ns = owner.clock.monotonic_ns()
        """When the book was last heard, or proven not to have changed."""
        self._asking = False
        self._checking = False
        self._told_stale = True
        if self._bars is not None:
            owner.warm(listed, self._bars)

    def watches(self) -> list[Awaitable[Any]]:
        """Subscribe; what is returned never ends but with the link."""
        topics = self._reader.public_topics(self._listed.market_id, self._wanted)
        hashes = [f"raw:{topic}" for topic in topics]
        return [call(self._owner.client, "watch_public", topics, hashes)] if topics else []

    def renew(self) -> None:
        """Have the book begin anew."""
        self._distrust(StaleReason.STARTING)

    def close(self, reason: StaleReason) -> None:
        """The link is gone: nothing is passed on any more."""
        self._sequencer.forget()
        if self._wanted.book:
            self._stale(reason)

    def on_frame(self, head: Heading) -> None:
        began_ns = self._owner.clock.monotonic_ns()
        try:
            self._read(head)
        except DataError as error:
            _log.warning("frame_unreadable", instrument=self._listed.market_id, kind=head.kind.value, reason=str(error))
            if head.kind is Kind.DEPTH:
                self._distrust(StaleReason.BAD_FRAME)
        self._owner.timings.record("decode", self._owner.clock.monotonic_ns() - began_ns)

    def look(self) -> None:
        """Called ten times a second: a book that was not heard of, and not proven quiet either, is stale."""
        if not self._wanted.book or not self._sequencer.is_whole:
            return
        quiet_ns = self._owner.clock.monotonic_ns() - self._heard_ns
        if quiet_ns > self._owner.stale_ns:
            self._distrust(StaleReason.SILENT)
        elif quiet_ns > QUIET_S * NS_PER_S and not self._checking:
            self._checking = True
            self._owner.spawn(self._check())

    def _read(self, head: Heading) -> None:
        now_ns, data = self._owner.clock.now_ns(), head.data
        match head.kind:
            case Kind.DEPTH:
                self._heard_ns = self._owner.clock.monotonic_ns()
                self._on_depth(self._reader.depth(data, self._listed))
            case Kind.TRADE:
                trade = self._reader.trade(data, self._listed, now_ns)
                if self._trades.is_new(trade.trade_id):
                    self._owner.emit(trade)
            case Kind.MARK:
                ticker = self._reader.mark(data, self._listed, now_ns)
                self._owner.emit(msgspec.structs.replace(ticker, last_px=self._last_px))
            case Kind.LAST:
                self._last_px = self._reader.last_px(data, self._listed)
            case Kind.BAR if self._bars is not None:
                self._bars.add(self._reader.bar(data, self._listed, self._wanted.bar_s, now_ns))
            case _:
                pass

    def _on_depth(self, change: Depth) -> None:
        match self._sequencer.on_change(change):
            case Step.ASK:
                self._ask()
            case Step.GAP:
                self._stale(StaleReason.GAP)
                self._ask()
            case Step.EMIT:
                self._pass_on()
            case _:
                pass

    def _pass_on(self) -> None:
        now_ns, name = self._owner.clock.now_ns(), self._listed.instrument.instrument_id
        for one in self._sequencer.ready:
            kind = BookDelta if one.first else BookSnapshot
            if one.first == 0:
                self._told_stale = False
            self._owner.emit(kind(name, one.bids, one.asks, one.ts_event_ns, now_ns))
        self._sequencer.ready = []

    def _ask(self) -> None:
        if not self._asking:
            self._asking = True
            self._owner.spawn(self._read_whole())

    async def _read_whole(self) -> None:
        """Read the whole book until one meets the changes at hand."""
        try:
            step = Step.ASK
            while step is Step.ASK:
                try:
                    step = self._sequencer.on_whole(await self._whole())
                except (VenueError, DataError) as error:
                    _log.warning("book_not_read", instrument=self._listed.market_id, reason=str(error))
                if step is Step.EMIT:
                    self._heard_ns = self._owner.clock.monotonic_ns()
                    self._pass_on()
                elif step is Step.ASK:
                    await asyncio.sleep(ASK_PAUSE_S)
        finally:
            self._asking = False

    async def _check(self) -> None:
        """Ask what the last change was: the book is quiet when we have it, mute when we do not get it."""
        try:
            told = await self._whole()
        except (VenueError, DataError) as error:
            _log.warning("book_not_checked", instrument=self._listed.market_id, reason=str(error))
            return
        finally:
            self._checking = False
        if not self._sequencer.is_whole:
            return
        if self._sequencer.last < told.last:
            await asyncio.sleep(CATCH_UP_S)
            if self._sequencer.is_whole and self._sequencer.last < told.last:
                self._distrust(StaleReason.SILENT)
        else:
            self._heard_ns = self._owner.clock.monotonic_ns()

    async def _whole(self) -> Depth:
        whole = self._owner.quirks.whole_book
        if whole is None:
            raise DataError("the venue's row names no request for a whole book")
        answer = await self._owner.ask(whole.method, {whole.symbol_key: self._listed.market_id, **dict(whole.extra)})
        return self._reader.whole_depth(answer, self._listed)

    def _distrust(self, reason: StaleReason) -> None:
        """Subscribe to the book anew; its first frame brings a whole one."""
        self._sequencer.forget()
        self._stale(reason)
        self._owner.spawn(self._resubscribe())

    async def _resubscribe(self) -> None:
        topic = self._reader.depth_topic(self._listed.market_id)
        try:
            await self._owner.send({"method": "UNSUBSCRIBE", "params": [topic]})
            await self._owner.send({"method": "SUBSCRIBE", "params": [topic]})
        except VenueError as error:
            self._owner.link_is_silent(str(error))

    def _stale(self, reason: StaleReason) -> None:
        if not self._told_stale:
            self._told_stale = True
            self._owner.emit(BookStale(self._listed.instrument.instrument_id, reason, self._owner.clock.now_ns()))
