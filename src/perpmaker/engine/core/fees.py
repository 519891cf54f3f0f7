"""What trading costs: the rate last seen in own fills, else the account's tier, else a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from perpmaker.engine.core.spec import FeeRates
from perpmaker.model.events import FeesTold, Fill
from perpmaker.model.ids import AccountId, InstrumentId


class Fees:
    """Fee rates as fractions of notional, > 0 is a cost; None while nothing is known."""

    def __init__(self, schedule: Mapping[InstrumentId, FeeRates]) -> None:
        self._schedule = schedule
        self._told: dict[AccountId, FeesTold] = {}
        self._seen: dict[tuple[AccountId, InstrumentId, bool], Decimal] = {}

    def on_told(self, told: FeesTold) -> None:
        self._told[told.account] = told

    def on_fill(self, fill: Fill) -> None:
        notional = fill.px * fill.qty
        if notional and not fill.is_liquidation:
            self._seen[(fill.account, fill.instrument, fill.is_taker)] = fill.fee / notional

    def maker(self, account: AccountId, instrument: InstrumentId) -> Decimal | None:
        seen = self._seen.get((account, instrument, False))
        if seen is not None:
            return seen
        stated = self._told.get(account) or self._schedule.get(instrument)
        return None if stated is None else stated.maker

    def taker(self, account: AccountId, instrument: InstrumentId) -> Decimal | None:
        seen = self._seen.get((account, instrument, True))
        if seen is not None:
            return seen
        stated = self._told.get(account) or self._schedule.get(instrument)
        return None if stated is None else stated.taker
