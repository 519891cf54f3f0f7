"""Whatever happens, in whatever order, through however many lives: the store that grew is the store made anew."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engine.chronicle import (
    BTC,
    MAIN,
    MAKER,
    START_NS,
    booked,
    boot,
    dump,
    fill,
    intent,
    mark,
    opened,
    order,
    report,
    said,
    snapshot,
)

from perpmaker.engine.journal import Journal
from perpmaker.engine.records import CommandAnswered, Decision, FillBooked, Happened, Record
from perpmaker.engine.store import Store, files, rebuild
from perpmaker.engine.store.history import Follower
from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    CancelSent,
    Event,
    Fill,
    FundingPaid,
    Operator,
    OrderNotFound,
    OrderNotSent,
    OrderReport,
    OrderRetired,
    PositionAdjusted,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.order import NewOrder, Side

PATIENCE_S = 20.0

orders = st.builds(
    lambda number: order(number, Side.BUY if number % 2 else Side.SELL, str(60_000 + number)), st.integers(1, 5)
)
quantities = st.sampled_from(["0.001", "0.004", "0.010"])


@st.composite
def fills(draw: st.DrawFn) -> Fill:
    """Few trade ids, so that they repeat, with equal or with other figures."""
    return fill(draw(st.integers(1, 8)), draw(orders), draw(quantities))


@st.composite
def reports(draw: st.DrawFn) -> OrderReport:
    wanted = draw(orders)
    foreign = {"client_order_id": 7, "venue_order_id": f"0x{draw(st.integers(1, 3))}"} if draw(st.booleans()) else {}
    return report(wanted, draw(st.sampled_from(VenueStatus)), draw(st.sampled_from(["0", "0.004", "0.010"])), **foreign)


fundings = st.builds(
    lambda number: FundingPaid(MAIN, BTC, Decimal(number) / 8, "USDT", f"p{number}", START_NS, START_NS),
    st.integers(-3, 3),
)
adjustments = st.builds(
    lambda number: PositionAdjusted(MAIN, BTC, Decimal(number) / 1000, Decimal(60_000), f"a{number}", START_NS),
    st.integers(-3, 3),
)
snapshots = st.builds(
    lambda fills, reports, funding, position: snapshot(
        fills=tuple(fills), open_orders=tuple(reports), funding=tuple(funding), position=position
    ),
    st.lists(fills(), max_size=3),
    st.lists(reports(), max_size=3),
    st.lists(fundings, max_size=2),
    st.sampled_from(["0", "0.004", "-0.002"]),
)


def about(make: Callable[[NewOrder], Event]) -> st.SearchStrategy[Event]:
    return orders.map(make)


events = st.one_of(
    fills(),
    reports(),
    fundings,
    adjustments,
    snapshots,
    about(lambda o: CancelSent(MAIN, o.client_order_id, START_NS + 1)),
    about(lambda o: CancelReceived(MAIN, o.client_order_id, START_NS + 2)),
    about(lambda o: CancelFailed(MAIN, o.client_order_id, True, "gone", START_NS + 3)),
    about(lambda o: OrderNotSent(MAIN, o.client_order_id, "no socket", START_NS + 4)),
    about(lambda o: OrderNotFound(MAIN, o.client_order_id, START_NS + 5)),
    about(lambda o: OrderRetired(MAIN, o.client_order_id, "expired unseen", START_NS + 6)),
    about(lambda o: SubmitUnknown(MAIN, o.client_order_id, "timeout", START_NS + 7)),
    about(lambda o: SubmitRejected(MAIN, o.client_order_id, 2010, "no", START_NS + 8)),
    st.builds(lambda n: Operator(f"c{n}", "pause", MAKER, {}, "me", START_NS + n), st.integers(1, 3)),
)
records: st.SearchStrategy[Record] = st.one_of(
    events.map(lambda event: Happened(event, START_NS)),
    orders.map(intent),
    st.builds(booked, st.integers(1, 9), fills(), st.sampled_from(["0", "0.004", "-0.010"])),
    st.builds(boot, st.integers(1, 9)),
    st.builds(said, st.integers(0, 9)),
    st.builds(lambda cents: mark(str(Decimal(cents) / 100)), st.integers(0, 10**9)),
    st.builds(lambda fair: Decision(MAKER, BTC, {"fair": fair}, START_NS), st.floats(allow_nan=True)),
    st.builds(
        lambda n, state: CommandAnswered(f"c{n}", "pause", state, "", "me", START_NS + n),
        st.integers(1, 3),
        st.sampled_from(["accepted", "done", "refused: no"]),
    ),
)
steps = st.lists(st.one_of(records, st.sampled_from(["rotate", "flush", "kill", "lose", "buy", "sell"])), max_size=40)


class Story:
    """A journal and its store through several lives of an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "store.sqlite"
        self.journal: Journal = opened(folder / "journal")
        self.store = self.started()
        self.traded = 0
        self.position = Decimal(0)

    def started(self) -> Store:
        store = Store(self.path, self.folder / "journal", gather_s=0.0)
        store.start()
        return store

    def take(self, step: Record | str) -> None:
        match step:
            case "rotate":
                self.journal.rotate(b"state")
            case "flush":
                assert self.store.flush(PATIENCE_S)
            case "kill":  # what is not written yet is not written by this life
                self.store.close(0.0)
                self.store = self.started()
            case "lose":
                self.store.close(0.0)
                for left in self.folder.glob("store.sqlite*"):
                    left.unlink()
                self.store = self.started()
            case "buy" | "sell":
                self.trade(Side(step))
            case _:
                assert not isinstance(step, str)
                self.write(step)

    def write(self, record: Record) -> None:
        self.journal.append(record)
        self.store.offer(record, self.journal.record_number)
        if isinstance(record, FillBooked):
            self.position = record.position_after

    def trade(self, side: Side) -> None:
        """A fill as the engine books it, so that lots are opened and closed."""
        self.traded += 1
        what = fill(1_000 + self.traded, order(9, side), "0.003", str(60_000 + self.traded))
        self.write(Happened(what, START_NS))
        self.write(booked(self.traded, what, str(self.position + side.sign * what.qty)))

    def end(self) -> None:
        assert self.store.flush(PATIENCE_S)
        assert self.store.errors == 0
        self.store.close(PATIENCE_S)
        self.journal.close()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps=steps, chunk=st.sampled_from([1, 2, 5, 1_000]))
def test_a_store_that_lived_through_kills_equals_one_rebuilt_from_the_journal(
    steps: list[Record | str], chunk: int
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "CHUNK", chunk)
        story = Story(Path(name))
        for step in steps:
            story.take(step)
        story.end()
        patch.undo()
        last = rebuild(story.folder / "journal", story.folder / "anew.sqlite")
        assert last == story.journal.record_number
        assert dump(story.path) == dump(story.folder / "anew.sqlite")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(happening=st.lists(records, max_size=30))
def test_records_applied_again_change_nothing(happening: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(opened(folder / "journal")) as journal:
            for record in happening:
                journal.append(record)
        rebuild(folder / "journal", folder / "store.sqlite")
        before = dump(folder / "store.sqlite")
        with files.opened(folder / "store.sqlite") as projection:
            files.catch_up(projection, Follower(folder / "journal", 0, bytes(16)))
        assert dump(folder / "store.sqlite") == before
