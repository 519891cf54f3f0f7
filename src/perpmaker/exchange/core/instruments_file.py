"""Reading an instruments file, TOML or JSON, into instruments: every mistake is named with key, value and what is allowed.

    [[instrument]]
    name = "BTC_USDT_Perp"          # <BASE>_<QUOTE>_Perp
    instrument_hash = "0x030501"    # kind, base currency, quote currency, from the low byte up
    tick_size = "0.1"
    min_size = "0.001"              # smallest size and step
    min_notional = "100"
    max_position_size = "1000"
    start_price = "60000"
    # base_decimals = 9, quote_decimals = 6, funding_interval_hours = 8 (1, 4 or 8)
    # adjusted_funding_rate_cap = "0.3", adjusted_funding_rate_floor = "-0.3"   (percent per interval)
    # activity = 1.0 (0.1 .. 2: how often takers come and how large orders are in its simulated market; 0.1 is thin)
    # [[instrument.risk_bracket]]: notional_floor, maintenance_margin_rate, initial_margin_rate, max_leverage

JSON has the same keys: {"instrument": [{...}]}. Decimals may be text or plain numbers, which are read exactly.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from perpmaker.errors import ConfigError
from perpmaker.exchange.core.amounts import whole_steps
from perpmaker.exchange.core.fees import RATE_ONE_CB
from perpmaker.exchange.core.instruments import DEFAULT_BRACKETS, Instrument, RiskBracket
from perpmaker.exchange.core.market.parameters import LEAST_ACTIVITY, MOST_ACTIVITY
from perpmaker.exchange.core.types import NANO

_REQUIRED = (
    "name",
    "instrument_hash",
    "tick_size",
    "min_size",
    "min_notional",
    "max_position_size",
    "start_price",
)
_OPTIONAL = (
    "base_decimals",
    "quote_decimals",
    "funding_interval_hours",
    "adjusted_funding_rate_cap",
    "adjusted_funding_rate_floor",
    "activity",
    "risk_bracket",
)
_BRACKET_KEYS = ("notional_floor", "maintenance_margin_rate", "initial_margin_rate", "max_leverage")
_MAX_LEVERAGE = 100
_READERS: dict[str, Callable[..., Any]] = {"toml": tomllib.loads, "json": json.loads}


def parse_instruments(text: str, *, form: str) -> tuple[Instrument, ...]:
    """Return the instruments that a file's text describes; `form` is "toml" or "json"."""
    document = _document(text, form)
    rows = document.pop("instrument", None)
    if document:
        key = next(iter(document))
        raise ConfigError(
            f"instruments: {key} = {document[key]!r} is not a key; only [[instrument]] tables are allowed"
        )
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"instruments: instrument = {rows!r}; at least one [[instrument]] table is needed")
    found = tuple(_instrument(row, f"instrument[{index}]") for index, row in enumerate(rows))
    _check_together(found)
    return found


def _document(text: str, form: str) -> dict[str, Any]:
    try:
        document = _READERS[form](text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"instruments: not {form.upper()}: {error}") from error
    except InvalidOperation as error:
        raise ConfigError("instruments: a number is too large or malformed") from error
    if not isinstance(document, dict):
        raise ConfigError(f"instruments: {document!r}; a table with [[instrument]] entries is needed")
    return document


def _instrument(row: object, at: str) -> Instrument:
    values = _table(row, at, _REQUIRED, _OPTIONAL)
    name, base, quote = _name(values["name"], at)
    tick_nano = _amount(values, "tick_size", at)
    lot_nano = _amount(values, "min_size", at)
    if tick_nano * lot_nano % NANO:
        raise ConfigError(
            f"instruments: {at}.tick_size x min_size = {values['tick_size']} x {values['min_size']}: "
            "the product must have at most nine decimal places"
        )
    decimals = _integer(values, "base_decimals", at, default=9, low=0, high=9)
    if lot_nano % 10 ** (9 - decimals):
        raise ConfigError(
            f"instruments: {at}.min_size = {values['min_size']!r}: has more than base_decimals = {decimals} places"
        )
    interval = _integer(values, "funding_interval_hours", at, default=8, low=1, high=8)
    if interval not in {1, 4, 8}:
        raise ConfigError(f"instruments: {at}.funding_interval_hours = {interval}: allowed are 1, 4, 8")
    cap_cb = _percent(values, "adjusted_funding_rate_cap", at, default=3_000)
    floor_cb = _percent(values, "adjusted_funding_rate_floor", at, default=-3_000)
    if floor_cb > cap_cb:
        raise ConfigError(
            f"instruments: {at}.adjusted_funding_rate_floor = {values['adjusted_funding_rate_floor']!r}: "
            "must not be above adjusted_funding_rate_cap"
        )
    return Instrument(
        name=name,
        asset_id=_hash(values["instrument_hash"], at),
        base=base,
        quote=quote,
        tick_nano=tick_nano,
        lot_nano=lot_nano,
        min_notional_nano=_amount(values, "min_notional", at),
        max_position_lots=_steps(values, "max_position_size", at, lot_nano, "min_size"),
        start_px_nano=_steps(values, "start_price", at, tick_nano, "tick_size") * tick_nano,
        brackets=_brackets(values.get("risk_bracket"), at),
        base_decimals=decimals,
        quote_decimals=_integer(values, "quote_decimals", at, default=6, low=0, high=9),
        funding_interval_hours=interval,
        funding_cap_cb=cap_cb,
        funding_floor_cb=floor_cb,
        activity=_activity(values, at),
    )


def _table(row: object, at: str, required: tuple[str, ...], optional: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise ConfigError(f"instruments: {at} = {row!r}: must be a table")
    for key, value in row.items():
        if key not in required and key not in optional:
            allowed = ", ".join((*required, *optional))
            raise ConfigError(f"instruments: {at}.{key} = {value!r}: unknown key; allowed are {allowed}")
    for key in required:
        if key not in row:
            raise ConfigError(f"instruments: {at}.{key} is missing")
    return row


def _name(value: object, at: str) -> tuple[str, str, str]:
    parts = value.split("_") if isinstance(value, str) else []
    if not isinstance(value, str) or len(parts) != 3 or parts[2] != "Perp" or not (parts[0] and parts[1]):
        raise ConfigError(f"instruments: {at}.name = {value!r}: must be <BASE>_<QUOTE>_Perp, e.g. BTC_USDT_Perp")
    return value, parts[0], parts[1]


def _hash(value: object, at: str) -> int:
    try:
        number = int(value, 16) if isinstance(value, str) and value.startswith("0x") else -1
    except ValueError:
        number = -1
    if not 0 < number < 1 << 256:
        raise ConfigError(f"instruments: {at}.instrument_hash = {value!r}: must be 0x and hex digits, below 2**256")
    return number


def _amount(values: Mapping[str, Any], key: str, at: str) -> int:
    """A positive decimal of at most nine places, in nanos."""
    return _steps(values, key, at, 1, None)


def _steps(values: Mapping[str, Any], key: str, at: str, step_nano: int, step_key: str | None) -> int:
    steps = whole_steps(_decimal(values[key], f"{at}.{key}"), step_nano)
    if steps is None or steps <= 0:
        rule = f"a whole multiple of {step_key}" if step_key else "of at most nine decimal places"
        raise ConfigError(f"instruments: {at}.{key} = {values[key]!r}: must be above 0 and {rule}")
    return steps


def _percent(values: Mapping[str, Any], key: str, at: str, *, default: int) -> int:
    if key not in values:
        return default
    rate = whole_steps(_decimal(values[key], f"{at}.{key}"), NANO // 10_000)
    if rate is None or abs(rate) > RATE_ONE_CB:
        raise ConfigError(f"instruments: {at}.{key} = {values[key]!r}: percent in -100 .. 100, at most four places")
    return rate


def _activity(values: Mapping[str, Any], at: str) -> float:
    if "activity" not in values:
        return 1.0
    activity = float(_decimal(values["activity"], f"{at}.activity"))
    if not LEAST_ACTIVITY <= activity <= MOST_ACTIVITY:
        raise ConfigError(
            f"instruments: {at}.activity = {values['activity']!r}: {LEAST_ACTIVITY:g} to {MOST_ACTIVITY:g}"
        )
    return activity


def _integer(values: Mapping[str, Any], key: str, at: str, *, default: int, low: int, high: int) -> int:
    value = values.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"instruments: {at}.{key} = {value!r}: must be an integer in {low} .. {high}")
    return value


def _decimal(value: object, at: str) -> Decimal:
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        try:
            return Decimal(value)
        except InvalidOperation:
            pass
    raise ConfigError(f'instruments: {at} = {value!r}: must be a decimal, e.g. "0.1"')


def _brackets(rows: object, at: str) -> tuple[RiskBracket, ...]:
    """Brackets by ascending floor; caps and cumulative amounts follow from the floors and rates."""
    if rows is None:
        return DEFAULT_BRACKETS
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"instruments: {at}.risk_bracket = {rows!r}: must be [[instrument.risk_bracket]] tables")
    brackets: list[RiskBracket] = []
    for index, row in enumerate(rows):
        bracket = _bracket(row, f"{at}.risk_bracket[{index}]", brackets[-1] if brackets else None)
        if brackets:
            brackets[-1] = msgspec.structs.replace(brackets[-1], cap_nano=bracket.floor_nano)
        brackets.append(bracket)
    return tuple(brackets)


def _bracket(row: object, at: str, before: RiskBracket | None) -> RiskBracket:
    values = _table(row, at, _BRACKET_KEYS, ())
    floor = whole_steps(_decimal(values["notional_floor"], f"{at}.notional_floor"), 1)
    if floor is None or (floor if before is None else floor <= before.floor_nano):
        rule = "the first bracket starts at 0" if before is None else "must be above the bracket before"
        raise ConfigError(f"instruments: {at}.notional_floor = {values['notional_floor']!r}: {rule}")
    maintenance = _fraction(values, "maintenance_margin_rate", at)
    cumulative = 0
    if before is not None:
        step = floor * (maintenance - before.maintenance_rate_cb) // RATE_ONE_CB
        cumulative = before.cumulative_nano + step
    return RiskBracket(
        tier=1 if before is None else before.tier + 1,
        floor_nano=floor,
        cap_nano=None,
        maintenance_rate_cb=maintenance,
        initial_rate_cb=_fraction(values, "initial_margin_rate", at),
        max_leverage=_integer(values, "max_leverage", at, default=1, low=1, high=_MAX_LEVERAGE),
        cumulative_nano=cumulative,
    )


def _fraction(values: Mapping[str, Any], key: str, at: str) -> int:
    rate = whole_steps(_decimal(values[key], f"{at}.{key}"), NANO // RATE_ONE_CB)
    if rate is None or not 0 < rate < RATE_ONE_CB:
        raise ConfigError(f"instruments: {at}.{key} = {values[key]!r}: a fraction between 0 and 1, at most six places")
    return rate


def _check_together(instruments: tuple[Instrument, ...]) -> None:
    """Names and hashes are unique; everything settles in one currency."""
    names: dict[str, int] = {}
    hashes: dict[int, int] = {}
    for index, item in enumerate(instruments):
        if item.name in names:
            raise ConfigError(f"instruments: instrument[{index}].name = {item.name!r}: listed twice")
        if item.asset_id in hashes:
            taken = instruments[hashes[item.asset_id]].name
            raise ConfigError(f"instruments: instrument[{index}].instrument_hash = {item.hash_text}: {taken} has it")
        if item.quote != instruments[0].quote:
            raise ConfigError(
                f"instruments: instrument[{index}].name = {item.name!r}: all must be quoted in one currency, "
                f"here {instruments[0].quote}"
            )
        names[item.name] = hashes[item.asset_id] = index
