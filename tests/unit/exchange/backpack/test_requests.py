"""Parameters, bodies and client ids of the second face."""

from __future__ import annotations

import pytest

from perpmaker.exchange.backpack.codes import CODES, ApiError, error_of_reason, error_of_rejection
from perpmaker.exchange.backpack.requests import CLIENT_IDS, Params, client_id_of, core_client_id, read_body
from perpmaker.exchange.core.types import OrderRejectReason, Rejection


def test_numbers_are_signed_as_they_were_written() -> None:
    body = read_body(b'{"price": 3000.10, "clientId": 7, "postOnly": true, "symbol": "X", "none": null}')
    assert isinstance(body, Params)
    assert body.pairs() == [("price", "3000.10"), ("clientId", "7"), ("postOnly", "true"), ("symbol", "X")]


@pytest.mark.parametrize("raw", [b"[", b"3", b'"x"', b"[]", b"[1]", b"null"])
def test_body_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError, match="INVALID_CLIENT_REQUEST"):
        read_body(raw)


def test_batch_is_a_list_of_orders() -> None:
    body = read_body(b'[{"a": 1}, {"b": 2}]')
    assert isinstance(body, list)
    assert [row.pairs() for row in body] == [[("a", "1")], [("b", "2")]]


@pytest.mark.parametrize("client_id", [0, 1, CLIENT_IDS - 1])
def test_client_id_survives_the_core(client_id: int) -> None:
    assert client_id_of(core_client_id(client_id)) == client_id
    assert core_client_id(client_id) > 0


def test_order_without_a_client_id_has_none() -> None:
    assert client_id_of(CLIENT_IDS + 1) is None


@pytest.mark.parametrize("text", ["-1", "1.5", "", "x", "4294967296", "9" * 30])
def test_integer_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="clientId"):
        Params({"clientId": text}).integer("clientId", low=0, high=CLIENT_IDS - 1)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1,5", ""])
def test_decimal_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="quantity"):
        Params({"quantity": text}).decimal("quantity")


def test_every_refusal_of_the_core_has_a_code_of_the_page() -> None:
    for code in range(2000, 2500):
        assert error_of_rejection(Rejection(code)).code in CODES
    for reason in OrderRejectReason:
        assert error_of_reason(reason).code in CODES
