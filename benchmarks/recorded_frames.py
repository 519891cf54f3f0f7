"""Book frames as GRVT's `v1.book.d` sends them, recorded from the practice exchange's market with a seed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.workers.frames import Frames

from perpmaker.exchange.core.instruments import BTC
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.book import Level
from perpmaker.model.events import BookDelta, BookSnapshot
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S
from perpmaker.research.simulated_tape import START_NS, simulated_events

SYMBOL = "BTC_USDT_Perp"
SEED = 5
RULES = Instrument(
    instrument_id=SYMBOL,  # type: ignore[arg-type]
    symbol=SYMBOL,
    exchange="grvt",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    min_notional=Decimal(100),
)


MARKET: dict[str, Any] = {
    "duration_ns": 3600 * NS_PER_S,
    "seed": SEED,
    "instruments": [BTC],
    "activity": 1.0,
    "start_ns": START_NS,
}


def record(path: Path, changes: int) -> dict[str, Any]:
    """Write a whole book, so many changes after it, and the touch they end at; return what a report says about them."""
    book = OrderBook(RULES)
    snapshot: dict[str, Any] = {}
    deltas: list[dict[str, Any]] = []
    for event in simulated_events(**MARKET):
        if isinstance(event, BookSnapshot):
            snapshot = _feed(event, 0)
            book.snapshot(event.bids, event.asks, 0, 0)
        elif isinstance(event, BookDelta) and snapshot:
            deltas.append(_feed(event, len(deltas) + 1))
            book.apply(event.bids, event.asks, 0, 0)
            if len(deltas) == changes:
                break
    touch = [f"{book.bid_px:.1f}", f"{book.ask_px:.1f}"]
    path.write_text(json.dumps({"symbol": SYMBOL, "snapshot": snapshot, "deltas": deltas, "touch": touch}))
    sizes = [len(text) for text in Frames(path).changes(1)]
    levels = [len(feed["bids"]) + len(feed["asks"]) for feed in deltas]
    return {
        "changes": len(deltas),
        "levels a change": round(sum(levels) / len(levels), 1),
        "levels of the whole book": len(snapshot["bids"]) + len(snapshot["asks"]),
        "bytes a change": round(sum(sizes) / len(sizes)),
    }


def _feed(event: BookSnapshot | BookDelta, number: int) -> dict[str, Any]:
    """What a frame carries. Venue times are a microsecond apart, so that however fast they are played none is old."""
    return {
        "event_time": str(1_700_000_000_000_000_000 + number * 1000),
        "instrument": SYMBOL,
        "bids": [_level(level) for level in event.bids],
        "asks": [_level(level) for level in event.asks],
    }


def _level(level: Level) -> dict[str, Any]:
    ticks, lots = level
    return {"price": str(RULES.tick * ticks), "size": str(RULES.lot * lots), "num_orders": 1 + lots % 7}
