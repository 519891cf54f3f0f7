"""Who carries out evaluations: this process, other processes of this machine, or (`tuning.cluster`) other machines."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Protocol, Self

import msgspec

from perpmaker.errors import PerpmakerError
from perpmaker.research.tuning.scoring import Evaluate, Score
from perpmaker.research.tuning.space import Value


class Task(msgspec.Struct, frozen=True):
    """One evaluation; `key` names it to who asked."""

    key: int
    params: dict[str, Value]
    from_ns: int
    to_ns: int
    seed: int


class Failed(msgspec.Struct, frozen=True):
    """An evaluation that could not be: these parameters cannot be run, and why."""

    reason: str


Answer = Score | Failed


class Runner(Protocol):
    """Use it as a context manager: its workers end with it."""

    @property
    def workers(self) -> int:
        """How many evaluations run at a time."""
        ...

    def run(self, evaluate: Evaluate, tasks: Sequence[Task]) -> Iterator[tuple[int, Answer]]:
        """Yield (key, answer) as answers come, in any order. Raises PerpmakerError when workers are lost."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


def attempt(evaluate: Evaluate, params: Mapping[str, Value], from_ns: int, to_ns: int, seed: int) -> Answer:
    """Evaluate; what a person has to change about the parameters is an answer, everything else is raised."""
    try:
        return evaluate(params, from_ns, to_ns, seed)
    except PerpmakerError as error:
        return Failed(str(error))


class InProcess:
    """One after the other, here."""

    workers = 1

    def run(self, evaluate: Evaluate, tasks: Sequence[Task]) -> Iterator[tuple[int, Answer]]:
        for task in tasks:
            yield task.key, attempt(evaluate, task.params, task.from_ns, task.to_ns, task.seed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass


class Pool:
    """Processes of this machine, one per core unless told otherwise."""

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._executor = ProcessPoolExecutor(
            self.workers, mp_context=multiprocessing.get_context("spawn"), initializer=obey_the_parent
        )

    def run(self, evaluate: Evaluate, tasks: Sequence[Task]) -> Iterator[tuple[int, Answer]]:
        waiting: dict[Future[Answer], int] = {
            self._executor.submit(attempt, evaluate, task.params, task.from_ns, task.to_ns, task.seed): task.key
            for task in tasks
        }
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise PerpmakerError(
                "a worker process died (out of memory?); what is finished is kept: run the same command again"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:  # nobody waits for what is still running
            for process in multiprocessing.active_children():
                process.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)


def obey_the_parent() -> None:
    """Begin a worker: it leaves Ctrl-C to its parent, and ends as soon as that is gone, even by SIGKILL.

    Otherwise a worker whose parent was killed does what it was handed and then waits for more for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, name="parent-watch", daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # nobody reads what it was about to answer
