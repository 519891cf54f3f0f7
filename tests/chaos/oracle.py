"""The oracle: holds what the engine wrote down against what the exchange knows. It takes neither's word for the other's.

Each check returns sentences, one for each thing that is wrong; an empty list means that it holds. The letters are those of
the invariants in docs/explanation/what-is-tested.md.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path
from typing import Final

import msgspec
from tests.chaos.harness import PATIENCE_S, Stack, until
from tests.chaos.venue import Audit, Books, VenueFill, VenueOrder, read_books

from perpmaker.control.messages import Status
from perpmaker.engine.core.state import decode_state
from perpmaker.engine.folders import store_path
from perpmaker.engine.journalfile import Segment, segments, verify
from perpmaker.engine.records import (
    Boot,
    Checkpoint,
    Closed,
    EquityMark,
    FillBooked,
    Happened,
    Intent,
    Latch,
    Record,
    Said,
)
from perpmaker.engine.store import StoreReader
from perpmaker.execution.working import quote_slot
from perpmaker.model.events import (
    AccountSnapshot,
    Channel,
    Event,
    Fill,
    OrderNotSent,
    OrderReport,
    OrderRetired,
    SubmitRejected,
)
from perpmaker.model.ids import client_order_id_parts

NANO: Final = Decimal("1e-9")
AGREE_S: Final = 10.0
"""Bound of I3 and I4 (RELIABILITY R13): no contradiction between engine and exchange lasts longer."""
SECRETS_MAY_STAND_IN: Final = ("exchange", "run")
"""The practice exchange's own state, and the file by which it hands its keys out."""


class Journal(msgspec.Struct, frozen=True):
    """What the engine wrote down, in order."""

    records: list[Record]

    def until(self, ts_ns: int) -> Journal:
        """Without the fills that happened later."""
        later = [row for row in self.records if isinstance(row, FillBooked) and row.fill.ts_event_ns > ts_ns]
        return Journal([row for row in self.records if row not in later]) if later else self

    @property
    def intents(self) -> list[Intent]:
        return [record for record in self.records if isinstance(record, Intent)]

    @property
    def fills(self) -> list[FillBooked]:
        return [record for record in self.records if isinstance(record, FillBooked)]

    @property
    def boots(self) -> list[Boot]:
        return [record for record in self.records if isinstance(record, Boot)]

    @property
    def latches(self) -> list[Latch]:
        return [record for record in self.records if isinstance(record, Latch)]

    @property
    def marks(self) -> list[EquityMark]:
        return [record for record in self.records if isinstance(record, EquityMark)]

    @property
    def checkpoints(self) -> list[Checkpoint]:
        return [record for record in self.records if isinstance(record, Checkpoint)]

    @property
    def ends(self) -> list[Closed]:
        return [record for record in self.records if isinstance(record, Closed)]


def read_journal(folder: Path) -> Journal:
    """Read a journal from its oldest file on; raises DataError where the hash chain is broken."""
    verify(folder)
    return Journal(list(chain.from_iterable(Segment(path).decoded() for path in segments(folder))))


class Oracle:
    """Judges one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.audit = Audit(stack)

    def judge_running(self) -> Status:
        """Engine and exchange must agree within the bound, while both go on; returns the status that agreed.

        A comparison that could not be made, because fills came meanwhile, contradicts nothing and is made again.
        """
        said: list[str] = ["never asked"]
        since: list[float] = []

        def agree() -> Status | None:
            said[:], status = self._differences()
            if said and status is not None:
                since.append(time.monotonic())
                assert since[-1] - since[0] <= AGREE_S, "engine and exchange do not agree"
            return None if said else status

        try:
            status = until(agree, PATIENCE_S, "engine and exchange agree", poll_s=0.1)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *said, self._stack.plight()])) from None
        orders = self.audit.collect()  # before the journal is read: an intent is written before its order arrives
        self._assert_none(self._lasting(orders, read_books(self._stack)))
        return status

    def judge_stopped(self) -> Journal:
        """After the engine has ended in good order: nothing open, everything equal to the last digit."""
        books = read_books(self._stack)
        orders = self.audit.collect()
        journal = read_journal(self._stack.journal)
        problems = self._lasting(orders, books)
        problems += [f"still open after the stop: {number}" for number in sorted(books.open_ids)]
        problems += all_seen(orders, books) + fills_equal(journal, books.fills) + held_equal(journal, books)
        problems += money_equal(journal, books) + store_equal(self._stack.folder, journal)
        if not journal.ends or not journal.ends[-1].verified_empty:
            problems.append("the journal does not end with a verified stop")
        self._assert_none(problems)
        return journal

    def _lasting(self, orders: Sequence[VenueOrder], books: Books) -> list[str]:
        """What must hold at every moment, in whatever state the engine is."""
        journal = read_journal(self._stack.journal)
        return [
            *(f"two own orders met: {violation}" for violation in books.violations),
            *every_order_intended(journal, orders),
            *none_twice(orders),
            *ids_unique(journal),
            *none_placed_blindly(journal),
            *placed_only_when_ready(journal),
            *booked_once(journal),
            *pnl_adds_up(journal),
            *secrets_kept(self._stack.home, self._stack.credentials),
        ]

    def _differences(self) -> tuple[list[str], Status | None]:
        """Compare two pictures of one moment: the ledger stood still while the engine was asked."""
        before = read_books(self._stack)
        status = self._stack.status()
        books = read_books(self._stack)
        if before.fills_total != books.fills_total:
            return ["fills came while it was being compared"], None
        problems = status_equal(status, books)
        if not problems:
            problems = fills_equal(read_journal(self._stack.journal).until(books.now_ns), books.fills)
        return problems, status

    def _assert_none(self, problems: Sequence[str]) -> None:
        assert not problems, "\n".join([f"{len(problems)} contradictions", *problems[:40]])


# --- orders


def every_order_intended(journal: Journal, orders: Iterable[VenueOrder]) -> list[str]:
    """I1: no order at the venue without an intent that was written down before, for the very same terms."""
    intents = {int(intent.order.client_order_id): intent for intent in journal.intents}
    problems = []
    for found in orders:
        intent = intents.get(found.client_order_id)
        if intent is None:
            problems.append(f"order {found.client_order_id} was never written down")
            continue
        order = intent.order
        wanted = (order.instrument, order.side.value, order.px, order.qty, order.post_only)
        if wanted != (found.instrument, found.side, found.px, found.qty, found.post_only):
            problems.append(f"order {found.client_order_id} is {found}, wanted was {wanted}")
        if intent.ts_ns > found.create_ns:
            problems.append(f"order {found.client_order_id} was at the venue before it was written down")
        if str(found.nonce).encode() not in intent.signed:
            problems.append(f"order {found.client_order_id} has a signature that was not written down")
    return problems


def none_twice(orders: Iterable[VenueOrder]) -> list[str]:
    """I2: one intent is at most one accepted order."""
    counts = Counter(order.client_order_id for order in orders)
    return [f"intent {number} became {count} orders" for number, count in counts.items() if count > 1]


def all_seen(orders: Sequence[VenueOrder], books: Books) -> list[str]:
    """The audit missed nothing: as many orders as the ledger counted."""
    if len(orders) == books.orders_total:
        return []
    return [f"the exchange accepted {books.orders_total} orders, the audit saw {len(orders)}"]


def ids_unique(journal: Journal) -> list[str]:
    """I17: no id is used twice, each names the life that wrote it, and no two lives share an epoch."""
    problems = []
    seen: set[int] = set()
    epoch = 0
    for record in journal.records:
        if isinstance(record, Boot):
            if record.epoch <= epoch:
                problems.append(f"a life began with epoch {record.epoch} after epoch {epoch}")
            epoch = record.epoch
        elif isinstance(record, Intent):
            number = int(record.order.client_order_id)
            parts = client_order_id_parts(number)
            if number in seen:
                problems.append(f"id {number} was used twice")
            if parts is None or parts.epoch != epoch:
                problems.append(f"id {number} names {parts}, the life is {epoch}")
            seen.add(number)
    return problems


def none_placed_blindly(journal: Journal) -> list[str]:
    """I2: a place in a ladder gets another order only once it is known what became of the last one."""
    problems = []
    unsure: dict[tuple[str, str, str], int] = {}
    for record in journal.records:
        if isinstance(record, Intent) and quote_slot(record.order.tag) is not None:
            order = record.order
            place = (order.strategy, order.instrument, order.tag)
            if place in unsure:
                problems.append(f"order {order.client_order_id} took the place of {unsure[place]}, whose fate was open")
            unsure[place] = int(order.client_order_id)
        elif isinstance(record, Happened):
            known = set(_orders_told_of(record.event))
            unsure = {place: number for place, number in unsure.items() if number not in known} if known else unsure
    return problems


def placed_only_when_ready(journal: Journal) -> list[str]:
    """I6: no order is written down while a link is down, nor after it until its instrument was reconciled again."""
    problems = []
    down: set[tuple[str, str]] = set()
    ready: set[str] = set()
    for record in journal.records:
        if isinstance(record, Boot):
            ready.clear()
        elif isinstance(record, Intent):
            order = record.order
            if down or order.instrument not in ready:
                why = f"{sorted(down)} down" if down else f"{order.instrument} not reconciled"
                problems.append(f"order {order.client_order_id} was written down with {why}")
        elif isinstance(record, Said) and record.name == "link_changed":
            link = (record.fields["name"], record.fields["channel"])
            if record.fields["up"] == "True":
                down.discard(link)
                continue
            down.add(link)
            if link[1] != Channel.MARKET_DATA.value:
                ready.clear()
        elif isinstance(record, Said) and record.name == "account_ready":
            ready.add(record.fields["instrument"])
    return problems


def _orders_told_of(event: Event) -> Iterator[int]:
    """The orders an event says something certain about."""
    if isinstance(event, OrderReport | OrderRetired | OrderNotSent | SubmitRejected | Fill):
        yield int(event.client_order_id)
    elif isinstance(event, AccountSnapshot):
        yield from (int(row.client_order_id) for row in (*event.open_orders, *event.fills))


# --- fills and positions


def booked_once(journal: Journal) -> list[str]:
    """I3: each trade is booked once, and bookings are numbered from 1 without a break."""
    counts = Counter((booked.fill.trade_id, booked.fill.side) for booked in journal.fills)
    problems = [f"trade {trade} was booked {count} times" for (trade, _), count in counts.items() if count > 1]
    numbers = [booked.number for booked in journal.fills]
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append(f"fills are not numbered from 1 without a break: {numbers[:5]} ... {numbers[-5:]}")
    return problems


def fills_equal(journal: Journal, fills: Iterable[VenueFill]) -> list[str]:
    """I3: what was booked is what the exchange executed, each with its price, quantity, fee and role."""
    ours = {booked.fill.trade_id: _figures(booked) for booked in journal.fills}
    theirs = {fill.trade_id: fill for fill in fills}
    problems = [f"not booked: {theirs[trade]}" for trade in theirs.keys() - ours.keys()]
    problems += [f"booked, but never executed: {ours[trade]}" for trade in ours.keys() - theirs.keys()]
    for trade in ours.keys() & theirs.keys():
        fill = theirs[trade]
        executed = (
            fill.client_order_id, fill.instrument, fill.side, fill.px, fill.qty, fill.fee, fill.is_taker, fill.event_ns
        )  # fmt: skip
        if ours[trade] != executed:
            problems.append(f"trade {trade}: booked {ours[trade]}, executed {executed}")
    return problems


def _figures(booked: FillBooked) -> tuple[object, ...]:
    fill = booked.fill
    number, side = int(fill.client_order_id), fill.side.value
    return number, fill.instrument, side, fill.px, fill.qty, fill.fee, fill.is_taker, fill.ts_event_ns


def held_equal(journal: Journal, books: Books) -> list[str]:
    """I4: the positions that the booked fills add up to are the exchange's."""
    held: dict[str, Decimal] = {}
    for booked in journal.fills:
        held[booked.fill.instrument] = booked.position_after
    return _positions_differ("the journal", held, books)


def _positions_differ(whose: str, held: Mapping[str, Decimal], books: Books) -> list[str]:
    names = held.keys() | books.positions.keys()
    none = Decimal(0)
    return [
        f"{whose} holds {held.get(name, none)} {name}, the exchange {books.positions.get(name, none)}"
        for name in sorted(names)
        if held.get(name, none) != books.positions.get(name, none)
    ]


# --- money


def status_equal(status: Status, books: Books) -> list[str]:
    """I4: what the engine shows: positions, fills, balance, fees, funding."""
    problems = _positions_differ("the status", {row.instrument: Decimal(row.qty) for row in status.positions}, books)
    if status.fills_total != books.fills_total:
        problems.append(f"the status counts {status.fills_total} fills, the exchange {books.fills_total}")
    shown = {
        "fees": (sum((Decimal(row.fees) for row in status.positions), Decimal(0)), books.fees),
        "funding": (sum((Decimal(row.funding) for row in status.positions), Decimal(0)), -books.funding),
    }
    problems += [f"{name}: {ours} and {theirs}" for name, (ours, theirs) in shown.items() if ours != theirs]
    return problems + _balances_differ(Decimal(status.balance or 0), books)


def _balances_differ(ours: Decimal, books: Books) -> list[str]:
    """The exchange rounds each realised PnL to a billionth, the engine keeps it exact: no more may be between."""
    return [] if abs(ours - books.balance) <= NANO * books.fills_total else [f"balance: {ours} and {books.balance}"]


def money_equal(journal: Journal, books: Books) -> list[str]:
    """I3, I4: the core at rest, as the stop wrote it down, has the ledger's balance, fees, funding and positions."""
    if not journal.checkpoints:
        return ["the stop wrote no checkpoint"]
    (ledger,) = decode_state(journal.checkpoints[-1].state).ledgers
    held = ledger.book.positions
    shown = {
        "fees": (sum((row.fees for row in held), Decimal(0)), books.fees),
        "funding": (sum((row.funding for row in held), Decimal(0)), -books.funding),
    }
    problems = [f"{name}: {ours} and {theirs}" for name, (ours, theirs) in shown.items() if ours != theirs]
    problems += _balances_differ(ledger.book.balance, books)
    return problems + _positions_differ("the checkpoint", {row.instrument: row.qty for row in held}, books)


def pnl_adds_up(journal: Journal) -> list[str]:
    """Δequity = spread + adverse + inventory - fees + funding, to the last digit, between any two marks."""
    origins = []
    for mark in journal.marks:
        parts = mark.spread + mark.adverse + mark.inventory - mark.fees + mark.funding
        origins.append((mark.account, mark.equity - mark.transfers - parts))
    return [
        f"the PnL of {after[0]} drifts: {before[1]}, {after[1]}"
        for before, after in pairwise(origins)
        if before != after
    ]


def store_equal(folder: Path, journal: Journal) -> list[str]:
    """The store is a projection: it holds the journal's fills."""
    stored = StoreReader(store_path(folder)).fills(limit=len(journal.fills) + 1)
    ours = [booked.number for booked in journal.fills]
    found = sorted(row.number for row in stored)
    return [] if found == ours else [f"the store holds {len(found)} fills, the journal {len(ours)}"]


# --- secrets


def secrets_kept(home: Path, credentials: Mapping[str, object]) -> list[str]:
    """I12: neither key stands in a file the engine writes."""
    secrets = [str(credentials[name]).removeprefix("0x").encode() for name in ("private_key", "api_key")]
    return [f"{path} holds a secret" for path in _written(home) if any(key in path.read_bytes() for key in secrets)]


def _written(home: Path) -> Iterator[Path]:
    for path in home.rglob("*"):
        if path.is_file() and path.relative_to(home).parts[0] not in SECRETS_MAY_STAND_IN:
            yield path
