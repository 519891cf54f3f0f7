"""`perpmaker tape`: look at tapes, check, cut, convert and simulate them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from perpmaker.cli.tape_times import Moment, TapeTime, span
from perpmaker.errors import DataError, InvariantError

if TYPE_CHECKING:
    from perpmaker.tape.examine import Examination, Finding
    from perpmaker.tape.importers.convert import Options, Report
    from perpmaker.tape.reader import Tape

PATHS = click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
OUTPUT = click.argument("output", metavar="OUTPUT", type=click.Path(dir_okay=False, path_type=Path))
FORCE = click.option("--force", is_flag=True, help="Write over an OUTPUT that is there.")
_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_DAMAGED: Final = DataError.exit_code


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look at recorded markets, check, cut, convert and simulate them. docs/howto/record-and-import-tapes.md shows how."""


@command.command()
@PATHS
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def info(paths: tuple[Path, ...], as_json: bool) -> None:
    """Show what a tape holds; several paths are taken as one tape, merged by receive time."""
    from perpmaker.tape.reader import open_tape

    tape = open_tape(*paths)
    told = _described(tape, paths)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
        return
    for key, value in told.items():
        if key not in ("instruments", "counts", "notes"):
            click.echo(f"{key + ':':14}{value}")
    click.echo(f"{'rows by kind:':14}{', '.join(f'{name} {count:,}' for name, count in told['counts'].items())}")
    for note, text in told["notes"].items():
        click.echo(f"{note + ':':13} {text}")
    _table(
        ("instrument", "contract", "tick", "lot", "multiplier", "quote", "venue"),
        [tuple(row.values()) for row in told["instruments"]],
    )


@command.command()
@PATHS
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def check(paths: tuple[Path, ...], as_json: bool) -> None:
    """Read a tape through: checksums, order, whole messages, books that make sense. Exit code 7 when it is damaged."""
    from perpmaker.cli.export import progress
    from perpmaker.tape.examine import examine
    from perpmaker.tape.reader import open_tape

    tape = open_tape(*paths)
    with progress("reading the tape") as steps:
        found = examine(tape, lambda rows: steps(rows, tape.rows))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _show_examination(found)
    if found.errors:
        raise SystemExit(_DAMAGED)


@command.command()
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@OUTPUT
@FORCE
@click.option(
    "--from",
    "begin",
    metavar="TIME",
    type=TapeTime(),
    help="UTC, as 2026-01-31T12:00:00, +90s or +5m after the tape's beginning, or -1h before its end.",
)
@click.option("--to", "end", metavar="TIME", type=TapeTime(), help="The same; what happens then is not included.")
@click.option(
    "--instrument", "instruments", metavar="NAME", multiple=True, help="Keep this one alone; may be repeated."
)
def cut(
    path: Path, output: Path, begin: Moment | None, end: Moment | None, instruments: tuple[str, ...], *, force: bool
) -> None:
    """Write a part of a tape as a tape that stands for itself: it begins with the books as they were then."""
    from perpmaker.model.ids import InstrumentId
    from perpmaker.tape.cut import cut as write_cut
    from perpmaker.tape.reader import ALWAYS, open_tape

    tape = open_tape(path)
    _must_be_tape(output)
    _must_be_free(output, [path], force=force)
    from_ns, to_ns = span(tape, begin, end)
    rows = write_cut(
        tape,
        output,
        from_ns=0 if begin is None else from_ns,
        to_ns=ALWAYS if end is None else to_ns,
        instruments=[InstrumentId(name) for name in instruments],
    )
    click.echo(f"{output}: {rows:,} rows, {_size(output)}")


@command.command()
@PATHS
@OUTPUT
@FORCE
@click.option(
    "--format", "form", metavar="FORMAT",
    type=click.Choice(["binance", "bybit-book", "bybit-trades", "hftbacktest", "tardis", "lobster", "databento"]),
    help="What the files are; default: as they look.",
)  # fmt: skip
@click.option("--symbol", help="The instrument's name on the tape; needed for npz files, which do not name it.")
@click.option("--exchange", help="Its exchange; with --symbol alone: grvt.")
@click.option("--tick", type=Decimal, help="Price step; default: the coarsest on which every price lies.")
@click.option("--lot", type=Decimal, help="Quantity step; default: the coarsest power of ten.")
@click.option("--contract", type=click.Choice(["linear", "inverse", "spot"]), help="How quantities turn into money.")
@click.option("--multiplier", type=Decimal, help="Base units of one quantity (inverse: quote units of one contract).")
@click.option(
    "--least-latency-ms",
    type=float,
    help="Shift receive times by a constant, so that the smallest latency becomes this.",
)
def convert(paths: tuple[Path, ...], output: Path, *, force: bool, **said: Any) -> None:
    """Write recordings as one tape, or a tape for other programs.

    Reads Binance raw streams, Bybit's archive, hftbacktest npz, Tardis and LOBSTER CSV, Databento MBO as CSV or DBN (packed
    by gzip, zstd or zip too), recordings of `perpmaker record` that were not compacted yet, and tapes. OUTPUT may end in
    .tape, .parquet, or .npz for hftbacktest. A broken file is an error with its line, and then there is no OUTPUT.
    """
    from perpmaker.tape import live
    from perpmaker.tape.schema import SUFFIX

    _must_be_free(output, paths, force=force)
    lives = [found for path in paths for found in (sorted(path.glob(f"*{live.SUFFIX}")) if path.is_dir() else [path])]
    lives = [path for path in lives if path.suffix == live.SUFFIX]
    tapes = [path for path in paths if path.suffix == SUFFIX or (path.is_dir() and any(path.glob(f"*{SUFFIX}")))]
    foreign = [path for path in paths if path not in lives and path not in tapes and not path.is_dir()]
    if sum(map(bool, (lives, tapes, foreign))) != 1:
        raise click.UsageError("give recordings, tapes, or other programs' files: one kind of them")
    if output.suffix != SUFFIX:
        if not tapes:
            raise click.UsageError(
                f"only tapes are written as {output.suffix or 'other files'}; convert to .tape first"
            )
        _export(tapes, output)
    elif lives:
        _compact(lives, output)
        _show_unhealed(output)
    elif tapes:
        _rewrite(tapes, output)
        _show_unhealed(output)
    else:
        _import(foreign, output, said)
        _show_unhealed(output)


@command.command()
@click.argument("path", metavar="TAPE", type=click.Path(exists=True, path_type=Path))
@OUTPUT
@FORCE
def fuse(path: Path, output: Path, *, force: bool) -> None:
    """Write a tape whose streams of best prices have become changes of its book.

    Book frames are often coarser than the venue: between two of them the book is old, and a simulated order meets what is
    no longer there. A stream of best prices (`bbo` rows) is fresher; backtests and the practice exchange take it in
    where it is part of the book.
    """
    from perpmaker.cli.export import progress
    from perpmaker.tape.fuse import fuse as write_fused
    from perpmaker.tape.reader import open_tape

    _must_be_tape(output)
    _must_be_free(output, [path], force=force)
    tape = open_tape(path)
    with progress("fusing") as steps:
        steps(0, tape.rows)
        found = write_fused(tape, output, lambda rows: steps(rows, tape.rows))
    click.echo(
        f"{output}: {found.changed:,} messages of best prices changed the book, {found.known:,} said nothing new, "
        f"{found.unplaced:,} could not be placed; {_size(output)}"
    )


@command.command()
@OUTPUT
@FORCE
@click.option("--hours", type=click.FloatRange(0.0, min_open=True), default=1.0, show_default=True, help="How long.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed writes the same tape.")
@click.option(
    "--activity", type=click.FloatRange(0.1, 2.0), default=1.0, show_default=True, help="How busy, times the usual."
)
@click.option(
    "--instruments", "listing", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Instrument list as the practice exchange takes it; default: BTC, ETH, SOL.",
)  # fmt: skip
def simulate(output: Path, hours: float, seed: int, activity: float, listing: Path | None, *, force: bool) -> None:
    """Write a tape of the practice exchange's simulated market, as GRVT's streams would have told it."""
    from perpmaker.cli.export import progress
    from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
    from perpmaker.exchange.core.instruments_file import parse_instruments
    from perpmaker.research.simulated_tape import simulate as write_simulated

    _must_be_tape(output)
    _must_be_free(output, [] if listing is None else [listing], force=force)
    form = "" if listing is None else listing.suffix.removeprefix(".").lower()
    instruments = DEFAULT_INSTRUMENTS if listing is None else parse_instruments(listing.read_text(), form=form)
    duration_ns = round(hours * 3600 * _NS_PER_S)
    with progress(f"simulating {hours:g} h") as steps:
        rows = write_simulated(
            output, duration_ns=duration_ns, seed=seed, instruments=instruments, activity=activity,
            steps=lambda done_ns: steps(done_ns // _NS_PER_S, duration_ns // _NS_PER_S),
        )  # fmt: skip
    click.echo(f"{output}: {rows:,} rows, {_size(output)}")


@command.command()
@click.argument("path", metavar="SESSION", type=click.Path(path_type=Path))
@OUTPUT
@FORCE
def market(path: Path, output: Path, *, force: bool) -> None:
    """Write the market of an engine's recorded session as a tape, without the engine's own orders in its books.

    `backtest` and `parity` do so by themselves; `tune` and the practice exchange take the tape. What of ours stood at a
    price when the venue wrote a frame is taken off the level; trades that we were the taker of are left out. What others
    did because we were there stays. A paper session's books never showed our orders. A piece that was cut out of a session
    after its beginning does not tell which they are: write the market of the whole, then cut that.
    """
    from perpmaker.research.session_market import write_market

    _must_be_tape(output)
    _must_be_free(output, [path], force=force)
    own = write_market(path, output)
    click.echo(
        f"{output}: {'a paper session, nothing to take out' if own is None else own.describe()}; {_size(output)}"
    )


@command.command()
@click.argument("path", metavar="SESSION", type=click.Path(path_type=Path))
def replay(path: Path) -> None:
    """Play a recorded life of an engine through the core again: the same events have to give the same commands.

    SESSION is a folder that an engine with `[engine] record = true` left in recordings/, or the tape made of one. Exit
    code 8 when an answer differs: then something reached the core by another way than its events.
    """
    from perpmaker.cli.export import progress
    from perpmaker.engine.replaying import replay as play_again

    with progress("replaying") as steps:
        steps(0, 0)
        found = play_again(path, steps=lambda events: steps(events, 0))
    if found.difference is None:
        click.echo(
            f"{found.events:,} events gave the same commands, {found.commands:,} of them, in {found.answers:,} answers"
        )
        return
    click.echo(f"after event {found.difference.event:,} the answers differ")
    click.echo(f"recorded: {found.difference.recorded}")
    click.echo(f"replayed: {found.difference.replayed}")
    raise SystemExit(InvariantError.exit_code)


# --- conversions


def _import(paths: list[Path], output: Path, said: dict[str, Any]) -> None:
    from perpmaker.cli.export import progress
    from perpmaker.tape.importers.convert import convert as write_imported

    with progress("reading") as steps:
        steps(0, 0)
        report = write_imported(paths, output, _options(said), lambda path, done: steps(done, 0))
    click.echo(f"{output}: {report.rows:,} rows, {_size(output)}")
    _show_report(report)


def _options(said: dict[str, Any]) -> Options:
    from perpmaker.tape.importers.convert import Options

    least_ms = said["least_latency_ms"]
    for key in ("tick", "lot", "multiplier"):
        if said[key] is not None and not (said[key].is_finite() and said[key] > 0):
            raise click.BadParameter(f"{said[key]} is not above 0", param_hint=f"--{key}")
    return Options(
        format=said["form"], symbol=said["symbol"], exchange=said["exchange"], tick=said["tick"], lot=said["lot"],
        contract=said["contract"], multiplier=said["multiplier"],
        least_latency_ns=None if least_ms is None else round(least_ms * _NS_PER_MS),
    )  # fmt: skip


def _show_report(report: Report) -> None:
    for name, told in report.bad.items():
        click.echo(f"bad rows of {name}: {told}")
    if report.shifted_ns:
        click.echo(f"receive times shifted by {report.shifted_ns / _NS_PER_MS:+.3f} ms")
    elif report.least_latency_ns is not None and report.least_latency_ns < 0:
        click.echo(
            f"the smallest latency is {report.least_latency_ns / _NS_PER_MS:.1f} ms: the recorder's clock was behind the "
            "venue's; --least-latency-ms 1 sets it right"
        )


def _show_unhealed(output: Path) -> None:
    """Tell the gaps after which a written tape has no whole book any more."""
    from perpmaker.tape.examine import unhealed
    from perpmaker.tape.reader import open_tape

    for name, text in unhealed(open_tape(output)).items():
        click.echo(f"warning: {name}: {text}")


def _compact(paths: list[Path], output: Path) -> None:
    from perpmaker.tape.recorder import compact_all

    is_session = _begins_with_session(paths[0])
    source = f"recorded by perpmaker in {len(paths)} files"
    lines = compact_all(paths, output, source=source, clamp=not is_session)
    click.echo(f"{output}: {sum(lines.values()):,} events of {len(paths)} files, {_size(output)}")


def _begins_with_session(path: Path) -> bool:
    """A session's order is the order of processing, whatever the times say."""
    from perpmaker.tape import live

    first = next(live.read_live(path), None)
    return first is not None and first.tag == live.SESSION


def _rewrite(paths: list[Path], output: Path) -> None:
    from perpmaker.tape.cut import cut as write_cut
    from perpmaker.tape.reader import open_tape

    rows = write_cut(open_tape(*paths), output)
    click.echo(f"{output}: {rows:,} rows, {_size(output)}")


def _export(paths: list[Path], output: Path) -> None:
    from perpmaker.cli.export import progress
    from perpmaker.tape.export import to_hftbacktest, to_parquet
    from perpmaker.tape.reader import open_tape

    write = {".parquet": to_parquet, ".npz": to_hftbacktest}.get(output.suffix)
    if write is None:
        raise click.UsageError("OUTPUT ends in .tape, .parquet or .npz")
    tape = open_tape(*paths)
    with progress(f"writing {output.name}") as steps:
        write(tape, output, lambda rows: steps(rows, tape.rows))
    click.echo(f"{output}: {tape.rows:,} rows, {_size(output)}")


# --- words


def _described(tape: Tape, paths: tuple[Path, ...]) -> dict[str, Any]:
    from perpmaker.tape.examine import begins_ns, files_of, notes_of

    files, first_ns = files_of(tape), begins_ns(tape)
    size = sum(file.path.stat().st_size for file in files)
    told: dict[str, Any] = {
        "tape": " + ".join(map(str, paths)),
        "from": _utc(first_ns),
        "to": _utc(tape.last_recv_ns),
        "length": f"{(tape.last_recv_ns - first_ns) / _NS_PER_S:,.1f} s",
        "rows": f"{tape.rows:,}",
        "in order": "yes" if tape.in_order else "no: the order of a session, in which times may step back",
        "fingerprint": tape.fingerprint,
    }
    if files:
        told["size"] = f"{size:,} bytes in {len(files)} files, {size / max(1, tape.rows):.1f} a row"
        told["source"] = "; ".join(dict.fromkeys(file.contents.source for file in files))
    told["counts"] = tape.counts
    told["notes"] = notes_of(tape)
    told["instruments"] = [
        {
            "instrument": str(listed.instrument_id),
            "contract": listed.contract,
            "tick": str(listed.instrument.tick),
            "lot": str(listed.instrument.lot),
            "multiplier": str(listed.multiplier),
            "quote": listed.instrument.quote,
            "venue": listed.instrument.exchange,
        }
        for listed in tape.instruments
    ]
    return told


def _show_examination(found: Examination) -> None:
    _table(
        ("instrument", "snapshots", "changes", "trades", "tickers", "gaps", "crossed"),
        [(str(name), *_cells(finding)) for name, finding in found.instruments.items()],
    )
    for name, finding in found.instruments.items():
        click.echo(f"{name}: {_times(finding)}")
    for text in found.warnings:
        click.echo(f"warning: {text}")
    for text in found.errors:
        click.echo(f"error: {text}")
    verdict = "damaged" if found.errors else "good"
    click.echo(f"{found.rows:,} rows, {found.messages:,} messages: {verdict}")


def _cells(finding: Finding) -> tuple[str, ...]:
    counts = (finding.snapshots, finding.deltas, finding.trades, finding.tickers, finding.gaps, finding.crossed)
    return tuple(f"{count:,}" for count in counts)


def _times(finding: Finding) -> str:
    silence = f"silent for {finding.longest_silence_ns / _NS_PER_S:.1f} s at most"
    if finding.latency_ms is None:
        return f"{silence}, no venue times"
    least, median, high = finding.latency_ms
    return f"{silence}, latency {least:.1f} ms at least, {median:.1f} in the middle, {high:.1f} at 99 %"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print aligned columns, whole whatever the width: names and numbers are there to be copied."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        first, *others = (
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        click.echo("  ".join((first, *others)))


def _must_be_tape(path: Path) -> None:
    from perpmaker.tape.schema import SUFFIX

    if path.suffix != SUFFIX:
        raise click.UsageError(f"OUTPUT ends in {SUFFIX}")


def _must_be_free(output: Path, inputs: Iterable[Path], *, force: bool) -> None:
    """Keep what is there: OUTPUT is never what it is made of, and another file only when a person says so."""
    if not output.exists():
        return
    read = (file for path in inputs if path.exists() for file in (path.iterdir() if path.is_dir() else [path]))
    if any(output.samefile(file) for file in read):
        raise click.UsageError(f"OUTPUT is one of the inputs: {output}")
    if not force:
        raise click.UsageError(f"{output}: is there already; choose another OUTPUT, or write over it by --force")


def _utc(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / _NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.2f} MB"
