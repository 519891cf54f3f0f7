"""What each stream says: the snapshot a subscriber starts from, and the changes after it (protocol page §10.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from perpmaker.exchange.core.book import BookChanges
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import (
    BookChanged,
    BookSnapshot,
    CancelStatusUpdated,
    Candle,
    Event,
    FillReported,
    InstrumentMode,
    OrderUpdated,
    PositionUpdated,
    TickerView,
    TradePrinted,
)
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.grvt import render
from perpmaker.exchange.grvt.schema import Message
from perpmaker.exchange.grvt.streams import Selection

CANDLE_RATE_MS: Final = 500
"""How often a candle that changed is repeated; the venue's own rate is not known."""
REPLAYED_CANDLES: Final = 5


class Feed(Protocol):
    """One stream and selector. `rate_ms` is how often `changes` is asked for; None: only when an event concerns it."""

    rate_ms: int | None

    def snapshot(self) -> list[Message]:
        """What a new subscriber gets first; subscribers that were there before are not affected."""
        ...

    def changes(self) -> list[Message]:
        """What is new since the last call."""
        ...


class MarketView:
    """The venue as the market feeds see it, with the time of each book's last change."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._changed_ns = {row.name: venue.now_ns for row in venue.instruments}

    def note(self, event: Event) -> None:
        if isinstance(event, BookChanged):
            self._changed_ns[event.instrument] = self.venue.now_ns

    def book_ns(self, instrument: str) -> int:
        """When the book last changed: the `event_time` of its frames and REST replies."""
        return self._changed_ns[instrument]

    def is_moving(self, instrument: str) -> bool:
        """False once a market is over: nothing is said about it any more, not even heartbeats."""
        return self.venue.mode(instrument) not in (InstrumentMode.FROZEN, InstrumentMode.DELISTED)


class CompleteFeed:
    """A stream whose every frame is complete: `v1.mini.s`, `v1.ticker.s`, `v1.book.s`."""

    def __init__(self, view: MarketView, selection: Selection, message: Callable[[], Message]) -> None:
        self.rate_ms: int | None = selection.rate_ms
        self._view = view
        self._instrument = selection.instrument
        self._message = message

    def snapshot(self) -> list[Message]:
        return [self._message()]

    def changes(self) -> list[Message]:
        return [self._message()] if self._view.is_moving(self._instrument) else []


class TickerDeltaFeed:
    """`v1.mini.d` and `v1.ticker.d`: after a complete frame only the members that changed."""

    _ALWAYS: Final = ("event_time", "instrument")

    def __init__(self, selection: Selection, message: Callable[[], Message]) -> None:
        self.rate_ms: int | None = selection.rate_ms or None
        self._message = message
        self._last: Message = {}
        self._shown: set[str] = set()

    def snapshot(self) -> list[Message]:
        """The present; what already differs from the last frame is said again in the next, for newcomers."""
        now = self._message()
        if not self._last:
            self._last = now
        self._shown |= {name for name, value in now.items() if self._last[name] != value}
        return [now]

    def changes(self) -> list[Message]:
        now = self._message()
        changed = {name: value for name, value in now.items() if self._last.get(name) != value or name in self._shown}
        self._last = now
        self._shown.clear()
        if not changed.keys() - set(self._ALWAYS):
            return []
        return [{name: now[name] for name in self._ALWAYS} | changed]


class BookDeltaFeed:
    """`v1.book.d`: after the whole book only the levels that changed."""

    def __init__(self, view: MarketView, selection: Selection) -> None:
        self.rate_ms: int | None = selection.rate_ms
        self._view = view
        self._instrument = _listed(view.venue, selection.instrument)
        self._version = view.venue.book(selection.instrument).version

    def snapshot(self) -> list[Message]:
        """The book now. Changes since the last frame are said again in the next: absolute sizes do no harm twice."""
        book = self._view.venue.book(self._instrument.name)
        return [self._render(book.snapshot())]

    def changes(self) -> list[Message]:
        book = self._view.venue.book(self._instrument.name)
        if book.version == self._version or not self._view.is_moving(self._instrument.name):
            return []
        changes = book.changes_since(self._version)
        self._version = book.version
        return [self._render(changes if changes is not None else book.snapshot())]

    def _render(self, book: BookSnapshot | BookChanges) -> Message:
        return render.book_message(book, self._instrument, self._view.book_ns(self._instrument.name))


class CandleFeed:
    """`v1.candle`: the open candle whenever it changed, and the last word on one that closed."""

    def __init__(self, view: MarketView, selection: Selection) -> None:
        self.rate_ms: int | None = CANDLE_RATE_MS
        self._view = view
        self._selection = selection
        self._instrument = _listed(view.venue, selection.instrument)
        self._last = self._latest(1)

    def snapshot(self) -> list[Message]:
        return [render.candle_message(candle, self._instrument) for candle in self._latest(REPLAYED_CANDLES)]

    def changes(self) -> list[Message]:
        if not self._view.is_moving(self._instrument.name):
            return []
        since = self._last[-1].open_ns if self._last else 0
        fresh = [
            candle for candle in self._latest(REPLAYED_CANDLES) if candle.open_ns >= since and candle not in self._last
        ]
        if fresh:
            self._last = fresh[-1:]
        return [render.candle_message(candle, self._instrument) for candle in fresh]

    def _latest(self, count: int) -> list[Candle]:
        """The newest candles, oldest first."""
        selection = self._selection
        page = self._view.venue.candles(selection.instrument, selection.interval, selection.candle, limit=count)
        return list(reversed(page.rows))


class TradeFeed:
    """`v1.trade`: recent trades on subscription, then each trade as it happens."""

    def __init__(self, view: MarketView, selection: Selection) -> None:
        self.rate_ms: int | None = None
        self._view = view
        self._selection = selection
        self._instrument = _listed(view.venue, selection.instrument)

    def snapshot(self) -> list[Message]:
        trades = self._view.venue.trades(self._selection.instrument, self._selection.replay)
        return [render.trade_message(trade, self._instrument) for trade in reversed(trades)]

    def changes(self) -> list[Message]:
        return []


class PrivateFeed:
    """A stream of events of one account. Only positions have a state that a subscriber starts from."""

    def __init__(self, view: MarketView, selection: Selection) -> None:
        self.rate_ms: int | None = None
        self._venue = view.venue
        self._selection = selection

    def snapshot(self) -> list[Message]:
        selection = self._selection
        if selection.stream.name != "v1.position":
            return []
        return [
            render.position_message(position, _listed(self._venue, position.instrument))
            for position in self._venue.positions(selection.sub_account_id)
            if concerns(selection, self._venue, selection.sub_account_id, position.instrument)
        ]

    def changes(self) -> list[Message]:
        return []


def open_feed(view: MarketView, selection: Selection) -> Feed:
    """Make the feed of one stream and selector."""
    match selection.stream.name:
        case "v1.mini.s" | "v1.ticker.s":
            return CompleteFeed(view, selection, _ticker_of(view, selection))
        case "v1.mini.d" | "v1.ticker.d":
            return TickerDeltaFeed(selection, _ticker_of(view, selection))
        case "v1.book.s":
            return CompleteFeed(view, selection, _book_of(view, selection))
        case "v1.book.d":
            return BookDeltaFeed(view, selection)
        case "v1.candle":
            return CandleFeed(view, selection)
        case "v1.trade":
            return TradeFeed(view, selection)
    return PrivateFeed(view, selection)


STREAMS_OF: Final[Mapping[type[Event], tuple[str, ...]]] = {
    OrderUpdated: ("v1.order", "v1.state"),
    FillReported: ("v1.fill",),
    PositionUpdated: ("v1.position",),
    CancelStatusUpdated: ("v1.cancel",),
    TradePrinted: ("v1.trade",),
}
"""The streams that carry an event as soon as it happens."""


def messages_of(event: Event, venue: Venue) -> Mapping[str, Message]:
    """Return what an event says in each of its `STREAMS_OF`."""
    match event:
        case OrderUpdated(order=order):
            instrument = _listed(venue, order.terms.instrument)
            return {
                "v1.order": render.order_message(order, instrument),
                "v1.state": render.state_feed_message(order, instrument),
            }
        case FillReported(fill=fill):
            return {"v1.fill": render.fill_message(fill, _listed(venue, fill.instrument))}
        case PositionUpdated(position=position):
            return {"v1.position": render.position_message(position, _listed(venue, position.instrument))}
        case CancelStatusUpdated():
            return {"v1.cancel": render.cancel_status_message(event)}
        case TradePrinted(trade=trade):
            return {"v1.trade": render.trade_message(trade, _listed(venue, trade.instrument))}
    return {}


def subject_of(event: Event) -> tuple[int, str]:
    """Return the sub-account and instrument an event is about; 0 and "" for none."""
    match event:
        case OrderUpdated(order=order):
            return order.terms.sub_account_id, order.terms.instrument
        case FillReported(fill=fill):
            return fill.sub_account_id, fill.instrument
        case PositionUpdated(position=position):
            return position.sub_account_id, position.instrument
        case CancelStatusUpdated(sub_account_id=sub_account_id):
            return sub_account_id, ""
        case TradePrinted(trade=trade):
            return 0, trade.instrument
    return 0, ""


def concerns(selection: Selection, venue: Venue, sub_account_id: int, instrument: str) -> bool:
    """Whether a selector asks for an event of this sub-account and instrument."""
    if selection.sub_account_id != sub_account_id or selection.instrument not in ("", instrument):
        return False
    if not (selection.base or selection.quote):
        return True
    listed = venue.instrument(instrument)
    return listed is not None and selection.base in ("", listed.base) and selection.quote in ("", listed.quote)


def _ticker_of(view: MarketView, selection: Selection) -> Callable[[], Message]:
    instrument = _listed(view.venue, selection.instrument)
    to_message: Callable[[TickerView, Instrument], Message] = (
        render.mini_ticker_message if selection.stream.feed == "MiniTicker" else render.ticker_message
    )
    return lambda: to_message(view.venue.ticker(instrument.name), instrument)


def _book_of(view: MarketView, selection: Selection) -> Callable[[], Message]:
    instrument = _listed(view.venue, selection.instrument)
    book = view.venue.book(instrument.name)
    return lambda: render.book_message(book.snapshot(selection.depth), instrument, view.book_ns(instrument.name))


def _listed(venue: Venue, name: str) -> Instrument:
    instrument = venue.instrument(name)
    if instrument is None:
        raise LookupError(f"{name} is not listed")
    return instrument
