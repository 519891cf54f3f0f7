"""`perpmaker tune`: search a strategy's parameters on a tape, and say whether what was found holds elsewhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from perpmaker.cli.backtest import named_instruments
from perpmaker.cli.tape_times import part_of_tape, span
from perpmaker.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from perpmaker.config import Config, StrategySection, TuneRange
    from perpmaker.research.tuning import Outcome, Plan, Space, Value, Window
    from perpmaker.research.tuning.backtests import BacktestEvaluation
    from perpmaker.research.tuning.campaign import Step
    from perpmaker.research.tuning.report import Told
    from perpmaker.research.tuning.runners import Runner

_OBJECTIVES: Final = ("sharpe", "sortino", "pnl", "calmar", "cost")
_SAMPLERS: Final = ("tpe", "evolution", "random")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--tape",
    "tapes",
    metavar="PATH",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A tape, or a folder of them; several are played side by side.",
)
@click.option("--trials", type=click.IntRange(1), default=60, show_default=True, help="Sets to try in each window.")
@click.option(
    "--vary",
    metavar="KEY[=LOW:HIGH[:log]]",
    multiple=True,
    help="A key to vary, or KEY=NAME,NAME; may be repeated. Default: [tune.vary] of the configuration.",
)
@click.option(
    "--strategy", "strategy_name", metavar="NAME", default="", help="Whose keys; default: [tune], or the only one."
)
@click.option("--objective", type=click.Choice(_OBJECTIVES), help="What to make large; default: [tune], or sharpe.")
@part_of_tape
@click.option(
    "--folds", type=click.IntRange(1, 50), default=3, show_default=True, help="Tests that roll over the tape."
)
@click.option(
    "--train-parts",
    type=click.IntRange(1, 50),
    default=3,
    show_default=True,
    help="How many times as long as a test the training before it is.",
)
@click.option(
    "--embargo-s",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Seconds between a training and its test.",
)
@click.option(
    "--min-fills",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    help="A set with fewer fills in training is not chosen.",
)
@click.option(
    "--sampler",
    type=click.Choice(_SAMPLERS),
    default="tpe",
    show_default=True,
    help="tpe: Bayesian; evolution: genetic (NSGA-II).",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the search and of everything drawn in it.")
@click.option(
    "--fill-model",
    type=click.Choice(("pessimistic", "queue", "optimistic", "classic")),
    help="Default: [simulation] of the configuration.",
)
@click.option("--as", "named", metavar="TAPE=CONFIG", multiple=True, help="Take an instrument of the tape for another.")
@click.option("--workers", type=click.IntRange(1, 512), help="Processes of this machine; default: all cores.")
@click.option(
    "--engine",
    type=click.Choice(("processes", "dask")),
    default="processes",
    show_default=True,
    help="Where trials run.",
)
@click.option("--address", metavar="URL", help="The scheduler, for --engine dask: tcp://host:8786.")
@click.option("--batch", type=click.IntRange(1, 4096), help="Sets chosen at a time; default: as many as run at a time.")
@click.option(
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="For journal and report; default: in the home, by what is tuned.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@click.pass_obj
def command(home: Path, /, path: Path, **options: Any) -> None:
    """Search a strategy's parameters on a tape by walk-forward: what is found in one part is tried in the next.

    The same command goes on where it was interrupted. A result that its neighbours do not share (a spike), or that is no
    better than the present configuration where it was not looked for, is not recommended. docs/howto/tune-a-strategy.md.
    """
    from rich.console import Console

    from perpmaker.research.tuning import tune
    from perpmaker.research.tuning.report import TOML, write_tuning

    asked = _Asked(path, options)
    folder = options["output"] or home / "tunings" / asked.name
    try:
        with asked.runner() as runner, _Bar(Console(stderr=True)) as bar:
            plan = asked.plan(runner.workers)
            outcome = tune(asked.space, asked.evaluate, asked.windows, plan, runner, folder, bar.step)
    except KeyboardInterrupt:
        click.echo(f"what is finished is kept in {folder}; the same command goes on", err=True)
        raise
    told = asked.told()
    page = write_tuning(outcome, told, folder)
    if options["as_json"]:
        click.echo(page.with_name("tuning.json").read_text(encoding="utf-8"), nl=False)
        return
    _tell(Console(), outcome, told)
    click.echo(f"report: {page}")
    if outcome.recommended is not None:
        click.echo(f"keys:   {page.with_name(TOML)}")


class _Asked:
    """What a command line and a configuration ask for."""

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        from perpmaker.cli.config import load_whole

        load_whole(path, live=False)
        self._options = options
        self._path = path
        self._config, self.evaluate, self._row = self._evaluation()
        self.objective = options["objective"] or self._config.tune.objective
        self.space = self._space()
        self.windows = self._windows()
        self._fingerprint = self.evaluate.fingerprint()
        told = repr((self._fingerprint, self.space, self.windows, self.objective, options["seed"], options["sampler"]))
        digest = hashlib.blake2b(told.encode(), digest_size=4).hexdigest()
        self.name = f"{self._config.name}-{self._row.name}-{digest}"

    def plan(self, workers: int) -> Plan:
        from perpmaker.research.tuning import Plan

        options = self._options
        return Plan(
            trials=options["trials"],
            objective=self.objective,
            sampler=options["sampler"],
            seed=options["seed"],
            batch=options["batch"] or workers,
            min_fills=options["min_fills"],
            about=self._fingerprint,
        )

    def runner(self) -> Runner:
        from perpmaker.research.tuning.runners import Pool

        engine, address = self._options["engine"], self._options["address"]
        if (engine == "dask") != bool(address):
            raise ConfigError("--engine dask needs the --address of a scheduler, and an address needs --engine dask")
        if engine == "dask":
            from perpmaker.research.tuning.cluster import Cluster

            return Cluster(address)
        return Pool(self._options["workers"] or 0)

    def told(self) -> Told:
        from perpmaker.research.tuning.report import Told
        from perpmaker.strategies.registry import parse_params

        params = parse_params(self._row.kind, {**self._row.params, "instrument": self._row.instrument})
        section = self._config.simulation
        return Told(
            title=f"{self._config.name}: {self._row.name}",
            tape=", ".join(Path(tape).name for tape in self.evaluate.tapes),
            strategy=self._row.name,
            present={dimension.name: _present(params, dimension.name) for dimension in self.space.dimensions},
            models={
                "fill model": self.evaluate.fill_model,
                "latency": f"{section.latency}, entry {section.entry_ms} ms, response {section.response_ms} ms",
                "fees": f"maker {section.maker_fee_bps} bps, taker {section.taker_fee_bps} bps of notional",
                "funding": "as the tape says"
                if section.funding_rate_bps is None
                else f"{section.funding_rate_bps} bps an interval",
            },
        )

    def _evaluation(self) -> tuple[Config, BacktestEvaluation, StrategySection]:
        from perpmaker import config as configuration
        from perpmaker.research.tuning.backtests import BacktestEvaluation, chosen_strategy

        raw = configuration.read(self._path)
        environment = {name: value for name, value in os.environ.items() if name.startswith("PERPMAKER__")}
        config = configuration.parse(raw, environment, source=str(self._path))
        row = chosen_strategy(config, self._options["strategy_name"] or config.tune.strategy)
        evaluate = BacktestEvaluation(
            raw=raw,
            environment=environment,
            strategy=row.name,
            tapes=tuple(str(tape.absolute()) for tape in self._options["tapes"]),
            fill_model=self._options["fill_model"] or config.simulation.fill_model,
            period_s=self._period_s(),
            named=named_instruments(self._options["named"]),
        )
        return config, evaluate, row

    def _space(self) -> Space:
        from perpmaker.research.tuning.space import space_of
        from perpmaker.strategies.registry import strategy_class
        from perpmaker.strategies.schema import search_keys

        keys = [key for key in search_keys(strategy_class(self._row.kind).params_type) if key.name != "instrument"]
        vary = dict(map(_varied, self._options["vary"])) or self._config.tune.vary
        return space_of(keys, vary)

    def _span(self) -> tuple[int, int]:
        from perpmaker.tape.reader import open_tape

        return span(open_tape(*self._options["tapes"]), self._options["begin"], self._options["end"])

    def _windows(self) -> tuple[Window, ...]:
        from perpmaker.research.tuning import walk_forward

        options = self._options
        return walk_forward(
            *self._span(),
            folds=options["folds"],
            train_parts=options["train_parts"],
            embargo_s=options["embargo_s"],
        )

    def _period_s(self) -> int:
        """Return the period of the returns, the same in all windows: that of a test."""
        from perpmaker.research.report_figures import return_period_s

        from_ns, to_ns = self._span()
        return return_period_s((to_ns - from_ns) / 1e9 / (self._options["folds"] + self._options["train_parts"]))


class _Bar:
    """One bar for the whole, with the window, the best so far and the time left."""

    def __init__(self, console: Console) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[best]}"),
            TextColumn("after"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=None, best="")

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def step(self, step: Step) -> None:
        best = "" if step.best is None else f"best {step.best:,.4g}"
        self._progress.update(
            self._task, description=f"{step.window}, {step.doing}", completed=step.done, total=step.of, best=best
        )


def _tell(console: Console, outcome: Outcome, told: Told) -> None:
    from rich.table import Table

    from perpmaker.research.tuning import Verdict
    from perpmaker.research.tuning.maps import written

    cautions = ", with cautions" if outcome.cautions else ""
    console.print(f"{outcome.verdict.value}{cautions}: {outcome.reason}", soft_wrap=True, highlight=False)
    best = outcome.newest.choice.best
    if best is not None:
        table = Table(box=None, pad_edge=False)
        head = "recommended" if outcome.verdict is Verdict.RECOMMENDED else "found, not recommended"
        for name in ("key", "present", head):
            table.add_column(name, justify="left" if name == "key" else "right")
        for name, value in best.params.items():
            before: Value | None = told.present.get(name)
            table.add_row(name, "none" if before is None else written(before), written(value))
        console.print(table)
    for caution in outcome.cautions:
        console.print(f"- {caution}", soft_wrap=True, highlight=False)
    models = "; ".join(f"{name} {text}" for name, text in told.models.items())
    console.print(f"tape {told.tape}; {models}; seed {outcome.plan.seed}", soft_wrap=True, highlight=False)


def _varied(text: str) -> tuple[str, TuneRange]:
    """Read KEY, KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=NAME,NAME."""
    from perpmaker.config import TuneRange

    name, mark, rest = text.partition("=")
    if not mark:
        return name, TuneRange()
    if ":" not in rest:
        return name, TuneRange(choices=rest.split(","))
    low, _, high = rest.partition(":")
    high, _, log = high.partition(":")
    if log not in ("", "log"):
        raise ConfigError(f"--vary {text}: after the second colon there can only be log")
    return name, _range(text, lambda: TuneRange(low=_number(low), high=_number(high), log=bool(log)))


def _range(text: str, make: Callable[[], TuneRange]) -> TuneRange:
    try:
        return make()
    except (InvalidOperation, ValueError) as error:
        raise ConfigError(
            f"--vary {text}: say KEY=LOW:HIGH with LOW below HIGH, or KEY=LOW:HIGH:log above 0"
        ) from error


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _present(params: object, dotted: str) -> Value | None:
    """Return what a key is now, its default if the configuration does not name it."""
    found: Any = params
    for name in dotted.split("."):
        found = getattr(found, name)
    return float(found) if isinstance(found, Decimal) else found
