"""`perpmaker init` offline: what it asks, what it writes, what it never does."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.engine.backtest_tape import write_tape

from perpmaker.cli.config import load_whole
from perpmaker.cli.init_measure import sigma_of_candles
from perpmaker.cli.main import cli
from perpmaker.errors import ConfigError


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("init") / "btc.tape"
    write_tape(path, seconds=90)
    return path


def init(folder: Path, *arguments: str, answers: str = "") -> Result:
    told = ["--home", str(folder / "home"), "init", "--output", str(folder / "config.toml"), *arguments]
    return CliRunner().invoke(cli, told, input=answers, catch_exceptions=False)


def test_offline_it_writes_a_configuration_that_says_where_its_numbers_are_from(tape: Path, tmp_path: Path) -> None:
    done = init(tmp_path, "--tape", str(tape), "--yes")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "config.toml").read_text(encoding="utf-8")
    for said in (
        "one-second moves over ",
        " s of btc.tape",
        "last seen in live fills",
        "preset normal",
    ):
        assert said in text
    whole = load_whole(tmp_path / "config.toml")
    assert (whole["env"], whole["mode"]) == ("local", "live")
    quoting = tomllib.loads(text)["strategy"][0]["quoting"]
    for name in ("tight", "normal", "wide"):
        assert name in done.output
    assert f"normal  half-spread at least {quoting['min_half_spread_bps']:g} bps" in done.output
    assert all("#" in line for line in text.splitlines() if line.startswith(tuple(quoting)) and "=" in line)


def test_presets_differ_and_fees_count(tape: Path, tmp_path: Path) -> None:
    least = {}
    for preset, fee in (("tight", "-0.01"), ("wide", "-0.01"), ("tight", "30")):
        arguments = ("--tape", str(tape), "--yes", "--force", "--preset", preset, "--maker-fee-bps", fee)
        assert init(tmp_path, *arguments).exit_code == 0
        read = tomllib.loads((tmp_path / "config.toml").read_text())
        least[preset, fee] = read["strategy"][0]["quoting"]["min_half_spread_bps"]
        assert read["simulation"]["maker_fee_bps"] == float(fee)
    assert least["tight", "-0.01"] < least["wide", "-0.01"]
    assert least["tight", "30"] == 30.3  # 30.25, rounded up


def test_a_preset_that_does_not_fit_says_by_which_of_its_numbers(tape: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose a tighter preset"):
        init(tmp_path, "--tape", str(tape), "--yes", "--preset", "tight", "--maker-fee-bps", "95")
    done = init(tmp_path, "--tape", str(tape), "--yes", "--preset", "tight", "--maker-fee-bps", "35.5")
    assert done.exit_code == 0
    rule = "a half-spread of 36.5 bps (maker fee 35.5 + edge 1 bps) with its skew of 54.8 bps is beyond the 90 bps"
    assert f"  wide    does not fit: {rule} a quote may be away\n" in done.output


def test_it_asks_for_what_is_not_given_and_takes_the_answers(tape: Path, tmp_path: Path) -> None:
    done = init(
        tmp_path, "--tape", str(tape), "--env", "testnet", answers="paper\nBTC_USDT_Perp\nwide\n250\n3000\n40\n"
    )
    assert done.exit_code == 0, done.output
    for question in ("Mode", "Instrument", "Preset", "Order notional", "Position limit", "Loss limit"):
        assert question in done.output
    assert "Environment" not in done.output
    read = tomllib.loads((tmp_path / "config.toml").read_text())
    assert (read["env"], read["mode"], read["risk"]["max_loss"]) == ("testnet", "paper", 40)
    assert read["strategy"][0]["quoting"]["order_notional"] == 250
    assert "preset wide" in (tmp_path / "config.toml").read_text()


@pytest.mark.parametrize(
    ("env", "mode", "next_one"), [("local", "live", "up"), ("prod", "paper", "up"), ("testnet", "live", "doctor")]
)
def test_what_it_names_next_is_what_that_configuration_can_do(
    env: str, mode: str, next_one: str, tape: Path, tmp_path: Path
) -> None:
    """The doctor refuses paper: it has no account to check."""
    done = init(tmp_path, "--tape", str(tape), "--yes", "--env", env, "--mode", mode)
    assert f"; perpmaker {next_one} {tmp_path / 'config.toml'}\n" in done.output


def test_nothing_is_overwritten_without_force(tape: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("mine")
    with pytest.raises(ConfigError, match=r"config\.toml: is there already.*--force"):
        init(tmp_path, "--tape", str(tape), "--yes")
    assert (tmp_path / "config.toml").read_text() == "mine"
    assert init(tmp_path, "--tape", str(tape), "--yes", "--force").exit_code == 0
    assert (tmp_path / "config.toml").read_text() != "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--instrument", "ETH_USDT_Perp"), "holds no ETH_USDT_Perp"),
        (("--order-notional", "6000"), "--max-position 5000: must not be below the order's 6000"),
        (("--maker-fee-bps", "60", "--preset", "normal"), "--preset normal: a half-spread of 60.5 bps"),
    ],
)
def test_what_cannot_be_written_is_said_and_not_written(
    arguments: tuple[str, ...], said: str, tape: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        init(tmp_path, "--tape", str(tape), "--yes", *arguments)
    assert not (tmp_path / "config.toml").exists()


def test_without_an_exchange_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a practice exchange in the same home"):
        init(tmp_path, "--yes")


def test_sigma_of_candles_is_the_larger_of_ranges_and_closes() -> None:
    still = [(100.0, 100.1, 100.0, 100.0)] * 10
    assert sigma_of_candles(still) == pytest.approx(math.log(1.001) / math.sqrt(4 * math.log(2) * 60))
    gaps = [(px, px, px, px) for px in (100.0, 101.0) * 5]
    assert sigma_of_candles(gaps) == pytest.approx(math.log(1.01) / math.sqrt(60))
    unknown = [(100.0, math.nan, 100.0, 100.0)] * 5
    for candles in ([], still[:1], [(100.0, 100.0, 100.0, 100.0)] * 5, unknown):
        with pytest.raises(ConfigError):
            sigma_of_candles(candles)
