"""The picture of the execution report: a file of its own that shows every order, whatever the orders are."""

from __future__ import annotations

from decimal import Decimal
from xml.etree import ElementTree

import msgspec
import pytest
from tests.unit.research.test_execution_report import HOUR_NS, child, order

from perpmaker.research.execution_orders import OrderSeen
from perpmaker.research.execution_picture import drawn
from perpmaker.research.execution_report import analysed

NOTHING = order(filled_qty=Decimal(0), vwap=None, slippage_bps=None, ending="cap", children=())
MANY = [
    order(
        qty=Decimal(n), filled_qty=Decimal(n), slippage_bps=n - 5.0, started_ns=n * HOUR_NS,
        venue="backpack" if n % 2 else "grvt", ending="done" if n % 3 else "cap",
        children=tuple(child(k) for k in range(1, n + 1)),
    )
    for n in range(1, 30)
]  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def parsed(orders: list[OrderSeen], engine: str = "e") -> ElementTree.Element:
    return ElementTree.fromstring(drawn(analysed(engine, orders)))  # noqa: S314 (our own text)


@pytest.mark.parametrize(
    "orders",
    [
        [NOTHING],
        [order(ending="")],
        [order(slippage_bps=0.0)],
        [order(slippage_bps=-3.0)],
        [order(visible_qty=None, mid_px=None, slippage_bps=None)],
        MANY,
    ],
    ids=["nothing filled", "not over", "no slippage", "better", "no book", "many"],
)
def test_every_shape_lies_within_the_picture(orders: list[OrderSeen]) -> None:
    root = parsed(orders)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for shape in root.iter():
        for name, value in shape.attrib.items():
            if name in ("x", "x1", "x2", "cx"):
                assert 0 <= float(value) <= width
            elif name in ("y", "y1", "y2", "cy"):
                assert 0 <= float(value) <= height


def test_every_filled_order_is_a_circle_and_hollow_when_it_was_not_done() -> None:
    looks = [shape.attrib["class"].split() for shape in parsed(MANY).iter(f"{SVG}circle")]
    assert sum("dot" in look for look in looks) == sum(o.is_done for o in MANY)
    assert sum("hollow" in look for look in looks) == sum(not o.is_done for o in MANY)


def test_a_picture_without_a_filled_order_says_so() -> None:
    texts = [text.text for text in parsed([NOTHING]).iter(f"{SVG}text")]
    assert texts.count("no order was filled") == 3
    assert "no child was sent" in texts


def test_it_needs_nothing_from_elsewhere_and_escapes_what_it_shows() -> None:
    strange = [msgspec.structs.replace(MANY[0], venue="<v>", instrument="<i>")]
    text = drawn(analysed("<e&>", strange))
    assert text.replace("http://www.w3.org/2000/svg", "").count("http") == 0
    assert "<script" not in text
    assert "url(" not in text
    assert any(text.text == "<v>" for text in parsed(strange).iter(f"{SVG}text"))
