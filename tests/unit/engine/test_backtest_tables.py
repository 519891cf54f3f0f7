"""Tables of integers: rows one after the other, in whatever pieces they lie."""

from __future__ import annotations

import hashlib
from array import array

import pytest

from perpmaker.engine import backtest_tables
from perpmaker.engine.backtest_tables import Table, digest


@pytest.fixture(params=[0, 1, 7, 8, 9, 16, 21])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Around the ends of blocks of eight."""
    monkeypatch.setattr(backtest_tables, "_BLOCK_LOG2", 3)
    monkeypatch.setattr(backtest_tables, "_BLOCK", 8)
    count: int = request.param
    return count


def _table(rows: int) -> Table:
    table = Table(("a", "b"))
    assert [table.add(row, -(row**2)) for row in range(rows)] == list(range(rows))
    return table


def test_a_column_reads_as_one_row_of_numbers(rows: int) -> None:
    table, wanted = _table(rows), [-(row**2) for row in range(rows)]
    assert len(table) == len(table["b"]) == rows
    assert list(table["b"]) == wanted
    assert [table["b"][row] for row in range(rows)] == wanted
    assert table["b"].whole() == array("q", wanted)


def test_every_number_can_be_changed_where_it_stands(rows: int) -> None:
    table = _table(rows)
    for row in range(rows):
        table["a"][row] = 1000 + row
    assert list(table["a"]) == [1000 + row for row in range(rows)]
    assert list(table["b"]) == [-(row**2) for row in range(rows)]


def test_a_digest_is_of_the_numbers_and_not_of_their_pieces(rows: int) -> None:
    state = hashlib.blake2b(digest_size=16)
    for name in ("a", "b"):
        values = list(_table(rows)[name])
        state.update(f"one.{name} {rows}\n".encode())
        state.update(b"".join(value.to_bytes(8, "little", signed=True) for value in values))
    state.update(b"x\ny")
    assert digest({"one": _table(rows)}, ["x", "y"]) == state.hexdigest()


def test_what_was_written_stays_where_it_is() -> None:
    table = Table(("a",))
    for row in range(3 * backtest_tables._BLOCK):
        table.add(row)
    first = table["a"].blocks[0]
    table.add(1)
    assert table["a"].blocks[0] is first
    assert [len(block) for block in table["a"].blocks] == [backtest_tables._BLOCK] * 3 + [1]
