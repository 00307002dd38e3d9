"""What does a state's update cost, in units of ``np.sum`` on the same batch? And a merge?

Both sides run in one process and take turns. The state's side is some updates of a fresh state and the flush that a result
would do; shown are ratios of medians.
"""

import argparse
import math
import pickle
import sys
from pathlib import Path

import numpy as np
from timing import machine, medians, nothing, short

import mergeable as mg
from mergeable import states

try:
    from rich import box
    from rich.console import Console
    from rich.table import Table
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

SIZES = {32: 256, 1_000: 32, 100_000: 2}  # items in a batch: batches before a flush
RNG = np.random.default_rng(0)


class Total:
    """A plain object, for ``mg.state``."""

    def __init__(self):
        self.total = 0.0

    def update(self, values):
        self.total += np.sum(values)

    def merge(self, other):
        self.total += other.total


def numbers(n):
    return (RNG.normal(size=n) * 10.0 ** RNG.integers(-8, 8, n),)


def labels(n):
    return RNG.integers(0, 10, n), RNG.integers(0, 10, n)


def ids(n):
    return (RNG.integers(0, 2**62, n),)


def numbers_with_ids(n):
    return (*numbers(n), *ids(n))


def ids_with_weights(n):
    return (*ids(n), RNG.pareto(1.5, n))


def labels_with_numbers(n):
    return (RNG.integers(0, 10, n), *numbers(n))


def pairs(n):
    return (*numbers(n), *numbers(n))


def scored(n):
    labels = RNG.integers(0, 2, n)
    return labels, 1 / (1 + np.exp(-RNG.normal(size=n) - labels))


CASES = {  # name: what it holds here, a state, and what makes a batch of n items
    "ArgMax": ("", mg.ArgMax(), numbers_with_ids),
    "ArgMin": ("", mg.ArgMin(), numbers_with_ids),
    "BottomK": ("all keys differ", mg.BottomK(), ids),
    "Bootstrap": ("100 replicates, Sum", mg.Bootstrap(mg.Sum()), lambda n: (*ids(n), *numbers(n))),
    "Calibration": ("15 bins", mg.Calibration(), scored),
    "CoMoments": ("", mg.CoMoments(), pairs),
    "ConfusionMatrix": ("10 classes", mg.ConfusionMatrix(10), labels),
    "Count": ("", mg.Count(), lambda n: (n,)),
    "CountMin": ("all keys differ", mg.CountMin(), ids),
    "Counter": ("1,000 keys", mg.Counter(), lambda n: (RNG.integers(0, 1000, n),)),
    "Covariance": ("4 columns", mg.Covariance(4), lambda n: (RNG.normal(size=(n, 4)),)),
    "Deduplicated": ("no row twice", mg.Deduplicated(mg.Sum(), "value"), lambda n: (*ids(n), *numbers(n))),
    "Dict": ("Sum, Max", mg.Dict(total=mg.Sum(), largest=mg.Max()), numbers),
    "FrequentItems": ("k = 1,024", mg.FrequentItems(), lambda n: (np.minimum(RNG.zipf(1.2, n), 2**62),)),
    "First": ("", mg.First(), lambda n: (np.arange(n), *numbers(n))),
    "Histogram": ("1,000 bins", mg.Histogram(np.linspace(-4, 4, 1001)), lambda n: (RNG.normal(size=n),)),
    "HyperLogLog": ("all keys differ", mg.HyperLogLog(), ids),
    "Keyed": ("10 keys, Sum", mg.Keyed(mg.Sum()), labels_with_numbers),
    "LogLinearHistogram": ("defaults", mg.LogLinearHistogram(), lambda n: (RNG.normal(size=n),)),
    "Last": ("", mg.Last(), lambda n: (np.arange(n), *numbers(n))),
    "Max": ("", mg.Max(), numbers),
    "Mean": ("", mg.Mean(), numbers),
    "Min": ("", mg.Min(), numbers),
    "Moments": ("", mg.Moments(), numbers),
    "RankQuantiles": ("k = 200", mg.RankQuantiles(), numbers),
    "Rows": ("2 columns", mg.Rows("id", "value"), numbers_with_ids),
    "ScoreHistogram": ("defaults", mg.ScoreHistogram(), scored),
    "Set": ("all keys differ", mg.Set(), ids),
    "Sliced": ("10 slices, Sum", mg.Sliced(mg.Sum()), labels_with_numbers),
    "Sum": ("", mg.Sum(), numbers),
    "TopK": ("10 of 1,000 keys", mg.TopK(10), lambda n: (RNG.integers(0, 1000, n),)),
    "Tuple": ("Sum, Max", mg.Tuple(mg.Sum(), mg.Max()), numbers),
    "WeightedBottomK": ("all keys differ", mg.WeightedBottomK(), ids_with_weights),
    "Windowed": ("100 steps, Sum", mg.Windowed(mg.Sum(), last=100), lambda n: (int(RNG.integers(0, 100)), *numbers(n))),
    "state": ("np.sum in an object", mg.state(Total), numbers),
}


def update_ratio(state, batches, their_batches, their_sum, budget):
    def ours(fresh):
        for batch in batches:
            fresh.update(*batch)
        fresh.flush()

    def theirs(_):
        for batch in their_batches:
            their_sum(batch)

    mine, base = medians((state.empty, ours), (nothing, theirs), budget=budget)
    return mine / base, base / len(batches)


def merge_cost(state, batches, budget):
    """Return the seconds of a merge of two full states, its ratio to ``np.add`` of as many bytes, and the bytes."""
    full, other = state.empty(), state.empty()
    for i, batch in enumerate(batches):
        (full, other)[i % 2].update(*batch)
    size = len(pickle.dumps(other))
    a, b = np.ones(max(1, size // 8)), np.ones(max(1, size // 8))
    saved = pickle.dumps(full)
    ours = (lambda: pickle.loads(saved), lambda fresh: fresh.merge(other))
    mine, base = medians(ours, (nothing, lambda _: np.add(a, b, out=a)), budget=budget)
    return mine, mine / base, size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds, for a rough idea")
    quick = parser.parse_args().quick
    budget = 0.01 if quick else 0.8
    sizes = {n: min(repeats, 4) for n, repeats in SIZES.items()} if quick else SIZES
    missing = set(states.__all__) - set(CASES)
    if missing:
        sys.exit(f"These states have no case in {Path(__file__).name}: {', '.join(sorted(missing))}.")

    columns = [f"{n:,}" for n in sizes]
    updates = Table("update / np.sum", "", *columns, "merge, µs", "/ np.add", "bytes", box=box.MARKDOWN)
    for column in updates.columns[2:]:
        column.justify = "right"
    base = {}
    for name, (note, state, batch_of) in CASES.items():
        ratios = []
        for n, repeats in sizes.items():
            batches = [batch_of(n) for _ in range(repeats)]
            arrays = [next((part for part in batch if isinstance(part, np.ndarray)), np.ones(n)) for batch in batches]
            ratio, base[n] = update_ratio(state, batches, arrays, np.sum, budget)
            ratios.append(short(ratio))
        cost, ratio, size = merge_cost(state, batches, budget / 4)
        updates.add_row(name, note, *ratios, f"{cost * 1e6:,.1f}", short(ratio), f"{size:,}")

    fsum = []
    for n, repeats in sizes.items():
        batches = [numbers(n) for _ in range(repeats)]
        lists = [batch[0].tolist() for batch in batches]
        fsum.append(short(update_ratio(mg.Sum(), batches, lists, math.fsum, budget)[0]))
    updates.add_row("Sum / math.fsum", "of a list", *fsum, "", "", "")

    console = Console(width=120, highlight=False)
    console.print(machine())
    console.print(
        f"Ratios of medians for batches of {', '.join(columns)} items; np.sum takes "
        f"{', '.join(f'{base[n] * 1e6:.1f}' for n in SIZES)} µs. The bytes are those of a pickle after one update of "
        f"{columns[-1]} items; np.add adds as many.\n"
    )
    console.print(updates)


if __name__ == "__main__":
    main()
