"""`perpmaker execute` before anything is sent: options, quantities, who works it, confirmation, exit codes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import Rig
from tests.unit.engine.test_assembly import EXCHANGE, config
from tests.unit.engine.test_view import Shown, now
from tests.unit.execution.algos.workbench import ASK, RULES, thin_levels

from perpmaker.cli.algorithm_options import MEANING, read_algorithm
from perpmaker.cli.engine_link import Refused
from perpmaker.cli.execute import (
    Engine,
    Wanted,
    account_of,
    ask,
    command_arguments,
    exit_code,
    find_engine,
    own_engine_text,
    read_qty,
)
from perpmaker.cli.execution_plan import Preview, preview, status_of, where_text
from perpmaker.cli.execution_text import child_line, plan_text, summary_text
from perpmaker.cli.main import cli
from perpmaker.control.home import RunFile
from perpmaker.control.messages import AccountRow, ExecutionChildRow, ExecutionRow, MarketRow, PositionRow, Status
from perpmaker.engine.oneshot import account_for, confirmation, oneshot_plan
from perpmaker.errors import ConfigError, PerpmakerError
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.quote import ALGORITHM_NAMES, Iceberg, Peg, Pov, Sweep, Twap

MAIN, ETH = AccountId("main"), InstrumentId("ETH_USDT_Perp")
NEEDED = {"chunked": {"chunk_qty": "1"}, "iceberg": {"display_qty": "1"}}


def row(**changes: Any) -> ExecutionRow:
    made = ExecutionRow(
        id="id-1", account="main", strategy="engine", instrument=ETH, side="buy", qty="1", algorithm="sweep",
        filled="0.40", remaining="0.60", vwap="2600.5", fees="0.468", children=2, slippage_bps=1.92,
        half_spread_bps=0.19, arrival_mid="2599.95", state="ended", reason="cap", text="", started_ns="1000000000",
        deadline_ns="0", ended_ns="3500000000",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def text_of(shown: Any) -> str:
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def engine(**changes: Any) -> Engine:
    made = Engine(None, None, MAIN, ETH, "grvt", "local", None, config())
    return msgspec.structs.replace(made, **changes)


def wanted(**changes: Any) -> Wanted:
    return msgspec.structs.replace(Wanted(Side.BUY, Decimal(1), Sweep(), "sweep", {}, False), **changes)


def book() -> OrderBook:
    made = OrderBook(RULES)
    bids, asks = thin_levels()
    assert made.snapshot(bids, asks, 0, 0)
    return made


# options


def test_every_parameter_of_every_algorithm_is_an_option_and_no_other() -> None:
    fields = {field.name for kind in (Sweep, Twap, Pov, Iceberg, Peg) for field in msgspec.structs.fields(kind)}
    assert set(MEANING) == fields - {"take"} | {"take_max_slippage_bps"}


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_every_algorithm_can_be_asked_for(name: str) -> None:
    given: dict[str, str | None] = {**dict.fromkeys(MEANING), **NEEDED.get(name, {})}
    _, parameters = read_algorithm(name, given)
    assert parameters == NEEDED.get(name, {})


def test_pegs_sweep_takes_the_options_that_peg_has_none_of_its_own_of() -> None:
    algorithm, parameters = read_algorithm(
        "peg", {"max_slippage_bps": "7", "max_children": "3", "take_max_slippage_bps": "2"}
    )
    assert isinstance(algorithm, Peg)
    assert (algorithm.max_slippage_bps, algorithm.take.max_slippage_bps, algorithm.take.max_children) == (
        Decimal(7),
        Decimal(2),
        3,
    )
    assert parameters == {"max_slippage_bps": "7", "take_max_children": "3", "take_max_slippage_bps": "2"}


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("magic", {}, r"--algo magic: allowed: sweep, twap"),
        ("twap", {"chunk_qty": "1"}, r"--chunk-qty 1: twap has no such option; allowed: --duration-ms, --slices"),
        ("sweep", {"cap_from": "bid"}, r"--cap-from bid: allowed: mid, touch"),
        ("sweep", {"leftover": "unwind"}, r"--leftover unwind: allowed: hold, rest"),
        ("sweep", {"max_slippage_bps": "5000"}, r"max_slippage_bps must be 0 to 1000 basis points, not 5000"),
        ("sweep", {"max_children": "many"}, r"max_children = 'many'"),
        ("iceberg", {}, r"iceberg needs display_qty"),
        ("chunked", {}, r"chunked needs chunk_qty"),
    ],
)
def test_a_wrong_option_names_key_value_and_what_is_allowed(name: str, given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_algorithm(name, given)


@pytest.mark.parametrize("text", ["x", "0", "-1", "NaN", "Infinity"])
def test_a_quantity_must_be_a_number_above_zero(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--qty {text}: must be a number above 0"):
        read_qty(text)


# who works it


def test_the_account_that_trades_the_instrument_is_taken() -> None:
    two = config(
        account={"main": {}, "other": {"local_account": 1}},
        strategy=[
            {"name": "btc", "kind": "market_maker", "account": "main", "instrument": "BTC_USDT_Perp"},
            {"name": "eth", "kind": "market_maker", "account": "other", "instrument": "ETH_USDT_Perp"},
        ],
    )
    assert account_for(two, "ETH_USDT_Perp", None) == ("other", ETH)
    assert account_for(two, "ETH_USDT_Perp", "main") == ("main", ETH)
    with pytest.raises(ConfigError, match="say which account trades SOL_USDT_Perp; allowed: main, other"):
        account_for(two, "SOL_USDT_Perp", None)


TWO = {
    "account": {
        "main": {"instruments": ["ETH_USDT_Perp"]},
        "hedge": {"venue": "backpack", "instruments": ["ETH_USDC_PERP"]},
    },
    "strategy": [],
}


@pytest.mark.parametrize("instrument", ["ETH_USDC_PERP", "ETH_USDC_PERP@backpack", "SOL_USDC_PERP@backpack"])
def test_an_instruments_exchange_says_which_account_trades_it(instrument: str) -> None:
    name, qualified = account_for(config(**TWO), instrument, None)
    assert (name, qualified.partition("@")[2]) == ("hedge", "backpack")


def test_a_mistyped_instrument_of_several_accounts_is_told_what_may_have_been_meant() -> None:
    with pytest.raises(ConfigError, match=r"ETHUSDT; allowed: hedge, main; or did you mean ETH_USDT_Perp"):
        account_for(config(**TWO), "ETHUSDT", None)
    with pytest.raises(ConfigError, match="no account is on okx; there is hedge on backpack, main on grvt"):
        account_for(config(**TWO), "ETH-USDT-SWAP@okx", None)


def test_a_preset_is_told_by_its_own_name() -> None:
    smart, _ = read_algorithm("smart", {})
    assert preview(engine(), wanted(algorithm=smart, algo="smart"), book()).plan.algorithm == "sweep (smart)"


def test_an_account_the_engines_journal_does_not_know_is_refused_with_the_way_out() -> None:
    two = config(account={"main": {}, "spare": {"local_account": 1}})
    with pytest.raises(ConfigError, match=r'instruments = \["ETH_USDT_Perp"\] in \[account.spare\]'):
        account_for(two, "ETH_USDT_Perp", "spare")
    with pytest.raises(ConfigError, match="is not an account of the configuration; allowed: main, spare"):
        account_for(two, "ETH_USDT_Perp", "third")


def test_an_engine_of_its_own_is_the_configured_one_without_strategies() -> None:
    from perpmaker.engine.assembly import make_plan

    whole, alone = make_plan(config(), EXCHANGE, None), oneshot_plan(config(), MAIN, ETH, EXCHANGE, None)
    assert alone.fingerprint == whole.fingerprint
    spec = alone.spec(1, {})
    assert spec.strategies == ()
    assert spec.pause_added
    assert [account.instruments for account in spec.accounts] == [(ETH,)]
    assert not spec.accounts[0].limits.flatten_on_drawdown
    locks = [str(key) for key in alone.lock_keys(Path("/j"))]
    assert locks == ["journal /j", "sub-account grvt local 101 inst-1", "instrument grvt local ETH_USDT_Perp inst-1"]


def test_a_configuration_without_strategies_will_do() -> None:
    bare = config(strategy=[])
    assert account_for(bare, "ETH_USDT_Perp", None) == ("main", ETH)
    assert oneshot_plan(bare, MAIN, ETH, EXCHANGE, None).keys.keys() == {MAIN}


# plan


def test_the_plan_keeps_clear_of_the_limits_and_names_those_that_bind() -> None:
    seen = preview(engine(), wanted(), book())
    assert max(child.px * child.qty for child in seen.plan.children) <= 1000
    assert seen.notes == []
    seen = preview(engine(), wanted(qty=Decimal(3)), book())
    assert "risk.max_position_notional 5000" in seen.notes[0]


def test_the_plan_says_when_its_price_is_beyond_the_collar() -> None:
    far = wanted(algorithm=Iceberg(Decimal("0.1"), limit_px=Decimal(2500)), algo="iceberg")
    seen = preview(engine(), far, book())
    assert (seen.plan.cap_px, seen.plan.shown_qty) == (Decimal(2500), 0)
    assert "risk.price_collar_bps 100 refuses" in seen.notes[0]


def test_a_quantity_that_is_no_lot_multiple_is_told_as_the_option() -> None:
    with pytest.raises(ConfigError, match=r"^--qty 0\.005: ETH_USDT_Perp trades in multiples of 0\.01 ETH"):
        preview(engine(), wanted(qty=Decimal("0.005")), book())


def test_a_plan_shows_depth_children_worst_price_slippage_and_rest() -> None:
    seen = preview(engine(), wanted(), book())
    shown = text_of(plan_text(seen.plan, RULES, ["a note"], "local, live", seen.limits))
    for said in (
        "grvt local, live",
        "depth inside the cap",
        "0.66 ETH shown, 0.462 after the haircut",
        "worst price",
        "would remain",
        "! a note",
    ):
        assert said in shown
    assert str(RULES.px(ASK)) in shown


# confirmation, arguments, ends


def test_without_a_terminal_the_plan_must_be_confirmed_by_an_option() -> None:
    with pytest.raises(ConfigError, match="--yes"):
        ask(engine(), yes=False, confirm=None)
    assert ask(engine(), yes=True, confirm=None) == ""


def test_prod_wants_the_words_that_arm() -> None:
    plan = oneshot_plan(config(), MAIN, ETH, EXCHANGE, None)
    live = msgspec.structs.replace(plan, config=plan.config.model_copy(update={"env": "prod"}))
    assert confirmation(live) == "arm e 101"
    for given in (None, "arm e 102"):
        with pytest.raises(ConfigError, match="arm e 101"):
            ask(engine(plan=live, env="prod"), yes=True, confirm=given)
    assert ask(engine(plan=live, env="prod"), yes=True, confirm="arm  E 101") == "arm e 101"


def test_the_engines_command_gets_what_was_typed() -> None:
    made = command_arguments(engine(), wanted(parameters={"max_slippage_bps": "5"}, reduce_only=True))
    assert made == {
        "instrument": "ETH_USDT_Perp",
        "side": "buy",
        "qty": "1",
        "algo": "sweep",
        "max_slippage_bps": "5",
        "account": "main",
        "reduce_only": "true",
    }


@pytest.mark.parametrize(
    ("end", "interrupted", "engine_code", "code"),
    [
        (row(reason="done"), False, 0, 0),
        (row(reason="done"), True, 0, 0),
        (row(reason="cap"), False, 0, 10),
        (row(reason="stopped"), True, 0, 130),
        (row(reason="stopped"), False, 0, 10),
        (row(reason="cap"), True, 0, 10),
        (None, True, 0, 130),
        (row(reason="done"), False, 5, 5),
    ],
)
def test_an_end_has_its_exit_code(end: ExecutionRow | None, interrupted: bool, engine_code: int, code: int) -> None:
    assert exit_code(end, interrupted=interrupted, engine_code=engine_code) == code


def test_a_child_is_one_line_with_what_it_filled_and_the_total() -> None:
    child = ExecutionChildRow(2, "2600.50", "0.60", "0.20", "0.40", "2600.5", 1.92, "canceled", True)
    assert child_line(child, row()) == (
        "child 2: filled 0.2 of 0.6 @ 2600.5 (limit 2600.50), +1.92 bps, canceled; total 0.4/1"
    )
    denied = msgspec.structs.replace(child, filled="0", avg_px=None, offset_bps=None, state="denied", reason="MAX_X")
    assert "denied (MAX_X); total" in child_line(denied, row())


def test_a_summary_tells_slippage_and_half_spread_apart() -> None:
    shown = text_of(summary_text(row(), RULES, worked_by="engine e"))
    for said in (
        "filled in part",
        "0.4 of 1 ETH",
        "0.468 USDT",
        "+1.92 bps from the arrival touch (worse)",
        "0.19 bps, apart",
        "0.6 ETH",
    ):
        assert said in shown


def test_what_is_left_open_is_verified_only_when_the_venue_showed_it() -> None:
    assert "verified that nothing is open" in own_engine_text(0, verified=True)
    assert "did not answer to confirm" in own_engine_text(0, verified=False)
    assert "not verified" in own_engine_text(5, verified=False)


def test_environment_and_mode_are_said_before_anything_is_sent() -> None:
    assert where_text(engine()) == "local, live"
    assert where_text(engine(config=config(mode="paper"))) == "local, paper"


def test_a_stop_is_told_once_with_who_asked_for_it() -> None:
    stopped = text_of(summary_text(row(reason="stopped", text="stopped by cli:me"), RULES, worked_by="e"))
    assert "stopped by cli:me" in stopped
    assert "stopped: stopped" not in stopped
    refused = text_of(summary_text(row(reason="refused", text="MAX_POSITION: too much"), RULES, worked_by="e"))
    assert "refused: MAX_POSITION: too much" in refused


# a running engine


THERE = RunFile("engine", 7, {"control": "http://127.0.0.1:9"}, extra={"engine": "other"})


def account(name: str = "main", venue: str = "grvt", exchange: str = "grvt", **changes: Any) -> AccountRow:
    made = AccountRow(name, venue, exchange, "USDT", "5000", "1000", 60, "100", "10", available="9000")
    return msgspec.structs.replace(made, **changes)


def status(*accounts: AccountRow, **changes: Any) -> Status:
    rig = Shown(Rig(made(Maker)).start())
    found = msgspec.structs.replace(now(rig), accounts=list(accounts), open_orders=[], positions=[], markets=[])
    return msgspec.structs.replace(found, **changes)


def position(qty: str) -> PositionRow:
    return PositionRow("main", ETH, qty, "2600", "2600", None, None, "0", "0", "0")


def handed_over(there: Status, **changes: Any) -> Preview:
    return preview(engine(config=None, run_file=THERE), wanted(**changes), book(), there)


def test_the_plan_says_when_a_running_engines_limits_are_not_known() -> None:
    seen = preview(engine(config=None, run_file=THERE), wanted(), book(), status_of(engine(run_file=THERE)))
    assert seen.limits is None  # it does not answer
    assert "the limits of engine other (pid 7) are its own" in seen.notes[0]


def test_a_plan_for_a_running_engine_has_its_limits_and_not_those_of_the_configuration() -> None:
    there = status(account(max_order_notional="300"))
    seen = preview(engine(run_file=THERE), wanted(), book(), there)  # the configuration's is 1000
    assert seen.plan.children
    assert max(child.px * child.qty for child in seen.plan.children) <= 300
    assert seen.limits == there.accounts[0]
    shown = text_of(plan_text(seen.plan, RULES, [], "local, live", seen.limits))
    assert "of main: order 300 USDT, position 5000 USDT, 100 bps from the mark price, 10 orders a second" in shown


def test_room_for_a_position_counts_what_is_held_and_what_is_open() -> None:
    assert handed_over(status(account())).notes == []
    seen = handed_over(status(account(), positions=[position("1.5")]))
    assert "with a position of 1.5 ETH lets 0.42 ETH of it pass" in seen.notes[0]
    assert seen.refused == ""
    short = handed_over(status(account(), positions=[position("-1.5")]), qty=Decimal(3))
    assert (short.notes, short.refused) == ([], "")
    full = handed_over(status(account(), positions=[position("1.92")]))
    assert "a position of 1.92 ETH leaves no room for a buy" in full.refused


def test_an_order_that_cannot_pass_is_refused_before_it_is_sent() -> None:
    assert (
        "max_order_notional 10 is below the smallest order"
        in handed_over(status(account(max_order_notional="10"))).refused
    )
    reducing = handed_over(status(account(), positions=[position("0.5")]), reduce_only=True)
    assert reducing.refused == "--reduce-only: a buy reduces nothing: the position is 0.5 ETH"
    more = handed_over(status(account(), positions=[position("-0.5")]), reduce_only=True)
    assert (more.refused, "only 0.5 ETH are left to reduce" in more.notes[0]) == ("", True)
    killed = handed_over(status(account(), kill_latched=True))
    assert "kill latch" in killed.refused


def test_an_account_that_was_not_read_yet_is_not_taken_for_flat() -> None:
    seen = handed_over(status(account(available=None)), reduce_only=True)
    assert seen.refused == ""
    assert "what is held is not known before the account is read" in seen.notes[0]


def test_two_parent_orders_on_one_instrument_are_refused_before_the_second_is_sent() -> None:
    seen = handed_over(status(account(), executions=[row(state="working")]))
    assert seen.refused == "ETH_USDT_Perp is being worked by parent order id-1 already (sweep): stop that first"
    assert handed_over(status(account(), executions=[row(state="ended")])).refused == ""
    assert handed_over(status(account(), executions=[row(state="working", account="other")])).refused == ""


def test_an_instrument_that_the_engine_does_not_trade_is_told_with_the_way_to_add_it() -> None:
    market = MarketRow(
        "BTC_USDT_Perp", "BTC_USDT_Perp", "grvt", "BTC", "USDT", ["main"], "1", "1", "1", "1", None, None, ""
    )
    seen = handed_over(status(account(), markets=[market]))
    assert "main does not trade ETH_USDT_Perp here; it trades BTC_USDT_Perp. To add it: instruments" in seen.refused


def test_an_engine_that_lives_for_another_command_takes_no_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    single = msgspec.structs.replace(THERE, extra={"engine": "other", "lives_for": "one command"})
    monkeypatch.setattr("perpmaker.control.home.running", lambda home, name: single)
    with pytest.raises(Refused, match=r"engine other \(pid 7\) was started for another `perpmaker execute`"):
        find_engine(tmp_path, None, ETH, None, dry_run=False)


def test_a_halted_account_is_told_and_not_refused() -> None:
    seen = handed_over(status(account(halted="the day's loss")))
    assert (seen.refused, seen.notes) == (
        "",
        ["the account is halted (the day's loss): what does not only reduce a position waits"],
    )


def test_the_way_to_the_venue_is_the_one_that_is_configured() -> None:
    there = status(account(), account("b", "ccxt:binanceusdm", "binance"))
    assert account_of(there, "BTC/USDT:USDT@binance", None).venue == "ccxt:binanceusdm"
    assert account_of(there, ETH, None).account == "main"
    with pytest.raises(ConfigError, match="no account on okx; it has main on grvt, b on binance"):
        account_of(there, "BTC/USDT:USDT@okx", None)
    with pytest.raises(ConfigError, match="--account b: is not an account of the engine on grvt"):
        account_of(there, ETH, "b")


def test_of_several_accounts_on_an_exchange_the_one_that_trades_it_is_taken() -> None:
    two = status(account("one"), account("two"))
    with pytest.raises(ConfigError, match="--account: say which account trades ETH_USDT_Perp; allowed: one, two"):
        account_of(two, ETH, None)
    assert account_of(two, ETH, "two").account == "two"
    market = MarketRow(ETH, ETH, "grvt", "ETH", "USDT", ["two"], "0.01", "0.01", "0.01", "20", None, None, "")
    assert account_of(msgspec.structs.replace(two, markets=[market]), ETH, None).account == "two"


def test_an_engine_that_does_not_tell_its_accounts_is_told_apart() -> None:
    with pytest.raises(ConfigError, match="does not tell its accounts; name a CONFIG"):
        account_of(status(), ETH, None)


def test_the_command_line_says_all_this_without_a_traceback(tmp_path: Path) -> None:
    arguments = ["--home", str(tmp_path), "execute", "--side", "buy", "--qty", "1", "--instrument", "ETH_USDT_Perp"]
    with pytest.raises(PerpmakerError, match="name a CONFIG") as caught:
        cli.main(arguments, standalone_mode=False)
    assert caught.value.exit_code == 9
    with pytest.raises(click.UsageError, match="side"):
        cli.main(["--home", str(tmp_path), "execute", "--qty", "1"], standalone_mode=False)
