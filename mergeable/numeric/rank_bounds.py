"""ROC AUC, average precision and Kolmogorov-Smirnov statistic of binned scores, with bounds over every order inside bins.

All is counted in whole numbers; what is divided is rounded once, or to the safe side.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mergeable.numeric import exact, saved_values
from mergeable.numeric.estimate import Estimate

_FINE = 128  # bits of quotients that are added up
_NONE = Estimate(math.nan, math.nan, math.nan)


class Cells(NamedTuple):
    """Rows of one score, and rows of scores between two others, whose order is not known; in increasing order.

    ``threshold`` (n,): the order key of the lowest score that a row may have. ``negative`` and ``positive`` (n,): how much there is of
    label 0 and of label 1, never nothing of both: int64, or Python ints. ``tied`` (n,): whether it is one score.
    """

    threshold: np.ndarray
    negative: np.ndarray
    positive: np.ndarray
    tied: np.ndarray

    def totals(self) -> tuple[int, int]:
        """Return how much there is of either label."""
        return int(self.negative.sum()), int(self.positive.sum())

    def wide(self) -> Cells:
        """Return the cells with amounts whose products do not wrap around."""
        negatives, positives = self.totals()
        if 2 * negatives * positives <= saved_values.INT64_MAX:
            return self
        return self._replace(negative=self.negative.astype(object), positive=self.positive.astype(object))


def roc_auc(cells: Cells) -> Estimate:
    """Return the area under the ROC curve: the share of pairs that are ranked right, ties counting half.

    Pairs of two cells are known. Of those in a cell of several scores none or all may be right; the value takes half.
    """
    negatives, positives = cells.totals()
    if not negatives or not positives:
        return _NONE
    _, negative, positive, tied = cells.wide()
    right = int(((np.cumsum(negative) - negative) * positive).sum())
    pairs = negative * positive
    within, known = int(pairs.sum()), int(pairs[tied].sum())
    twice = (2 * right + within, 2 * right + known, 2 * right + 2 * within - known)
    return Estimate(*exact.to_floats(twice, 2 * negatives * positives))


def average_precision(cells: Cells, one: int) -> Estimate:
    """Return the sum over thresholds of precision times the step in recall: 1 without negatives, NaN without positives.

    In a cell of several scores the positives rank first, all as one, at best, and last, one by one, at worst; the value takes the middle
    between first and last one by one. ``one`` is the least amount of a single row: 1 for counts, 0 for weights. Quotients are
    followed to 128 bits, and the bounds rounded to the safe side.
    """
    negatives, positives = cells.totals()
    if not negatives or not positives:
        return Estimate(1.0, 1.0, 1.0) if positives else _NONE
    smallest = min(amount for amount in cells.positive.tolist() if amount)
    places: int = _FINE + (negatives + positives).bit_length() - smallest.bit_length()

    def precision(true: int, false: int) -> int:
        return (true << places) // (true + false) if true + false else 1 << places

    found, true, false = [0, 0, 0], 0, 0
    downward = (column[::-1].tolist() for column in cells[1:])
    for negative, positive, tied in zip(*downward, strict=True):
        if positive:
            first, last, after = true + one, true + positive, false + negative
            if tied:
                bounds = [precision(last, after)] * 3
            else:  # precision is a concave function of the true positives, so that its mean is at least the mean of its ends
                worst = (precision(first, after) + precision(last, after)) // 2
                best = (precision(first, false) + precision(last, false)) // 2
                bounds = [(worst + best) // 2, worst, precision(last, false)]
            bounds[2] += 1  # quotients are rounded down
            found = [total + positive * bound for total, bound in zip(found, bounds, strict=True)]
        true, false = true + positive, false + negative
    return Estimate(*exact.to_floats([min(total, positives << places) for total in found], positives << places))


def kolmogorov_smirnov(cells: Cells) -> Estimate:
    """Return the largest difference between the shares of both labels up to a score.

    It is known at the ends of cells, where the largest is the value and the lower bound. Within a cell of several scores one label
    may come first.
    """
    negatives, positives = cells.totals()
    if not negatives or not positives:
        return _NONE
    _, negative, positive, tied = cells.wide()
    up, down = positive * negatives, negative * positives
    after = np.cumsum(up - down)
    before = after - up + down
    low = int(np.abs(after).max())
    high = max([low, *np.maximum(before + up, down - before)[~tied].tolist()])
    value, bound = exact.to_floats((low, high), negatives * positives)
    return Estimate(value, value, bound)


def roc_curve(cells: Cells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return false positive rates, true positive rates and thresholds (n + 1,), from the threshold inf down."""
    negatives, positives = cells.totals()
    thresholds, false, true = _downward(cells)
    return (
        _quotients([0, *false], [negatives] * (len(false) + 1)),
        _quotients([0, *true], [positives] * (len(true) + 1)),
        np.concatenate([[np.inf], thresholds]),
    )


def precision_recall_curve(cells: Cells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precisions and recalls (n + 1,), of which the last are 1 and 0, and increasing thresholds (n,).

    Recalls but for the last one are NaN without positives.
    """
    downward, false, true = _downward(cells)
    false.reverse()
    true.reverse()
    predicted = [t + f for t, f in zip(true, false, strict=True)]
    recalls = _quotients(true, [cells.totals()[1]] * len(true))
    return _quotients([*true, 1], [*predicted, 1]), np.append(recalls, 0.0), np.ascontiguousarray(downward[::-1])


def _downward(cells: Cells) -> tuple[np.ndarray, list[int], list[int]]:
    """Return thresholds from the top down, and how much of label 0 and of label 1 scores at least as high."""
    thresholds = exact.values_of_keys(cells.threshold[::-1])
    return thresholds, np.cumsum(cells.negative[::-1]).tolist(), np.cumsum(cells.positive[::-1]).tolist()


def _quotients(numerators: list[int], denominators: list[int]) -> np.ndarray:
    """Return quotients, each rounded once; NaN where there is nothing to divide by."""
    pairs = zip(numerators, denominators, strict=True)
    return np.array([exact.to_float(a, b) if b else math.nan for a, b in pairs], np.float64)
