"""The limits of the gate."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit of one account; amounts in its currency. `max_position_notional` holds per instrument.

    A limit passes only what is proven inside: a figure that is missing, NaN or infinite is outside.
    """

    max_position_notional: Decimal = Decimal(5000)
    max_order_notional: Decimal = Decimal(1000)
    max_open_orders: int = 60
    price_collar_bps: Decimal = Decimal(100)
    orders_per_s: Decimal = Decimal(10)
    max_loss: Decimal = Decimal(50)
    """Per UTC day, on equity: realised + unrealised + fees + funding."""
    max_drawdown_frac: Decimal = Decimal("0.05")
    """Of the peak of equity."""
    flatten_on_loss: bool = False
    flatten_on_drawdown: bool = True
    max_unknown_orders: int = 2
    """Orders of unknown outcome per instrument and account at which no more are created."""
    max_reference_age_s: int = 10
    """A mark or index price older than this is not a reference."""

    def problems(self) -> Sequence[str]:
        """Return what is impossible in these limits, one sentence each; empty when they are usable."""
        raise NotImplementedError
