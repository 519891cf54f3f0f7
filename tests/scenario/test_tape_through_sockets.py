"""The real recorded tape to its end, traded through sockets by a whole engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario import tape_run
from tests.scenario.market_lab import REAL_TAPE

FEWEST_FILLS = 20
AROUND_S = (330.0, 380.0)
"""The recording lasts 344.5 s; the engine starts a little after it."""


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.skipif(not REAL_TAPE.exists(), reason="../shared/data is absent")
def test_a_maker_trades_the_real_tape_to_its_end_through_sockets(tmp_path: Path) -> None:
    """The oracle in `run` compares journal, store and ledger, fill by fill, and the PnL identity to the last digit."""
    outcome, journal = tape_run.run(tmp_path / "home")
    print(outcome)
    assert AROUND_S[0] <= outcome.elapsed_s <= AROUND_S[1]
    assert outcome.fills >= FEWEST_FILLS
    assert outcome.pnl == outcome.spread + outcome.adverse + outcome.inventory + outcome.fees + outcome.funding
    assert outcome.position == journal.fills[-1].position_after
    assert outcome.end_said == "end of tape"
    assert outcome.stale_after_s <= tape_run.STALE_S
    assert outcome.pulled_after_s <= tape_run.STALE_S + tape_run.PULLED_S
    assert set(outcome.orders_refused) <= {"ORDER_RATE", "STALE_DATA"}
