"""A bench for one strategy: a context made of plain attributes, for testing it without an engine.

    ctx = BenchContext(perp())
    ctx.hold(BTC, "0.05")
    strategy.on_book(ctx, book(perp(), "59999.9", "60000.1"))
    ctx.quotes[BTC].bids

A test sets what the strategy may see (`time_ns`, `books`, `positions`, ...) and reads what it said (`quotes`, `targets`,
`orders`, `cancels`, `timers`, `explained`, `notices`). Nothing here fills, refuses or rounds: `research.practice` runs a
strategy in the engine itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from perpmaker.model.account import Position
from perpmaker.model.book import Book, Level
from perpmaker.model.events import Bar, Fill, Ticker, Trade
from perpmaker.model.execution import ExecutionReport
from perpmaker.model.guard import Guard
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import OrderState, OrderView, Side, TimeInForce
from perpmaker.model.quote import Algorithm, Quote
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import DEFAULT_ALGORITHM, Booked, Conversion, Explained, Strategy

START_NS: Final = 1_800_000_000 * NS_PER_S


def perp(
    symbol: str = "BTC_USDT_Perp", *, tick: str = "0.1", lot: str = "0.001", min_notional: str = "100"
) -> Instrument:
    """A perpetual as the practice exchange lists them; BTC unless told otherwise."""
    return Instrument(
        instrument_id=InstrumentId(symbol),
        symbol=symbol,
        exchange="grvt",
        base=symbol.split("_", maxsplit=1)[0],
        quote="USDT",
        tick=Decimal(tick),
        lot=Decimal(lot),
        min_qty=Decimal(lot),
        min_notional=Decimal(min_notional),
    )


class BenchBook(msgspec.Struct, frozen=True):
    """A book of given levels, best first, in ticks and lots."""

    instrument: Instrument
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    ts_event_ns: int = START_NS
    ts_recv_ns: int = START_NS

    @property
    def bid_ticks(self) -> int:
        return self.bids[0][0]

    @property
    def ask_ticks(self) -> int:
        return self.asks[0][0]

    @property
    def bid_px(self) -> float:
        return float(self.instrument.px(self.bid_ticks))

    @property
    def ask_px(self) -> float:
        return float(self.instrument.px(self.ask_ticks))

    @property
    def bid_qty(self) -> float:
        return float(self.instrument.qty(self.bids[0][1]))

    @property
    def ask_qty(self) -> float:
        return float(self.instrument.qty(self.asks[0][1]))

    @property
    def mid(self) -> float:
        return (self.bid_px + self.ask_px) / 2

    @property
    def microprice(self) -> float:
        return (self.bid_px * self.ask_qty + self.ask_px * self.bid_qty) / (self.bid_qty + self.ask_qty)

    def levels(self, side: Side, count: int) -> Sequence[Level]:
        return (self.bids if side is Side.BUY else self.asks)[:count]


def book(instrument: Instrument, bid_px: str, ask_px: str, *, bid_lots: int = 100, ask_lots: int = 100) -> BenchBook:
    """A book with one level on each side."""
    return BenchBook(
        instrument,
        bids=((instrument.to_ticks(Decimal(bid_px)), bid_lots),),
        asks=((instrument.to_ticks(Decimal(ask_px)), ask_lots),),
    )


class Ladder(msgspec.Struct, frozen=True):
    """What the last `quote` said."""

    bids: tuple[Quote, ...]
    asks: tuple[Quote, ...]


class BenchContext:
    """Implements `strategies.api.Context` for one or more instruments."""

    def __init__(self, *instruments: Instrument) -> None:
        self.time_ns = START_NS
        self.instruments = {instrument.instrument_id: instrument for instrument in instruments}
        self.books: dict[InstrumentId, Book] = {}
        self.tickers: dict[InstrumentId, Ticker] = {}
        self.past_bars: list[Bar] = []
        self.positions: dict[InstrumentId, Position] = {}
        self.live_orders: list[OrderView] = []
        self.equity_value = Decimal(100_000)
        self.position_limit = Decimal(5_000)
        self.loss_part = 0.0
        self.fees: tuple[Decimal | None, Decimal | None] = (Decimal("-0.000001"), Decimal("0.00045"))
        self.fill_fee = Decimal(0)
        self.is_paused = False
        self.hindrances: dict[InstrumentId, str] = {}
        self.executions: dict[InstrumentId, ExecutionReport] = {}
        self.fills: list[Booked] = []
        self.conversions: dict[tuple[str, str], Conversion] = {}
        self.protection: dict[InstrumentId, str] = {}
        """How what is asked for by `protect` stands at the venue."""
        self.memo = ""
        self.question = ""
        self.quotes: dict[InstrumentId, Ladder] = {}
        self.quote_calls = 0
        self.targets: list[tuple[InstrumentId, Decimal, Algorithm]] = []
        self.guards: dict[InstrumentId, tuple[Guard, ...]] = {}
        self.orders: list[dict[str, Any]] = []
        self.cancels: list[ClientOrderId] = []
        self.cancelled_all: list[InstrumentId] = []
        self.timers: dict[str, int] = {}
        self.explained: dict[InstrumentId, Mapping[str, Explained]] = {}
        self.notices: list[tuple[str, str, Mapping[str, str]]] = []

    # --- what a test does

    def hold(self, instrument: InstrumentId, qty: str, *, entry: str = "0") -> None:
        """Set the position and its average entry price."""
        position = self._position(instrument, Decimal(qty))
        self.positions[instrument] = msgspec.structs.replace(position, avg_entry_px=Decimal(entry))

    def wait(self, strategy: Strategy[Any], seconds: float) -> None:
        """Let time pass, playing every timer when it is due."""
        until_ns = self.time_ns + round(seconds * NS_PER_S)
        while self.timers and min(self.timers.values()) <= until_ns:
            key = min(self.timers, key=lambda name: (self.timers[name], name))
            self.time_ns = max(self.time_ns, self.timers.pop(key))
            strategy.on_timer(self, key)
        self.time_ns = until_ns

    def fill(
        self, strategy: Strategy[Any], side: Side, qty: str, px: str, instrument: InstrumentId, *, order: int = 1
    ) -> None:
        """Move the position by a fill and tell the strategy; the average entry stays that of the first."""
        before = self.position(instrument)
        held = before.qty + side.sign * Decimal(qty)
        entry = before.avg_entry_px or Decimal(px)
        self.positions[instrument] = msgspec.structs.replace(self._position(instrument, held), avg_entry_px=entry)
        fill = Fill(
            account=AccountId("main"),
            client_order_id=ClientOrderId(order),
            venue_order_id=None,
            trade_id=TradeId(str(len(self.fills) + 1)),
            instrument=instrument,
            side=side,
            px=Decimal(px),
            qty=Decimal(qty),
            fee=self.fill_fee,
            fee_currency="USDT",
            is_taker=False,
            realized_pnl=Decimal(0),
            ts_event_ns=self.time_ns,
            ts_recv_ns=self.time_ns,
        )
        self.fills.append(Booked(len(self.fills) + 1, fill, "own"))
        strategy.on_fill(self, fill)

    def trade(
        self,
        strategy: Strategy[Any],
        instrument: Instrument,
        px: str,
        aggressor: Side,
        *,
        lots: int = 1,
        replayed: bool = False,
    ) -> None:
        """Tell the strategy of a public trade."""
        trade = Trade(
            instrument=instrument.instrument_id,
            px_ticks=instrument.to_ticks(Decimal(px)),
            qty_lots=lots,
            aggressor=aggressor,
            trade_id=TradeId("1"),
            ts_event_ns=self.time_ns,
            ts_recv_ns=self.time_ns,
            replayed=replayed,
        )
        strategy.on_trade(self, trade)

    # --- what a strategy sees

    def now_ns(self) -> int:
        return self.time_ns

    def instrument(self, instrument: InstrumentId) -> Instrument:
        return self.instruments[instrument]

    def book(self, instrument: InstrumentId) -> Book | None:
        return self.books.get(instrument)

    def raw_book(self, instrument: InstrumentId) -> Book | None:
        return self.books.get(instrument)

    def ticker(self, instrument: InstrumentId) -> Ticker | None:
        return self.tickers.get(instrument)

    def bars(self, instrument: InstrumentId, bar_s: int) -> Sequence[Bar]:
        return [bar for bar in self.past_bars if (bar.instrument, bar.interval_s) == (instrument, bar_s)]

    def mark_px(self, instrument: InstrumentId) -> Decimal | None:
        ticker = self.ticker(instrument)
        return ticker.mark_px if ticker else None

    def index_px(self, instrument: InstrumentId) -> Decimal | None:
        ticker = self.ticker(instrument)
        return ticker.index_px if ticker else None

    def funding_rate(self, instrument: InstrumentId) -> Decimal | None:
        ticker = self.ticker(instrument)
        return ticker.funding_rate if ticker else None

    def position(self, instrument: InstrumentId) -> Position:
        return self.positions.get(instrument) or self._position(instrument, Decimal(0))

    def proven_qty(self, instrument: InstrumentId) -> Decimal:
        return self.position(instrument).qty

    def open_orders(self, instrument: InstrumentId) -> Sequence[OrderView]:
        return [order for order in self.live_orders if order.instrument == instrument]

    def equity(self) -> Decimal:
        return self.equity_value

    def max_position_notional(self) -> Decimal:
        return self.position_limit

    def loss_used(self) -> float:
        return self.loss_part

    def maker_fee(self, instrument: InstrumentId) -> Decimal | None:
        return self.fees[0]

    def taker_fee(self, instrument: InstrumentId) -> Decimal | None:
        return self.fees[1]

    def execution(self, instrument: InstrumentId) -> ExecutionReport | None:
        return self.executions.get(instrument)

    def paused(self) -> bool:
        return self.is_paused

    def hindrance(self, instrument: InstrumentId) -> str:
        return self.hindrances.get(instrument, "")

    def booked(self, after: int) -> Sequence[Booked]:
        return [one for one in self.fills if one.number > after]

    def booked_count(self) -> int:
        return len(self.fills)

    def conversion(self, source: str, target: str) -> Conversion | None:
        if source == target:
            return Conversion(Decimal(1), "", self.time_ns)
        return self.conversions.get((source, target))

    def protected(self, instrument: InstrumentId) -> str:
        return self.protection.get(instrument, "none: nothing to protect")

    def recall(self) -> str:
        return self.memo

    # --- what a strategy says

    def quote(
        self,
        instrument: InstrumentId,
        bids: Sequence[Quote] = (),
        asks: Sequence[Quote] = (),
        *,
        bid: Quote | None = None,
        ask: Quote | None = None,
    ) -> None:
        if (bids and bid) or (asks and ask):
            raise ValueError("give a side either as one quote or as a ladder")
        self.quotes[instrument] = Ladder(tuple(bids) or _one(bid), tuple(asks) or _one(ask))
        self.quote_calls += 1

    def target(self, instrument: InstrumentId, qty: Decimal, algo: Algorithm = DEFAULT_ALGORITHM) -> None:
        self.targets.append((instrument, qty, algo))

    def protect(self, instrument: InstrumentId, guards: Sequence[Guard]) -> None:
        self.guards[instrument] = tuple(guards)

    def submit(
        self,
        instrument: InstrumentId,
        side: Side,
        qty: Decimal,
        px: Decimal | None,
        *,
        tif: TimeInForce = TimeInForce.GTT,
        post_only: bool = False,
        reduce_only: bool = False,
        tag: str = "",
    ) -> ClientOrderId:
        order = {"instrument": instrument, "side": side, "qty": qty, "px": px, "tif": tif, "tag": tag}
        self.orders.append({**order, "post_only": post_only, "reduce_only": reduce_only})
        return ClientOrderId(len(self.orders))

    def cancel(self, client_order_id: ClientOrderId) -> None:
        self.cancels.append(client_order_id)

    def cancel_all(self, instrument: InstrumentId) -> None:
        self.quotes.pop(instrument, None)
        self.cancelled_all.append(instrument)

    def set_timer(self, key: str, at_ns: int) -> None:
        self.timers[key] = at_ns

    def explain(self, instrument: InstrumentId, inputs: Mapping[str, Explained]) -> None:
        self.explained[instrument] = inputs

    def notice(self, level: Literal["info", "warning"], name: str, fields: Mapping[str, str]) -> None:
        self.notices.append((level, name, fields))

    def remember(self, memo: str) -> None:
        self.memo = memo

    def ask(self, question: str) -> None:
        self.question = question

    def _position(self, instrument: InstrumentId, qty: Decimal) -> Position:
        zero = Decimal(0)
        return Position(instrument, qty, zero, realized_pnl=zero, fees=zero, funding=zero)


def own_order(instrument: Instrument, side: Side, px: str, qty: str, state: OrderState = OrderState.OPEN) -> OrderView:
    """An order of the strategy's own as execution shows it."""
    return OrderView(
        client_order_id=ClientOrderId(1),
        instrument=instrument.instrument_id,
        side=side,
        px=Decimal(px),
        qty=Decimal(qty),
        cum_qty=Decimal(0),
        state=state,
    )


def _one(quote: Quote | None) -> tuple[Quote, ...]:
    return () if quote is None else (quote,)
