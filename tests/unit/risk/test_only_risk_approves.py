"""Nothing outside `perpmaker.risk` makes an Approved."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[3] / "src" / "perpmaker"


def makings(source: str) -> list[int]:
    """Return the lines that make, or could make, an Approved: any use of the name or an alias but in types and patterns.

    Allowed are imports under its own name, annotations, isinstance and `case Approved()`.
    """
    tree = ast.parse(source)
    allowed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            allowed |= {id(n) for n in ast.walk(node.annotation)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            allowed |= {id(n) for n in ast.walk(node.returns)}
        elif isinstance(node, ast.MatchClass):
            allowed |= {id(n) for n in ast.walk(node.cls)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            allowed |= {id(n) for n in ast.walk(node.args[1])}
        elif isinstance(node, ast.Subscript):  # list[Approved], dict[str, Approved]
            allowed |= {id(n) for n in ast.walk(node.slice)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            found += [node.lineno for alias in node.names if alias.name == "Approved" and alias.asname]
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name == "Approved" and id(node) not in allowed:
            found.append(node.lineno)  # type: ignore[attr-defined]
    return found


def test_no_module_outside_risk_makes_an_approved() -> None:
    modules = [path for path in SRC.rglob("*.py") if path.relative_to(SRC).parts[0] != "risk"]
    assert len(modules) > 20
    found = {str(path.relative_to(SRC)): lines for path in modules if (lines := makings(path.read_text()))}
    assert found == {}


def test_risk_itself_makes_them_in_one_place() -> None:
    found = {path.name: makings(path.read_text()) for path in (SRC / "risk").glob("*.py")}
    assert {name: len(lines) for name, lines in found.items() if lines} == {"gate.py": 1}


@pytest.mark.parametrize(
    "line",
    [
        "x = Approved(order, 1)",
        "x = order.Approved(order, 1)",
        "from perpmaker.model.order import Approved as A",
        "make = Approved",
        "x = msgspec.convert(data, Approved)",
        "x = msgspec.json.decode(data, type=Approved)",
    ],
)
def test_the_search_finds_every_way_to_make_one(line: str) -> None:
    assert makings(line) == [1]


@pytest.mark.parametrize(
    "line",
    [
        "def submit(orders: Sequence[Approved]) -> Approved | None: ...",
        "isinstance(x, Approved)",
        "match x:\n    case Approved(): pass",
        "from perpmaker.model.order import Approved",
    ],
)
def test_the_search_lets_types_be(line: str) -> None:
    assert makings(line) == []
