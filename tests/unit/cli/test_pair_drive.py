"""A pair followed through the control API of an engine that is played: started, gone on with, asked about, stopped."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from rich.console import Console
from tests.unit.dashboard.fake_pairs import FakePair, FakePairs

from perpmaker.cli import execution_drive, pair_drive
from perpmaker.cli.engine_link import Refused
from perpmaker.cli.execution_drive import Following, Stop
from perpmaker.cli.pair_drive import PairJob, Start
from perpmaker.cli.pair_progress import PairProgress
from perpmaker.clock import ManualClock
from perpmaker.control.client import AsyncControlClient, ControlRefused, EngineUnreachable
from perpmaker.control.messages import CommandAnswer, CommandRequest, PairRow
from perpmaker.errors import OutcomeUnknown, PerpmakerError

LEGS = {"instrument": "ETH_USDT_Perp", "hedge_instrument": "ETH_USDC_PERP@backpack", "account": "main"}
WORDS = {**LEGS, "mode": "alternate", "size": "0.5", "iterations": "2"}


class Engine:
    """Fake pairs behind what a client offers; a look at it lets its time go on."""

    def __init__(self) -> None:
        self.pairs = FakePairs()
        self.requests: list[CommandRequest] = []
        self.on_look: Callable[[], None] = lambda: None
        self.away = 0
        """So many looks more are not answered."""

    async def status(self) -> Any:
        if self.away:
            self.away -= 1
            raise EngineUnreachable("the engine does not answer")
        self.on_look()
        for _ in range(3):
            self.pairs.step()
        return SimpleNamespace(pairs=self.pairs.rows())

    async def send(self, request: CommandRequest) -> CommandAnswer:
        self.requests.append(request)
        state, text = self.pairs.carry_out(request)
        return CommandAnswer(request.command_id, cast("Any", state), text)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(request.kind, request.arguments.get("strategy", "")) for request in self.requests]


class Table:
    """Engine, stop and terminal of one test."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.stop = Stop(lambda: "")
        self.out = io.StringIO()

    async def run(self, *, own: bool = False, **start: Any) -> PairRow:
        wanted = Start(**{"words": WORDS, "name": "", "resume": False, "detach": False, **start})
        client = cast(AsyncControlClient, self.engine)
        with PairProgress(Console(file=self.out, width=200), "legs") as progress:
            following = Following(client, self.stop, ManualClock(), lambda row: None)
            return await PairJob(wanted, progress, own=own).run(following, client)

    def left(self) -> FakePair:
        """A pair of an earlier run, half-way."""
        pair = FakePair("pair-eth", WORDS, "earlier")
        self.engine.pairs.pairs[pair.name] = pair
        return pair


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    for module in (pair_drive, execution_drive):
        monkeypatch.setattr(module, "POLL_S", 0.001)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return Table()


async def test_a_pair_is_started_with_its_words_and_followed_to_its_end(table: Table) -> None:
    row = await table.run(name="")
    assert (row.is_over, row.cycles, row.session) == (True, 2, table.engine.requests[0].command_id)
    assert table.engine.requests[0].arguments == WORDS
    assert "cycle 2 of 2 done" in table.out.getvalue()


async def test_a_name_of_its_own_is_passed_on(table: Table) -> None:
    await table.run(name="mine")
    assert table.engine.requests[0].arguments["strategy"] == "mine"


async def test_with_detach_it_is_left_to_the_engine(table: Table) -> None:
    row = await table.run(detach=True)
    assert not row.is_over
    assert table.engine.told == [("pair_start", "")]


async def test_what_the_engine_refuses_is_told_with_its_reason(table: Table) -> None:
    table.left()
    with pytest.raises(Refused, match="at work on these legs"):
        await table.run()


async def test_ctrl_c_stops_the_pair_once_and_waits_until_nothing_is_at_work(table: Table) -> None:
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            table.stop.asked.set()

    table.engine.on_look = look
    row = await table.run(words={**WORDS, "iterations": "500"})
    assert table.engine.told == [("pair_start", ""), ("pair_stop", "pair-eth")]
    assert row.is_over
    assert row.status in ("Flat", "Hedged")


async def test_an_engine_of_its_own_ends_what_an_earlier_run_left_before_it_starts(table: Table) -> None:
    pair = table.left()
    pair.lead = pair.hedge = pair.size * 0
    await table.run(own=True)
    assert table.engine.told == [("pair_stop", "pair-eth"), ("pair_start", "")]
    assert "of an earlier run is not over; it is ended first" in table.out.getvalue()


async def test_resume_goes_on_with_what_is_left_and_starts_nothing(table: Table) -> None:
    table.left().paused = True
    row = await table.run(own=True, words=LEGS, resume=True)
    assert (row.session, row.cycles) == ("earlier", 2)
    assert table.engine.told == [("pair_resume", "pair-eth")]


async def test_resume_without_anything_left_says_so(table: Table) -> None:
    with pytest.raises(PerpmakerError, match="--resume: no pair of these legs is left over"):
        await table.run(words=LEGS, resume=True)


async def test_an_engine_that_is_away_for_a_moment_is_asked_again(table: Table) -> None:
    async def later() -> None:
        await asyncio.sleep(0.01)
        table.engine.away = 3

    task = asyncio.ensure_future(later())
    row = await table.run(words={**WORDS, "iterations": "20"})
    await task
    assert row.cycles == 20


async def test_an_engine_that_stays_away_leaves_the_outcome_unknown(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution_drive, "LOST_S", 0.02)
    table.engine.on_look = lambda: setattr(table.engine, "away", 10_000) if table.engine.requests else None
    table.engine.pairs.carry_out(msgspec.structs.replace(_START))
    with pytest.raises(OutcomeUnknown, match="perpmaker report pair"):
        await table.run(words=LEGS, resume=True)


async def test_a_pair_that_the_next_life_does_not_list_leaves_the_outcome_unknown(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution_drive, "LOST_S", 0.02)
    table.left()
    table.engine.on_look = lambda: table.engine.pairs.pairs.clear() if table.engine.requests else None
    with pytest.raises(
        OutcomeUnknown, match="the engine does not list pair-eth any more; what became of pair-eth is in"
    ):
        await table.run(words=LEGS, resume=True)


async def test_a_pair_that_was_started_and_does_not_appear_is_not_called_failed(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def started(request: CommandRequest) -> CommandAnswer:
        table.engine.away = 10_000
        return CommandAnswer(request.command_id, "done", "")

    monkeypatch.setattr(pair_drive, "APPEARS_S", 0.02)
    monkeypatch.setattr(table.engine, "send", started)
    with pytest.raises(OutcomeUnknown, match="it may be started, and the engine did not show it"):
        await table.run()


async def test_where_nobody_can_be_asked_the_way_to_answer_is_told(table: Table) -> None:
    sol = {**WORDS, "instrument": "SOL_USDT_Perp", "hedge_instrument": "SOL_USDC_PERP@backpack", "size": "3"}
    waited = 0

    def look() -> None:
        nonlocal waited
        pair = table.engine.pairs.pairs.get("pair-sol")
        waited += pair is not None and pair.question != ""
        if pair is not None and waited > 10:
            pair.question = ""  # somebody answered on the dashboard

    table.engine.on_look = look
    row = await table.run(words=sol)
    assert row.is_over
    said = table.out.getvalue()
    assert "pair-sol asks: Unexpected: buy 0.3 SOL_USDT_Perp" in said
    assert "answer it with: perpmaker pairs answer pair-sol continue" in said
    assert "it was answered; going on" in said
    assert [kind for kind, _ in table.engine.told] == ["pair_start"]


@pytest.mark.parametrize(("typed", "ends"), [("c\n", 2), ("perhaps\nstop\n", 0)])
async def test_a_person_at_the_terminal_is_asked_until_the_answer_is_one(
    table: Table, monkeypatch: pytest.MonkeyPatch, typed: str, ends: int
) -> None:
    sol = {**WORDS, "instrument": "SOL_USDT_Perp", "hedge_instrument": "SOL_USDC_PERP@backpack", "size": "3"}
    person, terminal = os.openpty()
    with os.fdopen(terminal, "r", buffering=1) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        lines = typed.splitlines(keepends=True)

        def look() -> None:
            if lines and table.engine.pairs.pairs and table.engine.pairs.pairs["pair-sol"].question:
                os.write(person, lines.pop(0).encode())

        table.engine.on_look = look
        row = await asyncio.wait_for(table.run(words=sol), 60)
    os.close(person)
    answers = [request.arguments["answer"] for request in table.engine.requests if request.kind == "pair_answer"]
    assert answers == ["continue" if ends else "stop"]
    assert row.is_over
    assert row.cycles >= ends


async def test_a_person_is_asked_again_when_nobody_knows_what_became_of_the_answer(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    sol = {**WORDS, "instrument": "SOL_USDT_Perp", "hedge_instrument": "SOL_USDC_PERP@backpack", "size": "3"}
    send, tries = table.engine.send, 0

    async def lossy(request: CommandRequest) -> CommandAnswer:
        nonlocal tries
        if request.kind == "pair_answer":
            tries += 1
            if tries == 1:
                raise ControlRefused("credentials refused")
        return await send(request)

    monkeypatch.setattr(table.engine, "send", lossy)
    person, terminal = os.openpty()
    with os.fdopen(terminal, "r", buffering=1) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(person, b"stop\nstop\n")
        row = await asyncio.wait_for(table.run(words=sol), 60)
    os.close(person)
    assert row.is_over
    assert tries == 2
    assert "credentials refused" in table.out.getvalue()


_START = CommandRequest("command-1", "pair_start", "0", {**WORDS, "iterations": "500"})
