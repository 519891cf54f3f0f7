"""The hosts of each GRVT environment, from a fixed table; only `local` takes its addresses from outside, loopback only.

Hosts and chain ids: venue protocol page §1 (May 2026).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from perpmaker.errors import ConfigError

LOCAL: Final = "local"
LOCAL_CHAIN_ID: Final = 326
READY_KEYS: Final = ("edge", "trades", "market_data", "ws_trades", "ws_market_data")


class Environment(msgspec.Struct, frozen=True):
    """Base URLs without a path, and the chain id that orders are signed for."""

    name: str
    edge: str
    trades: str
    market_data: str
    ws_trades: str
    ws_market_data: str
    chain_id: int

    @property
    def hosts(self) -> frozenset[str]:
        """The only `host:port` texts that the client may ever talk to in this environment."""
        return frozenset(
            urlsplit(url).netloc
            for url in (self.edge, self.trades, self.market_data, self.ws_trades, self.ws_market_data)
        )


def _table_row(name: str, suffix: str, chain_id: int) -> Environment:
    return Environment(
        name=name,
        edge=f"https://edge.{suffix}",
        trades=f"https://trades.{suffix}",
        market_data=f"https://market-data.{suffix}",
        ws_trades=f"wss://trades.{suffix}",
        ws_market_data=f"wss://market-data.{suffix}",
        chain_id=chain_id,
    )


ENVIRONMENTS: Final[Mapping[str, Environment]] = MappingProxyType(
    {
        "prod": _table_row("prod", "grvt.io", 325),
        "testnet": _table_row("testnet", "testnet.grvt.io", 326),
        "staging": _table_row("staging", "staging.gravitymarkets.io", 327),
    }
)


def environment(name: str, ready: Mapping[str, object] | None = None) -> Environment:
    """Return the environment called `name`; `local` needs the practice exchange's ready line.

    Raises ConfigError for a name that is not in the table (it never means prod), for addresses given to an environment that
    has its own, and for a local address that is not on this machine.
    """
    if name == LOCAL:
        return _local(ready)
    if ready is not None:
        raise ConfigError(f"env {name!r} has fixed hosts; only {LOCAL!r} takes addresses")
    known = ENVIRONMENTS.get(name)
    if known is None:
        allowed = ", ".join([*ENVIRONMENTS, LOCAL])
        raise ConfigError(f"env: unknown environment {name!r}; allowed: {allowed}")
    return known


def _local(ready: Mapping[str, object] | None) -> Environment:
    if ready is None:
        raise ConfigError("env 'local' needs the practice exchange's ready line (is it running?)")
    urls: dict[str, str] = {}
    for key in READY_KEYS:
        url = ready.get(key)
        if not isinstance(url, str):
            raise ConfigError(f"the exchange's ready line has no {key!r}")
        urls[key] = _loopback_url(key, url, "ws" if key.startswith("ws_") else "http")
    return Environment(name=LOCAL, chain_id=LOCAL_CHAIN_ID, **urls)


def _loopback_url(key: str, url: str, scheme: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{key}: {url!r} is not an address") from None
    if parts.scheme != scheme or port is None or not _is_bare(parts):
        raise ConfigError(f"{key}: {url!r} must look like {scheme}://127.0.0.1:PORT, without a path")
    if not _is_loopback(parts.hostname or ""):
        raise ConfigError(f"{key}: env 'local' talks to this machine only, not to {parts.hostname!r}")
    return f"{scheme}://{parts.netloc}"


def _is_bare(parts: SplitResult) -> bool:
    return parts.path in {"", "/"} and not (parts.query or parts.fragment or parts.username or parts.password)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
