"""Commands from the page to the engine: what the page may ask, checked, remembered, and passed on with an answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal

import msgspec

from perpmaker import logs
from perpmaker.clock import Clock
from perpmaker.control.messages import CommandAnswer, CommandKind, CommandRequest, Status
from perpmaker.dashboard.link import AnswerUnknown, NotDelivered
from perpmaker.dashboard.pacing import Allowance
from perpmaker.dashboard.sessions import Session

EXPIRY_NS: Final = 10_000_000_000
MAX_REMEMBERED: Final = 256
COMMANDS_PER_S: Final = 1.0
COMMAND_BURST: Final = 20.0
QUESTIONS_PER_S: Final = 10.0
"""How often pages may ask what became of commands that were passed on; each asks less than twice a second."""

MAX_ARGUMENTS: Final = 48
PAGE_KINDS: Final[dict[str, CommandKind]] = {
    "pause": "pause",
    "resume": "resume",
    "close": "close",
    "kill": "kill",
    "pair_start": "pair_start",
    "pair_stop": "pair_stop",
    "pair_close": "pair_close",
    "pair_pause": "pair_pause",
    "pair_resume": "pair_resume",
    "pair_answer": "pair_answer",
}
_IF_UNCHANGED: Final = frozenset({"resume", "close", "pair_start", "pair_resume", "pair_close"})
"""Commands that take on risk or cost money: only if the engine still is in the state that the page showed."""

_WITH_ARGUMENTS: Final = frozenset({"pair_start", "pair_answer"})
"""Commands that carry words of their own; the engine judges them."""

Text = Annotated[str, msgspec.Meta(max_length=200)]
Word = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[a-z][a-z0-9_.]*$")]


class CommandBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page posts. `seen_state` is the engine's state that the page showed when the button was pressed."""

    command_id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
    kind: Annotated[str, msgspec.Meta(max_length=32)]
    seen_state: Annotated[str, msgspec.Meta(max_length=32)]
    instrument: Text = ""
    strategy: Text = ""
    reason: Text = ""
    arguments: Annotated[dict[Word, Text], msgspec.Meta(max_length=MAX_ARGUMENTS)] = {}


class PageAnswer(msgspec.Struct, frozen=True):
    """As the engine's answer, and `unknown`: it was sent, and nobody knows; ask again with the same id."""

    command_id: str
    state: Literal["accepted", "done", "refused", "unknown"]
    text: str


class Commands:
    """Passes commands on. The same id asks for the answer again; the engine carries it out once."""

    def __init__(
        self,
        clock: Clock,
        send: Callable[[CommandRequest], Awaitable[CommandAnswer]],
        status: Callable[[], Status | None],
    ) -> None:
        self._clock = clock
        self._send = send
        self._status = status
        self._sent: OrderedDict[str, tuple[CommandBody, CommandRequest]] = OrderedDict()
        now_ns = clock.monotonic_ns()
        self._allowance = {"": Allowance(COMMANDS_PER_S, COMMAND_BURST, now_ns)}
        self._allowance["kill"] = Allowance(COMMANDS_PER_S, COMMAND_BURST, now_ns)
        self._questions = Allowance(QUESTIONS_PER_S, COMMAND_BURST, now_ns)
        self._log = logs.get("dashboard")

    async def submit(self, session: Session, body: CommandBody) -> PageAnswer:
        """Return the engine's answer, or why the command did not get there.

        One that was passed on before is never called refused for anything but the engine's own word: it may be under way.
        """
        known = self._sent.get(body.command_id)
        if known is not None and known[0] == body and not self._questions.take(self._clock.monotonic_ns()):
            return PageAnswer(body.command_id, "unknown", "asked too often; ask again in a second")
        refusal = self._refusal(body)
        if refusal:
            return PageAnswer(body.command_id, "refused", refusal)
        request = self._request(session, body)
        try:
            answer = await self._send(request)
        except NotDelivered as error:
            if known is not None:
                return PageAnswer(body.command_id, "unknown", f"not known what became of it: {error}")
            return PageAnswer(body.command_id, "refused", f"not delivered: {error}")
        except AnswerUnknown as error:
            return PageAnswer(body.command_id, "unknown", str(error))
        return PageAnswer(body.command_id, answer.state, answer.text)

    def _refusal(self, body: CommandBody) -> str:
        """Return why this command does not go out, "" when it does."""
        known = self._sent.get(body.command_id)
        if known is not None:
            return "" if known[0] == body else "this command id was used for another command"
        bucket = "kill" if body.kind == "kill" else ""
        if not self._allowance[bucket].take(self._clock.monotonic_ns()):
            return "too many commands; wait a few seconds"
        if body.kind not in PAGE_KINDS:
            return f"{body.kind} is not done from the page; use the command line (perpmaker --help)"
        if body.arguments and body.kind not in _WITH_ARGUMENTS:
            return f"{body.kind} takes no arguments"
        status = self._status()
        if body.kind in _IF_UNCHANGED and status is not None and status.state != body.seen_state:
            return f"the engine is now {status.state}, the page showed {body.seen_state}; look again"
        return ""

    def _request(self, session: Session, body: CommandBody) -> CommandRequest:
        """Return the request; asked again with the same id, the very same one."""
        known = self._sent.get(body.command_id)
        if known is not None:
            return known[1]
        named = {"instrument": body.instrument, "strategy": body.strategy, "reason": body.reason}
        arguments = {**body.arguments, **{name: value for name, value in named.items() if value}}
        request = CommandRequest(
            command_id=body.command_id,
            kind=PAGE_KINDS[body.kind],
            expires_ns=str(self._clock.now_ns() + EXPIRY_NS),
            arguments=arguments,
            actor=f"dashboard:{session.name}",
        )
        self._sent[body.command_id] = (body, request)
        while len(self._sent) > MAX_REMEMBERED:
            self._sent.popitem(last=False)
        self._log.info("command_passed_on", kind=body.kind, command_id=body.command_id, actor=request.actor)
        return request
