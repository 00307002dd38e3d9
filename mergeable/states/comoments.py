"""Pairs of numbers: covariance, correlation, regression line and R2, from exact sums."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from mergeable.numeric import exact, saved_values
from mergeable.numeric.inputs import as_float64, flat, weighed
from mergeable.numeric.nonfinite import ALL_FINITE, added, nonfinite_value, split_finite
from mergeable.state import State
from mergeable.states.moments import as_ddof, units_of_ddof

_UNIT = exact.UNIT_BITS


@final
class CoMoments(State):
    """Moments of pairs (x, y) up to the second order: each result is the exact value rounded once.

    With exact sums W of w, X of w*x, XX of w*x**2, XY of w*x*y and so on: covariance = (XY - X*Y / W) / (W - ddof),
    correlation = covariance / sqrt(variance of x * variance of y), slope = covariance / variance of x, and with x as
    y_true and y as y_pred, r2 = 1 - sum(w * (x - y)**2) / (XX - X**2 / W). No sum, product, quotient or root is rounded
    before the last step. Empty: weight 0.0, all others NaN. Exact, commutative. Memory: up to 4 KB, plus a buffer of at
    most 128 KiB.

    ``update(x, y, weights=None)``: two arrays of one shape; weights as in ``Mean``. A NaN or an infinity makes the mean
    of its side follow IEEE 754, as in ``Moments``, and results of both sides NaN.

    Raises:
        ValueError: x and y differ in shape, or weights do not fit, or are negative or not finite; nothing is taken.

    Example:
        >>> fit = CoMoments()
        >>> fit.update([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        >>> fit.covariance(), fit.slope, fit.r2
        (1.0, 1.5, 0.5)
        >>> round(fit.correlation, 6)
        0.981981

    Source: Pearson 1896 (correlation); Chan, Golub and LeVeque 1983 for the hazards of sums of squares.
    """

    _undoes_updates = True
    _mutated = ()

    def __init__(self) -> None:
        self._weight = 0  # in units of 2^-1074
        self._first = [0, 0]  # sums of w*x and w*y, in units of 2^-2148
        self._second = [0, 0, 0]  # sums of w*x*x, w*x*y and w*y*y, in units of 2^-3222
        self._nonfinite = [ALL_FINITE, ALL_FINITE]

    @property
    def n_nan(self) -> tuple[int, int]:
        """How many x and how many y were NaN."""
        self.flush()
        return self._nonfinite[0][0], self._nonfinite[1][0]

    def update(self, x: Any, y: Any, weights: Any = None) -> None:
        """Take x and y of one shape, each pair with a weight (default 1)."""
        who = "CoMoments.update"
        shapes = np.shape(x), np.shape(y)
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{who}: got x of shape {shapes[0]} and y of shape {shapes[1]}, expected equal shapes. Reshape one of them."
            )
        weight: list[np.ndarray] = []
        if weights is not None:
            (x, y), *weight = weighed((x, y), weights, who)
        self.buffer(flat(as_float64(x, who)), flat(as_float64(y, who)), *weight)

    def absorb(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take buffered pairs (n,) and weights (n,)."""
        weighting = () if weights is None else (weights,)
        unit = _UNIT if weights is None else 0
        finite = np.isfinite(x), np.isfinite(y)

        def total(rows: np.ndarray, *factors: np.ndarray) -> int:
            parts = (*factors, *weighting)
            return exact.product_total(*(parts if rows.all() else [part[rows] for part in parts])) << unit

        first = [total(finite[0], x), total(finite[1], y)]
        second = [total(finite[0], x, x), total(finite[0] & finite[1], x, y), total(finite[1], y, y)]
        nonfinite = [split_finite(x)[1], split_finite(y)[1]]
        self._weight += x.size << _UNIT if weights is None else exact.total(weights)
        self._take(first, second, nonfinite)

    def merge(self, other: CoMoments) -> None:
        """Add the other's sums."""
        self._weight += other._weight
        self._take(other._first, other._second, other._nonfinite)

    def to_data(self) -> Any:
        """Return the exact sums, and how many NaN, +inf and -inf each side has."""
        self.flush()
        return {
            "weight": self._weight,
            "first": self._first,
            "second": self._second,
            "special": [*self._nonfinite[0], *self._nonfinite[1]],
        }

    def from_data(self, saved: Any) -> None:
        """Take over the exact sums."""
        weight, first, second, nonfinite = saved_values.fields(saved, "weight", "first", "second", "special")
        self._weight = w = saved_values.whole(weight)
        self._first, self._second = saved_values.wholes(first, 2, None), saved_values.wholes(second, 3, None)
        counts = saved_values.wholes(nonfinite, 6)
        self._nonfinite = [counts[:3], counts[3:]]
        most = w * saved_values.LARGEST**2
        xx, xy, yy = self._second
        c, vx, vy = self._centred()
        if w > saved_values.LARGEST_SUM or not (0 <= xx <= most and 0 <= yy <= most) or vx < 0 or vy < 0 or xy * xy > xx * yy:
            raise ValueError("found sums of powers that no pairs have")
        if not any(counts) and c * c > vx * vy:
            raise ValueError("found a sum of products that no pairs have")

    @property
    def weight(self) -> float:
        """The sum of the weights; without weights, the number of pairs."""
        self.flush()
        return exact.to_float(self._weight, 1 << _UNIT)

    @property
    def means(self) -> tuple[float, float]:
        """The weighted means of x and of y; NaN when the weights add up to 0."""
        self.flush()
        values = [nonfinite_value(nonfinite) for nonfinite in self._nonfinite]
        x, y = (
            math.nan if not self._weight else exact.to_float(total, self._weight << _UNIT) if value is None else value
            for total, value in zip(self._first, values, strict=True)
        )
        return x, y

    def covariance(self, ddof: float = 0) -> float:
        """Return the weighted covariance; NaN when the weights add up to no more than ``ddof``, a finite number."""
        freedom = self._usable() - units_of_ddof(as_ddof(ddof, "CoMoments.covariance"))
        if freedom <= 0 or not self._usable():
            return math.nan
        # first in units of 2^-2148, second of 2^-3222, weights of 2^-1074
        return exact.to_float(self._centred()[0], (self._weight * freedom) << 2 * _UNIT)

    @property
    def correlation(self) -> float:
        """Pearson's correlation; NaN where a side is constant."""
        c, vx, vy = self._centred() if self._usable() else (0, 0, 0)
        if not vx or not vy:
            return math.nan
        root = exact.sqrt_to_float(c * c, vx * vy)
        return -root if c < 0 else root

    @property
    def slope(self) -> float:
        """The slope of the least-squares line of y on x; NaN where x is constant."""
        c, vx, _ = self._centred() if self._usable() else (0, 0, 0)
        return exact.to_float(c, vx) if vx else math.nan

    @property
    def intercept(self) -> float:
        """Where the least-squares line of y on x meets x = 0; NaN where x is constant."""
        c, vx, _ = self._centred() if self._usable() else (0, 0, 0)
        x, y = self._first
        return exact.to_float(y * vx - c * x, self._weight * vx << _UNIT) if vx else math.nan

    @property
    def r2(self) -> float:
        """The coefficient of determination, with x as y_true and y as y_pred.

        Where y_true is constant: NaN for perfect predictions, else -inf.
        """
        if not self._usable():
            return math.nan
        xx, xy, yy = self._second
        residual = (xx - 2 * xy + yy) * self._weight
        total = self._centred()[1]
        if not total:
            return -math.inf if residual else math.nan
        return exact.to_float(total - residual, total)

    def result(self) -> dict[str, float]:
        """Return weight, both means, covariance, correlation, slope, intercept and r2."""
        mean_x, mean_y = self.means
        return {
            "weight": self.weight,
            "mean_x": mean_x,
            "mean_y": mean_y,
            "covariance": self.covariance(),
            "correlation": self.correlation,
            "slope": self.slope,
            "intercept": self.intercept,
            "r2": self.r2,
        }

    def _take(self, first: list[int], second: list[int], nonfinite: list[list[int]]) -> None:
        self._first = added(self._first, first)
        self._second = added(self._second, second)
        self._nonfinite = [added(mine, more) for mine, more in zip(self._nonfinite, nonfinite, strict=True)]

    def _usable(self) -> int:
        """Return the weight of all pairs, or 0 where a number is NaN or infinite."""
        self.flush()
        return 0 if any(map(any, self._nonfinite)) else self._weight

    def _centred(self) -> tuple[int, int, int]:
        """Return W * XY - X * Y, W * XX - X**2 and W * YY - Y**2, in units of 2^-4296."""
        x, y = self._first
        xx, xy, yy = (self._weight * power for power in self._second)
        return xy - x * y, xx - x * x, yy - y * y
