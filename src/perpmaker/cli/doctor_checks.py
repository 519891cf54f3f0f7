"""What every check of `perpmaker doctor` is made of: a finding, its time, and the sentences that all venues share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from perpmaker.clock import WallClock
from perpmaker.errors import ConfigError

if TYPE_CHECKING:
    from perpmaker.config import Config
    from perpmaker.model.ids import InstrumentId
    from perpmaker.model.instrument import Instrument
    from perpmaker.venues.api import Capabilities

MAX_OFFSET_MS, WARN_OFFSET_MS = 2000.0, 500.0
SHOWN: Final = 20


class Check(msgspec.Struct, frozen=True):
    """One finding: `state` is ok, warning or failed."""

    account: str
    name: str
    state: str
    text: str
    ms: float | None = None


async def timed(account: str, name: str, check: Callable[[], Awaitable[tuple[str, str]]]) -> Check:
    """Carry a check out and note how long it took."""
    clock = WallClock()
    began_ns = clock.monotonic_ns()
    state, text = await check()
    return Check(account, name, state, text, (clock.monotonic_ns() - began_ns) / 1e6)


def traded_on(config: Config, account: str) -> list[InstrumentId]:
    """Return what an account trades: legs of strategies, then what people execute on; named as the engine names it."""
    from perpmaker.engine.pairing import all_legs
    from perpmaker.engine.traded import as_traded
    from perpmaker.model.ids import InstrumentId

    traded = as_traded(config)
    legs = [leg.instrument for row in traded.strategy for leg in all_legs(row) if leg.account == account]
    named = [InstrumentId(name) for name in traded.account[account].instruments]
    return list(dict.fromkeys([*legs, *named]))


def clock_text(offset_ns: int, round_trip_ns: int) -> tuple[str, str]:
    """Return state and text of a venue's clock against ours."""
    offset_ms = offset_ns / 1e6
    text = f"venue {offset_ms:+.1f} ms from ours, round trip {round_trip_ns / 1e6:.1f} ms"
    if abs(offset_ms) > MAX_OFFSET_MS:
        return "failed", f"{text}; set this machine's clock, signed orders would expire wrongly"
    return ("warning" if abs(offset_ms) > WARN_OFFSET_MS else "ok"), text


def rules_text(wanted: Sequence[InstrumentId], listed: Mapping[InstrumentId, Instrument], env: str) -> str:
    """Return the rules of what is traded; ConfigError for what the venue does not list."""
    missing = [name for name in wanted if name not in listed]
    if missing:
        names = sorted(listed)
        rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise ConfigError(f"not listed on {env}: {', '.join(missing)}; listed: {', '.join(names[:SHOWN])}{rest}")
    rules = [listed[name] for name in wanted]
    text = [f"{one.instrument_id} tick {one.tick} lot {one.lot} min notional {one.min_notional}" for one in rules]
    return "; ".join(text) or "none is traded on this account"


def capabilities_text(offered: Capabilities) -> str:
    """Return what a venue offers through its adapter, what it lacks said as plainly as what it has."""
    return "; ".join(
        (
            f"bulk of {offered.max_bulk}" if offered.bulk else "no bulk orders",
            "post-only" if offered.post_only else "no post-only",
            "reduce-only" if offered.reduce_only else "no reduce-only",
            "a stream of fills" if offered.fill_stream else "fills by its order updates",
            "cancels by our own id" if offered.cancel_by_client_id else "cancels by its own id alone",
            "a dead-man timer" if offered.dead_man else "no dead-man timer: what rests, rests on when we are gone",
            "orders expire by their signature" if offered.signature_expiry else "orders do not expire by themselves",
            "stops wait at the venue" if offered.triggers else "no stops at the venue: only we can close",
            f"client order ids of {offered.client_id_bits} bits",
        )
    )
