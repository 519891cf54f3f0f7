"""The trained model at work: features in, factors on gamma, kappa and spacing out; wider when it does not know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Explained
from perpmaker.strategies.quoting.multiples import PLAIN, Multiples, blended
from perpmaker.strategies.regimes.features import MarketFeatures
from perpmaker.strategies.regimes.model import COMPONENTS, Posterior, RegimeModel, read_model
from perpmaker.strategies.regimes.params import BlendParams


class MixtureState(msgspec.Struct, frozen=True):
    """What holds now; `shown` is for the dashboard and the journal."""

    multiples: Multiples
    shown: Mapping[str, Explained]


_OFF = MixtureState(PLAIN, {})


class Mixture:
    """Feeds the features, asks the model once a second, and averages what it says."""

    def __init__(self, path: str | None, params: BlendParams) -> None:
        self._params = params
        self._model: RegimeModel | None = None if path is None else read_model(Path(path))
        self._parts = params.multiples()
        self._shares: tuple[float, ...] = ()
        self._asked_ns = 0
        self._last: Posterior | None = None
        if self._model is not None:
            self._features = MarketFeatures(self._model.window_s, self._model.levels)

    def on_trade(self) -> None:
        if self._model is not None:
            self._features.on_trade()

    def on_book(self, now_ns: int, book: Book) -> None:
        """Take a whole, fresh book."""
        if self._model is None or not self._features.on_book(now_ns, book):
            return
        values = self._features.values()
        self._last = None if values is None else self._model.posterior(values)
        if self._last is None or self._is_strange(self._last):
            self._shares = ()
            return
        shares, before = self._last.shares, self._shares
        if before and self._params.half_life_s:
            kept = math.exp(-math.log(2) * (now_ns - self._asked_ns) / NS_PER_S / self._params.half_life_s)
            shares = tuple([kept * old + (1 - kept) * new for old, new in zip(before, shares, strict=True)])
        self._shares, self._asked_ns = shares, now_ns

    def on_gap(self) -> None:
        """The book was not whole and fresh throughout."""
        if self._model is not None:
            self._features.on_gap()
            self._last, self._shares = None, ()

    def state(self, now_ns: int) -> MixtureState:
        """Return the factors now; without a model none, without features that can be believed the wider ones."""
        if self._model is None:
            return _OFF
        doubt = self._doubt(now_ns)
        if doubt:
            width = self._params.unknown_width_mult
            return MixtureState(Multiples(width=width), {"regime_model": f"{doubt}: {width:g} times as wide"})
        found = blended(self._shares, self._parts)
        likeliest = max(range(len(COMPONENTS)), key=self._shares.__getitem__)
        shown: dict[str, Explained] = {
            "regime_model": f"{COMPONENTS[likeliest]} {self._shares[likeliest]:.0%}",
            **{f"p_{name}": share for name, share in zip(COMPONENTS, self._shares, strict=True)},
            "regime_gamma_mult": found.gamma,
            "regime_kappa_mult": found.kappa,
            "regime_spacing_mult": found.spacing,
        }
        return MixtureState(found, shown)

    def _doubt(self, now_ns: int) -> str:
        features = self._features
        age_s = (now_ns - features.book_ns) / NS_PER_S
        if features.book_ns and age_s > self._params.max_age_s:
            return f"the book is {age_s:.1f} s old"
        if self._last is None:
            return f"seen for {features.seen_s:.0f} of {features.window_s} s"
        if self._is_strange(self._last):
            return "unlike anything the model was trained on"
        return ""

    def _is_strange(self, found: Posterior) -> bool:
        return self._model is not None and not found.log_likelihood >= self._model.least_log_likelihood
