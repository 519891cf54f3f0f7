"""What a pair is told: its legs, how it hedges, how it makes, which positions it wants."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.strategies.api import Context, Leg, StrategyParams
from perpmaker.strategies.schema import Table, key


class HedgeParams(Table, frozen=True, kw_only=True):
    """How what was filled on the lead is hedged, and what happens when that fails: retry, other venue, unwind, halt."""

    max_slippage_bps: Annotated[
        Decimal, key("bps", "Cap of a hedge, from the touch when the fill came; retries stay inside it.", gt=0, le=500)
    ] = Decimal(10)
    attempt_s: Annotated[float, key("s", "Longest single try.", ge=0.5, le=60)] = 3.0
    retry_s: Annotated[float, key("s", "So long the hedge venue is tried before the next rung.", ge=0.5, le=120)] = 8.0
    fallback_s: Annotated[
        float, key("s", "So long the fallback venue is tried, where there is one.", ge=0.5, le=120)
    ] = 6.0
    unwind_max_slippage_bps: Annotated[
        Decimal, key("bps", "Cap of each try to undo the filled leg, from the touch of the moment.", gt=0, le=1000)
    ] = Decimal(50)
    unwind_s: Annotated[
        float, key("s", "After so long of undoing, both venues are tried in turn, with an alarm.", ge=1, le=300)
    ] = 12.0


class LegParams(StrategyParams, frozen=True, kw_only=True):
    """The legs. `account` and `instrument` are the lead, where orders rest; every other leg is on another exchange."""

    hedge_account: Annotated[str, key("", "The account of the hedge leg, on another exchange than the lead's.")]
    hedge_instrument: Annotated[str, key("", "The instrument of the hedge leg, such as ETH_USDC_PERP@backpack.")]
    fallback_account: Annotated[str | None, key("", "A third account, used when the hedge venue fails.")] = None
    fallback_instrument: Annotated[str | None, key("", "The instrument on it, on a third exchange.")] = None
    assumed_maker_fee_bps: Annotated[
        Decimal, key("bps", "Fee of the lead until the venue or own fills have told it.", ge=-100, le=100)
    ] = Decimal(2)
    assumed_taker_fee_bps: Annotated[
        Decimal, key("bps", "Fee of the hedge until the venue or own fills have told it.", ge=-100, le=100)
    ] = Decimal(5)
    max_rate_age_s: Annotated[
        float,
        key(
            "s",
            "Where the legs are quoted in two currencies: an older conversion rate counts as unknown, and nothing is then "
            "built or quoted on prices that are compared by it.",
            ge=1,
            le=86_400,
        ),
    ] = 60.0
    hedge: HedgeParams = msgspec.field(default_factory=HedgeParams)

    def fees(self, ctx: Context) -> Decimal:
        """Return what a resting fill on the lead and its taken hedge cost together, as a fraction of notional."""
        maker = ctx.maker_fee(self.instrument)
        taker = ctx.taker_fee(InstrumentId(self.hedge_instrument))
        if maker is None:
            maker = self.assumed_maker_fee_bps / 10_000
        return maker + (self.assumed_taker_fee_bps / 10_000 if taker is None else taker)

    def other_legs(self) -> Sequence[Leg]:
        legs = [Leg(AccountId(self.hedge_account), InstrumentId(self.hedge_instrument))]
        if self.fallback_account is not None and self.fallback_instrument is not None:
            legs.append(Leg(AccountId(self.fallback_account), InstrumentId(self.fallback_instrument)))
        return legs

    def problems(self) -> Sequence[str]:
        if (self.fallback_account is None) != (self.fallback_instrument is None):
            return ("fallback_account and fallback_instrument come together",)
        return ()


class MakerParams(Table, frozen=True, kw_only=True):
    """The resting order of a clip."""

    inside_ticks: Annotated[int, key("ticks", "Ticks better than the touch; never across it.", ge=0, le=1000)] = 0
    timeout_s: Annotated[float, key("s", "After so long the rest is priced anew.", ge=0.5, le=110)] = 8.0
    reprices: Annotated[int, key("", "At most so often; then `on_timeout`.", ge=0, le=100)] = 5
    on_timeout: Annotated[
        Literal["skip", "take"], key("", "skip: leave the rest to the next clip. take: take it on both venues.")
    ] = "skip"
    take_max_slippage_bps: Annotated[Decimal, key("bps", "Cap on the lead when it takes.", gt=0, le=500)] = Decimal(5)
    stability_s: Annotated[
        float,
        key("s", "The mid must have stayed inside the quote of so long ago before an order is placed.", ge=0, le=60),
    ] = 2.0
    stability_retry_s: Annotated[float, key("s", "After an unstable price it looks again.", ge=0.1, le=60)] = 1.0


class RuleParams(Table, frozen=True, kw_only=True):
    """Which side the lead takes when a position is built, and what must be earned."""

    direction: Annotated[
        Literal["buy", "sell", "alternating", "basis", "funding"],
        key("", "Side of the lead: fixed, in turn, by the basis' z-score, or where funding is earned."),
    ] = "buy"
    first_side: Annotated[Literal["buy", "sell"], key("", "Where alternating begins.")] = "buy"
    entry_edge_bps: Annotated[
        float | None,
        key("bps", "Least edge of a clip that builds, after both venues' fees; none: any.", ge=-1000, le=1000),
    ] = None
    exit_edge_bps: Annotated[
        float | None,
        key("bps", "Least edge of a clip that closes, after both venues' fees; none: any.", ge=-1000, le=1000),
    ] = None
    basis_window_s: Annotated[float, key("s", "Time constant of the basis' mean and deviation.", ge=10, le=86_400)] = (
        600.0
    )
    entry_z: Annotated[float, key("", "basis: builds at this distance from the mean.", gt=0, le=20)] = 2.0
    exit_z: Annotated[float, key("", "basis: closes when the distance has shrunk to this.", ge=0, le=20)] = 0.5
    funding_entry_bps: Annotated[
        float, key("bps", "funding: builds when a day's funding of both legs earns this.", ge=0, le=1000)
    ] = 2.0
    funding_exit_bps: Annotated[
        float, key("bps", "funding: closes when a day earns less than this.", ge=-1000, le=1000)
    ] = 0.0

    def problems(self) -> Sequence[str]:
        if self.exit_z >= self.entry_z:
            return (f"exit_z = {self.exit_z:g} must be less than entry_z = {self.entry_z:g}",)
        if self.funding_exit_bps > self.funding_entry_bps:
            return ("funding_exit_bps must not be more than funding_entry_bps",)
        return ()


Mode = Literal["open_and_close", "build_hold_close", "build_and_hold", "close_existing", "alternate"]


class PairParams(LegParams, frozen=True, kw_only=True):
    """A pair: positions of opposite sign on two exchanges, built and closed clip by clip."""

    mode: Annotated[
        Mode,
        key(
            "",
            "open_and_close: at once. build_hold_close: after hold_min. build_and_hold. close_existing. "
            "alternate: cycles that swap the venues' sides.",
        ),
    ]
    size: Annotated[Decimal, key("`size_in`", "Position of each cycle on the lead.", gt=0)]
    clip: Annotated[
        Decimal | None, key("`size_in`", "Largest piece at a time, and largest unhedged amount; none: the size.", gt=0)
    ] = None
    size_in: Annotated[
        Literal["contracts", "notional"],
        key("", "contracts: base units. notional: the lead's quote currency. Rounded down to what both venues take."),
    ] = "contracts"
    iterations: Annotated[int, key("", "Cycles; the position changes twice in one, with alternate once.", ge=1)] = 1
    delay_s: Annotated[float, key("s", "open_and_close: between opening and closing.", ge=0, le=86_400)] = 0.0
    hold_min: Annotated[float, key("min", "build_hold_close: how long it holds.", ge=0, le=525_600)] = 10.0
    pause_s: Annotated[float, key("s", "Between two cycles.", ge=0, le=86_400)] = 0.0
    clip_pause_s: Annotated[float, key("s", "Between two clips; after a skipped one at least 1 s.", ge=0, le=3600)] = (
        0.0
    )
    imbalance_tol: Annotated[
        Decimal | None, key("base currency", "Difference of the legs that is borne; none: one larger lot.", gt=0)
    ] = None
    on_unexpected: Annotated[
        Literal["ask", "continue", "stop"],
        key("", "After a fill that no order of the pair explains, and after three clips in a row that were refused."),
    ] = "ask"
    session: Annotated[str, key("", "Another name begins anew: cycles and summary count from nothing.")] = "1"
    maker: MakerParams = msgspec.field(default_factory=MakerParams)
    rule: RuleParams = msgspec.field(default_factory=RuleParams)

    def problems(self) -> Sequence[str]:
        found = list(super().problems())
        if self.clip is not None and self.clip > self.size:
            found.append(f"clip = {self.clip} must not be more than size = {self.size}")
        return found
