"""What a strategy may ask of an order book, whoever keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side

Level = tuple[int, int]
"""(price in ticks, quantity in lots)."""


class Book(Protocol):
    """A whole, uncrossed book of one instrument; strategies see only such. Prices as float are for models, not orders."""

    @property
    def instrument(self) -> Instrument: ...
    @property
    def ts_event_ns(self) -> int: ...
    @property
    def ts_recv_ns(self) -> int: ...
    @property
    def bid_ticks(self) -> int: ...
    @property
    def ask_ticks(self) -> int: ...
    @property
    def bid_px(self) -> float: ...
    @property
    def ask_px(self) -> float: ...
    @property
    def bid_qty(self) -> float: ...
    @property
    def ask_qty(self) -> float: ...
    @property
    def mid(self) -> float: ...
    @property
    def microprice(self) -> float:
        """(bid_px * ask_qty + ask_px * bid_qty) / (bid_qty + ask_qty)."""
        ...

    def levels(self, side: Side, count: int) -> Sequence[Level]:
        """Return up to `count` levels of the bids (BUY) or asks (SELL), best first."""
        ...
