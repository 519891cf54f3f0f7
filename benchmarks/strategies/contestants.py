"""Who is compared: ours and the peers' strategies, each as a `[[strategy]]` table, all under the same account and limits.

`glft` is what `./run` starts; `glft_gentle` what it started before the tuning days were looked at: three layers,
nearer to mid, that lean less. Orders are of 300 USDT wherever a strategy leaves the size to its user; hftbacktest's
of 240, so that its 20 fit the limit; passivbot's of 130, since its 1 % of the limit is less than the venue takes.
What else a peer leaves to its user was chosen on the tuning days (`tuning.py`); what it has a default for is left at
it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from perpmaker import config as configuration
from perpmaker.config import Config

PEERS: Final = Path(__file__).parent / "peers"
INSTRUMENT: Final = "BTC_USDT_Perp"
DEFAULT: Final = "glft"
"""What ships."""
CLAIMED: Final = (DEFAULT, "glft_gentle")
"""Of whom the claim is judged."""
SETTINGS: Final = """
schema_version = 1
env = "local"
mode = "paper"
name = "strategies"
[account.main]
[risk]
max_position_notional = 5000
max_order_notional = 1000
max_open_orders = 60
max_loss = 500
max_drawdown_frac = 0.05
[simulation]
entry_ms = 20
response_ms = 20
maker_fee_bps = -0.01
taker_fee_bps = 4.5
balance = 10000
"""


class Contestant(NamedTuple):
    """A strategy with its keys."""

    name: str
    whose: str
    keys: Mapping[str, Any]


def _ours(model: str, **quoting: Any) -> dict[str, Any]:
    """The maker that `./run` starts (configs/local.toml) with a model; it looks as often as the tape's book changes."""
    return {
        "kind": "market_maker",
        "book_interval_ms": 1000,
        "quoting": {
            "model": model,
            "order_notional": 300,
            "min_half_spread_bps": 5,
            "layers": 5,
            "layer_spacing_bps": 2,
            "tolerance_bps": Decimal("1.5"),
            "refresh_interval_s": 5,
            **quoting,
        },
    }


def _peer(module: str, name: str, **keys: Any) -> dict[str, Any]:
    return {"kind": f"{PEERS / module}.py:{name}", "order_notional": 300} | keys


GRID: Final = {
    "kind": "grid",
    "mode": "neutral",
    "width_bps": 160,
    "count": 32,
    "order_notional": 300,
    "orders_per_side": 8,
    "out_of_range": "trail",
    "out_of_range_s": 30,
}
"""configs/grid.toml."""

CONTESTANTS: Final = (
    Contestant("glft", "perpmaker, the default", _ours("glft")),
    Contestant(
        "glft_gentle",
        "perpmaker, the default before",
        _ours("glft", skew_bps_at_max_position=5, min_half_spread_bps=1, layers=3),
    ),
    Contestant("avellaneda_stoikov", "perpmaker", _ours("avellaneda_stoikov")),
    Contestant("fixed", "perpmaker", _ours("fixed")),
    Contestant("grid", "perpmaker", GRID),
    Contestant(
        "hummingbot_pure",
        "hummingbot",
        _peer("hummingbot_pure", "HummingbotPure", bid_spread=0.02, ask_spread=0.02, order_refresh_time=30),
    ),
    Contestant(
        "hummingbot_avellaneda",
        "hummingbot",
        _peer("hummingbot_avellaneda", "HummingbotAvellaneda", order_refresh_time=30),
    ),
    Contestant("hftbacktest_glft", "hftbacktest", _peer("hftbacktest_glft", "HftbacktestGlft", order_notional=240)),
    Contestant("passivbot_anchor", "passivbot", _peer("passivbot_anchor", "PassivbotAnchor", order_notional=130)),
    Contestant("classic", "the original bot", {"kind": "market_maker", "preset": "classic", "book_interval_ms": 1000}),
)


def config_of(contestant: Contestant) -> Config:
    """Return the whole configuration of a run."""
    raw = tomllib.loads(SETTINGS, parse_float=Decimal)
    strategy = {"name": "maker", "account": "main", "instrument": INSTRUMENT, **contestant.keys}
    return configuration.parse({**raw, "strategy": [strategy]}, {}, source=contestant.name)
