"""What `perpmaker execute` plans on the book of now, and what should be known before it is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from perpmaker.errors import ConfigError, PerpmakerError

if TYPE_CHECKING:
    from rich.console import Console

    from perpmaker.cli.execute import Engine, Wanted
    from perpmaker.control.messages import Status
    from perpmaker.execution.algos.planning import ExecutionPlan
    from perpmaker.marketdata.book import OrderBook
    from perpmaker.model.ids import InstrumentId
    from perpmaker.model.order import Side


def make_plan_of(engine: Engine, wanted: Wanted, book: OrderBook) -> tuple[ExecutionPlan, list[str]]:
    """Return the plan, and what else should be known before; ConfigError for a quantity the venue does not take."""
    from perpmaker.execution.algos.planning import UNLIMITED, plan

    config, rules = engine.config, book.instrument
    status = _status(engine)
    seen, own_opposite_px = _without_own(book, engine.instrument, wanted.side, status)
    largest = UNLIMITED if config is None else config.risk.max_order_notional
    try:
        planned = plan(
            wanted.algorithm, wanted.side, wanted.qty, seen, largest_notional=largest, own_opposite_px=own_opposite_px
        )
    except ValueError as error:
        text = str(error)
        raise ConfigError(f"--{text}" if text.startswith("qty ") else text) from None
    notes = _limits_told(engine, wanted, planned, rules.quote)
    if own_opposite_px is not None:
        notes.append(f"our own order at {own_opposite_px} on the other side is never reached")
    return planned, notes


def where_text(engine: Engine) -> str:
    """Say in which environment the order would be sent, and whether to the venue or on paper."""
    status = _status(engine)
    mode = status.mode if status is not None else "" if engine.config is None else str(engine.config.mode)
    return ", ".join(part for part in (engine.env, mode) if part)


def show_plan(console: Console, planned: ExecutionPlan, book: OrderBook, notes: list[str], where: str = "") -> None:
    from perpmaker.cli.execution_text import plan_text

    console.print(plan_text(planned, book.instrument, notes, where))


def _limits_told(engine: Engine, wanted: Wanted, planned: ExecutionPlan, quote: str) -> list[str]:
    """Say which limits would stand in the way."""
    if engine.config is None:
        return [f"the limits of {engine.name} are its own; they may make more children, or refuse them"]
    risk, notes = engine.config.risk, []
    worth = wanted.qty * planned.mid_px
    if worth > risk.max_position_notional:
        notes.append(
            f"the order is worth {worth:.0f} {quote}; risk.max_position_notional {risk.max_position_notional} refuses what "
            "leads beyond it"
        )
    if planned.worst_px is not None:
        away_bps = abs(planned.worst_px - planned.mid_px) / planned.mid_px * 10_000
        if away_bps > risk.price_collar_bps:
            notes.append(
                f"the worst price is {away_bps:.0f} bps from the mid; risk.price_collar_bps {risk.price_collar_bps} "
                "refuses what is further from the mark price"
            )
    return notes


def _status(engine: Engine) -> Status | None:
    """Ask a running engine how it stands; a plan can be made without."""
    from perpmaker.cli.engine_link import client_of

    if engine.run_file is None:
        return None
    try:
        return client_of(engine.run_file).status()
    except PerpmakerError:
        return None


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
