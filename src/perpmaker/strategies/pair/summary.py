"""What a session of a pair came to: from its own trades alone, exact in each leg's own currency."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from perpmaker.model.ids import InstrumentId
from perpmaker.strategies.api import Context, Explained
from perpmaker.strategies.pair.holdings import ZERO, Holdings, LegTotals
from perpmaker.strategies.pair.memory import Counts
from perpmaker.strategies.pair.rates import last_told

_BPS = Decimal(10_000)
_MILLION = Decimal(1_000_000)


class LegSummary(msgspec.Struct, frozen=True):
    """One leg in its own quote currency. `gross` values what is still held at the mark; `fees` > 0 is a cost."""

    instrument: InstrumentId
    currency: str
    qty: Decimal
    bought: Decimal
    sold: Decimal
    volume: Decimal
    cash: Decimal
    gross: Decimal
    fees: Decimal
    funding: Decimal
    fills: int


class Summary(msgspec.Struct, frozen=True):
    """A session, in the lead's quote currency. `net = gross - fees + funding`.

    `edge_bps`: gross per lead volume. `cost_per_million`: -net per million of both legs' volume, > 0 is a cost. `rates`:
    how each leg's currency was valued; 1, and the leg in `assumed`, where nobody has told a rate yet.
    """

    asked: int
    cycles: int
    skipped: int
    unstable: int
    hedge_retries: int
    volume: Decimal
    gross: Decimal
    fees: Decimal
    funding: Decimal
    net: Decimal
    edge_bps: Decimal
    cost_per_million: Decimal
    net_delta: Decimal
    legs: tuple[LegSummary, ...]
    rates: dict[InstrumentId, Decimal]
    assumed: tuple[InstrumentId, ...] = ()


def leg_summary(name: InstrumentId, leg: LegTotals, *, currency: str, mark_px: Decimal, funding: Decimal) -> LegSummary:
    """Return one leg; `mark_px` values what is held, `funding` is what was received since the session began."""
    return LegSummary(
        instrument=name,
        currency=currency,
        qty=leg.qty,
        bought=leg.bought,
        sold=leg.sold,
        volume=leg.volume,
        cash=leg.cash,
        gross=leg.cash + leg.qty * mark_px,
        fees=leg.fees,
        funding=funding,
        fills=leg.fills,
    )


def summarise(ctx: Context, holdings: Holdings, counts: Counts, *, asked: int, cycles: int) -> Summary:
    """Return the session as it stands."""
    names = list(holdings.legs)
    legs = tuple(
        leg_summary(
            name,
            leg,
            currency=ctx.instrument(name).quote,
            mark_px=ctx.mark_px(name) or ZERO,
            funding=ctx.position(name).funding - leg.funding_before,
        )
        for name, leg in holdings.legs.items()
    )
    rates = {name: last_told(ctx, name, names[0]) for name in names}
    return summed(legs, rates, counts, net_delta=holdings.delta, asked=asked, cycles=cycles)


def summed(
    legs: tuple[LegSummary, ...],
    told: Mapping[InstrumentId, Decimal | None],
    counts: Counts,
    *,
    net_delta: Decimal,
    asked: int,
    cycles: int,
) -> Summary:
    """Add the legs up in the lead's currency."""
    rates = {name: Decimal(1) if rate is None else rate for name, rate in told.items()}
    volume, gross, fees, funding = (
        sum((amount(leg) * rates[leg.instrument] for leg in legs), ZERO)
        for amount in (_volume, _gross, _fees, _funding)
    )
    net = gross - fees + funding
    return Summary(
        asked=asked,
        cycles=cycles,
        skipped=counts.skipped,
        unstable=counts.unstable,
        hedge_retries=counts.hedge_retries,
        volume=volume,
        gross=gross,
        fees=fees,
        funding=funding,
        net=net,
        edge_bps=gross / legs[0].volume * _BPS if legs[0].volume else ZERO,
        cost_per_million=-net / volume * _MILLION if volume else ZERO,
        net_delta=net_delta,
        legs=legs,
        rates=rates,
        assumed=tuple(name for name, rate in told.items() if rate is None),
    )


def shown(summary: Summary) -> dict[str, str]:
    """Return a summary as fields of one line."""
    fields = {
        "cycles": f"{summary.cycles}/{summary.asked}",
        "skipped": str(summary.skipped),
        "unstable": str(summary.unstable),
        "hedge_retries": str(summary.hedge_retries),
        "volume": f"{summary.volume:.2f}",
        "gross": f"{summary.gross:.4f}",
        "fees": f"{summary.fees:.4f}",
        "funding": f"{summary.funding:.4f}",
        "net": f"{summary.net:.4f}",
        "edge_bps": f"{summary.edge_bps:.2f}",
        "cost_per_million": f"{summary.cost_per_million:.2f}",
        "net_delta": str(summary.net_delta),
    }
    for leg in summary.legs:
        fields[f"{leg.instrument} qty"] = str(leg.qty)
        if leg.currency != summary.legs[0].currency:
            is_told = leg.instrument not in summary.assumed
            name, text = (
                ("rate", str(summary.rates[leg.instrument])) if is_told else ("counted as", "1, nobody told a rate")
            )
            fields[f"{leg.instrument} {name}"] = text
    return fields


def explained(summary: Summary) -> dict[str, Explained]:
    """Return a summary as a strategy explains it."""
    hedge = summary.legs[1].instrument
    return {
        "hedge_retries": summary.hedge_retries,
        "volume": float(summary.volume),
        "gross": float(summary.gross),
        "fees": float(summary.fees),
        "funding": float(summary.funding),
        "net": float(summary.net),
        "edge_bps": float(summary.edge_bps),
        "cost_per_million": float(summary.cost_per_million),
        "rate": None if hedge in summary.assumed else str(summary.rates[hedge]),
    }


def tell(ctx: Context, summary: Summary, name: str, *, session: str, status: str, text: str = "") -> None:
    """Say what a session came to; a warning when it is left while the legs are not even. `text`: why it ended."""
    told = {"instrument": str(summary.legs[0].instrument), "session": session, **shown(summary)}
    if text:
        told["text"] = text
    is_even = status in ("Flat", "Hedged")
    ctx.notice("warning" if name == "pair_left" and not is_even else "info", name, told)


def _volume(leg: LegSummary) -> Decimal:
    return leg.volume


def _gross(leg: LegSummary) -> Decimal:
    return leg.gross


def _fees(leg: LegSummary) -> Decimal:
    return leg.fees


def _funding(leg: LegSummary) -> Decimal:
    return leg.funding
