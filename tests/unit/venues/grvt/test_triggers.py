"""Orders that wait for a price: how they travel, that the trigger is not signed, what the venue says about them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from perpmaker.clock import WallClock
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import CancelReceived, OrderReport, Source
from perpmaker.model.order import Approved, NewOrder, Side, TimeInForce, Trigger, TriggerBy, TriggerKind
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt import objects, parse
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.lite import Encoding, short_keys
from perpmaker.venues.grvt.orders import Lives, OrderWriter
from perpmaker.venues.grvt.signing import Signer
from perpmaker.venues.secret import Secret

from .bench import ACCOUNT, BTC, ID, Bench, cancel, instrument, order, running
from .collected import until
from .fake_venue import PRIVATE_KEY, SUB_ACCOUNT, FakeVenue
from .test_samples import BY_NAME, SAMPLES

STOP = Trigger(TriggerKind.STOP_LOSS, TriggerBy.MARK, Decimal("59000.5"))


def waiting(n: int = 0, trigger: Trigger = STOP, **changes: Any) -> NewOrder:
    figures = {"side": Side.SELL, "px": Decimal("58900.1"), "tif": TimeInForce.IOC, "post_only": False}
    expire_ns = WallClock().now_ns() + 3600 * NS_PER_S
    return order(n, **{**figures, "reduce_only": True, "trigger": trigger, "expire_ns": expire_ns, **changes})


@pytest.fixture
async def bench(venue: FakeVenue, http: aiohttp.ClientSession) -> AsyncIterator[Bench]:
    async with running(venue, http) as made:
        await made.up()
        yield made


def writer(encoding: Encoding = Encoding.FULL) -> OrderWriter:
    return OrderWriter(
        signer=Signer(Secret(PRIVATE_KEY), 326), sub_account_id=SUB_ACCOUNT, chain_id=326, codec=Codec(encoding),
        clock=WallClock(), nonce_seed=41, lives=Lives(),
    )  # fmt: skip


async def test_it_travels_as_the_page_writes_it(bench: Bench) -> None:
    bench.submit(waiting())
    report = await bench.events.first(OrderReport)
    (sent,) = bench.venue.asked("v1/create_order")
    page = BY_NAME["rest.create_order.request.full"]["value"]["order"]["metadata"]["trigger"]
    trigger = sent["order"]["metadata"]["trigger"]
    assert trigger.keys() == page.keys()
    assert trigger["tpsl"].keys() == page["tpsl"].keys()
    assert trigger == {
        "trigger_type": "STOP_LOSS",
        "tpsl": {"trigger_by": "MARK", "trigger_price": "59000.5", "close_position": False, "is_split_position": False},
    }
    assert (sent["order"]["is_market"], sent["order"]["reduce_only"]) == (False, True)
    assert sent["order"]["time_in_force"] == "IMMEDIATE_OR_CANCEL"
    assert sent["order"]["legs"][0]["limit_price"] == "58900.1"
    assert report.trigger == STOP  # and the venue's echo is understood


def test_the_trigger_is_not_signed() -> None:
    one = waiting()
    other = waiting(trigger=Trigger(TriggerKind.TAKE_PROFIT, TriggerBy.MARK, Decimal(61000)), expire_ns=one.expire_ns)
    plain = waiting(trigger=None, expire_ns=one.expire_ns)
    bodies = [json.loads(writer().write(order, instrument()).body) for order in (one, other, plain)]
    assert bodies[0]["signature"] == bodies[1]["signature"] == bodies[2]["signature"]
    assert "trigger" not in bodies[2]["metadata"]


def test_it_travels_with_short_keys_too() -> None:
    body = json.loads(writer(Encoding.LITE).write(waiting(), instrument()).body)
    assert body["m"]["t"] == {"tt": "STOP_LOSS", "t": {"tb": "MARK", "tp": "59000.5", "cp": False, "is": False}}
    assert short_keys(objects.MetadataRequest) == {"client_order_id": "co", "trigger": "t"}


async def test_it_never_goes_in_bulk(bench: Bench) -> None:
    bench.submit(order(0), order(1), waiting(2), waiting(3), order(4))
    await until(lambda: len(bench.venue.asked("v1/create_order")) == 3 and bench.venue.asked("v2/bulk_orders") != [])
    single = [sent["order"]["metadata"]["client_order_id"] for sent in bench.venue.asked("v1/create_order")]
    assert set(single) == {str(ID + 2), str(ID + 3), str(ID + 4)}
    (bulk,) = bench.venue.asked("v2/bulk_orders")
    assert [one["metadata"]["client_order_id"] for one in bulk["orders"]] == [str(ID), str(ID + 1)]


async def test_it_goes_by_itself_beside_a_replacement(bench: Bench) -> None:
    approved = tuple(Approved(one, bench.kill.current) for one in (waiting(1), order(2)))
    bench.gateway.replace(ReplaceOrders(ACCOUNT, BTC, (cancel(),), approved))
    await bench.events.first(CancelReceived)
    await bench.events.first(OrderReport, lambda report: report.client_order_id == ID + 1)
    (bulk,) = bench.venue.asked("v2/bulk_orders")
    assert [one["metadata"]["client_order_id"] for one in bulk["orders"]] == [str(ID + 2)]


async def test_it_waits_for_the_dead_man_timer_as_everything_does_that_stays(
    venue: FakeVenue, http: aiohttp.ClientSession
) -> None:
    async with running(venue, http) as bench:
        assert "order entry is not up" in bench.gateway.why_not(waiting())
        await bench.up()
        assert bench.gateway.why_not(waiting()) == ""
        bench.gateway.entry_link_down("test")
        assert bench.gateway.why_not(waiting(trigger=None)) == ""
        assert "order entry is not up" in bench.gateway.why_not(waiting())


def _orders() -> list[Any]:
    """Every order that a sample of the page carries, as (sample, order)."""
    found = []
    for sample in SAMPLES:
        stack = [sample["value"]]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                if "legs" in value and "state" in value and value["state"]:
                    found.append(pytest.param(sample, value, id=f"{sample['name']} {len(found)}"))
                stack += list(value.values())
            elif isinstance(value, list):
                stack += value
    return found


@pytest.mark.parametrize(("sample", "value"), _orders())
def test_every_order_of_the_page_says_whether_it_waits(sample: dict[str, Any], value: dict[str, Any]) -> None:
    stated = value["metadata"].get("trigger")
    wire = Codec(Encoding.FULL).decode(json.dumps(value).encode(), objects.WireOrder)
    report = parse.order_report(wire, ACCOUNT, Source.SNAPSHOT, 1)
    if stated is None or stated["trigger_type"] == "UNSPECIFIED":
        assert report.trigger is None
    else:
        assert report.trigger == Trigger(TriggerKind.TAKE_PROFIT, TriggerBy.LAST, Decimal("65038.10"))


def test_some_orders_of_the_page_wait_and_some_do_not() -> None:
    triggers = [param.values[1]["metadata"].get("trigger") for param in _orders()]
    kinds = {None if one is None else one["trigger_type"] for one in triggers}
    assert kinds >= {"UNSPECIFIED", "TAKE_PROFIT"}


@pytest.mark.parametrize(
    "trigger",
    [
        None,
        {"trigger_type": "UNSPECIFIED", "tpsl": {"trigger_by": "UNSPECIFIED", "trigger_price": "0.0"}},
        {"trigger_type": "STOP_LOSS", "tpsl": None},
        {"trigger_type": "ICEBERG", "tpsl": {"trigger_by": "MARK", "trigger_price": "1.5"}},
        {"trigger_type": "STOP_LOSS", "tpsl": {"trigger_by": "MOON", "trigger_price": "1.5"}},
        {"trigger_type": "STOP_LOSS", "tpsl": {"trigger_by": "MARK", "trigger_price": "0.0"}},
        {"trigger_type": "STOP_LOSS", "tpsl": {"trigger_by": "MARK", "trigger_price": None}},
        {"trigger_type": "STOP_LOSS", "tpsl": {"trigger_by": None, "trigger_price": "1.5"}},
        {"trigger_type": None, "tpsl": {}},
        {"trigger_type": "UNSPECIFIED", "tpsl": {"trigger_by": "UNSPECIFIED", "trigger_price": "-1"}},
        {"trigger_type": "TRAILING_STOP", "tpsl": {"trigger_by": "MARK", "trigger_price": "2.5%"}},
    ],
)
def test_what_is_no_trigger_that_we_know_counts_as_a_plain_order(trigger: Any) -> None:
    sample = BY_NAME["rest.open_orders.response.full.live"]["value"]["result"][0]
    value = {**sample, "metadata": {**sample["metadata"], "trigger": trigger}}
    wire = Codec(Encoding.FULL).decode(json.dumps(value).encode(), objects.WireOrder)
    assert parse.order_report(wire, ACCOUNT, Source.SNAPSHOT, 1).trigger is None
