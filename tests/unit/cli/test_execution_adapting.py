"""`perpmaker execute --adapt`: narrower caps and fitting timeouts from the journal, never wider ones."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.cli.test_execute import book, engine, wanted
from tests.unit.engine.chronicle import written
from tests.unit.engine.rig import BTC
from tests.unit.engine.test_executions import execute, idle_rig

from perpmaker.cli.execution_adapting import adapted, chosen
from perpmaker.engine.folders import engine_folder, journal_folder
from perpmaker.errors import ConfigError
from perpmaker.model.quote import Sweep, Twap
from perpmaker.research.execution_needs import Need

KNOWN = Need("ETH_USDT_Perp", "1% to 5%", 34, 1, 0.8, Decimal("1.6"), 60, 250)
SMALL = Decimal("0.005")


def need(**changes: Any) -> Need:
    return msgspec.structs.replace(KNOWN, **changes)


def test_a_narrower_cap_and_a_timeout_are_taken_and_said() -> None:
    changes, notes = chosen(Sweep(), {}, KNOWN)
    assert changes == {"max_slippage_bps": "1.6", "child_timeout_ms": "250"}
    assert "cap 1.6 bps instead of 5, by 34 earlier orders of 1% to 5%" in notes[0]
    assert "250 ms, by 60 answers" in notes[1]


def test_a_cap_is_never_widened() -> None:
    changes, notes = chosen(Sweep(max_slippage_bps=Decimal(1)), {"max_slippage_bps": "1"}, KNOWN)
    assert "max_slippage_bps" not in changes
    assert "never widened" in notes[0]


def test_a_timeout_that_was_given_stays() -> None:
    changes, _ = chosen(Sweep(), {"child_timeout_ms": "900"}, KNOWN)
    assert changes == {"max_slippage_bps": "1.6"}


def test_too_little_known_changes_nothing_and_says_so() -> None:
    assert chosen(Sweep(), {}, None)[0] == {}
    changes, notes = chosen(Sweep(), {}, need(cap_bps=None, timeout_ms=None, orders=4, short=3))
    assert changes == {}
    assert "4 earlier orders of 1% to 5% of the depth, 3 of them short" in notes[0]


def test_the_journal_of_the_engine_is_read(tmp_path: Path) -> None:
    rig = idle_rig()
    for number in range(20):
        execute(rig, command_id=f"order-{number:02d}", side="sell" if number % 2 else "buy")
        rig.run(0.5)
    written(journal_folder(engine_folder(tmp_path, "e", "local")), rig.journal).close()
    made = engine(home=tmp_path, instrument=BTC)
    changes, notes = adapted(made, wanted(qty=SMALL), {}, book())
    assert changes == {"max_slippage_bps": "0.5", "child_timeout_ms": "250"}
    assert "20 earlier orders of 0% to 1%" in notes[0]
    assert adapted(made, wanted(qty=Decimal(3)), {}, book())[0] == {}  # another size
    assert adapted(engine(home=tmp_path / "other", instrument=BTC), wanted(qty=SMALL), {}, book())[0] == {}


@pytest.mark.parametrize(
    ("algorithm", "algo", "said"),
    [(Twap(), "twap", "not with twap"), (Sweep(cap_from="mid"), "sweep", "--cap-from touch")],
)
def test_what_cannot_be_adapted_is_refused(algorithm: Any, algo: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        adapted(engine(), wanted(algorithm=algorithm, algo=algo), {}, book())
