"""A practice exchange and an engine as processes of their own, and what a test wants to ask of both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.ports import free_ports

from perpmaker.clock import WallClock
from perpmaker.control.client import ControlClient, EngineUnreachable
from perpmaker.control.home import RunFile, read_run_file, running
from perpmaker.control.messages import CommandAnswer, CommandKind, Status
from perpmaker.engine.folders import engine_folder, journal_folder
from perpmaker.engine.journalfile import Segment, segments, verify
from perpmaker.engine.records import FillBooked, Intent, Record, decode

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 100.0
"""How long is waited for what has to come about, on a machine that other tests keep busy."""
CONFIG = """
schema_version = 1
env = "local"
mode = "live"
name = "stage"

[account.main]
local_account = 0

[risk]
max_loss = 500
orders_per_s = 20

[control]
port = 0

[[strategy]]
name = "{name}"
kind = "market_maker"
account = "main"
instrument = "{instrument}"
{more}
"""
ETH = """
[[strategy]]
name = "eth"
kind = "market_maker"
account = "main"
instrument = "ETH_USDT_Perp"
"""


class Stage:
    """One home with an exchange and an engine. Ends everything it started."""

    def __init__(self, home: Path, *, seed: int = 11, instrument: str = "BTC_USDT_Perp", more: str = "") -> None:
        self.home = home
        self.seed = seed
        self.config = home / "stage.toml"
        name = instrument.partition("_")[0].lower()
        self.config.write_text(
            CONFIG.replace("{name}", name).replace("{instrument}", instrument).replace("{more}", more)
        )
        self.exchange: subprocess.Popen[bytes] | None = None
        self.engine: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}
        self.port = 0

    # --- exchange

    def start_exchange(self, *options: str) -> None:
        """Start the exchange (its state is kept in the home) and wait for its ready line; again at its old address."""
        self.port = self.port or free_ports(3)
        arguments = [
            "--port",
            str(self.port),
            "--seed",
            str(self.seed),
            "--state",
            str(self.home / "exchange"),
            *options,
        ]
        self.exchange = self._process("exchange", arguments, stdout=subprocess.PIPE)
        assert self.exchange.stdout is not None
        self.ready = json.loads(self.exchange.stdout.readline())

    def stop_exchange(self) -> None:
        if self.exchange is not None:
            self.exchange.terminate()
            self.exchange.wait(PATIENCE_S)
            if self.exchange.stdout is not None:
                self.exchange.stdout.close()
            self.exchange = None

    def ledger(self) -> dict[str, Any]:
        """Return the exchange's own truth about the engine's account."""
        whole = self.ask("GET", "/ledger")
        assert whole["violations"] == []
        account: dict[str, Any] = whole["accounts"][0]
        return account

    def fault(self, rule: dict[str, Any]) -> None:
        self.ask("POST", "/faults", rule)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.ready["control"] + path, data=data, method=method, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    # --- engine

    def start_engine(self, **environment: str) -> None:
        """Start the engine and wait until its control API answers."""
        self.engine = self._process("run", [str(self.config)], **environment)
        self.until(lambda: running(self.home, "engine") is not None, "the engine to publish itself")

    def _process(
        self, command: str, arguments: list[str], stdout: int | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        log = (self.home / f"{command}.log").open("ab")
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "perpmaker", "--home", str(self.home), command, *arguments],
                stdout=stdout or log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment},
                cwd=ROOT,
                start_new_session=True,
            )
        finally:
            log.close()

    def control(self) -> ControlClient:
        run_file = read_run_file(self.home, "engine")
        assert run_file is not None
        return ControlClient.of(run_file)

    def run_file(self) -> RunFile:
        found = running(self.home, "engine")
        assert found is not None
        return found

    def status(self) -> Status:
        return self.control().status()

    def command(self, kind: CommandKind, **arguments: str) -> CommandAnswer:
        """Send a command and follow it until it is done or refused."""
        client = self.control()
        answer = client.command(kind, arguments, actor="test", now_ns=WallClock().now_ns())
        deadline = time.monotonic() + PATIENCE_S
        while answer.state == "accepted" and time.monotonic() < deadline:
            time.sleep(0.05)
            answer = client.answer(answer.command_id)
        return answer

    def kill_engine(self) -> None:
        """End the engine as a power cut of the process would."""
        assert self.engine is not None
        self.engine.send_signal(signal.SIGKILL)
        self.engine.wait(10)

    def stop_engine(self, number: int = signal.SIGTERM, timeout_s: float = PATIENCE_S) -> int:
        assert self.engine is not None
        if self.engine.poll() is None:
            self.engine.send_signal(number)
        code = self.engine.wait(timeout_s)
        self.engine = None
        return code

    def end(self) -> None:
        if self.engine is not None and self.engine.poll() is None:
            self.engine.kill()
            self.engine.wait(10)
        self.stop_exchange()

    # --- waiting, comparing

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> float:
        """Wait for a condition; returns how long it took. An engine that does not answer yet counts as not yet."""
        begin = time.monotonic()
        while True:
            try:
                if condition():
                    return time.monotonic() - begin
            except EngineUnreachable:
                pass
            if time.monotonic() - begin > timeout_s:
                raise AssertionError(f"waited {timeout_s} s for {what}\n{self.log()}")
            time.sleep(0.05)

    def until_quoting(self, timeout_s: float = PATIENCE_S) -> float:
        """Wait until every strategy has quotes in the book and nothing in its way."""
        return self.until(lambda: self.is_quoting(self.status()), "quotes", timeout_s)

    @staticmethod
    def is_quoting(status: Status) -> bool:
        quoted = {row.instrument for row in status.open_orders if row.state == "open"}
        working = all(row.state in ("quoting", "warming_up") for row in status.strategies)
        return status.state == "running" and working and quoted >= {row.instrument for row in status.strategies}

    def until_fills(self, count: int, timeout_s: float = 2 * PATIENCE_S) -> None:
        self.until(lambda: self.status().fills_total >= count, f"{count} fills", timeout_s)

    def whole_log(self) -> str:
        return (self.home / "run.log").read_text(errors="replace")

    def log(self) -> str:
        return "\n".join(self.whole_log().splitlines()[-40:])

    def records(self) -> list[Record]:
        """Return everything in the engine's journal, whose chain is verified on the way."""
        folder = journal_folder(engine_folder(self.home, "stage", "local"))
        verify(folder)
        return [decode(payload) for path in segments(folder) for _, payload in Segment(path)]

    def assert_settled(self) -> None:
        """The engine at rest and the exchange agree on every fill, position, balance; no order is unknown or doubled."""
        ledger = self.ledger()
        records = self.records()
        booked = {(r.fill.trade_id, r.fill.side.value): r.fill for r in records if isinstance(r, FillBooked)}
        numbers = [r.number for r in records if isinstance(r, FillBooked)]
        assert numbers == list(range(1, len(numbers) + 1))
        theirs = {(row["trade_id"], row["side"].lower()): row for row in ledger["fills"]}
        assert booked.keys() == theirs.keys()
        for key, fill in booked.items():
            row = theirs[key]
            found = (fill.px, fill.qty, fill.fee, str(int(fill.client_order_id)))
            assert found == (Decimal(row["px"]), Decimal(row["qty"]), Decimal(row["fee"]), row["client_order_id"])
        intents = [str(int(r.order.client_order_id)) for r in records if isinstance(r, Intent)]
        assert len(set(intents)) == len(intents)
        assert {row["client_order_id"] for row in ledger["fills"]} <= set(intents)
        assert {row["client_order_id"] for row in ledger["open_orders"]} <= set(intents)


@contextmanager
def stage(home: Path, **options: Any) -> Iterator[Stage]:
    made = Stage(home, **options)
    try:
        yield made
    finally:
        made.end()
