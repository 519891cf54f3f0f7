"""Rate limits: a burst, then a rate; and what limits do not touch."""

from __future__ import annotations

import pytest

from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.limits import CLASSES, DEFAULT_BUDGETS, Budget, RateLimiter
from perpmaker.exchange.grvt.routes import ROUTES
from perpmaker.model.units import NS_PER_MS


def limiter() -> RateLimiter:
    return RateLimiter({"create": Budget(rate=10, burst=2), "query": Budget(rate=1, burst=1)})


def test_burst_is_allowed_and_the_next_request_refused() -> None:
    limits = limiter()
    limits.take("a", "create", 0)
    limits.take("a", "create", 0)
    with pytest.raises(ApiError) as refused:
        limits.take("a", "create", 0)
    assert (refused.value.code, refused.value.status) == (1006, 429)


def test_tokens_come_back_at_the_rate() -> None:
    limits = limiter()
    limits.take("a", "create", 0, tokens=2)
    with pytest.raises(ApiError):
        limits.take("a", "create", 99 * NS_PER_MS)
    limits.take("a", "create", 100 * NS_PER_MS)


def test_bulk_request_takes_as_many_tokens_as_it_creates() -> None:
    with pytest.raises(ApiError):
        limiter().take("a", "create", 0, tokens=3)


def test_accounts_and_classes_do_not_share() -> None:
    limits = limiter()
    limits.take("a", "create", 0, tokens=2)
    limits.take("b", "create", 0)
    limits.take("a", "query", 0)


def test_every_class_has_a_budget_and_every_classed_route_exists() -> None:
    assert set(CLASSES.values()) | {"market", "account"} == set(DEFAULT_BUDGETS)
    assert set(CLASSES) <= set(ROUTES)
