"""What protects a position at the venue itself: wishes of strategies, kept there by `execution.guards`."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perpmaker.model.order import Side, TriggerKind


class Guard(msgspec.Struct, frozen=True):
    """A wanted order that waits at the venue until the mark price reaches `px`, and then closes the position.

    It only reduces: `side` sells a long position, buys a short one back; while the position has another sign nothing is
    wanted. `px` in quote currency per base unit; `slippage_bps` is how much worse than `px` it may then trade.
    """

    kind: TriggerKind
    side: Side
    px: float
    slippage_bps: Decimal
    tolerance_bps: float
    """An order that waits for a price this near keeps its place."""
