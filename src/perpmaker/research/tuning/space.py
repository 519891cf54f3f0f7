"""Which keys are varied, and where: each dimension is a line from 0 to 1, so that "near" means the same for all of them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from perpmaker.config import TuneRange
from perpmaker.errors import ConfigError
from perpmaker.strategies.schema import SearchKey

Value = int | float | str | bool
_EDGE: Final = 0.05
_DIGITS: Final = 4
"""Significant digits of a number that is tried: more would only look precise."""
_SPREAD: Final = 4.0
"""Without bounds: from a quarter of the default to four times the default."""


class Dimension(msgspec.Struct, frozen=True):
    """One key. Numbers have `low` and `high`; names and flags have `choices`, which are not near or far from each other."""

    name: str
    kind: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def is_number(self) -> bool:
        return not self.choices

    def unit(self, value: Value) -> float:
        """Return where a number lies between the bounds, 0 to 1."""
        number = float(value)
        if self.log:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    def at(self, unit: float) -> Value:
        """Return the number at a place from 0 to 1, rounded as it is tried."""
        unit = min(1.0, max(0.0, unit))
        number = self.low * (self.high / self.low) ** unit if self.log else self.low + unit * (self.high - self.low)
        return self.rounded(number)

    def rounded(self, number: float) -> Value:
        if self.kind == "integer":
            return round(number)
        rounded = float(f"{number:.{_DIGITS}g}")
        return min(self.high, max(self.low, rounded))

    def beside(self, value: Value, step: float) -> Value | None:
        """Return the number `step` (signed, of the range) away, a whole one at least 1; None beyond the range."""
        unit = self.unit(value) + step
        moved = self.at(unit)
        if self.kind == "integer" and moved == value:
            moved = int(value) + (1 if step > 0 else -1)
        inside = self.low <= float(moved) <= self.high
        return moved if inside and moved != value and -1e-9 <= unit <= 1 + 1e-9 else None

    @property
    def distribution(self) -> BaseDistribution:
        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.kind == "integer":
            return IntDistribution(round(self.low), round(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


class Space(msgspec.Struct, frozen=True):
    """All dimensions of a search."""

    dimensions: tuple[Dimension, ...]

    def values(self, asked: Mapping[str, Value]) -> dict[str, Value]:
        """Return what is tried for what a sampler asked: its numbers rounded."""
        return {d.name: d.rounded(float(asked[d.name])) if d.is_number else asked[d.name] for d in self.dimensions}

    def distributions(self) -> dict[str, BaseDistribution]:
        return {dimension.name: dimension.distribution for dimension in self.dimensions}

    def scattered(self, count: int, seed: int) -> list[dict[str, Value]]:
        """Return sets spread evenly over the space, at random: a Latin hypercube.

        McKay, Beckman and Conover (1979), Technometrics 21(2), 239-245.
        """
        random = np.random.default_rng(seed)
        columns: list[list[Value]] = []
        for dimension in self.dimensions:
            units = (random.permutation(count) + random.random(count)) / max(count, 1)
            if dimension.is_number:
                columns.append([dimension.at(float(unit)) for unit in units])
            else:
                places = np.floor(units * len(dimension.choices)).astype(int).tolist()
                columns.append([dimension.choices[place] for place in places])
        names = [dimension.name for dimension in self.dimensions]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def distance(self, one: Mapping[str, Value], other: Mapping[str, Value], among: Sequence[str]) -> float:
        """Return the largest difference over these numbers, in parts of their ranges."""
        return max(
            (abs(d.unit(one[d.name]) - d.unit(other[d.name])) for d in self.dimensions if d.name in among),
            default=math.inf,
        )

    def neighbours(self, of: Mapping[str, Value], steps: Sequence[float]) -> dict[str, list[dict[str, Value]]]:
        """Return, by dimension, the sets that differ from `of` in that number alone, by each step up and down."""
        found: dict[str, list[dict[str, Value]]] = {}
        for dimension in self.dimensions:
            if not dimension.is_number:
                continue
            moved = [dimension.beside(of[dimension.name], sign * step) for step in steps for sign in (-1, 1)]
            values = dict.fromkeys(value for value in moved if value is not None)
            found[dimension.name] = [{**of, dimension.name: value} for value in values]
        return found

    def edges(self, of: Mapping[str, Value]) -> list[str]:
        """Return the numbers that lie at an end of their range (within a twentieth): the best may be beyond."""
        return [d.name for d in self.dimensions if d.is_number and not _EDGE <= d.unit(of[d.name]) <= 1 - _EDGE]


def space_of(keys: Iterable[SearchKey], vary: Mapping[str, TuneRange]) -> Space:
    """Return the space that a configuration asks for; ConfigError with every problem, a line each."""
    known = {key.name: key for key in keys}
    problems: list[str] = []
    dimensions: list[Dimension] = []
    for name, asked in vary.items():
        key = known.get(name)
        if key is None:
            near = difflib.get_close_matches(name, known, n=3)
            meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            problems.append(f"{name}: is not a key of the strategy; {meant}")
            continue
        try:
            dimensions.append(dimension_of(key, asked))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    if not dimensions:
        raise ConfigError(
            "nothing to vary: name keys of the strategy under [tune.vary], or with --vary KEY=LOW:HIGH. With a range of "
            f"their own there are {', '.join(name for name, key in known.items() if _has_range(key))}"
        )
    return Space(tuple(dimensions))


def dimension_of(key: SearchKey, asked: TuneRange) -> Dimension:
    """Return the dimension of one key; ConfigError when its range cannot be."""
    if key.kind in ("name", "flag"):
        return _choice(key, asked)
    if key.kind == "text":
        raise ConfigError(f"{key.name}: is free text and cannot be varied")
    low = _bound(key, asked.low, 1 / _SPREAD)
    high = _bound(key, asked.high, _SPREAD)
    for name, value in (("low", low), ("high", high)):
        if not key.allows(value):
            raise ConfigError(f"{key.name}: {name} = {value:g} is not allowed; the key allows {_range_text(key)}")
    if key.kind == "integer" and not (low.is_integer() and high.is_integer()):
        low, high = math.ceil(low), math.floor(high)
    if low >= high:
        raise ConfigError(f"{key.name}: low = {low:g} must be below high = {high:g}")
    if asked.log and low <= 0:
        raise ConfigError(f"{key.name}: low = {low:g} must be above 0 with log = true")
    return Dimension(key.name, key.kind, low, high, asked.log)


def _choice(key: SearchKey, asked: TuneRange) -> Dimension:
    if asked.low is not None or asked.high is not None:
        raise ConfigError(
            f"{key.name}: has names, not numbers; give choices, of {', '.join(key.choices) or 'true, false'}"
        )
    if key.kind == "flag":
        return Dimension(key.name, key.kind, choices=(False, True))
    unknown = [choice for choice in asked.choices if choice not in key.choices]
    if unknown:
        raise ConfigError(f"{key.name}: {unknown[0]!r} is not one of {', '.join(key.choices)}")
    chosen: tuple[Value, ...] = tuple(asked.choices or key.choices)
    if len(chosen) < 2:
        raise ConfigError(f"{key.name}: one choice is none to vary")
    return Dimension(key.name, key.kind, choices=chosen)


def _bound(key: SearchKey, given: Decimal | None, times: float) -> float:
    if given is not None:
        return float(given)
    if not _has_range(key):
        raise ConfigError(f"{key.name}: has no default to start from; give it low and high")
    bound = float(key.default) * times
    if key.low is not None:
        bound = max(bound, key.low)
    return bound if key.high is None else min(bound, key.high)


def _has_range(key: SearchKey) -> bool:
    if key.kind in ("name", "flag"):
        return len(key.choices) > 1 or key.kind == "flag"
    return key.kind != "text" and key.default is not None and float(key.default) > 0


def _range_text(key: SearchKey) -> str:
    return f"{'any' if key.low is None else f'{key.low:g}'} to {'any' if key.high is None else f'{key.high:g}'}"
