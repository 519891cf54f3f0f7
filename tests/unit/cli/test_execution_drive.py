"""A parent order followed through the control API of an engine that is played: silence, a next life, Ctrl-C, lost news."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from tests.unit.cli.test_execute import row

from perpmaker.cli import execution_drive
from perpmaker.cli.engine_link import Refused
from perpmaker.cli.execution_drive import Following, Stop
from perpmaker.clock import ManualClock
from perpmaker.control.client import AsyncControlClient, ControlRefused, EngineUnreachable
from perpmaker.control.messages import CommandAnswer, CommandRequest, ExecutionRow
from perpmaker.errors import OutcomeUnknown

WORDS = {"instrument": "ETH_USDT_Perp", "side": "buy", "qty": "1", "algo": "sweep"}


class Engine:
    """Works one order: `looks` is what the next looks see, a row or an error; the last one stays."""

    def __init__(self, *looks: ExecutionRow | Exception | None) -> None:
        self.looks = list(looks)
        self.requests: list[CommandRequest] = []
        self.lost = 0
        """So many commands more arrive, but their answers do not."""
        self.strange = 0
        """So many commands more are refused for their credentials, once no answer is lost any more."""
        self.refuses = ""
        self.on_loss: Callable[[], None] = lambda: None
        self.now: Callable[[], int] = lambda: 0
        self.on_look: Callable[[], None] = lambda: None

    async def status(self) -> Any:
        self.on_look()
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        listed = [] if look is None else [msgspec.structs.replace(look, id=self.requests[0].command_id)]
        return SimpleNamespace(executions=[row(id="another"), *listed])

    async def send(self, request: CommandRequest) -> CommandAnswer:
        self.requests.append(request)
        if self.lost:
            self.lost -= 1
            self.on_loss()
            raise EngineUnreachable("no answer")
        if self.strange:
            self.strange -= 1
            raise ControlRefused("credentials refused")
        why = "expired" if int(request.expires_ns) < self.now() else self.refuses
        return CommandAnswer(request.command_id, "refused" if why else "accepted", why)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_drive, "POLL_S", 0.001)


class Table:
    def __init__(self, *looks: ExecutionRow | Exception | None) -> None:
        self.engine = Engine(*looks)
        self.stop = Stop(lambda: "")
        self.told: list[ExecutionRow] = []
        self.clock = ManualClock()
        self.engine.now = self.clock.now_ns

    async def work(self) -> ExecutionRow:
        client = cast(AsyncControlClient, self.engine)
        return await Following(client, self.stop, self.clock, self.told.append).work(WORDS)

    @property
    def kinds(self) -> list[str]:
        return [request.kind for request in self.engine.requests]


AWAY = EngineUnreachable("the engine at x does not answer")
WORKING, ENDED = row(state="working", reason=""), row(reason="done")


async def test_it_is_followed_to_its_end() -> None:
    table = Table(WORKING, WORKING, ENDED)
    assert (await table.work()).reason == "done"
    assert [seen.state for seen in table.told] == ["working", "working", "ended"]


async def test_silence_is_told_once_and_the_next_life_is_followed_to_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(execution_drive, "TOLD_S", 0.0)
    strange = ControlRefused("another engine has the port")
    table = Table(WORKING, AWAY, AWAY, strange, None, AWAY, WORKING, ENDED)
    assert (await table.work()).reason == "done"
    assert capsys.readouterr().err.count("does not answer; asking on for 30 s, its next life too") == 1


@pytest.mark.parametrize(
    ("look", "why"), [(AWAY, "the engine at x does not answer"), (None, "the engine does not list the parent order")]
)
async def test_an_end_that_nobody_tells_is_unknown_and_says_where_to_look(
    look: Exception | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution_drive, "LOST_S", 0.02)
    table = Table(WORKING, look)
    with pytest.raises(OutcomeUnknown, match=rf"{why}; what became of parent order \w+ is in its journal"):
        await table.work()


async def test_ctrl_c_stops_it_once_and_the_truth_is_awaited() -> None:
    table = Table(WORKING, WORKING, row(state="stopping"), row(state="stopping"), row(reason="stopped"))
    table.engine.on_look = table.stop.asked.set
    end = await table.work()
    assert (end.reason, table.kinds) == ("stopped", ["execute", "execution_stop"])
    assert table.engine.requests[1].arguments == {"id": table.engine.requests[0].command_id}


async def test_a_lost_answer_is_asked_for_again_under_the_same_id() -> None:
    table = Table(ENDED)
    table.engine.lost = 3
    await table.work()
    assert table.kinds == ["execute"] * 4
    assert len({request.command_id for request in table.engine.requests}) == 1


async def test_a_next_life_that_does_not_know_us_yet_is_asked_again_after_a_lost_answer() -> None:
    table = Table(ENDED)
    table.engine.lost = 1
    table.engine.strange = 2
    assert (await table.work()).reason == "done"
    assert table.kinds == ["execute"] * 4


async def test_credentials_that_are_refused_at_once_end_it() -> None:
    table = Table(ENDED)
    table.engine.strange = 1
    with pytest.raises(ControlRefused):
        await table.work()


async def test_a_refusal_ends_it_with_the_engines_reason() -> None:
    table = Table(ENDED)
    table.engine.refuses = "the kill latch is set"
    with pytest.raises(Refused, match="execute refused: the kill latch is set"):
        await table.work()


def too_late(table: Table) -> None:
    """The first answer is lost; before the command can be given again it is too old."""
    table.engine.lost = 1
    table.engine.on_loss = lambda: table.clock.advance(11 * 10**9)


async def test_what_a_lost_answer_began_is_followed_though_its_repetition_comes_too_late() -> None:
    table = Table(WORKING, ENDED)
    too_late(table)
    assert (await table.work()).reason == "done"


async def test_a_repetition_that_comes_too_late_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_drive, "LOST_S", 0.02)
    table = Table(None)
    too_late(table)
    with pytest.raises(OutcomeUnknown, match="does not list the parent order; what became of parent order"):
        await table.work()


async def test_a_stop_that_was_lost_and_comes_too_late_is_given_again() -> None:
    table = Table(WORKING, WORKING, row(state="stopping"), row(reason="stopped"))

    def look() -> None:
        if not table.stop.asked.is_set():
            table.stop.asked.set()
            too_late(table)

    table.engine.on_look = look
    assert (await table.work()).reason == "stopped"
    assert table.kinds == ["execute", *["execution_stop"] * 3]
    first, again, anew = (request.command_id for request in table.engine.requests[1:])
    assert first == again != anew
