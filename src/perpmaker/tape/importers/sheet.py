"""What importers write on: rows in fixed small units, before anybody knows the tick; bad rows counted and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Final

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import StaleReason, Ticker
from perpmaker.model.ids import HOME_EXCHANGE, InstrumentId, instrument_id
from perpmaker.model.instrument import Instrument
from perpmaker.tape.schema import FIRST, LAST, STALE_REASONS, Contract, Kind, TapeInstrument
from perpmaker.tape.writer import TapeWriter

PX_UNIT: Final = Decimal("1e-9")
QTY_UNIT: Final = Decimal("1e-8")
_MAX: Final = (1 << 63) - 1
_QUOTES: Final = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "EUR", "BTC", "ETH")
MAX_BAD_FRAC: Final = 0.01
"""Beyond this share of bad rows a file is not what it is taken for ..."""
_FEW: Final = 100
"""... unless they are few and no more than half: a piece of a day begins with orders and levels it knows nothing of."""


class BadRow(ValueError):
    """A row that says something impossible; it is left out."""


class Sheet:
    """Collects one file's rows. Prices are in 1e-9, quantities in 1e-8; `convert` finds the tick and the lot."""

    def __init__(self, writer: TapeWriter, path: Path, steps: Callable[[int], None] = lambda done: None) -> None:
        self.path = path
        self.bad: Counter[str] = Counter()
        self.first_bad: dict[str, int] = {}
        self.read = 0
        self._writer = writer
        self._rows = writer.rows
        self._steps = steps

    @contextmanager
    def row(self, number: int, *, counted: bool = True) -> Iterator[None]:
        """Leave a row out that raises BadRow; `number` is its line."""
        self.read += counted
        if not self.read % 10_000:
            self._steps(self.read)
        try:
            yield
        except BadRow as bad:
            reason = str(bad)
            self.bad[reason] += 1
            self.first_bad.setdefault(reason, number)

    def judge(self) -> None:
        """Raise DataError when there were no rows, or so many bad ones that the file must be something else."""
        count = sum(self.bad.values())
        if not self.read:
            raise DataError(f"{self.path}: holds no rows")
        if count and (count > self.read * MAX_BAD_FRAC and (count > _FEW or count * 2 > self.read)):
            raise DataError(f"{self.path}: {count} of {self.read} rows are bad: {self.told()}")

    def told(self) -> str:
        """Say what bad rows there were, each kind with its number and its first line."""
        return "; ".join(f"{n} x {why} (first: line {self.first_bad[why]})" for why, n in self.bad.most_common())

    def instrument(
        self, symbol: str, exchange: str, *, contract: Contract = "linear", multiplier: Decimal = Decimal(1)
    ) -> InstrumentId:
        """Make an instrument known; a symbol as venues write them is taken apart into its currencies."""
        base, quote = currencies(symbol)
        rules = Instrument(
            instrument_id=instrument_id(symbol, exchange or HOME_EXCHANGE), symbol=symbol, exchange=exchange,
            base=base, quote=quote, tick=PX_UNIT, lot=QTY_UNIT, min_qty=QTY_UNIT, min_notional=Decimal(0),
        )  # fmt: skip
        self._rows.list_instrument(TapeInstrument(rules, contract, multiplier))
        return rules.instrument_id

    def levels(
        self,
        kind: Kind,
        instrument: InstrumentId,
        bids: Sequence[Level],
        asks: Sequence[Level],
        event_ns: int,
        recv_ns: int,
        update_id: int = 0,
    ) -> None:
        self._rows.levels(kind, instrument, bids, asks, event_ns, recv_ns, update_id)
        self._writer.settle()

    def bbo(
        self, instrument: InstrumentId, bid: Level, ask: Level, update_id: int, event_ns: int, recv_ns: int
    ) -> None:
        """Add the best prices of a stream of such."""
        self._rows.bbo(instrument, {1: bid, -1: ask}, update_id, event_ns, recv_ns)
        self._writer.settle()

    def trade(
        self, instrument: InstrumentId, side: int, px: int, qty: int, trade_id: str, event_ns: int, recv_ns: int
    ) -> None:
        if px <= 0 or qty <= 0:
            raise BadRow("a trade without price or size")
        self._rows.print(instrument, side, px, qty, trade_id, event_ns, recv_ns)
        self._writer.settle()

    def ticker(self, ticker: Ticker) -> None:
        self._writer.add(ticker)

    def stale(self, instrument: InstrumentId, reason: StaleReason, recv_ns: int) -> None:
        place, code = self._rows.place(instrument), STALE_REASONS.index(reason)
        self._rows.values.extend((recv_ns, recv_ns, Kind.STALE, FIRST | LAST, place, 0, 0, 0, code))
        self._writer.settle()


@lru_cache(maxsize=65_536)
def px_of(value: str | Decimal) -> int:
    """Return a price in 1e-9; raise BadRow when it is none."""
    units = _units(value, PX_UNIT, "price")
    if units <= 0:
        raise BadRow("a price that is not above 0")
    return units


@lru_cache(maxsize=65_536)
def qty_of(value: str | Decimal) -> int:
    """Return a quantity in 1e-8; raise BadRow when it is none."""
    units = _units(value, QTY_UNIT, "quantity")
    if units < 0:
        raise BadRow("a quantity below 0")
    return units


def level_of(px: str | Decimal, qty: str | Decimal) -> Level:
    return px_of(px), qty_of(qty)


def integer(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadRow(f"a {what} that is no whole number") from None


def currencies(symbol: str) -> tuple[str, str]:
    """Return base and quote currency of a symbol as venues write it: BTCUSDT, BTCUSD_PERP, BTC-PERPETUAL, BTC_USDT_Perp."""
    plain = symbol.upper().replace("-", "_").removesuffix("_PERP").removesuffix("_PERPETUAL")
    base, mark, quote = plain.partition("_")
    if mark and quote in _QUOTES:
        return base, quote
    for known in _QUOTES:
        if plain.endswith(known) and len(plain) > len(known):
            return plain.removesuffix(known), known
    return plain, "USD"


def _units(value: str | Decimal, unit: Decimal, what: str) -> int:
    try:
        units, rest = divmod(Decimal(value), unit)
    except InvalidOperation:
        raise BadRow(f"a {what} that is no number") from None
    if rest or not -_MAX <= units <= _MAX:
        raise BadRow(f"a {what} finer than {unit} or out of range")
    return int(units)
