"""`perpmaker config check`: the problems of a file, of its strategies' parameters and between them, all at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from perpmaker.cli.config import load_whole
from perpmaker.cli.main import cli
from perpmaker.errors import ConfigError
from perpmaker.logs import RecentLines

BROKEN = """
schema_version = 1
env = "local"

[account.main]

[risk]
max_loss = -5

[[strategy]]
name = "btc"
kind = "market_maker"
account = "other"
instrument = "BTC_USDT_Perp"

[strategy.quoting]
order_notional = -1
layers = 9
layer_spacing_bps = 20

[[strategy]]
name = "eth"
kind = "magic"
account = "main"
instrument = "ETH_USDT_Perp"
"""


def test_every_problem_of_a_file_is_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(BROKEN)
    with pytest.raises(ConfigError) as caught:
        load_whole(path)
    said = str(caught.value)
    assert "5 problem(s)" in said
    for part in (
        "risk.max_loss: '-5' is not allowed",
        "strategy.account: 'other' is not an account; allowed: main",
        "strategy btc: quoting.order_notional = -1: must be",
        "layers = 9 with layer_spacing_bps = 20 reach 160 bps: must stay under max_distance_bps = 90",
        "strategy eth: kind = 'magic': unknown strategy",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        (
            "local.toml",
            "order_notional = 300",
            "order_notional = 1001",
            "strategy btc: quoting.order_notional = 1001: must be at most risk.max_order_notional = 1000",
        ),
        ("grid.toml", "order_notional = ", "order_notional = 9", "order_notional = 9"),
        ("local.toml", "order_notional = 300", "order_equity_frac = 0.9\norder_notional = 1001", ""),
    ],
)
def test_orders_that_the_gate_would_refuse_each_time_are_refused(
    name: str, before: str, after: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    shipped = (Path(__file__).resolve().parents[3] / "configs" / name).read_text()
    path.write_text(shipped.replace(f"\n{before}", f"\n{after}", 1))
    if not told:
        load_whole(path)
        return
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_whole(path)


def test_a_shipped_configuration_is_shown_whole() -> None:
    whole = load_whole(Path(__file__).resolve().parents[3] / "configs" / "local.toml")
    strategies = whole["strategy"]
    assert isinstance(strategies, list)
    assert [row["name"] for row in strategies] == ["btc", "eth", "sol"]
    assert strategies[0]["params"]["quoting"]["layers"] == 5


def test_the_doctor_has_nothing_to_check_of_paper(tmp_path: Path) -> None:
    path = tmp_path / "paper.toml"
    path.write_text(
        'schema_version = 1\nenv = "prod"\nmode = "paper"\n[account.main]\ninstruments = ["BTC_USDT_Perp"]\n'
    )
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "doctor", str(path)])
    assert "has no account to check" in str(done.exception)


def test_the_doctor_examines_every_account_on_its_own_venue(tmp_path: Path) -> None:
    """An account of another venue was once judged by a login to GRVT, and found well."""
    path = Path(__file__).resolve().parents[3] / "configs" / "pair.toml"
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "doctor", str(path), "--json"])
    rows = {row["account"]: row for row in json.loads(done.stdout)}
    assert {row["state"] for row in rows.values()} == {"failed"}  # no exchange runs here
    assert "perpmaker exchange`" in rows["main"]["text"]
    assert "perpmaker exchange --venues grvt,backpack" in rows["hedge"]["text"]
    assert done.exit_code == 3


def _shipped(name: str = "local.toml") -> str:
    return (Path(__file__).resolve().parents[3] / "configs" / name).read_text()


@pytest.mark.parametrize(
    ("venue", "bar_s", "offered"),
    [
        ("grvt", 90, "60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 28800, 43200, 86400"),
        ("grvt", 7200, ""),
        ("backpack", 7200, "60, 180, 300, 900, 1800, 3600, 14400, 86400"),
        ("backpack", 3600, ""),
        ("ccxt:hyperliquid", 90, "60, 180, 300, 900, 1800, 3600, 14400, 86400"),
    ],
)
@pytest.mark.parametrize("mode", ["live", "paper"])
def test_bars_that_the_venue_has_no_candles_of_are_refused(
    venue: str, bar_s: int, offered: str, mode: str, tmp_path: Path
) -> None:
    text = _shipped().replace('venue = "grvt"', f'venue = "{venue}"').replace('mode = "live"', f'mode = "{mode}"')
    path = tmp_path / "bars.toml"
    path.write_text(text.replace("[strategy.quoting]", f"[strategy.regime]\nbar_s = {bar_s}\n\n[strategy.quoting]", 1))
    if not offered:
        load_whole(path)
        return
    with pytest.raises(ConfigError) as caught:
        load_whole(path)
    (told,) = str(caught.value).splitlines()[1:]
    named = f"strategy btc: regime.bar_s = {bar_s}: {venue} has no candles of that length"
    assert told.strip() == f"{named}; must be one of {offered}"


def test_bars_that_nobody_looks_at_may_have_any_length(tmp_path: Path) -> None:
    path = tmp_path / "bars.toml"
    regime = '[strategy.regime]\nfilter = "none"\nbar_s = 90\n\n[strategy.quoting]'
    path.write_text(_shipped().replace("[strategy.quoting]", regime, 1))
    load_whole(path)


OWN = """
from perpmaker.strategies.api import Strategy, StrategyParams, Subscription

class Slow(Strategy[StrategyParams]):
    params_type = StrategyParams

    def subscriptions(self):
        return [Subscription(self.params.instrument, bars_s=BARS)]
"""


@pytest.mark.parametrize(
    ("bars", "told"),
    [
        ("(300,)", ""),
        ("(90,)", "bars_s = 90: grvt has no candles of that length; must be one of 60, "),
        ("[1 / 0]", "subscriptions() raised ZeroDivisionError"),
    ],
)
def test_bars_of_a_strategy_of_ones_own_are_examined_too(bars: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(OWN.replace("BARS", bars))
    path = tmp_path / "own.toml"
    path.write_text(
        'schema_version = 1\nenv = "local"\n[account.main]\n[[strategy]]\nname = "own"\nkind = "slow.py:Slow"\n'
        'account = "main"\ninstrument = "BTC_USDT_Perp"\n'
    )
    if not told:
        load_whole(path)
        return
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_whole(path)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ("(60,)", ""),
        ("(300,)", "60 s (strategy btc) and 300 s (strategy own)"),
        ("(300, 900)", "60 s (strategy btc) and 300 s (strategy own) and 900 s (strategy own)"),
    ],
)
def test_candles_of_several_lengths_on_one_instrument_are_refused(own: str, told: str, tmp_path: Path) -> None:
    """Live only one is heard; before, the others were silent."""
    text = OWN.replace("BARS", own).replace("self.params.instrument", "'BTC_USDT_Perp'")
    (tmp_path / "slow.py").write_text(text)
    path = tmp_path / "two.toml"
    more = '\n[[strategy]]\nname = "own"\nkind = "slow.py:Slow"\naccount = "main"\ninstrument = "ADA_USDT_Perp"\n'
    path.write_text(_shipped() + more)
    if not told:
        load_whole(path)
        return
    with pytest.raises(
        ConfigError, match=re.escape(f"BTC_USDT_Perp is heard with candles of one length live, not of {told}")
    ):
        load_whole(path)


def test_one_symbol_on_two_exchanges_has_candles_of_its_own_on_each(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(OWN.replace("BARS", "(300,)"))
    path = tmp_path / "two.toml"
    more = '\n[[strategy]]\nname = "own"\nkind = "slow.py:Slow"\naccount = "other"\ninstrument = "BTC_USDT_Perp"\n'
    path.write_text(_shipped().replace("[risk]", '[account.other]\nvenue = "backpack"\n\n[risk]', 1) + more)
    load_whole(path)


def test_an_unknown_account_of_a_leg_with_bars_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "legs.py").write_text(
        """
from perpmaker.strategies.api import Strategy, StrategyParams, Subscription

class Params(StrategyParams, frozen=True, kw_only=True):
    hedge_account: str = ""
    hedge_instrument: str = ""

class Legs(Strategy[Params]):
    params_type = Params

    def subscriptions(self):
        return [Subscription(self.params.hedge_instrument, bars_s=(60,))]
"""
    )
    path = tmp_path / "legs.toml"
    path.write_text(
        'schema_version = 1\nenv = "local"\n[account.main]\n[[strategy]]\nname = "own"\nkind = "legs.py:Legs"\n'
        'account = "main"\ninstrument = "BTC_USDT_Perp"\nhedge_account = "nope"\nhedge_instrument = "ETH_USDC_PERP"\n'
    )
    with pytest.raises(ConfigError, match="nope"):
        load_whole(path)


def test_a_backtest_makes_bars_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "bars.toml"
    path.write_text(_shipped().replace("[strategy.quoting]", "[strategy.regime]\nbar_s = 90\n\n[strategy.quoting]", 1))
    load_whole(path, live=False)


def test_a_limit_on_open_orders_below_what_is_quoted_is_warned_of_and_allowed(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(_shipped().replace("max_open_orders = 60", "max_open_orders = 30"))
    done = CliRunner().invoke(cli, ["config", "check", str(path)])
    assert done.exit_code == 0
    ok, warning = done.stdout.splitlines()
    assert ok == f"{path}: ok"
    assert warning == (
        "warning: account main: max_open_orders = 30 leaves no room for the 36 orders that its strategies may keep at once "
        "(btc 12, eth 12, sol 12); those beyond it are refused"
    )
    path.write_text(_shipped())
    assert CliRunner().invoke(cli, ["config", "check", str(path)]).stdout.splitlines() == [f"{path}: ok"]


def test_an_engine_that_starts_logs_the_same_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    log = SimpleNamespace(warning=lambda event, text: told.append((event, text)))
    monkeypatch.setattr("perpmaker.logs.configure", lambda level: RecentLines())
    monkeypatch.setattr("perpmaker.logs.get", lambda name: log)
    monkeypatch.setattr("perpmaker.cli.supervision.end_with_parent", lambda: None)
    monkeypatch.setattr("perpmaker.engine.live.run", lambda config, home, recent: 0)
    path = tmp_path / "bot.toml"
    path.write_text(_shipped().replace("max_open_orders = 60", "max_open_orders = 30"))
    assert CliRunner().invoke(cli, ["--home", str(tmp_path), "run", str(path)]).exit_code == 0
    ((event, text),) = told
    assert event == "configuration"
    assert text.startswith("account main: max_open_orders = 30 leaves no room for the 36 orders")
