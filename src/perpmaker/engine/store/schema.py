"""The store's tables. Exact decimals are TEXT in plain notation, times UTC nanoseconds, flags 0 or 1.

`record` is the number of the journal record a row comes from. A store of another version is not migrated: it is set
aside, and made anew from the journal.
"""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import quote

from perpmaker.errors import DataError

APPLICATION_ID: Final = 0x504D5354  # "PMST"
VERSION: Final = 1
BUSY_S: Final = 2.0
_WAL_BYTES: Final = 16 * 1024 * 1024
_CACHE_KB: Final = 512
"""The writer's pages in memory: rows come in order, so more are of no use (making a store anew takes as long with 2 MB, the
default, which took eleven minutes to fill)."""
_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_TABLES: Final = """
-- How far the journal is in here: the number and the chain digest of the last record.
CREATE TABLE progress (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    record INTEGER NOT NULL,
    digest BLOB NOT NULL
);
-- Records that the journal could no longer give: the ones between these two are not in here.
CREATE TABLE gaps (after_record INTEGER PRIMARY KEY, before_record INTEGER NOT NULL);

CREATE TABLE accounts (
    account TEXT PRIMARY KEY,
    venue TEXT NOT NULL,
    sub_account_id TEXT NOT NULL,
    chain_id INTEGER NOT NULL,
    currency TEXT NOT NULL DEFAULT '',
    opened_ns INTEGER -- NULL until the first snapshot
);
-- `order_key` is c + client order id for orders of our form, v + the venue's id for all others. `adopted` = 1: there is no
-- intent of it, it is known from the venue alone.
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    order_key TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    venue_order_id TEXT,
    strategy TEXT NOT NULL,
    instrument TEXT NOT NULL,
    side TEXT NOT NULL,
    px TEXT, -- NULL: a market order
    qty TEXT NOT NULL,
    tif TEXT NOT NULL,
    post_only INTEGER NOT NULL,
    reduce_only INTEGER NOT NULL,
    expire_ns INTEGER NOT NULL,
    tag TEXT NOT NULL,
    adopted INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    cum_qty TEXT NOT NULL,
    filled_qty TEXT NOT NULL,
    filled_notional TEXT NOT NULL,
    stated_avg_px TEXT,
    cancel_pending INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL,
    ended_ns INTEGER, -- NULL while live
    UNIQUE (account, order_key)
);
-- One row per trade id, side and account. `standing`: booked; told (by the venue, not booked yet); before (in the opening
-- balance, not ours to count). `seq` counts the booked ones from 1; `number` is the engine's own, NULL for a fill that a
-- kill kept from being booked and that the next start booked from the journal.
CREATE TABLE fills (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL,
    standing TEXT NOT NULL CHECK (standing IN ('booked', 'told', 'before')),
    seq INTEGER UNIQUE,
    number INTEGER,
    account TEXT NOT NULL,
    trade_id TEXT NOT NULL,
    side TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    venue_order_id TEXT,
    instrument TEXT NOT NULL,
    strategy TEXT NOT NULL DEFAULT '',
    px TEXT NOT NULL,
    qty TEXT NOT NULL,
    fee TEXT NOT NULL, -- > 0 is a cost
    fee_currency TEXT NOT NULL,
    realized_pnl TEXT NOT NULL, -- the venue's, by average entry
    is_taker INTEGER NOT NULL,
    is_rpi INTEGER NOT NULL,
    is_liquidation INTEGER NOT NULL,
    mark_px TEXT,
    fair_px TEXT,
    order_px TEXT,
    effect TEXT, -- opens, adds, reduces, closes, turns
    grid_profit TEXT, -- first-in first-out, fees apart; NULL when what it closed was opened out of sight
    position_after TEXT,
    ts_event_ns INTEGER NOT NULL,
    ts_recv_ns INTEGER NOT NULL,
    UNIQUE (account, trade_id, side)
);
CREATE INDEX fills_told ON fills (record) WHERE standing = 'told';
CREATE VIEW fees AS
    SELECT seq, ts_event_ns, account, strategy, instrument, fee AS amount, fee_currency AS currency, is_taker, trade_id
    FROM fills WHERE standing = 'booked';
-- Open lots first-in first-out, as JSON; what `grid_profit` is reckoned from.
CREATE TABLE lots (
    account TEXT NOT NULL,
    instrument TEXT NOT NULL,
    side TEXT NOT NULL,
    lots TEXT NOT NULL,
    PRIMARY KEY (account, instrument)
);
-- `counted` = 0: paid before the account was opened, so part of the opening balance.
CREATE TABLE funding (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL,
    account TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    instrument TEXT NOT NULL,
    amount TEXT NOT NULL, -- > 0 was received
    currency TEXT NOT NULL,
    counted INTEGER NOT NULL,
    ts_event_ns INTEGER NOT NULL,
    UNIQUE (account, payment_id)
);
-- Differences to the venue's position that no fill explained.
CREATE TABLE adjustments (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL,
    account TEXT NOT NULL,
    adjustment_id TEXT NOT NULL,
    instrument TEXT NOT NULL,
    qty TEXT NOT NULL,
    px TEXT NOT NULL,
    ts_ns INTEGER NOT NULL,
    UNIQUE (account, adjustment_id)
);
CREATE TABLE equity (
    record INTEGER PRIMARY KEY,
    ts_ns INTEGER NOT NULL,
    account TEXT NOT NULL,
    equity TEXT NOT NULL,
    balance TEXT NOT NULL,
    transfers TEXT NOT NULL,
    spread TEXT NOT NULL,
    adverse TEXT NOT NULL,
    inventory TEXT NOT NULL,
    fees TEXT NOT NULL, -- > 0 is a cost
    funding TEXT NOT NULL,
    positions TEXT NOT NULL, -- JSON: instrument -> signed quantity
    marks TEXT NOT NULL -- JSON: instrument -> mark price
);
CREATE INDEX equity_ts ON equity (ts_ns);
CREATE TABLE decisions (
    record INTEGER PRIMARY KEY,
    ts_ns INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    instrument TEXT NOT NULL,
    inputs TEXT NOT NULL -- JSON
);
CREATE TABLE commands (
    command_id TEXT PRIMARY KEY,
    record INTEGER NOT NULL,
    kind TEXT NOT NULL,
    strategy TEXT NOT NULL DEFAULT '',
    arguments TEXT NOT NULL DEFAULT '{}', -- JSON
    actor TEXT NOT NULL,
    state TEXT NOT NULL, -- asked, then as answered
    text TEXT NOT NULL DEFAULT '',
    asked_ns INTEGER NOT NULL,
    answered_ns INTEGER
);
-- What the engine said, and what became of it: `source` is the kind of the record (Said, Boot, Latch, HaltChanged ...).
CREATE TABLE notices (
    record INTEGER PRIMARY KEY,
    ts_ns INTEGER NOT NULL,
    source TEXT NOT NULL,
    level TEXT NOT NULL,
    name TEXT NOT NULL,
    fields TEXT NOT NULL -- JSON
);
"""


class WrongStore(DataError):
    """The file is not a store this build can use: another program's, another version's, damaged, or of another journal."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the store at `path`, or make one; raise WrongStore when it must be set aside, sqlite3.Error for trouble.

    WAL with synchronous = NORMAL: a power cut may take the last transactions, position included, and the journal gives
    them again.
    """
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        empty = connection.execute("PRAGMA schema_version").fetchone()[0] == 0
        if not empty:
            check_kind(connection, path)
            check_whole(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        if empty:
            _create(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        if is_damage(error):
            raise WrongStore(f"{path.name} is damaged: {error}") from error
        raise
    except WrongStore:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open an existing store read-only; raise WrongStore or sqlite3.Error."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        check_kind(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        if is_damage(error):
            raise WrongStore(f"{path.name} is damaged: {error}") from error
        raise
    except WrongStore:
        connection.close()
        raise
    return connection


def check_kind(connection: sqlite3.Connection, path: Path) -> None:
    """Raise WrongStore unless this is a store of this version."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise WrongStore(f"{path.name} is not a store of perpmaker")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise WrongStore(f"{path.name} has version {version}; this build reads {VERSION}")


def check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Raise WrongStore when SQLite finds a page damaged."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise WrongStore(f"{path.name} is damaged: {found}")


def is_damage(error: sqlite3.Error) -> bool:
    """Say whether the file itself is broken, not merely locked, full or out of reach."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def plain(value: Decimal) -> str:
    """Write a decimal exactly and without an exponent."""
    return format(value, "f")


def plain_or_none(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def decimal_or_none(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _create(connection: sqlite3.Connection) -> None:
    """Make all of it in one transaction: a store half made is an empty file."""
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{_TABLES}\n"
        "INSERT INTO progress VALUES (1, 0, zeroblob(16));\n"
        f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {VERSION};\nCOMMIT;"
    )
