"""Means and covariance matrices of vectors, merged in float64 within a bound."""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple, final

import numpy as np

from mergeable.numeric import saved_values
from mergeable.numeric.estimate import Estimate
from mergeable.numeric.inputs import as_float64
from mergeable.numeric.nonfinite import nonfinite_value
from mergeable.state import State
from mergeable.state.copy_on_write import room, shared
from mergeable.state.parameters import as_whole
from mergeable.states.moments import as_ddof

_BLOCK = 1024  # rows whose mean and products are summed at once
_FEW = 16_384  # products that are made at once, so that they stay in the cache
_UNIT = 2.0**-53
_SUBNORMAL = 2.0**-1022  # smaller numbers may be zero to this thread
_LOWEST, _HIGHEST = -1022, 1024  # exponents of a scale: all |values| of a column are below 2 to it
_MOST = 2**53  # rows, so that a float64 holds their number
_SLACK = 1 + 2.0**-20


class _Part(NamedTuple):
    """So many rows, each column divided by 2**scale: its mean (d,), and the sums of products around it (d, d)."""

    n: int
    merges: int  # on the longest way from a block of rows to here
    scale: np.ndarray
    mean: np.ndarray
    scatter: np.ndarray


@final
class Covariance(State):
    """Means, covariances and correlations of vectors of ``d`` numbers, merged part by part in float64.

    Parts of n_a and n_b rows with the means a and b merge to the mean a + (b - a) * n_b / n and to the sum of their matrices
    of products and outer(b - a, b - a) * n_a * n_b / n. Columns are scaled by powers of two, so nothing overflows that the
    result holds. Empty: NaN. Approximate (``exact`` is False): the last bits depend on how the rows were cut and merged, though
    two states that merge give the same bits in either order. For two columns, ``CoMoments`` is exact.

    ``update(rows)``: an array (..., d). A NaN or an infinity makes the mean of its column follow IEEE 754, and the
    column's covariances NaN, as in ``Moments``; it does not touch the other columns. ``n_nan`` counts them by column.

    Memory: 8 d**2 + 48 d bytes, plus a buffer of at most 128 KiB. Error, always, with u = 2^-53, m merges on the longest way
    of a row, R the power of two above a column's magnitudes and s its deviation: a mean is off by at most
    e = (2060 + 8 m) u R + 2^-1022, the covariance of columns j and k by (2080 + 4 m) u s_j s_k
    + 2 (1 + log2 n)**0.5 (e_j s_k + s_j e_k) + (1 + 2 log2 n) e_j e_k. ``estimate`` and ``mean_estimate`` hold these bounds.

    Raises:
        ValueError: rows do not have ``d`` numbers; nothing is taken.
        OverflowError: there would be more than 2**53 rows.

    Example:
        >>> spread = Covariance(2)
        >>> spread.update([[1.0, 2.0], [3.0, 6.0]])
        >>> spread.result().tolist()
        [[1.0, 2.0], [2.0, 4.0]]
        >>> spread.mean.tolist(), spread.correlation.tolist()
        ([2.0, 4.0], [[1.0, 1.0], [1.0, 1.0]])

    Source: Chan, Golub and LeVeque 1979; Pebay 2008 (merging co-moments).
    """

    exact = False
    _undoes_updates = True

    def __init__(self, d: int) -> None:
        self.d = d = as_whole(d, "Covariance: got d = {}", 1, hint=": how many numbers a row has")
        self._part = _Part(0, 0, np.full(d, _LOWEST, np.int64), np.zeros(d), np.zeros((d, d)))
        self._nonfinite = np.zeros((d, 3), np.int64)  # how many NaN, +inf and -inf a column has

    @property
    def parameters(self) -> dict[str, Any]:
        """``d``."""
        return {"d": self.d}

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return one number for each pair of columns, and five for each column."""
        return saved_values.cells((parameters["d"], parameters["d"])) + saved_values.cells((parameters["d"], 5))

    @property
    def n(self) -> int:
        """How many rows came in."""
        self.flush()
        return self._part.n

    @property
    def n_nan(self) -> np.ndarray:
        """How many NaN each column has: int64 (d,)."""
        self.flush()
        return self._nonfinite[:, 0].copy()

    def update(self, rows: Any) -> None:
        """Take rows (..., d)."""
        array = as_float64(rows, "Covariance.update")
        if not array.ndim or array.shape[-1] != self.d:
            raise ValueError(
                f"Covariance.update: got rows of shape {array.shape}, expected (..., {self.d}). The last axis holds the d "
                "numbers of a row."
            )
        self.buffer(np.ascontiguousarray(array).reshape(-1, self.d))

    def absorb(self, rows: np.ndarray) -> None:
        """Take buffered rows (n, d)."""
        finite = np.isfinite(rows)
        nonfinite = self._nonfinite
        if not finite.all():
            kinds = np.isnan(rows), np.isposinf(rows), np.isneginf(rows)
            nonfinite = nonfinite + np.stack([kind.sum(axis=0, dtype=np.int64) for kind in kinds], axis=1)
            rows = np.where(finite, rows, 0.0)  # of these columns nothing but the counts is shown
        parts = [_part_of(rows[i : i + _BLOCK]) for i in range(0, len(rows), _BLOCK)]
        while len(parts) > 1:
            parts = [_joined(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
        for part in parts:
            self._part = _joined(self._part, part)
        self._nonfinite = nonfinite

    def merge(self, other: Covariance) -> None:
        """Add the other's rows."""
        self._part = _joined(self._part, other._part)
        self._nonfinite = self._nonfinite + other._nonfinite

    def to_data(self) -> Any:
        """Return rows, merges, scales, scaled means and products, and by column how many NaN, +inf and -inf there are."""
        self.flush()
        shared(self._part.scatter)
        return {**self._part._asdict(), "special": self._nonfinite}

    def from_data(self, saved: Any) -> None:
        """Take over means and products."""
        n, merges, scale, mean, scatter, nonfinite = saved_values.fields(saved, *_Part._fields, "special")
        d = self.d
        n = saved_values.whole(n, 0, _MOST)
        part = _Part(
            n,
            saved_values.whole(merges, 0, max(n - 1, 0)),
            saved_values.array(scale, np.int64, (d,)),
            saved_values.array(mean, np.float64, (d,)),
            shared(saved_values.array(scatter, np.float64, (d, d))),
        )
        nonfinite = saved_values.array(nonfinite, np.int64, (d, 3))
        if scale.min() < _LOWEST or scale.max() > _HIGHEST or not np.isfinite(mean).all() or not np.isfinite(scatter).all():
            raise ValueError("found scales, means or products out of range")
        if nonfinite.min() < 0 or nonfinite.max() > n or nonfinite.sum(axis=1).max() > n:
            raise ValueError("found more NaN and infinities than rows")
        if not n and not (np.array_equal(scale, self._part.scale) and not mean.any() and not scatter.any()):
            raise ValueError("found means or products of no rows")
        variances = np.diagonal(scatter)
        if np.abs(mean).max() > _SLACK or variances.min() < 0 or variances.max() > 4 * n * _SLACK:
            raise ValueError("found means or products that no rows have")
        roots = np.sqrt(variances)
        if not np.array_equal(scatter, scatter.T) or (np.abs(scatter) > roots[:, None] * roots * _SLACK + _SUBNORMAL).any():
            raise ValueError("found products of two columns that no rows have")
        self._part, self._nonfinite = part, nonfinite

    @property
    def mean(self) -> np.ndarray:
        """The means (d,); NaN when there are no rows."""
        self.flush()
        if not self._part.n:
            return np.full(self.d, math.nan)
        mean = _unscaled(self._part.mean, self._part.scale)
        for column in np.flatnonzero(self._nonfinite.any(axis=1)).tolist():
            mean[column] = nonfinite_value(self._nonfinite[column].tolist())
        return mean

    def covariance(self, ddof: float = 0) -> np.ndarray:
        """Return the covariances (d, d); NaN when there are no more than ``ddof`` rows, a finite number."""
        self.flush()
        part, ddof = self._part, as_ddof(ddof, "Covariance.covariance")
        if part.n <= max(ddof, 0):
            return np.full((self.d, self.d), math.nan)
        found = _unscaled(part.scatter / (part.n - ddof), part.scale[:, None] + part.scale)
        return self._without_nonfinite(found)

    @property
    def correlation(self) -> np.ndarray:
        """Pearson's correlations (d, d); NaN where a column is constant."""
        self.flush()
        variances = np.diagonal(self._part.scatter)
        with np.errstate(invalid="ignore"):  # 0 / 0
            found = np.clip(self._part.scatter / np.sqrt(variances[:, None] * variances), -1.0, 1.0)
        return self._without_nonfinite(found)

    def mean_estimate(self, column: int) -> Estimate:
        """Return the mean of a column with the range that holds the exact one, always."""
        self.flush()
        value, error = float(self.mean[column]), float(self._mean_errors()[column])
        if not math.isfinite(value):
            return Estimate(value, value, value)
        scale, scaled = self._part.scale[column], self._part.mean[column]
        return _estimate(value, scaled, error, scale)

    def estimate(self, j: int, k: int, ddof: float = 0) -> Estimate:
        """Return the covariance of columns j and k with the range that holds the exact one, always."""
        value = float(self.covariance(ddof)[j, k])
        if math.isnan(value):
            return Estimate(value, value, value)
        part = self._part
        doublings = math.log2(part.n)
        e_j, e_k = self._mean_errors()[[j, k]].tolist()
        drift = math.sqrt(1 + 2 * doublings)
        s_j = math.sqrt(part.scatter[j, j] / part.n) + drift * e_j
        s_k = math.sqrt(part.scatter[k, k] / part.n) + drift * e_k
        error = (2080 + 4 * part.merges) * _UNIT * s_j * s_k + (1 + 2 * doublings) * e_j * e_k
        error += 2 * math.sqrt(1 + doublings) * (e_j * s_k + s_j * e_k)
        scaled = part.scatter[j, k] / (part.n - ddof)
        error *= part.n / (part.n - ddof)
        return _estimate(value, scaled, error, part.scale[j] + part.scale[k])

    def result(self) -> np.ndarray:
        """Return the covariances (d, d), with ``ddof`` 0."""
        return self.covariance()

    def _mean_errors(self) -> np.ndarray:
        """Return by how much the scaled means (d,) may be off."""
        subnormal = np.ldexp(1.0, (_LOWEST - self._part.scale).astype(np.intc))
        errors: np.ndarray = (2060 + 8 * self._part.merges) * _UNIT + subnormal
        return errors

    def _without_nonfinite(self, matrix: np.ndarray) -> np.ndarray:
        nonfinite = self._nonfinite.any(axis=1)
        matrix[nonfinite] = math.nan
        matrix[:, nonfinite] = math.nan
        return matrix


def _part_of(rows: np.ndarray) -> _Part:
    """Return a block of finite rows (n, d) as a part."""
    magnitudes = rows.view(np.int64) & np.int64(2**63 - 1)
    scale = (magnitudes.max(axis=0) >> np.int64(52)) + _LOWEST
    scaled = np.ldexp(rows, (-scale).astype(np.intc))
    first = scaled.mean(axis=0)
    scaled -= first
    second = scaled.mean(axis=0)  # what rounding took from the first
    scaled -= second
    return _Part(len(rows), 0, scale, first + second, scaled.T @ scaled)


def _joined(a: _Part, b: _Part) -> _Part:
    """Return two parts as one: the same bits in either order. The products may be those of the first part, changed in place."""
    if not a.n or not b.n:
        return a if a.n else b._replace(scatter=b.scatter.copy())
    out = room(a.scatter)
    if a.n < b.n:
        a, b = b, a
    n = a.n + b.n
    if n > _MOST:
        raise OverflowError(f"Covariance: there would be {n} rows, expected at most 2**53. Nothing was taken.")
    scale = np.maximum(a.scale, b.scale)
    (mean_a, scatter_a), (mean_b, scatter_b) = _scaled(a, scale), _scaled(b, scale)
    step = mean_b - mean_a
    mean = 0.5 * mean_a + 0.5 * mean_b if a.n == b.n else mean_a + step * (b.n / n)
    scatter = np.add(scatter_a, scatter_b, out=out)
    rows = _FEW // step.size + 1
    for i in range(0, step.size, rows):
        scatter[i : i + rows] += np.outer(step[i : i + rows], step) * (a.n / n * b.n)
    return _Part(n, max(a.merges, b.merges) + 1, scale, mean, scatter)


def _scaled(part: _Part, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a part's mean and products in a larger scale."""
    shift = (part.scale - scale).astype(np.intc)
    if not shift.any():
        return part.mean, part.scatter
    return np.ldexp(part.mean, shift), np.ldexp(part.scatter, shift[:, None] + shift)


def _unscaled(values: np.ndarray, scale: Any) -> np.ndarray:
    """Return values times 2**scale; infinite beyond the range."""
    with np.errstate(over="ignore"):
        found: np.ndarray = np.ldexp(values, np.asarray(scale).astype(np.intc))
    return found


def _estimate(value: float, scaled: float, error: float, scale: Any) -> Estimate:
    """Return an estimate from a scaled value and its error; no finite number is below an infinite bound."""
    low, high = _unscaled(np.array([scaled - error, scaled + error]), scale).tolist()
    largest = sys.float_info.max
    return Estimate(value, min(low - _SUBNORMAL, largest), max(high + _SUBNORMAL, -largest))
