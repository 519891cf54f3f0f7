"""One sub-account's position in one instrument: average-entry accounting in exact integers.

The entry cost is kept, not the entry price: reducing by k of n lots releases k/n of the cost, rounded to a nano, and the
rest stays. So realised plus unrealised PnL is exact at every moment, and flat means a cost of exactly zero.
"""

from __future__ import annotations

from collections.abc import Mapping

from perpmaker.exchange.core.amounts import div_half_even
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import NANO, Side


class Position:
    """The running position and the sums over its life, from flat to flat."""

    __slots__ = (
        "closed_lots",
        "closed_nano",
        "cost_nano",
        "fees_nano",
        "funding_nano",
        "initial_margin_sum_nano",
        "instrument",
        "last_reduce_ns",
        "lots",
        "max_initial_margin_nano",
        "max_lots",
        "max_notional_nano",
        "open_ns",
        "opened_lots",
        "opened_nano",
        "realized_nano",
        "update_ns",
        "was_long",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.lots = 0
        """Signed, long > 0."""
        self.cost_nano = 0
        """What the lots held were entered at, signed as they are."""
        self.update_ns = 0
        self._start_life(0, was_long=True)

    def _start_life(self, now_ns: int, *, was_long: bool) -> None:
        self.open_ns = now_ns
        self.was_long = was_long
        self.realized_nano = 0
        self.fees_nano = 0
        self.funding_nano = 0
        self.opened_lots = 0
        self.opened_nano = 0
        self.closed_lots = 0
        self.closed_nano = 0
        self.max_lots = 0
        self.max_notional_nano = 0
        self.initial_margin_sum_nano = 0
        self.max_initial_margin_nano = 0
        self.last_reduce_ns = 0

    def reducing_lots(self, side: Side, lots: int) -> int:
        """How many of `lots` on `side` would shrink the position; the rest opens or adds."""
        return min(lots, max(-int(side) * self.lots, 0))

    def open(self, side: Side, lots: int, px_ticks: int, *, leverage_e6: int, now_ns: int) -> None:
        """Open or add; a flat position starts a new life."""
        if self.lots == 0:
            self._start_life(now_ns, was_long=side is Side.BUY)
        notional = px_ticks * lots * self.instrument.unit_nano
        margin = div_half_even(notional * 1_000_000, leverage_e6)
        self.lots += side * lots
        self.cost_nano += side * notional
        self.opened_lots += lots
        self.opened_nano += notional
        held = abs(self.lots)
        held_notional = px_ticks * held * self.instrument.unit_nano
        self.max_lots = max(self.max_lots, held)
        self.max_notional_nano = max(self.max_notional_nano, held_notional)
        self.initial_margin_sum_nano += margin
        held_margin = div_half_even(held_notional * 1_000_000, leverage_e6)
        self.max_initial_margin_nano = max(self.max_initial_margin_nano, held_margin)
        self.update_ns = now_ns

    def reduce(self, side: Side, lots: int, px_ticks: int, *, now_ns: int) -> int:
        """Shrink by `lots`, at most to flat; return the realised PnL in nanos."""
        notional = px_ticks * lots * self.instrument.unit_nano
        released = div_half_even(self.cost_nano * lots, abs(self.lots))
        realized = -int(side) * notional - released
        self.lots += side * lots
        self.cost_nano -= released
        self.realized_nano += realized
        self.closed_lots += lots
        self.closed_nano += notional
        self.last_reduce_ns = self.update_ns = now_ns
        return realized

    def numbers(self) -> dict[str, int]:
        """Everything but the instrument, for a state file."""
        return {name: int(getattr(self, name)) for name in self.__slots__ if name != "instrument"}

    @classmethod
    def from_numbers(cls, instrument: Instrument, numbers: Mapping[str, int]) -> Position:
        position = cls(instrument)
        for name, number in numbers.items():
            if name in cls.__slots__:
                setattr(position, name, number)
        position.was_long = bool(position.was_long)
        return position

    # readings

    @property
    def entry_px_nano(self) -> int:
        """Average entry of what is held, 0 when flat."""
        return self._px(abs(self.cost_nano), abs(self.lots))

    @property
    def opened_px_nano(self) -> int:
        """Average entry over the whole life."""
        return self._px(self.opened_nano, self.opened_lots)

    @property
    def exit_px_nano(self) -> int:
        return self._px(self.closed_nano, self.closed_lots)

    def notional_nano(self, px_nano: int) -> int:
        """Signed value at a price."""
        return self.instrument.notional_nano(px_nano, self.lots)

    def unrealized_nano(self, px_nano: int) -> int:
        return self.notional_nano(px_nano) - self.cost_nano

    def _px(self, nano: int, lots: int) -> int:
        return div_half_even(nano * NANO, lots * self.instrument.lot_nano) if lots else 0
