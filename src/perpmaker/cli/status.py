"""`perpmaker status`: what the engine does, as a table, as JSON, or watched."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from perpmaker.cli.engine_link import connect
from perpmaker.control.home import RunFile
from perpmaker.errors import PerpmakerError

if TYPE_CHECKING:
    from rich.console import Group

    from perpmaker.control.messages import Status, StrategyRow


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print the whole status as one JSON object.")
@click.option("--watch", is_flag=True, help="Refresh every second until Ctrl-C.")
@click.pass_obj
def command(home: Path, as_json: bool, watch: bool) -> None:
    """Show what the engine does: state, equity, positions, orders, books, PnL by cause, tuners, latency."""
    client = connect(home)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(client.status()), indent=2).decode())
        return
    from rich.console import Console

    if not watch:
        Console().print(tables(client.status()))
        return
    from rich.live import Live

    with Live(tables(client.status()), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(1)
            live.update(tables(client.status()), refresh=True)


def one_line(engine: RunFile) -> str:
    """Return the state in one line, for `up`."""
    from perpmaker.cli.engine_link import client_of

    try:
        status = client_of(engine).status()
    except PerpmakerError as error:
        return f"engine does not answer: {error}"
    books = "  ".join(f"{name.split('_')[0]} {top.bid or '-'}" for name, top in status.books.items())
    return (
        f"{status.state:<9} equity {money(status.equity)} {status.currency}  {books}  "
        f"orders {len(status.open_orders)}  fills {status.fills_total}"
    )


def money(text: str | None, places: int = 2) -> str:
    """Return an amount rounded for people; the JSON keeps every digit."""
    if text is None:
        return "-"
    return f"{Decimal(text).quantize(Decimal(1).scaleb(-places)):,}"


def tables(status: Status) -> Group:
    """Lay the status out for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble(
        (f" {status.state} ", "black on green" if status.state == "running" else "white on red"),
        f"  {status.venue} {status.env} {status.mode}   equity {money(status.equity)} {status.currency}"
        f"   day {money(status.day_pnl)}   fills {status.fills_total}   volume {money(status.volume)}",
        (f"   {status.reason}" if status.reason else "", "yellow"),
    )
    markets = Table(title="Markets", title_justify="left", show_edge=False, box=SIMPLE_HEAD)
    for name in ("instrument", "bid", "ask", "age ms", "position", "unrealised", "state"):
        markets.add_column(name, justify="left" if name in {"instrument", "state"} else "right")
    positions = {row.instrument: row for row in status.positions}
    strategies = {row.instrument: row for row in status.strategies}
    for name, top in status.books.items():
        position, strategy = positions.get(name), strategies.get(name)
        markets.add_row(
            name,
            top.bid or "-",
            top.ask or "-",
            "-" if top.age_ms is None else f"{top.age_ms:.0f}",
            position.qty if position else "0",
            money(position.unrealized_pnl) if position else "-",
            top.stale or (_what_it_does(strategy) if strategy else ""),
        )
    orders = Table(
        title=f"Open orders ({len(status.open_orders)})", title_justify="left", show_edge=False, box=SIMPLE_HEAD
    )
    for name in ("instrument", "side", "price", "qty", "filled", "state", "tag"):
        orders.add_column(name, justify="right" if name in {"price", "qty", "filled"} else "left")
    for row in sorted(status.open_orders, key=lambda order: (order.instrument, order.side, order.px or "")):
        why = f"{row.tag or row.trigger}, waits for {row.trigger_px}" if row.trigger else row.tag
        orders.add_row(row.instrument, row.side, row.px or "market", row.qty, row.cum_qty, row.state, why)
    split = status.pnl
    causes = Text(
        f"PnL by cause: spread {money(split.spread)}  adverse {money(split.adverse)}  "
        f"inventory {money(split.inventory)}  fees {money(split.fees)}  funding {money(split.funding)}"
    )
    stages = Text(
        "Latency us (p50/p99): "
        + "  ".join(
            f"{stage} {value.p50:.0f}/{value.p99:.0f}"
            for stage, value in status.latency_us.items()
            if value.p50 is not None and value.p99 is not None
        )
    )
    tuners = [Text(line) for row in status.strategies if (line := tuner_line(row))]
    warnings = [Text(f"! {warning}", "yellow") for warning in status.warnings]
    return Group(head, markets, orders, causes, *tuners, stages, *warnings)


def _what_it_does(row: StrategyRow) -> str:
    """Say it in the words of the page; an engine that is older says its state alone."""
    word, why = row.word or row.state, row.why or row.reason
    return f"{word}: {why}" if why else word


def tuner_line(row: StrategyRow) -> str:
    """Say what a strategy's tuner has in force, what it does, and its last step with the reason; "" without one."""
    said = row.inputs
    doing = said.get("adapt")
    if not doing:
        return ""
    knobs = (("gamma", said.get("adapt_gamma_mult")), ("kappa", said.get("adapt_kappa_mult")))
    now = ", ".join(f"{name} x{value:.2f}" for name, value in knobs if isinstance(value, float))
    return f"Tuner of {row.name}: {now}; {doing}; last step: {said.get('adapt_last') or 'none'}"
