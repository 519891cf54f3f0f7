"""A practice exchange and an engine, each a process of its own in a home of its own, and the levers to hurt them.

Nothing here knows the inside of either process: they are started by the command line, found by their run files, asked over
their ports, and killed by their pid. Whatever a test leaves running is ended by `Stack.close`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from tests.ports import free_ports

from perpmaker.clock import WallClock
from perpmaker.control.client import ControlClient, EngineUnreachable
from perpmaker.control.home import RunFile, make_home, read_run_file
from perpmaker.control.messages import CommandAnswer, CommandKind, Status
from perpmaker.engine.folders import engine_folder, journal_folder

ROOT: Final = Path(__file__).resolve().parents[2]
SYMBOLS: Final = {"btc": "BTC_USDT_Perp", "eth": "ETH_USDT_Perp", "sol": "SOL_USDT_Perp"}
PATIENCE_S: Final = 100.0
"""How long is waited for what has to come about, on a machine that other tests keep busy. No goal is held by it: where a
goal bounds a time, that is measured, by stamps of the engine or the exchange if there are any."""
READY_S: Final = 10.0
"""Goal R16: an engine trades this soon after its start."""
NAME: Final = "chaos"
ACTOR: Final = "chaos test"
_CLOCK: Final = WallClock()

T = TypeVar("T")


def now_ns() -> int:
    """UTC by the clock that exchange and engine read too: they are on this machine."""
    return _CLOCK.now_ns()


def until(asked: Callable[[], T], limit_s: float, what: str, *, poll_s: float = 0.02) -> T:
    """Ask until the answer is true, and return it; fail after `limit_s`, saying what was waited for.

    An engine that does not answer counts as not yet.
    """
    deadline = time.monotonic() + limit_s
    while True:
        said = ""
        try:
            if answer := asked():
                return answer
        except EngineUnreachable as error:
            said = f" ({error})"
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}{said}"
        time.sleep(poll_s)


def makers(
    names: Iterable[str] = SYMBOLS,
    *,
    half_spread_bps: float = 1.5,
    layers: int = 2,
    dead_man_s: int = 25,
    orders_per_s: int = 20,
    model: str = "fixed",
) -> str:
    """A configuration of eager market makers without a warm-up: near the touch, many changes, many fills."""
    head = f"""
schema_version = 1
env = "local"
mode = "live"
name = "{NAME}"
instance = 7

[account.main]
venue = "grvt"
local_account = 0
dead_man_s = {dead_man_s}

[risk]
max_position_notional = 5000
max_order_notional = 1000
max_open_orders = 60
max_loss = 5000
orders_per_s = {orders_per_s}

[control]
port = 0
"""
    return head + "".join(
        f"""
[[strategy]]
name = "{name}"
kind = "market_maker"
account = "main"
instrument = "{SYMBOLS[name]}"

[strategy.quoting]
model = "{model}"
half_spread_bps = {half_spread_bps}
layers = {layers}
layer_spacing_bps = 1.5
order_notional = 200
tolerance_bps = 0.3
cool_down_s = 0.5

[strategy.estimates]
warm_up_s = 0
warm_up_trades = 0
"""
        for name in names
    )


class Process:
    """`python -m perpmaker --home HOME ...`: its log goes to `logs/NAME.log`, its run file says where it serves."""

    def __init__(self, home: Path, name: str, arguments: Iterable[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = home / "logs" / f"{name}.log"
        self.started_ns = now_ns()
        self._home = home
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "perpmaker", "--home", str(home), *arguments],
                stdin=subprocess.PIPE,  # its end tells the child that the tests are gone, however they went
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, **environment, "PERPMAKER_SUPERVISED": "1", "PYTHONHASHSEED": "random"},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """Exit code, None while it runs; negative: the signal that killed it."""
        return self._popen.poll()

    def run_file(self) -> RunFile | None:
        """Its run file, once this very process has written it."""
        assert self.code is None, f"{self.name} ended with code {self.code}:\n{self.last_lines()}"
        found = read_run_file(self._home, self.name)
        return found if found is not None and found.pid == self.pid else None

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, limit_s: float) -> int:
        """Return the exit code."""
        try:
            code = self._popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {limit_s:g} s:\n{self.last_lines()}") from None
        self._close()
        return code

    def kill(self) -> None:
        """End it as `kill -9` does; SIGKILL also ends a stopped process."""
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()
        self._close()

    def last_lines(self, count: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def _close(self) -> None:
        if self._popen.stdin is not None:
            self._popen.stdin.close()


class FaultRule:
    """A rule in force at the exchange."""

    def __init__(self, stack: Stack, number: int) -> None:
        self._stack = stack
        self.number = number

    def hits(self) -> int:
        """How often it acted: the proof that the fault really happened."""
        rows = self._stack.control("GET", "/faults")["rules"]
        return next(int(row["hits"]) for row in rows if row["id"] == self.number)


class Stack:
    """One home with an exchange and an engine in it."""

    def __init__(self, home: Path, config: str, *, exchange_options: Iterable[str] = (), seed: int = 1) -> None:
        self.home = make_home(home)
        self.config = home / "config.toml"
        self.config.write_text(config)
        self.exchange: Process | None = None
        self.engine: Process | None = None
        self._exchange_options = ("--seed", str(seed), *exchange_options)
        self._port = 0
        self._url = ""
        self.folder = engine_folder(self.home, NAME, "local")

    # the exchange

    def start_exchange(self) -> None:
        """Start it, the second time at the same addresses, and wait until it serves."""
        self._port = self._port or free_ports(3)
        options = ["exchange", "--port", str(self._port), *self._exchange_options]
        self.exchange = Process(self.home, "exchange", options, {})
        run_file = until(self.exchange.run_file, PATIENCE_S, "the exchange serves")
        self._url = run_file.urls["control"]

    def kill_exchange(self) -> None:
        assert self.exchange is not None
        self.exchange.kill()

    @property
    def venue(self) -> RunFile:
        """Addresses and accounts of the exchange."""
        found = read_run_file(self.home, "exchange")
        assert found is not None
        return found

    @property
    def credentials(self) -> dict[str, Any]:
        """The account the engine trades on."""
        account: dict[str, Any] = json.loads(self.venue.extra["accounts"])[0]
        return account

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the exchange's control port."""
        status, _, payload = http_json(method, self._url + path, body)
        assert status == 200, payload
        return payload

    def requests(self) -> dict[str, int]:
        """How many requests of each route reached the exchange, ours among them."""
        counted: dict[str, int] = self.control("GET", "/faults")["requests"]
        return counted

    def act(self, action: str, **members: Any) -> Any:
        """Do a fault that happens at once."""
        return self.control("POST", "/faults", {"action": action, **members})

    @contextmanager
    def fault(self, action: str, **members: Any) -> Iterator[FaultRule]:
        """Keep a fault rule in force."""
        rule = FaultRule(self, self.act(action, **members)["id"])
        yield rule
        self.control("DELETE", f"/faults/{rule.number}")

    # the engine

    def start_engine(self, failpoint: str = "") -> Process:
        """Start it; with `failpoint` ("NAME:NTH") it kills itself there."""
        environment = {"PERPMAKER_FAILPOINT": failpoint} if failpoint else {}
        self.engine = Process(self.home, "engine", ["run", str(self.config)], environment)
        return self.engine

    @property
    def running(self) -> Process:
        assert self.engine is not None
        return self.engine

    def client(self) -> ControlClient | None:
        run_file = self.running.run_file()
        return None if run_file is None else ControlClient.of(run_file)

    def status(self) -> Status:
        """The engine's picture of itself; fails when it does not answer."""
        return until(self.client, PATIENCE_S, "the engine's control API is published").status()

    def quoting(self) -> Status | None:
        """The engine's status once every strategy quotes, and the exchange shows an order of each; else None."""
        client = self.client()
        if client is None:
            return None
        status = client.status()
        if status.state != "running" or any(row.state not in ("quoting", "warming_up") for row in status.strategies):
            return None
        wanted = {row.instrument for row in status.strategies}
        resting = {row["instrument"] for row in self.open_orders()}
        return status if wanted <= resting else None

    def wait_quoting(self, limit_s: float = PATIENCE_S, what: str = "the engine quotes every instrument") -> Status:
        """Wait for `quoting`; on failure say what the engine said."""
        try:
            return until(self.quoting, limit_s, what, poll_s=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.plight()}") from None

    def plight(self) -> str:
        """What the engine says about why it does not trade, for a failed test's report."""
        try:
            client = self.client()
            status = None if client is None else client.status()
        except (AssertionError, EngineUnreachable) as error:
            return str(error)
        if status is None:
            return f"no run file yet\n{self.running.last_lines()}"
        rows = [f"{row.name}: {row.state} {row.reason}" for row in status.strategies]
        orders = [f"{row.client_order_id} {row.instrument} {row.state}" for row in status.open_orders]
        said = [f"state {status.state} {status.reason}", *rows, *orders, f"links {status.links}", *status.warnings]
        return "\n".join([*said, self.running.last_lines()])

    def command(self, kind: CommandKind, arguments: Mapping[str, str] | None = None) -> CommandAnswer:
        client = until(self.client, PATIENCE_S, "the engine's control API is published")
        return client.command(kind, arguments, actor=ACTOR, now_ns=now_ns())

    def kill_engine(self) -> None:
        self.running.kill()

    def stop_engine(self) -> int:
        """Ask it to end as Ctrl-C does; return its exit code."""
        self.running.signal(signal.SIGTERM)
        return self.running.wait(PATIENCE_S)

    @property
    def journal(self) -> Path:
        """The folder of the engine's journal."""
        return journal_folder(self.folder)

    def open_orders(self) -> list[dict[str, Any]]:
        """Our open orders by the exchange's own ledger."""
        orders: list[dict[str, Any]] = self.account()["open_orders"]
        return orders

    def account(self) -> dict[str, Any]:
        """Our account in the exchange's ledger."""
        sub_account_id = self.credentials["sub_account_id"]
        rows = self.control("GET", "/ledger")["accounts"]
        return next(row for row in rows if row["sub_account_id"] == sub_account_id)

    def close(self) -> None:
        """End whatever still runs."""
        for process in (self.engine, self.exchange):
            if process is not None:
                process.kill()


def http_json(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, *, limit_s: float = PATIENCE_S
) -> tuple[int, http.client.HTTPMessage, Any]:
    """One request with a JSON body and a JSON answer."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=limit_s)
    try:
        payload = None if body is None else msgspec.json.encode(body)
        connection.request(method, address.path, payload, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        content = response.read()
        return response.status, response.headers, msgspec.json.decode(content) if content else None
    finally:
        connection.close()
