"""A third simulation, whose rules can be set one by one to hftbacktest's or to ours: what makes an order fill otherwise.

With all of hftbacktest's it gives hftbacktest's fills, with all of ours it gives ours, to the lot and the nanosecond; both
are tested. So for each order that the two fill differently, the least set of rules that turns one result into the other is
why.

Sources: hftbacktest 2.4.4, `backtest/proc/partialfillexchange.rs`, `backtest/models/queue.rs` and
`depth/hashmapmarketdepth.rs`; ours: `perpmaker.simulation.market`, `perpmaker.simulation.queue`. It shares no code with
either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from benchmarks.fidelity.plan import ENTRY_NS, Fills, Planned, Play

from perpmaker.model.events import BookDelta, BookSnapshot, Trade
from perpmaker.simulation import QueueModel

RULES: Final = {
    "sweep": "a trade beyond an order's price fills all of it, however small the trade",
    "cross": "a book that reaches an order's price fills all of it, however little it shows",
    "shared": "one trade, or what is shown once, fills several orders of ours",
    "behind": "what has traded still counts as behind an order while the book has not said so",
    "places": "places are fractions that may fall below zero, and are rounded to the nearest lot",
    "pending": "of trades that the book has not stated yet, an order knows those since it came",
    "levels": "the levels of a book message take effect one after the other",
}
"""hftbacktest's rules, by name; ours are their opposites."""
THEIRS: Final = frozenset(RULES)
OURS: Final[frozenset[str]] = frozenset()
_PARTS = 1_000


class Resting:
    """An order at rest, with both ways of counting its place."""

    __slots__ = ("ahead", "front", "left", "one", "px", "side", "spared", "traded")

    def __init__(self, one: Planned, shown: int) -> None:
        self.one, self.side, self.px = one, one.side, one.px
        self.left = one.lots
        self.front = 0.0
        self.ahead = shown * _PARTS
        self.spared = 0
        self.traded = 0


class Reading:
    """One play under a set of hftbacktest's rules."""

    def __init__(self, play: Play, queue: QueueModel, rules: frozenset[str], exponent: int = 3) -> None:
        self._play, self._queue, self._exponent = play, queue, exponent
        self._has = {name: name in rules for name in RULES}
        self._levels: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._best = {1: 0, -1: 0}
        """0 for none."""
        self._resting: list[Resting] = []
        self._traded: dict[tuple[int, int], int] = {}
        self._taken: dict[tuple[int, int], int] = {}
        self._fills: Fills = {}
        self._now_ns = 0

    def fills(self) -> Fills:
        requests = self._requests()
        due = next(requests, None)
        for event in self._play.market:
            while due is not None and due[0] < event.ts_event_ns:
                self._request(due)
                due = next(requests, None)
            self._now_ns = event.ts_event_ns
            if isinstance(event, Trade):
                self._trade(event.aggressor.opposite.sign, event.px_ticks, event.qty_lots)
            else:
                self._book(event)
        return self._fills

    # --- orders

    def _requests(self) -> Iterator[tuple[int, int, Planned]]:
        wanted = [(one.sent_ns + ENTRY_NS, 1, one) for one in self._play.orders]
        wanted += [(one.sent_ns + one.life_ns + ENTRY_NS, 0, one) for one in self._play.orders if one.post_only]
        yield from sorted(wanted, key=lambda request: (request[0], -request[1], request[2].number))

    def _request(self, request: tuple[int, int, Planned]) -> None:
        self._now_ns, is_new, one = request
        if not is_new:
            self._resting = [order for order in self._resting if order.one is not one]
            return
        best = self._best[-one.side]
        crosses = bool(best) and (one.px - best) * one.side >= 0
        if not one.post_only:
            if crosses:
                self._take(one)
        elif not crosses:
            self._rest(one)

    def _take(self, one: Planned) -> None:
        left, side = one.lots, -one.side
        for px in sorted(self._levels[side], reverse=side > 0):
            if not left or (one.px - px) * one.side < 0 or (px - self._best[side]) * side > 0:
                break
            taken = 0 if self._has["shared"] else self._taken.get((side, px), 0)
            here = min(left, self._levels[side][px] - taken)
            if here > 0:
                self._taken[(side, px)] = taken + here
                left -= here
                self._filled(one.number, px, here)

    def _rest(self, one: Planned) -> None:
        order = Resting(one, self._levels[one.side].get(one.px, 0))
        order.front = self._levels[one.side].get(one.px, 0) * self._play.lot
        if not self._has["shared"]:
            shown = order.ahead
            order.ahead = max([shown, *(older.ahead for older in self._at(one.side, one.px))])
            order.spared = order.ahead - shown
        if not self._at(one.side, one.px):
            self._traded[(one.side, one.px)] = 0
        self._resting.append(order)
        self._resting.sort(key=lambda resting: (-resting.one.px * resting.one.side, resting.one.number))

    def _at(self, side: int, px: int) -> list[Resting]:
        return [order for order in self._resting if order.px == px and order.side == side]

    def _fill(self, order: Resting, lots: int) -> None:
        if lots > 0:
            order.left -= lots
            self._filled(order.one.number, order.one.px, lots)

    def _filled(self, number: int, px: int, lots: int) -> None:
        fills = self._fills.setdefault(number, [])
        if fills and fills[-1][0] == self._now_ns:
            lots += fills.pop()[2]
        fills.append((self._now_ns, px, lots))

    def _forget_filled(self) -> None:
        self._resting = [order for order in self._resting if order.left]

    # --- trades

    def _trade(self, side: int, px: int, lots: int) -> None:
        left = lots
        for order in self._resting:
            if order.one.side == side and (order.one.px - px) * side > 0:
                order.ahead = order.spared = 0
                order.front = 0.0
                here = order.left if self._has["sweep"] else min(order.left, left)
                if not self._has["shared"]:
                    left = max(0, left - here)
                self._fill(order, here)
        key = (side, px)
        level = self._at(side, px)
        if level:
            self._traded[key] = self._traded.get(key, 0) + lots
        whole, rest = lots * _PARTS, left * _PARTS
        for order in level:
            order.traded += lots
            size = whole if self._has["shared"] else rest
            here = self._reached_by_fractions(order, size) if self._has["places"] else self._reached(order, size, whole)
            rest -= here * _PARTS
            self._fill(order, here)
        self._forget_filled()

    def _reached(self, order: Resting, size: int, whole: int) -> int:
        order.spared += whole - size
        before, order.ahead = order.ahead, max(0, order.ahead - size)
        return min(order.left, max(0, size - before) // _PARTS)

    def _reached_by_fractions(self, order: Resting, size: int) -> int:
        order.front -= size / _PARTS * self._play.lot
        lots = _rounded(-order.front / self._play.lot)
        if lots <= 0:
            return 0
        order.front = 0.0
        return min(order.left, lots)

    # --- the book

    def _book(self, event: BookSnapshot | BookDelta) -> None:
        told = [(sign, px, lots) for sign, levels in ((1, event.bids), (-1, event.asks)) for px, lots in levels]
        if self._has["levels"]:
            for sign, px, lots in told:
                before = self._best[sign]
                self._note(sign, px, lots)
                self._state(sign, px, lots)
                self._touch_one(sign, px, lots)
                if lots and px == self._best[sign] != before:
                    self._crossed(-sign, before)
            return
        before_best = dict(self._best)
        for sign, px, lots in told:
            self._note(sign, px, lots)
        for sign, px, lots in told:
            self._state(sign, px, lots)
        for sign, px, lots in told:
            if lots and (not self._best[sign] or (px - self._best[sign]) * sign > 0):
                self._best[sign] = px
        for sign in (1, -1):
            if self._best[sign] not in self._levels[sign]:
                self._best[sign] = self._next(sign, self._best[sign])
        for sign in (1, -1):  # our bids first
            self._crossed(sign, before_best[-sign])

    def _state(self, sign: int, px: int, lots: int) -> None:
        if lots:
            self._levels[sign][px] = lots
        else:
            self._levels[sign].pop(px, None)

    def _touch_one(self, sign: int, px: int, lots: int) -> None:
        """The best prices after one level, as hftbacktest keeps them: a level that crosses drops the other side's best."""
        best = self._best[sign]
        if not lots:
            if px == best:
                self._best[sign] = self._next(sign, best)
            return
        if best and (px - best) * sign <= 0:
            return
        self._best[sign] = px
        against = self._best[-sign]
        if against and (px - against) * sign >= 0:
            self._best[-sign] = self._next(-sign, px)

    def _next(self, sign: int, than: int) -> int:
        """The best level of a side that is worse than a price, 0 for none."""
        prices = [px for px in self._levels[sign] if (than - px) * sign > 0]
        return 0 if not prices else max(prices) if sign > 0 else min(prices)

    def _note(self, sign: int, px: int, lots: int) -> None:
        taken = self._taken.get((sign, px), 0)
        if lots < taken:
            self._taken[(sign, px)] = lots
        level = self._at(sign, px)
        if not level:
            return
        shown = self._levels[sign].get(px, 0)
        traded = self._traded.get((sign, px), 0)
        for order in level:
            known = order.traded if self._has["pending"] else traded
            if self._has["places"]:
                self._moves_by_fractions(order, shown, lots, known)
            else:
                self._moves(order, shown, lots, known)
            order.traded = 0
        self._traded[(sign, px)] = 0

    def _moves(self, order: Resting, shown: int, lots: int, traded: int) -> None:
        left, after = max(0, shown - traded) * _PARTS, lots * _PARTS
        gone = left - after
        if gone > 0:
            left = shown * _PARTS if self._has["behind"] else left
            behind = max(0, left + order.spared - order.ahead)
            order.ahead -= self._cancelled(order.ahead, behind, gone)
        order.ahead = min(order.ahead, after + order.spared)

    def _cancelled(self, ahead: int, behind: int, gone: int) -> int:
        if ahead <= 0:
            return 0
        if behind <= 0:
            return min(gone, ahead)
        surely = max(0, gone - behind)
        if self._queue is QueueModel.RISK_AVERSE:
            return min(surely, ahead)
        n = self._exponent
        likely: int = gone * ahead**n // (ahead**n + behind**n)
        return min(max(likely, surely), ahead)

    def _moves_by_fractions(self, order: Resting, shown: int, lots: int, traded: int) -> None:
        lot, front = self._play.lot, order.front
        after, gone = lots * lot, shown * lot - lots * lot - traded * lot
        if self._queue is QueueModel.RISK_AVERSE or gone < 0:
            order.front = min(front, after)
            return
        back = (shown if self._has["behind"] else max(0, shown - traded)) * lot - front
        weight_front, weight_back = front ** float(self._exponent), back ** float(self._exponent)
        both = weight_back + weight_front
        if both == 0.0 == weight_back:  # no number there, and the smaller of that and `after` is `after`
            order.front = after
            return
        likely = weight_back / both if both else 1.0
        order.front = min(front - (1.0 - likely) * gone + min(back - likely * gone, 0.0), after)

    def _crossed(self, side: int, before: int) -> None:
        """The other side's best may have reached our orders of `side`; `before` is what it was."""
        best = self._best[-side]
        if not best or not self._resting:
            return
        has_moved = not before or (best - before) * side < 0
        for order in self._resting:
            if order.one.side != side or (order.one.px - best) * side < 0:
                continue
            if self._has["cross"]:
                if has_moved:
                    self._fill(order, order.left)
                continue
            self._meet(order, side)
        self._forget_filled()

    def _meet(self, order: Resting, side: int) -> None:
        """What the book shows at or beyond an order's price fills it, and is used up."""
        for px in sorted(self._levels[-side], reverse=side < 0):
            if not order.left or (order.one.px - px) * side < 0:
                return
            taken = 0 if self._has["shared"] else self._taken.get((-side, px), 0)
            here = min(order.left, self._levels[-side][px] - taken)
            if here > 0:
                self._taken[(-side, px)] = taken + here
                self._fill(order, here)


def _rounded(value: float) -> int:
    """To the nearest whole number, halves away from zero."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(0.5 - value)
