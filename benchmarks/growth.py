"""How do costs grow with steps, states, replicas, metrics and files?

Run: python benchmarks/growth.py. Each row is one cost at several sizes, which take turns in one process. The slope is that of a line
through log(time) over log(size): 1 is proportional, 0 does not depend on the size, 2 is quadratic. "At the end" is between the two
largest sizes, where fixed costs weigh least.
"""

import argparse
import itertools
import shutil
import sys
import tempfile

import numpy as np
from snapshots import Small, write
from timing import machine, medians, nothing

import mergeable as mg
from mergeable.metric import operations
from mergeable.metrics import AUROC

try:
    from all_rows import AllRows
    from rich import box
    from rich.console import Console
    from rich.table import Table
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

RNG = np.random.default_rng(0)
LABELS, SCORES = RNG.integers(0, 2, 100_000), RNG.random(100_000)
BATCH = 32


class Mean(mg.Metric):
    mean = mg.Mean()

    def update_state(self, _, y_pred):
        self.mean.update(y_pred)

    def result(self):
        return self.mean.result()


def steps(make):
    def at(n):
        batches = [(LABELS[i : i + BATCH], SCORES[i : i + BATCH]) for i in range(0, n * BATCH, BATCH)]

        def act(metric):
            for batch in batches:
                metric.update_state(*batch)
            metric.result()

        return make, act

    return at


def updated(make, n):
    """Return n metrics that were updated once, with nothing waiting in a buffer."""
    metrics = [make() for _ in range(n)]
    for metric in metrics:
        metric.update_state(*((SCORES,) if make is Small else (LABELS[:BATCH], SCORES[:BATCH])))
        metric.result()
    return metrics


def snapshots(n):
    pieces = [metric.snapshot() for metric in updated(Small, n)]
    return nothing, lambda _: mg.merge(pieces)


def merging(n):
    metrics = updated(Small, n)
    return Small, lambda fresh: fresh.merge_state(metrics)


def replicas(n):
    metric = Small()
    for replica in range(n):
        operations.update(metric, replica, (SCORES,), {})
    return nothing, lambda _: metric.result()


def results(n):
    metrics = updated(Mean, n)
    return nothing, lambda _: [metric.result() for metric in metrics]


def files(n):
    return nothing, lambda _: mg.merge(itertools.islice(PATHS, n))


PATHS = []
LARGE = (10, 100, 1_000, 10_000)
CASES = {  # the sizes, what prepares and what is timed at a size, and the slope that is expected
    "steps of 32 rows and a result: all rows, roc_auc_score": (
        (100, 300, 1_000, 3_000),
        steps(AllRows),
        "1, and the log of a sort",
    ),
    "steps of 32 rows and a result: AUROC": ((100, 300, 1_000, 3_000), steps(AUROC), "1"),
    "steps of 32 rows and a result: Mean": ((100, 300, 1_000, 3_000), steps(Mean), "1"),
    "mg.merge of snapshots in memory": (LARGE, snapshots, "1"),
    "merge_state of metrics": ((10, 100, 1_000, 3_000), merging, "1"),
    "mg.merge of snapshot files": (LARGE[:3], files, "1"),
    "result with slots of replicas": ((1, 4, 16, 64), replicas, "up to 1, and a fixed part"),
    "results of metrics": ((1, 4, 16, 64), results, "1"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the largest sizes, to see that it runs")
    quick = parser.parse_args().quick
    folder = tempfile.mkdtemp()
    PATHS.extend(write(Small, folder, max(CASES["mg.merge of snapshot files"][0][: -1 if quick else None])))
    table = Table("cost", "sizes", "medians, ms", "slope", "at the end", "expected", box=box.MARKDOWN)
    for name, (sizes, at, expected) in CASES.items():
        some = sizes[:-1] if quick else sizes
        times = medians(*(at(n) for n in some), budget=0.1 if quick else 5.0, least=3)
        slope, end = (np.polyfit(np.log(some[i:]), np.log(times[i:]), 1)[0] for i in (0, -2))
        table.add_row(
            name,
            ", ".join(f"{n:,}" for n in some),
            ", ".join(f"{1e3 * t:,.2f}" for t in times),
            f"{slope:.2f}",
            f"{end:.2f}",
            expected,
        )
    shutil.rmtree(folder)
    console = Console(width=180, highlight=False)
    console.print(machine("scikit-learn"))
    console.print(table)


if __name__ == "__main__":
    main()
