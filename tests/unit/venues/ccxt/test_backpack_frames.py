"""Backpack's frames as the venue page writes them, read without losing anything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from perpmaker.errors import DataError
from perpmaker.model.events import VenueStatus
from perpmaker.model.order import Side
from perpmaker.venues.api import Subscription
from perpmaker.venues.ccxt import backpack
from perpmaker.venues.ccxt.frames import Kind

from .bench import ACCOUNT, ETH, LISTED

NOW = 1_800_000_000_000_000_000
FILL: dict[str, Any] = {
    "E": "1754939110175879", "L": "4299.16", "N": "USDC", "O": "USER", "Q": "4.30", "S": "Bid", "T": "1754939110174705",
    "V": "RejectTaker", "X": "PartiallyFilled", "Z": "8.59832", "e": "orderFill", "f": "GTC", "i": "5406825793",
    "l": "0.0010", "m": False, "n": "0.001720", "o": "LIMIT", "q": "0.0050", "p": "4300.00", "r": False,
    "s": "ETH_USDC_PERP", "t": 2888471, "z": "0.0020", "c": 2147483653,
}  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        ("depth.ETH_USDC_PERP", Kind.DEPTH),
        ("trade.ETH_USDC_PERP", Kind.TRADE),
        ("markPrice.ETH_USDC_PERP", Kind.MARK),
        ("ticker.ETH_USDC_PERP", Kind.LAST),
        ("kline.1m.ETH_USDC_PERP", Kind.BAR),
        ("account.orderUpdate", Kind.ORDER),
        ("account.orderUpdate.ETH_USDC_PERP", Kind.ORDER),
        ("account.positionUpdate", Kind.POSITION),
        ("account.balanceUpdate", Kind.OTHER),
    ],
)
def test_a_frame_says_what_it_is_about(stream: str, kind: Kind) -> None:
    head = backpack.heading({"stream": stream, "data": {"s": "ETH_USDC_PERP"}})
    assert head is not None
    assert (head.kind, head.symbol) == (kind, "ETH_USDC_PERP")


def test_a_refused_subscription_is_told_from_a_frame_and_anything_else_from_both() -> None:
    refused = backpack.heading({"id": None, "error": {"code": 4006, "message": "Invalid stream"}})
    assert refused is not None
    assert refused.kind is Kind.REFUSED
    assert backpack.heading({"hello": 1}) is None
    assert backpack.heading([1]) is None


def test_filled_is_all_that_was_filled_not_the_last_fill() -> None:
    report = backpack.order(FILL, LISTED, ACCOUNT, NOW)
    assert report.cum_qty == Decimal("0.0020")
    assert report.avg_px == Decimal("4299.16")
    assert (report.status, report.client_order_id) == (VenueStatus.OPEN, 2147483653)
    assert report.ts_event_ns == 1754939110174705000


def test_each_fill_frame_is_one_execution() -> None:
    fill = backpack.fill(FILL, LISTED, ACCOUNT, NOW)
    assert fill is not None
    assert (fill.px, fill.qty, fill.fee, fill.fee_currency) == (
        Decimal("4299.16"), Decimal("0.0010"), Decimal("0.001720"), "USDC",
    )  # fmt: skip
    assert (fill.trade_id, fill.side, fill.is_taker) == ("2888471", Side.BUY, True)
    assert backpack.fill({**FILL, "e": "orderAccepted"}, LISTED, ACCOUNT, NOW) is None


@pytest.mark.parametrize(
    ("key", "value"), [("L", "NaN"), ("l", None), ("n", "x"), ("t", "1.5"), ("S", "Both"), ("N", "")]
)
def test_a_fill_that_cannot_be_so_is_refused(key: str, value: object) -> None:
    with pytest.raises(DataError):
        backpack.fill({**FILL, key: value}, LISTED, ACCOUNT, NOW)


def test_an_unknown_order_status_is_refused() -> None:
    with pytest.raises(DataError, match="Halted"):
        backpack.order({**FILL, "X": "Halted"}, LISTED, ACCOUNT, NOW)


def test_an_order_without_a_client_id_is_anothers() -> None:
    assert backpack.order({**FILL, "c": None}, LISTED, ACCOUNT, NOW).client_order_id == 0


def test_a_position_is_signed_and_has_no_entry_when_flat() -> None:
    data = {"q": "-0.0010", "b": "4238.479", "M": "4235.88", "P": "-0.000473", "E": "1754943862040486"}
    held = backpack.position(data, LISTED, ACCOUNT, NOW)
    assert (held.qty, held.avg_entry_px) == (Decimal("-0.0010"), Decimal("4238.479"))
    assert backpack.position({**data, "q": "0", "b": "0"}, LISTED, ACCOUNT, NOW).avg_entry_px is None


def test_a_trade_names_its_aggressor() -> None:
    data = {"T": 1754939110174705, "s": "ETH_USDC_PERP", "t": 7, "p": "3000.02", "q": "0.5", "m": True}
    trade = backpack.trade(data, LISTED, NOW)
    assert (trade.px_ticks, trade.qty_lots, trade.aggressor, trade.trade_id) == (300002, 5000, Side.SELL, "7")
    with pytest.raises(DataError):
        backpack.trade({**data, "m": None}, LISTED, NOW)


def test_levels_are_ticks_and_lots_exactly_or_refused() -> None:
    data = {"U": 5, "u": 6, "b": [["3000.00", "0"]], "a": [["3000.02", "1.5"]], "T": 1754939110174705}
    depth = backpack.depth(data, LISTED)
    assert (depth.first, depth.last, depth.bids, depth.asks) == (5, 6, ((300000, 0),), ((300002, 15000),))
    for bad in ("3000.001", "NaN", None):
        with pytest.raises(DataError):
            backpack.depth({**data, "b": [[bad, "1"]]}, LISTED)


def test_a_whole_book_is_sorted_whatever_order_it_came_in() -> None:
    answer = {
        "bids": [["1.00", "1"], ["2.00", "1"]], "asks": [["4.00", "1"], ["3.00", "1"]], "lastUpdateId": "9",
        "timestamp": 1,
    }  # fmt: skip
    whole = backpack.whole_depth(answer, LISTED)
    assert [px for px, _ in whole.bids] == [200, 100]
    assert [px for px, _ in whole.asks] == [300, 400]
    assert whole.first == 0


def test_the_mark_carries_funding_as_a_fraction() -> None:
    ticker = backpack.mark({"p": "2601.95", "i": "2601.9", "f": "0.0000125", "n": "1795276800000"}, LISTED, NOW)
    assert (ticker.mark_px, ticker.funding_rate) == (Decimal("2601.95"), Decimal("0.0000125"))
    assert ticker.next_funding_ns == 1795276800000 * 1_000_000


def test_a_subscription_becomes_its_streams() -> None:
    topics = backpack.public_topics("ETH_USDC_PERP", Subscription(ETH, bar_s=60))
    assert topics[-1] == "depth.ETH_USDC_PERP"
    assert "markPrice.ETH_USDC_PERP" in topics
    assert "kline.1m.ETH_USDC_PERP" in topics
