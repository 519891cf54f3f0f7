"""What became of each fill 1, 10 and 60 s later, by side and layer; layers that lose are pulled for a while.

Markout = s (M - p) / p with the side's sign s, the fill's price p and the mid M that much later: the edge the quote had,
less what the market took of it. A layer loses when that, after the fee, is below zero: the market took more than the edge.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.schema import Table, key

HORIZONS_S: Final = (1, 10, 60)
RPI_LAYERS: Final = 128
"""The layer of the retail part of a quote is that of the quote plus this."""
Place = tuple[Side, int]
"""(side, layer)."""


class MarkoutParams(Table, frozen=True, kw_only=True):
    """When a layer is pulled."""

    pull: Annotated[
        bool, key("", "Pull a layer whose fills lose more than their edge, after fees and beyond one standard error.")
    ] = True
    pull_horizon_s: Annotated[int, key("s", "How long after the fill decides: 1, 10 or 60.", ge=1, le=60)] = 10
    pull_fills: Annotated[int, key("", "Fills of a layer that are averaged, the last ones.", ge=3, le=1000)] = 20
    pull_s: Annotated[float, key("s", "How long it is pulled; then it is tried anew.", ge=1, le=86_400)] = 300.0

    def problems(self) -> Sequence[str]:
        if self.pull_horizon_s not in HORIZONS_S:
            return (f"pull_horizon_s = {self.pull_horizon_s}: must be 1, 10 or 60",)
        return ()


class _Pending(msgspec.Struct):
    due_ns: int
    place: Place
    px: float
    fee_bps: float


class Markouts:
    """Follows the fills of one instrument."""

    def __init__(self, params: MarkoutParams) -> None:
        self._params = params
        self._pending: dict[int, deque[_Pending]] = {horizon: deque() for horizon in HORIZONS_S}
        self._seen: dict[tuple[int, Place], deque[float]] = {}
        self._pulled_until_ns: dict[Place, int] = {}

    def on_fill(self, now_ns: int, place: Place, px: float, fee_bps: float) -> None:
        """Take a fill; `fee_bps` of its notional, > 0 a cost."""
        for horizon, waiting in self._pending.items():
            waiting.append(_Pending(now_ns + horizon * NS_PER_S, place, px, fee_bps))

    def on_mid(self, now_ns: int, mid: float) -> list[Place]:
        """Close what is due at this mid; returns the layers that this pulled."""
        pulled = []
        for horizon, waiting in self._pending.items():
            while waiting and waiting[0].due_ns <= now_ns:
                fill = waiting.popleft()
                net = fill.place[0].sign * (mid / fill.px - 1) * 1e4 - fill.fee_bps
                seen = self._seen.setdefault((horizon, fill.place), deque(maxlen=self._params.pull_fills))
                seen.append(net)
                if horizon == self._params.pull_horizon_s and self._is_losing(seen):
                    self._pulled_until_ns[fill.place] = now_ns + round(self._params.pull_s * NS_PER_S)
                    seen.clear()
                    pulled.append(fill.place)
        return pulled

    def on_gap(self) -> None:
        """No book was seen: what was waited for cannot be told any more."""
        for waiting in self._pending.values():
            waiting.clear()

    def any_pulled(self, now_ns: int) -> bool:
        return any(now_ns < until_ns for until_ns in self._pulled_until_ns.values())

    def is_pulled(self, now_ns: int, place: Place) -> bool:
        until_ns = self._pulled_until_ns.get(place, 0)
        return now_ns < until_ns

    def mean_bps(self, horizon_s: int, side: Side | None = None, layer: int | None = None) -> float | None:
        """Return the mean net markout of the last fills of a side, a layer, or all; None without any."""
        values = [
            value
            for (horizon, place), seen in self._seen.items()
            if horizon == horizon_s and side in (None, place[0]) and layer in (None, place[1])
            for value in seen
        ]
        return sum(values) / len(values) if values else None

    def by_place(self, horizon_s: int) -> list[tuple[tuple[Side, int, bool], float, int]]:
        """Return (side, layer, whether it is for retail flow), mean net markout in bps and number of fills, bids first."""
        found = [
            ((side, layer % RPI_LAYERS, layer >= RPI_LAYERS), sum(seen) / len(seen), len(seen))
            for (horizon, (side, layer)), seen in self._seen.items()
            if horizon == horizon_s and seen
        ]
        return sorted(found, key=lambda one: (one[0][0] is Side.SELL, one[0][1], one[0][2]))

    def _is_losing(self, seen: deque[float]) -> bool:
        """Say whether the mean is below zero by more than its standard error."""
        count = len(seen)
        if not self._params.pull or count < self._params.pull_fills:
            return False
        mean = sum(seen) / count
        variance = sum((value - mean) ** 2 for value in seen) / (count - 1)
        return mean + math.sqrt(variance / count) < 0
