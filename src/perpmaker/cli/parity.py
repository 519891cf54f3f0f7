"""`perpmaker parity`: a recorded session beside its own simulation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from perpmaker.research.parity import Parity


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="SESSION", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything the simulation draws.")
@click.option(
    "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="The page; default: in the home."
)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object, each fill and match in it.")
@click.pass_obj
def command(home: Path, /, path: Path, seed: int, output: Path | None, as_json: bool) -> None:
    """Play a recorded session's market through a backtest of its own configuration, and compare the fills.

    SESSION is a folder that an engine with `[engine] record = true` left in recordings/, live, paper or on the practice
    exchange, or the tape made of one. The gap between the PnLs is split into fees, funding, latency and queue.
    """
    import tempfile

    import msgspec
    from rich.console import Console

    from perpmaker.cli.csv_file import opened
    from perpmaker.research.parity import parity
    from perpmaker.research.parity_report import parity_html

    console = Console(stderr=True)
    with console.status("") as status, tempfile.TemporaryDirectory(prefix="perpmaker-parity-") as folder:
        found = parity(path, Path(folder), seed=seed, told=status.update)
    page = output or _in_home(home, f"{path.resolve().name}.html")
    with opened(page) as file:
        file.write(parity_html(found))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for line in _lines(found):
        click.echo(line)
    click.echo(f"report: {page}")


def _in_home(home: Path, name: str) -> Path:
    folder = home / "parity"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _lines(found: Parity) -> list[str]:
    from perpmaker.research.parity_report import late_s

    gap, worse = found.gap, found.worse_bps
    lines = [
        f"real:      {len(found.real.fills)} fills, {found.real.notional:,.0f} traded, PnL {found.real.pnl:+,.4f}",
        f"simulated: {len(found.simulated.fills)} fills, {found.simulated.notional:,.0f} traded, PnL "
        f"{found.simulated.pnl:+,.4f}",
        f"matched:   {found.of_real:.1%} of what was really filled, {found.of_simulated:.1%} of what was simulated",
    ]
    if found.is_exact:
        lines.append("fill for fill the same")
    elif worse is not None:
        late_ms = late_s(found) * 1000
        lines.append(
            f"           real prices {abs(worse):.3f} bps {'worse' if worse >= 0 else 'better'}, "
            f"{abs(late_ms):.0f} ms {'later' if late_ms >= 0 else 'earlier'} (median)"
        )
    lines.append(
        f"gap:       {gap.whole:+,.4f} = fees {gap.fees:+,.4f}, funding {gap.funding:+,.4f}, latency {gap.latency:+,.4f}, "
        f"queue {gap.queue:+,.4f}"
    )
    models = "; ".join(f"{name} {found.models[name]}" for name in ("fill model", "queue", "latency", "fees", "funding"))
    measured = "" if found.latency_ms is None else f"; measured latency {found.latency_ms:.1f} ms"
    return [*lines, f"{models}{measured}", *(f"- {remark}" for remark in found.remarks)]
