"""What trading costs, by whose word."""

from __future__ import annotations

from decimal import Decimal

from perpmaker.engine.core import FeeRates
from perpmaker.engine.core.fees import Fees
from perpmaker.model.events import FeesTold, Fill
from perpmaker.model.ids import AccountId, ClientOrderId, TradeId
from perpmaker.model.order import Side

from .rig import BTC, MAIN, Rig

SCHEDULE = FeeRates(Decimal("0.0002"), Decimal("0.0005"))
TIER = FeesTold(MAIN, Decimal("-0.000001"), Decimal("0.00045"), 1)


def _costs(fees: Fees) -> tuple[Decimal | None, Decimal | None]:
    return fees.maker(MAIN, BTC), fees.taker(MAIN, BTC)


def test_nothing_is_known_before_anybody_has_told_it() -> None:
    assert _costs(Fees({})) == (None, None)


def test_the_accounts_own_tier_counts_more_than_a_schedule() -> None:
    fees = Fees({BTC: SCHEDULE})
    assert _costs(fees) == (SCHEDULE.maker, SCHEDULE.taker)
    fees.on_told(TIER)
    assert _costs(fees) == (TIER.maker, TIER.taker)


def test_what_another_account_pays_says_nothing() -> None:
    fees = Fees({})
    fees.on_told(FeesTold(AccountId("other"), TIER.maker, TIER.taker, 1))
    assert _costs(fees) == (None, None)


def test_own_fills_count_most() -> None:
    fees = Fees({BTC: SCHEDULE})
    fees.on_told(TIER)
    px, qty = Decimal(60_000), Decimal("0.01")
    fee = px * qty * Decimal("0.0001")
    fees.on_fill(
        Fill(
            MAIN, ClientOrderId(1), None, TradeId("1-1"), BTC, Side.BUY, px, qty, fee, "USDT",
            is_taker=False, realized_pnl=Decimal(0), ts_event_ns=1, ts_recv_ns=1,
        )
    )  # fmt: skip
    assert _costs(fees) == (Decimal("0.0001"), TIER.taker)


def test_the_engine_passes_it_on() -> None:
    rig = Rig()
    rig.engine.process(TIER)
    assert _costs(rig.engine.world.fees) == (TIER.maker, TIER.taker)
