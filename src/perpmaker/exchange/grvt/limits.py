"""Rate limits: one token bucket per account and class of route, answered with 1006 and HTTP 429 when empty.

The venue publishes no numbers (protocol page §14). The classes are those of the clients' own models; the default rates
are ten times theirs, so that a client that keeps its own model is never refused, and a runaway loop is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.rates import Buckets, Budget

DEFAULT_BUDGETS: Final[Mapping[str, Budget]] = {
    "create": Budget(200, 1000),
    "cancel": Budget(200, 1000),
    "cancel_all": Budget(20, 100),
    "query": Budget(50, 250),
    "account": Budget(50, 250),
    "rare": Budget(20, 100),
    "market": Budget(250, 1000),
}
CLASSES: Final[Mapping[str, str]] = {
    "v1/create_order": "create",
    "v1/cancel_order": "cancel",
    "v2/bulk_orders": "cancel",
    "v1/cancel_all_orders": "cancel_all",
    "v1/order": "query",
    "v1/open_orders": "query",
    "v1/order_history": "query",
    "v1/cancel_on_disconnect": "rare",
    "v1/authorize_builder": "rare",
    "v1/set_position_config": "rare",
    "v1/set_initial_leverage": "rare",
}
"""Other market routes are "market", other trading routes "account". A bulk request also takes one "create" a creation."""


class RateLimiter(Buckets):
    """Counts tokens; a refused request takes none."""

    def __init__(self, budgets: Mapping[str, Budget] = DEFAULT_BUDGETS) -> None:
        super().__init__(budgets)

    def take(self, account: str, kind: str, now_ns: int, tokens: int = 1) -> None:
        """Take `tokens` of `account`'s bucket of this kind; raise ApiError 1006 when there are too few."""
        if not self.took(account, kind, now_ns, tokens):
            raise ApiError(1006)
