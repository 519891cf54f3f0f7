"""Fault rules: what they match, when they begin, when they end, and that a test can see that they hit."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from perpmaker.exchange.faults import ACTS, FRAME_ACTIONS, REQUEST_ACTIONS, Faults, FaultSpec, Match, Until
from perpmaker.model.units import NS_PER_MS


def rule(**members: Any) -> FaultSpec:
    return FaultSpec(**members)


def hits(faults: Faults, op: str, times: int, *, now_ns: int = 0, **subject: str) -> int:
    return sum(bool(faults.on_request(op, now_ns, **subject)) for _ in range(times))


def test_rule_acts_on_its_op_alone() -> None:
    faults = Faults()
    faults.add(rule(action="drop_response", match=Match(op="create_order")), 0)
    assert hits(faults, "create_order", 2) == 2
    assert hits(faults, "cancel_order", 2) == 0


def test_rule_without_an_op_acts_on_every_request_but_no_frame() -> None:
    faults = Faults()
    faults.add(rule(action="delay"), 0)
    assert hits(faults, "anything", 1) == 1
    assert faults.on_frame("v1.trade", 0) == []


def test_rule_with_a_stream_acts_on_frames_alone() -> None:
    faults = Faults()
    faults.add(rule(action="delay", match=Match(stream="*", symbol="BTC_USDT_Perp")), 0)
    assert hits(faults, "create_order", 1) == 0
    assert faults.on_frame("v1.trade", 0, symbol="ETH_USDT_Perp") == []
    assert len(faults.on_frame("v1.trade", 0, symbol="BTC_USDT_Perp")) == 1


def test_rule_ends_after_its_hits() -> None:
    faults = Faults()
    faults.add(rule(action="http", until=Until(hits=3)), 0)
    assert hits(faults, "order", 10) == 3


def test_rule_ends_after_its_time() -> None:
    faults = Faults()
    faults.add(rule(action="http", until=Until(ms=5)), 0)
    assert hits(faults, "order", 1, now_ns=5 * NS_PER_MS - 1) == 1
    assert hits(faults, "order", 1, now_ns=5 * NS_PER_MS) == 0


def test_nth_match_begins_and_alone_is_meant_once() -> None:
    faults = Faults()
    faults.add(rule(action="drop_request", match=Match(op="order", nth=3)), 0)
    assert [bool(faults.on_request("order", 0)) for _ in range(5)] == [False, False, True, False, False]


def test_probability_is_seeded() -> None:
    def pattern(seed: int) -> list[bool]:
        faults = Faults()
        faults.add(rule(action="drop_request", match=Match(probability=0.5), seed=seed), 0)
        return [bool(faults.on_request("order", 0)) for _ in range(64)]

    assert pattern(1) == pattern(1) != pattern(2)
    assert 16 < sum(pattern(1)) < 48


def test_burst_of_refusals_ends_by_itself() -> None:
    faults = Faults()
    faults.add(rule(action="burst_429"), 0)
    assert hits(faults, "order", 50) == 10


def test_report_counts_requests_matches_and_hits() -> None:
    faults = Faults()
    made = faults.add(rule(action="drop_request", match=Match(op="order", nth=2)), 0)
    hits(faults, "order", 3)
    hits(faults, "time", 1)
    report = faults.report(0)
    assert report["requests"] == {"order": 3, "time": 1}
    (row,) = report["rules"]
    assert (row["id"], row["seen"], row["hits"], row["over"]) == (made.number, 2, 1, True)


def test_rules_are_removed_one_or_all() -> None:
    faults = Faults()
    first, second = (faults.add(rule(action="mute", match=Match(stream="*")), 0) for _ in range(2))
    assert faults.clear(first.number) == 1
    assert len(faults.on_frame("v1.trade", 0)) == 1
    assert faults.clear() == 1
    assert faults.on_frame("v1.trade", 0) == []
    assert second.hits == 1


def test_rules_that_are_over_do_not_pile_up() -> None:
    faults = Faults()
    for _ in range(5_000):
        faults.add(rule(action="drop_request", until=Until(hits=0)), 0)
    assert len(faults.report(0)["rules"]) <= 1_000


def test_every_action_is_of_requests_frames_or_an_act() -> None:
    actions = set(get_args(get_type_hints(FaultSpec)["action"]))
    assert actions == REQUEST_ACTIONS | FRAME_ACTIONS | ACTS


@pytest.mark.parametrize(
    "posted", [b'{"action":"explode"}', b'{"action":"mute","stream":"x"}', b'{"action":"mute","match":{"opp":"x"}}']
)
def test_misspelt_rule_is_refused(posted: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(posted, type=FaultSpec)
