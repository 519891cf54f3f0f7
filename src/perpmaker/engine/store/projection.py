"""What each journal record means for the store. Applying one is exact and repeatable: whoever applies the same records
in the same order gets the same rows, however they were cut into transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final, cast, get_args

import msgspec

from perpmaker.engine.records import (
    Boot,
    Closed,
    CommandAnswered,
    Crashed,
    Decision,
    EquityMark,
    FillBooked,
    FreezesChanged,
    HaltChanged,
    Happened,
    Intent,
    Latch,
    Ready,
    Record,
    Said,
    SegmentStart,
)
from perpmaker.engine.store.fills import Fills
from perpmaker.engine.store.orders import Orders
from perpmaker.engine.store.schema import plain
from perpmaker.model.events import (
    AccountSnapshot,
    Fill,
    FundingPaid,
    Operator,
    OrderEvent,
    PositionAdjusted,
)
from perpmaker.model.ids import AccountId

_ORDER_EVENTS: Final = cast("tuple[type, ...]", get_args(OrderEvent))
_decimals: Final = msgspec.json.Encoder(decimal_format="string")


class Projection:
    """Applies records to an open store, inside transactions that `begin` and `commit` make."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._orders = Orders(connection)
        self._fills = Fills(connection, self._orders)
        self._opened: set[str] = {
            row[0] for row in connection.execute("SELECT account FROM accounts WHERE opened_ns IS NOT NULL")
        }
        self.record, self.digest = _progress(connection)
        self._handlers: dict[type, Callable[[int, Any], None]] = {
            SegmentStart: self._on_segment,
            Boot: self._on_boot,
            Intent: self._on_intent,
            Happened: self._on_happened,
            FillBooked: self._fills.booked,
            EquityMark: self._on_equity,
            Decision: self._on_decision,
            CommandAnswered: self._on_answer,
            Said: self._on_said,
            Ready: self._on_life,
            Closed: self._on_life,
            Crashed: self._on_life,
            Latch: self._on_life,
            HaltChanged: self._on_life,
            FreezesChanged: self._on_life,
        }

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def apply(self, number: int, record: Record) -> None:
        """Take in a record; one that is in the store already changes nothing, a jump in the numbers is noted as a gap."""
        if number <= self.record:
            return
        if number > self.record + 1:
            self._connection.execute("INSERT OR IGNORE INTO gaps VALUES (?, ?)", (self.record, number))
        handler = self._handlers.get(type(record))
        if handler is not None:
            handler(number, record)
        self.record = number

    def commit(self, digest: bytes) -> None:
        """Commit everything since `begin`, and with it how far it goes; `digest` is the last record's."""
        self._orders.flush()
        self._fills.flush()
        self._connection.execute("UPDATE progress SET record = ?, digest = ?", (self.record, digest))
        self._connection.execute("COMMIT")
        self.digest = digest

    # --- one kind each

    def _on_segment(self, _: int, record: SegmentStart) -> None:
        self._connection.executemany(
            "INSERT INTO accounts (account, venue, sub_account_id, chain_id) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (account) DO NOTHING",
            [(each.name, each.venue, each.sub_account_id, each.chain_id) for each in record.fingerprint.accounts],
        )

    def _on_boot(self, number: int, record: Boot) -> None:
        self._fills.book_told(number)
        self._on_life(number, record)

    def _on_intent(self, _: int, record: Intent) -> None:
        self._orders.intend(record.order, record.ts_ns)

    def _on_happened(self, number: int, record: Happened) -> None:
        event = record.event
        if isinstance(event, Fill):
            self._on_fill(number, event)
        elif isinstance(event, _ORDER_EVENTS):
            self._orders.apply(cast(OrderEvent, event))
        elif isinstance(event, AccountSnapshot):
            self._on_snapshot(number, event)
        elif isinstance(event, FundingPaid):
            self._on_funding(number, event, counted=event.account in self._opened)
        elif isinstance(event, PositionAdjusted):
            self._fills.adjust(number, event)
        elif isinstance(event, Operator):
            self._on_operator(number, event)

    def _on_fill(self, number: int, fill: Fill) -> None:
        if fill.account in self._opened:
            self._fills.told(number, fill)
        else:
            self._fills.before(number, fill)

    def _on_snapshot(self, number: int, snapshot: AccountSnapshot) -> None:
        first = snapshot.account not in self._opened
        for fill in snapshot.fills:
            self._on_fill(number, fill)
        for report in snapshot.open_orders:
            self._orders.apply(report)
        for payment in snapshot.funding:
            self._on_funding(number, payment, counted=not first)
        if first:
            for position in snapshot.positions:
                self._fills.open_with(position)
            self._open(snapshot.account, snapshot.currency, snapshot.ts_recv_ns)

    def _open(self, account: AccountId, currency: str, ts_ns: int) -> None:
        """The first snapshot: what it says was before, everything later is counted."""
        self._opened.add(account)
        self._connection.execute(
            "INSERT INTO accounts (account, venue, sub_account_id, chain_id, currency, opened_ns) "
            "VALUES (?, '', '', 0, ?, ?) "
            "ON CONFLICT (account) DO UPDATE SET currency = excluded.currency, opened_ns = excluded.opened_ns",
            (account, currency, ts_ns),
        )

    def _on_funding(self, number: int, payment: FundingPaid, *, counted: bool) -> None:
        self._connection.execute(
            "INSERT INTO funding (record, account, payment_id, instrument, amount, currency, counted, ts_event_ns) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, payment_id) DO NOTHING",
            (
                number,
                payment.account,
                payment.payment_id,
                payment.instrument,
                plain(payment.amount),
                payment.currency,
                counted,
                payment.ts_event_ns,
            ),
        )

    def _on_equity(self, number: int, mark: EquityMark) -> None:
        money = (mark.equity, mark.balance, mark.transfers, mark.spread, mark.adverse, mark.inventory)
        self._connection.execute(
            "INSERT OR IGNORE INTO equity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                mark.ts_ns,
                mark.account,
                *(plain(amount) for amount in (*money, mark.fees, mark.funding)),
                _json({name: plain(qty) for name, qty in mark.positions.items()}),
                _json({name: plain(px) for name, px in mark.marks.items()}),
            ),
        )

    def _on_decision(self, number: int, record: Decision) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?, ?)",
            (number, record.ts_ns, record.strategy, record.instrument, _json(record.inputs)),
        )

    def _on_operator(self, number: int, event: Operator) -> None:
        self._connection.execute(
            "INSERT INTO commands (command_id, record, kind, strategy, arguments, actor, state, asked_ns) "
            "VALUES (?, ?, ?, ?, ?, ?, 'asked', ?) ON CONFLICT (command_id) DO NOTHING",
            (
                event.command_id,
                number,
                event.kind,
                event.strategy or "",
                _json(event.arguments),
                event.actor,
                event.ts_recv_ns,
            ),
        )

    def _on_answer(self, number: int, answer: CommandAnswered) -> None:
        self._connection.execute(
            "INSERT INTO commands (command_id, record, kind, actor, state, text, asked_ns, answered_ns) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (command_id) DO UPDATE SET "
            "state = excluded.state, text = excluded.text, answered_ns = excluded.answered_ns",
            (
                answer.command_id,
                number,
                answer.kind,
                answer.actor,
                answer.state,
                answer.text,
                answer.ts_ns,
                answer.ts_ns,
            ),
        )

    def _on_said(self, number: int, record: Said) -> None:
        self._note(number, record, record.level, record.name, record.fields)

    def _on_life(self, number: int, record: Record) -> None:
        """Keep what became of the engine beside what it said, with the record's own fields."""
        fields = {name: value for name, value in msgspec.structs.asdict(record).items() if name != "ts_ns"}
        self._note(number, record, *_called(record), fields)

    def _note(self, number: int, record: Record, level: str, name: str, fields: dict[str, Any]) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO notices VALUES (?, ?, ?, ?, ?, ?)",
            (number, record.ts_ns, type(record).__name__, level, name, _json(fields)),
        )


def _called(record: Record) -> tuple[str, str]:
    """Return the level and the name under which a record of the engine's life stands among the notices."""
    if isinstance(record, Latch):
        return ("error", "kill_latched") if record.latched else ("warning", "kill_cleared")
    if isinstance(record, HaltChanged):
        return ("error", "account_halted") if record.halted else ("warning", "account_resumed")
    if isinstance(record, FreezesChanged):
        return ("warning" if record.freezes else "info"), "freezes_changed"
    if isinstance(record, Crashed):
        return "error", "engine_crashed"
    if isinstance(record, Closed):
        return ("info" if record.verified_empty else "warning"), "engine_closed"
    return "info", "engine_ready" if isinstance(record, Ready) else "engine_started"


def _progress(connection: sqlite3.Connection) -> tuple[int, bytes]:
    record, digest = connection.execute("SELECT record, digest FROM progress").fetchone()
    return record, digest


def _json(value: object) -> str:
    return _decimals.encode(value).decode()
