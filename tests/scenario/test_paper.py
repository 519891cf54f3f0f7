"""Paper against the practice exchange as if it were GRVT: its public market, no key, an account that survives a kill."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from tests.scenario.engine_stage import Stage, stage

from perpmaker.engine.core.state import CoreState, decode_state
from perpmaker.engine.folders import engine_folder, journal_folder, recordings_folder
from perpmaker.engine.journalfile import Segment, segments, verify
from perpmaker.engine.paper_session import replay_paper
from perpmaker.engine.records import Checkpoint, FillBooked, Record, Said, decode
from perpmaker.model.events import Fill

pytestmark = [pytest.mark.timeout(300), pytest.mark.mostly_waits]
QUOTING = """book_interval_ms = 100
[strategy.quoting]
model = "fixed"
half_spread_bps = 0.3
min_edge_bps = 0
layers = 3
layer_spacing_bps = 0.5
"""


def on_paper(made: Stage) -> Stage:
    text = made.config.read_text().replace('mode = "live"', 'mode = "paper"')
    more = "[simulation]\nentry_ms = 5\nresponse_ms = 5\n\n[engine]\nrecord = true\n\n[control]"
    made.config.write_text(text.replace("[control]", more))
    return made


def records(made: Stage) -> list[Record]:
    folder = journal_folder(engine_folder(made.home, "stage", "local-paper"))
    verify(folder)
    return [decode(payload) for path in segments(folder) for _, payload in Segment(path)]


def rested(found: list[Record]) -> CoreState:
    return decode_state([record for record in found if isinstance(record, Checkpoint)][-1].state)


def assert_replays_the_same(made: Stage, fills: list[Fill]) -> None:
    """Each life's feed, played with orders simulated anew, gives every timer, ack and fill again, to the nanosecond."""
    killed, ended = sorted(recordings_folder(engine_folder(made.home, "stage", "local-paper")).iterdir())
    whole = replay_paper(ended)
    assert whole.first_difference is None
    assert list(whole.fills_again) == [fill for fill in fills if fill.trade_id.startswith("p2-")] != []
    cut = replay_paper(killed)  # what was heard last may not have been on disk yet
    assert cut.first_difference is None or cut.first_difference[0] is None
    assert cut.fills_again[: len(cut.fills)] == cut.fills


def test_paper_trades_on_the_public_market_without_a_key_and_its_account_survives_a_kill(tmp_path: Path) -> None:
    with stage(tmp_path, more=QUOTING) as made:
        on_paper(made).start_exchange()
        made.start_engine()
        made.until_quoting()
        made.until_fills(2)
        assert made.status().mode == "paper"
        made.kill_engine()
        before = [record for record in records(made) if isinstance(record, FillBooked)]
        made.start_engine()
        made.until_quoting()
        made.until_fills(len(before) + 1)
        assert made.stop_engine() == 0
        found = records(made)
        fills = [record.fill for record in found if isinstance(record, FillBooked)]
        book = rested(found).ledgers[0].book
        assert fills[: len(before)] == [record.fill for record in before]
        assert len({fill.trade_id for fill in fills}) == len(fills)
        assert {fill.trade_id.partition("-")[0] for fill in fills} == {"p1", "p2"}
        assert book.currency == "USDT"
        assert book.balance == 10_000 + sum((fill.realized_pnl - fill.fee for fill in fills), Decimal(0))
        (position,) = book.positions
        assert position.qty == sum((fill.side.sign * fill.qty for fill in fills), Decimal(0))
        alarms = [record.name for record in found if isinstance(record, Said) and record.level == "error"]
        assert alarms == []
        assert_replays_the_same(made, fills)
        for account in made.ask("GET", "/ledger")["accounts"]:  # nothing of it was ever at the venue
            assert account["orders_total"] == account["fills_total"] == 0
