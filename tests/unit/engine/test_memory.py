"""The core remembers no more after many orders than after some: whatever is kept of them has a bound."""

from __future__ import annotations

import gc
from collections import deque
from decimal import Decimal
from types import FunctionType, ModuleType
from typing import Any

import pytest
from tests.unit.engine.rig import BTC, ETH, Rig, strategy_spec

from perpmaker.engine.core import ledger
from perpmaker.exchange.core.rng import Rng
from perpmaker.model.events import Trade
from perpmaker.model.ids import InstrumentId, TradeId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.portfolio import mids
from perpmaker.strategies.registry import make_strategy

KEPT = 40
STEP_S = 0.2


class Market(Rig):
    """A rig that forgets what was said as soon as it has been heard, and a market that moves and trades."""

    def __init__(self) -> None:
        estimates = {"warm_up_s": 0.0, "warm_up_trades": 0, "arrival_window_s": 60.0}
        quoting = {"model": "fixed", "half_spread_bps": 2.0, "layers": 2, "tolerance_bps": 0.2, "order_notional": 300}
        quoting["skew_bps_at_max_position"] = 5.0  # who leans more is filled less often
        super().__init__(
            *(
                strategy_spec(
                    lambda name=name: make_strategy(
                        "market_maker", {"instrument": name, "quoting": quoting, "estimates": estimates}
                    ),
                    name[:3].lower(),
                    number,
                    name,
                )
                for number, name in enumerate((BTC, ETH), 1)
            )
        )
        self._rng = Rng(7)
        self._trades = 0

    def steps(self, count: int) -> None:
        """Let the mids walk; a trade of either side each step, and a fill of an own order where one rests."""
        for _ in range(count):
            for name in self.traded():
                self._step(name)
            self.run(STEP_S)
            self._forget()

    def _step(self, name: InstrumentId) -> None:
        self.mid[name] += Decimal(self._rng.u64() % 41 - 20) * Decimal("0.1")
        side = (Side.BUY, Side.SELL)[self._rng.u64() >> 63]
        self._trades += 1
        ticks = int(self.mid[name] / Decimal("0.1"))
        self.feed(Trade(name, ticks, 5, side, TradeId(str(self._trades)), self.now_ns, self.now_ns))
        held = self.positions.get(name, Decimal(0))
        wanted = Side.SELL if held > 0 else Side.BUY
        resting = self.quotes(name, wanted)
        if resting:
            self.fill(resting[0])

    def _forget(self) -> None:
        for said in (self.events, self.commands, self.records, self.journal):
            said.clear()
        for number in [number for number, there in self.orders.items() if there.status.value != "open"]:
            del self.orders[number]


def reachable(root: object) -> int:
    """Count the objects an engine holds on to, and the places in its containers."""
    seen = {id(root)}
    waiting: deque[Any] = deque([root])
    places = 0
    while waiting:
        one = waiting.popleft()
        if isinstance(one, dict | list | set | frozenset | tuple | deque):
            places += len(one)
        for other in gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, type | ModuleType | FunctionType):
                seen.add(id(other))
                waiting.append(other)
    return len(seen) + places


def small(market: Market) -> None:
    """Make the bounds small, so that they are reached soon."""
    world = market.engine.world
    world.table._kept_terminal = KEPT
    for account in world.table._accounts.values():
        account.trades._kept = KEPT
    for kept in world.ledgers.values():
        kept.book._trades._kept = KEPT


def test_the_core_holds_no_more_after_many_orders_than_after_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "KEPT_FILLS", KEPT)
    monkeypatch.setattr(mids, "HISTORY_NS", 5 * NS_PER_S)
    market = Market().start()
    small(market)
    market.steps(320)  # beyond the minute that the arrivals are looked at
    world = market.engine.world
    sent, fills, held = world.orders_sent, world.fills_total, reachable(market.engine)
    assert sent > 2 * KEPT
    assert fills > KEPT
    market.steps(320)
    assert world.orders_sent > 1.8 * sent
    assert world.fills_total > 1.8 * fills
    assert reachable(market.engine) < 1.02 * held
