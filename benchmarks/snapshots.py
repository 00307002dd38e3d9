"""What does merging files cost, in units of reading the same bytes and taking their CRC-32? And does its memory grow with them?

Run: python benchmarks/snapshots.py. Both sides read the same files from the page cache, in one process, and take turns; shown are
ratios of medians. Memory is the
peak of a fresh process for each number of files, which Linux tells.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from timing import seconds

import mergeable as mg
from mergeable.snapshot.contents import Contents, contents

try:
    from rich import box
    from rich.console import Console
    from rich.table import Table
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[cli]'")

ROUNDS = 5


class Metric(mg.Metric):
    """A metric that was updated with some random numbers, as each case needs them."""

    def result(self):
        return 0


@mg.register
class Small(Metric):
    mean = mg.Mean()
    histogram = mg.Histogram(np.linspace(0, 1, 101))
    matrix = mg.ConfusionMatrix(10)

    def update_state(self, x):
        digits = (10 * x[:64]).astype(int)
        self.mean.update(x[:64])
        self.histogram.update(x[:64])
        self.matrix.update(digits, digits[::-1])


@mg.register
class Bins(Metric):
    cells = mg.Count(shape=(2**17,))

    def update_state(self, x):
        self.cells.update((10 * np.resize(x, 2**17)).astype(int))


@mg.register
class FewBins(Metric):
    cells = mg.Count(shape=(2**14,))

    def update_state(self, x):
        self.cells.update((10 * x[: 2**14]).astype(int))


@mg.register
class ManyBins(Metric):
    cells = mg.Count(shape=(2**20,))

    def update_state(self, x):
        self.cells.update((10 * np.resize(x, 2**20)).astype(int))


@mg.register
class AllRows(Metric):
    rows = mg.Rows("y_true", "y_pred")

    def update_state(self, x):
        self.rows.update(x > 0.5, x)


@mg.register
class Numbers(Metric):
    keys = mg.Counter()

    def update_state(self, x):
        self.keys.update((1e5 * x).astype(int))


@mg.register
class Words(Metric):
    keys = mg.Counter()

    def update_state(self, x):
        self.keys.update([f"word {int(1e5 * value)}" for value in x])


CASES = {  # what the files hold: the class, and how many files
    "mean, 100 bins, 10 x 10 matrix": (Small, 5_000),
    "131,072 counts": (Bins, 300),
    "1,048,576 counts": (ManyBins, 60),
    "20,000 rows of two columns": (AllRows, 300),
    "20,000 whole numbers as keys": (Numbers, 60),
    "20,000 strings as keys": (Words, 60),
}


def write(cls, folder, n):
    paths = []
    for i in range(n):
        metric = cls()
        metric.update_state(np.random.default_rng(i).random(20_000))
        paths.append(Path(folder) / f"{i:05d}.mg")
        metric.snapshot().save(paths[-1])
    return paths


def read(paths):
    for path in paths:
        zlib.crc32(path.read_bytes())


def throughput(console, cores, *, quick):
    rounds = 1 if quick else ROUNDS
    table = Table(
        "a file holds", "files", "bytes a file", "read and CRC-32", "merge", f"merge, {cores} processes", box=box.MARKDOWN
    )
    for name, (cls, n) in CASES.items():
        folder = tempfile.mkdtemp()
        paths = write(cls, folder, max(2, n // 20) if quick else n)
        size = sum(path.stat().st_size for path in paths)
        alone, one, several = zip(
            *(
                (seconds(read, paths), seconds(mg.merge, paths), seconds(mg.merge, paths, processes=cores) if cores > 1 else 0)
                for _ in range(rounds)
            ),
            strict=True,
        )
        base = statistics.median(alone)
        table.add_row(
            name,
            f"{len(paths):,}",
            f"{size / len(paths):,.0f}",
            f"{size / base / 1e6:,.0f} MB/s",
            f"x {statistics.median(one) / base:.1f}",
            f"x {statistics.median(several) / base:.1f}",
        )
        shutil.rmtree(folder)
    console.print(table)
    console.print(f"Times in units of the read, medians of {rounds} rounds. Starting the processes is a part of theirs.")


def peak(paths):
    """Print the peak memory of this process after a merge of these files."""
    merged = mg.merge(paths)
    status = Path("/proc/self/status").read_text()  # what getrusage tells begins with the parent's peak
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    print(int(kilobytes) / 1024, len(merged.origins))


def memory(console, counts):
    table = Table("files", "kept in memory as origins", "peak of the process, MiB", "with one file, MiB", box=box.MARKDOWN)
    folder = tempfile.mkdtemp()
    write(FewBins, folder, 1)
    base = (Path(folder) / "00000.mg").read_bytes()
    held = contents(mg.Snapshot.from_bytes(base))
    for i in range(max(counts)):  # one state under many origins: what matters here is that each file is read and merged
        coverage = mg.Coverage({f"{i:016x}": mg.Contribution(replica=0, updates=1, rows=20_000)})
        mg.Snapshot(Contents.of(held.description, held.states, coverage)).save(Path(folder) / f"{i:05d}.mg")
    for n in counts:
        found = []
        for files in (n, 1):
            command = [sys.executable, __file__, "--peak", folder, str(files)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(done.stdout.split())
        table.add_row(f"{n:,}", found[0][1], f"{float(found[0][0]):.1f}", f"{float(found[1][0]):.1f}")
    shutil.rmtree(folder)
    console.print(table)
    console.print(f"Each file has {len(base):,} bytes.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds and files, to see that it runs")
    parser.add_argument("--peak", nargs=2, metavar=("FOLDER", "FILES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        folder, n = arguments.peak
        peak(sorted(Path(folder).glob("*.mg"))[: int(n)])
        return
    console = Console(width=160)
    cores = os.cpu_count() or 1
    throughput(console, cores, quick=arguments.quick)
    memory(console, (10, 100) if arguments.quick else (10, 100, 1_000, 10_000))


if __name__ == "__main__":
    main()
