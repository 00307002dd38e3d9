"""Log-linear histograms: quantiles within a relative error, from the top bits of floats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np

from mergeable.numeric import exact, float_bins, saved_values
from mergeable.numeric.estimate import Estimate
from mergeable.numeric.inputs import as_float64, flat, unweighted
from mergeable.state.copy_on_write import shared, writable
from mergeable.state.parameters import as_whole
from mergeable.states.quantiles import Quantiles, as_shares, rank_of
from mergeable.wording import shown

_MAGNITUDE = 2**63 - 1
_MOST_BINS = 1 << 20
_UNIT = 1 << exact.UNIT_BITS


class _Side(NamedTuple):
    """The numbers of one sign: the positions of the smallest and the largest magnitude, and counts of the bins from one to the other."""

    low: int
    high: int
    counts: np.ndarray


@final
class LogLinearHistogram(Quantiles):
    """Counts of floats in bins of one relative width, for quantiles of data of any range: its bins are the top bits of the floats.

    An octave (from 2^k to 2^(k + 1)) of either sign has 2^precision bins of equal width. Where the bins from the smallest to the
    largest magnitude of a sign would be more than ``max_bins``, two become one, for both signs, until they are not: the precision that
    is left depends on the data's range alone. It may go below 0, where a bin holds several octaves, and is never refused. Zero, NaN
    and the infinities have cells of their own, and the smallest and largest number of either sign are kept. Empty: NaN. Exact,
    commutative: the same counts in any order.

    ``quantile(q)`` is within ``relative_error`` of the item of rank ceil(q n), the smallest one that at least q of all items do not
    exceed (``method="inverted_cdf"`` in NumPy); infinities are items, NaN are not. The error is at most 1 / (2^(precision + 1) + 1) of
    the item: 0.39 % with 7 bits; in bins of 2^-precision octaves, ratio r, it is (r - 1) / (r + 1). The smallest and the largest item
    are exact. Among subnormal numbers the last rounding adds at most 2^-1074.

    ``update(values)``: any shape, widened to float64. ``precision`` is from 0 to 52, ``max_bins`` from 2 to 2^20.
    Memory: 8 bytes a bin from the smallest to the largest magnitude, at most 16 max_bins, plus a buffer of at most 128 KiB. 4,096 bins
    of 7 bits reach over 32 octaves, a ratio of 4e9.

    Raises:
        ValueError: weights came, or q is outside of [0, 1].
        OverflowError: there would be more than 2**63 - 1 items.

    Example:
        >>> seconds = LogLinearHistogram()
        >>> seconds.update([0.25, 0.5, 4.0, 1e6])
        >>> seconds.quantile([0.0, 0.5, 1.0]).tolist()
        [0.25, 0.5019455252918288, 1000000.0]
        >>> seconds.estimate(0.5)
        Estimate(value=0.5019455252918288, low=0.5, high=0.5039062499999999)
        >>> seconds.relative_error < 0.004
        True

    Source: Hartmann and Schlossnagle 2020 (log-linear bins); Masson, Rim and Lee 2019 (relative error).
    """

    _undoes_updates = True

    def __init__(self, precision: int = 7, max_bins: int = 4096) -> None:
        self.precision = as_whole(precision, "LogLinearHistogram: got precision {}", 0, float_bins.BITS)
        self.max_bins = as_whole(max_bins, "LogLinearHistogram: got max_bins {}", 2, _MOST_BINS)
        self._precision = self.precision  # what is left of it
        self._sides: list[_Side | None] = [None, None]  # the negative numbers, the positive ones
        self._numbers = 0  # how many there are in these bins
        self._odd = [0, 0, 0, 0]  # how many -inf, 0, inf and NaN; never changed in place

    @property
    def parameters(self) -> dict[str, Any]:
        """``precision`` and ``max_bins``."""
        return {"precision": self.precision, "max_bins": self.max_bins}

    @property
    def n(self) -> int:
        """How many items came in, NaN excepted."""
        self.flush()
        return sum(self._odd[:3]) + self._numbers

    @property
    def n_nan(self) -> int:
        """How many NaN came in."""
        self.flush()
        return self._odd[3]

    @property
    def n_infinite(self) -> tuple[int, int]:
        """How many -inf, and how many inf, came in."""
        self.flush()
        return self._odd[0], self._odd[2]

    @property
    def relative_error(self) -> float:
        """The largest relative error of a quantile, with the bins as they are now."""
        self.flush()
        if self._precision >= 0:
            return 1 / ((2 << self._precision) + 1)
        ratio = 1 << (1 << -self._precision)
        return exact.to_float(ratio - 1, ratio + 1)

    def update(self, values: Any, weights: Any = None) -> None:
        """Take values of any shape."""
        if weights is not None:
            raise unweighted("LogLinearHistogram.update", "histogram counts", "Use Histogram(edges, weighted=True)")
        self.buffer(flat(as_float64(values, "LogLinearHistogram.update")))

    def absorb(self, values: np.ndarray) -> None:
        """Take buffered values (n,)."""
        bits = values.view(np.int64)
        magnitudes = bits & _MAGNITUDE
        odd = (magnitudes == 0) | (magnitudes >= float_bins.INFINITY)
        apart = [0, 0, 0, 0]
        if np.count_nonzero(odd):
            of_minus = np.int64(float_bins.INFINITY - 2**63)
            apart = [
                int((bits == of_minus).sum()),
                int((magnitudes == 0).sum()),
                int((bits == float_bins.INFINITY).sum()),
                0,
            ]
            apart[3] = int(odd.sum()) - sum(apart)
            bits, magnitudes = bits[~odd], magnitudes[~odd]
        positions, negative = float_bins.positions(magnitudes), bits < 0
        parts = [positions[negative], positions[~negative]] if np.count_nonzero(negative) else [positions[:0], positions]
        spans = [(int(part.min()), int(part.max())) if part.size else None for part in parts]
        precision = self._fitting(spans, self._precision)
        shift = float_bins.BITS - precision
        sides = [
            _Side(*span, np.bincount((part >> shift) - (span[0] >> shift))) if span else None
            for part, span in zip(parts, spans, strict=True)
        ]
        self._take(sides, bits.size, apart, precision)

    def merge(self, other: LogLinearHistogram) -> None:
        """Add the other's counts, in bins as wide as both sides' ranges need."""
        precision = self._fitting([side and side[:2] for side in other._sides], min(self._precision, other._precision))
        self._take(
            [_coarser(side, other._precision, precision) for side in other._sides], other._numbers, other._odd, precision
        )

    def to_data(self) -> Any:
        """Return how many -inf, 0, inf and NaN there are, and of either sign the extremes and the counts from bin ``first`` on.

        A bin's number is the position of what it begins with, without the low bits: see ``precision``.
        """
        self.flush()
        shift = float_bins.BITS - self._precision
        sides = [
            side and {"extremes": [*map(_value, side[:2])], "first": side.low >> shift, "counts": shared(side.counts)}
            for side in self._sides
        ]
        return {"precision": self._precision, "special": self._odd, "negative": sides[0], "positive": sides[1]}

    def from_data(self, saved: Any) -> None:
        """Take over the counts."""
        precision, apart, *sides = saved_values.fields(saved, "precision", "special", "negative", "positive")
        odd = saved_values.wholes(apart, 4, 0, saved_values.INT64_MAX)
        found = [None if side is None else self._side(side) for side in sides]
        spans = [side and side[:2] for side in found]
        if saved_values.whole(precision, None) != self._fitting(spans, self.precision):
            raise ValueError(f"found bins of {precision} bits, which are not those of this range")
        shift = float_bins.BITS - precision
        for side, part in zip(found, sides, strict=True):
            if side and (
                saved_values.whole(part["first"], None) != side.low >> shift or side.counts.size != _bins(*side[:2], shift)
            ):
                raise ValueError("found bins that do not reach from the smallest number to the largest")
        numbers = sum(sum(side.counts.tolist()) for side in found if side)
        if sum(odd) + numbers > saved_values.INT64_MAX:
            raise ValueError("found more items than were ever counted")
        self._precision, self._sides, self._numbers, self._odd = precision, found, numbers, odd

    def estimate(self, q: float) -> Estimate:
        """Return an ``Estimate`` of the quantile of one q in [0, 1], which holds the item for certain."""
        (estimate,) = self._estimates(as_shares(q, "LogLinearHistogram.estimate").reshape(1).tolist())
        return estimate

    def _items(self, shares: list[float]) -> list[float]:
        return [estimate.value for estimate in self._estimates(shares)]

    def _estimates(self, shares: list[float]) -> list[Estimate]:
        n = self.n
        if not n:
            return [Estimate(math.nan, math.nan, math.nan)] * len(shares)
        negative, positive = (np.zeros(0, np.int64) if side is None else side.counts for side in self._sides)
        counts = np.concatenate([[self._odd[0]], negative[::-1], [self._odd[1]], positive, [self._odd[2]]])
        ranks = [rank_of(share, n) for share in shares]
        cells = np.searchsorted(np.cumsum(counts), np.array(ranks, np.int64))
        return [self._cell(cell, rank, n) for cell, rank in zip(cells.tolist(), ranks, strict=True)]

    def _cell(self, cell: int, rank: int, n: int) -> Estimate:
        """Return an ``Estimate`` of the item of a rank (1 to n) in increasing order, which is in this cell."""
        negative, positive = self._sides
        zero = 1 + (negative.counts.size if negative else 0)
        if cell == zero:
            return Estimate(0.0, 0.0, 0.0)
        if cell < zero and cell and negative:
            low, value, high = self._bin(negative, zero - 1 - cell, smallest=rank == n, largest=rank == 1)
            return Estimate(-value, -high, -low)
        if cell and positive and cell <= zero + positive.counts.size:
            low, value, high = self._bin(positive, cell - zero - 1, smallest=rank == 1, largest=rank == n)
            return Estimate(value, low, high)
        infinity = math.inf if cell else -math.inf
        return Estimate(infinity, infinity, infinity)

    def _bin(self, side: _Side, index: int, *, smallest: bool, largest: bool) -> tuple[float, float, float]:
        """Return the smallest magnitude that a bin's items may have, the one nearest to all of them, and the largest."""
        shift = float_bins.BITS - self._precision
        number = (side.low >> shift) + index
        low = float_bins.units_from(side.high if largest else max(number << shift, side.low))
        high = float_bins.units_to(side.low if smallest else min(((number + 1) << shift) - 1, side.high))
        value = exact.to_float(2 * low * high, (low + high) << exact.UNIT_BITS)  # its relative distance to both is the same
        return exact.to_float(low, _UNIT), value, exact.to_float(high, _UNIT)

    def _fitting(self, spans: Sequence[Any], precision: int) -> int:
        """Return the highest precision, up to this one, whose bins hold these spans of positions and ours."""
        for mine, span in zip(self._sides, spans, strict=True):
            both = [found for found in (mine, span) if found]
            if both:
                low, high = min(found[0] for found in both), max(found[1] for found in both)
                while _bins(low, high, float_bins.BITS - precision) > self.max_bins:
                    precision -= 1
        return precision

    def _take(self, sides: Sequence[_Side | None], numbers: int, odd: list[int], precision: int) -> None:
        """Add counts in bins of this precision."""
        if sum(self._odd) + sum(odd) + self._numbers + numbers > saved_values.INT64_MAX:
            raise OverflowError(
                "LogLinearHistogram: there would be more than 2**63 - 1 items, which an int64 does not hold. Nothing was counted."
            )
        mine = [_coarser(side, self._precision, precision) for side in self._sides]
        self._sides = [_joined(a, b, float_bins.BITS - precision) for a, b in zip(mine, sides, strict=True)]
        self._odd = [a + b for a, b in zip(self._odd, odd, strict=True)]
        self._precision = precision
        self._numbers += numbers

    def _side(self, saved: Any) -> _Side:
        """Return one sign's numbers as they were saved."""
        extremes, _, counts = saved_values.fields(saved, "extremes", "first", "counts")
        low, high = (_position(value) for value in saved_values.listed(extremes, "the smallest and largest magnitude", 2))
        size = len(counts) if isinstance(counts, np.ndarray) and counts.ndim == 1 else 0
        counts = saved_values.array(counts, np.int64, (size,))
        if low > high or not 0 < size <= self.max_bins or counts.min() < 0 or not (counts[0] and counts[-1]):
            raise ValueError("found counts that no numbers between these extremes have")
        if counts.sum(dtype=object) == 1 and low != high:
            raise ValueError("found one number with two extremes")
        return _Side(low, high, shared(counts))


def _bins(low: int, high: int, shift: int) -> int:
    return (high >> shift) - (low >> shift) + 1


def _coarser(side: _Side | None, precision: int, wanted: int) -> _Side | None:
    """Return the counts in bins of a lower precision."""
    if side is None or precision == wanted:
        return side
    first = side.low >> (float_bins.BITS - precision)
    numbers = (first + np.arange(side.counts.size)) >> (precision - wanted)
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    return _Side(side.low, side.high, np.add.reduceat(side.counts, starts))


def _joined(a: _Side | None, b: _Side | None, shift: int) -> _Side | None:
    """Return the counts of both, in a's array where they have room there."""
    if a is None or b is None:
        return a or (b and b._replace(counts=b.counts.copy()))
    low, high = min(a.low, b.low), max(a.high, b.high)
    counts = writable(a.counts)
    if _bins(low, high, shift) > counts.size:
        counts = np.zeros(_bins(low, high, shift), np.int64)
        start = (a.low >> shift) - (low >> shift)
        counts[start : start + a.counts.size] = a.counts
    start = (b.low >> shift) - (low >> shift)
    counts[start : start + b.counts.size] += b.counts
    return _Side(low, high, counts)


def _value(position: int) -> float:
    return exact.to_float(float_bins.units_from(position), _UNIT)


def _position(value: Any) -> int:
    """Return the position of a magnitude that was saved."""
    if type(value) is not float or not 0 < exact.key_of_value(value) < float_bins.INFINITY:
        raise ValueError(f"found {shown(value)}, expected a positive finite float")
    return int(float_bins.positions(np.array([exact.key_of_value(value)]))[0])
