"""Every key of the market maker changes what is done somewhere: one case each, none left out.

A case is a stage on which the key matters, and another value for it. What is compared is everything the strategy did during
the same events: quotes, targets, subscriptions, and which notices it gave. What it explains is not: a value that is merely
repeated there changes nothing. Finer tests of what exactly changes stand elsewhere.
"""

from __future__ import annotations

import atexit
import functools
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perpmaker.model.events import Bar, Ticker
from perpmaker.model.order import OrderState, Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.registry import params_schema, parse_params

from .fake_context import START_NS, FakeBook, FakeContext, own_order, perp
from .regimes.made_model import write_model

BTC = perp()
ETH = perp("ETH_USDT_Perp", tick="0.01", lot="0.01")
ID = BTC.instrument_id

Keys = Mapping[str, Any]
SECONDS = 180
FEES_TOLD = 40
"""From then on somebody has told what trading costs."""
BAR_CLOSES = (60_500, 60_640, 60_700, 61_900, 61_500, 61_300)


def _tables(keys: Keys) -> dict[str, Any]:
    """Nest dotted keys."""
    tables: dict[str, Any] = {}
    for name, value in keys.items():
        *path, last = name.split(".")
        table = tables
        for part in path:
            table = table.setdefault(part, {})
        table[last] = value
    return tables


def _session(keys: Keys) -> list[Any]:
    """Live through a moving market with fills, one-sided trades, funding and a signal; return all that was done."""
    params = parse_params("market_maker", _tables({"instrument": ID, **keys}))
    assert isinstance(params, MarketMakerParams)
    ctx, maker, done, guards = FakeContext(BTC, ETH), MarketMaker(params), [], []
    ctx.position_limit = Decimal(50_000)
    told_fees, ctx.fees = ctx.fees, (None, None)
    ctx.past_bars = [_bar(minute - 90, 60_000 + 12 * minute + 60 * (minute % 3)) for minute in range(90)]
    ctx.hold(ID, "0.02", entry="61000")
    _market(ctx, maker, 0)
    maker.on_start(ctx)
    for second in range(1, SECONDS + 1):
        _market(ctx, maker, second)
        if second == FEES_TOLD:
            ctx.fees = told_fees
        if second % 20 == 7:
            _filled(ctx, maker, second)
        if second % 30 == 0:
            number = second // 30 - 1
            maker.on_bar(ctx, _bar(number, BAR_CLOSES[number]))
        targets = len(ctx.targets)
        ctx.wait(maker, 1.0)
        if len(ctx.targets) > targets and second > 60:
            ctx.hold(ID, "0", entry="0")
        done.append((ctx.quotes.get(ID), tuple(ctx.targets[-1:])))
        guards.append(ctx.guards.get(ID))
    notices = [name for _, name, _ in ctx.notices if name != "parameters_inert"]
    return [done, notices, [str(one) for one in maker.subscriptions()], ctx.quote_calls, guards]


@functools.cache
def _base(keys: tuple[tuple[str, Any], ...]) -> list[Any]:
    """Sessions that several cases begin from are lived once."""
    return _session(dict(keys))


def _bar(minute: int, close: float) -> Bar:
    open_ns = START_NS + minute * 60 * NS_PER_S
    return Bar(ID, 60, open_ns, close, close + 15, close - 15, close, 1.0, 1, START_NS)


def _market(ctx: FakeContext, maker: MarketMaker, second: int) -> None:
    """Books of three levels that swing and lean, trades on both sides with more buyers, another market that leads."""
    swing = -30 * second if second < 60 else 30 * (second - 120)
    mid = 610_000 + 37 * (second % 11) - 50 * (second % 7) + swing
    bids = tuple((mid - 2 - level, 40 + 10 * level + second % 5 * 30) for level in range(3))
    asks = tuple((mid + 2 + level, 60 + level) for level in range(3))
    shown = FakeBook(BTC, bids, asks, ts_recv_ns=ctx.time_ns)
    other = FakeBook(ETH, ((mid * 5 - 1 + second, 10),), ((mid * 5 + 1 + second, 10),), ts_recv_ns=ctx.time_ns)
    ctx.books[ID] = shown
    if second % 9 < 5:
        ctx.books[ETH.instrument_id] = other
    next_ns = START_NS + 150 * NS_PER_S if ctx.time_ns < START_NS + 150 * NS_PER_S else START_NS + 30_000 * NS_PER_S
    ctx.tickers[ID] = Ticker(ID, None, None, None, Decimal("0.0003"), next_ns, 0, 0)
    if second:
        maker.on_book(ctx, shown)
        for step in range(3):
            px = Decimal(mid + 3 + (second * (step + 3)) % 60) / 10
            ctx.trade(maker, BTC, str(px), Side.BUY, lots=20 + second % 3)
        if second % 100 < 90:
            ctx.trade(maker, BTC, str(Decimal(mid - 3 - second % 50) / 10), Side.SELL, lots=7)


def _filled(ctx: FakeContext, maker: MarketMaker, second: int) -> None:
    """A losing buy of the innermost bid, one order of it cancelled and one expired."""
    for number, state in enumerate((OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED)):
        order = own_order(BTC, Side.BUY, "61000", "0.005" if state is OrderState.CANCELED else "0.003")
        name = 10 * second + number
        order = msgspec.structs.replace(order, client_order_id=name, tag="quote bid 0")
        maker.on_order(ctx, order)
        if state is OrderState.FILLED:
            ctx.fill(maker, Side.BUY, "0.001", "61070", ID, order=name)
        cum = order.qty if state is OrderState.FILLED else order.cum_qty
        maker.on_order(ctx, msgspec.structs.replace(order, state=state, cum_qty=cum))


FAST = {"estimates.warm_up_s": 5, "estimates.warm_up_trades": 5, "quoting.layers": 3, "quoting.layer_spacing_bps": 3}
FIXED = {"quoting.model": "fixed", "quoting.layers": 3, "quoting.layer_spacing_bps": 3}
AS = {**FAST, "quoting.model": "avellaneda_stoikov", "quoting.min_half_spread_bps": 0}
GLFT = {**FAST, "quoting.min_half_spread_bps": 0, "quoting.min_edge_bps": 0}
VOLATILITY = {**FAST, "quoting.model": "volatility", "quoting.min_half_spread_bps": 0, "quoting.vol_mult": 20}
CLASSIC = {"preset": "classic", "regime.anchor": False, "quoting.layers": 2}
ADX = {**FIXED, "regime.filter": "adx", "regime.adx.trending_above": 5}
ATR = {**FIXED, "regime.filter": "atr"}
CHOP = {**FIXED, "regime.filter": "choppiness"}
RSI = {**FIXED, "regime.filter": "rsi"}
ANCHOR = {**FIXED, "regime.anchor": True, "regime.filter": "rsi"}
REFERENCE = {**FIXED, "reference.instrument": ETH.instrument_id}
GOVERNOR = {
    **FIXED,
    "governor.unfilled_orders": 40,
    "governor.cancelled_orders": 1000,
    "governor.expired_orders": 1000,
    "governor.max_ratio": 0.4,
}
DUST = {
    **FIXED,
    "governor.unfilled_orders": 1000,
    "governor.dust_orders": 20,
    "governor.max_dust_ratio": 0.5,
    "governor.dust_mult": 2.5,
}
STOP = {**FIXED, "protection.stop_loss_bps": 20}
TRAIL = {**FIXED, "protection.trailing_stop_bps": 15}
PULL = {**FIXED, "markout.pull_fills": 3, "quoting.cool_down_s": 0}
VPIN = {**FIXED, "toxicity.pause_above": 0.3, "toxicity.bucket_notional": 5000, "toxicity.buckets": 5}
LATCH = {
    **FIXED,
    "regime.filter": "rsi",
    "regime.rsi.buy_below": 38,
    "regime.rsi.sell_above": 66,
    "regime.latch_release_buy_rsi": 70,
    "regime.latch_release_sell_rsi": 30,
}
_FOLDER = tempfile.TemporaryDirectory()
atexit.register(_FOLDER.cleanup)
MODEL = str(write_model(Path(_FOLDER.name) / "even.json", window_s=20))
OTHER_MODEL = str(write_model(Path(_FOLDER.name) / "ranging.json", window_s=20, weights=(0.1, 0.8, 0.1)))
BLEND = {**FIXED, "regime.model": MODEL}
ADAPT = {**FIXED, "adapt.on": True, "adapt.window_s": 25, "adapt.min_fills": 2, "adapt.min_gain": 0}

CASES: dict[str, tuple[Keys, Any]] = {
    "preset": ({}, "simple"),
    "book_interval_ms": ({}, 200),
    "quoting.model": (FAST, "fixed"),
    "quoting.fair": (FIXED, "mid"),
    "quoting.half_spread_bps": (FIXED, 7),
    "quoting.vol_mult": (VOLATILITY, 30),
    "quoting.horizon_s": ({**AS, "quoting.gamma": 0.001}, 600),
    "quoting.gamma": (AS, 0.01),
    "quoting.skew_bps_at_max_position": (FIXED, 20),
    "quoting.xi": (GLFT, 0),
    "quoting.kappa": (AS, 0.03),
    "quoting.arrivals_per_s": (GLFT, 0.05),
    "quoting.min_half_spread_bps": (GLFT, 30),
    "quoting.min_edge_bps": ({**FIXED, "quoting.half_spread_bps": 1}, 4),
    "quoting.fee_floor": ({**FIXED, "quoting.half_spread_bps": 0.1}, False),
    "quoting.assumed_maker_fee_bps": ({**FIXED, "quoting.half_spread_bps": 1}, 4),
    "quoting.inventory_skew_factor": (CLASSIC, 2),
    "quoting.max_distance_bps": (FIXED, 9),
    "quoting.layers": (FIXED, 2),
    "quoting.layer_spacing_bps": (FIXED, 4),
    "quoting.order_notional": (FIXED, 400),
    "quoting.size_ladder": (FIXED, "linear"),
    "quoting.size_growth": ({**FIXED, "quoting.size_ladder": "geometric"}, 2),
    "quoting.order_amount_shape_factor": ({**FIXED, "quoting.order_notional": 900}, 8),
    "quoting.target_position": (FIXED, "0.2"),
    "quoting.tolerance_bps": (FIXED, 0.1),
    "quoting.replace": (FIXED, "all"),
    "quoting.cool_down_s": (FIXED, 9),
    "quoting.price_floor": (FIXED, 61_030),
    "quoting.price_ceiling": (FIXED, 60_990),
    "quoting.order_equity_frac": (FIXED, 0.01),
    "quoting.max_position_equity_frac": (FIXED, 0.02),
    "quoting.rpi_share": ({**FIXED, "quoting.order_notional": 600}, 0.5),
    "quoting.refresh_interval_s": (FIXED, 3),
    "estimates.warm_up_s": (FAST, 100),
    "estimates.warm_up_trades": (FAST, 100),
    "estimates.warm_up_half_spread_bps": (FAST, 9),
    "estimates.sigma_from": (VOLATILITY, "stdev"),
    "estimates.sigma_half_life_s": (VOLATILITY, 10),
    "estimates.typical_half_life_s": (GLFT, 60),
    "estimates.arrival_interval_s": (GLFT, 3),
    "estimates.arrival_window_s": (GLFT, 60),
    "estimates.stale_s": (GLFT, 10),
    "regime.bollinger.period": ({}, 5),
    "regime.bollinger.width": (FIXED, 0.3),
    "regime.rsi.period": (RSI, 5),
    "regime.rsi.buy_below": (RSI, 60),
    "regime.rsi.sell_above": (RSI, 55),
    "regime.adx.period": ({**ADX, "regime.adx.trending_above": 20}, 7),
    "regime.adx.trending_above": (ADX, 99),
    "regime.atr.period": (ATR, 3),
    "regime.atr.slow_bars": ({**ATR, "regime.atr.volatile_above": 1.1}, 3),
    "regime.atr.volatile_above": (ATR, 1.001),
    "regime.choppiness.period": (CHOP, 5),
    "regime.choppiness.ranging_above": ({**CHOP, "regime.ranging_width_mult": 3}, 40),
    "regime.choppiness.trending_below": ({**CHOP, "regime.choppiness.ranging_above": 100}, 99),
    "regime.filter": (FIXED, "adx"),
    "regime.bar_s": (FIXED, 300),
    "regime.trending_width_mult": (ADX, 3),
    "regime.ranging_width_mult": ({**CHOP, "regime.choppiness.ranging_above": 39}, 3),
    "regime.volatile_width_mult": ({**ATR, "regime.atr.volatile_above": 1.001}, 3),
    "regime.when_trending": (ADX, "pause"),
    "regime.latch": (LATCH, False),
    "regime.latch_max_s": (LATCH, 5),
    "regime.latch_release_buy_rsi": (LATCH, 36),
    "regime.latch_release_sell_rsi": (LATCH, 65),
    "regime.boost": (LATCH, False),
    "regime.boost_near_bps": (LATCH, 7),
    "regime.boost_far_bps": (LATCH, 14),
    "regime.anchor": ({**FIXED, "regime.filter": "none"}, True),
    "regime.anchor_loss_bps": ({**ANCHOR, "regime.filter": "none"}, 8),
    "regime.anchor_signal_loss_bps": ({**ANCHOR, **LATCH, "regime.anchor_signal_loss_bps": 0}, 40),
    "regime.model": (BLEND, OTHER_MODEL),
    **{
        f"regime.blend.{regime}_{knob}_mult": (BLEND, 5)
        for regime in ("trending", "ranging", "volatile")
        for knob in ("gamma", "kappa", "spacing")
    },
    "regime.blend.spacing": (BLEND, False),
    "regime.blend.half_life_s": (BLEND, 60),
    "regime.blend.max_age_s": (BLEND, 0.5),
    "regime.blend.unknown_width_mult": (BLEND, 3),
    "alpha.imbalance_bps": (FIXED, 3),
    "alpha.imbalance_levels": ({**FIXED, "alpha.imbalance_bps": 3}, 1),
    "alpha.flow_bps": (FIXED, 3),
    "alpha.flow_half_life_s": ({**FIXED, "alpha.flow_bps": 3}, 60),
    "reference.instrument": (FIXED, ETH.instrument_id),
    "reference.weight": (REFERENCE, 1),
    "reference.basis_half_life_s": (REFERENCE, 5),
    "reference.max_age_s": (REFERENCE, 1),
    "reference.max_shift_bps": (REFERENCE, 0.1),
    "funding.mult": (FIXED, 3),
    "funding.inventory_half_life_s": (FIXED, 60),
    "schedule.hours_utc": (FIXED, "mon 08:00-20:00"),
    "schedule.blackouts": (FIXED, "2027-01-15T08:01/2027-01-15T08:02"),
    "schedule.funding_before_s": (FIXED, 30),
    "schedule.funding_after_s": (FIXED, 30),
    "schedule.outside": ({**FIXED, "schedule.hours_utc": "mon 08:00-20:00"}, "reduce"),
    "protection.stop_loss_bps": (FIXED, 20),
    "protection.take_profit_bps": (FIXED, 10),
    "protection.trailing_stop_bps": (FIXED, 15),
    "protection.trailing_from_bps": (TRAIL, 4000),
    "protection.time_limit_s": (FIXED, 100),
    "protection.close_slippage_bps": (STOP, 33),
    "protection.rest_s": (STOP, 5),
    "protection.at_venue": (STOP, False),
    "protection.at_venue_beyond_bps": (STOP, 30),
    "markout.pull": (PULL, False),
    "markout.pull_horizon_s": (PULL, 60),
    "markout.pull_fills": (PULL, 9),
    "markout.pull_s": (PULL, 20),
    "toxicity.pause_above": ({**VPIN, "toxicity.pause_above": 1}, 0.3),
    "toxicity.bucket_notional": (VPIN, 1e6),
    "toxicity.buckets": (VPIN, 900),
    "toxicity.pause_s": ({**VPIN, "toxicity.pause_above": 0.95}, 2),
    "governor.window_s": (GOVERNOR, 30),
    "governor.max_ratio": (GOVERNOR, 0.99),
    "governor.unfilled_orders": (GOVERNOR, 400),
    "governor.cancelled_orders": ({**GOVERNOR, "governor.max_ratio": 0.3, "governor.unfilled_orders": 400}, 20),
    "governor.expired_orders": ({**GOVERNOR, "governor.max_ratio": 0.3, "governor.unfilled_orders": 400}, 20),
    "governor.max_dust_ratio": (DUST, 0.9),
    "governor.dust_orders": (DUST, 400),
    "governor.dust_mult": (DUST, 1),
    "governor.slow_from": (GOVERNOR, 0.1),
    "governor.slow_mult": ({**GOVERNOR, "governor.slow_from": 0.1, "quoting.half_spread_bps": 20}, 2),
    "governor.stop_from": (GOVERNOR, 0.6),
    "adapt.on": ({**ADAPT, "adapt.on": False}, True),
    "adapt.window_s": (ADAPT, 45),
    "adapt.min_fills": (ADAPT, 3),
    "adapt.max_windows": ({**ADAPT, "adapt.min_fills": 8}, 2),
    "adapt.step_mult": (ADAPT, 1.4),
    "adapt.max_mult": ({**ADAPT, "adapt.step_mult": 1.4}, 1.4),
    "adapt.min_gain": (ADAPT, 100),
    "adapt.markout_s": (ADAPT, 3),
}
AT_VENUE = ("protection.at_venue", "protection.at_venue_beyond_bps")


def test_every_key_of_the_market_maker_has_a_case() -> None:
    keys = {row.name for row in params_schema("market_maker")} - {"instrument"}
    assert set(CASES) == keys


@pytest.mark.parametrize("name", CASES)
def test_the_key_changes_what_is_done(name: str) -> None:
    base, value = CASES[name]
    before, after = _base(tuple(base.items())), _session({**base, name: value})
    if name not in AT_VENUE:  # what is asked of the venue besides repeats what is done here
        before, after = before[:-1], after[:-1]
    assert before != after, f"{name} = {value} changed nothing on {base}"
