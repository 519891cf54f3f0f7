"""Ways out of a position: stop loss, take profit, trailing stop, time limit. Each closes it by a capped sweep.

They watch the mark (the mid where the venue has none) against the average entry. They are the strategy's own: the risk
limits of the account stand above them. What a price decides is kept at the venue besides, a little further away, for when
nobody here can act (docs/explanation/decisions/stops-at-the-venue.md).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from perpmaker.model.guard import Guard
from perpmaker.model.order import Side, TriggerKind
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.schema import Table, key


class ProtectionParams(Table, frozen=True, kw_only=True):
    """Every one is off unless given."""

    stop_loss_bps: Annotated[
        float | None, key("bps", "Close a position that is so far under its entry.", gt=0, le=5000)
    ] = None
    take_profit_bps: Annotated[float | None, key("bps", "Close one that is so far over it.", gt=0, le=5000)] = None
    trailing_stop_bps: Annotated[
        float | None, key("bps", "Close one that fell back so far from its best.", gt=0, le=5000)
    ] = None
    trailing_from_bps: Annotated[
        float, key("bps", "The trailing stop counts once the position was so far over its entry.", ge=0, le=5000)
    ] = 0.0
    time_limit_s: Annotated[float | None, key("s", "Close one that was not flat for so long.", gt=0, le=864_000)] = None
    close_slippage_bps: Annotated[Decimal, key("bps", "Cap of the closing sweep, from the touch.", gt=0, le=1000)] = (
        Decimal(20)
    )
    at_venue: Annotated[
        bool,
        key("", "Keep stop and take profit waiting at the venue too, where it offers that, for when we cannot act."),
    ] = True
    at_venue_beyond_bps: Annotated[
        float,
        key("bps", "So much beyond our own they fire, so that ours go first; half of it is tolerated.", gt=0, le=1000),
    ] = 10.0
    rest_s: Annotated[float, key("s", "After a closing nothing is quoted for so long.", ge=0, le=86_400)] = 60.0

    @property
    def has_price(self) -> bool:
        """Whether a price closes the position; time alone cannot be kept at a venue."""
        return any(bps is not None for bps in (self.stop_loss_bps, self.take_profit_bps, self.trailing_stop_bps))


class Protection:
    """Watches one position; says why it has to be closed, and goes on saying so until it is flat."""

    def __init__(self, params: ProtectionParams) -> None:
        self._params = params
        self._sign = 0
        self._since_ns = 0
        self._best = 0.0
        self._rests_until_ns = 0
        self.closing = ""
        """Why the position is being closed, "" while it is not."""
        limits = (params.stop_loss_bps, params.take_profit_bps, params.trailing_stop_bps, params.time_limit_s)
        self.on = any(limit is not None for limit in limits)
        """Whether there is anything to watch."""
        self.at_venue = params.at_venue and params.has_price
        """Whether something of it is to be kept at the venue."""

    def update(self, now_ns: int, qty: float, entry_px: float, px: float) -> None:
        """Take the position as it is now, with its average entry and the present price."""
        sign = (qty > 0) - (qty < 0)
        if sign != self._sign:
            if self.closing and sign == 0:
                self._rests_until_ns = now_ns + round(self._params.rest_s * NS_PER_S)
            if sign == 0 or self._sign != 0:
                self.closing = ""
            self._sign, self._since_ns, self._best = sign, now_ns, 0.0
        if not sign or entry_px <= 0:
            return
        gain = sign * (px / entry_px - 1) * 1e4
        self._best = max(self._best, gain)
        self.closing = self.closing or self._why(now_ns, gain)

    def guards(self, qty: float, entry_px: float) -> tuple[Guard, ...]:
        """Return what is to wait at the venue for this position: its stop, by loss or trailing, and its take profit."""
        sign = (qty > 0) - (qty < 0)
        if not self.at_venue or not sign or entry_px <= 0:
            return ()
        p, beyond = self._params, self._params.at_venue_beyond_bps
        best = self._best if sign == self._sign else 0.0
        stops = [] if p.stop_loss_bps is None else [-p.stop_loss_bps]
        if p.trailing_stop_bps is not None and best >= p.trailing_from_bps:
            stops.append(best - p.trailing_stop_bps)
        gains = [(TriggerKind.STOP_LOSS, max(stops) - beyond)] if stops else []
        if p.take_profit_bps is not None:
            gains.append((TriggerKind.TAKE_PROFIT, p.take_profit_bps + beyond))
        return tuple(
            Guard(
                kind=kind,
                side=Side.SELL if sign > 0 else Side.BUY,
                px=entry_px * (1 + sign * gain / 1e4),
                slippage_bps=p.close_slippage_bps,
                tolerance_bps=beyond / 2,
            )
            for kind, gain in gains
        )

    def fired(self, now_ns: int, what: str) -> None:
        """The venue has executed what waited there: close what is left, and rest as after any closing."""
        if self._sign:
            self.closing = self.closing or f"{what} at the venue"
        else:
            self._rests_until_ns = now_ns + round(self._params.rest_s * NS_PER_S)

    def resting_s(self, now_ns: int) -> float:
        """Return how long nothing is to be quoted yet after a closing; 0 for not at all."""
        return max(0, self._rests_until_ns - now_ns) / NS_PER_S

    def _why(self, now_ns: int, gain: float) -> str:
        p = self._params
        if p.stop_loss_bps is not None and gain <= -p.stop_loss_bps:
            return f"stop loss: {gain:.1f} bps"
        if p.take_profit_bps is not None and gain >= p.take_profit_bps:
            return f"take profit: {gain:.1f} bps"
        fell = self._best - gain
        if p.trailing_stop_bps is not None and self._best >= p.trailing_from_bps and fell >= p.trailing_stop_bps:
            return f"trailing stop: {gain:.1f} bps after {self._best:.1f}"
        held_s = (now_ns - self._since_ns) / NS_PER_S
        if p.time_limit_s is not None and held_s >= p.time_limit_s:
            return f"time limit: held for {held_s:.0f} s"
        return ""
