"""The worker of nautilus_trader: level-2 deltas and trades, one quote at each touch, stated anew by a timer.

Arguments: the rows (npy of kind, side, price in ticks, lots, event ns, receive ns), ms of a wake-up. Orders take 1 ms to
the venue; its matching has no queue: a trade at a resting order's price fills it.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import numpy as np
from anchor import serve_runs
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import BookOrder, OrderBookDelta, TradeTick
from nautilus_trader.model.enums import (
    AccountType,
    AggressorSide,
    BookAction,
    BookType,
    OmsType,
    OrderSide,
    RecordFlag,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

MS = 1_000_000
VENUE = Venue("GRVT")
INSTRUMENT = InstrumentId(Symbol("BTCUSDT-PERP"), VENUE)
SNAPSHOT, DELTA, TRADE = 1, 2, 3


def rules() -> CryptoPerpetual:
    return CryptoPerpetual(
        instrument_id=INSTRUMENT,
        raw_symbol=INSTRUMENT.symbol,
        base_currency=BTC,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=1,
        size_precision=3,
        price_increment=Price.from_str("0.1"),
        size_increment=Quantity.from_str("0.001"),
        ts_event=0,
        ts_init=0,
        maker_fee=Decimal("-0.000001"),
        taker_fee=Decimal("0.00045"),
    )


def objects(rows: np.ndarray) -> list[Any]:
    """The market as nautilus_trader's data, in the order of receipt."""
    made: list[Any] = []
    for number, (kind, side, ticks, lots, event_ns, recv_ns) in enumerate(rows.tolist()):
        price, size = Price(ticks / 10, 1), Quantity(lots / 1000, 3)
        if kind == TRADE:
            aggressor = AggressorSide.BUYER if side > 0 else AggressorSide.SELLER
            made.append(TradeTick(INSTRUMENT, price, size, aggressor, TradeId(str(number)), event_ns, recv_ns))
            continue
        action = BookAction.ADD if kind == SNAPSHOT else BookAction.UPDATE if lots else BookAction.DELETE
        order = BookOrder(OrderSide.BUY if side > 0 else OrderSide.SELL, price, size, 0)
        made.append(OrderBookDelta(INSTRUMENT, action, order, RecordFlag.F_LAST, number, event_ns, recv_ns))
    return made


class TouchMakerConfig(StrategyConfig, frozen=True):
    every_ms: int


class TouchMaker(Strategy):
    """Join the best bid and the best ask."""

    def on_start(self) -> None:
        self.subscribe_order_book_deltas(INSTRUMENT, BookType.L2_MBP)
        self.clock.set_timer("quote", timedelta(milliseconds=self.config.every_ms), callback=self.quote)
        self.qty = Quantity.from_str("0.001")

    def quote(self, _: object) -> None:
        book = self.cache.order_book(INSTRUMENT)
        bid, ask = book.best_bid_price(), book.best_ask_price()
        if bid is None or ask is None:
            return
        has_bid = has_ask = False
        for order in self.cache.orders_open(instrument_id=INSTRUMENT) + self.cache.orders_inflight(
            instrument_id=INSTRUMENT
        ):
            is_buy = order.side == OrderSide.BUY
            if order.price == (bid if is_buy else ask):
                has_bid, has_ask = has_bid or is_buy, has_ask or not is_buy
            elif not order.is_pending_cancel:
                self.cancel_order(order)
        for side, price, has in ((OrderSide.BUY, bid, has_bid), (OrderSide.SELL, ask, has_ask)):
            if not has:
                self.submit_order(self.order_factory.limit(INSTRUMENT, side, self.qty, price, post_only=True))


def main() -> None:
    rows = np.load(sys.argv[1])
    every_ms = int(sys.argv[2])
    data = objects(rows)

    def play(part: list[Any]) -> tuple[int, dict[str, int]]:
        engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
        engine.add_venue(
            VENUE,
            OmsType.NETTING,
            AccountType.MARGIN,
            [Money(1_000_000, USDT)],
            latency_model=LatencyModel(MS),
            book_type=BookType.L2_MBP,
            trade_execution=True,
        )
        engine.add_instrument(rules())
        engine.add_data(part, sort=False)
        engine.add_strategy(TouchMaker(TouchMakerConfig(every_ms=every_ms)))
        began = time.process_time_ns()
        engine.run()
        taken = time.process_time_ns() - began
        orders = engine.cache.orders()
        fills = sum(order.is_closed and order.filled_qty > 0 for order in orders)
        engine.dispose()
        return taken, {"orders": len(orders), "fills": fills}

    play(data[:1_000])
    serve_runs(lambda: play(data), version=f"nautilus_trader {version('nautilus_trader')}")


if __name__ == "__main__":
    main()
