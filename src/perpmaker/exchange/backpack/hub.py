"""Who listens to what on the second face, and the frames that go out to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from perpmaker.exchange.backpack.feeds import Feed, Sequences, SilentFeed, is_moving, open_feed, trade_frame
from perpmaker.exchange.backpack.render import Message
from perpmaker.exchange.backpack.streams import Selection
from perpmaker.exchange.backpack.tellers import PrivateTeller
from perpmaker.exchange.core.amounts import decimal_text
from perpmaker.exchange.core.types import Event, TickerChanged, TradePrinted
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.delivery import Delivery, Later, Listener, is_lost, next_multiple_ns
from perpmaker.exchange.faults import Faults
from perpmaker.exchange.spoiling import spoiled

Key = tuple[str, int]
"""A stream's name, and whose it is when it is private."""
_PRICES = frozenset({"p", "L", "b", "a", "c", "markPrice", "lastPrice", "price", "asks", "bids"})


class Channel:
    """One stream, of one account when it is private."""

    def __init__(self, selection: Selection, feed: Feed) -> None:
        self.selection = selection
        self.feed = feed
        self.listeners: dict[Listener, None] = {}
        self.head = b'{"stream":' + msgspec.json.encode(selection.text) + b',"data":'


class Hub:
    """Routes what happens to those who subscribed."""

    def __init__(self, venue: Venue, sequences: Sequences, faults: Faults, later: Later) -> None:
        self._venue = venue
        self._sequences = sequences
        self._faults = faults
        self._delivery = Delivery(later)
        self._teller = PrivateTeller(venue)
        self._channels: dict[Key, Channel] = {}
        self._due_ns: dict[int, int] = {}

    @property
    def frames_sent(self) -> int:
        return self._delivery.frames_sent

    # subscriptions

    def subscribe(self, listener: Listener, selection: Selection) -> None:
        """Add a listener; a second subscription to the same changes nothing."""
        key = selection.text, selection.account_id
        channel = self._channels.get(key)
        if channel is None:
            feed = SilentFeed() if selection.is_private else open_feed(self._venue, selection, self._sequences)
            channel = self._channels[key] = Channel(selection, feed)
            if feed.period_ns:
                due_ns = next_multiple_ns(self._venue.now_ns, feed.period_ns)
                self._due_ns.setdefault(feed.period_ns, due_ns)
        channel.listeners[listener] = None

    def unsubscribe(self, listener: Listener, text: str) -> None:
        for key in [key for key in self._channels if key[0] == text]:
            self._leave(listener, key)

    def forget(self, listener: Listener) -> None:
        """Remove a listener that is gone."""
        for key in list(self._channels):
            self._leave(listener, key)

    # what happens

    def note(self, events: Iterable[Event]) -> None:
        """Nothing has to be known before it is sent."""

    def on_events(self, events: Iterable[Event]) -> None:
        """Send what events say in the streams that carry them at once."""
        events = list(events)
        for event in events:
            if isinstance(event, TradePrinted):
                channel = self._channels.get((f"trade.{event.trade.instrument}", 0))
                instrument = self._venue.instrument(event.trade.instrument)
                if channel is not None and instrument is not None:
                    self._emit(channel, trade_frame(event.trade, instrument))
            elif isinstance(event, TickerChanged):
                channel = self._channels.get((f"bookTicker.{event.instrument}", 0))
                if channel is not None:
                    self._emit_changes(channel)
        for kind, account_id, symbol, message in self._teller.messages(events):
            for text in (kind, f"{kind}.{symbol}"):
                channel = self._channels.get((text, account_id))
                if channel is not None:
                    self._emit(channel, message)

    def next_due_ns(self) -> int | None:
        """When `tick` next has something to do."""
        return min(self._due_ns.values(), default=None)

    def tick(self) -> None:
        """Send the news of every stream that it is time for."""
        now_ns = self._venue.now_ns
        for period_ns in [period_ns for period_ns, due_ns in self._due_ns.items() if due_ns <= now_ns]:
            channels = [channel for channel in self._channels.values() if channel.feed.period_ns == period_ns]
            if channels:
                self._due_ns[period_ns] = next_multiple_ns(now_ns, period_ns)
            else:
                del self._due_ns[period_ns]
            for channel in channels:
                self._emit_changes(channel)

    # within

    def _leave(self, listener: Listener, key: Key) -> None:
        channel = self._channels[key]
        channel.listeners.pop(listener, None)
        if not channel.listeners:
            del self._channels[key]

    def _emit_changes(self, channel: Channel) -> None:
        if is_moving(self._venue, channel.selection.symbol):
            for message in channel.feed.changes():
                self._emit(channel, message)

    def _emit(self, channel: Channel, message: Message) -> None:
        """Send a message, or do to it what the fault rules say."""
        selection = channel.selection
        rules = self._faults.on_frame(
            selection.kind,
            self._venue.now_ns,
            symbol=selection.symbol or message.get("s", ""),
            sub_account_id=str(selection.account_id or ""),
        )
        if is_lost(rules):
            return
        if rules:
            message = spoiled(message, rules, lambda book: crossed(book, self._venue, selection.symbol), is_price)
        frame = channel.head + msgspec.json.encode(message) + b"}"
        self._delivery.deliver(list(channel.listeners), frame, rules)


def crossed(message: Any, venue: Venue, symbol: str) -> Any:
    """A book or a book ticker with a bid one tick above the best ask; what is neither, or has no ask, as it is."""
    instrument = venue.instrument(symbol)
    ask = None if instrument is None else venue.book(symbol).best_ask_ticks
    if instrument is None or ask is None or not isinstance(message, dict):
        return message
    px, qty = instrument.px_text(ask + 1), decimal_text(instrument.lot_nano)
    for bids in ("bids", "b"):
        if isinstance(message.get(bids), list):
            return {**message, bids: [*message[bids], [px, qty]]}
    return {**message, "b": px} if "B" in message else message


def is_price(name: str) -> bool:
    """Whether a member is a price, in an answer or in a frame."""
    return name in _PRICES or name.endswith("Price")
