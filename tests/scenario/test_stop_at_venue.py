"""A stop that waits at the venue closes the position while the engine stands still; awake again, the engine knows."""

from __future__ import annotations

import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.engine_stage import Stage, stage

pytestmark = [pytest.mark.timeout(400), pytest.mark.mostly_waits]
BTC = "BTC_USDT_Perp"
TRIES = 5
PROTECTED = """
[strategy.protection]
stop_loss_bps = 100
"""


def _stop(made: Stage) -> dict[str, Any] | None:
    """The stop that closes all that is held, when that is all that stands at the venue."""
    account = made.ledger()
    held = sum((Decimal(row["qty"]) for row in account["positions"] if row["instrument"] == BTC), Decimal(0))
    orders: list[dict[str, Any]] = account["open_orders"]
    if not held or len(orders) != 1 or not orders[0]["awaits"].startswith("STOP_LOSS MARK "):
        return None
    return orders[0] if Decimal(orders[0]["leaves_qty"]) == abs(held) else None


def _paused_with_a_stop(made: Stage) -> dict[str, Any]:
    """Pause while a stop is at the venue: the quotes go, the stop stays, and nothing moves the position any more."""
    for _ in range(TRIES):
        made.until(lambda: any(row.trigger for row in made.status().open_orders), "a stop at the venue")
        assert made.command("pause").state == "done"
        try:
            made.until(lambda: _stop(made) is not None, "the stop alone", 10)
        except AssertionError:  # the last fills left nothing that is worth an order
            made.command("resume")
            continue
        found = _stop(made)
        assert found is not None
        return found
    raise AssertionError(made.log())


def _hold_mark(made: Stage, px: Decimal | None) -> None:
    made.ask("POST", "/mark", {"instrument": BTC, "price": None if px is None else str(px)})


def test_the_venue_closes_the_position_while_the_engine_stands_still(tmp_path: Path) -> None:
    with stage(tmp_path, more=PROTECTED) as made:
        made.start_exchange()
        made.start_engine()
        stop = _paused_with_a_stop(made)
        (row,) = made.status().open_orders
        assert (row.client_order_id, row.trigger, row.tag) == (stop["client_order_id"], "stop_loss", "stop loss")
        assert stop["awaits"] == f"STOP_LOSS MARK {row.trigger_px}"

        assert made.engine is not None
        made.engine.send_signal(signal.SIGSTOP)
        sign = 1 if stop["side"].lower() == "buy" else -1
        _hold_mark(made, (Decimal(str(row.trigger_px)) * (1 + sign * Decimal("0.002"))).quantize(Decimal("0.1")))
        made.until(lambda: made.ledger()["open_orders"] == [], "the stop to be done")
        fills = [fill for fill in made.ledger()["fills"] if fill["client_order_id"] == stop["client_order_id"]]
        assert sum(Decimal(fill["qty"]) for fill in fills) == Decimal(stop["qty"])
        _hold_mark(made, None)
        made.engine.send_signal(signal.SIGCONT)

        made.until(lambda: "protected_at_venue" in made.whole_log(), "the engine to learn of it")
        made.until(lambda: all(Decimal(row.qty) == 0 for row in made.status().positions), "a flat position")
        assert "protection_at_venue_off" not in made.whole_log()
        assert made.stop_engine() == 0
        made.assert_settled()
