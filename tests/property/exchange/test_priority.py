"""Price-time priority, against the plainest matcher that can be written."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from perpmaker.exchange.core.instruments import BTC
from perpmaker.exchange.core.types import Side
from perpmaker.exchange.core.venue import Order, Venue

Trade = tuple[int, int, int, int]
"""Taker, maker, price, lots; participants are numbered as they came."""


@dataclass
class Resting:
    participant: int
    side: Side
    px_ticks: int
    lots: int


class PlainMatcher:
    """A list of orders as they came, searched from end to end for each match."""

    def __init__(self) -> None:
        self.orders: list[Resting] = []
        self.trades: list[Trade] = []

    def limit(self, participant: int, side: Side, px_ticks: int, lots: int) -> None:
        while lots:
            crossing = [o for o in self.orders if o.side is not side and side * (px_ticks - o.px_ticks) >= 0]
            if not crossing:
                self.orders.append(Resting(participant, side, px_ticks, lots))
                return
            maker = min(crossing, key=lambda o: side * o.px_ticks)
            matched = min(lots, maker.lots)
            self.trades.append((participant, maker.participant, maker.px_ticks, matched))
            lots -= matched
            maker.lots -= matched
            self.orders = [o for o in self.orders if o.lots]

    def cancel(self, participant: int) -> None:
        self.orders = [o for o in self.orders if o.participant != participant]


_limits = st.tuples(st.sampled_from(list(Side)), st.integers(95, 105), st.integers(1, 20))
_cancels = st.integers(0, 40)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_limits, _limits, _limits, _cancels), max_size=60))
def test_matches_are_those_of_the_plain_matcher(steps: list[tuple[Side, int, int] | int]) -> None:
    venue = Venue([BTC], now_ns=0)
    plain = PlainMatcher()
    trades: list[Trade] = []
    handles: dict[int, Order | None] = {}
    for step in steps:
        participant = len(venue._floor.participants)
        if isinstance(step, int):
            handle = handles.get(step)
            if handle is not None:
                venue.flow_cancel(handle)
            plain.cancel(step)
            continue
        side, px_ticks, lots = step
        venue.add_participant(f"{participant}")
        before = [p.lots[0] for p in venue._floor.participants]
        handles[participant] = venue.flow_limit(participant, BTC.name, side, px_ticks, lots)
        after = [p.lots[0] for p in venue._floor.participants]
        known = len(plain.trades)
        plain.limit(participant, side, px_ticks, lots)
        venue_trades = reversed(venue.trades(BTC.name, len(plain.trades) - known)) if len(plain.trades) > known else ()
        trades += [
            (participant, maker, trade.px_ticks, trade.qty_lots)
            for trade, (_, maker, _, _) in zip(venue_trades, plain.trades[known:], strict=True)
        ]
        moved = {index: after[index] - before[index] for index in range(len(after)) if after[index] != before[index]}
        expected: dict[int, int] = {}
        for taker, maker, _, matched in plain.trades[known:]:
            expected[taker] = expected.get(taker, 0) + side * matched
            expected[maker] = expected.get(maker, 0) - side * matched
        assert moved == expected
    assert trades == plain.trades
    for side in Side:
        queue = [
            order
            for level in venue.book(BTC.name).depth(side)
            for order in venue.book(BTC.name).orders_at(side, level.px_ticks)
        ]
        mine = [(order.participant, order.px_ticks, order.leaves_lots) for order in queue]
        theirs = sorted((o for o in plain.orders if o.side is side), key=lambda o: -side * o.px_ticks)
        assert mine == [(o.participant, o.px_ticks, o.lots) for o in theirs]
