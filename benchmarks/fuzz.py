"""Does any file, however hostile, do more than be refused or hold what a state can hold?

Run: python benchmarks/fuzz.py --inputs 100000. Each input is made of its number, so what is found can be shown again: good files of
every state, of which bytes, JSON nodes, numbers, headers or whole parts are changed, mostly under a seal and checksums that fit.
"""

import argparse
import collections
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    from rich import box
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table
except ImportError as error:
    sys.exit(f"This program needs {error.name}, which is not installed: pip install 'mergeable[cli]'")

from tests import hostile

CHUNK = 500


def tried(numbers):
    """Return how the inputs of these numbers end, by attack, the seconds of the slowest ones, and what went wrong."""
    seen, slowest, wrong = collections.Counter(), collections.Counter(), []
    for number in numbers:
        case = hostile.case(number)
        start = time.perf_counter()
        try:
            seen[case.attack, hostile.outcome(case.data, case.of)] += 1
        except Exception:  # whatever comes is what this program looks for
            seen[case.attack, "wrong"] += 1
            wrong.append((number, case.of, traceback.format_exc(limit=-3)))
        slowest[case.attack] = max(slowest[case.attack], time.perf_counter() - start)
    return seen, slowest, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first one (0)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="all cores by default")
    arguments = parser.parse_args()
    console = Console(width=140)
    numbers = range(arguments.seed, arguments.seed + arguments.inputs)
    total, slowest, wrong = collections.Counter(), collections.Counter(), []
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        parts = pool.map(tried, _chunks(numbers))
        for seen, slow, found in track(parts, "trying", -(-arguments.inputs // CHUNK), console=Console(stderr=True)):
            total += seen
            slowest |= slow  # the larger one of each
            wrong += found
    table = Table("what was changed", "inputs", "refused", "read, and consistent", "anything else", "slowest", box=box.MARKDOWN)
    for attack in hostile.ATTACKS:
        counts = [total[attack, outcome] for outcome in ("refused", "consistent", "wrong")]
        table.add_row(attack, *(f"{n:,}" for n in (sum(counts), *counts)), f"{slowest[attack] * 1e3:,.0f} ms")
    console.print(table)
    for number, of, text in wrong[:10]:
        console.print(f"input {number}, of {of}:\n{text}", markup=False)
    sys.exit(f"{len(wrong)} of {arguments.inputs:,} inputs did something else." if wrong else 0)


def _chunks(numbers):
    return [numbers[i : i + CHUNK] for i in range(0, len(numbers), CHUNK)]


if __name__ == "__main__":
    main()
