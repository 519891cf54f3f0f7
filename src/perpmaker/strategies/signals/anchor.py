"""The entry anchor: exits are held back to about the entry price, and nothing is added beyond it.

It is a disposition effect: it sells winners early and keeps losers, which looks well in the win rate and costs money in
a trend. Off by default. A position beyond its limit is not held back.
"""

from __future__ import annotations

import msgspec

from perpmaker.model.order import Side


class Anchored(msgspec.Struct, frozen=True):
    """The innermost price of each side after the anchor, and the sides it moved."""

    bid_px: float
    ask_px: float
    moved: tuple[Side, ...]


def anchored(
    bid_px: float, ask_px: float, *, position: float, entry_px: float, loss_bps: float, is_over_limit: bool
) -> Anchored:
    """Return the innermost prices with the anchor applied; prices in quote units, `position` signed.

    Long: asks not below entry less `loss_bps`, bids not above entry. Short: mirrored.
    """
    if position == 0 or entry_px <= 0 or is_over_limit:
        return Anchored(bid_px, ask_px, ())
    if position > 0:
        bid, ask = min(bid_px, entry_px), max(ask_px, entry_px * (1 - loss_bps / 1e4))
    else:
        bid, ask = min(bid_px, entry_px * (1 + loss_bps / 1e4)), max(ask_px, entry_px)
    moved = tuple(side for side, changed in ((Side.BUY, bid != bid_px), (Side.SELL, ask != ask_px)) if changed)
    return Anchored(bid, ask, moved)
