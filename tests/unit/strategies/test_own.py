"""A strategy in a file of one's own: found by the configuration alone, and wrong ones named with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from perpmaker import config as configuration
from perpmaker.engine.assembly import _hash_of
from perpmaker.engine.core.added import spec_of
from perpmaker.engine.records import StrategyAdded
from perpmaker.errors import ConfigError
from perpmaker.model.ids import AccountId, StrategyId
from perpmaker.strategies import own
from perpmaker.strategies.own import code_of, is_own, shown_kind
from perpmaker.strategies.registry import make_strategy, params_schema, parse_params, strategy_class

BTC = "BTC_USDT_Perp"
GOOD = """
from __future__ import annotations

from typing import Annotated, ClassVar

from perpmaker.strategies.api import Strategy, StrategyParams
from perpmaker.strategies.schema import key


class MineParams(StrategyParams, frozen=True, kw_only=True):
    width_bps: Annotated[float, key("bps", "How wide.", gt=0, le=100)] = 5.0


class Mine(Strategy[MineParams]):
    params_type: ClassVar[type[StrategyParams]] = MineParams

    def on_book(self, ctx, book):
        ctx.cancel_all(self.params.instrument)
"""
CONFIG = """
schema_version = 1
env = "local"
[account.main]
[[strategy]]
name = "mine"
kind = "{kind}"
account = "main"
instrument = "BTC_USDT_Perp"
"""


def _kind(folder: Path, text: str = GOOD, name: str = "Mine") -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return f"{path}:{name}"


def _refused(folder: Path, text: str, name: str = "Mine") -> str:
    kind = _kind(folder, text, name)
    with pytest.raises(ConfigError) as caught:
        strategy_class(kind)
    said = str(caught.value)
    assert said.startswith(f"kind = {kind!r}: ")
    return said.removeprefix(f"kind = {kind!r}: ")


def test_a_class_in_a_file_is_a_strategy_like_any_other(tmp_path: Path) -> None:
    kind = _kind(tmp_path)
    strategy = make_strategy(kind, {"instrument": BTC, "width_bps": 7})
    assert type(strategy).__name__ == "Mine"
    assert strategy.hooks == {"on_book"}
    assert [row.name for row in params_schema(kind)] == ["instrument", "width_bps"]
    assert strategy_class(kind) is type(strategy)


def test_its_parameters_are_checked_like_those_of_any_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_params(_kind(tmp_path), {"instrument": BTC, "width_bps": 700, "wide": 1})
    assert "wide = 1: unknown key; known are instrument, width_bps" in str(caught.value)
    assert "width_bps = 700: must be a number > 0 and <= 100, in bps" in str(caught.value)


def test_the_file_counts_from_the_folder_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "mine"
    inner.mkdir()
    kind = _kind(inner)
    (inner / "mine.toml").write_text(CONFIG.format(kind="mine.py:Mine"))
    monkeypatch.chdir(tmp_path)
    (row,) = configuration.load(Path("mine/mine.toml"), {}).strategy
    assert row.kind == kind
    assert (is_own(kind), shown_kind(kind)) == (True, "mine.py:Mine")


def test_a_kind_that_perpmaker_brings_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(CONFIG.format(kind="grid"))
    assert configuration.load(path, {}).strategy[0].kind == "grid"
    assert (is_own("grid"), shown_kind("grid"), code_of("grid")) == (False, "grid", b"")


def test_code_that_changed_has_another_digest(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, second = _kind(tmp_path), _kind(tmp_path / "other", GOOD + "\n")
    assert code_of(first) == code_of(first) != code_of(second)


def test_only_a_configuration_may_name_a_file(tmp_path: Path) -> None:
    """What people start while the engine runs comes over the control API, or out of a journal."""
    added = StrategyAdded(StrategyId("mine"), _kind(tmp_path, "raise SystemExit"), 1, AccountId("main"), {}, 0)
    with pytest.raises(ConfigError, match="only a configuration file may name"):
        spec_of(added)


def test_a_relative_file_without_a_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'mine\.py:Mine': the file has to be named by a configuration file"):
        strategy_class("mine.py:Mine")


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        strategy_class(f"{tmp_path}/nowhere.py:Mine")
    assert f"there is no such file; a relative name counts from the configuration's folder, {tmp_path}" in str(
        caught.value
    )


def test_a_missing_class_names_those_there_are(tmp_path: Path) -> None:
    said = _refused(tmp_path, GOOD, "Yours")
    assert said == "the file has no Yours; allowed is a class derived from Strategy: it has Mine"
    assert _refused(tmp_path, GOOD, "MineParams") == "MineParams is not a class derived from Strategy; it has Mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nraise ValueError('not today')\n", "line 2 raised ValueError: not today"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", "line 2 raised ZeroDivisionError: division by zero"),
        ("class Mine(:\n", "line 1 is not Python: "),
        ("import mine_too\n", "; a strategy imports from perpmaker and from installed packages, not from files beside"),
    ],
)
def test_a_file_that_raises_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in _refused(tmp_path, text)


def test_parameters_that_are_not_named_twice_are_noticed(tmp_path: Path) -> None:
    text = GOOD.replace("    params_type: ClassVar[type[StrategyParams]] = MineParams\n", "")
    assert _refused(tmp_path, text) == "its parameters are MineParams: say params_type = MineParams in Mine"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("width_bps: Annotated[float,", "account: Annotated[float,", "MineParams.account: is a key of every"),
        ("def on_book", "def on_books", "Mine.on_books: is no hook, nothing calls it; hooks are on_start, on_book"),
        ("Annotated[float,", "Annotated[list[float],", "MineParams: a key must be a bool, int, float, Decimal, str"),
    ],
)
def test_what_would_never_work_is_refused_at_once(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in _refused(tmp_path, GOOD.replace(old, new))


def test_a_strategy_that_cannot_be_made_is_a_wrong_configuration(tmp_path: Path) -> None:
    text = GOOD + "\n    def __init__(self, params):\n        raise RuntimeError('no model file')\n"
    with pytest.raises(ConfigError, match="cannot be made: RuntimeError: no model file"):
        make_strategy(_kind(tmp_path, text), {"instrument": BTC})


def test_code_that_changed_has_to_be_armed_anew(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(CONFIG.format(kind=_kind(tmp_path)))
    first = _hash_of(configuration.load(path, {}))
    assert _hash_of(configuration.load(path, {})) == first
    own._read.cache_clear()  # another process
    _kind(tmp_path, GOOD.replace("5.0", "6.0"))
    assert _hash_of(configuration.load(path, {})) != first
