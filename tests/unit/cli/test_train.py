"""`perpmaker train regime` on a real engine and a short tape: what it says, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.engine.backtest_tape import CONFIG, write_tape

from perpmaker.cli.config import load_whole
from perpmaker.cli.main import cli
from perpmaker.errors import ConfigError
from perpmaker.research.regime import evaluation, fitting
from perpmaker.strategies.regimes.model import parse_model

QUICK = ("--folds", "1", "--train-parts", "2", "--window-s", "10")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("train")
    write_tape(made / "btc.tape", seconds=70)
    (made / "bt.toml").write_text(CONFIG, encoding="utf-8")
    return made


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (evaluation, fitting):
        monkeypatch.setattr(module, "LEAST_SAMPLES", 30)
    monkeypatch.setattr(evaluation, "MIN_FILLS", 1)


def train(folder: Path, *arguments: str) -> Result:
    told = ["--home", str(folder), "train", "regime", "--tape", str(folder / "btc.tape"), *arguments]
    return CliRunner().invoke(cli, told, catch_exceptions=False)


@pytest.mark.usefixtures("few_are_enough")
def test_a_training_writes_a_model_and_says_whether_it_pays(folder: Path) -> None:
    model = folder / "models" / "regime.json"
    arguments = (
        *QUICK,
        "--config",
        str(folder / "bt.toml"),
        "--output",
        str(model),
        "--report",
        str(folder / "report"),
    )
    done = train(folder, *arguments)
    assert done.exit_code == 0, done.output
    for text in (
        "with the model",
        "control: its average",
        "trending",
        "agreement",
        "tape btc.tape",
        "queue",
        "model:",
    ):
        assert text in done.output
    told = json.loads((folder / "report" / "report.json").read_bytes())
    assert told["pays"] == done.output.startswith("it pays")
    assert {(one["over"], one["fill_model"]) for one in told["gains"]} == {
        ("without", "queue"), ("without", "pessimistic"), ("without", "optimistic"), ("control", "queue"),
    }  # fmt: skip
    (fold,) = told["folds"]
    assert {trial["arm"] for trial in fold["trials"]} == {"without", "with", "control"}
    assert fold["window"]["test_from_ns"] >= fold["window"]["train_to_ns"]
    hashes = {(trial["arm"], trial["fill_model"]): trial["digest"] for trial in fold["trials"]}
    assert hashes["without", "queue"] != hashes["with", "queue"]
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    for text in (
        "Price and state",
        "How likely each state is",
        "Earned in the tests",
        "Gain of the model",
    ):
        assert text in page
    trained = parse_model(model.read_bytes())
    assert (trained.window_s, trained.trained["tape"]) == (10, "btc.tape")

    (folder / "with.toml").write_text(f'{CONFIG}[strategy.regime]\nmodel = "models/regime.json"\n', encoding="utf-8")
    assert str(load_whole(folder / "with.toml")["strategy"]).count(str(model)) == 1
    with pytest.raises(ConfigError, match="is there already; choose another name, or write over it by --force"):
        train(folder, *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--instrument", "ETH_USDT_Perp"), "say one of the tape's: BTC_USDT_Perp"),
        (("--folds", "50", "--train-parts", "50"), "too short for 50 fold"),
        (("--from", "2030-01-01"), "--from 2030-01-01: is after the tape's end"),
        (QUICK, "are needed: give a longer tape or fewer folds"),
    ],
)
def test_what_cannot_be_trained_is_said(arguments: tuple[str, ...], said: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        train(folder, *arguments)


def test_only_a_market_maker_has_a_regime_model(folder: Path) -> None:
    head, _, _ = CONFIG.partition("[[strategy]]")
    row = '[[strategy]]\nname = "g"\nkind = "grid"\naccount = "main"\ninstrument = "BTC_USDT_Perp"\n'
    (folder / "grid.toml").write_text(head + row, encoding="utf-8")
    with pytest.raises(ConfigError, match="is a grid; only a market_maker has a regime model"):
        train(folder, "--config", str(folder / "grid.toml"))
