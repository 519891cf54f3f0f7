"""The checks of an account through its adapter alone: what the feed and the gateway of any venue tell.

It is the same feed and the same gateway that would trade, without anything that could place an order: the gateway's intent
log takes nothing, so that a creation could not leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from perpmaker.cli.doctor_checks import Check, capabilities_text, clock_text, rules_text, timed, traded_on
from perpmaker.errors import AuthError, VenueUnavailable
from perpmaker.model.events import AccountSnapshot, Channel, ClockOffset, Connectivity, Event, SnapshotFailed
from perpmaker.model.units import NS_PER_S

if TYPE_CHECKING:
    from perpmaker.clock import Clock
    from perpmaker.config import AccountSection, Config
    from perpmaker.model.order import NewOrder
    from perpmaker.venues.api import MarketFeed, OrderGateway

LINK_S: Final = 15.0
"""How long a stream may take to come up ..."""
ANSWER_S: Final = 15.0
"""... and the account to be read."""
TIME_S: Final = 5.0
LOOK_BACK_NS: Final = 3600 * NS_PER_S


async def examine(
    home: Path, config: Config, name: str, account: AccountSection, findings: list[Check], clock: Clock
) -> None:
    """Add what is found about an account of a venue behind ccxt; raise what makes going on pointless."""
    from perpmaker.control.home import running
    from perpmaker.engine.assembly import account_keys, venue_addresses
    from perpmaker.model.ids import AccountId
    from perpmaker.venues.ccxt.feed import CcxtFeed
    from perpmaker.venues.ccxt.gateway import CcxtAccount, CcxtGateway
    from perpmaker.venues.ccxt.quirks import quirks_of

    exchange = running(home, "exchange") if config.env == "local" else None
    dotenv = next((path for path in (home / ".env", Path(".env")) if path.is_file()), None)
    who = account_keys(AccountId(name), account, config.env, exchange, dotenv)
    if not isinstance(who, CcxtAccount):
        raise TypeError(f"account {name} is not one of ccxt")
    quirks, urls = quirks_of(account.venue), venue_addresses(account.venue, config.env, exchange)
    feed = CcxtFeed(quirks=quirks, clock=clock, seed=config.instance, urls=urls)
    gateway = CcxtGateway(
        quirks=quirks, who=who, intents=NoIntents(), kill=NeverKilled(), clock=clock, seed=config.instance, urls=urls
    )
    fees = None if quirks.maker_fee is None or quirks.taker_fee is None else (quirks.maker_fee, quirks.taker_fee)
    try:
        await Examination(name, config, feed, gateway, fees, findings, clock).run()
    finally:
        await gateway.stop()
        await feed.stop()


class NoIntents:
    """An intent log that takes no order: whatever a gateway were told to send stays unsent."""

    def intent(self, order: NewOrder, signed: bytes) -> None:
        raise OSError("the doctor places no order here")


class NeverKilled:
    """There is no latch where nothing is placed."""

    current: int = 0


class Heard:
    """Everything that feed and gateway tell, and who waits for some of it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def take(self, event: Event) -> None:
        if isinstance(event, AccountSnapshot | SnapshotFailed | ClockOffset | Connectivity):
            self.events.append(event)
            self._news.set()

    async def first(self, fits: Callable[[Event], bool], within_s: float) -> Event | None:
        """Return the first event that fits, as soon as there is one; None when none came in time."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for event in self.events:
                        if fits(event):
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None


class Examination:
    """The checks of one account, in the order in which one needs the other. `fees`: maker and taker, as fractions."""

    def __init__(
        self,
        account: str,
        config: Config,
        feed: MarketFeed,
        gateway: OrderGateway,
        fees: tuple[Decimal, Decimal] | None,
        findings: list[Check],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._account = account
        self._config = config
        self._feed = feed
        self._gateway = gateway
        self._fees = fees
        self._findings = findings
        self._heard = Heard()
        self._snapshot: AccountSnapshot | None = None

    async def run(self) -> None:
        for name, check in (
            ("instruments", self._instruments),
            ("market data", self._market_data),
            ("clock", self._clock_told),
            ("login", self._log_in),
        ):
            self._findings.append(await timed(self._account, name, check))
        for name, (state, text) in (
            ("balance", self._balance()),
            ("positions", self._positions()),
            ("open orders", self._open_orders()),
            ("fees", self._fees_told()),
            ("capabilities", ("ok", capabilities_text(self._gateway.capabilities))),
        ):
            self._findings.append(Check(self._account, name, state, text))

    async def _instruments(self) -> tuple[str, str]:
        """The first request: it shows that the venue is reached, too."""
        listed = {rules.instrument_id: rules for rules in await self._feed.instruments()}
        return "ok", rules_text(traded_on(self._config, self._account), listed, self._config.env)

    async def _market_data(self) -> tuple[str, str]:
        from perpmaker.venues.api import Subscription

        for instrument in traded_on(self._config, self._account):
            self._feed.subscribe(Subscription(instrument))
        await self._feed.start(self._heard.take)
        await self._up(Channel.MARKET_DATA, "market data")
        return "ok", "the public stream is up"

    async def _clock_told(self) -> tuple[str, str]:
        told = await self._heard.first(lambda event: isinstance(event, ClockOffset), TIME_S)
        if not isinstance(told, ClockOffset):
            return "warning", "the venue does not tell its time; this machine's clock is not compared with it"
        return clock_text(told.offset_ns, told.round_trip_ns)

    async def _log_in(self) -> tuple[str, str]:
        """The private stream, a signed request, and the account itself: each needs the key."""
        await self._gateway.start(self._heard.take)
        await self._up(Channel.PRIVATE, "the private stream")
        await self._up(Channel.ORDER_ENTRY, "order entry")
        self._gateway.request_snapshot(self._clock.now_ns() - LOOK_BACK_NS)
        answer = await self._heard.first(lambda event: isinstance(event, AccountSnapshot | SnapshotFailed), ANSWER_S)
        if isinstance(answer, SnapshotFailed):
            raise VenueUnavailable(f"the account cannot be read: {answer.reason}")
        if not isinstance(answer, AccountSnapshot):
            raise VenueUnavailable(f"the account was not read in {ANSWER_S:g} s")
        self._snapshot = answer
        return "ok", "API key accepted; private stream and order entry are up"

    def _balance(self) -> tuple[str, str]:
        read = self._read()
        text = f"equity {read.equity}, available {read.available} {read.currency}"
        return ("ok" if read.available > 0 else "warning"), text

    def _positions(self) -> tuple[str, str]:
        held = [f"{row.instrument} {row.qty} at {row.avg_entry_px}" for row in self._read().positions if row.qty]
        return "ok", "; ".join(held) or "flat"

    def _open_orders(self) -> tuple[str, str]:
        return "ok", f"{len(self._read().open_orders)} open"

    def _fees_told(self) -> tuple[str, str]:
        if self._fees is None:
            return "warning", "not known before fills of our own show them"
        maker, taker = (float(fee * 10_000) for fee in self._fees)
        return (
            "ok",
            f"maker {maker:g} bps, taker {taker:g} bps by the venue's schedule, before any discount of the account",
        )

    def _read(self) -> AccountSnapshot:
        if self._snapshot is None:
            raise VenueUnavailable("the account was not read")
        return self._snapshot

    async def _up(self, channel: Channel, what: str) -> None:
        """Wait until a channel is up; raise with the venue's own reason, AuthError at once where that is the key."""
        event = await self._heard.first(
            lambda event: (
                isinstance(event, Connectivity) and event.channel is channel and (event.up or _refused(event.reason))
            ),
            LINK_S,
        )
        if isinstance(event, Connectivity) and event.up:
            return
        if isinstance(event, Connectivity):
            raise AuthError(f"{what} is refused: {event.reason}")
        told = [
            said.reason for said in self._heard.events if isinstance(said, Connectivity) and said.channel is channel
        ]
        raise VenueUnavailable(f"{what} does not come up in {LINK_S:g} s: {told[-1] if told else 'no answer'}")


def _refused(reason: str) -> bool:
    """Whether a venue's reason for a channel that is down is about the key, so that waiting does not help."""
    return any(word in reason.lower() for word in ("authentic", "signature", "permission", "api key", "apikey"))
