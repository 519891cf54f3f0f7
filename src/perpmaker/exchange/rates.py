"""Token buckets: what the venues' rate limits are made of."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perpmaker.model.units import NS_PER_S


class Budget(msgspec.Struct, frozen=True):
    """`rate` requests a second, `burst` at once."""

    rate: float
    burst: float


class Buckets:
    """One bucket per account and class of request; a refused request takes nothing."""

    def __init__(self, budgets: Mapping[str, Budget]) -> None:
        self._budgets = dict(budgets)
        self._buckets: dict[tuple[str, str], tuple[float, int]] = {}

    def budgets(self) -> dict[str, Budget]:
        return dict(self._budgets)

    def set_budget(self, kind: str, budget: Budget) -> None:
        """Change one class from now on; every account starts with a full bucket."""
        self._budgets[kind] = budget
        self._buckets = {key: level for key, level in self._buckets.items() if key[1] != kind}

    def took(self, account: str, kind: str, now_ns: int, tokens: int = 1) -> bool:
        """Take `tokens` of `account`'s bucket of this kind; False when there are too few."""
        budget = self._budgets[kind]
        level, last_ns = self._buckets.get((account, kind), (budget.burst, now_ns))
        level = min(budget.burst, level + budget.rate * max(0, now_ns - last_ns) / NS_PER_S)
        enough = level >= tokens
        self._buckets[account, kind] = (level - tokens if enough else level, now_ns)
        return enough
