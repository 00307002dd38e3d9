"""What does merging 1,000 metrics cost beside torchmetrics and torcheval, and which of the three gives the right answer?

Run: python benchmarks/peers.py. Timed is a fresh metric that merges the others and reads its result, all on the CPU, in one process and
in turns. The streams are of the kind that hurts: the largest relative error against exact arithmetic stands beside every ratio.
"""

import argparse
import math
import pickle
import statistics
import sys
import warnings
from fractions import Fraction

import numpy as np
from timing import machine, medians, nothing, short

import mergeable as mg
from mergeable.metric.internals import internals
from mergeable.metrics import AUROC

try:
    import torch
    import torcheval.metrics as te
    import torchmetrics as tm
    from all_rows import AllRows
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from torchmetrics import classification as tmc
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[peers]'")

warnings.filterwarnings("ignore", "The ``compute`` method", UserWarning)  # torchmetrics, of metrics that only merged
RNG = np.random.default_rng(0)
SIDES = ("ours", "torchmetrics", "torcheval")


def held(state):
    """Return a class of metrics that hold one state and read it as it reads itself."""

    class Held(mg.Metric):
        value = state

        def update_state(self, *columns):
            self.value.update(*columns)

        def result(self):
            return self.value.result()

    return Held


def near_1e8(_):
    return ((1e8 + 1000 * RNG.random(100)).astype(np.float32),)


def cancelling(i):
    return (np.append(RNG.random(99), 1e16 if i % 2 else -1e16),)


def labels(classes, rows):
    """Return one batch for all, most of it in one cell, which in 1,000 batches of 20,001 rows passes 2**24."""
    pairs = RNG.integers(0, classes, (2, rows))
    pairs[:, rows // 50 :] = 0
    return lambda _: tuple(pairs)


def scored(low, high):
    def batch(_):
        scores = RNG.beta(0.5, 2.0, 100)
        return (RNG.random(100) < 0.5 * scores + 0.05).astype(int), low + (high - low) * scores

    return batch


def auroc(y_true, scores):
    """Count the pairs in whole numbers; a tie counts half."""
    place = np.unique(scores, return_inverse=True)[1]
    ones, zeros = (np.bincount(place[y_true == label], minlength=place.max() + 1) for label in (1, 0))
    return float(Fraction(int((ones * (2 * np.cumsum(zeros) - zeros)).sum()), int(2 * ones.sum() * zeros.sum())))


def matrix(classes):
    return lambda y_true, y_pred: np.bincount(y_true * classes + y_pred, minlength=classes**2).reshape(classes, classes)


def matrices(classes):
    return (
        held(mg.ConfusionMatrix(classes)),
        lambda: tmc.MulticlassConfusionMatrix(classes, validate_args=False),
        lambda: te.MulticlassConfusionMatrix(classes),
    )


def double(metric):
    """Return what makes a metric of torchmetrics that holds float64."""
    return lambda: metric().set_dtype(torch.float64)


BINNED = (AUROC, lambda: tmc.BinaryAUROC(thresholds=200), lambda: te.BinaryBinnedAUROC(threshold=200))
ALL_ROWS = (AllRows, tmc.BinaryAUROC, te.BinaryAUROC)
CASES = {  # how many metrics, what makes one of each side, what makes batch i, and the exact answer for all rows
    "Mean, float32 near 1e8": (
        1_000,
        (held(mg.Mean()), tm.MeanMetric, te.Mean),
        near_1e8,
        lambda x: statistics.mean(x.tolist()),
    ),
    "Sum, float32 near 1e8": (1_000, (held(mg.Sum()), tm.SumMetric, te.Sum), near_1e8, math.fsum),
    "Sum, float64, 1e16 cancels": (1_000, (held(mg.Sum()), double(tm.SumMetric), te.Sum), cancelling, math.fsum),
    "Max, float64": (1_000, (held(mg.Max()), double(tm.MaxMetric), te.Max), cancelling, np.max),
    "Min, float64": (1_000, (held(mg.Min()), double(tm.MinMetric), te.Min), cancelling, np.min),
    "Matrix of 10 classes, 20 million rows": (1_000, matrices(10), labels(10, 20_001), matrix(10)),
    "Matrix of 1,000 classes": (50, matrices(1_000), labels(1_000, 1_000), matrix(1_000)),  # 1,000 would take 20 GB
    "AUROC in bins, scores up to 1": (1_000, BINNED, scored(0, 1), auroc),
    "AUROC in bins, scores up to 0.01": (1_000, BINNED, scored(0, 0.01), auroc),
    "AUROC of all rows": (1_000, ALL_ROWS, scored(0, 1), auroc),
    "AUROC of all rows, 1e-9 apart": (1_000, ALL_ROWS, scored(0.5, 0.5 + 1e-7), auroc),
}


def updated(side, metric, batch):
    if side == "ours":
        metric.update_state(*batch)
        metric.result()  # so that no update waits in a buffer
    else:
        metric.update(*map(torch.from_numpy, reversed(batch)))  # scores and predictions come first
    return metric


def merged(side, metrics):
    """Return what merges all metrics into a fresh one and returns its result."""

    def act(fresh):
        for some in [[metric] for metric in metrics] if side == "torchmetrics" else [metrics]:
            fresh.merge_state(*some) if side == "torchmetrics" else fresh.merge_state(some)
        result = fresh.result() if side == "ours" else fresh.compute()
        return np.asarray(result[0] if isinstance(result, tuple) else result)  # some give their thresholds, too

    return act


def merged_states(metrics):
    """Return what merges the states of our metrics, without the metrics."""
    folds = [internals(metric).fold() for metric in metrics]

    def act(_):
        fresh = {name: state.empty() for name, state in folds[0].items()}
        for fold in folds:
            for name, state in fresh.items():
                state.merge(fold[name])

    return act, len(pickle.dumps([*folds[0].values()]))


def measured(n, makes, batch_of, exact_of, budget):
    """Return the median seconds of all sides, the errors, and why one cannot; and the bytes of one of our metrics' states."""
    batches = [batch_of(i) for i in range(n)]
    exact = np.float64(exact_of(*map(np.concatenate, zip(*batches, strict=True))))
    acts, errors, reasons = {}, {}, {}
    for side, make in zip(SIDES, makes, strict=True):
        try:
            metrics = [updated(side, make(), batch) for batch in batches]
            found, backwards = (merged(side, order)(make()) for order in (metrics, metrics[::-1]))
        except Exception as error:  # that it cannot is what we want to know
            reasons[side] = f"{type(error).__name__}: {str(error).split('. ')[0]}"
            continue
        error = np.abs(found - exact) / np.where(exact == 0, 1, np.abs(exact))
        errors[side] = f"{error.max():.0e}{' =' if found.tobytes() == backwards.tobytes() else ''}"
        acts[side] = (make, merged(side, metrics))
        if side == "ours":
            act, size = merged_states(metrics)
            acts["states"] = (nothing, act)
    a, b = np.ones((2, max(1, size // 8)))
    acts["np.add"] = (nothing, lambda _: [np.add(a, b, out=a) for _ in range(n)])
    return dict(zip(acts, medians(*acts.values(), budget=budget), strict=True)), errors, reasons, size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the metrics, for a rough idea")
    quick = parser.parse_args().quick
    columns = (
        "metrics",
        "bytes",
        "ms",
        "states",
        "/ np.add",
        *(f"/ {side}" for side in SIDES[1:]),
        *(f"error, {s}" for s in SIDES),
    )
    table, notes = Table("ours", *columns, box=box.MARKDOWN), []
    for kind, (n, *case) in CASES.items():
        n = n // 20 if quick else n  # noqa: PLW2901  # fewer
        times, errors, reasons, size = measured(n, *case, 0.05 if quick else 2.0)
        ours = times["ours"]
        costs = (f"{1e3 * ours:,.1f}", f"{times['states'] / ours:.0%}", short(ours / times["np.add"]) if size > 1_000 else "")
        ratios = [short(ours / times[side]) if side in times else "cannot" for side in SIDES[1:]]
        table.add_row(kind, f"{n:,}", f"{size:,}", *costs, *ratios, *(errors.get(side, "cannot") for side in SIDES))
        notes += [f"{kind}: {side} cannot: {reason}" for side, reason in reasons.items()]
    console = Console(width=220, highlight=False)
    console.print(machine("torch", "torchmetrics", "torcheval"))
    console.print(table)
    console.print("Ratios of medians; states: the share of our time that merging the states alone takes, without a result.")
    console.print(
        "Errors are relative to exact arithmetic; = after one: merged in reverse order, the result has the same bits."
    )
    console.print("\n".join(notes), markup=False)


if __name__ == "__main__":
    main()
