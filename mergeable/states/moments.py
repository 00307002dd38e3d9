"""Means, variances and standard deviations, from exact sums."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from mergeable.numeric import exact, saved_values
from mergeable.numeric.inputs import as_number, as_weighted, is_number, is_zero
from mergeable.numeric.nonfinite import ALL_FINITE, added, nonfinite_value, split_finite, split_total
from mergeable.state import State
from mergeable.states.number import Number
from mergeable.wording import shown

_UNIT = exact.UNIT_BITS


@final
class Mean(Number):
    """The weighted mean: the exact sum of weight * value over the exact sum of the weights, rounded once.

    Empty: NaN, and NaN where all weights are 0. Exact, commutative: no product, sum or quotient is rounded before the
    last step, so the error is at most 2^-53 of the result. Memory: up to 1 KB, plus a buffer of at most 128 KiB.

    ``update(values, weights=None)``: values of any shape; weights of the same shape, one for each row, or one number;
    finite and not below 0. A NaN or infinite value counts as IEEE 754 says. What weighs 0 is not there, whatever its value.

    Raises:
        ValueError: weights do not fit the values, or are negative or not finite; nothing is taken.

    Example:
        >>> loss = Mean()
        >>> loss.update([0.1, 0.2, 0.3], weights=[1, 1, 2])
        >>> loss.result()
        0.225
        >>> loss.update(float("nan"))
        >>> loss.result(), loss.n_nan
        (nan, 1)
    """

    _undoes_updates = True
    _mutated = ()

    def __init__(self) -> None:
        self._total = 0  # sum of weight * value, in units of 2^-2148
        self._weight = 0  # sum of weights, in units of 2^-1074
        self._nonfinite = ALL_FINITE

    @property
    def n_nan(self) -> int:
        """How many values were NaN."""
        self.flush()
        return self._nonfinite[0]

    @property
    def weight(self) -> float:
        """The sum of the weights; without weights, the number of values."""
        self.flush()
        return exact.to_float(self._weight, 1 << _UNIT)

    def update(self, values: Any, weights: Any = None) -> None:
        """Take values of any shape, each with a weight (default 1)."""
        self.buffer(*as_weighted(values, weights, "Mean.update"))

    def absorb(self, values: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take buffered values (n,) and weights (n,)."""
        if weights is None:
            total, nonfinite = split_total(values)
            self._total += total << _UNIT
            self._weight += values.size << _UNIT
        else:
            finite, nonfinite = split_finite(values)
            self._total += exact.product_total(finite, weights if finite is values else weights[np.isfinite(values)])
            self._weight += exact.total(weights)
        self._nonfinite = added(self._nonfinite, nonfinite)

    def merge(self, other: Mean) -> None:
        """Add the other mean's sums."""
        self._total += other._total
        self._weight += other._weight
        self._nonfinite = added(self._nonfinite, other._nonfinite)

    def to_data(self) -> Any:
        """Return the exact sums."""
        self.flush()
        return {"total": self._total, "weight": self._weight, "special": self._nonfinite}

    def from_data(self, saved: Any) -> None:
        """Take over the exact sums."""
        total, weight, nonfinite = saved_values.fields(saved, "total", "weight", "special")
        self._total, self._weight, self._nonfinite = (
            saved_values.whole(total, None),
            saved_values.whole(weight),
            saved_values.wholes(nonfinite, 3),
        )
        if weight > saved_values.LARGEST_SUM or abs(total) > weight * saved_values.LARGEST:
            raise ValueError("found a total that no values of this weight have")

    def result(self) -> float:
        """Return the mean, rounded once; NaN when the weights add up to 0."""
        return _ratio(self._total, self._weight, self._nonfinite)

    def _assign_number(self, value: Any) -> None:
        """Replace the value by one observation of weight 1; 0 and 0.0 empty the state."""
        array = as_number(value, "Mean.assign")
        fresh = Mean()
        if not is_zero(array):
            fresh.absorb(array.reshape(1))
        self._become(fresh)


@final
class Moments(State):
    """Weight, mean, variance and standard deviation, each the exact value rounded once.

    With exact sums W of w, S1 of w*x and S2 of w*x**2: mean = S1 / W and variance = (S2 - S1**2 / W) / (W - ddof).
    Nothing is rounded before the last step, so data at 1e8 with a spread of 1 loses nothing, where sums of squares in
    float64 lose every digit. Empty: weight 0.0, all others NaN. Exact, commutative. A NaN or an infinity among the
    values makes mean, variance and deviation follow IEEE 754. Memory: up to 2 KB, plus a buffer of at most 128 KiB.

    ``update(values, weights=None)``: as in ``Mean``. ``ddof``, a finite number, is subtracted from the sum of weights, as in NumPy.

    Raises:
        ValueError: weights do not fit the values, or are negative or not finite; nothing is taken. Or ``ddof`` is no finite number.

    Example:
        >>> spread = Moments(ddof=1)
        >>> spread.update([1e8 + 1, 1e8 + 2, 1e8 + 3])
        >>> spread.mean, spread.variance, spread.std
        (100000002.0, 1.0, 1.0)
        >>> spread.result()
        {'weight': 3.0, 'mean': 100000002.0, 'variance': 1.0, 'std': 1.0}

    Source: Chan, Golub and LeVeque 1983 for the hazards; exact products by Dekker 1971.
    """

    _undoes_updates = True
    _mutated = ()

    def __init__(self, ddof: float = 0) -> None:
        self.ddof = as_ddof(ddof, "Moments")
        self._powers = [0, 0, 0]  # sums of w, w*x, w*x*x, in units of 2^-1074, 2^-2148, 2^-3222
        self._nonfinite = ALL_FINITE

    @property
    def parameters(self) -> dict[str, Any]:
        """``ddof``."""
        return {"ddof": self.ddof}

    @property
    def n_nan(self) -> int:
        """How many values were NaN."""
        self.flush()
        return self._nonfinite[0]

    def update(self, values: Any, weights: Any = None) -> None:
        """Take values of any shape, each with a weight (default 1)."""
        self.buffer(*as_weighted(values, weights, "Moments.update"))

    def absorb(self, values: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take buffered values (n,) and weights (n,)."""
        finite, nonfinite = split_finite(values)
        if weights is None:
            powers = [
                values.size << _UNIT,
                exact.total(finite) << _UNIT,
                exact.product_total(finite, finite) << _UNIT,
            ]
        else:
            w = weights if finite is values else weights[np.isfinite(values)]
            powers = [
                exact.total(weights),
                exact.product_total(finite, w),
                exact.product_total(finite, finite, w),
            ]
        self._powers = added(self._powers, powers)
        self._nonfinite = added(self._nonfinite, nonfinite)

    def merge(self, other: Moments) -> None:
        """Add the other's sums."""
        self._powers = added(self._powers, other._powers)
        self._nonfinite = added(self._nonfinite, other._nonfinite)

    def to_data(self) -> Any:
        """Return the exact sums."""
        self.flush()
        return {"powers": self._powers, "special": self._nonfinite}

    def from_data(self, saved: Any) -> None:
        """Take over the exact sums."""
        powers, nonfinite = saved_values.fields(saved, "powers", "special")
        self._powers, self._nonfinite = saved_values.wholes(powers, 3, None), saved_values.wholes(nonfinite, 3)
        w, s1, s2 = self._powers
        if not 0 <= w <= saved_values.LARGEST_SUM or not 0 <= s2 <= w * saved_values.LARGEST**2 or s1 * s1 > s2 * w:
            raise ValueError("found sums of powers that no values have")

    @property
    def weight(self) -> float:
        """The sum of the weights; without weights, the number of values."""
        self.flush()
        return exact.to_float(self._powers[0], 1 << _UNIT)

    @property
    def mean(self) -> float:
        """The weighted mean; NaN when the weights add up to 0."""
        self.flush()
        return _ratio(self._powers[1], self._powers[0], self._nonfinite)

    @property
    def variance(self) -> float:
        """The weighted variance; NaN when the weights add up to no more than ``ddof``."""
        ratio = self._variance()
        return exact.to_float(*ratio) if ratio else math.nan

    @property
    def std(self) -> float:
        """The square root of the exact variance, rounded once."""
        ratio = self._variance()
        return exact.sqrt_to_float(*ratio) if ratio else math.nan

    def result(self) -> dict[str, float]:
        """Return a dict of four floats: weight, mean, variance and std."""
        return {"weight": self.weight, "mean": self.mean, "variance": self.variance, "std": self.std}

    def _variance(self) -> tuple[int, int] | None:
        self.flush()
        w, s1, s2 = self._powers
        freedom = w - units_of_ddof(self.ddof)
        if any(self._nonfinite) or not w or freedom <= 0:
            return None
        # (s2 - s1*s1/w) / freedom; w in units of 2^-1074, s1 of 2^-2148, s2 of 2^-3222
        return s2 * w - s1 * s1, (w * freedom) << 2 * _UNIT


def as_ddof(ddof: Any, who: str) -> float:
    """Return ``ddof``, a finite number that is subtracted from the sum of weights; as an int where it is whole."""
    if not is_number(ddof) or not math.isfinite(ddof):
        raise ValueError(f"{who}: got ddof={shown(ddof)}, expected a finite number, such as 0 or 1.")
    if isinstance(ddof, int | np.integer):
        return int(ddof)
    return int(ddof) if exact.is_whole(float(ddof)) else float(ddof)


def units_of_ddof(ddof: float) -> int:
    """Return ``ddof``, from ``as_ddof``, in units of 2^-1074."""
    return ddof << _UNIT if isinstance(ddof, int) else exact.units_of(ddof)


def _ratio(total: int, weight: int, nonfinite: list[int]) -> float:
    """Return a mean from its exact total (units of 2^-2148) and weight (units of 2^-1074), rounded once."""
    if not weight:
        return math.nan
    value = nonfinite_value(nonfinite)
    return exact.to_float(total, weight << _UNIT) if value is None else value
