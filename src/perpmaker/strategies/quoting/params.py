"""The keys of `[strategy.quoting]`, with the defaults of REQUIREMENTS §4."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

from perpmaker.strategies.schema import Table, key

ModelName = Literal["glft", "avellaneda_stoikov", "volatility", "fixed", "classic"]


class QuotingParams(Table, frozen=True, kw_only=True):
    """How far, how much and how often to quote. Distances in bps are of fair value."""

    model: Annotated[ModelName, key("", "How the distance from fair is found.")] = "glft"
    fair: Annotated[Literal["microprice", "mid"], key("", "The price that is quoted around.")] = "microprice"

    half_spread_bps: Annotated[float, key("bps", "fixed: distance of the innermost quote.", gt=0, le=1000)] = 5.0
    vol_mult: Annotated[
        float, key("", "volatility: half-spread as a multiple of the price move of one second.", gt=0, le=100)
    ] = 1.5
    horizon_s: Annotated[
        float, key("s", "avellaneda_stoikov: how long inventory is expected to be held; it rolls.", gt=0, le=86_400)
    ] = 60.0
    gamma: Annotated[
        float | None,
        key("1 per quote currency", "Risk aversion; without it, it is solved from skew_bps_at_max_position.", gt=0),
    ] = None
    skew_bps_at_max_position: Annotated[
        float, key("bps", "How far a full position moves both quotes; gamma is solved from it.", ge=0, le=500)
    ] = 40.0
    xi: Annotated[
        float | None, key("1 per quote currency", "glft: fear of not being filled; without it, gamma; 0 is none.", ge=0)
    ] = None
    kappa: Annotated[
        float | None,
        key("1 per quote currency", "How fast arrivals fade with distance; without it, it is measured.", gt=0),
    ] = None
    arrivals_per_s: Annotated[
        float | None, key("1 per s", "glft: arrivals at distance 0 (A); without it, they are measured.", gt=0)
    ] = None

    min_half_spread_bps: Annotated[
        float, key("bps", "Floor of a computed half-spread (every model but fixed).", ge=0, le=1000)
    ] = 1.0
    min_edge_bps: Annotated[
        float, key("bps", "Every model: the half-spread is never less than maker fee plus this.", ge=0, le=1000)
    ] = 0.5
    fee_floor: Annotated[
        bool, key("", "Keep to that floor; without it a quote may cost more than it earns (classic).")
    ] = True
    assumed_maker_fee_bps: Annotated[
        float, key("bps", "Maker fee, > 0 a cost, until the venue or own fills have told it.", ge=-100, le=100)
    ] = 2.0
    inventory_skew_factor: Annotated[
        float, key("", "classic: a full position moves both quotes by so many half-spreads.", ge=0, le=10)
    ] = 0.5
    max_distance_bps: Annotated[
        float, key("bps", "A quote further than this from fair is left out; keep it inside the price collar.", gt=0)
    ] = 90.0

    layers: Annotated[int, key("", "Quotes per side.", ge=1, le=50)] = 7
    layer_spacing_bps: Annotated[float, key("bps", "Distance between layers.", gt=0, le=1000)] = 12.0
    order_notional: Annotated[Decimal, key("quote currency", "Size of the innermost order.", gt=0)] = Decimal(200)
    size_ladder: Annotated[
        Literal["flat", "linear", "geometric"], key("", "How sizes grow outwards, by size_growth.")
    ] = "flat"
    size_growth: Annotated[
        float,
        key("", "linear: layer n is 1 + n * (growth - 1) times the innermost; geometric: growth**n.", gt=0, le=10),
    ] = 1.5
    order_amount_shape_factor: Annotated[
        float,
        key("", "Sizes on the side that adds to the position shrink by exp(-factor * position / limit).", ge=0, le=10),
    ] = 0.0
    target_position: Annotated[Decimal, key("base currency", "The position it leans to, signed.")] = Decimal(0)

    tolerance_bps: Annotated[
        float | None,
        key(
            "bps",
            "An order this near its wanted price keeps its place (at most half the half-spread); without it, a quarter.",
            ge=0,
            le=100,
        ),
    ] = None
    replace: Annotated[
        Literal["each", "all"],
        key("", "each: only what left its tolerance is replaced; all: one such order and the whole ladder is."),
    ] = "each"
    cool_down_s: Annotated[
        float,
        key(
            "s", "So long after a fill its side gets no new quote; what rests stays, or moves outwards.", ge=0, le=3600
        ),
    ] = 2.0
    price_floor: Annotated[
        float | None, key("quote currency", "No ask stands below it; without it, anywhere.", gt=0)
    ] = None
    price_ceiling: Annotated[
        float | None, key("quote currency", "No bid stands above it; without it, anywhere.", gt=0)
    ] = None
    order_equity_frac: Annotated[
        float | None,
        key("", "Size of the innermost order as a share of equity, instead of order_notional.", gt=0, le=1),
    ] = None
    max_position_equity_frac: Annotated[
        float | None,
        key("", "The position limit as a share of equity, if that is less than the risk limit.", gt=0, le=20),
    ] = None
    rpi_share: Annotated[
        float,
        key("", "Share of each quote that only retail flow can take (RPI), where the venue has it.", ge=0, le=1),
    ] = 0.0
    refresh_interval_s: Annotated[float, key("s", "Quotes are stated anew at least this often.", ge=0.1, le=60)] = 1.0

    def problems(self) -> Sequence[str]:
        found = []
        depth_bps = (self.layers - 1) * self.layer_spacing_bps
        if depth_bps >= self.max_distance_bps:
            found.append(
                f"layers = {self.layers} with layer_spacing_bps = {self.layer_spacing_bps:g} reach {depth_bps:g} bps: "
                f"must stay under max_distance_bps = {self.max_distance_bps:g}"
            )
        least = "half_spread_bps" if self.model == "fixed" else "min_half_spread_bps"
        if getattr(self, least) >= self.max_distance_bps:
            found.append(
                f"{least} = {getattr(self, least):g}: must be less than max_distance_bps = {self.max_distance_bps:g}, "
                "or nothing is ever quoted"
            )
        floor, ceiling = self.price_floor, self.price_ceiling
        if floor is not None and ceiling is not None and floor >= ceiling:
            found.append(f"price_floor = {floor:g}: must be less than price_ceiling = {ceiling:g}")
        return found

    def size_multiple(self, layer: int) -> float:
        """Return the size of `layer` as a multiple of the innermost."""
        if self.size_ladder == "linear":
            return max(0.0, 1 + layer * (self.size_growth - 1))
        return self.size_growth**layer if self.size_ladder == "geometric" else 1.0

    def tolerance_for(self, half_spread_bps: float) -> float:
        """Return how far an order may be from its wanted price and stay.

        A quarter of the half-spread, at most 10 bps; a given tolerance at most half of it, so that no kept order comes
        nearer to fair than half its distance.
        """
        if self.tolerance_bps is None:
            return min(half_spread_bps / 4, 10.0)
        return min(self.tolerance_bps, half_spread_bps / 2)
