"""The small parts: amounts, generator, timers, histories."""

from __future__ import annotations

from decimal import Decimal

import pytest

from perpmaker.exchange.core.amounts import decimal_text, div_half_even, div_up, percent_text, to_nano, whole_steps
from perpmaker.exchange.core.history import History
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.timers import Timers

# amounts


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0.0"), (88_107_300_000_000, "88107.3"), (-90_000, "-0.00009"), (1, "0.000000001"), (10**9, "1.0")],
)
def test_decimals_are_printed_as_the_venue_prints_them(nano: int, text: str) -> None:
    assert decimal_text(nano) == text
    assert to_nano(text) == nano


def test_rates_are_printed_in_percent() -> None:
    assert [percent_text(rate) for rate in (450, -1, 0)] == ["0.045", "-0.0001", "0.0"]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("0.001000000", 1),
        ("1E+1", 10_000),
        ("0.0015", None),
        ("1E-400", None),
        ("NaN", None),
        ("-Infinity", None),
        ("1E+999999", None),
        ("0." + "0" * 150 + "1", None),
        ("-0.002", -2),
    ],
)
def test_only_whole_steps_are_counted(text: str, steps: int | None) -> None:
    assert whole_steps(Decimal(text), 10**6) == steps


def test_amount_finer_than_nine_places_is_an_error() -> None:
    with pytest.raises(ValueError, match="nine"):
        to_nano("0.0000000001")


@pytest.mark.parametrize(
    ("numerator", "half_even", "up"), [(5, 2, 3), (7, 4, 4), (-5, -2, -2), (-7, -4, -3), (8, 4, 4), (6, 3, 3)]
)
def test_divisions_round_to_even_and_up(numerator: int, half_even: int, up: int) -> None:
    assert (div_half_even(numerator, 2), div_up(numerator, 2)) == (half_even, up)


# generator


def test_generator_gives_the_published_sequence() -> None:
    """xoshiro256** from state 1, 2, 3, 4: the first outputs that the reference implementation gives."""
    rng = Rng.from_words((1, 2, 3, 4))
    assert [rng.u64() for _ in range(5)] == [11520, 0, 1509978240, 1215971899390074240, 1216172134540287360]


def test_seeds_and_split_streams_are_reproducible_and_differ() -> None:
    def draws(rng: Rng) -> list[int]:
        return [rng.u64() for _ in range(4)]

    assert draws(Rng(1)) == draws(Rng(1)) != draws(Rng(2))
    assert draws(Rng(1).split("a")) == draws(Rng(1).split("a")) != draws(Rng(1).split("b"))
    half = Rng(1)
    half.u64()
    assert draws(Rng.from_words(half.words)) == draws(half)


def test_variates_have_the_moments_they_promise() -> None:
    rng, n = Rng(7), 20_000
    units = [rng.unit() for _ in range(n)]
    normals = [rng.normal() for _ in range(n)]
    waits = [rng.exponential(3.0) for _ in range(n)]
    dice = [rng.between(1, 6) for _ in range(n)]
    picks = [rng.pick([1.0, 1.0, 4.0]) for _ in range(n)]
    assert 0.0 <= min(units) < max(units) < 1.0
    assert sum(units) / n == pytest.approx(0.5, abs=0.01)
    assert sum(normals) / n == pytest.approx(0.0, abs=0.03)
    assert sum(x * x for x in normals) / n == pytest.approx(1.0, abs=0.04)
    assert sum(waits) / n == pytest.approx(3.0, abs=0.1)
    assert {face: dice.count(face) / n for face in range(1, 7)} == pytest.approx(
        dict.fromkeys(range(1, 7), 1 / 6), abs=0.01
    )
    assert [picks.count(place) / n for place in range(3)] == pytest.approx([0.25, 0.0, 0.75], abs=0.01)
    assert sum(rng.chance(0.2) for _ in range(n)) / n == pytest.approx(0.2, abs=0.01)


# timers


def test_timers_come_in_order_of_time_then_of_setting() -> None:
    timers, done = Timers(), []
    for name, due in (("b", 5), ("c", 5), ("a", 3), ("d", 9)):
        timers.at(due, lambda name=name: done.append(name))  # type: ignore[misc]
    while (due := timers.pop_due(5)) is not None:
        due[1]()
    assert (done, timers.next_ns(), len(timers)) == (["a", "b", "c"], 9, 1)


def test_cancelled_timers_never_fire_and_do_not_pile_up() -> None:
    timers = Timers()
    kept = timers.at(10**9, lambda: None)
    for _ in range(20):
        for timer in [timers.at(n, lambda: None) for n in range(1_000)]:
            timers.cancel(timer)
            timers.cancel(timer)
    assert (len(timers), timers.next_ns()) == (1, 10**9)
    assert len(timers._heap) < 3_000
    assert timers.pop_due(10**9 - 1) is None
    timers.cancel(kept)
    timers.cancel(None)
    assert (timers.next_ns(), timers.pop_due(10**9), len(timers)) == (None, None, 0)


# histories


def test_history_drops_the_oldest_and_keeps_its_numbering() -> None:
    history: History[int] = History(100, lambda row: row)
    dropped = [old for row in range(1_000) for old in history.append(row)]
    assert 100 <= len(history) <= 110
    assert history.total == 1_000
    assert dropped + list(history) == list(range(1_000))
    page = history.page(limit=10)
    for row in range(1_000, 1_005):
        history.append(row)
    assert history.page(limit=2, before=page.next_before).rows == (989, 988)


def test_history_page_ends_exactly_when_nothing_more_fits() -> None:
    history: History[int] = History(100, lambda row: row)
    for row in range(10):
        history.append(row)
    assert history.page(limit=10).next_before is None
    page = history.page(limit=5)
    assert page.next_before is not None
    assert history.page(limit=5, before=page.next_before).next_before is None
    even = history.page(start_ns=2, end_ns=7, limit=10, wanted=lambda row: row % 2 == 0)
    assert (even.rows, even.next_before) == ((6, 4, 2), None)
    assert history.page(before=-5).rows == ()
