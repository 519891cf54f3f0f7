"""The regime filters by their names. Adding one is a file of its own and one line here: `name: ItsParams = ItsParams()`."""

from __future__ import annotations

import msgspec

from perpmaker.strategies.schema import Table
from perpmaker.strategies.signals.adx import AdxParams
from perpmaker.strategies.signals.atr import AtrParams
from perpmaker.strategies.signals.bollinger import BollingerParams
from perpmaker.strategies.signals.choppiness import ChoppinessParams
from perpmaker.strategies.signals.filters import RegimeFilter
from perpmaker.strategies.signals.rsi import RsiParams


class FilterTables(Table, frozen=True, kw_only=True):
    """One table of parameters per filter; the field's name is the filter's."""

    bollinger: BollingerParams = BollingerParams()
    rsi: RsiParams = RsiParams()
    adx: AdxParams = AdxParams()
    atr: AtrParams = AtrParams()
    choppiness: ChoppinessParams = ChoppinessParams()


FILTERS = tuple(field.name for field in msgspec.structs.fields(FilterTables))
"""Every name that `filter` may have besides "none"."""


def make_filter(name: str, tables: FilterTables) -> RegimeFilter:
    """Return a new filter of this name with its parameters."""
    made: RegimeFilter = getattr(tables, name).make()
    return made
