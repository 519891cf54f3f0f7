"""What people tell pairs and makers across venues: start one, stop it, have it closed. Pausing and answering are as for
every strategy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from perpmaker.engine.core.added import HELD, AddedStrategies, has_left, is_over, spec_of
from perpmaker.engine.core.answers import Answer, refused
from perpmaker.engine.core.executions import Executions
from perpmaker.engine.core.oneshots import account_on, followed
from perpmaker.engine.core.runner import Runner
from perpmaker.engine.core.slot import Slot, SlotState
from perpmaker.engine.core.spec import StrategySpec
from perpmaker.engine.core.world import World
from perpmaker.engine.records import StrategyAdded
from perpmaker.errors import ConfigError
from perpmaker.model.commands import Notice
from perpmaker.model.events import Operator
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.strategies.pair.cross_maker import CrossMaker, CrossMakerParams
from perpmaker.strategies.pair.pair import Pair
from perpmaker.strategies.pair.params import PairParams
from perpmaker.strategies.pair.planning import ONE_EXCHANGE
from perpmaker.strategies.pair.sizes import common_lot, smallest_qty, towards_zero

NAME: Final = re.compile(r"^[a-z][a-z0-9_-]{0,31}$")
_FALLBACK: Final = "fallback_"
_LEGS: Final = ("", "hedge_", _FALLBACK)
"""Beginnings of the words that name a leg's instrument and account: lead, hedge, fallback."""
_STEMS: Final = {Pair.kind: "pair", CrossMaker.kind: "make"}
"""What may be started, and how the names of those begin that are given none."""
_NOT_PARAMETERS: Final = frozenset({"account", "kind", "name"})
_DEAF: Final = (SlotState.FAILED, SlotState.STOPPED)
_Action = Callable[[Operator], Callable[[], Answer]]


class Pairs:
    """Carries the commands `pair_*` out; what is wrong with one is said in a sentence."""

    def __init__(self, world: World, runner: Runner, executions: Executions, added: AddedStrategies) -> None:
        self._world = world
        self._runner = runner
        self._executions = executions
        self._added = added

    # --- starting

    def start(self, event: Operator) -> Callable[[], Answer]:
        """Begin a pair under the id of its command: its session, by which its summary is told from others."""
        try:
            added = self._read(event)
            slot = self._added.begin(added)
        except (ValueError, ConfigError) as error:
            return refused(str(error))
        legs = " against ".join(f"{leg.instrument} ({leg.account})" for leg in slot.spec.legs)
        self._tell("pair_started", event, strategy=added.strategy, legs=legs, **_short(added.words))
        return lambda: Answer("done", f"{added.strategy}: {legs}")

    def _read(self, event: Operator) -> StrategyAdded:
        world = self._world
        if world.kill.latched:
            raise ValueError("the kill latch is set: no order passes until it is cleared")
        if world.stopping:
            raise ValueError("the engine is stopping")
        if not event.command_id:
            raise ValueError("a pair needs the id of its command")
        given = event.arguments
        for key, text in given.items():
            if not text:
                raise ValueError(f"{key} is given no value; leave it out for its default")
        kind = given.get("kind", Pair.kind)
        if kind not in _STEMS:
            raise ValueError(f"kind {kind!r}: must be {' or '.join(_STEMS)}")
        prefixes = [prefix for prefix in _LEGS if prefix != _FALLBACK or f"{prefix}instrument" in given]
        rules = [followed(world, given.get(f"{prefix}instrument", "")) for prefix in prefixes]
        self._check_legs(rules)
        accounts = tuple(
            account_on(world, given.get(f"{prefix}account", ""), each)
            for prefix, each in zip(prefixes, rules, strict=True)
        )
        name = self._name(event.strategy, kind, rules, accounts)
        words = {
            "session": event.command_id,
            **{key: text for key, text in given.items() if key not in _NOT_PARAMETERS},
            **{f"{prefix}account": account for prefix, account in zip(prefixes[1:], accounts[1:], strict=True)},
        }
        number = self._added.number_for(name, accounts)
        if number is None:
            raise ValueError("there is no room for another pair of new markets; end one first")
        added = StrategyAdded(name, kind, number, accounts[0], words, world.now_ns)
        self._check(spec_of(added), rules[0], rules[1])
        return added

    def _check_legs(self, rules: list[Instrument]) -> None:
        """Raise unless every leg is on an exchange of its own, and of the same base."""
        lead = rules[0]
        for place, each in enumerate(rules):
            for other in rules[place + 1 :]:
                if other.exchange == each.exchange:
                    both = f"{each.instrument_id} and {other.instrument_id} are both on {each.exchange}"
                    raise ValueError(f"{both}; {ONE_EXCHANGE}")
            if each.base != lead.base:
                bases = f"{lead.instrument_id} is {lead.base}, {each.instrument_id} is {each.base}"
                raise ValueError(f"{bases}: they do not hedge each other")

    def _name(
        self, wanted: StrategyId | None, kind: str, rules: list[Instrument], accounts: tuple[AccountId, ...]
    ) -> StrategyId:
        """Return the pair's name: that of an earlier pair of the same legs, the one given, or one made of the base."""
        lead = rules[0]
        legs = {(account, each.instrument_id) for account, each in zip(accounts[:2], rules[:2], strict=True)}
        for name, slot in self._world.slots.items():
            is_same = {(leg.account, leg.instrument) for leg in slot.spec.legs[:2]} == legs
            if is_same and slot.spec.others and slot.spec.kind == kind:
                self._check_free(slot)
                return name
        taken = {str(name) for name in (*self._world.slots, *(one.strategy for one in self._added.at_rest()))}
        if wanted is not None:
            if not NAME.match(wanted):
                raise ValueError(f"strategy {wanted!r}: small letters, digits, - and _, at most 32, a letter first")
            if wanted in taken:
                raise ValueError(f"strategy {wanted!r} is another strategy's name")
            return wanted
        stem = f"{_STEMS[kind]}-{re.sub('[^a-z0-9]', '', lead.base.lower())[:20]}"
        names = (stem if place == 1 else f"{stem}-{place}" for place in range(1, 1000))
        return StrategyId(next(name for name in names if name not in taken))

    def _check_free(self, slot: Slot) -> None:
        """Raise unless the pair that these legs have is one of people's, and over."""
        name = slot.spec.strategy
        if name in {configured.strategy for configured in self._world.spec.strategies}:
            raise ValueError(f"the configuration's strategy {name!r} trades these legs; change it there")
        if slot.state in (SlotState.STARTING, SlotState.RUNNING) and not is_over(slot):
            raise ValueError(f"{name} is at work on these legs; stop or close it first")

    def _check(self, spec: StrategySpec, lead: Instrument, hedge: Instrument) -> None:
        conflict = self._added.conflict(spec.legs, spec.strategy)
        if conflict:
            raise ValueError(conflict)
        for leg in spec.legs:
            working = self._executions.current((leg.account, leg.instrument))
            if working is not None:
                raise ValueError(f"{leg.instrument} is being worked by parent order {working.order.execution_id}")
        params = spec.make().params
        if isinstance(params, PairParams):
            clip = ("clip", params.clip or params.size)
            sizes = (clip,) if params.mode == "close_existing" else (("size", params.size), clip)
            self._check_sizes(sizes, params.size_in, spec, lead, hedge)
        elif isinstance(params, CrossMakerParams):
            self._check_sizes((("max_qty", params.max_qty), ("qty", params.qty)), "contracts", spec, lead, hedge)

    def _check_sizes(
        self,
        sizes: Sequence[tuple[str, Decimal]],
        size_in: str,
        spec: StrategySpec,
        lead: Instrument,
        hedge: Instrument,
    ) -> None:
        """Refuse what rounds to nothing, and what the gate would refuse order by order."""
        prices = self._world.books.prices(lead.instrument_id)
        mark_px = None if prices is None else prices.mark_px
        if mark_px is None:
            return
        lot = common_lot(lead, hedge)
        least = max(smallest_qty(lead, mark_px), smallest_qty(hedge, mark_px))
        by = Decimal(1) if size_in == "contracts" else mark_px
        for key, wanted in sizes:
            qty = towards_zero(wanted / by, lot)
            if qty < least:
                raise ValueError(
                    f"{key} {wanted} is {_plain(qty)} {lead.base} in lots of both venues ({_plain(lot)}); it must be "
                    f"at least {_plain(least)}"
                )
            notional = qty * mark_px
            for account in spec.accounts:
                limits = self._world.limits[account]
                is_position = key in ("size", "max_qty")
                name = "max_position_notional" if is_position else "max_order_notional"
                most = limits.max_position_notional if is_position else limits.max_order_notional
                if notional > most:
                    raise ValueError(
                        f"{key} {wanted} is worth {notional:.0f} {lead.quote}; risk.{name} is {_plain(most)}"
                    )

    # --- ending

    def stop(self, event: Operator) -> Callable[[], Answer]:
        """Place nothing new any more; what is open is hedged, positions stay."""
        slots = self._scope(event)
        return self._tell_all(event, slots, "stop") if slots else refused(_nobody(event))

    def close(self, event: Operator) -> Callable[[], Answer]:
        """Lead the positions to nothing, piece by piece, hedged all the way."""
        slots = self._scope(event)
        return self._tell_all(event, slots, "close") if slots else refused(_nobody(event))

    def _tell_all(self, event: Operator, slots: list[Slot], word: str) -> Callable[[], Answer]:
        """Tell all that can hear it; those that cannot keep nobody else from it, and are named in the answer.

        One that has not begun is ended at once; one that goes on from an earlier life hears it as soon as it has started.
        """
        deaf = [slot for slot in slots if slot.state in _DEAF and not has_left(slot)]
        missed = [_lost(slot) for slot in deaf]
        told = [slot for slot in slots if slot not in deaf]
        if not told:
            return refused("; ".join(missed))
        for slot in told:
            if slot.state is SlotState.RUNNING:
                slot.paused = False
                self._runner.on_told(slot, word)
            elif not self._added.drop(slot) and slot.state is SlotState.STARTING:
                self._runner.tell_later(slot, word)
        self._tell(f"pair_told_{word}", event, strategy=", ".join(slot.spec.strategy for slot in told))
        return lambda: _ended(told, missed)

    def only(self, event: Operator, action: _Action) -> Callable[[], Answer]:
        """Carry out what every strategy can be told, for pairs alone."""
        slots = self._scope(event)
        if not slots:
            return refused(_nobody(event))
        if event.strategy is not None or len(slots) == len(self._world.slots):
            return action(event)
        answers = [action(_of(event, slot)) for slot in slots if event.kind != "pair_answer" or slot.question]
        if not answers:
            return refused("no pair asks anything")
        if event.kind == "pair_answer" and len(answers) > 1:
            return refused("several pairs ask; name the strategy that is answered")
        return lambda: _whole([answer() for answer in answers])

    # --- inside

    def _scope(self, event: Operator) -> list[Slot]:
        instrument = event.arguments.get("instrument")
        return [
            slot
            for slot in self._world.slots.values()
            if slot.spec.others
            and event.strategy in (None, slot.spec.strategy)
            and (instrument is None or InstrumentId(instrument) in [leg.instrument for leg in slot.spec.legs])
        ]

    def _tell(self, name: str, event: Operator, **fields: str) -> None:
        self._world.out.tell(Notice("info", name, {"actor": event.actor, **fields}, self._world.now_ns))


def _of(event: Operator, slot: Slot) -> Operator:
    return Operator(event.command_id, event.kind, slot.spec.strategy, event.arguments, event.actor, event.ts_recv_ns)


def _whole(answers: list[Answer]) -> Answer:
    """Sum answers up: at work while one is, else done unless one was refused."""
    text = "; ".join(dict.fromkeys(answer.text for answer in answers))
    states = [answer.state for answer in answers]
    return Answer("accepted" if "accepted" in states else "refused" if "refused" in states else "done", text)


def _ended(slots: list[Slot], missed: list[str]) -> Answer:
    """Say how pairs stand that were told to end: done once all are over, refused if some were missed or are lost."""
    missed = [*missed, *(_lost(slot) for slot in slots if _is_lost(slot))]
    texts = list(missed)
    for slot in slots:
        said = slot.explained.get(slot.spec.instrument, {})
        if _is_lost(slot):
            continue
        if slot.told:
            texts.append(f"{slot.spec.strategy} hears it as soon as it has started; it places nothing before")
            continue
        held = ", ".join(
            f"{said.get(key, '?')} {leg.instrument}" for key, leg in zip(HELD, slot.spec.legs, strict=False)
        )
        texts.append(f"{slot.spec.strategy}: {said.get('pair', '?')} ({held})")
    at_work = any(not is_over(slot) and not _is_lost(slot) for slot in slots)
    return Answer("accepted" if at_work else "refused" if missed else "done", "; ".join(texts))


def _is_lost(slot: Slot) -> bool:
    """Whether it hears and does nothing any more though it had not come to its end."""
    return slot.state in _DEAF and not is_over(slot)


def _lost(slot: Slot) -> str:
    return f"{slot.spec.strategy} is {slot.state.value}{f': {slot.error}' if slot.error else ''}"


def _nobody(event: Operator) -> str:
    wanted = event.strategy or event.arguments.get("instrument", "")
    return f"no pair of this engine is or trades {wanted!r}" if wanted else "this engine runs no pair"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _short(words: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that tell one pair from another."""
    told = ("mode", "size", "clip", "size_in", "iterations", "qty", "max_qty", "min_profit_bps")
    return {key: words[key] for key in told if key in words}
