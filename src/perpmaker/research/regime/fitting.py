"""Fits the mixture with scikit-learn and writes it down as plain numbers."""

from __future__ import annotations

import warnings
from typing import Final

import msgspec
import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from perpmaker.errors import DataError
from perpmaker.research.metrics import Floats
from perpmaker.strategies.regimes.features import FEATURES
from perpmaker.strategies.regimes.model import COMPONENTS, RegimeModel

LEAST_SAMPLES: Final = 300
"""Five minutes of seconds: fewer cannot show three kinds of market."""
STRANGE_SHARE: Final = 0.001
"""Of the training: what is less likely than this is unlike anything seen."""
_RIDGE: Final = 1e-2
"""Added to the variances of standardised features: no component is thinner than a tenth of a feature's own spread (a
spread that is nearly always one tick would else have a density of its own)."""
_STILL: Final = 1e-9
_BEGINNINGS: Final = 5
_MOST_STEPS: Final = 500


class Fitted(msgspec.Struct, frozen=True):
    """A model, scikit-learn's own of it, and where its components are in that one."""

    model: RegimeModel
    mixture: GaussianMixture
    order: tuple[int, ...]
    converged: bool


def fit(samples: Floats, *, window_s: int, levels: int, seed: int, trained: dict[str, str] | None = None) -> Fitted:
    """Fit three components to rows of features; the same rows and seed give the same model. DataError for too few."""
    if len(samples) < LEAST_SAMPLES:
        raise DataError(f"{len(samples)} samples are too few to train on; {LEAST_SAMPLES} at least")
    centre, scale = samples.mean(axis=0), samples.std(axis=0)
    scale = np.where(scale > _STILL, scale, 1.0)  # a feature that never changes tells nothing, until it does
    standard = (samples - centre) / scale
    mixture = GaussianMixture(
        n_components=len(COMPONENTS),
        covariance_type="full",
        reg_covar=_RIDGE,
        n_init=_BEGINNINGS,
        max_iter=_MOST_STEPS,
        random_state=seed,
    )
    with warnings.catch_warnings(), threadpool_limits(1):  # a few columns: threads would only wait for each other
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by `converged`
        mixture.fit(standard)
    order = _named(mixture.means_)
    model = RegimeModel(
        features=FEATURES,
        components=COMPONENTS,
        window_s=window_s,
        levels=levels,
        centre=_row(centre),
        scale=_row(scale),
        weights=_row(mixture.weights_[list(order)]),
        means=tuple(_row(mixture.means_[place]) for place in order),
        precisions_cholesky=tuple(tuple(_row(row) for row in mixture.precisions_cholesky_[place]) for place in order),
        least_log_likelihood=float(np.quantile(mixture.score_samples(standard), STRANGE_SHARE)),
        trained={
            **(trained or {}),
            "samples": str(len(samples)),
            "seed": str(seed),
            "by": f"scikit-learn {sklearn.__version__}",
        },
    )
    return Fitted(model, mixture, order, bool(mixture.converged_))


def gaussian_log_likelihood(training: Floats, tested: Floats) -> float:
    """Return the mean ln density of rows under one normal distribution fitted to others: what a mixture has to beat."""
    centre, scale = training.mean(axis=0), training.std(axis=0)
    scale = np.where(scale > _STILL, scale, 1.0)
    one = GaussianMixture(n_components=1, covariance_type="full", reg_covar=_RIDGE, random_state=0)
    with threadpool_limits(1):
        one.fit((training - centre) / scale)
    return float(one.score((tested - centre) / scale)) - float(np.log(scale).sum())


def _named(means: Floats) -> tuple[int, ...]:
    """Return the places of trending, ranging, volatile: the most volatile one; of the others, that with more trend."""
    volatility, trend = FEATURES.index("volatility"), FEATURES.index("trend")
    volatile = int(np.argmax(means[:, volatility]))
    rest = sorted((place for place in range(len(means)) if place != volatile), key=lambda place: -means[place, trend])
    return (rest[0], rest[1], volatile)


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
