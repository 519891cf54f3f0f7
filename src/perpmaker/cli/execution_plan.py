"""What `perpmaker execute` plans on the book of now, and what should be known before it is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from perpmaker.errors import ConfigError, PerpmakerError

if TYPE_CHECKING:
    from rich.console import Console

    from perpmaker.cli.execute import Engine, Wanted
    from perpmaker.cli.execution_limits import Held
    from perpmaker.control.messages import AccountRow, Status
    from perpmaker.execution.algos.planning import ExecutionPlan
    from perpmaker.marketdata.book import OrderBook
    from perpmaker.model.ids import InstrumentId
    from perpmaker.model.order import Side


class Preview(msgspec.Struct, frozen=True):
    """A plan and what else should be known before. `refused`: why none of it could pass, "" when some of it may.

    `limits` are those that will be applied, None where nobody tells them.
    """

    plan: ExecutionPlan
    notes: list[str]
    refused: str
    limits: AccountRow | None


def preview(engine: Engine, wanted: Wanted, book: OrderBook, status: Status | None = None) -> Preview:
    """Plan an order. `status` is that of the running engine that would work it.

    Raises ConfigError for a quantity the venue does not take.
    """
    from perpmaker.cli.execution_limits import judge
    from perpmaker.execution.algos.planning import UNLIMITED, plan

    rules = book.instrument
    seen, own_opposite_px = _without_own(book, engine.instrument, wanted.side, status)
    limits, has = _limits(engine, wanted, status)
    largest = UNLIMITED if limits is None else Decimal(limits.max_order_notional)
    try:
        planned = plan(
            wanted.algorithm, wanted.side, wanted.qty, seen, largest_notional=largest, own_opposite_px=own_opposite_px
        )
    except ValueError as error:
        text = str(error)
        raise ConfigError(f"--{text}" if text.startswith("qty ") else text) from None
    if wanted.algo != planned.algorithm:
        planned = msgspec.structs.replace(planned, algorithm=f"{planned.algorithm} ({wanted.algo})")
    notes: list[str] = []
    refused = "" if status is None else _why_not(engine, status)
    if limits is None:
        notes.append(f"the limits of {engine.name} are its own; they may make more children, or refuse them")
    else:
        judged = judge(limits, planned, rules, has, reduce_only=wanted.reduce_only)
        notes += judged.notes
        refused = refused or judged.refused
    if own_opposite_px is not None:
        notes.append(f"our own order at {own_opposite_px} on the other side is never reached")
    return Preview(planned, notes, refused, limits)


def where_text(engine: Engine, status: Status | None = None) -> str:
    """Say in which environment the order would be sent, and whether to the venue or on paper."""
    mode = status.mode if status is not None else "" if engine.config is None else str(engine.config.mode)
    return ", ".join(part for part in (engine.env, mode) if part)


def status_of(engine: Engine) -> Status | None:
    """Ask a running engine how it stands; a plan can be made without."""
    from perpmaker.cli.engine_link import client_of

    if engine.run_file is None:
        return None
    try:
        return client_of(engine.run_file).status()
    except PerpmakerError:
        return None


def show_plan(console: Console, seen: Preview, book: OrderBook, learned: list[str], where: str = "") -> None:
    from perpmaker.cli.execution_text import plan_text

    console.print(plan_text(seen.plan, book.instrument, [*learned, *seen.notes], where, seen.limits))


def _limits(engine: Engine, wanted: Wanted, status: Status | None) -> tuple[AccountRow | None, Held | None]:
    """Return the limits that will be applied, and what the account has; None where nobody says.

    Those of the engine that runs: its configuration may have been changed since it began.
    """
    from perpmaker.cli.execution_limits import held, of_config

    account = engine.account
    if status is not None:
        row = next((row for row in status.accounts if row.account == account), None)
        if row is not None:
            read = row.available is not None
            return row, held(status, account, engine.instrument, wanted.side) if read else None
    if engine.config is None:
        return None, None
    return of_config(engine.config.risk, account, engine.venue), None


def _why_not(engine: Engine, status: Status) -> str:
    """Say why the engine would take no parent order on this instrument now, "" when it would."""
    if status.kill_latched:
        return "the kill latch is set: no order passes until it is cleared"
    if status.state == "stopping":
        return f"the engine is stopping: {status.reason}"
    traded = [row.instrument for row in status.markets if engine.account in row.accounts]
    if traded and engine.instrument not in traded:
        symbol = engine.instrument.partition("@")[0]
        return (
            f"{engine.account} does not trade {symbol} here; it trades {', '.join(traded)}. To add it: "
            f'instruments = ["{symbol}"] in [account.{engine.account}] of the configuration'
        )
    for row in status.executions:
        if row.state != "ended" and row.instrument == engine.instrument and row.account == engine.account:
            if row.state == "stopping":
                return f"parent order {row.id} on {row.instrument} is being stopped; try again when it has ended"
            return (
                f"{row.instrument} is being worked by parent order {row.id} already ({row.algorithm}): stop that first"
            )
    return ""


def _without_own(
    book: OrderBook, instrument: InstrumentId, side: Side, status: Status | None
) -> tuple[Any, Decimal | None]:
    """Return the book less the running engine's own orders, and its best order on the side that would be met."""
    from perpmaker.marketdata.book import OwnLevels

    own: dict[str, dict[int, int]] = {"buy": {}, "sell": {}}
    for row in () if status is None else status.open_orders:
        if row.instrument == instrument and row.px is not None:
            ticks = book.instrument.to_ticks(Decimal(row.px))
            lots = book.instrument.to_lots(Decimal(row.qty) - Decimal(row.cum_qty))
            own[row.side][ticks] = own[row.side].get(ticks, 0) + lots
    seen = book.without(OwnLevels(own["buy"], own["sell"]))
    if seen is None:
        raise ConfigError(f"--instrument {instrument}: nobody but ourselves quotes it now")
    met = own[side.opposite.value]
    best = (min(met) if side.sign > 0 else max(met)) if met else None
    return seen, None if best is None else book.instrument.px(best)
