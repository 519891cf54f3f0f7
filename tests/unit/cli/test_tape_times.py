"""What `--from` and `--to` take: times, and distances from a tape's beginning and end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from tests.unit.tape.market import BTC, START_NS, listed, snapshot

from perpmaker.cli.tape_times import Moment, TapeTime, span
from perpmaker.errors import ConfigError
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.tape.reader import Tape, open_tape
from perpmaker.tape.writer import TapeWriter

HOUR_NS = 3_600 * NS_PER_S
END_NS = START_NS + HOUR_NS


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    """An hour: a book at its beginning, one at its end."""
    with TapeWriter(tmp_path / "hour.tape", [listed(BTC)]) as writer:
        writer.add(snapshot(START_NS))
        writer.add(snapshot(END_NS))
    return open_tape(tmp_path / "hour.tape")


def at(text: str) -> Moment:
    return TapeTime().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("+0", START_NS),
        ("+90s", START_NS + 90 * NS_PER_S),
        ("+90", START_NS + 90 * NS_PER_S),
        ("+5m", START_NS + 300 * NS_PER_S),
        ("+250ms", START_NS + 250 * NS_PER_MS),
        ("+0.5h", START_NS + HOUR_NS // 2),
        ("-1h", START_NS),
        ("-0.1s", END_NS - 100 * NS_PER_MS),
        ("-1d", END_NS - 24 * HOUR_NS),
        ("1700000000000000007", START_NS + 7),
        ("2023-11-14T22:13:20", START_NS),
        ("2023-11-14T23:13:20+01:00", START_NS),
        ("2023-11-14", int(datetime(2023, 11, 14, tzinfo=UTC).timestamp()) * NS_PER_S),
    ],
)
def test_a_time_is_an_instant_or_a_distance_from_the_tapes_ends(tape: Tape, text: str, ns: int) -> None:
    assert at(text).on(tape) == ns


@pytest.mark.parametrize("text", ["", "soon", "+", "-h", "+5w", "+-5s", "5m", "+1e3s", "+nan", "+inf", "12", "--1h"])
def test_what_is_no_time_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is no time; allowed: 2026-01-31T12:00:00 .* \+90s or \+5m .* -1h"):
        at(text)


def test_a_span_is_what_the_tape_holds_of_what_was_asked_for(tape: Tape) -> None:
    assert span(tape, None, None) == (START_NS, END_NS + 1)
    assert span(tape, at("+5m"), at("-5m")) == (START_NS + 300 * NS_PER_S, END_NS - 300 * NS_PER_S)
    assert span(tape, at("-2h"), at("+2h")) == (START_NS, END_NS + 1)


@pytest.mark.parametrize(
    ("begin", "end", "said"),
    [
        (
            "+61m",
            None,
            r"--from \+61m: is after the tape's end; hour.tape holds 2023-11-14T22:13:20 to 2023-11-14T23:13:20",
        ),
        (None, "-60m", r"--to -60m: is before anything on the tape; hour.tape holds"),
        ("2030-01-01", None, r"--from 2030-01-01: is after the tape's end"),
        ("-5m", "+5m", r"--from -5m: has to be before --to \+5m; hour.tape holds"),
        ("+5m", "+5m", r"--from \+5m: has to be before --to \+5m"),
    ],
)
def test_a_span_that_holds_nothing_is_refused_by_option_and_value(
    tape: Tape, begin: str | None, end: str | None, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        span(tape, None if begin is None else at(begin), None if end is None else at(end))
