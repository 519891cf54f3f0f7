"""How many orders a strategy keeps at once at the most, as its parameters say: the room `max_open_orders` has to leave."""

from __future__ import annotations

from typing import Final, NamedTuple

from perpmaker.strategies.api import StrategyParams
from perpmaker.strategies.grid.params import GridParams
from perpmaker.strategies.idle import ever_says
from perpmaker.strategies.pair.cross_maker import CrossMakerParams
from perpmaker.strategies.pair.params import LegParams
from perpmaker.strategies.quoting.maker_params import MarketMakerParams
from perpmaker.strategies.skewed_maker import SkewedMakerParams

_SIDES: Final = 2
_BOOSTS: Final = 2
"""Extra orders of a signal, on its side: one near, one far."""
_OF_A_KIND: Final = 2
"""Of a protective order and the one that takes its place, for the moment that takes (execution.guards)."""


class OrdersKept(NamedTuple):
    """The most orders at once, on the account of the lead and on that of each other leg."""

    lead: int
    others: int = 0


def orders_kept(params: StrategyParams, *, triggers: bool) -> OrdersKept | None:
    """Return the most orders at once; None for a strategy of one's own, which says nothing of it.

    `triggers`: the account's venue keeps orders that wait for a price.
    """
    if isinstance(params, MarketMakerParams):
        return OrdersKept(_of_maker(params) + (_protective(params) if triggers else 0))
    if isinstance(params, GridParams):  # a cell that is partly filled wants both of its sides
        return OrdersKept(min(_SIDES * params.orders_per_side, params.count + 1))
    if isinstance(params, SkewedMakerParams):
        return OrdersKept(_SIDES)
    if isinstance(params, LegParams):
        return OrdersKept(_SIDES if isinstance(params, CrossMakerParams) else 1, others=1)
    return None


def _of_maker(params: MarketMakerParams) -> int:
    """Count every layer and boost of both sides, in two parts each where retail flow gets a share."""
    regime, quoting = params.regime, params.quoting
    boosts = _BOOSTS if regime.boost and "signal" in ever_says(regime) else 0
    parts = 2 if 0 < quoting.rpi_share < 1 else 1
    return parts * (_SIDES * quoting.layers + boosts)


def _protective(params: MarketMakerParams) -> int:
    given = params.protection
    if not given.at_venue:
        return 0
    stop = given.stop_loss_bps is not None or given.trailing_stop_bps is not None
    return _OF_A_KIND * (stop + (given.take_profit_bps is not None))
