"""Calibration: expected calibration error, Brier score and reliability curve, from exact sums in bins."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from mergeable.numeric import exact, saved_values
from mergeable.numeric.inputs import as_scored, as_shares, unweighted
from mergeable.numeric.nonfinite import added
from mergeable.state import State
from mergeable.state.parameters import as_whole

_UNIT = exact.UNIT_BITS
_MOST_BINS = 1 << 16


@final
class Calibration(State):
    """Predicted probabilities and observed labels, in bins of equal width: reliability curve, calibration error, Brier score.

    Bin i holds i / bins < p <= (i + 1) / bins, each quotient rounded to float64; the first one holds 0 too. With exact sums in each
    bin of weights w, of w * p and of w * y: ECE = sum over bins of |sum of w * y - sum of w * p| / sum of all w, the expected
    calibration error; and the Brier score is the exact sum of w * (p - y)**2 over that of w, which no bins touch. Both, and each
    mean of the curve, are the exact value rounded once. Empty: NaN. Exact, commutative. NaN are counted apart.

    ``update(y_true, y_prob, weights=None)``: labels are 0 and 1 (numbers or bools), probabilities lie in [0, 1], of equal shape or one
    a row; those up to 1e-6 above 1, as sums of float32 softmax outputs are, are 1. Weights as in ``Mean`` need ``weighted=True``, whose
    cells are exact sums. ``bins`` is from 1 to 65,536.
    Memory: up to 250 bytes a bin (``weighted``: up to 900), plus a buffer of at most 128 KiB.

    Raises:
        ValueError: a label is neither 0 nor 1, a probability lies outside of [0, 1], shapes differ, or weights came to a state that counts.
        OverflowError: there would be more than 2**63 - 1 rows.

    Example:
        >>> forecasts = Calibration(bins=4)
        >>> forecasts.update([0, 1, 1, 1], [0.125, 0.25, 0.75, 1.0])
        >>> observed, predicted, counts = forecasts.curve()
        >>> observed.tolist(), predicted.tolist(), counts.tolist()
        ([0.5, nan, 1.0, 1.0], [0.1875, nan, 0.75, 1.0], [2, 0, 1, 1])
        >>> forecasts.result()
        {'ece': 0.21875, 'brier': 0.16015625}

    Source: Naeini, Cooper and Hauskrecht 2015 (expected calibration error); Brier 1950.
    """

    _undoes_updates = True
    _mutated = ()

    def __init__(self, bins: int = 15, weighted: bool = False) -> None:
        self.bins, self.weighted = as_whole(bins, "Calibration: got {} bins", 1, _MOST_BINS), bool(weighted)
        # Lists are never changed in place. Amounts are counts, or weights in units of 2^-1074.
        self._negative, self._positive, self._predicted = ([0] * self.bins for _ in range(3))  # the last one: sums of w * p
        self._squares = 0  # the sum of w * (p - y)**2, in the amounts' unit * 2^-2148
        self._nan = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """``bins`` and ``weighted``."""
        return {"bins": self.bins, "weighted": self.weighted}

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return three numbers for each bin."""
        return 3 * saved_values.whole(parameters["bins"], 1, _MOST_BINS)

    @property
    def edges(self) -> np.ndarray:
        """The edges (bins + 1,) of the bins."""
        return np.arange(self.bins + 1) / self.bins

    @property
    def n(self) -> Any:
        """How many rows have a probability that is a number: a count, or their weight."""
        return self._read(self._total())

    @property
    def n_nan(self) -> Any:
        """How many probabilities were NaN: a count, or their weight."""
        self.flush()
        return self._read(self._nan)

    def update(self, y_true: Any, y_prob: Any, weights: Any = None) -> None:
        """Take labels and their probabilities, of equal shape such as (n,), each with a weight (default 1)."""
        if weights is not None and not self.weighted:
            raise unweighted("Calibration.update", "state counts", "Declare Calibration(bins, weighted=True)")
        who = "Calibration.update"
        positive, scores, *weight = as_scored(y_true, y_prob, weights, who)
        self.buffer(positive, as_shares(scores, who, "the probability", "Apply a sigmoid to logits first."), *weight)

    def absorb(self, positive: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take buffered labels (n,), probabilities (n,) and weights (n,)."""
        if weights is None and self.weighted:
            weights = np.ones(probabilities.size)
        missing, nan = np.isnan(probabilities), 0
        if missing.any():
            nan = int(missing.sum()) if weights is None else exact.total(weights[missing])
            positive, probabilities = positive[~missing], probabilities[~missing]
            weights = None if weights is None else weights[~missing]
        places = self._places(probabilities)
        order = np.argsort(places, kind="stable")
        counts = np.bincount(places, minlength=self.bins)
        ends = np.cumsum(counts).tolist()
        columns = [[0] * self.bins for _ in range(3)]
        for i in np.flatnonzero(counts).tolist():
            rows = order[ends[i - 1] if i else 0 : ends[i]]
            columns[0][i] = _weight(None if weights is None else weights[rows], ~positive[rows])
            columns[1][i] = _weight(None if weights is None else weights[rows], positive[rows])
            columns[2][i] = exact.product_total(*_of(weights, rows), probabilities[rows])
        happened = np.flatnonzero(positive)
        squares = exact.product_total(*_of(weights, slice(None)), probabilities, probabilities)
        squares -= 2 * exact.product_total(*_of(weights, happened), probabilities[happened]) << _UNIT
        squares += _weight(weights, positive) << 2 * _UNIT
        self._add(columns, squares, nan)

    def merge(self, other: Calibration) -> None:
        """Add the other's sums."""
        self._add([other._negative, other._positive, other._predicted], other._squares, other._nan)

    def to_data(self) -> Any:
        """Return the sums of each bin: the amounts of label 0 and 1, and of w * p; of w * (p - y)**2; and the amount of NaN."""
        self.flush()
        return {
            "negative": saved_values.packed(self._negative),
            "positive": saved_values.packed(self._positive),
            "predicted": list(self._predicted),
            "squares": self._squares,
            "nan": self._nan,
        }

    def from_data(self, saved: Any) -> None:
        """Take over the sums."""
        negative, positive, predicted, squares, nan = saved_values.fields(
            saved, "negative", "positive", "predicted", "squares", "nan"
        )
        most = saved_values.LARGEST_SUM if self.weighted else saved_values.INT64_MAX
        amounts = [saved_values.wholes(column, self.bins, 0, most) for column in (negative, positive)]
        sums = saved_values.wholes(predicted, self.bins)
        edges = [*map(exact.units_of, self.edges.tolist())]
        everything = added(*amounts)
        for amount, total, low, high in zip(everything, sums, edges[:-1], edges[1:], strict=True):
            if not low * amount <= total <= high * amount:
                raise ValueError("found a sum of probabilities that its bin does not hold")
        if sum(everything) + saved_values.whole(nan, 0, most) > most:
            raise ValueError("found more rows than were ever counted")
        difference = (sum(amounts[1]) << _UNIT) - sum(sums)
        if difference**2 > saved_values.whole(squares, 0, sum(everything) << 2 * _UNIT) * sum(everything):
            raise ValueError("found a sum of squares that no probabilities have")
        self._negative, self._positive = amounts
        self._predicted, self._squares, self._nan = sums, squares, nan

    def result(self) -> dict[str, float]:
        """Return a dict of two floats, ``ece`` (expected calibration error) and ``brier`` (Brier score); NaN without weight."""
        return {"ece": self.ece(), "brier": self.brier()}

    def ece(self) -> float:
        """Return the expected calibration error, rounded once."""
        total = self._total()
        gaps = (abs((happened << _UNIT) - sure) for happened, sure in zip(self._positive, self._predicted, strict=True))
        return exact.to_float(sum(gaps), total << _UNIT) if total else math.nan

    def brier(self) -> float:
        """Return the Brier score, rounded once."""
        total = self._total()
        return exact.to_float(self._squares, total << 2 * _UNIT) if total else math.nan

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the share of label 1, the mean probability, and the count or weight, each (bins,); NaN for empty bins."""
        self.flush()
        amounts = added(self._negative, self._positive)
        observed = [exact.to_float(k, n) if n else math.nan for k, n in zip(self._positive, amounts, strict=True)]
        predicted = [exact.to_float(p, n << _UNIT) if n else math.nan for p, n in zip(self._predicted, amounts, strict=True)]
        dtype = np.float64 if self.weighted else np.int64
        return np.array(observed), np.array(predicted), np.array([*map(self._read, amounts)], dtype)

    def _places(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the bins (n,) of probabilities (n,): near the product's place, and told by the bits of the edges."""
        edges, keys = exact.order_keys(self.edges), exact.order_keys(probabilities)
        places = np.clip(np.ceil(probabilities * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        places -= (keys <= edges[places]) & (places > 0)  # what is on an edge belongs below
        places += keys > edges[places + 1]
        short: np.ndarray = places.astype(np.uint16)  # sorts fast
        return short

    def _total(self) -> int:
        self.flush()
        return sum(self._negative) + sum(self._positive)

    def _read(self, amount: int) -> Any:
        return exact.to_float(amount, 1 << _UNIT) if self.weighted else amount

    def _add(self, columns: list[list[int]], squares: int, nan: int) -> None:
        negative, positive, predicted = map(added, (self._negative, self._positive, self._predicted), columns)
        if not self.weighted and sum(negative) + sum(positive) + self._nan + nan > saved_values.INT64_MAX:
            raise OverflowError(
                "Calibration: there would be more than 2**63 - 1 rows, which an int64 does not hold. Nothing was counted."
            )
        self._negative, self._positive, self._predicted = negative, positive, predicted
        self._squares += squares
        self._nan += nan


def _weight(weights: np.ndarray | None, rows: np.ndarray) -> int:
    """Return how many of the rows, a mask, there are, or their weight."""
    return int(rows.sum()) if weights is None else exact.total(weights[rows])


def _of(weights: np.ndarray | None, rows: Any) -> tuple[np.ndarray, ...]:
    """Return the weights of rows as a factor, or no factor where there are no weights."""
    return () if weights is None else (weights[rows],)
