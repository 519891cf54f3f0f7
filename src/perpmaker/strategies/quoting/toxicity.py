"""VPIN: how one-sided the traded volume is, bucket of volume by bucket.

Easley, López de Prado and O'Hara (2012), "Flow Toxicity and Liquidity in a High-frequency World", Review of Financial
Studies 25(5): the mean of |buys - sells| / bucket volume over the last buckets. The aggressor is known here, so nothing has
to be classified.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.quoting.permit import FREE, Mode, Permit
from perpmaker.strategies.schema import Table, key


class ToxicityParams(Table, frozen=True, kw_only=True):
    """Off unless `pause_above` is given."""

    pause_above: Annotated[
        float | None, key("", "VPIN above this (0 to 1) pauses quoting; without it, never.", gt=0, le=1)
    ] = None
    bucket_notional: Annotated[float, key("quote currency", "Volume of a bucket.", ge=1)] = 100_000.0
    buckets: Annotated[int, key("", "Buckets that are averaged.", ge=2, le=1000)] = 50
    pause_s: Annotated[float, key("s", "How long it pauses.", ge=1, le=3600)] = 30.0


class Vpin:
    """Fills buckets with trades."""

    def __init__(self, params: ToxicityParams) -> None:
        self._params = params
        self._shares: deque[float] = deque(maxlen=params.buckets)
        self._signed = self._volume = 0.0
        self._until_ns = 0

    @property
    def value(self) -> float | None:
        """None until all buckets are full."""
        full = len(self._shares) == self._params.buckets
        return sum(self._shares) / len(self._shares) if full else None

    def on_trade(self, now_ns: int, notional: float, aggressor: Side) -> None:
        """Take a trade; a large one fills several buckets."""
        p = self._params
        if p.pause_above is None:
            return
        whole = int(notional / p.bucket_notional) - p.buckets - 1
        if whole > 0:  # the buckets it fills before the last ones would all be forgotten
            notional -= whole * p.bucket_notional
        while notional > 0:
            part = min(notional, p.bucket_notional - self._volume)
            self._volume += part
            self._signed += aggressor.sign * part
            notional -= part
            if self._volume >= p.bucket_notional * (1 - 1e-12):
                self._shares.append(abs(self._signed) / self._volume)
                self._signed = self._volume = 0.0
                vpin = self.value
                if vpin is not None and vpin > p.pause_above:
                    self._until_ns = now_ns + round(p.pause_s * NS_PER_S)

    def permit(self, now_ns: int) -> Permit:
        if now_ns >= self._until_ns:
            return FREE
        return Permit(Mode.NONE, f"toxic flow: VPIN was above {self._params.pause_above:g}")
