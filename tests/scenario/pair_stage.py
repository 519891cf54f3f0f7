"""A pair between the two faces of one practice exchange, as processes, and its figures beside the exchange's ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from tests.scenario.engine_stage import Stage

from perpmaker.control.messages import StrategyRow
from perpmaker.engine.core.state import decode_state
from perpmaker.engine.records import Checkpoint, FillBooked, Remembered, Said
from perpmaker.model.ids import InstrumentId
from perpmaker.strategies.pair.pair import Memo

LEAD, HEDGE = "ETH_USDT_Perp", "ETH_USDC_PERP@backpack"
CLIP = Decimal("0.5")
CONFIG = """
schema_version = 1
env = "local"
mode = "live"
name = "stage"

[account.main]
local_account = 0

[account.hedge]
venue = "backpack"

[risk]
max_loss = 500
max_order_notional = 5000
max_position_notional = 5000
orders_per_s = 20

[control]
port = 0

[[strategy]]
name = "pair"
kind = "pair"
account = "main"
instrument = "ETH_USDT_Perp"
hedge_account = "hedge"
hedge_instrument = "ETH_USDC_PERP"
mode = "alternate"
size = "0.5"
iterations = {cycles}

[strategy.maker]
inside_ticks = 5
timeout_s = 3
reprices = 10
stability_s = 0
"""


class PairStage(Stage):
    """A stage whose one strategy is a pair of `cycles` alternating cycles of 0.5 ETH."""

    def __init__(self, home: Path, cycles: int, *, seed: int = 11) -> None:
        super().__init__(home, seed=seed)
        self.cycles = cycles
        self.config.write_text(CONFIG.format(cycles=cycles))

    def start(self) -> None:
        """Start both venues with a busy market, then the engine."""
        self.start_exchange("--venues", "grvt,backpack", "--activity", "2.0")
        self.start_engine()

    @property
    def row(self) -> StrategyRow:
        return next(row for row in self.status().strategies if row.name == "pair")

    @property
    def shown(self) -> Mapping[str, Any]:
        """What the pair says of itself now."""
        return self.row.inputs

    def is_over(self) -> bool:
        return self.shown.get("phase") == "end"

    def until_over(self, timeout_s: float) -> float:
        return self.until(self.is_over, f"{self.cycles} cycles", timeout_s)

    def truths(self) -> dict[str, dict[str, Any]]:
        """The exchange's own books by instrument."""
        whole = self.ask("GET", "/ledger")
        assert whole["violations"] == whole["venues"]["backpack"]["violations"] == []
        return {LEAD: whole["accounts"][0], HEDGE: whole["venues"]["backpack"]["accounts"][0]}

    def said(self, name: str) -> list[Mapping[str, str]]:
        return [record.fields for record in self.records() if isinstance(record, Said) and record.name == name]

    def memo(self) -> Memo:
        """What the pair last wrote down."""
        last = [record for record in self.records() if isinstance(record, Remembered)][-1]
        return msgspec.json.decode(last.memo, type=Memo)

    def funding(self, instrument: str) -> Decimal:
        """Received on an instrument, as the engine booked it."""
        state = decode_state([record for record in self.records() if isinstance(record, Checkpoint)][-1].state)
        rows = [row for ledger in state.ledgers for row in ledger.book.positions if row.instrument == instrument]
        return sum((row.funding for row in rows), Decimal(0))

    def assert_is_the_ledgers(self) -> None:
        """After the engine has ended: flat, in order, and every figure equal to the exchange's to the last decimal."""
        truths, memo, records = self.truths(), self.memo(), self.records()
        assert memo.programme.cycles == self.cycles
        assert memo.programme.is_over
        for name, account in truths.items():
            leg = memo.holdings.legs[InstrumentId(name)]
            assert account["open_orders"] == []
            assert account["positions"] == []
            assert as_totals(account) == (leg.qty, leg.cash, leg.fees, leg.volume, leg.fills)
            assert leg.cash == Decimal(account["realized_pnl"])
            assert self.funding(name) - leg.funding_before == -Decimal(account["funding"])
            paid = leg.cash - leg.fees - Decimal(account["funding"])
            assert Decimal(account["deposits"]) + paid == Decimal(account["balance"])
        booked = {record.fill.trade_id for record in records if isinstance(record, FillBooked)}
        assert booked == {row["trade_id"] for account in truths.values() for row in account["fills"]}
        assert worst_delta(truths) <= CLIP


def as_totals(account: Mapping[str, Any]) -> tuple[Decimal, Decimal, Decimal, Decimal, int]:
    """What the exchange's own fills add up to: quantity, cash, fees, volume, count."""
    qty = cash = fees = volume = Decimal(0)
    for row in account["fills"]:
        signed, notional = Decimal(row["qty"]), Decimal(row["px"]) * Decimal(row["qty"])
        sign = 1 if row["side"] == "BUY" else -1
        qty, cash, volume = qty + sign * signed, cash - sign * notional, volume + notional
        fees += Decimal(row["fee"]) + Decimal(row["builder_fee"])
    assert account["fills_total"] == len(account["fills"])
    return qty, cash, fees, volume, len(account["fills"])


def worst_delta(truths: Mapping[str, Mapping[str, Any]]) -> Decimal:
    """The largest net quantity ever, from both venues' fills in the order they were executed."""
    rows = sorted(
        (row for account in truths.values() for row in account["fills"]), key=lambda row: int(row["event_ns"])
    )
    delta = worst = Decimal(0)
    for row in rows:
        delta += Decimal(row["qty"]) if row["side"] == "BUY" else -Decimal(row["qty"])
        worst = max(worst, abs(delta))
    assert delta == 0
    return worst


@contextmanager
def pair_stage(home: Path, cycles: int, **options: Any) -> Iterator[PairStage]:
    made = PairStage(home, cycles, **options)
    try:
        yield made
    finally:
        made.end()
