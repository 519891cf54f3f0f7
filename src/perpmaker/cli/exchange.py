"""`perpmaker exchange`: the practice exchange, for our own engine and for any GRVT client."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec

from perpmaker.clock import WallClock
from perpmaker.control.home import RunFile, published


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--venues",
    default="grvt",
    show_default=True,
    type=click.Choice(["grvt", "grvt,backpack"]),
    help="What to serve: GRVT, or Backpack beside it.",
)
@click.option("--port", default=8420, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--next-free", is_flag=True, help="When the port is taken use the next free one.")
@click.option(
    "--market",
    type=click.Choice(["simulated", "tape"]),
    default="simulated",
    show_default=True,
    help="Participants of its own, or a recording.",
)
@click.option(
    "--tape", "tapes", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="Recording: a tape, a folder of tapes, or a raw capture of Binance; may be repeated.",
)  # fmt: skip
@click.option(
    "--backpack-tape", "backpack_tapes", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="What Backpack plays beside it, at the same moments.",
)  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Seed of the simulated market.")
@click.option(
    "--activity",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1, 2.0),
    help="How often the simulated market's takers come and how large its orders are, as a multiple of the usual.",
)
@click.option(
    "--instruments", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Instrument list to serve."
)
@click.option("--accounts", default=2, show_default=True, type=click.IntRange(1, 64), help="Funded accounts to make.")
@click.option(
    "--fee-tier", type=click.IntRange(1, 9), help="Fee tier of the venue's table; default: as last seen live."
)
@click.option("--chain-id", type=click.Choice(["325", "326", "327"]), help="Accept signatures of this chain alone.")
@click.option(
    "--state", type=click.Path(file_okay=False, path_type=Path), help="Keep accounts and history in this folder."
)
@click.option(
    "--history-s",
    default=0,
    show_default=True,
    type=click.IntRange(0, 86_400),
    help="Seconds the simulated market has traded already when a new exchange opens.",
)
@click.pass_obj
def command(
    home: Path,
    venues: str,
    port: int,
    next_free: bool,
    market: str,
    tapes: tuple[Path, ...],
    backpack_tapes: tuple[Path, ...],
    seed: int,
    activity: float,
    instruments: Path | None,
    accounts: int,
    fee_tier: int | None,
    chain_id: str | None,
    state: Path | None,
    history_s: int,
) -> None:
    """Serve a GRVT-compatible exchange, and a Backpack-compatible one beside it, on 127.0.0.1 until stopped.

    When ready it prints exactly one JSON line on stdout: base URLs and funded accounts. Logs go to stderr.
    """
    from perpmaker import logs
    from perpmaker.cli.supervision import end_with_parent, refuse_second
    from perpmaker.exchange.server import ExchangeOptions, run

    refuse_second(home, "exchange")
    options = ExchangeOptions(
        venues=tuple(venues.split(",")),
        port=port,
        next_free=next_free,
        market="tape" if market == "tape" else "simulated",
        tapes=tapes,
        backpack_tapes=backpack_tapes,
        seed=seed,
        activity=activity,
        instruments=instruments,
        accounts=accounts,
        fee_tier=fee_tier,
        chain_id=None if chain_id is None else int(chain_id),
        state=state,
        history_s=history_s,
    )
    logs.configure()
    end_with_parent()
    with ExitStack() as until_end:
        run(options, lambda line: publish(home, line, until_end))


def publish(home: Path, line: dict[str, Any], until_end: ExitStack) -> None:
    """Keep `run/exchange.json`: the ready line's addresses as `urls`, its accounts and instance id in `extra`.

    A second venue's are there under names that begin with its own: `backpack_rest`, `backpack_accounts`.
    """
    urls = {key: value for key, value in line.items() if isinstance(value, str) and "://" in value}
    extra = {"accounts": _json(line["accounts"]), "instance_id": str(line["instance_id"])}
    for venue in ("backpack",):
        if venue in line:
            urls |= {f"{venue}_{name}": line[venue][name] for name in ("rest", "ws")}
            extra[f"{venue}_accounts"] = _json(line[venue]["accounts"])
    run_file = RunFile(name="exchange", pid=os.getpid(), urls=urls, started_ns=WallClock().now_ns(), extra=extra)
    until_end.enter_context(published(home, run_file))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
