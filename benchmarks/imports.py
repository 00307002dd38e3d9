"""What does importing this library cost beyond what it stands on?

Run: python benchmarks/imports.py. Each import runs in fresh processes, from Python's start to its end, and all take turns. A first
process of each, which may have to write byte code, does not count.
"""

import argparse
import os
import statistics
import subprocess
import sys

from timing import machine, medians, nothing

try:
    from rich import box
    from rich.console import Console
    from rich.table import Table
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

CASES = {  # what is imported, after what it stands on, and how many processes of each kind
    "mergeable": ("import numpy, cloudpickle", 31),
    "mergeable.keras": ("import tensorflow, keras", 7),
}


def process(code, told):
    """Return what runs code in a fresh process, which finds the byte code of the one before, and keeps the number that it prints."""
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | quiet

    def act(_):
        done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
        told.extend(map(float, done.stdout.split()))

    return act


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three processes of each, for a rough idea")
    quick = parser.parse_args().quick
    columns = ("processes", "without, ms", "with, ms", "difference, ms", "with / without", "the import itself, ms")
    table = Table("import", *columns, box=box.MARKDOWN)
    for name, (before, processes) in CASES.items():
        rounds, told = 3 if quick else processes, []
        timed = f"import time; start = time.perf_counter(); import {name}; print(time.perf_counter() - start)"
        acts = [process(code, told) for code in (before, f"{before}; {timed}")]
        for act in acts:
            act(None)
        without, complete = medians(*((nothing, act) for act in acts), budget=0, least=rounds)
        shown = [f"{1e3 * t:,.0f}" for t in (without, complete, complete - without)]
        itself = f"{1e3 * statistics.median(told[1:]):,.0f}"
        table.add_row(
            f"{name}, after {before.removeprefix('import ')}", f"{rounds}", *shown, f"{complete / without:.2f}", itself
        )
    console = Console(width=140, highlight=False)
    console.print(machine("cloudpickle", "tensorflow", "keras"))
    console.print(table)
    console.print("Medians. The import itself is timed inside of the processes.")


if __name__ == "__main__":
    main()
