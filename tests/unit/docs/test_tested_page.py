"""The page about what is tested names tests that exist, and every id of the catalogue it speaks of once."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from tests.unit.docs.pages import ROOT

PAGE = (ROOT / "docs" / "explanation" / "what-is-tested.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
ROWS = re.findall(r"^\| ([A-Z]\d+) \| (.+?) \| (.*?) \| ?(.*?) ?\|$", PAGE, flags=re.MULTILINE)
CATALOGUE = {"I": 20, "N": 17, "E": 27, "D": 10, "P": 13, "S": 10, "T": 5, "H": 10, "X": 12, "M": 6, "G": 9}
"""How many invariants, and faults of each kind, the reliability catalogue has."""


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)), ids=lambda part: part)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    source = (ROOT / "tests" / path).read_text(encoding="utf-8")
    assert re.search(rf"^(?:async )?def {name}\(", source, flags=re.MULTILINE), f"tests/{path} has no {name}"


def test_every_invariant_and_fault_of_the_catalogue_has_one_row() -> None:
    wanted = [f"{letter}{number}" for letter, count in CATALOGUE.items() for number in range(1, count + 1)]
    assert Counter(row[0] for row in ROWS) == Counter(wanted)


def test_a_row_names_a_test_or_says_that_something_is_missing() -> None:
    assert [row[0] for row in ROWS if "::" not in row[2] and not row[3]] == []
