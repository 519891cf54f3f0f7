"""What every part of the core shares: the time, the listings, the accounts, the counters and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perpmaker.exchange.core.fees import FeeTier
from perpmaker.exchange.core.timers import Timers
from perpmaker.exchange.core.types import Event, Violation

if TYPE_CHECKING:
    from perpmaker.exchange.core.accounts import Account
    from perpmaker.exchange.core.listing import Listing
    from perpmaker.exchange.core.orders import ClientOrder

DAY_NS = 86_400 * 1_000_000_000


class VenueLimits(msgspec.Struct, frozen=True):
    """Numbers the venue does not publish, or that bound memory; all configurable."""

    max_open_orders: int = 1_000
    """Per sub-account, pending ones included (2090)."""
    speed_bump_ns: int = 25_000_000
    """How long an order that may take waits in front of the engine (PROTOCOL 11.2); 0: it arrives at once."""
    plain_ids: bool = False
    """Number orders, and each single execution, in decimal instead of the shapes GRVT's ids have."""
    max_bulk: int = 100
    max_signature_ns: int = 30 * DAY_NS
    default_leverage: int = 10
    closed_orders_kept: int = 2_500
    """Per sub-account; the total is never cut. One takes 1 to 1.5 kB. Above 2,700 a dict of them doubles its table
    after twice as many, a quarter of an hour of busy trading."""
    payloads_kept: int = 2_500
    """Signed payloads remembered per sub-account, so that none is accepted twice."""
    history_rows: int = 5_000
    """Funding payments and closed positions kept per sub-account, funding rates per instrument."""
    fills_kept: int = 200_000
    """Per sub-account; one takes 60 to 80 bytes."""
    trades_kept: int = 3_000
    """Public trades kept per instrument: 15 minutes or more."""
    candles_kept: int = 1_500
    """Per instrument, interval and type."""


DEFAULT_LIMITS = VenueLimits()


class Participant:
    """A source of simulated flow: signed lots per listing and what they cost; nothing is checked."""

    __slots__ = ("cash_nano", "lots", "name")

    def __init__(self, name: str, listings: int) -> None:
        self.name = name
        self.lots = [0] * listings
        self.cash_nano = 0


class Floor:
    def __init__(self, now_ns: int, fees: FeeTier, limits: VenueLimits) -> None:
        self.now_ns = now_ns
        self.fees = fees
        self.limits = limits
        self.events: list[Event] = []
        self.timers = Timers()
        self.listings: dict[str, Listing] = {}
        self.accounts: dict[int, Account] = {}
        self.participants: list[Participant] = []
        self.violations: list[Violation] = []
        self.due: list[ClientOrder] = []
        """Orders whose trigger was reached and that are fired at the end of what is being done."""
        self.orders_numbered = 0
        self.executions_numbered = 0
        self.payments_numbered = 0
        self.fees_collected_nano = 0
        """Trading and builder fees of all clients, net of rebates."""
        self.funding_collected_nano = 0
        """Net funding paid by all clients; the simulated flow neither pays nor receives."""
