"""A filter tried on candles: figures worked out by hand, and that looking ahead is found."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from tests.unit.engine.backtest_tape import write_tape
from tests.unit.strategies.signals.made_bars import BTC, REAL, START_NS, bar, walk

from perpmaker.cli.main import cli
from perpmaker.engine.backtest_feed import TapeFeed, plan_feed
from perpmaker.errors import DataError
from perpmaker.model.events import Bar, Trade
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.research import bar_signals
from perpmaker.research.bar_files import read_candles
from perpmaker.research.bar_signals import looks_ahead, said_of, signal_run, watch_of
from perpmaker.strategies.signals.filters import Regime
from perpmaker.strategies.signals.params import RegimeParams
from perpmaker.strategies.signals.registry import FILTERS
from perpmaker.strategies.signals.watch import RegimeState, RegimeWatch

HEADER = "time,instrument,open,high,low,close,volume,trades\n"


def walked(count: int, seed: int = 1) -> list[Bar]:
    return [bar(number, close, high=high, low=low) for number, (high, low, close) in enumerate(walk(seed, count))]


def saying(*signals: Side | None, latched: bool = False) -> list[RegimeState]:
    return [RegimeState(Regime.NEUTRAL, signal, latched=latched, warm=True, shown={}) for signal in signals]


class Peeking(RegimeWatch):
    """Buys when the bar after this one, remembered from an earlier life, closed higher."""

    seen: dict[int, float]

    def on_bar(self, bar: Bar) -> None:
        self.seen.setdefault(bar.open_ns, bar.close)
        self._now = bar
        super().on_bar(bar)

    def state(self, now_ns: int, *, is_flat: bool) -> RegimeState:
        rises = self.seen.get(now_ns, 0.0) > self._now.close
        said = super().state(now_ns, is_flat=is_flat)
        return msgspec.structs.replace(said, signal=Side.BUY if rises else None)


# --- looking ahead


@pytest.mark.parametrize("name", FILTERS)
def test_no_filter_looks_ahead(name: str) -> None:
    bars, params = walked(400), RegimeParams(filter=name)
    said = list(said_of(bars, watch_of(bars, params)))
    assert said[-1].warm
    assert looks_ahead(bars, said, watch_of(bars, params)) is None


def test_a_filter_that_remembers_what_came_after_is_found_at_the_first_bar_that_used_it() -> None:
    bars = [bar(number, close) for number, close in enumerate((100, 99, 98, 97, 98, 99, 98, 97, 96, 95))]
    Peeking.seen = {}
    said = list(said_of(bars, lambda: Peeking(BTC, RegimeParams())))
    assert looks_ahead(bars, said, lambda: Peeking(BTC, RegimeParams())) == 3  # 97, after which came 98


def test_a_bar_of_a_tape_is_told_after_its_end_and_knows_no_later_trade(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "btc.tape", seconds=40)
    played = plan_feed(tape, [BTC], {})
    rules = played.instruments[BTC]
    events = list(TapeFeed(tape, played, {BTC: [10]}).events())
    bars = [(place, event) for place, event in enumerate(events) if isinstance(event, Bar)]
    assert len(bars) >= 2
    for place, told in bars:
        ends_ns = told.open_ns + told.interval_s * NS_PER_S
        before = [one for one in events[:place] if isinstance(one, Trade) and told.open_ns <= one.ts_event_ns < ends_ns]
        assert told.ts_recv_ns >= ends_ns
        assert told.trades == len(before) > 0
        prices = [float(rules.px(one.px_ticks)) for one in before]
        assert (told.open, told.close, told.high, told.low) == (prices[0], prices[-1], max(prices), min(prices))


# --- figures


def test_what_is_said_at_a_close_is_held_from_the_next_opening_and_costs_each_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Buy is said at the first and second close, nothing at the third: bought at 100, sold at 120.

    Held over the second (100 to 110) and the third (110, opened at 108, to 121), each an unreinvested gain on one unit of
    money: 0.1, then 108/110 - 1 + 121/108 - 1; at the fourth opening 120/121 - 1 and out. Two changes at 10 bps.
    """
    rows = [(100, 100), (100, 110), (108, 121), (120, 150)]
    bars = [msgspec.structs.replace(bar(number, close), open=first) for number, (first, close) in enumerate(rows)]
    said = saying(Side.BUY, Side.BUY, None, None)
    monkeypatch.setattr(bar_signals, "said_of", lambda bars, watching: iter(said))
    run = signal_run(bars, RegimeParams(), cost_bps=10)
    held = (108 / 110 - 1) + (121 / 108 - 1)
    assert run.position.tolist() == [0, 1, 1, 0]
    assert run.equity.tolist() == pytest.approx([1, 1.099, 1.099 + held, 1.098 + held + 120 / 121 - 1])
    assert (run.traded.trades, run.traded.held_share) == (2, 0.5)
    assert run.traded.cost == pytest.approx(0.002)
    assert run.traded.always_long == pytest.approx(0.5)


def test_a_signal_counts_once_from_the_opening_after_it_to_the_close_so_many_bars_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sold at the second close, for two bars: from 102 to 101 after one, to 95 after five, too near the end for more."""
    closes = (100, 103, 101, 99, 98, 97, 95, 94)
    bars = [bar(number, close) for number, close in enumerate(closes)]
    bars[2] = msgspec.structs.replace(bars[2], open=102.0)
    said = saying(None, Side.SELL, Side.SELL, *[None] * 5)
    monkeypatch.setattr(bar_signals, "said_of", lambda bars, watching: iter(said))
    after = {(one.side, one.bars): one for one in signal_run(bars, RegimeParams(), cost_bps=0).after}
    assert (after["sell", 1].signals, after["sell", 15].signals, after["buy", 1].signals) == (1, 0, 0)
    assert after["sell", 1].bps == pytest.approx((102 - 101) / 102 * 1e4)
    assert after["sell", 5].bps == pytest.approx((102 - 95) / 102 * 1e4)
    opens = [100, 103, 102, 99, 98, 97, 95, 94]
    every = [1 - closes[at + 5] / opens[at + 1] for at in range(3)]
    assert after["sell", 5].any_bar_bps == pytest.approx(float(np.mean(every)) * 1e4)


def test_a_second_run_gives_the_same_hash_and_another_filter_another() -> None:
    bars = walked(300)
    first, second, other = (
        signal_run(bars, RegimeParams(filter=name), cost_bps=5).digest for name in ("rsi", "rsi", "adx")
    )
    assert first == second != other


def test_too_few_candles_to_warm_up_are_an_error() -> None:
    with pytest.raises(DataError, match="5 candles are too few"):
        signal_run(walked(5), RegimeParams(), cost_bps=5)


# --- files


def lines(*, seconds: Iterator[int] | range = range(0, 180, 60)) -> list[str]:
    return [f"{START_NS // NS_PER_S + second},BTC,100,102,99,101,5,7\n" for second in seconds]


def test_candles_are_read_as_they_were_downloaded_and_as_others_write_them(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "a.csv", tmp_path / "btc.csv"
    ours.write_text(
        HEADER
        + "2026-11-22T02:31:00.000000000Z,BTC_USDT_Perp,100,102.5,99,101,67.51,496\n"
        + "2026-11-22T02:32:00.000000000Z,BTC_USDT_Perp,101,101,101,101,0,0\n"
    )
    theirs.write_text(
        "Date,Open,High,Low,Close\n2021-12-31 23:01:00.000,1,2,0.5,1.5\n2021-12-31 23:06:00,1,2,0.5,1.5\n"
    )
    first, _ = read_candles(ours)
    assert first == Bar(BTC, 60, 1_795_314_660 * NS_PER_S, 100, 102.5, 99, 101, 67.51, 496, 1_795_314_720 * NS_PER_S)
    other = read_candles(theirs)[0]
    assert (other.instrument, other.interval_s, other.open_ns) == ("btc", 300, 1_640_991_660 * NS_PER_S)


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_a_whole_number_is_a_time_in_its_unit(tmp_path: Path, unit: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"open_time,open,high,low,close\n{1_700_000_040 * unit},1,1,1,1\n{1_700_000_100 * unit},1,1,1,1\n")
    assert [one.open_ns for one in read_candles(path)] == [1_700_000_040 * NS_PER_S, 1_700_000_100 * NS_PER_S]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,open,high,low\n", "has no column close"),
        (HEADER, "0 candles are too few"),
        (HEADER + "".join(lines()) + "x,BTC,1,1,1,1,1,1\n", "a.csv:5: "),
        (HEADER + lines()[0] + lines()[0], "a.csv:3: is not after the row before it"),
        (HEADER + lines()[0].replace("102", "100"), "a.csv:2: open 100, high 100, low 99, close 101 is no candle"),
        (HEADER + lines()[0].replace("102", "nan"), "a.csv:2: high nan is no number"),
        (HEADER + "1,2\n", "a.csv:2: 2 fields where the header names 8"),
        (HEADER + lines()[0] + lines()[1].replace("BTC", "ETH"), "holds candles of BTC, ETH"),
        (HEADER + "".join(lines(seconds=range(0, 120, 60))) + lines(seconds=range(150, 151))[0], "60 s apart"),
    ],
)
def test_a_broken_file_is_an_error_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_candles(path)
    assert said in str(error.value)


# --- the command


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    path = tmp_path / "candles.csv"
    rows = [f"{one.open_ns},BTC_USDT_Perp,{one.open},{one.high},{one.low},{one.close},1,1\n" for one in walked(300)]
    path.write_text(HEADER + "".join(rows))
    return path


def typed(tmp_path: Path, *arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "signals", *map(str, arguments)])
    return done.exit_code, done.output + str(done.exception or "")


def test_the_command_tells_and_writes_a_page(candles: Path, tmp_path: Path) -> None:
    code, said = typed(tmp_path, candles, "--filter", "rsi")
    assert code == 0
    assert "looks ahead: no" in said
    page = tmp_path / "signals" / "candles-rsi.html"
    assert f"report: {page}" in said
    assert "After a sell signal, bps" in page.read_text(encoding="utf-8")
    again = json.loads(typed(tmp_path, candles, "--filter", "rsi", "--json")[1])
    assert (again["looks_ahead"], again["candles"]) == (False, 300)
    assert again["hash"][:16] in said


def test_what_too_few_candles_do_not_tell_is_a_dash(candles: Path, tmp_path: Path) -> None:
    lines = candles.read_text().splitlines(keepends=True)
    candles.write_text("".join(lines[:41]))
    code, said = typed(tmp_path, candles, "--filter", "rsi")
    assert code == 0, said
    assert "nan" not in said
    (row,) = [line for line in said.splitlines() if line.split()[:3] == ["buy", "60", "candles"]]
    assert row.split()[-1] == "-"


def test_a_filter_that_looks_ahead_is_an_exit_code(
    candles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bar_signals, "looks_ahead", lambda bars, said, watching: 40)
    code, said = typed(tmp_path, candles, "--output", tmp_path / "page.html")
    assert code == 6
    assert "looks ahead: YES" in said
    assert "IT LOOKS AHEAD: what is said at 2027-01-15 08:41:00 changes" in said
    assert ">YES<" in (tmp_path / "page.html").read_text(encoding="utf-8").replace(" ", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--filter", "none"], "strategy.regime.filter = 'none'"),
        (["--filter", "magic"], "must be one of bollinger"),
        (["--strategy", "btc"], "say --config too"),
        (["--config", "configs/local.toml", "--strategy", "x"], "is not in the configuration; it has btc, eth, sol"),
        (["--config", "bars.toml"], "strategy.regime.bar_s = 300: the candles are of 60 s"),
    ],
)
def test_what_cannot_be_tried_is_said(candles: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    shipped = Path(__file__).resolve().parents[3] / "configs" / "local.toml"
    text = shipped.read_text(encoding="utf-8")
    (tmp_path / "bars.toml").write_text(
        text.replace("[strategy.quoting]", "[strategy.regime]\nbar_s = 300\n[strategy.quoting]")
    )
    here = {"configs/local.toml": shipped, "bars.toml": tmp_path / "bars.toml"}
    code, told = typed(tmp_path, candles, *(here.get(one, one) for one in arguments))
    assert code != 0
    assert said in told


def test_a_month_of_real_minutes_is_read_whole(tmp_path: Path) -> None:
    if not REAL.exists():
        pytest.skip("../shared/data is absent")
    path = tmp_path / "btc.csv"
    path.write_bytes(gzip.decompress(REAL.read_bytes()))
    bars = read_candles(path)
    assert (len(bars), bars[0].interval_s) == (45_031, 60)
    params = RegimeParams(filter="rsi")
    said = list(said_of(bars[:2_000], watch_of(bars, params)))
    assert looks_ahead(bars[:2_000], said, watch_of(bars, params)) is None
