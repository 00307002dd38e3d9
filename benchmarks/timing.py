"""What benchmarks share: sides that take turns, medians, tables, and the machine on which they ran."""

import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np


def seconds(act, *args, **options):
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    act(*args, **options)
    return time.perf_counter() - start


def nothing():
    """Prepare nothing."""


def medians(*sides, budget, least=3):
    """Let sides take turns for ``budget`` seconds, each ``least`` times or more, and return the median seconds of each.

    A side is a pair: what prepares a subject, which is not timed, and what is timed, called with that subject.
    """
    times = []
    end = time.perf_counter() + budget
    while len(times) < least or time.perf_counter() < end:
        times.append([seconds(act, prepare()) for prepare, act in sides])
    return [statistics.median(side) for side in zip(*times, strict=True)]


def short(ratio):
    """Return a ratio with two digits, or as a whole number from 10 on."""
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def machine(*packages):
    """Return the processor, the system and the versions of Python, NumPy and these packages."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    name = names[0] if names else platform.processor() or platform.machine()
    versions = [f"Python {platform.python_version()}", f"NumPy {np.__version__}", *(f"{p} {version(p)}" for p in packages)]
    return f"{name}, {os.cpu_count()} cores, {platform.system()}; {', '.join(versions)}"
