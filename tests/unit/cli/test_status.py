"""What `perpmaker status` says about a strategy's adaptive tuner, in text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.dashboard.frames import STATUS

from perpmaker.cli import status as module
from perpmaker.control.messages import Status

LAST = "took back kappa x1.00 -> x1.15: gain -0.20 below min_gain 0.5: +0.10 per risk"
TUNER: dict[str, float | str | None] = {
    "adapt": "trying gamma x1.00 -> x1.15: 30 of 900 s, 3 of 30 fills",
    "adapt_last": LAST,
    "adapt_gamma_mult": 1.15,
    "adapt_kappa_mult": 1.0,
}


def _with(inputs: dict[str, float | str | None]) -> Status:
    """One strategy, which says that."""
    row = msgspec.structs.replace(STATUS.strategies[0], name="btc", inputs=inputs)
    return msgspec.structs.replace(STATUS, strategies=[row])


def _said(status: Status, monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    monkeypatch.setattr(module, "connect", lambda _: SimpleNamespace(status=lambda: status))
    monkeypatch.setenv("COLUMNS", "400")
    result = CliRunner().invoke(module.command, options, obj=Path("nowhere"))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_tuner_tells_what_is_in_force_what_it_does_and_its_last_step_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = _said(_with(TUNER), monkeypatch)
    assert f"Tuner of btc: gamma x1.15, kappa x1.00; {TUNER['adapt']}; last step: {LAST}" in said


def test_json_has_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = json.loads(_said(_with(TUNER), monkeypatch, "--json"))["strategies"]
    assert row["inputs"] == TUNER


def test_without_a_tuner_nothing_is_said_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Tuner" not in _said(_with({"fair": 60_000.0}), monkeypatch)


def test_an_order_that_waits_at_the_venue_is_shown_with_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = STATUS.open_orders[0]
    stop = msgspec.structs.replace(plain, px="58900.1", tag="stop loss", trigger="stop_loss", trigger_px="59000.5")
    said = _said(msgspec.structs.replace(STATUS, open_orders=[plain, stop]), monkeypatch)
    (line,) = [line for line in said.splitlines() if "stop loss" in line]
    assert "58900.1" in line
    assert "stop loss, waits for 59000.5" in line
    assert said.count("waits for") == 1


@pytest.mark.parametrize(
    ("word", "why", "told"),
    [
        ("no quotes", "nothing is quoted: the market trends", "no quotes: nothing is quoted: the market trends"),
        ("quoting", "", "quoting"),
        ("", "", "quoting"),  # of an older engine
    ],
)
def test_a_market_says_of_its_strategy_what_the_page_says(
    word: str, why: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = msgspec.structs.replace(STATUS.strategies[0], state="quoting", reason="", word=word, why=why)
    said = _said(msgspec.structs.replace(STATUS, strategies=[row]), monkeypatch)
    (line,) = [line for line in said.splitlines() if line.strip().startswith(row.instrument) and "quot" in line]
    assert line.rstrip().endswith(f"  {told}")
