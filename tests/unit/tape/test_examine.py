"""What `tape check` says about books that somebody stopped vouching for."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="tapes need the research extra")

from perpmaker.tape.examine import examine, unhealed
from perpmaker.tape.importers.convert import Options, convert
from perpmaker.tape.reader import open_tape

from .test_importers import SNAPSHOT_LINE, depth_line, write


def test_a_gap_that_nothing_heals_before_the_tape_ends_is_told_with_what_it_costs(tmp_path: Path) -> None:
    gap, later = depth_line(110, 112, 109, "8", recv_ms=2_000), depth_line(113, 114, 112, "9", recv_ms=3_000)
    told = SNAPSHOT_LINE.replace(b"1723161254", b"1723161261", 1)
    assert _warnings(tmp_path, SNAPSHOT_LINE, gap, later, _trade(recv_ms=6_500)) == [
        "the book cannot be vouched for in the last 4.5 s: nothing on the tape makes it whole again"
    ]
    assert _warnings(tmp_path, SNAPSHOT_LINE, gap, told) == ["the book could not be vouched for 1 times"]
    assert _warnings(tmp_path, SNAPSHOT_LINE, depth_line(101, 102, 100, "8", recv_ms=2_000)) == []


def _warnings(tmp_path: Path, *lines: bytes) -> list[str]:
    convert([write(tmp_path / "a.txt", *lines)], tmp_path / "x.tape", Options(least_latency_ns=1_000_000))
    tape = open_tape(tmp_path / "x.tape")
    warnings = [text.partition(": ")[2] for text in examine(tape).warnings]
    assert list(unhealed(tape).values()) == [text for text in warnings if "whole again" in text]
    return warnings


def _trade(recv_ms: int) -> bytes:
    return (
        f'{1723161254000000000 + recv_ms * 1_000_000} {{"stream":"s","data":{{"e":"trade","E":1723161255300,'
        '"T":1723161255299,"s":"XYZUSDT","t":1,"p":"99.9","q":"1","m":true}}\n'
    ).encode()
