"""A signal that is remembered after the indicator went neutral again."""

from __future__ import annotations

import msgspec

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.signals.params import RegimeParams


class LatchMemory(msgspec.Struct, frozen=True):
    """What outlives a restart: the signal in force, and since when."""

    side: Side
    since_ns: int


class Latch:
    """Holds the last signal until it is released.

    While the filter itself gives a signal, that one counts. Once it is neutral the signal stays until the RSI has
    recovered (above `latch_release_buy_rsi` for a buy, below `latch_release_sell_rsi` for a sell), or the position is flat,
    or `latch_max_s` have passed since the signal began. An opposite signal takes its place.
    """

    def __init__(self, params: RegimeParams) -> None:
        self._params = params
        self.side: Side | None = None
        """The signal in force."""
        self.since_ns = 0
        """When it began."""
        self.given = False
        """Whether the filter gives it now; else it is remembered."""
        self.released = ""
        """Why the last remembered signal ended, "" before the first."""
        self.released_ns = 0

    @property
    def memory(self) -> LatchMemory | None:
        return None if self.side is None else LatchMemory(self.side, self.since_ns)

    def restore(self, memory: LatchMemory) -> None:
        """Go on from an earlier life; what has happened since is for `update` to say."""
        self.side, self.since_ns, self.given = memory.side, memory.since_ns, False

    def update(self, now_ns: int, signal: Side | None, rsi: float | None, *, is_flat: bool) -> None:
        """Take what the filter says now, None for neutral; also called without news, for the time that passes."""
        self.given = signal is not None
        if signal is not None:
            if signal is not self.side:
                self.side, self.since_ns = signal, now_ns
            return
        if self.side is None:
            return
        why = self._why_released(now_ns, self.side, rsi, is_flat=is_flat)
        if why:
            self.side, self.released, self.released_ns = None, why, now_ns

    def text(self, now_ns: int, rsi: float | None) -> str:
        """Say since when which signal is in force and until what, or why the last was released; "" before the first."""
        if self.side is None:
            ago_s = (now_ns - self.released_ns) / NS_PER_S
            return f"released {ago_s:.0f} s ago: {self.released}" if self.released else ""
        p, held_s = self._params, (now_ns - self.since_ns) / NS_PER_S
        if self.given:
            return f"{self.side.value}, given by the filter for {held_s:.0f} s"
        beyond, by = (
            ("above", p.latch_release_buy_rsi) if self.side is Side.BUY else ("below", p.latch_release_sell_rsi)
        )
        ends = [f"RSI{'' if rsi is None else f' {rsi:.1f}'} is {beyond} {by:g}", "the position is flat"]
        if p.latch_max_s:
            ends.append(f"{max(p.latch_max_s - held_s, 0):.0f} s have passed")
        return f"{self.side.value}, remembered for {held_s:.0f} s, until {', '.join(ends[:-1])}, or {ends[-1]}"

    def _why_released(self, now_ns: int, side: Side, rsi: float | None, *, is_flat: bool) -> str:
        p = self._params
        if not p.latch:
            return "not remembered: latch is off"
        if rsi is not None and side is Side.BUY and rsi > p.latch_release_buy_rsi:
            return f"RSI {rsi:.1f} above {p.latch_release_buy_rsi:g}"
        if rsi is not None and side is Side.SELL and rsi < p.latch_release_sell_rsi:
            return f"RSI {rsi:.1f} below {p.latch_release_sell_rsi:g}"
        if is_flat:
            return "the position is flat"
        if p.latch_max_s and now_ns - self.since_ns >= round(p.latch_max_s * NS_PER_S):
            return f"latch_max_s = {p.latch_max_s:g} passed"
        return ""
