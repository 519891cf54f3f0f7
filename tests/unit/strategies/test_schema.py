from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest

from perpmaker.strategies.schema import Table, key, read_table, table_schema


class _Inner(Table, frozen=True, kw_only=True):
    horizon_s: Annotated[float, key("s", "How far ahead.", gt=0, le=60)] = 10.0
    on: Annotated[bool, key("", "Whether.")] = True


class _Outer(Table, frozen=True, kw_only=True):
    symbol: Annotated[str, key("", "Which.")]
    half_spread_bps: Annotated[float, key("bps", "How far.", ge=0)] = 5.0
    size: Annotated[Decimal, key("base currency", "How much.", gt=0)] = Decimal(1)
    layers: Annotated[int, key("", "How many.", ge=1, le=9)] = 3
    gamma: Annotated[float | None, key("", "How shy.", gt=0)] = None
    ladder: Annotated[Literal["flat", "linear"], key("", "Its form.")] = "flat"
    inner: _Inner = msgspec.field(default_factory=_Inner)

    def problems(self) -> list[str]:
        return ["layers = 9: too many for linear"] if self.layers == 9 and self.ladder == "linear" else []


def _problems(**values: Any) -> list[str]:
    made, problems = read_table(_Outer, {"symbol": "BTC", **values})
    assert (made is None) == bool(problems)
    return list(problems)


def test_defaults_fill_what_is_absent() -> None:
    made, problems = read_table(_Outer, {"symbol": "BTC"})
    assert made == _Outer(symbol="BTC")
    assert problems == ()


def test_numbers_arrive_as_their_types() -> None:
    made, _ = read_table(
        _Outer,
        {"symbol": "BTC", "half_spread_bps": 3, "size": 0.1, "gamma": Decimal("0.5"), "inner": {"horizon_s": 5}},
    )
    assert made is not None
    assert (made.half_spread_bps, made.size, made.gamma, made.inner.horizon_s) == (3.0, Decimal("0.1"), 0.5, 5.0)
    assert isinstance(made.half_spread_bps, float)
    assert isinstance(made.gamma, float)


def test_a_decimal_may_be_text_so_that_it_stays_exact() -> None:
    made, _ = read_table(_Outer, {"symbol": "BTC", "size": "0.100"})
    assert made is not None
    assert str(made.size) == "0.100"


def test_a_missing_key_is_named() -> None:
    _, problems = read_table(_Outer, {})
    assert problems == ("symbol is missing: it must be a name",)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"half_spread_bps": -1}, "half_spread_bps = -1: must be a number >= 0, in bps"),
        ({"half_spread_bps": "5 bps"}, "half_spread_bps = '5 bps': must be a number >= 0, in bps"),
        ({"half_spread_bps": float("nan")}, "half_spread_bps = nan: must be a number >= 0, in bps"),
        ({"half_spread_bps": True}, "half_spread_bps = true: must be a number >= 0, in bps"),
        ({"half_spread_bps": 10**400}, f"half_spread_bps = {10**400}: must be a number >= 0, in bps"),
        ({"size": "much"}, "size = 'much': must be a number > 0, in base currency"),
        ({"size": "inf"}, "size = 'inf': must be a number > 0, in base currency"),
        ({"size": "1E+999999"}, "size = '1E+999999': must be a number > 0, in base currency"),
        ({"size": "1E-999999"}, "size = '1E-999999': must be a number > 0, in base currency"),
        ({"layers": 2.5}, "layers = 2.5: must be a whole number >= 1 and <= 9"),
        ({"layers": 10}, "layers = 10: must be a whole number >= 1 and <= 9"),
        ({"ladder": "steep"}, "ladder = 'steep': must be one of flat, linear"),
        ({"symbol": ""}, "symbol = '': must be a name"),
        ({"inner": 5}, "inner = 5: must be a table"),
        ({"inner": {"horizon_s": 61}}, "inner.horizon_s = 61: must be a number > 0 and <= 60, in s"),
        ({"inner": {"on": 1}}, "inner.on = 1: must be true or false"),
    ],
)
def test_an_impossible_value_names_key_value_and_what_is_allowed(values: dict[str, Any], said: str) -> None:
    assert _problems(**values) == [said]


def test_a_key_in_the_wrong_unit_names_the_right_one() -> None:
    assert _problems(half_spread_pct=0.05) == [
        "half_spread_pct = 0.05: unknown key; did you mean half_spread_bps, a number >= 0, in bps?"
    ]
    assert _problems(inner={"horizon_ms": 500}) == [
        "inner.horizon_ms = 500: unknown key; did you mean horizon_s, a number > 0 and <= 60, in s?"
    ]


def test_a_misspelt_key_suggests_the_nearest() -> None:
    (said,) = _problems(layer=2)
    assert said.startswith("layer = 2: unknown key; did you mean layers, ")


def test_a_strange_key_lists_the_known_ones() -> None:
    (said,) = _problems(xyz=1)
    assert said == ("xyz = 1: unknown key; known are symbol, half_spread_bps, size, layers, gamma, ladder, inner")


def test_every_problem_is_listed_at_once() -> None:
    assert len(_problems(layers=0, size=-1, xyz=1, inner={"horizon_s": 0})) == 4


def test_problems_between_keys_are_listed_with_the_others() -> None:
    assert _problems(layers=9, ladder="linear") == ["layers = 9: too many for linear"]
    assert _problems(layers=9, ladder="linear", size=-1)[1:] == ["layers = 9: too many for linear"]


def test_a_problem_between_keys_is_not_judged_by_a_value_that_was_not_meant() -> None:
    class Pair(Table, frozen=True, kw_only=True):
        near_bps: Annotated[float, key("bps", "Near.", ge=0)] = 5.0
        far_bps: Annotated[float, key("bps", "Far.", ge=0)] = 50.0

        def problems(self) -> list[str]:
            return ["near_bps must be under far_bps"] if self.near_bps >= self.far_bps else []

    assert read_table(Pair, {"near_bps": 60})[1] == ("near_bps must be under far_bps",)
    assert len(read_table(Pair, {"near_bps": 60, "far_bps": -1})[1]) == 1
    assert len(read_table(Pair, {"near_bps": 60, "far_pct": 1})[1]) == 1


def test_the_schema_tells_unit_range_default_and_meaning() -> None:
    rows = {row.name: row for row in table_schema(_Outer)}
    assert next(iter(rows)) == "symbol"
    assert rows["symbol"].required
    horizon = rows["inner.horizon_s"]
    assert (horizon.type, horizon.unit, horizon.default, horizon.doc) == ("number", "s", "10.0", "How far ahead.")
    assert horizon.allowed == "a number > 0 and <= 60, in s"
    assert rows["gamma"].type == "number, optional"
    assert rows["gamma"].default == "none"
