"""`perpmaker doctor` on a venue it knows by its adapter alone: each check, and each way in which one can fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.engine.test_assembly import HEDGED, config

from perpmaker import logs
from perpmaker.cli import doctor, doctor_adapter
from perpmaker.cli.doctor_adapter import Examination, NoIntents
from perpmaker.cli.doctor_checks import Check, capabilities_text, traded_on
from perpmaker.cli.doctor_grvt import open_orders_text
from perpmaker.cli.main import cli
from perpmaker.clock import ManualClock
from perpmaker.errors import AuthError, ConfigError, VenueUnavailable
from perpmaker.model.events import (
    AccountSnapshot,
    Channel,
    ClockOffset,
    Connectivity,
    Event,
    PositionReport,
    SnapshotFailed,
    Source,
)
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.venues.api import Capabilities, Subscription
from perpmaker.venues.ccxt.quirks import ROWS, Quirks
from perpmaker.venues.grvt.objects import WireTrigger

ETH = InstrumentId("ETH_USDC_PERP@backpack")
HEDGE = AccountId("hedge")
RULES = Instrument(
    ETH, "ETH_USDC_PERP", "backpack", "ETH", "USDC", Decimal("0.05"), Decimal("0.001"), Decimal("0.001"), Decimal(0)
)
OK_CLOCK = ClockOffset("backpack", 1_000_000, 2_000_000, 0)
HELD = PositionReport(HEDGE, ETH, Decimal("-0.5"), Decimal(2600), Decimal(2601), Decimal(-1), 0, 0, Source.SNAPSHOT)
READ = AccountSnapshot(
    HEDGE,
    (),
    (HELD,),
    (),
    (),
    Decimal(1000),
    Decimal(999),
    Decimal(900),
    "USDC",
    0,
    ts_asked_ns=0,
    ts_event_ns=0,
    ts_recv_ns=0,
)


def link(channel: Channel, *, up: bool = True, reason: str = "subscribed") -> Connectivity:
    name = "backpack" if channel is Channel.MARKET_DATA else HEDGE
    return Connectivity(name, channel, up, reason, 0)


class Feed:
    """A venue's public side: says what it is told to, once it is started."""

    def __init__(self, *says: Event, listed: Sequence[Instrument] = (RULES,)) -> None:
        self.says = says
        self.listed = listed
        self.wanted: list[InstrumentId] = []

    async def instruments(self) -> Sequence[Instrument]:
        return self.listed

    def subscribe(self, subscription: Subscription) -> None:
        self.wanted.append(subscription.instrument)

    async def start(self, sink: Callable[[Event], None]) -> None:
        for event in self.says:
            sink(event)

    async def stop(self) -> None:
        """Nothing is open."""


class Gateway(Feed):
    """Its private side: the links when it is started, the answer when it is asked."""

    capabilities = ROWS["backpack"].capabilities

    def __init__(self, *says: Event, answer: Event | None = READ) -> None:
        super().__init__(*says)
        self.answer = answer

    async def start(self, sink: Callable[[Event], None]) -> None:
        self.sink = sink
        await super().start(sink)

    def request_snapshot(self, fills_since_ns: int) -> None:
        if self.answer is not None:
            self.sink(self.answer)


PUBLIC = (link(Channel.MARKET_DATA), OK_CLOCK)
PRIVATE = (link(Channel.PRIVATE), link(Channel.ORDER_ENTRY))


async def examined(
    feed: Any = None, gateway: Any = None, fees: Any = (Decimal("0.0002"), Decimal("0.0005"))
) -> list[Check]:
    findings: list[Check] = []
    feed, gateway = feed or Feed(*PUBLIC), gateway or Gateway(*PRIVATE)
    await Examination("hedge", config(**HEDGED), feed, gateway, fees, findings, ManualClock(10**18)).run()
    return findings


async def test_every_check_of_a_venue_behind_an_adapter_is_made() -> None:
    feed = Feed(*PUBLIC)
    found = {row.name: (row.state, row.text) for row in await examined(feed)}
    assert found == {
        "instruments": ("ok", "ETH_USDC_PERP@backpack tick 0.05 lot 0.001 min notional 0"),
        "market data": ("ok", "the public stream is up"),
        "clock": ("ok", "venue +1.0 ms from ours, round trip 2.0 ms"),
        "login": ("ok", "API key accepted; private stream and order entry are up"),
        "balance": ("ok", "equity 999, available 900 USDC"),
        "positions": ("ok", "ETH_USDC_PERP@backpack -0.5 at 2600"),
        "open orders": ("ok", "0 open"),
        "fees": ("ok", "maker 2 bps, taker 5 bps by the venue's schedule, before any discount of the account"),
        "capabilities": ("ok", capabilities_text(ROWS["backpack"].capabilities)),
    }
    assert feed.wanted == [ETH]


async def test_what_is_not_known_is_a_warning_and_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_adapter, "TIME_S", 0.01)
    poor = msgspec.structs.replace(READ, available=Decimal(0), positions=())
    found = {
        row.name: row for row in await examined(Feed(link(Channel.MARKET_DATA)), Gateway(*PRIVATE, answer=poor), None)
    }
    assert [name for name, row in found.items() if row.state == "warning"] == ["clock", "balance", "fees"]
    assert "does not tell its time" in found["clock"].text
    assert found["positions"].text == "flat"


async def test_a_clock_that_is_far_off_fails() -> None:
    far = ClockOffset("backpack", -3_000_000_000, 1_000_000, 0)
    found = {row.name: row for row in await examined(Feed(link(Channel.MARKET_DATA), far))}
    assert (found["clock"].state, "set this machine's clock" in found["clock"].text) == ("failed", True)


async def test_an_instrument_that_is_not_listed_is_named() -> None:
    with pytest.raises(ConfigError, match="not listed on local: ETH_USDC_PERP@backpack; listed: $"):
        await examined(Feed(*PUBLIC, listed=()))


async def test_a_refused_key_is_told_at_once_and_a_way_that_is_down_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = link(Channel.PRIVATE, up=False, reason="subscription refused: Invalid signature")
    with pytest.raises(AuthError, match="the private stream is refused: subscription refused: Invalid signature"):
        await examined(gateway=Gateway(refused))
    monkeypatch.setattr(doctor_adapter, "LINK_S", 0.01)
    down = link(Channel.ORDER_ENTRY, up=False, reason="connection reset")
    with pytest.raises(VenueUnavailable, match=r"order entry does not come up in 0\.01 s: connection reset"):
        await examined(gateway=Gateway(PRIVATE[0], down))
    with pytest.raises(VenueUnavailable, match="market data does not come up in .* no answer"):
        await examined(Feed())


async def test_an_account_that_cannot_be_read_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SnapshotFailed(HEDGE, "fetch_balance: 503", 0)
    with pytest.raises(VenueUnavailable, match="the account cannot be read: fetch_balance: 503"):
        await examined(gateway=Gateway(*PRIVATE, answer=failed))
    monkeypatch.setattr(doctor_adapter, "ANSWER_S", 0.01)
    with pytest.raises(VenueUnavailable, match="was not read in"):
        await examined(gateway=Gateway(*PRIVATE, answer=None))


def test_what_a_venue_lacks_is_said_as_plainly_as_what_it_has() -> None:
    bare = Quirks(ccxt_id="any", exchange="any", post_only=False, reduce_only=False).capabilities
    assert capabilities_text(bare) == (
        "no bulk orders; no post-only; no reduce-only; fills by its order updates; cancels by its own id alone; "
        "no dead-man timer: what rests, rests on when we are gone; orders do not expire by themselves; "
        "no stops at the venue: only we can close; client order ids of 32 bits"
    )
    rich = Capabilities(True, True, True, True, True, True, True, True, True, 100)
    assert capabilities_text(rich).startswith("bulk of 100; post-only; reduce-only; a stream of fills;")


def test_what_is_traded_is_legs_and_what_is_named_by_hand() -> None:
    whole = config(**HEDGED)
    named = whole.account["hedge"].model_copy(update={"instruments": ["SOL_USDC_PERP", "ETH_USDC_PERP"]})
    whole = whole.model_copy(update={"account": {**whole.account, "hedge": named}})
    assert traded_on(whole, "hedge") == [ETH, "SOL_USDC_PERP@backpack"]
    assert traded_on(whole, "main") == ["BTC_USDT_Perp"]


def test_open_orders_that_wait_for_a_price_are_counted_apart() -> None:
    assert open_orders_text([]) == "0 open"
    assert open_orders_text([None, WireTrigger()]) == "2 open"
    assert open_orders_text([None, WireTrigger("STOP_LOSS")]) == "2 open, 1 of them waiting for a price"


def test_an_examination_can_place_nothing() -> None:
    with pytest.raises(OSError, match="places no order"):
        NoIntents().intent(None, b"")  # type: ignore[arg-type]


def test_findings_never_show_a_secret_and_a_failed_one_decides_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.register_secret("very-secret-words")

    async def examine(home: Path, whole: Any, name: str, account: Any, findings: list[Check]) -> None:
        findings.append(Check(name, "login", "failed", "the venue says: very-secret-words are wrong"))

    monkeypatch.setattr(doctor, "examine", examine)
    path = Path(__file__).resolve().parents[3] / "configs" / "pair.toml"
    done = CliRunner().invoke(cli, ["--home", str(tmp_path), "doctor", str(path), "--json", "--test-order"])
    assert done.exit_code == 1
    assert [row["text"] for row in json.loads(done.stdout)] == [
        "the venue says: [redacted] are wrong"
    ] * 2  # and nothing was tried
