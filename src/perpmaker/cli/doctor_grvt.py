"""The checks of a GRVT account, by the venue's own REST routes: what its login, tier and margin say besides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from perpmaker.cli.doctor_checks import Check, capabilities_text, clock_text, rules_text, timed, traded_on
from perpmaker.clock import WallClock
from perpmaker.errors import AuthError, ConfigError

if TYPE_CHECKING:
    from perpmaker.config import AccountSection, Config
    from perpmaker.venues.grvt.environments import Environment
    from perpmaker.venues.grvt.objects import WireTrigger
    from perpmaker.venues.grvt.rest import Rest


async def examine(home: Path, config: Config, name: str, account: AccountSection, findings: list[Check]) -> None:
    """Add what is found about one account; raise what makes going on pointless."""
    from perpmaker.venues.grvt.environments import environment
    from perpmaker.venues.grvt.limits import rate_limiter
    from perpmaker.venues.grvt.rest import Rest, allow_list
    from perpmaker.venues.grvt.session import Session
    from perpmaker.venues.secret import Secret
    from perpmaker.venues.transport.http import open_http

    ready, api_key, sub_account_id = keys(home, config, account)
    venue = environment(config.env, ready)
    clock = WallClock()
    async with open_http(allow_list(venue)) as http:
        session = Session(http, venue, Secret(api_key), clock, seed=config.instance)
        rest = Rest(http, venue, clock, rate_limiter(clock), session=session)
        try:
            await Examination(name, config, venue, rest, session.headers, sub_account_id, findings).run()
        finally:
            await session.close()


def keys(home: Path, config: Config, account: AccountSection) -> tuple[dict[str, object] | None, str, str]:
    """Return the practice exchange's addresses (env local only), the API key and the sub-account id."""
    from perpmaker import config as configuration
    from perpmaker.control.home import running

    if config.env != "local":
        dotenv = next((path for path in (home / ".env", Path(".env")) if path.is_file()), None)
        found = configuration.credentials(account, dotenv=dotenv)
        return None, found.api_key.get_secret_value(), found.sub_account_id
    exchange = running(home, "exchange")
    if exchange is None:
        raise ConfigError(f"no practice exchange runs in {home}; start one with `perpmaker exchange`")
    accounts = msgspec.json.decode(exchange.extra["accounts"], type=list[dict[str, str]])
    if account.local_account >= len(accounts):
        raise ConfigError(f"local_account: {account.local_account} is not allowed; allowed: 0 to {len(accounts) - 1}")
    row = accounts[account.local_account]
    return dict(exchange.urls), row["api_key"], row["sub_account_id"]


def open_orders_text(triggers: Sequence[WireTrigger | None]) -> str:
    """Count open orders by their trigger blocks; plain ones may carry one that says UNSPECIFIED."""
    waiting = sum(trigger is not None and trigger.trigger_type not in {None, "UNSPECIFIED"} for trigger in triggers)
    return f"{len(triggers)} open" + (f", {waiting} of them waiting for a price" if waiting else "")


class Examination:
    """The checks of one account, in the order in which one needs the other."""

    def __init__(
        self,
        account: str,
        config: Config,
        venue: Environment,
        rest: Rest,
        login: Callable[[], Awaitable[object]],
        sub_account_id: str,
        findings: list[Check],
    ) -> None:
        self._account = account
        self._config = config
        self._venue = venue
        self._rest = rest
        self._login = login
        self._sub_account_id = sub_account_id
        self._findings = findings

    async def run(self) -> None:
        for name, check in (
            ("clock", self._clock),
            ("login", self._log_in),
            ("sub-account", self._sub_account),
            ("instruments", self._instruments),
            ("balance", self._balance),
            ("margin", self._margin),
            ("fees", self._fees),
            ("positions", self._positions),
            ("open orders", self._open_orders),
            ("capabilities", self._capabilities),
        ):
            self._findings.append(await timed(self._account, name, check))

    async def _clock(self) -> tuple[str, str]:
        reading = await self._rest.time()
        return clock_text(reading.offset_ns, reading.round_trip_ns)

    async def _log_in(self) -> tuple[str, str]:
        await self._login()
        return "ok", f"API key accepted by {self._venue.edge}"

    async def _sub_account(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import routes

        answer = await self._rest.call(routes.SUB_ACCOUNTS, routes.Nothing())
        if self._sub_account_id not in answer.sub_account_ids:
            raise AuthError(f"the API key has no access to sub-account {self._sub_account_id}")
        return "ok", self._sub_account_id

    async def _instruments(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import listing, routes

        wanted = routes.InstrumentsRequest(kind=[routes.PERPETUAL], is_active=True, limit=routes.MAX_INSTRUMENTS)
        reading = listing.read((await self._rest.call(routes.INSTRUMENTS, wanted)).result)
        return "ok", rules_text(traded_on(self._config, self._account), reading.instruments, self._config.env)

    async def _balance(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import routes

        summary = (await self._rest.call(routes.ACCOUNT_SUMMARY, routes.OnlySubAccount(self._sub_account_id))).result
        text = f"equity {summary.total_equity}, available {summary.available_balance} {summary.settle_currency}"
        return ("ok" if float(summary.available_balance) > 0 else "warning"), text

    async def _margin(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import routes

        rows = (await self._rest.call(routes.LEVERAGES, routes.OnlySubAccount(self._sub_account_id))).results
        ours = traded_on(self._config, self._account)
        shown = [
            f"{row.instrument} {row.leverage}x {row.margin_type}".strip() for row in rows if row.instrument in ours
        ]
        return "ok", "; ".join(shown) + " (never raised by perpmaker)"

    async def _fees(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import routes

        tier = (await self._rest.call(routes.FUNDING_ACCOUNT, routes.Nothing())).tier
        maker, taker = tier.futures_maker_fee / 100, tier.futures_taker_fee / 100
        return "ok", f"tier {tier.tier}: maker {maker:g} bps, taker {taker:g} bps"

    async def _open_orders(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import routes

        rows = (await self._rest.call(routes.OPEN_ORDERS, routes.OfSubAccount(self._sub_account_id))).result
        return "ok", open_orders_text([row.metadata.trigger for row in rows])

    async def _positions(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import routes

        rows = (await self._rest.call(routes.POSITIONS, routes.OfSubAccount(self._sub_account_id))).result
        held = [f"{row.instrument} {row.size} at {row.entry_price}" for row in rows if float(row.size)]
        return "ok", "; ".join(held) or "flat"

    async def _capabilities(self) -> tuple[str, str]:
        from perpmaker.venues.grvt.gateway import CAPABILITIES

        return "ok", capabilities_text(CAPABILITIES)
