"""A small trading desk for tests: two instruments, two accounts, books, order table and gate wired as the engine does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from perpmaker.execution.orders import OrderTable
from perpmaker.execution.tracked import OrderChange, TrackedOrder
from perpmaker.marketdata.books import Books
from perpmaker.model.events import (
    AccountSnapshot,
    BookSnapshot,
    Fill,
    OrderEvent,
    OrderPrepared,
    OrderReport,
    PositionReport,
    Source,
    Ticker,
    VenueStatus,
)
from perpmaker.model.ids import (
    AccountId,
    ClientOrderId,
    ClientOrderIds,
    InstrumentId,
    StrategyId,
    TradeId,
    VenueOrderId,
    instrument_id,
)
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, NewOrder, OrderState, Refused, Side
from perpmaker.portfolio.account import AccountBook
from perpmaker.risk.gate import Gate, ReadyState
from perpmaker.risk.halts import Halts
from perpmaker.risk.kill import KillLatch
from perpmaker.risk.limits import Limits

T0 = 1_790_000_000 * 10**9
"""A Monday in 2026, 14:13:20 UTC."""
S = 10**9
MS = 10**6
MAIN, OTHER = AccountId("main"), AccountId("other")
MAKER = StrategyId("maker")
BUY, SELL = Side.BUY, Side.SELL
INSTANCE, EPOCH = 5, 7
D = Decimal


def perp(base: str, tick: str, lot: str, min_qty: str, min_notional: str) -> Instrument:
    symbol = f"{base}_USDT_Perp"
    return Instrument(
        instrument_id=instrument_id(symbol),
        symbol=symbol,
        exchange="grvt",
        base=base,
        quote="USDT",
        tick=D(tick),
        lot=D(lot),
        min_qty=D(min_qty),
        min_notional=D(min_notional),
    )


BTC = perp("BTC", "0.1", "0.001", "0.001", "100")
ETH = perp("ETH", "0.01", "0.01", "0.01", "20")
BTC_ID, ETH_ID = BTC.instrument_id, ETH.instrument_id


def fill(
    coid: int = 0,
    qty: str = "0.01",
    px: str = "60000",
    side: Side = BUY,
    *,
    trade: str = "t1",
    account: AccountId = MAIN,
    instrument: InstrumentId = BTC_ID,
    fee: str = "0",
    at: int = T0,
    **more: Any,
) -> Fill:
    figures: dict[str, Any] = {
        "fee_currency": "USDT",
        "is_taker": False,
        "realized_pnl": D(0),
        "venue_order_id": None,
        "ts_event_ns": at,
        "ts_recv_ns": at,
    }
    return Fill(
        account=account,
        client_order_id=ClientOrderId(coid),
        trade_id=TradeId(trade),
        instrument=instrument,
        side=side,
        px=D(px),
        qty=D(qty),
        fee=D(fee),
        **{**figures, **more},
    )


def report(
    coid: int,
    status: VenueStatus = VenueStatus.OPEN,
    cum: str = "0",
    *,
    account: AccountId = MAIN,
    instrument: InstrumentId = BTC_ID,
    at: int = T0,
    source: Source = Source.STREAM,
    venue_id: str | None = None,
    **more: Any,
) -> OrderReport:
    return OrderReport(
        account=account,
        client_order_id=ClientOrderId(coid),
        venue_order_id=VenueOrderId(venue_id if venue_id is not None else f"v{coid}"),
        instrument=instrument,
        status=status,
        cum_qty=D(cum),
        avg_px=more.pop("avg_px", None),
        reason=more.pop("reason", ""),
        source=source,
        ts_event_ns=at,
        ts_recv_ns=at,
        **more,
    )


def ticker(
    instrument: InstrumentId = BTC_ID, mark: str | None = "60000", index: str | None = None, at: int = T0
) -> Ticker:
    return Ticker(
        instrument=instrument,
        mark_px=None if mark is None else D(mark),
        index_px=None if index is None else D(index),
        last_px=None,
        funding_rate=None,
        next_funding_ns=0,
        ts_event_ns=at,
        ts_recv_ns=at,
    )


def book_snapshot(
    bid: int, ask: int, *, instrument: InstrumentId = BTC_ID, lots: int = 100, at: int = T0
) -> BookSnapshot:
    bids = tuple((bid - i, lots) for i in range(5))
    asks = tuple((ask + i, lots) for i in range(5))
    return BookSnapshot(instrument, bids, asks, at, at)


def position_report(
    qty: str, *, instrument: InstrumentId = BTC_ID, entry: str = "60000", at: int = T0
) -> PositionReport:
    return PositionReport(MAIN, instrument, D(qty), D(entry), D("60000"), D(0), at, at)


def snapshot(
    *,
    orders: tuple[OrderReport, ...] = (),
    positions: tuple[PositionReport, ...] = (),
    fills: tuple[Fill, ...] = (),
    account: AccountId = MAIN,
    balance: str = "100000",
    asked: int = T0,
    at: int | None = None,
    fills_since: int = 0,
) -> AccountSnapshot:
    at = asked if at is None else at
    money = D(balance)
    return AccountSnapshot(
        account, orders, positions, fills, (), money, money, money, "USDT", fills_since, asked, at, at
    )


class FixedReadiness:
    """Readiness a test sets by hand; READY unless told otherwise."""

    def __init__(self) -> None:
        self.states: dict[tuple[AccountId, InstrumentId], ReadyState] = {}

    def ready_state(self, account: AccountId, instrument: InstrumentId) -> ReadyState:
        return self.states.get((account, instrument), ReadyState.READY)


class Stage:
    """Books around 60,000 (BTC) and 2,600 (ETH) with marks, two accounts of 100,000, an armed gate, an order table."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = T0
        self.books = Books([BTC, ETH])
        self.refresh()
        self.kill = KillLatch()
        self.halts = Halts()
        self.readiness = FixedReadiness()
        self.table = OrderTable({BTC_ID: BTC, ETH_ID: ETH}, instance=INSTANCE, epoch=EPOCH)
        self.accounts = {name: AccountBook(name) for name in (MAIN, OTHER)}
        for name, account in self.accounts.items():
            account.open(snapshot(account=name))
        self.limits = dict.fromkeys(self.accounts, limits or Limits(orders_per_s=D(1000), max_open_orders=1000))
        self.ids = ClientOrderIds(instance=INSTANCE, strategy=1, epoch=EPOCH)
        self.gate = Gate(
            kill=self.kill,
            books=self.books,
            accounts=self.accounts,
            limits=self.limits,
            own_orders=self.table,
            readiness=self.readiness,
            halts=self.halts,
            armed=True,
        )

    @property
    def account(self) -> AccountBook:
        return self.accounts[MAIN]

    def refresh(self, bid: int = 599_999, ask: int = 600_001) -> None:
        """State books and marks anew, as of now."""
        self.books.apply(book_snapshot(bid, ask, at=self.now))
        self.books.apply(book_snapshot(259_999, 260_001, instrument=ETH_ID, lots=1000, at=self.now))
        self.books.apply(ticker(at=self.now))
        self.books.apply(ticker(ETH_ID, "2600", at=self.now))

    def order(self, side: Side = BUY, px: str | None = "59990", qty: str = "0.01", **more: Any) -> NewOrder:
        figures = {"account": MAIN, "strategy": MAKER, "instrument": BTC_ID, **more}
        figures.setdefault("client_order_id", self.ids.next())
        return NewOrder(side=side, px=None if px is None else D(px), qty=D(qty), **figures)

    def check(self, *args: Any, **more: Any) -> str:
        """Return the gate's code for an order made as `order` does, "" when it is approved; nothing is entered."""
        verdict = self.gate.check(self.order(*args, **more), self.now)
        return verdict.code if isinstance(verdict, Refused) else ""

    def admit(self, *args: Any, **more: Any) -> TrackedOrder:
        """Enter an approved order; an AssertionError names the refusal."""
        order = self.order(*args, **more)
        approved, refused = self.table.admit(self.gate, [order], self.now)
        assert not refused, refused
        assert isinstance(approved[0], Approved)
        return self.tracked(order.client_order_id, order.account)

    def sent(self, *args: Any, **more: Any) -> TrackedOrder:
        tracked = self.admit(*args, **more)
        self.apply(OrderPrepared(tracked.order.account, tracked.client_order_id, self.now))
        assert tracked.state is OrderState.SENT
        return tracked

    def resting(self, *args: Any, **more: Any) -> TrackedOrder:
        tracked = self.sent(*args, **more)
        order = tracked.order
        self.apply(report(tracked.client_order_id, account=order.account, instrument=order.instrument, at=self.now))
        assert tracked.state is OrderState.OPEN
        return tracked

    def apply(self, event: OrderEvent) -> OrderChange | None:
        """Apply evidence; returns the one change it made."""
        changes = self.table.apply(event)
        assert len(changes) <= 1
        return changes[0] if changes else None

    def tracked(self, coid: ClientOrderId, account: AccountId = MAIN) -> TrackedOrder:
        found = self.table.get(account, coid)
        assert found is not None
        return found

    def trade(self, side: Side, qty: str, px: str = "60000", *, trade: str) -> None:
        """Give the main account a position by a fill of no known order."""
        self.account.on_fill(fill(0, qty, px, side, trade=trade, at=self.now))
        self.account.on_mark(BTC_ID, D("60000"))


def replaced(event: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(event, **changes)
