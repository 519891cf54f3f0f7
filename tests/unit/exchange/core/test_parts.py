"""The small parts: amounts, generator, timers, histories, documents in pieces."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perpmaker.exchange.core.amounts import decimal_text, div_half_even, div_up, percent_text, to_nano, whole_steps
from perpmaker.exchange.core.history import BLOCK, History, PackedHistory
from perpmaker.exchange.core.pieces import array_pieces, joined, object_pieces, rows_pieces, struct_pieces
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


class Row(msgspec.Struct, frozen=True):
    number: int
    name: str
    at_ns: int


def long_rows(count: int) -> list[Row]:
    return [Row(number, f"row {number % 3}", 10 * (number // 2)) for number in range(count)]


def packed(rows: list[Row], keep: int = 100_000) -> PackedHistory[Row]:
    history = PackedHistory(Row, keep, lambda row: row.at_ns)
    for row in rows:
        history.append(row)
    return history


@pytest.mark.parametrize("count", [0, 1, BLOCK, 2 * BLOCK - 1, 2 * BLOCK, 5 * BLOCK + 7])
def test_packed_history_reads_like_a_plain_one(count: int) -> None:
    rows = long_rows(count)
    plain: History[Row] = History(100_000, lambda row: row.at_ns)
    plain.load(rows)
    loaded = PackedHistory(Row, 100_000, lambda row: row.at_ns)
    loaded.load(rows)
    for history in (packed(rows), loaded):
        assert (list(history), len(history), history.total) == (rows, count, count)
        assert [row for block in history.blocks() for row in block] == rows
        for limit in (1, 3, BLOCK, 500):
            assert history.latest(limit) == plain.latest(limit)
        for before in (None, -3, 0, 1, BLOCK - 1, BLOCK, BLOCK + 1, count - 1, count, count + 5):
            for start_ns, end_ns in ((0, None), (0, 1_000), (1_275, 1_285), (5 * count, None), (20, 20)):
                for limit in (1, 40, 1_000):
                    ask: dict[str, Any] = {"start_ns": start_ns, "end_ns": end_ns, "before": before, "limit": limit}
                    assert history.page(**ask) == plain.page(**ask), ask


def test_packed_history_drops_the_oldest_and_keeps_its_numbering() -> None:
    rows = long_rows(3_000)
    history = PackedHistory(Row, 1_000, lambda row: row.at_ns)
    dropped = [old for row in rows for old in history.append(row)]
    assert 1_000 <= len(history) < 1_000 + 2 * BLOCK
    assert history.total == 3_000
    assert dropped + list(history) == rows
    page = history.page(limit=700)
    for row in rows[:BLOCK]:
        history.append(row)
    assert history.page(limit=2, before=page.next_before).rows == (rows[2_299], rows[2_298])
    assert history.page(before=10).rows == ()
    again = PackedHistory(Row, 1_000, lambda row: row.at_ns)
    again.load(list(history), dropped=history.total - len(history))
    assert (list(again), again.total) == (list(history), history.total)


def test_blocks_of_a_history_are_those_of_the_moment_they_were_asked_for() -> None:
    rows = long_rows(3 * BLOCK)
    plain: History[Row] = History(100_000, lambda row: row.at_ns)
    plain.load(rows)
    for history in (plain, packed(rows)):
        blocks = history.blocks()
        for row in long_rows(2 * BLOCK):
            history.append(row)
        assert [row for block in blocks for row in block] == rows


# large documents


def test_pieces_make_the_document_that_is_written_at_once() -> None:
    rows = long_rows(10)
    whole = {"name": "x", "rows": rows, "none": [], "inner": {}, "lists": [[1], []]}
    pieces = object_pieces(
        [
            ("name", [b'"x"']),
            ("rows", rows_pieces([rows[:3], [], rows[3:]])),
            ("none", rows_pieces([[]])),
            ("inner", object_pieces([])),
            ("lists", array_pieces([[b"[", b"1]"], [b"[]"]])),
        ]
    )
    assert b"".join(pieces) == msgspec.json.encode(whole)
    assert b"".join(struct_pieces(rows[0], {"name": [b'"row', b' 0"']})) == msgspec.json.encode(rows[0])


def test_small_pieces_are_joined_up_to_a_size() -> None:
    pieces = [b"ab", b"c", b"", b"defgh", b"i"]
    assert list(joined(pieces, 3)) == [b"abc", b"defgh", b"i"]
    assert list(joined([], 3)) == []
