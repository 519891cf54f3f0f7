"""The tuner's rules, one by one."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.bench import START_NS, BenchBook, BenchContext, own_order, perp
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.quoting.adapt import AdaptParams, Look, Step, Tuner
from perpmaker.strategies.registry import parse_params

BTC = perp()
ID = BTC.instrument_id
WINDOW_S, STEP = 60, 1.25


class Stage:
    """A tuner in a market of sigma 1 bp, with a steady position of 1,000: a window's risk is 0.1 x root of 60 = 0.77."""

    def __init__(self, **params: Any) -> None:
        rules = {"on": True, "window_s": WINDOW_S, "min_fills": 5, "step_mult": STEP, "max_mult": 1.6, "markout_s": 1}
        self.tuner = Tuner(AdaptParams(**{**rules, **params}), keys="k")
        self.now_ns = START_NS
        self.pnl = 0.0
        self.steps: list[Step] = []
        self._look(is_quoting=True)

    def window(self, pnl: float, *, fills: int = 10, markout_bps: float = 1.0, is_quoting: bool = True) -> list[str]:
        """Live through a window with this PnL, fills with this markout; returns the names of what was decided."""
        before = len(self.steps)
        for second in range(WINDOW_S):
            if second < fills:
                self.tuner.on_fill(self.now_ns, Side.BUY, 100.0, fee_bps=0.0)
            self.now_ns += NS_PER_S
            noise = 0.2 * (second % 2 * 2 - 1)
            self.tuner.on_mid(self.now_ns, 100.0 * (1 + (markout_bps + noise) / 1e4))
            self.pnl += pnl / WINDOW_S
            self._look(is_quoting=is_quoting)
        return [step.name for step in self.steps[before:]]

    def _look(self, *, is_quoting: bool) -> None:
        look = Look(self.now_ns, self.pnl, 1000.0, 200.0, 1e-4, is_quoting)
        self.steps += self.tuner.look(look)

    @property
    def factors(self) -> tuple[float, float]:
        now = self.tuner.multiples
        return now.gamma, now.kappa


def test_it_measures_first_and_then_tries_one_small_step() -> None:
    stage = Stage()
    assert stage.factors == (1, 1)
    assert stage.window(0.5) == ["adapt_tried"]
    assert stage.factors == (1, STEP)


def test_a_step_that_pays_is_kept_and_the_next_goes_the_same_way() -> None:
    stage = Stage()
    stage.window(0.5)
    assert stage.window(2.0) == ["adapt_kept"]
    assert stage.factors == (1, STEP)
    stage.window(2.0)
    assert stage.factors == (1, pytest.approx(STEP**2))


def test_a_step_that_does_not_pay_is_taken_back_and_the_next_goes_another_way() -> None:
    stage = Stage()
    stage.window(0.5)
    assert stage.window(0.4) == ["adapt_took_back"]
    assert stage.factors == (1, 1)
    stage.window(0.5)
    assert stage.factors == (STEP, 1)


def test_a_gain_below_min_gain_is_luck() -> None:
    for min_gain, name in ((0.2, "adapt_kept"), (5.0, "adapt_took_back")):
        stage = Stage(min_gain=min_gain)
        stage.window(0.5)
        assert stage.window(1.0) == [name]


def test_more_pnl_with_a_worse_markout_is_not_kept() -> None:
    stage = Stage()
    stage.window(0.5, markout_bps=1.0)
    assert stage.window(5.0, markout_bps=-2.0) == ["adapt_took_back"]
    assert "markout fell by 3.00 bps" in stage.steps[-1].fields["why"]


def test_a_markout_within_its_error_does_not_matter() -> None:
    stage = Stage()
    stage.window(0.5, markout_bps=1.0)
    assert stage.window(5.0, markout_bps=0.95) == ["adapt_kept"]


def test_no_factor_ever_leaves_its_bounds() -> None:
    stage = Stage(min_gain=0.0)
    seen = set()
    for number in range(60):
        stage.window(float(number))
        seen.add(tuple(round(factor, 6) for factor in stage.factors))
        assert all(1 / 1.6 - 1e-9 <= factor <= 1.6 + 1e-9 for factor in stage.factors)
    assert max(gamma for gamma, _ in seen) > 1.5
    assert max(kappa for _, kappa in seen) > 1.5


def test_with_too_few_fills_it_measures_on_and_at_last_takes_the_step_back() -> None:
    stage = Stage(max_windows=3)
    stage.window(0.5)
    assert stage.window(9.0, fills=1) == []
    assert stage.window(9.0, fills=1) == []
    assert stage.factors == (1, STEP)
    assert stage.window(9.0, fills=1) == ["adapt_took_back"]
    assert "too little data: 3 of 5 fills" in stage.steps[-1].fields["why"]
    assert stage.factors == (1, 1)


def test_fills_that_come_late_are_enough_in_a_longer_window() -> None:
    stage = Stage(max_windows=5)
    stage.window(0.5)
    assert stage.window(2.0, fills=3) == []
    assert stage.window(2.0, fills=3) == ["adapt_kept"]


def test_without_data_and_without_a_step_it_only_says_that_it_waits() -> None:
    stage = Stage(max_windows=2)
    assert [stage.window(0.0, fills=0), stage.window(0.0, fills=0)] == [[], ["adapt_waited"]]
    assert stage.factors == (1, 1)


def test_a_time_without_quotes_is_not_judged() -> None:
    stage = Stage()
    stage.window(0.5)
    assert stage.window(-50.0, is_quoting=False) == []
    assert stage.factors == (1, STEP)
    assert stage.window(2.0) == []  # begins anew: its first look is the beginning, and one second is missing
    assert stage.window(2.0)[0] == "adapt_kept"


def test_every_step_says_what_before_and_after() -> None:
    stage = Stage()
    stage.window(0.5)
    stage.window(2.0)
    tried, kept = stage.steps
    assert tried.fields["step"] == kept.fields["step"] == "kappa x1.00 -> x1.25"
    assert kept.fields["why"].startswith("gain +1.9")
    assert "per risk, markout +1.00 bps, 10 fills, before" in kept.fields["why"]


@pytest.mark.parametrize("worse", [{"pnl": math.nan}, {"pnl": 9.0, "markout_bps": math.nan}])
def test_a_step_whose_outcome_is_no_number_is_taken_back(worse: dict[str, float]) -> None:
    stage = Stage()
    stage.window(0.5)
    assert stage.window(**worse) == ["adapt_took_back"]
    assert stage.factors == (1, 1)


def test_what_was_kept_outlives_a_restart_and_what_was_tried_does_not() -> None:
    stage = Stage()
    stage.window(0.5)
    stage.window(2.0)
    stage.window(2.0)
    assert stage.factors == (1, pytest.approx(STEP**2))
    after = Stage()
    assert after.tuner.restore(stage.tuner.memory())
    assert after.factors == (1, STEP)
    last = str(after.tuner.shown()["adapt_last"])
    assert last.startswith("before the restart: tried kappa x1.25 -> x1.56: after ")


def test_a_memory_without_its_last_step_is_believed_all_the_same() -> None:
    stage = Stage()
    assert stage.tuner.restore('{"keys":"k","gamma":1.25,"kappa":1,"turn":0}')
    assert stage.factors == (STEP, 1)
    assert stage.tuner.shown()["adapt_last"] == "nothing yet"


@pytest.mark.parametrize("memo", ["", "{}", "nonsense", '{"keys":"other","gamma":1.2,"kappa":1,"turn":0}',
                                  '{"keys":"k","gamma":9,"kappa":1,"turn":0}'])  # fmt: skip
def test_a_memory_that_does_not_fit_begins_at_one(memo: str) -> None:
    stage = Stage()
    assert not stage.tuner.restore(memo)
    assert stage.factors == (1, 1)


def test_off_it_does_nothing_and_says_nothing() -> None:
    stage = Stage(on=False)
    assert [stage.window(0.5), stage.window(2.0)] == [[], []]
    assert (stage.factors, stage.tuner.shown()) == ((1, 1), {})


def test_the_win_rate_is_shown_and_decides_nothing() -> None:
    stage = Stage()
    stage.window(0.5, markout_bps=0.5)
    assert stage.tuner.shown()["win_rate"] == 1.0
    assert stage.window(0.1, markout_bps=0.5) == ["adapt_took_back"]


def _maker(ctx: BenchContext) -> MarketMaker:
    quoting = {"model": "fixed", "half_spread_bps": 4, "layers": 1, "order_notional": 300}
    adapt = {"on": True, "window_s": 30, "min_fills": 2, "markout_s": 1, "step_mult": STEP, "min_gain": 0}
    tables = {"instrument": ID, "quoting": quoting, "adapt": adapt, "regime": {"filter": "none"}}
    params = parse_params("market_maker", tables)
    assert isinstance(params, MarketMakerParams)
    maker = MarketMaker(params)
    ctx.books[ID] = BenchBook(BTC, ((599_999, 100),), ((600_001, 100),))
    maker.on_start(ctx)
    return maker


def _live(ctx: BenchContext, maker: MarketMaker, seconds: int) -> None:
    for second in range(seconds):
        maker.on_book(ctx, ctx.books[ID])
        if second % 5 == 0:
            order = msgspec.structs.replace(own_order(BTC, Side.BUY, "59976", "0.005"), tag="quote bid 0")
            maker.on_order(ctx, order)
            ctx.fill(maker, Side.BUY, "0.001", "59976", ID)
        ctx.wait(maker, 1.0)


def test_in_the_maker_a_step_moves_the_quotes_is_told_and_remembered() -> None:
    ctx = BenchContext(BTC)
    maker = _maker(ctx)
    assert ctx.explained[ID]["half_spread_bps"] == pytest.approx(4)
    _live(ctx, maker, 33)
    assert ctx.explained[ID]["half_spread_bps"] == pytest.approx(4 / STEP)
    assert [name for _, name, _ in ctx.notices if name.startswith("adapt")] == ["adapt_tried"]
    assert "trying kappa x1.00 -> x1.25" in str(ctx.explained[ID]["adapt"])
    assert ctx.memo


def test_in_the_maker_a_restart_goes_on_from_what_was_kept() -> None:
    ctx = BenchContext(BTC)
    _live(ctx, _maker(ctx), 33)
    again = BenchContext(BTC)
    again.memo = ctx.memo.replace('"kappa":1.0', '"kappa":1.25')
    _maker(again)
    assert again.explained[ID]["half_spread_bps"] == pytest.approx(4 / STEP)
    ((_, name, fields),) = again.notices
    assert name == "adapt_restored"
    assert fields == {"instrument": ID, "gamma_mult": "1", "kappa_mult": "1.25"}
