"""The limits of the gate."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit of one account; amounts in its currency. `max_position_notional` holds per instrument.

    A limit passes only what is proven inside: a figure that is missing, NaN or infinite is outside. Impossible limits
    cannot be made: ValueError says what is wrong with them.
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

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise ValueError("; ".join(problems))

    def _problems(self) -> Sequence[str]:
        amounts = {
            "max_position_notional": self.max_position_notional,
            "max_order_notional": self.max_order_notional,
            "price_collar_bps": self.price_collar_bps,
            "orders_per_s": self.orders_per_s,
            "max_loss": self.max_loss,
            "max_drawdown_frac": self.max_drawdown_frac,
            "max_open_orders": Decimal(self.max_open_orders),
            "max_unknown_orders": Decimal(self.max_unknown_orders),
            "max_reference_age_s": Decimal(self.max_reference_age_s),
        }
        found = [
            f"{name} must be finite and above 0, not {value}" for name, value in amounts.items() if not _sane(value)
        ]
        if _sane(self.max_drawdown_frac) and self.max_drawdown_frac > 1:
            found.append(f"max_drawdown_frac is a fraction of the peak, at most 1, not {self.max_drawdown_frac}")
        if _sane(self.price_collar_bps) and self.price_collar_bps >= 10_000:
            found.append(f"price_collar_bps must be below 10000, not {self.price_collar_bps}")
        return found


def _sane(value: Decimal) -> bool:
    return value.is_finite() and value > 0
