"""What pages have their readers write works as it stands: the first strategy, a quoting model, a regime filter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.docs.edits import blocks, changed, write_down
from tests.unit.docs.pages import ROOT

from perpmaker.cli.main import cli
from perpmaker.cli.new_strategy import text_of
from perpmaker.research.practice import practise

STRATEGY = ROOT / "docs" / "tutorial" / "your-first-strategy.md"
BACKTEST = ROOT / "docs" / "tutorial" / "your-first-backtest.md"
HOW_TOS = [ROOT / "docs" / "howto" / name for name in ("add-a-quoting-model.md", "add-a-regime-filter.md")]
HEAD = """
schema_version = 1
env = "local"
[account.main]
[[strategy]]
name = "btc"
kind = "market_maker"
account = "main"
instrument = "BTC_USDT_Perp"
"""


def pytest_says(folder: Path, *arguments: str, **environment: str) -> str:
    """Run tests with the checkout's settings; returns what pytest says when all pass."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")} | environment
    words = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), *arguments]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=folder, env=variables, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def formatted(folder: Path, *paths: Path) -> bool:
    ruff = Path(sys.executable).parent / "ruff"
    for words in (("format", "--check"), ("check", "--ignore", "S101")):
        options = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), *map(str, paths)]
        done = subprocess.run([ruff, *words, *options], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return True


@pytest.fixture
def strategy_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["new", "strategy", "my_maker"]).exit_code == 0
    return tmp_path / "strategies" / "my_maker"


@pytest.mark.timeout(300)
def test_the_first_strategy_changed_as_the_tutorial_says_passes_its_test(strategy_folder: Path, tmp_path: Path) -> None:
    touched = write_down(STRATEGY, tmp_path)
    assert sorted(path.name for path in touched) == ["my_maker.py", "test_my_maker.py"]
    assert "6 passed" in pytest_says(tmp_path, str(strategy_folder))
    assert formatted(tmp_path, strategy_folder / "my_maker.py")


def test_the_tutorial_shows_the_strategy_that_is_written() -> None:
    written = text_of("strategy.py.txt", "my_maker") + text_of("config.toml.txt", "my_maker")
    flat = "".join(written.split())
    shown = [block for block in blocks(STRATEGY) if block.language in ("python", "toml") and "def " not in block.text]
    assert len(shown) == 3
    for block in shown:
        assert "".join(block.text.split()) in flat, block.text


def test_the_first_backtest_loses_at_one_bps_and_earns_at_three_as_the_tutorial_says(strategy_folder: Path) -> None:
    path = strategy_folder / "my_maker.toml"
    near = practise(path, minutes=3, seed=7).figures
    text = path.read_text()
    assert "half_spread_bps = 1\n" in text
    path.write_text(text.replace("half_spread_bps = 1\n", "half_spread_bps = 3\n"))
    far = practise(path, minutes=3, seed=7).figures
    assert near.pnl < 0 < near.spread < -near.adverse
    assert far.pnl > 0
    assert far.fills < near.fills / 2
    assert -far.adverse < -near.adverse


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_what_a_how_to_adds_to_perpmaker_works_as_it_stands(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "static"))
    for folder in ("quoting", "signals"):
        (tmp_path / "tests" / "unit" / "strategies" / folder).mkdir(parents=True)
    touched = write_down(page, tmp_path)
    assert len(touched) == {"add-a-quoting-model": 4, "add-a-regime-filter": 3}[page.stem]
    assert formatted(tmp_path, *touched)
    (config,) = [block.text for block in blocks(page) if block.language == "toml"]
    (tmp_path / "bot.toml").write_text(f"{HEAD}\n{config}")
    (tmp_path / "test_configuration.py").write_text(
        "import perpmaker\nfrom pathlib import Path\nfrom perpmaker.cli.config import load_whole\n\n\n"
        "def test_it_is_the_changed_copy_and_takes_the_pages_configuration():\n"
        f"    assert perpmaker.__file__.startswith({str(tmp_path)!r})\n"
        "    assert load_whole(Path('bot.toml'))\n"
    )
    tests = [path for path in touched if path.name.startswith("test_")]
    said = pytest_says(tmp_path, "test_configuration.py", *map(str, tests), PYTHONPATH=str(tmp_path / "src"))
    assert "5 passed" in said


def test_a_change_that_does_not_fit_would_be_found() -> None:
    assert changed("a\nb\n", " a\n-b\n+c\n", "a page") == "a\nc\n"
    with pytest.raises(AssertionError, match="are there 0 times"):
        changed("a\nb\n", "-x\n+c\n", "a page")
