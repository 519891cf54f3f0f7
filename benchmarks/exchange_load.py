"""How the practice exchange bears load: acknowledgement times of orders, and how far behind its listeners are.

    python -m benchmarks.exchange_load [--seconds 60] [--subscribers 50] [--resting 2000] [--rate 50]

The exchange runs on one core, the load on the others. Every subscriber listens to `v1.book.d@50` and `v1.trade` of four
instruments; resting orders are spread over four accounts; half of the operations create a post-only order, half cancel
it. "Behind" is the time from a frame's `event_time` to its arrival, so it includes the 50 ms of a book's rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.contract.exchange import client as wire  # noqa: E402

PRICES = {"BTC": ("60000", "0.1", "0.001"), "ETH": ("2600", "0.01", "0.01"), "SOL": ("150", "0.01", "0.1")}
HASHES = {"BTC": "0x030501", "ETH": "0x030401", "SOL": "0x030601", "BNB": "0x030801"}
ACCOUNTS = 4


def instruments_file(folder: Path) -> Path:
    """Four instruments: the usual three and one more."""
    rows = []
    for base, asset in HASHES.items():
        px, tick, lot = PRICES.get(base, ("600", "0.01", "0.01"))
        rows.append(
            f'[[instrument]]\nname = "{base}_USDT_Perp"\ninstrument_hash = "{asset}"\ntick_size = "{tick}"\n'
            f'min_size = "{lot}"\nmin_notional = "20"\nmax_position_size = "100000"\nstart_price = "{px}"\n'
        )
    path = folder / "instruments.toml"
    path.write_text("\n".join(rows))
    return path


def percentile(sorted_values: Sequence[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def summary(values_ms: list[float]) -> str:
    values_ms.sort()
    points = {f"p{share * 100:g}": percentile(values_ms, share) for share in (0.5, 0.9, 0.99)}
    figures = "  ".join(f"{name} {value:7.2f} ms" for name, value in points.items())
    return f"{figures}  max {values_ms[-1]:7.2f} ms  ({len(values_ms)} samples)"


class Listeners:
    """Subscribers that note how far behind each frame is."""

    def __init__(self) -> None:
        self.book_ms: list[float] = []
        self.trade_ms: list[float] = []
        self.worst_ms: dict[int, float] = {}
        self.measuring = False

    async def listen(self, http: aiohttp.ClientSession, line: dict[str, Any], number: int) -> None:
        async with http.ws_connect(f"{line['ws_market_data']}/ws/full", max_msg_size=0) as ws:
            for stream, rate in (("v1.book.d", "50"), ("v1.trade", "50")):
                selectors = [f"{base}_USDT_Perp@{rate}" for base in HASHES]
                params = {"stream": stream, "selectors": selectors}
                await ws.send_json({"jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1})
            async for message in ws:
                if self.measuring:
                    self.note(message.data, number)

    def note(self, text: str, number: int) -> None:
        at = text.find('"event_time":"')
        if at < 0 or '"sequence_number":"0"' in text[:120]:
            return
        behind_ms = (time.time_ns() - int(text[at + 14 : at + 33])) / 1e6  # noqa: TID251
        (self.book_ms if '"v1.book.d"' in text[:40] else self.trade_ms).append(behind_ms)
        self.worst_ms[number] = max(self.worst_ms.get(number, 0.0), behind_ms)


async def rest_orders(clients: list[wire.Client], count: int) -> None:
    """Put post-only orders far below the market, in bulk requests."""
    for number in range(0, count, 50):
        client = clients[number // 50 % len(clients)]
        base, (px, _, lot) = list(PRICES.items())[number // 50 % 3]
        tick, start = float(PRICES[base][1]), float(px) * 0.9
        qty = f"{max(float(lot), round(25 / start / float(lot)) * float(lot)):.3f}"
        orders = [
            client.order(px=f"{start - tick * (number + step):.2f}", qty=qty, instrument=f"{base}_USDT_Perp")
            | {"post_only": False}
            for step in range(50)
        ]
        await client.ok("bulk_orders", {"sub_account_id": client.sub, "orders": orders}, version="v2")


async def operate(client: wire.Client, rate: float, seconds: float, acks_ms: dict[str, list[float]]) -> None:
    """Create and cancel in turns, at an even pace that does not wait for slow answers."""
    started, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds / 2)):
        pause = started + 2 * number / rate - time.perf_counter()
        await asyncio.sleep(max(0.0, pause))
        tasks.append(asyncio.create_task(create_and_cancel(client, rate, acks_ms)))
    await asyncio.gather(*tasks)


async def create_and_cancel(client: wire.Client, rate: float, acks_ms: dict[str, list[float]]) -> None:
    order = client.order(px="54000.0", qty="0.002", post_only=True)
    await timed(client, "create_order", {"order": order}, acks_ms)
    await asyncio.sleep(1 / rate)
    number = order["metadata"]["client_order_id"]
    await timed(client, "cancel_order", {"sub_account_id": client.sub, "client_order_id": number}, acks_ms)


async def timed(client: wire.Client, route: str, body: Any, acks_ms: dict[str, list[float]]) -> None:
    sent = time.perf_counter()
    await client.ok(route, body)
    acks_ms.setdefault(route, []).append((time.perf_counter() - sent) * 1000)


async def measure(line: dict[str, Any], options: argparse.Namespace, pid: int) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        clients = [wire.Client(http, line, number) for number in range(ACCOUNTS)]
        for client in clients:
            await client.log_in()
        await rest_orders(clients, options.resting)
        standing = 0
        for client in clients:
            standing += len((await client.ok("open_orders", {"sub_account_id": client.sub}))["result"])
        listeners = Listeners()
        tasks = [asyncio.create_task(listeners.listen(http, line, number)) for number in range(options.subscribers)]
        await asyncio.sleep(2)
        listeners.measuring = True
        used_s, own_s, all_s = cpu_s(pid), cpu_s(os.getpid()), machine_cpu_s()
        acks_ms: dict[str, list[float]] = {}
        await operate(clients[0], options.rate, options.seconds, acks_ms)
        used_s, own_s, all_s = cpu_s(pid) - used_s, cpu_s(os.getpid()) - own_s, machine_cpu_s() - all_s
        listeners.measuring = False
        for task in tasks:
            task.cancel()
    print(
        f"{options.subscribers} subscribers, {standing} resting orders, {options.rate} operations/s, {options.seconds} s"
    )
    for route, values in acks_ms.items():
        print(f"{route:14} ack     {summary(values)}")
    print(f"book.d@50      behind  {summary(listeners.book_ms)}")
    print(f"trade          behind  {summary(listeners.trade_ms)}")
    frames = (len(listeners.book_ms) + len(listeners.trade_ms)) / options.seconds
    print(f"worst listener behind  {max(listeners.worst_ms.values()):.1f} ms;  {frames:.0f} frames/s sent")
    spent = {"exchange": used_s, "load": own_s, "other programs": all_s - used_s - own_s}
    shares = ", ".join(f"{who} {seconds / options.seconds:.0%}" for who, seconds in spent.items())
    print(f"share of one core: {shares}")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_cpu_s() -> float:
    """CPU time spent by everybody, so that a run beside other work can be told from a quiet one."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--subscribers", type=int, default=50)
    parser.add_argument("--resting", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=50)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        listed = instruments_file(Path(folder))
        command = [sys.executable, "-m", "perpmaker.exchange", "--port", "0", "--accounts", str(ACCOUNTS)]
        exchange = subprocess.Popen(
            [*command, "--instruments", str(listed)],
            stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]),  # noqa: PLW1509
        )
        os.sched_setaffinity(0, cores[1:] or cores)
        try:
            assert exchange.stdout is not None
            asyncio.run(measure(json.loads(exchange.stdout.readline()), options, exchange.pid))
        finally:
            exchange.terminate()
            exchange.wait(10)


if __name__ == "__main__":
    main()
