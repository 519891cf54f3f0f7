"""Whether an engine may go live: what a rehearsal of 48 hours on a real market's feed has to show, check by check.

Nothing here asks for profit: that is for the person who decides. It asks whether the machine did what it is made for, long
enough, on the market itself, and whether its books add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from html import escape
from typing import Final

import msgspec

from perpmaker.model.ids import AccountId
from perpmaker.model.units import NS_PER_S
from perpmaker.research.journal_run import Lived
from perpmaker.research.report_figures import Figures, duration
from perpmaker.research.report_page import table

HOURS: Final = 48.0
UP_SHARE: Final = 0.99
MIN_FILLS: Final = 100
MAX_DRAWDOWN_FRAC: Final = 0.05
MAX_REJECTED_SHARE: Final = 0.1
_DUST: Final = Decimal("1e-9")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    hours: float = HOURS
    up_share: float = UP_SHARE
    min_fills: int = MIN_FILLS
    max_drawdown_frac: float = MAX_DRAWDOWN_FRAC
    max_rejected_share: float = MAX_REJECTED_SHARE


class Check(msgspec.Struct, frozen=True):
    """One condition: what was found, what was asked for."""

    name: str
    passed: bool
    found: str
    asked: str


class Gate(msgspec.Struct, frozen=True):
    """The whole report's judgement."""

    engine: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if not check.passed]


def judged(engine: str, lived: Lived, figures: Figures, limits: Limits) -> Gate:
    """Judge a journal; `figures` are those of its run."""
    return Gate(engine, tuple(_checks(lived, figures, limits)))


def gate_html(gate: Gate) -> str:
    """Return the judgement as the head of a report's page."""
    said = (
        "Passed: it did what it is made for."
        if gate.passed
        else f"Not passed: {len(gate.failed)} of {len(gate.checks)} checks failed."
    )
    rows = [("passed" if one.passed else "failed", one.name, one.found, one.asked) for one in gate.checks]
    verdict = (
        f'<div class="verdict {"" if gate.passed else "no"}"><strong>{escape(said)}</strong>'
        "<p>Whether it earns enough is for you to judge, from the figures below.</p></div>"
    )
    return f"{verdict}<h2>The gate</h2>{table(['', 'check', 'found', 'asked for'], rows, numbers=False, bad='failed')}"


def _checks(lived: Lived, figures: Figures, limits: Limits) -> Iterator[Check]:
    fingerprint = lived.fingerprint
    rehearsal = fingerprint.env != "local" and (fingerprint.mode == "paper" or fingerprint.env != "prod")
    yield Check(
        "a rehearsal on a market",
        rehearsal,
        f"mode {fingerprint.mode}, env {fingerprint.env}",
        "paper on a venue's feed, or live on testnet; the practice exchange is no market",
    )
    span_s = (lived.to_ns - lived.from_ns) / NS_PER_S
    yield Check("long enough", span_s >= limits.hours * 3600, duration(span_s), f"{limits.hours:g} h")
    up = up_share(lived)
    yield Check(
        "up", up >= limits.up_share, f"{up:.2%} of the time, {len(lived.lives)} start(s)", f"{limits.up_share:.0%}"
    )
    crashes = [life for life in lived.lives if life.crashed]
    yield Check("no crash", not crashes, _first([life.ending for life in crashes], "none"), "none")
    torn = [life for life in lived.lives[:-1] if not life.ending]
    yield Check(
        "every end in order", not torn, f"{len(torn)} without a word" if torn else "yes", "but for the life that runs"
    )
    halts = [halt for halt in lived.halts if halt.halted]
    yield Check(
        "no halt", not halts, _first([f"{halt.account}: {halt.code} {halt.text}" for halt in halts], "none"), "none"
    )
    latches = [latch for latch in lived.latches if latch.latched]
    yield Check("no kill", not latches, _first([latch.reason for latch in latches], "none"), "none")
    errors = [f"{said.name} {' '.join(said.fields.values())}".strip() for said in lived.errors]
    yield Check("no error in the log", not errors, _first(errors, "none"), "none")
    off = {account: gap for account in lived.marks if abs(gap := unexplained(lived, account)) > _DUST}
    yield Check(
        "books add up",
        not off,
        _first([f"{account}: {gap}" for account, gap in off.items()], "exactly"),
        "equity = spread + adverse + inventory − fees + funding",
    )
    yield Check("traded", figures.fills >= limits.min_fills, f"{figures.fills} fills", f"{limits.min_fills}")
    share = len(lived.rejected) / lived.orders if lived.orders else 0.0
    yield Check(
        "orders accepted",
        share <= limits.max_rejected_share,
        f"{share:.1%} of {lived.orders:,} rejected",
        f"{limits.max_rejected_share:.0%} at most",
    )
    yield Check("no liquidation", not figures.liquidations, str(figures.liquidations), "none")
    yield Check(
        "drawdown",
        figures.drawdown_frac <= limits.max_drawdown_frac,
        f"{figures.drawdown_frac:.2%}",
        f"{limits.max_drawdown_frac:.1%} at most",
    )


def up_share(lived: Lived) -> float:
    """Return which part of the time from the first start to the last word the engine was up."""
    whole_ns = lived.to_ns - lived.from_ns
    return sum(life.last_ns - life.began_ns for life in lived.lives) / whole_ns if whole_ns > 0 else 0.0


def unexplained(lived: Lived, account: AccountId) -> Decimal:
    """Return the change of equity that neither a transfer nor a part of the attribution explains; exact."""
    row = lived.marks[account]
    first, last = row[0], row[-1]

    def total(field: str) -> Decimal:
        found: Decimal = getattr(last, field) - getattr(first, field)
        return found

    parts = total("spread") + total("adverse") + total("inventory") - total("fees") + total("funding")
    return total("equity") - total("transfers") - parts


def _first(texts: Sequence[str], nothing: str) -> str:
    if not texts:
        return nothing
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    return f"{texts[0][:120]}{more}"
