from __future__ import annotations

import msgspec

from perpmaker.model.ids import ClientOrderId
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.strategies.bench import own_order, perp
from perpmaker.strategies.grid.numbering import Numbering


def _order(name: int, tag: str, state: OrderState = OrderState.OPEN) -> OrderView:
    order = own_order(perp(), Side.BUY, "60000", "0.01", state)
    return msgspec.structs.replace(order, client_order_id=ClientOrderId(name), tag=tag)


def test_an_orders_tag_names_its_cell() -> None:
    numbering = Numbering()
    for order in (_order(1, "quote bid 7"), _order(2, "close"), _order(3, "quote ask 2", OrderState.FILLED)):
        numbering.note(order)
    assert [numbering.cell_of(ClientOrderId(name)) for name in (1, 2, 3)] == [7, None, None]


def test_orders_of_before_a_new_numbering_are_not_told_by_their_tag() -> None:
    numbering = Numbering()
    old = _order(1, "quote bid 7")
    numbering.note(old)
    numbering.begin([old])
    numbering.note(old)
    numbering.note(_order(2, "quote bid 7"))
    assert [numbering.cell_of(ClientOrderId(name)) for name in (1, 2)] == [None, 7]


def test_the_last_thousand_orders_are_known() -> None:
    numbering = Numbering()
    for name in range(1, 1_502):
        numbering.note(_order(name, "quote bid 0"))
    assert [numbering.cell_of(ClientOrderId(name)) for name in (1, 501, 502, 1_501)] == [None, None, 0, 0]
