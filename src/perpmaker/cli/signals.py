"""`perpmaker signals`: a regime filter tried on candles, and whether it looks ahead."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from perpmaker.errors import ConfigError

if TYPE_CHECKING:
    from perpmaker.research.bar_signals import SignalRun
    from perpmaker.strategies.signals.params import RegimeParams

REFUSED: Final = 6


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="CANDLES", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--config", "config_path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Take the filter and its keys from a strategy's [strategy.regime]; default: the defaults.",
)  # fmt: skip
@click.option("--strategy", "name", metavar="NAME", help="Which strategy of the configuration; default: the first.")
@click.option("--filter", "filter_name", metavar="NAME", help="Another filter: bollinger, rsi, adx, atr, choppiness.")
@click.option(
    "--cost-bps", type=click.FloatRange(min=0), default=5.0, show_default=True,
    help="Of what is traded, each way: fees and half of the spread.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Of the intervals' resampling.")
@click.option(
    "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="The page; default: in the home."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@click.pass_obj
def command(
    home: Path,
    /,
    path: Path,
    config_path: Path | None,
    name: str | None,
    filter_name: str | None,
    cost_bps: float,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Try a configuration's regime filter on candles: what it said, what came after, and whether it looks ahead.

    CANDLES is a .csv or .parquet that `data download` wrote, or anybody's with a time, open, high, low and close.
    What is said at the end of a candle is acted on at the opening of the next. The filter is then played again with another
    future: one that says something else before it looks ahead, and the exit code is 6.
    """
    import msgspec

    from perpmaker.cli.csv_file import opened
    from perpmaker.research.bar_files import read_candles
    from perpmaker.research.bar_report import signals_html
    from perpmaker.research.bar_signals import looks_ahead, signal_run, watch_of

    bars = read_candles(path)
    params = _params(config_path, name, filter_name, bars[0].interval_s)
    run = signal_run(bars, params, cost_bps=cost_bps, seed=seed)
    ahead = looks_ahead(bars, run.said, watch_of(bars, params))
    models = {
        "filter": params.filter,
        "latch": f"{params.latch_max_s:g} s at most" if params.latch else "off",
        "cost": f"{cost_bps:g} bps each way",
        "seed": str(seed),
    }
    page = output or _in_home(home, f"{path.stem}-{params.filter}.html")
    with opened(page) as file:
        file.write(signals_html(run, source=path.name, models=models, ahead=ahead))
    if as_json:
        figures = {"traded": run.traded, "after": run.after, "regimes": run.regimes, "hash": run.digest}
        told = {"candles": len(bars), "models": models, "looks_ahead": ahead is not None, **figures}
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        for line in _lines(run, models, ahead):
            click.echo(line)
        click.echo(f"report: {page}")
    if ahead is not None:
        raise click.exceptions.Exit(REFUSED)


def _params(path: Path | None, name: str | None, filter_name: str | None, interval_s: int) -> RegimeParams:
    """Return whose filter is asked, with bars as long as the candles are."""
    import msgspec

    from perpmaker.strategies.signals.params import RegimeParams

    if path is None and name is not None:
        raise ConfigError(f"--strategy {name}: names a strategy of a configuration; say --config too")
    params = RegimeParams(bar_s=interval_s) if path is None else _of_strategy(path, name)
    if params.bar_s != interval_s:
        raise ConfigError(f"strategy.regime.bar_s = {params.bar_s}: the candles are of {interval_s} s")
    if filter_name is not None:
        params = msgspec.structs.replace(params, filter=filter_name)
    problems = list(params.problems())
    if params.filter == "none":
        problems.append("strategy.regime.filter = 'none': says nothing that could be tried; name one by --filter")
    if problems:
        raise ConfigError("\n".join(problems))
    return params


def _of_strategy(path: Path, name: str | None) -> RegimeParams:
    from perpmaker import config as configuration
    from perpmaker.cli.config import load_whole
    from perpmaker.strategies.registry import parse_params
    from perpmaker.strategies.signals.params import RegimeParams

    load_whole(path, live=False)
    rows = configuration.load(path).strategy
    row = next((row for row in rows if name is None or row.name == name), None)
    if row is None:
        raise ConfigError(
            f"--strategy {name}: is not in the configuration; it has {', '.join(row.name for row in rows)}"
        )
    regime = getattr(parse_params(row.kind, {**row.params, "instrument": row.instrument}), "regime", None)
    if not isinstance(regime, RegimeParams):
        raise ConfigError(f"strategy {row.name}: a {row.kind} has no [strategy.regime]; name another by --strategy")
    return regime


def _in_home(home: Path, name: str) -> Path:
    folder = home / "signals"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _lines(run: SignalRun, models: dict[str, str], ahead: int | None) -> list[str]:
    from perpmaker.research.bar_report import moment, remarks

    traded = run.traded
    first, last = moment(run.bars[0].open_ns), moment(int(run.closed_ns[-1]))
    lines = [
        f"{run.bars[0].instrument}: {len(run.bars):,} candles of {run.bars[0].interval_s} s, {first} to {last} UTC",
        f"looks ahead: {'no' if ahead is None else 'YES'}",
        "after a signal, bps        signals     mean            90 %    any candle",
    ]
    for one in run.after:
        interval = f"{one.low:+.2f} to {one.high:+.2f}" if math.isfinite(one.low) else "-"
        later = f"  {one.side:4} {one.bars:3} candles later"
        lines.append(f"{later} {one.signals:12,} {_bps(one.bps):>8} {interval:>15} {_bps(one.any_bar_bps):>13}")
    lines += [
        "regimes: " + ", ".join(f"{one.regime} {one.share:.1%}" for one in run.regimes if one.share),
        f"held as a position: {traded.pnl:+.2%} after {traded.cost:.2%} of costs, {traded.trades:,} changes, drawdown "
        f"{traded.drawdown:.2%}; always long {traded.always_long:+.2%}",
        "; ".join(f"{what} {text}" for what, text in models.items()) + f"; hash {run.digest[:16]}",
    ]
    return [*lines, *(f"- {remark}" for remark in remarks(run, ahead))]


def _bps(value: float) -> str:
    return f"{value:+.2f}" if math.isfinite(value) else "-"
