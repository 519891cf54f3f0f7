"""Algorithms as data: presets, names, ranges said in sentences, one form on the wire."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perpmaker.model.quote import Algorithm, Iceberg, Peg, Pov, Sweep, Twap, algorithm_named, name_of, sweep


def test_presets_are_those_of_the_requirements() -> None:
    smart, iterative = sweep("smart"), sweep("iterative")
    assert (smart.max_children, smart.max_slippage_bps, smart.cap_from, smart.depth_levels) == (20, 5, "touch", 50)
    assert (smart.first_child_offset_ticks, smart.depth_haircut) == (0, Decimal("0.7"))
    assert (iterative.max_children, iterative.child_timeout_ms) == (3, 1000)
    assert (iterative.retry_offset_ticks, iterative.max_offset_ticks) == (1, 2)
    assert sweep("chunked", chunk_qty=Decimal("0.1")).chunk_qty == Decimal("0.1")


def test_words_become_an_algorithm() -> None:
    assert algorithm_named("sweep", {"max_slippage_bps": "7.5", "preset": "iterative"}) == sweep(
        "iterative", max_slippage_bps=Decimal("7.5")
    )
    assert algorithm_named("iterative", {}) == sweep("iterative")
    assert algorithm_named("peg", {"maker_ms": "1000", "take_max_children": "3"}) == Peg(
        maker_ms=1000, take=Sweep(max_children=3)
    )


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("vwap", {}, "there is no algorithm 'vwap'; there are sweep, twap"),
        ("sweep", {"children": "3"}, "sweep has no parameter 'children'; it has max_slippage_bps"),
        ("sweep", {"max_children": "many"}, "max_children = 'many'"),
        ("sweep", {"max_children": "0"}, "max_children must be 1 to 1000, not 0"),
        ("sweep", {"depth_haircut": "1.5"}, "depth_haircut must be above 0 and at most 1"),
        ("sweep", {"depth_haircut": "1E-999999"}, "depth_haircut must be above 0 and at most 1"),
        ("sweep", {"chunk_qty": "1E+999999"}, "chunk_qty must be above 0"),
        ("sweep", {"preset": "brave"}, "no preset 'brave'"),
        ("sweep", {"max_slippage_bps": "NaN"}, "max_slippage_bps must be 0 to 1000 basis points"),
        ("twap", {"preset": "smart"}, "twap has no presets"),
        ("twap", {"duration_ms": "1000", "slices": "100"}, "at least 200 ms apart"),
        ("pov", {"participation": "0"}, "participation must be above 0"),
        ("iceberg", {}, "iceberg needs display_qty"),
        ("iceberg", {"display_qty": "-1"}, "display_qty must be above 0"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(name: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        algorithm_named(name, parameters)


@pytest.mark.parametrize("algorithm", [Sweep(), Twap(), Pov(), Iceberg(display_qty=Decimal("0.1")), Peg()])
def test_an_algorithm_is_the_same_after_the_journal(algorithm: Algorithm) -> None:
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(algorithm), type=Algorithm)
    assert read == algorithm
    assert name_of(read) == type(algorithm).__name__.lower()
