"""Which parameters of a running maker have no effect now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.quoting.inert import Inert, inert_parameters
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.shape import Market
from perpmaker.strategies.quoting.stance import Conditions

_LOOK_NS: Final = 30 * NS_PER_S


class InertWatch:
    """Looks twice a minute, since what has an effect depends on the market."""

    def __init__(self, quoting: QuotingParams, idle: Sequence[Inert]) -> None:
        self.idle = idle
        """Keys that are never read, because what they belong to is switched off."""
        self._quoting = quoting
        self._inert: tuple[Inert, ...] = ()
        self._looked_ns = 0

    @property
    def found(self) -> tuple[Inert, ...]:
        """All of them, as of the last look."""
        return (*self.idle, *self._inert)

    def look(self, now_ns: int, market: Market, conditions: Conditions, quote_currency: str) -> Sequence[Inert]:
        """Look anew if it is time; returns all that depend on the market once there are others than before."""
        if now_ns < self._looked_ns + _LOOK_NS:
            return ()
        self._looked_ns = now_ns
        before = {inert.name for inert in self._inert}
        self._inert = inert_parameters(
            self._quoting,
            market,
            q_max=conditions.q_max,
            tick=conditions.tick,
            maker_fee=conditions.maker_fee,
            quote_currency=quote_currency,
        )
        return self._inert if {inert.name for inert in self._inert} - before else ()
