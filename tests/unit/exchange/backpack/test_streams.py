"""Names of streams."""

from __future__ import annotations

import pytest

from perpmaker.exchange.backpack.market import INSTRUMENTS
from perpmaker.exchange.backpack.streams import PRIVATE, PUBLIC, read_stream
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import CandleInterval

ETH = "ETH_USDC_PERP"


def listing(name: str) -> Instrument | None:
    return next((row for row in INSTRUMENTS if row.name == name), None)


@pytest.mark.parametrize("kind", sorted(PUBLIC - {"kline"}))
def test_public_stream_is_of_a_market(kind: str) -> None:
    found = read_stream(f"{kind}.{ETH}", listing)
    assert found is not None
    assert (found.kind, found.symbol, found.is_private) == (kind, ETH, False)
    assert read_stream(kind, listing) is None
    assert read_stream(f"{kind}.DOGE_USDC_PERP", listing) is None


def test_kline_has_an_interval() -> None:
    found = read_stream(f"kline.15m.{ETH}", listing)
    assert found is not None
    assert (found.interval, found.symbol) == (CandleInterval.CI_15_M, ETH)


@pytest.mark.parametrize("kind", sorted(PRIVATE))
def test_private_stream_is_of_every_market_or_one(kind: str) -> None:
    found = read_stream(kind, listing)
    assert found is not None
    assert (found.kind, found.symbol, found.is_private) == (kind, "", True)
    assert (read_stream(f"{kind}.{ETH}", listing) is None) == (kind == "account.balanceUpdate")
    assert read_stream(f"{kind}.DOGE_USDC_PERP", listing) is None
