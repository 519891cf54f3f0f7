"""Bulk requests at the simulated venue and at the practice exchange: the same are refused, by the same code.

Both were written apart. Random ladders are sent, changed and cancelled on an account whose margin, position limit and
brackets are all near; after every request both have the same orders.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from tests.unit.exchange.core.desk import ALICE, Desk
from tests.unit.simulation.lab import BTC, BUY, MAIN, RULES, SELL, Lab

from perpmaker.exchange.core.instruments import Instrument, RiskBracket
from perpmaker.exchange.core.types import NANO, Kind, OrderView, Rejection
from perpmaker.exchange.core.types import Side as VenueSide
from perpmaker.exchange.core.venue import VenueLimits
from perpmaker.model.events import SubmitRejected
from perpmaker.model.order import CancelOrder, NewOrder
from perpmaker.simulation import Chance, MarginRules, margin_brackets

BALANCE = 190
MARK = 100
"""At leverage 10 the balance carries 19 lots, at 20 it is 38; from 30 on the second bracket forbids 20."""
LISTED = Instrument(
    name=BTC, asset_id=1, base="BTC", quote="USDT", tick_nano=NANO, lot_nano=NANO, min_notional_nano=0,
    max_position_lots=1, start_px_nano=MARK * NANO, kind=Kind.PERPETUAL,
    brackets=(
        RiskBracket(1, 0, 3_000 * NANO, 10_000, 50_000, 20, 0),
        RiskBracket(2, 3_000 * NANO, None, 20_000, 100_000, 10, 30 * NANO),
    ),
)  # fmt: skip
BRACKETS = margin_brackets(
    [(Decimal(3_000), Decimal("0.01"), Decimal("0.05")), (None, Decimal("0.02"), Decimal("0.1"))]
)


def desk_of(leverage: int, most_lots: int) -> Desk:
    listed = msgspec.structs.replace(LISTED, max_position_lots=most_lots)
    limits = VenueLimits(default_leverage=leverage)
    desk = Desk(instruments=[listed], deposit=str(BALANCE), limits=limits)
    desk.quote(VenueSide.BUY, "50", "1")
    desk.quote(VenueSide.SELL, "150", "1")
    desk.venue.set_mark(BTC, MARK * NANO)
    return desk


def lab_of(leverage: int, most_lots: int) -> Lab:
    rules = MarginRules(leverage, brackets={BTC: BRACKETS})
    lab = Lab(balance=BALANCE, margin=rules, orders_per_s=1_000, orders_burst=1_000)
    lab.venue.list_instrument(msgspec.structs.replace(RULES, max_position_qty=Decimal(most_lots)))
    lab.book(0, {50: 1}, {150: 1})
    lab.ticker(1, MARK)
    return lab


@pytest.mark.parametrize(
    ("leverage", "most_lots", "codes"),
    [(20, 36, {2083}), (10, 36, {2080}), (20, 25, {2081})],
)
@pytest.mark.parametrize("seed", range(1, 4))
def test_both_refuse_the_same_requests_and_have_the_same_orders(
    leverage: int, most_lots: int, codes: set[int], seed: int
) -> None:
    chance, desk, lab = Chance(seed), desk_of(leverage, most_lots), lab_of(leverage, most_lots)
    refused: list[int] = []
    ms = 100.0
    for _ in range(150):
        live = list(lab.venue.accounts[MAIN].live)
        ending = [one for one in live if chance.below(5) == 0][:4]
        orders = [_order(chance, lab) for _ in range(chance.below(4))]
        if not ending and not orders:
            continue
        code = _at_exchange(desk, orders, ending)
        cancels = [CancelOrder(MAIN, BTC, one) for one in ending]
        before = len(lab.of(SubmitRejected))
        lab.to(ms)
        lab.venue.replace(MAIN, cancels, orders, lab.now_ns)
        ms += 100
        told = lab.to(ms).of(SubmitRejected)[before:]
        assert [one.code for one in told] == ([code] * len(orders) if code else [])
        open_there = [view.terms.client_order_id for view in desk.venue.open_orders(ALICE)]
        assert sorted(lab.venue.accounts[MAIN].live) == sorted(open_there)
        refused += [code] if code else []
    assert 5 < len(refused) < 140
    assert codes <= set(refused)


def _order(chance: Chance, lab: Lab) -> NewOrder:
    side = (BUY, SELL)[chance.below(2)]
    return lab.order(side, MARK - side.sign * (1 + chance.below(9)), 1 + chance.below(9))


def _at_exchange(desk: Desk, orders: list[NewOrder], ending: list[int]) -> int:
    """Send it; a refused one has its cancels sent again by themselves. Returns the code, 0 when it was taken."""
    requests = [
        desk.request(
            VenueSide.BUY if order.side is BUY else VenueSide.SELL, str(order.qty), str(order.px),
            cid=int(order.client_order_id), post_only=True,
        )
        for order in orders
    ]  # fmt: skip
    answer = desk.venue.bulk_orders(ALICE, requests, cancel_client_order_ids=ending)
    if not isinstance(answer, Rejection):
        assert all(isinstance(view, OrderView) for view in answer.orders)
        return 0
    for one in ending:
        assert desk.venue.cancel_order(ALICE, client_order_id=one) is None
    return answer.code
