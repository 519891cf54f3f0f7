"""`perpmaker backtest`: a configuration over a tape, with the band of fill models that a result is stated as."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from perpmaker.cli.tape_times import Moment, part_of_tape, span
from perpmaker.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from perpmaker.config import Config
    from perpmaker.engine.backtest import Progress, Results
    from perpmaker.simulation import FillModel

_NS: Final = 1_000_000_000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--tape", "tapes", metavar="PATH", multiple=True, required=True, type=click.Path(path_type=Path),
    help="A tape, a folder of them, or a recorded session; several are played side by side.",
)  # fmt: skip
@part_of_tape
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything that is drawn.")
@click.option(
    "--fill-model", "models", metavar="MODEL", multiple=True,
    help="pessimistic, queue, optimistic or classic; may be repeated. Default: the first three, as a band.",
)  # fmt: skip
@click.option("--strategy", "strategies", metavar="NAME", multiple=True, help="Run these alone; may be repeated.")
@click.option("--as", "named", metavar="TAPE=CONFIG", multiple=True, help="Take an instrument of the tape for another.")
@click.option("--out", metavar="FOLDER", type=click.Path(path_type=Path), help="For the results; default: in the home.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_obj
def command(
    home: Path,
    path: Path,
    tapes: tuple[Path, ...],
    begin: Moment | None,
    end: Moment | None,
    seed: int,
    models: tuple[str, ...],
    strategies: tuple[str, ...],
    named: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Run a configuration over a recorded market, with simulated orders; credentials are not needed.

    The result is a band, one run a fill model, and says what it assumed. Everything that happened goes to a folder as
    Parquet, with a report to look at; a run repeats to the last bit, which its hash shows. An engine's recorded session is
    played without that engine's own orders in its books. docs/explanation/simulation.md says where it ends.
    """
    import msgspec
    from rich.console import Console

    from perpmaker import config as configuration
    from perpmaker.cli.config import load_whole
    from perpmaker.clock import WallClock
    from perpmaker.engine.backtest import BAND, Setup, backtest, only
    from perpmaker.engine.backtest_files import RESULT, summary, write_results
    from perpmaker.research.backtest_results import results_of
    from perpmaker.research.report import write_report
    from perpmaker.research.session_market import as_markets
    from perpmaker.tape.reader import open_tape

    load_whole(path, live=False)
    if out is not None and (out / RESULT).exists():
        raise ConfigError(f"--out {out}: holds results already; name another folder")
    must_be_writable(home / "backtests" if out is None else out)
    config = with_strategies(configuration.load(path), strategies)
    console = Console(stderr=True)
    began_ns = WallClock().now_ns()
    with as_markets(tapes) as markets:
        tape = open_tape(*markets)
        with Bars(console) as bars:
            setup = Setup(config, seed, *span(tape, begin, end), named=named_instruments(named))
            results = backtest(setup, tape, only(models) or BAND, bars.begin)
    took_s = (WallClock().now_ns() - began_ns) / _NS
    folder = out or _claimed(home / "backtests", f"{_stamp(began_ns)}-{config.name}")
    write_results(results, folder, config=str(path))
    page = write_report(results_of(results, config), folder)
    if as_json:
        click.echo(msgspec.json.encode(summary(results, config=str(path))).decode())
        return
    _tell(Console(), results, took_s, folder)
    click.echo(f"report: {page}")


def must_be_writable(folder: Path) -> None:
    """ConfigError where a folder could not be made or written: before the work, not after it."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"{folder}: cannot be written: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: cannot be written: {there} is read-only for you")


def _claimed(above: Path, name: str) -> Path:
    """Make a folder of that name, numbered where another run that began in the same second has it."""
    folder = above / name
    for number in count(2):
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            folder = above / f"{name}-{number}"
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
        else:
            break
    return folder


def with_strategies(config: Config, names: tuple[str, ...]) -> Config:
    """Return a configuration of some of its strategies, all when none is named; ConfigError for one that is not there."""
    known = [row.name for row in config.strategy]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"--strategy {unknown[0]}: is not in the configuration; it has {', '.join(known)}")
    if not names:
        return config
    return config.model_copy(update={"strategy": [row for row in config.strategy if row.name in names]})


class Bars:
    """A bar for each run: speed and time left."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description:12}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("after"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def begin(self, model: FillModel, total: int) -> Progress:
        task = self._progress.add_task(model.value, total=total, speed="preparing")

        def tell(events: int, rows: int) -> None:
            self._progress.update(task, completed=rows)
            speed = self._progress.tasks[task].speed
            self._progress.update(task, speed=f"{speed / 1000:,.0f} k rows/s" if speed else "")

        return tell


def _tell(console: Console, results: Results, took_s: float, folder: Path) -> None:
    from rich.table import Table

    played = results.played
    span_s = (played.last_ns - played.first_ns) / _NS
    names = ", ".join(here if there == here else f"{there} as {here}" for there, here in played.names.items())
    console.print(f"{results.tape}  {names}", soft_wrap=True)
    console.print(
        f"{_stamp(played.first_ns)} to {_stamp(played.last_ns)} UTC, {span_s:,.0f} s of market in {took_s:,.1f} s",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for run in results.runs:
        table.add_column(run.fill_model.value, justify="right")
    figures = [run.figures for run in results.runs]
    held = dict.fromkeys(name for one in figures for name in one.positions)
    for name, texts in {
        "PnL": [f"{one.pnl:,.2f}" for one in figures],
        "  bps of volume": [f"{one.pnl_bps:+.3f}" for one in figures],
        "  spread": [f"{one.spread:,.2f}" for one in figures],
        "  adverse selection": [f"{one.adverse:,.2f}" for one in figures],
        "  inventory": [f"{one.inventory:,.2f}" for one in figures],
        "  fees": [f"{-one.fees:,.2f}" for one in figures],
        "  funding": [f"{one.funding:,.2f}" for one in figures],
        "max drawdown": [f"{one.max_drawdown:,.2f}" for one in figures],
        "volume": [f"{one.volume:,.0f}" for one in figures],
        "fills (as maker)": [f"{one.fills} ({one.maker_fills})" for one in figures],
        "orders (rejected)": [f"{one.orders} ({one.rejected})" for one in figures],
        "refused by our gate": [str(sum(one.refused.values())) for one in figures],
        "liquidations": [str(one.liquidations) for one in figures],
        "held at the end": ["" if one.positions else "nothing" for one in figures],
        **{f"  {name}": [str(one.positions.get(name, "-")) for one in figures] for name in held},
        "hash": [run.digest[:16] for run in results.runs],
    }.items():
        table.add_row(name, *texts)
    console.print(table)
    for name, text in results.runs[0].models.items():
        if name not in ("fill model", "queue"):
            console.print(f"{name}: {text}", soft_wrap=True, highlight=False)
    queues = {run.models["queue"] for run in results.runs} - {"none"}
    if queues:
        console.print(f"queue: {', '.join(sorted(queues))}", soft_wrap=True, highlight=False)
    for error in dict.fromkeys(error for run in results.runs for error in run.errors):
        console.print(f"ERROR {error}", style="bold red", soft_wrap=True, highlight=False, markup=False)
    console.print(f"seed: {results.seed}; results in {folder}", soft_wrap=True, highlight=False)


def named_instruments(named: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in named]
    wrong = [text for text, mark, here in pairs if not (text and mark and here)]
    if wrong:
        raise ConfigError(f"--as {wrong[0]}: say TAPE=CONFIG, as BTCUSDT=BTC_USDT_Perp")
    return {there: here for there, _, here in pairs}


def _stamp(ns: int) -> str:
    return datetime.fromtimestamp(ns / _NS, UTC).strftime("%Y%m%dT%H%M%S")
