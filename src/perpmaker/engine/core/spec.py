"""What an engine is made of, stated as data."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.risk.limits import Limits
from perpmaker.strategies.api import Leg, Strategy


class AccountSpec(msgspec.Struct, frozen=True):
    """One account: its exchange's identity (as MARKET_DATA connectivity names it) and its limits."""

    account: AccountId
    exchange: str
    limits: Limits
    quote_life_s: int = 120
    """0 where the venue's orders do not expire by themselves."""
    client_id_bits: int = 64
    """The widest client order id its venue takes."""
    instruments: tuple[InstrumentId, ...] = ()
    """Traded besides those of strategies: what people execute on."""
    triggers: bool = False
    """Whether its venue lets orders wait for a mark price: positions can then be protected there."""


class StrategySpec(msgspec.Struct, frozen=True):
    """One strategy. `number` is its place in client order ids (1..63; 0 is the engine itself) and never changes hands."""

    strategy: StrategyId
    kind: str
    number: int
    account: AccountId
    instrument: InstrumentId
    make: Callable[[], Strategy[Any]]
    """Makes a fresh one: at the start, and again when a person resumes it after it failed."""
    others: tuple[Leg, ...] = ()
    """Its further legs, each on another exchange; account and instrument above are the lead."""

    @property
    def legs(self) -> tuple[Leg, ...]:
        return (Leg(self.account, self.instrument), *self.others)

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        return (self.account, *(leg.account for leg in self.others))

    def account_of(self, instrument: InstrumentId) -> AccountId:
        """Return the account that works an instrument."""
        for leg in self.others:
            if leg.instrument == instrument:
                return leg.account
        return self.account


class FeeRates(msgspec.Struct, frozen=True):
    """Fractions of notional, > 0 is a cost."""

    maker: Decimal
    taker: Decimal


class Arming(msgspec.Struct, frozen=True):
    """A person allowed live trading until then, with this configuration and no other."""

    until_ns: int
    config_hash: str


class EngineSpec(msgspec.Struct, frozen=True):
    """Everything a core is built from. `epoch` is this life's boot epoch, already on disk.

    With `needs_arming` nothing is placed before a person armed this `config_hash`.
    """

    name: str
    instance: int
    epoch: int
    needs_arming: bool
    accounts: tuple[AccountSpec, ...]
    strategies: tuple[StrategySpec, ...]
    close_max_slippage_bps: Decimal = Decimal(50)
    config_hash: str = ""
    fees: dict[InstrumentId, FeeRates] = {}
    numbers: dict[str, int] = {}
    """Numbers of strategies in client order ids, those of every life so far."""
    pause_added: bool = False
    """Whether what people started in earlier lives does not go on by itself: strategies come up paused, so that they hedge
    and place nothing new, and parent orders end with what they had filled."""
    books_show_own: bool = True
    """Whether the feed's books have our own resting orders in them; those beside a simulated venue have not."""


class Probe(Protocol):
    """Where the core says that a stage of the hot path is done; a runtime times it. It changes no decision."""

    def lap(self, stage: str) -> None: ...


class NoProbe:
    """Measures nothing."""

    def lap(self, stage: str) -> None:
        """Do nothing."""
