"""The options of `perpmaker pair`, as words of the strategy; and what the shell completes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from perpmaker.errors import ConfigError, PerpmakerError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])

MODES: Final = ("open-and-close", "build-hold-close", "build-and-hold", "close-existing", "alternate")
MAKE: Final = "make"
"""No mode of a pair but another strategy on the same parts: quotes both sides of the lead until it is stopped."""
_Option = tuple[str, str, str, str | Sequence[str]]
OPTIONS: Final[Sequence[_Option]] = (
    ("mode", "mode", "What a cycle is, or make: quotes on the lead without an end; see the how-to page.", (*MODES, MAKE)),
    ("size", "size", "Position of each cycle on the lead; with make the largest position.", "QTY"),
    ("clip", "clip", "Largest piece at a time, and largest unhedged amount; default the size. With make a quote.", "QTY"),
    ("size-in", "size_in", "contracts: base units. notional: the lead's currency, rounded down.",
     ("contracts", "notional")),
    ("iterations", "iterations", "Cycles.", "N"),
    ("direction", "rule.direction", "Side of the lead: fixed, in turn, by the basis, by funding.",
     ("buy", "sell", "alternating", "basis", "funding")),
    ("first-side", "rule.first_side", "Where alternating begins.", ("buy", "sell")),
    ("delay-s", "delay_s", "open-and-close: between opening and closing.", "S"),
    ("hold-min", "hold_min", "build-hold-close: how long it holds.", "MIN"),
    ("pause-s", "pause_s", "Between two cycles.", "S"),
    ("clip-pause-s", "clip_pause_s", "Between two clips.", "S"),
    ("entry-edge-bps", "rule.entry_edge_bps", "Least edge of a clip that builds, after both venues' fees.", "BPS"),
    ("exit-edge-bps", "rule.exit_edge_bps", "Least edge of a clip that closes, after both venues' fees.", "BPS"),
    ("entry-z", "rule.entry_z", "basis: builds at this distance from the mean.", "Z"),
    ("exit-z", "rule.exit_z", "basis: closes when the distance has shrunk to this.", "Z"),
    ("inside-ticks", "maker.inside_ticks", "Ticks better than the lead's touch.", "N"),
    ("maker-timeout-s", "maker.timeout_s", "After so long the resting order is priced anew.", "S"),
    ("reprices", "maker.reprices", "At most so often; then the clip is skipped or taken.", "N"),
    ("on-timeout", "maker.on_timeout", "After the last price: skip the rest, or take it on both venues.", ("skip", "take")),
    ("stability-s", "maker.stability_s", "The mid must have stayed inside the quote of so long ago.", "S"),
    ("hedge-slippage-bps", "hedge.max_slippage_bps", "Cap of a hedge from the touch when the fill came.", "BPS"),
    ("imbalance-tol", "imbalance_tol", "Difference of the legs that is borne; default one larger lot.", "QTY"),
    ("on-unexpected", "on_unexpected", "What a fill does that no order of the pair explains.", ("ask", "continue", "stop")),
)  # fmt: skip
"""Option, key of the strategy, meaning, and what it may be."""
MAKE_OPTIONS: Final[Sequence[_Option]] = (
    ("min-profit-bps", "min_profit_bps", "make: least profit of a fill after both venues' fees.", "BPS"),
)
"""Of making alone."""
_MAKE_KEYS: Final = {
    "size": "max_qty",
    "clip": "qty",
    "hedge.max_slippage_bps": "hedge.max_slippage_bps",
    "on_unexpected": "on_unexpected",
}
"""What making has of a pair's keys, and how it calls them."""
LEG_OPTIONS: Final = {
    "instrument": "--lead",
    "account": "--lead-account",
    "hedge_instrument": "--hedge",
    "hedge_account": "--hedge-account",
    "name": "--name",
    "kind": "--mode make",
}
"""What is not set by --set, and what says it instead."""


def pair_options(command: Command) -> Command:
    """Decorate a command with an option for the keys people set most; --set reaches every other."""
    command = click.option(
        "--set", "others", metavar="KEY=VALUE", multiple=True, help="Any other key of a pair, such as hedge.retry_s=5."
    )(command)
    for option, key, meaning, kind in reversed((*OPTIONS, *MAKE_OPTIONS)):
        shape: dict[str, Any] = {"metavar": kind} if isinstance(kind, str) else {"type": click.Choice(list(kind))}
        command = click.option(f"--{option}", _parameter(key), help=meaning, **shape)(command)
    return command


def read_words(options: Mapping[str, object]) -> dict[str, str]:
    """Return what was given as words of the strategy; ConfigError, naming the option, for what is missing or wrong."""
    given = {
        key: str(value)
        for _, key, _, _ in (*OPTIONS, *MAKE_OPTIONS)
        if (value := options.get(_parameter(key))) is not None
    }
    others = options.get("others")
    others = _set_words(others if isinstance(others, tuple) else ())
    if given.get("mode") == MAKE:
        return _make_words(given, others)
    for option, key, _, _ in MAKE_OPTIONS:
        if key in given:
            raise ConfigError(f"--{option}: goes with --mode {MAKE} alone")
    words = {**given, **others}
    if "mode" not in words:
        raise ConfigError(f"--mode is missing: one of {', '.join((*MODES, MAKE))}")
    words["mode"] = words["mode"].replace("-", "_")
    if words["mode"] == "close_existing" and "clip" in words:
        words.setdefault("size", words["clip"])
    if "size" not in words:
        raise ConfigError("--size is missing: the position of each cycle; with --mode close-existing give --clip")
    return words


def _set_words(texts: Sequence[object]) -> dict[str, str]:
    """Return what --set gave; ConfigError for no KEY=VALUE, no value, and for what has an option of its own."""
    words: dict[str, str] = {}
    for text in texts:
        key, sign, value = str(text).partition("=")
        if not sign or not key:
            raise ConfigError(f"--set {text}: must be KEY=VALUE")
        if key in LEG_OPTIONS:
            raise ConfigError(f"--set {key}={value}: {key} is not set so; give {LEG_OPTIONS[key]} instead")
        if not value:
            raise ConfigError(f"--set {key}=: {key} is given no value; leave it out for its default")
        words[key] = value
    return words


def _make_words(given: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """Return what making across the venues is started with; ConfigError for what only a pair has."""
    own = {key: key for _, key, _, _ in MAKE_OPTIONS} | _MAKE_KEYS
    for option, key, _, _ in OPTIONS:
        if key in given and key != "mode" and key not in own:
            raise ConfigError(f"--{option}: is no option of --mode {MAKE}")
    if "size" not in given:
        raise ConfigError(f"--size is missing: with --mode {MAKE} the largest position, either way")
    words = {own[key]: text for key, text in given.items() if key != "mode"}
    return {"kind": "cross_maker", "qty": given["size"], **words, **others}


def option_of(text: str) -> str:
    """Return a complaint about a key with the option's name in its place."""
    by_key = [(option, key) for option, key, _, _ in (*OPTIONS, *MAKE_OPTIONS)]
    by_key += [(option, _MAKE_KEYS[key]) for option, key in by_key if key in ("size", "clip")]
    for option, key in by_key:
        if text.startswith((f"{key} = ", f"{key} is ")):
            return f"--{option}{text.removeprefix(key)}"
    return text


def _parameter(key: str) -> str:
    return f"pair_{key.replace('.', '_')}"


# completion


def complete_market(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the base currencies of what is followed."""
    from click.shell_completion import CompletionItem

    found: dict[str, list[str]] = {}
    for instrument, base, where in known_markets(ctx):
        if base.lower().startswith(incomplete.lower()):
            found.setdefault(base, []).append(f"{instrument} {where}")
    return [CompletionItem(base, help=", ".join(names)) for base, names in sorted(found.items())]


def complete_instrument(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the instruments that are followed, by any part of their names."""
    from click.shell_completion import CompletionItem

    wanted = incomplete.lower()
    return [
        CompletionItem(instrument, help=where)
        for instrument, _, where in sorted(known_markets(ctx))
        if wanted in instrument.lower()
    ]


def known_markets(ctx: click.Context) -> list[tuple[str, str, str]]:
    """Return instrument, base and where it is traded: of the running engine, and of CONFIG; nothing when neither tells."""
    found: dict[str, tuple[str, str, str]] = {}
    try:
        found |= _of_engine(ctx)
    except PerpmakerError:
        pass
    path = ctx.params.get("path")
    if path is not None:
        try:
            found |= _of_config(Path(str(path)))
        except PerpmakerError:
            pass
    return list(found.values())


def _of_engine(ctx: click.Context) -> dict[str, tuple[str, str, str]]:
    from perpmaker.cli.engine_link import client_of
    from perpmaker.control.home import find_home, running

    home = find_home(ctx.find_root().params.get("home_option"), dict(os.environ), Path.cwd())
    run_file = running(home, "engine")
    if run_file is None:
        return {}
    rows = client_of(run_file).status().markets
    return {row.instrument: (row.instrument, row.base, f"on {row.exchange}") for row in rows}


def _of_config(path: Path) -> dict[str, tuple[str, str, str]]:
    from perpmaker import config as configuration
    from perpmaker.engine.pairshot import base_of, known_legs

    config = configuration.load(path)
    return {
        str(leg.instrument): (str(leg.instrument), base_of(leg.instrument), f"account {leg.account}")
        for leg in known_legs(config)
    }
