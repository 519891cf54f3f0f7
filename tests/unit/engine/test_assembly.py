"""From a configuration to a plan: accounts, keys, hosts, limits, and everything that can be wrong with them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perpmaker import logs
from perpmaker.config import AccountSection, Config, ccxt_credentials, parse
from perpmaker.control.home import RunFile
from perpmaker.engine.assembly import make_plan
from perpmaker.engine.failpoints import Failpoints
from perpmaker.engine.live import build_live
from perpmaker.engine.traded import limits_of
from perpmaker.errors import ConfigError
from perpmaker.model.ids import AccountId
from perpmaker.venues.ccxt import library

ACCOUNTS = [
    {"owner": "o1", "api_key": "key-one-secret", "private_key": "0x" + "11" * 32, "signer": "s", "main_account": "m",
     "sub_account_id": "101"},
    {"owner": "o2", "api_key": "key-two-secret", "private_key": "0x" + "22" * 32, "signer": "s", "main_account": "m",
     "sub_account_id": "102"},
]  # fmt: skip
URLS = {
    "edge": "http://127.0.0.1:1",
    "trades": "http://127.0.0.1:1",
    "market_data": "http://127.0.0.1:2",
    "ws_trades": "ws://127.0.0.1:1",
    "ws_market_data": "ws://127.0.0.1:2",
    "control": "http://127.0.0.1:3",
}
EXCHANGE = RunFile(
    "exchange", 1, URLS, extra={"accounts": msgspec.json.encode(ACCOUNTS).decode(), "instance_id": "inst-1"}
)


def config(**changes: Any) -> Config:
    raw: dict[str, Any] = {
        "schema_version": 1,
        "env": "local",
        "mode": "live",
        "name": "e",
        "account": {"main": {}},
        "strategy": [
            {"name": "btc", "kind": "market_maker", "account": "main", "instrument": "BTC_USDT_Perp"},
        ],
    }
    return parse({**raw, **changes}, {}, source="test")


def test_the_practice_exchanges_account_is_taken_from_its_run_file() -> None:
    plan = make_plan(config(account={"main": {"local_account": 1}}), EXCHANGE, None)
    key = plan.keys[AccountId("main")]
    assert (key.sub_account_id, key.api_key.reveal()) == ("102", "key-two-secret")
    assert plan.environment.trades == URLS["trades"]
    assert plan.fingerprint.exchange_instance == "inst-1"
    assert plan.fingerprint.accounts[0].sub_account_id == "102"


def test_no_secret_shows_in_a_plan_a_fingerprint_or_a_lock() -> None:
    plan = make_plan(config(), EXCHANGE, None)
    shown = repr(plan) + repr(plan.fingerprint) + repr(plan.lock_keys(Path("/j")))
    assert "key-one-secret" not in shown
    assert "11" * 32 not in shown


def test_locks_are_on_the_account_every_instrument_and_the_journal_of_this_exchange() -> None:
    keys = [str(key) for key in make_plan(config(), EXCHANGE, None).lock_keys(Path("/j"))]
    assert keys == ["journal /j", "sub-account grvt local 101 inst-1", "instrument grvt local BTC_USDT_Perp inst-1"]


@pytest.mark.parametrize(
    ("changes", "exchange", "text"),
    [
        ({}, None, "needs a practice exchange"),
        ({"account": {"main": {"local_account": 7}}}, EXCHANGE, "accounts 0 to 1"),
        ({}, msgspec.structs.replace(EXCHANGE, extra={}), "lists no accounts"),
        ({}, msgspec.structs.replace(EXCHANGE, urls={}), "ready line has no"),
        (
            {"strategy": [{"name": "x", "kind": "nothing", "account": "main", "instrument": "BTC_USDT_Perp"}]},
            EXCHANGE,
            "unknown strategy",
        ),
        (
            {
                "strategy": [
                    {"name": "x", "kind": "market_maker", "account": "main", "instrument": "BTC_USDT_Perp", "spred": 1}
                ]
            },
            EXCHANGE,
            "spred",
        ),
        (
            {
                "account": {"a": {}, "b": {}},
                "strategy": [
                    {"name": "x", "kind": "market_maker", "account": "a", "instrument": "BTC_USDT_Perp"},
                    {"name": "y", "kind": "market_maker", "account": "b", "instrument": "ETH_USDT_Perp"},
                ],
            },
            EXCHANGE,
            "same sub-account 101",
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], exchange: RunFile | None, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_plan(config(**changes), exchange, None)


def test_paper_has_no_key_locks_nothing_at_the_venue_and_keeps_a_journal_of_its_own(tmp_path: Path) -> None:
    simulated = {"taker_fee_bps": 5, "maker_fee_bps": 1}
    plan = make_plan(config(mode="paper", env="prod", simulation=simulated), None, None)
    assert plan.keys[AccountId("main")].sub_account_id == "paper-main"
    assert [key.parts[0] for key in plan.lock_keys(tmp_path)] == ["journal"]
    assert (
        build_live(config(mode="paper"), tmp_path, recent=logs.RecentLines(), exchange=EXCHANGE).folder.name
        == "e-local-paper"
    )
    spec = plan.spec(1, {"btc": 1})
    assert (spec.needs_arming, spec.books_show_own) == (False, False)
    assert {name: (rates.maker, rates.taker) for name, rates in spec.fees.items()} == {
        "BTC_USDT_Perp": (Decimal("0.0001"), Decimal("0.0005"))
    }


def test_a_local_address_elsewhere_is_refused() -> None:
    elsewhere = msgspec.structs.replace(EXCHANGE, urls={**URLS, "trades": "http://192.168.1.5:1"})
    with pytest.raises(ConfigError, match="this machine only"):
        make_plan(config(), elsewhere, None)


def test_a_real_environment_takes_its_keys_from_a_private_file_and_its_hosts_from_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("GRVT_")]:
        monkeypatch.delenv(name)
    dotenv = tmp_path / ".env"
    dotenv.write_text("GRVT_API_KEY=abcdefgh\nGRVT_PRIVATE_KEY=0x" + "33" * 32 + "\nGRVT_TRADING_ACCOUNT_ID=555\n")
    dotenv.chmod(0o600)
    plan = make_plan(config(env="testnet"), None, dotenv)
    assert plan.environment.trades == "https://trades.testnet.grvt.io"
    assert plan.keys[AccountId("main")].sub_account_id == "555"
    assert plan.fingerprint.exchange_instance == ""


@pytest.mark.parametrize(("env", "needed"), [("local", False), ("testnet", False), ("prod", True)])
def test_only_production_needs_arming(env: str, needed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRVT_API_KEY", "abcdefgh")
    monkeypatch.setenv("GRVT_PRIVATE_KEY", "0x" + "33" * 32)
    monkeypatch.setenv("GRVT_TRADING_ACCOUNT_ID", "555")
    plan = make_plan(config(env=env), EXCHANGE if env == "local" else None, None)
    assert plan.spec(1, {"btc": 1}).needs_arming is needed


def test_limits_are_those_configured() -> None:
    limits = limits_of(config(risk={"max_loss": 77, "orders_per_s": 3, "max_open_orders": 9}))
    assert (limits.max_loss, limits.orders_per_s, limits.max_open_orders) == (Decimal(77), Decimal(3), 9)
    assert limits.max_position_notional == 5000


def test_a_changed_configuration_has_another_hash() -> None:
    plans = [make_plan(config(risk={"max_loss": loss}), EXCHANGE, None) for loss in (50, 50, 51)]
    assert plans[0].config_hash == plans[1].config_hash != plans[2].config_hash


def test_building_opens_nothing(tmp_path: Path) -> None:
    live = build_live(config(), tmp_path, recent=logs.RecentLines(), exchange=EXCHANGE, failpoints=Failpoints())
    assert list(tmp_path.iterdir()) == []
    assert live.folder == tmp_path / "engines" / "e-local"


def test_what_people_execute_on_is_followed_locked_and_traded_without_a_strategy() -> None:
    made = make_plan(config(strategy=[], account={"main": {"instruments": ["ETH_USDT_Perp"]}}), EXCHANGE, None)
    spec = made.spec(1, {})
    assert [account.instruments for account in spec.accounts] == [("ETH_USDT_Perp",)]
    assert spec.strategies == ()
    assert "instrument grvt local ETH_USDT_Perp inst-1" in [str(key) for key in made.lock_keys(Path("/j"))]


def test_an_engine_with_nothing_to_trade_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="nothing to trade"):
        make_plan(config(strategy=[]), EXCHANGE, None)


def test_an_instrument_of_another_exchange_is_a_mistake() -> None:
    wrong = {"main": {"instruments": ["ETH_USDC_PERP@backpack"]}}
    with pytest.raises(ConfigError, match=r"account\.main\.instruments: 'ETH_USDC_PERP@backpack' is on backpack"):
        make_plan(config(account=wrong), EXCHANGE, None)


# --- several venues

FACE = {
    **URLS,
    "backpack_rest": "http://127.0.0.1:7",
    "backpack_ws": "ws://127.0.0.1:7",
}
BACKPACK_ACCOUNTS = [{"owner": "o1", "api_key": "public-one", "secret": "backpack-secret-one"}]
BOTH = RunFile(
    "exchange",
    1,
    FACE,
    extra={**EXCHANGE.extra, "backpack_accounts": msgspec.json.encode(BACKPACK_ACCOUNTS).decode()},
)
HEDGED: dict[str, Any] = {
    "account": {"main": {}, "hedge": {"venue": "backpack"}},
    "strategy": [
        {"name": "btc", "kind": "market_maker", "account": "main", "instrument": "BTC_USDT_Perp"},
        {"name": "eth", "kind": "market_maker", "account": "hedge", "instrument": "ETH_USDC_PERP"},
    ],
}


def test_accounts_of_two_venues_stand_in_one_plan_by_exchange() -> None:
    plan = make_plan(config(**HEDGED), BOTH, None)
    assert plan.venue == "backpack,grvt"
    assert [(one.name, one.venue) for one in plan.fingerprint.accounts] == [("hedge", "backpack"), ("main", "grvt")]
    assert plan.faces["backpack"]["private"] == "http://127.0.0.1:7"
    spec = plan.spec(1, {"btc": 1, "eth": 2})
    assert {a.account: (a.exchange, a.client_id_bits, a.quote_life_s) for a in spec.accounts} == {
        "main": ("grvt", 64, 120),
        "hedge": ("backpack", 32, 0),
    }
    assert [row.instrument for row in spec.strategies] == ["BTC_USDT_Perp", "ETH_USDC_PERP@backpack"]
    locks = " ".join(str(key) for key in plan.lock_keys(Path("/j")))
    assert "instrument backpack local ETH_USDC_PERP@backpack" in locks
    assert "backpack-secret-one" not in repr(plan) + locks


def test_an_engine_on_backpack_alone_needs_no_hosts_of_grvt() -> None:
    alone = {"account": {"hedge": {"venue": "backpack"}}, "strategy": HEDGED["strategy"][1:]}
    assert make_plan(config(**alone), BOTH, None).environment is None


@pytest.mark.parametrize(
    ("changes", "exchange", "said"),
    [
        ({}, EXCHANGE, "speaks it"),
        ({"account": {"main": {}, "hedge": {"venue": "backpack", "local_account": 1}}}, BOTH, "accounts 0 to 0"),
        ({"account": {"main": {}, "hedge": {"venue": "ccxt:bybit"}}}, BOTH, "speaks it"),
        ({"env": "testnet"}, None, "has no env"),
    ],
)
def test_a_second_venue_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], exchange: Any, said: str
) -> None:
    wrong = config(**{**HEDGED, **changes})
    for name in ("GRVT_API_KEY", "GRVT_PRIVATE_KEY"):
        monkeypatch.setenv(name, "k" * 10)
    monkeypatch.setenv("GRVT_TRADING_ACCOUNT_ID", "1")
    with pytest.raises(ConfigError, match=said):
        make_plan(wrong, exchange, None)


def test_an_instrument_of_another_exchange_than_its_account_is_refused() -> None:
    rows = [{**HEDGED["strategy"][1], "account": "main", "instrument": "ETH_USDC_PERP@backpack"}]
    with pytest.raises(ConfigError, match=r"is on backpack, but account 'main' is on grvt"):
        make_plan(config(strategy=rows), EXCHANGE, None)


def test_keys_of_a_ccxt_venue_come_from_variables_of_its_own_name() -> None:
    section = AccountSection(venue="ccxt:bybit", credentials="2")
    with pytest.raises(ConfigError, match="BYBIT_API_KEY_2, BYBIT_SECRET_2"):
        ccxt_credentials(section, {})
    found = ccxt_credentials(section, {"BYBIT_API_KEY_2": "key", "BYBIT_SECRET_2": "hidden", "BYBIT_PASSWORD_2": "too"})
    assert found.password is not None
    assert "hidden" not in repr(found)


def test_a_venue_that_is_no_name_is_refused_by_the_configuration() -> None:
    with pytest.raises(ConfigError, match="venue"):
        config(account={"main": {"venue": "bybit"}})


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [({}, 0), ({"mode": "paper"}, 0), (HEDGED, 1), ({**HEDGED, "mode": "paper"}, 1)],
    ids=["grvt", "grvt on paper", "with backpack", "with backpack on paper"],
)
def test_an_engine_imports_ccxt_before_its_loop_turns_and_only_for_an_account_that_needs_it(
    changes: dict[str, Any], wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop: list[bool] = []
    monkeypatch.setattr(library, "load", lambda: on_loop.append(asyncio._get_running_loop() is not None))
    build_live(config(**changes), tmp_path, recent=logs.RecentLines(), exchange=BOTH)
    assert on_loop == [False] * wanted


def test_an_engine_without_an_account_that_needs_ccxt_lives_without_it(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
import perpmaker.cli.main
from perpmaker import logs
from perpmaker.engine.live import build_live
from tests.unit.engine.test_assembly import EXCHANGE, config
live = build_live(config(control={{"port": 0}}), Path({str(tmp_path)!r}), recent=logs.RecentLines(), exchange=EXCHANGE)
async def life():
    asyncio.get_running_loop().call_later(0.3, live.stop, "seen", "test")
    return await live.run()
asyncio.run(life())
print("ccxt" in sys.modules)
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=200, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["False"], done.stderr


def test_an_instance_that_does_not_fit_into_32_bit_ids_is_refused() -> None:
    with pytest.raises(ConfigError, match="instance: 16 is not allowed with account.hedge"):
        make_plan(config(**HEDGED, instance=16), BOTH, None)
