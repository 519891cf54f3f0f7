"""Trials on a Dask cluster: a scheduler and two workers, each a process of its own on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.research.tuning.landscapes import SPACE, Landscape, windows

from perpmaker.errors import ConfigError
from perpmaker.research.tuning import Plan, tune
from perpmaker.research.tuning.cluster import Cluster
from perpmaker.research.tuning.runners import Failed, InProcess, Task

ROOT = Path(__file__).resolve().parents[4]
READY_S, END_S = 60.0, 20.0
PLAN = Plan(trials=10, batch=4)
QUIET = {
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
    "DASK_DISTRIBUTED__ADMIN__LOG_LENGTH": "0",
    "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "False",
}


def started(*arguments: str, folder: Path, name: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        **QUIET,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "DASK_TEMPORARY_DIRECTORY": str(folder),
    }
    with (folder / f"{name}.txt").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], cwd=folder, env=environment, stdout=said, stderr=said
        )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler's address; its two workers are on their way."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    common = ("--scheduler-file", str(file), "--no-dashboard")
    processes = [started("scheduler", "--host", "127.0.0.1", "--port", "0", *common, folder=folder, name="scheduler")]
    try:
        found = _address(file, processes[0], folder)
        for number in range(2):
            options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--name", f"w{number}", "--no-dashboard")
            processes.append(started("worker", found, *options, folder=folder, name=f"w{number}"))
        yield found
    finally:
        for process in processes:  # they keep nothing that an orderly end would save
            process.kill()
            process.wait(END_S)


def _address(file: Path, scheduler: subprocess.Popen[bytes], folder: Path) -> str:
    import json

    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        assert scheduler.poll() is None, (folder / "scheduler.txt").read_text()
        try:
            return str(json.loads(file.read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.05)
    raise AssertionError((folder / "scheduler.txt").read_text())


@pytest.mark.mostly_waits
@pytest.mark.timeout(300)
def test_a_cluster_comes_to_what_one_process_comes_to(address: str, tmp_path: Path) -> None:
    expected = tune(SPACE, Landscape("hill"), windows(1), PLAN, InProcess(), tmp_path / "a")
    with Cluster(address, workers_s=READY_S) as cluster:
        assert cluster.workers in (1, 2)  # the second may still be on its way
        found = tune(SPACE, Landscape("hill"), windows(1), PLAN, cluster, tmp_path / "b")
        assert found.windows == expected.windows
        tasks = [Task(place, {"x": 0.9, "y": 0.1}, 0, 120_000_000_000, 1) for place in range(3)]
        answers = dict(cluster.run(Landscape("broken"), tasks))
    assert answers == dict.fromkeys(range(3), Failed("x above a half cannot be"))


@pytest.mark.mostly_waits
@pytest.mark.timeout(300)
def test_an_address_where_nobody_answers_is_said() -> None:
    with pytest.raises(ConfigError, match="no Dask scheduler answers"):
        Cluster("tcp://127.0.0.1:9", connect_s=0.2)
