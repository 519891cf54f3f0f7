"""What the pages say about exceptions and exit codes is what the code does."""

from __future__ import annotations

import importlib
import pkgutil
import re

import click
from tests.unit.docs.pages import ROOT
from tools.make_reference import exit_codes

import perpmaker.cli
from perpmaker import errors
from perpmaker.cli.engine_link import NothingRuns, Refused
from perpmaker.errors import PerpmakerError

PAGE = (ROOT / "docs" / "explanation" / "errors.md").read_text(encoding="utf-8")


def table() -> dict[str, int]:
    """The page's exit code of each exception it names."""
    rows = re.findall(r"^\| (`.+?) \| .+ \| (\d+) \|$", PAGE, re.MULTILINE)
    return {name: int(code) for names, code in rows for name in re.findall(r"`(\w+)`", names)}


def other_codes() -> dict[int, str]:
    """Number and meaning of the exit codes that the page's closing sentence lists."""
    sentence = " ".join(PAGE.partition("The other exit codes:")[2].partition("\n\n")[0].split())
    parts = re.split(r", (?=\d)", sentence.rstrip("."))
    return {int(number): meaning for number, _, meaning in (part.strip().partition(" ") for part in parts)}


def tree(root: type[PerpmakerError]) -> set[type[PerpmakerError]]:
    return {root}.union(*(tree(below) for below in root.__subclasses__()))


def test_every_exit_code_in_the_table_is_the_exceptions_own() -> None:
    assert {name: getattr(errors, name).exit_code for name in table()} == table()


def test_every_exception_of_the_tree_is_in_the_table() -> None:
    defined = {cls.__name__ for cls in tree(PerpmakerError) if cls.__module__ == errors.__name__}
    assert defined - set(table()) == {"PerpmakerError", "VenueError"}, "the two are roots: nobody raises them as such"


def test_the_page_and_the_help_name_the_same_exit_codes() -> None:
    assert {*table().values(), *other_codes()} == {int(number) for number, _ in exit_codes()}


def test_the_other_exit_codes_are_what_the_command_line_ends_with() -> None:
    others = other_codes()
    assert others[PerpmakerError.exit_code] == "failed"
    assert others[click.UsageError.exit_code].startswith("wrong usage")
    assert others[Refused.exit_code].startswith("refused")
    assert others[NothingRuns.exit_code] == "nothing is running"
    assert others[0] == "done"
    assert others[130] == "interrupted"


def test_no_exception_of_the_command_line_has_a_code_of_its_own() -> None:
    for module in pkgutil.iter_modules(perpmaker.cli.__path__):
        importlib.import_module(f"perpmaker.cli.{module.name}")
    known = {int(number) for number, _ in exit_codes()}
    assert {cls.exit_code for cls in tree(PerpmakerError)} <= known
