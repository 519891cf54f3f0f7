"""Writes down what happens in a backtest, in integers, and sums it up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.engine.backtest_tables import NONE, Table, Texts, digest, nano
from perpmaker.engine.core import Engine
from perpmaker.engine.records import FillBooked, Happened, Record
from perpmaker.model.commands import Notice
from perpmaker.model.events import (
    Event,
    FundingPaid,
    OrderNotSent,
    OrderReport,
    OrderRetired,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, OrderState, Side
from perpmaker.simulation import SimulatedVenue

_ENDS: Final = frozenset({VenueStatus.FILLED, VenueStatus.REJECTED, VenueStatus.CANCELED, VenueStatus.EXPIRED})
_WRITTEN_DOWN: Final = frozenset({OrderReport, SubmitRejected, SubmitUnknown, OrderNotSent, FundingPaid})
_LEVELS: Final = frozenset({"warning", "error"})
_ZERO: Final = Decimal(0)
_MONEY: Final = ("equity", "balance", "spread", "adverse", "inventory", "fees", "funding")
_QUOTED: Final = (
    "bid_px",
    "ask_px",
    "own_bid_px",
    "own_ask_px",
    "own_bid_qty",
    "own_ask_qty",
    "position",
    "mark_px",
)


class Figures(msgspec.Struct, frozen=True):
    """What a run came to; money in the accounts' currency, exact.

    pnl = spread + adverse + inventory - fees + funding (portfolio.attribution says what each is).
    """

    fills: int
    volume: Decimal
    """Notional traded, both sides."""
    pnl: Decimal
    spread: Decimal
    adverse: Decimal
    inventory: Decimal
    fees: Decimal
    funding: Decimal
    max_drawdown: Decimal
    """The deepest fall of equity from its peak, between samples a second apart."""
    maker_fills: int
    orders: int
    rejected: int
    """By the venue: post-only orders that would have taken included, and those of which it took an inquiry to know."""
    refused: dict[str, int]
    """By our own gate, by code."""
    liquidations: int
    positions: dict[str, Decimal]
    """Still held at the end."""
    equity: Decimal

    @property
    def pnl_bps(self) -> float:
        """PnL in bps of the volume traded."""
        return float(self.pnl / self.volume * 10_000) if self.volume else 0.0


class Chronicle:
    """Tables of everything, by name."""

    def __init__(self, engine: Engine, instruments: Mapping[InstrumentId, Instrument]) -> None:
        self.texts = Texts()
        self.tables = _tables()
        self._engine = engine
        self._instruments = instruments
        self._live: dict[ClientOrderId, int] = {}
        """Rows of orders that have not ended."""
        self._peaks: dict[str, Decimal] = {}
        self._deepest = _ZERO
        self._volume = _ZERO
        self._rejected = self._maker_fills = 0

    # --- what happens

    def sent(self, order: NewOrder, now_ns: int) -> None:
        number = self.texts.number
        self._live[order.client_order_id] = self.tables["orders"].add(
            now_ns,
            number(order.account),
            number(order.strategy),
            number(order.instrument),
            _signed(order.client_order_id),
            order.side.sign,
            nano(order.px),
            nano(order.qty),
            number(order.tif.value),
            int(order.post_only),
            int(order.reduce_only),
            number(order.tag),
            number(OrderState.SENT.value),
            0,
            number(""),
            NONE,
        )

    def heard(self, event: Event) -> None:
        if type(event) not in _WRITTEN_DOWN:
            return
        if isinstance(event, OrderReport):
            if event.status in _ENDS or event.cum_qty:
                self._moved(event.client_order_id, event.status, event.cum_qty, event.reason, event.ts_event_ns)
        elif isinstance(event, SubmitRejected):
            self._moved(event.client_order_id, VenueStatus.REJECTED, _ZERO, str(event.code), event.ts_recv_ns)
        elif isinstance(event, SubmitUnknown):
            self._left_unknown(event)
        elif isinstance(event, OrderNotSent):
            self._moved(event.client_order_id, VenueStatus.REJECTED, _ZERO, event.reason, event.ts_recv_ns)
        elif isinstance(event, FundingPaid):
            number = self.texts.number
            self.tables["funding"].add(
                event.ts_event_ns, number(event.account), number(event.instrument), nano(event.amount)
            )

    def recorded(self, records: Iterable[Record]) -> None:
        for record in records:
            if isinstance(record, FillBooked):
                self._filled(record)
            elif isinstance(record, Happened) and isinstance(record.event, OrderRetired):
                self._retired(record.event)

    def told(self, notice: Notice) -> None:
        if notice.level in _LEVELS:
            text = " ".join(f"{key}={value}" for key, value in notice.fields.items())
            number = self.texts.number
            self.tables["notices"].add(notice.ts_ns, number(notice.level), number(notice.name), number(text))

    def sample(self, now_ns: int) -> None:
        """Note equity and its parts, and our quotes beside the market's."""
        world, number = self._engine.world, self.texts.number
        for account, ledger in world.ledgers.items():
            mark = ledger.mark(now_ns)
            if mark is None:
                continue
            self.tables["equity"].add(
                now_ns, number(account), nano(mark.equity), nano(mark.balance), nano(mark.spread), nano(mark.adverse),
                nano(mark.inventory), nano(mark.fees), nano(mark.funding),
            )  # fmt: skip
            peak = self._peaks[account] = max(self._peaks.get(account, mark.equity), mark.equity)
            self._deepest = max(self._deepest, peak - mark.equity)
        for name, rules in self._instruments.items():
            self._sample_quotes(name, rules, now_ns)

    # --- sums

    def figures(self, venues: Iterable[SimulatedVenue]) -> Figures:
        world = self._engine.world
        splits = [split for ledger in world.ledgers.values() if (split := ledger.split()) is not None]
        held: dict[str, Decimal] = {
            name: qty
            for book in world.account_books.values()
            for name, position in book.positions.items()
            if (qty := position.qty)
        }
        return Figures(
            fills=len(self.tables["fills"]),
            volume=self._volume,
            pnl=sum((split.total for split in splits), _ZERO),
            spread=sum((split.spread for split in splits), _ZERO),
            adverse=sum((split.adverse for split in splits), _ZERO),
            inventory=sum((split.inventory for split in splits), _ZERO),
            fees=sum((split.fees for split in splits), _ZERO),
            funding=sum((split.funding for split in splits), _ZERO),
            max_drawdown=self._deepest,
            maker_fills=self._maker_fills,
            orders=len(self.tables["orders"]),
            rejected=self._rejected,
            refused=dict(sorted(world.orders_refused.items())),
            liquidations=sum(account.liquidations for venue in venues for account in venue.accounts.values()),
            positions=held,
            equity=world.equity() or _ZERO,
        )

    def digest(self) -> str:
        return digest(self.tables, self.texts.texts)

    # --- inside

    def _filled(self, booked: FillBooked) -> None:
        fill, number = booked.fill, self.texts.number
        self._volume += fill.px * fill.qty
        self._maker_fills += not fill.is_taker
        self.tables["fills"].add(
            fill.ts_event_ns,
            fill.ts_recv_ns,
            number(fill.account),
            number(booked.strategy),
            number(fill.instrument),
            _signed(fill.client_order_id),
            fill.side.sign,
            nano(fill.px),
            nano(fill.qty),
            nano(fill.fee),
            int(fill.is_taker),
            nano(fill.realized_pnl),
            nano(booked.position_after),
            nano(booked.fair_px),
            int(fill.is_liquidation),
        )

    def _moved(
        self, client_order_id: ClientOrderId, status: VenueStatus, cum_qty: Decimal, reason: str, ts_ns: int
    ) -> None:
        row = self._live.get(client_order_id)
        if row is None:
            return
        orders, number = self.tables["orders"], self.texts.number
        orders["status"][row] = number(status.value)
        orders["cum_qty"][row] = nano(cum_qty)
        if status in _ENDS:
            orders["reason"][row] = number(reason)
            orders["ended_ns"][row] = ts_ns
            self._rejected += status is VenueStatus.REJECTED
            del self._live[client_order_id]

    def _left_unknown(self, event: SubmitUnknown) -> None:
        """The reason keeps the code that the venue's answer began with, as of an order that was rejected at once."""
        row = self._live.get(event.client_order_id)
        if row is not None:
            orders, number = self.tables["orders"], self.texts.number
            orders["status"][row] = number(OrderState.UNKNOWN.value)
            orders["reason"][row] = number(event.reason.partition(" ")[0])

    def _retired(self, event: OrderRetired) -> None:
        """An inquiry proved that the venue never took the order."""
        row = self._live.pop(event.client_order_id, None)
        if row is not None:
            orders = self.tables["orders"]
            orders["status"][row] = self.texts.number(OrderState.RETIRED.value)
            orders["ended_ns"][row] = event.ts_recv_ns
            self._rejected += 1

    def _sample_quotes(self, name: InstrumentId, rules: Instrument, now_ns: int) -> None:
        world = self._engine.world
        book = world.books.book(name, now_ns)
        prices = world.books.prices(name)
        best = dict.fromkeys(Side, (NONE, 0))
        for tracked in world.table.live(instrument=name):
            order, side = tracked.order, tracked.order.side
            if order.px is None:
                continue
            px, qty = nano(order.px), nano(tracked.leaves_qty)
            held_px, held_qty = best[side]
            if held_px == NONE or (px - held_px) * side.sign > 0:
                best[side] = (px, qty)
            elif px == held_px:
                best[side] = (px, held_qty + qty)
        position = sum((account.position_qty(name) for account in world.account_books.values()), _ZERO)
        self.tables["quotes"].add(
            now_ns,
            self.texts.number(name),
            NONE if book is None else nano(rules.px(book.bid_ticks)),
            NONE if book is None else nano(rules.px(book.ask_ticks)),
            best[Side.BUY][0],
            best[Side.SELL][0],
            best[Side.BUY][1],
            best[Side.SELL][1],
            nano(position),
            nano(prices.mark_px if prices is not None else None),
        )


def _tables() -> dict[str, Table]:
    return {
        "fills": Table(
            ("ts_event_ns", "ts_recv_ns", "account", "strategy", "instrument", "client_order_id", "side", "px", "qty",
             "fee", "is_taker", "realized_pnl", "position_after", "fair_px", "is_liquidation"),
            texts=("account", "strategy", "instrument"),
            nanos=("px", "qty", "fee", "realized_pnl", "position_after", "fair_px"),
        ),
        "orders": Table(
            ("sent_ns", "account", "strategy", "instrument", "client_order_id", "side", "px", "qty", "tif", "post_only",
             "reduce_only", "tag", "status", "cum_qty", "reason", "ended_ns"),
            texts=("account", "strategy", "instrument", "tif", "tag", "status", "reason"),
            nanos=("px", "qty", "cum_qty"),
        ),
        "equity": Table(
            ("ts_ns", "account", *_MONEY),
            texts=("account",),
            nanos=_MONEY,
        ),
        "quotes": Table(
            ("ts_ns", "instrument", *_QUOTED),
            texts=("instrument",),
            nanos=_QUOTED,
        ),
        "funding": Table(
            ("ts_ns", "account", "instrument", "amount"), texts=("account", "instrument"), nanos=("amount",)
        ),
        "notices": Table(("ts_ns", "level", "name", "text"), texts=("level", "name", "text")),
    }  # fmt: skip


def _signed(client_order_id: int) -> int:
    """Return a 64-bit id as the signed integer of the same bits."""
    return client_order_id - (1 << 64) if client_order_id >> 63 else client_order_id
