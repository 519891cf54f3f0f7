"""Trains a regime model: a Gaussian mixture of the market's states, and a report out of sample on whether it pays."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perpmaker.cli.backtest import must_be_writable, named_instruments
from perpmaker.cli.tape_times import part_of_tape, span
from perpmaker.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from perpmaker.config import Config, StrategySection
    from perpmaker.engine.backtest_feed import Played
    from perpmaker.research.regime.evaluation import Task
    from perpmaker.research.tuning.backtests import BacktestEvaluation
    from perpmaker.tape.reader import Tape


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--tape", "tapes", metavar="PATH", multiple=True, required=True, type=click.Path(path_type=Path),
    help="A tape, or a folder of them; several are played side by side.",
)  # fmt: skip
@click.option(
    "--config", "path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False),
    help="What shall trade with the model; default: a market maker with its defaults.",
)  # fmt: skip
@click.option("--strategy", "strategy_name", metavar="NAME", default="", help="Which of its strategies, if several.")
@click.option("--instrument", metavar="NAME", help="Without a configuration: which of the tape; default: its only one.")
@part_of_tape
@click.option(
    "--folds", type=click.IntRange(1, 50), default=3, show_default=True, help="Tests that roll over the tape."
)
@click.option(
    "--train-parts", type=click.IntRange(1, 50), default=3, show_default=True,
    help="How many times as long as a test the training before it is.",
)  # fmt: skip
@click.option(
    "--window-s", type=click.IntRange(10, 3600), default=60, show_default=True, help="How far back the features look."
)
@click.option(
    "--levels", type=click.IntRange(1, 50), default=5, show_default=True, help="Levels a side, for the imbalance."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the fits and of everything drawn.")
@click.option(
    "--fill-model", type=click.Choice(("pessimistic", "queue", "optimistic", "classic")),
    help="What the verdict is by; default: [simulation] of the configuration.",
)  # fmt: skip
@click.option("--as", "named", metavar="TAPE=CONFIG", multiple=True, help="Take an instrument of the tape for another.")
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="The model's file; default: regime.json beside the report.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option(
    "--report", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), help="Default: in the home."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def command(home: Path, /, **options: Any) -> None:
    """Train the regime model on a tape, and say whether it pays.

    The tape is cut by time: each model is tried on the part right after its training, by backtests with it, without it,
    and with its average factors all the time. The model that is written was trained on the newest part. Put its path into
    [strategy.regime] model. docs/explanation/signals.md.
    """
    from rich.console import Console

    from perpmaker.clock import WallClock
    from perpmaker.engine.backtest_feed import plan_feed
    from perpmaker.model.ids import InstrumentId
    from perpmaker.research.regime.evaluation import evaluate
    from perpmaker.research.regime.report import TEXT, write_training
    from perpmaker.research.regime.samples import samples_of
    from perpmaker.strategies.regimes.model import model_bytes
    from perpmaker.tape.reader import open_tape

    output: Path | None = options["output"]
    if output is not None and output.exists() and not options["force"]:
        raise ConfigError(f"--output {output}: is there already; choose another name, or write over it by --force")
    tape = open_tape(*options["tapes"])
    evaluation, row, config = _evaluation(tape, options)
    name = InstrumentId(row.instrument)
    played = plan_feed(tape, (name,), evaluation.named)
    task = _task(evaluation, row, tape, played, options)
    stamp = WallClock().now_ns() // 1_000_000_000
    folder = options["report"] or home / "regimes" / f"{stamp}-{config.name}-{row.name}"
    must_be_writable(folder)
    if output is not None:
        must_be_writable(output.parent)
    with _Bar(Console(stderr=True), task) as bar, tempfile.TemporaryDirectory() as models:
        samples = samples_of(
            tape, played, name, window_s=task.window_s, levels=task.levels, progress=bar.rows(tape.rows)
        )
        found = evaluate(task, samples, Path(models), bar.step)
    told = _told(task, tape, row, config)
    folder.mkdir(parents=True, exist_ok=True)
    page = write_training(found, samples, told, folder)
    target = output or folder / "regime.json"
    _write(target, model_bytes(found.model))
    if options["as_json"]:
        click.echo(page.with_name("report.json").read_text(encoding="utf-8"), nl=False)
        return
    click.echo(page.with_name(TEXT).read_text(encoding="utf-8"))
    click.echo(f"report: {page}")
    click.echo(f"model:  {target}")


def _evaluation(tape: Tape, options: Mapping[str, Any]) -> tuple[BacktestEvaluation, StrategySection, Config]:
    """Return what is backtested: the named configuration, or a market maker with its defaults."""
    from perpmaker import config as configuration
    from perpmaker.cli.config import load_whole
    from perpmaker.research.report_figures import return_period_s
    from perpmaker.research.tuning.backtests import BacktestEvaluation, chosen_strategy

    named = named_instruments(options["named"])
    path: Path | None = options["path"]
    if path is not None:
        load_whole(path, live=False)
        raw = configuration.read(path)
        environment = {key: value for key, value in os.environ.items() if key.startswith("PERPMAKER__")}
    else:
        raw, environment = _default(tape, options["instrument"], named), {}
    for row in raw.get("strategy", []):
        regime = row.get("regime")
        if isinstance(regime, dict):
            row["regime"] = {key: value for key, value in regime.items() if key != "model"}
    config = configuration.parse(raw, environment, source=str(path or "the default"))
    row = chosen_strategy(config, options["strategy_name"])
    if row.kind != "market_maker":
        raise ConfigError(f"strategy {row.name}: is a {row.kind}; only a market_maker has a regime model")
    span_s = (tape.last_recv_ns - tape.first_recv_ns) / 1e9
    evaluation = BacktestEvaluation(
        raw={**raw, "strategy": [one for one in raw["strategy"] if one.get("name") == row.name]},
        environment=environment,
        strategy=row.name,
        tapes=tuple(str(one.absolute()) for one in options["tapes"]),
        fill_model=options["fill_model"] or config.simulation.fill_model,
        period_s=return_period_s(span_s / (options["folds"] + options["train_parts"])),
        named=named,
    )
    return evaluation, row, config


def _default(tape: Tape, instrument: str | None, named: dict[str, str]) -> dict[str, Any]:
    """Return a market maker with its defaults on an instrument of the tape; notes in `named` what stands for what."""
    listed = [one for one in tape.instruments if one.contract != "inverse"]
    chosen = [one for one in listed if instrument in (None, one.instrument_id, one.instrument.symbol)]
    if len(chosen) != 1:
        there = ", ".join(one.instrument_id for one in listed) or "none that is settled in its quote currency"
        raise ConfigError(f"--instrument {instrument or 'is not given'}: say one of the tape's: {there}")
    rules = chosen[0].instrument
    symbol = f"{rules.base}_{rules.quote}_Perp"
    if chosen[0].instrument_id != symbol:
        named.setdefault(str(chosen[0].instrument_id), symbol)
    return {
        "schema_version": 1,
        "env": "local",
        "name": "regime",
        "account": {"main": {}},
        "risk": {"max_loss": Decimal(500)},
        "strategy": [{"name": "maker", "kind": "market_maker", "account": "main", "instrument": symbol}],
    }


def _task(
    evaluation: BacktestEvaluation, row: StrategySection, tape: Tape, played: Played, options: Mapping[str, Any]
) -> Task:
    from perpmaker.research.regime.evaluation import Task
    from perpmaker.strategies.market_maker import MarketMakerParams
    from perpmaker.strategies.registry import parse_params

    params = parse_params(row.kind, {**row.params, "instrument": row.instrument})
    if not isinstance(params, MarketMakerParams):
        raise ConfigError(f"strategy {row.name}: has no regime model")
    from_ns, to_ns = span(tape, options["begin"], options["end"])
    return Task(
        evaluate=evaluation,
        blend=params.regime.blend,
        window_s=options["window_s"],
        levels=options["levels"],
        seed=options["seed"],
        folds=options["folds"],
        train_parts=options["train_parts"],
        from_ns=from_ns,
        to_ns=to_ns,
        trained={
            "tape": tape.name,
            "fingerprint": tape.fingerprint,
            "instrument": row.instrument,
            "window_s": str(options["window_s"]),
        },
    )


def _told(task: Task, tape: Tape, row: StrategySection, config: Config) -> Any:
    from perpmaker.research.regime.report import Told

    section = config.simulation
    return Told(
        title=f"{config.name}: {row.name} on {row.instrument}",
        tape=tape.name,
        currency=row.instrument.split("_")[1] if row.instrument.count("_") else "",
        fill_model=task.evaluate.fill_model,
        seed=task.seed,
        window_s=task.window_s,
        assumptions={
            "fill model": task.evaluate.fill_model,
            "latency": f"{section.latency}, entry {section.entry_ms} ms, response {section.response_ms} ms",
            "fees": f"maker {section.maker_fee_bps} bps, taker {section.taker_fee_bps} bps of notional",
        },
    )


def _write(target: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    beside.write_bytes(data)
    beside.replace(target)


class _Bar:
    """One bar for reading, one for training and trying."""

    def __init__(self, console: Console, task: Task) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        from perpmaker.research.regime.evaluation import steps

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("after"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._steps = steps(task)
        self._done = 0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def rows(self, total: int) -> Any:
        reading = self._progress.add_task("looking at the tape", total=total)
        return lambda done: self._progress.update(reading, completed=done)

    def step(self, doing: str) -> None:
        if not self._done:
            self._trying = self._progress.add_task(doing, total=self._steps)
        self._progress.update(self._trying, description=doing, completed=self._done)
        self._done += 1
