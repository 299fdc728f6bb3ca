"""Work on shards: one function for one machine and for a Ray cluster.

What a shard is and what is done with it is the caller's business. Each shard is worked on by one
process at a time; a process that dies is replaced, and its shard is given out again.
"""

import logging
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Generic, Literal, Protocol, TypeVar

from stronglens.core.errors import MissingDataError, OutOfRangeError, StronglensError

EngineName = Literal["local", "ray"]
S = TypeVar("S")
R = TypeVar("R")
S_contra = TypeVar("S_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Worker(Protocol[S_contra, R_co]):
    """What does the work: made once per process or actor, then called with one shard after another.

    The second argument is the shard that will most likely come next, or None: it may be read ahead.
    """

    def __call__(self, shard: S_contra, following: S_contra | None, /) -> R_co:
        """Work on a shard."""
        ...


@dataclass(frozen=True)
class Outcome(Generic[S, R]):
    """What became of one shard."""

    shard: S
    """The shard."""
    result: R | None = None
    """What the worker returned; None where there is a fault."""
    fault: str = ""
    """Why there is no result: a file that could not be written, or a process that kept dying."""
    is_lost: bool = False
    """Whether every process that worked on it died."""


@dataclass(frozen=True)
class Crew:
    """Who works, and how often a shard is given out again."""

    engine: EngineName = "local"
    """Processes of this machine, or Ray actors."""
    workers: int = 1
    """Processes or actors; one local worker is this process itself."""
    gpus: float = 0.0
    """GPUs of each Ray actor."""
    attempts: int = 3
    """Processes that may die of one shard before it is given up."""


def map_shards(
    work: Callable[[], Worker[S, R]], shards: Sequence[S], crew: Crew
) -> Iterator[Outcome[S, R]]:
    """Let workers do all shards, and yield each outcome when it is there, in any order.

    An OSError or an error of stronglens in a worker is the fault of its shard, and the others go
    on; any other exception is a mistake in the program and is raised here.

    Args:
        work: Picklable; called once per process or actor to build its worker.
        shards: Picklable.
        crew: Engine, number of workers.

    Raises:
        MissingDataError: Ray is asked for and not installed.
        OutOfRangeError: No workers.
    """
    if crew.workers < 1:
        raise OutOfRangeError(f"workers={crew.workers} is below 1. Use the number of cores.")
    if not shards:
        return
    if crew.engine == "local" and crew.workers == 1:
        yield from _here(work, shards)
        return
    n_workers = min(crew.workers, len(shards))
    kind = _RayStaff if crew.engine == "ray" else _ProcessStaff
    staff = kind(work, n_workers, crew.gpus)
    try:
        yield from _given_out(staff, shards, n_workers, crew.attempts)
    finally:
        staff.close()


def _here(work: Callable[[], Worker[S, R]], shards: Sequence[S]) -> Iterator[Outcome[S, R]]:
    """Do all shards in this process."""
    worker = work()
    for index, shard in enumerate(shards):
        following = shards[index + 1] if index + 1 < len(shards) else None
        yield _attempt(worker, shard, following)


def _attempt(worker: Worker[S, R], shard: S, following: S | None) -> Outcome[S, R]:
    """One shard, with what is wrong with files turned into a fault."""
    try:
        return Outcome(shard, worker(shard, following))
    except (StronglensError, OSError) as error:
        return Outcome(shard, fault=f"{type(error).__name__}: {error}")


class _WorkerDiedError(Exception):
    """A process or actor is gone."""


class _AbstractStaff(ABC):
    """Numbered workers outside this process."""

    @abstractmethod
    def give(self, place: int, shard: Any, following: Any) -> Any:  # noqa: ANN401 - any shard
        """Give a shard to a worker and return a handle of its answer."""

    @abstractmethod
    def finished(self, handles: Sequence[Any]) -> list[Any]:
        """Wait for at least one answer."""

    @abstractmethod
    def answer(self, handle: Any) -> Outcome[Any, Any]:  # noqa: ANN401 - own handles
        """Return an answer, or raise _WorkerDiedError."""

    @abstractmethod
    def replace(self, place: int) -> None:
        """Put a new worker where one died."""

    @abstractmethod
    def close(self) -> None:
        """Let everybody go."""


class _Agenda(Generic[S]):
    """Which worker does which shard next; what one was told to expect it gets, if none is idle."""

    def __init__(self, shards: Sequence[S]) -> None:
        self._open = deque(range(len(shards)))
        self._expected: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._open or self._expected)

    def take(self, place: int) -> int:
        """Return the next shard for a worker."""
        if place in self._expected:
            return self._expected.pop(place)
        if self._open:
            return self._open.popleft()
        return self._expected.popitem()[1]

    def expect(self, place: int) -> int | None:
        """Return what the worker will get after that, if there is anything."""
        if self._open:
            self._expected[place] = self._open.popleft()
        return self._expected.get(place)

    def put_back(self, index: int) -> None:
        """Return a shard whose worker died."""
        self._open.appendleft(index)


def _given_out(
    staff: _AbstractStaff, shards: Sequence[S], n_workers: int, attempts: int
) -> Iterator[Outcome[S, Any]]:
    """Give out shards, each worker one at a time, until all have an outcome."""
    agenda = _Agenda(shards)
    deaths: dict[int, int] = {}
    busy: dict[Any, tuple[int, int]] = {}
    idle = list(range(n_workers))
    while agenda or busy:
        while idle and agenda:
            place = idle.pop()
            index = agenda.take(place)
            following = agenda.expect(place)
            hint = None if following is None else shards[following]
            busy[staff.give(place, shards[index], hint)] = (place, index)
        for handle in staff.finished(list(busy)):
            place, index = busy.pop(handle)
            idle.append(place)
            try:
                yield staff.answer(handle)
            except _WorkerDiedError as error:
                staff.replace(place)
                deaths[index] = deaths.get(index, 0) + 1
                if deaths[index] < attempts:
                    agenda.put_back(index)
                    continue
                fault = f"{attempts} processes died of it, the last one so: {error}"
                yield Outcome(shards[index], fault=fault, is_lost=True)


_WORKERS: list[Any] = []


def _serve(work: Callable[[], Worker[S, R]], shard: S, following: S | None) -> Outcome[S, R]:
    """In a process of its own: build the worker at the first call, then use it."""
    if not _WORKERS:
        _leave_with_parent()
        _WORKERS.append(work())
    return _attempt(_WORKERS[0], shard, following)


def _leave_with_parent() -> None:
    """End this process when its parent has gone, however that happened."""
    import threading
    from multiprocessing import parent_process
    from multiprocessing.connection import wait as wait_for

    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait_for([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _ProcessStaff(_AbstractStaff):
    """Processes of this machine, each an executor of its own, so that one death harms no other."""

    def __init__(self, work: Callable[[], Any], n_workers: int, gpus: float) -> None:
        self._work = work
        self._pools = [self._pool() for _ in range(n_workers)]

    def give(self, place: int, shard: Any, following: Any) -> Future[Any]:  # noqa: ANN401
        try:
            return self._pools[place].submit(_serve, self._work, shard, following)
        except BrokenProcessPool:
            # it died while it was idle
            self.replace(place)
            return self._pools[place].submit(_serve, self._work, shard, following)

    def finished(self, handles: Sequence[Future[Any]]) -> list[Any]:
        return list(wait(handles, return_when=FIRST_COMPLETED).done)

    def answer(self, handle: Future[Any]) -> Outcome[Any, Any]:
        try:
            return handle.result()
        except BrokenProcessPool as error:
            raise _WorkerDiedError("killed, or out of memory") from error

    def replace(self, place: int) -> None:
        self._pools[place].shutdown(wait=False, cancel_futures=True)
        self._pools[place] = self._pool()

    def close(self) -> None:
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

    @staticmethod
    def _pool() -> ProcessPoolExecutor:
        # fresh processes: a fork of one that has used threads may hang
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


class _RayStaff(_AbstractStaff):
    """Ray actors: of the cluster that RAY_ADDRESS names, else of a Ray started here."""

    def __init__(self, work: Callable[[], Any], n_workers: int, gpus: float) -> None:
        self._ray = _started_ray(n_workers)
        self._work = self._ray.put(work)
        self._kind = self._ray.remote(num_cpus=1, num_gpus=gpus)(_Actor)
        self._actors = [self._kind.remote(self._work) for _ in range(n_workers)]

    def give(self, place: int, shard: Any, following: Any) -> Any:  # noqa: ANN401
        return self._actors[place].serve.remote(shard, following)

    def finished(self, handles: Sequence[Any]) -> list[Any]:
        return self._ray.wait(list(handles), num_returns=1)[0]

    def answer(self, handle: Any) -> Outcome[Any, Any]:  # noqa: ANN401
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except self._ray.exceptions.RayError as error:
            raise _WorkerDiedError(str(error).splitlines()[0]) from error

    def replace(self, place: int) -> None:
        self._ray.kill(self._actors[place])
        self._actors[place] = self._kind.remote(self._work)

    def close(self) -> None:
        self._ray.shutdown()


class _Actor:
    """The worker inside an actor."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._worker = work()

    def serve(self, shard: Any, following: Any) -> Outcome[Any, Any]:  # noqa: ANN401
        """Work on a shard."""
        return _attempt(self._worker, shard, following)


def _started_ray(n_workers: int) -> Any:  # noqa: ANN401 - a module that may not be there
    """Return ray, connected; its dashboard and usage statistics are off."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # the default of a later version, announced by a warning
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.exceptions  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingDataError(
            "engine='ray' needs the package ray, which is not installed. Install it with "
            "pip install 'stronglens[ray]', or use --engine local."
        ) from error
    address = os.environ.get("RAY_ADDRESS")
    own = {
        "num_cpus": max(n_workers, os.cpu_count() or 1),
        "include_dashboard": False,
        "object_store_memory": 128 * 2**20,
    }
    ray.init(
        address=address or "local",
        logging_level=logging.ERROR,
        log_to_driver=False,
        **({} if address else own),
    )
    return ray
