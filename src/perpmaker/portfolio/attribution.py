"""Where the PnL came from: spread, adverse selection, inventory, fees, funding; and the markout of every fill.

For each fill i with sign s, quantity q, price p, fair price m when it happened (mid of the book without our orders) and M,
the mid 10 s later (the latest mid while those 10 s run):

    spread    = sum s q (m - p)
    adverse   = sum s q (M - m)          usually negative: the market moves on after it hit us
    inventory = sum over instruments of  Q0 (P - P0) + sum s q (P - M)

with Q0, P0 the position and mark price at the start and P the mark price now. Then, exactly and at every moment,

    equity now - equity at the start - transfers = spread + adverse + inventory - fees + funding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.events import Fill, PositionAdjusted
from perpmaker.model.ids import InstrumentId, StrategyId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.portfolio.account import AccountBook

MARKOUT_HORIZONS_S: Final = (1, 10, 60)
ADVERSE_HORIZON_S: Final = 10
HISTORY_NS: Final = 120 * NS_PER_S


class Split(msgspec.Struct, frozen=True):
    """Parts of the change in equity, in the account's currency. `fees` > 0 is a cost."""

    spread: Decimal
    adverse: Decimal
    inventory: Decimal
    fees: Decimal
    funding: Decimal

    @property
    def total(self) -> Decimal:
        return self.spread + self.adverse + self.inventory - self.fees + self.funding


class Markout(msgspec.Struct, frozen=True):
    """One fill seen `horizon_s` later; amounts in quote currency, > 0 is good for us.

    `edge` = s q (m - p), what the spread gave; `drift` = s q (M - m), what the market took; the markout is their sum.
    """

    fill: Fill
    strategy: StrategyId
    layer: int | None
    horizon_s: int
    mid_px: Decimal
    edge: Decimal
    drift: Decimal


class MarkoutStats(msgspec.Struct):
    """Sums over fills of one (instrument, strategy, side, layer, horizon)."""

    fills: int
    notional: Decimal
    edge: Decimal
    drift: Decimal

    @property
    def edge_bps(self) -> float:
        raise NotImplementedError

    @property
    def markout_bps(self) -> float:
        """Notional-weighted (M - p) in bps of notional, > 0 is good for us."""
        raise NotImplementedError


MarkoutKey = tuple[InstrumentId, StrategyId, Side, int | None, int]
"""(instrument, strategy, side, layer or None, horizon in s)."""


class Attribution:
    """Splits the PnL of one account. Mids and fills are ordered by the venue's time, which both carry."""

    def __init__(self, account: AccountBook) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Take the account's present state as the start: equity, positions, marks. Everything before is forgotten."""
        raise NotImplementedError

    def on_mid(self, instrument: InstrumentId, mid_px: Decimal, ts_event_ns: int) -> Sequence[Markout]:
        """Take in the mid without own orders as of venue time; returns the markouts it completed."""
        raise NotImplementedError

    def on_fill(self, fill: Fill, strategy: StrategyId, layer: int | None = None) -> Decimal | None:
        """Open the windows of a fill that the account booked as NEW; returns the fair price taken, None for none known."""
        raise NotImplementedError

    def on_adjustment(self, adjustment: PositionAdjusted) -> None:
        """Take in a position adjustment the account booked: it is inventory from now on."""
        raise NotImplementedError

    def advance(self, venue_now_ns: int) -> Sequence[Markout]:
        """Close the windows that ended before `venue_now_ns` with the last mid known then."""
        raise NotImplementedError

    def split(self) -> Split | None:
        """The parts since `start`, None while a mark price is missing."""
        raise NotImplementedError

    def split_of(self, instrument: InstrumentId) -> Split | None:
        """The parts that one instrument contributed."""
        raise NotImplementedError

    def assert_identity(self) -> None:
        """Raise InvariantError unless the parts sum exactly to the account's change in equity less transfers."""
        raise NotImplementedError

    @property
    def markouts(self) -> Mapping[MarkoutKey, MarkoutStats]:
        raise NotImplementedError
