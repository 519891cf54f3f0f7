"""Exact numbers in, DataError for everything else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from perpmaker.errors import DataError
from perpmaker.venues.grvt import numbers
from perpmaker.venues.grvt.numbers import Steps

NOT_NUMBERS = [
    "",
    " ",
    "NaN",
    "nan",
    "sNaN",
    "Infinity",
    "-Infinity",
    "inf",
    "1e400",
    "1E400",
    "1e-400",
    "1e99",
    "null",
    "None",
    "0x10",
    "1_000",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "1.",
    ".5",
    "1.2.3",
    "1,5",
    "--1",
    "١٢٣",
    "１",
    "9" * 60,
    "0." + "1" * 60,
]


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_what_is_not_a_number_is_refused_everywhere(text: str) -> None:
    for read in (numbers.decimal, numbers.not_negative, numbers.positive, numbers.nanoseconds, numbers.unsigned):
        with pytest.raises(DataError):
            read(text, "x")
    with pytest.raises(DataError):
        Steps(Decimal("0.1"), "x")[text]
    with pytest.raises(DataError):
        numbers.sequence(text, "x")


@pytest.mark.parametrize(
    "text", ["65038.1", "-0.00009", "0", "0.0", "0E-9", "88107.3", "1e3", "123456789012345678.123456789"]
)
def test_a_number_is_kept_exactly_as_printed(text: str) -> None:
    assert numbers.decimal(text, "x") == Decimal(text)


@pytest.mark.parametrize(
    ("step", "text", "steps"),
    [
        ("0.1", "88107.3", 881073),
        ("0.1", "88107.30", 881073),
        ("0.1", "88107", 881070),
        ("0.001", "1.013", 1013),
        ("0.5", "3105.5", 6211),
        ("5", "60005", 12001),
        ("0.00025", "0.00125", 5),
        ("0.1", "0.0", 0),
        ("0.1", "0", 0),
        ("0.1", "0E-9", 0),
        ("0.1", "1e1", 100),
    ],
)
def test_steps_are_exact(step: str, text: str, steps: int) -> None:
    reader = Steps(Decimal(step), "x")
    assert reader[text] == steps
    assert reader[text] == steps  # and the same from memory


@pytest.mark.parametrize(("step", "text"), [("0.1", "0.05"), ("0.5", "3105.25"), ("0.001", "1.0005"), ("0.1", "1e-9")])
def test_what_is_between_two_steps_is_refused(step: str, text: str) -> None:
    with pytest.raises(DataError, match="multiple"):
        Steps(Decimal(step), "x")[text]


@pytest.mark.parametrize("text", ["-1", "-0.1", "-1e1"])
def test_steps_are_never_negative(text: str) -> None:
    with pytest.raises(DataError):
        Steps(Decimal("0.1"), "x")[text]


@pytest.mark.parametrize("step", ["0", "-1", "NaN", "Infinity"])
def test_a_step_is_finite_and_positive(step: str) -> None:
    with pytest.raises(DataError):
        Steps(Decimal(step), "x")


def test_the_memory_of_steps_is_bounded() -> None:
    reader = Steps(Decimal("0.1"), "x")
    for tick in range(20_000):
        assert reader[f"{tick}.5"] == tick * 10 + 5
    assert len(reader) <= 1024


def test_signs_are_enforced() -> None:
    assert numbers.not_negative("0.0", "x") == 0
    assert numbers.positive("0.1", "x") == Decimal("0.1")
    with pytest.raises(DataError):
        numbers.not_negative("-0.1", "x")
    for text in ("0", "0.0", "-1"):
        with pytest.raises(DataError):
            numbers.positive(text, "x")


def test_sequence_numbers_are_texts_or_integers() -> None:
    assert numbers.sequence("1061214", "x") == numbers.sequence(1061214, "x") == 1061214
    with pytest.raises(DataError):
        numbers.sequence(-1, "x")


def test_ids_and_times_keep_their_ranges() -> None:
    assert numbers.unsigned(str((1 << 64) - 1), "x") == (1 << 64) - 1
    assert numbers.nanoseconds("1767199535382794823", "x") == 1767199535382794823
    with pytest.raises(DataError):
        numbers.unsigned(str(1 << 64), "x")
    with pytest.raises(DataError):
        numbers.nanoseconds(str(1 << 63), "x")
