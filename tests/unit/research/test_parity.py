"""A session beside its own simulation: equal when nothing differs, and otherwise split without a rest."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.engine.backtest_tape import FEED_NS, START_NS, config, write_tape

from perpmaker.cli.main import cli
from perpmaker.config import Config
from perpmaker.engine.backtest import Run, Setup
from perpmaker.engine.backtest_feed import plan_feed
from perpmaker.engine.backtest_models import simulated_spec, traded_instruments
from perpmaker.engine.recording import session_of
from perpmaker.errors import DataError
from perpmaker.model.events import Channel, ClockOffset, Connectivity, Event
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side
from perpmaker.research.parity import Execution, Pair, matched, parity
from perpmaker.research.parity_report import parity_html
from perpmaker.simulation import FillModel
from perpmaker.tape import live

S = 1_000_000_000
MS = 1_000_000
BTC = InstrumentId("BTC_USDT_Perp")


class Recorded(Run):
    """A run that writes its life down as an engine does."""

    file: live.LiveFile

    def _deliver(self, event: Event) -> None:
        self.file.add(live.EVENT, msgspec.json.encode(event))
        super()._deliver(event)


def session(folder: Path, lived: Config, told: Config, *, before_ns: int = 0, opening: tuple[Event, ...] = ()) -> Path:
    """A session that ran under `lived` and says that its configuration was `told`; it began before its market did."""
    tape = write_tape(folder / "btc.tape", seconds=20)
    setup = Setup(lived, 1, started_ns=tape.first_recv_ns - before_ns, opening=opening)
    played = plan_feed(tape, traded_instruments(lived), {})
    run = Recorded(setup, tape, played, FillModel.QUEUE)
    path = folder / "session"
    path.mkdir()
    run.file = live.LiveFile(path / "000001.live")
    began = session_of(
        told.model_dump(mode="python"), simulated_spec(told), build="t", latch=None, checkpoint=None, records=[]
    )
    run.file.add(live.SESSION, msgspec.json.encode(msgspec.structs.replace(began, start_ns=setup.started_ns)))
    run.play(lambda events, rows: None)
    run.file.close()
    return path


def slower(each_ms: int) -> Config:
    usual = config()
    section = usual.simulation.model_copy(update={"entry_ms": Decimal(each_ms), "response_ms": Decimal(each_ms)})
    return usual.model_copy(update={"simulation": section})


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return session(tmp_path_factory.mktemp("same"), config(), config())


def test_a_session_of_the_simulation_itself_is_the_same_fill_for_fill(same: Path, tmp_path: Path) -> None:
    found = parity(same, tmp_path)
    assert len(found.real.fills) > 5
    assert found.is_exact
    assert found.real.fills == found.simulated.fills
    assert (found.gap.whole, found.gap.queue) == (0, 0)
    assert found.latency_ms is not None
    assert 5 <= found.latency_ms < 6


def test_a_clock_that_differs_and_was_asked_before_anything_was_listed_changes_no_fill(tmp_path: Path) -> None:
    """What the feeds say before the market begins, and when the engine began, are the simulation's as well."""
    asked_ns = START_NS + FEED_NS - 200 * MS
    opening = (
        Connectivity("grvt", Channel.MARKET_DATA, True, "connected", asked_ns),
        ClockOffset("grvt", 7 * MS, 1 * MS, asked_ns + 20 * MS),
    )
    found = parity(session(tmp_path, config(), config(), before_ns=333 * MS, opening=opening), tmp_path)
    assert len(found.real.fills) > 5
    assert found.real.fills == found.simulated.fills
    assert {pair.late_s for pair in found.pairs} == {0}


def test_a_slower_session_is_a_gap_of_latency_and_nothing_else(tmp_path: Path) -> None:
    told = config().model_copy(update={"mode": "live"})  # a paper session's latency is the model's own
    found = parity(session(tmp_path, slower(40), told), tmp_path)
    gap = found.gap
    assert found.latency_ms == pytest.approx(40)
    assert not found.is_exact
    assert gap.whole == gap.fees + gap.funding + gap.latency + gap.queue != 0
    assert gap.latency != 0
    assert gap.queue == 0  # the second simulation is the session
    assert not any("Orders were real" in remark for remark in found.remarks)  # its books never showed them
    assert f"{found.of_real * 100:.1f} %" in parity_html(found)


def test_no_fill_is_cut_in_half_by_the_edge_of_its_chart(same: Path, tmp_path: Path) -> None:
    found = parity(same, tmp_path)
    first_ms, last_ms = (edge(one.ts_ns for one in found.real.fills) / 1e6 for edge in (min, max))
    shown = re.search(r'data-from="(\d+)" data-to="(\d+)"', parity_html(found))
    assert shown is not None
    assert int(shown[1]) < first_ms - 0.01 * (last_ms - first_ms)
    assert int(shown[2]) > last_ms + 0.01 * (last_ms - first_ms)


@pytest.mark.parametrize(("late_ms", "px", "said"), [(5, 99, ("later", "worse")), (-5, 101, ("earlier", "better"))])
def test_the_page_says_which_way_the_real_fills_differ(
    same: Path, tmp_path: Path, late_ms: int, px: int, said: tuple[str, str]
) -> None:
    found = parity(same, tmp_path)
    real = msgspec.structs.replace(found.pairs[0].real, side=Side.BUY, px=Decimal(100))
    simulated = msgspec.structs.replace(real, px=Decimal(px), ts_ns=real.ts_ns - late_ms * MS)
    html = parity_html(msgspec.structs.replace(found, pairs=(Pair(real, simulated, real.qty),)))
    assert f"Real fills {said[0]} by" in html
    assert f"Real prices {said[1]} by" in html


def test_the_command_says_it_in_words_and_in_json(same: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "parity", str(same)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "fill for fill the same" in done.output
    assert (tmp_path / "parity" / "session.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "parity", str(same), "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert Decimal(told["gap"]["whole"]) == 0
    assert len(told["pairs"]) == len(told["real"]["fills"])


def test_what_is_no_session_is_said(tmp_path: Path) -> None:
    write_tape(tmp_path / "btc.tape", seconds=2)
    with pytest.raises(DataError, match="is no session"):
        parity(tmp_path / "btc.tape", tmp_path)


# Matching


def fill(at_s: float, side: Side = Side.BUY, px: str = "100", qty: str = "1") -> Execution:
    return Execution(BTC, side, Decimal(px), Decimal(qty), Decimal(0), round(at_s * S))


def test_each_real_fill_takes_the_nearest_of_its_side() -> None:
    real = [fill(10), fill(20, Side.SELL)]
    simulated = [fill(9), fill(10.5), fill(20.1), fill(20.3, Side.SELL)]
    assert [pair.simulated.ts_ns / S for pair in matched(real, simulated)] == [10.5, 20.3]


def test_parts_of_a_fill_match_parts_and_none_is_used_twice() -> None:
    pairs = matched([fill(10, qty="1"), fill(10.1, qty="1")], [fill(10, qty="1.5")])
    assert [pair.qty for pair in pairs] == [Decimal(1), Decimal("0.5")]


def test_what_is_far_apart_does_not_match() -> None:
    assert matched([fill(10)], [fill(12.1)]) == []
    assert len(matched([fill(10)], [fill(12.0)])) == 1


def test_a_worse_price_is_above_zero_for_both_sides() -> None:
    (bought,) = matched([fill(1, px="101")], [fill(1)])
    (sold,) = matched([fill(1, Side.SELL, px="99")], [fill(1, Side.SELL)])
    assert bought.worse_bps == sold.worse_bps == pytest.approx(100)
    assert matched([fill(1.5)], [fill(1)])[0].late_s == 0.5
