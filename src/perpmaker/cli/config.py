"""`perpmaker config check|show`."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import click
import msgspec

from perpmaker.errors import ConfigError

CONFIG = click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Check or show a configuration."""


@command.command()
@CONFIG
def check(path: Path) -> None:
    """Validate a file whole; every problem is named with its key, its value and what is allowed.

    Warnings name what is allowed and more likely not meant.
    """
    from perpmaker import config as configuration
    from perpmaker.engine.fitting import warnings_of

    load_whole(path)
    click.echo(f"{path}: ok")
    for warning in warnings_of(configuration.load(path)):
        click.echo(f"warning: {warning}")


@command.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(path: Path, as_json: bool) -> None:
    """Show every key with its value, defaults and overrides from the environment included; never a secret."""
    whole = load_whole(path)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
        return
    for key, value in flattened(whole):
        click.echo(f"{key} = {value}")


def load_whole(path: Path, *, live: bool = True) -> dict[str, object]:
    """Return the validated configuration, strategies' own parameters with their defaults filled in.

    Raises ConfigError with the problems of the file and of every strategy's parameters together. Not `live`, bars may be
    of any length: a backtest makes them.
    """
    from perpmaker import config as configuration
    from perpmaker.engine.fitting import bar_problems, candle_problems
    from perpmaker.engine.pairing import leg_problems
    from perpmaker.strategies.registry import parse_params

    config, problems, rows = configuration.examine(configuration.read(path), os.environ)
    parsed: list[dict[str, object]] = []
    for place, row in enumerate(rows):
        kind, name = row.get("kind"), row.get("name") or place
        if not isinstance(kind, str):
            continue  # a problem of the file already
        instrument = row.get("instrument")
        known = {"instrument": instrument if isinstance(instrument, str) else "?"}
        try:
            params = parse_params(kind, {**row["params"], **known})
        except ConfigError as error:
            problems.extend(f"strategy {name}: {line}" for line in str(error).splitlines())
            continue
        if config is not None:
            misfits = _too_large(params, config.risk.max_order_notional)
            misfits += bar_problems(config, config.strategy[place]) if live else []
            problems.extend(f"strategy {name}: {line}" for line in misfits)
        common = {key: value for key, value in row.items() if key != "params"}
        parsed.append({**common, "params": msgspec.to_builtins(params, str_keys=True)})
    if config is not None:
        problems.extend(leg_problems(config))
    if config is not None and live and not problems:
        problems.extend(candle_problems(config))
    if config is None or problems:
        raise configuration.wrong(str(path), problems)
    whole: dict[str, object] = config.model_dump(mode="json", exclude={"strategy"})
    whole["strategy"] = parsed
    return whole


def _too_large(params: object, most: Decimal) -> list[str]:
    """Say which size the risk gate would refuse each order of; a share of equity is not known yet."""
    found = []
    for prefix, table in (("", params), ("quoting.", getattr(params, "quoting", None))):
        notional = getattr(table, "order_notional", None)
        if notional is not None and notional > most and getattr(table, "order_equity_frac", None) is None:
            found.append(f"{prefix}order_notional = {notional}: must be at most risk.max_order_notional = {most}")
    return found


def flattened(value: object, prefix: str = "") -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [
            row for key, inner in value.items() for row in flattened(inner, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [row for at, inner in enumerate(value) for row in flattened(inner, f"{prefix}[{at}]")]
    return [(prefix, value)]
