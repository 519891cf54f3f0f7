"""`perpmaker tune` on a real engine and a short tape: what it says, what it writes, what it refuses."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.engine.backtest_tape import CONFIG, write_tape

from perpmaker.cli.main import cli
from perpmaker.errors import ConfigError

VARY = ("--vary", "quoting.half_spread_bps=0.02:2:log", "--vary", "quoting.layers=1:3")
QUICK = ("--trials", "4", "--folds", "1", "--train-parts", "2", "--min-fills", "1", "--workers", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tune")
    write_tape(made / "btc.tape", seconds=12)
    (made / "bt.toml").write_text(CONFIG, encoding="utf-8")
    return made


def tune(folder: Path, *arguments: str, config: str = "bt.toml") -> Result:
    told = ["--home", str(folder), "tune", str(folder / config), "--tape", str(folder / "btc.tape"), *arguments]
    return CliRunner().invoke(cli, told, catch_exceptions=False)


@pytest.mark.mostly_waits
@pytest.mark.timeout(300)
def test_a_tuning_tells_its_verdict_and_goes_on_where_it_ended(folder: Path) -> None:
    vary = ("--vary", "quoting.half_spread_bps=0.02:2:log", "--vary", "quoting.model=fixed,volatility")
    done = tune(folder, *vary, *QUICK)
    assert done.exit_code == 0, done.output
    for text in (
        "quoting.half_spread_bps",
        "tape btc.tape",
        "fill model queue",
        "maker -0.01 bps",
        "seed 1",
        "report: ",
    ):
        assert text in done.output
    (made,) = (folder / "tunings").iterdir()
    assert made.name.startswith("bt-btc-")
    page = (made / "report.html").read_text(encoding="utf-8")
    for text in ("quoting.model", "Every trial, key by key", "Out of sample", "deflated Sharpe"):
        assert text.lower() in page.lower()
    told = json.loads((made / "tuning.json").read_bytes())
    assert told["present"] == {"quoting.half_spread_bps": 0.02, "quoting.model": "fixed"}
    assert [window["window"]["name"] for window in told["windows"]] == ["fold 1", "newest"]
    assert all(trial["hash"] and trial["fills"] >= 0 for trial in told["windows"][0]["trials"] if not trial["error"])

    again = tune(folder, *vary, *QUICK, "--json")
    assert json.loads(again.stdout)["windows"] == told["windows"]
    assert (made / "trials.journal").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to vary"),
        (("--vary", "quoting.half_spread"), "is not a key of the strategy; did you mean quoting.half_spread_bps"),
        (("--vary", "quoting.layers=3:1"), "LOW below HIGH"),
        (("--vary", "quoting.layers=a:b"), "LOW below HIGH"),
        (("--vary", "quoting.half_spread_bps=1:2:lin"), "can only be log"),
        (("--vary", "quoting.model=glft,magic"), "'magic' is not one of"),
        ((*VARY, "--strategy", "eth"), "'eth' is no strategy"),
        ((*VARY, "--engine", "dask"), "needs the --address"),
        ((*VARY, "--address", "tcp://127.0.0.1:1"), "needs --engine dask"),
        ((*VARY, "--from", "2030-01-01"), "--from 2030-01-01: is after the tape's end"),
        ((*VARY, "--folds", "50"), "too short for 50 fold"),
    ],
)
def test_what_cannot_be_asked_is_said(arguments: tuple[str, ...], said: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        tune(folder, *arguments)


def test_a_configuration_names_strategy_objective_and_ranges(folder: Path) -> None:
    from perpmaker.cli.tune import _Asked

    asked_for = '[tune]\nstrategy = "btc"\nobjective = "cost"\n[tune.vary]\n"quoting.layers" = { low = 1, high = 4 }\n'
    (folder / "with.toml").write_text(CONFIG.replace("[[strategy]]", f"{asked_for}[[strategy]]"), encoding="utf-8")
    options = {
        "strategy_name": "", "objective": None, "vary": (), "begin": None, "end": None, "folds": 2, "train_parts": 2,
        "embargo_s": 0.0, "tapes": (folder / "btc.tape",), "fill_model": None, "named": (), "seed": 1, "sampler": "tpe",
        "trials": 9, "batch": None, "min_fills": 5,
    }  # fmt: skip
    asked = _Asked(folder / "with.toml", options)
    assert [(one.name, one.low, one.high) for one in asked.space.dimensions] == [("quoting.layers", 1, 4)]
    assert (asked.objective, asked.plan(3).batch, len(asked.windows)) == ("cost", 3, 3)
    assert asked.told().present == {"quoting.layers": 2}
    changed = asked.evaluate.config({"quoting.layers": 4}).strategy[0]
    assert changed.params["quoting"]["layers"] == 4
    assert changed.params["quoting"]["model"] == "fixed"
    assert asked.evaluate.config({}).strategy[0].params["quoting"]["layers"] == 2


def test_recommended_keys_are_a_table_to_paste() -> None:
    from perpmaker.research.tuning.report import Told, recommended_toml

    told = Told("t", "a.tape", "btc", {"quoting.layers": 2, "quoting.model": "fixed", "book_interval_ms": 50}, {})
    text = recommended_toml({"quoting.layers": 3, "quoting.model": "glft", "book_interval_ms": 100}, told)
    read = tomllib.loads(text)
    assert read == {"book_interval_ms": 100, "strategy": {"quoting": {"layers": 3, "model": "glft"}}}
    assert "layers = 3  # 2" in text
