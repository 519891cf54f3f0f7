"""A regime model made of given numbers: three broad components one after the other along volatility."""

from __future__ import annotations

from pathlib import Path

from perpmaker.strategies.regimes.features import FEATURES
from perpmaker.strategies.regimes.model import COMPONENTS, RegimeModel, model_bytes

WIDTH = len(FEATURES)


def made_model(
    *,
    window_s: int = 20,
    weights: tuple[float, ...] = (0.3, 0.4, 0.3),
    apart: float = 0.5,
    least_log_likelihood: float = -1e6,
) -> RegimeModel:
    one = tuple(tuple(0.5 * float(row == column) for column in range(WIDTH)) for row in range(WIDTH))
    return RegimeModel(
        features=FEATURES,
        components=COMPONENTS,
        window_s=window_s,
        levels=3,
        centre=(0.0,) * WIDTH,
        scale=(1.0,) * WIDTH,
        weights=weights,
        means=tuple(tuple(apart * place if at == 0 else 0.0 for at in range(WIDTH)) for place in range(3)),
        precisions_cholesky=(one,) * 3,
        least_log_likelihood=least_log_likelihood,
        trained={"tape": "none"},
    )


def write_model(path: Path, **numbers: object) -> Path:
    path.write_bytes(model_bytes(made_model(**numbers)))  # type: ignore[arg-type]
    return path
