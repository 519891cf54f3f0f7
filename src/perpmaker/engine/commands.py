"""The desk at which commands of the control API are taken: once per id, in time, with the right words, in the journal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, cast

import msgspec

from perpmaker.clock import Clock
from perpmaker.control.messages import CommandAnswer, CommandRequest
from perpmaker.engine.core.engine import Engine
from perpmaker.engine.records import CommandAnswered, Record
from perpmaker.model.events import Operator
from perpmaker.model.ids import StrategyId
from perpmaker.model.units import NS_PER_S

KEPT_ANSWERS: Final = 1_000
MAX_AHEAD_NS: Final = 60 * NS_PER_S
"""A command that expires later than this from now was not made by a client of ours."""
ARMED_NS: Final = 24 * 3600 * NS_PER_S
_MAX_ARGUMENTS, _MAX_TEXT = 64, 500
_STOPPING: Final = ("stop", "shutdown")
_State = Literal["accepted", "done", "refused"]


class CommandDesk:
    """Takes requests and gives answers; the core carries them out.

    The same id gets the same command's answer and never a second execution, over a restart too: an answer stands in the
    journal. A command that is under way when the engine dies is not taken up again; its repetition is refused as expired.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        feed: Callable[[Operator], None],
        write: Callable[[Record], None],
        sub_accounts: Sequence[str],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._feed = feed
        self._write = write
        self._sub_accounts = sub_accounts
        self._answers: OrderedDict[str, CommandAnswered] = OrderedDict()
        self._under_way: dict[str, CommandRequest] = {}
        self.stop_requested = False
        """Whether somebody asked the engine to end."""

    def restore(self, records: Iterable[Record]) -> None:
        """Remember the answers of the lives before."""
        for record in records:
            if isinstance(record, CommandAnswered):
                self._keep(record)

    def take(self, request: CommandRequest, peer: str) -> CommandAnswer:
        """Carry a command out, or say what became of it."""
        if request.command_id in self._under_way:
            return self._look(request.command_id)
        known = self._answers.get(request.command_id)
        if known is not None:
            if known.kind != request.kind:
                return CommandAnswer(request.command_id, "refused", "this id was used for another command")
            return CommandAnswer(known.command_id, cast("_State", known.state), known.text)
        problem = self._problem(request)
        if problem:
            return CommandAnswer(request.command_id, "refused", problem)
        actor = f"{request.actor or 'unknown'} ({peer})" if peer else request.actor
        return self._begin(request, actor)

    def look_after(self) -> None:
        """Write down what commands under way have come to; called now and then."""
        for command_id in tuple(self._under_way):
            self._look(command_id)

    def _begin(self, request: CommandRequest, actor: str) -> CommandAnswer:
        arguments = dict(request.arguments)
        strategy = arguments.pop("strategy", None)
        if request.kind == "arm":
            problem = self._wrong_words(arguments)
            if problem:
                return self._finish(request, actor, CommandAnswer(request.command_id, "refused", problem))
            arguments["until_ns"] = str(self._clock.now_ns() + ARMED_NS)
            arguments["config"] = self._engine.world.spec.config_hash
        self._under_way[request.command_id] = msgspec.structs.replace(request, actor=actor)
        self._feed(
            Operator(
                command_id=request.command_id,
                kind=request.kind,
                strategy=None if strategy is None else StrategyId(strategy),
                arguments=arguments,
                actor=actor,
                ts_recv_ns=self._clock.now_ns(),
            )
        )
        if request.kind in _STOPPING:
            self.stop_requested = True
        return self._look(request.command_id)

    def _look(self, command_id: str) -> CommandAnswer:
        request = self._under_way[command_id]
        answer = self._engine.answer(command_id)
        if answer is None:
            return self._finish(
                request, request.actor, CommandAnswer(command_id, "refused", "the engine lost track of it")
            )
        given = CommandAnswer(command_id, answer.state, answer.text)
        return given if answer.state == "accepted" else self._finish(request, request.actor, given)

    def _finish(self, request: CommandRequest, actor: str, answer: CommandAnswer) -> CommandAnswer:
        self._under_way.pop(request.command_id, None)
        record = CommandAnswered(
            answer.command_id, request.kind, answer.state, answer.text, actor, self._clock.now_ns()
        )
        self._keep(record)
        self._write(record)
        return answer

    def _keep(self, record: CommandAnswered) -> None:
        self._answers[record.command_id] = record
        while len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)

    def _problem(self, request: CommandRequest) -> str:
        """Say what is wrong with a request itself, "" for nothing."""
        if not 8 <= len(request.command_id) <= 64 or not request.command_id.isprintable():
            return "command_id must be 8 to 64 printable characters"
        if len(request.arguments) > _MAX_ARGUMENTS or any(
            len(key) > _MAX_TEXT or len(value) > _MAX_TEXT for key, value in request.arguments.items()
        ):
            return "too many or too long arguments"
        if not (request.expires_ns.isascii() and request.expires_ns.isdigit() and len(request.expires_ns) < 20):
            return "expires_ns must be UTC nanoseconds as digits"
        left_ns = int(request.expires_ns) - self._clock.now_ns()
        if left_ns < 0:
            return f"expired {-left_ns / NS_PER_S:.1f} s ago; give the command again if it is still wanted"
        if left_ns > MAX_AHEAD_NS:
            return f"expires_ns is more than {MAX_AHEAD_NS // NS_PER_S} s ahead"
        if request.kind == "reload":
            return "this engine takes a changed configuration over at its next start: stop it, then run it again"
        return ""

    def _wrong_words(self, arguments: dict[str, str]) -> str:
        name = self._engine.world.spec.name
        typed = " ".join(arguments.get("confirmation", "").split()).lower()
        wanted = arming_words(name, self._sub_accounts)
        return "" if typed == wanted.lower() else f"type exactly: arm {name} and the sub-account id(s) it trades on"


def arming_words(engine: str, sub_accounts: Sequence[str]) -> str:
    """Return what a person types to allow live trading on a real venue."""
    return " ".join([f"arm {engine}", *sub_accounts])
