"""A pair's plan, its state and its end, for people."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from perpmaker.cli.pair_options import MAKE
from perpmaker.strategies.pair.planning import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perpmaker.control.messages import PairRow
    from perpmaker.research.pair_sessions import PairSession
    from perpmaker.strategies.pair.planning import LegMargin, LegPlan, PairPlan
    from perpmaker.strategies.pair.summary import LegSummary

STYLES = {"Flat": "dim", "Hedged": "green", "Unbalanced": "bold yellow", "Same side": "bold red"}


def plan_text(plan: PairPlan, where: str = "") -> Group:
    """Lay a plan out: legs, lots, fees, breakeven, conversion, edge. `where`: environment and mode."""
    lead, hedge = plan.lead, plan.hedge
    rows = [
        ("mode", _mode_line(plan)),
        ("lead", _leg_line(lead)),
        ("hedge", _leg_line(hedge)),
        ("lots", f"{plain(lead.lot)} and {plain(hedge.lot)}: whole lots of both are multiples of {plain(plan.lot)} "
                 f"{plan.base}, at least {plain(plan.least)}"),
        ("size", _size_line(plan)),
        ("unhedged at most", f"{plain(plan.clip)} {plan.base}, one clip"),
        ("fees", f"{_bps(lead.fee.bps)} {lead.kind} on {lead.exchange} ({lead.fee.source}); {_bps(hedge.fee.bps)} "
                 f"{hedge.kind} on {hedge.exchange} ({hedge.fee.source})"),
        *[("margin", _margin_line(leg)) for leg in plan.margins if plan.mode != "close_existing"],
        ("breakeven", f"{_bps(plan.breakeven_bps)} between the two prices, each time a position is built or closed"),
        ("conversion", _rate_line(plan)),
        ("edge of a clip now", f"lead buys {_edge(plan.buy_edge_bps)}, sells {_edge(plan.sell_edge_bps)}, after both fees"),
        *([("quotes now", _quotes_line(plan))] if plan.mode == MAKE else []),
        ("hedge of a clip now", "the book shows too little" if plan.hedge_slippage_bps is None
         else f"{_bps(plan.hedge_slippage_bps)} from the touch"),
    ]  # fmt: skip
    parts: list[Table | Text] = [
        _pairs(f"Plan on the books of now: {lead.instrument} against {hedge.instrument}", rows)
    ]
    parts += [Text(f"  ! {note}", "yellow") for note in plan.notes]
    return Group(*parts)


def now_line(row: PairRow) -> str:
    """One line of how it stands."""
    waits = f"; {row.waits_for}" if row.waits_for else ""
    where = f"{row.name}  {row.phase} {_turns(row)}  {row.status}"
    return f"{where}  {amounts_line(row)}  net {row.net:.4f} {row.currency}{waits}"


def _turns(row: PairRow) -> str:
    return "" if row.mode == MAKE else f"{row.cycles}/{row.asked}"


def amounts_line(row: PairRow) -> str:
    return ", ".join(f"{leg.qty} {leg.instrument}" for leg in row.legs)


def verdict(row: PairRow) -> str:
    """Say whether it is flat, hedged or left open, and what else the accounts hold there."""
    if row.status == "Flat":
        said = "flat: the pair holds nothing"
    elif row.status == "Hedged":
        rest = f", net {row.net_delta}" if Decimal(row.net_delta) else ""
        said = f"hedged: {amounts_line(row)} stay open{rest}"
    else:
        worth = f" ({row.net_notional} {row.currency})" if row.net_notional is not None else ""
        said = f"LEFT OPEN: {row.net_delta}{worth} is not hedged; {amounts_line(row)}"
    others = [
        f"{leg.account} holds {plain(Decimal(leg.position) - Decimal(leg.qty))} {leg.instrument}"
        for leg in row.legs
        if Decimal(leg.position) != Decimal(leg.qty)
    ]
    beside = f"; besides, not the pair's: {', '.join(others)}" if others else ""
    why = (
        f" ({row.waits_for})"
        if row.is_over and row.waits_for
        else f" ({row.state}: {row.reason})"
        if row.reason
        else ""
    )
    return f"{said}{beside}{why}"


def session_text(session: PairSession) -> Group:
    """Lay a session out: what it came to, each leg exact in its own currency, sums in the lead's."""
    whole, currency = session.summary, session.currency
    makes = session.mode == "cross_maker"
    rows = [
        ("fills", f"{whole.cycles} on the lead{_counted(session)}") if makes
        else ("cycles", f"{whole.cycles} of {whole.asked}{_counted(session)}"),
        ("volume", f"{_money(whole.volume)} {currency}"),
        ("gross", f"{_money(whole.gross)} {currency}"),
        ("fees", f"{_money(whole.fees)} {currency}"),
        ("funding", f"{_money(whole.funding)} {currency}"),
        ("net", f"{_money(whole.net)} {currency}"),
        ("edge", f"{whole.edge_bps:+.2f} bps of the lead's volume, before fees"),
        ("cost per million", f"{whole.cost_per_million:.2f} {currency} for a million of volume"),
        ("net delta", f"{plain(whole.net_delta)}, {session.status}"),
        ("ended", session.ended or "not yet"),
    ]  # fmt: skip
    rates = [f"{name} at {plain(round(rate, 8))}" for name, rate in whole.rates.items() if rate != 1]
    if whole.volume and (rates or session.rate_is_assumed):
        rows.append(("conversion", ", ".join(rates) or "counted 1 for 1: nobody told a rate"))
    title = f"{session.strategy}: {session.mode.replace('_', ' ')}, session {session.session}"
    return Group(_pairs(title, rows), _legs(session))


def row_text(row: PairRow) -> Table:
    """Lay the engine's last word out, where the journal cannot be read."""
    rows = [
        *([] if row.mode == MAKE else [("cycles", f"{row.cycles} of {row.asked}")]),
        ("volume", f"{row.volume:.2f} {row.currency}"),
        ("gross", f"{row.gross:.4f} {row.currency}"),
        ("fees", f"{row.fees:.4f} {row.currency}"),
        ("funding", f"{row.funding:.4f} {row.currency}"),
        ("net", f"{row.net:.4f} {row.currency}"),
        ("edge", f"{row.edge_bps:+.2f} bps of the lead's volume, before fees"),
        ("cost per million", f"{row.cost_per_million:.2f} {row.currency}"),
        ("net delta", f"{row.net_delta}, {row.status}"),
    ]
    return _pairs(f"{row.name}: {row.mode.replace('_', ' ')}", rows)


def monitor(rows: Sequence[PairRow]) -> Group:
    """All pairs, one under the other: positions, net delta, status; and below what they ask."""
    table = Table(show_edge=False, box=SIMPLE_HEAD)
    for name, justify in (("pair", "left"), ("status", "left"), ("positions", "right"), ("net delta", "right"),
                          ("cycles", "right"), ("net", "right")):  # fmt: skip
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("now")
    for row in rows:
        legs = "\n".join(f"{leg.qty} {leg.exchange}" for leg in row.legs)
        now = row.waits_for or ("quotes" if row.phase == MAKE else row.phase)
        state = "asks" if row.question else now if row.state in ("quoting", "running") else f"{row.state}: {now}"
        table.add_row(
            row.name, Text(row.status, STYLES.get(row.status, "")), legs, row.net_delta, _turns(row),
            f"{row.net:+.4f}\n{row.currency}", Text(state),
        )  # fmt: skip
    return Group(table, *(Text(f"{row.name} asks: {row.question}", "bold yellow") for row in rows if row.question))


def _legs(session: PairSession) -> Table:
    """Each leg's own sums, exact, one under the other: they have many digits."""
    table = Table(show_edge=False, box=SIMPLE_HEAD)
    table.add_column("leg")
    for leg in session.summary.legs:
        table.add_column(leg.instrument, justify="right", overflow="fold")
    rows: list[tuple[str, Callable[[LegSummary], str]]] = [
        ("account", lambda leg: session.accounts.get(leg.instrument, "")),
        ("currency", lambda leg: leg.currency),
        ("position", lambda leg: plain(leg.qty)),
        ("bought", lambda leg: plain(leg.bought)),
        ("sold", lambda leg: plain(leg.sold)),
        ("volume", lambda leg: plain(leg.volume)),
        ("gross", lambda leg: plain(leg.gross)),
        ("fees", lambda leg: plain(leg.fees)),
        ("funding", lambda leg: plain(leg.funding)),
        ("fills", lambda leg: str(leg.fills)),
    ]
    for name, cell in rows:
        table.add_row(name, *(cell(leg) for leg in session.summary.legs))
    return table


def _leg_line(leg: LegPlan) -> str:
    minimum = f"at least {plain(leg.min_qty)}"
    if leg.min_notional:
        minimum += f" and {plain(leg.min_notional)} {leg.quote}"
    return (
        f"{leg.instrument} on {leg.exchange}, account {leg.account}: {plain(leg.bid_px)} / {plain(leg.ask_px)} "
        f"{leg.quote}, lot {plain(leg.lot)}, tick {plain(leg.tick)}, {minimum}"
    )


def _margin_line(leg: LegMargin) -> str:
    at = "leverage not told" if leg.leverage is None else f"{plain(leg.leverage)}x {leg.margin_type.lower()}".rstrip()
    needed = "" if leg.needed is None else f", needs {plain(round(leg.needed, 2))} {leg.quote}"
    free = "free margin not told" if leg.available is None else f"{plain(round(leg.available, 2))} {leg.currency} free"
    return f"{leg.account}: {plain(round(leg.notional, 2))} {leg.quote} at {at}{needed}; {free}"


def _mode_line(plan: PairPlan) -> str:
    if plan.mode == MAKE:
        return "make: quotes both sides of the lead from the hedge's prices, until it is stopped"
    return f"{plan.mode.replace('_', ' ')}, {_cycles(plan.iterations)}, direction {plan.direction}"


def _quotes_line(plan: PairPlan) -> str:
    prices = ["none" if px is None else plain(round(px, 8)) for px in (plan.bid_px, plan.offer_px)]
    return f"{prices[0]} / {prices[1]} {plan.lead.quote}, rounded outward to the tick"


def _size_line(plan: PairPlan) -> str:
    if plan.mode == MAKE:
        most = f"{plain(plan.size)} {plan.base} (about {plan.notional:.0f} {plan.lead.quote})"
        return f"quotes of {plain(plan.clip)}; at most {most} is held, either way"
    if plan.mode == "close_existing":
        return f"what the accounts hold against each other, in clips of {plain(plan.clip)} {plan.base}"
    clips = "one clip" if plan.clips == 1 else f"{plan.clips} clips of {plain(plan.clip)}"
    return f"{plain(plan.size)} {plan.base} (about {plan.notional:.0f} {plan.lead.quote}) a cycle, in {clips}"


def _rate_line(plan: PairPlan) -> str:
    rate = plan.rate
    if plan.lead.quote == plan.hedge.quote:
        return f"none: both are quoted in {plan.lead.quote}"
    if rate.rate is None:
        age = "" if rate.age_s is None else f", {rate.age_s:.0f} s old"
        return f"UNKNOWN what 1 {plan.hedge.quote} is worth in {plan.lead.quote} ({rate.source}{age})"
    return f"1 {plan.hedge.quote} = {rate.rate:.6f} {plan.lead.quote} ({rate.source}, {rate.age_s:.0f} s old)"


def _counted(session: PairSession) -> str:
    whole = session.summary
    counts = {"clips skipped": whole.skipped, "unstable prices": whole.unstable, "hedges retried": whole.hedge_retries}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f" ({said})" if said else ""


def _pairs(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, show_edge=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, Text(text))
    return table


def _cycles(count: int) -> str:
    return "1 cycle" if count == 1 else f"{count} cycles"


def _bps(bps: Decimal) -> str:
    return f"{round(bps, 2) + 0:.2f} bps"


def _edge(bps: Decimal | None) -> str:
    return "unknown" if bps is None else f"{round(bps, 2) + 0:+.2f} bps"


def _money(amount: Decimal) -> str:
    return plain(round(amount, 6))
