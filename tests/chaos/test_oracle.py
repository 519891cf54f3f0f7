"""The oracle finds what it looks for: a judge that can only acquit proves nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.chaos.oracle import Journal, ids_unique, none_placed_blindly, placed_only_when_ready

from perpmaker.engine.records import Boot, Happened, Intent, Record, Said
from perpmaker.execution.working import quote_tag
from perpmaker.model.events import OrderNotFound, OrderRetired, SubmitUnknown
from perpmaker.model.ids import AccountId, ClientOrderId, ClientOrderIds, InstrumentId, StrategyId
from perpmaker.model.order import NewOrder, Side

ACCOUNT, BTC = AccountId("main"), InstrumentId("BTC_USDT_Perp")
IDS = ClientOrderIds(instance=7, strategy=1, epoch=1)
FIRST, SECOND = IDS.next(), IDS.next()
BOOT = Boot(1, "build", 1, "start", 0)
READY = Said("info", "account_ready", {"account": ACCOUNT, "instrument": BTC}, 0)


def intent(client_order_id: ClientOrderId, side: Side = Side.BUY, layer: int = 0) -> Intent:
    order = NewOrder(
        client_order_id=client_order_id,
        account=ACCOUNT,
        strategy=StrategyId("btc"),
        instrument=BTC,
        side=side,
        px=Decimal(60_000),
        qty=Decimal("0.01"),
        tag=quote_tag(side, layer),
    )
    return Intent(order, b"", 0)


def link(channel: str, *, up: bool) -> Said:
    return Said("info", "link_changed", {"name": ACCOUNT, "channel": channel, "up": str(up), "reason": ""}, 0)


def unknown(client_order_id: ClientOrderId) -> Happened:
    return Happened(SubmitUnknown(ACCOUNT, client_order_id, "silence", 0), 0)


def not_found(client_order_id: ClientOrderId) -> Happened:
    return Happened(OrderNotFound(ACCOUNT, client_order_id, 0), 0)


def retired(client_order_id: ClientOrderId) -> Happened:
    return Happened(OrderRetired(ACCOUNT, client_order_id, "proof", 0), 0)


@pytest.mark.parametrize("between", [[], [unknown(FIRST)], [unknown(FIRST), not_found(FIRST)], [retired(SECOND)]])
def test_a_place_taken_again_before_the_first_orders_fate_was_known_is_found(between: list[Record]) -> None:
    assert none_placed_blindly(Journal([intent(FIRST), *between, intent(SECOND)]))


def test_a_place_taken_again_after_proof_or_another_place_is_no_fault() -> None:
    assert not none_placed_blindly(Journal([intent(FIRST), unknown(FIRST), retired(FIRST), intent(SECOND)]))
    assert not none_placed_blindly(Journal([intent(FIRST), intent(SECOND, Side.SELL)]))


@pytest.mark.parametrize(
    "before",
    [
        [BOOT],
        [BOOT, READY, link("private", up=False)],
        [BOOT, READY, link("market_data", up=False)],
        [BOOT, READY, link("order_entry", up=False), link("order_entry", up=True)],
        [BOOT, READY, BOOT],
    ],
)
def test_an_order_written_down_while_not_ready_is_found(before: list[Record]) -> None:
    assert placed_only_when_ready(Journal([*before, intent(FIRST)]))


def test_an_order_of_a_ready_instrument_is_no_fault() -> None:
    back = [link("market_data", up=False), link("market_data", up=True)]
    assert not placed_only_when_ready(Journal([BOOT, READY, *back, intent(FIRST)]))


def test_an_id_used_twice_or_of_another_life_is_found() -> None:
    assert not ids_unique(Journal([BOOT, intent(FIRST), intent(SECOND)]))
    assert ids_unique(Journal([BOOT, intent(FIRST), intent(FIRST)]))
    assert ids_unique(Journal([Boot(2, "build", 1, "start", 0), intent(FIRST)]))
