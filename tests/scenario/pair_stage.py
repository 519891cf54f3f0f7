"""A pair between the two faces of one practice exchange, as processes, and its figures beside the exchange's ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.scenario.engine_stage import Stage

from perpmaker.engine.core.state import decode_state
from perpmaker.engine.records import Checkpoint, FillBooked, Remembered, Said
from perpmaker.model.ids import InstrumentId
from perpmaker.strategies.pair import cross_maker
from perpmaker.strategies.pair.holdings import Holdings
from perpmaker.strategies.pair.pair import Memo

ZERO = Decimal(0)


class Played(NamedTuple):
    """A pair on the stage: its legs, its clip, and how many cycles it is asked for."""

    lead: str
    hedge: str
    clip: Decimal
    cycles: int


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
"""
PAIR = """
[[strategy]]
name = "{name}"
kind = "pair"
account = "main"
instrument = "{lead}"
hedge_account = "hedge"
hedge_instrument = "{hedge}"
mode = "alternate"
size = "{clip}"
iterations = {cycles}

[strategy.maker]
inside_ticks = 5
timeout_s = 3
reprices = 10
stability_s = 0
"""


MAKER = """
[[strategy]]
name = "eth"
kind = "cross_maker"
account = "main"
instrument = "ETH_USDT_Perp"
hedge_account = "hedge"
hedge_instrument = "ETH_USDC_PERP"
qty = "0.2"
max_qty = "0.4"
min_profit_bps = -12
"""
"""It pays for each fill, so that it is filled soon."""


class PairStage(Stage):
    """A stage with a pair on ETH of `cycles` alternating cycles of 0.5, and beside it one on SOL of `others` of 3."""

    def __init__(self, home: Path, cycles: int, others: int = 0, *, seed: int = 11) -> None:
        super().__init__(home, seed=seed)
        self.pairs = {"eth": Played("ETH_USDT_Perp", "ETH_USDC_PERP@backpack", Decimal("0.5"), cycles)}
        if others:
            self.pairs["sol"] = Played("SOL_USDT_Perp", "SOL_USDC_PERP@backpack", Decimal(3), others)
        tables = (PAIR.format(name=name, **played._asdict()) for name, played in self.pairs.items())
        self.config.write_text(CONFIG + "".join(tables))

    def start(self) -> None:
        """Start both venues with a busy market, then the engine."""
        self.start_exchange("--venues", "grvt,backpack", "--activity", "2.0")
        self.start_engine()

    def shown(self, name: str) -> Mapping[str, Any]:
        """What a pair says of itself now."""
        return next(row.inputs for row in self.status().strategies if row.name == name)

    def until_over(self, timeout_s: float) -> float:
        """Wait until every pair is through."""
        return self.until(
            lambda: all(self.shown(name).get("phase") == "end" for name in self.pairs), "every cycle", timeout_s
        )

    def truths(self) -> dict[str, dict[str, Any]]:
        """The exchange's own books of both accounts, by exchange."""
        whole = self.ask("GET", "/ledger")
        assert whole["violations"] == whole["venues"]["backpack"]["violations"] == []
        return {"grvt": whole["accounts"][0], "backpack": whole["venues"]["backpack"]["accounts"][0]}

    def fills(self, instrument: str) -> list[dict[str, Any]]:
        """The exchange's own fills of one instrument."""
        symbol, _, exchange = instrument.partition("@")
        rows = self.truths()[exchange or "grvt"]["fills"]
        return [row for row in rows if row["instrument"] == symbol]

    def said(self, name: str) -> list[Mapping[str, str]]:
        return [record.fields for record in self.records() if isinstance(record, Said) and record.name == name]

    def memo(self, name: str) -> Memo:
        """What a pair last wrote down."""
        mine = [record for record in self.records() if isinstance(record, Remembered) and record.strategy == name]
        return msgspec.json.decode(mine[-1].memo, type=Memo)

    def funding(self, instrument: str) -> Decimal:
        """Received on an instrument, as the engine booked it."""
        state = decode_state([record for record in self.records() if isinstance(record, Checkpoint)][-1].state)
        rows = [row for ledger in state.ledgers for row in ledger.book.positions if row.instrument == instrument]
        return sum((row.funding for row in rows), ZERO)

    def assert_is_the_ledgers(self) -> None:
        """After the engine has ended: flat, in order, and every figure equal to the exchange's to the last decimal."""
        memos = {name: self.memo(name) for name in self.pairs}
        for name, played in self.pairs.items():
            assert memos[name].programme.cycles == played.cycles
            assert memos[name].programme.is_over
            assert worst_delta(self.fills(played.lead), self.fills(played.hedge)) <= played.clip
            for instrument in (played.lead, played.hedge):
                leg = memos[name].holdings.legs[InstrumentId(instrument)]
                assert as_totals(self.fills(instrument)) == (leg.qty, leg.cash, leg.fees, leg.volume, leg.fills)
        for exchange, account in self.truths().items():
            legs = [
                (instrument, leg)
                for memo in memos.values()
                for instrument, leg in memo.holdings.legs.items()
                if (instrument.partition("@")[2] or "grvt") == exchange
            ]
            assert account["open_orders"] == account["positions"] == []
            assert account["fills_total"] == len(account["fills"]) == sum(leg.fills for _, leg in legs)
            cash, fees = sum((leg.cash for _, leg in legs), ZERO), sum((leg.fees for _, leg in legs), ZERO)
            received = sum((self.funding(instrument) - leg.funding_before for instrument, leg in legs), ZERO)
            assert (cash, received) == (Decimal(account["realized_pnl"]), -Decimal(account["funding"]))
            assert Decimal(account["deposits"]) + cash - fees + received == Decimal(account["balance"])
        booked = {record.fill.trade_id for record in self.records() if isinstance(record, FillBooked)}
        assert booked == {row["trade_id"] for account in self.truths().values() for row in account["fills"]}


def as_totals(rows: Sequence[Mapping[str, Any]]) -> tuple[Decimal, Decimal, Decimal, Decimal, int]:
    """What the exchange's own fills add up to: quantity, cash, fees, volume, count."""
    qty = cash = fees = volume = ZERO
    for row in rows:
        signed = Decimal(row["qty"]) if row["side"] == "BUY" else -Decimal(row["qty"])
        notional = Decimal(row["px"]) * signed
        qty, cash, volume = qty + signed, cash - notional, volume + abs(notional)
        fees += Decimal(row["fee"]) + Decimal(row["builder_fee"])
    return qty, cash, fees, volume, len(rows)


def worst_delta(*legs: Sequence[Mapping[str, Any]], flat: bool = True) -> Decimal:
    """The largest net quantity ever, from both venues' fills in the order they were executed; `flat`: nothing is left."""
    delta = worst = ZERO
    for row in sorted((row for rows in legs for row in rows), key=lambda row: int(row["event_ns"])):
        delta += Decimal(row["qty"]) if row["side"] == "BUY" else -Decimal(row["qty"])
        worst = max(worst, abs(delta))
    assert not flat or delta == 0
    return worst


class MakerStage(PairStage):
    """A stage with continuous making between the two faces."""

    def __init__(self, home: Path, *, seed: int = 11) -> None:
        super().__init__(home, 1, seed=seed)
        self.config.write_text(CONFIG + MAKER)

    def holdings(self) -> Holdings:
        """What it last wrote down."""
        last = [record for record in self.records() if isinstance(record, Remembered)][-1]
        return msgspec.json.decode(last.memo, type=cross_maker.Memo).holdings


@contextmanager
def pair_stage(home: Path, cycles: int, others: int = 0, **options: Any) -> Iterator[PairStage]:
    made = PairStage(home, cycles, others, **options)
    try:
        yield made
    finally:
        made.end()
