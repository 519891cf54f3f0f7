"""From files to one tape: each format read into small fixed units, then tick and lot found, and the clock set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args

import msgspec
import numpy as np

from perpmaker.errors import ConfigError, DataError
from perpmaker.model.ids import HOME_EXCHANGE, instrument_id
from perpmaker.model.units import NS_PER_MS
from perpmaker.tape.columns import Columns
from perpmaker.tape.importers import bybit, databento, tardis
from perpmaker.tape.importers.binance import BinanceCapture, symbol_of
from perpmaker.tape.importers.dbn import is_dbn
from perpmaker.tape.importers.files import first_bytes, first_line
from perpmaker.tape.importers.hftbacktest import HftBacktest
from perpmaker.tape.importers.lobster import MESSAGE_NAME, Lobster
from perpmaker.tape.importers.sheet import PX_UNIT, QTY_UNIT, Sheet
from perpmaker.tape.reader import Tape, open_tape
from perpmaker.tape.schema import Contract, Kind, TapeInstrument
from perpmaker.tape.writer import TapeWriter

Format = Literal["binance", "bybit-book", "bybit-trades", "hftbacktest", "tardis", "lobster", "databento"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_IN_TICKS: Final = (Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE, Kind.BBO)


class Options(msgspec.Struct, frozen=True):
    """What a person may say besides the files; None: as the files say, or as it is found in them."""

    format: Format | None = None
    symbol: str | None = None
    """The instrument's name on the tape; files of one instrument only."""
    exchange: str | None = None
    tick: Decimal | None = None
    lot: Decimal | None = None
    contract: Contract | None = None
    multiplier: Decimal | None = None
    least_latency_ns: int | None = None
    """Shift receive times by a constant, so that the smallest latency becomes this."""


class Report(msgspec.Struct, frozen=True):
    """What an import came to."""

    rows: int
    bad: dict[str, str]
    """By file: its bad rows, each kind with its number and first line."""
    least_latency_ns: int | None
    """Before any shift; None where there are no venue times. Below 0 the two clocks disagree by more than the way takes."""
    shifted_ns: int


class _Reader(Protocol):
    def read(self, path: Path, sheet: Sheet) -> None: ...


def convert(
    paths: Sequence[Path], target: Path, options: Options, steps: Callable[[Path, int], None] = lambda path, done: None
) -> Report:
    """Write recordings as one tape; files of one kind follow each other, those of different kinds are merged by time.

    Raises DataError, naming file and line, when one is broken; then there is no tape.
    """
    with ExitStack() as until_end:
        bad: dict[str, str] = {}
        raw: list[Path] = []
        kinds: dict[tuple[Format, str], list[Path]] = {}
        for path in paths:
            kinds.setdefault(_kind(path, options), []).append(path)
        for place, (kind, files) in enumerate(kinds.items()):
            part = target.with_name(f".{target.name}.part{place}")
            until_end.callback(part.unlink, missing_ok=True)
            raw.append(part)
            _read_all(_reader(kind[0], options), files, part, bad, steps)
        return _finish(open_tape(*raw), target, options, _source(paths), bad)


def detect(path: Path) -> Format:
    """Return what a file is by its name and its first line; DataError when it is of no format that is known."""
    if path.suffix == ".npz":
        return "hftbacktest"
    if MESSAGE_NAME.match(path.name):
        return "lobster"
    if is_dbn(path, first_bytes(path)):
        return "databento"
    line = first_line(path)
    if b'"topic"' in line and b"orderbook" in line:
        return "bybit-book"
    if line.partition(b" ")[0].isdigit() and b"{" in line:
        return "binance"
    header = {name.strip() for name in line.decode("utf-8", "replace").split(",")}
    if {"action", "order_id", "flags"} <= header:
        return "databento"
    if {"exchange", "local_timestamp"} <= header:
        return "tardis"
    if set(bybit.TRADE_COLUMNS) <= header:
        return "bybit-trades"
    raise DataError(f"{path}: of no format that is known; --format says which: {', '.join(FORMATS)}")


def _kind(path: Path, options: Options) -> tuple[Format, str]:
    """Return what one reader reads: a format and, where it has several, which of them or whose."""
    form = options.format or detect(path)
    if form == "binance":
        return form, symbol_of(path)
    return form, first_line(path).decode("utf-8", "replace") if form == "tardis" else ""


def _reader(form: Format, options: Options) -> _Reader:
    match form:
        case "binance":
            return BinanceCapture()
        case "bybit-book":
            return bybit.BybitBook()
        case "bybit-trades":
            return bybit.BybitTrades()
        case "tardis":
            return tardis.Tardis()
        case "lobster":
            return Lobster()
        case "databento":
            return databento.DatabentoMbo(options.exchange or "databento")
        case "hftbacktest":
            if options.symbol is None:
                raise ConfigError("an npz file does not name its instrument: say --symbol, and --exchange")
            return HftBacktest(options.symbol, options.exchange or HOME_EXCHANGE)


def _read_all(
    reader: _Reader, files: Iterable[Path], target: Path, bad: dict[str, str], steps: Callable[[Path, int], None]
) -> None:
    with TapeWriter(target) as writer:
        for path in files:
            sheet = Sheet(writer, path, lambda done, path=path: steps(path, done))  # type: ignore[misc]
            reader.read(path, sheet)
            sheet.judge()
            if sheet.bad:
                bad[path.name] = sheet.told()
    if not writer.written:
        raise DataError(f"{path}: holds no market data")


class _Grid:
    """Which grid the prices and quantities of an instrument lie on, in the units of a sheet."""

    def __init__(self) -> None:
        self.px = 0
        self.qty = 0


def _finish(raw: Tape, target: Path, options: Options, source: str, bad: dict[str, str]) -> Report:
    grids, least_ns = _survey(raw)
    shift_ns = 0
    if options.least_latency_ns is not None:
        if least_ns is None:
            raise DataError("no row has a venue time, so no latency is known that could be set")
        shift_ns = options.least_latency_ns - least_ns
    listed = [_listed(known, grid, options, len(grids)) for known, grid in zip(raw.instruments, grids, strict=True)]
    px_units = np.array([int(known.instrument.tick / PX_UNIT) for known in listed], dtype=np.int64)
    qty_units = np.array([int(known.instrument.lot / QTY_UNIT) for known in listed], dtype=np.int64)
    with TapeWriter(target, listed, source=source) as writer:
        for columns in raw.chunks():
            writer.add_columns(_on_grid(columns, px_units, qty_units, shift_ns, listed))
        writer.notes |= {f"bad rows of {name}": told for name, told in bad.items()}
        if least_ns is not None:
            writer.notes["least latency"] = f"{least_ns / NS_PER_MS:.3f} ms as recorded"
        if shift_ns:
            writer.notes["receive times shifted"] = f"{shift_ns / NS_PER_MS:+.3f} ms"
    return Report(writer.written, bad, least_ns, shift_ns)


def _survey(raw: Tape) -> tuple[list[_Grid], int | None]:
    grids = [_Grid() for _ in raw.instruments]
    least_ns: int | None = None
    for columns in raw.chunks():
        told = columns.event_ns > 0
        if told.any():
            here = int((columns.recv_ns[told] - columns.event_ns[told]).min())
            least_ns = here if least_ns is None else min(least_ns, here)
        in_ticks = np.isin(columns.kind, _IN_TICKS)
        for place, grid in enumerate(grids):
            ours = in_ticks & (columns.instrument == place)
            grid.px = int(np.gcd.reduce(np.unique(columns.px[ours]), initial=grid.px))
            grid.qty = int(np.gcd.reduce(np.unique(columns.qty[ours]), initial=grid.qty))
    return grids, least_ns


def _listed(known: TapeInstrument, grid: _Grid, options: Options, count: int) -> TapeInstrument:
    """Return an instrument's rules: as a person said, else the coarsest tick and decimal lot that fit every row."""
    before = known.instrument
    if count > 1 and (options.symbol, options.tick, options.lot, options.contract, options.multiplier) != (None,) * 5:
        raise ConfigError("--symbol, --tick, --lot, --contract and --multiplier are for files of one instrument")
    tick = options.tick or PX_UNIT * (grid.px or 1)
    lot = options.lot or QTY_UNIT * _power_of_ten(grid.qty)
    if tick % PX_UNIT or lot % QTY_UNIT:
        raise ConfigError(f"a tick is a multiple of {PX_UNIT} and a lot of {QTY_UNIT}")
    exchange = options.exchange or (HOME_EXCHANGE if options.symbol else before.exchange)
    symbol = options.symbol or before.symbol
    rules = msgspec.structs.replace(
        before,
        instrument_id=instrument_id(symbol, exchange), symbol=symbol, exchange=exchange,
        tick=_plain(tick), lot=_plain(lot), min_qty=_plain(lot),
    )  # fmt: skip
    return TapeInstrument(
        rules,
        options.contract or known.contract,
        known.multiplier if options.multiplier is None else options.multiplier,
    )


def _on_grid(
    columns: Columns, px_units: Any, qty_units: Any, shift_ns: int, listed: Sequence[TapeInstrument]
) -> Columns:
    in_ticks = np.isin(columns.kind, _IN_TICKS)
    places = np.where(in_ticks, columns.instrument, 0)
    px_unit, qty_unit = np.where(in_ticks, px_units[places], 1), np.where(in_ticks, qty_units[places], 1)
    px, px_rest = np.divmod(columns.px, px_unit)
    qty, qty_rest = np.divmod(columns.qty, qty_unit)
    for rest, values, unit, what in (
        (px_rest, columns.px, PX_UNIT, "tick"),
        (qty_rest, columns.qty, QTY_UNIT, "lot"),
    ):
        if rest.any():
            at = int(np.flatnonzero(rest)[0])
            rules = listed[int(columns.instrument[at])].instrument
            raise DataError(
                f"{rules.symbol}: {_plain(int(values[at]) * unit)} at {int(columns.recv_ns[at])} ns is no multiple of the "
                f"{what}, {rules.tick if what == 'tick' else rules.lot}"
            )
    return columns._replace(recv_ns=columns.recv_ns + shift_ns, px=px, qty=qty)


def _power_of_ten(units: int) -> int:
    """Return the largest power of ten that divides `units`, 1 for 0."""
    power = 1
    while units and units % (power * 10) == 0:
        power *= 10
    return power


def _plain(value: Decimal) -> Decimal:
    """Return a number as a venue would print it: no exponent, no zeros at the end."""
    return Decimal(f"{value.normalize():f}")


def _source(paths: Sequence[Path]) -> str:
    return f"imported from {', '.join(path.name for path in paths)}"
