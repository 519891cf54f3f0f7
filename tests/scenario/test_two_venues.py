"""One engine on two venues of one practice exchange: both are quoted and filled, and each account agrees with its venue."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.engine_stage import Stage, stage

from perpmaker.engine.core.state import CoreState, decode_state
from perpmaker.engine.records import Checkpoint, FillBooked
from perpmaker.model.ids import client_order_id_parts

pytestmark = [pytest.mark.timeout(180), pytest.mark.mostly_waits]

BTC, ETH = "BTC_USDT_Perp", "ETH_USDC_PERP@backpack"
SECOND = """
[account.hedge]
venue = "backpack"

[[strategy]]
name = "eth"
kind = "market_maker"
account = "hedge"
instrument = "ETH_USDC_PERP"
"""


def fills_of(made: Stage) -> Counter[str]:
    return Counter(row.instrument for row in made.control().trades(1000))


def truths(made: Stage) -> dict[str, dict[str, Any]]:
    """The exchange's own books by the engine's account names."""
    whole = made.ask("GET", "/ledger")
    assert whole["violations"] == whole["venues"]["backpack"]["violations"] == []
    return {"main": whole["accounts"][0], "hedge": whole["venues"]["backpack"]["accounts"][0]}


def rested(made: Stage) -> CoreState:
    return decode_state([record for record in made.records() if isinstance(record, Checkpoint)][-1].state)


def test_a_maker_on_each_venue_is_filled_and_its_books_are_the_exchanges(tmp_path: Path) -> None:
    with stage(tmp_path, more=SECOND) as made:
        made.start_exchange("--venues", "grvt,backpack")
        made.start_engine()
        made.until_quoting()
        made.until(lambda: fills_of(made)[ETH] >= 3 and fills_of(made)[BTC] >= 3, "three fills on each venue", 90)
        status = made.status()
        assert status.venue == "backpack,grvt"
        assert "backpack USDT/USDC" in status.conversions["USDC/USDT"]
        assert made.stop_engine() == 0
        theirs = truths(made)
        books = {str(ledger.book.account): ledger.book for ledger in rested(made).ledgers}
        for name, account in theirs.items():
            book = books[name]
            assert account["open_orders"] == []
            assert book.currency == account["currency"]
            assert book.balance == Decimal(account["balance"])
            assert sum((one.fees for one in book.positions), Decimal(0)) == Decimal(account["fees"])
            held = {one.instrument.partition("@")[0]: one.qty for one in book.positions if one.qty}
            assert held == {
                row["instrument"]: Decimal(row["qty"]) for row in account["positions"] if Decimal(row["qty"])
            }
        booked = [record.fill for record in made.records() if isinstance(record, FillBooked)]
        assert {fill.trade_id for fill in booked if fill.account == "hedge"} == {
            row["trade_id"] for row in theirs["hedge"]["fills"]
        }
        assert all(client_order_id_parts(fill.client_order_id, 32) for fill in booked if fill.account == "hedge")
        assert all(client_order_id_parts(fill.client_order_id) for fill in booked if fill.account == "main")
