"""A sweep's cap and child timeout by what earlier orders of its size needed, as the engine's journal tells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from perpmaker.errors import ConfigError
from perpmaker.model.quote import Sweep

if TYPE_CHECKING:
    from perpmaker.cli.execute import Engine, Wanted
    from perpmaker.marketdata.book import OrderBook
    from perpmaker.research.execution_needs import Need


def adapted(
    engine: Engine, wanted: Wanted, given: Mapping[str, str], book: OrderBook
) -> tuple[dict[str, str], list[str]]:
    """Return the options to change, and why, for people. A cap is never wider than the one in force, an option given stays.

    Raises ConfigError for an algorithm without a cap of this kind.
    """
    from perpmaker.engine.folders import journal_folder
    from perpmaker.research.execution_needs import need_of, needs
    from perpmaker.research.execution_orders import orders_in

    if not isinstance(wanted.algorithm, Sweep):
        raise ConfigError(f"--adapt: allowed with sweep and its presets, not with {wanted.algo}")
    if wanted.algorithm.cap_from != "touch":
        raise ConfigError("--adapt: what orders needed is known from the touch; allowed: --cap-from touch")
    folder = journal_folder(_folder(engine))
    share = _of_depth(wanted, book)
    known = needs(orders_in(folder)) if folder.is_dir() else ()
    return chosen(wanted.algorithm, given, None if share is None else need_of(known, engine.instrument, share))


def chosen(algorithm: Sweep, given: Mapping[str, str], need: Need | None) -> tuple[dict[str, str], list[str]]:
    """Return the options to change by what is known, and a sentence about each."""
    changes: dict[str, str] = {}
    if need is None:
        return changes, ["--adapt: no earlier order of this size is known; the cap and the timeout stay"]
    of = f"{need.orders} earlier order{'s' if need.orders > 1 else ''} of {need.size} of the depth"
    if need.cap_bps is None:
        notes = [f"--adapt: the cap stays: {of}, {need.short} of them short, say too little"]
    elif need.cap_bps >= algorithm.max_slippage_bps:
        notes = [f"--adapt: the cap stays: {of} needed {need.cap_bps} bps, and it is never widened"]
    else:
        changes["max_slippage_bps"] = str(need.cap_bps)
        notes = [f"--adapt: cap {need.cap_bps} bps instead of {algorithm.max_slippage_bps}, by {of}"]
    if need.timeout_ms is not None and "child_timeout_ms" not in given:
        changes["child_timeout_ms"] = str(need.timeout_ms)
        notes.append(f"--adapt: child timeout {need.timeout_ms} ms, by {need.answers} answers")
    return changes, notes


def _folder(engine: Engine) -> Path:
    """Return where the engine keeps what it recorded."""
    from perpmaker.engine.assembly import PAPER
    from perpmaker.engine.folders import engine_folder

    if engine.run_file is not None and "folder" in engine.run_file.extra:
        return Path(engine.run_file.extra["folder"])
    config = engine.config
    if config is None:
        return engine.home
    realm = f"{config.env}-{PAPER}" if config.mode == PAPER else config.env
    return engine_folder(engine.home, config.name, realm)


def _of_depth(wanted: Wanted, book: OrderBook) -> float | None:
    """Return the quantity in parts of what the book shows now, as at arrival."""
    from perpmaker.execution.algos.parent import ARRIVAL_LEVELS
    from perpmaker.model.depth import depth

    levels = depth(book, wanted.side, ARRIVAL_LEVELS)
    return float(wanted.qty / levels[-1].cum_qty) if levels else None
