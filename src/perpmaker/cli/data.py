"""`perpmaker data`: a venue's candles, trades and funding history as files."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from perpmaker.clock import Clock, WallClock
from perpmaker.errors import ConfigError, DataError
from perpmaker.model.ids import HOME_EXCHANGE

if TYPE_CHECKING:
    from perpmaker.model.instrument import Instrument
    from perpmaker.venues.grvt.rest import Rest

    Row = tuple[str, ...]
    """The cells of a row; the first is its time, the last tells it from others of that time."""

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PAGE: Final = 1000
_HEADERS: Final = {
    "candles": ("time", "instrument", "open", "high", "low", "close", "volume", "trades"),
    "trades": ("time", "instrument", "side", "px", "qty", "trade_id"),
    "funding": ("time", "instrument", "rate", "mark_px", "interval_h"),
}
_TYPES: Final = {
    "time": "TIMESTAMP_NS", "open": "DOUBLE", "high": "DOUBLE", "low": "DOUBLE", "close": "DOUBLE", "volume": "DOUBLE",
    "trades": "BIGINT", "px": "DOUBLE", "qty": "DOUBLE", "rate": "DOUBLE", "mark_px": "DOUBLE", "interval_h": "BIGINT",
}  # fmt: skip


class Asked(NamedTuple):
    """What is wanted: from a time until before another."""

    what: str
    name: str
    interval_s: int
    from_ns: int
    to_ns: int


class Written(NamedTuple):
    """What came, with the times of the first and the last row."""

    rows: int
    first: str
    last: str

    def describe(self) -> str:
        return f"{self.rows:,} rows" + (f", {self.first[:19]} to {self.last[:19]} UTC" if self.rows else "")

    def missing(self, asked: Asked, venue: str) -> list[str]:
        """Say so when the beginning of what was asked for is not there: more than a tenth of it."""
        from perpmaker.cli.csv_file import utc

        if not self.rows:
            return [f"{venue} told no {asked.what} of that time"]
        is_late = self.first > utc(asked.from_ns + (asked.to_ns - asked.from_ns) // 10)
        return [f"{venue} told no {asked.what} before {self.first[:19]} UTC"] if is_late else []


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Download a venue's history."""


@command.command()
@click.argument("what", type=click.Choice(["candles", "trades", "funding"]))
@click.option("--instrument", required=True, metavar="NAME", help="By the venue's own symbol.")
@click.option(
    "--venue", default=HOME_EXCHANGE, show_default=True, metavar="NAME",
    help="Whose: grvt, backpack, or any venue with perpetuals by ccxt's name.",
)  # fmt: skip
@click.option(
    "--env", type=click.Choice(["local", "testnet", "staging", "prod"]), default="local", show_default=True,
    help="Where; local is the practice exchange of this home. No key is needed.",
)  # fmt: skip
@click.option(
    "--from", "begin", metavar="TIME", default="24h", show_default=True,
    help="UTC, as 2026-01-31T12:00:00, or how long ago: 90m, 24h, 30d.",
)  # fmt: skip
@click.option("--to", "end", metavar="TIME", help="The same; default: now. What happened then is not included.")
@click.option(
    "--interval", metavar="LENGTH", default="1m", show_default=True, help="Of candles: 1m, 5m, 15m, 1h, 4h, 1d ..."
)
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write: .csv or .parquet."
)
@click.pass_obj
def download(
    home: Path,
    what: str,
    instrument: str,
    venue: str,
    env: str,
    begin: str,
    end: str | None,
    interval: str,
    output: Path,
) -> None:
    """Download candles, trades or the funding history of one instrument of a venue.

    Times are UTC; prices in quote units, quantities in base units, funding rates as fractions per interval, positive when
    longs paid. What a venue does not tell is an empty cell. Some venues tell their last trades alone: when the beginning is
    missing it is said. The file is there whole or not at all.
    """
    from perpmaker.cli.csv_file import opened
    from perpmaker.cli.export import progress

    if output.suffix not in (".csv", ".parquet"):
        raise click.BadParameter(f"{output.name} ends neither in .csv nor in .parquet", param_hint="--output")
    clock = WallClock()
    now_ns = clock.now_ns()
    from_ns, to_ns = instant(begin, now_ns, "--from"), now_ns if end is None else instant(end, now_ns, "--to")
    if from_ns >= to_ns:
        raise click.UsageError("--from has to be before --to")
    interval_s = _length_s(interval)
    with ExitStack() as until_end:
        table = output if output.suffix == ".csv" else output.with_name(f".{output.name}.csv")
        if table is not output:
            until_end.callback(table.unlink, missing_ok=True)
        steps = until_end.enter_context(progress(f"downloading {what}"))
        with opened(table) as file:
            asked = Asked(what, instrument, interval_s, from_ns, to_ns)
            notes: list[str] = []
            if venue == HOME_EXCHANGE:
                history = _history(home, env, clock, asked, steps)
            else:
                history = _history_by_ccxt(home, venue, env, asked, steps, notes)
            written = asyncio.run(_write(file, _HEADERS[what], history))
        if table is not output:
            _to_parquet(table, output, _HEADERS[what])
    click.echo(f"{output}: {written.describe()}")
    for note in (*notes, *written.missing(asked, venue)):
        click.echo(f"note: {note}", err=True)


def instant(text: str, now_ns: int, option: str) -> int:
    """Return a time that was typed: ISO 8601 (UTC unless it says otherwise), or how long before now."""
    ago = _AGO.fullmatch(text)
    if ago:
        return now_ns - round(float(ago[1]) * _SECONDS[ago[2]] * _NS_PER_S)
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{option}: {text!r} is no time; allowed: 2026-01-31T12:00:00, or 90m, 24h, 30d ago"
        ) from None
    return round((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() * 1_000_000) * 1_000


def _length_s(text: str) -> int:
    found = _AGO.fullmatch(text)
    if not found or not float(found[1]).is_integer():
        raise ConfigError(f"--interval: {text!r} is no length; allowed: 1m, 5m, 15m, 1h, 4h, 1d ...")
    return int(found[1]) * _SECONDS[found[2]]


async def _write(file: Any, header: Sequence[str], history: AsyncIterator[list[Row]]) -> Written:
    from perpmaker.cli.csv_file import write_table

    write_table(file, header, ())
    written = Written(0, "", "")
    async for rows in history:
        for row in rows:
            file.write(",".join(row) + "\n")
        if rows:
            written = Written(written.rows + len(rows), written.first or rows[0][0], rows[-1][0])
    return written


async def _history_by_ccxt(
    home: Path, venue: str, env: str, asked: Asked, steps: Callable[[int, int], None], notes: list[str]
) -> AsyncIterator[list[Row]]:
    """Yield the rows of a venue that ccxt reads, oldest first, each row once; `notes` gets what a reader should know."""
    from perpmaker.cli.csv_file import cell, utc
    from perpmaker.control.home import running
    from perpmaker.engine.assembly import venue_addresses
    from perpmaker.venues.ccxt.history import environments, open_history, venue_row

    row = venue_row(venue)
    allowed = environments(row)
    if env not in allowed:
        raise ConfigError(f"--env: {venue} has no {env}; allowed: {', '.join(allowed)}")
    urls = venue_addresses(row.ccxt_id, env, running(home, "exchange")) if env == "local" else {}
    begin_ms, end_ms = (-(-at_ns // _NS_PER_MS) for at_ns in (asked.from_ns, asked.to_ns))

    def reached(at_ms: int) -> None:
        steps((at_ms - begin_ms) // 1000, (end_ms - begin_ms) // 1000)

    async with open_history(venue, row, env, urls) as past:
        listed = await past.instrument(asked.name)
        pages = past.rows(asked.what, listed, begin_ms, end_ms, interval_s=asked.interval_s, reached=reached)
        async for rows in pages:
            yield [(utc(one.ts_ms * _NS_PER_MS), listed.market_id, *map(cell, one.cells)) for one in rows]
        notes += past.notes


async def _history(
    home: Path, env: str, clock: Clock, asked: Asked, steps: Callable[[int, int], None]
) -> AsyncIterator[list[Row]]:
    """Yield the rows of one window of GRVT's past after the other, oldest first, each row once."""
    from perpmaker.control.home import running
    from perpmaker.engine.assembly import venue_addresses
    from perpmaker.venues.grvt.environments import environment
    from perpmaker.venues.grvt.limits import rate_limiter
    from perpmaker.venues.grvt.rest import Rest, allow_list
    from perpmaker.venues.transport.http import open_http

    hosts = environment(
        env, venue_addresses("grvt", env, running(home, "exchange") if env == "local" else None) or None
    )
    async with AsyncExitStack() as until_end:
        http = await until_end.enter_async_context(open_http(allow_list(hosts)))
        past = Past(Rest(http, hosts, clock, rate_limiter(clock)))
        instrument = await past.instrument(asked.name)
        read, window_ns = past.reader(asked.what, instrument, asked.interval_s)
        from_ns, to_ns = asked.from_ns, asked.to_ns
        at_ns = from_ns
        while at_ns < to_ns:
            until_ns = min(to_ns, at_ns + window_ns)
            yield await read(at_ns, until_ns)
            at_ns = until_ns
            steps((at_ns - from_ns) // _NS_PER_S, (to_ns - from_ns) // _NS_PER_S)


class Past:
    """Reads GRVT's history by windows, each of which is read to its end."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def instrument(self, name: str) -> Instrument:
        """Return an instrument's rules; ConfigError when it is not listed."""
        from perpmaker.model.ids import InstrumentId
        from perpmaker.venues.grvt import listing, routes

        request = routes.InstrumentsRequest(kind=[routes.PERPETUAL], is_active=True, limit=routes.MAX_INSTRUMENTS)
        listed = listing.read((await self._rest.call(routes.INSTRUMENTS, request)).result).instruments
        found = listed.get(InstrumentId(name))
        if found is None:
            raise ConfigError(f"--instrument: {name} is not listed; listed: {', '.join(sorted(map(str, listed)))}")
        return found

    def reader(self, what: str, instrument: Instrument, interval_s: int) -> tuple[Callable[[int, int], Any], int]:
        """Return what reads a window, and how long one should be: about a page of it."""
        if what == "candles":
            return lambda begin, end: self._candles(instrument, interval_s, begin, end), _PAGE * interval_s * _NS_PER_S
        if what == "trades":
            return lambda begin, end: self._trades(instrument, begin, end), 600 * _NS_PER_S
        return lambda begin, end: self._funding(instrument, begin, end), 90 * 86_400 * _NS_PER_S

    async def _candles(self, instrument: Instrument, interval_s: int, begin_ns: int, end_ns: int) -> list[Row]:
        from perpmaker.venues.grvt import parse, routes, streams

        request = routes.KlineRequest(
            instrument.symbol, streams.candle_interval(interval_s), "TRADE", str(begin_ns), str(end_ns)
        )
        rows = []
        for wire in await self._rest.pages(routes.KLINE, request):
            bar = parse.bar(wire, interval_s, 0)  # refuses what contradicts itself
            cells = (wire.open, wire.high, wire.low, wire.close, wire.volume_b, str(bar.trades))
            rows.append((bar.open_ns, (instrument.symbol, *cells)))
        return _once(rows, begin_ns, end_ns)

    async def _trades(self, instrument: Instrument, begin_ns: int, end_ns: int) -> list[Row]:
        from perpmaker.venues.grvt import parse, routes

        reader = parse.Reader(instrument)
        request = routes.MarketHistoryRequest(instrument.symbol, str(begin_ns), str(end_ns))
        rows = []
        for wire in await self._rest.pages(routes.TRADE_HISTORY, request):
            trade = parse.trade(wire, reader, 0, replayed=True)
            px, qty = instrument.px(trade.px_ticks), instrument.qty(trade.qty_lots)
            rows.append(
                (trade.ts_event_ns, (instrument.symbol, trade.aggressor.value, f"{px:f}", f"{qty:f}", trade.trade_id))
            )
        return _once(rows, begin_ns, end_ns)

    async def _funding(self, instrument: Instrument, begin_ns: int, end_ns: int) -> list[Row]:
        from perpmaker.venues.grvt import parse, routes

        request = routes.MarketHistoryRequest(instrument.symbol, str(begin_ns), str(end_ns))
        rows = []
        for wire in await self._rest.pages(routes.FUNDING, request):
            rate = parse.funding_rate(wire)
            cells = (f"{rate.rate:f}", f"{rate.mark_px:f}", str(rate.interval_h))
            rows.append((rate.ts_event_ns, (instrument.symbol, *cells)))
        return _once(rows, begin_ns, end_ns)


def _once(rows: Sequence[tuple[int, tuple[str, ...]]], begin_ns: int, end_ns: int) -> list[Row]:
    """Return the rows of a window, which the venue may bound differently: oldest first, none twice."""
    from perpmaker.cli.csv_file import utc

    inside = sorted({row for row in rows if begin_ns <= row[0] < end_ns})
    return [(utc(ts_ns), *cells) for ts_ns, cells in inside]


def _to_parquet(table: Path, output: Path, header: Sequence[str]) -> None:
    try:
        import duckdb
    except ImportError:
        raise ConfigError("Parquet needs the research packages; a .csv does not") from None

    temporary = output.with_name(f".{output.name}.tmp")
    types = {name: _TYPES.get(name, "VARCHAR") for name in header}
    try:
        with duckdb.connect() as database:
            database.read_csv(str(table), header=True, dtype=types).write_parquet(str(temporary), compression="zstd")
        temporary.replace(output)
    except duckdb.Error as error:
        raise DataError(f"{output}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
