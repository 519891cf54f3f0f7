"""A key's range, in the key's own terms, as a line from 0 to 1."""

from __future__ import annotations

from decimal import Decimal

import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from perpmaker.config import TuneRange
from perpmaker.errors import ConfigError
from perpmaker.research.tuning import Dimension, Space
from perpmaker.research.tuning.space import dimension_of, space_of
from perpmaker.strategies.market_maker import MarketMakerParams
from perpmaker.strategies.schema import SearchKey, search_keys

KEYS = {key.name: key for key in search_keys(MarketMakerParams)}
WIDE = Dimension("w", "number", 1.0, 100.0, log=True)
WHOLE = Dimension("n", "integer", 1.0, 9.0)
NAMES = Dimension("m", "name", choices=("glft", "fixed", "volatility"))


def test_a_strategy_tells_its_keys_with_kind_bounds_and_default() -> None:
    assert KEYS["quoting.half_spread_bps"] == SearchKey("quoting.half_spread_bps", "number", 0, 1000, 5.0, ())
    assert KEYS["quoting.layers"].kind == "integer"
    assert KEYS["quoting.order_notional"].default == Decimal(200)
    assert KEYS["quoting.gamma"].default is None
    assert (KEYS["quoting.model"].kind, KEYS["quoting.model"].choices[0]) == ("name", "glft")
    assert (KEYS["instrument"].kind, KEYS["regime.latch"].kind) == ("text", "flag")


def test_a_range_comes_from_the_default_within_what_the_key_allows() -> None:
    assert dimension_of(KEYS["quoting.half_spread_bps"], TuneRange()) == Dimension(
        "quoting.half_spread_bps", "number", 1.25, 20.0
    )
    assert dimension_of(KEYS["quoting.layers"], TuneRange()) == Dimension("quoting.layers", "integer", 2, 28)
    assert dimension_of(KEYS["quoting.size_growth"], TuneRange(low=Decimal("0.5"))).high == 6.0
    assert dimension_of(KEYS["quoting.max_distance_bps"], TuneRange(high=Decimal(100))).low == 22.5


def test_names_and_flags_are_choices() -> None:
    assert dimension_of(KEYS["regime.latch"], TuneRange()).choices == (False, True)
    chosen = dimension_of(KEYS["quoting.model"], TuneRange(choices=["glft", "fixed"]))
    assert chosen.distribution == CategoricalDistribution(("glft", "fixed"))


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("quoting.gamma", TuneRange(), "give it low and high"),
        (
            "quoting.half_spread_bps",
            TuneRange(high=Decimal(2000)),
            "high = 2000 is not allowed; the key allows 0 to 1000",
        ),
        ("quoting.half_spread_bps", TuneRange(low=Decimal(30)), "must be below high = 20"),
        ("quoting.tolerance_bps", TuneRange(high=Decimal(10)), "give it low and high"),
        ("quoting.model", TuneRange(low=Decimal(1)), "has names, not numbers"),
        ("quoting.model", TuneRange(choices=["glft", "magic"]), "'magic' is not one of"),
        ("quoting.model", TuneRange(choices=["glft"]), "one choice is none"),
        ("instrument", TuneRange(), "free text"),
    ],
)
def test_a_range_that_cannot_be_says_why(name: str, asked: TuneRange, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        dimension_of(KEYS[name], asked)


def test_bounds_may_be_below_zero() -> None:
    asked = TuneRange(low=Decimal(-1), high=Decimal(1))
    assert dimension_of(KEYS["quoting.target_position"], asked).at(0.5) == 0.0


def test_a_range_upside_down_or_from_zero_with_log_is_no_range() -> None:
    with pytest.raises(ValueError, match="must be below high"):
        TuneRange(low=Decimal(2), high=Decimal(1))
    with pytest.raises(ValueError, match="above 0 with log"):
        TuneRange(low=Decimal(0), log=True)


def test_all_problems_are_told_at_once_and_nothing_to_vary_is_one() -> None:
    vary = {"quoting.half_spred_bps": TuneRange(), "instrument": TuneRange()}
    with pytest.raises(ConfigError, match=r"half_spred_bps: is not a key(.|\n)*instrument: is free text"):
        space_of(KEYS.values(), vary)
    with pytest.raises(ConfigError, match="nothing to vary"):
        space_of(KEYS.values(), {})


def test_a_place_on_a_line_and_back() -> None:
    assert [WIDE.at(unit) for unit in (0, 0.5, 1)] == [1.0, 10.0, 100.0]
    assert WIDE.unit(10.0) == pytest.approx(0.5)
    assert [WHOLE.at(unit) for unit in (0, 0.5, 0.99)] == [1, 5, 9]
    assert WHOLE.distribution == IntDistribution(1, 9)


def test_what_is_tried_has_few_digits_and_stays_inside() -> None:
    assert WIDE.rounded(12.34567) == 12.35
    assert WIDE.rounded(99.9999) == 100.0
    assert Space((WIDE, NAMES)).values({"w": 3.14159265, "m": "fixed"}) == {"w": 3.142, "m": "fixed"}


def test_neighbours_differ_in_one_number_and_whole_ones_by_one_at_least() -> None:
    space = Space((WIDE, WHOLE, NAMES))
    beside = space.neighbours({"w": 10.0, "n": 5, "m": "glft"}, (0.05, 0.25))
    assert sorted(beside) == ["n", "w"]
    assert [one["n"] for one in beside["n"]] == [4, 6, 3, 7]
    assert [one["w"] for one in beside["w"]] == [7.943, 12.59, 3.162, 31.62]
    assert all(one["m"] == "glft" and one["n"] == 5 for one in beside["w"])


def test_at_the_edge_there_are_neighbours_on_one_side_only() -> None:
    space = Space((WIDE, WHOLE))
    beside = space.neighbours({"w": 100.0, "n": 1}, (0.1,))
    assert [one["n"] for one in beside["n"]] == [2]
    assert [one["w"] for one in beside["w"]] == [63.1]
    assert space.edges({"w": 100.0, "n": 5}) == ["w"]


def test_scattered_sets_fill_every_stratum_of_every_dimension_and_repeat() -> None:
    space = Space((Dimension("x", "number", 0.0, 1.0), NAMES))
    sets = space.scattered(9, seed=3)
    assert sorted(int(float(one["x"]) * 9) for one in sets) == list(range(9))
    assert [sorted(str(one["m"]) for one in sets).count(name) for name in ("fixed", "glft", "volatility")] == [3, 3, 3]
    assert sets == space.scattered(9, seed=3) != space.scattered(9, seed=4)


def test_a_distance_is_taken_among_the_numbers_it_is_asked_of() -> None:
    space = Space((Dimension("x", "number", 0.0, 1.0), WHOLE))
    assert space.distance({"x": 0.2, "n": 1}, {"x": 0.5, "n": 9}, ["x"]) == pytest.approx(0.3)
    assert space.distance({"x": 0.2, "n": 1}, {"x": 0.5, "n": 9}, ["x", "n"]) == 1.0
