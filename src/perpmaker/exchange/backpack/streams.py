"""The streams of the protocol page (§7) and how they are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from perpmaker.exchange.backpack.market_api import INTERVALS, WEEK
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import CandleInterval

Listing = Callable[[str], Instrument | None]

PUBLIC: Final = frozenset(
    {"depth", "bookTicker", "ticker", "trade", "kline", "markPrice", "openInterest", "liquidation"}
)
PRIVATE: Final = frozenset(
    {"account.orderUpdate", "account.positionUpdate", "account.balanceUpdate", "account.rfqUpdate"}
)
STREAMS: Final = PUBLIC | PRIVATE
_WITHOUT_SYMBOL: Final = frozenset({"account.balanceUpdate"})
_PREFIX: Final = "account."


class Selection(msgspec.Struct, frozen=True):
    """A stream's name understood; `text` is echoed in every frame."""

    kind: str
    text: str
    symbol: str = ""
    """"" in a private stream: every market."""
    interval: CandleInterval | None = None
    account_id: int = 0
    """Whose a private stream is."""

    @property
    def is_private(self) -> bool:
        return self.kind in PRIVATE


def read_stream(text: str, listing: Listing) -> Selection | None:
    """Understand a stream's name; None for what is none: unknown, or of an unknown market."""
    if text.startswith(_PREFIX):
        kind, _, symbol = text.removeprefix(_PREFIX).partition(".")
        found = Selection(_PREFIX + kind, text, symbol)
        fits = found.kind in PRIVATE and not (symbol and found.kind in _WITHOUT_SYMBOL)
        return found if fits and (not symbol or listing(symbol) is not None) else None
    kind, _, rest = text.partition(".")
    interval = None
    if kind == "kline":
        name, _, rest = rest.partition(".")
        interval = (INTERVALS | WEEK).get(name)
        if interval is None:
            return None
    if kind not in PUBLIC or listing(rest) is None:
        return None
    return Selection(kind, text, rest, interval)
