"""Evidence may come in any order and more than once."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.execution.stage import MAIN, T0, S, Stage, fill, report

from perpmaker.execution.machine import Evidence, step
from perpmaker.execution.tracked import Incident, TrackedOrder
from perpmaker.model.events import (
    Fill,
    OrderEvent,
    OrderNotFound,
    OrderPrepared,
    OrderReport,
    Source,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.order import OrderState, Side

QTY_LOTS = 10
ORDER_FREE = (
    Evidence.PREPARED,
    Evidence.ACKED,
    Evidence.FILLED,
    Evidence.CANCELED,
    Evidence.EXPIRED,
    Evidence.REJECTED,
    Evidence.SUBMIT_UNKNOWN,
    Evidence.NOT_FOUND,
)
"""What the venue says, and what our side says of the creation; cancels of ours come in the order they happened."""


@given(st.lists(st.sampled_from(ORDER_FREE), max_size=8), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_evidence_lead_to_one_state(evidence: list[Evidence], shuffle) -> None:  # type: ignore[no-untyped-def]
    def end(pieces: list[Evidence]) -> OrderState:
        state = OrderState.PREPARED
        for piece in pieces:
            state, _ = step(state, piece)
        return state

    mixed = [*evidence, *evidence[::2], Evidence.PREPARED]
    shuffle.shuffle(mixed)
    assert end(mixed) == end([Evidence.PREPARED, *evidence])


@given(st.lists(st.sampled_from(Evidence), max_size=20), st.sampled_from(OrderState))
def test_once_terminal_always_terminal(evidence: list[Evidence], state: OrderState) -> None:
    was_terminal = state.is_terminal
    for piece in evidence:
        state, _ = step(state, piece)
        assert state.is_terminal or not was_terminal
        was_terminal = state.is_terminal


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], VenueStatus | None]:
    """What truly happened at the venue: the lots of each fill, and how the order ended, if it has."""
    fills: list[int] = []
    while sum(fills) < QTY_LOTS and draw(st.booleans()):
        fills.append(draw(st.integers(1, QTY_LOTS - sum(fills))))
    if sum(fills) == QTY_LOTS:
        return fills, VenueStatus.FILLED
    ends = [None, VenueStatus.CANCELED, VenueStatus.EXPIRED, *([] if fills else [VenueStatus.REJECTED])]
    return fills, draw(st.sampled_from(ends))


def evidence_of(coid: int, history: tuple[list[int], VenueStatus | None]) -> list[OrderEvent]:
    """Everything that replies, streams, queries and snapshots may say about a history."""
    fills, end = history
    events: list[OrderEvent] = [
        OrderPrepared(MAIN, coid, T0),  # type: ignore[arg-type]
        SubmitUnknown(MAIN, coid, "timeout", T0),  # type: ignore[arg-type]
        OrderNotFound(MAIN, coid, T0),  # type: ignore[arg-type]
    ]
    if end is not VenueStatus.REJECTED:
        events.append(report(coid, VenueStatus.PENDING))
    done = 0
    for number, lots in enumerate(fills):
        done += lots
        cum = str(Decimal(done) / 1000)
        events.append(fill(coid, str(Decimal(lots) / 1000), "59990", trade=f"t{number}", at=T0 + number))
        events.append(report(coid, VenueStatus.OPEN, cum, source=Source.STREAM))
        events.append(report(coid, VenueStatus.OPEN, cum, source=Source.SNAPSHOT))
    if end is not None:
        events.append(report(coid, end, str(Decimal(done) / 1000), source=Source.QUERY))
    return events


@given(histories(), st.data())
def test_one_history_gives_one_order_however_its_evidence_arrives(
    history: tuple[list[int], VenueStatus | None], data: st.DataObject
) -> None:
    stage = Stage()
    tracked = stage.admit(qty="0.01")
    events = evidence_of(tracked.client_order_id, history)
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=10))
    booked: list[Fill] = []
    for event in data.draw(st.permutations([*events, *repeated])):
        for change in stage.table.apply(event):
            assert change.incident in (None, Incident.LATE_FILL)
            if change.fill is not None:
                booked.append(change.fill)
    _check(stage, tracked, booked, history)


def _check(
    stage: Stage, tracked: TrackedOrder, booked: list[Fill], history: tuple[list[int], VenueStatus | None]
) -> None:
    fills, end = history
    expected = OrderState.OPEN if end is None else OrderState(end.value)
    assert tracked.state is expected
    assert sorted(f.trade_id for f in booked) == sorted(f"t{n}" for n in range(len(fills)))
    assert tracked.cum_qty == tracked.filled_qty == Decimal(sum(fills)) / 1000
    leaves = Decimal(0) if end is not None else Decimal(QTY_LOTS - sum(fills)) / 1000
    assert tracked.leaves_qty == leaves
    exposure = stage.table.exposure(MAIN, tracked.order.instrument)
    assert (exposure.buy_qty, exposure.unknown) == (leaves, 0)
    assert stage.table.open_count(MAIN) == (end is None)


@given(histories(), st.data())
def test_exposure_never_understates_what_may_still_come(
    history: tuple[list[int], VenueStatus | None], data: st.DataObject
) -> None:
    """Position by booked fills plus exposure covers, at every moment, everything that will have been executed."""
    stage = Stage()
    tracked = stage.admit(qty="0.01")
    total = Decimal(sum(history[0])) / 1000
    stated = [e for e in evidence_of(tracked.client_order_id, history) if _is_stated_whole(e, total)]
    for event in data.draw(st.permutations(stated)):
        stage.table.apply(event)
        covered = tracked.filled_qty + stage.table.exposure(MAIN, tracked.order.instrument).buy_qty
        assert covered >= total


def _is_stated_whole(event: OrderEvent, total: Decimal) -> bool:
    """An end that states less than was executed would be the venue's untruth, not a matter of order."""
    return (
        not isinstance(event, OrderReport)
        or event.status in (VenueStatus.OPEN, VenueStatus.PENDING)
        or event.cum_qty == total
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), st.booleans()), max_size=40))
def test_indices_agree_with_a_walk_over_all_orders(steps: list[tuple[int, int, bool]]) -> None:
    """Incremental exposure, counts and best prices equal what is reckoned from nothing."""
    stage = Stage()
    made: list[TrackedOrder] = []
    for kind, number, flag in steps:
        if kind <= 1 or not made:
            side, px = (("buy", 59_990 - number), ("sell", 60_010 + number))[flag]
            if stage.check(Side(side), str(px), "0.002") == "":
                made.append(stage.admit(Side(side), px=str(px), qty="0.002"))
        else:
            tracked = made[number % len(made)]
            coid = tracked.client_order_id
            event: OrderEvent = (
                report(coid, VenueStatus.CANCELED if flag else VenueStatus.OPEN, "0.001"),
                fill(coid, "0.001", side=tracked.order.side, trade=f"{coid}-{flag}"),
                SubmitUnknown(MAIN, coid, "timeout", T0 + S),
            )[kind - 2]
            stage.table.apply(event)
        live = [t for t in made if not t.is_terminal]
        exposure = stage.table.exposure(MAIN, made[0].order.instrument) if made else None
        if exposure is None:
            continue
        buys = [t for t in made if t.order.side.sign > 0]
        sells = [t for t in made if t.order.side.sign < 0]
        assert exposure.buy_qty == sum((t.exposure_qty for t in buys), Decimal(0))
        assert exposure.sell_qty == sum((t.exposure_qty for t in sells), Decimal(0))
        assert exposure.unknown == sum(t.state is OrderState.UNKNOWN for t in live)
        assert stage.table.open_count(MAIN) == len(live)
        assert {t.key for t in stage.table.unsettled(MAIN)} == {t.key for t in made if t.is_unsettled}
        assert all(t.is_terminal is t.state.is_terminal for t in made)
        for group, best in ((buys, max), (sells, min)):
            prices = [t.order.px for t in group if not t.is_terminal and t.order.px is not None]
            if group:
                side_of = group[0].order.side
                found = stage.table.best_own_px(group[0].order.instrument, side_of)
                assert found == (best(prices) if prices else None)
