"""What is called paying: more than without, more than by distance alone, beyond luck, and under every fill model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.unit.engine.backtest_tape import write_tape

from perpmaker.engine.backtest_feed import plan_feed
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.research.regime.evaluation import (
    CONTROL,
    WITH,
    WITHOUT,
    Fold,
    States,
    Trial,
    Verdict,
    _cautions,
    _gain,
    _judged,
    _volatility_ahead,
    cohens_kappa,
)
from perpmaker.research.regime.fitting import fit, gaussian_log_likelihood
from perpmaker.research.regime.samples import Samples, samples_of
from perpmaker.research.tuning.windows import Window
from perpmaker.strategies.regimes.features import FEATURES

MODELS = ("queue", "pessimistic", "optimistic")


def _trial(arm: str, fill_model: str, per_period: float, fills: int = 100, noise: float = 0.0) -> Trial:
    returns = tuple(per_period + noise * (-1) ** place for place in range(100))
    return Trial(arm, fill_model, sum(returns), 1000.0, fills, 1.0, 1.0, 0.0, returns, "")


def _fold(
    arms: dict[str, float], *, fills: int = 100, noise: float = 0.0, worst: float | None = None, **more: Any
) -> Fold:
    trials = [_trial(arm, model, pnl, fills) for arm, pnl in arms.items() for model in MODELS if arm != CONTROL]
    trials.append(_trial(CONTROL, "queue", arms[CONTROL], fills))
    trials = [
        _trial(one.arm, one.fill_model, one.returns[0], fills, noise if one.arm == WITH else 0.0)
        if one.fill_model == "queue" or worst is None or one.arm != WITH
        else _trial(one.arm, one.fill_model, worst, fills)
        for one in trials
    ]
    calm = States({}, 10.0, 360.0, 0.01, {}, 0.9)
    shown = {"log_likelihood_test": 1.0, "gaussian_test": 0.0, "converged": True, "states": calm, **more}
    plain = {"window": Window("fold 1", 0, 1, 1, 2), "samples": 900, "tested": 300, "log_likelihood": 1.0}
    return Fold(trials=tuple(trials), **plain, **shown)


def _verdict(*folds: Fold) -> tuple[Verdict, str]:
    gains = [_gain(folds, WITHOUT, model, 1) for model in MODELS] + [_gain(folds, CONTROL, "queue", 1)]
    return _judged(folds, gains, "queue")


GOOD = {WITHOUT: 0.0, WITH: 1.0, CONTROL: 0.2}


def test_more_than_everything_everywhere_pays() -> None:
    verdict, reason = _verdict(_fold(GOOD), _fold(GOOD))
    assert verdict is Verdict.PAYS
    assert reason.startswith("out of sample it earned +200.00 more than without (90 %: +200.00 to +200.00)")


@pytest.mark.parametrize(
    ("fold", "verdict", "said"),
    [
        (_fold({**GOOD, WITHOUT: 1.5}), Verdict.NOT, "-50.00 more than without"),
        (_fold({**GOOD, CONTROL: 1.5}), Verdict.NOT, "what helps is the distance, not the regimes"),
        (_fold(GOOD, noise=20.0), Verdict.UNTOLD, "within what luck alone shows"),
        (_fold(GOOD, worst=-1.0), Verdict.UNTOLD, "-100.00 under the fill model pessimistic"),
        (_fold(GOOD, fills=29), Verdict.TOO_FEW, "an arm had 29 fills in all tests, 30 are needed"),
    ],
)
def test_anything_less_does_not(fold: Fold, verdict: Verdict, said: str) -> None:
    found, reason = _verdict(fold)
    assert found is verdict
    assert said in reason


def test_what_a_reader_should_mind_is_said() -> None:
    wild = States({}, 10.0, 360.0, 0.2, {}, 0.1)
    fold = _fold({WITHOUT: 0.0, WITH: 1.0, CONTROL: 0.0}, states=wild, log_likelihood_test=-1.0, converged=False)
    told = " ".join(_cautions([fold], "queue"))
    for text in (
        "no better than one normal",
        "names are not stable",
        "did not converge",
        "20% of the seconds were unlike",
    ):
        assert text in told
    assert _cautions([_fold(GOOD)], "queue") == []


def test_agreement_is_one_for_the_same_and_about_none_for_luck() -> None:
    states = np.arange(3000) % 3
    luck = np.random.default_rng(1).permutation(states)
    assert cohens_kappa(states, states) == 1
    assert abs(cohens_kappa(states, luck)) < 0.05
    assert math.isnan(cohens_kappa(np.zeros(5, dtype=np.int64), np.zeros(5, dtype=np.int64)))


def test_volatility_ahead_is_that_of_the_minute_after() -> None:
    steps = np.where(np.arange(200) < 100, 1e-4, 3e-4)
    mid = 100 * np.exp(np.cumsum(steps * (-1.0) ** np.arange(200)))
    ahead = _volatility_ahead(Samples(np.arange(200) * NS_PER_S, np.zeros((200, 1)), mid))
    assert ahead[10] == pytest.approx(1.0)
    assert ahead[110] == pytest.approx(3.0)
    assert np.isnan(ahead[-30:]).all()


def test_a_mixture_of_one_cloud_is_no_better_than_one_normal_distribution() -> None:
    random = np.random.default_rng(5)
    rows, others = random.normal(size=(2, 3000, len(FEATURES)))
    model = fit(rows, window_s=60, levels=5, seed=1).model
    ours = np.mean([model.posterior(row).log_likelihood for row in others.tolist()]) - np.log(model.scale).sum()
    assert ours == pytest.approx(gaussian_log_likelihood(rows, others), abs=0.05)


def test_samples_of_a_tape_are_what_a_strategy_would_measure(tmp_path_factory: pytest.TempPathFactory) -> None:
    tape = write_tape(tmp_path_factory.mktemp("samples") / "btc.tape", seconds=40)
    name = InstrumentId("BTC_USDT_Perp")
    played = plan_feed(tape, (name,), {})
    samples = samples_of(tape, played, name, window_s=20, levels=5)
    assert samples.rows.shape == (len(samples.ts_ns), len(FEATURES))
    assert 19 <= len(samples.ts_ns) <= 21
    assert np.diff(samples.ts_ns) / NS_PER_S == pytest.approx(1, abs=0.15)
    assert np.isfinite(samples.rows).all()
    inside = samples.between(int(samples.ts_ns[3]), int(samples.ts_ns[7]))
    assert len(inside.mid) == 4
