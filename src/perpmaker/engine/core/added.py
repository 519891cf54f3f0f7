"""Strategies that people start while the engine runs, beside those of the configuration.

Each is written down when it starts and when it is over; so a restart brings back what was under way, and only that. Where
this life does not follow an instrument of one, or a configured strategy trades it now, that one rests: kept as it is, for
a life that can go on with it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.engine.core.runner import Runner
from perpmaker.engine.core.slot import Slot, SlotState
from perpmaker.engine.core.spec import StrategySpec
from perpmaker.engine.core.world import World
from perpmaker.engine.records import StrategyAdded, StrategyRemoved
from perpmaker.errors import ConfigError
from perpmaker.model.commands import Notice
from perpmaker.model.ids import NARROW_STRATEGY_BITS, STRATEGY_BITS, AccountId, InstrumentId, StrategyId
from perpmaker.strategies.api import Leg
from perpmaker.strategies.own import is_own
from perpmaker.strategies.registry import make_strategy, parse_params
from perpmaker.strategies.words import table_of

ENDED: Final = "end"
"""The `phase` a strategy explains when it is over."""
HELD: Final = ("lead_qty", "hedge_qty")
"""Where a strategy explains what each leg holds, in their order."""


UNBEGUN: Final = {"pair": "Flat", "phase": ENDED, "clip": "", "hedge": "calm", "lead_qty": "0", "hedge_qty": "0"}
"""What is said for a strategy that never came to say anything."""


class AddedStrategies:
    """Begins them, brings them back, lets them go."""

    def __init__(self, world: World, runner: Runner) -> None:
        self._world = world
        self._runner = runner
        self._known: dict[StrategyId, StrategyAdded] = {}
        """Not over, resting ones included."""

    def began(self, strategy: StrategyId) -> StrategyAdded | None:
        """Return how a person started it, None for one of the configuration."""
        return self._known.get(strategy)

    def begin(self, added: StrategyAdded) -> Slot:
        """Start a strategy; one of that name begins anew. Raises ConfigError for parameters that are wrong."""
        spec = spec_of(added)
        self._make_room(spec)
        self._world.out.record(added)
        self._known[added.strategy] = added
        slot = self._world.slots.get(added.strategy)
        if slot is None:
            slot = self._world.add(spec)
            self._runner.add(slot)
        else:
            self._leave_behind(slot)
            slot.spec, slot.memo, slot.told = spec, "", ""
            self._runner.restart(slot)
        return slot

    def drop(self, slot: Slot) -> bool:
        """End one of people's that has never begun, at once; returns whether it is such a one."""
        name = slot.spec.strategy
        if name not in self._known or slot.state is not SlotState.STARTING or slot.memo:
            return False
        del self._known[name]
        self._world.out.record(StrategyRemoved(name, self._world.now_ns))
        slot.state, slot.question = SlotState.STOPPED, ""
        slot.explained[slot.spec.instrument] = {**UNBEGUN, "waits_for": "stopped before it began"}
        return True

    def number_for(self, name: StrategyId, accounts: tuple[AccountId, ...]) -> int | None:
        """Return the number for client order ids: its old one, a new one, or that of one that is over; None: no room."""
        numbers = self._world.numbers
        narrow = any(self._world.id_bits[account] < 64 for account in accounts)
        largest = (1 << (NARROW_STRATEGY_BITS if narrow else STRATEGY_BITS)) - 1
        known = numbers.get(name)
        if known is not None and known <= largest:
            return known
        taken = set(numbers.values())
        free = next((number for number in range(1, largest + 1) if number not in taken), None)
        if free is not None:
            return free
        used = {numbers[slot] for slot in self._world.slots} | {one.number for one in self._known.values()}
        return next((number for number in numbers.values() if number <= largest and number not in used), None)

    # --- over a restart

    def at_rest(self) -> tuple[StrategyAdded, ...]:
        return tuple(self._known.values())

    def restore(self, added: StrategyAdded) -> None:
        """Take over what an earlier life had under way; the journal is told nothing."""
        self._known[added.strategy] = added
        self._world.numbers[added.strategy] = added.number
        try:
            spec = spec_of(added)
        except ConfigError as error:
            self._rest(added, f"this build does not take its parameters: {error}")
            return
        slot = self._world.slots.get(added.strategy)
        if slot is not None and self._is_ours(slot):
            slot.spec = spec
            slot.renew()
            return
        why = self._why_not(spec)
        if why:
            self._rest(added, why)
        else:
            self._runner.add(self._world.add(spec))

    def forget(self, strategy: StrategyId) -> None:
        """It was over: this life begins without it."""
        if self._known.pop(strategy, None) is None:
            return
        self._world.resting_memos.pop(strategy, None)
        slot = self._world.slots.get(strategy)
        if slot is not None and self._is_ours(slot):
            self._world.remove(strategy)
            self._runner.remove(slot)

    def settle(self) -> None:
        """After everything was restored: what came back may have to come up paused."""
        for name in self._known:
            slot = self._world.slots.get(name)
            if slot is not None and self._world.spec.pause_added:
                slot.paused = True

    def look(self) -> None:
        """Write down which are over and hold nothing; called each second."""
        for name in tuple(self._known):
            slot = self._world.slots.get(name)
            if slot is not None and slot.state is SlotState.RUNNING and has_left(slot):
                del self._known[name]
                self._world.out.record(StrategyRemoved(name, self._world.now_ns))

    # --- inside

    def _leave_behind(self, slot: Slot) -> None:
        """Say what the session before still holds: the new one does not look after it."""
        said = slot.explained.get(slot.spec.instrument, {})
        held = {leg.instrument: str(said.get(key, "0")) for key, leg in zip(HELD, slot.spec.legs, strict=False)}
        text = ", ".join(f"{qty} {name}" for name, qty in held.items() if Decimal(qty))
        if text:
            session = str(getattr(slot.strategy.params, "session", ""))
            fields = {
                "strategy": slot.spec.strategy, "instrument": slot.spec.instrument, "session": session, "held": text
            }  # fmt: skip
            self._world.out.tell(Notice("warning", "pair_left_behind", fields, self._world.now_ns))

    def _gives_way(self, slot: Slot) -> bool:
        """Whether it is one of people's that has left: others may have its instruments."""
        return self._is_ours(slot) and has_left(slot)

    def _make_room(self, spec: StrategySpec) -> None:
        """Stop those that have left and would take the fills of a new one for a stranger's."""
        wanted = {leg.instrument for leg in spec.legs}
        for name, slot in self._world.slots.items():
            if name != spec.strategy and self._gives_way(slot) and wanted & {leg.instrument for leg in slot.spec.legs}:
                if self._known.pop(name, None) is not None:
                    self._world.out.record(StrategyRemoved(name, self._world.now_ns))
                if slot.running:
                    self._runner.stop(slot)

    def _is_ours(self, slot: Slot) -> bool:
        return slot.spec.strategy not in {configured.strategy for configured in self._world.spec.strategies}

    def _why_not(self, spec: StrategySpec) -> str:
        """Return why this life cannot go on with it, "" when it can."""
        if spec.strategy in self._world.slots:
            return "the configuration has a strategy of that name"
        for leg in spec.legs:
            if leg.account not in self._world.limits or leg.instrument not in self._world.traded(leg.account):
                return f"{leg.instrument} is not among the instruments of account {leg.account}"
        return self.conflict(spec.legs, spec.strategy)

    def conflict(self, legs: tuple[Leg, ...], but: StrategyId | None) -> str:
        """Return which other strategy trades the instrument of one of the legs, on whatever account; "" when none does."""
        wanted = {leg.instrument: leg for leg in legs}
        for name, slot in self._world.slots.items():
            for leg in slot.spec.legs:
                if name != but and leg.instrument in wanted and not self._gives_way(slot):
                    return taken_text(wanted[leg.instrument], name, leg.account)
        return ""

    def _rest(self, added: StrategyAdded, why: str) -> None:
        fields = {"strategy": added.strategy, "why": why}
        self._world.out.tell(Notice("warning", "strategy_rests", fields, self._world.now_ns))


def taken_text(leg: Leg, owner: str, account: str) -> str:
    """Say who trades an instrument already, on which account of its exchange."""
    if leg.account == account:
        return f"{leg.instrument} on account {account!r} is traded by {owner!r} as well; their orders could meet"
    return (
        f"{leg.instrument} on account {leg.account!r} is traded by {owner!r} on account {account!r} as well; two own "
        "accounts on one exchange's instrument could trade with each other, which is wash trading"
    )


def spec_of(added: StrategyAdded) -> StrategySpec:
    """Return what the engine runs; raise ConfigError for wrong parameters, and for a kind that names a file."""
    if is_own(added.kind):
        raise ConfigError(f"kind = {added.kind!r}: only a configuration file may name a strategy in a file")
    table = table_of(added.kind, added.words)
    params = parse_params(added.kind, table)
    return StrategySpec(
        strategy=added.strategy,
        kind=added.kind,
        number=added.number,
        account=added.account,
        instrument=InstrumentId(params.instrument),
        make=lambda: make_strategy(added.kind, table),
        others=tuple(params.other_legs()),
    )


def is_over(slot: Slot) -> bool:
    """Whether a pair places nothing any more and nothing of it is at work; what it holds is hedged or flat."""
    said = slot.explained.get(slot.spec.instrument, {})
    return said.get("phase") == ENDED and said.get("clip") == "" and said.get("hedge") == "calm"


def has_left(slot: Slot) -> bool:
    """Whether it is over and holds nothing: there is nothing left for it to do."""
    return is_over(slot) and not _holds(slot)


def pair_on(world: World, account: AccountId, instrument: InstrumentId) -> StrategyId | None:
    """Return the living strategy that has this instrument as one of several legs, and works or holds something."""
    leg = Leg(account, instrument)
    for name, slot in world.slots.items():
        lives = slot.state in (SlotState.STARTING, SlotState.RUNNING)  # what failed is left to people
        if lives and slot.spec.others and leg in slot.spec.legs and not has_left(slot):
            return name
    return None


def _holds(slot: Slot) -> bool:
    said = slot.explained.get(slot.spec.instrument, {})
    return any(Decimal(str(said.get(name, 0))) != 0 for name in ("lead_qty", "hedge_qty", "net_delta"))
