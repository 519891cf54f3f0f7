"""Evaluations on a Dask cluster: any number of machines with perpmaker installed and the tapes under the same paths.

A Dask scheduler runs whatever its clients send, as the user of the workers: keep it on a network of your own, or use its
TLS settings (https://distributed.dask.org/en/stable/tls.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from perpmaker import __version__
from perpmaker.errors import ConfigError, PerpmakerError
from perpmaker.research.tuning.runners import Answer, Task, attempt
from perpmaker.research.tuning.scoring import Evaluate

CONNECT_S: Final = 10
WORKERS_S: Final = 30
"""How long to wait for a first worker."""


class Cluster:
    """A scheduler that runs already, by its address: tcp://host:8786."""

    def __init__(self, address: str, *, connect_s: float = CONNECT_S, workers_s: float = WORKERS_S) -> None:
        import distributed

        connect: Any = distributed.Client
        try:
            self._client: Any = connect(address, timeout=connect_s, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ConfigError(f"--address {address}: no Dask scheduler answers there: {error}") from error
        try:
            self._client.wait_for_workers(1, timeout=workers_s)
            self._check_workers()
        except TimeoutError as error:
            self._client.close()
            raise ConfigError(
                f"--address {address}: the scheduler has no worker; start some: dask worker {address} --nthreads 1"
            ) from error
        except PerpmakerError:
            self._client.close()
            raise

    @property
    def workers(self) -> int:
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def run(self, evaluate: Evaluate, tasks: Sequence[Task]) -> Iterator[tuple[int, Answer]]:
        import distributed
        from distributed.scheduler import KilledWorker

        as_completed: Any = distributed.as_completed
        waiting = {
            self._client.submit(
                attempt, evaluate, task.params, task.from_ns, task.to_ns, task.seed, pure=False
            ): task.key
            for task in tasks
        }
        try:
            for future in as_completed(list(waiting), loop=self._client.loop):
                yield waiting[future], future.result()
        except KilledWorker as error:
            raise PerpmakerError(
                f"workers of the cluster died again and again over one trial ({error}); what is finished is kept"
            ) from error
        finally:
            self._client.cancel(list(waiting))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def _check_workers(self) -> None:
        """Refuse workers that would give other results than this machine."""
        try:
            found: dict[str, str] = self._client.run(_version)
        except (ImportError, RuntimeError) as error:
            raise ConfigError(f"a worker of the cluster cannot import perpmaker: {error}") from error
        other = {worker: version for worker, version in found.items() if version != __version__}
        if other:
            worker, version = next(iter(other.items()))
            raise ConfigError(f"worker {worker} has perpmaker {version}, this machine has {__version__}")


def _version() -> str:
    return __version__
