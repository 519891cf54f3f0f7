from __future__ import annotations

import pytest
from tests.unit.exchange.core.desk import BTC, BUY, SELL, Desk


@pytest.fixture
def desk() -> Desk:
    """Two-sided BTC book of flow: 1 BTC at 59,999.9 bid and at 60,000.1 asked."""
    made = Desk()
    made.quote(BUY, "59999.9", "1", instrument=BTC)
    made.quote(SELL, "60000.1", "1", instrument=BTC)
    return made
