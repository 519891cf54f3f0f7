"""A maker that starts anew with a signal remembered from the life before, as its journal has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.unit.strategies.signals.made_bars import BTC as ID
from tests.unit.strategies.signals.made_bars import START_NS, bar

from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Explained
from perpmaker.strategies.bench import BenchContext, book, perp
from perpmaker.strategies.market_maker import MarketMaker
from perpmaker.strategies.registry import parse_params

FALL = [*(60_000.0 + 50 * (-1) ** number for number in range(30)), 59_400.0]
REGIME = {"latch_release_buy_rsi": 99, "latch_max_s": 600}


def _life(closes: list[float], memo: str, minutes: int) -> BenchContext:
    """Start `minutes` after the first bar, with these bars behind it."""
    ctx = BenchContext(perp())
    ctx.time_ns, ctx.memo = START_NS + minutes * 60 * NS_PER_S, memo
    ctx.past_bars = [bar(number, close) for number, close in enumerate(closes)]
    ctx.books[ID] = book(perp(), "59999.9", "60000.1")
    ctx.hold(ID, "0.01")
    tables: dict[str, Any] = {"instrument": ID, "regime": REGIME}
    params: Any = parse_params("market_maker", tables)
    MarketMaker(params).on_start(ctx)
    return ctx


def latched_life() -> Mapping[str, Explained]:
    """Return what the second life says: its filter is neutral, the first one's was not."""
    first = _life(FALL, "", 31)
    return _life([*FALL, 59_800.0], first.memo, 33).explained[ID]
