"""Touch makers and ladders, each in a pit of its own."""

from __future__ import annotations

from tests.unit.exchange.core.desk import BTC, MS_NS, START_NS, Desk

from perpmaker.exchange.core.market.latent import LatentPrice
from perpmaker.exchange.core.market.makers import GapCloser, Ladder, TouchMaker, View
from perpmaker.exchange.core.market.parameters import LadderParameters, LatentParameters, MakerParameters
from perpmaker.exchange.core.market.pit import Pit
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import Side

STILL = LatentParameters(sigma_bps=0.0, news_per_s=0.0, delay_s=0.0)
EXACT = MakerParameters(view_noise_bps=0.0, touch_half_spread_bps=0.02, tolerance_bps=0.1)
START_TICKS = 600_000


def pit_of(desk: Desk) -> Pit:
    return Pit(desk.venue, desk.rules(), LatentPrice(STILL, Rng(1), START_NS))


def best(desk: Desk) -> tuple[int | None, int | None]:
    book = desk.venue.book(BTC)
    return book.best_bid_ticks, book.best_ask_ticks


def test_a_lone_touch_maker_quotes_its_half_spread_around_its_view() -> None:
    desk = Desk()
    TouchMaker(pit_of(desk), EXACT, Rng(1), START_NS).wake(START_NS)
    assert best(desk) == (START_TICKS - 2, START_TICKS + 2)


def test_a_quote_within_its_tolerance_stays() -> None:
    desk = Desk()
    pit = pit_of(desk)
    maker = TouchMaker(pit, EXACT, Rng(1), START_NS)
    maker.wake(START_NS)
    before = desk.venue.book(BTC).snapshot()
    pit.latent.jump(0.04, START_NS + 1)
    maker.wake(START_NS + 2)
    assert desk.venue.book(BTC).snapshot() == before


def test_a_quote_beyond_its_tolerance_is_moved_post_only() -> None:
    desk = Desk()
    pit = pit_of(desk)
    maker = TouchMaker(pit, EXACT, Rng(1), START_NS)
    desk.quote(Side.SELL, "60001.0", "1")
    maker.wake(START_NS)
    pit.latent.jump(1.0, START_NS + 1)
    maker.wake(START_NS + 2)
    assert best(desk) == (600_009, 600_010)


def test_an_answer_to_a_gap_leans_to_the_makers_view() -> None:
    for view_bps, expected in ((-0.11, (599_990, 599_994)), (0.11, (600_006, 600_010))):
        desk = Desk()
        pit = pit_of(desk)
        desk.quote(Side.BUY, "59999.0", "1")
        desk.quote(Side.SELL, "60001.0", "1")
        maker = TouchMaker(pit, EXACT, Rng(1), START_NS)
        pit.latent.jump(view_bps, START_NS + 1)
        maker.narrow(START_NS + 1)
        assert best(desk) == expected


def test_gaps_are_closed_within_the_reaction_times_until_one_tick_is_left() -> None:
    desk = Desk()
    pit = pit_of(desk)
    crew = [TouchMaker(pit, MakerParameters(), Rng(seed), START_NS) for seed in range(3)]
    desk.quote(Side.BUY, "59990.0", "1")
    desk.quote(Side.SELL, "60010.0", "1")
    closer = GapCloser(crew, MakerParameters(), Rng(9))
    now_ns = START_NS
    answers = 0
    while pit.has_gap():
        due_ns = closer.due_ns(now_ns)
        assert MS_NS < due_ns - now_ns <= 4 * MS_NS + 1
        now_ns = due_ns
        closer.act(now_ns)
        answers += 1
    assert answers < 40
    bid, ask = best(desk)
    assert bid is not None
    assert ask == bid + 1


def test_a_ladder_has_an_order_at_each_distance_and_replaces_what_was_taken() -> None:
    desk = Desk()
    pit = pit_of(desk)
    parameters = LadderParameters(distances_bps=(1.0, 5.0, 20.0), refill_chance=1.0)
    ladder = Ladder(pit, parameters, View(pit, EXACT, Rng(2), START_NS), Rng(1))
    ladder.wake(START_NS)
    book = desk.venue.book(BTC)
    for side in Side:
        away_bps = [abs(level.px_ticks - START_TICKS) / 60 for level in book.depth(side)]
        assert len(away_bps) == 3
        assert all(0.84 * d <= a <= 1.16 * d for a, d in zip(away_bps, (1.0, 5.0, 20.0), strict=True))
    desk.hit(Side.BUY, "1000", "60100")
    assert len(book.depth(Side.SELL)) == 1
    ladder.wake(START_NS + 1)
    assert len(book.depth(Side.SELL)) == 3


def test_a_ladder_moves_near_orders_and_leaves_far_ones_that_are_still_right() -> None:
    desk = Desk()
    pit = pit_of(desk)
    parameters = LadderParameters(distances_bps=(1.0, 50.0), tolerance=0.35)
    ladder = Ladder(pit, parameters, View(pit, EXACT, Rng(2), START_NS), Rng(1))
    ladder.wake(START_NS)
    book = desk.venue.book(BTC)
    near, far = book.depth(Side.BUY)
    pit.latent.jump(3.0, START_NS + 1)
    ladder.wake(START_NS + 2)
    moved, kept = book.depth(Side.BUY)
    assert moved.px_ticks > near.px_ticks
    assert kept == far
