"""A result that nobody traded: a random walk quoted from both sides, with the band of three fill models."""

from __future__ import annotations

import numpy as np

from perpmaker.research.results import Fills, Market, OrderCounts, Quotes, Results, Run

S = 1_000_000_000
BEGAN_NS = 1_700_000_000 * S


def results(
    seconds: int = 7200, seed: int = 7, models: tuple[str, ...] = ("queue", "pessimistic", "optimistic")
) -> Results:
    return Results(
        title="btc maker",
        kind="backtest",
        tape="made-up.tape",
        fingerprint="0123456789abcdef0123456789abcdef",
        from_ns=BEGAN_NS,
        to_ns=BEGAN_NS + seconds * S,
        currency="USDT",
        seed=seed,
        models={"queue": "power law, n = 3", "latency": "20 ms in, 20 ms out", "fees": "maker -0.01 bps"},
        runs=tuple(run(model, seconds, seed, fills=40 * (place + 1)) for place, model in enumerate(models)),
        remarks=("The tape has no marks: the mid stands for them.",),
    )


def run(model: str, seconds: int, seed: int, fills: int) -> Run:
    random = np.random.default_rng(seed)
    ts_ns = BEGAN_NS + S * np.arange(seconds + 1, dtype=np.int64)
    mid = 65_000 + np.cumsum(random.normal(0, 1.5, seconds + 1))
    at = np.sort(random.choice(np.arange(1, seconds), size=min(fills, seconds - 1), replace=False))
    side = random.choice([-1.0, 1.0], size=len(at))
    px = mid[at] - side * 4
    qty = np.full(len(at), 0.01)
    position = np.concatenate([[0.0], np.cumsum(side * qty)])
    held = np.zeros(seconds + 1)
    held[at] = side * qty
    inventory = np.concatenate([[0.0], np.cumsum(np.cumsum(held)[:-1] * np.diff(mid))])
    spread, fees = np.zeros(seconds + 1), np.zeros(seconds + 1)
    spread[at], fees[at] = 4 * qty, -0.02 * qty
    causes = {
        "spread": np.cumsum(spread),
        "adverse": 0.2 * inventory,
        "inventory": 0.8 * inventory,
        "fees": np.cumsum(fees),
        "funding": np.zeros(seconds + 1),
    }
    without = np.arange(seconds + 1) % 900 < 60
    quotes = Quotes(ts_ns, np.where(without, np.nan, mid - 5), np.where(without, np.nan, mid + 5))
    made = Fills(ts_ns[at], side, px, qty, 0.02 * qty, np.ones(len(at), dtype=np.bool_))
    market = Market("BTC_USDT_Perp", ts_ns, mid, ts_ns[np.concatenate([[0], at])], position, made, quotes)
    return Run(
        fill_model=model,
        digest=f"{seed:032x}",
        ts_ns=ts_ns,
        equity=10_000 + sum(causes.values(), np.zeros(seconds + 1)),
        causes=causes,
        markets=(market,),
        orders=OrderCounts(1000, len(at), 3, 900, 1_000_000.0, float(np.sum(px * qty))),
    )
