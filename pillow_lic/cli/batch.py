"""Many files, one after another or several at once, each of these in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path

from . import lines, process, progress
from .failures import Failures

__all__ = ["run"]

THREADS = "OMP_NUM_THREADS"  # what torch heeds when it is imported
GRACE = 1  # seconds to clean up
Pair = tuple[Path, Path]
Work = Callable[[Path, Path], str]
Result = tuple[Pair, Callable[[], str]]


def run(failures: Failures, pairs: Sequence[Pair], work: Work, doing: str, jobs: int = 1) -> None:
    """Print what `work` says of each pair of source and target; one that fails stops no other.

    Shows a bar on stderr if there are several. With more than one job `work` must be what another
    process can import, with `functools.partial` if need be.
    """
    try:
        for (source, _), result in progress.each(_results(pairs, work, jobs), len(pairs), doing):
            told = None
            with failures.caught(source):
                told = result()
            if told is not None:  # a full disk where output goes is no fault of the source
                lines.say(told)
    except BrokenExecutor:
        reason = "a process was ended, for want of memory perhaps: fewer jobs take less"
        failures.add(f"{reason}, and --skip-existing goes on from here")


def _results(pairs: Sequence[Pair], work: Work, jobs: int) -> Iterator[Result]:
    """Yield each pair, several at once in the order they are done, with what tells its result."""
    jobs = min(jobs, len(pairs))
    if jobs < 2:
        yield from ((pair, partial(work, *pair)) for pair in pairs)
        return
    threads = max(1, _cores() // jobs)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # else whoever began this wants none
        work = partial(_interruptible, work)
    waiting = deque(pairs)
    running: dict[Future[str], Pair] = {}
    # A forked process would lack the threads of whoever imported torch already.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (threads,)) as pool:
        while waiting or running:
            while waiting and len(running) < jobs:  # what is submitted cannot be called back
                pair = waiting.popleft()
                running[pool.submit(work, *pair)] = pair
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result


def _cores() -> int:
    """Cores that this process may use, where the system says."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _begin(threads: int) -> None:
    """Set up a process that works for another."""
    os.environ.setdefault(THREADS, str(threads))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.prepare()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process if the other is killed: it would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    while True:  # first the work is ended, then the wait for more
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)


def _interruptible(work: Work, source: Path, target: Path) -> str:
    """Heed Ctrl-C, which reaches all processes, while there is something to clean up."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return work(source, target)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
