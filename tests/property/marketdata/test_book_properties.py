"""The book against the plainest model of one: a dict per side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.execution.stage import BTC

from perpmaker.marketdata.book import OrderBook, OwnLevels
from perpmaker.model.book import Level
from perpmaker.model.order import Side

BIDS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=12)
ASKS = st.lists(st.tuples(st.integers(50, 110), st.integers(0, 9)), max_size=12)
OWN = st.dictionaries(st.integers(1, 110), st.integers(1, 12), max_size=8)


def best_first(levels: dict[int, int], side: Side) -> list[Level]:
    return sorted(levels.items(), reverse=side is Side.BUY)


@given(st.lists(st.tuples(BIDS, ASKS), max_size=12))
def test_any_sequence_of_deltas_leaves_the_levels_a_dict_would_have(
    deltas: list[tuple[list[Level], list[Level]]],
) -> None:
    book = OrderBook(BTC)
    plain: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
    for bids, asks in deltas:
        assert book.apply(bids, asks, 1, 1)
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            for ticks, lots in levels:
                plain[side].pop(ticks, None)
                if lots:
                    plain[side][ticks] = lots
    for side in Side:
        assert book.levels(side, 999) == best_first(plain[side], side)
    assert book.bid_ticks == max(plain[Side.BUY], default=0)
    assert book.ask_ticks == min(plain[Side.SELL], default=0)


@given(BIDS, ASKS, OWN, OWN)
def test_the_book_without_own_orders_is_level_by_level_the_difference(
    bids: list[Level], asks: list[Level], own_bids: dict[int, int], own_asks: dict[int, int]
) -> None:
    book = OrderBook(BTC)
    book.apply(bids, asks, 1, 1)
    left = {
        side: [(t, q - own.get(t, 0)) for t, q in book.levels(side, 999) if q > own.get(t, 0)]
        for side, own in ((Side.BUY, own_bids), (Side.SELL, own_asks))
    }
    view = book.without(OwnLevels(own_bids, own_asks))
    if not all(left.values()):
        assert view is None
        return
    assert view is not None
    assert {side: view.levels(side, 999) for side in Side} == left
    assert ((view.bid_ticks, view.bid_lots), (view.ask_ticks, view.ask_lots)) == (left[Side.BUY][0], left[Side.SELL][0])
