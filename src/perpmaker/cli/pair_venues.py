"""Which legs, which accounts, which engine; and the plan of a pair on the books of now."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from perpmaker.cli.execute import Engine
from perpmaker.cli.pair_options import option_of
from perpmaker.errors import ConfigError

if TYPE_CHECKING:
    from perpmaker.clock import Clock
    from perpmaker.control.messages import AccountRow, MarketRow, Status
    from perpmaker.marketdata.book import OrderBook
    from perpmaker.strategies.api import Leg
    from perpmaker.strategies.pair.cross_maker import CrossMakerParams
    from perpmaker.strategies.pair.params import LegParams, PairParams
    from perpmaker.strategies.pair.planning import Fee, LegMargin, LegPlan, PairPlan, Rate

LISTING_S: Final = 20
"""An engine younger than this may not have heard yet which instruments its venues list."""


class Asked(msgspec.Struct, frozen=True):
    """The legs as they were typed."""

    market: str | None
    lead: str | None
    hedge: str | None
    lead_account: str | None
    hedge_account: str | None


class Venues(msgspec.Struct, frozen=True):
    """Both legs, the venue of the hedge (the lead's is the engine's), and who runs the pair."""

    engine: Engine
    lead: Leg
    hedge: Leg
    hedge_venue: str
    status: Status | None
    """Of the running engine that takes it, None for one of our own."""

    @property
    def legs_text(self) -> str:
        return f"{self.lead.instrument} against {self.hedge.instrument}"

    def arguments(self) -> dict[str, str]:
        """Return the legs as the command `pair_start` takes them."""
        return {
            "instrument": self.lead.instrument,
            "account": self.lead.account,
            "hedge_instrument": self.hedge.instrument,
            "hedge_account": self.hedge.account,
        }

    def planned(self, words: dict[str, str], clock: Clock) -> PairPlan:
        """Return the plan on the books of now; ConfigError for what cannot be a pair."""
        from perpmaker.strategies.pair.params import PairParams
        from perpmaker.strategies.pair.planning import plan_maker, plan_pair, with_margins
        from perpmaker.strategies.pair.sizes import unlike

        params = self._params(words)
        lead, hedge, rate = asyncio.run(self._look(clock, params.max_rate_age_s))
        why = unlike(lead.instrument, hedge.instrument)
        if why:
            raise ConfigError(f"--hedge {self.hedge.instrument}: {why}")
        maker, taker = self._fees(params)
        legs = (self.lead.account, self.hedge.account)
        try:
            if isinstance(params, PairParams):
                plan = plan_pair(params, lead, hedge, legs=legs, maker=maker, taker=taker, rate=rate)
            else:
                plan = plan_maker(params, lead, hedge, legs=legs, maker=maker, taker=taker, rate=rate)
        except ValueError as error:
            raise ConfigError(f"--size: {error}") from None
        plan = with_margins(plan, (self._margin(plan.lead, plan.size), self._margin(plan.hedge, plan.size)))
        return msgspec.structs.replace(plan, notes=(*plan.notes, *self._limits(plan)))

    def _margin(self, leg: LegPlan, qty: Decimal) -> LegMargin:
        """Return what a leg needs of its account, by what a running engine has read."""
        from perpmaker.strategies.pair.planning import LegMargin

        plain = LegMargin(leg.account, leg.instrument, qty * (leg.bid_px + leg.ask_px) / 2, leg.quote)
        rows = [] if self.status is None else [row for row in self.status.accounts if row.account == leg.account]
        if not rows:
            return plain
        told = rows[0].leverage.get(leg.instrument.partition("@")[0]) or rows[0].leverage.get("")
        return msgspec.structs.replace(
            plain,
            leverage=None if told is None else Decimal(told.leverage),
            margin_type="" if told is None else told.margin_type,
            available=_number(rows[0].available),
            currency=rows[0].currency,
        )

    def _params(self, words: dict[str, str]) -> PairParams | CrossMakerParams:
        from perpmaker.strategies.pair.cross_maker import CrossMakerParams
        from perpmaker.strategies.pair.params import PairParams
        from perpmaker.strategies.registry import parse_params
        from perpmaker.strategies.words import table_of

        legs = {key: text for key, text in self.arguments().items() if key != "account"}
        kind = words.get("kind", "pair")
        own = {key: text for key, text in words.items() if key != "kind"}
        try:
            params = parse_params(kind, table_of(kind, {**own, **legs}))
        except ConfigError as error:
            raise ConfigError("\n".join(option_of(line) for line in str(error).splitlines())) from None
        if not isinstance(params, PairParams | CrossMakerParams):
            raise TypeError(f"the parameters of a {kind} are none of a pair")
        return params

    async def _look(self, clock: Clock, max_age_s: float) -> tuple[OrderBook, OrderBook, Rate]:
        from perpmaker.engine.booklook import Market, look, told_rate
        from perpmaker.strategies.pair.planning import Rate

        engine = self.engine
        places = [Market(venue, engine.env, engine.exchange) for venue in (engine.venue, self.hedge_venue)]

        async def book(key: str, market: Market, leg: Leg) -> OrderBook:
            try:
                return await look(market, leg.instrument, clock)
            except ConfigError as error:
                raise ConfigError(str(error).replace("--instrument", f"--{key}", 1)) from None

        lead, hedge = await asyncio.gather(book("lead", places[0], self.lead), book("hedge", places[1], self.hedge))
        source, target = hedge.instrument.quote, lead.instrument.quote
        if source == target:
            return lead, hedge, Rate(Decimal(1), "both are quoted in the same currency", 0.0)
        for market, turned in ((places[1], False), (places[0], True)):
            told = await told_rate(market, *((target, source) if turned else (source, target)), clock)
            if told is not None:
                age_s = max(clock.now_ns() - told.ts_event_ns, 0) / 1e9
                rate = None if age_s > max_age_s else 1 / told.rate if turned else told.rate
                return lead, hedge, Rate(rate, f"{source}/{target}, {told.told_by}", age_s)
        return lead, hedge, Rate(None, f"nobody tells {source}/{target}", None)

    def _fees(self, params: LegParams) -> tuple[Fee, Fee]:
        """Return the lead's maker fee and the hedge's taker fee: what fills or a schedule say, else what is assumed."""
        from perpmaker.strategies.pair.planning import Fee

        known = self._schedule()
        lead, hedge = known.get(self.lead.instrument), known.get(self.hedge.instrument)
        maker = None if lead is None else lead[0]
        taker = None if hedge is None else hedge[1]
        said = "own fills or the venue's schedule" if self.status is not None else "the venue's schedule"
        assumed = "assumed until own fills show it"
        return (
            Fee(params.assumed_maker_fee_bps, assumed) if maker is None else Fee(maker, said),
            Fee(params.assumed_taker_fee_bps, assumed) if taker is None else Fee(taker, said),
        )

    def _schedule(self) -> dict[str, tuple[Decimal | None, Decimal | None]]:
        """Return maker and taker fees in bps by instrument, as far as anybody says."""
        if self.status is not None:
            return {
                row.instrument: (_number(row.maker_fee_bps), _number(row.taker_fee_bps)) for row in self.status.markets
            }
        if self.engine.plan is None:
            return {}
        fees = self.engine.plan.spec(0, {}).fees
        return {str(name): (rates.maker * 10_000, rates.taker * 10_000) for name, rates in fees.items()}

    def _limits(self, plan: PairPlan) -> list[str]:
        """Say which limits would stand in the way: those of the engine that runs, else those of the configuration."""
        found: list[str] = []
        clip = plan.clip * plan.notional / plan.size if plan.size else Decimal(0)
        for limits in self._limits_known():
            of = f"of {limits.account}" if self.status is not None else ""
            for name, worth, most in (
                ("the size", plan.notional, ("risk.max_position_notional", limits.max_position_notional)),
                ("a clip", clip, ("risk.max_order_notional", limits.max_order_notional)),
            ):
                if worth > Decimal(most[1]) and (name == "a clip" or plan.mode != "close_existing"):
                    found.append(f"{name} is worth {worth:.0f}; {most[0]} {most[1]} {of}".rstrip() + " refuses it")
        return found

    def _limits_known(self) -> list[AccountRow]:
        from perpmaker.cli.execution_limits import of_config

        if self.status is not None:
            legs = (self.lead.account, self.hedge.account)
            return [row for row in self.status.accounts if row.account in legs]
        config = self.engine.config
        return [] if config is None else [of_config(config.risk, self.lead.account, self.engine.venue)]


def find_venues(home: Path, path: Path | None, asked: Asked, *, dry_run: bool) -> Venues:
    """Return legs and engine: with CONFIG who holds both accounts, else one of our own; without, who runs in the home."""
    from perpmaker.cli.engine_link import client_of, refuse_single
    from perpmaker.control.home import running

    if path is None:
        return _of_running(home, asked)
    from perpmaker import config as configuration
    from perpmaker.cli.supervision import refuse_second
    from perpmaker.engine.locks import lock_folder
    from perpmaker.engine.pairshot import holder_of_legs, leg_for, legs_of_market, pairshot_plan, refuse_one_exchange

    config = configuration.load(path)
    if asked.market is not None and asked.lead is None and asked.hedge is None:
        lead, hedge = legs_of_market(config, asked.market)
    elif asked.lead is not None and asked.hedge is not None:
        lead = leg_for(config, "lead", asked.lead, asked.lead_account)
        hedge = leg_for(config, "hedge", asked.hedge, asked.hedge_account)
    else:
        raise ConfigError("--market, or --lead and --hedge: say which instruments")
    refuse_one_exchange(config, lead, hedge)
    exchange = running(home, "exchange") if config.env == "local" else None
    dotenv = next((file for file in (home / ".env", Path(".env")) if file.is_file()), None)
    plan = pairshot_plan(config, (lead, hedge), exchange, dotenv)
    run_file, at = None, home
    holder = holder_of_legs(plan, (lead, hedge), lock_folder(configuration.runtime_folder()))
    if holder is not None:
        at = Path(holder.home)
        run_file = running(at, "engine")
        if run_file is None or run_file.pid != holder.pid:
            raise ConfigError(f"the accounts are in use by {holder.engine!r} (pid {holder.pid}), which takes no pairs")
        refuse_single(run_file)
    elif not dry_run:
        refuse_second(home, "engine")
    lead_venue, hedge_venue = (config.account[leg.account].venue for leg in (lead, hedge))
    engine = Engine(run_file, plan, lead.account, lead.instrument, lead_venue, config.env, exchange, config, at)
    return Venues(engine, lead, hedge, hedge_venue, None if run_file is None else client_of(run_file).status())


def _of_running(home: Path, asked: Asked) -> Venues:
    from perpmaker.cli.engine_link import NothingRuns, client_of, refuse_single
    from perpmaker.clock import WallClock
    from perpmaker.control.home import running
    from perpmaker.model.ids import AccountId, InstrumentId
    from perpmaker.model.units import NS_PER_S
    from perpmaker.strategies.api import Leg

    run_file = running(home, "engine")
    if run_file is None:
        raise NothingRuns(f"no engine runs in {home}; name a CONFIG, and one is started for this pair")
    refuse_single(run_file)
    status = client_of(run_file).status()
    while True:
        try:
            lead, hedge = _chosen(status.markets, asked)
            break
        except ConfigError:
            if WallClock().now_ns() - run_file.started_ns > LISTING_S * NS_PER_S:
                raise
        time.sleep(0.2)
        status = client_of(run_file).status()
    env = run_file.extra.get("env", "")
    exchange = running(home, "exchange") if env == "local" else None
    accounts = (_account("lead", asked.lead_account, lead), _account("hedge", asked.hedge_account, hedge))
    legs = [
        Leg(AccountId(name), InstrumentId(row.instrument)) for name, row in zip(accounts, (lead, hedge), strict=True)
    ]
    ways = {row.account: row.venue for row in status.accounts}
    lead_venue, hedge_venue = (
        _way(ways, key, name, row) for key, name, row in zip(("lead", "hedge"), accounts, (lead, hedge), strict=True)
    )
    engine = Engine(run_file, None, legs[0].account, legs[0].instrument, lead_venue, env, exchange, None, home)
    return Venues(engine, legs[0], legs[1], hedge_venue, status)


def _chosen(markets: list[MarketRow], asked: Asked) -> tuple[MarketRow, MarketRow]:
    """Return the two instruments of a running engine; ConfigError naming what it follows."""
    from perpmaker.model.ids import HOME_EXCHANGE
    from perpmaker.strategies.pair.planning import ONE_EXCHANGE

    known = {row.instrument: row for row in markets}
    if asked.market is not None and asked.lead is None and asked.hedge is None:
        found = [row for row in markets if row.base.lower() == asked.market.lower()]
        if len(found) != 2 or found[0].exchange == found[1].exchange:
            there = ", ".join(row.instrument for row in found) or "nothing"
            raise ConfigError(f"--market {asked.market}: the engine follows {there} of it; name --lead and --hedge")
        first, second = found
        return (second, first) if second.exchange == HOME_EXCHANGE else (first, second)
    if asked.lead is None or asked.hedge is None:
        raise ConfigError("--market, or --lead and --hedge: say which instruments")
    for key, name in (("lead", asked.lead), ("hedge", asked.hedge)):
        if name not in known:
            raise ConfigError(
                f"--{key} {name}: is not followed by the engine; it follows {', '.join(known) or 'nothing'}"
            )
    lead, hedge = known[asked.lead], known[asked.hedge]
    if lead.exchange == hedge.exchange:
        raise ConfigError(f"--hedge {hedge.instrument}: both legs are on {lead.exchange}; {ONE_EXCHANGE}")
    return lead, hedge


def _account(key: str, name: str | None, market: MarketRow) -> str:
    """Return the account that was named, else the only one that trades an instrument; ConfigError where it must be said."""
    if name is not None:
        return name
    if len(market.accounts) != 1:
        raise ConfigError(
            f"--{key}-account: say which trades {market.instrument}; allowed: {', '.join(market.accounts)}"
        )
    return market.accounts[0]


def _way(ways: dict[str, str], key: str, account: str, market: MarketRow) -> str:
    """Return an account's venue as configured; ConfigError for an account the engine does not have."""
    if account not in ways or account not in market.accounts:
        raise ConfigError(
            f"--{key}-account {account}: does not trade {market.instrument} in this engine; allowed: "
            f"{', '.join(market.accounts)}"
        )
    return ways[account]


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
