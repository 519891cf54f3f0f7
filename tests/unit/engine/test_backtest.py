"""Backtests: repeatable to the last bit, books that add up, results on disk that say what was assumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import duckdb
import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.engine.backtest_tape import CONFIG, FEED_NS, START_NS, config, rules, write_tape

from perpmaker.cli.backtest import _claimed
from perpmaker.cli.main import cli
from perpmaker.engine.backtest import BAND, Results, Run, RunResult, Setup, backtest, only
from perpmaker.engine.backtest_feed import TapeFeed, plan_feed
from perpmaker.engine.backtest_files import write_results
from perpmaker.engine.backtest_models import read_samples
from perpmaker.engine.backtest_tables import NONE
from perpmaker.errors import ConfigError
from perpmaker.model.events import Bar, BookDelta, BookSnapshot, Event, Ticker
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.research.backtest_results import results_of
from perpmaker.simulation import Chance, FillModel
from perpmaker.tape.reader import Tape, chunk_events

ROOT = Path(__file__).resolve().parents[3]
BTC = InstrumentId("BTC_USDT_Perp")


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return write_tape(tmp_path_factory.mktemp("tape") / "btc.tape")


@pytest.fixture(scope="module")
def results(tape: Tape) -> Results:
    return backtest(Setup(config(), seed=3), tape)


def test_a_result_is_a_band_whose_fill_models_differ_in_the_direction_their_names_say(results: Results) -> None:
    assert tuple(run.fill_model for run in results.runs) == BAND
    pessimistic, queue, optimistic = (run.figures for run in results.runs)
    assert 0 < pessimistic.fills < queue.fills < optimistic.fills
    assert all(figures.maker_fills == figures.fills for figures in (pessimistic, queue, optimistic))


def test_a_fresh_process_with_another_hash_seed_reproduces_the_hash(
    tape: Tape, results: Results, tmp_path: Path
) -> None:
    path = write_tape(tmp_path / "again.tape").name
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.unit.engine.backtest_tape", str(tmp_path / path), "queue"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=200)
    queue = results.run(FillModel.QUEUE)
    assert queue is not None
    assert done.stdout == queue.digest


def test_the_parts_of_the_pnl_add_up_to_the_change_of_equity_and_the_venue_agrees(tape: Tape) -> None:
    setup = Setup(config(), seed=3)
    run = Run(setup, tape, plan_feed(tape, [BTC], {}), FillModel.OPTIMISTIC)
    figures = run.play(lambda events, rows: None).figures
    assert figures.equity - 10_000 == figures.pnl
    assert figures.pnl == figures.spread + figures.adverse + figures.inventory - figures.fees + figures.funding
    (account,) = run.venues["grvt"].accounts.values()
    assert sum(Decimal(fee) for fee in run.chronicle.tables["fills"]["fee"]) / 10**9 == account.fees
    assert {str(name): p.qty for name, p in account.positions.items() if p.qty} == figures.positions
    assert len(account.fills) == figures.fills


def test_every_fill_is_inside_of_its_order_and_every_order_has_an_end_or_lives(results: Results) -> None:
    for run in results.runs:
        orders, fills = run.tables["orders"], run.tables["fills"]
        filled: dict[int, int] = {}
        for client_order_id, qty in zip(fills["client_order_id"], fills["qty"], strict=True):
            filled[client_order_id] = filled.get(client_order_id, 0) + qty
        for client_order_id, qty, cum in zip(orders["client_order_id"], orders["qty"], orders["cum_qty"], strict=True):
            assert filled.pop(client_order_id, 0) == cum <= qty
        assert not filled
        living = sum(ended == NONE for ended in orders["ended_ns"])
        assert living <= 8


class Jittery(Run):
    """A live loop: it looks at the clock at any time, and late."""

    def play_live(self) -> str:
        chance = Chance(99)
        self._begin()
        for event in self._feed.events():
            for _ in range(chance.below(4)):
                left_ns = event.ts_recv_ns - self.timeline.now_ns
                self.timeline.advance(self.timeline.now_ns + chance.below(max(left_ns, 1)))
            self.timeline.feed(event)
            if event.ts_recv_ns >= self._sample_ns:
                self._sample_ns = event.ts_recv_ns - event.ts_recv_ns % NS_PER_S + NS_PER_S
                self.chronicle.sample(event.ts_recv_ns)
        self.chronicle.sample(self.timeline.now_ns)
        return self.chronicle.digest()


def test_a_live_loop_that_wakes_at_any_time_gives_the_same_result(tape: Tape, results: Results) -> None:
    """What makes paper and backtest one: timers and answers carry the time they were due, whenever somebody looks."""
    queue = results.run(FillModel.QUEUE)
    assert queue is not None
    assert Jittery(Setup(config(), seed=3), tape, results.played, FillModel.QUEUE).play_live() == queue.digest


def test_orders_of_a_refused_request_are_asked_about_until_they_are_retired_however_it_is_played(
    tmp_path: Path,
) -> None:
    """150 USDT at leverage 5 carry two quotes of 300, not three: with a position the second of a request is too much."""
    tape = write_tape(tmp_path / "tight.tape", seconds=60)
    tight = config(CONFIG.replace("[simulation]", "[simulation]\nbalance = 150\nleverage = 5"))
    setup, played = Setup(tight, seed=3), plan_feed(tape, [BTC], {})
    (compiled,) = backtest(setup, tape, only(["queue"])).runs
    (each,) = backtest(msgspec.structs.replace(setup, is_fast=False), tape, only(["queue"])).runs
    assert compiled.digest == each.digest == Jittery(setup, tape, played, FillModel.QUEUE).play_live()
    orders, retired_as = compiled.tables["orders"], compiled.texts.index("retired")
    retired = [row for row, status in enumerate(orders["status"]) if status == retired_as]
    assert len(retired) >= 2
    assert compiled.figures.rejected >= len(retired)
    assert {compiled.texts[orders["reason"][row]] for row in retired} == {"2080"}
    assert all(orders["ended_ns"][row] - orders["sent_ns"][row] > 5 * NS_PER_S for row in retired)


def heard(tape: Tape, *, bar_s: int = 0, from_ns: int = 0) -> Iterator[Event]:
    played = plan_feed(tape, [BTC], {}, from_ns)
    return TapeFeed(tape, played, {BTC: [bar_s]} if bar_s else {}).events(from_ns)


def test_a_tape_without_marks_gets_the_mid_once_a_second_and_bars_come_from_trades(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "bare.tape", seconds=30, marks=False)
    told = list(heard(tape, bar_s=10))
    marks = [event for event in told if isinstance(event, Ticker)]
    assert 28 <= len(marks) <= 31
    assert all(b.ts_recv_ns - a.ts_recv_ns >= NS_PER_S for a, b in pairwise(marks))
    bars = [event for event in told if isinstance(event, Bar)]
    assert [bar.open_ns for bar in bars] == [START_NS, START_NS + 10 * NS_PER_S]
    assert plan_feed(tape, [BTC], {}).marks_from_mid == (BTC,)


def test_a_part_of_a_tape_begins_with_the_book_as_it_stood(tape: Tape) -> None:
    begin_ns = START_NS + 60 * NS_PER_S
    first, *rest = heard(tape, from_ns=begin_ns)
    assert isinstance(first, BookSnapshot)
    assert (len(first.bids), len(first.asks)) == (20, 20)
    assert begin_ns <= first.ts_recv_ns <= rest[0].ts_recv_ns
    (run,) = backtest(Setup(config(), from_ns=begin_ns), tape, only(["optimistic"])).runs
    assert run.figures.fills > 0
    assert min(run.tables["fills"]["ts_recv_ns"]) > begin_ns


def test_clocks_that_disagree_are_set_so_that_the_fastest_event_took_a_millisecond(tmp_path: Path) -> None:
    from perpmaker.tape.columns import Columns
    from perpmaker.tape.writer import TapeWriter

    told = write_tape(tmp_path / "right.tape", seconds=10)
    with TapeWriter(tmp_path / "slow.tape", told.instruments) as writer:
        for columns in told.chunks():
            moved: Columns = columns._replace(recv_ns=columns.recv_ns - NS_PER_S)
            writer.add_columns(moved)
    from perpmaker.tape.reader import open_tape

    played = plan_feed(open_tape(tmp_path / "slow.tape"), [BTC], {})
    assert played.shift_ns == NS_PER_S - FEED_NS + 1_000_000


def run_with(tape: Tape, more: str) -> RunResult:
    text = CONFIG.replace("[simulation]\n", f"[simulation]\n{more}\n")
    (run,) = backtest(Setup(config(text), seed=3), tape, only(["optimistic"])).runs
    return run


def test_the_feed_may_be_taken_to_need_another_time_than_recorded(tape: Tape) -> None:
    slow = run_with(tape, "feed_ms = 250")
    assert slow.models["feed"] == "250 ms after the venue's time"
    took = [
        recv - event
        for recv, event in zip(slow.tables["fills"]["ts_recv_ns"], slow.tables["fills"]["ts_event_ns"], strict=True)
    ]
    assert min(took) >= 250_000_000  # no answer is heard before the market of its instant


def test_latencies_come_from_the_tape_or_from_measured_samples(tape: Tape, tmp_path: Path) -> None:
    played = plan_feed(tape, [BTC], {})
    assert len(played.latencies) == 120
    assert all(FEED_NS <= point.entry_ns <= FEED_NS + 3_000_000 for point in played.latencies)
    assert run_with(tape, 'latency = "tape"').models["latency"].startswith("interpolated between 120 points")
    (tmp_path / "measured.csv").write_text("entry_ns,response_ns\n4000000,6000000\n5000000,7000000\n")
    sampled = run_with(tape, f'latency = "samples"\nlatency_samples = "{tmp_path}/measured.csv"')
    assert sampled.models["latency"] == "measured, 2 entry and 2 response samples, median response 7 ms"
    assert sampled.figures.fills > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("a,b\n1,2\n", "wants whole numbers"), ("entry_ns,response_ns\n-1,2\n", "some below 0")],
)
def test_samples_that_cannot_be_latencies_are_refused_in_words(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "x.csv").write_text(content)
    with pytest.raises(ConfigError, match=words):
        read_samples(str(tmp_path / "x.csv"))


def test_an_instrument_is_found_by_its_currencies_or_by_the_name_that_is_given(tmp_path: Path) -> None:
    tape = write_tape(
        tmp_path / "b.tape", rules("BTCUSDT", "binance_usdm"), rules("ETHUSDT", "binance_usdm", "ETH"), seconds=2
    )
    assert plan_feed(tape, [BTC], {}).names == {"BTCUSDT@binance_usdm": BTC}
    assert plan_feed(tape, [BTC], {"ETHUSDT": "BTC_USDT_Perp"}).names == {"ETHUSDT@binance_usdm": BTC}
    with pytest.raises(
        ConfigError, match="holds no SOL_USDT_Perp; it holds BTCUSDT@binance_usdm, ETHUSDT@binance_usdm"
    ):
        plan_feed(tape, [InstrumentId("SOL_USDT_Perp")], {})


def coin_tape(path: Path, seconds: int) -> Tape:
    """Contracts of 100 USD at 60,000: one is worth 0.001667 BTC."""
    listed = msgspec.structs.replace(rules("BTCUSD_PERP", "binance_coinm"), quote="USD", lot=Decimal(1))
    return write_tape(path, listed, seconds=seconds, contract="inverse", worth=100)


def test_a_coin_margined_tape_is_played_in_the_base_quantity_that_its_contracts_are_worth(tmp_path: Path) -> None:
    tape = coin_tape(tmp_path / "coin.tape", 2)
    played = plan_feed(tape, [BTC], {"BTCUSD_PERP": "BTC_USDT_Perp"})
    as_traded = played.instruments[BTC]
    assert (as_traded.lot, as_traded.min_qty, as_traded.quote) == (Decimal("1e-6"), Decimal("0.001667"), "USD")
    recorded = list(chunk_events(next(tape.chunks()), [BTC]))
    heard = [event for event in TapeFeed(tape, played, {}).events() if not isinstance(event, Ticker)]
    books = [event for event in recorded if isinstance(event, BookSnapshot | BookDelta)]
    assert len(books) == 20
    for there, here in zip(
        books, (event for event in heard if isinstance(event, BookSnapshot | BookDelta)), strict=True
    ):
        for (px, contracts), (same_px, lots) in zip((*there.bids, *there.asks), (*here.bids, *here.asks), strict=True):
            worth = contracts * 100 / (as_traded.tick * px) / as_traded.lot
            assert same_px == px
            assert abs(lots - worth) <= Decimal("0.5")
            assert bool(lots) == bool(contracts)


@pytest.mark.parametrize("is_fast", [True, False])
def test_a_backtest_of_a_coin_margined_tape_says_what_it_is(tmp_path: Path, is_fast: bool) -> None:
    setup = Setup(config(), named={"BTCUSD_PERP": "BTC_USDT_Perp"}, is_fast=is_fast)
    results = backtest(setup, coin_tape(tmp_path / "coin.tape", 20), only(["queue"]))
    (run,) = results.runs
    assert run.figures.fills > 0
    assert "a contract of 100 USD as the BTC it is worth at each price; PnL in USD" in run.models["market"]
    assert any("is coin-margined" in remark for remark in results_of(results, config()).remarks)


def test_a_coin_margined_position_earns_as_a_linear_one_the_coins_worth_at_its_end() -> None:
    bought, sold, contracts = Decimal(60_000), Decimal(61_000), 12
    coins = contracts * 100 * (1 / bought - 1 / sold)
    quantity = contracts * 100 / bought
    assert abs(coins * sold - quantity * (sold - bought)) < Decimal("1e-18")


def test_a_spot_tape_is_said_to_be_played_as_a_perpetual(tmp_path: Path) -> None:
    played = plan_feed(write_tape(tmp_path / "spot.tape", seconds=2, contract="spot"), [BTC], {})
    assert played.not_linear == (f"{BTC} is spot: played as a perpetual without funding, which may be sold short",)


HEDGED = """
schema_version = 1
env = "local"
name = "bt"
[account.main]
[account.hedge]
venue = "backpack"
[simulation]
entry_ms = 5
response_ms = 5
taker_fee_bps = 0
[[strategy]]
name = "x"
kind = "cross_maker"
account = "main"
instrument = "BTC_USDT_Perp"
hedge_account = "hedge"
hedge_instrument = "BTC_USDC_PERP"
qty = 0.005
max_qty = 0.02
min_profit_bps = -0.02
"""


def test_a_tape_of_two_venues_plays_a_pair_that_stays_hedged(tmp_path: Path) -> None:
    other = msgspec.structs.replace(rules("BTC_USDC_PERP", "backpack"), quote="USDC")
    tape = write_tape(tmp_path / "two.tape", rules(), other, seconds=60, rate="1")
    (run,) = backtest(Setup(config(HEDGED)), tape, only(["optimistic"])).runs
    fills, texts = run.tables["fills"], run.texts
    of_venue = {texts[account]: 0 for account in fills["account"]}
    for account, side, qty in zip(fills["account"], fills["side"], fills["qty"], strict=True):
        of_venue[texts[account]] += side * qty
    assert set(of_venue) == {"main", "hedge"}
    assert abs(of_venue["main"] + of_venue["hedge"]) <= 5_000_000  # at most one quote, 0.005, under way to its hedge
    assert run.figures.fills > 20
    assert run.models["conversion"] == "USDC/USDT 1 (a bank)"
    takers = [
        bool(taker)
        for taker, account in zip(fills["is_taker"], fills["account"], strict=True)
        if texts[account] == "hedge"
    ]
    assert all(takers)


def test_a_tape_on_which_nobody_tells_a_rate_compares_no_prices_of_two_currencies(tmp_path: Path) -> None:
    other = msgspec.structs.replace(rules("BTC_USDC_PERP", "backpack"), quote="USDC")
    tape = write_tape(tmp_path / "two.tape", rules(), other, seconds=10)
    (run,) = backtest(Setup(config(HEDGED)), tape, only(["optimistic"])).runs
    assert run.figures.fills == 0
    assert run.models["conversion"] == "USDC/USDT 1 (assumed)"


def test_results_on_disk_are_exact_and_say_what_was_assumed(results: Results, tmp_path: Path) -> None:
    write_results(results, tmp_path / "out", config="bt.toml")
    told = json.loads((tmp_path / "out" / "result.json").read_text())
    queue = results.run(FillModel.QUEUE)
    assert queue is not None
    assert told["runs"]["queue"]["hash"] == queue.digest
    assert Decimal(told["runs"]["queue"]["figures"]["pnl"]) == queue.figures.pnl
    models = told["runs"]["queue"]["models"]
    assert models["latency"] == "constant, entry 5 ms, response 5 ms"
    assert models["queue"] == "power law, n = 3"
    assert {"fees", "funding", "margin", "mark", "feed"} <= set(models)
    assert models["margin"] == "cross, leverage 10, maintenance of notional: one rate, 200 bps"
    fills = tmp_path / "out" / "parquet" / "queue" / "fills.parquet"
    sums = "sum(px * qty), sum(fee), any_value(instrument)"
    ((volume, fees, names),) = duckdb.read_parquet(str(fills)).aggregate(sums).fetchall()
    assert volume == queue.figures.volume
    assert fees == queue.figures.fees
    assert names == BTC
    with pytest.raises(ConfigError, match="holds results already"):
        write_results(results, tmp_path / "out", config="bt.toml")


BRACKETS = """
[[simulation.brackets]]
instrument = "{}"
up_to_notional = 600000
maintenance_frac = 0.01
initial_frac = 0.02
[[simulation.brackets]]
instrument = "{}"
maintenance_frac = 0.02
initial_frac = 0.04
"""


def with_brackets_of(name: str) -> str:
    return CONFIG.replace("[[strategy]]", BRACKETS.format(name, name) + "[[strategy]]")


def test_a_result_says_by_which_brackets_margin_was_held(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "short.tape", seconds=2)
    (run,) = backtest(Setup(config(with_brackets_of("BTC_USDT_Perp"))), tape, only(["queue"])).runs
    assert run.models["margin"] == (
        "cross, leverage 10, maintenance of notional: BTC_USDT_Perp 0.01 from 0, 0.02 from 600000; "
        "every other one rate, 200 bps"
    )


def test_brackets_of_an_instrument_nobody_trades_are_refused_by_name(tape: Tape) -> None:
    with pytest.raises(ConfigError, match=r"instrument = 'BCT_USDT_Perp' is not traded; allowed: BTC_USDT_Perp"):
        backtest(Setup(config(with_brackets_of("BCT_USDT_Perp"))), tape)


def test_the_command_counts_times_from_the_tapes_ends(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "short.tape", seconds=8)
    (tmp_path / "bt.toml").write_text(CONFIG)
    arguments = ["--tape", str(tmp_path / "short.tape"), "--fill-model", "optimistic", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(
        cli,
        [
            "--home",
            str(tmp_path),
            "backtest",
            str(tmp_path / "bt.toml"),
            *arguments,
            "--from",
            "+1s",
            "--to",
            "-3s",
            "--json",
        ],
        catch_exceptions=False,
    )
    span_ns = (tape.first_recv_ns + NS_PER_S, tape.last_recv_ns - 3 * NS_PER_S)
    (run,) = backtest(Setup(config(), 1, *span_ns), tape, only(["optimistic"])).runs
    (whole,) = backtest(Setup(config()), tape, only(["optimistic"])).runs
    assert json.loads(done.stdout)["runs"]["optimistic"]["hash"] == run.digest != whole.digest


def test_the_command_tells_the_band_the_tape_and_the_models(tape: Tape, tmp_path: Path) -> None:
    path = tmp_path / "bt.toml"
    path.write_text(CONFIG)
    write_tape(tmp_path / "btc.tape", seconds=20)
    common = ["--home", str(tmp_path), "backtest", str(path), "--tape", str(tmp_path / "btc.tape")]
    told = CliRunner().invoke(cli, [*common, "--out", str(tmp_path / "out")])
    assert told.exit_code == 0, told.output
    for words in (
        "btc.tape  BTC_USDT_Perp",
        "pessimistic",
        "queue",
        "optimistic",
        "hash",
        "latency: constant",
        "seed: 1",
    ):
        assert words in told.output
    one = CliRunner().invoke(cli, [*common, "--fill-model", "classic", "--json", "--to", "2023-11-14T22:13:30"])
    assert list(json.loads(one.output)["runs"]) == ["classic"]
    other = CliRunner().invoke(cli, [*common, "--strategy", "eth"])
    assert "--strategy eth: is not in the configuration; it has btc" in str(other.exception)
    wrong = CliRunner().invoke(cli, [*common, "--fill-model", "lucky"])
    assert "--fill-model lucky: is not one of queue, optimistic, pessimistic, classic" in str(wrong.exception)


def test_two_runs_that_begin_in_one_second_have_a_folder_each(tmp_path: Path) -> None:
    first, second, third = (_claimed(tmp_path / "backtests", "20261121T000000-bt") for _ in range(3))
    assert [folder.name for folder in (first, second, third)] == [
        "20261121T000000-bt",
        "20261121T000000-bt-2",
        "20261121T000000-bt-3",
    ]


def test_a_folder_with_results_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "result.json").touch()
    (tmp_path / "a.toml").write_text(CONFIG)
    tape = tmp_path / "broken.tape"
    tape.write_bytes(b"it is not even looked at")
    words = ["backtest", str(tmp_path / "a.toml"), "--tape", str(tape), "--out", str(tmp_path / "out")]
    with pytest.raises(ConfigError, match="holds results already"):
        CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)


def test_a_folder_that_cannot_be_made_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CONFIG)
    tape = tmp_path / "broken.tape"
    tape.write_bytes(b"it is not even looked at")
    words = ["backtest", str(tmp_path / "a.toml"), "--tape", str(tape), "--out", str(tape / "out")]
    with pytest.raises(ConfigError, match="broken.tape is not a folder"):
        CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)


def test_results_that_cannot_be_written_leave_no_half_of_them_and_what_was_there(
    results: Results, tmp_path: Path
) -> None:
    (tmp_path / "out" / "parquet" / "queue" / "fills.parquet" / "in the way").mkdir(parents=True)
    (tmp_path / "out" / "notes.txt").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="out: cannot be written: "):
        write_results(results, tmp_path / "out", config="bt.toml")
    assert sorted(tmp_path.rglob("*")) == before
