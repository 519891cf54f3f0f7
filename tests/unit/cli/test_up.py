"""What `perpmaker up` starts the exchange with."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from perpmaker import config as configuration
from perpmaker.cli.main import cli
from perpmaker.cli.supervision import Child, StartFailed
from perpmaker.cli.up import Supervisor, arguments
from perpmaker.errors import ConfigError

LOCAL = Path(__file__).resolve().parents[3] / "configs" / "local.toml"


@pytest.mark.parametrize(("venue", "both"), [("", False), ("backpack", True), ("ccxt:backpack", True)])
def test_second_venue_is_started_for_an_account_on_it(tmp_path: Path, venue: str, both: bool) -> None:
    path = tmp_path / "config.toml"
    account = f'[account.hedge]\nvenue = "{venue}"\nlocal_account = 0\n\n' if venue else ""
    path.write_text(LOCAL.read_text().replace("[account.main]", f"{account}[account.main]"))
    options = arguments("exchange", tmp_path, path, configuration.load(path), None)
    assert ("--venues" in options) == both
    if both:
        assert options[options.index("--venues") + 1] == "grvt,backpack"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("layers = 5", "layers = 0", "quoting.layers = 0: must be a whole number >= 1 and <= 50"),
        ("layers = 5", "layerz = 5", "quoting.layerz = 5: unknown key; did you mean layers"),
        ('kind = "market_maker"', 'kind = "magic"', "unknown strategy; must be one of market_maker"),
    ],
)
def test_wrong_strategy_parameters_are_refused_before_anything_starts(
    before: str, after: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(Child, "start", lambda child: started.append(child.name))
    path = tmp_path / "config.toml"
    path.write_text(LOCAL.read_text().replace(before, after, 1))
    with pytest.raises(ConfigError) as refused:
        CliRunner().invoke(cli, ["--home", str(tmp_path / "home"), "up", str(path)], catch_exceptions=False)
    assert told in str(refused.value)
    assert refused.value.exit_code == 3
    assert started == []
    assert not (tmp_path / "home").exists()


def test_an_engine_that_cannot_run_as_configured_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    engine = Child(tmp_path, "engine", [], {})
    monkeypatch.setattr("perpmaker.cli.up.signal.signal", lambda number, handler: None)
    monkeypatch.setattr(Child, "start", lambda child: started.append(child.name))
    monkeypatch.setattr(Child, "wait_ready", lambda child, timeout_s: None)
    monkeypatch.setattr(Child, "returncode", lambda child: ConfigError.exit_code)
    monkeypatch.setattr(Child, "last_lines", lambda child: "bar_s: 90 is not offered")
    monkeypatch.setattr(Child, "stop", lambda child, timeout_s: True)
    with pytest.raises(StartFailed, match="engine cannot run as it is configured:\nbar_s: 90 is not offered"):
        Supervisor(tmp_path, {"engine": engine}, quiet=True).run()
    assert started == ["engine"]
