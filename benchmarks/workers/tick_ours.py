"""Our engine as `perpmaker run` starts it, with a strategy that answers every book with one order far from the market."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from perpmaker import config, logs
from perpmaker.cli.supervision import end_with_parent
from perpmaker.control.home import RunFile, published
from perpmaker.engine import live
from perpmaker.model.book import Book
from perpmaker.model.order import Side, TimeInForce
from perpmaker.strategies import registry
from perpmaker.strategies.api import Context, Strategy, StrategyParams

CONFIG: dict[str, Any] = {
    "schema_version": 1,
    "env": "local",
    "mode": "live",
    "name": "benchmark",
    "log_level": "WARNING",
    "control": {"port": 0},
    "account": {"main": {"venue": "grvt"}},
    "risk": {"orders_per_s": 1000, "max_open_orders": 1000, "price_collar_bps": 2000},
    "strategy": [{"name": "each", "kind": "each_book", "account": "main", "instrument": "BTC_USDT_Perp"}],
}


class EachBook(Strategy[StrategyParams]):
    """A buy of the smallest size 1 % below the best bid, immediate or cancel: it never fills and leaves nothing open."""

    kind: ClassVar[str] = "each_book"
    params_type: ClassVar[type[StrategyParams]] = StrategyParams
    _said = False

    def on_book(self, ctx: Context, book: Book) -> None:
        if not self._said:
            self._said = True
            print(json.dumps({"ready": True}), flush=True)
        instrument = ctx.instrument(self.params.instrument)
        px = instrument.round_px(book.bid_px * 0.99, Side.BUY)
        ctx.submit(self.params.instrument, Side.BUY, Decimal("0.002"), px, tif=TimeInForce.IOC)


def main() -> None:
    line, pid, home = json.loads(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    engine = {"rehearse_ms": int(sys.argv[4])}
    registry.STRATEGIES[EachBook.kind] = EachBook  # type: ignore[index]
    end_with_parent()
    extra = {"accounts": json.dumps(line["accounts"]), "instance_id": line["instance_id"]}
    urls = {key: value for key, value in line.items() if isinstance(value, str) and "://" in value}
    with published(home, RunFile(name="exchange", pid=pid, urls=urls, extra=extra)):
        live.run(
            config.parse({**CONFIG, "engine": engine}, {}, source="benchmark"), home, logs.configure(level="WARNING")
        )


main()
