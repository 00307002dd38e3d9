"""How long the tests search, and how long they wait."""

import os
import random

LONG = os.environ.get("LONG", "0") != "0"
"""Whether every case is tried and every search is longer, as ``make test-long`` does."""

HANG = 1800
"""Seconds after which something hangs. No test is to come near: a slow machine takes its time."""


def tries(usual, at_length):
    """Return how often to try."""
    return at_length if LONG else usual


def some(cases, n, seed=0):
    """Return n of the cases, drawn once for all; each of them where the tests are long."""
    cases = list(cases)
    return cases if LONG or n >= len(cases) else [cases[i] for i in sorted(random.Random(seed).sample(range(len(cases)), n))]
