"""The gateway's refusals: one row a code."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.exchange.core.desk import (
    ALICE,
    BOB,
    BTC,
    BUY,
    ETH,
    INDEX,
    SELL,
    STOP_LOSS,
    Desk,
    at,
    end_of,
)

from perpmaker.exchange.core.types import (
    InstrumentMode,
    OrderRequest,
    OrderView,
    Rejection,
    TimeInForce,
    TriggerRequest,
)
from perpmaker.exchange.core.venue import VenueLimits

RPI = TimeInForce.RETAIL_PRICE_IMPROVEMENT
GOOD: dict[str, Any] = {"side": BUY, "qty": "0.01", "px": "59000.0"}

CODES: list[tuple[int, str, dict[str, Any]]] = [
    (2001, "signature just expired", {"expires_in_ns": 0}),
    (2003, "unknown sub-account", {"account": 999}),
    (2010, "order id given", {"order_id": "0x17"}),
    (2011, "client order id zero", {"cid": 0}),
    (2020, "market order with a price", {"is_market": True}),
    (2021, "limit order without a price", {"px": None}),
    (2021, "limit order at price zero", {"px": "0E-9"}),
    (2030, "all or none", {"time_in_force": TimeInForce.ALL_OR_NONE}),
    (2030, "retail price improvement at market", {"time_in_force": RPI, "is_market": True, "px": None}),
    (2032, "post-only IOC", {"post_only": True, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL}),
    (2032, "post-only FOK", {"post_only": True, "time_in_force": TimeInForce.FILL_OR_KILL}),
    (2032, "post-only at market", {"post_only": True, "is_market": True, "px": None}),
    (2050, "state given", {"has_state": True}),
    (2051, "create time given", {"create_time_ns": 1}),
    (2061, "unknown instrument", {"instrument": "DOGE_USDT_Perp"}),
    (2062, "size zero", {"qty": "0"}),
    (2062, "size negative", {"qty": "-0.01"}),
    (2062, "size below the minimum", {"qty": "0.0005"}),
    (2062, "size not a number", {"qty": "NaN"}),
    (2062, "size infinite", {"qty": "Infinity"}),
    (2064, "price off the tick", {"px": "59000.05"}),
    (2064, "price negative", {"px": "-59000"}),
    (2064, "price not a number", {"px": "NaN"}),
    (2065, "size off the step", {"qty": "0.0105"}),
    (2065, "size with an absurd exponent", {"qty": "1e999999"}),
    (2066, "notional too small", {"qty": "0.001"}),
    (2067, "notional too small, reducing", {"qty": "0.001", "reduce_only": True}),
    (2080, "margin short", {"qty": "17"}),
    (2081, "position limit", {"qty": "1000.001"}),
    (2083, "leverage too high for the bracket", {"qty": "600"}),
    (2110, "trigger by nothing", {"trigger": TriggerRequest(STOP_LOSS, None, Decimal(59_000))}),
    (2112, "trigger without a block", {"trigger": TriggerRequest(STOP_LOSS, is_whole=False)}),
    (2112, "trigger price off the tick", {"trigger": at(STOP_LOSS, "59000.05")}),
    (2112, "trigger price negative", {"trigger": at(STOP_LOSS, "-59000")}),
    (2113, "trigger price zero", {"trigger": at(STOP_LOSS, "0E-9")}),
    (2113, "trigger price absent", {"trigger": TriggerRequest(STOP_LOSS, INDEX)}),
    (2114, "position-linked, may grow", {"trigger": at(STOP_LOSS, "59000", close_position=True)}),
    (2117, "position-linked", {"trigger": at(STOP_LOSS, "59000", close_position=True), "reduce_only": True}),
    (2242, "split", {"trigger": at(STOP_LOSS, "59000", is_split_position=True)}),
    (2400, "reduce-only without a position", {"reduce_only": True}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "why", "change"), CODES, ids=[f"{code} {why}" for code, why, _ in CODES])
def test_creation_is_refused_with_its_code(desk: Desk, code: int, why: str, change: dict[str, Any]) -> None:
    assert desk.refused(**(GOOD | change)) == code
    assert not desk.venue.open_orders(ALICE)


def test_the_unchanged_order_of_the_table_is_accepted(desk: Desk) -> None:
    assert isinstance(desk.venue.create_order(desk.request(**GOOD)), OrderView)


@pytest.mark.parametrize(("legs", "code"), [(0, 2040), (2, 2042)])
def test_exactly_one_leg_is_asked_for(desk: Desk, legs: int, code: int) -> None:
    request = desk.request(**GOOD)
    answer = desk.venue.create_order(msgspec.structs.replace(request, legs=request.legs * legs))
    assert answer == Rejection(code)


def test_missing_client_order_id_is_2011(desk: Desk) -> None:
    request: OrderRequest = msgspec.structs.replace(desk.request(**GOOD), client_order_id=None)
    assert desk.venue.create_order(request) == Rejection(2011)


@pytest.mark.parametrize("text", ["", "0x00", "0x0", "0"])
def test_every_spelling_of_no_order_id_is_accepted(desk: Desk, text: str) -> None:
    assert isinstance(desk.venue.create_order(desk.request(**GOOD, order_id=text)), OrderView)


def test_client_order_id_of_an_active_order_is_2012_and_free_again_after_it(desk: Desk) -> None:
    desk.maker(BUY, "0.01", "59000", cid=7)
    assert desk.refused(BUY, "0.01", "59001", cid=7) == 2012
    assert end_of(desk.maker(BUY, "0.01", "59001", cid=7, account=BOB))[0].name == "OPEN"
    desk.venue.cancel_order(ALICE, client_order_id=7)
    assert end_of(desk.maker(BUY, "0.01", "59002", cid=7))[0].name == "OPEN"


def test_open_orders_are_limited_pending_ones_counted() -> None:
    desk = Desk(limits=VenueLimits(max_open_orders=2))
    desk.maker(BUY, "0.01", "59000")
    desk.venue.create_order(desk.request(BUY, "0.01", "59001"))
    assert desk.refused(BUY, "0.01", "59002") == 2090


def test_wrong_side_and_too_large_reduce_only_are_2401_and_2402(desk: Desk) -> None:
    desk.market(BUY, "0.01")
    assert desk.refused(BUY, "0.01", "59000", reduce_only=True) == 2401
    assert desk.refused(SELL, "0.011", "61000", reduce_only=True) == 2402
    assert desk.send(SELL, "0.01", "61000", reduce_only=True).state.book_lots == 10


def test_too_small_a_reduction_without_the_flag_is_2067_too(desk: Desk) -> None:
    desk.market(BUY, "0.01")
    assert desk.refused(SELL, "0.001", "61000") == 2067


@pytest.mark.parametrize(
    ("mode", "code", "reducing_code"),
    [
        (InstrumentMode.REDUCE_ONLY, 7304, None),
        (InstrumentMode.FROZEN, 2060, 2060),
        (InstrumentMode.DELISTED, 2060, 2060),
    ],
)
def test_instrument_mode_limits_creations(
    desk: Desk, mode: InstrumentMode, code: int, reducing_code: int | None
) -> None:
    desk.market(BUY, "0.01")
    desk.venue.set_mode(BTC, mode)
    assert desk.refused(BUY, "0.01", "59000") == code
    answer = desk.venue.create_order(desk.request(SELL, "0.01", "61000", reduce_only=True))
    assert (answer.code if isinstance(answer, Rejection) else None) == reducing_code


def test_minimum_notional_is_of_the_mark_for_a_market_order(desk: Desk) -> None:
    assert desk.refused(BUY, "0.001", None, is_market=True) == 2066
    assert desk.refused(BUY, "0.01", "9999.9") == 2066
    assert desk.send(BUY, "0.01", "10000").state.status.name == "OPEN"


def test_margin_counts_positions_and_open_orders_of_all_instruments(desk: Desk) -> None:
    """100,000 USDT at 10x carry a million: 10 BTC at 60,000 and 150 ETH at 2,600 make 990,000."""
    desk.maker(BUY, "10", "59000")
    desk.maker(BUY, "150", "2500", instrument=ETH)
    assert desk.refused(BUY, "0.2", "59000") == 2080
    assert desk.refused(BUY, "4", "2500", instrument=ETH) == 2080
    assert end_of(desk.maker(SELL, "10", "61000"))[0].name == "OPEN"


def test_leverage_decides_how_much_margin_an_order_needs(desk: Desk) -> None:
    desk.venue.set_leverage(ALICE, BTC, Decimal(2))
    assert desk.refused(BUY, "3.334", "59000") == 2080
    assert end_of(desk.maker(BUY, "3.333", "59000"))[0].name == "OPEN"


def test_an_order_that_only_reduces_passes_without_margin(desk: Desk) -> None:
    desk.quote(SELL, "60000.2", "20")
    desk.market(BUY, "10")
    desk.venue.set_mark(BTC, desk.rules().start_px_nano // 2)
    assert desk.refused(BUY, "0.01", "59000") == 2080
    assert end_of(desk.maker(SELL, "10", "61000"))[0].name == "OPEN"


def test_bulk_margin_counts_the_creations_before(desk: Desk) -> None:
    halves = [desk.request(BUY, "8.4", px, post_only=True) for px in ("59000", "59001")]
    answer = desk.venue.bulk_orders(ALICE, halves)
    assert isinstance(answer, Rejection)
    assert answer.code == 2080
    assert not desk.venue.open_orders(ALICE)


def test_bulk_replace_frees_the_margin_of_what_it_cancels(desk: Desk) -> None:
    first = desk.maker(BUY, "16", "59000", cid=1)
    again = desk.request(BUY, "16", "59001", post_only=True, cid=1)
    answer = desk.venue.bulk_orders(ALICE, [again], cancel_order_ids=[first.order_id])
    assert not isinstance(answer, Rejection)
    assert [order.terms.px_ticks for order in desk.venue.open_orders(ALICE)] == [590010]
