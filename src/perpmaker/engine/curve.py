"""Equity and positions over the last hour, a point a second: kept as plain numbers, because there are thousands of them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from perpmaker.control.messages import EquityPoint


class EquityCurve:
    """The last `kept` points. What it needs is taken at once, so that an engine does not grow while an hour passes."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._times_s = self._column()
        self._equities = self._column()
        self._held: dict[str, array[float]] = {}
        """A column for each instrument that was ever held."""
        self.count = 0
        """Points ever added."""

    def add(self, ts_s: float, equity: float, held: Mapping[str, float]) -> None:
        """Note equity and signed quantities as of `ts_s`."""
        place = self.count % self._kept
        self._times_s[place], self._equities[place] = ts_s, equity
        for instrument in held.keys() - self._held.keys():
            self._held[instrument] = self._column()
        for instrument, column in self._held.items():
            column[place] = held.get(instrument, 0.0)
        self.count += 1

    def after(self, number: int) -> list[EquityPoint]:
        """Return the points after the `number`-th that are still kept, oldest first."""
        first = max(number, self.count - self._kept, 0)
        return [self._point(place % self._kept) for place in range(first, self.count)]

    def _point(self, place: int) -> EquityPoint:
        held = {instrument: column[place] for instrument, column in self._held.items() if column[place]}
        return EquityPoint(self._times_s[place], self._equities[place], held)

    def _column(self) -> array[float]:
        return array("d", bytes(8 * self._kept))
