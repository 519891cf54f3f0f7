"""How fast the client goes. The venue publishes no figures by tier (protocol page §14, §16), so these are defaults.

Rates are ccxt 4.5.90's model of the venue, the best one known: 20 creates and 20 cancels a second, 5 order reads, 2.5
account reads, 2 cancel-alls, 1 dead-man refresh, 25 light and 8 heavy market reads. A bulk request costs one create token
per creation and one cancel token (venue documentation). Over everything hummingbot counts 1,200 a minute; the bucket over
all allows 60 a second, because ours counts creations inside a bulk request one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from perpmaker.clock import Clock
from perpmaker.venues.grvt.routes import Cost
from perpmaker.venues.transport.rate_limit import Rate, RateLimiter

DEFAULT_RATES: Final[Mapping[Cost, Rate]] = MappingProxyType(
    {
        Cost.CREATE: Rate(per_s=20.0, burst=40.0),
        Cost.CANCEL: Rate(per_s=20.0, burst=40.0),
        Cost.CANCEL_ALL: Rate(per_s=2.0, burst=4.0),
        Cost.DEAD_MAN: Rate(per_s=1.0, burst=4.0),
        Cost.READ_ORDERS: Rate(per_s=5.0, burst=10.0),
        Cost.READ_ACCOUNT: Rate(per_s=2.5, burst=10.0),
        Cost.MARKET: Rate(per_s=25.0, burst=25.0),
        Cost.HISTORY: Rate(per_s=8.0, burst=16.0),
    }
)
DEFAULT_TOTAL: Final = Rate(per_s=60.0, burst=150.0)
PROTECTED: Final = (Cost.CANCEL, Cost.CANCEL_ALL, Cost.DEAD_MAN)


def rate_limiter(
    clock: Clock,
    rates: Mapping[Cost, Rate] = DEFAULT_RATES,
    *,
    total: Rate = DEFAULT_TOTAL,
    reserve: float = RateLimiter.MIN_RESERVE,
) -> RateLimiter:
    """Return the budget of one account; rates that are left out keep their defaults."""
    merged = {**DEFAULT_RATES, **rates}
    return RateLimiter(
        clock,
        {cost.value: rate for cost, rate in merged.items()},
        total=total,
        protected=(cost.value for cost in PROTECTED),
        reserve=reserve,
    )
