"""The worker of hftbacktest: the market as its event array, one quote at each touch, stated anew at each step.

Arguments: the rows (npy of kind, side, price in ticks, lots, event ns, receive ns), ms of a step, `python` or `jitted`.
After a short first run, which compiles, each line of standard input is answered by one of the whole market.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version

import numpy as np
from anchor import serve_runs
from hftbacktest import BUY, GTX, LIMIT, SELL, BacktestAsset, ROIVectorMarketDepthBacktest
from hftbacktest.types import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)
from numba import njit

TICK, LOT, MS = 0.1, 0.001, 1_000_000


def events(rows: np.ndarray) -> np.ndarray:
    made = np.zeros(len(rows), dtype=event_dtype)
    is_trade = rows[:, 0] == 3
    made["ev"] = (
        np.where(is_trade, TRADE_EVENT, DEPTH_EVENT)
        | np.where(rows[:, 1] > 0, BUY_EVENT, SELL_EVENT)
        | EXCH_EVENT
        | LOCAL_EVENT
    )
    made["px"], made["qty"] = rows[:, 2] * TICK, rows[:, 3] * LOT
    made["exch_ts"], made["local_ts"] = rows[:, 4], rows[:, 5]
    return made


def quote(hbt, step_ns):
    """Cancel what rests elsewhere, quote at both touches."""
    number = 1
    while hbt.elapse(step_ns) == 0:
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        has_bid = has_ask = False
        values = hbt.orders(0).values()
        while values.has_next():
            order = values.get()
            wanted = bid if order.side == BUY else ask
            if order.price_tick == wanted:
                has_bid = has_bid or order.side == BUY
                has_ask = has_ask or order.side == SELL
            elif order.cancellable:
                hbt.cancel(0, order.order_id, False)
        if not has_bid:
            hbt.submit_buy_order(0, number, bid * 0.1, 0.001, GTX, LIMIT, False)
            number += 1
        if not has_ask:
            hbt.submit_sell_order(0, number, ask * 0.1, 0.001, GTX, LIMIT, False)
            number += 1
    return number - 1


def main() -> None:
    rows = np.load(sys.argv[1])
    step_ns, form = int(sys.argv[2]) * MS, sys.argv[3]
    data = events(rows)
    run = njit(quote) if form == "jitted" else quote

    def play(part: np.ndarray) -> tuple[int, dict[str, int]]:
        asset = (
            BacktestAsset()
            .data(part)
            .linear_asset(1.0)
            .constant_order_latency(MS, MS)
            .power_prob_queue_model3(3.0)
            .no_partial_fill_exchange()
            .trading_value_fee_model(-0.000001, 0.00045)
            .tick_size(TICK)
            .lot_size(LOT)
            .roi_lb(0.0)
            .roi_ub(100_000.0)
        )
        hbt = ROIVectorMarketDepthBacktest([asset])
        began = time.process_time_ns()
        orders = run(hbt, step_ns)
        taken = time.process_time_ns() - began
        fills = int(hbt.state_values(0).num_trades)
        hbt.close()
        return taken, {"orders": int(orders), "fills": fills}

    play(data[:2_000])
    serve_runs(lambda: play(data), version=f"hftbacktest {version('hftbacktest')}")


if __name__ == "__main__":
    main()
