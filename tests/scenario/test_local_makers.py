"""The shipped configuration does what it is for: BTC, ETH and SOL are all made, on any seed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from tests.scenario.engine_stage import ROOT, Stage, stage

FILLS, WITHIN_S = 5, 60.0
INSTRUMENTS = {"BTC_USDT_Perp", "ETH_USDT_Perp", "SOL_USDT_Perp"}


def fills(made: Stage) -> Counter[str]:
    return Counter(row.instrument for row in made.control().trades(1000))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_market_is_filled_five_times_within_a_minute_of_its_model_being_ready(tmp_path: Path, seed: int) -> None:
    with stage(tmp_path, seed=seed) as made:
        made.config = ROOT / "configs" / "local.toml"
        made.start_exchange()
        made.start_engine(PERPMAKER__CONTROL__PORT="0", PERPMAKER__NAME="stage")
        made.until(
            lambda: {row.state for row in made.status().strategies} == {"quoting"}, "every model to be ready", 150
        )
        before, since = fills(made), time.monotonic()
        made.until(
            lambda: all((fills(made) - before)[name] >= FILLS for name in INSTRUMENTS), "five fills each", WITHIN_S
        )
        assert time.monotonic() - since <= WITHIN_S
        assert made.status().warnings == []
        assert made.stop_engine() == 0
        assert made.ledger()["open_orders"] == []
        made.assert_settled()
