"""A trained Gaussian mixture as plain numbers: its file, and the posterior of its components.

The file is JSON: schema, checksum and, as one JSON object, the model. No code is in it and none is run. Nothing but
arithmetic is needed to use it. docs/explanation/signals.md says how it is made and used.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from perpmaker.errors import ConfigError
from perpmaker.strategies.regimes.features import FEATURES

SCHEMA: Final = 1
COMPONENTS: Final = ("trending", "ranging", "volatile")
_CONSTANT: Final = len(FEATURES) * math.log(2 * math.pi)
_AGAIN: Final = "train it again: perpmaker train regime"


class RegimeModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A mixture over standardised features x = (feature - centre) / scale.

    Component k has weight w_k, mean m_k and the Cholesky factor P_k of its precision (columns as scikit-learn has them):
    ln density = -(d ln 2 pi + |(x - m_k) P_k|²) / 2 + sum of ln diag P_k.
    """

    features: tuple[str, ...]
    components: tuple[str, ...]
    window_s: int
    levels: int
    """Of each side of the book, for the imbalance."""
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    precisions_cholesky: tuple[tuple[tuple[float, ...], ...], ...]
    least_log_likelihood: float
    """Below it a market is unlike anything the model was trained on."""
    trained: dict[str, str] = {}
    """On what, when and how, for people."""

    def posterior(self, features: Sequence[float]) -> Posterior:
        """Return how likely each component is, for features as they were measured."""
        x0, x1, x2, x3, x4 = [
            (value - centre) / scale for value, centre, scale in zip(features, self.centre, self.scale, strict=True)
        ]
        logs = []
        for log_weight, log_determinant, mean, factor in self._components:
            m0, m1, m2, m3, m4 = mean
            p00, p01, p11, p02, p12, p22, p03, p13, p23, p33, p04, p14, p24, p34, p44 = factor
            # written out, because loops over five numbers take four times as long
            a0, a1, a2, a3, a4 = x0 - m0, x1 - m1, x2 - m2, x3 - m3, x4 - m4
            y0 = a0 * p00
            y1 = a0 * p01 + a1 * p11
            y2 = a0 * p02 + a1 * p12 + a2 * p22
            y3 = a0 * p03 + a1 * p13 + a2 * p23 + a3 * p33
            y4 = a0 * p04 + a1 * p14 + a2 * p24 + a3 * p34 + a4 * p44
            squares = y0 * y0 + y1 * y1 + y2 * y2 + y3 * y3 + y4 * y4
            logs.append(log_weight + (log_determinant - (_CONSTANT + squares) / 2))
        most = max(logs)
        parts = [math.exp(value - most) for value in logs]
        total = sum(parts)
        return Posterior(tuple([part / total for part in parts]), most + math.log(total))

    @functools.cached_property
    def _components(self) -> tuple[tuple[float, float, tuple[float, ...], tuple[float, ...]], ...]:
        """Of each component ln weight, ln determinant of P, mean, and P column by column without the zeros below it."""
        width = range(len(FEATURES))
        return tuple(
            (
                math.log(weight),
                sum([math.log(factor[at][at]) for at in width]),
                mean,
                tuple([factor[row][column] for column in width for row in range(column + 1)]),
            )
            for weight, mean, factor in zip(self.weights, self.means, self.precisions_cholesky, strict=True)
        )

    def problem(self) -> str:
        """Return what is wrong with the numbers, "" for nothing."""
        count, width = len(COMPONENTS), len(FEATURES)
        rows = [*self.means, *(row for factor in self.precisions_cholesky for row in factor), self.centre, self.scale]
        shapes_fit = (
            len(self.weights) == len(self.means) == len(self.precisions_cholesky) == count
            and all(len(factor) == width for factor in self.precisions_cholesky)
            and all(len(row) == width for row in rows)
        )
        if self.features != FEATURES or self.components != COMPONENTS:
            return f"it has other features or components than {', '.join(FEATURES)} and {', '.join(COMPONENTS)}"
        if not shapes_fit:
            return f"its arrays are not of {count} components and {width} features"
        numbers = [*self.weights, self.least_log_likelihood, *(value for row in rows for value in row)]
        if not all(map(math.isfinite, numbers)):
            return "a number in it is not finite"
        if min(self.weights) <= 0 or abs(sum(self.weights) - 1) > 1e-6:
            return "its weights are not above 0 with the sum 1"
        if min(self.scale) <= 0 or any(
            factor[at][at] <= 0 for factor in self.precisions_cholesky for at in range(width)
        ):
            return "a scale or a precision in it is not above 0"
        if not 10 <= self.window_s <= 3600 or not 1 <= self.levels <= 50:
            return "window_s has to be 10 to 3600 and levels 1 to 50"
        return ""


class Posterior(msgspec.Struct, frozen=True):
    """Shares of the components (in the order of `COMPONENTS`, the sum is 1), and the ln density of what was seen."""

    shares: tuple[float, ...]
    log_likelihood: float


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    checksum: str
    model: msgspec.Raw


def model_bytes(model: RegimeModel) -> bytes:
    """Return the file of a model; the same model gives the same bytes."""
    body = msgspec.json.format(msgspec.json.encode(model), indent=1)
    return b'{"schema":%d,\n"checksum":"%s",\n"model":%s}\n' % (SCHEMA, _checksum(body).encode(), body)


def parse_model(data: bytes) -> RegimeModel:
    """Return the model of a file's bytes; ConfigError says what is wrong with them."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"is no regime model, or is damaged ({error}); {_AGAIN}") from error
    if file.schema != SCHEMA:
        raise ConfigError(f"has schema {file.schema}; this perpmaker reads schema {SCHEMA}; {_AGAIN}")
    body = bytes(file.model)
    if _checksum(body) != file.checksum:
        raise ConfigError(f"is damaged: its checksum is {_checksum(body)}, not {file.checksum}; {_AGAIN}")
    try:
        model = msgspec.json.decode(body, type=RegimeModel)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"holds no model of schema {SCHEMA} ({error}); {_AGAIN}") from error
    problem = model.problem()
    if problem:
        raise ConfigError(f"cannot be used: {problem}; {_AGAIN}")
    return model


@functools.cache
def read_model(path: Path) -> RegimeModel:
    """Return the model of a file as it was when this process first read it; ConfigError when it cannot be used."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from error
    return parse_model(data)


def trained_of(kind: str, params: Mapping[str, Any]) -> bytes:
    """Return a digest of the model that a strategy's keys name, as it was when first read; b"" for none."""
    regime = params.get("regime") if kind == "market_maker" else None
    path = regime.get("model") if isinstance(regime, Mapping) else None
    return blake2b(model_bytes(read_model(Path(path))), digest_size=16).digest() if isinstance(path, str) else b""


def _checksum(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()
