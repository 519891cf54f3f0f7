"""What people see of pairs, and of the markets they may choose for one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from perpmaker.clock import Clock
from perpmaker.control.messages import MarketRow, PairLegRow, PairRow
from perpmaker.engine.core.added import is_over
from perpmaker.engine.core.engine import Engine
from perpmaker.engine.core.slot import Slot, SlotState
from perpmaker.engine.core.world import World
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.api import Leg
from perpmaker.strategies.pair.cross_maker import MAKES
from perpmaker.strategies.pair.params import LegParams, PairParams

MARKETS_EVERY_NS: Final = NS_PER_S
_BPS: Final = Decimal(10_000)
ZERO: Final = Decimal(0)


class PairView:
    """Reads the core, changes nothing. `condition` says a strategy's state and the reason for it."""

    def __init__(self, engine: Engine, clock: Clock, condition: Callable[[Slot], tuple[str, str]]) -> None:
        self._world: World = engine.world
        self._added = engine.added
        self._clock = clock
        self._condition = condition
        self._markets: list[MarketRow] = []
        self._markets_ns: int | None = None

    def pairs(self) -> list[PairRow]:
        return [self._pair(slot) for slot in self._world.slots.values() if slot.spec.others]

    def markets(self) -> list[MarketRow]:
        """Return what the engine follows; looked at once a second."""
        now_ns = self._clock.monotonic_ns()
        if self._markets_ns is None or now_ns - self._markets_ns >= MARKETS_EVERY_NS:
            self._markets, self._markets_ns = self._look(), now_ns
        return self._markets

    # --- markets

    def _look(self) -> list[MarketRow]:
        world = self._world
        accounts: dict[InstrumentId, list[AccountId]] = {}
        for account in world.limits:
            for instrument in world.traded(account):
                accounts.setdefault(instrument, []).append(account)
        return [
            self._market(rules, accounts[name])
            for name in sorted(accounts)
            if (rules := world.instruments.get(name)) is not None
        ]

    def _market(self, rules: Instrument, accounts: list[AccountId]) -> MarketRow:
        fees = self._world.fees
        return MarketRow(
            instrument=rules.instrument_id,
            symbol=rules.symbol,
            exchange=rules.exchange,
            base=rules.base,
            quote=rules.quote,
            accounts=[str(account) for account in accounts],
            lot=_plain(rules.lot),
            tick=_plain(rules.tick),
            min_qty=_plain(rules.min_qty),
            min_notional=_plain(rules.min_notional),
            maker_fee_bps=_bps(fees.maker(accounts[0], rules.instrument_id)),
            taker_fee_bps=_bps(fees.taker(accounts[0], rules.instrument_id)),
            traded_by=self._owner(rules.instrument_id),
        )

    def _owner(self, instrument: InstrumentId) -> str:
        """Return who has an instrument, on whatever account, "" while it is free."""
        legs = ((name, slot, leg) for name, slot in self._world.slots.items() for leg in slot.spec.legs)
        return next((name for name, slot, leg in legs if leg.instrument == instrument and not is_over(slot)), "")

    # --- pairs

    def _pair(self, slot: Slot) -> PairRow:
        world, spec = self._world, slot.spec
        said: dict[str, Any] = dict(slot.explained.get(spec.instrument, {}))
        state, reason = self._condition(slot)
        net_delta = Decimal(str(said.get("net_delta", "0")))
        mark_px = self._mark_px(spec.instrument)
        lead = world.instruments.get(spec.instrument)
        rate, rate_from, rate_age_s = self._rate(slot)
        began = self._added.began(spec.strategy)
        return PairRow(
            name=spec.strategy,
            kind=spec.kind,
            state=state,
            reason=reason,
            question=slot.question,
            mode=str(said.get("mode") or _mode(slot)),
            status=str(said.get("pair", "Flat")),
            phase=str(said.get("phase", "")),
            cycles=int(said.get("cycles", 0)),
            asked=int(said.get("asked", getattr(slot.strategy.params, "iterations", 0))),
            legs=[self._leg(leg, qty) for leg, qty in zip(spec.legs, _quantities(said, net_delta), strict=False)],
            net_delta=_plain(net_delta),
            net_notional=None if mark_px is None else _plain(round(net_delta * mark_px, 2)),
            wanted=_plain(Decimal(str(said.get("wanted", "0")))),
            clip=str(said.get("clip", "")),
            hedge=str(said.get("hedge", "calm")),
            waits_for=str(said.get("waits_for", "")),
            reprices=int(said.get("reprices", 0)),
            skipped=int(said.get("skipped", 0)),
            unstable=int(said.get("unstable", 0)),
            hedge_retries=int(said.get("hedge_retries", 0)),
            currency="" if lead is None else lead.quote,
            volume=float(said.get("volume", 0)),
            gross=float(said.get("gross", 0)),
            fees=float(said.get("fees", 0)),
            funding=float(said.get("funding", 0)),
            net=float(said.get("net", 0)),
            edge_bps=float(said.get("edge_bps", 0)),
            cost_per_million=float(said.get("cost_per_million", 0)),
            basis_bps=said.get("basis_bps"),
            basis_z=said.get("basis_z"),
            funding_bps_a_day=said.get("funding_bps_a_day"),
            breakeven_bps=self._breakeven_bps(slot),
            rate=rate,
            rate_from=rate_from,
            rate_age_s=rate_age_s,
            is_over=is_over(slot),
            session=str(getattr(slot.strategy.params, "session", "")),
            asked_for={} if began is None else began.words,
            age_ms=self._age_ms(slot),
        )

    def _age_ms(self, slot: Slot) -> float:
        """How old its word is; that of one that was let go is its last, and grows no older."""
        if not slot.explained_ns or slot.state is SlotState.STOPPED:
            return 0.0
        return max(self._clock.now_ns() - slot.explained_ns, 0) / NS_PER_MS

    def _leg(self, leg: Leg, qty: Decimal) -> PairLegRow:
        rules, mark_px = self._world.instruments.get(leg.instrument), self._mark_px(leg.instrument)
        return PairLegRow(
            account=leg.account,
            exchange="" if rules is None else rules.exchange,
            instrument=leg.instrument,
            qty=_plain(qty),
            position=_plain(self._world.account_books[leg.account].position_qty(leg.instrument)),
            mark_px=None if mark_px is None else str(mark_px),
        )

    def _breakeven_bps(self, slot: Slot) -> float | None:
        params = slot.strategy.params
        if not isinstance(params, LegParams):
            return None
        lead, hedge = slot.spec.legs[:2]
        maker = self._world.fees.maker(lead.account, lead.instrument)
        taker = self._world.fees.taker(hedge.account, hedge.instrument)
        maker_bps = params.assumed_maker_fee_bps if maker is None else maker * _BPS
        return float(maker_bps + (params.assumed_taker_fee_bps if taker is None else taker * _BPS))

    def _rate(self, slot: Slot) -> tuple[str | None, str, float | None]:
        listed = [self._world.instruments.get(leg.instrument) for leg in slot.spec.legs[:2]]
        lead, hedge = listed[0], listed[1]
        if lead is None or hedge is None:
            return None, "", None
        told = self._world.conversion(hedge.quote, lead.quote)
        pair = f"{hedge.quote}/{lead.quote}"
        if told is None:
            return None, f"{pair}: unknown, nobody has told a rate", None
        if hedge.quote == lead.quote:
            return "1", f"{pair}: {told.told_by}", 0.0
        age_s = max(self._clock.now_ns() - told.ts_ns, 0) / NS_PER_S
        params = slot.strategy.params
        if isinstance(params, LegParams) and age_s > params.max_rate_age_s:
            return None, f"{pair}: unknown, the last one is old", age_s
        return _plain(round(told.rate, 8)), f"{pair}: {told.told_by}", age_s

    def _mark_px(self, instrument: InstrumentId) -> Decimal | None:
        prices = self._world.books.prices(instrument)
        return None if prices is None else prices.mark_px


def _mode(slot: Slot) -> str:
    """Return what one that has not said anything yet is going to do."""
    params = slot.strategy.params
    return params.mode if isinstance(params, PairParams) else MAKES


def _quantities(said: dict[str, Any], net_delta: Decimal) -> list[Decimal]:
    """Return each leg's own quantity; what a fallback holds is what is missing to the net."""
    lead, hedge = (Decimal(str(said.get(name, "0"))) for name in ("lead_qty", "hedge_qty"))
    return [lead, hedge, net_delta - lead - hedge]


def _bps(fee: Decimal | None) -> str | None:
    return None if fee is None else _plain(round(fee * _BPS, 4))


def _plain(number: Decimal) -> str:
    return f"{number.normalize() if number else ZERO:f}"
