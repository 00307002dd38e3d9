"""Bottom-k samples: the keys of the smallest hashes, uniform or weighted, the same in any order of merges."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

import numpy as np

from mergeable.errors import IncompatibleStates
from mergeable.numeric import exact, hashes, keys, saved_values
from mergeable.numeric.conversion import objects
from mergeable.numeric.estimate import Estimate
from mergeable.numeric.inputs import check_lengths, weighed
from mergeable.numeric.row_order import as_column, canonical_order, joined, kinds_as_text, kinds_of, sort_keys
from mergeable.state import State
from mergeable.state.parameters import as_whole

_BLOCK = 16_384  # rows: after the first block hardly any row is small enough to be looked at
_NORMAL = 1.959964  # a normal variable lies within so many standard deviations with a probability of 95 %
_MANTISSA = np.int64((1 << 52) - 1)
_ONE = 1023 << 52  # the bits of 1.0


class _Lowest(State):
    """The keys of lowest rank, each with a row of columns. The rank is a function of the key's hash and of its row."""

    idempotent = True
    _undoes_updates = True
    _mutated = ()
    _spare: ClassVar[int]

    def __init__(self, k: int = 1024, seed: int = 0) -> None:
        who = type(self).__name__
        self.k, self.seed = as_whole(k, f"{who}: got k = {{}}", 1), hashes.seed_of(seed, who)
        self._hashes = np.zeros(0, np.uint64)
        self._keys = np.zeros(0, object)
        self._columns: tuple[np.ndarray, ...] = ()
        self._kinds: tuple[tuple[str, tuple[int, ...]], ...] | None = None
        self._highest: Any = None  # the last rank, once no place is free

    @property
    def parameters(self) -> dict[str, Any]:
        """``k`` and ``seed``."""
        return {"k": self.k, "seed": self.seed}

    @abstractmethod
    def _ranks(self, found: np.ndarray, columns: tuple[np.ndarray, ...]) -> np.ndarray:
        """Return the ranks (n,) of rows with these hashes (n,)."""

    @abstractmethod
    def _preference(self, columns: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        """Return columns whose canonical order says which row of a key is kept: the first, which has the key's lowest rank."""

    def _take(self, labels: np.ndarray, columns: tuple[np.ndarray, ...]) -> None:
        """Take one row or more, checked."""
        kinds = kinds_of(columns)
        if self._kinds is None:
            self._before_write()
            self._kinds = kinds
        elif kinds != self._kinds:
            self.flush()
            columns = self._joined(columns, kinds, ValueError, "update")
        self.buffer(labels, *columns)

    def _joined(self, columns: tuple[np.ndarray, ...], kinds: Any, error: type[Exception], verb: str) -> tuple[np.ndarray, ...]:
        """Return other columns in dtypes that hold the numbers of both sides, to which the columns held here change too."""
        both = joined([self._columns], [columns], signs=False) if len(columns) == len(self._columns) else None
        if both is None:
            raise error(
                f"{type(self).__name__}.{verb}: got columns of {kinds_as_text(kinds) or 'nothing'}, expected "
                f"{kinds_as_text(self._kinds) or 'nothing'} as before, or numbers that one dtype holds with them. Give every update the "
                "same columns, of one dtype and shape."
            )
        (mine,), (others,) = both
        if kinds_of(mine) != self._kinds:
            self._before_write()
            self._columns, self._kinds = mine, kinds_of(mine)
        return others

    def absorb(self, labels: np.ndarray, *columns: np.ndarray) -> None:
        """Take buffered keys (n,) and columns (n, ...)."""
        block = max(_BLOCK, 2 * (self.k + self._spare))
        for start in range(0, labels.size, block):
            part = slice(start, start + block)
            self._absorb_block(labels[part], tuple(column[part] for column in columns))

    def _absorb_block(self, labels: np.ndarray, columns: tuple[np.ndarray, ...]) -> None:
        found = hashes.of_keys(labels, self.seed)
        if self._highest is not None:
            low = np.flatnonzero(self._ranks(found, columns) <= self._highest)
            if not low.size:
                return
            found, labels, columns = found[low], labels[low], tuple(column[low] for column in columns)
        if labels.dtype != object:
            found, labels, columns = self._lowest(found, labels, columns)
            labels = objects([keys.canonical(label, "") for label in labels.tolist()])
        self._join(found, labels, columns)

    def _join(self, found: np.ndarray, labels: np.ndarray, columns: tuple[np.ndarray, ...]) -> None:
        if self._hashes.size:
            found, labels = np.concatenate([self._hashes, found]), np.concatenate([self._keys, labels])
            columns = tuple(map(np.concatenate, zip(self._columns, columns, strict=True)))
        self._hold(*self._lowest(found, labels, columns))

    def _hold(self, found: np.ndarray, labels: np.ndarray, columns: tuple[np.ndarray, ...]) -> None:
        self._hashes, self._keys, self._columns = found, labels, columns
        full = found.size == self.k + self._spare
        self._highest = self._ranks(found[-1:], tuple(column[-1:] for column in columns))[0] if full else None

    def _lowest(
        self, found: np.ndarray, labels: np.ndarray, columns: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        """Return one row of each key, those of the lowest ranks in order; equal ranks in the order of hashes, then of keys."""
        order = np.argsort(found)
        apart = [found, *_places(found, labels, order)]
        if len(apart) > 1:
            order = np.lexsort(apart[::-1])
        new = np.ones(order.size, bool)
        new[1:] = np.logical_or.reduce([np.diff(part[order]) != 0 for part in apart])
        preference = self._preference(columns)
        if preference and not new.all():  # rows of one key, which come one after another in this order too
            order = canonical_order([*apart, *preference])
        order = order[new]
        ranks = self._ranks(found[order], tuple(column[order] for column in columns))
        order = order[np.lexsort([*(part[order] for part in apart[::-1]), ranks])]
        order = order[: self.k + self._spare]
        return found[order], labels[order], tuple(column[order] for column in columns)

    def merge(self, other: _Lowest) -> None:
        """Take the other's keys too, and keep those of lowest rank."""
        columns = other._columns
        if None not in (self._kinds, other._kinds) and self._kinds != other._kinds:
            columns = self._joined(columns, other._kinds, IncompatibleStates, "merge")
        if other._hashes.size:
            self._kinds = self._kinds or other._kinds
            self._join(other._hashes, other._keys, columns)

    def result(self) -> list[Any]:
        """Return the sample."""
        return self.sample()

    def sample(self, n: int | None = None) -> list[Any]:
        """Return the first n rows of the sample, which are a sample themselves: keys, or tuples of a key and its row."""
        self.flush()
        size = self.k if n is None else min(n, self.k)
        labels = [keys.plain(label) for label in self._keys[:size].tolist()]
        if not self._columns:
            return labels
        columns = [column[:size].tolist() if column.ndim == 1 else list(column[:size].copy()) for column in self._columns]
        return list(zip(labels, *columns, strict=True))

    def __len__(self) -> int:
        self.flush()
        return min(self._keys.size, self.k)

    def to_data(self) -> Any:
        """Return the keys in the order of their ranks, and the columns, or None where there are no keys."""
        self.flush()
        return {"keys": saved_values.column(self._keys.tolist()), "columns": list(self._columns) if self._keys.size else None}

    def from_data(self, saved: Any) -> None:
        """Take over keys and columns."""
        listed, columns = saved_values.fields(saved, "keys", "columns")
        labels = objects(saved_values.keys_of(listed))
        if not labels.size and columns is None:
            return
        if not 0 < labels.size <= self.k + self._spare:
            raise ValueError(f"found {labels.size} keys, expected from 1 to {self.k + self._spare}")
        arrays = tuple(saved_values.listed(columns, "columns"))
        if not all(isinstance(array, np.ndarray) for array in arrays):
            raise ValueError("found a column that is no array")
        taken = tuple(as_column(array, str(i), type(self).__name__) for i, array in enumerate(arrays))
        if any(a.dtype != array.dtype or len(a) != labels.size for a, array in zip(taken, arrays, strict=True)):
            raise ValueError("found columns of unequal lengths, or of a dtype that columns do not have")
        self._check(taken)
        lowest = self._lowest(hashes.of_keys(labels, self.seed), labels, taken)
        if lowest[1].tolist() != labels.tolist():
            raise ValueError("found a key twice, or keys that are not in the order of their ranks")
        self._kinds = kinds_of(taken)
        self._hold(*lowest)

    def _check(self, columns: tuple[np.ndarray, ...]) -> None:
        """Raise ``ValueError`` for columns that were read and that no updates could have made."""


@final
class BottomK(_Lowest):
    """The k keys with the smallest hashes: how many distinct keys came, and a uniform sample of them.

    Every distinct key has the same chance to be in the sample, however often it came, and which ones are in it depends on
    the keys and the seed alone. Give ids of rows as keys for a sample of rows. Keys as in ``Counter``; two of one hash are
    two keys. Empty: no keys, a count of 0. Exact (a function of the set of rows), commutative, idempotent.

    ``update(keys, *columns)``: keys (n,), and arrays (n, ...) of which each sampled key keeps its row, such as labels and
    scores. Columns are as those of ``Rows``. Where one key comes with several rows, the first in the order of their bytes
    is kept.

    ``count()`` is exact below k distinct keys; from there on its relative standard error is 1 / sqrt(k - 2): 3.1 % for 1,024.
    Memory: about 70 bytes and the row for each sampled key, plus a buffer of at most 128 KiB.

    Raises:
        TypeError: a key is not plain.
        ValueError: columns differ in length, or change their number, kind or trailing shape, or uint64 and int64 mix.
        IncompatibleStates: on merging with another k or seed, or with other columns.

    Example:
        >>> wrong = BottomK(k=2)
        >>> wrong.update(["a", "b"], [0.9, 0.7])
        >>> wrong.update(["c", "b"], [0.8, 0.7])
        >>> wrong.sample()
        [('c', 0.8), ('b', 0.7)]
        >>> seen = BottomK()
        >>> seen.update(range(500)); seen.update(range(400))
        >>> seen.count()
        500.0

    Source: Bar-Yossef, Jayram, Kumar, Sivakumar, Trevisan 2002; Beyer, Haas, Reinwald, Sismanis, Gemulla 2007.
    """

    _spare = 0

    def update(self, items: Any, *columns: Any) -> None:
        """Take keys (n,), each with its row of every column (n, ...)."""
        labels = hashes.as_keys(items, "BottomK.update")
        rows = _columns(labels, columns, "BottomK.update")
        if labels.size:
            self._take(labels, rows)

    def count(self) -> float:
        """Return the number of distinct keys: exactly below k, else estimated."""
        return self.estimate().value

    def estimate(self) -> Estimate:
        """Return the number of distinct keys, and the range that holds it with a probability of 95 %; below k, always."""
        self.flush()
        if self._highest is None:
            size = float(self._keys.size)
            return Estimate(size, size, size)
        share = int(self._highest) + 1  # of all hashes, in 2^-64
        least, most = (float(max(self.k, _gamma(self.k, side * _NORMAL) * 2.0**64 / share)) for side in (-1, 1))
        return Estimate(float(max(self.k, (self.k - 1) * 2**64 / share)), least, most)

    def _ranks(self, found: np.ndarray, columns: tuple[np.ndarray, ...]) -> np.ndarray:  # noqa: ARG002 - rows do not count
        return found

    def _preference(self, columns: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        return list(columns)


@final
class WeightedBottomK(_Lowest):
    """A weighted sample of k keys without replacement: those of largest w / u, where u in (0, 1) is of the key's hash.

    A priority sample: sums of weights, over all keys or over any part of them, are estimated without bias. In everything
    else like ``BottomK``. Keys are ids of rows: one that comes again counts once, with the largest of its weights. Ranks
    are u / w in correctly rounded divisions of normal numbers, which are alike on every machine and in every thread.
    Memory: as ``BottomK``, and 8 bytes for each key; one key more than k is held.

    ``update(keys, weights, *columns)``: weights are finite and not below 0; rows of weight 0 are not there.

    Raises:
        TypeError: a key is not plain.
        ValueError: a weight is negative, NaN or infinite; columns differ in length, or change their kind or trailing shape.
        IncompatibleStates: on merging with another k or seed, or with other columns.

    Example:
        >>> spent = WeightedBottomK(k=3)
        >>> spent.update(["ann", "bob", "cy", "di"], [0.5, 20.0, 3.0, 0.0])
        >>> sorted(spent.sample())
        [('ann', 0.5), ('bob', 20.0), ('cy', 3.0)]
        >>> spent.total(), spent.total(lambda key, weight: key < "b")
        (23.5, 0.5)

    Source: Duffield, Lund, Thorup 2007 (priority sampling); Efraimidis, Spirakis 2006.
    """

    _spare = 1

    def update(self, items: Any, weights: Any, *columns: Any) -> None:
        """Take keys (n,) with their weights (n,), or one weight for all, and each key's row of every column (n, ...)."""
        who = "WeightedBottomK.update"
        listed = np.asarray(items).ravel() if hasattr(items, "__array__") else keys.plain_list(items, who)
        (listed, *rest), weight = weighed((listed, *columns), weights, who, (len(listed),))
        labels = hashes.as_keys(listed, who)
        rows = weight, *_columns(labels, rest, who)
        if labels.size:
            self._take(labels, rows)

    def total(self, where: Callable[..., bool] | None = None) -> float:
        """Return the sum of the weights of all keys, or of those whose rows ``where(key, weight, *row)`` is true for."""
        return self.total_estimate(where).value

    def total_estimate(self, where: Callable[..., bool] | None = None) -> Estimate:
        """Return the sum, and the range that holds it with a probability of about 95 % where much of it was sampled.

        Up to k keys it is exact. ``where`` must look at nothing but its arguments.
        """
        rows = self.sample()
        chosen = [where is None or bool(where(*row)) for row in rows]
        units = [exact.units_of(row[1]) for row, taken in zip(rows, chosen, strict=True) if taken]
        weight, share = self._threshold()  # each sampled key of less weight than weight / share stands for so much
        small = [unit * share for unit in units if unit * share < weight]
        scaled = len(small) * weight + sum(unit * share for unit in units if unit * share >= weight)
        variance = sum(weight * (weight - unit) for unit in small)
        one = share << exact.UNIT_BITS
        value, sampled = exact.to_float(scaled, one), exact.to_float(sum(units), 1 << exact.UNIT_BITS)
        spread = _NORMAL * exact.sqrt_to_float(variance, one * one)
        return Estimate(value, max(sampled, value - spread), value + spread)

    def adjusted_weights(self) -> np.ndarray:
        """Return weights (n,) of the sample's rows whose sum over any part of them estimates that of all such keys."""
        self.flush()
        weight, share = self._threshold()
        weights = self._columns[0][: self.k] if self._columns else np.zeros(0)
        least = exact.to_float(weight, share << exact.UNIT_BITS)
        return np.array([w if exact.units_of(w) * share >= weight else least for w in weights.tolist()], np.float64)

    def _threshold(self) -> tuple[int, int]:
        """Return the largest w / u of those that are not in the sample, as units of 2^-1074 and what divides them."""
        if self._highest is None:
            return 0, 1
        return exact.units_of(float(self._columns[0][-1])) << 53, 2 * (int(self._hashes[-1]) >> 12) + 1

    def _ranks(self, found: np.ndarray, columns: tuple[np.ndarray, ...]) -> np.ndarray:
        """Return ranks in the order of u / w: the bits of the quotient by w's mantissa, less w's exponent."""
        bits = columns[0].view(np.int64)
        exponents, mantissas = bits >> 52, bits & _MANTISSA
        subnormal = exponents == 0
        if subnormal.any():
            whole = mantissas[subnormal].astype(np.float64).view(np.int64)
            exponents[subnormal], mantissas[subnormal] = (whole >> 52) - 1074, whole & _MANTISSA
        share = ((found >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        quotients: np.ndarray = share / (mantissas | np.int64(_ONE)).view(np.float64)
        return quotients.view(np.int64) - (exponents << 52)

    def _preference(self, columns: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        return [-exact.order_keys(columns[0]), *columns[1:]]

    def _check(self, columns: tuple[np.ndarray, ...]) -> None:
        weights = columns[0] if columns else np.zeros((0, 0))
        if weights.dtype != np.float64 or weights.ndim != 1 or not np.isfinite(weights).all():
            raise ValueError("found no weights, or some that are no finite floats")
        if not (exact.order_keys(weights) > 0).all():
            raise ValueError("found weights that are not above 0")


def _columns(labels: np.ndarray, columns: Sequence[Any], who: str) -> tuple[np.ndarray, ...]:
    arrays = tuple(as_column(column, f"column {i}", who) for i, column in enumerate(columns))
    check_lengths(arrays, labels.size, who)
    return arrays


def _places(found: np.ndarray, labels: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Return whole numbers (n,) that tell keys of one hash apart, in the order of the keys; nothing where no two have one."""
    twice = np.flatnonzero(np.diff(found[order]) == 0)
    simple = labels.dtype != object
    numbers = sort_keys(labels) if simple else labels
    if (numbers[order[twice]] == numbers[order[twice + 1]]).all():
        return []
    if simple:
        return [numbers]
    rank = {label: i for i, label in enumerate(keys.in_order(set(labels.tolist())))}
    return [np.array([rank[label] for label in labels.tolist()], np.int64)]


def _gamma(shape: int, deviations: float) -> float:
    """Return a quantile of the gamma distribution, so many standard deviations off (Wilson and Hilferty 1931)."""
    return float(shape * max(0.0, 1 - 1 / (9 * shape) + deviations / (3 * math.sqrt(shape))) ** 3)
