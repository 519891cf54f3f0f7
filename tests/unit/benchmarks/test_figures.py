"""Tables, ratios, goals and JSON of a benchmark's figures, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.figures import Case, Goal, Report, absent, goals_table, number, surroundings, write_json

OURS = Case("ours", [[2.0, 4.0], [6.0, 8.0]], more={"fills": 1234})
SLOW = Case("slow", [[20.0], [30.0]], missed=1)
FLOOR = Case("floor", [[1.0], [1.0]])
GONE = absent("peer", "no network")


def report(*cases: Case) -> Report:
    return Report("name", "Title", cases or (OURS, SLOW, GONE, FLOOR), "floor", {"rows": 7})


def test_medians_spread_and_tail_are_over_all_turns() -> None:
    assert (OURS.median, OURS.spread, OURS.p99) == (5.0, (3.0, 7.0), 8.0)


def test_ratios_are_of_medians_and_in_brackets_of_the_best_turns() -> None:
    ours, slow, *_ = report().rows()
    assert ours[1:3] == ("1.00 (1.00)", "5.00 (3.00)")
    assert slow[1:3] == ("5.00 (6.67)", "25.0 (20.0)")
    assert slow[3:7] == ("25.0", "20.0 .. 30.0", "30.0", "2 (1 missed)")


def test_a_row_that_is_absent_has_no_figures_anywhere() -> None:
    row = report().rows()[2]
    assert row == ("peer", "absent", "", "", "", "", "", "")
    (case,) = (case for case in report().as_json()["cases"] if case["case"] == "peer")
    assert case == {"case": "peer", "absent": "no network"}
    assert report().ratio("peer", "ours") is None


def test_what_cases_tell_besides_are_columns_and_empty_where_a_case_has_none() -> None:
    lines = report().table().splitlines()
    assert lines[0].endswith("| samples | fills |")
    assert lines[2].endswith("| 1,234 |")
    assert lines[3].endswith("|  |")
    assert {line.count("|") for line in lines} == {9}


@pytest.mark.parametrize(
    ("goal", "is_met", "verdict"),
    [
        (Goal("at most", 1.5, 1.5), True, "met"),
        (Goal("at most", 3.0, 1.5), False, "missed by 2.00x"),
        (Goal("at least", 15.0, 15, at_most=False), True, "met"),
        (Goal("at least", 5.0, 15, at_most=False), False, "missed by 3.00x"),
        (Goal("nobody to compare with", None, 15), None, "absent"),
    ],
)
def test_a_goal_is_met_or_its_distance_is_told(goal: Goal, is_met: bool | None, verdict: str) -> None:
    assert goal.is_met is is_met
    assert goal.verdict == verdict


def test_a_goal_against_an_absent_peer_is_neither_met_nor_missed() -> None:
    found = report().goal("faster than the peer", "peer", "ours", 2)
    assert found.row() == ("faster than the peer", ">= 2.00 x", "absent", "absent")
    assert report().goal("faster than the slow", "slow", "ours", 2).row()[2:] == ("5.00 x", "met")
    line = goals_table([report()._replace(goals=[found])]).splitlines()[-1]
    assert line == "| name | faster than the peer | >= 2.00 x | absent | absent |"


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.0123"), (0.00001, "0.000010")],
)
def test_numbers_have_the_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_what_is_kept_can_be_read_and_has_everything_a_table_has(tmp_path: Path) -> None:
    whole = report()._replace(goals=[Goal("a goal", 3.0, 1.5)])
    write_json(tmp_path / "deep" / "figures.json", surroundings(), [whole])
    kept = json.loads((tmp_path / "deep" / "figures.json").read_text())
    (benchmark,) = kept["benchmarks"]
    assert kept["cores"] >= 1
    assert benchmark["more"] == {"rows": 7}
    assert benchmark["goals"][0]["is_met"] is False
    ours, slow, *_ = benchmark["cases"]
    assert ours["turn_medians"] == [3.0, 7.0]
    assert (slow["ratio_to_ours"], slow["ratio_to_floor"], slow["missed"]) == (5.0, 25.0, 1)


def test_ratios_to_an_absent_first_case_are_left_out() -> None:
    table = report(GONE, SLOW, FLOOR)
    assert table.rows()[1][1] == ""
    assert "ratio_to_ours" not in table.as_json()["cases"][1]
