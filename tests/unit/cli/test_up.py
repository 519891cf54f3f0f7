"""What `perpmaker up` starts the exchange with."""

from __future__ import annotations

from pathlib import Path

import pytest

from perpmaker import config as configuration
from perpmaker.cli.up import arguments

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
