"""What a market maker is told: one table of keys for each of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from perpmaker.strategies.api import StrategyParams
from perpmaker.strategies.estimators.params import EstimateParams
from perpmaker.strategies.quoting.adapt import AdaptParams
from perpmaker.strategies.quoting.fair import AlphaParams, FundingParams, ReferenceParams
from perpmaker.strategies.quoting.governor import GovernorParams
from perpmaker.strategies.quoting.markouts import MarkoutParams
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.protection import ProtectionParams
from perpmaker.strategies.quoting.schedule import ScheduleParams
from perpmaker.strategies.quoting.toxicity import ToxicityParams
from perpmaker.strategies.schema import key
from perpmaker.strategies.signals.params import RegimeParams


class MarketMakerParams(StrategyParams, frozen=True, kw_only=True):
    """A market maker on one instrument."""

    preset: Annotated[
        Literal["none", "simple", "classic"],
        key("", "Settings to begin with; every key given besides counts more. classic is the original bot."),
    ] = "none"
    book_interval_ms: Annotated[
        int, key("ms", "Quotes follow the book at most this often; 0 is every change.", ge=0, le=60_000)
    ] = 50
    quoting: QuotingParams = msgspec.field(default_factory=QuotingParams)
    estimates: EstimateParams = msgspec.field(default_factory=EstimateParams)
    regime: RegimeParams = msgspec.field(default_factory=RegimeParams)
    alpha: AlphaParams = msgspec.field(default_factory=AlphaParams)
    reference: ReferenceParams = msgspec.field(default_factory=ReferenceParams)
    funding: FundingParams = msgspec.field(default_factory=FundingParams)
    schedule: ScheduleParams = msgspec.field(default_factory=ScheduleParams)
    protection: ProtectionParams = msgspec.field(default_factory=ProtectionParams)
    markout: MarkoutParams = msgspec.field(default_factory=MarkoutParams)
    toxicity: ToxicityParams = msgspec.field(default_factory=ToxicityParams)
    governor: GovernorParams = msgspec.field(default_factory=GovernorParams)
    adapt: AdaptParams = msgspec.field(default_factory=AdaptParams)

    def problems(self) -> Sequence[str]:
        if self.reference.instrument == self.instrument:
            return (f"reference.instrument = {self.instrument!r}: must be another than the one it trades",)
        return ()
