"""Commands of the control API: carried out once, in time, with the right words, and answered for ever after."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, Rig

from perpmaker.clock import ManualClock
from perpmaker.control.messages import CommandAnswer, CommandRequest
from perpmaker.engine.commands import CommandDesk
from perpmaker.engine.core.operators import KEPT_ANSWERS
from perpmaker.engine.records import CommandAnswered, Record

SECOND = 10**9
ICEBERG = {"side": "buy", "qty": "0.010", "algo": "iceberg", "display_qty": "0.004", "duration_ms": "600000"}


class Desk:
    """A command desk before a rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.clock = ManualClock(rig.now_ns)
        self.written: list[Record] = []
        self.desk = self.another()

    def another(self) -> CommandDesk:
        return CommandDesk(
            self.rig.engine, self.clock, feed=self.rig.feed, write=self.written.append, sub_accounts=["4711"]
        )

    def ask(
        self, kind: Any, command_id: str = "command-1", *, expires_s: float = 10, **arguments: str
    ) -> CommandAnswer:
        expires = str(self.clock.now_ns() + int(expires_s * SECOND))
        return self.desk.take(CommandRequest(command_id, kind, expires, arguments, "ada"), "127.0.0.1")


@pytest.fixture
def desk() -> Desk:
    return Desk(Rig(made(Maker)).start())


def test_a_command_is_carried_out_and_written_down_with_its_actor(desk: Desk) -> None:
    assert desk.ask("pause").state == "done"
    assert desk.rig.live() == []
    (record,) = desk.written
    assert isinstance(record, CommandAnswered)
    assert (record.kind, record.state, record.actor) == ("pause", "done", "ada (127.0.0.1)")


def test_the_same_id_again_gets_the_same_answer_and_nothing_happens(desk: Desk) -> None:
    first = desk.ask("pause")
    desk.rig.operate("resume")
    again = desk.ask("pause")
    assert again == first
    assert len(desk.rig.live()) == 2


def test_the_same_id_for_another_command_is_refused(desk: Desk) -> None:
    desk.ask("pause")
    assert desk.ask("resume").state == "refused"


def test_a_repetition_is_known_after_a_restart(desk: Desk) -> None:
    first = desk.ask("pause")
    desk.desk = desk.another()
    desk.desk.restore(desk.written)
    desk.rig.operate("resume")
    assert desk.ask("pause") == first
    assert len(desk.rig.live()) == 2


def test_a_command_that_came_too_late_is_refused_and_not_remembered(desk: Desk) -> None:
    answer = desk.ask("kill", expires_s=-0.5)
    assert (answer.state, "expired" in answer.text) == ("refused", True)
    assert len(desk.rig.live()) == 2
    assert desk.ask("kill").state == "accepted"


def test_a_command_from_the_far_future_is_refused(desk: Desk) -> None:
    assert desk.ask("pause", expires_s=3600).state == "refused"


@pytest.mark.parametrize("command_id", ["", "short", "x" * 65, "with\nnewline"])
def test_an_id_must_be_an_id(desk: Desk, command_id: str) -> None:
    assert desk.ask("pause", command_id).state == "refused"


@pytest.mark.parametrize("expires", ["", "soon", "-1", "9" * 25, "1e9"])
def test_an_expiry_must_be_a_time(desk: Desk, expires: str) -> None:
    assert desk.desk.take(CommandRequest("command-1", "pause", expires), "").state == "refused"


def test_arguments_are_bounded(desk: Desk) -> None:
    assert desk.ask("pause", strategy="x" * 501).state == "refused"
    assert desk.ask("pause", **{f"k{n}": "" for n in range(65)}).state == "refused"


def test_what_is_under_way_is_accepted_until_it_is_done(desk: Desk) -> None:
    assert desk.ask("kill", reason="drill").state == "accepted"
    assert desk.ask("kill").state == "accepted"
    desk.rig.run(8)
    desk.clock.advance(8 * SECOND)
    assert desk.ask("kill", expires_s=-5).state == "done"
    assert [type(record) for record in desk.written] == [CommandAnswered]


def test_a_command_under_way_is_never_forgotten() -> None:
    desk = Desk(Rig(made(Maker)).start())
    assert desk.ask("execute", "order-001", instrument=BTC, **ICEBERG).state == "accepted"
    for number in range(300):
        assert desk.ask("pause", f"pause-{number:03}", strategy="nobody").state == "refused"
    assert desk.ask("execute", "order-001").state == "accepted"
    desk.desk.look_after()
    assert desk.ask("execution_stop", "stop-0001", id="order-001").state in ("accepted", "done")
    desk.rig.run(5)
    answer = desk.ask("execute", "order-001")
    assert answer.state == "done"
    assert "stopped by ada" in answer.text


def test_what_has_ended_stays_as_it_ended_and_is_forgotten_in_time(desk: Desk) -> None:
    engine = desk.rig.engine
    for number in range(KEPT_ANSWERS + 1):
        desk.rig.operate("pause", command_id=f"pause-{number:03}")
        desk.rig.run(0.2)
        assert engine.answer(f"pause-{number:03}").state == "done"
        desk.rig.operate("resume", command_id="resume-1")
    assert desk.rig.live()
    assert engine.answer(f"pause-{KEPT_ANSWERS:03}").state == "done"  # quotes stand again; the pause was one
    assert engine.answer("pause-000") is None


def test_what_becomes_of_a_command_is_written_down_though_nobody_asks(desk: Desk) -> None:
    desk.ask("kill")
    desk.rig.run(8)
    desk.desk.look_after()
    (record,) = desk.written
    assert isinstance(record, CommandAnswered)
    assert record.state == "done"


def test_stop_asks_the_runtime_to_end(desk: Desk) -> None:
    assert not desk.desk.stop_requested
    desk.ask("stop")
    assert desk.desk.stop_requested


def test_reload_is_refused_and_says_what_to_do(desk: Desk) -> None:
    assert "next start" in desk.ask("reload").text


@pytest.mark.parametrize("typed", ["", "arm", "arm test", "arm test 4712", "clear kill test"])
def test_arming_needs_the_engines_name_and_the_account(typed: str) -> None:
    desk = Desk(Rig(made(Maker), needs_arming=True).start())
    assert desk.ask("arm", confirmation=typed).state == "refused"
    assert desk.rig.orders == {}


def test_an_armed_engine_trades_for_a_day() -> None:
    desk = Desk(Rig(made(Maker), needs_arming=True).start())
    assert desk.ask("arm", confirmation="Arm  test 4711").state == "done"
    assert len(desk.rig.live()) == 2
    arming = desk.rig.engine.world.arming
    assert arming is not None
    assert arming.until_ns == desk.clock.now_ns() + 24 * 3600 * SECOND
    assert arming.config_hash == "c1"


def test_an_id_that_was_refused_for_its_form_may_be_given_again(desk: Desk) -> None:
    desk.ask("pause", strategy="nobody")
    assert desk.ask("pause", "command-2").state == "done"
