"""Which side and layer of a ladder an order is, read from its tag."""

from __future__ import annotations

from typing import Final

from perpmaker.model.order import Side

_HEADS: Final = {"quote bid ": Side.BUY, "quote ask ": Side.SELL}


def quote_place(tag: str) -> tuple[Side, int] | None:
    """Return side and layer of an order of a ladder ("quote bid 2"), None for any other order."""
    side = _HEADS.get(tag[:10])
    return None if side is None else (side, int(tag[10:]))
