"""The order of `doctor --test-order`: as small and as far away as can be, and never on prod without the words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.engine.test_assembly import BOTH, EXCHANGE, HEDGED, config

from perpmaker.clock import ManualClock
from perpmaker.engine.assembly import make_plan
from perpmaker.engine.core.world import ENGINE_ITSELF
from perpmaker.engine.trial import Trial, confirmation, trial_plan, without_post_only
from perpmaker.engine.trial_order import wanted_order
from perpmaker.errors import ConfigError
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.venues.ccxt.quirks import ROWS

BTC = Instrument(
    instrument_id=InstrumentId("BTC_USDT_Perp"), symbol="BTC_USDT_Perp", exchange="grvt", base="BTC", quote="USDT",
    tick=Decimal("0.1"), lot=Decimal("0.001"), min_qty=Decimal("0.001"), min_notional=Decimal(100),
)  # fmt: skip
REFERENCES = [Decimal(60_000), Decimal("59990.05"), Decimal(60_010)]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("collar", [Decimal(20), Decimal(100), Decimal(2000)])
def test_it_is_inside_the_collar_of_every_reference_and_far_from_each(side: Side, collar: Decimal) -> None:
    wanted = wanted_order(BTC, side, REFERENCES, collar)
    distances = [side.sign * (px - wanted.px) / px * 10_000 for px in REFERENCES]
    assert all(0 < distance <= collar for distance in distances)
    assert max(distances) == pytest.approx(min(collar * Decimal("0.8"), Decimal(500)), abs=6)
    assert BTC.to_ticks(wanted.px)


@pytest.mark.parametrize("side", list(Side))
def test_it_is_the_smallest_order_that_the_venue_takes(side: Side) -> None:
    wanted = wanted_order(BTC, side, REFERENCES, Decimal(100))
    assert wanted.qty * wanted.px >= BTC.min_notional
    assert (wanted.qty - BTC.lot) * wanted.px < BTC.min_notional


def test_a_plan_for_it_keeps_accounts_locks_and_journal_and_trades_once_an_account() -> None:
    plan = make_plan(config(), EXCHANGE, None)
    trial = trial_plan(plan)
    assert trial.fingerprint == plan.fingerprint
    assert trial.lock_keys(Path("/j")) == plan.lock_keys(Path("/j"))
    (strategy,) = trial.spec(3, {}).strategies
    assert (strategy.account, strategy.instrument, strategy.number) == ("main", "BTC_USDT_Perp", 0)
    assert strategy.strategy != ENGINE_ITSELF


def test_every_account_is_tried_by_a_leg_or_by_what_it_names() -> None:
    plan = make_plan(config(**HEDGED), BOTH, None)
    assert {name: trial.params.instrument for name, trial in trial_plan(plan).trials.items()} == {
        "main": "BTC_USDT_Perp",
        "hedge": "ETH_USDC_PERP@backpack",
    }
    named = {
        "main": {"instruments": ["SOL_USDT_Perp"]},
        "hedge": {"venue": "backpack", "instruments": ["SOL_USDC_PERP"]},
    }
    plan = make_plan(config(account=named, strategy=[]), BOTH, None)
    assert {name: trial.params.instrument for name, trial in trial_plan(plan).trials.items()} == {
        "main": "SOL_USDT_Perp",
        "hedge": "SOL_USDC_PERP@backpack",
    }


def test_an_account_whose_venue_has_no_post_only_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = msgspec.structs.replace(ROWS["backpack"], post_only=False)
    monkeypatch.setattr("perpmaker.engine.trial.quirks_of", lambda venue: bare)
    plan = make_plan(config(**HEDGED), BOTH, None)
    assert without_post_only(plan) == ["hedge"]
    assert list(trial_plan(plan).trials) == ["main"]


def test_nothing_is_flattened_by_a_trial() -> None:
    plan = make_plan(config(), EXCHANGE, None)
    assert plan.spec(1, {"btc": 1}).accounts[0].limits.flatten_on_drawdown
    assert not trial_plan(plan).spec(1, {}).accounts[0].limits.flatten_on_drawdown


@pytest.fixture
def on_prod(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in (("API_KEY", "k" * 20), ("PRIVATE_KEY", "0x" + "11" * 32), ("TRADING_ACCOUNT_ID", "4711")):
        monkeypatch.setenv(f"GRVT_{name}", value)
    return make_plan(config(env="prod"), None, None)


@pytest.mark.parametrize("typed", ["", "arm e", "arm e 4712", "yes"])
def test_prod_wants_the_words_that_arm_live_trading(on_prod: Any, tmp_path: Path, typed: str) -> None:
    assert confirmation(on_prod) == "arm e 4711"
    with pytest.raises(ConfigError, match="type exactly: arm e 4711"):
        Trial(on_prod, tmp_path, ManualClock(), lambda _: None, confirmed=typed)
    assert not list(tmp_path.iterdir())


def test_the_words_may_be_typed_loosely(on_prod: Any, tmp_path: Path) -> None:
    assert Trial(on_prod, tmp_path, ManualClock(), lambda _: None, confirmed=" ARM  e 4711 ")


def test_the_practice_exchange_wants_no_words() -> None:
    assert confirmation(make_plan(config(), EXCHANGE, None)) == ""
