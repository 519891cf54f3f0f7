"""Working towards a wanted position: prices that depth covers, a cap, one child at a time, no dust left."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.engine.rig import BTC, instrument

from perpmaker.engine.core.target import Ending, Job, Scene, TargetWorker
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.ids import AccountId, ClientOrderId, StrategyId
from perpmaker.model.order import NewOrder, OrderState, OrderView, Side, TimeInForce
from perpmaker.model.quote import Sweep

MS = 1_000_000
RULES = instrument()


def book(*, ask: int = 600_005, lots: int = 1_000, levels: int = 40) -> OrderBook:
    made = OrderBook(RULES)
    bids = tuple((ask - 10 - level, lots) for level in range(levels))
    asks = tuple((ask + level, lots) for level in range(levels))
    assert made.snapshot(bids, asks, 1, 1)
    return made


class Work:
    """A worker stepped by hand."""

    def __init__(self, qty: str, *, position: str = "0", closing: bool = False, **algorithm: object) -> None:
        self.position = Decimal(position)
        self.book: OrderBook | None = book()
        self.child: OrderView | None = None
        self.now_ns = 0
        self.ids = iter(range(1, 1000))
        job = Job(
            AccountId("main"),
            StrategyId("s"),
            BTC,
            Decimal(qty),
            Sweep(**algorithm),
            closing,
            Decimal(1000),  # type: ignore[arg-type]
        )
        self.worker = TargetWorker(job, 0, lambda: ClientOrderId(next(self.ids)))

    def step(self) -> NewOrder | None:
        self.now_ns += 250 * MS
        scene = Scene(self.now_ns, self.position, RULES, self.book, self.book.levels if self.book else None, self.child)
        order = self.worker.step(scene)
        if order is not None:
            self.child = OrderView(
                order.client_order_id, BTC, order.side, order.px, order.qty, Decimal(0), OrderState.SENT
            )
        return order

    def end(self, cum_qty: Decimal, state: OrderState = OrderState.CANCELED) -> None:
        assert self.child is not None
        child = self.child
        self.position += child.side.sign * cum_qty
        self.child = OrderView(child.client_order_id, BTC, child.side, child.px, child.qty, cum_qty, state, child.px)


def test_a_child_is_a_limit_ioc_at_the_price_whose_depth_covers_it() -> None:
    work = Work("0.010", depth_haircut=0.7)
    work.book = book(lots=5)
    order = work.step()
    assert order is not None
    assert (order.side, order.tif, order.qty) == (Side.BUY, TimeInForce.IOC, Decimal("0.010"))
    assert order.px == Decimal("60000.7")  # 3 levels of 5 lots, 70 % believed, cover 10 lots
    assert not order.reduce_only


def test_the_price_is_never_beyond_the_cap() -> None:
    work = Work("0.015", max_slippage_bps=Decimal("0.05"))  # 0.3 of 60000.5
    work.book = book(lots=2)
    order = work.step()
    assert order is not None
    assert order.px == Decimal("60000.8")
    assert order.qty == Decimal("0.005")  # 4 levels of 2 lots, 70 % believed


def test_the_next_child_waits_until_the_one_before_has_ended_for_certain() -> None:
    work = Work("0.010")
    assert work.step() is not None
    assert work.step() is None
    assert work.child is not None
    work.child = OrderView(
        work.child.client_order_id, BTC, Side.BUY, work.child.px, work.child.qty, Decimal(0), OrderState.UNKNOWN
    )
    for _ in range(10):
        assert work.step() is None
    assert "unknown" in work.worker.waits_for
    work.end(Decimal("0.004"))
    order = work.step()
    assert order is not None
    assert order.qty == Decimal("0.006")


def test_done_tells_vwap_and_slippage() -> None:
    work = Work("0.010")
    work.step()
    work.end(Decimal("0.010"), OrderState.FILLED)
    assert work.step() is None
    result = work.worker.result
    assert result is not None
    assert (result.ending, result.filled_qty, result.children) == (Ending.DONE, Decimal("0.010"), 1)
    assert result.vwap == Decimal("60000.5")
    assert result.slippage_bps == 0


def test_a_market_that_left_ends_a_target_at_its_cap_and_begins_a_closing_afresh() -> None:
    for closing, ending in ((False, Ending.CAP), (True, None)):
        work = Work("0.010" if not closing else "0", position="0" if not closing else "-0.010", closing=closing)
        work.step()
        work.end(Decimal(0))
        work.book = book(ask=606_000)
        work.step()
        if ending is not None:
            assert work.worker.result is not None
            assert work.worker.result.ending is ending
            continue
        order = work.step()
        assert order is not None
        assert order.px is not None
        assert order.px >= Decimal("60600.0")
        assert order.reduce_only


@pytest.mark.parametrize(
    ("algorithm", "ending"), [({"max_children": 2}, Ending.MAX_CHILDREN), ({"deadline_ms": 600}, Ending.DEADLINE)]
)
def test_children_and_time_are_bounded(algorithm: dict[str, int], ending: Ending) -> None:
    work = Work("0.010", **algorithm)
    for _ in range(4):
        if work.step() is not None:
            work.end(Decimal(0))
    assert work.worker.result is not None
    assert work.worker.result.ending is ending


def test_nothing_is_sent_without_a_fresh_book() -> None:
    work = Work("0.010")
    work.book = None
    assert work.step() is None
    assert work.worker.waits_for == "no fresh book"


@pytest.mark.parametrize("held", ["0.017", "0.033", "0.050", "0.018", "0.0345"])
def test_what_is_larger_than_one_order_is_split_without_dust(held: str) -> None:
    work = Work("0", position=str(Decimal(held).quantize(Decimal("0.001"))), closing=True)
    sizes: list[Decimal] = []
    while work.worker.result is None and len(sizes) < 10:
        order = work.step()
        if order is not None:
            assert order.px is not None
            sizes.append(order.qty * order.px)
            work.end(order.qty, OrderState.FILLED)
    assert work.position == 0
    assert all(Decimal(100) <= size <= Decimal(1000) for size in sizes)


def test_a_rest_below_the_venues_minimum_ends_a_target_and_keeps_a_closing_waiting() -> None:
    work = Work("0.001")
    assert work.step() is None
    assert work.worker.result is not None
    assert work.worker.result.ending is Ending.BELOW_MINIMUM
    closing = Work("0", position="0.001", closing=True)
    assert closing.step() is None
    assert closing.worker.result is None
    assert "no order as small" in closing.worker.waits_for


def test_a_target_that_only_reduces_says_so_to_the_venue() -> None:
    reducing, crossing = Work("0.005", position="0.020"), Work("-0.005", position="0.005")
    first, second = reducing.step(), crossing.step()
    assert first is not None
    assert second is not None
    assert (first.reduce_only, second.reduce_only) == (True, False)


def test_a_child_refused_by_the_gate_counts_as_ended() -> None:
    work = Work("0.010")
    work.step()
    work.end(Decimal(0), OrderState.DENIED)
    assert work.step() is not None
