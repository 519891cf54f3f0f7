"""Which parameters do not matter in the present regime.

A parameter that cannot change a quote is worse than none: whoever turns it believes to have turned something. Each knob
is doubled and halved with everything else held; if neither moves the half-spread or the skew by one per cent of the
half-spread, it is inert, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from perpmaker.strategies.quoting.models import MODELS, Floor, floored, half_spread_floor
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.shape import Arrivals, Market, Shape

_NEGLIGIBLE = 0.01

MODEL_KEYS = (
    "half_spread_bps",
    "vol_mult",
    "horizon_s",
    "gamma",
    "xi",
    "kappa",
    "arrivals_per_s",
    "min_half_spread_bps",
    "inventory_skew_factor",
    "skew_bps_at_max_position",
)


class Inert(msgspec.Struct, frozen=True):
    """A parameter that changes nothing now, and a sentence that says so."""

    name: str
    text: str


def inert_parameters(
    params: QuotingParams, market: Market, *, q_max: float, tick: float, maker_fee: float, quote_currency: str
) -> tuple[Inert, ...]:
    """Return every parameter that changes nothing now, and what sets the spread when no measurement does.

    `market` holds the values in use, given or measured. `tick` in quote units, `maker_fee` a fraction of notional,
    `q_max` the largest position in orders.
    """
    regime = _Regime(params, market, q_max, tick, maker_fee)
    found = list(_not_read(params))
    if params.model != "fixed" and not any(regime.moves_half(knob) for knob in _measured(params)):
        found.append(Inert("spread", _whatever_the_market(regime, quote_currency)))
    for knob in _knobs(params):
        if not regime.matters(knob):
            said = knob.said(params, quote_currency)
            found.append(Inert(knob.name, f"{said} does not matter now: halved or doubled, no quote moves"))
    return tuple(found)


class _Knob(msgspec.Struct, frozen=True):
    """One number to double and halve: a parameter, or a measurement."""

    name: str
    unit: str
    turn: Callable[[QuotingParams, Market, float], tuple[QuotingParams, Market]]

    def said(self, params: QuotingParams, quote_currency: str) -> str:
        value: float = getattr(params, self.name)
        return f"{self.name} = {value:g}{self.unit.format(quote=quote_currency)}"


class _Regime:
    """The quotes of here and now as a function of one turned knob."""

    def __init__(self, params: QuotingParams, market: Market, q_max: float, tick: float, maker_fee: float) -> None:
        self.params, self.market = params, market
        self._q_max, self._tick, self._maker_fee = q_max, tick, maker_fee
        self.raw = MODELS[params.model].shape(market, params, q_max)
        self.floor = self._floor_of(params)
        self.shape = floored(self.raw, self.floor)

    def matters(self, knob: _Knob) -> bool:
        return any(
            self._differs(shape.skew_bid * self._q_max, self.shape.skew_bid * self._q_max)
            or self._differs(shape.skew_ask * self._q_max, self.shape.skew_ask * self._q_max)
            or self._half_differs(shape)
            for shape in self._turned(knob)
        )

    def moves_half(self, knob: _Knob) -> bool:
        return any(self._half_differs(shape) for shape in self._turned(knob))

    @property
    def is_floored(self) -> bool:
        return self.raw.half_bid < self.floor.half and self.raw.half_ask < self.floor.half

    @property
    def spread_bps(self) -> float:
        return (self.shape.half_bid + self.shape.half_ask) / self.market.fair * 1e4

    def _turned(self, knob: _Knob) -> Iterator[Shape]:
        for factor in (0.5, 2.0):
            params, market = knob.turn(self.params, self.market, factor)
            shape = MODELS[params.model].shape(market, params, self._q_max)
            yield floored(shape, self._floor_of(params))

    def _floor_of(self, params: QuotingParams) -> Floor:
        return half_spread_floor(params, self.market.fair, self._tick, self._maker_fee)

    def _half_differs(self, shape: Shape) -> bool:
        return self._differs(shape.half_bid, self.shape.half_bid) or self._differs(shape.half_ask, self.shape.half_ask)

    def _differs(self, one: float, other: float) -> bool:
        return abs(one - other) > _NEGLIGIBLE * min(self.shape.half_bid, self.shape.half_ask)


def _knobs(params: QuotingParams) -> Iterator[_Knob]:
    """Every number of the parameters that the model reads now."""
    read = MODELS[params.model].parameters
    for name, unit in (
        ("half_spread_bps", ""),
        ("vol_mult", ""),
        ("gamma", " per {quote}"),
        ("xi", " per {quote}"),
        ("horizon_s", ""),
        ("inventory_skew_factor", ""),
    ):
        if name in read and getattr(params, name):
            yield _Knob(name, unit, _parameter(name))
    if "kappa" in read and params.kappa is not None:
        yield _Knob("kappa", " per {quote}", _both(_parameter("kappa"), _kappa))
    if "arrivals_per_s" in read and params.arrivals_per_s is not None:
        yield _Knob("arrivals_per_s", "", _both(_parameter("arrivals_per_s"), _rate))
    leans = "skew_bps_at_max_position" in read and ("gamma" not in read or params.gamma is None)
    if leans and params.skew_bps_at_max_position:
        yield _Knob("skew_bps_at_max_position", "", _parameter("skew_bps_at_max_position"))


def _measured(params: QuotingParams) -> Iterator[_Knob]:
    """What the model reads of the market and nobody has given."""
    model = MODELS[params.model]
    if model.measures_sigma:
        yield _Knob("sigma", "", _sigma)
    if model.measures_kappa and params.kappa is None:
        yield _Knob("kappa", "", _kappa)
    if model.measures_rate and params.arrivals_per_s is None:
        yield _Knob("A", "", _rate)


_Turn = Callable[[QuotingParams, Market, float], tuple[QuotingParams, Market]]


def _parameter(name: str) -> _Turn:
    def turn(params: QuotingParams, market: Market, factor: float) -> tuple[QuotingParams, Market]:
        value: float = getattr(params, name)
        return msgspec.structs.replace(params, **{name: value * factor}), market

    return turn


def _both(first: _Turn, second: _Turn) -> _Turn:
    def turn(params: QuotingParams, market: Market, factor: float) -> tuple[QuotingParams, Market]:
        params, market = first(params, market, factor)
        return second(params, market, factor)

    return turn


def _sigma(params: QuotingParams, market: Market, factor: float) -> tuple[QuotingParams, Market]:
    return params, msgspec.structs.replace(market, sigma=market.sigma * factor)


def _kappa(params: QuotingParams, market: Market, factor: float) -> tuple[QuotingParams, Market]:
    def scaled(side: Arrivals) -> Arrivals:
        return Arrivals(rate=side.rate, kappa=side.kappa * factor)

    return params, msgspec.structs.replace(market, bid=scaled(market.bid), ask=scaled(market.ask))


def _rate(params: QuotingParams, market: Market, factor: float) -> tuple[QuotingParams, Market]:
    def scaled(side: Arrivals) -> Arrivals:
        return Arrivals(rate=side.rate * factor, kappa=side.kappa)

    return params, msgspec.structs.replace(market, bid=scaled(market.bid), ask=scaled(market.ask))


def _whatever_the_market(regime: _Regime, quote_currency: str) -> str:
    """Name what alone sets the spread when no measurement does."""
    params = regime.params
    if regime.is_floored:
        return f"{regime.floor.rule} makes the spread {regime.spread_bps:.1f} bps whatever the market"
    setting = [knob.said(params, quote_currency) for knob in _knobs(params) if regime.moves_half(knob)]
    return f"{' with '.join(setting) or 'the model'} makes the spread {regime.spread_bps:.1f} bps whatever the market"


def _not_read(params: QuotingParams) -> Iterator[Inert]:
    """Parameters that were changed from their default though nothing reads them."""
    default = QuotingParams()
    read = MODELS[params.model].parameters
    for name in MODEL_KEYS:
        value = getattr(params, name)
        if name not in read and value != getattr(default, name):
            yield Inert(name, f"{name} = {value:g} is not read by model {params.model}")
    skew = params.skew_bps_at_max_position
    is_solved = "skew_bps_at_max_position" in read and "gamma" in read
    if skew != default.skew_bps_at_max_position and params.gamma is not None and is_solved:
        yield Inert("skew_bps_at_max_position", f"skew_bps_at_max_position = {skew:g} is not read: gamma is given")
    if params.size_growth != default.size_growth and params.size_ladder == "flat":
        yield Inert("size_growth", f"size_growth = {params.size_growth:g} is not read by size_ladder flat")
