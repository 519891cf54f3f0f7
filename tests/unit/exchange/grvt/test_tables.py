"""The exchange's tables are the protocol page's: objects, routes, codes, enums, streams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perpmaker.exchange.grvt.codes import CODES
from perpmaker.exchange.grvt.enums import ENUMS
from perpmaker.exchange.grvt.routes import ROUTES, SCHEMA
from perpmaker.exchange.grvt.schema import Shape
from perpmaker.exchange.grvt.streams import STREAMS

PAGE: dict[str, Any] = json.loads((Path(__file__).parents[3] / "data" / "grvt" / "protocol_tables.json").read_text())
OBJECT_NAMES = {"Positions (one position)": "Positions", "Funding rate row": "ApiFundingRate"}
NEEDED_BY_NO_SERVED_ROUTE = {"DepositHistory", "WithdrawalHistory", "BuilderFillHistory"}


def names(shape: Shape) -> dict[str, str]:
    return {member.name: member.lite for member in shape if member.lite != "-"}


@pytest.mark.parametrize("name", [name for name in PAGE["objects"] if name in SCHEMA.shapes])
def test_object_has_the_pages_members(name: str) -> None:
    assert names(SCHEMA.shapes[name]) == PAGE["objects"][name]


def test_no_object_of_the_page_is_missing() -> None:
    missing = {OBJECT_NAMES.get(name, name) for name in PAGE["objects"]} - set(SCHEMA.shapes)
    assert {name for name in missing if "history row" not in name} <= NEEDED_BY_NO_SERVED_ROUTE


@pytest.mark.parametrize("row", PAGE["routes"], ids=[row["path"] for row in PAGE["routes"]])
def test_route_has_the_pages_members(row: dict[str, Any]) -> None:
    route = ROUTES[row["path"].removeprefix("/")]
    if route.served:
        assert names(route.request) == row["request"]
        assert names(route.reply) == row["reply"]


def test_no_shape_uses_a_name_twice() -> None:
    shapes = [*SCHEMA.shapes.values(), *(side for route in ROUTES.values() for side in (route.request, route.reply))]
    for shape in shapes:
        assert len(names(shape)) == len(set(names(shape).values())), shape


def test_codes_are_the_pages() -> None:
    page = {row["code"]: (row["http"], row["text"]) for row in PAGE["codes"]}
    outside = set(PAGE["codes_outside"])
    assert {code for code in CODES if code not in outside} <= set(page)
    assert {code: CODES[code] for code in CODES if code in page} == {code: page[code] for code in CODES if code in page}


def test_enum_names_are_the_pages() -> None:
    narrower = {"TransferType"}
    for name, numbered in PAGE["enums"].items():
        if name in ENUMS and name not in narrower:
            assert ENUMS[name] == frozenset(numbered), name


def test_streams_are_the_pages() -> None:
    assert {name: "trades" if stream.is_private else "market" for name, stream in STREAMS.items()} == PAGE["streams"]
    assert all(stream.feed in SCHEMA.shapes for stream in STREAMS.values())
