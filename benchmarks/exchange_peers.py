"""What do the results of several metrics cost across workers, beside torchmetrics over gloo?

Run: python benchmarks/exchange_peers.py. Two worker processes on loopback share this machine's cores. In each of them both sides live and
take turns: all metrics take an update, and then every result is read; timed is the reading, by the slower worker. Collectives of
torchmetrics are its barriers and all_gathers.
"""

import argparse
import importlib.util
import os
import sys

import numpy as np
import workers
from timing import machine, seconds, short

try:
    from rich import box
    from rich.console import Console
    from rich.table import Table
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[peers]'")
for name in ("tensorflow", "torch", "torchmetrics"):  # the workers import them
    if importlib.util.find_spec(name) is None:
        sys.exit(f"This benchmark needs {name}, which is not installed: pip install 'mergeable[peers]'")

os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
WORKERS = 2
CELLS = 1_250_000  # of 8 bytes
CASES = {"a mean": (1, 20), "10 MB of counts": (1, 20)}  # what a metric holds, and how many there are
LIMIT = 400  # seconds for a worker


def ours(strategy, kind, n):
    """Return what updates n metrics with numbers, and what appends their results to a list."""
    import mergeable as mg

    class Mean(mg.PyMetric):
        mean = mg.Mean()

        def update_state(self, x):
            self.mean.update(x)

        def result(self):
            return self.mean.result()

    class Counts(mg.PyMetric):
        cells = mg.Count(shape=(CELLS,))

        def update_state(self, x):
            self.cells.update(x)

        def result(self):
            return self.cells.result()[0]

    with strategy.scope():
        metrics = [(Mean if kind == "a mean" else Counts)(name=f"metric{i}") for i in range(n)]
    return (
        lambda x: [metric.update_state(x) for metric in metrics],
        lambda values: values.append([float(metric.result()) for metric in metrics]),
    )


def theirs(kind, n):
    """Return the same for torchmetrics."""
    import torch
    import torchmetrics

    class Counts(torchmetrics.Metric):
        def __init__(self):
            super().__init__()
            self.add_state("cells", torch.zeros(CELLS, dtype=torch.int64), dist_reduce_fx="sum")

        def update(self, x):
            self.cells += x

        def compute(self):
            return self.cells[0]

    metrics = [(torchmetrics.MeanMetric if kind == "a mean" else Counts)() for _ in range(n)]

    return (
        lambda x: [metric.update(torch.from_numpy(x)) for metric in metrics],
        lambda values: values.append([float(metric.compute()) for metric in metrics]),
    )


def counting(function, calls):
    """Return a function that also notes its call."""

    def call(*args, **kwargs):
        calls.append(function)
        return function(*args, **kwargs)

    return call


def worker(store, repeats):
    """Measure every case, and tell the times of each side, what one reading exchanges, and whether the results agree."""
    from mergeable.exchange import watch
    from mergeable.strategies import multi_worker

    strategy = multi_worker.connect()
    import torch
    import torch.distributed

    rank = strategy.cluster_resolver.task_id
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://{store}", rank=rank, world_size=WORKERS)
    calls, reports, rng, found = [], [], np.random.default_rng(rank), {}
    for name in ("all_gather", "barrier"):
        setattr(torch.distributed, name, counting(getattr(torch.distributed, name), calls))
    for kind, numbers in CASES.items():
        for n in numbers:
            (update, read), (their_update, their_read) = ours(strategy, kind, n), theirs(kind, n)
            times = []
            for _ in range(repeats + 1):  # the first one warms up
                x = rng.random(100) if kind == "a mean" else rng.integers(0, 1000, CELLS)
                update(x)
                their_update(x)
                torch.distributed.barrier()
                reports.clear()
                values = []
                with watch(reports.append):
                    mine = seconds(read, values)
                torch.distributed.barrier()
                calls.clear()
                times.append((mine, seconds(their_read, values)))
            agree = bool(np.allclose(*values, rtol=1e-5))
            found[f"{n} of {kind}"] = (times[1:], len(reports), sum(r.received for r in reports), len(calls), agree)
    workers.tell(found)
    torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, for a rough idea")
    parser.add_argument("--worker", nargs=2, metavar=("STORE", "ROUNDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker[0], int(arguments.worker[1]))
        return
    rounds = 3 if arguments.quick else 7
    found = workers.run(__file__, WORKERS, "--worker", workers.addresses(1)[0], rounds, limit=LIMIT)
    names = ("exchanges", "bytes received", "ms", "torchmetrics' collectives", "ms", "ours / torchmetrics", "agree to 1e-5")
    table = Table("metrics", *names, box=box.MARKDOWN)
    for name in found[0]:
        times, exchanges, received, calls, _ = zip(*(one[name] for one in found), strict=True)
        mine, base = np.median(np.max(times, axis=0), axis=0)  # a reading ends with the slower worker
        agree = all(one[name][-1] for one in found)
        costs = (f"{max(exchanges)}", f"{max(received):,}", f"{1e3 * mine:,.1f}", f"{max(calls)}", f"{1e3 * base:,.1f}")
        table.add_row(name, *costs, short(mine / base), "yes" if agree else "no")
    console = Console(width=160, highlight=False)
    console.print(machine("tensorflow", "torch", "torchmetrics"))
    console.print(table)
    console.print(
        f"{WORKERS} workers; medians of {rounds} rounds. Exchanges, bytes and collectives are those of one reading of all results."
    )


if __name__ == "__main__":
    main()
