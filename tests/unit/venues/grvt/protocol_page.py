"""The tables of the venue's protocol page as data, so that the client's tables are tested against the page's rows.

`python -m tests.unit.venues.grvt.protocol_page PAGE` writes tests/data/grvt/protocol_tables.json anew.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[3] / "data" / "grvt"
TABLES = DATA / "protocol_tables.json"
PAGE = Path(__file__).parents[4].parent / "shared" / "grvt" / "PROTOCOL.md"

_FIELD = re.compile(r"`(\w+)`/`(\w+)`")


def tables() -> dict[str, Any]:
    """Return the extract kept beside the samples."""
    loaded: dict[str, Any] = json.loads(TABLES.read_text(encoding="utf-8"))
    return loaded


def extract(page: str) -> dict[str, Any]:
    """Read every table that the client has a counterpart of."""
    return {
        "source": "protocol page §5, §6 (routes), §7 (objects), §8 (error codes), §9 (enums, reasons), §10.3 (streams)",
        "routes": _routes(page),
        "objects": _objects(page),
        "codes": _codes(page),
        "codes_outside": [3001, 7201, *range(7500, 7505), *range(7000, 7008)],
        "reasons": _reasons(page),
        "enums": _enums(page),
        "streams": _streams(page),
    }


def _section(page: str, start: str, end: str) -> str:
    return page[page.index(start) : page.index(end)]


def _rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|--") and not set(line) <= set("|-: ")
    ]


def _routes(page: str) -> list[dict[str, Any]]:
    found = []
    for gateway, start, end in (
        ("market_data", "## 5. Market-data RPCs", "## 6. Trading RPCs"),
        ("trades", "## 6. Trading RPCs", "## 7. Objects"),
    ):
        for cells in _rows(_section(page, start, end)):
            path = cells[0].strip("`")
            if path.startswith("/v"):
                found.append(
                    {
                        "gateway": gateway,
                        "path": path,
                        "request": dict(_FIELD.findall(cells[1])),
                        "reply": dict(_FIELD.findall(cells[2])),
                    }
                )
    return found


def _objects(page: str) -> dict[str, dict[str, str]]:
    section = _section(page, "## 7. Objects", "### Small objects")
    found: dict[str, dict[str, str]] = {}
    for part in section.split("\n### ")[1:]:
        title = part.splitlines()[0].split("(")[0].strip()
        fields = [cells[:2] for cells in _rows(part) if cells[0].startswith("`")]
        found[title] = {full.strip("`"): lite.strip("`") for full, lite in fields}
    small = _section(page, "### Small objects", "## 8. Error codes")
    for name, rest in re.findall(r"- \*\*(\w+)\*\*: (.*)", small):
        found[name] = dict(_FIELD.findall(rest))
    return found


def _codes(page: str) -> list[dict[str, Any]]:
    return [
        {"code": int(cells[0]), "http": int(cells[1]), "text": cells[2]}
        for cells in _rows(_section(page, "## 8. Error codes", "## 9. Enums"))
        if cells[0].isdigit()
    ]


def _reasons(page: str) -> dict[str, int]:
    section = _section(page, "- **OrderRejectReason**", "## 10. WebSocket")
    return {cells[1]: int(cells[0]) for cells in _rows(section) if cells[0].isdigit()}


def _enums(page: str) -> dict[str, dict[str, int]]:
    section = _section(page, "## 9. Enums", "- **OrderRejectReason**")
    return {
        name: {member: int(number) for member, number in re.findall(r"(\w+)=(\d+)", rest)}
        for name, rest in re.findall(r"- \*\*(\w+)\*\*: (.*)", section)
    }


def _streams(page: str) -> dict[str, str]:
    section = _section(page, "### 10.3 Selectors", "### 10.4 Snapshots")
    return {cells[0]: cells[1] for cells in _rows(section) if cells[0].startswith("v1.")}


if __name__ == "__main__":
    extracted = extract(Path(sys.argv[1]).read_text(encoding="utf-8"))
    TABLES.write_text(json.dumps(extracted, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
