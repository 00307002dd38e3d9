"""How far is a sketch from the exact answer, in units of its bound? Whole, and merged from 1,000 shards in a random tree.

Run: python benchmarks/accuracy.py. Shown is the largest error over the stated bound on each stream of tests/streams.py; "=" after it says
that the merged state has the bytes of the whole one. Then ROC AUC where all scores are small, beside Keras's own, and how far
bootstrap intervals of other numbers of shards lie apart.
"""

import argparse
import collections
import functools
import math
import os
import sys
from pathlib import Path

import numpy as np

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests import streams

try:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from sklearn.metrics import roc_auc_score
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

ROUNDING = 1e-12
SUBNORMAL = 2.0**-1022
QUANTILES = np.concatenate([[0, 1e-4, 1e-3, 1e-2], np.linspace(0.05, 0.95, 19), [0.99, 0.999, 0.9999, 1]])


def share(error, bound):
    """Return an error in units of its bound; what both references round, is none."""
    return abs(error) / bound if bound > ROUNDING else float(abs(error) > ROUNDING)


def numbers(values):
    return (values,)


def relative(state, values):
    """Return the largest relative error of quantiles, in units of what the state says."""
    exact = np.quantile(values[~np.isnan(values)], QUANTILES, method="inverted_cdf")
    found = state.quantile(QUANTILES)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(found == exact, 0.0, np.abs(found - exact) / np.abs(exact))
    return error.max() / state.relative_error


def ranks(state, values):
    """Return the largest error of rank, in units of what the state says."""
    ordered = np.sort(np.where(np.abs(values) < SUBNORMAL, 0.0, values)[~np.isnan(values)])  # which it takes for 0
    wanted = np.maximum(np.ceil(QUANTILES * ordered.size), 1)
    found = state.quantile(QUANTILES)
    low, high = np.searchsorted(ordered, found, "left") + 1, np.searchsorted(ordered, found, "right")
    error = np.maximum(np.maximum(low - wanted, wanted - high), 0) / ordered.size
    return error.max() / state.rank_error if state.rank_error else float(error.max() > 0)


def distinct(state, values):
    """Return the error of a distinct count, in units of half the 95 % interval."""
    true = len(mg.Set.result(_set(values)))
    value, low, high = state.estimate()
    return share(value - true, max(high - value, value - low))


def _set(values):
    found = mg.Set()
    found.update(values)
    return found


def tally(values):
    counter = mg.Counter()
    counter.update(values)
    return counter.result()


def excess(state, values):
    """Return the largest overestimate of a count, in units of e / width of all."""
    counts = tally(values)
    found = state.counts(list(counts))
    return max(0, int((found - np.array(list(counts.values()))).max())) / (math.e / state.width * len(values))


def frequent(state, values):
    """Return the largest error of the counts in the state, in units of what it says."""
    error = max(abs(state.estimate(key).value - n) for key, n in tally(values).items())
    return error / state.max_error if state.max_error else float(error > 0)


def scores_of(values):
    """Return labels that go with the numbers, and the numbers as scores."""
    odd = np.random.default_rng(1).random(values.size)
    ordered = np.argsort(np.argsort(np.nan_to_num(values, nan=0.0)))
    return (odd < 0.1 + 0.6 * ordered / values.size).astype(int), values


def auc(state, y_true, scores):
    """Return the error of ROC AUC, in units of half its certain interval."""
    known = ~np.isnan(scores)
    exact = roc_auc_score(y_true[known], np.searchsorted(np.unique(scores[known]), scores[known]))
    value, low, high = state.roc_auc_estimate()
    return share(value - exact, max(high - value, value - low))


def weighted(values):
    """Return row numbers and weights of at least 0."""
    return np.arange(values.size), np.minimum(np.abs(np.nan_to_num(values, posinf=1.0, neginf=1.0)), 1e100) + 1e-3


def weight(state, _, weights):
    """Return the error of a total, in units of half its 95 % interval."""
    value, low, high = state.total_estimate()
    true = math.fsum(weights)
    return share(value - true, max(high - value, value - low))


SKETCHES = {  # a state, its columns for a stream, and its error over its bound
    "LogLinearHistogram, relative error": (mg.LogLinearHistogram, numbers, relative),
    "RankQuantiles, rank (99 %)": (mg.RankQuantiles, numbers, ranks),
    "ScoreHistogram, ROC AUC": (mg.ScoreHistogram, scores_of, auc),
    "BottomK, distinct (95 %)": (mg.BottomK, numbers, distinct),
    "WeightedBottomK, total (95 %)": (mg.WeightedBottomK, weighted, weight),
    "HyperLogLog, distinct (95 %)": (mg.HyperLogLog, numbers, distinct),
    "CountMin, excess (98 % a key)": (mg.CountMin, numbers, excess),
    "FrequentItems, counts": (mg.FrequentItems, numbers, frequent),
}


def errors(console, n, shards):
    table = Table("error / bound: whole, merged", *streams.STREAMS, box=box.MARKDOWN)
    for name, (make, columns_of, error_of) in SKETCHES.items():
        cells = []
        for stream in streams.STREAMS:
            columns = columns_of(streams.stream(stream, n))
            whole = make()
            whole.update(*columns)
            merged = streams.sharded(make, columns, shards=shards)
            alike = "=" if canonical_bytes(whole) == canonical_bytes(merged) else ""
            cells.append(f"{error_of(whole, *columns):.2f} {error_of(merged, *columns):.2f} {alike}")
        table.add_row(name, *cells)
    console.print(table)
    console.print(
        f"{n:,} items; {shards:,} shards of other sizes, merged in a random tree. A share of 5 % (1 %) of the errors may be above 1.\n"
    )


def keras_auc(y_true, scores, thresholds):
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
    except ImportError:
        return math.nan
    metric = keras.metrics.AUC(num_thresholds=thresholds)
    for rows in np.array_split(np.arange(len(scores)), 100):
        metric.update_state(y_true[rows], scores[rows])
    return float(metric.result())


def small_scores(console, n):
    rng = np.random.default_rng(0)
    table = Table("ROC AUC", "exact", "ScoreHistogram", "low", "high", "Keras AUC", "1,000 thresholds", box=box.MARKDOWN)
    for name, top in (("scores below 0.01", 0.01), ("scores up to 1", 1.0)):
        scores = (top * rng.beta(0.5, 2.0, n)).astype(np.float32)
        y_true = (rng.random(n) < scores / scores.mean() * 0.1).astype(int)
        state = mg.ScoreHistogram()
        state.update(y_true, scores)
        value, low, high = state.roc_auc_estimate()
        shown = [roc_auc_score(y_true, scores), value, low, high, *(keras_auc(y_true, scores, t) for t in (200, 1000))]
        table.add_row(name, *(f"{x:.6f}" for x in shown))
    console.print(table)


def intervals(console, n):
    values = streams.stream("heavy tail", n)
    found = collections.defaultdict(list)
    for shards in (1, 7, 64):
        make = functools.partial(mg.Bootstrap, mg.Mean(), replicates=100)
        value, low, high = streams.sharded(make, (np.arange(n), values), shards=shards).estimate(0.95)
        for name, x in (("value", value), ("low", low), ("high", high)):
            found[name].append(x)
    table = Table("Bootstrap of a mean", "1 shard", "7 shards", "64 shards", "spread", box=box.MARKDOWN)
    for name, ends in found.items():
        table.add_row(name, *map(repr, ends), repr(max(ends) - min(ends)))
    console.print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer items and shards, to see that it runs")
    quick = parser.parse_args().quick
    console = Console(width=200)
    errors(console, *((5_000, 50) if quick else (100_000, 1_000)))
    if not quick:
        small_scores(console, 1_000_000)
    intervals(console, 2_000 if quick else 20_000)


if __name__ == "__main__":
    main()
