"""Sums over accounts in several currencies: by the rate last told, and honestly assumed before one was."""

from __future__ import annotations

from decimal import Decimal

from perpmaker.engine.core import AccountSpec, EngineSpec, NoProbe
from perpmaker.engine.core.world import World
from perpmaker.engine.rows import rate_told
from perpmaker.model.events import AccountSnapshot, ConversionRate
from perpmaker.model.ids import AccountId
from perpmaker.model.units import NS_PER_S
from perpmaker.risk.limits import Limits

NOW = 1_800_000_000 * NS_PER_S
LIMITS = Limits(
    max_position_notional=Decimal(5000), max_order_notional=Decimal(1000), max_open_orders=10,
    price_collar_bps=Decimal(100), orders_per_s=Decimal(10), max_loss=Decimal(50), max_drawdown_frac=Decimal("0.1"),
    flatten_on_drawdown=True,
)  # fmt: skip


def world() -> World:
    accounts = tuple(AccountSpec(AccountId(name), name, LIMITS) for name in ("grvt", "backpack"))
    made = World(EngineSpec("e", 1, 1, False, accounts, ()), NoProbe())
    made.now_ns = NOW
    for name, currency in (("grvt", "USDT"), ("backpack", "USDC")):
        money = Decimal(1000)
        account = AccountId(name)
        snapshot = AccountSnapshot(account, (), (), (), (), money, money, money, currency, NOW, NOW, NOW, NOW)
        made.account_books[account].open(snapshot)
    return made


def test_before_a_rate_was_told_one_is_assumed_and_said_to_be() -> None:
    made = world()
    assert made.equity() == 2000
    assert made.rates() == {"USDC": None}
    assert rate_told(None, NOW) == "1, assumed: nobody told a rate"


def test_equity_is_summed_by_the_rate_last_told_with_its_source_and_age() -> None:
    made = world()
    made.conversions["USDC", "USDT"] = ConversionRate("USDC", "USDT", Decimal("1.002"), "backpack USDT/USDC", NOW, NOW)
    assert made.equity() == 2002
    assert rate_told(made.rates()["USDC"], NOW + 3 * NS_PER_S) == "1.002000, backpack USDT/USDC, 3 s old"


def test_one_currency_needs_no_rate() -> None:
    assert world().worth("USDT") == 1
