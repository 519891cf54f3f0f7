"""What people tell the engine, and what the runtime tells it in their place (journal lost, clock off, machine slept)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from perpmaker.engine.core.added import AddedStrategies, has_left
from perpmaker.engine.core.answers import Answer
from perpmaker.engine.core.answers import refused as _refused
from perpmaker.engine.core.desk import Desk
from perpmaker.engine.core.emptying import Emptyings
from perpmaker.engine.core.executions import Executions
from perpmaker.engine.core.oneshots import OneShots, describe, summary
from perpmaker.engine.core.pairs import Pairs
from perpmaker.engine.core.reconciling import Reconciling
from perpmaker.engine.core.runner import Runner
from perpmaker.engine.core.slot import Slot, SlotState
from perpmaker.engine.core.spec import Arming
from perpmaker.engine.core.targets import Targets
from perpmaker.engine.core.world import World
from perpmaker.engine.records import HaltChanged, Latch
from perpmaker.model.commands import Notice
from perpmaker.model.events import Operator
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.risk.codes import Code
from perpmaker.risk.halts import Halt
from perpmaker.risk.kill import CLEAR_PHRASE, HumanClear

KILL_GAP_NS: Final = 5 * NS_PER_S
STOP_GAP_NS: Final = 1 * NS_PER_S
ANSWERS: Final = ("continue", "stop")
KEPT_ANSWERS: Final = 200
"""Of commands that have come to their end; one under way is never forgotten."""


class Operators:
    """Carries commands out. `answer` says, at any time later, whether what one asked for has been reached."""

    def __init__(
        self,
        world: World,
        desk: Desk,
        targets: Targets,
        executions: Executions,
        runner: Runner,
        emptyings: Emptyings,
        reconciling: Reconciling,
        added: AddedStrategies,
    ) -> None:
        self._world = world
        self._desk = desk
        self._targets = targets
        self._executions = executions
        self._oneshots = OneShots(world, executions)
        self._runner = runner
        self._emptyings = emptyings
        self._reconciling = reconciling
        self._under_way: dict[str, Callable[[], Answer]] = {}
        self._finished: dict[str, Answer] = {}
        self._carry_out: dict[str, Callable[[Operator], Callable[[], Answer]]] = {
            "pause": self._pause,
            "resume": self._resume,
            "close": self._close,
            "execute": self._execute,
            "execution_stop": self._execution_stop,
            "answer": self._answer_question,
            "kill": self._kill,
            "clear_kill": self._clear_kill,
            "stop": self._stop,
            "shutdown": self._stop,
            "arm": self._arm,
            "halt": self._halt,
            "block": self._block,
            "unblock": self._unblock,
            "resync": self._resync,
            "epoch": self._epoch,
        }
        pairs = Pairs(world, runner, executions, added)
        self._carry_out |= {
            "pair_start": pairs.start,
            "pair_stop": pairs.stop,
            "pair_close": pairs.close,
            "pair_pause": lambda event: pairs.only(event, self._pause),
            "pair_resume": lambda event: pairs.only(event, self._resume),
            "pair_answer": lambda event: pairs.only(event, self._answer_question),
        }

    def on_event(self, event: Operator) -> None:
        """Carry a command out."""
        action = self._carry_out.get(event.kind)
        answer = action(event) if action is not None else _refused(f"this engine does not know {event.kind!r}")
        if event.command_id:
            self._finished.pop(event.command_id, None)
            self._under_way[event.command_id] = answer
            for command_id in tuple(self._under_way) if len(self._under_way) > KEPT_ANSWERS else (event.command_id,):
                self.answer(command_id)

    def answer(self, command_id: str) -> Answer | None:
        """Return what a command came to, None for an unknown one. What has ended has ended: it is not looked at again."""
        look = self._under_way.get(command_id)
        if look is None:
            return self._finished.get(command_id)
        answer = look()
        if answer.state != "accepted":
            del self._under_way[command_id]
            self._finished[command_id] = answer
            while len(self._finished) > KEPT_ANSWERS:
                del self._finished[next(iter(self._finished))]
        return answer

    # --- quoting

    def _pause(self, event: Operator) -> Callable[[], Answer]:
        slots = self._scope(event)
        if not slots:
            return _refused(_nobody(event))
        for slot in slots:
            slot.paused = True
            if not slot.spec.others:  # a pair goes on hedging what was filled; its targets are nothing else
                self._targets.withdraw(slot.spec.account, strategy=slot.spec.strategy)
            self._desk.cancel_live(slot.spec.account, strategy=slot.spec.strategy)
            self._runner.touch(slot)
        self._tell("info", "strategies_paused", event, strategies=_names(slots))
        return lambda: self._without_orders(slots, "paused")

    def _resume(self, event: Operator) -> Callable[[], Answer]:
        world = self._world
        slots = self._scope(event)
        if not slots:
            return _refused(_nobody(event))
        if world.kill.latched:
            return _refused("the kill latch is set; it is cleared by clear_kill alone, not by resume")
        if world.stopping:
            return _refused("the engine is stopping")
        lifted: list[str] = []
        for account in dict.fromkeys(account for slot in slots for account in slot.spec.accounts):
            halt = world.halts.resume(account, actor=event.actor or "unknown")
            if halt is not None:
                lifted.append(f"halt of {account} ({halt.text})")
                world.out.record(
                    HaltChanged(account, False, halt.code.value, halt.text, halt.flatten, event.actor, world.now_ns)
                )
        for slot in slots:
            for leg in slot.spec.legs:
                self._targets.withdraw(leg.account, instrument=leg.instrument)
                lifted += [
                    f"freeze of {leg.instrument} ({text})"
                    for text in self._reconciling.unfreeze(leg.account, leg.instrument, event.actor or "unknown")
                ]
            slot.paused = False
            if slot.state in (SlotState.FAILED, SlotState.STOPPED) and not has_left(slot):
                self._runner.restart(slot)
            self._runner.touch(slot)
        self._tell("info", "strategies_resumed", event, strategies=_names(slots), lifted="; ".join(lifted))
        text = f"{_names(slots)} may quote again" + (f"; lifted: {'; '.join(lifted)}" if lifted else "")
        return lambda: Answer("done", text)

    def _close(self, event: Operator) -> Callable[[], Answer]:
        world = self._world
        if world.kill.latched:
            return _refused("the kill latch is set: no order passes until it is cleared")
        named = event.strategy is not None or "instrument" in event.arguments
        slots = self._scope(event)
        if named and not slots:
            return _refused(_nobody(event))
        for slot in slots:
            slot.paused = True
            self._runner.touch(slot)
        keys = [(leg.account, leg.instrument) for slot in slots for leg in slot.spec.legs]
        if not named:
            for account, book in world.account_books.items():
                keys += [(account, instrument) for instrument, held in book.positions.items() if held.qty]
        keys = list(dict.fromkeys(keys))
        for account, instrument in keys:
            for order in world.table.live(account, instrument):
                if order.own and not order.waits and not order.cancel_pending:
                    self._desk.cancel_live(account, instrument)
                    break
            self._targets.close(account, instrument)
        self._tell("info", "positions_closing", event, positions=", ".join(f"{a} {i}" for a, i in keys))
        return lambda: self._flat(keys)

    def _answer_question(self, event: Operator) -> Callable[[], Answer]:
        """Answer what a strategy asked: go on, or stop."""
        answer = event.arguments.get("answer", "")
        if answer not in ANSWERS:
            return _refused(f"answer must be {' or '.join(ANSWERS)}, not {answer!r}")
        asking = [slot for slot in self._scope(event) if slot.question]
        if not asking:
            return _refused("no strategy asks anything" if event.strategy is None else f"{event.strategy} asks nothing")
        if len(asking) > 1:
            return _refused(f"say which strategy is answered: {_names(asking)}")
        slot = asking[0]
        self._tell(
            "info", "question_answered", event, strategy=slot.spec.strategy, question=slot.question, answer=answer
        )
        self._runner.on_answer(slot, answer)
        return lambda: Answer("done", f"{slot.spec.strategy}: {answer}")

    # --- parent orders

    def _execute(self, event: Operator) -> Callable[[], Answer]:
        """Work a parent order that is nobody's target."""
        if event.command_id and self._oneshots.is_repetition(event.command_id, event.arguments):
            return lambda: self._progress(event.command_id)  # begun in the life before, which did not come to answer
        problem = self._why_not_now(event)
        if problem:
            return _refused(problem)
        begun = self._oneshots.begin(event.command_id, event.arguments)
        if isinstance(begun, str):
            return _refused(begun)
        self._tell("info", "execution_begun", event, execution=begun.execution_id, text=describe(begun))
        return lambda: self._progress(begun.execution_id)

    def _execution_stop(self, event: Operator) -> Callable[[], Answer]:
        execution_id = event.arguments.get("id", "")
        report = self._executions.get(execution_id)
        if report is None:
            return _refused(f"no parent order {execution_id!r} is known")
        if report.state != "ended":
            self._executions.stop(execution_id, f"stopped by {event.actor or 'unknown'}")
            self._tell("info", "execution_stop_asked", event, execution=execution_id)
        return lambda: self._progress(execution_id)

    def _why_not_now(self, event: Operator) -> str:
        world = self._world
        if world.kill.latched:
            return "the kill latch is set: no order passes until it is cleared"
        if world.stopping:
            return "the engine is stopping"
        return "" if event.command_id else "a parent order needs the id of its command"

    def _progress(self, execution_id: str) -> Answer:
        report = self._executions.get(execution_id)
        if report is None:
            return Answer("done", "it ended a while ago; the journal has its report")
        return Answer("done" if report.state == "ended" else "accepted", summary(report))

    # --- stopping

    def _kill(self, event: Operator) -> Callable[[], Answer]:
        world = self._world
        reason = event.arguments.get("reason") or f"by {event.actor or 'unknown'}"
        if world.kill.trip(reason, world.now_ns):
            world.out.record(Latch(True, reason, event.actor, world.now_ns))
        self.empty_all(f"kill: {reason}", gap_ns=KILL_GAP_NS, foreign_too=True)
        for slot in world.slots.values():
            self._runner.touch(slot)
        self._tell("error", "killed", event, reason=reason)
        return lambda: self._emptied(f"killed: {reason}")

    def _clear_kill(self, event: Operator) -> Callable[[], Answer]:
        world = self._world
        wanted = f"clear kill {world.spec.name}"
        if not world.kill.latched:
            return _refused("the kill latch is not set")
        if world.stopping:  # what is being emptied has to be verified
            return _refused("the engine is stopping; the latch stays set and is cleared in its next life")
        if event.arguments.get("confirmation", "").strip().lower() != wanted.lower():
            return _refused(f"type exactly: {wanted}")
        if not event.actor.strip():
            return _refused("a person clears the kill latch: say who")
        reason = world.kill.reason
        world.kill.clear(HumanClear(event.actor, CLEAR_PHRASE))
        world.out.record(Latch(False, reason, event.actor, world.now_ns))
        self._emptyings.forget()
        for command_id in tuple(self._under_way):  # a kill that was not verified never will be
            self.answer(command_id)
        for slot in world.slots.values():
            self._runner.touch(slot)
        self._tell("warning", "kill_cleared", event, reason=reason)
        return lambda: Answer("done", "the kill latch is cleared; trading goes on within the limits")

    def _stop(self, event: Operator) -> Callable[[], Answer]:
        world = self._world
        if not world.stopping:
            world.stopping = event.arguments.get("reason") or f"by {event.actor or 'unknown'}"
            for slot in world.slots.values():
                self._runner.stop(slot)
            self.empty_all(f"stop: {world.stopping}", gap_ns=STOP_GAP_NS, foreign_too=False)
            self._tell("info", "engine_stopping", event, reason=world.stopping)
        return lambda: self._emptied("stopped")

    def _halt(self, event: Operator) -> Callable[[], Answer]:
        """The runtime found a reason to stop trading that a person must look at."""
        for account in self._world.limits:
            text = event.arguments.get("reason", "")
            self.halt(Halt(account, Code.HALTED, text, False, self._world.now_ns), event.actor)
        return lambda: Answer("done", "halted")

    def _arm(self, event: Operator) -> Callable[[], Answer]:
        """The typed words were checked by who knows the account's number (engine.commands); `until_ns` is for how long."""
        world = self._world
        if not world.spec.needs_arming:
            return _refused("this environment trades without being armed")
        world.arming = Arming(int(event.arguments["until_ns"]), world.spec.config_hash)
        world.judge_arming()
        for slot in world.slots.values():
            self._runner.touch(slot)
        self._tell("warning", "trading_armed", event, config=world.spec.config_hash)
        return lambda: Answer("done", "live trading is armed")

    def _block(self, event: Operator) -> Callable[[], Answer]:
        cause, reason = event.arguments["cause"], event.arguments["reason"]
        if self._world.blocks.get(cause) != reason:
            self._world.blocks[cause] = reason
            for slot in self._world.slots.values():
                self._runner.touch(slot)
            self._tell("error", "new_risk_blocked", event, cause=cause, reason=reason)
        return lambda: Answer("done", "blocked")

    def _unblock(self, event: Operator) -> Callable[[], Answer]:
        cause = event.arguments["cause"]
        if self._world.blocks.pop(cause, None) is not None:
            for slot in self._world.slots.values():
                self._runner.touch(slot)
            self._tell("info", "new_risk_unblocked", event, cause=cause)
        return lambda: Answer("done", "unblocked")

    def _resync(self, event: Operator) -> Callable[[], Answer]:
        """The machine slept or the clock jumped: nothing is placed before every account was read anew."""
        for account in self._world.limits:
            self._reconciling.request_pass(account, event.arguments.get("reason", "resync"), revoke=True)
        for slot in self._world.slots.values():
            self._runner.touch(slot)
        return lambda: Answer("done", "reading the accounts anew")

    def _epoch(self, event: Operator) -> Callable[[], Answer]:
        """The journal was rolled back: orders of a later epoch stand at the venue. A higher one is on disk already."""
        epoch = int(event.arguments["epoch"])
        self._world.adopt_epoch(epoch)
        self._tell("error", "epoch_jumped", event, epoch=str(epoch))
        return lambda: Answer("done", f"epoch {epoch}")

    # --- shared

    def halt(self, halt: Halt, actor: str) -> None:
        """Stop an account: cancel what is ours, flatten when the limit asks for it."""
        world = self._world
        world.halts.halt(halt)
        world.out.record(HaltChanged(halt.account, True, halt.code.value, halt.text, halt.flatten, actor, world.now_ns))
        self._targets.withdraw(halt.account)
        self._executions.stop_where(lambda order: order.account == halt.account, f"halted: {halt.text}")
        self._desk.cancel_live(halt.account)
        for slot in world.slots.values():
            if halt.account in slot.spec.accounts:
                self._runner.touch(slot)
        fields = {"account": halt.account, "reason": halt.code.value, "text": halt.text}
        world.out.tell(Notice("error", "account_halted", fields, world.now_ns))
        if halt.flatten:
            for instrument, held in world.account_books[halt.account].positions.items():
                if held.qty:
                    self._targets.close(halt.account, instrument)

    def empty_all(self, why: str, *, gap_ns: int, foreign_too: bool) -> None:
        """Cancel everything on every account and verify."""
        for account in self._world.limits:
            self._targets.withdraw(account)
            self._executions.stop_where(lambda order, of=account: order.account == of, why)  # type: ignore[misc]
            self._emptyings.begin(account, why, gap_ns=gap_ns, foreign_too=foreign_too)

    def _scope(self, event: Operator) -> list[Slot]:
        instrument = event.arguments.get("instrument")
        return [
            slot
            for slot in self._world.slots.values()
            if event.strategy in (None, slot.spec.strategy)
            and (instrument is None or instrument in [leg.instrument for leg in slot.spec.legs])
        ]

    def _without_orders(self, slots: list[Slot], text: str) -> Answer:
        table = self._world.table  # what protects a position at the venue stays there
        live = sum(not t.waits for s in slots for a in s.spec.accounts for t in table.live(a, strategy=s.spec.strategy))
        if not live:
            return Answer("done", text)
        gone_on = [slot for slot in slots if not slot.paused]
        if gone_on:
            return Answer("refused", f"{_names(gone_on)} went on before all orders were cancelled")
        return Answer("accepted", f"{live} orders are being cancelled")

    def _flat(self, keys: list[tuple[AccountId, InstrumentId]]) -> Answer:
        books = self._world.account_books
        held = [
            f"{instrument} {qty}" for account, instrument in keys if (qty := books[account].position_qty(instrument))
        ]
        closing = self._targets.closing()
        waits = [text for key in keys if (text := closing.get(key))]
        if any(key in closing for key in keys):
            return Answer("accepted", "; ".join([*held, *waits]) or "orders are being cancelled")
        if not held:
            return Answer("done", "flat")
        if any(self._could_be_closed(key) for key in keys):
            return Answer("refused", f"the closing was given up for another command; held: {'; '.join(held)}")
        return Answer("accepted", "; ".join(held))

    def _could_be_closed(self, key: tuple[AccountId, InstrumentId]) -> bool:
        """Whether a lot or more is proven to be held; of what was closed the fills may still be to come."""
        rules = self._world.instruments.get(key[1])
        return rules is not None and abs(self._executions.position(key)) >= rules.lot

    def _emptied(self, text: str) -> Answer:
        waiting = [account for account in self._world.limits if not self._emptyings.verified(account)]
        if not waiting:
            return Answer("done", f"{text}; no order is open")
        if all(self._emptyings.is_forgotten(account) for account in waiting):
            return Answer("refused", f"{text}; trading went on before the venue had shown twice that no order is open")
        live = sum(order.own for account in waiting for order in self._world.table.live(account))
        return Answer("accepted", f"{text}; cancelling and verifying, {live} orders still known")

    def _tell(self, level: str, name: str, event: Operator, **fields: str) -> None:
        about = {"actor": event.actor, **{key: value for key, value in fields.items() if value}}
        self._world.out.tell(Notice(level, name, about, self._world.now_ns))


def _nobody(event: Operator) -> str:
    wanted = event.strategy or event.arguments.get("instrument", "")
    return f"no strategy of this engine is or trades {wanted!r}"


def _names(slots: list[Slot]) -> str:
    return ", ".join(slot.spec.strategy for slot in slots)
