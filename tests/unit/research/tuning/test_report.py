"""The report of a tuning says the verdict first, draws the map, and needs nothing from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from tests.unit.research.tuning.landscapes import SPACE, Landscape, windows

from perpmaker.research.tuning import Dimension, Outcome, Plan, Space, tune
from perpmaker.research.tuning.maps import heat_maps, place_of, strips, tells, written
from perpmaker.research.tuning.report import Told, tuning_html, write_tuning
from perpmaker.research.tuning.runners import InProcess
from perpmaker.research.tuning.search import Tried

TOLD = Told("bt: btc", "a.tape", "btc", {"x": 0.1, "y": None}, {"fill model": "queue", "latency": "20 ms"})


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    plan = Plan(trials=24, batch=4, seed=6)
    return tune(SPACE, Landscape("needle beside a hill"), windows(1), plan, InProcess(), tmp_path_factory.mktemp("t"))


def test_the_page_has_verdict_change_tests_spike_and_map(outcome: Outcome) -> None:
    html = tuning_html(outcome, TOLD)
    assert (
        html.index("Recommended with cautions: change")
        < html.index("<h2>What to change")
        < html.index("<h2>Out of sample")
    )
    for text in (
        "a.tape",
        "A spike, refused",
        "The choice and its neighbours",
        "The map",
        "Earned in the tests",
        "20 ms",
    ):
        assert text in html
    assert not re.search(r"https?://|@import|url\(", html)
    assert html.count("<svg") == html.count("</svg>") == 4  # earned, x, y, x against y


def test_everything_is_in_the_json_and_the_keys_in_a_table(outcome: Outcome, tmp_path: Path) -> None:
    write_tuning(outcome, TOLD, tmp_path)
    told = json.loads((tmp_path / "tuning.json").read_bytes())
    assert told["verdict"] == "recommended"
    assert told["recommended"] == outcome.recommended
    assert len(told["windows"][0]["trials"]) == len(outcome.windows[0].tried)
    assert told["windows"][-1]["spikes"][0]["by_dimension"]["x"] < 0.5
    assert "# none" in (tmp_path / "recommended.toml").read_text(encoding="utf-8")


def test_keys_that_are_no_longer_recommended_do_not_stay_behind(outcome: Outcome, tmp_path: Path) -> None:
    (tmp_path / "recommended.toml").write_text("old", encoding="utf-8")
    refused = tune(SPACE, Landscape("plain"), windows(1), Plan(trials=4), InProcess(), tmp_path / "p")
    write_tuning(refused, TOLD, tmp_path)
    assert not (tmp_path / "recommended.toml").exists()
    html = tuning_html(refused, TOLD)
    assert "Nothing is recommended" in html
    assert "found, not recommended" in html


def test_the_number_that_makes_the_difference_tells_most(outcome: Outcome) -> None:
    tried = outcome.newest.tried
    ordered = [msgspec.structs.replace(one, value=float(one.params["x"])) for one in tried]
    x, y = SPACE.dimensions
    assert tells(x, ordered) > 0.8 > tells(y, ordered)
    assert tells(x, ordered[:3]) == 0.0


def test_names_have_places_and_no_heat() -> None:
    names = Dimension("m", "name", choices=("a", "b"))
    tried = [Tried(place, "searched", {"m": "ab"[place % 2]}, None, float(place)) for place in range(6)]
    assert [place_of(names, choice) for choice in names.choices] == [0.25, 0.75]
    assert heat_maps(Space((names,)), tried, None) == []
    (strip,) = strips(Space((names,)), tried, tried[-1])
    assert strip.count("<circle") == 7


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (0.5, "0.5"), (3, "3"), ("glft", "glft")])
def test_values_are_written_as_a_configuration_has_them(value: float | str, text: str) -> None:
    assert written(value) == text
