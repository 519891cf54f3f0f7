"""`perpmaker report gate`: whether a rehearsal of 48 hours did what it has to do before money is at stake."""

from __future__ import annotations

from pathlib import Path

import click

REFUSED = 6


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--engine", "engine_name", metavar="NAME", help="Engine name, when the home holds several.")
@click.option("--hours", type=click.FloatRange(0), default=48.0, show_default=True, help="How long it has to have run.")
@click.option("--min-fills", type=click.IntRange(0), default=100, show_default=True, help="Fills it has to have had.")
@click.option(
    "--max-drawdown-frac",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Deepest drawdown allowed.",
)
@click.option(
    "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="The page; default: in the home."
)
@click.option("--json", "as_json", is_flag=True, help="Checks and figures as one JSON object on standard output.")
@click.pass_obj
def command(
    home: Path,
    /,
    engine_name: str | None,
    hours: float,
    min_fills: int,
    max_drawdown_frac: float,
    output: Path | None,
    as_json: bool,
) -> None:
    """Judge a paper or testnet run by its journal: long enough, up, no crash, no halt, books that add up, fills, drawdown.

    Writes one HTML page with the checks and everything the run did. Exit code 6 when a check fails. Profit is not a check:
    whether it earns enough is for a person to judge.
    """
    import msgspec

    from perpmaker.cli.csv_file import opened
    from perpmaker.cli.export import chosen
    from perpmaker.engine.folders import journal_folder
    from perpmaker.research.gate import Limits, gate_html, judged
    from perpmaker.research.journal_run import lived_in, results_of
    from perpmaker.research.report import report_html
    from perpmaker.research.report_figures import figures_of

    engine = chosen(home, engine_name)
    lived = lived_in(journal_folder(engine))
    results = results_of(lived, engine.name)
    figures = figures_of(results.main, results)
    limits = Limits(hours=hours, min_fills=min_fills, max_drawdown_frac=max_drawdown_frac)
    gate = judged(engine.name, lived, figures, limits)
    page = output or engine / "gate.html"
    with opened(page) as file:
        file.write(report_html(results, [figures], gate_html(gate)))
    if as_json:
        told = {
            "engine": engine.name,
            "passed": gate.passed,
            "checks": gate.checks,
            "figures": figures,
            "page": str(page),
        }
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        for check in gate.checks:
            asked = "" if check.passed else f"  (asked for: {check.asked})"
            click.echo(f"{'passed' if check.passed else 'FAILED'}  {check.name}: {check.found}{asked}")
        click.echo(f"{'passed' if gate.passed else 'not passed'}; report: {page}")
    if not gate.passed:
        raise SystemExit(REFUSED)
