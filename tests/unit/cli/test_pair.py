"""`perpmaker pair`: its words, its legs, its plan, how it ends; and the monitor's commands."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console, RenderableType
from tests.unit.dashboard.fake_pairs import market
from tests.unit.engine.test_pair_commands import Bench, bench
from tests.unit.strategies.pair.two_venues import HEDGE, LEAD, RULES

from perpmaker import config as configuration
from perpmaker.cli.main import cli
from perpmaker.cli.pair import INCOMPLETE, INTERRUPTED, command, exit_code
from perpmaker.cli.pair_options import MODES, OPTIONS, complete_instrument, complete_market, option_of, read_words
from perpmaker.cli.pair_progress import NEWS_POLLS, PairProgress
from perpmaker.cli.pair_text import monitor, plan_text, verdict
from perpmaker.cli.pair_venues import Asked, find_venues
from perpmaker.clock import ManualClock, WallClock
from perpmaker.config import Config
from perpmaker.control.home import RunFile
from perpmaker.control.messages import AccountRow, MarketRow, PairRow
from perpmaker.engine.pairshot import leg_for, legs_of_market, pairshot_plan, refuse_one_exchange
from perpmaker.engine.pairview import PairView
from perpmaker.errors import ConfigError
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.ids import AccountId
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.pair.cross_maker import CrossMakerParams
from perpmaker.strategies.pair.params import PairParams
from perpmaker.strategies.pair.planning import Fee, LegMargin, PairPlan, Rate, plan_maker, plan_pair, with_margins
from perpmaker.strategies.registry import params_schema, parse_params
from perpmaker.strategies.words import table_of

ROOT = Path(__file__).resolve().parents[3]
PAIR = ROOT / "configs" / "pair.toml"
D = Decimal


def said(what: RenderableType) -> str:
    out = StringIO()
    Console(file=out, width=200).print(what)
    return out.getvalue()


def options(**given: str) -> dict[str, object]:
    return {f"pair_{key}": value for key, value in given.items()}


# words


def test_every_option_is_a_key_of_the_strategy() -> None:
    known = {row.name for row in params_schema("pair")}
    assert {key for _, key, _, _ in OPTIONS} <= known


def test_options_become_words_and_modes_lose_their_hyphens() -> None:
    words = read_words(
        options(mode="build-hold-close", size="0.5", maker_timeout_s="3") | {"others": ("hedge.retry_s=5",)}
    )
    assert words == {"mode": "build_hold_close", "size": "0.5", "maker.timeout_s": "3", "hedge.retry_s": "5"}


def test_all_modes_are_the_strategys() -> None:
    modes = next(row.allowed for row in params_schema("pair") if row.name == "mode")
    assert {mode.replace("-", "_") for mode in MODES} == set(modes.removeprefix("one of ").split(", "))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (options(size="1"), "--mode is missing"),
        (options(mode="alternate"), "--size is missing"),
        (options(mode="alternate", size="1") | {"others": ("nonsense",)}, "--set nonsense: must be KEY=VALUE"),
        (options(mode="alternate", size="1") | {"others": ("hedge.retry_s=",)}, "--set hedge.retry_s=: .* no value"),
        (options(mode="alternate", size="1") | {"others": ("hedge_account=",)}, "give --hedge-account instead"),
        (options(mode="alternate", size="1") | {"others": ("hedge_account=b",)}, "give --hedge-account instead"),
        (options(mode="alternate", size="1") | {"others": ("instrument=X",)}, "give --lead instead"),
        (options(mode="alternate", size="1", min_profit_bps="1"), "--min-profit-bps: goes with --mode make alone"),
        (options(mode="make", size="1", iterations="2"), "--iterations: is no option of --mode make"),
        (options(mode="make", clip="1"), "--size is missing: with --mode make"),
    ],
)
def test_what_is_missing_is_named_by_its_option(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_words(given)


def test_making_has_its_own_words_for_size_and_clip() -> None:
    words = read_words(
        options(mode="make", size="2", clip="0.5", min_profit_bps="3") | {"others": ("tolerance_bps=1",)}
    )
    assert words == {"kind": "cross_maker", "max_qty": "2", "qty": "0.5", "min_profit_bps": "3", "tolerance_bps": "1"}
    assert read_words(options(mode="make", size="2"))["qty"] == "2"
    assert set(words) - {"kind"} <= {row.name for row in params_schema("cross_maker")}
    assert option_of("max_qty = 0 must be more") == "--size = 0 must be more"


def test_closing_needs_a_clip_alone() -> None:
    assert read_words(options(mode="close-existing", clip="0.1"))["size"] == "0.1"


def test_complaints_of_the_strategy_are_told_by_option() -> None:
    assert option_of("maker.timeout_s = 1e9: must be less") == "--maker-timeout-s = 1e9: must be less"
    assert option_of("colour = 'red': unknown key") == "colour = 'red': unknown key"


def test_numbers_names_and_tables_are_read_from_words() -> None:
    table = table_of("pair", {"iterations": "3", "maker.timeout_s": "2.5", "size": "0.10", "session": "7", "mode": "x"})
    assert table == {"iterations": 3, "maker": {"timeout_s": 2.5}, "size": "0.10", "session": "7", "mode": "x"}
    assert table_of("pair", {"iterations": "many"}) == {"iterations": "many"}


def test_a_table_that_was_given_as_a_value_besides_is_named() -> None:
    with pytest.raises(ConfigError, match=r"maker\.timeout_s: maker is a table, and was given as 'fast' besides"):
        table_of("pair", {"maker": "fast", "maker.timeout_s": "2.5"})


# legs


def of_pairs() -> Config:
    return configuration.load(PAIR, {})


def test_a_market_is_the_two_instruments_that_are_named_with_the_lead_on_grvt() -> None:
    lead, hedge = legs_of_market(of_pairs(), "eth")
    assert (lead.account, lead.instrument) == ("main", "ETH_USDT_Perp")
    assert (hedge.account, hedge.instrument) == ("hedge", "ETH_USDC_PERP@backpack")


def test_a_market_that_is_not_named_twice_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"--market DOGE: the configuration names nothing of it; .* BTC, ETH, SOL"):
        legs_of_market(of_pairs(), "DOGE")


def test_the_account_of_a_leg_is_found_by_instrument_by_exchange_or_by_name() -> None:
    config = of_pairs()
    assert leg_for(config, "hedge", "ETH_USDC_PERP", None).account == "hedge"
    assert leg_for(config, "hedge", "OTHER_PERP@backpack", None).account == "hedge"
    assert leg_for(config, "lead", "OTHER_PERP", "main").instrument == "OTHER_PERP"
    with pytest.raises(ConfigError, match=r"--lead-account: say which account trades OTHER_PERP; allowed: hedge, main"):
        leg_for(config, "lead", "OTHER_PERP", None)
    with pytest.raises(ConfigError, match="--lead-account nobody: is not an account"):
        leg_for(config, "lead", "OTHER_PERP", "nobody")


def test_two_legs_on_one_exchange_are_refused_by_identity_not_by_adapter() -> None:
    text = PAIR.read_text().replace('venue = "backpack"', 'venue = "ccxt:grvt"')
    config = configuration.parse(configuration.tomllib.loads(text, parse_float=Decimal), {}, source="test")
    lead = leg_for(config, "lead", "ETH_USDT_Perp", "main")
    hedge = leg_for(config, "hedge", "ETH_USDC_PERP", "hedge")
    with pytest.raises(
        ConfigError, match="both on grvt; the legs of a pair must be on different exchanges.*wash trading"
    ):
        refuse_one_exchange(config, lead, hedge)


def test_the_refusal_of_one_exchange_ends_the_command_with_the_code_of_wrong_configuration(tmp_path: Path) -> None:
    asked = Asked(None, "ETH_USDT_Perp", "BTC_USDT_Perp", None, None)
    with pytest.raises(ConfigError, match="wash trading") as refusal:
        find_venues(tmp_path, PAIR, asked, dry_run=True)
    assert refusal.value.exit_code == 3


class Young:
    """A running engine that hears of one more of its markets each time it is asked."""

    def __init__(self, *markets: MarketRow) -> None:
        self.markets = markets
        self.asked = 0

    def status(self) -> SimpleNamespace:
        self.asked += 1
        limits = ("USDT", "5000", "1000", 60, "100", "10")
        accounts = [
            AccountRow("main", "grvt", "grvt", *limits),
            AccountRow("hedge", "ccxt:backpack", "backpack", *limits),
        ]
        return SimpleNamespace(markets=list(self.markets[: self.asked - 1]), accounts=accounts)


def started(age_s: int) -> RunFile:
    return RunFile("engine", 1, {}, started_ns=WallClock().now_ns() - age_s * NS_PER_S, extra={"env": "prod"})


def test_an_engine_that_has_just_started_is_given_time_to_hear_of_its_markets(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Young(market("ETH", lead=False), market("ETH", lead=True))
    monkeypatch.setattr("perpmaker.control.home.running", lambda home, name: started(age_s=1))
    monkeypatch.setattr("perpmaker.cli.engine_link.client_of", lambda run_file: engine)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    found = find_venues(Path(), None, Asked("ETH", None, None, None, None), dry_run=True)
    assert (found.lead.instrument, found.hedge.instrument) == ("ETH_USDT_Perp", "ETH_USDC_PERP@backpack")
    assert engine.asked == 3
    assert (found.engine.venue, found.hedge_venue) == (
        "grvt",
        "ccxt:backpack",
    )  # as configured, not as the exchange is called


def test_an_account_that_a_running_engine_does_not_trade_the_leg_with_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Young(market("ETH", lead=False), market("ETH", lead=True))
    monkeypatch.setattr("perpmaker.control.home.running", lambda home, name: started(age_s=1))
    monkeypatch.setattr("perpmaker.cli.engine_link.client_of", lambda run_file: engine)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(
        ConfigError, match="--hedge-account main: does not trade ETH_USDC_PERP@backpack in this engine; allowed: hedge"
    ):
        find_venues(Path(), None, Asked("ETH", None, None, None, "main"), dry_run=True)


def test_an_engine_that_runs_for_long_and_follows_nothing_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Young()
    monkeypatch.setattr("perpmaker.control.home.running", lambda home, name: started(age_s=60))
    monkeypatch.setattr("perpmaker.cli.engine_link.client_of", lambda run_file: engine)
    with pytest.raises(ConfigError, match="follows nothing of it"):
        find_venues(Path(), None, Asked("ETH", None, None, None, None), dry_run=True)
    assert engine.asked == 1


def test_an_engine_for_a_pair_names_both_legs_alone_and_brings_earlier_pairs_up_paused() -> None:
    config = of_pairs().model_copy(update={"env": "prod"})
    keys = {"GRVT_API_KEY": "k", "GRVT_PRIVATE_KEY": "0x" + "11" * 32, "GRVT_TRADING_ACCOUNT_ID": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**keys, "BACKPACK_API_KEY": "a", "BACKPACK_SECRET": "b"}.items():
            patch.setenv(name, value)
        plan = pairshot_plan(config, legs_of_market(config, "ETH"), None, None)
    named = {name: section.instruments for name, section in plan.config.account.items()}
    assert named == {"main": ["ETH_USDT_Perp"], "hedge": ["ETH_USDC_PERP@backpack"]}
    assert plan.config.strategy == []
    assert plan.spec(1, {"old": 5}).pause_added


def test_an_account_that_the_journal_does_not_know_is_refused_with_what_to_add() -> None:
    config = of_pairs()
    legs = legs_of_market(config, "ETH")
    bare = config.account["hedge"].model_copy(update={"instruments": []})
    without = config.model_copy(update={"account": {**config.account, "hedge": bare}})
    with pytest.raises(
        ConfigError, match=r'to add it: instruments = \["ETH_USDC_PERP@backpack"\] in \[account.hedge\]'
    ):
        pairshot_plan(without, legs, None, None)


# the plan


def book(name: str, levels: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]) -> OrderBook:
    made = OrderBook(RULES[LEAD if name == "lead" else HEDGE])
    made.snapshot(tuple(levels), tuple(asks), 0, 0)
    return made


def planned(*, rate: Rate | None = None, depth: int = 5_000, **words: str) -> PairPlan:
    given = {
        "mode": "alternate",
        "size": "0.5",
        "hedge_account": "second",
        "hedge_instrument": HEDGE,
        "instrument": LEAD,
    }
    params = parse_params("pair", table_of("pair", given | words))
    assert isinstance(params, PairParams)
    return plan_pair(
        params,
        book("lead", [(260_000, 1_000)], [(260_010, 1_000)]),
        book("hedge", [(52_000, depth)], [(52_002, depth)]),
        legs=(AccountId("first"), AccountId("second")),
        maker=Fee(D("-0.1"), "own fills"),
        taker=Fee(D(5), "the schedule"),
        rate=rate or Rate(D("1.0001"), "USDC/USDT, backpack", 3.0),
    )


def test_a_plan_has_legs_lots_fees_breakeven_and_the_rate_with_its_source_and_age() -> None:
    text = said(plan_text(planned(clip="0.2", iterations="3")))
    for part in (
        "alternate, 3 cycles",
        "ETH_USDT_Perp on grvt, account first: 2600 / 2600.1 USDT, lot 0.01, tick 0.01, at least 0.01 and 20 USDT",
        "ETH_USDC_PERP@backpack on backpack, account second",
        "multiples of 0.01 ETH, at least 0.02",
        "0.5 ETH (about 1300 USDT) a cycle, in 3 clips of 0.2",
        "-0.10 bps maker on grvt (own fills); 5.00 bps taker on backpack (the schedule)",
        "4.90 bps between the two prices",
        "1 USDC = 1.000100 USDT (USDC/USDT, backpack, 3 s old)",
    ):
        assert part in text


def planned_making(*, rate: Rate | None = None, **words: str) -> PairPlan:
    given = {"qty": "0.1", "max_qty": "0.5", "hedge_account": "second", "hedge_instrument": HEDGE, "instrument": LEAD}
    params = parse_params("cross_maker", table_of("cross_maker", given | words))
    assert isinstance(params, CrossMakerParams)
    return plan_maker(
        params,
        book("lead", [(260_000, 1_000)], [(260_010, 1_000)]),
        book("hedge", [(52_000, 5_000)], [(52_002, 5_000)]),
        legs=(AccountId("first"), AccountId("second")),
        maker=Fee(D("-0.1"), "own fills"),
        taker=Fee(D(5), "the schedule"),
        rate=rate or Rate(D(1), "USDC/USDT, backpack", 3.0),
    )


def test_a_plan_of_making_shows_what_would_be_quoted_and_how_much_may_be_held() -> None:
    """Fees 4.9 bps and 1.1 bps of profit: 6 bps below 2600 and above 2600.1 of the hedge."""
    plan = planned_making(min_profit_bps="1.1")
    assert (plan.bid_px, plan.offer_px) == (2600 * D("0.9994"), D("2600.1") * D("1.0006"))
    text = said(plan_text(plan))
    for part in (
        "make: quotes both sides of the lead from the hedge's prices, until it is stopped",
        "quotes of 0.1; at most 0.5 ETH (about 1300 USDT) is held, either way",
        "2598.44 / 2601.66006 USDT, rounded outward to the tick",
        "unhedged at most",
    ):
        assert part in text, text
    unknown = planned_making(rate=Rate(None, "nobody tells USDC/USDT", None))
    assert (unknown.bid_px, unknown.offer_px) == (None, None)
    assert "none / none" in said(plan_text(unknown))
    with pytest.raises(ValueError, match="it must be at least 0.02"):
        planned_making(qty="0.01")


def test_edges_are_after_both_fees_and_in_the_leads_currency() -> None:
    plan = planned()
    assert plan.buy_edge_bps == (D("2600") * D("1.0001") - 2600) / 2600 * 10_000 - D("4.9")
    assert plan.sell_edge_bps == (D("2600.1") - D("2600.1") * D("1.0001")) / D("2600.1") * 10_000 - D("4.9")


def test_notional_is_rounded_down_to_what_both_venues_take() -> None:
    plan = planned(size="1000", clip="500", size_in="notional")
    assert (plan.size, plan.clip) == (D("0.38"), D("0.19"))


def test_a_plan_says_what_stands_in_its_way() -> None:
    plan = planned(
        size="0.505", rate=Rate(None, "nobody tells USDC/USDT", None), depth=10, **{"rule.entry_edge_bps": "3"}
    )
    notes = " | ".join(plan.notes)
    for part in (
        "rounded down to 0.5",
        "the conversion rate is unknown: nobody tells USDC/USDT",
        "does not show a clip",
        "neither side earns the 3 bps",
    ):
        assert part in notes
    assert (plan.buy_edge_bps, plan.sell_edge_bps) == (None, None)
    assert "UNKNOWN what 1 USDC is worth in USDT" in said(plan_text(plan))


@pytest.mark.parametrize(
    ("clip", "size", "is_near"), [("0.02", "0.5", True), ("0.04", "0.5", False), ("0.02", "0.02", False)]
)
def test_a_plan_says_when_a_clip_is_so_near_the_smallest_order_that_it_may_be_exceeded(
    clip: str, size: str, is_near: bool
) -> None:
    """Not where one clip is all there is: no more than the size is ever opened."""
    notes = " | ".join(planned(clip=clip, size=size).notes)
    assert (f"a clip of {clip} is near the smallest order of 0.02: after a partial fill" in notes) is is_near


def test_a_size_below_what_both_venues_take_is_no_plan() -> None:
    with pytest.raises(
        ValueError, match=r"0\.015 is 0\.01 ETH in lots of both venues \(0\.01\); it must be at least 0\.02"
    ):
        planned(size="0.015")


# the end


def a_row(rig: Bench) -> PairRow:
    (row,) = PairView(rig.engine, ManualClock(rig.now_ns), lambda slot: (slot.state.value, "")).pairs()
    return row


@pytest.fixture(scope="module")
def held() -> PairRow:
    """A pair that was built and is held."""
    rig = bench()
    rig.pair(mode="build_and_hold")
    rig.until(lambda: rig.is_over, 60)
    return a_row(rig)


def test_what_was_asked_for_is_done_with_code_0_and_hedged_is_said(held: PairRow) -> None:
    assert exit_code(held, interrupted=False, engine_code=0) == 0
    assert verdict(held) == (
        "hedged: 0.5 ETH_USDT_Perp, -0.5 ETH_USDC_PERP@backpack stay open (built; the position is held)"
    )


def test_a_flat_end_and_what_else_the_accounts_hold_are_said(held: PairRow) -> None:
    legs = [msgspec.structs.replace(leg, qty="0") for leg in held.legs]
    row = msgspec.structs.replace(held, status="Flat", legs=legs)
    assert verdict(row).startswith(
        "flat: the pair holds nothing; besides, not the pair's: first holds 0.5 ETH_USDT_Perp, second holds -0.5"
    )


def test_an_open_end_is_said_in_capitals_and_never_ends_with_code_0(held: PairRow) -> None:
    row = msgspec.structs.replace(held, status="Unbalanced", net_delta="0.1", net_notional="260")
    assert verdict(row).startswith("LEFT OPEN: 0.1 (260 USDT) is not hedged")
    assert exit_code(row, interrupted=False, engine_code=0) == INCOMPLETE
    assert exit_code(row, interrupted=True, engine_code=0) == INCOMPLETE


def test_fewer_cycles_than_asked_a_stop_and_the_engines_trouble_have_codes_of_their_own(held: PairRow) -> None:
    row = msgspec.structs.replace(held, cycles=2, asked=5)
    assert exit_code(row, interrupted=False, engine_code=0) == INCOMPLETE
    assert exit_code(row, interrupted=True, engine_code=0) == INTERRUPTED
    assert exit_code(held, interrupted=False, engine_code=5) == 5


# progress and monitor


def test_progress_says_each_thing_once_and_an_open_amount_after_a_while(held: PairRow) -> None:
    out = StringIO()
    with PairProgress(Console(file=out, width=200), "legs") as progress:
        for row in (
            msgspec.structs.replace(held, phase="open", cycles=0, asked=2),
            msgspec.structs.replace(held, phase="open", cycles=0, asked=2),
            *[msgspec.structs.replace(held, phase="open", cycles=0, asked=2, status="Unbalanced")] * (NEWS_POLLS + 5),
            msgspec.structs.replace(held, phase="close", cycles=1, asked=2, skipped=1),
        ):
            progress.tell(row)
    lines = out.getvalue().splitlines()
    assert [line.split(":")[0].split(";")[0] for line in lines] == [
        "pair-eth", "builds", "Unbalanced", "cycle 1 of 2 done", "closes",
        "a clip was not filled in time and is tried again (1 so far)", "hedged again",
    ]  # fmt: skip


def test_progress_of_making_says_what_it_holds_when_that_has_changed(held: PairRow) -> None:
    """Not while the legs differ, and not when only what it is worth has changed."""
    made = msgspec.structs.replace(held, kind="cross_maker", mode="make", phase="make", cycles=0, asked=0)
    flat = [msgspec.structs.replace(leg, qty="0") for leg in held.legs]
    out = StringIO()
    with PairProgress(Console(file=out, width=200), "legs") as progress:
        for row in (
            msgspec.structs.replace(made, status="Flat", legs=flat),
            msgspec.structs.replace(made, status="Unbalanced"),
            made,
            msgspec.structs.replace(made, volume=made.volume + 1),
        ):
            progress.tell(row)
    lines = out.getvalue().splitlines()
    assert lines[0] == "pair-eth: make, until it is stopped"
    assert [line.partition(",")[0] for line in lines[1:]] == ["filled and hedged: 0.5 ETH_USDT_Perp"]


def test_making_that_is_stopped_by_ctrl_c_says_so_by_its_exit_code(held: PairRow) -> None:
    made = msgspec.structs.replace(held, mode="make", cycles=0, asked=0)
    assert exit_code(made, interrupted=True, engine_code=0) == INTERRUPTED
    assert exit_code(made, interrupted=False, engine_code=0) == 0


def test_the_monitor_shows_positions_status_and_questions(held: PairRow) -> None:
    asking = msgspec.structs.replace(held, state="asking", question="Unexpected: buy 1. Go on?", status="Same side")
    text = said(monitor([held, asking]))
    for part in (
        "0.5 grvt",
        "-0.5 backpack",
        "Hedged",
        "Same side",
        "1/1",
        "pair-eth asks: Unexpected",
    ):
        assert part in text


# the shell


def context(*arguments: str) -> click.Context:
    return command.make_context("pair", list(arguments), resilient_parsing=True)


def test_the_shell_completes_markets_and_instruments_of_a_configuration(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERPMAKER_HOME", str(tmp_path))
        ctx = context(str(PAIR))
        market = next(each for each in command.params if each.name == "market")
        assert [item.value for item in complete_market(ctx, market, "e")] == ["ETH"]
        assert [item.value for item in complete_instrument(ctx, market, "sol")] == [
            "SOL_USDC_PERP@backpack",
            "SOL_USDT_Perp",
        ]
        assert complete_instrument(context(), market, "sol") == []


@pytest.mark.parametrize("arguments", [["pairs"], ["pairs", "stop"], ["pairs", "answer", "pair-eth", "stop"]])
def test_the_monitor_needs_a_running_engine(tmp_path: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["--home", str(tmp_path), *arguments])
    assert getattr(result.exception, "exit_code", None) == 9


# margin


def legs_margin(**told: Any) -> tuple[LegMargin, LegMargin]:
    lead = LegMargin(AccountId("first"), LEAD, D(1300), "USDT", **told)
    return lead, LegMargin(AccountId("second"), HEDGE, D(1300), "USDC")


def test_a_plan_shows_what_each_leg_needs_of_its_account_and_what_is_free_there() -> None:
    told = legs_margin(leverage=D(50), margin_type="CROSS", available=D("900.126"), currency="USDT")
    text = said(plan_text(with_margins(planned(), told)))
    assert "first: 1300 USDT at 50x cross, needs 26 USDT; 900.13 USDT free" in text
    assert "second: 1300 USDC at leverage not told; free margin not told" in text


def test_a_plan_warns_of_an_account_with_too_little_margin_and_of_no_other() -> None:
    short = legs_margin(leverage=D(2), available=D(600), currency="USDT")
    assert "first has 600 USDT free; ETH_USDT_Perp needs 650 at 2x" in with_margins(planned(), short).notes[-1]
    for enough in (
        legs_margin(leverage=D(2), available=D(650), currency="USDT"),
        legs_margin(leverage=D(2), available=D(1), currency="BTC"),  # not comparable
        legs_margin(leverage=D(2)),
        legs_margin(available=D(1), currency="USDT"),
    ):
        assert with_margins(planned(), enough).notes == planned().notes
