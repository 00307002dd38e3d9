"""NaN and infinities among sums: counted apart, and read as IEEE 754 says."""

from __future__ import annotations

import math

import numpy as np

from mergeable.numeric import exact

ALL_FINITE = [0, 0, 0]
"""No NaN, no +inf and no -inf. Counts of them are never changed in place."""


def split_finite(values: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return the finite values, and how many NaN, +inf and -inf there were."""
    finite = np.isfinite(values)
    if np.count_nonzero(finite) == values.size:
        return values, ALL_FINITE
    nonfinite = values[~finite]
    nan, plus = int(np.isnan(nonfinite).sum()), int((nonfinite == math.inf).sum())
    return values[finite], [nan, plus, nonfinite.size - nan - plus]


def split_total(values: np.ndarray) -> tuple[int, list[int]]:
    """Return the exact sum of the finite values, and how many NaN, +inf and -inf there were."""
    try:
        return exact.total(values), ALL_FINITE
    except ArithmeticError:
        finite, nonfinite = split_finite(values)
        return exact.total(finite), nonfinite


def nonfinite_value(nonfinite: list[int]) -> float | None:
    """Return the sum of values with so many NaN, +inf and -inf among them, or None where there are none."""
    nan, plus, minus = nonfinite
    if nan or (plus and minus):
        return math.nan
    if plus or minus:
        return math.inf if plus else -math.inf
    return None


def added(a: list[int], b: list[int]) -> list[int]:
    """Return the sums of two lists of whole numbers, place by place."""
    return [x + y for x, y in zip(a, b, strict=True)]
