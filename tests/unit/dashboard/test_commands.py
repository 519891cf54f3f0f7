from typing import Any

import msgspec
import pytest
from tests.unit.dashboard.frames import STATUS

from perpmaker.clock import ManualClock
from perpmaker.control.messages import CommandAnswer, CommandRequest, Status
from perpmaker.dashboard.commands import COMMAND_BURST, EXPIRY_NS, CommandBody, Commands
from perpmaker.dashboard.link import AnswerUnknown, NotDelivered
from perpmaker.dashboard.sessions import Session

SESSION = Session(digest="0123456789abcdef", csrf="c")


class Engine:
    """Remembers what was sent; answers what it is told to."""

    def __init__(self) -> None:
        self.sent: list[CommandRequest] = []
        self.problem: Exception | None = None
        self.state = "running"

    async def send(self, request: CommandRequest) -> CommandAnswer:
        self.sent.append(request)
        if self.problem is not None:
            raise self.problem
        return CommandAnswer(request.command_id, "done", "as wished")

    def status(self) -> Status:
        return msgspec.structs.replace(STATUS, state=self.state)


def a_body(kind: str = "pause", command_id: str = "abcdefgh", seen_state: str = "running", **more: Any) -> CommandBody:
    return CommandBody(command_id=command_id, kind=kind, seen_state=seen_state, **more)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def commands(engine: Engine) -> Commands:
    return Commands(ManualClock(), engine.send, engine.status)


async def test_a_command_reaches_the_engine_with_actor_and_expiry(engine: Engine, commands: Commands) -> None:
    answer = await commands.submit(SESSION, a_body("close", instrument="BTC_USDT_Perp"))
    assert (answer.state, answer.text) == ("done", "as wished")
    [request] = engine.sent
    assert request.kind == "close"
    assert request.actor == "dashboard:01234567"
    assert request.arguments == {"instrument": "BTC_USDT_Perp"}
    assert int(request.expires_ns) == ManualClock().now_ns() + EXPIRY_NS


async def test_asking_again_sends_the_very_same_request(engine: Engine) -> None:
    clock = ManualClock()
    commands = Commands(clock, engine.send, engine.status)
    await commands.submit(SESSION, a_body())
    clock.advance(3_000_000_000)
    await commands.submit(SESSION, a_body())
    assert engine.sent[0] == engine.sent[1]


async def test_asking_again_for_a_minute_is_not_taken_for_too_many_commands(engine: Engine) -> None:
    """A closing may take longer than the allowance of commands lasts; it goes on, and is not refused."""
    clock = ManualClock()
    commands = Commands(clock, engine.send, engine.status)
    for _ in range(100):
        assert (await commands.submit(SESSION, a_body("close"))).state == "done"
        clock.advance(700_000_000)


async def test_asking_too_often_leaves_it_open_what_became_of_a_command(engine: Engine, commands: Commands) -> None:
    states = [(await commands.submit(SESSION, a_body())).state for _ in range(25)]
    assert states == ["done"] * 21 + ["unknown"] * 4
    assert (await commands.submit(SESSION, a_body("kill", "another-one"))).state == "done"


async def test_a_command_passed_on_before_the_link_was_lost_is_unknown_and_not_refused(
    engine: Engine, commands: Commands
) -> None:
    await commands.submit(SESSION, a_body("close"))
    engine.problem = NotDelivered("no engine is connected; nothing was sent")
    answer = await commands.submit(SESSION, a_body("close"))
    assert answer.state == "unknown"
    assert "no engine is connected" in answer.text


async def test_an_id_used_for_another_command_is_refused(engine: Engine, commands: Commands) -> None:
    await commands.submit(SESSION, a_body("pause"))
    answer = await commands.submit(SESSION, a_body("close"))
    assert answer.state == "refused"
    assert len(engine.sent) == 1


@pytest.mark.parametrize("kind", ["clear_kill", "arm", "reload", "shutdown", "stop", "nonsense"])
async def test_what_belongs_to_the_command_line_does_not_pass(engine: Engine, commands: Commands, kind: str) -> None:
    answer = await commands.submit(SESSION, a_body(kind))
    assert answer.state == "refused"
    assert "command line" in answer.text
    assert engine.sent == []


@pytest.mark.parametrize(("kind", "passes"), [("resume", False), ("close", False), ("pause", True), ("kill", True)])
async def test_a_page_that_shows_an_old_state_may_only_make_things_safer(
    engine: Engine, commands: Commands, kind: str, passes: bool
) -> None:
    engine.state = "halted"
    answer = await commands.submit(SESSION, a_body(kind, seen_state="paused"))
    assert (answer.state == "done") is passes
    assert bool(engine.sent) is passes
    if not passes:
        assert "halted" in answer.text


async def test_a_command_that_was_not_sent_is_refused_and_one_without_answer_is_unknown(
    engine: Engine, commands: Commands
) -> None:
    engine.problem = NotDelivered("no engine runs; nothing was sent")
    answer = await commands.submit(SESSION, a_body("kill", "first-one"))
    assert answer.state == "refused"
    assert "not delivered" in answer.text
    engine.problem = AnswerUnknown("no answer")
    assert (await commands.submit(SESSION, a_body("kill", "second-one"))).state == "unknown"


async def test_a_flood_of_commands_is_refused_and_leaves_the_kill_its_own_allowance(
    engine: Engine, commands: Commands
) -> None:
    states = [(await commands.submit(SESSION, a_body("pause", f"command-{n}"))).state for n in range(60)]
    assert states.count("done") == COMMAND_BURST
    assert (await commands.submit(SESSION, a_body("kill", "kill-now"))).state == "done"


async def test_a_pair_is_started_with_its_own_words_and_answered_by_name(engine: Engine, commands: Commands) -> None:
    words = {"instrument": "ETH_USDT_Perp", "mode": "alternate", "maker.timeout_s": "3"}
    await commands.submit(SESSION, a_body("pair_start", arguments=words))
    await commands.submit(SESSION, a_body("pair_answer", "abcdefgi", strategy="pair-eth", arguments={"answer": "stop"}))
    assert [(request.kind, request.arguments) for request in engine.sent] == [
        ("pair_start", words),
        ("pair_answer", {"answer": "stop", "strategy": "pair-eth"}),
    ]


async def test_words_of_its_own_are_for_those_commands_alone(engine: Engine, commands: Commands) -> None:
    answer = await commands.submit(SESSION, a_body("pause", arguments={"strategy": "other"}))
    assert (answer.state, answer.text) == ("refused", "pause takes no arguments")
    assert engine.sent == []


@pytest.mark.parametrize("kind", ["pair_start", "pair_resume", "pair_close"])
async def test_what_takes_risk_on_a_pair_needs_the_state_the_page_showed(
    engine: Engine, commands: Commands, kind: str
) -> None:
    engine.state = "halted"
    assert (await commands.submit(SESSION, a_body(kind))).state == "refused"
    assert (await commands.submit(SESSION, a_body("pair_stop", "abcdefgi"))).state == "done"


@pytest.mark.parametrize(
    "words", [{"Instrument": "x"}, {"a" * 65: "x"}, {"size": "1" * 201}, {f"k{n}": "" for n in range(49)}]
)
def test_words_that_no_strategy_has_are_no_command(words: dict[str, str]) -> None:
    body = {"command_id": "abcdefgh", "kind": "pair_start", "seen_state": "running", "arguments": words}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=CommandBody)
