"""What becomes of a request, whatever the protocol: an answer, a refusal, or silence because a fault rule says so."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from perpmaker.exchange.faults import FaultSpec


class Reply(msgspec.Struct, frozen=True):
    """What to answer: the payload as it goes out, and the HTTP status."""

    payload: Any
    status: int = 200


class Refusal(msgspec.Struct, frozen=True):
    """An error to answer."""

    code: int | str
    message: str
    status: int


class Silence(enum.Enum):
    """No answer, because a fault rule says so."""

    FOREVER = "silence"
    RESET = "reset"


Outcome = Reply | Refusal | Silence
Refuse = Callable[[FaultSpec], Refusal]
"""How a venue words what an `http` or `burst_429` rule answers."""


def prevented(rules: Iterable[FaultSpec], refuse: Refuse) -> Outcome | None:
    """The outcome of a request that rules keep from being executed, None when it may be."""
    for rule in rules:
        if rule.action == "drop_request" or (rule.action == "drop_response" and not rule.executed):
            return Silence(rule.how)
        if rule.action == "burst_429" or (rule.action == "http" and not rule.executed):
            return _worded(rule, refuse)
    return None


def altered(outcome: Outcome, rules: Iterable[FaultSpec], refuse: Refuse) -> Outcome:
    """The outcome of an executed request after rules that spoil its answer."""
    for rule in rules:
        if rule.action == "drop_response":
            return Silence(rule.how)
        if rule.action == "http" and rule.executed:
            return _worded(rule, refuse)
    return outcome


def waits_ms(rules: Iterable[FaultSpec]) -> tuple[int, int]:
    """How long `delay` rules hold a request up, before it is executed and after."""
    delays = [rule for rule in rules if rule.action == "delay"]
    return sum(rule.request_ms for rule in delays), sum(rule.response_ms for rule in delays)


def _worded(rule: FaultSpec, refuse: Refuse) -> Outcome:
    if rule.body is not None:
        return Reply(rule.body, rule.status or 200)
    refusal = refuse(rule)
    return Refusal(refusal.code, refusal.message, rule.status or refusal.status)
