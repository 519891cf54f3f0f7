"""What a configuration says of the simulated venue, and the engine's specification beside one. For paper and backtests."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.config import Config, SimulationSection
from perpmaker.engine.core import AccountSpec, EngineSpec, FeeRates
from perpmaker.engine.pairing import all_legs
from perpmaker.engine.traded import as_traded, limits_of, strategy_spec, used_accounts
from perpmaker.errors import ConfigError
from perpmaker.model.ids import HOME_EXCHANGE, AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import (
    Chance,
    ConstantLatency,
    FeeSchedule,
    FillModel,
    FollowingLatency,
    InterpolatedLatency,
    Latency,
    LatencyPoint,
    MarginRules,
    QueueModel,
    SampledLatency,
    VenueSettings,
    margin_brackets,
)
from perpmaker.venues.ccxt.quirks import exchange_identity, quirks_of

_BPS: Final = Decimal(10_000)


class SimulatedAccountPlan(msgspec.Struct, frozen=True):
    """One account beside a simulated venue: where, and in which currency it settles."""

    account: AccountId
    exchange: str
    currency: str
    balance: Decimal


def venue_settings(section: SimulationSection, *, resting_s: int = 120, exchange: str = HOME_EXCHANGE) -> VenueSettings:
    """Return the simulated venue as configured."""
    rate = section.funding_rate_bps
    return VenueSettings(
        fill_model=FillModel(section.fill_model),
        queue_model=QueueModel(section.queue_model),
        queue_exponent=section.queue_exponent,
        fees=FeeSchedule(section.maker_fee_bps / _BPS, section.taker_fee_bps / _BPS),
        margin=margin_rules(section),
        funding_rate=None if rate is None else rate / _BPS,
        speed_bump_ns=section.speed_bump_ms * NS_PER_MS,
        price_band_bps=section.price_band_bps,
        whole_requests=exchange == HOME_EXCHANGE,
        resting_life_ns=resting_s * NS_PER_S,
    )


def margin_rules(section: SimulationSection) -> MarginRules:
    """Return the margin of the simulated venue: brackets where some are given, else one rate."""
    brackets = {
        name: margin_brackets(
            (row.up_to_notional, row.maintenance_frac, row.initial_frac)
            for row in section.brackets
            if row.instrument == name
        )
        for name in dict.fromkeys(row.instrument for row in section.brackets)
    }
    return MarginRules(section.leverage, section.maintenance_bps / _BPS, brackets)


def latency_model(section: SimulationSection, seed: int = 1, points: Sequence[LatencyPoint] = ()) -> Latency:
    """Return a fresh latency model as configured; each venue has its own. `points` were measured on a tape."""
    entry_ns, response_ns = int(section.entry_ms * NS_PER_MS), int(section.response_ms * NS_PER_MS)
    match section.latency:
        case "following":
            return FollowingLatency(floor_ns=max(entry_ns, response_ns))
        case "samples":
            entries, responses = read_samples(section.latency_samples)
            return SampledLatency(entries, responses, Chance(seed))
        case "tape":
            if not points:
                raise ConfigError('simulation.latency: "tape" is for backtests of a tape with the venue\'s times')
            return InterpolatedLatency(points)
        case _:
            return ConstantLatency(entry_ns, response_ns)


def read_samples(name: str) -> tuple[list[int], list[int]]:
    """Read measured latencies, entry and response; ConfigError says what is wrong with the file."""
    if not name:
        raise ConfigError('simulation.latency_samples: latency = "samples" needs a CSV with entry_ns and response_ns')
    try:
        with Path(name).open(encoding="utf-8", newline="") as file:
            rows = [(int(row["entry_ns"]), int(row["response_ns"])) for row in csv.DictReader(file)]
    except OSError as error:
        raise ConfigError(f"simulation.latency_samples: {name}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"simulation.latency_samples: {name}: wants whole numbers in columns entry_ns and response_ns ({error})"
        ) from error
    if not rows or min(map(min, rows)) < 0:
        raise ConfigError(f"simulation.latency_samples: {name}: holds no measurements, or some below 0")
    return [entry for entry, _ in rows], [response for _, response in rows]


def simulated_spec(
    config: Config, *, epoch: int = 1, numbers: Mapping[str, int] | None = None, config_hash: str = ""
) -> EngineSpec:
    """Return what the core is built from when its venues are simulated: no keys, no arming, the schedule's fees."""
    config = as_traded(config)
    if not used_accounts(config):
        raise ConfigError("nothing to trade: give at least one [[strategy]]")
    places = numbers or {row.name: number for number, row in enumerate(config.strategy, 1)}
    know_brackets(config)
    section = config.simulation
    rates = FeeRates(section.maker_fee_bps / _BPS, section.taker_fee_bps / _BPS)
    limits = limits_of(config)
    return EngineSpec(
        name=config.name,
        instance=config.instance,
        epoch=epoch,
        needs_arming=False,
        accounts=tuple(
            AccountSpec(
                account=AccountId(name),
                exchange=exchange_of(config, name),
                limits=limits,
                quote_life_s=account.quote_expiry_s,
                client_id_bits=_id_bits(account.venue),
                instruments=tuple(InstrumentId(instrument) for instrument in account.instruments),
            )
            for name, account in config.account.items()
            if name in used_accounts(config)
        ),
        strategies=tuple(strategy_spec(row, places[row.name]) for row in config.strategy),
        close_max_slippage_bps=config.risk.close_max_slippage_bps,
        config_hash=config_hash,
        fees=dict.fromkeys(traded_instruments(config), rates),
        books_show_own=False,
    )


def know_brackets(config: Config) -> None:
    """Raise ConfigError for a bracket of margin of an instrument that nobody trades: a name mistyped."""
    traded = {name for full in traded_instruments(config) for name in (full, full.partition("@")[0])}
    for row in config.simulation.brackets:
        if row.instrument and row.instrument not in traded:
            raise ConfigError(
                f"simulation.brackets: instrument = {row.instrument!r} is not traded; allowed: "
                f"{', '.join(sorted(traded))}, or none for all"
            )


def traded_instruments(config: Config) -> list[InstrumentId]:
    """Return every instrument of a configuration, by the engine's names, in the order they are named."""
    config = as_traded(config)
    of_strategies = [leg.instrument for row in config.strategy for leg in all_legs(row)]
    named = [InstrumentId(name) for section in config.account.values() for name in section.instruments]
    return list(dict.fromkeys([*of_strategies, *named]))


def account_plans(config: Config, instruments: Mapping[InstrumentId, Instrument]) -> list[SimulatedAccountPlan]:
    """Return the accounts to open; each settles in the quote currency of what it trades first."""
    config = as_traded(config)
    plans = []
    for name in config.account:
        if name not in used_accounts(config):
            continue
        traded = [leg.instrument for row in config.strategy for leg in all_legs(row) if leg.account == name]
        traded += [InstrumentId(listed) for listed in config.account[name].instruments]
        currency = _currency(name, [instruments[instrument] for instrument in traded if instrument in instruments])
        plans.append(
            SimulatedAccountPlan(AccountId(name), exchange_of(config, name), currency, config.simulation.balance)
        )
    return plans


def with_expiry(order: NewOrder, now_ns: int, life_ns: int) -> NewOrder:
    """Return an order that says when its signature expires."""
    return order if order.expire_ns else msgspec.structs.replace(order, expire_ns=now_ns + life_ns)


def exchange_of(config: Config, account: str) -> str:
    """Return the identity of the exchange behind an account."""
    return exchange_identity(config.account[account].venue)


def _currency(account: str, traded: Iterable[Instrument]) -> str:
    found = dict.fromkeys(rules.quote for rules in traded)
    if len(found) != 1:
        said = ", ".join(found) or "nothing that is known"
        raise ConfigError(f"account.{account}: a simulated account settles in one currency, but it trades in {said}")
    return next(iter(found))


def _id_bits(venue: str) -> int:
    return 64 if exchange_identity(venue) == HOME_EXCHANGE else quirks_of(venue).capabilities.client_id_bits
