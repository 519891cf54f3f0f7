"""Index, mark and the funding premium of one instrument.

mark = index + basis, where basis is the running average of (book mid - index), each sample held within half a percent
of the index: a thin or swept book moves the mark slowly and never far. The venue does not publish its formula
[guess: the usual shape].
"""

from __future__ import annotations

import msgspec

from perpmaker.exchange.core.amounts import div_half_even

_BASIS_TAU_NS = 30_000_000_000
_MAX_GAP_PER_INDEX = 200
"""A sample's gap is at most index / this: 0.5 %."""
_RATE_E9 = 1_000_000_000
_INTEREST_8H_E9 = 100_000
"""0.01 % per eight hours, the rate of a market without premium."""
_DAMPER_E9 = 500_000
"""0.05 %: how far interest may pull the rate from the premium (the usual perpetual formula)."""


class PricesState(msgspec.Struct, frozen=True):
    """What a state file keeps; a held mark is a fault control's doing and not kept."""

    index_nano: int
    basis_nano: int
    premium_weighted: int
    premium_weight_ns: int


class Prices:
    __slots__ = ("_basis_nano", "_held_nano", "_premium_weight_ns", "_premium_weighted", "_sampled_ns", "index_nano")

    def __init__(self, index_nano: int, now_ns: int) -> None:
        self.index_nano = index_nano
        self._basis_nano = 0
        self._held_nano: int | None = None
        self._sampled_ns = now_ns
        self._premium_weighted = 0
        self._premium_weight_ns = 0

    @property
    def mark_nano(self) -> int:
        return self._held_nano if self._held_nano is not None else self.index_nano + self._basis_nano

    def hold_mark(self, px_nano: int | None) -> None:
        self._held_nano = px_nano

    @property
    def mark_is_held(self) -> bool:
        return self._held_nano is not None

    def sample(self, index_nano: int, mid_nano: int | None, now_ns: int) -> None:
        """Take in a new index and, when the book has two sides, its mid."""
        elapsed = now_ns - self._sampled_ns
        self._sampled_ns = now_ns
        self.index_nano = index_nano
        if mid_nano is None or elapsed <= 0:
            return
        most = index_nano // _MAX_GAP_PER_INDEX
        gap = max(-most, min(most, mid_nano - index_nano))
        weight = min(elapsed, _BASIS_TAU_NS)
        self._basis_nano += div_half_even((gap - self._basis_nano) * weight, _BASIS_TAU_NS)
        self._premium_weighted += div_half_even(gap * _RATE_E9, index_nano) * elapsed
        self._premium_weight_ns += elapsed

    def funding_rate_cb(self, interval_hours: int, *, floor_cb: int, cap_cb: int) -> int:
        """Return the rate for the interval as it stands: average premium, pulled to the interest rate, capped."""
        premium = div_half_even(self._premium_weighted, self._premium_weight_ns) if self._premium_weight_ns else 0
        interest = _INTEREST_8H_E9 * interval_hours // 8
        rate = premium + max(-_DAMPER_E9, min(_DAMPER_E9, interest - premium))
        return max(floor_cb, min(cap_cb, div_half_even(rate, 1_000)))

    def start_interval(self) -> None:
        """Forget the premium of the interval that was just settled."""
        self._premium_weighted = 0
        self._premium_weight_ns = 0

    def export(self) -> PricesState:
        return PricesState(self.index_nano, self._basis_nano, self._premium_weighted, self._premium_weight_ns)

    def load(self, state: PricesState) -> None:
        self.index_nano = state.index_nano
        self._basis_nano = state.basis_nano
        self._premium_weighted = state.premium_weighted
        self._premium_weight_ns = state.premium_weight_ns
