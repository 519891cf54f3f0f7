"""The table of venues, exchange identity, and what ccxt's exceptions prove."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest
from ccxt.base import errors

from perpmaker.errors import ConfigError
from perpmaker.model.ids import instrument_id
from perpmaker.venues.ccxt import listing, quirks
from perpmaker.venues.ccxt.library import addresses
from perpmaker.venues.ccxt.quirks import ROWS, exchange_identity, quirks_of
from perpmaker.venues.ccxt.verdicts import VERDICTS, Verdict, verdict_of

from .bench import QUIRKS


@pytest.mark.parametrize(
    ("venue", "exchange"),
    [("grvt", "grvt"), ("ccxt:grvt", "grvt"), ("backpack", "backpack"), ("ccxt:backpack", "backpack"),
     ("ccxt:binanceusdm", "binance"), ("ccxt:bybit", "bybit")],
)  # fmt: skip
def test_an_exchange_has_one_name_whatever_leads_there(venue: str, exchange: str) -> None:
    assert exchange_identity(venue) == exchange


def test_an_adapter_made_of_another_one_leads_to_the_same_exchange() -> None:
    """ccxt derives a house's further addresses and brands from the adapter of the house; Binance US is one of its own."""
    apart = {"binanceus"}
    derived = {
        name: parent.__name__
        for name in ccxt.exchanges
        for parent in getattr(ccxt, name).__mro__[1:]
        if parent.__name__ in ccxt.exchanges and name not in apart
    }
    assert derived
    differing = {name: of for name, of in derived.items() if exchange_identity(f"ccxt:{name}") != exchange_identity(of)}
    assert not differing


def test_a_venue_without_a_row_gets_the_plain_one_and_a_word_that_is_none_is_refused() -> None:
    plain = quirks_of("ccxt:bybit")
    assert (plain.ccxt_id, plain.frames, plain.capabilities.bulk) == ("bybit", None, False)
    assert quirks_of("ccxt:backpack") is ROWS["backpack"]
    for wrong in ("bybit", "ccxt:", ""):
        with pytest.raises(ConfigError, match="allowed"):
            quirks_of(wrong)


def test_quirks_live_in_their_table_and_no_other_module_knows_a_venue() -> None:
    """A row's own reader of frames bears its venue's name; everything else asks the row."""
    folder = Path(quirks.__file__).parent
    known = {*ROWS, *quirks.ALIASES} - {"grvt"}
    for path in sorted(folder.glob("*.py")):
        if path.name in ("quirks.py", *(f"{name}.py" for name in ROWS)):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert not said & known, path.name
        taken = {
            name.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for name in node.names
        }
        assert not taken & known, path.name


def test_backpack_promises_no_more_than_it_has() -> None:
    offered = QUIRKS.capabilities
    assert (offered.client_id_bits, offered.cancel_by_client_id) == (32, True)
    assert not any((offered.dead_man, offered.signature_expiry, offered.cancel_ttl, offered.fill_stream, offered.bulk))


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (errors.InvalidOrder("x"), Verdict.REJECTED),
        (errors.OrderImmediatelyFillable("x"), Verdict.REJECTED),
        (errors.InsufficientFunds("x"), Verdict.REJECTED),
        (errors.BadSymbol("x"), Verdict.REJECTED),
        (errors.AuthenticationError("x"), Verdict.FATAL),
        (errors.PermissionDenied("x"), Verdict.FATAL),
        (errors.RateLimitExceeded("x"), Verdict.RATE_LIMIT),
        (errors.OrderNotFound("x"), Verdict.NOT_FOUND),
        (errors.DuplicateOrderId("x"), Verdict.UNKNOWN),
        (errors.RequestTimeout("x"), Verdict.UNKNOWN),
        (errors.ExchangeNotAvailable("x"), Verdict.UNKNOWN),
        (errors.NetworkError("x"), Verdict.UNKNOWN),
        (errors.ExchangeError("x"), Verdict.UNKNOWN),
        (errors.BadResponse("x"), Verdict.UNKNOWN),
        (KeyError("x"), Verdict.UNKNOWN),
    ],
)
def test_an_exception_proves_what_its_class_says(error: Exception, verdict: Verdict) -> None:
    assert verdict_of(error, {})[0] is verdict


def test_every_class_of_ccxt_has_a_verdict() -> None:
    def names(tree: dict[str, Any]) -> list[str]:
        return [name for key, inner in tree.items() for name in (key, *names(inner))]

    for name in names(errors.error_hierarchy["BaseError"]):
        kind = getattr(errors, name)
        assert any(parent.__name__ in VERDICTS for parent in kind.__mro__), name


@pytest.mark.parametrize(
    ("kind", "code", "verdict"),
    [
        (errors.ExchangeNotAvailable, "RESOURCE_NOT_FOUND", Verdict.NOT_FOUND),
        (errors.ExchangeNotAvailable, "TRADING_PAUSED", Verdict.REJECTED),
        (errors.ExchangeError, "MAINTENANCE", Verdict.REJECTED),
        (errors.NetworkError, "SERVER_ERROR", Verdict.UNKNOWN),
        (errors.InvalidOrder, "INVALID_ORDER", Verdict.REJECTED),
    ],
)
def test_backpacks_own_words_count_before_ccxts_classes(kind: Any, code: str, verdict: Verdict) -> None:
    found, word, said = verdict_of(kind(f'backpack {{"code":"{code}","message":"why"}}'), QUIRKS.codes)
    assert (found, word, said) == (verdict, code, "why")


def test_local_addresses_are_of_this_machine() -> None:
    found = addresses(QUIRKS, {"rest": "http://127.0.0.1:5/", "ws": "ws://127.0.0.1:6"})
    assert found == {
        "public": "http://127.0.0.1:5",
        "private": "http://127.0.0.1:5",
        "ws": {"public": "ws://127.0.0.1:6", "private": "ws://127.0.0.1:6"},
    }
    with pytest.raises(ConfigError, match="this machine"):
        addresses(QUIRKS, {"rest": "http://example.com", "ws": "ws://127.0.0.1:6"})
    with pytest.raises(ConfigError, match="does not speak it"):
        addresses(quirks_of("ccxt:bybit"), {"rest": "http://127.0.0.1:5", "ws": "ws://127.0.0.1:6"})


def market(**changes: Any) -> dict[str, Any]:
    plain = {
        "id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "swap": True, "linear": True, "active": True, "base": "BTC",
        "quote": "USDT", "contractSize": 0.01, "precision": {"price": 1e-05, "amount": 1.0},
        "limits": {"amount": {"min": 2.0}, "cost": {"min": 5}}, "info": {},
    }  # fmt: skip
    return {**plain, **changes}


def test_rules_are_exact_and_in_base_units() -> None:
    found = listing.read({"a": market()}, "gate", listing.TICK_SIZE).listed[instrument_id("BTCUSDT", "gate")]
    rules = found.instrument
    assert (rules.tick, rules.lot, rules.min_qty, rules.min_notional) == (
        Decimal("0.00001"), Decimal("0.01"), Decimal("0.02"), Decimal(5),
    )  # fmt: skip
    assert found.contracts(Decimal("0.05")) == 5
    digits = listing.read({"a": market(precision={"price": 2, "amount": 3})}, "x", 2)
    assert next(iter(digits.listed.values())).instrument.tick == Decimal("0.01")


@pytest.mark.parametrize("changes", [{"swap": False}, {"linear": False}, {"active": False}])
def test_only_active_linear_perpetuals_are_listed(changes: dict[str, Any]) -> None:
    assert listing.read({"a": market(**changes)}, "x", 4) == listing.Reading({}, {})


def test_a_market_whose_rules_cannot_be_read_is_named() -> None:
    reading = listing.read({"a": market(precision={"price": None, "amount": 1})}, "x", 4)
    assert reading.listed == {}
    assert "BTCUSDT" in reading.unreadable
