"""An engine for one parent order: the same engine on the same journal, with nothing to do but that.

It has no strategies, so that nothing else is placed, and nothing flattens: what was asked is done and no more. Journal,
name and accounts are those of the configuration, so the engine's next life knows every order and fill of it, and the two
never run at a time.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from perpmaker.clock import Clock
from perpmaker.config import Config, ControlSection
from perpmaker.control.home import RunFile
from perpmaker.engine.assembly import Plan, make_plan
from perpmaker.engine.commands import arming_words
from perpmaker.engine.live import LiveEngine
from perpmaker.engine.locks import Holder, holder_of, sub_account_key
from perpmaker.engine.pairing import all_legs
from perpmaker.engine.traded import qualified, used_accounts
from perpmaker.errors import ConfigError
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.risk.gate import ReadyState
from perpmaker.venues.ccxt.quirks import exchange_identity


def account_for(config: Config, instrument: str, wanted: str | None) -> tuple[AccountId, InstrumentId]:
    """Return the account that executes on an instrument and the instrument's name in the engine.

    Without `wanted` it is the account that trades the instrument by the configuration, else the only account. Raises
    ConfigError naming what is allowed.
    """
    known = sorted(config.account)
    if wanted is not None and wanted not in config.account:
        raise ConfigError(f"--account {wanted}: is not an account of the configuration; allowed: {', '.join(known)}")
    used = used_accounts(config)
    if wanted is None:
        wanted = _only_account(config, instrument, used)
    if used and wanted not in used:
        raise ConfigError(
            f"--account {wanted}: the engine of this configuration does not trade on it, and its journal does not know it; "
            f'allowed: {", ".join(sorted(used))}. To add it: instruments = ["{instrument}"] in [account.{wanted}]'
        )
    return AccountId(wanted), qualified("--instrument", config, wanted, instrument)


def _only_account(config: Config, instrument: str, used: set[str]) -> str:
    """Return the account that trades an instrument by the configuration, else the only one it could be."""
    symbol, _, exchange = instrument.partition("@")
    here = {name for name, row in config.account.items() if exchange in ("", exchange_identity(row.venue))}
    trading: dict[str, set[str]] = {}
    for row in config.strategy:
        for leg in all_legs(row):
            trading.setdefault(leg.instrument.partition("@")[0], set()).add(leg.account)
    for name, section in config.account.items():
        for named in section.instruments:
            trading.setdefault(named.partition("@")[0], set()).add(name)
    possible = sorted(trading.get(symbol, set()) & here or used & here or here)
    if len(possible) == 1:
        return possible[0]
    if not possible:
        accounts = ", ".join(
            f"{name} on {exchange_identity(row.venue)}" for name, row in sorted(config.account.items())
        )
        raise ConfigError(f"--instrument {instrument}: no account is on {exchange}; there is {accounts}")
    near = difflib.get_close_matches(symbol, sorted(trading), n=3, cutoff=0.5) if symbol not in trading else []
    meant = f"; or did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(f"--account: say which account trades {instrument}; allowed: {', '.join(possible)}{meant}")


def oneshot_plan(
    config: Config, account: AccountId, instrument: InstrumentId, exchange: RunFile | None, dotenv: Path | None
) -> Plan:
    """Return the plan of an engine that trades one instrument on one account when it is told to, and nothing else."""
    section = config.account[account]
    named = section.model_copy(update={"instruments": list(dict.fromkeys([*section.instruments, instrument]))})
    whole = config.model_copy(update={"account": {**config.account, account: named}})
    plan = make_plan(whole, exchange, dotenv)  # checked and fingerprinted as `run` would
    calm = {
        "strategy": [],
        "account": {
            name: section.model_copy(update={"instruments": [instrument] if name == account else []})
            for name, section in plan.config.account.items()
        },
        "risk": config.risk.model_copy(update={"flatten_on_drawdown": False}),
        "control": ControlSection(port=0),
    }
    return msgspec.structs.replace(plan, config=plan.config.model_copy(update=calm), pause_added=True)


def holder_of_account(plan: Plan, account: AccountId, folder: Path) -> Holder | None:
    """Return who holds the lock of the account, None when it is free."""
    key = plan.keys[account]
    return holder_of(
        folder,
        sub_account_key(plan.exchange_of(account), plan.config.env, key.sub_account_id, plan.exchange_instance),
    )


def confirmation(plan: Plan) -> str:
    """Return the words a person has to type first, "" where the environment trades without being armed."""
    spec = plan.spec(0, {})
    return arming_words(spec.name, [who.sub_account_id for who in plan.keys.values()]) if spec.needs_arming else ""


def missing(live: LiveEngine, account: AccountId, instrument: InstrumentId, clock: Clock) -> str:
    """Say what an engine still waits for before the first order of the account can pass, "" for nothing."""
    world = live.parts.engine.world
    if world.kill.latched:
        return ""  # the command is refused with the reason
    for channel in ("private", "order_entry"):
        if not world.links.get(f"{account} {channel}"):
            return f"the {channel} channel of {account} to come up"
    state = world.reconcilers.ready_state(account, instrument)
    if state not in (ReadyState.READY, ReadyState.FROZEN):
        return f"{account} to be reconciled with the venue"
    stale = world.books.stale_reason(instrument, clock.now_ns())
    if stale is not None:
        return f"the book of {instrument}, which is {stale.value}"
    prices = world.books.prices(instrument)
    return "" if prices is not None and prices.mark_px is not None else f"the mark price of {instrument}"
