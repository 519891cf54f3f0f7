"""Questions to a store, read-only: they never hold up its writer, and never see half of a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from perpmaker.engine.store.schema import check_whole, open_for_reading

_CHUNK: Final = 2_000
_Row = TypeVar("_Row", bound=msgspec.Struct)


class StoredFill(msgspec.Struct, frozen=True):
    """A booked fill. `seq` counts them from 1; `number` is the engine's own, None where a kill kept it from giving one.

    `effect` is opens, adds, reduces, closes or turns. `realized_pnl` is the venue's (average entry), `grid_profit` ours
    (first-in first-out), both without fees; `grid_profit` is None when what it closed was opened out of sight. `order_px`
    is None for a market order, or an order that is not known. `fee` > 0 is a cost.
    """

    seq: int
    number: int | None
    ts_event_ns: int
    ts_recv_ns: int
    account: str
    venue: str
    strategy: str
    instrument: str
    side: str
    effect: str
    order_px: Decimal | None
    px: Decimal
    qty: Decimal
    fee: Decimal
    fee_currency: str
    is_taker: bool
    realized_pnl: Decimal
    grid_profit: Decimal | None
    position_after: Decimal
    fair_px: Decimal | None
    client_order_id: str
    venue_order_id: str | None
    trade_id: str


class StoredOrder(msgspec.Struct, frozen=True):
    """An order as the journal's evidence says. `id` counts them as they came; `adopted`: known from the venue alone."""

    id: int
    created_ns: int
    updated_ns: int
    ended_ns: int | None
    account: str
    venue: str
    strategy: str
    instrument: str
    side: str
    px: Decimal | None
    qty: Decimal
    cum_qty: Decimal
    filled_qty: Decimal
    filled_notional: Decimal
    stated_avg_px: Decimal | None
    tif: str
    post_only: bool
    reduce_only: bool
    expire_ns: int
    state: str
    reason: str
    tag: str
    adopted: bool
    client_order_id: str
    venue_order_id: str | None

    @property
    def avg_px(self) -> Decimal | None:
        """By the fills once they are complete, before that as the venue states it; rounded to 1e-12."""
        if self.filled_qty and self.filled_qty == self.cum_qty and not self.adopted:
            return (self.filled_notional / self.filled_qty).quantize(Decimal("1e-12")).normalize()
        return self.stated_avg_px


class StoredEquity(msgspec.Struct, frozen=True):
    """One account's equity and its parts since the journal began: pnl = spread + adverse + inventory - fees + funding."""

    record: int
    ts_ns: int
    account: str
    venue: str
    equity: Decimal
    balance: Decimal
    transfers: Decimal
    spread: Decimal
    adverse: Decimal
    inventory: Decimal
    fees: Decimal
    funding: Decimal
    positions: dict[str, Decimal]
    marks: dict[str, Decimal]

    @property
    def pnl(self) -> Decimal:
        return self.spread + self.adverse + self.inventory - self.fees + self.funding


class StoredFunding(msgspec.Struct, frozen=True):
    """A funding payment; `amount` > 0 was received. `counted` is False for one that the opening balance includes."""

    id: int
    ts_event_ns: int
    account: str
    instrument: str
    amount: Decimal
    currency: str
    counted: bool
    payment_id: str


class StoredDecision(msgspec.Struct, frozen=True):
    """A sample of what a strategy based its quotes on."""

    record: int
    ts_ns: int
    strategy: str
    instrument: str
    inputs: dict[str, float | int | str | bool | list[str] | None]


class StoredCommand(msgspec.Struct, frozen=True):
    """An operator's command; `state` is asked until it is answered."""

    command_id: str
    kind: str
    strategy: str
    arguments: dict[str, str]
    actor: str
    state: str
    text: str
    asked_ns: int
    answered_ns: int | None


class StoredNotice(msgspec.Struct, frozen=True):
    """What the engine said, or what became of it: `source` is the kind of the journal record."""

    record: int
    ts_ns: int
    source: str
    level: str
    name: str
    fields: dict[str, Any]


_FILLS: Final = """
SELECT seq, number, ts_event_ns, ts_recv_ns, account, COALESCE(venue, ''), strategy, instrument, side, effect, order_px,
    px, qty, fee, fee_currency, is_taker, realized_pnl, grid_profit, position_after, fair_px, client_order_id,
    venue_order_id, trade_id
FROM fills LEFT JOIN accounts USING (account) WHERE seq IS NOT NULL """
_ORDERS: Final = """
SELECT id, created_ns, updated_ns, ended_ns, account, COALESCE(venue, ''), strategy, instrument, side, px, qty, cum_qty,
    filled_qty, filled_notional, stated_avg_px, tif, post_only, reduce_only, expire_ns, state, reason, tag, adopted,
    client_order_id, venue_order_id
FROM orders LEFT JOIN accounts USING (account) WHERE """
_EQUITY: Final = """
SELECT record, ts_ns, account, COALESCE(venue, ''), equity, balance, transfers, spread, adverse, inventory, fees, funding,
    positions, marks
FROM equity LEFT JOIN accounts USING (account) WHERE """
_EQUITY_JSON: Final = ("positions", "marks")


class StoreReader:
    """Open on a store that exists, for one thread; raises WrongStore or sqlite3.Error when it cannot be read.

    Lists that end in "newest first" take `before` to page on: the last row's `seq`, `id` or `record`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_for_reading(path)

    def close(self) -> None:
        self._connection.close()

    def check(self) -> None:
        """Raise WrongStore or sqlite3.Error when a page is damaged; reads all of the file."""
        check_whole(self._connection, self._path)

    def copy_to(self, path: Path) -> None:
        """Make a copy of the store, as of one moment."""
        target = sqlite3.connect(path, isolation_level=None)
        try:
            self._connection.backup(target)
        finally:
            target.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all questions inside be answered from one state of the store."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def progress(self) -> tuple[int, bytes]:
        """Return the number and the chain digest of the last journal record in here."""
        row = self._connection.execute("SELECT record, digest FROM progress").fetchone()
        return int(row[0]), bytes(row[1])

    def gaps(self) -> list[tuple[int, int]]:
        """Return the ranges of record numbers (first, last) that the journal could not give."""
        rows = self._connection.execute("SELECT after_record + 1, before_record - 1 FROM gaps ORDER BY after_record")
        return [(int(first), int(last)) for first, last in rows]

    def count(self, table: str) -> int:
        """Return how many rows there are of fills (booked ones), orders or equity."""
        found = self._connection.execute(_COUNTS[table]).fetchone()
        return int(found[0])

    def fills(self, limit: int, before: int | None = None) -> list[StoredFill]:
        """Return booked fills, newest first."""
        return self._list(StoredFill, _FILLS + "AND seq < ? ORDER BY seq DESC LIMIT ?", _cursor(before), limit)

    def orders(self, limit: int, before: int | None = None) -> list[StoredOrder]:
        """Return orders, newest first."""
        return self._list(StoredOrder, _ORDERS + "id < ? ORDER BY id DESC LIMIT ?", _cursor(before), limit)

    def order(self, account: str, client_order_id: int) -> StoredOrder | None:
        """Return the order with a client order id of ours."""
        found = self._list(StoredOrder, _ORDERS + "account = ? AND order_key = ?", account, f"c{client_order_id}")
        return found[0] if found else None

    def equity(self, since_ns: int = 0, limit: int = -1, account: str | None = None) -> list[StoredEquity]:
        """Return the newest `limit` marks (-1: all) since `since_ns`, oldest first."""
        newest = self._list(
            StoredEquity,
            _EQUITY + "ts_ns >= ? AND ? IN (account, '') ORDER BY record DESC LIMIT ?",
            since_ns,
            account or "",
            limit,
            json=_EQUITY_JSON,
        )
        return newest[::-1]

    def funding(self, limit: int, before: int | None = None) -> list[StoredFunding]:
        """Return payments, newest first."""
        question = (
            "SELECT id, ts_event_ns, account, instrument, amount, currency, counted, payment_id FROM funding "
            "WHERE id < ? ORDER BY id DESC LIMIT ?"
        )
        return self._list(StoredFunding, question, _cursor(before), limit)

    def decisions(self, limit: int, before: int | None = None, strategy: str | None = None) -> list[StoredDecision]:
        """Return samples of what strategies based their quotes on, newest first."""
        question = (
            "SELECT record, ts_ns, strategy, instrument, inputs FROM decisions "
            "WHERE record < ? AND ? IN (strategy, '') ORDER BY record DESC LIMIT ?"
        )
        return self._list(StoredDecision, question, _cursor(before), strategy or "", limit, json=("inputs",))

    def commands(self, limit: int) -> list[StoredCommand]:
        """Return the last commands, newest first."""
        question = (
            "SELECT command_id, kind, strategy, arguments, actor, state, text, asked_ns, answered_ns FROM commands "
            "ORDER BY record DESC, command_id LIMIT ?"
        )
        return self._list(StoredCommand, question, limit, json=("arguments",))

    def notices(self, limit: int, before: int | None = None) -> list[StoredNotice]:
        """Return what the engine said and what became of it, newest first."""
        question = (
            "SELECT record, ts_ns, source, level, name, fields FROM notices "
            "WHERE record < ? ORDER BY record DESC LIMIT ?"
        )
        return self._list(StoredNotice, question, _cursor(before), limit, json=("fields",))

    def every_fill(self) -> Iterator[StoredFill]:
        """Go through all booked fills, oldest first."""
        return self._each(StoredFill, _FILLS + "ORDER BY seq")

    def every_order(self) -> Iterator[StoredOrder]:
        """Go through all orders, oldest first."""
        return self._each(StoredOrder, _ORDERS + "1 ORDER BY id")

    def every_equity(self) -> Iterator[StoredEquity]:
        """Go through all marks, oldest first."""
        return self._each(StoredEquity, _EQUITY + "1 ORDER BY record", json=_EQUITY_JSON)

    def _list(self, kind: type[_Row], question: str, *arguments: object, json: tuple[str, ...] = ()) -> list[_Row]:
        return list(self._each(kind, question, *arguments, json=json))

    def _each(self, kind: type[_Row], question: str, *arguments: object, json: tuple[str, ...] = ()) -> Iterator[_Row]:
        cursor = self._connection.execute(question, arguments)
        names = kind.__struct_fields__
        while rows := cursor.fetchmany(_CHUNK):
            for row in rows:
                fields = dict(zip(names, row, strict=True))
                for name in json:
                    fields[name] = msgspec.json.decode(fields[name])
                yield msgspec.convert(fields, kind, strict=False)


_COUNTS: Final = {
    "fills": "SELECT COUNT(seq) FROM fills",
    "orders": "SELECT COUNT(*) FROM orders",
    "equity": "SELECT COUNT(*) FROM equity",
}


def _cursor(before: int | None) -> int:
    return (1 << 63) - 1 if before is None else before
