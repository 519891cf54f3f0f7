"""What is warned of between strategies and limits; what is refused between them and venues is `config check`'s test."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.rig import BTC, MAIN

from perpmaker import config as configuration
from perpmaker.config import Config
from perpmaker.engine.fitting import Keeper, room_warnings, warnings_of
from perpmaker.strategies.api import StrategyParams
from perpmaker.strategies.registry import parse_params

ROOT = Path(__file__).resolve().parents[3]
FOUR_A_SIDE = {"quoting": {"layers": 4}, "regime": {"filter": "none"}}


def _maker(name: str, **tables: Any) -> Keeper:
    return Keeper(name, [MAIN], parse_params("market_maker", {"instrument": BTC, **FOUR_A_SIDE, **tables}))


def _config(*, most: int, venue: str = "grvt", mode: str = "live", **tables: Any) -> Config:
    raw = {
        "schema_version": 1, "env": "local", "mode": mode, "account": {"main": {"venue": venue}},
        "risk": {"max_open_orders": most},
        "strategy": [
            {"name": "btc", "kind": "market_maker", "account": "main", "instrument": BTC, **FOUR_A_SIDE, **tables}
        ],
    }  # fmt: skip
    return configuration.parse(raw, {}, source="test")


def test_more_orders_than_an_account_may_have_open_are_warned_of_with_whose_they_are() -> None:
    keepers = [_maker("btc"), _maker("eth", quoting={"layers": 2})]
    assert room_warnings(keepers, {MAIN: 12}, {}) == []
    assert room_warnings(keepers, {MAIN: 11}, {}) == [
        "account main: max_open_orders = 11 leaves no room for the 12 orders that its strategies may keep at once "
        "(btc 8, eth 4); those beyond it are refused"
    ]


def test_what_a_strategy_of_ones_own_keeps_is_not_known_and_not_counted() -> None:
    keepers = [_maker("btc"), Keeper("own", [MAIN], StrategyParams(instrument=BTC))]
    assert room_warnings(keepers, {MAIN: 8}, {}) == []


def test_each_leg_counts_on_its_own_account() -> None:
    params = parse_params(
        "cross_maker",
        {
            "instrument": BTC, "hedge_account": "hedge", "hedge_instrument": "BTC_USDC_PERP@backpack",
            "qty": Decimal("0.1"), "max_qty": Decimal(1),
        },
    )  # fmt: skip
    keepers = [Keeper("cross", ["main", "hedge"], params), Keeper("own", ["hedge"], _maker("x").params)]
    assert room_warnings(keepers, {"main": 2, "hedge": 9}, {}) == []
    (told,) = room_warnings(keepers, {"main": 2, "hedge": 8}, {})
    assert told.startswith("account hedge: max_open_orders = 8 leaves no room for the 9 orders")


@pytest.mark.parametrize(
    ("venue", "mode", "kept"), [("grvt", "live", 12), ("grvt", "paper", 8), ("backpack", "live", 8)]
)
def test_stops_at_the_venue_count_where_the_venue_keeps_them(venue: str, mode: str, kept: int) -> None:
    protection = {"stop_loss_bps": 50, "take_profit_bps": 50}
    assert warnings_of(_config(most=kept, venue=venue, mode=mode, protection=protection)) == []
    (told,) = warnings_of(_config(most=kept - 1, venue=venue, mode=mode, protection=protection))
    assert f"no room for the {kept} orders" in told


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_what_is_shipped_warns_of_nothing(path: Path) -> None:
    assert warnings_of(configuration.load(path, {})) == []
