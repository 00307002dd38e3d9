"""Binned scores of two classes: ROC and precision-recall curves, the areas under them, and bounds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, final

import numpy as np

from mergeable.numeric import exact, float_bins, rank_bounds, saved_values
from mergeable.numeric.estimate import Estimate
from mergeable.numeric.inputs import NORMAL_FLOAT32, ONE_FLOAT32, as_float64, as_scored, run_begins, unweighted
from mergeable.numeric.nonfinite import added
from mergeable.state import State
from mergeable.state.parameters import as_whole

_UNIT = 1 << exact.UNIT_BITS
_MOST_BITS = 23  # of a float32's mantissa
_HIGHEST = float_bins.INFINITY  # the order key of infinity
_NO_BIN = np.iinfo(np.int64).max
_HALF, _ONE, _TWO = map(exact.key_of_value, (0.5, 1.0, 2.0))
_HALF_FLOAT32 = 0x3F00_0000  # its bits
_BLOCK = 1 << 16  # rows that are sorted at once, so that what is made on the way stays in the caches


class _Table(NamedTuple):
    """The nonempty bins, in increasing order; the arrays are never changed in place.

    ``bins`` (k,): their numbers. ``low`` and ``high`` (k,): the order keys of the lowest and the highest score. ``amounts`` (3, 2, k):
    how much there is in all, at the lowest and at the highest score, of label 0 and of label 1: int64 counts, or, of weights, Python
    ints in units of 2^-1074.
    """

    bins: np.ndarray
    low: np.ndarray
    high: np.ndarray
    amounts: np.ndarray

    @classmethod
    def empty(cls, weighted: bool) -> _Table:
        """Return no bins, of counts or of weights."""
        keys = np.zeros(0, np.int64)
        return cls(keys, keys, keys, np.zeros((3, 2, 0), object if weighted else np.int64))

    def joined(self, other: _Table) -> _Table:
        """Return the bins of both tables."""
        if not self.bins.size or not other.bins.size:
            return self if self.bins.size else other
        places = np.searchsorted(self.bins, other.bins)
        new = np.append(self.bins, _NO_BIN)[places] != other.bins
        if np.count_nonzero(new):
            places += np.cumsum(new) - new
            kept = np.ones(self.bins.size + np.count_nonzero(new), bool)
            kept[places[new]] = False
            mine = _Table(*(np.zeros((*column.shape[:-1], kept.size), column.dtype) for column in self))
            for grown, column in zip(mine, self, strict=True):
                _put(grown, np.flatnonzero(kept), column)
            for grown, column in zip(mine[:3], other[:3], strict=True):
                grown[places[new]] = column[new]
        else:
            mine = _Table(*(column.copy() for column in self))
        low, high = np.minimum(mine.low[places], other.low), np.maximum(mine.high[places], other.high)
        amounts = mine.amounts.take(places, axis=-1)
        amounts[0] += other.amounts[0]
        for end, score, here, there in (1, low, mine.low, other.low), (2, high, mine.high, other.high):
            amounts[end] *= here[places] == score
            amounts[end] += other.amounts[end] * (there == score)
        mine.low[places], mine.high[places] = low, high
        _put(mine.amounts, places, amounts)
        return mine


@final
class ScoreHistogram(State):
    """Counts of both labels in bins of scores, for ROC AUC, average precision, Kolmogorov-Smirnov and the curves behind them.

    An octave (from 2^k to 2^(k + 1)) has 2^precision bins of equal width, found by the bits of the scores, and from 1/2 to 1 an octave
    of 1 - score has them; negative scores mirror these. So probabilities near 0 and near 1 are told apart as well as others. Each bin
    keeps its lowest and its highest score and how much is there, so that scores which stand for many rows (0 and 1, a limit that others
    were clipped to, few distinct scores) are ties that are known. NaN are counted apart by label. Exact, commutative: the same bins in
    any order. Empty, or without one of the labels: NaN, but for the average precision without negatives, which is 1.

    ``roc_auc()`` is the probability that a positive scores above a negative, ties counting half; ``pr_auc()`` the average precision;
    ``ks()`` the largest difference of the two distribution functions. The bins leave open how scores rank that lie between the lowest and
    the highest of one bin. ``roc_auc_estimate()`` and its like state the range of all such rankings, in exact arithmetic, which holds
    the value of the scores for certain. Points of ``roc_curve()`` and ``precision_recall_curve()`` are exact.

    ``update(y_true, y_score, weights=None)``: labels are 0 and 1 (numbers or bools), scores any real numbers, of equal shape or one a
    row; weights as in ``Mean`` need ``weighted=True``, whose cells are exact sums. ``precision`` is from 0 to 23; with 23 the bins tell
    all float32 scores apart, and nothing is left open.
    Memory: 72 bytes (``weighted``: up to 2 KB) for each bin that holds something, of which an octave has 2^precision; plus a buffer of at
    most 128 KiB. For scores spread evenly over [0, 1], 2,600 bins of 7 bits, ROC AUC is certain to within 0.0007; 10 bits take 14,000
    and are certain to within 0.0001. The value itself is nearer than that.

    Raises:
        ValueError: a label is neither 0 nor 1, or shapes differ, or weights came to a histogram that counts.
        OverflowError: there would be more than 2**63 - 1 rows.

    Example:
        >>> scores = ScoreHistogram()
        >>> scores.update([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> scores.roc_auc(), scores.pr_auc()
        (0.75, 0.8333333333333334)
        >>> scores.update([0, 1], [0.3501, 0.3502])
        >>> scores.roc_auc_estimate()
        Estimate(value=0.6666666666666666, low=0.6666666666666666, high=0.6666666666666666)
        >>> scores.update([0, 1], [0.35015, 0.35011])  # between two others of one bin
        >>> scores.roc_auc_estimate()
        Estimate(value=0.625, low=0.5625, high=0.6875)

    Source: Fawcett 2006 (ROC curves); Davis and Goadrich 2006 (precision and recall).
    """

    _undoes_updates = True
    _mutated = ()

    def __init__(self, precision: int = 7, weighted: bool = False) -> None:
        self.precision = as_whole(precision, "ScoreHistogram: got precision {}", 0, _MOST_BITS)
        self.weighted = bool(weighted)
        self._table = _Table.empty(self.weighted)
        self._nan = [0, 0]  # how many NaN among the negatives and positives; never changed in place

    @property
    def parameters(self) -> dict[str, Any]:
        """``precision`` and ``weighted``."""
        return {"precision": self.precision, "weighted": self.weighted}

    @property
    def n_negative(self) -> Any:
        """How many rows of label 0 have a score: a count, or their weight."""
        return self._amount(self._totals()[0])

    @property
    def n_positive(self) -> Any:
        """How many rows of label 1 have a score: a count, or their weight."""
        return self._amount(self._totals()[1])

    @property
    def n_nan(self) -> tuple[Any, Any]:
        """How many scores were NaN, of label 0 and of label 1."""
        self.flush()
        return self._amount(self._nan[0]), self._amount(self._nan[1])

    def update(self, y_true: Any, y_score: Any, weights: Any = None) -> None:
        """Take labels and their scores, of equal shape such as (n,), each with a weight (default 1)."""
        if weights is not None and not self.weighted:
            raise unweighted("ScoreHistogram.update", "histogram counts", "Declare ScoreHistogram(weighted=True)")
        self.buffer(*as_scored(y_true, y_score, weights, "ScoreHistogram.update", narrow=not self.weighted))

    def absorb(self, positive: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take buffered labels (n,), scores (n,) of float64 or float32, and weights (n,)."""
        if weights is None and self.weighted:
            weights = np.ones(scores.size)
        missing = np.isnan(scores)
        nan = [0, 0]
        if np.count_nonzero(missing):
            for label, rows in enumerate((missing & ~positive, missing & positive)):
                nan[label] = int(np.count_nonzero(rows)) if weights is None else exact.total(weights[rows])
            positive, scores = positive[~missing], scores[~missing]
            weights = None if weights is None else weights[~missing]
        blocks = [slice(start, start + _BLOCK) for start in range(0, scores.size, _BLOCK)]
        tables = [self._tabled(positive[b], scores[b], None if weights is None else weights[b]) for b in blocks]
        self._take(functools.reduce(_Table.joined, tables, _Table.empty(self.weighted)), nan)

    def merge(self, other: ScoreHistogram) -> None:
        """Add the other's bins."""
        self._take(other._table, other._nan)

    def to_data(self) -> Any:
        """Return the nonempty bins: the lowest and the highest score of each, and the amounts of either label, in all and at these scores.

        And the amounts of NaN, of label 0 and of label 1.
        """
        self.flush()
        _, low, high, amounts = self._table
        saved = {"low": exact.values_of_keys(low), "high": exact.values_of_keys(high), "nan": list(self._nan)}
        return saved | {name: saved_values.packed(amounts[place].tolist()) for name, place in _COLUMNS.items()}

    def from_data(self, saved: Any) -> None:
        """Take over the bins."""
        low, high, nan, *columns = saved_values.fields(saved, "low", "high", "nan", *_COLUMNS)
        size = len(low) if isinstance(low, np.ndarray) and low.ndim == 1 else 0
        most = saved_values.LARGEST_SUM if self.weighted else saved_values.INT64_MAX
        missing = saved_values.wholes(nan, 2, 0, most)
        amounts = np.zeros((3, 2, size), self._table.amounts.dtype)
        for column, place in zip(columns, _COLUMNS.values(), strict=True):
            amounts[place] = saved_values.wholes(column, size, 0, most)
        lows, highs = map(exact.order_keys, [saved_values.array(scores, np.float64, (size,)) for scores in (low, high)])
        if (np.abs(lows) > _HIGHEST).any() or (np.abs(highs) > _HIGHEST).any() or (lows > highs).any():
            raise ValueError("found bins whose lowest score is NaN, or above the highest")
        increasing = (lows[1:] > lows[:-1]).all() and (highs[1:] > highs[:-1]).all()
        bins = self._bins(lows) if increasing else np.zeros(size, np.int64)
        if not increasing or (bins != self._bins(highs)).any() or (np.diff(bins) <= 0).any():
            raise ValueError("found scores of several bins in one, or bins that do not increase")
        if int(amounts[0].astype(object).sum()) + sum(missing) > most:
            raise ValueError("found more rows than were ever counted")
        tied, (everything, at_low, at_high) = lows == highs, amounts
        beyond = np.where(tied, (everything != at_low) | (everything != at_high), at_low > everything - at_high)
        if beyond.any() or (amounts.sum(axis=1) == 0).any():
            raise ValueError("found bins whose lowest or highest score nothing has, or more than there is")
        self._table, self._nan = _Table(bins, lows, highs, amounts), missing

    def result(self) -> dict[str, float]:
        """Return ROC AUC, average precision and the Kolmogorov-Smirnov statistic; NaN unless both labels came.

        The average precision needs positives alone, and is 1 where there is nothing else.
        """
        return {"roc_auc": self.roc_auc(), "pr_auc": self.pr_auc(), "ks": self.ks()}

    def roc_auc(self) -> float:
        """Return the area under the ROC curve, rounded once: exact, but for scores strictly inside a bin, which are ties."""
        return self.roc_auc_estimate().value

    def roc_auc_estimate(self) -> Estimate:
        """Return the area under the ROC curve as an ``Estimate`` whose bounds are certain."""
        return rank_bounds.roc_auc(self._cells())

    def pr_auc(self) -> float:
        """Return the average precision: the sum over thresholds of precision times the step in recall; NaN without positives."""
        return self.pr_auc_estimate().value

    def pr_auc_estimate(self) -> Estimate:
        """Return the average precision as an ``Estimate`` whose bounds are certain."""
        return rank_bounds.average_precision(self._cells(), one=int(not self.weighted))

    def ks(self) -> float:
        """Return the largest difference between the shares of negatives and positives up to a score, over the scores that are known."""
        return self.ks_estimate().value

    def ks_estimate(self) -> Estimate:
        """Return the Kolmogorov-Smirnov statistic as an ``Estimate`` whose bounds are certain; its value is the lower one."""
        return rank_bounds.kolmogorov_smirnov(self._cells())

    def roc_curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return false positive rates, true positive rates and thresholds, each (n + 1,), from the threshold inf down.

        A row is called positive where its score is at least the threshold: points are exact. A threshold is a score, or the float
        just above one.
        """
        return rank_bounds.roc_curve(self._cells())

    def precision_recall_curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return precisions (n + 1,), recalls (n + 1,) and increasing thresholds (n,); the last point is (1, 0)."""
        return rank_bounds.precision_recall_curve(self._cells())

    def _totals(self) -> tuple[int, int]:
        """Return the amounts of label 0 and of label 1."""
        self.flush()
        negatives, positives = self._table.amounts[0].sum(axis=1).tolist()
        return int(negatives), int(positives)

    def _cells(self) -> rank_bounds.Cells:
        """Return the rows of one score that are known to be, and those between them."""
        self.flush()
        _, low, high, amounts = self._table
        found = amounts.copy()
        found[0], found[1] = amounts[1], amounts[0] - amounts[1]
        found[1] -= amounts[2]
        found[1:, :, low == high] = 0
        negative, positive = found[:, 0].T.reshape(-1), found[:, 1].T.reshape(-1)
        some = np.flatnonzero(negative | positive)
        thresholds = np.stack([low, low + 1, high], axis=1).reshape(-1)
        return rank_bounds.Cells(thresholds[some], negative[some], positive[some], some % 3 != 1)

    def _bins(self, keys: np.ndarray) -> np.ndarray:
        """Return the bins (n,) of scores that have these increasing order keys (n,): increasing whole numbers, 0 for 0."""
        zeros, positive = np.searchsorted(keys, [0, 1]).tolist()
        places = self._places(keys[positive:])
        if not positive:
            return places
        negative = -self._places(-keys[:zeros][::-1])[::-1]
        return np.concatenate([negative, np.zeros(positive - zeros, np.int64), places])

    def _places(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the bins (n,) of positive scores, given by their increasing bits (n,)."""
        upper, above = np.searchsorted(magnitudes, [_HALF + 1, _ONE]).tolist()
        numbered = magnitudes.copy()
        rest = 1.0 - magnitudes[upper:above].view(np.float64)  # exact, at least 2^-53 and below 1/2
        numbered[upper:above] = rest.view(np.int64)
        places = self._numbers(numbered)
        places[upper:above] = (2146 << self.precision) + 2 - places[upper:above]  # mirrored at that of 1/2
        places[above:] += 52 << self.precision
        return places

    def _numbers(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the places (n,) above 0 of the bins of positive numbers, given by their bits (n,)."""
        return (float_bins.positions(magnitudes) >> (float_bins.BITS - self.precision)) + (1074 << self.precision) + 1

    def _tabled(self, positive: np.ndarray, scores: np.ndarray, weights: np.ndarray | None) -> _Table:
        """Return the bins of rows, given by their labels (n,), their scores (n,), and their weights (n,)."""
        if scores.dtype == np.float32 and weights is None:
            table = self._tabled_float32(positive, scores.view(np.uint32))
            if table is not None:
                return table
        keys = exact.order_keys(as_float64(scores, "ScoreHistogram"))
        if weights is None and keys.size and keys.min() > -_TWO and keys.max() < _TWO:
            keys += keys  # which leaves room for the label: to sort numbers is quicker than to sort rows
            keys += positive
            keys.sort()
            positive = keys & 1
            keys >>= 1
        else:
            order = np.argsort(keys)
            keys, positive = keys[order], positive[order].astype(np.int64)
            weights = None if weights is None else weights[order]
        return self._cut(keys, run_begins(self._bins(keys)), positive, weights)

    def _tabled_float32(self, positive: np.ndarray, bits: np.ndarray) -> _Table | None:
        """Return the bins of rows whose scores have these bits (n,) as float32; None where some are negative or subnormal."""
        if np.maximum.reduce(bits, initial=0) >= 1 << 31:
            return None
        bits = bits + bits  # which leaves room for the label
        bits += positive
        bits.sort()
        positive = bits & np.uint32(1)
        bits >>= np.uint32(1)
        zeros, normal, upper, above = np.searchsorted(bits, [1, NORMAL_FLOAT32, _HALF_FLOAT32 + 1, ONE_FLOAT32]).tolist()
        if zeros != normal:
            return None
        shift = np.uint32(_MOST_BITS - self.precision)
        places = bits >> shift  # equal in one bin, as those of ``_bins`` are
        places[upper:above] = (np.float32(1) - bits[upper:above].view(np.float32)).view(np.uint32) >> shift  # exact
        begins = run_begins(places)
        begins[[place for place in (zeros, upper, above) if place < bits.size]] = True
        return self._cut(bits, begins, positive, None, lambda some: exact.order_keys(some.view(np.float32).astype(np.float64)))

    def _cut(
        self,
        scores: np.ndarray,
        begins: np.ndarray,
        positive: np.ndarray,
        weights: np.ndarray | None,
        keys_of: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> _Table:
        """Return the bins of rows in the order of their scores (n,), which ``keys_of`` makes order keys, and where bins begin (n,)."""
        starts = np.flatnonzero(begins)
        low, high = scores[starts], scores[np.append(starts[1:], scores.size)[: starts.size] - 1]
        second = np.searchsorted(scores, low, side="right")
        last = np.maximum(np.searchsorted(scores, high), second)
        cuts = np.append(np.stack([starts, second, last], axis=1), scores.size)
        at_low, between, at_high = _amounts(cuts, positive, weights)
        amounts = np.stack([at_low + between + at_high, at_low, np.where(low == high, at_low, at_high)])
        low, high = keys_of(low), keys_of(high)
        return _Table(self._bins(low), low, high, amounts)

    def _take(self, table: _Table, nan: list[int]) -> None:
        """Add bins of another table."""
        if not self.weighted:
            total = sum(int(part.amounts[0].sum()) for part in (self._table, table))
            if total + sum(self._nan) + sum(nan) > saved_values.INT64_MAX:
                raise OverflowError(
                    "ScoreHistogram: there would be more than 2**63 - 1 rows, which an int64 does not hold. Nothing was counted."
                )
        self._table = self._table.joined(table)
        self._nan = added(self._nan, nan)

    def _amount(self, amount: int) -> Any:
        return exact.to_float(amount, _UNIT) if self.weighted else amount


def _put(array: np.ndarray, places: np.ndarray, values: np.ndarray) -> None:
    """Write values (..., n) to places (n,) of the last axis."""
    for row, new in zip(array.reshape(-1, array.shape[-1]), values.reshape(-1, places.size), strict=True):
        row[places] = new


def _amounts(cuts: np.ndarray, positive: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return how many rows of either label there are from each cut (3 k + 1,) to the next one, or their exact weight: (3, 2, k).

    ``positive`` (n,) are ones and zeros, and not needed any more.
    """
    sizes = np.diff(cuts)
    if weights is None:
        np.cumsum(positive, out=positive)
        positives = np.diff(positive[cuts[1:] - 1], prepend=0)  # the first cut is 0
        return np.stack([(sizes - positives).reshape(-1, 3).T, positives.reshape(-1, 3).T], axis=1)
    found = np.zeros((sizes.size, 2), object)
    some = np.flatnonzero(sizes)
    for label in (0, 1):
        found[some, label] = exact.run_totals(np.where(positive == label, weights, 0.0), cuts[some])
    return found.reshape(-1, 3, 2).transpose(1, 2, 0)


_COLUMNS = {
    "negative": (0, 0),
    "positive": (0, 1),
    "negative_at_low": (1, 0),
    "positive_at_low": (1, 1),
    "negative_at_high": (2, 0),
    "positive_at_high": (2, 1),
}
"""The names of the amounts in a file."""
