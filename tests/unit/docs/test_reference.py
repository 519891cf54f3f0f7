"""The generated pages are what the code says now, and say something about everything."""

from __future__ import annotations

import re

import click
import pytest
from tests.unit.docs.pages import ROOT
from tools import make_reference

from perpmaker.risk.codes import Code
from perpmaker.strategies.registry import STRATEGIES, params_schema


@pytest.mark.parametrize("name", list(make_reference.pages()))
def test_a_committed_page_is_what_the_code_makes_now(name: str) -> None:
    committed = (make_reference.FOLDER / name).read_text(encoding="utf-8")
    assert committed == make_reference.pages()[name], "run: .venv/bin/python tools/make_reference.py"


@pytest.mark.parametrize("words", [words for words, _ in make_reference.leaf_commands()])
def test_every_command_and_option_explains_itself(words: str) -> None:
    command = dict(make_reference.leaf_commands())[words]
    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, f"perpmaker {words} {parameter.opts}"


def test_every_key_of_a_configuration_is_listed_with_its_meaning() -> None:
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| (.*) \| (.*) \| (.*) \|$", make_reference.pages()["configuration.md"], re.MULTILINE
    )
    assert len(rows) > 60
    assert [row[0] for row in rows if not all(cell.strip() for cell in row)] == []


@pytest.mark.parametrize("kind", list(STRATEGIES))
def test_every_parameter_of_a_strategy_is_listed(kind: str) -> None:
    page = make_reference.pages()["configuration.md"].partition(f'## kind = "{kind}"')[2].partition("\n## ")[0]
    assert page
    for row in params_schema(kind):
        assert row.name == "instrument" or f"| `{row.name}` |" in page


def test_every_refusal_of_the_gate_is_listed_once() -> None:
    codes = re.findall(r"^\| `([A-Z_]+)` \|", make_reference.pages()["refusals.md"], re.MULTILINE)
    assert len(codes) == len(set(codes))
    assert set(codes) == {code.value for code in Code} | set(make_reference.BEFORE_THE_GATE)


def test_every_refusal_the_engine_gives_before_the_gate_is_listed() -> None:
    given = set()
    for path in (ROOT / "src" / "perpmaker" / "engine").rglob("*.py"):
        given |= set(re.findall(r'(?:refuse|Refused)\(\s*order,\s*"(\w+)"', path.read_text(encoding="utf-8")))
    assert given == set(make_reference.BEFORE_THE_GATE)


def test_the_words_for_what_a_key_allows() -> None:
    assert make_reference.allowed({"type": "integer", "minimum": 1, "maximum": 9}) == "whole number >= 1 and <= 9"
    assert make_reference.allowed({"anyOf": [{"type": "number"}, {"type": "string"}], "gt": 0}) == "number > 0"
    assert make_reference.allowed({"enum": ["a", "b"], "type": "string"}) == '`"a"` or `"b"`'
    assert (
        make_reference.allowed({"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}) == "whole number >= 2"
    )
