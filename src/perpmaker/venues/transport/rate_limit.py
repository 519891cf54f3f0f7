"""Request budgets: a token bucket per kind of request and one over all of them, with a share that only cancels may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import ConfigError
from perpmaker.model.units import NS_PER_S


class Rate(msgspec.Struct, frozen=True):
    """A bucket: `per_s` tokens flow in each second, up to `burst`."""

    per_s: float
    burst: float


class RateLimiter:
    """Says whether a request may leave now.

    A protected kind (cancels, the dead-man timer) always may, whatever the buckets say: it draws them into debt, and the
    debt is what the others wait for. An unprotected kind needs tokens in its own bucket and, in the one over all, more than
    the reserved share. A penalty (HTTP 429) silences every unprotected kind until it is over; a protected kind is silenced
    only by a penalty that it earned itself, and then for at most `PROTECTED_PENALTY_S`.
    """

    MIN_RESERVE = 0.3
    PROTECTED_PENALTY_S = 1.0
    DEFAULT_PENALTY_S = 1.0
    MAX_PENALTY_S = 600.0

    def __init__(
        self,
        clock: Clock,
        rates: Mapping[str, Rate],
        *,
        total: Rate,
        protected: Iterable[str],
        reserve: float = MIN_RESERVE,
    ) -> None:
        if not self.MIN_RESERVE <= reserve < 1:
            raise ConfigError(
                f"the share reserved for cancels must be from {self.MIN_RESERVE} to below 1, not {reserve}"
            )
        self._clock = clock
        self._protected = frozenset(protected)
        now_ns = clock.monotonic_ns()
        self._buckets = {kind: _Bucket(rate, now_ns) for kind, rate in rates.items()}
        self._total = _Bucket(total, now_ns)
        self._floor = reserve * total.burst
        self._silent_until: dict[str, int] = {}
        self._all_silent_until = 0

    def try_take(self, kind: str, tokens: float = 1.0) -> bool:
        """Take `tokens` and return True, or take nothing and return False."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._silent_ns(kind):
            return False
        bucket = self._buckets[kind]
        if kind not in self._protected and (
            bucket.level(now_ns) < tokens or self._total.level(now_ns) - tokens < self._floor
        ):
            return False
        bucket.take(tokens, now_ns)
        self._total.take(tokens, now_ns)
        return True

    def wait_s(self, kind: str, tokens: float = 1.0) -> float:
        """Return how long until `try_take` could say yes, if nothing else takes meanwhile."""
        now_ns = self._clock.monotonic_ns()
        silent_s = max(self._silent_ns(kind) - now_ns, 0) / NS_PER_S
        if kind in self._protected:
            return silent_s
        own_s = self._buckets[kind].wait_s(tokens, now_ns)
        return max(silent_s, own_s, self._total.wait_s(self._floor + tokens, now_ns))

    def left(self, kind: str) -> float:
        """Return how many requests of `kind` could leave now."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._silent_ns(kind):
            return 0.0
        own = self._buckets[kind].level(now_ns)
        if kind in self._protected:
            return max(own, 0.0)
        return max(min(own, self._total.level(now_ns) - self._floor), 0.0)

    def penalise(self, kind: str, retry_after_s: float) -> None:
        """The venue answered "too fast" to a request of `kind`; 0 means it named no time."""
        seconds = min(retry_after_s if retry_after_s > 0 else self.DEFAULT_PENALTY_S, self.MAX_PENALTY_S)
        now_ns = self._clock.monotonic_ns()
        self._all_silent_until = max(self._all_silent_until, now_ns + int(seconds * NS_PER_S))
        if kind in self._protected:
            own_ns = now_ns + int(min(seconds, self.PROTECTED_PENALTY_S) * NS_PER_S)
            self._silent_until[kind] = max(self._silent_until.get(kind, 0), own_ns)

    def penalty_s(self) -> float:
        """Return how long unprotected requests stay silent because of a penalty."""
        return max(self._all_silent_until - self._clock.monotonic_ns(), 0) / NS_PER_S

    def _silent_ns(self, kind: str) -> int:
        return self._silent_until.get(kind, 0) if kind in self._protected else self._all_silent_until


class _Bucket:
    __slots__ = ("_level", "_rate", "_updated_ns")

    def __init__(self, rate: Rate, now_ns: int) -> None:
        if rate.per_s <= 0 or rate.burst <= 0:
            raise ConfigError(f"a request budget needs a rate and a burst above 0, not {rate.per_s} and {rate.burst}")
        self._rate = rate
        self._level = rate.burst
        self._updated_ns = now_ns

    def level(self, now_ns: int) -> float:
        flowed = (now_ns - self._updated_ns) / NS_PER_S * self._rate.per_s
        self._level = min(self._level + flowed, self._rate.burst)
        self._updated_ns = now_ns
        return self._level

    def take(self, tokens: float, now_ns: int) -> None:
        """Take even what is not there, down to one burst of debt."""
        self._level = max(self.level(now_ns) - tokens, -self._rate.burst)

    def wait_s(self, tokens: float, now_ns: int) -> float:
        return max(tokens - self.level(now_ns), 0.0) / self._rate.per_s
