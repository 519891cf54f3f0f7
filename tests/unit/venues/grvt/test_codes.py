"""The outcome tables cover every row of the protocol page, and nothing refused is mistaken for something certain."""

from __future__ import annotations

from typing import Any

import pytest

from perpmaker.venues.grvt.codes import (
    ENDINGS,
    OUTCOMES,
    REQUEST_WIDE,
    Ending,
    Outcome,
    ending,
    outcome,
    stands_alone,
)

from .protocol_page import PAGE, extract, tables

PAGE_TABLES = tables()


def test_the_kept_tables_are_the_pages() -> None:
    if not PAGE.is_file():
        pytest.skip("../shared (the protocol page) is absent")
    assert extract(PAGE.read_text(encoding="utf-8")) == PAGE_TABLES


@pytest.mark.parametrize("row", PAGE_TABLES["codes"], ids=lambda row: str(row["code"]))
def test_every_error_code_of_the_page_is_classified(row: dict[str, Any]) -> None:
    assert row["code"] in OUTCOMES


def test_no_code_is_classified_that_the_page_does_not_name() -> None:
    named = {row["code"] for row in PAGE_TABLES["codes"]} | set(PAGE_TABLES["codes_outside"])
    assert set(OUTCOMES) == named


@pytest.mark.parametrize("row", [r for r in PAGE_TABLES["codes"] if r["http"] >= 500], ids=lambda row: str(row["code"]))
def test_a_server_side_failure_is_certain_only_where_the_text_says_what_is_missing(row: dict[str, Any]) -> None:
    configuration_missing = row["code"] in {3004, 3005, 3006}
    assert (OUTCOMES[row["code"]] is Outcome.REJECTED) == configuration_missing


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1002, Outcome.UNKNOWN),
        (1005, Outcome.UNKNOWN),
        (1009, Outcome.UNKNOWN),
        (1006, Outcome.RATE_LIMIT),
        (2090, Outcome.REJECTED),
        (2012, Outcome.UNKNOWN),
        (2066, Outcome.REJECTED),
        (2080, Outcome.REJECTED),
        (7201, Outcome.REJECTED),
        (7304, Outcome.REJECTED),
        (1000, Outcome.REJECTED),
        *[(code, Outcome.FATAL) for code in (1400, 2000, 2003, 2004, 1008)],
        (424242, Outcome.UNKNOWN),
        (0, Outcome.UNKNOWN),
    ],
)
def test_the_codes_that_decide_money_are_classified_as_written(code: int, expected: Outcome) -> None:
    assert outcome(code) is expected
    assert outcome(code, http_status=429) is expected  # the code wins over the status


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *[(code, True) for code in (1006, 1000, 1400, 2000, 2001, 2004, 2064, 2066, 2067, 7201)],
        *[(code, False) for code in (2080, 2082, 2084, 2090, 2112, 2116, 2243, 2400, 2401, 2402, 7304, 424242)],
    ],
)
def test_only_what_cannot_be_for_another_order_is_said_to_stand_alone(code: int, expected: bool) -> None:
    assert stands_alone(code, outcome(code)) is expected


def test_a_bare_429_stands_alone() -> None:
    assert stands_alone(None, outcome(None, http_status=429))


@pytest.mark.parametrize(
    ("status", "expected"),
    [(429, Outcome.RATE_LIMIT), (401, Outcome.REJECTED)]
    + [(status, Outcome.UNKNOWN) for status in (None, 200, 302, 400, 403, 404, 408, 500, 502, 503, 504)],
)
def test_an_answer_without_a_code_is_ambiguous_unless_turned_away_at_the_door(
    status: int | None, expected: Outcome
) -> None:
    assert outcome(None, http_status=status) is expected


def test_every_reason_of_the_page_has_its_meaning_and_no_other() -> None:
    assert set(ENDINGS) == set(PAGE_TABLES["reasons"])
    assert len(ENDINGS) == 51


@pytest.mark.parametrize("reason", ["", "BRAND_NEW_REASON", "client_cancel"])
def test_a_reason_nobody_knows_calls_for_a_query(reason: str) -> None:
    assert ending(reason) is Ending.AMBIGUOUS


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED", Ending.ASKED),
        ("EXPIRED", Ending.EXPIRED),
        ("FAIL_POST_ONLY", Ending.REFUSED),
        ("REDUCE_ONLY_LIMIT", Ending.UNFILLED),
        ("SYSTEM_FAILOVER", Ending.FAILOVER),
        ("OVERLAPPING_CLIENT_ORDER_ID", Ending.AMBIGUOUS),
        ("NO_TRADE_PERMISSION", Ending.FATAL),
    ],
)
def test_the_reasons_that_need_care_are_classified_as_written(reason: str, expected: Ending) -> None:
    assert ending(reason) is expected


def test_request_wide_codes_are_certain() -> None:
    assert {OUTCOMES[code] for code in REQUEST_WIDE} == {Outcome.REJECTED, Outcome.RATE_LIMIT, Outcome.FATAL}
