from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perpmaker.strategies.idle import idle_keys
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.presets import MARKET_MAKER
from perpmaker.strategies.quoting.inert import inert_parameters
from perpmaker.strategies.quoting.models import MODELS
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.shape import Arrivals, Market
from perpmaker.strategies.registry import parse_params

from .fake_context import FakeContext, book, perp

BTC = perp()


def _params(**tables: Any) -> MarketMakerParams:
    params = parse_params("market_maker", {"instrument": BTC.instrument_id, **tables})
    assert isinstance(params, MarketMakerParams)
    return params


def _idle(**tables: Any) -> dict[str, str]:
    return {found.name: found.text for found in idle_keys(_params(**tables))}


def test_with_defaults_or_a_preset_nothing_is_idle() -> None:
    assert _idle() == {}
    for name in MARKET_MAKER:
        assert _idle(preset=name) == {}


@pytest.mark.parametrize(
    ("tables", "name", "reason"),
    [
        ({"reference": {"weight": 0.9}}, "reference.weight", "reference.instrument is not given"),
        ({"alpha": {"imbalance_levels": 9}}, "alpha.imbalance_levels", "imbalance_bps is 0"),
        ({"alpha": {"flow_half_life_s": 9}}, "alpha.flow_half_life_s", "flow_bps is 0"),
        ({"funding": {"mult": 0, "inventory_half_life_s": 9}}, "funding.inventory_half_life_s", "mult is 0"),
        ({"schedule": {"outside": "reduce"}}, "schedule.outside", "nothing is scheduled"),
        (
            {"protection": {"stop_loss_bps": 9, "trailing_from_bps": 9}},
            "protection.trailing_from_bps",
            "trailing_stop_bps is not given",
        ),
        ({"protection": {"rest_s": 9}}, "protection.rest_s", "nothing is protected"),
        ({"markout": {"pull": False, "pull_s": 9}}, "markout.pull_s", "pull is false"),
        ({"toxicity": {"buckets": 9}}, "toxicity.buckets", "pause_above is not given"),
        (
            {"quoting": {"order_equity_frac": 0.1, "order_notional": 9}},
            "quoting.order_notional",
            "order_equity_frac is given",
        ),
        ({"regime": {"trending_width_mult": 9}}, "regime.trending_width_mult", "filter bollinger never says so"),
        ({"regime": {"filter": "adx", "boost_far_bps": 9}}, "regime.boost_far_bps", "filter adx never says so"),
        ({"regime": {"filter": "none", "bar_s": 300}}, "regime.bar_s", "there is no filter"),
        ({"regime": {"latch": False, "latch_max_s": 9}}, "regime.latch_max_s", "latch is false"),
        ({"regime": {"boost": False, "boost_far_bps": 9}}, "regime.boost_far_bps", "boost is false"),
        ({"regime": {"anchor_loss_bps": 9}}, "regime.anchor_loss_bps", "anchor is false"),
        ({"regime": {"adx": {"period": 9}}}, "regime.adx", "filter is bollinger"),
        ({"regime": {"filter": "adx", "rsi": {"period": 9}}}, "regime.rsi", "filter is adx"),
    ],
)
def test_a_changed_key_of_something_that_is_off_is_named(tables: dict[str, Any], name: str, reason: str) -> None:
    assert _idle(**tables) == {name: f"{name} is not read: {reason}"}


@pytest.mark.parametrize(
    "tables",
    [
        {"reference": {"instrument": "ETH_USDT_Perp", "weight": 0.9}},
        {"alpha": {"imbalance_bps": 1, "imbalance_levels": 9, "flow_bps": 1, "flow_half_life_s": 9}},
        {"protection": {"trailing_stop_bps": 9, "trailing_from_bps": 9, "rest_s": 9}},
        {"regime": {"filter": "choppiness", "trending_width_mult": 2, "ranging_width_mult": 2}},
        {"regime": {"rsi": {"period": 9}}},
    ],
)
def test_a_changed_key_that_is_read_is_not(tables: dict[str, Any]) -> None:
    assert _idle(**tables) == {}


class WithFearless(QuotingParams, frozen=True, kw_only=True):
    """The keys of a quoting model that somebody added (docs/howto/add-a-quoting-model.md)."""

    fearless_mult: float = 1.0
    fearless_word: str = "calm"


def test_the_keys_of_a_model_that_somebody_added_are_named_while_another_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = ("fearless_mult", "fearless_word", "kappa")
    monkeypatch.setitem(MODELS, "fearless", msgspec.structs.replace(MODELS["glft"], parameters=keys))  # type: ignore[arg-type]

    def idle(model: str, mult: float) -> dict[str, str]:
        quoting = WithFearless(model=model, fearless_mult=mult)  # type: ignore[arg-type]
        return {found.name: found.text for found in idle_keys(msgspec.structs.replace(_params(), quoting=quoting))}

    assert idle("glft", 1.0) == {}
    told = "quoting.fearless_mult is not read: model is glft"
    assert idle("glft", 1.5) == {"quoting.fearless_mult": told}
    assert idle("fearless", 1.5) == {}


def test_every_key_of_every_model_is_named_once_while_another_is_chosen() -> None:
    """By what this page examines, or by `quoting/inert.py`, which knows the values too."""
    market = Market(fair=60_000.0, sigma=8.4, typical_sigma=8.4, bid=Arrivals(1.0, 0.08), ask=Arrivals(1.0, 0.08))
    everything = {key for model in MODELS.values() for key in model.parameters}
    for name, model in MODELS.items():
        unread = sorted(everything - set(model.parameters))
        changed = dict.fromkeys(unread, 1.25)
        params = _params(quoting={"model": name, **changed})
        inert = inert_parameters(params.quoting, market, q_max=10.0, tick=0.1, maker_fee=0.0, quote_currency="USDT")
        said = [found.name.removeprefix("quoting.") for found in (*inert, *idle_keys(params))]
        assert sorted(key for key in said if key in unread) == unread, name


def test_it_is_told_at_the_start_and_shown() -> None:
    ctx = FakeContext(BTC)
    ctx.books[BTC.instrument_id] = book(BTC, "59999.9", "60000.1")
    MarketMaker(_params(toxicity={"buckets": 9})).on_start(ctx)
    (notice,) = ctx.notices
    assert notice[:2] == ("warning", "parameters_inert")
    assert "toxicity.buckets is not read: pause_above is not given" in notice[2].values()
    inert = ctx.explained[BTC.instrument_id]["inert"]
    assert isinstance(inert, tuple)
    assert "toxicity.buckets is not read: pause_above is not given" in inert
