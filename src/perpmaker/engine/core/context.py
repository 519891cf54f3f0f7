"""What a strategy sees of the engine and says to it, while one of its hooks runs (strategies.api.Context)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from perpmaker.engine.core.slot import Ladder, Slot
from perpmaker.engine.core.wishes import check_explained, check_text
from perpmaker.engine.core.world import ENGINE_ITSELF
from perpmaker.engine.records import Remembered
from perpmaker.model.account import Position
from perpmaker.model.book import Book
from perpmaker.model.commands import Notice
from perpmaker.model.events import Bar, Ticker
from perpmaker.model.execution import ExecutionReport
from perpmaker.model.guard import Guard
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder, OrderView, Side, TimeInForce
from perpmaker.model.quote import Algorithm, Quote
from perpmaker.risk.halts import loss_used
from perpmaker.strategies.api import DEFAULT_ALGORITHM, Booked, Conversion, Explained

if TYPE_CHECKING:
    from perpmaker.engine.core.executions import Executions
    from perpmaker.engine.core.world import World

_ZERO = Decimal(0)


class SlotContext:
    """The context of one strategy. Reads are of the world as it is now; wishes are gathered for after the hook."""

    def __init__(self, world: World, slot: Slot, executions: Executions) -> None:
        self._world = world
        self._executions = executions
        self._slot = slot
        self._strategy = slot.spec.strategy

    # --- reading

    def now_ns(self) -> int:
        return self._world.now_ns

    def instrument(self, instrument: InstrumentId) -> Instrument:
        return self._world.instruments[instrument]

    def book(self, instrument: InstrumentId) -> Book | None:
        return self._world.book_without_own(instrument)

    def raw_book(self, instrument: InstrumentId) -> Book | None:
        return self._world.books.book(instrument, self._world.now_ns)

    def ticker(self, instrument: InstrumentId) -> Ticker | None:
        prices = self._world.books.prices(instrument)
        return None if prices is None else prices.ticker

    def bars(self, instrument: InstrumentId, bar_s: int) -> Sequence[Bar]:
        return tuple(self._world.bars.get((instrument, bar_s), ()))

    def mark_px(self, instrument: InstrumentId) -> Decimal | None:
        prices = self._world.books.prices(instrument)
        return None if prices is None else prices.mark_px

    def index_px(self, instrument: InstrumentId) -> Decimal | None:
        prices = self._world.books.prices(instrument)
        return None if prices is None else prices.index_px

    def funding_rate(self, instrument: InstrumentId) -> Decimal | None:
        prices = self._world.books.prices(instrument)
        return None if prices is None else prices.funding_rate

    def position(self, instrument: InstrumentId) -> Position:
        """The account's position: no two strategies of an account trade one instrument."""
        return self._world.ledgers[self._account(instrument)].book.position(instrument)

    def proven_qty(self, instrument: InstrumentId) -> Decimal:
        return self._executions.position((self._account(instrument), instrument))

    def open_orders(self, instrument: InstrumentId) -> Sequence[OrderView]:
        live = self._world.table.live(self._account(instrument), instrument, self._strategy)
        return [order.view() for order in live if not order.waits]

    def equity(self) -> Decimal:
        """Equity of the lead's account, or the settled balance while a position has no mark price."""
        book = self._world.ledgers[self._slot.spec.account].book
        return book.balance if book.equity is None else book.equity

    def max_position_notional(self) -> Decimal:
        return min(self._world.limits[account].max_position_notional for account in self._slot.spec.accounts)

    def loss_used(self) -> float:
        world = self._world
        return float(max(loss_used(world.ledgers[name].book, world.limits[name]) for name in self._slot.spec.accounts))

    def maker_fee(self, instrument: InstrumentId) -> Decimal | None:
        return self._world.fees.maker(self._account(instrument), instrument)

    def taker_fee(self, instrument: InstrumentId) -> Decimal | None:
        return self._world.fees.taker(self._account(instrument), instrument)

    def execution(self, instrument: InstrumentId) -> ExecutionReport | None:
        mine = [
            report
            for report in self._executions.reports()
            if report.order.strategy == self._strategy and report.order.instrument == instrument
        ]
        return mine[-1] if mine else None

    def paused(self) -> bool:
        return self._slot.paused

    def hindrance(self, instrument: InstrumentId) -> str:
        return self._world.hindrance(self._account(instrument), instrument)

    def protected(self, instrument: InstrumentId) -> str:
        if not self._world.triggers.get(self._account(instrument), False):
            return "none: the venue offers no orders that wait for a price"
        guards = self._slot.guards.get(instrument)
        return "none: nothing to protect" if guards is None else guards.shown()

    def booked(self, after: int) -> Sequence[Booked]:
        found = [
            booked
            for leg in self._slot.spec.legs
            for booked in takewhile(lambda b: b.number > after, reversed(self._world.ledgers[leg.account].fills))
            if booked.fill.instrument == leg.instrument
        ]
        found.sort(key=lambda booked: booked.number)
        return [Booked(booked.number, booked.fill, self._by(booked.strategy)) for booked in found]

    def booked_count(self) -> int:
        return self._world.fills_total

    def conversion(self, source: str, target: str) -> Conversion | None:
        return self._world.conversion(source, target)

    def recall(self) -> str:
        return self._slot.memo

    # --- saying

    def remember(self, memo: str) -> None:
        check_text("remember: a memo", memo)
        if memo != self._slot.memo:
            self._slot.memo = memo
            self._world.out.record(Remembered(self._strategy, memo, self._world.now_ns))

    def ask(self, question: str) -> None:
        check_text("ask: a question", question)
        self._slot.question = question

    def quote(
        self,
        instrument: InstrumentId,
        bids: Sequence[Quote] = (),
        asks: Sequence[Quote] = (),
        *,
        bid: Quote | None = None,
        ask: Quote | None = None,
    ) -> None:
        if (bids and bid is not None) or (asks and ask is not None):
            raise ValueError("state a side of the ladder either as one quote or as a sequence, not both")
        self._slot.wish.ladders[instrument] = Ladder(
            (bid,) if bid is not None else tuple(bids), (ask,) if ask is not None else tuple(asks)
        )

    def target(self, instrument: InstrumentId, qty: Decimal, algo: Algorithm = DEFAULT_ALGORITHM) -> None:
        self._slot.wish.targets[instrument] = (qty, algo)

    def protect(self, instrument: InstrumentId, guards: Sequence[Guard]) -> None:
        self._slot.wish.guards[instrument] = tuple(guards)

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
        account = self._account(instrument)
        order = NewOrder(
            client_order_id=self._slot.ids.next(account),
            account=account,
            strategy=self._strategy,
            instrument=instrument,
            side=side,
            px=px,
            qty=qty,
            tif=tif,
            post_only=post_only,
            reduce_only=reduce_only,
            tag=tag,
        )
        self._slot.wish.orders.append(order)
        return order.client_order_id

    def cancel(self, client_order_id: ClientOrderId) -> None:
        for account in self._slot.spec.accounts:
            order = self._world.table.get(account, client_order_id)
            if order is not None and order.order.strategy == self._strategy and not order.is_terminal:
                self._slot.wish.cancels.append(
                    CancelOrder(account, order.order.instrument, client_order_id, order.venue_order_id)
                )

    def cancel_all(self, instrument: InstrumentId) -> None:
        self._slot.wish.ladders[instrument] = Ladder((), ())
        self._slot.wish.targets.pop(instrument, None)
        for order in self._world.table.live(self._account(instrument), instrument, self._strategy):
            if not order.waits:
                self.cancel(order.client_order_id)

    def set_timer(self, key: str, at_ns: int) -> None:
        self._slot.wish.timers[key] = at_ns

    def explain(self, instrument: InstrumentId, inputs: Mapping[str, Explained]) -> None:
        check_explained(inputs)
        self._slot.explained[instrument] = inputs
        self._slot.explained_ns = self._world.now_ns

    def notice(self, level: Literal["info", "warning"], name: str, fields: Mapping[str, str]) -> None:
        if level not in ("info", "warning"):
            raise ValueError(f"notice: a level is info or warning, not {level!r}")
        for text in (name, *fields, *fields.values()):
            check_text("notice: name, keys and values: each", text)
        self._world.out.tell(Notice(level, name, {"strategy": self._strategy, **fields}, self._world.now_ns))

    # --- inside

    def _account(self, instrument: InstrumentId) -> AccountId:
        return self._slot.spec.account_of(instrument)

    def _by(self, strategy: StrategyId) -> Literal["own", "engine", "other"]:
        if strategy == self._strategy:
            return "own"
        return "engine" if strategy == ENGINE_ITSELF else "other"
