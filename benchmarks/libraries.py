"""What does an update cost beside the library that does the same job?

Run: python benchmarks/libraries.py. Both sides take the same batches, in one process and in turns; shown are ratios of medians, ours over
theirs. Where a library takes one item at a time, its side is that loop.
"""

import argparse
import sys

import numpy as np
from timing import machine, medians, short

import mergeable as mg

try:
    import boost_histogram
    import datasketches
    import ddsketch
    from rich import box
    from rich.console import Console
    from rich.table import Table
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[bench]'")

SIZES = {32: 256, 1_000: 32, 100_000: 2}  # items in a batch: batches before a flush
RNG = np.random.default_rng(0)
EDGES = np.linspace(-4, 4, 1001)


def one_by_one(sketch):
    """Return what gives a sketch a batch item by item."""

    def update(batch):
        for item in batch.tolist():
            sketch.update(item)

    return update


def relative():
    sketch = ddsketch.DDSketch(1 / 257)

    def update(batch):
        for item in batch.tolist():
            sketch.add(item)

    return update


def kll():
    return datasketches.kll_doubles_sketch(200).update


def normal(n):
    return RNG.normal(size=n)


def ids(n):
    return RNG.integers(0, 2**62, n)


def zipf(n):
    return np.minimum(RNG.zipf(1.2, n), 2**53)


CASES = {  # ours, theirs, and what makes a batch of n items
    "Histogram / boost-histogram": (
        mg.Histogram(EDGES),
        lambda: boost_histogram.Histogram(boost_histogram.axis.Variable(EDGES), storage=boost_histogram.storage.Int64()).fill,
        normal,
    ),
    "LogLinearHistogram / ddsketch": (mg.LogLinearHistogram(), relative, normal),
    "RankQuantiles / datasketches KLL": (mg.RankQuantiles(), kll, normal),
    "LogLinearHistogram / datasketches KLL": (mg.LogLinearHistogram(), kll, normal),
    "HyperLogLog / datasketches HLL": (mg.HyperLogLog(), lambda: one_by_one(datasketches.hll_sketch(12)), ids),
    "BottomK / datasketches Theta": (mg.BottomK(), lambda: one_by_one(datasketches.update_theta_sketch(10)), ids),
    "CountMin / datasketches CountMin": (
        mg.CountMin(),
        lambda: one_by_one(datasketches.count_min_sketch(4, 2048)),
        zipf,
    ),
    "FrequentItems / datasketches": (
        mg.FrequentItems(),
        lambda: one_by_one(datasketches.frequent_items_sketch(10)),
        zipf,
    ),
}


def ratio(state, make, batches, budget):
    def ours(fresh):
        for batch in batches:
            fresh.update(batch)
        fresh.flush()

    def theirs(update):
        for batch in batches:
            update(batch)

    mine, base = medians((state.empty, ours), (make, theirs), budget=budget)
    return mine / base


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds, for a rough idea")
    budget = 0.01 if parser.parse_args().quick else 1.0
    table = Table("ours / theirs", *(f"{n:,}" for n in SIZES), box=box.MARKDOWN)
    for name, (state, make, batch_of) in CASES.items():
        cells = [ratio(state, make, [batch_of(n) for _ in range(repeats)], budget) for n, repeats in SIZES.items()]
        table.add_row(name, *(short(cell) for cell in cells))
    console = Console(width=120, highlight=False)
    console.print(machine())
    console.print(table)


if __name__ == "__main__":
    main()
