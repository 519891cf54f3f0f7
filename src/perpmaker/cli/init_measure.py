"""What `perpmaker init` measures: volatility, spread and rules of a market, from a venue's public data or from a tape."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from perpmaker.clock import WallClock
from perpmaker.errors import ConfigError, DataError
from perpmaker.strategies.quoting.computed import Measured

if TYPE_CHECKING:
    from perpmaker.model.instrument import Instrument
    from perpmaker.venues.grvt.rest import Rest

LOOKS: Final = 5
"""Books that the spread is the mean of."""
LOOK_EVERY_S: Final = 0.4
BACK_S: Final = 6 * 3600
LEAST_CANDLES: Final = 2
_DEPTH: Final = 10
_NS_PER_S: Final = 1_000_000_000


def on_venue(home: Path, env: str, name: str, maker_fee_bps: float, fee_source: str) -> Measured:
    """Measure by public REST calls: minutes of the last hours, and some books. No key is needed."""
    return asyncio.run(_on_venue(home, env, name, maker_fee_bps, fee_source))


async def _on_venue(home: Path, env: str, name: str, maker_fee_bps: float, fee_source: str) -> Measured:
    from perpmaker.cli.data import Past
    from perpmaker.control.home import running
    from perpmaker.engine.assembly import venue_addresses
    from perpmaker.venues.grvt.environments import environment
    from perpmaker.venues.grvt.limits import rate_limiter
    from perpmaker.venues.grvt.rest import Rest, allow_list
    from perpmaker.venues.transport.http import open_http

    clock = WallClock()
    hosts = environment(
        env, venue_addresses("grvt", env, running(home, "exchange") if env == "local" else None) or None
    )
    async with AsyncExitStack() as until_end:
        http = await until_end.enter_async_context(open_http(allow_list(hosts)))
        rest = Rest(http, hosts, clock, rate_limiter(clock))
        past = Past(rest)
        instrument = await past.instrument(name)
        now_ns = clock.now_ns()
        read, _ = past.reader("candles", instrument, 60)
        rows = await read(now_ns - BACK_S * _NS_PER_S, now_ns)
        candles = [(float(row[2]), float(row[3]), float(row[4]), float(row[5])) for row in rows]
        mids, spreads = [], []
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(LOOK_EVERY_S)
            bid, ask = await _touch(rest, instrument)
            mids.append((bid + ask) / 2)
            spreads.append((ask - bid) / (bid + ask) * 2e4)
    return Measured(
        px=mids[-1],
        tick_bps=float(instrument.tick) / mids[-1] * 1e4,
        sigma_bps=sigma_of_candles(candles) * 1e4,
        spread_bps=sum(spreads) / len(spreads),
        maker_fee_bps=maker_fee_bps,
        min_notional=float(instrument.min_notional),
        sources={
            "sigma": f"{len(candles)} one-minute candles of {env}, their ranges and closes, the larger",
            "spread": f"mean of {LOOKS} books of {env}",
            "maker fee": fee_source,
            "rules": f"as {env} lists the instrument",
        },
    )


async def _touch(rest: Rest, instrument: Instrument) -> tuple[float, float]:
    from perpmaker.venues.grvt import parse, routes

    wire = (await rest.call(routes.BOOK, routes.BookRequest(instrument.symbol, _DEPTH))).result
    book = parse.book_snapshot(wire, parse.Reader(instrument), 0, 0)
    if not book.bids or not book.asks:
        raise DataError(f"{instrument.symbol}: its book has no {'asks' if book.bids else 'bids'} now; try again later")
    return float(instrument.px(book.bids[0][0])), float(instrument.px(book.asks[0][0]))


def sigma_of_candles(candles: Sequence[tuple[float, float, float, float]]) -> float:
    """Return sigma as a fraction per square-root second from one-minute (open, high, low, close), oldest first.

    The larger of Parkinson's from the ranges (1980, Journal of Business 53(1), 61-65) and the root mean square of the moves
    from close to close: ranges miss nothing inside a minute, closes miss no gap between two.
    """
    if len(candles) < LEAST_CANDLES:
        raise ConfigError(f"{len(candles)} one-minute candles are too few to measure volatility; wait some minutes")
    ranges = sum(math.log(high / low) ** 2 for _, high, low, _ in candles) / len(candles) / (4 * math.log(2))
    closes = sum(math.log(after[3] / before[3]) ** 2 for before, after in pairwise(candles)) / (len(candles) - 1)
    sigma = math.sqrt(max(ranges, closes) / 60)
    if not sigma > 0:
        raise ConfigError("the price did not move at all in these candles: there is no volatility to compute from")
    return sigma


def on_tape(tapes: Sequence[Path], name: str, maker_fee_bps: float, fee_source: str) -> tuple[Measured, str]:
    """Measure on a recorded market, offline; returns the instrument's name on the tape besides."""
    try:
        import numpy as np

        from perpmaker.engine.backtest_feed import plan_feed
        from perpmaker.research.regime.samples import samples_of
        from perpmaker.tape.reader import open_tape
    except ImportError:
        raise ConfigError("--tape needs the research packages; measuring on a venue does not") from None
    from perpmaker.model.ids import InstrumentId

    tape = open_tape(*tapes)
    wanted = InstrumentId(name)
    played = plan_feed(tape, (wanted,), {})
    samples = samples_of(tape, played, wanted, window_s=60, levels=1)
    if len(samples.ts_ns) < LEAST_CANDLES:
        raise ConfigError(f"{tape.name}: holds less than a minute of {name}; volatility needs more")
    volatility, spread = np.exp(samples.rows[:, 0]), np.exp(samples.rows[:, 2])
    rules, px = played.instruments[wanted], float(samples.mid[-1])
    seconds = (samples.ts_ns[-1] - samples.ts_ns[0]) / 1e9 + 60
    measured = Measured(
        px=px,
        tick_bps=float(rules.tick) / px * 1e4,
        sigma_bps=float(np.sqrt(np.mean(volatility**2))),
        spread_bps=float(np.mean(spread)),
        maker_fee_bps=maker_fee_bps,
        min_notional=float(max(rules.min_notional, Decimal(0))),
        sources={
            "sigma": f"one-second moves over {seconds:,.0f} s of {tape.name}",
            "spread": f"mean over {seconds:,.0f} s of {tape.name}",
            "maker fee": fee_source,
            "rules": f"as {tape.name} lists the instrument",
        },
    )
    there = next(their for their, ours in played.names.items() if ours == wanted)
    return measured, str(there)
