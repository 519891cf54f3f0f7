"""`perpmaker doctor`: would this configuration trade? Reads only, unless `--test-order` asks for one order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from perpmaker.clock import WallClock
from perpmaker.errors import AuthError, ConfigError, PerpmakerError

if TYPE_CHECKING:
    from perpmaker.config import AccountSection, Config
    from perpmaker.venues.grvt.environments import Environment
    from perpmaker.venues.grvt.rest import Rest

MAX_OFFSET_MS, WARN_OFFSET_MS = 2000.0, 500.0


class Check(msgspec.Struct, frozen=True):
    """One finding: `state` is ok, warning or failed."""

    account: str
    name: str
    state: str
    text: str
    ms: float | None = None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="As one JSON array.")
@click.option(
    "--test-order", is_flag=True, help="Place, see, cancel and verify one order on every account that trades."
)
@click.option(
    "--confirm", metavar="TEXT", help="The confirmation of --test-order on prod: arm ENGINE SUB_ACCOUNT_ID, as for arm."
)
@click.pass_obj
def command(home: Path, path: Path, as_json: bool, test_order: bool, confirm: str | None) -> None:
    """Check credentials, clock, latency, instruments, fees, balance and margin of every GRVT account in CONFIG.

    Sends nothing but reads, unless --test-order is given: then, when all else is well, the smallest post-only order far
    from the market passes the risk gate, is placed, seen in the private stream and in the open orders, cancelled, and
    verified gone, each step with its time. It is refused while an engine holds the account. Whatever happens on the way,
    Ctrl-C included, the order is cancelled and its end verified. The exit code is that of the worst finding.
    """
    from perpmaker import config as configuration
    from perpmaker import logs
    from perpmaker.cli.config import load_whole

    load_whole(path)
    config = configuration.load(path)
    if config.mode == "paper":
        raise ConfigError('mode = "paper" has no account to check: its orders are simulated beside the public market')
    logs.configure(level="ERROR")  # what is found is told in the table
    findings: list[Check] = []
    worst: PerpmakerError | None = None
    for name, account in config.account.items():
        if account.venue != "grvt":
            text = f"{account.venue} is not checked: doctor reads accounts of GRVT alone"
            findings.append(Check(name, "venue", "warning", text))
            continue
        try:
            asyncio.run(examine(home, config, name, account, findings))
        except PerpmakerError as error:
            findings.append(Check(name, "stopped", "failed", str(error)))
            worst = error
    if test_order and worst is None and all(row.state != "failed" for row in findings):
        try:
            place_test_order(home, config, confirm, findings)
        except PerpmakerError as error:
            findings.append(Check("", "test order", "failed", str(error)))
            worst = error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    else:
        show(findings)
    if worst is not None:
        raise SystemExit(worst.exit_code)


def place_test_order(home: Path, config: Config, confirm: str | None, findings: list[Check]) -> None:
    """Add the steps of a trial order; raise what went wrong, when its order has been seen to."""
    from perpmaker.control.home import running
    from perpmaker.engine.assembly import make_plan
    from perpmaker.engine.trial import Trial, confirmation
    from perpmaker.engine.trial_steps import Step

    dotenv = next((path for path in (home / ".env", Path(".env")) if path.is_file()), None)
    plan = make_plan(config, running(home, "exchange") if config.env == "local" else None, dotenv)
    wanted = confirmation(plan)
    if wanted and confirm is None:
        click.echo(f"This places a live order on {config.env}, far from the market, and cancels it.", err=True)
        confirm = click.prompt(f"Type '{wanted}'", default="", show_default=False, err=True)

    def report(step: Step) -> None:
        state = "ok" if step.ok else "failed"
        findings.append(Check(step.account, f"test order: {step.name}", state, step.text, step.ms))

    trial = Trial(plan, home, WallClock(), report, confirmed=confirm or "")
    asyncio.run(trial.run(handle_signals=True))


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
        found = configuration.credentials(account, dotenv=Path(".env"))
        return None, found.api_key.get_secret_value(), found.sub_account_id
    exchange = running(home, "exchange")
    if exchange is None:
        raise ConfigError(f"no practice exchange runs in {home}; start one with `perpmaker exchange`")
    accounts = msgspec.json.decode(exchange.extra["accounts"], type=list[dict[str, str]])
    if account.local_account >= len(accounts):
        raise ConfigError(f"local_account: {account.local_account} is not allowed; allowed: 0 to {len(accounts) - 1}")
    row = accounts[account.local_account]
    return dict(exchange.urls), row["api_key"], row["sub_account_id"]


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
            ("open orders", self._open_orders),
        ):
            clock = WallClock()
            began_ns = clock.monotonic_ns()
            state, text = await check()
            self._findings.append(Check(self._account, name, state, text, (clock.monotonic_ns() - began_ns) / 1e6))

    async def _clock(self) -> tuple[str, str]:
        reading = await self._rest.time()
        offset_ms = reading.offset_ns / 1e6
        text = f"venue {offset_ms:+.1f} ms from ours, round trip {reading.round_trip_ns / 1e6:.1f} ms"
        if abs(offset_ms) > MAX_OFFSET_MS:
            return "failed", f"{text}; set this machine's clock, signed orders would expire wrongly"
        return ("warning" if abs(offset_ms) > WARN_OFFSET_MS else "ok"), text

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
        listed = {str(name): instrument for name, instrument in reading.instruments.items()}
        ours = [row.instrument for row in self._config.strategy if row.account == self._account]
        missing = [name for name in ours if name not in listed]
        if missing:
            raise ConfigError(
                f"not listed on {self._config.env}: {', '.join(missing)}; listed: {', '.join(sorted(listed))}"
            )
        rules = [
            f"{name} tick {listed[name].tick} lot {listed[name].lot} min notional {listed[name].min_notional}"
            for name in ours
        ]
        return "ok", "; ".join(rules)

    async def _balance(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import routes

        summary = (await self._rest.call(routes.ACCOUNT_SUMMARY, routes.OnlySubAccount(self._sub_account_id))).result
        text = f"equity {summary.total_equity}, available {summary.available_balance} {summary.settle_currency}"
        return ("ok" if float(summary.available_balance) > 0 else "warning"), text

    async def _margin(self) -> tuple[str, str]:
        from perpmaker.venues.grvt import routes

        rows = (await self._rest.call(routes.LEVERAGES, routes.OnlySubAccount(self._sub_account_id))).results
        ours = {row.instrument for row in self._config.strategy if row.account == self._account}
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
        return "ok", f"{len(rows)} open"


def show(findings: list[Check]) -> None:
    """Print the findings as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_edge=False)
    for column in ("account", "check", "state", "ms"):
        table.add_column(column, justify="right" if column == "ms" else "left")
    table.add_column("finding", overflow="fold")
    colours = {"ok": "green", "warning": "yellow", "failed": "red"}
    for row in findings:
        state = f"[{colours[row.state]}]{row.state}[/]"
        table.add_row(row.account, row.name, state, "" if row.ms is None else f"{row.ms:.1f}", row.text)
    Console().print(table)
