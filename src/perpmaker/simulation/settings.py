"""What a simulated venue is like, stated as data; every number that is a guess about the real one can be changed."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.venues.api import Capabilities


class FillModel(enum.Enum):
    """When a resting order of ours fills."""

    QUEUE = "queue"
    """Its place in the queue is estimated from book and trades; what trades beyond it fills us, bounded by its size."""
    OPTIMISTIC = "optimistic"
    """Always first in the queue: a trade at our price fills us, bounded by its size."""
    PESSIMISTIC = "pessimistic"
    """Always last: only a trade at a worse price than ours, or a book beyond it, fills us."""
    CLASSIC = "classic"
    """As the original bot's paper mode: a cross fills at once and whole, being at the touch with 10 % a look."""


class QueueModel(enum.Enum):
    """Who cancelled, when the quantity at our price shrinks by more than what traded (`simulation.queue`)."""

    POWER = "power"
    RISK_AVERSE = "risk_averse"


class FeeSchedule(msgspec.Struct, frozen=True):
    """Fractions of notional, > 0 is a cost. Defaults: what live fills of an ordinary GRVT account showed.

    PROTOCOL 13 (Dec 2025 - Jan 2026): taker 0.045 percent, maker -0.0001 percent, liquidation 0.9 percent.
    """

    maker: Decimal = Decimal("-0.000001")
    taker: Decimal = Decimal("0.00045")
    liquidation: Decimal = Decimal("0.009")


class MarginBracket(msgspec.Struct, frozen=True):
    """A range of a position's notional and its margin (PROTOCOL 7, RiskBracket); it ends where the next begins."""

    floor: Decimal
    """Inclusive."""
    maintenance_frac: Decimal
    initial_frac: Decimal | None
    """Leverage above 1 / this is refused (2083); None: any leverage."""
    cumulative: Decimal
    """Maintenance margin is notional x rate - this, so that it has no step where brackets meet."""


class MarginRules(msgspec.Struct, frozen=True):
    """Cross margin (PROTOCOL 13): maintenance by brackets of notional where they are known, else at one rate."""

    leverage: int = 10
    """Initial margin is the order-adjusted notional over this."""
    maintenance_frac: Decimal = Decimal("0.02")
    """Of the position's notional at mark; below that equity the account is liquidated."""
    brackets: Mapping[str, tuple[MarginBracket, ...]] = {}
    """By instrument or its symbol, the smallest first; "" for all that have none of their own."""

    def bracket(self, instrument: str, notional: Decimal) -> MarginBracket | None:
        """Return the bracket an unsigned notional falls into, None where one rate counts."""
        if not self.brackets:
            return None
        names = (instrument, instrument.partition("@")[0], "")
        rows: tuple[MarginBracket, ...] = next((self.brackets[name] for name in names if name in self.brackets), ())
        return next((row for row in reversed(rows) if notional >= row.floor), None)

    def maintenance(self, instrument: str, notional: Decimal) -> Decimal:
        """Return what a position of an unsigned notional needs, in quote units."""
        bracket = self.bracket(instrument, notional)
        if bracket is None:
            return notional * self.maintenance_frac
        return notional * bracket.maintenance_frac - bracket.cumulative

    def describe(self) -> str:
        """Say it in a line, for reports."""
        parts = [
            f"{name or 'every other'} {', '.join(f'{row.maintenance_frac:f} from {row.floor:f}' for row in rows)}"
            for name, rows in self.brackets.items()
        ]
        if "" not in self.brackets:
            parts.append(
                f"{'every other ' if parts else ''}one rate, {(self.maintenance_frac * 10_000).normalize():f} bps"
            )
        return f"cross, leverage {self.leverage}, maintenance of notional: {'; '.join(parts)}"


def margin_brackets(rows: Iterable[tuple[Decimal | None, Decimal, Decimal | None]]) -> tuple[MarginBracket, ...]:
    """Return the brackets of (end, maintenance, initial), the smallest first; the last has no end."""
    told = list(rows)
    floors = [Decimal(0), *(end for end, _, _ in told if end is not None)]
    made: list[MarginBracket] = []
    cumulative = Decimal(0)
    for floor, (_, maintenance, initial) in zip(floors, told, strict=True):
        if made:
            cumulative += floor * (maintenance - made[-1].maintenance_frac)
        made.append(MarginBracket(floor, maintenance, initial, cumulative))
    return tuple(made)


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One simulated venue."""

    fill_model: FillModel = FillModel.QUEUE
    queue_model: QueueModel = QueueModel.POWER
    queue_exponent: int = 3
    """n of the power-law model."""
    fees: FeeSchedule = FeeSchedule()
    margin: MarginRules = MarginRules()
    funding_rate: Decimal | None = None
    """Fraction per interval, positive when longs pay; None: the rate the tape or the feed last stated, if it did."""
    speed_bump_ns: int = 25 * NS_PER_MS
    """How long an order that may take waits in front of the matching (PROTOCOL 11.2)."""
    price_band_bps: int = 0
    """A limit price further than this from mark is refused (7201); 0: no band. GRVT has one and does not publish it."""
    orders_per_s: int = 20
    """Creations and cancels apiece of one account; beyond the burst they are refused (1006). ccxt's model of the venue."""
    orders_burst: int = 40
    max_open_orders: int = 1_000
    max_bulk: int = 100
    whole_requests: bool = True
    """One creation that the gateway refuses refuses its whole request, the cancels in it too: GRVT's reply has no place for
    a single refusal (PROTOCOL 6, bulk_orders; the practice exchange reads it so as well). False: each for itself.

    What is heard of it is what the gateway to GRVT concludes (`checks.is_certain`): of several creations each is unknown
    unless the code is about the request as a whole, and counts in full until the engine has found out by asking."""
    resting_life_ns: int = 120 * NS_PER_S
    """Signature expiration of an order that names none."""
    touch_per_mille: int = 100
    """`classic`: the chance of a fill per look while at the touch."""
    look_ns: int = NS_PER_S
    """`classic`: at most one look at an order in this time."""


CAPABILITIES: Final = Capabilities(
    bulk=True,
    post_only=True,
    reduce_only=True,
    rpi=False,  # retail flow is not on any tape, so nobody could take such an order
    fill_stream=True,
    cancel_by_client_id=True,
    cancel_ttl=True,
    dead_man=True,
    signature_expiry=True,
    max_bulk=100,
)
