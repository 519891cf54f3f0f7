"""The history of mids that markouts are judged by, in arrays that compiled code adds to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from decimal import Decimal

from perpmaker.model.instrument import Instrument
from perpmaker.portfolio.mids import MidHistory
from perpmaker.simulation.fast.kernel import keep_mid
from perpmaker.simulation.fast.track import Track

_HALF = Decimal("0.5")


class TrackedMids(MidHistory):
    """As `MidHistory`; mids are kept as sums of two prices in ticks. All accounts share it: they see the same mids."""

    __slots__ = ("_instrument", "_place", "_track")

    def __init__(self, track: Track, place: int, instrument: Instrument, before: MidHistory) -> None:
        super().__init__()
        self._track, self._place, self._instrument = track, place, instrument
        for mid_px, ts_event_ns in zip(before._mids, before._times, strict=True):
            self.add(mid_px, ts_event_ns)

    def add(self, mid_px: Decimal, ts_event_ns: int) -> None:
        track = self._track
        total = int(mid_px * 2 / self._instrument.tick)
        keep_mid(track.mid_times, track.mid_sums, track.mids_kept, self._place, total, ts_event_ns)

    def plain(self) -> MidHistory:
        """Return the same history without arrays."""
        history = MidHistory()
        history._times = self._track.mid_times[self._place, : self._count].tolist()
        history._mids = [self._mid(index) for index in range(self._count)]
        return history

    @property
    def last(self) -> Decimal | None:
        count = self._count
        return self._mid(count - 1) if count else None

    def at(self, ts_event_ns: int) -> Decimal | None:
        index = bisect_right(self._track.mid_times[self._place, : self._count], ts_event_ns)
        return self._mid(index - 1) if index else None

    def before(self, ts_event_ns: int) -> Decimal | None:
        index = bisect_left(self._track.mid_times[self._place, : self._count], ts_event_ns)
        return self._mid(index - 1) if index else None

    @property
    def _count(self) -> int:
        return int(self._track.mids_kept[self._place])

    def _mid(self, index: int) -> Decimal:
        return self._instrument.tick * int(self._track.mid_sums[self._place, index]) * _HALF
