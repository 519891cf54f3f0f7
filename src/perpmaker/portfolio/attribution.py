"""Where the PnL came from: spread, adverse selection, inventory, fees, funding; and the markout of every fill.

For each fill i with sign s, quantity q, price p, fair price m when it happened (mid of the book without our orders) and M,
the mid 10 s later (the latest mid while those 10 s run):

    spread    = sum s q (m - p)
    adverse   = sum s q (M - m)          usually negative: the market moves on after it hit us
    inventory = sum over instruments of  Q0 (P - P0) + sum s q (P - M)

with Q0, P0 the position and mark price at the start and P the mark price now. Then, exactly and at every moment,

    equity now - equity at the start - transfers = spread + adverse + inventory - fees + funding.

The right side is kept here from fills, payments and mids alone; the left side is the account's: a double entry.
A fill without a known fair price (found after a restart) has m = M = p, so that all of it is inventory.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.errors import InvariantError
from perpmaker.model.events import Fill, FundingPaid, PositionAdjusted
from perpmaker.model.ids import InstrumentId, StrategyId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.portfolio.account import AccountBook
from perpmaker.portfolio.exact import exactly
from perpmaker.portfolio.mids import MidHistory
from perpmaker.portfolio.position import ZERO

MARKOUT_HORIZONS_S: Final = (1, 10, 60)
ADVERSE_HORIZON_S: Final = 10


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

    fills: int = 0
    notional: Decimal = ZERO
    edge: Decimal = ZERO
    drift: Decimal = ZERO

    @property
    def edge_bps(self) -> float:
        """Notional-weighted (m - p), in bps of notional."""
        return float(self.edge / self.notional) * 1e4 if self.notional else 0.0

    @property
    def markout_bps(self) -> float:
        """Notional-weighted (M - p), in bps of notional; > 0 is good for us."""
        return float((self.edge + self.drift) / self.notional) * 1e4 if self.notional else 0.0


MarkoutKey = tuple[InstrumentId, StrategyId, Side, int | None, int]
"""(instrument, strategy, side, layer or None, horizon in s)."""


class Attribution:
    """Splits the PnL of one account. Mids and fills are ordered by the venue's time, which both carry."""

    def __init__(self, account: AccountBook) -> None:
        self._account = account
        self._legs: dict[InstrumentId, Leg] = {}
        self._stats: dict[MarkoutKey, MarkoutStats] = {}
        self._started = False
        self._equity = self._transfers = ZERO

    @property
    def started(self) -> bool:
        return self._started

    def start(self) -> bool:
        """Take the account's present state as the start: equity, positions, marks. Everything before is forgotten.

        Returns False, and has to be called again, while the account's equity cannot be computed.
        """
        equity = self._account.equity
        if equity is None:
            return False
        self._started = True
        self._equity, self._transfers = equity, self._account.transfers
        histories = {instrument: leg.history for instrument, leg in self._legs.items()}
        self._legs = {}
        self._stats = {}
        for instrument, history in histories.items():
            self._leg(instrument).history = history
        for instrument, position in self._account.positions.items():
            if position.qty:
                leg = self._leg(instrument)
                leg.start_qty, leg.start_px = position.qty, self._account.mark_px(instrument) or ZERO
        return True

    def on_mid(self, instrument: InstrumentId, mid_px: Decimal, ts_event_ns: int) -> Sequence[Markout]:
        """Take in the mid without own orders as of venue time; returns the markouts it completed."""
        leg = self._leg(instrument)
        leg.history.add(mid_px, ts_event_ns)
        if not leg.windows or leg.windows[0].due_ns > ts_event_ns:
            return ()
        return self.close(leg, ts_event_ns)

    @exactly
    def on_fill(self, fill: Fill, strategy: StrategyId, layer: int | None = None) -> Decimal | None:
        """Open the windows of a fill that the account booked as NEW; returns the fair price taken, None for none known."""
        leg = self._leg(fill.instrument)
        signed = fill.qty if fill.side is Side.BUY else -fill.qty
        leg.net_qty += signed
        if fill.fee_currency in ("", self._account.currency):
            leg.fees += fill.fee
        fair_px = leg.history.before(fill.ts_event_ns)
        if fair_px is None:
            leg.closed_value += signed * fill.px
            return None
        edge = signed * (fair_px - fill.px)
        leg.spread += edge
        leg.open_qty += signed
        leg.open_value += signed * fair_px
        for horizon_s in MARKOUT_HORIZONS_S:
            due_ns = fill.ts_event_ns + horizon_s * NS_PER_S
            leg.numbered += 1
            heapq.heappush(
                leg.windows, _Window(due_ns, leg.numbered, horizon_s, fill, strategy, layer, signed, fair_px, edge)
            )
        return fair_px

    @exactly
    def on_funding(self, payment: FundingPaid) -> None:
        """Take in a payment that the account booked as new."""
        if payment.currency in ("", self._account.currency):
            self._leg(payment.instrument).funding += payment.amount

    @exactly
    def on_adjustment(self, adjustment: PositionAdjusted) -> None:
        """Take in a position adjustment the account booked: it is inventory from now on."""
        leg = self._leg(adjustment.instrument)
        leg.net_qty += adjustment.qty
        leg.closed_value += adjustment.qty * adjustment.px

    def advance(self, venue_now_ns: int) -> Sequence[Markout]:
        """Close the windows that ended by `venue_now_ns` with the last mid known then."""
        return [markout for leg in self._legs.values() for markout in self.close(leg, venue_now_ns)]

    @exactly
    def split(self) -> Split | None:
        """Return the parts since `start`, None before it or while a mark price is missing."""
        parts = [self.split_of(instrument) for instrument in self._legs]
        if not self._started or any(part is None for part in parts):
            return None
        known = [part for part in parts if part is not None]
        return Split(
            spread=sum((part.spread for part in known), ZERO),
            adverse=sum((part.adverse for part in known), ZERO),
            inventory=sum((part.inventory for part in known), ZERO),
            fees=sum((part.fees for part in known), ZERO),
            funding=sum((part.funding for part in known), ZERO),
        )

    @exactly
    def split_of(self, instrument: InstrumentId) -> Split | None:
        """Return the parts that one instrument contributed, None while its mark price is missing."""
        leg = self._legs.get(instrument)
        return _NOTHING if leg is None else leg.split(self._account.mark_px(instrument))

    @exactly
    def assert_identity(self) -> bool:
        """Raise InvariantError unless the parts sum exactly to the account's change in equity less transfers.

        Returns False when there is nothing to compare: not started, or equity not computable.
        """
        split, equity = self.split(), self._account.equity
        if split is None or equity is None:
            return False
        change = equity - self._equity - (self._account.transfers - self._transfers)
        if split.total != change:
            raise InvariantError(
                f"account {self._account.account}: equity changed by {change}, its parts sum to {split.total}: {split}"
            )
        return True

    @property
    def markouts(self) -> Mapping[MarkoutKey, MarkoutStats]:
        """Sums over all fills since the start whose window has closed."""
        return self._stats

    def leg(self, instrument: InstrumentId) -> Leg | None:
        """Return what is summed up of an instrument, None before its first mid or fill."""
        return self._legs.get(instrument)

    def _leg(self, instrument: InstrumentId) -> Leg:
        leg = self._legs.get(instrument)
        if leg is None:
            leg = self._legs[instrument] = Leg()
        return leg

    @exactly
    def close(self, leg: Leg, venue_now_ns: int) -> list[Markout]:
        """Close the windows of an instrument that ended by a time of the venue, with the mids that stood then."""
        closed: list[Markout] = []
        while leg.windows and leg.windows[0].due_ns <= venue_now_ns:
            window = heapq.heappop(leg.windows)
            markout = window.seen_at(leg.history.at(window.due_ns))
            if window.horizon_s == ADVERSE_HORIZON_S:
                leg.settle(window, markout)
            self._count(markout)
            closed.append(markout)
        return closed

    def _count(self, markout: Markout) -> None:
        fill = markout.fill
        key = (fill.instrument, markout.strategy, fill.side, markout.layer, markout.horizon_s)
        stats = self._stats.setdefault(key, MarkoutStats())
        stats.fills += 1
        stats.notional += fill.px * fill.qty
        stats.edge += markout.edge
        stats.drift += markout.drift


_NOTHING: Final = Split(ZERO, ZERO, ZERO, ZERO, ZERO)


class _Window(msgspec.Struct, frozen=True, order=True):
    """A fill waiting for its mid at `due_ns`. Ordered by due time, then by arrival."""

    due_ns: int
    number: int
    horizon_s: int
    fill: Fill
    strategy: StrategyId
    layer: int | None
    signed_qty: Decimal
    fair_px: Decimal
    edge: Decimal

    def seen_at(self, mid_px: Decimal | None) -> Markout:
        mid_px = self.fair_px if mid_px is None else mid_px
        drift = self.signed_qty * (mid_px - self.fair_px)
        return Markout(self.fill, self.strategy, self.layer, self.horizon_s, mid_px, self.edge, drift)


class Leg:
    """Running sums of one instrument; the 10 s windows still open are summed apart, so that a split costs no walk."""

    __slots__ = (
        "adverse",
        "closed_value",
        "fees",
        "funding",
        "history",
        "net_qty",
        "numbered",
        "open_qty",
        "open_value",
        "spread",
        "start_px",
        "start_qty",
        "windows",
    )

    def __init__(self) -> None:
        self.history = MidHistory()
        self.windows: list[_Window] = []
        self.numbered = 0
        self.start_qty = self.start_px = ZERO
        self.net_qty = ZERO
        """Sum of s q."""
        self.spread = self.adverse = self.fees = self.funding = ZERO
        """`adverse` of closed windows."""
        self.closed_value = ZERO
        """Sum of s q M over fills whose window is closed."""
        self.open_qty = self.open_value = ZERO
        """Sums of s q and s q m over fills whose window is open."""

    def settle(self, window: _Window, markout: Markout) -> None:
        self.open_qty -= window.signed_qty
        self.open_value -= window.signed_qty * window.fair_px
        self.adverse += markout.drift
        self.closed_value += window.signed_qty * markout.mid_px

    def split(self, mark_px: Decimal | None) -> Split | None:
        held = self.start_qty + self.net_qty
        if mark_px is None and held:
            return None
        open_at_mid = self.open_qty * (self.history.last or ZERO)
        value = held * mark_px if mark_px is not None else ZERO
        return Split(
            spread=self.spread,
            adverse=self.adverse + open_at_mid - self.open_value,
            inventory=value - self.start_qty * self.start_px - self.closed_value - open_at_mid,
            fees=self.fees,
            funding=self.funding,
        )
