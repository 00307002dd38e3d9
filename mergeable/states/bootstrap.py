"""Confidence intervals by bootstrap: the same bits however the data was cut."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, final

import numpy as np

from mergeable.numeric import hashes, saved_values
from mergeable.numeric.estimate import Estimate
from mergeable.numeric.row_batch import RowBatch, check_columns, present
from mergeable.state.access import place_of_weights, trial_of
from mergeable.state.buffer import BUFFER_BYTES
from mergeable.state.parameters import as_whole
from mergeable.state.signature import Place, behind
from mergeable.states.combinators import Product, cells_of, empty_of, inner_of, signature_of
from mergeable.states.confusion import ConfusionMatrix, matrix_of
from mergeable.wording import short, shown

_MANY = 10_000  # replicates


@final
class Bootstrap(Product[int]):
    """A state, or a metric, with confidence intervals: ``Bootstrap(Mean())`` holds it once, and once for each replicate.

    In each replicate a row counts as often as a Poisson(1) number says, which is a pure function of the row's id and the
    replicate: intervals are the same bits for any sharding. ``update(ids, *batch)``: ids (n,), keys as in ``Counter``, one for
    each row of the batch's arrays (n, ...), which may come by name; a row of weight 0 (of ``weights``, or a metric's ``sample_weight``) is
    not there. Rows with one id are drawn together, which is right where they
    belong together (the answers of one person) and wrong where ids repeat by chance.

    Empty: every replicate empty. Exact, commutative and bounded where the inner state is.
    Memory: ``replicates`` + 1 inner states, whose buffers share 128 KiB, or take 8 KiB each where that is more. An update costs that many of the inner one's.
    The standard error of an interval's end is that of a quantile of ``replicates`` values: for 95 % and 100 replicates about a
    quarter of the results' standard deviation where these are normal, for 1,000 a twelfth.

    Raises:
        TypeError: ids are no keys, or what came is no state and no metric.
        ValueError: ids and batch differ in length, ``replicates`` is below 2, or ``level`` is not between 0 and 1.

    Example:
        >>> import numpy as np
        >>> from mergeable import Bootstrap, Mean
        >>> loss = Bootstrap(Mean(), replicates=200)
        >>> loss.update(np.arange(100), np.arange(100) / 100)
        >>> value, low, high = loss.estimate(0.95)
        >>> value
        0.495
        >>> low < 0.45 < 0.54 < high
        True

    Source: Chamandy, Muralidharan, Najmi and Naidu 2012 (Poisson bootstrap); Efron 1979 (percentile intervals).
    """

    def __init__(self, state: Any, replicates: int = 100, seed: int = 0) -> None:
        inner = inner_of(state, "Bootstrap")
        self.replicates = replicates = as_whole(replicates, "Bootstrap: got replicates={}", 2, _MANY)
        self.seed = hashes.seed_of(seed, "Bootstrap")
        self._hold({i: inner.empty() for i in range(replicates + 1)})
        self._limit_buffer(BUFFER_BYTES)

    @property
    def parameters(self) -> dict[str, Any]:
        """The inner state's class and parameters, ``replicates`` and ``seed``."""
        return {"state": signature_of(self._parts[0]), "replicates": self.replicates, "seed": self.seed}

    def _recipe(self) -> Any:
        return Bootstrap, (self._parts[0].empty(), self.replicates, self.seed)

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Bootstrap:
        """Return an empty state whose replicates have these parameters."""
        return Bootstrap(empty_of(parameters["state"]), parameters["replicates"], parameters["seed"])

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return how many numbers all replicates allocate, and some more for each of them."""
        replicates = parameters["replicates"]
        if type(replicates) is not int or not 2 <= replicates <= _MANY:
            raise ValueError(f"found {short(replicates)} replicates")
        return (replicates + 1) * (cells_of(parameters["state"]) + 40)

    def _trial(self) -> Bootstrap:
        return Bootstrap(trial_of(self._parts[0]), 2, self.seed)

    def update(self, ids: Any, *columns: Any, **named: Any) -> None:
        """Give every replicate its rows of a batch: ids (n,) and arrays (n, ...)."""
        check_columns(self._parts[0], columns, named, "Bootstrap.update", "ids")
        (ids, *batch), named = present(self._place_of_weights(), (ids, *columns), named)
        keys = hashes.hashed(ids, self.seed, "Bootstrap.update")
        taken = RowBatch(tuple(batch), named, len(keys), "Bootstrap.update")
        with self._all_or_nothing():
            for i, part in self._parts.items():
                rows = np.repeat(np.arange(len(keys)), poisson(hashes.mixed(keys, i))) if i else slice(None)
                taken.give(part, rows)

    def _place_of_weights(self) -> Place | None:
        return behind(place_of_weights(self._parts[0]))

    def result(self) -> Any:
        """Return the inner state's result of all rows, each counted once."""
        return self._parts[0].result()

    def estimate(self, level: float = 0.95) -> Any:
        """Return ``Estimate(value, low, high)``: the percentile interval that holds the share ``level`` of the replicates' results.

        Of a result that is an array, arrays; of a dict or a tuple, one of each member. Replicates whose result is NaN, such as a mean
        of no rows, do not count; nor do those that lack a member, such as a group of which they drew no row, or whose array or list is
        of another size: the interval is that of the replicates that have it. What is no number has the interval (NaN, NaN).
        """
        if not 0 < level < 1:
            raise ValueError(f"Bootstrap.estimate: got level={shown(level)}, expected a number between 0 and 1, such as 0.95.")
        whole = self._parts[0]
        if isinstance(whole, ConfusionMatrix):
            return _interval(
                whole.result(),
                [matrix_of(part, whole.labels) for i, part in self._parts.items() if i and isinstance(part, ConfusionMatrix)],
                level,
            )
        return _interval(whole.result(), self.samples(), level)

    def samples(self) -> list[Any]:
        """Return the result of each replicate, without that of all rows."""
        return [part.result() for i, part in self._parts.items() if i]

    def to_data(self) -> Any:
        """Return the data of the inner state and of each replicate."""
        return {"states": [part.to_data() for part in self._parts.values()]}

    def from_data(self, saved: Any) -> None:
        """Take over the data of the inner state and of each replicate."""
        (states,) = saved_values.fields(saved, "states")
        for part, found in zip(self._parts.values(), saved_values.listed(states, "states", len(self._parts)), strict=True):
            part.from_data(found)


def poisson(bits: np.ndarray) -> np.ndarray:
    """Return Poisson(1) numbers (n,) for random bits (n,) uint64, by the inverse of its distribution function."""
    return np.searchsorted(_POISSON, bits, side="right")


def _thresholds() -> np.ndarray:
    """Return 2^64 times the probabilities of at most 0, 1, 2, ... as whole numbers; e as a sum of fractions, so that all agree."""
    e = sum(Fraction(1, math.factorial(i)) for i in range(30))
    sums = [sum(Fraction(1, math.factorial(i)) for i in range(k + 1)) / e for k in range(18)]
    return np.array([int(p * 2**64) for p in sums], np.uint64)


_POISSON = _thresholds()


def _interval(value: Any, others: list[Any], level: float) -> Any:
    """Return the interval of a value from those of the replicates, member by member; members that a replicate lacks are NaN."""
    if isinstance(value, dict):
        found = [other if isinstance(other, dict) else {} for other in others]
        return {name: _interval(part, [other.get(name) for other in found], level) for name, part in value.items()}
    if isinstance(value, tuple | list):
        rows = [
            other if isinstance(other, tuple | list) and len(other) == len(value) else [None] * len(value) for other in others
        ]
        return tuple(_interval(part, [row[i] for row in rows], level) for i, part in enumerate(value))
    whole = np.asarray(value)
    if whole.dtype.kind not in "biuf":
        return Estimate(value, math.nan, math.nan)  # what is no number has no interval
    nothing = np.full(whole.shape, math.nan)
    samples = np.array([other if _alike(other, whole) else nothing for other in others], np.float64)
    none = np.isnan(samples).all(axis=0)
    low, high = np.where(
        none, np.nan, _quantiles(np.where(none, 0.0, samples), level)
    )  # NumPy warns where there is nothing but NaN
    return Estimate(value, low, high) if whole.shape else Estimate(float(value), float(low), float(high))


def _alike(other: Any, whole: np.ndarray) -> bool:
    found = np.asarray(other)
    return found.dtype.kind in "biuf" and found.shape == whole.shape


def _quantiles(samples: np.ndarray, level: float) -> np.ndarray:
    """Return both ends (2, ...) of the middle share of samples (n, ...) but NaN; an infinity stays one where NumPy takes it from itself."""
    shares = [(1 - level) / 2, (1 + level) / 2]
    if not np.isinf(samples).any():
        ends: np.ndarray = np.nanquantile(samples, shares, axis=0)
        return ends
    below, above = (np.nanquantile(samples, shares, axis=0, method=method) for method in ("lower", "higher"))
    with np.errstate(invalid="ignore"):
        ends = np.nanquantile(samples, shares, axis=0)
    return np.where(below == above, below, np.where(np.isinf(below) & np.isfinite(above), below, ends))
