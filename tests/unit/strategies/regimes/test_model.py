"""The file of a regime model, and the posterior of its mixture against scikit-learn's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from perpmaker.errors import ConfigError
from perpmaker.research.regime.fitting import fit
from perpmaker.strategies.regimes.features import FEATURES
from perpmaker.strategies.regimes.model import COMPONENTS, SCHEMA, model_bytes, parse_model, read_model, trained_of

from .made_model import made_model, write_model

WIDTH = len(FEATURES)


def _samples(seed: int, count: int = 120) -> np.ndarray:
    """Three clouds of their own shapes, far from standard units."""
    random = np.random.default_rng(seed)
    clouds = [
        random.normal(size=(count, WIDTH)) @ random.normal(size=(WIDTH, WIDTH)) + 4 * random.normal(size=WIDTH)
        for _ in COMPONENTS
    ]
    return np.concatenate(clouds) * np.array([0.1, 3, 0.5, 0.01, 20]) + np.array([-2, 1, 0, 0.5, 7])


@pytest.mark.parametrize("seed", [1, 2])
def test_our_posterior_is_scikit_learns(seed: int) -> None:
    samples = _samples(seed)
    fitted = fit(samples, window_s=60, levels=5, seed=seed)
    model = parse_model(model_bytes(fitted.model))
    others = np.concatenate([samples, _samples(seed + 100)])[::7]
    standard = (others - np.array(model.centre)) / np.array(model.scale)
    shares, densities = fitted.mixture.predict_proba(standard), fitted.mixture.score_samples(standard)
    for row, share, density in zip(others, shares, densities, strict=True):
        ours = model.posterior(row.tolist())
        assert ours.shares == pytest.approx([share[place] for place in fitted.order], abs=1e-9)
        assert ours.log_likelihood == pytest.approx(density, rel=1e-9)


def test_components_are_named_by_what_they_are_like() -> None:
    model = fit(_samples(3), window_s=60, levels=5, seed=3).model
    by_name = dict(zip(COMPONENTS, model.means, strict=True))
    volatility, trend = FEATURES.index("volatility"), FEATURES.index("trend")
    assert by_name["volatile"][volatility] == max(mean[volatility] for mean in model.means)
    assert by_name["trending"][trend] > by_name["ranging"][trend]


def test_the_same_samples_and_seed_give_the_same_file() -> None:
    first, second = (model_bytes(fit(_samples(1), window_s=60, levels=5, seed=9).model) for _ in range(2))
    assert first == second


def test_what_is_far_from_everything_has_shares_and_no_likelihood() -> None:
    found = made_model().posterior([80.0] * WIDTH)
    assert sum(found.shares) == pytest.approx(1)
    assert found.log_likelihood < -1000


def test_a_file_read_back_is_the_model(tmp_path: Path) -> None:
    assert read_model(write_model(tmp_path / "a.json")) == made_model()


def _changed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert data.count(old) >= 1
        return data.replace(old, new, 1)

    return change


def _with(**fields: object) -> Callable[[bytes], bytes]:
    return lambda _: model_bytes(msgspec.structs.replace(made_model(), **fields))


BAD = {
    "cut off": (lambda data: data[:-30], "is no regime model, or is damaged"),
    "empty": (lambda _: b"", "is no regime model, or is damaged"),
    "a pickle": (lambda _: b"\x80\x04\x95\x10\x00", "is no regime model, or is damaged"),
    "a digit": (_changed(b"0.3", b"0.2"), "its checksum is"),
    "a newer schema": (_changed(b'"schema":%d' % SCHEMA, b'"schema":%d' % (SCHEMA + 1)), "this perpmaker reads schema"),
    "a field more": (_changed(b'"schema"', b'"code":"x","schema"'), "is no regime model, or is damaged"),
    "other features": (_with(features=("volatility", "moon")), "other features or components"),
    "a short array": (_with(scale=(1.0,)), "not of 3 components and 5 features"),
    "weights": (_with(weights=(0.3, 0.3, 0.3)), "with the sum 1"),
    "a negative scale": (_with(scale=(1.0, 1.0, -1.0, 1.0, 1.0)), "a scale or a precision in it is not above 0"),
    "a window of nothing": (_with(window_s=0), "window_s has to be 10 to 3600"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_says_why_and_what_to_do(name: str) -> None:
    spoil, said = BAD[name]
    with pytest.raises(ConfigError, match=said) as refused:
        parse_model(spoil(model_bytes(made_model())))
    assert "perpmaker train regime" in str(refused.value)


def test_numbers_that_are_none_are_refused() -> None:
    data = model_bytes(made_model())
    assert b"-1000000.0" in data
    model = msgspec.structs.replace(made_model(), least_log_likelihood=math.nan)
    with pytest.raises(ConfigError):
        parse_model(model_bytes(model))


def test_nothing_of_scikit_learn_is_needed_to_use_it() -> None:
    import subprocess
    import sys

    code = "import sys, perpmaker.strategies.market_maker; print([m for m in ('sklearn', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_keys_that_name_another_model_are_another_configuration(tmp_path: Path) -> None:
    one, same = (write_model(tmp_path / f"{name}.json") for name in "ab")
    other = write_model(tmp_path / "c.json", window_s=30)
    digests = [trained_of("market_maker", {"regime": {"model": str(path)}}) for path in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
    assert (
        trained_of("market_maker", {})
        == trained_of("market_maker", {"regime": {"filter": "adx"}})
        == trained_of("my.py:Own", {"regime": {"model": "x"}})
        == b""
    )
