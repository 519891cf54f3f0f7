"""The shipped configuration does what it is for: BTC, ETH and SOL are all made, on any seed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.scenario.engine_stage import PATIENCE_S, ROOT, Stage, stage

from perpmaker.clock import WallClock
from perpmaker.model.units import NS_PER_S

SEEDS = (1, 2, 3)
FILLS, WITHIN_S = 5, 60.0
WARM_UP_S = 150.0
INSTRUMENTS = {"BTC_USDT_Perp", "ETH_USDT_Perp", "SOL_USDT_Perp"}


@pytest.mark.mostly_waits
@pytest.mark.timeout(400)
def test_each_market_is_filled_five_times_within_a_minute_of_its_model_being_ready(tmp_path: Path) -> None:
    """On three seeds at once: each is a minute of warming up."""
    with ThreadPoolExecutor(len(SEEDS)) as threads:
        for outcome in [threads.submit(make, tmp_path / str(seed), seed) for seed in SEEDS]:
            outcome.result()


def make(home: Path, seed: int) -> None:
    home.mkdir()
    with stage(home, seed=seed) as made:
        made.config = ROOT / "configs" / "local.toml"
        made.start_exchange()
        made.start_engine(PERPMAKER__CONTROL__PORT="0", PERPMAKER__NAME="stage")
        made.until(
            lambda: {row.state for row in made.status().strategies} == {"quoting"}, "every model to be ready", WARM_UP_S
        )
        ready_ns = WallClock().now_ns()
        made.until(
            lambda: all(fifth_ns(made, name, ready_ns) for name in INSTRUMENTS), "five fills each", 2 * PATIENCE_S
        )
        for name in INSTRUMENTS:
            assert fifth_ns(made, name, ready_ns) - ready_ns <= WITHIN_S * NS_PER_S, f"seed {seed}, {name}"
        assert made.status().warnings == []
        assert made.stop_engine() == 0
        assert made.ledger()["open_orders"] == []
        made.assert_settled()


def fifth_ns(made: Stage, instrument: str, since_ns: int) -> int:
    """When the exchange executed the fifth order of an instrument since a moment; 0 when it has not."""
    times = [int(row.ts_event_ns) for row in made.control().trades(1000) if row.instrument == instrument]
    later = sorted(ns for ns in times if ns > since_ns)
    return later[FILLS - 1] if len(later) >= FILLS else 0
