"""Every benchmark runs, with nothing but what perpmaker itself needs. Its figures mean nothing here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.__main__ import COMPARED, main

LIGHT = ("book_ingest", "journal", "sign_order", "tape_formats", "ws_ingest")
"""Those that start no engine, compile nothing and train nothing."""
HEAVY = tuple(name for name in COMPARED if name not in LIGHT)


def smoke(names: tuple[str, ...], tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    assert main([*names, "--quick", "--no-peers", "--json", str(target)]) == 0
    reports = json.loads(target.read_text())["benchmarks"]
    assert set(names) <= {report["benchmark"] for report in reports}
    for report in reports:
        ours, *others = report["cases"]
        assert ours["median"] > 0, report["title"]
        floor = next(case for case in report["cases"] if case["case"] == report["floor"])
        assert floor["median"] > 0, report["title"]
        for case in others:
            assert "median" in case or case["absent"] == "peers were not asked for", case


@pytest.mark.alone
@pytest.mark.timeout(240)
def test_benchmarks_of_parts_run_without_peers(tmp_path: Path) -> None:
    smoke(LIGHT, tmp_path)


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", HEAVY)
def test_benchmarks_of_whole_programs_run_without_peers(name: str, tmp_path: Path) -> None:
    smoke((name,), tmp_path)
