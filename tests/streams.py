"""Streams of numbers that hurt sketches, each whole and cut into shards that are merged in random trees."""

import numpy as np

SHARDS = 1_000

STREAMS = {
    "uniform": lambda rng, n: rng.random(n),
    "sorted": lambda rng, n: np.sort(rng.normal(size=n)),
    "heavy tail": lambda rng, n: rng.pareto(0.5, n) + 1.0,
    "600 decades": lambda rng, n: np.exp(rng.uniform(np.log(1e-300), np.log(1e300), n)) * rng.choice([-1.0, 1.0], n),
    "zipf integers": lambda rng, n: np.minimum(rng.zipf(1.2, n), 2**53).astype(np.float64),
    "constant": lambda rng, n: np.full(n, 3.25),
    "NaN and infinities": lambda rng, n: rng.choice([0.5, -2.0, 0.0, -0.0, 5e-324, 1e300, np.nan, np.inf, -np.inf], n),
}
"""By name, what makes n numbers from a random generator."""


def stream(name, n=100_000, seed=0):
    """Return the numbers (n,) of a stream."""
    return STREAMS[name](np.random.default_rng(seed), n)


def cut(n, shards=SHARDS, seed=0):
    """Return the slices of so many shards of n rows, uneven, some of them empty."""
    ends = np.sort(np.random.default_rng(seed).integers(0, n + 1, shards - 1)).tolist()
    return [slice(low, high) for low, high in zip([0, *ends], [*ends, n], strict=True)]


def merged(states, seed=0):
    """Return the states merged in a random tree; they are used up."""
    rng = np.random.default_rng(seed)
    rest = list(states)
    while len(rest) > 1:
        i, j = rng.choice(len(rest), 2, replace=False).tolist()
        rest[i].merge(rest[j])
        rest[j] = rest[-1]
        rest.pop()
    return rest[0]


def sharded(empty, columns, seed=0, shards=SHARDS):
    """Return a state of the columns (n, ...), which came in shards that were merged in a random tree."""
    parts = []
    for rows in cut(len(columns[0]), shards, seed):
        part = empty()
        part.update(*(column[rows] for column in columns))
        parts.append(part)
    return merged(parts, seed)
