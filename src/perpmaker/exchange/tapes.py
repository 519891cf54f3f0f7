"""Which tapes the exchange plays, and as what: each instrument of a tape becomes one the exchange lists.

It keeps the tape's tick and, where quantities are base units, its lot. Everything is settled in the venue's one currency,
so a coin-margined or spot market is played as the linear perpetual of its base; contracts become base units at each price,
to a lot a hundredth of a contract or finer.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.errors import ConfigError, DataError
from perpmaker.exchange.backpack.market import INSTRUMENTS as BACKPACK_INSTRUMENTS
from perpmaker.exchange.backpack.market import SETTLE as BACKPACK_SETTLE
from perpmaker.exchange.core.instruments import BTC, DEFAULT_INSTRUMENTS, Instrument
from perpmaker.exchange.core.replay import TapeMarket
from perpmaker.exchange.core.types import NANO
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.faults import BACKPACK
from perpmaker.tape.binance import BookTicker, DepthSnapshot, DepthUpdate, PxQty, Row, Trade, read_capture
from perpmaker.tape.schema import SUFFIX, TapeInstrument

_LOOKED_AT: Final = 20_000
"""Rows of a capture looked at to find out what it is of."""
_CONTRACT_PARTS: Final = 100


class Taped(msgspec.Struct, frozen=True):
    """A recorded market, and the instrument it is played as."""

    symbol: str
    instrument: Instrument
    rows: Callable[[], Iterable[Row]]
    base_qty: Callable[[Decimal, Decimal], Decimal] | None = None
    """From a price and a recorded quantity to base units, to be rounded to lots; None: it is base units, on the lot."""

    def market(self, venue: Venue) -> TapeMarket:
        """Open the recording and play it up to its first whole book."""
        lots_of = None if self.base_qty is None else lru_cache(maxsize=65_536)(self._lots)
        names = {self.symbol: self.instrument.name}
        return TapeMarket(venue, [self.rows()], symbols=names, symbol=self.symbol, lots_of=lots_of)

    def _lots(self, px: Decimal, qty: Decimal) -> int:
        if not qty or self.base_qty is None:
            return 0
        lots = (self.base_qty(px, qty) * NANO / self.instrument.lot_nano).to_integral_value(ROUND_HALF_UP)
        return max(1, int(lots))


def open_tapes(paths: Sequence[Path], venue: str) -> list[Taped]:
    """Return what the tapes hold, as a venue lists it; captures of one symbol follow each other, in the order given.

    Raises ConfigError when two are of one instrument, DataError when one cannot be read.
    """
    found: list[Taped] = []
    captures: dict[str, list[Path]] = {}
    for path in paths:
        if path.is_dir() or path.suffix == SUFFIX:
            found += _of_tape(path, venue)
        else:
            captures.setdefault(_capture_symbol(path), []).append(path)
    found += [_of_captures(symbol, files, venue) for symbol, files in captures.items()]
    names = [taped.instrument.name for taped in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(f"the tapes hold {', '.join(sorted(twice))} twice; one venue plays one market of it")
    if not found:
        raise DataError(f"{', '.join(map(str, paths))}: no instrument with a book")
    return found


def play_together(markets: Sequence[TapeMarket]) -> None:
    """Have markets begin at one moment of the recording, the first at which all of them have a whole book."""
    if len(markets) > 1:
        origin_ns = max(market.whole_recv_ns for market in markets)
        for market in markets:
            market.begin_at(origin_ns)


# --- raw captures


def _capture_symbol(path: Path) -> str:
    for row in islice(read_capture(path), _LOOKED_AT):
        if not isinstance(row, DepthSnapshot):
            return row.symbol
    raise DataError(f"{path}: no row names a symbol")


def _of_captures(symbol: str, files: Sequence[Path], venue: str) -> Taped:
    rows = list(islice(chain.from_iterable(map(read_capture, files)), _LOOKED_AT))
    prices = [px for row in rows for px, _ in _levels_of(row)]
    sizes = [qty for row in rows for _, qty in _levels_of(row)]
    if not prices:
        raise DataError(f"{files[0]}: no book in its first {_LOOKED_AT} rows")
    base, quote = _currencies(symbol)
    is_spot = any(isinstance(row, DepthUpdate) and row.prev_update_id is None for row in rows)
    contract = Decimal(100 if base == "BTC" else 10) if symbol.endswith("_PERP") else None
    instrument = _instrument(base, quote, venue, _step(prices), _lot(_step(sizes), contract, prices[0]), prices[0])

    def again() -> Iterator[Row]:
        return chain.from_iterable(map(read_capture, files))

    return Taped(symbol, instrument, again, _base_qty(contract, inexact=is_spot))


def _levels_of(row: Row) -> Iterable[PxQty]:
    match row:
        case DepthSnapshot() | DepthUpdate():
            return (*row.bids, *row.asks)
        case BookTicker():
            return ((row.bid_px, row.bid_qty), (row.ask_px, row.ask_qty))
        case Trade():
            return ((row.px, row.qty),)


def _step(values: Iterable[Decimal]) -> Decimal:
    """Return the power of ten that all values are whole multiples of."""
    exponents = [exponent for value in values if isinstance(exponent := value.normalize().as_tuple().exponent, int)]
    return Decimal(1).scaleb(min(0, *exponents)) if exponents else Decimal(1)


# --- tapes


def _of_tape(path: Path, venue: str) -> Iterator[Taped]:
    try:
        from perpmaker.tape.own import must_be_market
        from perpmaker.tape.reader import open_tape
    except ImportError as error:
        raise ConfigError(f"{path}: tapes need the research packages ({error.name} is missing)") from error

    tape = open_tape(path)
    must_be_market(tape)
    if not tape.in_order:
        raise DataError(f"{path}: its receive times go back; a market that is played needs them in order")
    for place, listed in enumerate(tape.instruments):
        first_px = _first_px(path, place, listed)
        if first_px is None:
            continue
        rules = listed.instrument
        contract = listed.multiplier if listed.contract == "inverse" else None
        lot = _lot(rules.lot * (1 if contract else listed.multiplier), contract, first_px)
        instrument = _instrument(rules.base, rules.quote, venue, rules.tick, lot, first_px)
        scaled = _base_qty(contract, inexact=instrument.lot != rules.lot, multiplier=listed.multiplier)
        yield Taped(str(listed.instrument_id), instrument, _Rows(path, place, listed), scaled)


class _Rows:
    """The rows of one instrument of a tape, as often as they are asked for."""

    def __init__(self, path: Path, place: int, listed: TapeInstrument) -> None:
        self._path, self._place, self._listed = path, place, listed

    def __call__(self) -> Iterator[Row]:
        from perpmaker.tape.flow import capture_rows

        return capture_rows(self._path, self._place, self._listed)


def _first_px(path: Path, place: int, listed: TapeInstrument) -> Decimal | None:
    """Return a price of the first whole book, None for an instrument without one or with nothing after it."""
    px = None
    for row in _Rows(path, place, listed)():
        if px is not None:
            return px
        if isinstance(row, DepthSnapshot) and row.bids and row.asks:
            px = row.bids[0][0]
    return None


# --- as the venue lists it


def _instrument(base: str, quote: str, venue: str, tick: Decimal, lot: Decimal, px: Decimal) -> Instrument:
    """Return the venue's own instrument when the grid is the same, else one like it with the tape's grid."""
    name = f"{base}_{BACKPACK_SETTLE}_PERP" if venue == BACKPACK else f"{base}_USDT_Perp"
    known = {row.name: row for row in (BACKPACK_INSTRUMENTS if venue == BACKPACK else DEFAULT_INSTRUMENTS)}
    tick_nano = int(tick * NANO)
    lot_nano = int(lot * NANO)
    while lot_nano and tick_nano * lot_nano % NANO:  # a lot moving one tick is a whole number of quote nanos
        lot_nano *= 10
    if tick_nano <= 0 or lot_nano <= 0:
        raise DataError(f"{base}_{quote}: a tick of {tick} and a lot of {lot} are finer than the exchange counts")
    like = known.get(name)
    if like is not None and (like.tick_nano, like.lot_nano) == (tick_nano, lot_nano):
        return like
    if like is None:
        like = next(iter(known.values())) if venue == BACKPACK else BTC
        number = 64 + zlib.crc32(base.encode()) % 128
        asset = number if venue == BACKPACK else 0x030001 | number << 8
        like = msgspec.structs.replace(like, name=name, base=base, asset_id=asset)
    return msgspec.structs.replace(
        like,
        tick_nano=tick_nano,
        lot_nano=lot_nano,
        max_position_lots=like.max_position_lots * like.lot_nano // lot_nano or 1,
        start_px_nano=int(px * NANO),
        min_lots=1,
        guess=True,
    )


def _lot(lot: Decimal, contract: Decimal | None, px: Decimal) -> Decimal:
    if contract is None:
        return lot
    return Decimal(1).scaleb((contract / px / _CONTRACT_PARTS).adjusted())


def _base_qty(
    contract: Decimal | None, *, inexact: bool, multiplier: Decimal = Decimal(1)
) -> Callable[[Decimal, Decimal], Decimal] | None:
    if contract is not None:
        return lambda px, qty: qty * contract / px
    return (lambda px, qty: qty * multiplier) if inexact or multiplier != 1 else None


def _currencies(symbol: str) -> tuple[str, str]:
    plain = symbol.upper().removesuffix("_PERP")
    for quote in ("USDT", "USDC", "FDUSD", "USD"):
        if plain.endswith(quote) and plain != quote:
            return plain.removesuffix(quote), quote
    raise DataError(f"{symbol}: its currencies are not told by its name")
