"""A merge of many files on several cores: each process merges chunks of them, and this one what those give, in order.

Not its job: to know what a piece is, or how two merge.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process, resource_tracker

from mergeable.encoding.wire import from_bytes, to_bytes
from mergeable.errors import MergeableError
from mergeable.snapshot.accumulator import Accumulator
from mergeable.snapshot.pieces import LeftOut, Piece, PieceReader, Progress

CHUNK = 64
"""How many files a core merges before it gives away what it has."""


def merge_in_processes(
    accumulator: Accumulator,
    pieces: Sequence[Piece],
    reader: PieceReader,
    left_out: LeftOut,
    progress: Progress,
    *,
    processes: int,
) -> None:
    """Merge chunks of files in other processes, and then what they give, in the order of the pieces."""
    rest = iter(pieces)
    while not accumulator.has_begun:  # every process then compares with the same piece
        first = list(itertools.islice(rest, 1))
        if not first:
            return
        reader.merge_into(accumulator, first, left_out, progress)
    like = to_bytes(accumulator.empty())
    size = max(1, min(CHUNK, len(pieces) // (4 * processes)))
    waiting: deque[Future[bytes]] = deque()

    def collect(most: int) -> None:
        while len(waiting) > most:
            part, reasons, sizes = from_bytes(waiting.popleft().result())
            accumulator.join(part)
            for source, reason in reasons:
                left_out(source, reason)
            progress(*sizes)

    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        try:
            for are_files, run in itertools.groupby(rest, lambda piece: isinstance(piece, str | os.PathLike)):
                if not are_files:
                    collect(0)
                    reader.merge_into(accumulator, run, left_out, progress)
                while chunk := list(itertools.islice(run, size)):
                    with interrupts_held():  # submit starts the processes
                        waiting.append(pool.submit(_merged, like, chunk, reader))
                    collect(2 * processes)
            collect(0)
        except BrokenProcessPool as error:
            raise MergeableError(
                f"merge: one of processes={processes} ended by itself. A program that starts processes keeps its main part under "
                'if __name__ == "__main__":. If it does, there may not have been enough memory; pass processes=1.'
            ) from error
        except BaseException:
            pool.shutdown(
                cancel_futures=True
            )  # and waits, because a pool that still ends beside Python's own end prints a traceback
            raise


def _merged(like: bytes, chunk: Sequence[str | os.PathLike[str]], reader: PieceReader) -> bytes:
    """Merge files in this process, and return what they make, what was left out, and how much was read."""
    accumulator: Accumulator = from_bytes(like)
    reasons: list[tuple[str, str]] = []
    sizes: list[int] = []
    reader.merge_into(accumulator, chunk, lambda *reason: reasons.append(reason), lambda _, size: sizes.append(size))
    return to_bytes((accumulator, reasons, (len(sizes), sum(sizes))))


def end_with_parent() -> None:
    """Let this process end with the one that started it, also where that was killed: it would wait for work for ever."""
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back in this thread: processes that start now never see it, and the one that waits for them ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # whose start would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
