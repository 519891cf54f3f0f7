"""The go-live gate passes a rehearsal that was long, whole and exact, and names what is missing in any other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from perpmaker.cli.main import cli
from perpmaker.clock import ManualClock
from perpmaker.engine.folders import engine_folder, journal_folder
from perpmaker.engine.journal import open_journal
from perpmaker.engine.records import (
    Boot,
    Closed,
    Crashed,
    EquityMark,
    FillBooked,
    Fingerprint,
    HaltChanged,
    Happened,
    Intent,
    Latch,
    Ready,
    Record,
    Said,
    SegmentStart,
)
from perpmaker.errors import PerpmakerError
from perpmaker.model.events import Fill, OrderNotFound, OrderRetired, SubmitRejected
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId
from perpmaker.model.order import NewOrder, Side, TimeInForce
from perpmaker.research.gate import Gate, Limits, judged
from perpmaker.research.journal_run import Lived, gathered, lived_in, results_of
from perpmaker.research.report_figures import figures_of

S = 1_000_000_000
H = 3600 * S
T0 = 1_700_000_000 * S
MAIN = AccountId("main")
BTC = InstrumentId("BTC_USDT_Perp")
PAPER = Fingerprint("mm", "prod", "paper", 1, ())
SHORT = Limits(hours=48, min_fills=10)


def mark(at_ns: int, equity: str, spread: str, *, fees: str = "0", transfers: str = "0") -> EquityMark:
    zero = Decimal(0)
    return EquityMark(
        MAIN, Decimal(equity), Decimal(equity), Decimal(transfers), {}, {BTC: Decimal(60_000)}, Decimal(spread), zero, zero,
        Decimal(fees), zero, zero, zero, at_ns,
    )  # fmt: skip


def fill(number: int, at_ns: int, side: Side) -> FillBooked:
    made = Fill(
        account=MAIN, client_order_id=ClientOrderId(number), venue_order_id=None, trade_id=TradeId(str(number)),
        instrument=BTC, side=side, px=Decimal(60_000), qty=Decimal("0.01"), fee=Decimal("0.1"),
        fee_currency="USDT", is_taker=False, realized_pnl=Decimal(0), ts_event_ns=at_ns, ts_recv_ns=at_ns,
    )  # fmt: skip
    return FillBooked(number, made, StrategyId("btc"), Decimal("0.01") * (number % 2), Decimal(60_001), at_ns)


def intent(number: int, at_ns: int) -> Intent:
    order = NewOrder(
        account=MAIN, strategy=StrategyId("btc"), client_order_id=ClientOrderId(number), instrument=BTC, side=Side.BUY,
        px=Decimal(60_000), qty=Decimal("0.02"), tif=TimeInForce.GTT,
    )  # fmt: skip
    return Intent(order, b"", at_ns)


def life(hours: float = 49, fills: int = 12) -> list[Record]:
    """A whole rehearsal: two lives with a minute between them."""
    end_ns = T0 + round(hours * H)
    middle_ns = (T0 + end_ns) // 2
    records: list[Record] = [
        SegmentStart(PAPER, 1, "b", 1, 1, b"", 0, None, T0),
        Boot(1, "b", 1, "start", T0),
        Ready(T0 + S),
        mark(T0 + S, "10000", "5"),
    ]
    for number in range(1, fills + 1):
        at_ns = T0 + number * 60 * S
        side = Side.BUY if number % 2 else Side.SELL
        records += [
            intent(number, at_ns),
            fill(number, at_ns, side),
            mark(at_ns + S, f"{10000 + number}", f"{5 + number}"),
        ]
    gained = f"{10000 + fills}"
    records += [
        Closed(True, "stopped", middle_ns),
        Boot(2, "b", 2, "start", middle_ns + 60 * S),
        Boot(3, "b", 2, "the venue shows a later epoch", middle_ns + 61 * S),
        Ready(middle_ns + 62 * S),
        mark(end_ns, gained, f"{5 + fills}"),
    ]
    return records


def gate(records: Sequence[Record], limits: Limits = SHORT) -> Gate:
    lived = gathered(records)
    assert lived is not None
    return judged("mm-prod", lived, figures_of_(lived), limits)


def figures_of_(lived: Lived):  # type: ignore[no-untyped-def]
    results = results_of(lived, "mm-prod")
    return figures_of(results.main, results)


def test_a_whole_rehearsal_passes() -> None:
    found = gate(life())
    assert [check.name for check in found.failed] == []
    assert found.passed


def test_the_figures_are_those_of_the_journal() -> None:
    lived = gathered(life())
    assert lived is not None
    found = figures_of_(lived)
    assert (found.fills, found.orders, found.pnl, found.causes["spread"]) == (12, 12, 12.0, 12.0)
    assert found.fill_ratio == pytest.approx(0.5)
    assert [life.epoch for life in lived.lives] == [1, 2]
    assert results_of(lived, "x").currency == "USDT"


BAD = [
    ("no crash", lambda: Crashed("ZeroDivisionError", T0 + H)),
    ("no halt", lambda: HaltChanged(MAIN, True, "MAX_LOSS", "lost 51", False, "", T0 + H)),
    ("no kill", lambda: Latch(True, "by hand", "cli", T0 + H)),
    ("no error in the log", lambda: Said("error", "feed_failed", {"why": "gone"}, T0 + H)),
    ("books add up", lambda: mark(T0 + 50 * H, "10100", "17")),
    ("drawdown", lambda: mark(T0 + 2 * H, "9000", "-995")),
]


@pytest.mark.parametrize(("name", "make"), BAD, ids=[name for name, _ in BAD])
def test_one_thing_wrong_is_one_check_failed(name: str, make) -> None:  # type: ignore[no-untyped-def]
    wrong = make()
    records = sorted([*life()[1:], wrong], key=lambda record: record.ts_ns)
    found = gate([life()[0], *records])
    assert [check.name for check in found.failed] == [name]


def test_a_life_that_ended_without_a_word_is_told() -> None:
    killed = [
        mark(T0 + 50 * H, "10012", "17"),
        Boot(9, "b", 9, "start", T0 + 50 * H + S),
        mark(T0 + 51 * H, "10012", "17"),
    ]
    assert [check.name for check in gate([*life(), *killed]).failed] == ["every end in order"]


def test_a_transfer_is_no_hole_in_the_books() -> None:
    assert gate([*life(), mark(T0 + 50 * H, "10112", "17", transfers="100")]).passed


def test_too_short_too_quiet_and_too_often_down_are_told() -> None:
    assert [check.name for check in gate(life(hours=40, fills=9)).failed] == ["long enough", "traded"]
    records = [
        *life(),
        Closed(True, "x", T0 + 49 * H),
        Boot(4, "b", 3, "start", T0 + 60 * H),
        mark(T0 + 61 * H, "10012", "17"),
    ]
    assert [check.name for check in gate(records).failed] == ["up"]


def test_what_the_venue_did_not_take_is_found_in_a_journal_on_disk(tmp_path: Path) -> None:
    """Reading passes over what it need not decode."""
    journal, _ = open_journal(tmp_path, PAPER, build="b", clock=ManualClock(T0))
    journal.append(Boot(1, "b", 1, "start", T0))
    for told in (
        OrderNotFound(MAIN, ClientOrderId(1), T0),
        SubmitRejected(MAIN, ClientOrderId(2), 1, "no", T0),
        OrderRetired(MAIN, ClientOrderId(3), "not found 3 times over 5.0 s", T0),
    ):
        journal.append(Happened(told, T0))
    journal.close()
    assert lived_in(tmp_path).rejected == {2, 3}


@pytest.mark.parametrize(
    "told",
    [
        lambda number: SubmitRejected(MAIN, ClientOrderId(number), 1, "no", T0 + H),
        lambda number: OrderRetired(MAIN, ClientOrderId(number), "not found 3 times over 5.0 s", T0 + H),
    ],
)
def test_many_orders_that_the_venue_did_not_take_are_told(told) -> None:  # type: ignore[no-untyped-def]
    refused = [Happened(told(number), T0 + H) for number in (1, 2)]
    assert [check.name for check in gate([*life(), *refused]).failed] == ["orders accepted"]


@pytest.mark.parametrize(
    ("env", "mode", "passes"), [("local", "live", False), ("testnet", "live", True), ("prod", "live", False)]
)
def test_only_a_market_without_money_at_stake_is_a_rehearsal(env: str, mode: str, passes: bool) -> None:
    start = SegmentStart(Fingerprint("mm", env, mode, 1, ()), 1, "b", 1, 1, b"", 0, None, T0)
    assert gate([start, *life()[1:]]).passed is passes


def test_the_command_reads_a_journal_and_refuses_with_its_code(tmp_path: Path) -> None:
    folder = journal_folder(engine_folder(tmp_path, "mm", "prod"))
    journal, _ = open_journal(folder, PAPER, build="b", clock=ManualClock(T0))
    for record in life()[1:]:
        journal.append(record)
    journal.close()
    asked = ["--home", str(tmp_path), "report", "gate", "--min-fills", "10"]
    done = CliRunner().invoke(cli, [*asked, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["passed"] is True
    page = Path(told["page"]).read_text(encoding="utf-8")
    assert page.index("Passed: it did what it is made for.") < page.index("The gate") < page.index("All figures")
    refused = CliRunner().invoke(cli, [*asked[:-1], "13"], catch_exceptions=False)
    assert refused.exit_code == 6
    assert "FAILED  traded: 12 fills  (asked for: 13)" in refused.output


def test_a_home_without_a_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(PerpmakerError, match="nothing is recorded"):
        CliRunner().invoke(cli, ["--home", str(tmp_path), "report", "gate"], catch_exceptions=False)
