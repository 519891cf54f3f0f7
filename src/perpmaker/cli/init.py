"""`perpmaker init`: a commented configuration, from a few questions and a measured market."""

from __future__ import annotations

import math
import os
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from perpmaker.errors import ConfigError
from perpmaker.strategies.quoting.computed import PRESETS, STANDINGS, compute

if TYPE_CHECKING:
    from perpmaker.strategies.quoting.computed import Measured, PresetName

_ENVIRONMENTS: Final = ("local", "testnet", "staging", "prod")
_MODES: Final = ("paper", "live")
_DEFAULT_FEE: Final = "GRVT's ordinary maker fee as last seen in live fills; yours by --maker-fee-bps"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--output", default="config.toml", show_default=True, type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.",
)  # fmt: skip
@click.option("--env", type=click.Choice(_ENVIRONMENTS), help="Where; local is the practice exchange of this home.")
@click.option("--mode", type=click.Choice(_MODES), help="live: orders go to the venue; paper: they are simulated.")
@click.option("--instrument", metavar="NAME", help="By the venue's own symbol, as BTC_USDT_Perp.")
@click.option("--preset", type=click.Choice(PRESETS), help="How near the market quotes stand.")
@click.option("--order-notional", type=click.FloatRange(1), help="Size of the innermost order, quote currency.")
@click.option("--max-position", type=click.FloatRange(1), help="The most it may hold, quote currency.")
@click.option("--max-loss", type=click.FloatRange(1), help="Of a day, on equity; reaching it halts.")
@click.option("--maker-fee-bps", type=click.FloatRange(-10, 100), help="Above 0 is a cost.")
@click.option(
    "--tape", "tapes", metavar="PATH", multiple=True, type=click.Path(path_type=Path),
    help="Measure on a recorded market, offline, instead of the venue.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Ask nothing; what is not given is as suggested.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.pass_obj
def command(
    home: Path,
    output: Path,
    env: str | None,
    mode: str | None,
    instrument: str | None,
    preset: PresetName | None,
    order_notional: float | None,
    max_position: float | None,
    max_loss: float | None,
    maker_fee_bps: float | None,
    tapes: tuple[Path, ...],
    yes: bool,
    force: bool,
) -> None:
    """Write a commented configuration of a market maker, its numbers computed from the market as it is.

    Volatility, spread and the instrument's rules are measured on the venue (public data, no key) or, with --tape, on a
    recorded market. Presets: tight, normal, wide. Every number says where it came from. Nothing is overwritten without
    --force.
    """
    from perpmaker.cli.config import load_whole
    from perpmaker.cli.init_measure import on_tape, on_venue

    if output.exists() and not force:
        raise ConfigError(f"{output}: is there already; choose another --output, or write over it by --force")
    env = env or _asked("Environment", "local", _ENVIRONMENTS, yes=yes)
    mode = mode or _asked("Mode", "live" if env == "local" else "paper", _MODES, yes=yes)
    instrument = instrument or _asked("Instrument", "BTC_USDT_Perp", None, yes=yes)
    fee_bps, fee_source = (-0.01, _DEFAULT_FEE) if maker_fee_bps is None else (maker_fee_bps, "as given")
    if tapes:
        market, there = on_tape(tapes, instrument, fee_bps, fee_source)
    else:
        market, there = on_venue(home, env, instrument, fee_bps, fee_source), instrument
    _tell(market, instrument if there == instrument else f"{there} as {instrument}")
    chosen: PresetName = preset or _asked("Preset", "normal", PRESETS, yes=yes)  # type: ignore[assignment]
    least = smallest_order(market)
    order_notional = order_notional or _number("Order notional", max(200.0, least), yes=yes)
    if order_notional < least:
        raise ConfigError(f"--order-notional {order_notional:g}: the venue takes no less than {least:g} here")
    max_position = max_position or _number("Position limit", 5000.0, yes=yes)
    max_loss = max_loss or _number("Loss limit a day", max(1.0, round(max_position / 100)), yes=yes)
    if max_position < order_notional:
        raise ConfigError(f"--max-position {max_position:g}: must not be below the order's {order_notional:g}")
    text = configuration_text(
        env=env, mode=mode, instrument=instrument, preset=chosen, market=market,
        amounts=(order_notional, max_position, max_loss),
    )  # fmt: skip
    write(output, text)
    load_whole(output)  # what is written is what is read
    click.echo(f"{output}: written")
    starts = env == "local" or mode == "paper"  # else credentials and an account are checked before anything is armed
    click.echo(f"next: perpmaker config show {output}; perpmaker {'up' if starts else 'doctor'} {output}")


def smallest_order(market: Measured) -> float:
    """Return an order that stays above the venue's minimum when the price falls by a tenth, in whole tens."""
    return math.ceil(market.min_notional * 1.1 / 10) * 10.0


def configuration_text(
    *,
    env: str,
    mode: str,
    instrument: str,
    preset: PresetName,
    market: Measured,
    amounts: tuple[float, float, float],
) -> str:
    """Return the file; ConfigError when the preset does not fit the market."""
    from perpmaker.clock import WallClock

    order_notional, max_position, max_loss = amounts
    try:
        computed = compute(preset, market)
    except ValueError as error:
        raise ConfigError(f"--preset {preset}: {error}") from error
    when = datetime.fromtimestamp(WallClock().now_ns() // 1_000_000_000, UTC)
    lines = [
        f"# A market maker on {instrument}, preset {preset}: made by perpmaker init, {when:%Y-%m-%d %H:%M} UTC.",
        "# Measured:",
        f"#   volatility {market.sigma_bps:.3g} bps per root second  ({market.sources['sigma']})",
        f"#   spread {market.spread_bps:.3g} bps  ({market.sources['spread']})",
        f"#   tick {market.tick_bps:.3g} bps at {market.px:g}, smallest order {market.min_notional:g}  "
        f"({market.sources['rules']})",
        f"#   maker fee {market.maker_fee_bps:g} bps, above 0 is a cost  ({market.sources['maker fee']})",
        "# A market changes: measure again from time to time. Every key: docs/reference/configuration.md.",
        "schema_version = 1",
        f'env = "{env}"  # local is the practice exchange on this machine',
        f'mode = "{mode}"  # live: orders go to the venue; paper: they are simulated beside its public market',
        f'name = "{_name(instrument)}"',
        "",
        "[account.main]",
        'venue = "grvt"',
        "",
        "[risk]  # amounts in the quote currency",
        f"max_position_notional = {_toml(max_position)}  # every open order counted as filled",
        f"max_order_notional = {_toml(max(order_notional * 2, 100))}",
        f"max_loss = {_toml(max_loss)}  # a day, on equity: realised + unrealised + fees + funding; reaching it halts",
        "max_drawdown_frac = 0.05  # from the peak of equity",
        "",
        "[simulation]  # of paper and backtests",
        f"maker_fee_bps = {_toml(market.maker_fee_bps)}",
        "",
        "[[strategy]]",
        f'name = "{_name(instrument)}"',
        'kind = "market_maker"',
        'account = "main"',
        f'instrument = "{instrument}"',
        "",
        "[strategy.quoting]",
        *(f"{key} = {_toml(value)}  # {computed.why[key]}" for key, value in computed.keys.items()),
        f"order_notional = {_toml(order_notional)}  # of the innermost order",
        "",
        "[strategy.estimates]",
        f"warm_up_half_spread_bps = {_toml(2 * computed.half_spread_bps)}  # until a minute was seen: twice as wide",
    ]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _tell(market: Measured, instrument: str) -> None:
    click.echo(
        f"{instrument}: {market.px:g}, volatility {market.sigma_bps:.3g} bps per root second, "
        f"spread {market.spread_bps:.3g} bps, maker fee {market.maker_fee_bps:g} bps"
    )
    for name in PRESETS:
        try:
            made = compute(name, market)
        except ValueError as error:
            click.echo(f"  {name:7} does not fit: {str(error).partition(';')[0]}")
            continue
        keys = made.keys
        click.echo(
            f"  {name:7} half-spread at least {made.half_spread_bps:g} bps, {keys['layers']} layers "
            f"{keys['layer_spacing_bps']:g} bps apart (a quote stands for {STANDINGS[name].stands_s:g} s)"
        )


def _asked(question: str, suggested: str, allowed: tuple[str, ...] | None, *, yes: bool) -> str:
    if yes:
        return suggested
    kind = click.Choice(allowed) if allowed else str
    return str(click.prompt(question, default=suggested, type=kind))


def _number(question: str, suggested: float, *, yes: bool) -> float:
    return suggested if yes else float(click.prompt(question, default=suggested, type=click.FloatRange(1)))


def _name(instrument: str) -> str:
    """Return a name for engine and strategy: btc for BTC_USDT_Perp."""
    base = "".join(re.findall("[a-z0-9]", instrument.partition("_")[0].lower()))[:31]
    return base if base[:1].isalpha() else f"m{base}"


def _toml(value: float | int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{Decimal(f'{value:.12g}'):f}"
