from __future__ import annotations

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.estimators.market import MarketEstimates
from perpmaker.strategies.estimators.params import EstimateParams

START = 1_800_000_000 * NS_PER_S
MID = 60_000.0
PARAMS = EstimateParams()


def _watched(seconds: int, *, buys_every_s: int = 1, sells_every_s: int = 1) -> tuple[MarketEstimates, int]:
    """Estimates after a market in which trades reach 0.3 to 3 bps from a still mid, and the time."""
    estimates = MarketEstimates(PARAMS)
    for second in range(seconds + 1):
        now_ns = START + second * NS_PER_S
        estimates.on_book(now_ns, MID, MID)
        depth = MID * (0.3 + second % 10 * 0.3) / 1e4
        if second % buys_every_s == 0:
            estimates.on_trade(now_ns, MID + depth, Side.BUY)
        if second % sells_every_s == 0:
            estimates.on_trade(now_ns, MID - depth, Side.SELL)
    return estimates, START + seconds * NS_PER_S


def _doubts(estimates: MarketEstimates, now_ns: int, *, sigma: bool = True, arrivals: bool = True) -> list[str]:
    return list(estimates.reading(now_ns).doubts(PARAMS, sigma=sigma, arrivals=arrivals))


def test_estimates_are_believed_after_a_minute_and_fifty_trades_a_side() -> None:
    assert _doubts(*_watched(60)) == []


def test_a_minute_must_be_seen() -> None:
    assert _doubts(*_watched(59)) == ["seen for 59 of 60 s"]


def test_nothing_seen_yet_is_said_so() -> None:
    assert _doubts(MarketEstimates(PARAMS), START)[0] == "seen for 0 of 60 s"


def test_each_side_needs_its_own_trades() -> None:
    assert _doubts(*_watched(60, buys_every_s=2)) == ["31 of 50 trades reached for asks"]
    assert _doubts(*_watched(60, sells_every_s=2)) == ["31 of 50 trades reached for bids"]


def test_a_model_that_reads_no_arrivals_does_not_wait_for_trades() -> None:
    estimates, now_ns = _watched(60, buys_every_s=100)
    assert _doubts(estimates, now_ns, arrivals=False) == []


def test_a_model_that_reads_nothing_does_not_wait() -> None:
    assert _doubts(MarketEstimates(PARAMS), START, sigma=False, arrivals=False) == []


def test_arrivals_that_stopped_are_not_believed_for_long() -> None:
    estimates, now_ns = _watched(60)
    for second in range(1, 122):
        estimates.on_book(now_ns + second * NS_PER_S, MID, MID)
    assert _doubts(estimates, now_ns + 120 * NS_PER_S) == []
    assert _doubts(estimates, now_ns + 121 * NS_PER_S) == [
        "A and kappa of bids are 121 s old",
        "A and kappa of asks are 121 s old",
    ]


def test_trades_that_reach_too_few_distances_are_no_fit() -> None:
    estimates = MarketEstimates(PARAMS)
    for second in range(61):
        now_ns = START + second * NS_PER_S
        estimates.on_book(now_ns, MID, MID)
        estimates.on_trade(now_ns, MID, Side.BUY)
        estimates.on_trade(now_ns, MID, Side.SELL)
    assert _doubts(estimates, now_ns) == [
        "too few distances reached to fit A and kappa of bids",
        "too few distances reached to fit A and kappa of asks",
    ]
