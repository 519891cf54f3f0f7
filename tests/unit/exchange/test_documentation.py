"""The reference page names everything that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from perpmaker.exchange.accounts import Credentials
from perpmaker.exchange.faults import ACTS, FRAME_ACTIONS, REQUEST_ACTIONS, FaultSpec, Match
from perpmaker.exchange.server import ExchangeOptions

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "practice-exchange.md").read_text(encoding="utf-8")
NO_OPTION = {"session_life_s", "owners"}
"""Of `python -m perpmaker.exchange` alone, for tests."""


@pytest.mark.parametrize("name", sorted(REQUEST_ACTIONS | FRAME_ACTIONS | ACTS))
def test_action_is_described(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", [*FaultSpec.__struct_fields__, *Match.__struct_fields__])
def test_member_of_a_rule_is_described(name: str) -> None:
    assert f"`{name}`" in PAGE or f'"{name}"' in PAGE


@pytest.mark.parametrize("name", [name for name in ExchangeOptions.__struct_fields__ if name not in NO_OPTION])
def test_option_is_described(name: str) -> None:
    assert f"`--{name.replace('tapes', 'tape').replace('_', '-')}" in PAGE


@pytest.mark.parametrize("name", Credentials.__struct_fields__)
def test_member_of_an_account_is_described(name: str) -> None:
    assert f'"{name}"' in PAGE
