"""What journal records come to in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.chronicle import (
    BTC,
    MAIN,
    MAKER,
    START_NS,
    booked,
    boot,
    fill,
    happened,
    intent,
    mark,
    order,
    plain,
    report,
    snapshot,
    written,
)

from perpmaker.engine.records import (
    Closed,
    CommandAnswered,
    Crashed,
    Decision,
    FreezesChanged,
    HaltChanged,
    Happened,
    Latch,
    Ready,
    Record,
    Said,
)
from perpmaker.engine.store import StoreReader, files, rebuild
from perpmaker.engine.store.history import Follower
from perpmaker.model.events import (
    CancelFailed,
    CancelSent,
    Event,
    Fill,
    FundingPaid,
    Operator,
    OrderNotSent,
    OrderRetired,
    PositionAdjusted,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.order import OrderState, Side

Project = Callable[[Iterable[Record]], StoreReader]
BUY = order(1)
SELL = order(2, Side.SELL, "60010.0")


def traded(*steps: tuple[Fill, str]) -> list[Record]:
    """An account opened flat, then these fills, told and booked; each with the position after it."""
    records: list[Record] = [*happened(snapshot()), intent(BUY), intent(SELL)]
    for number, (what, after) in enumerate(steps, 1):
        records += [Happened(what, START_NS), booked(number, what, after)]
    return records


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Makes the store of a journal with these records, and opens it."""
    with ExitStack() as stack:

        def make(records: Iterable[Record]) -> StoreReader:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            written(folder / "journal", records).close()
            rebuild(folder / "journal", folder / "store.sqlite")
            return stack.enter_context(closing(StoreReader(folder / "store.sqlite")))

        yield make


# --- fills


def test_a_fill_says_what_it_did_to_the_position(project: Project) -> None:
    steps = [
        (fill(1, BUY, "0.002"), "0.002"),
        (fill(2, BUY, "0.003"), "0.005"),
        (fill(3, SELL, "0.001"), "0.004"),
        (fill(4, SELL, "0.006"), "-0.002"),
        (fill(5, BUY, "0.002"), "0.000"),
    ]
    found = project(traded(*steps)).fills(10)
    assert [row.effect for row in found[::-1]] == ["opens", "adds", "reduces", "turns", "closes"]
    assert [str(row.position_after) for row in found[::-1]] == ["0.002", "0.005", "0.004", "-0.002", "0.000"]


def test_grid_profit_is_first_in_first_out_and_the_venues_pnl_stands_beside_it(project: Project) -> None:
    steps = [
        (fill(1, BUY, "0.002", "60000"), "0.002"),
        (fill(2, BUY, "0.002", "59000"), "0.004"),
        (fill(3, SELL, "0.003", "60500", realized_pnl=Decimal("2.75")), "0.001"),
    ]
    last = project(traded(*steps)).fills(1)[0]
    assert last.grid_profit == Decimal("0.002") * 500 + Decimal("0.001") * 1500
    assert last.realized_pnl == Decimal("2.75")


def test_a_fill_carries_all_columns_of_the_trade_history(project: Project) -> None:
    what = fill(7, BUY, "0.010", "60000.0", fee=Decimal("-0.0000012"))
    row = project(traded((what, "0.010"))).fills(1)[0]
    assert plain(row, "seq", "number", "instrument", "side", "order_px", "px", "qty") == (
        1,
        1,
        BTC,
        "buy",
        "60000.1",
        "60000.0",
        "0.010",
    )
    assert plain(row, "fee", "fee_currency", "venue", "account", "strategy", "trade_id", "client_order_id") == (
        "-0.0000012",
        "USDT",
        "grvt",
        MAIN,
        MAKER,
        "t7",
        str(BUY.client_order_id),
    )
    assert (row.ts_event_ns, row.fair_px) == (what.ts_event_ns, Decimal("60000.5"))


def test_a_fill_told_many_times_is_there_once(project: Project) -> None:
    what = fill(1, BUY, "0.002")
    records = [*traded((what, "0.002")), *happened(what, snapshot(fills=(what,))), booked(1, what, "0.002")]
    reader = project(records)
    assert [row.trade_id for row in reader.fills(10)] == ["t1"]
    assert reader.order(MAIN, BUY.client_order_id).filled_qty == Decimal("0.002")  # type: ignore[union-attr]


def test_fills_of_the_opening_snapshot_are_not_ours_to_count(project: Project) -> None:
    old = fill(1, BUY, "0.002")
    records = [*happened(snapshot(fills=(old,), position="0.002"), old), boot(2)]
    assert project(records).fills(10) == []


def test_the_opening_position_is_a_lot_at_its_average_entry(project: Project) -> None:
    closing = fill(1, SELL, "0.002", "60100")
    records = [*happened(snapshot(position="0.002")), intent(SELL), Happened(closing, START_NS)]
    row = project([*records, booked(1, closing, "0.000")]).fills(1)[0]
    assert (row.effect, row.grid_profit) == ("closes", Decimal("0.2"))


def test_an_adjustment_moves_the_lots_once(project: Project) -> None:
    adjusted = PositionAdjusted(MAIN, BTC, Decimal("0.004"), Decimal(60_000), "a1", START_NS)
    closing = fill(1, SELL, "0.004", "60100")
    records = [*happened(snapshot(), adjusted, adjusted, closing), booked(1, closing, "0.000")]
    row = project(records).fills(1)[0]
    assert (row.effect, row.grid_profit) == ("closes", Decimal("0.4"))


def test_what_was_opened_out_of_sight_has_no_grid_profit(project: Project) -> None:
    unknown, known = fill(1, SELL, "0.002", "60100"), fill(2, SELL, "0.001", "60200")
    records = traded((unknown, "0.003"), (known, "0.002"))
    first, second = project(records).fills(2)[::-1]
    assert (first.effect, first.grid_profit) == ("reduces", None)
    assert second.grid_profit == Decimal("0.001") * 100


def test_a_fill_that_a_kill_kept_from_being_booked_is_booked_at_the_next_boot(project: Project) -> None:
    told = fill(1, BUY, "0.002")
    before = [*happened(snapshot()), intent(BUY), Happened(told, START_NS)]
    assert project(before).fills(1) == []
    row = project([*before, boot(2)]).fills(1)[0]
    assert plain(row, "seq", "number", "effect", "position_after", "strategy", "px", "client_order_id") == (
        1,
        None,
        "opens",
        "0.002",
        MAKER,
        "60000.1",
        str(BUY.client_order_id),
    )


def test_a_fill_booked_at_a_boot_takes_its_number_from_a_later_record_and_is_not_booked_twice(project: Project) -> None:
    told, later = fill(1, BUY, "0.002"), fill(2, BUY, "0.001")
    records = [*happened(snapshot()), intent(BUY), Happened(told, START_NS), boot(2), booked(1, told, "0.002")]
    reader = project([*records, Happened(later, START_NS), booked(2, later, "0.003")])
    assert [(row.seq, row.number, row.grid_profit) for row in reader.fills(10)[::-1]] == [
        (1, 1, Decimal(0)),
        (2, 2, Decimal(0)),
    ]


def test_a_fill_of_an_order_nobody_knows_is_kept(project: Project) -> None:
    stranger = fill(1, order(99), "0.002")
    row = project([*happened(snapshot(), stranger), booked(1, stranger, "0.002")]).fills(1)[0]
    assert (row.order_px, row.trade_id) == (None, "t1")


def test_the_open_lots_outlive_a_restart(tmp_path: Path) -> None:
    steps = [(fill(1, BUY, "0.002", "60000"), "0.002"), (fill(2, SELL, "0.002", "60500"), "0.000")]
    records = traded(*steps)
    with closing(written(tmp_path / "journal", records[:-2])) as journal:
        rebuild(tmp_path / "journal", tmp_path / "store.sqlite")
        for record in records[-2:]:
            journal.append(record)
    with files.opened(tmp_path / "store.sqlite") as projection:
        files.catch_up(projection, Follower(tmp_path / "journal", projection.record, projection.digest))
    with closing(StoreReader(tmp_path / "store.sqlite")) as reader:
        assert [row.grid_profit for row in reader.every_fill()] == [Decimal(0), Decimal(1)]


def test_fills_are_paged_newest_first(project: Project) -> None:
    steps = [(fill(number, BUY, "0.001"), f"0.00{number}") for number in range(1, 8)]
    reader = project(traded(*steps))
    assert [row.seq for row in reader.fills(3)] == [7, 6, 5]
    assert [row.seq for row in reader.fills(3, before=5)] == [4, 3, 2]
    assert [row.seq for row in reader.every_fill()] == [1, 2, 3, 4, 5, 6, 7]


# --- orders


@pytest.mark.parametrize(
    ("events", "state", "reason"),
    [
        ([], OrderState.SENT, ""),
        ([report(BUY, VenueStatus.OPEN)], OrderState.OPEN, ""),
        ([report(BUY, VenueStatus.OPEN), CancelSent(MAIN, BUY.client_order_id, 1)], OrderState.CANCEL_SENT, ""),
        (
            [
                report(BUY, VenueStatus.OPEN),
                CancelSent(MAIN, BUY.client_order_id, 1),
                CancelFailed(MAIN, BUY.client_order_id, False, "late", 2),
            ],
            OrderState.OPEN,
            "",
        ),
        (
            [CancelSent(MAIN, BUY.client_order_id, 1), report(BUY, VenueStatus.OPEN)],
            OrderState.CANCEL_SENT,
            "",
        ),
        ([report(BUY, VenueStatus.CANCELED, reason="asked")], OrderState.CANCELED, "asked"),
        ([report(BUY, VenueStatus.EXPIRED)], OrderState.EXPIRED, ""),
        ([SubmitRejected(MAIN, BUY.client_order_id, 2010, "too late", 1)], OrderState.REJECTED, "2010 too late"),
        ([SubmitUnknown(MAIN, BUY.client_order_id, "timeout", 1)], OrderState.UNKNOWN, ""),
        ([OrderNotSent(MAIN, BUY.client_order_id, "no socket", 1)], OrderState.NOT_SENT, "no socket"),
        ([OrderRetired(MAIN, BUY.client_order_id, "expired unseen", 1)], OrderState.RETIRED, "expired unseen"),
        ([fill(1, BUY, "0.004"), fill(2, BUY, "0.006")], OrderState.FILLED, ""),
        ([fill(1, BUY, "0.004")], OrderState.OPEN, ""),
        (
            [report(BUY, VenueStatus.CANCELED), fill(1, BUY, "0.010")],
            OrderState.FILLED,
            "",
        ),
    ],
)
def test_evidence_moves_an_order_as_it_moves_the_engines(
    events: list[Event], state: OrderState, reason: str, project: Project
) -> None:
    row = project([*happened(snapshot()), intent(BUY), *happened(*events)]).order(MAIN, BUY.client_order_id)
    assert row is not None
    assert (row.state, row.reason) == (state.value, reason)
    assert (row.ended_ns is not None) == state.is_terminal


def test_an_order_knows_its_quantities_and_average(project: Project) -> None:
    events = [
        fill(1, BUY, "0.002", "60000"),
        fill(2, BUY, "0.001", "60003"),
        report(BUY, VenueStatus.CANCELED, "0.003"),
    ]
    row = project([*happened(snapshot()), intent(BUY), *happened(*events)]).orders(1)[0]
    assert (row.cum_qty, row.filled_qty, row.avg_px) == (Decimal("0.003"), Decimal("0.003"), Decimal(60_001))


def test_orders_that_have_ended_are_forgotten_by_the_writer(tmp_path: Path) -> None:
    ended = [order(number) for number in range(10, 30)]
    reports = [report(each, VenueStatus.CANCELED) for each in ended]
    what = fill(1, ended[0], "0.001")
    first = [*happened(snapshot(), what), *(intent(each) for each in (BUY, *ended)), *happened(*reports)]
    records = [*first, *[boot()] * files.CHUNK, *happened(what, reports[1])]
    written(tmp_path / "journal", records).close()
    with files.opened(tmp_path / "store.sqlite") as projection:
        files.catch_up(projection, Follower(tmp_path / "journal", 0, bytes(16)))
        assert [known.client_order_id for known in projection._orders._known.values()] == [str(BUY.client_order_id)]


def test_older_evidence_takes_nothing_back(project: Project) -> None:
    events = [report(BUY, VenueStatus.OPEN, "0.003"), report(BUY, VenueStatus.OPEN, "0.001")]
    row = project([intent(BUY), *happened(*events), intent(BUY)]).orders(1)[0]
    assert (row.state, row.cum_qty) == ("open", Decimal("0.003"))


def test_an_order_filled_before_its_account_was_opened_knows_it(project: Project) -> None:
    early = fill(1, BUY, "0.002")
    row = project([intent(BUY), Happened(early, START_NS), booked(1, early, "0.002")]).orders(1)[0]
    assert (row.state, row.filled_qty) == ("open", Decimal("0.002"))


def test_an_order_made_by_hand_is_shown_as_adopted(project: Project) -> None:
    foreign = report(order(5), VenueStatus.OPEN, client_order_id=17, venue_order_id="0xabc")
    gone = report(order(5), VenueStatus.CANCELED, client_order_id=17, venue_order_id="0xabc")
    reader = project(happened(snapshot(open_orders=(foreign,)), gone))
    assert [(row.adopted, row.strategy, row.state) for row in reader.orders(10)] == [(True, "", "canceled")]


def test_an_ended_order_that_is_not_ours_is_no_order(project: Project) -> None:
    foreign = report(order(5), VenueStatus.FILLED, client_order_id=17)
    assert project(happened(snapshot(), foreign)).orders(10) == []


def test_signed_bytes_are_not_in_the_store(project: Project, tmp_path: Path) -> None:
    project([intent(BUY)])
    files = list(tmp_path.rglob("store.sqlite*"))
    assert files
    assert all(b"nobody's business" not in path.read_bytes() for path in files)


# --- the rest


def test_funding_counts_once_and_not_when_the_opening_balance_has_it(project: Project) -> None:
    old = FundingPaid(MAIN, BTC, Decimal("-1.25"), "USDT", "p1", START_NS, START_NS)
    new = FundingPaid(MAIN, BTC, Decimal("0.75"), "USDT", "p2", START_NS + 1, START_NS + 1)
    reader = project(happened(snapshot(funding=(old,)), old, new, new))
    assert [(row.payment_id, str(row.amount), row.counted) for row in reader.funding(10)] == [
        ("p2", "0.75", True),
        ("p1", "-1.25", False),
    ]


def test_equity_is_exact_and_its_parts_sum_up(project: Project) -> None:
    reader = project([mark("100000.000000000001"), mark(ts_ns=START_NS + 10), mark(ts_ns=START_NS + 20)])
    rows = reader.equity()
    assert [row.ts_ns - START_NS for row in rows] == [0, 10, 20]
    assert str(rows[0].equity) == "100000.000000000001"
    assert rows[1].pnl == Decimal("1.25")
    assert rows[1].positions == {BTC: Decimal("-0.010")}
    assert [row.ts_ns - START_NS for row in reader.equity(START_NS + 5)] == [10, 20]
    assert [row.ts_ns - START_NS for row in reader.equity(limit=1)] == [20]
    assert reader.equity(account="other") == []


def test_decisions_keep_their_inputs(project: Project) -> None:
    inputs: dict[str, Any] = {
        "fair": 60000.5,
        "warming_up": True,
        "inert": ["gamma"],
        "sigma": None,
        "state": "quoting",
    }
    reader = project([Decision(MAKER, BTC, inputs, START_NS)])
    assert reader.decisions(5)[0].inputs == inputs
    assert reader.decisions(5, strategy="eth") == []


def test_a_command_stands_with_its_last_answer(project: Project) -> None:
    asked = Operator("c1", "pause", MAKER, {"instrument": BTC}, "cli:me", START_NS)
    answers: list[Record] = [
        CommandAnswered("c1", "pause", state, text, "cli:me", START_NS + at)
        for at, (state, text) in enumerate([("accepted", ""), ("done", "paused")])
    ]
    row = project([*happened(asked), *answers]).commands(5)[0]
    assert (row.command_id, row.kind, row.strategy, row.arguments) == ("c1", "pause", MAKER, {"instrument": BTC})
    assert (row.state, row.text, row.asked_ns, row.answered_ns) == ("done", "paused", START_NS, START_NS + 1)


def test_what_the_engine_said_and_what_became_of_it_stand_in_one_list(project: Project) -> None:
    records: list[Record] = [
        boot(),
        Ready(START_NS),
        Said("warning", "book_stale", {"instrument": BTC}, START_NS),
        HaltChanged(MAIN, True, "MAX_LOSS", "lost too much", False, "", START_NS),
        FreezesChanged(MAIN, {BTC: {"position": "differs"}}, START_NS),
        Latch(True, "enough", "cli:me", START_NS),
        Crashed("oops", START_NS),
        Closed(False, "stop", START_NS),
    ]
    found = project(records).notices(20)[::-1]
    assert [(row.source, row.level, row.name) for row in found] == [
        ("Boot", "info", "engine_started"),
        ("Ready", "info", "engine_ready"),
        ("Said", "warning", "book_stale"),
        ("HaltChanged", "error", "account_halted"),
        ("FreezesChanged", "warning", "freezes_changed"),
        ("Latch", "error", "kill_latched"),
        ("Crashed", "error", "engine_crashed"),
        ("Closed", "warning", "engine_closed"),
    ]
    assert found[2].fields == {"instrument": BTC}
    assert found[3].fields["text"] == "lost too much"
