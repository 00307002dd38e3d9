"""The Count-Min sketch: an upper bound on the count of each key, in a table of fixed size."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from mergeable.numeric import hashes, saved_values
from mergeable.numeric.estimate import Estimate
from mergeable.numeric.inputs import are_counts, as_array
from mergeable.numeric.saved_values import INT64_MAX
from mergeable.state import State
from mergeable.state.copy_on_write import room, shared, writable
from mergeable.state.parameters import as_whole

_LARGE = 2**40  # a batch of more is counted at once, so that what waits in the buffer never passes 2**62
_NEARLY_FULL = 2**62
_MOST_COLUMNS, _MOST_ROWS = 2**32, 64


@final
class CountMin(State):
    """How often each key came, at most: ``depth`` rows of ``width`` counts, to which each key adds in one place of each row.

    ``count(key)`` is the smallest of a key's places, so never too small. With a probability of 1 - e^-depth (98.2 % for 4)
    it is too large by no more than e / width (0.13 % for 2,048) of ``total``, all that was counted. The unbounded
    alternative ``Counter`` has the keys themselves, and exact counts. Keys as in ``Counter``. Empty: all counts 0. Exact (the
    table is a linear function of the counts), commutative. Memory: 8 width depth bytes (64 KiB), plus a buffer of at most
    128 KiB.

    ``update(keys, times=None)``: keys (n,), each to be counted once, or so many ``times`` (n,): whole numbers not below 0.

    Raises:
        TypeError: a key is not plain. ValueError: times are negative, not whole, or not one for each key.
        OverflowError: all counts would add up to more than 2**63 - 1; nothing is counted.
        IncompatibleStates: on merging with another width, depth or seed.

    Example:
        >>> words = CountMin(width=512)
        >>> words.update(["to", "be", "or", "not", "to", "be"])
        >>> words.update(["be"], times=[2])
        >>> words.count("be"), words.count("that"), words.total
        (4, 0, 8)

    Source: Cormode and Muthukrishnan 2005.
    """

    _undoes_updates = True
    _mutated = ("_table",)

    def __init__(self, width: int = 2048, depth: int = 4, seed: int = 0) -> None:
        self.width, self.depth = _size("width", width, _MOST_COLUMNS), _size("depth", depth, _MOST_ROWS)
        self.seed = hashes.seed_of(seed, "CountMin")
        self._table = np.zeros((self.depth, self.width), np.int64)
        self._total = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """``width``, ``depth`` and ``seed``."""
        return {"width": self.width, "depth": self.depth, "seed": self.seed}

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return one number for each count of the table."""
        return _size("width", parameters["width"], _MOST_COLUMNS) * _size("depth", parameters["depth"], _MOST_ROWS)

    @property
    def total(self) -> int:
        """The sum of the counts of all keys, which is exact."""
        self.flush()
        return self._total

    def update(self, items: Any, times: Any = None) -> None:
        """Count keys (n,), each once or ``times`` (n,) times."""
        labels = hashes.as_keys(items, "CountMin.update")
        if times is None:
            arrays: tuple[np.ndarray, ...] = (labels,)
            many = labels.size
        else:
            amounts = _times(times, labels.size)
            arrays, many = (labels, amounts), _sum(amounts)
        if many > _LARGE or self._total > _NEARLY_FULL:
            self.flush()
            self.absorb(*arrays)
        elif labels.size:
            self.buffer(*arrays)

    def absorb(self, labels: np.ndarray, amounts: np.ndarray | None = None) -> None:
        """Take buffered keys (n,) and how often each came (n,)."""
        total = self._grown(labels.size if amounts is None else _sum(amounts))
        places = self._places(labels)
        self._table, self._total = writable(self._table), total
        for row, at in zip(self._table, places, strict=True):
            np.add.at(row, at, 1 if amounts is None else amounts)

    def merge(self, other: CountMin) -> None:
        """Add the other's counts."""
        self._total = self._grown(other._total)
        self._table = np.add(self._table, other._table, out=room(self._table))

    def result(self) -> np.ndarray:
        """Return the table (depth, width), int64."""
        return self._table.copy()

    def count(self, key: Any) -> int:
        """Return an upper bound on how often a key came."""
        return int(self.counts([key])[0])

    def counts(self, items: Any) -> np.ndarray:
        """Return an upper bound (n,) int64 on how often each key (n,) came."""
        self.flush()
        places = self._places(hashes.as_keys(items, "CountMin.counts"))
        smallest: np.ndarray = np.min([row[at] for row, at in zip(self._table, places, strict=True)], axis=0)
        return smallest

    def estimate(self, key: Any) -> Estimate:
        """Return a key's count, and the range that holds the true one with a probability of 1 - e^-depth."""
        count = self.count(key)
        return Estimate(count, max(0, count - math.floor(math.e / self.width * self.total)), count)

    def to_data(self) -> Any:
        """Return the table."""
        self.flush()
        return {"table": shared(self._table)}

    def from_data(self, saved: Any) -> None:
        """Take over the table."""
        (table,) = saved_values.fields(saved, "table")
        table = saved_values.array(table, np.int64, (self.depth, self.width))
        saved_values.whole(int(table.min()))
        totals = {_sum(row) for row in table}
        if len(totals) > 1:
            raise ValueError("found rows of a table that add up to other totals, expected each to count all keys")
        self._table, self._total = shared(table), saved_values.whole(totals.pop(), high=INT64_MAX)

    def _grown(self, more: int) -> int:
        if self._total + more > INT64_MAX:
            raise OverflowError(
                f"CountMin: all counts would add up to more than 2**63 - 1 (they are {self._total}). Nothing was counted. "
                "Use Counter, whose counts have no limit."
            )
        return self._total + more

    def _places(self, labels: np.ndarray) -> list[np.ndarray]:
        """Return the place of each key (n,) in each row."""
        found = hashes.of_keys(labels, self.seed)
        width, half = np.uint64(self.width), np.uint64(32)
        rows = [hashes.mixed(found, row) >> half for row in range(self.depth)]
        return [(row * width >> half).astype(np.int64) for row in rows]


def _size(name: str, value: Any, most: int) -> int:
    return as_whole(value, f"CountMin: got the {name} {{}}", 1, most)


def _times(times: Any, n: int) -> np.ndarray:
    """Return one whole number for each of n keys."""
    array = as_array(times, "CountMin.update")
    good = are_counts(array)
    if not good.all():
        raise ValueError(f"CountMin.update: got the times {array[~good].flat[0]}, expected whole numbers from 0 to 2**63 - 1.")
    if array.shape not in ((), (n,)):
        raise ValueError(f"CountMin.update: got {n} keys and times of shape {array.shape}, expected one for each key.")
    return np.broadcast_to(array.astype(np.int64), (n,))


def _sum(amounts: np.ndarray) -> int:
    """Return a sum that does not wrap."""
    return (int((amounts >> 32).sum()) << 32) + int((amounts & 0xFFFF_FFFF).sum())
