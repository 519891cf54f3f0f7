"""Bulk requests at the simulated venue and at the practice exchange: the same are refused, by the same code.

Both were written apart. Random ladders are sent, changed and cancelled on an account whose margin, position limit and
brackets are all near; after every request both have the same orders. What is concluded of a refusal is what the gateway to
the venue concludes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.exchange.core.desk import ALICE, Desk
from tests.unit.simulation.lab import BTC, BUY, MAIN, RULES, SELL, START_NS, Lab
from tests.unit.venues.grvt.bench import Intents, Kill, Stages

from perpmaker.clock import ManualClock
from perpmaker.exchange.core.instruments import Instrument, RiskBracket
from perpmaker.exchange.core.types import NANO, Kind, OrderView, Rejection
from perpmaker.exchange.core.types import Side as VenueSide
from perpmaker.exchange.core.venue import VenueLimits
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import Event, OrderPrepared, SubmitRejected, SubmitUnknown
from perpmaker.model.order import Approved, CancelOrder, NewOrder
from perpmaker.simulation import Chance, MarginRules, margin_brackets
from perpmaker.simulation.checks import is_certain
from perpmaker.venues.grvt.answers import refusal
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.codes import OUTCOMES
from perpmaker.venues.grvt.creates import Creates
from perpmaker.venues.grvt.objects import WireError
from perpmaker.venues.grvt.orders import SignedOrder

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
        before = len(lab.events)
        lab.to(ms)
        lab.venue.replace(MAIN, cancels, orders, lab.now_ns)
        ms += 100
        told = [
            _code(event) for event in lab.to(ms).events[before:] if isinstance(event, SubmitRejected | SubmitUnknown)
        ]
        assert told == ([(code, len(orders) == 1)] * len(orders) if code else [])
        open_there = [view.terms.client_order_id for view in desk.venue.open_orders(ALICE)]
        assert sorted(lab.venue.accounts[MAIN].live) == sorted(open_there)
        refused += [code] if code else []
    assert 5 < len(refused) < 140
    assert codes <= set(refused)


def _code(event: SubmitRejected | SubmitUnknown) -> tuple[int, bool]:
    """Return the code, and whether the refusal is certain."""
    certain = isinstance(event, SubmitRejected)
    return (event.code if isinstance(event, SubmitRejected) else int(event.reason.split()[0])), certain


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


class Refusing:
    """All that creations need around them, and an order entry that answers everything with one code."""

    def __init__(self, code: int) -> None:
        self.told: list[Event] = []
        self._code = code
        around: Any = self
        self.creates = Creates(
            account=MAIN, sub_account_id="1", instruments={BTC: RULES}, owner=around, entry=around, writer=around,
            codec=Codec(), limiter=around, intents=Intents(), kill=Kill(), cancels=around, clock=ManualClock(START_NS),
            timings=Stages(),
        )  # fmt: skip

    def emit(self, event: Event) -> None:
        self.told.append(event)

    def why_not(self, order: NewOrder) -> str:
        return ""

    def try_take(self, cost: str) -> bool:
        return True

    def written(self, order: NewOrder) -> None: ...
    def answered(self, cost: object, answer: object) -> None: ...
    def cancel(self, requests: object) -> None: ...
    def sent(self, cancel: object) -> None: ...
    def ttl_text(self, ttl_ms: int) -> None: ...

    def write(self, *what: Any, **how: Any) -> Any:
        """Both the writer's and the entry's: sign an order, or answer a request."""
        if isinstance(what[0], NewOrder):
            return SignedOrder(what[0], b"{}")
        assert how["release"]()
        return what[2](refusal(WireError(self._code, "no")))


@pytest.mark.parametrize("cancels", [0, 1])
@pytest.mark.parametrize("creations", [1, 2, 3])
def test_the_simulated_venue_tells_of_every_code_what_the_gateway_concludes(creations: int, cancels: int) -> None:
    lab = Lab()
    orders = [lab.order(BUY, 99, 1) for _ in range(creations)]
    ending = tuple(CancelOrder(MAIN, BTC, lab.order(BUY, 1, 1).client_order_id) for _ in range(cancels))
    concluded: dict[int, bool] = {}
    for code in (*OUTCOMES, 9_999):
        gateway = Refusing(code)
        approved = tuple(Approved(order, 0) for order in orders)
        gateway.creates.replace(ReplaceOrders(MAIN, BTC, ending, approved))
        kinds = {type(event) for event in gateway.told} - {OrderPrepared}
        assert kinds in ({SubmitRejected}, {SubmitUnknown})
        concluded[code] = kinds == {SubmitRejected}
    assert {code: is_certain(code, creations) for code in concluded} == concluded
    assert set(concluded.values()) == {True, False}
