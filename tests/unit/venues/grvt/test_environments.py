"""Hosts come from a fixed table; unknown never means prod; local never leaves this machine."""

from __future__ import annotations

import pytest

from perpmaker.errors import ConfigError
from perpmaker.venues.grvt.environments import ENVIRONMENTS, READY_KEYS, environment


def ready(host: str = "127.0.0.1:8420") -> dict[str, object]:
    return {key: f"{'ws' if key.startswith('ws_') else 'http'}://{host}" for key in READY_KEYS} | {"accounts": []}


@pytest.mark.parametrize(
    ("name", "edge", "trades", "market", "chain_id"),
    [
        ("prod", "edge.grvt.io", "trades.grvt.io", "market-data.grvt.io", 325),
        ("testnet", "edge.testnet.grvt.io", "trades.testnet.grvt.io", "market-data.testnet.grvt.io", 326),
        (
            "staging",
            "edge.staging.gravitymarkets.io",
            "trades.staging.gravitymarkets.io",
            "market-data.staging.gravitymarkets.io",
            327,
        ),
    ],
)
def test_the_table_is_the_pages_table(name: str, edge: str, trades: str, market: str, chain_id: int) -> None:
    found = environment(name)
    assert found.edge == f"https://{edge}"
    assert (found.trades, found.ws_trades) == (f"https://{trades}", f"wss://{trades}")
    assert (found.market_data, found.ws_market_data) == (f"https://{market}", f"wss://{market}")
    assert found.chain_id == chain_id
    assert found.hosts == {edge, trades, market}


@pytest.mark.parametrize("name", ["", "Prod", "production", "main", "dev", "mainnet", "prod ", "paper"])
def test_an_unknown_name_is_an_error_and_never_prod(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown environment"):
        environment(name)


def test_local_takes_its_addresses_from_the_ready_line() -> None:
    found = environment("local", ready())
    assert found.ws_trades == "ws://127.0.0.1:8420"
    assert found.hosts == {"127.0.0.1:8420"}
    assert found.chain_id == 326


@pytest.mark.parametrize("host", ["127.0.0.1:1", "127.8.0.1:65535", "localhost:8420", "[::1]:8420"])
def test_local_takes_loopback_hosts(host: str) -> None:
    assert environment("local", ready(host)).hosts == {host}


@pytest.mark.parametrize(
    "host",
    [
        "trades.grvt.io:443",
        "10.0.0.1:8420",
        "0.0.0.0:8420",
        "127.0.0.1.evil.example:8420",
        "localhost.evil.example:8420",
        "user@127.0.0.1:8420",
        "evil.example\\@127.0.0.1:8420",
        "127.0.0.1:99999",
        "127.0.0.1",
        "127.0.0.1:8420/path",
        "127.0.0.1:8420?x=1",
        "[::2]:8420",
        "[::1",
    ],
)
def test_local_refuses_every_other_host(host: str) -> None:
    with pytest.raises(ConfigError):
        environment("local", ready(host))


@pytest.mark.parametrize("key", READY_KEYS)
@pytest.mark.parametrize("value", [None, 8420, "", "https://127.0.0.1:8420", "file:///etc/passwd"])
def test_local_refuses_a_broken_ready_line(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        environment("local", ready() | {key: value})


def test_local_needs_a_ready_line() -> None:
    with pytest.raises(ConfigError, match="ready line"):
        environment("local")


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_a_real_environment_takes_no_addresses(name: str) -> None:
    with pytest.raises(ConfigError, match="fixed hosts"):
        environment(name, ready())
