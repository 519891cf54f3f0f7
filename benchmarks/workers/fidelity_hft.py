"""The worker of hftbacktest that fills fixed orders. Needs hftbacktest 2.4, nothing of ours.

Arguments: folders with rows.npy (kind, side, ticks, lots, venue's ns), orders.json (number, sent ns, side, ticks, lots,
post-only, life ns) and setup.json (tick, lot, entry_ns, response_ns, feed_ns, queue, exponent). Prints a line for
each, the fills by order: [venue's ns, ticks of the last piece, lots].
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from hftbacktest import BUY, GTX, LIMIT, BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.order import IOC
from hftbacktest.types import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    event_dtype,
)

PASSED, ENDED, HEARD, ANSWERED = range(4)
"""What `wait_next_feed` returns."""
BESIDE_NS = 250_000
"""Market data is heard this much beside the millisecond, so that it never comes in one instant with an answer."""

SHAVED = 1e-6
"""Lots that an order is smaller than planned. `PartialFillExchange` of 2.4.4 keeps an order that a trade fills to the
very end as if it were live, and stops with InvalidOrderStatus when it would fill again; one that a trade fills by more than
it wants ends."""


def events(rows: np.ndarray, setup: dict) -> np.ndarray:
    made = np.zeros(len(rows), dtype=event_dtype)
    made["ev"] = (
        np.where(rows[:, 0] == 3, TRADE_EVENT, DEPTH_EVENT)
        | np.where(rows[:, 1] > 0, BUY_EVENT, SELL_EVENT)
        | EXCH_EVENT
        | LOCAL_EVENT
    )
    made["px"], made["qty"] = rows[:, 2] * setup["tick"], rows[:, 3] * setup["lot"]
    made["exch_ts"], made["local_ts"] = rows[:, 4], rows[:, 4] + setup["feed_ns"] + BESIDE_NS
    return made


def backtest(data: np.ndarray, setup: dict) -> HashMapMarketDepthBacktest:
    """Make the backtest; it reads `data` where it lies, so that must outlive it."""
    asset = (
        BacktestAsset()
        .data(data)
        .linear_asset(1.0)
        .constant_order_latency(setup["entry_ns"], setup["response_ns"])
        .partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(setup["tick"])
        .lot_size(setup["lot"])
    )
    asset = (
        asset.risk_adverse_queue_model()
        if setup["queue"] == "risk_averse"
        else asset.power_prob_queue_model(float(setup["exponent"]))
    )
    return HashMapMarketDepthBacktest([asset])


class Player:
    """Sends the orders at their times and looks at every answer for what it filled."""

    def __init__(self, hbt: HashMapMarketDepthBacktest, orders: list, setup: dict) -> None:
        self.hbt, self.setup = hbt, setup
        wanted = [(one[1], 1, one) for one in orders]
        wanted += [(one[1] + one[6], 0, one) for one in orders if one[5]]
        self.waiting = sorted(wanted, key=lambda request: (request[0], -request[1], request[2][0]))
        self.lots = {one[0]: one[4] for one in orders}
        self.left = dict(self.lots)
        self.live: set[int] = set()
        self.fills: dict[int, list] = {}
        self.begun = False

    def play(self) -> None:
        for at_ns, is_new, one in self.waiting:
            if not self._until(at_ns):
                return
            if is_new:
                self._send(one)
            elif one[0] in self.live:
                self.hbt.cancel(0, one[0], False)
        self._until(self.hbt.current_timestamp + 3_600 * 10**9)
        self._look()

    def _send(self, one: list) -> None:
        number, _, side, ticks, lots, post_only, _ = one
        send = self.hbt.submit_buy_order if side == BUY else self.hbt.submit_sell_order
        qty = (lots - SHAVED) * self.setup["lot"]
        send(0, number, ticks * self.setup["tick"], qty, GTX if post_only else IOC, LIMIT, False)
        self.live.add(number)

    def _until(self, at_ns: int) -> bool:
        """Let time pass to `at_ns`, from answer to answer; False at the end of the data."""
        hbt = self.hbt
        if not self.begun:
            self.begun = True
            hbt.elapse(0)  # the clock begins with the first row
        while hbt.current_timestamp < at_ns:
            why = hbt.wait_next_feed(True, at_ns - hbt.current_timestamp)
            if why == ANSWERED:
                self._look()
            elif why == ENDED:
                return False
            elif why not in {PASSED, HEARD}:
                raise RuntimeError(f"hftbacktest stopped with {why} at {hbt.current_timestamp}")
        return True

    def _look(self) -> None:
        orders = self.hbt.orders(0)
        for number in sorted(self.live):
            order = orders.get(number)
            if order is None:
                continue
            left = round(order.leaves_qty / self.setup["lot"])
            if left < self.left[number]:
                fill = [
                    int(order.arr[0]["exch_timestamp"]),
                    int(order.arr[0]["exec_price_tick"]),
                    self.left[number] - left,
                ]
                self.fills.setdefault(number, []).append(fill)
                self.left[number] = left
            if order.status in (2, 3, 4):
                self.live.discard(number)


def main() -> None:
    for name in sys.argv[1:]:
        folder = Path(name)
        setup = json.loads((folder / "setup.json").read_text())
        data = events(np.load(folder / "rows.npy"), setup)
        hbt = backtest(data, setup)
        player = Player(hbt, json.loads((folder / "orders.json").read_text()), setup)
        player.play()
        hbt.close()
        print(json.dumps(player.fills), flush=True)


if __name__ == "__main__":
    main()
