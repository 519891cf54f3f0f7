"""Faults on demand: rules that match requests or stream frames, and say what goes wrong with them.

A rule is `{match, action, until}` and the members its action reads; it is seeded, counts what it saw and what it hit, and
ends by itself when `until` says so. The rules know nothing of sockets: the face asks which rules hit a request or a frame
and does what they say.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from perpmaker.model.units import NS_PER_MS

REQUEST_ACTIONS: Final = frozenset(
    {"drop_request", "drop_response", "delay", "http", "burst_429", "defer", "truncate", "mutate", "bad_number"}
    | {"miss_pending", "crossed"}
)
FRAME_ACTIONS: Final = frozenset({"mute", "gap", "duplicate", "delay", "crossed", "mutate", "bad_number"})
_FRAMES_BY_DEFAULT: Final = frozenset({"mute", "gap", "duplicate", "crossed"})
GRVT: Final = "grvt"
BACKPACK: Final = "backpack"
VENUES: Final = (GRVT, BACKPACK)
"""The venues an exchange can be; the first always is."""
ACTS: Final = frozenset({"close", "expire_cookie", "reset_sequences", "fail_over", "mode", "cancel_orders"})
"""Done once, at once, instead of waiting for a match."""
_RULES_KEPT: Final = 1_000
"""With so many rules, those that are over are forgotten."""


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rule is about; absent members match everything. A rule with `stream` is about frames, else about requests,
    but for the actions that only make sense for frames."""

    op: str | None = None
    """A route's name ("create_order"), "login", "time", "ws" (upgrades), "subscribe" or "unsubscribe"; "*" is any."""
    stream: str | None = None
    """A stream's name ("v1.book.d"); "*" is any."""
    symbol: str | None = None
    """An instrument's name."""
    sub_account_id: str | None = None
    nth: int = msgspec.field(default=1)
    """The rule begins with the nth match, counted from 1."""
    probability: float = 1.0


class Until(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a rule ends: after so many hits, or so long after it was set; whichever comes first."""

    hits: int | None = None
    ms: int | None = None


Action = Literal[
    "drop_request",
    "drop_response",
    "delay",
    "http",
    "burst_429",
    "defer",
    "truncate",
    "mutate",
    "bad_number",
    "miss_pending",
    "mute",
    "gap",
    "duplicate",
    "crossed",
    "close",
    "expire_cookie",
    "reset_sequences",
    "fail_over",
    "mode",
    "cancel_orders",
]


class FaultSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as posted; the members after `seed` are read by the actions named beside them."""

    action: Action
    match: Match = Match()
    venue: str = GRVT
    """Whose requests or frames: "grvt" or "backpack"."""
    until: Until | None = None
    seed: int = 0
    executed: bool = True
    """drop_response, http: whether the request is executed all the same."""
    how: Literal["silence", "reset"] = "silence"
    """drop_*: no answer ever, or the connection cut."""
    request_ms: int = 0
    """delay of a request: before it is executed."""
    response_ms: int = 0
    """delay of a request: after it was executed, before it is answered."""
    ms: int = 0
    """delay of a frame; defer: how long after its ack a cancel is executed."""
    code: int | str = 1002
    """http: the venue's error code, a number on GRVT and a word on Backpack (without one SERVER_ERROR)."""
    status: int = 0
    """http: the HTTP status, 0 for the code's own."""
    body: Any = None
    """http: a body of its own instead of the code's."""
    rows: int = 0
    """truncate: how many rows of each list of the reply are left."""
    frames: int = 1
    """gap: how many frames are lost."""
    field: str = ""
    """mutate, bad_number: the member to change, "" for the first price; full name."""
    value: Any = "NaN"
    """mutate, bad_number: what it becomes."""
    raw: bool = False
    """mutate, bad_number: write `value`, a string, as it is, without quotes: NaN, 1e400."""
    abort: bool = False
    """close: cut the connection without a closing handshake."""
    sockets: Literal["all", "private", "public"] = "all"
    """close: all, those with a session, those without."""
    mode: str = "ACTIVE"
    """mode: ACTIVE, REDUCE_ONLY, FROZEN or DELISTED, for `match.symbol` or every instrument."""
    reason: str = "CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED"
    """cancel_orders: the reason told, for the orders of `match.sub_account_id`."""

    @property
    def is_act(self) -> bool:
        return self.action in ACTS

    @property
    def is_about_frames(self) -> bool:
        return self.match.stream is not None or (self.match.op is None and self.action in _FRAMES_BY_DEFAULT)

    def hits_allowed(self) -> int | None:
        if self.until is not None and self.until.hits is not None:
            return self.until.hits
        if self.action == "gap":
            return self.frames
        if self.until is not None and self.until.ms is not None:
            return None
        if self.action == "burst_429":
            return 10
        return 1 if self.match.nth > 1 else None


class Rule:
    """A rule at work. `seen` counts its matches, `hits` those it acted on."""

    def __init__(self, number: int, spec: FaultSpec, now_ns: int) -> None:
        self.number = number
        self.spec = spec
        self.seen = 0
        self.hits = 0
        self._random = random.Random(spec.seed)
        self._hits_allowed = spec.hits_allowed()
        self._end_ns = None
        if spec.until is not None and spec.until.ms is not None:
            self._end_ns = now_ns + spec.until.ms * NS_PER_MS

    def is_over(self, now_ns: int) -> bool:
        out_of_time = self._end_ns is not None and now_ns >= self._end_ns
        return out_of_time or (self._hits_allowed is not None and self.hits >= self._hits_allowed)

    def fires(self, now_ns: int) -> bool:
        """Count a match; return whether the rule acts on it."""
        if self.is_over(now_ns):
            return False
        self.seen += 1
        if self.seen < self.spec.match.nth or self._random.random() >= self.spec.match.probability:
            return False
        self.hits += 1
        return True


class Faults:
    """The rules in force, and counters by which a test can prove that a fault hit."""

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        """`numbers` gives the rules' ids; venues of one exchange share it."""
        self._rules: list[Rule] = []
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._frame_rules = False
        self.requests: Counter[str] = Counter()

    def add(self, spec: FaultSpec, now_ns: int) -> Rule:
        """Put a rule in force; an act is only numbered and counted as hit, the caller does it."""
        rule = Rule(next(self._numbers), spec, now_ns)
        if spec.is_act:
            rule.seen = rule.hits = 1
        if len(self._rules) >= _RULES_KEPT:
            self._rules = [known for known in self._rules if not (known.spec.is_act or known.is_over(now_ns))]
        self._rules.append(rule)
        self._note_kinds()
        return rule

    def clear(self, number: int | None = None) -> int:
        """Remove one rule, or all; return how many."""
        kept = [] if number is None else [rule for rule in self._rules if rule.number != number]
        removed = len(self._rules) - len(kept)
        self._rules = kept
        self._note_kinds()
        return removed

    def on_request(self, op: str, now_ns: int, *, symbol: str = "", sub_account_id: str = "") -> list[FaultSpec]:
        """Count a request; return the rules that act on it."""
        self.requests[op] += 1
        return [
            rule.spec
            for rule in self._rules
            if not rule.spec.is_act
            and not rule.spec.is_about_frames
            and _fits(rule.spec.match.op, op)
            and _concerns(rule.spec.match, symbol, sub_account_id)
            and rule.fires(now_ns)
        ]

    def on_frame(self, stream: str, now_ns: int, *, symbol: str = "", sub_account_id: str = "") -> list[FaultSpec]:
        """Return the rules that act on a frame about to be sent."""
        if not self._frame_rules:
            return []
        return [
            rule.spec
            for rule in self._rules
            if rule.spec.is_about_frames
            and _fits(rule.spec.match.stream, stream)
            and _concerns(rule.spec.match, symbol, sub_account_id)
            and rule.fires(now_ns)
        ]

    def report(self, now_ns: int) -> dict[str, Any]:
        """What `GET /faults` answers."""
        return {
            "rules": [
                {
                    "id": rule.number,
                    "rule": rule.spec,
                    "seen": rule.seen,
                    "hits": rule.hits,
                    "over": rule.spec.is_act or rule.is_over(now_ns),
                }
                for rule in self._rules
            ],
            "requests": dict(self.requests),
        }

    def _note_kinds(self) -> None:
        self._frame_rules = any(rule.spec.is_about_frames for rule in self._rules)


def _fits(pattern: str | None, name: str) -> bool:
    return pattern in (None, "*", name)


def _concerns(match: Match, symbol: str, sub_account_id: str) -> bool:
    return match.symbol in (None, symbol) and match.sub_account_id in (None, sub_account_id)
