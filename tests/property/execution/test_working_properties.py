"""A ladder that is said to stand needs no change, whatever happened to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.execution.stage import BTC, BTC_ID, MAIN, MAKER, MS, D, Stage, book_snapshot, fill, report

from perpmaker.execution.working import WorkingOrders
from perpmaker.model.events import CancelFailed, OrderPrepared, VenueStatus
from perpmaker.model.quote import Quote

WHAT = ("book", "prepared", "open", "fill", "canceled", "cancel failed", "wish", "time")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 7)), max_size=40))
def test_a_standing_ladder_needs_no_change(steps: list[tuple[str, int]]) -> None:
    stage, wanted = Stage(), ladder(0)
    working = WorkingOrders(
        account=MAIN, strategy=MAKER, instrument=BTC_ID, table=stage.table, next_id=stage.ids.next
    )  # fmt: skip
    for number, (what, which) in enumerate(steps):
        live = stage.table.live(MAIN, BTC_ID, MAKER)
        order = live[which % len(live)] if live else None
        if what == "book":
            stage.books.apply(book_snapshot(599_990 + which, 600_000 + which, at=stage.now))
        elif what == "wish":
            wanted = ladder(which)
        elif what == "time":
            stage.now += 250 * MS
        elif order is not None:
            coid = order.client_order_id
            event = {
                "prepared": OrderPrepared(MAIN, coid, stage.now),
                "open": report(coid, at=stage.now),
                "fill": fill(coid, "0.002", trade=str(number), side=order.order.side, at=stage.now),
                "canceled": report(coid, VenueStatus.CANCELED, at=stage.now),
                "cancel failed": CancelFailed(MAIN, coid, False, "", stage.now),
            }[what]
            for change in stage.table.apply(event):
                working.on_change(change, stage.now)
        book = stage.books.book(BTC_ID, stage.now)
        if book is None:
            continue
        bids, asks = wanted
        stands = working.stands(bids, asks, instrument=BTC, book=book, now_ns=stage.now)
        made = working.change(bids, asks, instrument=BTC, book=book, now_ns=stage.now)
        assert made.is_empty or not stands
        if not made.is_empty:
            approved, _ = stage.table.admit(stage.gate, made.orders, stage.now)
            working.sent(made, [one.order.client_order_id for one in approved], stage.now)


def ladder(which: int) -> tuple[tuple[Quote, ...], tuple[Quote, ...]]:
    """Two bids and an ask, as wanted the n-th time; some prices would cross, some are within tolerance."""
    tolerance_bps = 0.5 * (which % 2)
    bids = tuple(Quote(D(60_000 + which - 3 * layer), D("0.01"), layer, tolerance_bps) for layer in (0, 1))
    return bids, (Quote(60_000.0 + which // 2, D("0.01"), 0, tolerance_bps),)
