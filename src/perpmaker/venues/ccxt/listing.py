"""ccxt's markets as instruments: tick, lot and minimums exactly, in base units whatever the venue counts in."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from perpmaker.errors import DataError
from perpmaker.model.ids import InstrumentId, instrument_id
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.venues.ccxt.numbers import exact, optional, whole

TICK_SIZE: Final = 4
"""ccxt's `precisionMode` in which a precision is the step itself; in the others it is a count of digits."""
_MS_PER_HOUR: Final = 3600 * NS_PER_S // NS_PER_MS


class Listed(msgspec.Struct, frozen=True):
    """An instrument and what ccxt calls it. One contract is `contract_size` base units."""

    instrument: Instrument
    symbol: str
    """ccxt's unified symbol, "ETH/USDC:USDC"."""
    market_id: str
    """The venue's own, "ETH_USDC_PERP"."""
    contract_size: Decimal

    def contracts(self, qty: Decimal) -> Decimal:
        return qty / self.contract_size

    def qty(self, contracts: Decimal) -> Decimal:
        return contracts * self.contract_size


class Reading(msgspec.Struct, frozen=True):
    """What one read of the markets gave."""

    listed: dict[InstrumentId, Listed]
    unreadable: dict[str, str]


def read(markets: Mapping[str, Any], exchange: str, precision_mode: int) -> Reading:
    """Return the active linear perpetuals; those whose rules cannot be read are named, not guessed."""
    reading = Reading({}, {})
    for market in markets.values():
        if not market.get("swap") or market.get("linear") is not True or market.get("active") is False:
            continue
        try:
            found = _listed(market, exchange, precision_mode)
        except DataError as error:
            reading.unreadable[str(market.get("id"))] = str(error)
        else:
            reading.listed[found.instrument.instrument_id] = found
    return reading


def _listed(market: Mapping[str, Any], exchange: str, precision_mode: int) -> Listed:
    market_id = str(market["id"])
    size = optional(market.get("contractSize"), "contractSize") or Decimal(1)
    precision, limits = market.get("precision") or {}, market.get("limits") or {}
    lot = _step(precision.get("amount"), precision_mode, "precision.amount") * size
    smallest = optional((limits.get("amount") or {}).get("min"), "limits.amount.min")
    info = market.get("info") or {}
    interval = info.get("fundingInterval")
    return Listed(
        instrument=Instrument(
            instrument_id=instrument_id(market_id, exchange),
            symbol=market_id,
            exchange=exchange,
            base=str(market["base"]),
            quote=str(market["quote"]),
            tick=_step(precision.get("price"), precision_mode, "precision.price"),
            lot=lot,
            min_qty=max(lot, (smallest or Decimal(0)) * size),
            min_notional=optional((limits.get("cost") or {}).get("min"), "limits.cost.min") or Decimal(0),
            funding_interval_h=8 if interval is None else max(whole(interval, "fundingInterval") // _MS_PER_HOUR, 1),
        ),
        symbol=str(market["symbol"]),
        market_id=market_id,
        contract_size=size,
    )


def _step(value: Any, precision_mode: int, name: str) -> Decimal:
    step = exact(value, name)
    if precision_mode != TICK_SIZE:
        step = Decimal(1).scaleb(-whole(value, name))
    if step <= 0:
        raise DataError(f"{name}: {step} is no step")
    return step
