"""The filter of one's own in docs/explanation/signals.md is code that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from perpmaker.model.events import Bar
from perpmaker.strategies.schema import Table, key
from perpmaker.strategies.signals.filters import FilterReading, Regime

from .made_bars import bar

PAGE = Path(__file__).resolve().parents[4] / "docs/explanation/signals.md"


def test_the_page_shows_a_filter_that_works() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {
        "Annotated": Annotated,
        "Bar": Bar,
        "FilterReading": FilterReading,
        "Regime": Regime,
        "Table": Table,
        "key": key,
        "__name__": __name__,
    }
    exec("from __future__ import annotations\n" + code, names)  # noqa: S102 (the page's own code)
    made = names["RisingParams"](least=2.0).make()
    assert made.update(bar(0, 1000.0)) is None
    assert made.update(bar(1, 1001.0)).regime is Regime.NEUTRAL
    assert made.update(bar(2, 1003.5)).regime is Regime.TRENDING
