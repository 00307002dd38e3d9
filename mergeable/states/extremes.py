"""Minimum and maximum, and the key that came with them (arg min, arg max)."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from mergeable.numeric import exact, keys, saved_values
from mergeable.numeric.inputs import as_float64, as_number, flat
from mergeable.state import State
from mergeable.states.number import Number
from mergeable.wording import shown


class _Extreme(Number):
    """The extreme of all values but NaN, which is counted apart. Compares bits, so subnormal numbers keep their place."""

    _undoes_updates = True
    _mutated = ()
    _sign: int

    def __init__(self) -> None:
        self._key: int | None = None
        self._n_nan = 0

    @property
    def n_nan(self) -> int:
        """How many NaN came in."""
        self.flush()
        return self._n_nan

    def update(self, values: Any) -> None:
        """Take values of any shape."""
        self.buffer(flat(as_float64(values, f"{type(self).__name__}.update")))

    def absorb(self, values: np.ndarray) -> None:
        """Take buffered values (n,)."""
        nan = np.isnan(values)
        if np.count_nonzero(nan):
            self._n_nan += int(nan.sum())
            values = values[~nan]
        if values.size:
            order = exact.order_keys(values)
            self._take(int(order.max() if self._sign > 0 else order.min()))

    def merge(self, other: _Extreme) -> None:
        """Take the other's extreme."""
        self._n_nan += other._n_nan
        if other._key is not None:
            self._take(other._key)

    def result(self) -> float:
        """Return the extreme; NaN when there was no number."""
        return math.nan if self._key is None else exact.value_of_key(self._key)

    def to_data(self) -> Any:
        """Return the extreme, or None, and how many NaN came in."""
        self.flush()
        return {"value": None if self._key is None else exact.value_of_key(self._key), "n_nan": self._n_nan}

    def from_data(self, saved: Any) -> None:
        """Take over the extreme."""
        value, n_nan = saved_values.fields(saved, "value", "n_nan")
        self._key, self._n_nan = None if value is None else _number(value), saved_values.whole(n_nan)

    def _assign_number(self, value: Any) -> None:
        """Replace the value by one number; NaN and the infinity that loses to every number empty the state."""
        array = as_number(value, f"{type(self).__name__}.assign")
        fresh = self.empty()
        if not (math.isnan(array) or float(array) == -self._sign * math.inf):
            fresh.absorb(array.reshape(1))
        self._become(fresh)

    def _take(self, key: int) -> None:
        if self._key is None or self._sign * key > self._sign * self._key:
            self._key = key


@final
class Max(_Extreme):
    """The largest value. NaN never wins and is never lost: ``n_nan`` says how many came in.

    Empty: result NaN. Exact, commutative. Infinities are values; -0.0 and 0.0 are one value, 0.0.
    Memory: 16 bytes, plus a buffer of at most 128 KiB. ``update(values)``: any shape, widened to float64.

    Raises:
        TypeError: values are not real numbers. ValueError: an integer that a float64 cannot hold.

    Example:
        >>> worst = Max()
        >>> worst.update([0.5, float("nan"), 2])
        >>> worst.result(), worst.n_nan
        (2.0, 1)
    """

    _sign = 1


@final
class Min(_Extreme):
    """The smallest value; in everything else like ``Max``.

    Example:
        >>> best = Min()
        >>> best += [3, -1]
        >>> float(best)
        -1.0
    """

    _sign = -1


class _ArgExtreme(State):
    """The extreme value with its key. Ties go to the smallest key, so that any order of merges gives one answer."""

    _mutated = ()
    _sign: int

    def __init__(self) -> None:
        self._best: tuple[int, keys.Canonical] | None = None
        self._n_nan = 0

    @property
    def n_nan(self) -> int:
        """How many NaN came in."""
        return self._n_nan

    @property
    def value(self) -> float:
        """The extreme value; NaN when there was no number."""
        return math.nan if self._best is None else exact.value_of_key(self._best[0])

    @property
    def key(self) -> Any:
        """The key of the extreme value; None when there was no number."""
        return None if self._best is None else keys.plain(self._best[1])

    def update(self, values: Any, keys_: Any) -> None:
        """Take values (n,) and their keys (n,): integers, strings, bytes or tuples of them."""
        who = f"{type(self).__name__}.update"
        array = flat(as_float64(values, who))
        labels = keys.plain_list(keys_, who)
        if len(labels) != array.size:
            raise ValueError(f"{who}: got {array.size} values and {len(labels)} keys, expected one key for each value.")
        nan = np.isnan(array)
        order = exact.order_keys(np.where(nan, 0.0, array))
        if not nan.all():
            best = int(order[~nan].max() if self._sign > 0 else order[~nan].min())
            tied = np.flatnonzero((order == best) & ~nan).tolist()
            self._take(best, min((keys.canonical(labels[i], who) for i in tied), key=keys.order))
        self._n_nan += int(nan.sum())

    def merge(self, other: _ArgExtreme) -> None:
        """Take the other's extreme."""
        self._n_nan += other._n_nan
        if other._best is not None:
            self._take(*other._best)

    def to_data(self) -> Any:
        """Return the extreme and its key, or None, and how many NaN came in."""
        return {"best": None if self._best is None else list(self.result()), "n_nan": self._n_nan}

    def from_data(self, saved: Any) -> None:
        """Take over the extreme and its key."""
        best, n_nan = saved_values.fields(saved, "best", "n_nan")
        self._n_nan = saved_values.whole(n_nan)
        if best is not None:
            value, key = saved_values.listed(best, "a value and its key", 2)
            self._best = _number(value), keys.canonical(key, "key")

    def result(self) -> tuple[float, Any]:
        """Return (value, key); (NaN, None) when there was no number."""
        return self.value, self.key

    def _take(self, value: int, key: keys.Canonical) -> None:
        if self._best is None or (-self._sign * value, keys.order(key)) < (
            -self._sign * self._best[0],
            keys.order(self._best[1]),
        ):
            self._best = value, key


@final
class ArgMax(_ArgExtreme):
    """The largest value and the key it came with: the worst example and its id.

    Ties go to the smallest key: numbers before strings before bytes before tuples before times, each in its own order.
    Empty: (NaN, None). Exact, commutative. NaN never wins; ``n_nan`` says how many came in.
    Memory: one value and one key.

    Raises:
        ValueError: values and keys differ in length. TypeError: a key is not plain.

    Example:
        >>> worst = ArgMax()
        >>> worst.update([0.5, 2.0, 2.0], ["a", "c", "b"])
        >>> worst.result()
        (2.0, 'b')
    """

    _sign = 1


@final
class ArgMin(_ArgExtreme):
    """The smallest value and the key it came with; in everything else like ``ArgMax``.

    Example:
        >>> best = ArgMin()
        >>> best.update([0.5, 0.25], [7, 3])
        >>> best.key
        3
    """

    _sign = -1


def _number(value: Any) -> int:
    """Return the order key of a float that was saved."""
    if type(value) is not float or math.isnan(value):
        raise ValueError(f"found {shown(value)}, expected a float")
    return exact.key_of_value(value)
