"""Legs of a configured pair: on different exchanges, by identity; everything else is refused with the reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perpmaker.config import Config, parse
from perpmaker.control.home import RunFile
from perpmaker.engine.assembly import make_plan
from perpmaker.engine.pairing import leg_problems
from perpmaker.errors import ConfigError
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.strategies.api import Leg

GRVT = [
    {"owner": f"o{n}", "api_key": f"key-{n}", "private_key": "0x" + f"{n}{n}" * 32, "sub_account_id": f"10{n}"}
    for n in (1, 2)
]
BACKPACK = [{"api_key": f"b{n}", "secret": f"s{n}"} for n in (1, 2)]
URLS = {
    "edge": "http://127.0.0.1:1",
    "trades": "http://127.0.0.1:1",
    "market_data": "http://127.0.0.1:2",
    "ws_trades": "ws://127.0.0.1:1",
    "ws_market_data": "ws://127.0.0.1:2",
    "control": "http://127.0.0.1:3",
    "backpack_rest": "http://127.0.0.1:4",
    "backpack_ws": "ws://127.0.0.1:4",
}
EXCHANGE = RunFile(
    "exchange",
    1,
    URLS,
    extra={
        "accounts": msgspec.json.encode(GRVT).decode(),
        "backpack_accounts": msgspec.json.encode(BACKPACK).decode(),
        "instance_id": "inst-1",
    },
)
PAIR = {
    "name": "pair",
    "kind": "pair",
    "account": "a",
    "instrument": "ETH_USDT_Perp",
    "hedge_account": "b",
    "hedge_instrument": "ETH_USDC_PERP",
    "mode": "alternate",
    "size": "0.5",
}


def config(venue: str = "backpack", *more: dict[str, Any], **changes: Any) -> Config:
    raw: dict[str, Any] = {
        "schema_version": 1,
        "env": "local",
        "mode": "live",
        "name": "e",
        "account": {"a": {}, "b": {"venue": venue, "local_account": 1}, "c": {"local_account": 1}},
        "strategy": [{**PAIR, **changes}, *more],
    }
    return parse(raw, {}, source="test")


def test_both_legs_reach_the_core_on_their_own_accounts() -> None:
    plan = make_plan(config(), EXCHANGE, None)
    spec = plan.spec(1, {"pair": 1})
    hedge = Leg(AccountId("b"), InstrumentId("ETH_USDC_PERP@backpack"))
    assert spec.strategies[0].others == (hedge,)
    assert {account.account: account.exchange for account in spec.accounts} == {"a": "grvt", "b": "backpack"}
    assert spec.fees[hedge.instrument].taker > 0
    assert list(spec.strategies[0].make().subscriptions())[1].instrument == hedge.instrument


def test_a_second_engine_may_not_hold_the_hedge_instrument_either(tmp_path: Any) -> None:
    keys = [str(key) for key in make_plan(config(), EXCHANGE, None).lock_keys(tmp_path)]
    assert any("ETH_USDC_PERP@backpack" in key for key in keys)


def test_two_own_accounts_on_one_exchange_are_refused_with_the_reason() -> None:
    wrong = config("grvt", hedge_instrument="ETH_USDT_Perp")
    with pytest.raises(ConfigError, match="both on grvt.*different exchanges.*wash trading"):
        make_plan(wrong, EXCHANGE, None)


def test_another_adapter_of_the_same_exchange_is_the_same_exchange() -> None:
    wrong = config("ccxt:grvt", hedge_instrument="ETH_USDT_Perp")
    assert any("both on grvt" in problem for problem in leg_problems(wrong))


def test_one_account_for_both_legs_is_refused() -> None:
    wrong = config(hedge_account="a", hedge_instrument="ETH_USDT_Perp")
    assert any("both on grvt" in problem for problem in leg_problems(wrong))


@pytest.mark.parametrize(("account", "with_whom"), [("c", "grvt"), ("b", "backpack")])
def test_the_fallback_is_on_a_third_exchange(account: str, with_whom: str) -> None:
    wrong = config(fallback_account=account, fallback_instrument="BTC")
    assert any(f"both on {with_whom}" in problem for problem in leg_problems(wrong))


def test_a_leg_names_an_account_and_its_exchange() -> None:
    assert leg_problems(config(hedge_account="nobody"))[0] == (
        "strategy.pair: 'nobody' is not an account; allowed: a, b, c"
    )
    assert "is on binance" in leg_problems(config(hedge_instrument="ETHUSDT@binance"))[0]


def test_nobody_else_trades_a_legs_instrument_on_its_account() -> None:
    maker = {"name": "mm", "kind": "market_maker", "account": "b", "instrument": "ETH_USDC_PERP@backpack"}
    assert any("their orders could meet" in problem for problem in leg_problems(config("backpack", maker)))


@pytest.mark.parametrize(
    ("kind", "more"), [("market_maker", {}), ("idle", {}), ("pair", {"size": "1", "mode": "alternate"})]
)
def test_nobody_trades_a_legs_instrument_on_another_own_account(kind: str, more: dict[str, Any]) -> None:
    """The pair has ETH_USDT_Perp of grvt on account a; c is another own account there."""
    second = {"name": "mm", "kind": kind, "account": "c", "instrument": "ETH_USDT_Perp", **more}
    (problem,) = [text for text in leg_problems(config("backpack", second)) if text.startswith("strategy.mm")]
    assert "on account 'c' is traded by 'pair' on account 'a'" in problem
    assert "wash trading" in problem
    with pytest.raises(ConfigError, match="wash trading"):
        make_plan(config("backpack", second), EXCHANGE, None)


def test_two_makers_on_two_own_accounts_of_one_exchange_may_trade_two_instruments_only() -> None:
    def problems(first: str, second: str, venue: str = "grvt") -> list[str]:
        rows = [
            {"name": f"mm{n}", "kind": "market_maker", "account": name, "instrument": symbol}
            for n, (name, symbol) in enumerate((("a", first), ("b", second)))
        ]
        raw: dict[str, Any] = {
            "schema_version": 1, "env": "local", "mode": "live", "name": "e",
            "account": {"a": {}, "b": {"local_account": 1, "venue": venue}}, "strategy": rows,
        }  # fmt: skip
        return leg_problems(parse(raw, {}, source="test"))

    assert problems("BTC_USDT_Perp", "ETH_USDT_Perp") == []
    assert "wash trading" in problems("BTC_USDT_Perp", "BTC_USDT_Perp")[0]
    assert "wash trading" in problems("BTC_USDT_Perp", "BTC_USDT_Perp", "ccxt:grvt")[0]
    assert problems("BTC_USDT_Perp", "BTC_USDT_Perp", "backpack") == []
