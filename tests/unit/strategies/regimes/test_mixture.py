"""The regime model in the market maker: what it changes, and that it stands wider whenever it does not know."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perpmaker.errors import ConfigError
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.bench import BenchBook, BenchContext, perp
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.quoting.multiples import Multiples, blended
from perpmaker.strategies.regimes.model import Posterior, RegimeModel
from perpmaker.strategies.registry import parse_params

from .made_model import write_model

BTC = perp()
ID = BTC.instrument_id
QUOTING = {"model": "fixed", "half_spread_bps": 4, "layers": 2, "layer_spacing_bps": 2, "order_notional": 300}


class Stage:
    """A maker with a model of one certain component, on a market that stands still."""

    def __init__(
        self, folder: Path, *, position: str = "0", quoting: Any = None, numbers: Any = None, **blend: Any
    ) -> None:
        path = write_model(folder / "regime.json", **{"window_s": 20, **(numbers or {})})
        self.ctx = BenchContext(BTC)
        self.ctx.hold(ID, position, entry="60000")
        regime = {"filter": "none", "model": str(path), "blend": {"half_life_s": 0, **blend}}
        tables = {"instrument": ID, "quoting": {**QUOTING, **(quoting or {})}, "regime": regime}
        params = parse_params("market_maker", tables)
        assert isinstance(params, MarketMakerParams)
        self.maker = MarketMaker(params)
        self.show()
        self.maker.on_start(self.ctx)

    def show(self) -> None:
        shown = BenchBook(BTC, ((599_999, 100),), ((600_001, 100),))
        self.ctx.books[ID] = msgspec.structs.replace(shown, ts_recv_ns=self.ctx.time_ns)

    def wait(self, seconds: int, *, silent: bool = False) -> None:
        for _ in range(seconds):
            if not silent:
                self.show()
                self.maker.on_book(self.ctx, self.ctx.books[ID])
            self.ctx.wait(self.maker, 1.0)

    @property
    def bids_bps(self) -> list[float]:
        return [round((60_000 - float(quote.px)) / 6, 2) for quote in self.ctx.quotes[ID].bids]

    @property
    def said(self) -> str:
        return str(self.ctx.explained[ID]["regime_model"])


CERTAIN = {"trending": (0.98, 0.01, 0.01), "ranging": (0.01, 0.98, 0.01), "volatile": (0.01, 0.01, 0.98)}


def test_until_the_window_is_full_it_stands_wider(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.wait(10)
    assert stage.bids_bps == [6, 9]
    assert stage.said == "seen for 10 of 20 s: 1.5 times as wide"
    stage.wait(15)
    assert stage.said.startswith(("trending", "ranging", "volatile"))


@pytest.mark.parametrize("name", CERTAIN)
def test_a_certain_component_sets_its_own_factors(name: str, tmp_path: Path) -> None:
    others = {f"{other}_{knob}_mult": 1 for other in CERTAIN for knob in ("gamma", "kappa", "spacing")}
    factors = {**others, f"{name}_kappa_mult": 0.5, f"{name}_spacing_mult": 3}
    stage = Stage(tmp_path, numbers={"weights": CERTAIN[name], "apart": 0.0}, **factors)
    stage.wait(25)
    assert stage.ctx.explained[ID][f"p_{name}"] == pytest.approx(0.98)
    assert stage.bids_bps == pytest.approx([4 * 2**0.98, 4 * 2**0.98 + 2 * 3**0.98], abs=0.01)


def test_gamma_moves_the_skew_and_nothing_else(tmp_path: Path) -> None:
    numbers = {"weights": (0.25, 0.5, 0.25), "apart": 0.0}
    ones = {f"{name}_{knob}_mult": 1 for name in CERTAIN for knob in ("gamma", "kappa", "spacing")}
    plain = Stage(tmp_path, position="0.02", numbers=numbers, **ones)
    steep = Stage(tmp_path, position="0.02", numbers=numbers, **{**ones, "ranging_gamma_mult": 4})
    for stage in (plain, steep):
        stage.wait(25)
    assert steep.ctx.explained[ID]["skew_bps"] == pytest.approx(2 * plain.ctx.explained[ID]["skew_bps"])
    assert steep.ctx.explained[ID]["half_spread_bps"] == plain.ctx.explained[ID]["half_spread_bps"]


@pytest.mark.parametrize("model", ["glft", "avellaneda_stoikov", "classic", "volatility"])
def test_every_quoting_model_follows_gamma_and_kappa(model: str, tmp_path: Path) -> None:
    from perpmaker.strategies.estimators.market import Reading
    from perpmaker.strategies.estimators.params import EstimateParams
    from perpmaker.strategies.estimators.volatility import Sigma
    from perpmaker.strategies.quoting.params import QuotingParams
    from perpmaker.strategies.quoting.stance import Conditions, take_stance

    quoting = QuotingParams(model=model, kappa=0.05, arrivals_per_s=1.0, min_half_spread_bps=0.0)  # type: ignore[arg-type]
    if model == "classic":
        quoting = msgspec.structs.replace(quoting, kappa=100.0, min_half_spread_bps=0.0)
    reading = Reading(1, 1e6, Sigma(1e-4, 1e-4, 1e-4, None), None, None, 999, 999, tick_sigma=0.01)
    plain, steeper, bolder = (
        take_stance(quoting, EstimateParams(), reading, Conditions(60_000.0, 0.1, 0.0, 10.0), multiples=one).shape
        for one in (Multiples(), Multiples(kappa=0.5), Multiples(gamma=3.0))
    )
    assert steeper.half_bid > 1.2 * plain.half_bid
    assert (bolder.half_bid, bolder.skew_bid) != (plain.half_bid, plain.skew_bid)


def test_an_old_book_and_a_strange_market_are_not_believed(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.wait(25)
    stage.wait(7, silent=True)
    assert "s old: 1.5 times as wide" in stage.said
    strange = Stage(tmp_path / "..", numbers={"least_log_likelihood": 1e6})
    strange.wait(25)
    assert strange.said == "unlike anything the model was trained on: 1.5 times as wide"
    assert strange.bids_bps == [6, 9]


def test_a_density_that_is_no_number_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RegimeModel, "posterior", lambda *_: Posterior((math.nan,) * 3, math.nan))
    stage = Stage(tmp_path)
    stage.wait(25)
    assert stage.said == "unlike anything the model was trained on: 1.5 times as wide"
    assert stage.bids_bps == [6, 9]


def test_a_lost_book_begins_the_window_anew(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.wait(25)
    stage.ctx.books.clear()
    stage.ctx.wait(stage.maker, 1.0)
    stage.wait(2)
    assert "of 20 s: 1.5 times as wide" in stage.said


def test_what_the_model_says_is_averaged_over_its_half_life(tmp_path: Path) -> None:
    from perpmaker.strategies.regimes.mixture import Mixture
    from perpmaker.strategies.regimes.model import Posterior
    from perpmaker.strategies.regimes.params import BlendParams

    path = write_model(tmp_path / "regime.json", window_s=10)
    mixture = Mixture(str(path), BlendParams(half_life_s=1.0))
    stage = Stage(tmp_path)
    now_ns = stage.ctx.time_ns
    for second in range(15):
        now_ns += NS_PER_S
        shown = msgspec.structs.replace(BenchBook(BTC, ((599_999, 100),), ((600_001, 100),)), ts_recv_ns=now_ns)
        mixture.on_book(now_ns, shown)
        if second == 13:
            mixture._shares = (1.0, 0.0, 0.0)
    fresh = mixture._last
    assert isinstance(fresh, Posterior)
    assert mixture._shares == pytest.approx([(own + at) / 2 for own, at in zip(fresh.shares, (1, 0, 0), strict=True)])


def test_equal_shares_of_double_and_half_are_one() -> None:
    parts = (Multiples(gamma=2.0, kappa=4.0), Multiples(gamma=0.5, spacing=9.0))
    found = blended((0.5, 0.5), parts)
    assert (found.gamma, found.kappa, found.spacing) == pytest.approx((1, 2, 3))


def test_a_missing_file_is_named_with_its_key(tmp_path: Path) -> None:
    path = str(tmp_path / "none.json")
    with pytest.raises(ConfigError, match=r"regime\.model = .*none\.json.*cannot be read: No such file"):
        parse_params("market_maker", {"instrument": ID, "regime": {"model": path}})


def test_without_a_model_quoting_is_plain_and_changed_factors_are_told() -> None:
    tables = {"instrument": ID, "quoting": QUOTING, "regime": {"filter": "none", "blend": {"trending_kappa_mult": 0.5}}}
    params = parse_params("market_maker", tables)
    assert isinstance(params, MarketMakerParams)
    ctx, maker = BenchContext(BTC), MarketMaker(params)
    ctx.books[ID] = BenchBook(BTC, ((599_999, 100),), ((600_001, 100),))
    maker.on_start(ctx)
    assert "regime.blend is not read: regime.model is not given" in str(ctx.notices)
    assert "regime_model" not in ctx.explained[ID]
