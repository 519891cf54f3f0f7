"""Keys of the market maker that were changed though nothing reads them, because what they belong to is switched off.

The numbers of the quoting models that perpmaker brings, which may be read and still do nothing, are `quoting/inert.py`'s;
those of a model that somebody added are here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perpmaker.strategies.quoting.inert import MODEL_KEYS, Inert
from perpmaker.strategies.quoting.maker_params import MarketMakerParams
from perpmaker.strategies.quoting.models import MODELS
from perpmaker.strategies.signals.filters import EVERYTHING
from perpmaker.strategies.signals.params import RegimeParams
from perpmaker.strategies.signals.registry import FILTERS

_LATCH = ("latch_max_s", "latch_release_buy_rsi", "latch_release_sell_rsi")
_BOOST = ("boost_near_bps", "boost_far_bps")


def idle_keys(params: MarketMakerParams) -> tuple[Inert, ...]:
    """Return every key that differs from its default and is not read, with the reason; each once."""
    found: dict[str, Inert] = {}
    for table, keys, reason in _switched_off(params):
        present = getattr(params, table)
        default = type(present)()
        for key in keys:
            name = f"{table}.{key}"
            if getattr(present, key) != getattr(default, key) and name not in found:
                found[name] = Inert(name, f"{name} is not read: {reason}")
    return tuple(found.values())


def ever_says(p: RegimeParams) -> frozenset[str]:
    """Return what the chosen filter may say at all; nothing without a filter."""
    if p.filter == "none":
        return frozenset()
    said: frozenset[str] = getattr(getattr(p, p.filter), "SAYS", EVERYTHING)
    return said


def _switched_off(p: MarketMakerParams) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield table, keys and why they are not read now."""
    yield "quoting", _of_other_models(p.quoting.model), f"model is {p.quoting.model}"
    if p.quoting.order_equity_frac is not None:
        yield "quoting", ("order_notional",), "order_equity_frac is given"
    if not p.quoting.fee_floor:
        yield "quoting", ("min_edge_bps", "assumed_maker_fee_bps"), "fee_floor is false"
    if p.reference.instrument is None:
        yield "reference", _all_but(p.reference, "instrument"), "reference.instrument is not given"
    if not p.alpha.imbalance_bps:
        yield "alpha", ("imbalance_levels",), "imbalance_bps is 0"
    if not p.alpha.flow_bps:
        yield "alpha", ("flow_half_life_s",), "flow_bps is 0"
    if not p.funding.mult:
        yield "funding", ("inventory_half_life_s",), "mult is 0"
    s = p.schedule
    if s.hours_utc is None and s.blackouts is None and not s.funding_before_s and not s.funding_after_s:
        yield "schedule", ("outside",), "nothing is scheduled"
    yield from _unprotected(p)
    if not p.markout.pull:
        yield "markout", _all_but(p.markout, "pull"), "pull is false"
    if p.toxicity.pause_above is None:
        yield "toxicity", _all_but(p.toxicity, "pause_above"), "pause_above is not given"
    yield from _unsaid(p.regime)
    if not p.adapt.on:
        yield "adapt", _all_but(p.adapt, "on"), "adapt.on is false"


def _of_other_models(model: str) -> tuple[str, ...]:
    """Return the keys that other models read and this one does not, without those that `quoting/inert.py` names."""
    named = {*MODELS[model].parameters, *MODEL_KEYS}
    return tuple(dict.fromkeys(key for other in MODELS.values() for key in other.parameters if key not in named))


def _unprotected(p: MarketMakerParams) -> Iterator[tuple[str, tuple[str, ...], str]]:
    given = p.protection
    if given.trailing_stop_bps is None:
        yield "protection", ("trailing_from_bps",), "trailing_stop_bps is not given"
    limits = (given.stop_loss_bps, given.take_profit_bps, given.trailing_stop_bps, given.time_limit_s)
    if all(limit is None for limit in limits):
        yield "protection", ("close_slippage_bps", "rest_s"), "nothing is protected"
    if not given.has_price:
        yield "protection", ("at_venue", "at_venue_beyond_bps"), "no stop and no take profit is given"
    elif not given.at_venue:
        yield "protection", ("at_venue_beyond_bps",), "at_venue is false"


def _unsaid(p: RegimeParams) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield what depends on something the chosen filter never says."""
    says = ever_says(p)
    nobody = "there is no filter" if p.filter == "none" else f"filter {p.filter} never says so"
    for word, keys in (
        ("trending", ("trending_width_mult", "when_trending")),
        ("ranging", ("ranging_width_mult",)),
        ("volatile", ("volatile_width_mult",)),
        ("signal", (*_LATCH, *_BOOST, "anchor_signal_loss_bps")),
    ):
        if word not in says:
            yield "regime", keys, nobody
    if p.filter == "none":
        yield "regime", ("bar_s",), nobody
    if not p.latch:
        yield "regime", _LATCH, "latch is false"
    if not p.boost:
        yield "regime", _BOOST, "boost is false"
    if p.model is None:
        yield "regime", ("blend",), "regime.model is not given"
    if not p.anchor:
        yield "regime", ("anchor_loss_bps", "anchor_signal_loss_bps"), "anchor is false"
    reads_rsi = "signal" in says and p.latch
    others = tuple(name for name in FILTERS if name != p.filter and not (name == "rsi" and reads_rsi))
    yield "regime", others, f"filter is {p.filter}"


def _all_but(table: Any, name: str) -> tuple[str, ...]:
    return tuple(key for key in table.__struct_fields__ if key != name)
