"""Own orders are taken out of a recorded market: what is left is the market that they were put into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.engine.backtest_tape import CONFIG, FEED_NS, START_NS, config, market, rules

from perpmaker.cli.main import cli
from perpmaker.engine.backtest import Setup, backtest, only
from perpmaker.engine.backtest_feed import plan_feed
from perpmaker.engine.backtest_models import simulated_spec
from perpmaker.engine.recording import session_of
from perpmaker.errors import ConfigError, DataError
from perpmaker.exchange.faults import GRVT
from perpmaker.exchange.tapes import open_tapes
from perpmaker.model.events import (
    BookDelta,
    BookSnapshot,
    Event,
    Fill,
    InstrumentListed,
    OrderReport,
    Source,
    Trade,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, TradeId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS
from perpmaker.research.parity import parity
from perpmaker.research.session_market import is_session, write_market
from perpmaker.simulation import Chance
from perpmaker.tape import live
from perpmaker.tape.cut import cut
from perpmaker.tape.levels import Levels
from perpmaker.tape.own import OwnOrders
from perpmaker.tape.reader import events, open_tape
from perpmaker.tape.recorder import compact_all
from perpmaker.tape.schema import TapeInstrument
from perpmaker.tape.writer import TapeWriter

RULES = rules()
BTC = RULES.instrument_id
MAIN = AccountId("main")
SECONDS = 20


class Resting(msgspec.Struct):
    """An order of ours: `lots` at a price from `open_ns`, one lot less from `cut_ns`, gone at `end_ns`."""

    number: int
    side: Side
    px: int
    lots: int
    open_ns: int
    cut_ns: int
    end_ns: int

    def at(self, ns: int) -> int:
        if not self.open_ns <= ns < self.end_ns:
            return 0
        return self.lots - (ns >= self.cut_ns)

    def told(self) -> Iterator[Event]:
        """What the venue says of it; the small stream that says that it ended names neither side nor price."""
        yield self._report(VenueStatus.PENDING, 0, self.open_ns - NS_PER_MS, Source.REPLY)
        yield self._report(VenueStatus.OPEN, 0, self.open_ns, Source.STREAM)
        if self.cut_ns < self.end_ns:
            yield fill_of(self.number, self.side, self.px, 1, f"own-{self.number}", self.cut_ns, is_taker=False)
        ended = self._report(VenueStatus.CANCELED, int(self.cut_ns < self.end_ns), self.end_ns, Source.STREAM)
        yield msgspec.structs.replace(ended, side=None, px=None, qty=None)

    def _report(self, status: VenueStatus, cum: int, ns: int, source: Source) -> OrderReport:
        return OrderReport(
            MAIN, ClientOrderId(self.number), None, BTC, status, RULES.qty(cum), None, "", source, ns, ns + FEED_NS,
            self.side, RULES.px(self.px), RULES.qty(self.lots),
        )  # fmt: skip


def fill_of(number: int, side: Side, px: int, lots: int, trade_id: str, ns: int, *, is_taker: bool) -> Fill:
    return Fill(
        account=MAIN, client_order_id=ClientOrderId(number), venue_order_id=None, trade_id=TradeId(trade_id),
        instrument=BTC, side=side, px=RULES.px(px), qty=RULES.qty(lots), fee=Decimal(0), fee_currency="USDT",
        is_taker=is_taker, realized_pnl=Decimal(0), ts_event_ns=ns, ts_recv_ns=ns + FEED_NS,
    )  # fmt: skip


def orders(true: Sequence[Event], seed: int) -> list[Resting]:
    """Bids and offers at and behind the touch, many at prices where others stand, some alone, some two at one price."""
    chance, found = Chance(seed), []
    frames = [event for event in true if isinstance(event, BookDelta)]
    for number in range(1, 60):
        frame = frames[chance.below(len(frames) - 30)]
        side = (Side.BUY, Side.SELL)[chance.below(2)]
        near = max(px for px, _ in frame.bids) if side is Side.BUY else min(px for px, _ in frame.asks)
        open_ns = frame.ts_event_ns + chance.below(100) * NS_PER_MS
        end_ns = open_ns + chance.below(2_000) * NS_PER_MS
        cut_ns = open_ns + chance.below(3_000) * NS_PER_MS
        px = near - side.sign * chance.below(4)
        found.append(Resting(number, side, px, 2 + chance.below(6), open_ns, cut_ns, end_ns))
    return found


def shown(true: Sequence[Event], ours: Sequence[Resting]) -> Iterator[Event]:
    """The market as the venue tells it with our orders in it: a frame has every level that changed, ours or others'."""
    book, before = Levels(), ({}, {})
    for event in true:
        match event:
            case BookSnapshot():
                book.start(event.bids, event.asks)
            case BookDelta():
                book.change(event.bids, event.asks)
            case _:
                yield event
                continue
        whole = (dict(book.bids), dict(book.asks))
        for order in ours:
            lots = order.at(event.ts_event_ns)
            if lots:
                levels = whole[0 if order.side is Side.BUY else 1]
                levels[order.px] = levels.get(order.px, 0) + lots
        if isinstance(event, BookSnapshot):
            yield msgspec.structs.replace(event, bids=tuple(whole[0].items()), asks=tuple(whole[1].items()))
        else:
            changed = [
                tuple((px, now.get(px, 0)) for px in {**was, **now} if was.get(px, 0) != now.get(px, 0))
                for was, now in zip(before, whole, strict=True)
            ]
            yield msgspec.structs.replace(event, bids=changed[0], asks=changed[1])
        before = whole


def true_market(seed: int) -> list[Event]:
    return sorted(market(BTC, seconds=SECONDS, seed=seed), key=lambda event: event.ts_recv_ns)


@pytest.mark.parametrize("seed", range(1, 7))
def test_every_book_is_what_it_was_without_our_orders(seed: int) -> None:
    true = true_market(seed)
    ours = orders(true, seed)
    heard = OwnOrders()
    for event in sorted((told for order in ours for told in order.told()), key=lambda event: -event.ts_recv_ns):
        heard.hear(event)  # in any order
    own = heard.stood({BTC: RULES})
    wanted, found, differed = Levels(), Levels(), 0
    for event, told in zip(true, shown(true, ours), strict=True):
        differed += event != told
        for levels, one in ((wanted, event), (found, own.without(told))):
            if isinstance(one, BookSnapshot):
                levels.start(one.bids, one.asks)
            elif isinstance(one, BookDelta):
                levels.change(one.bids, one.asks)
        assert (found.bids, found.asks) == (wanted.bids, wanted.asks)
    assert differed > 50  # ours were there
    assert own.lowered > 50
    assert (own.unplaced, own.short) == (0, 0)


def test_a_level_that_shows_less_than_what_was_ours_counts_as_empty_and_is_said() -> None:
    heard = OwnOrders()
    for event in Resting(1, Side.BUY, 100, 5, START_NS, START_NS + 9, START_NS + 9).told():
        heard.hear(event)
    own = heard.stood({BTC: RULES})
    frame = BookDelta(BTC, ((100, 3), (99, 4)), ((101, 5),), START_NS, START_NS)
    left = own.without(frame)
    assert isinstance(left, BookDelta)
    assert (left.bids, left.asks) == (((100, 0), (99, 4)), ((101, 5),))
    assert own.without(msgspec.structs.replace(frame, ts_event_ns=START_NS - 1)).bids == frame.bids  # type: ignore[union-attr]
    assert "1 levels showed less than them" in own.describe()


def test_an_order_whose_price_was_never_told_is_left_in_and_said() -> None:
    heard = OwnOrders()
    report = OrderReport(
        MAIN, ClientOrderId(1), None, BTC, VenueStatus.OPEN, Decimal(0), None, "", Source.STREAM, START_NS, START_NS
    )
    heard.hear(report)
    own = heard.stood({BTC: RULES})
    assert (own.rested, own.unplaced) == (0, 1)
    assert "1 more orders left in" in own.describe()


# A whole session


def write_plain(path: Path, true: Sequence[Event]) -> Path:
    with TapeWriter(path, [TapeInstrument(RULES)]) as writer:
        for event in true:
            writer.add(event)
    return path


def write_session(folder: Path, true: Sequence[Event], ours: Sequence[Resting], *, shows_own: bool) -> Path:
    """A session that traded in that market: its books show its orders, and it took once, which the venue printed."""
    print_ns = true[40].ts_recv_ns
    taken = Trade(BTC, 600_001, 7, Side.BUY, TradeId("mine"), print_ns - FEED_NS, print_ns)
    took = fill_of(999, Side.BUY, 600_001, 7, "mine", print_ns - FEED_NS, is_taker=True)
    told = [*(shown(true, ours) if shows_own else true), taken, took, *(event for one in ours for event in one.told())]
    told.sort(key=lambda event: event.ts_recv_ns)
    spec = msgspec.structs.replace(simulated_spec(config()), books_show_own=shows_own)
    began = session_of(config().model_dump(mode="python"), spec, build="t", latch=None, checkpoint=None, records=[])
    folder.mkdir()
    file = live.LiveFile(folder / "000001.live")
    file.add(live.SESSION, msgspec.json.encode(msgspec.structs.replace(began, start_ns=START_NS)))
    for event in [InstrumentListed(RULES, true[0].ts_recv_ns), *told]:
        file.add(live.EVENT, msgspec.json.encode(event))
    file.close()
    return folder


@pytest.fixture(scope="module")
def true() -> list[Event]:
    return true_market(1)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, true: list[Event]) -> Path:
    return write_session(tmp_path_factory.mktemp("own") / "session", true, orders(true, 1), shows_own=True)


def test_a_backtest_of_a_session_is_that_of_its_market_without_its_orders(
    session: Path, true: list[Event], tmp_path: Path
) -> None:
    plain = write_plain(tmp_path / "plain.tape", true)
    (run,) = backtest(Setup(config(), seed=3), open_tape(plain), only(["queue"])).runs
    assert run.figures.fills > 3
    (tmp_path / "bt.toml").write_text(CONFIG)
    arguments = ["--tape", str(session), "--seed", "3", "--fill-model", "queue", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(
        cli, ["--home", str(tmp_path), "backtest", str(tmp_path / "bt.toml"), *arguments], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert run.digest[:16] in done.output
    assert "own orders: 59 orders taken out of" in done.output
    assert "1 trades left out in which they were the taker" in done.output


def test_a_paper_session_has_no_own_orders_in_its_books_so_nothing_is_taken_out(
    true: list[Event], tmp_path: Path
) -> None:
    folder = write_session(tmp_path / "paper", true, orders(true, 1), shows_own=False)
    assert write_market(folder, tmp_path / "market.tape") is None
    frames = [event for event in events(open_tape(tmp_path / "market.tape")) if isinstance(event, BookDelta)]
    assert frames == [event for event in true if isinstance(event, BookDelta)]


def test_a_session_as_a_tape_is_played_without_them_too_and_never_with_them(session: Path, tmp_path: Path) -> None:
    compact_all([session / "000001.live"], tmp_path / "life.tape", source="a session", clamp=False)
    assert is_session(session)
    assert is_session(tmp_path / "life.tape")
    with pytest.raises(ConfigError, match="perpmaker tape market SESSION OUTPUT"):
        plan_feed(open_tape(tmp_path / "life.tape"), [BTC], {})
    with pytest.raises(ConfigError, match="perpmaker tape market SESSION OUTPUT"):
        open_tapes([tmp_path / "life.tape"], GRVT)
    done = CliRunner().invoke(
        cli, ["tape", "market", str(tmp_path / "life.tape"), str(tmp_path / "market.tape")], catch_exceptions=False
    )
    assert "59 orders taken out of" in done.output
    assert not is_session(tmp_path / "market.tape")
    write_market(session, tmp_path / "again.tape")
    assert list(events(open_tape(tmp_path / "market.tape"))) == list(events(open_tape(tmp_path / "again.tape")))


def test_a_piece_of_a_session_without_its_beginning_is_no_market_either(session: Path, tmp_path: Path) -> None:
    file = live.LiveFile(tmp_path / "000001.live")
    for tag, line in live.read_live(session / "000001.live"):
        file.add(tag, line)
    file.add(live.COMMAND, b"[]")
    file.close()
    compact_all([tmp_path / "000001.live"], tmp_path / "life.tape", source="a session", clamp=False)
    life = open_tape(tmp_path / "life.tape")
    cut(life, tmp_path / "late.tape", from_ns=life.first_recv_ns + 10**9)
    assert "session" not in open_tape(tmp_path / "late.tape").counts
    with pytest.raises(ConfigError, match="is a piece of the recorded session of an engine"):
        plan_feed(open_tape(tmp_path / "late.tape"), [BTC], {})


def test_a_piece_of_a_piece_of_a_session_is_known_though_no_row_tells_it(session: Path, tmp_path: Path) -> None:
    compact_all([session / "000001.live"], tmp_path / "life.tape", source="a session", clamp=False)
    life = open_tape(tmp_path / "life.tape")
    middle_ns = (life.first_recv_ns + life.last_recv_ns) // 2
    cut(life, tmp_path / "late.tape", from_ns=life.first_recv_ns + 10**9)
    cut(open_tape(tmp_path / "late.tape"), tmp_path / "later.tape", from_ns=middle_ns)
    for name in ("late.tape", "later.tape"):
        piece = open_tape(tmp_path / name)
        assert not {"session", "command"} & set(piece.counts)
        with pytest.raises(ConfigError, match=r"is a piece of the recorded session of an engine \(life.tape\)"):
            plan_feed(piece, [BTC], {})
    with pytest.raises(ConfigError, match="is a piece of the recorded session of an engine"):
        open_tapes([tmp_path / "late.tape"], GRVT)


def test_what_is_said_of_a_piece_of_a_session_works(session: Path, true: list[Event], tmp_path: Path) -> None:
    """Its market cannot be written, the whole's can, and a cut of that has the books as they were without our orders."""
    compact_all([session / "000001.live"], tmp_path / "life.tape", source="a session", clamp=False)
    begin_ns = true[0].ts_recv_ns + 5 * 10**9
    cut(open_tape(tmp_path / "life.tape"), tmp_path / "late.tape", from_ns=begin_ns)
    with pytest.raises(
        DataError, match=r"write the market of the whole session with `perpmaker tape market SESSION OUTPUT`"
    ):
        write_market(tmp_path / "late.tape", tmp_path / "market.tape")
    assert not (tmp_path / "market.tape").exists()
    write_market(tmp_path / "life.tape", tmp_path / "market.tape")
    cut(open_tape(tmp_path / "market.tape"), tmp_path / "part.tape", from_ns=begin_ns)
    wanted, found = Levels(), Levels()
    for levels, told in ((wanted, true), (found, list(events(open_tape(tmp_path / "part.tape"))))):
        for one in told:
            if isinstance(one, BookSnapshot):
                levels.start(one.bids, one.asks)
            elif isinstance(one, BookDelta):
                levels.change(one.bids, one.asks)
    assert (found.bids, found.asks) == (wanted.bids, wanted.asks)
    assert plan_feed(open_tape(tmp_path / "part.tape"), [BTC], {}).own_orders.startswith("59 orders taken out of")


def test_the_first_piece_of_a_session_has_its_beginning_and_so_a_market(session: Path, tmp_path: Path) -> None:
    compact_all([session / "000001.live"], tmp_path / "life.tape", source="a session", clamp=False)
    cut(open_tape(tmp_path / "life.tape"), tmp_path / "early.tape", to_ns=START_NS + 10 * 10**9)
    own = write_market(tmp_path / "early.tape", tmp_path / "market.tape")
    assert own is not None
    assert 0 < own.rested < 59


def test_the_times_of_a_session_count_from_its_first_event(session: Path, true: list[Event], tmp_path: Path) -> None:
    """The row of what it started from has no time: it is not 1970 that a piece is counted from."""

    def typed(*words: object) -> str:
        done = CliRunner().invoke(cli, ["tape", *map(str, words)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    life, piece = tmp_path / "life.tape", tmp_path / "piece.tape"
    typed("convert", session, life)
    assert "2023-11-14 22:13:20.005 UTC" in typed("info", life)
    typed("cut", life, piece, "--to", "+10s")
    assert told_by(piece)[-1].ts_recv_ns < true[0].ts_recv_ns + 10 * 10**9
    assert "orders taken out of" in typed("market", piece, tmp_path / "market.tape")
    typed("cut", life, piece, "--from", "+10s", "--force")
    assert told_by(piece)[0].ts_recv_ns == true[0].ts_recv_ns + 10 * 10**9


def told_by(path: Path) -> list[Event]:
    return list(events(open_tape(path)))


def test_a_piece_of_a_market_is_a_market(session: Path, tmp_path: Path) -> None:
    write_market(session, tmp_path / "market.tape")
    market_tape = open_tape(tmp_path / "market.tape")
    cut(market_tape, tmp_path / "late.tape", from_ns=market_tape.first_recv_ns + 10**9)
    assert not is_session(tmp_path / "late.tape")


def test_parity_says_what_it_took_out(session: Path, tmp_path: Path) -> None:
    found = parity(session, tmp_path)
    assert any("Orders were real: 59 orders taken out of" in remark for remark in found.remarks)
