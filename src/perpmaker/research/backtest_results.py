"""From a backtest's integer tables to what a report and a score are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from perpmaker.config import Config
from perpmaker.engine.backtest import Results as Backtest
from perpmaker.engine.backtest import RunResult
from perpmaker.engine.backtest_tables import NONE, Table
from perpmaker.model.ids import InstrumentId
from perpmaker.research.metrics import NAN, Floats, Times, last_at
from perpmaker.research.results import CAUSES, Fills, Market, OrderCounts, Quotes, Results, Run
from perpmaker.strategies.own import shown_kind

_NANO: Final = 1e-9
_COSTS: Final = frozenset({"fees"})


def results_of(backtest: Backtest, config: Config) -> Results:
    """Return a backtest as a report shows it."""
    played = backtest.played
    currencies = dict.fromkeys(rules.quote for rules in played.instruments.values())
    models = {name: text for name, text in backtest.runs[0].models.items() if name != "fill model"}
    queues = [run.models["queue"] for run in backtest.runs if run.models["queue"] != "none"]
    return Results(
        title=config.name,
        kind="backtest",
        tape=backtest.tape,
        fingerprint=backtest.tape_fingerprint,
        from_ns=played.first_ns,
        to_ns=max(played.last_ns, played.first_ns + 1),
        currency=" + ".join(currencies),
        seed=backtest.seed,
        models={**models, "queue": queues[0] if queues else "none"},
        runs=tuple(run_of(run, played.first_ns) for run in backtest.runs),
        config=dict(_written(config)),
        remarks=_remarks(backtest),
    )


def run_of(run: RunResult, from_ns: int) -> Run:
    """Return one run; it begins flat at `from_ns`, with the equity before everything that the first sample attributes."""
    table, figures = run.tables["equity"], run.figures
    sampled_ns = np.unique(_whole(table, "ts_ns"))
    causes = {cause: (-1 if cause in _COSTS else 1) * _summed(table, cause, sampled_ns) for cause in CAUSES}
    equity = _summed(table, "equity", sampled_ns)
    before = equity[:1] - sum(values[:1] for values in causes.values())
    names = sorted({run.texts[number] for number in _whole(run.tables["quotes"], "instrument").tolist()})
    return Run(
        fill_model=run.fill_model.value,
        digest=run.digest,
        ts_ns=np.concatenate([np.array([from_ns]), sampled_ns]),
        equity=np.concatenate([before, equity]),
        causes={cause: np.concatenate([np.zeros(1), values]) for cause, values in causes.items()},
        markets=tuple(_market(run, InstrumentId(name), from_ns) for name in names),
        orders=_orders(run),
        liquidations=figures.liquidations,
    )


def _summed(table: Table, column: str, ts_ns: Times) -> Floats:
    """Return the sum of a column over all accounts at these times; an account counts from its first row on as it began."""
    whose, values, when = _whole(table, "account"), _money(table, column), _whole(table, "ts_ns")
    total = np.zeros(len(ts_ns))
    for account in np.unique(whose):
        own = whose == account
        seen = last_at(when[own], values[own], ts_ns)
        total += np.where(np.isnan(seen), values[own][0], seen)
    return total


def _market(run: RunResult, name: InstrumentId, from_ns: int) -> Market:
    number = run.texts.index(name)
    quotes, fills = run.tables["quotes"], run.tables["fills"]
    own = _whole(quotes, "instrument") == number
    ts_ns = _whole(quotes, "ts_ns")[own]
    traded = _whole(fills, "instrument") == number
    side, qty = _whole(fills, "side")[traded], _whole(fills, "qty")[traded]
    made = Fills(
        ts_ns=_whole(fills, "ts_recv_ns")[traded],
        side=side.astype(np.float64),
        px=_money(fills, "px")[traded],
        qty=qty * _NANO,
        fee=_money(fills, "fee")[traded],
        is_maker=_whole(fills, "is_taker")[traded] == 0,
    )
    return Market(
        instrument=name,
        mid_ns=ts_ns,
        mid_px=(_money(quotes, "bid_px")[own] + _money(quotes, "ask_px")[own]) / 2,
        position_ns=np.concatenate([np.array([from_ns]), made.ts_ns]),
        position_qty=np.concatenate([np.zeros(1), np.cumsum(side * qty) * _NANO]),
        fills=made,
        quotes=Quotes(ts_ns, _money(quotes, "own_bid_px")[own], _money(quotes, "own_ask_px")[own]),
    )


def _orders(run: RunResult) -> OrderCounts:
    orders = run.tables["orders"]
    px, qty, cum_qty = (_money(orders, name) for name in ("px", "qty", "cum_qty"))
    statuses = [run.texts[number] for number in np.unique(_whole(orders, "status")).tolist()]
    counts: Mapping[str, int] = {
        status: int(np.count_nonzero(_whole(orders, "status") == run.texts.index(status))) for status in statuses
    }
    return OrderCounts(
        orders=len(orders),
        filled=int(np.count_nonzero(cum_qty > 0)),
        refused=run.figures.rejected + sum(run.figures.refused.values()),
        canceled=counts.get("canceled", 0),
        ordered_notional=float(np.nansum(px * qty)),
        filled_notional=float(np.nansum(px * cum_qty)),
    )


def _remarks(backtest: Backtest) -> tuple[str, ...]:
    played = backtest.played
    found = [f"{how}." for how in played.not_linear]
    if played.marks_from_mid:
        found.append(f"The tape has no mark prices of {', '.join(played.marks_from_mid)}: the mid stands for them.")
    if played.shift_ns:
        found.append(
            f"The tape's clocks disagree: receive times were shifted by {played.shift_ns / 1e6:+.3f} ms, so that none is "
            "before the venue's."
        )
    found += dict.fromkeys(f"Error: {error}" for run in backtest.runs for error in run.errors)
    return tuple(found)


def _written(config: Config) -> list[tuple[str, str]]:
    """Return the strategies' keys as the file has them."""
    found = []
    for row in config.strategy:
        found.append((row.name, f"{shown_kind(row.kind)} on {row.instrument}"))
        found += [(f"{row.name}: {key}", value) for key, value in _flat(row.params)]
    return found


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", str(value)))
    return found


def _whole(table: Table, column: str) -> Times:
    return np.frombuffer(table[column].whole(), dtype=np.int64)


def _money(table: Table, column: str) -> Floats:
    values = _whole(table, column)
    return np.where(values == NONE, NAN, values * _NANO)
