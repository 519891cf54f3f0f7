"""A parent order stepped by hand against a book of a few lines; a test says what becomes of each child."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from perpmaker.execution.algos.moves import CancelChild, Child
from perpmaker.execution.algos.parent import Parent, Scene
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.events import Fill
from perpmaker.model.execution import ExecutionReport, ParentOrder
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.model.quote import Algorithm, Sweep

MS = 1_000_000
S = 1_000 * MS
ETH = InstrumentId("ETH_USDT_Perp")
RULES = Instrument(
    instrument_id=ETH,
    symbol=ETH,
    exchange="grvt",
    base="ETH",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.01"),
    min_qty=Decimal("0.01"),
    min_notional=Decimal(20),
)
ASK = 260_000
"""Best ask in ticks; the best bid is ten below."""


def thin_levels(
    *, ask: int = ASK, lots: int = 2, gap: int = 4, levels: int = 60
) -> tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]]:
    """0.02 ETH a level, several ticks apart: the book that broke the original router."""
    bids = tuple((ask - 10 - gap * n, lots) for n in range(levels))
    asks = tuple((ask + gap * n, lots) for n in range(levels))
    return bids, asks


class Workbench:
    """One parent order. `act` steps it and notes what it places; `end` says how the child ended."""

    def __init__(
        self,
        qty: str = "1",
        side: Side = Side.BUY,
        algorithm: Algorithm | None = None,
        *,
        largest: str = "100000",
        reduce_only: bool = False,
    ) -> None:
        order = ParentOrder(
            "parent-1",
            AccountId("main"),
            StrategyId("s"),
            ETH,
            side,
            Decimal(qty),
            algorithm or Sweep(),
            reduce_only,
        )
        self.side = side
        self.now_ns = 1_000 * S
        self.parent = Parent(order, self.now_ns)
        self.rules = RULES
        self.book: OrderBook | None = None
        self.views: dict[ClientOrderId, OrderView] = {}
        self.placed: list[Child] = []
        self.hindrance = ""
        self.own_opposite_px: Decimal | None = None
        self.largest = Decimal(largest)
        self._trades = 0
        self.show()

    # --- market

    def show(self, *, ask: int = ASK, lots: int = 2, gap: int = 4, levels: int = 60) -> None:
        """Let the book of now be this one."""
        book = OrderBook(self.rules)
        bids, asks = thin_levels(ask=ask, lots=lots, gap=gap, levels=levels)
        assert book.snapshot(bids, asks, self.now_ns, self.now_ns)
        self.book = book

    def later(self, ms: int, **book: int) -> None:
        """Let time pass, and a newer book come."""
        self.now_ns += ms * MS
        if self.book is not None:
            self.show(**book)

    # --- the parent

    def act(self) -> Child | CancelChild | None:
        move = self.parent.step(
            Scene(
                now_ns=self.now_ns,
                instrument=self.rules,
                book=self.book,
                view=self.views.get,
                largest_notional=self.largest,
                hindrance=self.hindrance,
                own_opposite_px=self.own_opposite_px,
            )
        )
        if isinstance(move, Child):
            number = ClientOrderId(len(self.placed) + 1)
            self.placed.append(move)
            self.parent.placed(number, move, self.now_ns)
            self.views[number] = self._view(number, Decimal(0), OrderState.SENT)
        return move

    def child(self) -> Child:
        move = self.act()
        assert isinstance(move, Child), (move, self.parent.waits_for)
        return move

    def end(
        self,
        cum: str | Decimal,
        state: OrderState = OrderState.CANCELED,
        *,
        px: Decimal | None = None,
        booked: bool = True,
        reason: str = "",
    ) -> None:
        """Tell how the last child stands: executed `cum` at `px` (its limit by default)."""
        number = ClientOrderId(len(self.placed))
        px = self.placed[-1].px if px is None else px
        before = self.views[number].cum_qty
        cum = Decimal(cum)
        self.views[number] = self._view(number, cum, state, px, reason)
        if booked and cum > before:
            self.fill(cum - before, px)
        move = self.act()  # as the engine does with every evidence
        assert not isinstance(move, Child), "a child follows another after a pause"

    def fill(self, qty: Decimal, px: Decimal, number: int = 0) -> None:
        """Book a fill of a child, the last one by default."""
        self._trades += 1
        self.parent.book(
            Fill(
                account=AccountId("main"),
                client_order_id=ClientOrderId(number or len(self.placed)),
                venue_order_id=None,
                trade_id=TradeId(f"t{self._trades}"),
                instrument=ETH,
                side=self.side,
                px=px,
                qty=qty,
                fee=qty * px * Decimal("0.00045"),
                fee_currency="USDT",
                is_taker=True,
                realized_pnl=Decimal(0),
                ts_event_ns=self.now_ns,
                ts_recv_ns=self.now_ns,
            )
        )

    def report(self) -> ExecutionReport:
        return self.parent.report()

    def _view(
        self,
        number: ClientOrderId,
        cum: Decimal,
        state: OrderState,
        px: Decimal | None = None,
        reason: str = "",
    ) -> OrderView:
        child = self.placed[-1]
        avg = px if cum else None
        return OrderView(number, ETH, self.side, child.px, child.qty, cum, state, avg, reason=reason)
