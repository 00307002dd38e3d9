"""Real processes that talk through pipes: all that a metric without a framework needs to join a job."""

import contextlib
import multiprocessing
import sys

import mergeable as mg
from mergeable.exchange import join
from mergeable.strategy import Processes
from tests.strategies import conformance

SIZE = 3


class Piped(Processes):
    """A process that sends its payload to the first one, which sends all of them, or who is missing, to everybody."""

    def __init__(self, rank, pipes, patience=60.0):
        self.rank, self.size, self.pipes, self.patience = rank, SIZE, pipes, patience

    def gather(self, payload, about):
        if self.rank == 0:
            payloads = [payload, *map(self.receive, self.pipes)]
            for rank in range(1, self.size):
                self.send(rank, payloads)
        else:
            self.send(0, payload)
            payloads = self.receive(0)
        missing = [0] if payloads is None else [rank for rank, found in enumerate(payloads) if found is None]
        if missing:
            raise mg.ExchangeTimeout(f"process {self.rank} of {self.size} missed {missing}")
        return payloads

    def send(self, rank, value):
        with contextlib.suppress(OSError):  # nobody is there, which the answers tell
            self.pipes[rank].send(value)

    def receive(self, rank):
        """Return the value that a process sends, or None where it has ended or does not come."""
        try:
            return self.pipes[rank].recv() if self.pipes[rank].poll(self.patience) else None
        except (EOFError, OSError):
            return None


class Words(mg.Metric):
    words = mg.Counter()
    total = mg.Sum()

    def update_state(self, words, x):
        self.words.update(words)
        self.total.update(x)

    def result(self):
        return dict(sorted(self.words.result().items())), self.total.result()


BATCHES = [[(["a", "b"], [1e16, 0.1]), (["b"], [-1e16])], [], [(["c"], [5e-324])]]


def fed(batches, processes=None):
    """Return a metric that has taken batches, in a job where there is one."""
    metric = Words()
    if processes is not None:
        join(metric, processes)
    for batch in batches:
        metric.update_state(*batch)
    return metric


def conform(processes):
    """Run every scenario of the conformance, and tell whether TensorFlow was loaded."""
    return conformance.shown(conformance.Joined(processes)), "tensorflow" in sys.modules


def words(processes):
    """Show results, a snapshot and a local one of uneven shards, of which one is empty."""
    metric = fed(BATCHES[processes.rank], processes)
    first, whole, local = metric.result(), metric.snapshot(), metric.snapshot(local=True)
    metric.update_state([], [])
    return first, whole.to_bytes(), local.to_bytes(), metric.result(), metric.coverage.workers


def absence(processes):
    """End the second process before it asks for a result; show what the others hear, twice, and hold."""
    metric = fed(BATCHES[processes.rank], processes)
    first = metric.result()
    if processes.rank == 1:
        sys.exit()
    heard = []
    for _ in range(2):
        try:
            metric.result()
        except mg.ExchangeTimeout as error:
            heard.append(str(error))
    return first, heard, metric.snapshot(local=True).result(Words)


def values(program):
    """Run a program in every process of a job; return what each gives, None of one that has ended without."""
    spawn = multiprocessing.get_context("spawn")
    pairs = {rank: spawn.Pipe() for rank in range(1, SIZE)}
    reports = [spawn.Pipe(duplex=False) for _ in range(SIZE)]
    started = []
    for rank in range(SIZE):
        pipes = {0: pairs[rank][1]} if rank else {other: ends[0] for other, ends in pairs.items()}
        started.append(spawn.Process(target=_run, args=(program, rank, pipes, reports[rank][1])))
        started[-1].start()
        for end in (*pipes.values(), reports[rank][1]):
            end.close()  # the process has it now, and its end is the end of the pipe
    try:
        return [_value(report) for report, _ in reports]
    finally:
        for process in started:
            process.kill()
            process.join()


def _value(report):
    try:
        return report.recv() if report.poll(300) else None
    except EOFError:
        return None


def _run(program, rank, pipes, report):
    report.send(program(Piped(rank, pipes)))
