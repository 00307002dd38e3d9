"""The KLL sketch: quantiles within an error of the rank, in a few kilobytes."""

from __future__ import annotations

import math
import struct
from typing import Any, final

import numpy as np

from mergeable.numeric import saved_values
from mergeable.numeric.estimate import Estimate
from mergeable.numeric.inputs import as_float64, as_number, flat, unweighted
from mergeable.numeric.nonfinite import added
from mergeable.numeric.sketches import library
from mergeable.state.parameters import as_whole
from mergeable.states.quantiles import Quantiles, as_shares, rank_of

_LEAST_K, _MOST_K = 8, 65535
_MOST = 2**62  # items
_HEAD = "<BBBBHBxQHBx"  # three numbers of the format, flags, k, least items in a level, items, k again, levels
_FULL = (5, 1, 15, 0)
_WIDTH = 8  # items that a level of the sketch holds at least
_NORMAL = np.uint64(1 << 52)  # magnitudes below it, as bits, are those of zero and of subnormal numbers
_HALF = 0.5
_MINUS, _PLUS, _NAN = range(3)


@final
class RankQuantiles(Quantiles):
    """Quantiles of numbers within an error of rank: a KLL sketch.

    The sketch keeps a sample in levels; an item of level i stands for 2^i items. ``quantile(q)`` is the item of rank ceil(q n), the
    smallest one that at least q of all items do not exceed; ``rank(x)`` is the share of items that do not exceed x. Infinities are
    items, counted apart; NaN are none, and ``n_nan`` counts them. Numbers nearer to 0 than 2^-1022 count as 0, because a thread
    that flushes them could not order them. Empty: NaN. Approximate (``exact`` is False) and random: two runs, or other batches and
    merges, give other results within the bound. ``LogLinearHistogram`` gives the same bits always, with an error of the value.

    Error: the rank of an answer is off by at most ``rank_error`` of n, with a certainty of 99 % for each sketch and query: 1.33 % for
    k = 200, 0.35 % for 800, in any tree of merges. Up to k items all are kept and nothing is off, and the extremes are exact always.
    ``estimate`` and ``rank_estimate`` hold this bound.

    ``update(values)``: any shape, widened to float64. ``k`` is from 8 to 65,535. Memory: 5 KB for k = 200, 19 KB for 800, plus a
    buffer of at most 128 KiB. Needs the extra ``mergeable[sketches]``.

    Raises:
        ImportError: datasketches is not installed.
        ValueError: weights came, q is outside of [0, 1], or x is NaN.
        OverflowError: there would be more than 2**62 items.

    Example:
        >>> seconds = RankQuantiles()
        >>> seconds.update(range(1, 101))
        >>> seconds.quantile([0.0, 0.5, 0.99]).tolist()
        [1.0, 50.0, 99.0]
        >>> seconds.rank(25)
        0.25
        >>> seconds.rank_error  # all are kept so far
        0.0

    Source: Karnin, Lang and Liberty 2016; the constants of the bound are Apache DataSketches'.
    """

    exact = False
    _undoes_updates = True

    def __init__(self, k: int = 200) -> None:
        self.k = as_whole(k, "RankQuantiles: got k = {}", _LEAST_K, _MOST_K)
        self._kind()  # refuses early
        self._serialized = (
            b""  # the library's sketch as the library wrote it here: its objects can be neither copied deeply nor pickled
        )
        self._odd = [0, 0, 0]  # how many -inf, inf and NaN; never changed in place

    @property
    def parameters(self) -> dict[str, Any]:
        """``k``."""
        return {"k": self.k}

    @property
    def n(self) -> int:
        """How many items came in, NaN excepted."""
        self.flush()
        return int(self._opened().n) + self._odd[_MINUS] + self._odd[_PLUS]

    @property
    def n_nan(self) -> int:
        """How many NaN came in."""
        self.flush()
        return self._odd[_NAN]

    @property
    def n_infinite(self) -> tuple[int, int]:
        """How many -inf, and how many inf, came in."""
        self.flush()
        return self._odd[_MINUS], self._odd[_PLUS]

    @property
    def rank_error(self) -> float:
        """The largest error of a rank, as a share of n, with a certainty of 99 %; 0.0 while the sketch keeps all items."""
        self.flush()
        sketch = self._opened()
        return float(sketch.normalized_rank_error(False)) if sketch.is_estimation_mode() else 0.0

    def update(self, values: Any, weights: Any = None) -> None:
        """Take values of any shape."""
        if weights is not None:
            raise unweighted("RankQuantiles.update", "sketch counts items", "Use Histogram(edges, weighted=True)")
        self.buffer(flat(as_float64(values, "RankQuantiles.update")))

    def absorb(self, values: np.ndarray) -> None:
        """Take buffered values (n,)."""
        finite = np.isfinite(values)
        odd = self._odd
        if not finite.all():
            nonfinite = values[~finite]
            counts = [int((nonfinite == -math.inf).sum()), int((nonfinite == math.inf).sum()), int(np.isnan(nonfinite).sum())]
            odd = added(odd, counts)
            values = values[finite]
        sketch = self._opened()
        _check(sum(odd) + int(sketch.n) + values.size)
        if values.size:
            sketch.update(_ordered(values))
            self._serialized = sketch.serialize()
        self._odd = odd

    def merge(self, other: RankQuantiles) -> None:
        """Take the other's sample."""
        odd = added(self._odd, other._odd)
        sketch, others = self._opened(), other._opened()
        _check(sum(odd) + int(sketch.n) + int(others.n))
        if not self._serialized:
            self._serialized = other._serialized  # the library's merge would not give the same sketch
        elif other._serialized:
            sketch.merge(others)
            self._serialized = sketch.serialize()
        self._odd = odd

    def to_data(self) -> Any:
        """Return how many -inf, inf and NaN there are, the extremes, the levels' sizes, and the items of each level in order."""
        self.flush()
        sketch = self._opened()
        if not self._serialized:
            return {"special": self._odd, "extremes": None, "levels": [], "items": np.zeros(0)}
        extremes = [float(sketch.get_min_value()), float(sketch.get_max_value())]
        levels = [np.sort(level) for level in _levels(self._serialized)]
        return {"special": self._odd, "extremes": extremes, "levels": [*map(len, levels)], "items": np.concatenate(levels)}

    def from_data(self, saved: Any) -> None:
        """Take over a sample. The library trusts the bytes that it reads: they are written here, from checked values."""
        nonfinite, extremes, sizes, items = saved_values.fields(saved, "special", "extremes", "levels", "items")
        odd = saved_values.wholes(nonfinite, 3, 0, _MOST)
        sizes = saved_values.wholes(sizes, None, 0, _MOST)
        items = saved_values.array(items, np.float64, (sum(sizes),))
        n = sum(size << level for level, size in enumerate(sizes[:64]))
        if len(sizes) > _MOST.bit_length() or n + sum(odd) > _MOST or (sizes and not sizes[-1]):
            raise ValueError("found more items, or levels of them, than any updates make")
        if items.size > _capacity(self.k, len(sizes)):
            raise ValueError(f"found {items.size} items, more than a sketch of this k keeps")
        if not np.isfinite(items).all() or _ordered(items).tobytes() != items.tobytes():
            raise ValueError("found items that are not finite, or nearer to 0 than 2**-1022")
        if n:
            low, high = _extremes(extremes)
            starts = np.cumsum(sizes)[:-1]
            if any((level[1:] < level[:-1]).any() for level in np.split(items, starts)):
                raise ValueError("found a level whose items are not in order")
            kept = len(sizes) == 1
            if not low <= items.min() <= items.max() <= high or (kept and (low, high) != (items.min(), items.max())):
                raise ValueError("found extremes that are not those of the items")
            self._serialized = self._written(n, [low, high], sizes, items)
        elif extremes is not None:
            raise ValueError("found extremes of no items")
        self._odd = odd

    def estimate(self, q: float) -> Estimate:
        """Return the quantile of one q in [0, 1] with items that the true one lies between, with a certainty of 99 %."""
        p = float(as_shares(as_number(q, "RankQuantiles.estimate"), "RankQuantiles.estimate"))
        error = 0.0 if rank_of(p, self.n) in (1, self.n) else self.rank_error
        return Estimate(*self._items([p, max(p - error, 0.0), min(p + error, 1.0)]))

    def rank(self, x: float) -> float:
        """Return the share of items that do not exceed x; NaN when there is no item."""
        value = float(as_number(x, "RankQuantiles.rank"))
        if math.isnan(value):
            raise ValueError("RankQuantiles.rank: got NaN, expected a number: NaN has no rank. n_nan says how many came in.")
        n = self.n
        if not n:
            return math.nan
        below = self._odd[_MINUS] + (self._odd[_PLUS] if value == math.inf else 0)
        if self._serialized and value > -math.inf:
            sketch = self._opened()
            below += round(sketch.get_rank(float(_ordered(np.array(value))), True) * sketch.n)
        return below / n

    def rank_estimate(self, x: float) -> Estimate:
        """Return the rank of x with the range that holds the true one, with a certainty of 99 %."""
        value, error, sketch = self.rank(x), self.rank_error, self._opened()
        known = not self._serialized or not sketch.get_min_value() <= x < sketch.get_max_value()
        return Estimate(value, value, value) if known else Estimate(value, max(value - error, 0.0), min(value + error, 1.0))

    def _kind(self) -> Any:
        return library("RankQuantiles").kll_doubles_sketch

    def _opened(self) -> Any:
        """Return the library's sketch, made anew from its bytes."""
        return self._kind().deserialize(self._serialized) if self._serialized else self._kind()(self.k)

    def _items(self, shares: list[float]) -> list[float]:
        """Return the item of rank ceil(q n) for each q."""
        n = self.n
        if not n:
            return [math.nan] * len(shares)
        sketch, minus, plus = self._opened(), self._odd[_MINUS], self._odd[_PLUS]

        def item(rank: int) -> float:
            if rank <= minus or rank > n - plus:
                return -math.inf if rank <= minus else math.inf
            if rank in (minus + 1, n - plus):
                return float(sketch.get_min_value() if rank == minus + 1 else sketch.get_max_value())
            return float(sketch.get_quantile((rank - minus - _HALF) / sketch.n, True))  # the library rounds ranks up

        return [item(rank_of(q, n)) for q in shares]

    def _written(self, n: int, extremes: list[float], sizes: list[int], items: np.ndarray) -> bytes:
        """Return a sketch of items in levels as the library writes it."""
        kind = self._kind()
        if n == 1:
            sketch = kind(self.k)
            sketch.update(items.copy())
        else:
            depth, free = len(sizes), _capacity(self.k, len(sizes)) - items.size
            starts = [free + sum(sizes[:level]) for level in range(depth)]
            head = struct.pack(_HEAD, *_FULL, self.k, _WIDTH, n, self.k, depth)
            sketch = kind.deserialize(head + struct.pack(f"<{depth}I2d", *starts, *extremes) + items.astype("<f8").tobytes())
        written: bytes = sketch.serialize()
        return written


def _check(n: int) -> None:
    if n > _MOST:
        raise OverflowError("RankQuantiles: there would be more than 2**62 items, whose weights the sketch does not hold.")


def _ordered(values: np.ndarray) -> np.ndarray:
    """Return a copy in which one zero stands for both, and for all subnormal numbers."""
    magnitudes = values.view(np.uint64) & np.uint64(2**63 - 1)
    return np.where(magnitudes < _NORMAL, 0.0, values)


def _extremes(saved: Any) -> list[float]:
    """Return the smallest and the largest item, as they were saved."""
    found = saved_values.listed(saved, "the smallest and largest item", 2)
    if not all(type(value) is float and math.isfinite(value) for value in found):
        raise ValueError("found extremes that are no finite floats")
    if _ordered(np.array(found)).tobytes() != np.array(found).tobytes():
        raise ValueError("found extremes nearer to 0 than 2**-1022")
    return found


def _levels(serialized: bytes) -> list[np.ndarray]:
    """Return the items of each level of a sketch, from the bytes that the library wrote.

    Its own iterator takes one level for another where the lowest is empty.
    """
    if serialized[0] != _FULL[0]:  # a single item, without the rest
        return [np.frombuffer(serialized, "<f8", offset=8)]
    depth = struct.unpack_from(_HEAD, serialized)[-1]
    starts = struct.unpack_from(f"<{depth}I", serialized, struct.calcsize(_HEAD))
    items = np.frombuffer(serialized, "<f8", offset=struct.calcsize(_HEAD) + 4 * depth + 16)  # behind both extremes
    return np.split(items, [start - starts[0] for start in starts[1:]])


def _capacity(k: int, depth: int) -> int:
    """Return how many items a sketch with so many levels has room for: k for the highest, two thirds of it for the next."""
    return sum(max(_WIDTH, _level_capacity(k, below)) for below in range(depth))


def _level_capacity(k: int, below: int) -> int:
    """Return how many items a level so far below the highest holds, rounded as the library does."""
    half = below // 2
    return _two_thirds(k, below) if below <= 30 else _two_thirds(_two_thirds(k, half), below - half)


def _two_thirds(k: int, times: int) -> int:
    capacity: int = ((2 * k << times) // 3**times + 1) >> 1
    return capacity
