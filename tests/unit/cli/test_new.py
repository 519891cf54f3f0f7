"""`perpmaker new strategy`: what is written works as it stands, and nothing is ever overwritten."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import perpmaker
from perpmaker import config as configuration
from perpmaker.cli.config import load_whole
from perpmaker.cli.main import cli
from perpmaker.cli.new_strategy import class_name, next_steps
from perpmaker.errors import ConfigError
from perpmaker.research.practice import practise, strategy_in
from perpmaker.research.tuning.backtests import BacktestEvaluation
from perpmaker.strategies import own

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def new(*words: str) -> Result:
    return CliRunner().invoke(cli, ["new", "strategy", *words], catch_exceptions=True)


def refused(*words: str) -> str:
    done = new(*words)
    assert isinstance(done.exception, ConfigError), done.output
    return str(done.exception)


def written_tests(path: Path) -> dict[str, Callable[[], None]]:
    """The tests of a file by their names, as pytest would find them."""
    return {name: value for name, value in runpy.run_path(str(path)).items() if name.startswith("test_")}


def test_the_written_test_passes_as_it_stands(tmp_path: Path) -> None:
    assert new("my_maker").exit_code == 0
    folder = tmp_path / "strategies" / "my_maker"
    assert sorted(path.name for path in folder.iterdir()) == ["my_maker.py", "my_maker.toml", "test_my_maker.py"]
    tests = written_tests(folder / "test_my_maker.py")
    assert len(tests) == 5
    for test in tests.values():
        test()


@pytest.mark.parametrize(
    ("old", "new_text", "test"),
    [
        ("(1 - held / limit", "(1 + held / limit", "test_it_leans_against_the_position"),
        ("middle + half", "middle + 2 * half", "test_it_quotes_evenly_around_the_middle_when_flat"),
        (" if held < room else None", "", "test_at_its_limit_only_the_side_that_reduces_is_quoted"),
    ],
)
def test_the_written_test_finds_a_strategy_that_is_wrong(old: str, new_text: str, test: str, tmp_path: Path) -> None:
    new("my_maker")
    path = tmp_path / "strategies" / "my_maker" / "my_maker.py"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new_text))
    with pytest.raises(AssertionError):
        written_tests(path.with_name("test_my_maker.py"))[test]()


def test_what_is_written_is_clean_and_has_no_gap(tmp_path: Path) -> None:
    new("my_maker", "--folder", "mine")
    for path in (tmp_path / "mine").iterdir():
        assert "$" not in path.read_text()
    ruff = [
        str(Path(sys.executable).parent / "ruff"),
        "format",
        "--check",
        "--isolated",
        "--line-length",
        "120",
        "mine",
    ]
    assert subprocess.run(ruff, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_the_configuration_is_whole_and_has_every_key_of_the_strategy(tmp_path: Path) -> None:
    new("my_maker", "--folder", "mine")
    whole = load_whole(tmp_path / "mine" / "my_maker.toml")
    (row,) = whole["strategy"]  # type: ignore[misc]
    assert row["params"].keys() == {"instrument", "half_spread_bps", "lean_bps", "order_notional"}
    text = (tmp_path / "mine" / "my_maker.toml").read_text()
    assert all(f"{key} = " in text for key in row["params"])


def test_a_strategy_that_raises_while_it_trades_is_told(tmp_path: Path) -> None:
    new("my_maker", "--folder", "mine")
    path = tmp_path / "mine" / "my_maker.py"
    path.write_text(path.read_text().replace("        p = self.params\n", "        raise LookupError('no price')\n"))
    done = practise(tmp_path / "mine" / "my_maker.toml", minutes=0.1)
    assert done.failures == {"my_maker": "on_book raised LookupError: no price"}
    assert done.figures.orders == 0


def test_a_market_that_is_not_simulated_is_named_with_those_that_are(tmp_path: Path) -> None:
    new("my_maker", "--folder", "mine")
    path = tmp_path / "mine" / "my_maker.toml"
    path.write_text(path.read_text().replace("BTC_USDT_Perp", "XRP_USDT_Perp"))
    with pytest.raises(ConfigError, match="has no XRP_USDT_Perp; it has BTC_USDT_Perp, ETH_USDT_Perp, SOL_USDT_Perp"):
        practise(path)


def test_the_strategy_of_a_configuration_with_several_has_to_be_named() -> None:
    path = ROOT / "configs" / "local.toml"
    with pytest.raises(ConfigError, match="which strategy. Name one of btc, eth, sol"):
        strategy_in(path)
    assert strategy_in(path, "eth").params.instrument == "ETH_USDT_Perp"


@pytest.mark.parametrize("name", ["My_Maker", "my-maker", "1maker", "_maker", "", "a" * 33, "naïve", "my maker"])
def test_a_name_that_is_no_module_name_is_refused(name: str, tmp_path: Path) -> None:
    assert f"NAME {name!r}: allowed are small letters, digits and _" in refused(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "why"), [("random", "Python's own"), ("class", "Python's own"), ("pytest", "an installed package")]
)
def test_a_name_that_would_hide_a_module_is_refused(name: str, why: str) -> None:
    assert why in refused(name)


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    new("my_maker", "--folder", "mine")
    path = tmp_path / "mine" / "my_maker.py"
    path.write_text("mine")
    said = refused("my_maker", "--folder", "mine")
    assert said == "mine: is there already, and nothing is overwritten; choose another NAME or --folder"
    assert path.read_text() == "mine"
    (tmp_path / "file").write_text("x")
    assert "is there already" in refused("my_maker", "--folder", "file")


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert new("my_maker", "--folder", "mine").exit_code == 0
    assert (tmp_path / "mine" / "my_maker.toml").is_file()


def test_a_folder_inside_of_perpmaker_is_refused() -> None:
    package = Path(perpmaker.__file__).parent
    assert "is inside perpmaker itself" in refused("my_maker", "--folder", str(package / "strategies" / "mine"))


def test_a_folder_that_cannot_be_made_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "file/mine: cannot be written: file: File exists" in refused("my_maker", "--folder", "file/mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_class_never_hides_what_its_file_imports() -> None:
    assert class_name("my_maker_2") == "MyMaker2"
    assert class_name("quote") == "OwnQuote"
    assert new("quote", "--folder", "mine").exit_code == 0
    assert type(strategy_in(Path("mine/quote.toml"))).__name__ == "OwnQuote"


def test_the_next_steps_are_by_run_in_a_checkout_and_by_name_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Path("strategies/mine")
    assert next_steps(config, "mine")[0].startswith(f"{ROOT}/run test {Path.cwd()}/strategies/mine ")
    assert next_steps(config, "mine")[2].startswith("perpmaker up strategies/mine/mine.toml ")
    monkeypatch.chdir(ROOT)
    assert [line.split("  #")[0].strip() for line in next_steps(config, "mine")] == [
        "./run test strategies/mine",
        "./run config show strategies/mine/mine.toml",
        "./run up strategies/mine/mine.toml",
    ]


def test_a_backtest_tells_of_a_strategy_that_raised(tmp_path: Path) -> None:
    new("my_maker", "--folder", "mine")
    path = tmp_path / "mine" / "my_maker.py"
    path.write_text(path.read_text().replace("        p = self.params\n", "        raise LookupError('no price')\n"))
    runner = CliRunner()
    runner.invoke(cli, ["tape", "simulate", "short.tape", "--hours", "0.002"])
    words = ["backtest", "mine/my_maker.toml", "--tape", "short.tape", "--out", "done", "--fill-model", "queue"]
    done = runner.invoke(cli, words)
    assert done.exit_code == 0, done.output
    said = "strategy_failed: strategy=my_maker text=on_book raised LookupError: no price"
    assert done.output.count(f"ERROR {said}") == 1
    assert f"Error: {said}" in (tmp_path / "done" / "report.html").read_text()
    told = json.loads((tmp_path / "done" / "result.json").read_text())
    assert told["runs"]["queue"]["errors"] == [said]


def test_a_tuning_of_changed_code_is_another_tuning(tmp_path: Path) -> None:
    """What was found for the code of before would count for the code of now."""
    new("my_maker", "--folder", "mine")
    CliRunner().invoke(cli, ["tape", "simulate", "short.tape", "--hours", "0.002"])
    raw = configuration.read(tmp_path / "mine" / "my_maker.toml")
    evaluation = BacktestEvaluation(raw, {}, "my_maker", ("short.tape",), "queue", 1)
    first = evaluation.fingerprint()
    assert evaluation.fingerprint() == first
    path = tmp_path / "mine" / "my_maker.py"
    path.write_text(path.read_text().replace("2.0", "3.0"))
    own._read.cache_clear()  # another process
    assert evaluation.fingerprint() != first
