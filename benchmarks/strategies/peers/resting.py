"""Orders as the peers place them: a proposal is put down, rests for a while, is cancelled whole and put down anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context


class Wanted(NamedTuple):
    """One order of a proposal: `px` in quote currency, `qty` in base units."""

    side: Side
    px: float
    qty: float


class Proposals:
    """hummingbot's order cycle, in its own words.

    `order_refresh_time`: how long a proposal rests before it is cancelled. `filled_order_delay`: how long after a fill no
    new proposal is put down. `order_refresh_tolerance_pct`: a proposal that moved no price by more than this stays; 0 asks
    for the same prices, below 0 nothing ever stays. A new proposal waits until every order of the old one has ended.
    """

    def __init__(
        self,
        instrument: InstrumentId,
        *,
        order_refresh_time: float,
        filled_order_delay: float,
        order_refresh_tolerance_pct: float = 0.0,
    ) -> None:
        self._instrument = instrument
        self._refresh_ns = round(order_refresh_time * NS_PER_S)
        self._delay_ns = round(filled_order_delay * NS_PER_S)
        self._tolerance = order_refresh_tolerance_pct / 100
        self._create_ns = 0
        self._cancel_ns = 0

    def on_fill(self, now_ns: int) -> None:
        self._create_ns = now_ns + self._delay_ns
        self._cancel_ns = min(self._cancel_ns, self._create_ns)

    def tick(self, ctx: Context, propose: Callable[[], Sequence[Wanted]]) -> None:
        """Cancel what has rested its time, or put a new proposal down; `propose` is asked only when it counts."""
        now_ns, orders = ctx.now_ns(), ctx.open_orders(self._instrument)
        if orders:
            if now_ns < self._cancel_ns:
                return
            resting = [(order.side.sign, float(order.px or 0)) for order in orders]
            rules = ctx.instrument(self._instrument)
            wanted = [(one.side.sign, float(rules.round_px(one.px, one.side))) for one in propose()]
            if self._is_near(resting, wanted):
                self._cancel_ns = now_ns + self._refresh_ns
                return
            ctx.cancel_all(self._instrument)
        elif now_ns >= self._create_ns:
            self._put_down(ctx, propose())
            self._cancel_ns = self._create_ns = now_ns + self._refresh_ns

    def _is_near(self, resting: list[tuple[int, float]], wanted: list[tuple[int, float]]) -> bool:
        if self._tolerance < 0 or len(resting) != len(wanted):
            return False
        pairs = zip(sorted(resting), sorted(wanted), strict=True)
        return all(now[0] == then[0] and abs(then[1] / now[1] - 1) <= self._tolerance for now, then in pairs)

    def _put_down(self, ctx: Context, wanted: Sequence[Wanted]) -> None:
        rules = ctx.instrument(self._instrument)
        for one in wanted:
            px, qty = rules.round_px(one.px, one.side), rules.round_qty(one.qty)
            if qty >= rules.min_qty and px * qty >= rules.min_notional:
                ctx.submit(self._instrument, one.side, qty, px, post_only=True, tag="peer")


def affordable(wanted: Sequence[Wanted], position: Decimal, limit_qty: float) -> list[Wanted]:
    """Leave out what would carry the position beyond the limit if all of it filled: the peers' own budget check."""
    room = {Side.BUY: limit_qty - float(position), Side.SELL: limit_qty + float(position)}
    kept = []
    for one in wanted:
        if one.qty <= room[one.side]:
            room[one.side] -= one.qty
            kept.append(one)
    return kept
