"""Both encodings are made from one table, requests are read tolerantly, and what is wrong is named."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from perpmaker.exchange.grvt.routes import ROUTES, SCHEMA
from perpmaker.exchange.grvt.schema import Encoding, Malformed, parse_json

SAMPLES = {
    row["name"]: row
    for row in map(json.loads, (Path(__file__).parents[3] / "data" / "grvt" / "samples.jsonl").read_text().splitlines())
}
PAIRS = sorted(name[: -len(".full")] for name in SAMPLES if name.endswith(".full") and name[:-5] + ".lite" in SAMPLES)
FEEDS = {
    "order": "Order",
    "state": "OrderStateFeed",
    "fill": "Fill",
    "position": "Positions",
    "book_snap": "OrderbookLevels",
    "trade": "Trade",
}
BOOK = ROUTES["v1/book"].request
CREATE = ROUTES["v1/create_order"].request


def order(**changes: Any) -> dict[str, Any]:
    """A creation as the official SDK's raw client sends it."""
    body: dict[str, Any] = json.loads(json.dumps(SAMPLES["client.rest.pysdk_raw.create_order"]["value"]["body"]))
    body["order"].update(changes)
    return body


@pytest.mark.parametrize("name", PAIRS)
def test_documented_pair_of_encodings_is_the_same_message(name: str) -> None:
    full, lite = SAMPLES[f"{name}.full"]["value"], SAMPLES[f"{name}.lite"]["value"]
    kind, route, side, *_ = [*name.split("."), ""]
    if name.startswith("ws.feed."):
        assert SCHEMA.to_wire(SCHEMA.shapes[FEEDS[side]], full["feed"], Encoding.LITE) == lite["f"]
    elif name.startswith("rest.") and f"v1/{route}" in ROUTES:
        shape = ROUTES[f"v1/{route}"].request if side == "request" else ROUTES[f"v1/{route}"].reply
        assert SCHEMA.to_wire(shape, full, Encoding.LITE) == lite
    else:
        assert kind == "ws" or route == "error"


def test_lite_request_is_read_by_its_own_names() -> None:
    lite = SAMPLES["rest.create_order.request.lite"]["value"]
    message = SCHEMA.from_wire(CREATE, lite, Encoding.LITE)
    assert message["order"]["signature"]["s"] == lite["o"]["s"]["s1"]
    assert message["order"]["signature"]["signer"] == lite["o"]["s"]["s"]


def test_null_counts_as_absent() -> None:
    message = SCHEMA.from_wire(CREATE, order(), Encoding.FULL)["order"]
    assert {"order_id", "state"} & message.keys() == set()
    assert message["metadata"].keys() == {"client_order_id"}


def test_unknown_keys_are_ignored() -> None:
    body = {"instrument": "BTC_USDT_Perp", "depth": 10, "aggregate": 1, "": ""}
    assert SCHEMA.from_wire(BOOK, body, Encoding.FULL) == {"instrument": "BTC_USDT_Perp", "depth": 10}


def test_integers_and_strings_are_taken_for_each_other() -> None:
    body = {"sub_account_id": 7, "client_order_id": 5, "time_to_live_ms": "500"}
    message = SCHEMA.from_wire(ROUTES["v1/cancel_order"].request, body, Encoding.FULL)
    assert message == {"sub_account_id": 7, "client_order_id": 5, "time_to_live_ms": 500}
    assert SCHEMA.from_wire(BOOK, {"instrument": "x", "depth": "10"}, Encoding.FULL)["depth"] == 10


@pytest.mark.parametrize("text", ["0.001000000", "0E-9", "65000.1", "1e3", ".5", "5."])
def test_decimal_is_taken_in_any_finite_spelling(text: str) -> None:
    leg = {"instrument": "BTC_USDT_Perp", "size": "1", "limit_price": text, "is_buying_asset": True}
    message = SCHEMA.from_wire(CREATE, order(legs=[leg]), Encoding.FULL)
    assert message["order"]["legs"][0]["limit_price"] == Decimal(text)


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-inf", "1e400", "1_000", " 1", "0x10", "", "١", "1" * 60, True, {}]
)
def test_what_is_no_finite_decimal_is_malformed(text: Any) -> None:
    leg = {"instrument": "BTC_USDT_Perp", "size": text, "is_buying_asset": True}
    with pytest.raises(Malformed, match="size"):
        SCHEMA.from_wire(CREATE, order(legs=[leg]), Encoding.FULL)


@pytest.mark.parametrize(
    "changes",
    [
        {"time_in_force": "PO"},
        {"time_in_force": 1},
        {"sub_account_id": "abc"},
        {"sub_account_id": str(1 << 64)},
        {"sub_account_id": -1},
        {"sub_account_id": True},
        {"is_market": "true"},
        {"legs": {}},
        {"legs": [[]]},
        {"signature": None},
        {"metadata": "x"},
    ],
    ids=str,
)
def test_wrong_type_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        SCHEMA.from_wire(CREATE, order(**changes), Encoding.FULL)


@pytest.mark.parametrize("raw", [b"", b"ping", b"[", b"\xff", b'{"a":NaN}', b"[" * 100_000])
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse_json(raw)


def test_deep_nesting_is_malformed_whatever_the_recursion_limit() -> None:
    """In a process of its own, because the failure this guards against is the end of the process."""
    program = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from perpmaker.exchange.grvt.schema import Malformed, parse_json\n"
        "for raw in (b'[' * 1_000_000, '{\"a\":' * 100_000):\n"
        "    try: parse_json(raw)\n"
        "    except Malformed: print('malformed')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["malformed", "malformed"]


def test_second_spelling_of_a_member_is_read() -> None:
    bulk = ROUTES["v2/bulk_orders"].request
    for name in ("order_i_ds", "order_ids"):
        assert SCHEMA.from_wire(bulk, {"sub_account_id": "1", name: ["0x01"]}, Encoding.FULL)["order_i_ds"] == ["0x01"]


def test_unknown_broker_is_read_as_unspecified() -> None:
    body = order(metadata={"client_order_id": "1", "broker": "HBOT"})
    assert SCHEMA.from_wire(CREATE, body, Encoding.FULL)["order"]["metadata"]["broker"] == "UNSPECIFIED"


@pytest.mark.parametrize("name", ["rest.open_orders.response.full.live", "rest.create_order_ack.response.full.live"])
def test_strict_judge_knows_the_live_messages_apart(name: str) -> None:
    """Members outside the schema and members older replies lack are all that it finds in a message of the venue."""
    live = SAMPLES[name]["value"]["result"]
    found = SCHEMA.defects(SCHEMA.shapes["Order"], live[0] if isinstance(live, list) else live)
    expected = ("not in the schema", "is_split_position: missing", "builder: missing", "builder_fee: missing")
    assert [text for text in found if not text.endswith(expected) and "..." not in text] == []


def test_strict_judge_finds_numbers_that_should_be_strings() -> None:
    found = SCHEMA.defects(SCHEMA.shapes["OrderbookLevel"], {"price": 1.5, "size": "NaN", "num_orders": "1"})
    assert len(found) == 3
