"""The listed instruments and the reading of an instruments file."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from benchmarks.soak import THIN, THREE

from perpmaker.errors import ConfigError
from perpmaker.exchange.core.instruments import BTC, DEFAULT_BRACKETS, DEFAULT_INSTRUMENTS, SOL
from perpmaker.exchange.core.instruments_file import parse_instruments
from perpmaker.exchange.core.types import NANO

ROW: dict[str, Any] = {
    "name": "BTC_USDT_Perp",
    "instrument_hash": "0x030501",
    "tick_size": "0.1",
    "min_size": "0.001",
    "min_notional": "100",
    "max_position_size": "1000",
    "start_price": "60000",
}


def read(*rows: dict[str, Any]) -> Any:
    return parse_instruments(json.dumps({"instrument": list(rows)}), form="json")


def test_listed_instruments_are_as_the_issue_names_them() -> None:
    assert [
        (item.name, item.hash_text, item.px_text(1), item.qty_text(1), item.min_notional_nano // NANO)
        for item in DEFAULT_INSTRUMENTS
    ] == [
        ("BTC_USDT_Perp", "0x030501", "0.1", "0.001", 100),
        ("ETH_USDT_Perp", "0x030401", "0.01", "0.01", 20),
        ("SOL_USDT_Perp", "0x030601", "0.01", "0.1", 20),
    ]
    assert [item.start_px_nano // NANO for item in DEFAULT_INSTRUMENTS] == [60_000, 2_600, 150]
    assert SOL.guess
    assert not BTC.guess


@pytest.mark.parametrize(("before", "after"), list(pairwise(DEFAULT_BRACKETS)))
def test_maintenance_margin_is_continuous_between_brackets(before: Any, after: Any) -> None:
    at = after.floor_nano
    assert before.cap_nano == at
    assert (
        at * before.maintenance_rate_cb - before.cumulative_nano * 10**6
        == at * after.maintenance_rate_cb - after.cumulative_nano * 10**6
    )


def test_file_with_the_required_keys_gives_the_listed_btc() -> None:
    assert read(ROW) == (BTC,)


def test_toml_reads_plain_numbers_exactly() -> None:
    text = """
    [[instrument]]
    name = "DOGE_USDT_Perp"
    instrument_hash = "0x031101"
    tick_size = 0.00001
    min_size = 1
    min_notional = 5
    max_position_size = 1e7
    start_price = 0.16543
    base_decimals = 0
    funding_interval_hours = 4
    adjusted_funding_rate_cap = 0.75
    [[instrument.risk_bracket]]
    notional_floor = 0
    maintenance_margin_rate = 0.01
    initial_margin_rate = 0.02
    max_leverage = 50
    [[instrument.risk_bracket]]
    notional_floor = "100000"
    maintenance_margin_rate = "0.02"
    initial_margin_rate = "0.04"
    max_leverage = 25
    """
    (doge,) = parse_instruments(text, form="toml")
    assert (doge.tick_nano, doge.lot_nano, doge.start_px_nano) == (10_000, NANO, 165_430_000)
    assert (doge.funding_interval_hours, doge.funding_cap_cb, doge.funding_floor_cb) == (4, 7_500, -3_000)
    assert [(row.floor_nano, row.cap_nano, row.cumulative_nano) for row in doge.brackets] == [
        (0, 100_000 * NANO, 0),
        (100_000 * NANO, None, 1_000 * NANO),
    ]


def test_a_file_may_say_how_lively_an_instruments_market_is() -> None:
    assert read(ROW | {"activity": "0.1"})[0].activity == 0.1
    assert read(ROW)[0].activity == 1.0


def test_the_long_runs_listing_is_the_default_one_and_a_thin_market() -> None:
    found = parse_instruments(THREE + THIN, form="toml")
    assert found[:-1] == tuple(msgspec.structs.replace(row, guess=False) for row in DEFAULT_INSTRUMENTS)
    assert found[-1].activity == 0.1


def bracket(**change: Any) -> dict[str, Any]:
    row = {
        "notional_floor": "0",
        "maintenance_margin_rate": "0.1",
        "initial_margin_rate": "0.2",
        "max_leverage": 5,
    }
    return {"risk_bracket": [row | change]}


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("unknown key", {"tick": "0.1"}, r"instrument\[0\].tick = '0.1': unknown key; allowed are name, "),
    ("name", {"name": "BTCUSDT"}, r"name = 'BTCUSDT': must be <BASE>_<QUOTE>_Perp"),
    ("hash", {"instrument_hash": "30501"}, r"instrument_hash = '30501': must be 0x"),
    ("zero tick", {"tick_size": "0"}, r"tick_size = '0': must be above 0"),
    ("text tick", {"tick_size": "a tenth"}, r"tick_size = 'a tenth': must be a decimal"),
    ("boolean tick", {"tick_size": True}, r"tick_size = True: must be a decimal"),
    ("too fine", {"tick_size": "0.0000000001"}, r"at most nine decimal places"),
    ("product too fine", {"tick_size": "0.00001", "min_size": "0.00001"}, r"product must have at most nine"),
    ("decimals", {"base_decimals": 2}, r"min_size = '0.001': has more than base_decimals = 2 places"),
    ("negative notional", {"min_notional": "-1"}, r"min_notional = '-1': must be above 0"),
    ("position step", {"max_position_size": "0.0005"}, r"max_position_size = '0.0005': .* multiple of min_size"),
    ("start tick", {"start_price": "60000.05"}, r"start_price = '60000.05': .* multiple of tick_size"),
    ("start NaN", {"start_price": "NaN"}, r"start_price = 'NaN'"),
    ("interval", {"funding_interval_hours": 3}, r"funding_interval_hours = 3: allowed are 1, 4, 8"),
    ("interval text", {"funding_interval_hours": "8"}, r"funding_interval_hours = '8': must be an integer"),
    ("cap", {"adjusted_funding_rate_cap": "0.00001"}, r"adjusted_funding_rate_cap = '0.00001': percent"),
    ("floor over cap", {"adjusted_funding_rate_floor": "0.4"}, r"adjusted_funding_rate_floor = '0.4': must not be above"),
    ("still", {"activity": 0}, r"activity = 0: 0.1 to 2"),
    ("activity NaN", {"activity": "NaN"}, r"activity = 'NaN': 0.1 to 2"),
    ("brackets", {"risk_bracket": []}, r"risk_bracket = \[\]: must be"),
    ("first floor", bracket(notional_floor="1"), r"risk_bracket\[0\].notional_floor = '1': the first bracket starts at 0"),
    ("rate", bracket(maintenance_margin_rate="1"), r"maintenance_margin_rate = '1': a fraction between 0 and 1"),
    ("leverage", bracket(max_leverage=500), r"max_leverage = 500: must be an integer in 1 .. 100"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "text"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistake_is_named_with_key_value_and_what_is_allowed(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        read(ROW | change)


@pytest.mark.parametrize("key", list(ROW))
def test_missing_key_is_named(key: str) -> None:
    row = dict(ROW)
    del row[key]
    with pytest.raises(ConfigError, match=rf"instrument\[0\].{key} is missing"):
        read(row)


def test_instruments_must_differ_and_share_a_quote_currency() -> None:
    eth = ROW | {"name": "ETH_USDT_Perp", "instrument_hash": "0x030401"}
    assert len(read(ROW, eth)) == 2
    with pytest.raises(ConfigError, match="listed twice"):
        read(ROW, ROW | {"instrument_hash": "0x01"})
    with pytest.raises(ConfigError, match="BTC_USDT_Perp has it"):
        read(ROW, eth | {"instrument_hash": "0x030501"})
    with pytest.raises(ConfigError, match="one currency, here USDT"):
        read(ROW, eth | {"name": "ETH_USDC_Perp"})


@pytest.mark.parametrize(
    ("text", "form", "error"),
    [
        ("[[instrument]", "toml", "not TOML"),
        ("{", "json", "not JSON"),
        ("[]", "json", "a table"),
        ("{}", "json", "at least one"),
        ('{"instrument": [], "venue": 1}', "json", "venue = 1 is not a key"),
        ('{"instrument": ["BTC"]}', "json", r"instrument\[0\] = 'BTC': must be a table"),
    ],
)
def test_file_of_another_shape_is_refused(text: str, form: str, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        parse_instruments(text, form=form)
