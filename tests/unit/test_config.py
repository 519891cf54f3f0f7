from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from perpmaker import config
from perpmaker.errors import ConfigError


def whole(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "schema_version": 1,
        "env": "local",
        "account": {"main": {}},
        "strategy": [{"name": "btc", "kind": "market_maker", "account": "main", "instrument": "BTC_USDT_Perp"}],
    }
    return base | changes


def problems(raw: dict[str, Any], environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(raw, environment or {}, source="bot.toml")
    return str(caught.value)


def test_paper_is_the_default_mode() -> None:
    assert config.parse(whole(), {}, source="x").mode == "paper"


@pytest.mark.parametrize("env", ["prd", "production", "PROD", "", "dev"])
def test_unknown_environment_is_an_error_and_never_prod(env: str) -> None:
    text = problems(whole(env=env))
    assert "env:" in text
    assert "'local', 'testnet', 'staging' or 'prod'" in text


def test_every_problem_is_named_with_key_value_and_what_is_allowed() -> None:
    text = problems(whole(risk={"max_positon_notional": 1, "max_loss": -5, "price_collar_bps": 9999}, env="x"))
    assert "bot.toml: 4 problem(s)" in text
    assert "risk.max_positon_notional: is not a known key" in text
    assert "risk.max_loss: '-5' is not allowed; allowed: greater than 0" in text
    assert "risk.price_collar_bps: '9999' is not allowed; allowed: at most 2000" in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rsik": {"max_loss": 5}}, "rsik: is not a known key; did you mean risk?"),
        ({"risk": {"max_positon_notional": 1}}, "did you mean max_position_notional?"),
        ({"account": {"main": {"vneue": "grvt"}}}, "account.main.vneue: is not a known key; did you mean venue?"),
        ({"journal": {"x": 1}}, "journal.x: is not a known key; known are sync"),
    ],
)
def test_a_misspelt_key_is_told_what_may_have_been_meant(changed: dict[str, object], said: str) -> None:
    assert said in problems(whole(**changed))


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), "nan", "1e999999"])
def test_a_limit_that_is_not_a_finite_number_is_refused(value: object) -> None:
    assert "risk.max_drawdown_frac" in problems(whole(risk={"max_drawdown_frac": value}))


def test_decimals_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(
        'schema_version = 1\nenv = "local"\n[account.main]\n[risk]\nmax_drawdown_frac = 0.1\n'
        '[[strategy]]\nname = "a"\nkind = "k"\naccount = "main"\ninstrument = "BTC"\n[strategy.quoting]\nx = 0.3\n'
    )
    read = config.load(path, {})
    assert read.risk.max_drawdown_frac == Decimal("0.1")
    assert read.strategy[0].params == {"quoting": {"x": Decimal("0.3")}}


def test_a_variable_overrides_a_key_and_is_validated() -> None:
    assert config.parse(whole(), {"PERPMAKER__RISK__MAX_LOSS": "20"}, source="x").risk.max_loss == 20
    assert "risk.max_loss" in problems(whole(), {"PERPMAKER__RISK__MAX_LOSS": "-1"})
    assert "risk.nonsense: is not a known key" in problems(whole(), {"PERPMAKER__RISK__NONSENSE": "1"})


def test_a_strategy_of_an_unknown_account_is_refused() -> None:
    row = {"name": "btc", "kind": "market_maker", "account": "other", "instrument": "BTC_USDT_Perp"}
    assert "'other' is not an account; allowed: main" in problems(whole(strategy=[row]))


def test_two_strategies_on_one_account_and_instrument_are_refused() -> None:
    row = {"name": "a", "kind": "market_maker", "account": "main", "instrument": "BTC_USDT_Perp"}
    assert "their orders could meet" in problems(whole(strategy=[row, row | {"name": "b"}]))


def test_what_does_not_fit_together_is_named_besides_the_fields_that_are_wrong() -> None:
    row = {"name": "a", "kind": "market_maker", "account": "main", "instrument": "BTC_USDT_Perp"}
    rows = [row, row | {"name": "b"}, row | {"name": "c", "account": "other", "instrument": 7}]
    said = problems(whole(strategy=rows, env="moon"), {"PERPMAKER__RISK__MAX_LOSS": "-1"})
    for part in ("env: 'moon'", "risk.max_loss", "strategy.2.instrument", "'other' is not an account", "could meet"):
        assert part in said
    assert "5 problem(s)" in said


def test_accounts_that_cannot_be_read_are_not_held_against_the_strategies() -> None:
    said = problems(whole(account=7))
    assert "account" in said
    assert "is not an account" not in said


def test_broken_toml_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text("schema_version = \n")
    with pytest.raises(ConfigError, match="not valid TOML.*line 1"):
        config.load(path, {})


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config.load(tmp_path / "none.toml", {})


KEYS = {"GRVT_API_KEY_1": "key-abcdef", "GRVT_PRIVATE_KEY_1": "0x" + "11" * 32, "GRVT_TRADING_ACCOUNT_ID_1": "123"}


def test_credentials_are_found_by_suffix_and_do_not_print() -> None:
    found = config.credentials(config.AccountSection(credentials="1"), KEYS)
    assert found.api_key.get_secret_value() == "key-abcdef"
    assert "key-abcdef" not in repr(found)
    assert "11" * 32 not in str(found)


def test_missing_credentials_are_named() -> None:
    with pytest.raises(ConfigError, match="GRVT_API_KEY, GRVT_PRIVATE_KEY, GRVT_TRADING_ACCOUNT_ID"):
        config.credentials(config.AccountSection(), {})


def test_a_dotenv_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("".join(f"{key}={value}\n" for key, value in KEYS.items()))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        config.credentials(config.AccountSection(credentials="1"), {}, path)
    path.chmod(0o600)
    assert config.credentials(config.AccountSection(credentials="1"), {}, path).sub_account_id == "123"


FIRST = {"up_to_notional": 1000, "maintenance_frac": "0.01", "initial_frac": "0.02"}
LAST = {"maintenance_frac": "0.02"}


def test_brackets_of_margin_are_read_as_exact_numbers() -> None:
    read = config.parse(whole(simulation={"brackets": [FIRST, LAST]}), {}, source="x").simulation.brackets
    assert [(row.up_to_notional, row.maintenance_frac) for row in read] == [
        (Decimal(1000), Decimal("0.01")),
        (None, Decimal("0.02")),
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([FIRST], "every bracket but the last one ends"),
        ([LAST, LAST], "every bracket but the last one ends"),
        ([FIRST, FIRST, LAST], "must end above 1000, where the one before ends"),
        ([FIRST, {"maintenance_frac": "0.005"}], "must not be below 0.01, that of the one before"),
        ([LAST | {"initial_frac": "0.01"}], "initial_frac must be at least maintenance_frac"),
        ([LAST | {"instrument": "A_B_Perp"}, FIRST], "every bracket but the last one ends"),
        ([{"maintenance_frac": "0.51"}], "simulation.brackets.0.maintenance_frac"),
        ([{"maintenance_frac": "nan"}], "simulation.brackets.0.maintenance_frac"),
        ([FIRST | {"up_to_notional": 0}, LAST], "simulation.brackets.0.up_to_notional"),
    ],
)
def test_brackets_of_margin_that_cannot_be_are_named(rows: list[dict[str, Any]], said: str) -> None:
    assert said in problems(whole(simulation={"brackets": rows}))


@pytest.mark.parametrize("name", ["grid.toml", "local.toml"])
def test_the_shipped_configurations_are_valid(name: str) -> None:
    config.load(Path(__file__).resolve().parents[2] / "configs" / name, {})
