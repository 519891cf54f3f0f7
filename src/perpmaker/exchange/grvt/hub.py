"""Who listens to what: channels with their numbering, their subscribers, and the frames that go out to them.

A channel is one stream and selector. Its counter is shared by all who listen and starts at 1 with the process, as the
venue's gateway counts (protocol page §10.5).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from perpmaker.exchange.core.types import Event, TickerChanged
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.delivery import Delivery, Later, Listener, is_lost, next_multiple_ns
from perpmaker.exchange.faults import Faults, FaultSpec
from perpmaker.exchange.grvt.feeds import STREAMS_OF, Feed, MarketView, concerns, messages_of, open_feed, subject_of
from perpmaker.exchange.grvt.frames import GLOBAL_SPAN, SNAPSHOT, FrameWriter, Numbering, spoiled
from perpmaker.exchange.grvt.schema import Encoding, Message
from perpmaker.exchange.grvt.streams import Selection
from perpmaker.model.units import NS_PER_MS


class Variant(msgspec.Struct, frozen=True):
    """How a listener wants its frames written."""

    encoding: Encoding
    is_global: bool = False


class Subscribed(msgspec.Struct, frozen=True):
    """What a subscription answers for one selector: the one it replaced, its numbers, and the frames that come first."""

    replaced: str
    first: int
    latest: int
    num_snapshots: int
    snapshots: list[bytes]
    """As announced, unless a fault swallows them."""


class Channel:
    """One stream and selector."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.writer = FrameWriter(selection)
        self.feed: Feed | None = None
        self.numbering = SNAPSHOT
        self.global_numbering = SNAPSHOT
        self.listeners: dict[Variant, dict[Listener, None]] = {}

    def numbering_for(self, variant: Variant) -> Numbering:
        return self.global_numbering if variant.is_global else self.numbering


class Hub:
    """Routes what happens to those who subscribed. `now_ns` is the venue's time."""

    def __init__(self, venue: Venue, view: MarketView, faults: Faults, later: Later) -> None:
        self._venue = venue
        self._view = view
        self._faults = faults
        self._delivery = Delivery(later)
        self._channels: dict[tuple[str, str], Channel] = {}
        self._live: dict[str, dict[Channel, None]] = {}
        self._due_ns: dict[int, int] = {}
        self._subscriptions: dict[Listener, dict[tuple[str, str], tuple[Channel, Variant]]] = {}
        self._cluster_sequence = 0

    @property
    def frames_sent(self) -> int:
        return self._delivery.frames_sent

    # subscriptions

    def subscribe(self, listener: Listener, selection: Selection, variant: Variant) -> Subscribed:
        """Add a listener; a selector with the same primary part in the same stream replaces the former one."""
        mine = self._subscriptions.setdefault(listener, {})
        key = (selection.stream.name, selection.primary)
        former = mine.pop(key, None)
        replaced = ""
        if former is not None:
            self._leave(listener, *former)
            replaced = former[0].selection.text if former[0].selection.text != selection.text else ""
        channel = self._channel(selection)
        if channel.feed is None:
            channel.feed = open_feed(self._view, selection)
            self._live.setdefault(selection.stream.name, {})[channel] = None
            self._schedule(channel.feed.rate_ms)
        mine[key] = (channel, variant)
        channel.listeners.setdefault(variant, {})[listener] = None
        latest = channel.numbering_for(variant).sequence
        messages = channel.feed.snapshot()
        frames = [frame for message in messages for frame in self._snapshot_frames(channel, message, variant.encoding)]
        return Subscribed(replaced, latest + 1, latest, len(messages), frames)

    def unsubscribe(self, listener: Listener, stream: str, text: str) -> bool:
        """Remove one subscription; False when there was none."""
        mine = self._subscriptions.get(listener, {})
        for key, (channel, variant) in mine.items():
            if key[0] == stream and channel.selection.text == text:
                del mine[key]
                self._leave(listener, channel, variant)
                return True
        return False

    def subscriptions(self, listener: Listener) -> dict[str, list[str]]:
        """Return what a listener is subscribed to: selectors by stream."""
        found: dict[str, list[str]] = {}
        for (stream, _), (channel, _) in self._subscriptions.get(listener, {}).items():
            found.setdefault(stream, []).append(channel.selection.text)
        return found

    def forget(self, listener: Listener) -> None:
        """Remove a listener that is gone."""
        for channel, variant in self._subscriptions.pop(listener, {}).values():
            self._leave(listener, channel, variant)

    def reset_sequences(self) -> None:
        """Start all counters again, as a restarted gateway does (a fault)."""
        for channel in self._channels.values():
            channel.numbering = channel.global_numbering = SNAPSHOT

    # what happens

    def note(self, events: Iterable[Event]) -> None:
        """Take in when books changed; call it as soon as the events are there, before anybody asks."""
        for event in events:
            self._view.note(event)

    def on_events(self, events: Iterable[Event]) -> None:
        """Send what events say in the streams that carry them at once."""
        for event in events:
            if isinstance(event, TickerChanged):
                self._on_raw_ticker(event.instrument)
                continue
            messages: dict[str, Message] | None = None
            subject = subject_of(event)
            for stream in STREAMS_OF.get(type(event), ()):
                for channel in list(self._live.get(stream, ())):
                    if concerns(channel.selection, self._venue, *subject):
                        messages = messages or dict(messages_of(event, self._venue))
                        self._emit(channel, messages[stream])

    def next_due_ns(self) -> int | None:
        """When `tick` next has something to do."""
        return min(self._due_ns.values(), default=None)

    def tick(self) -> None:
        """Send the changes of every channel whose rate says that it is time."""
        now_ns = self._venue.now_ns
        due = [rate_ms for rate_ms, due_ns in self._due_ns.items() if due_ns <= now_ns]
        if not due:
            return
        busy = set()
        for channels in list(self._live.values()):
            for channel in list(channels):
                if channel.feed is None or channel.feed.rate_ms is None:
                    continue
                busy.add(channel.feed.rate_ms)
                if channel.feed.rate_ms in due:
                    for message in channel.feed.changes():
                        self._emit(channel, message)
        for rate_ms in due:
            if rate_ms in busy:
                self._due_ns[rate_ms] = next_multiple_ns(now_ns, rate_ms * NS_PER_MS)
            else:
                del self._due_ns[rate_ms]

    # within

    def _on_raw_ticker(self, instrument: str) -> None:
        for channel in list(self._live.get("v1.mini.d", ())):
            if channel.selection.instrument == instrument and channel.selection.rate_ms == 0 and channel.feed:
                for message in channel.feed.changes():
                    self._emit(channel, message)

    def _channel(self, selection: Selection) -> Channel:
        key = (selection.stream.name, selection.text)
        if key not in self._channels:
            self._channels[key] = Channel(selection)
        return self._channels[key]

    def _leave(self, listener: Listener, channel: Channel, variant: Variant) -> None:
        listeners = channel.listeners.get(variant, {})
        listeners.pop(listener, None)
        if not listeners:
            channel.listeners.pop(variant, None)
        if not channel.listeners:
            channel.feed = None
            self._live.get(channel.selection.stream.name, {}).pop(channel, None)

    def _schedule(self, rate_ms: int | None) -> None:
        if rate_ms is not None and rate_ms not in self._due_ns:
            self._due_ns[rate_ms] = next_multiple_ns(self._venue.now_ns, rate_ms * NS_PER_MS)

    def _emit(self, channel: Channel, message: Message) -> None:
        """Number a change and send it, or do to it what the fault rules say."""
        self._cluster_sequence += 1
        channel.numbering = Numbering(channel.numbering.sequence + 1, channel.numbering.sequence)
        channel.global_numbering = Numbering(self._cluster_sequence * GLOBAL_SPAN, channel.global_numbering.sequence)
        rules = self._rules_for(channel)
        if is_lost(rules):
            return
        message = spoiled(message, rules, lambda: self._crossing_bid(channel.selection.instrument))
        feeds = {
            encoding: channel.writer.feed(message, encoding) for encoding in {v.encoding for v in channel.listeners}
        }
        for variant, listeners in channel.listeners.items():
            frame = channel.writer.frame(feeds[variant.encoding], channel.numbering_for(variant), variant.encoding)
            self._delivery.deliver(list(listeners), frame, rules)

    def _snapshot_frames(self, channel: Channel, message: Message, encoding: Encoding) -> list[bytes]:
        rules = self._rules_for(channel)
        if is_lost(rules):
            return []
        message = spoiled(message, rules, lambda: self._crossing_bid(channel.selection.instrument))
        return [channel.writer.frame(channel.writer.feed(message, encoding), SNAPSHOT, encoding)]

    def _rules_for(self, channel: Channel) -> list[FaultSpec]:
        selection = channel.selection
        return self._faults.on_frame(
            selection.stream.name,
            self._venue.now_ns,
            symbol=selection.instrument,
            sub_account_id=str(selection.sub_account_id or ""),
        )

    def _crossing_bid(self, instrument: str) -> Message | None:
        return crossing_bid(self._venue, instrument)


def crossing_bid(venue: Venue, name: str) -> Message | None:
    """Return a bid level one tick above the best ask, None when there is no ask."""
    instrument = venue.instrument(name)
    ask = None if instrument is None else venue.book(name).best_ask_ticks
    if instrument is None or ask is None:
        return None
    return {"price": instrument.px_text(ask + 1), "size": instrument.qty_text(1), "num_orders": 1}
