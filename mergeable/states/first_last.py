"""First and last value, by step."""

from __future__ import annotations

import copy
import math
from typing import Any, final

import numpy as np

from mergeable.encoding.canonical import canonical_bytes
from mergeable.encoding.plain import is_plain
from mergeable.numeric import exact, keys, saved_values
from mergeable.numeric.conversion import as_lossless
from mergeable.numeric.inputs import as_array
from mergeable.state import State
from mergeable.wording import short, shown

_MOST_BITS = 1024  # of a whole float64


class _ByStep(State):
    """The value of the extreme step. Ties go to the value whose canonical bytes come first, so that any order gives one answer."""

    idempotent = True
    _mutated = ()
    _sign: int

    def __init__(self) -> None:
        self._step: int | float | None = None
        self._value: Any = None

    @property
    def step(self) -> int | float | None:
        """The step that the value came with, an int where it is whole; None where nothing came."""
        return self._step

    def update(self, step: Any, value: Any) -> None:
        """Take a step and its value, or steps (n,) and n values: an array (n, ...) or a list."""
        who = f"{type(self).__name__}.update"
        steps = as_array(step, who)
        if not np.isfinite(steps).all():
            raise ValueError(f"{who}: got the step {steps[~np.isfinite(steps)].flat[0]}, expected finite numbers.")
        if steps.ndim > 1:
            raise ValueError(f"{who}: got steps of shape {steps.shape}, expected one step or an array (n,) of them.")
        values = _values(value, steps.shape, who)
        if not steps.size:
            return
        order = exact.order_keys(steps) if steps.dtype == np.float64 else steps
        best = order.max() if self._sign > 0 else order.min()
        tied = np.flatnonzero(order.reshape(-1) == best).tolist()
        first = min((_plain(values[i]) for i in tied), key=canonical_bytes)
        self._take(_whole(steps.reshape(-1)[tied[0]].item()), copy.deepcopy(first))

    def merge(self, other: _ByStep) -> None:
        """Take the other's value."""
        if other._step is not None:
            self._take(other._step, other._value)

    def result(self) -> Any:
        """Return a copy of the value; None where nothing came."""
        return copy.deepcopy(self._value)

    def to_data(self) -> Any:
        """Return the step and the value; None and None where nothing came."""
        return {"step": self._step, "value": self._value}

    def from_data(self, saved: Any) -> None:
        """Take over the step and the value."""
        step, value = saved_values.fields(saved, "step", "value")
        if step is None and value is None:
            return
        whole = type(step) is int and step.bit_length() <= _MOST_BITS
        if not whole and (type(step) is not float or not math.isfinite(step) or _whole(step) is not step):
            raise ValueError(f"found the step {short(step)}, expected a whole number or another finite float")
        if not is_plain(value) or _plain(value) is not value:
            raise ValueError(f"found the value {short(value)}, expected plain data")
        self._step, self._value = step, value

    def _take(self, step: float, value: Any) -> None:
        if self._step is not None:
            ahead = self._sign * (_units(step) - _units(self._step))
            if ahead < 0 or (ahead == 0 and canonical_bytes(value) >= canonical_bytes(self._value)):
                return
        self._step, self._value = step, value


@final
class First(_ByStep):
    """The value that came with the smallest step: a step, an epoch or a time, whichever replica saw it.

    Steps are finite real numbers and compare as numbers: 1 and 1.0 are one step. Values are plain data: None, bools, numbers,
    strings, bytes, arrays, and lists, tuples, dicts and sets of them. Where several values came with the step, the one whose
    canonical bytes come first is kept. Empty: None. Exact (a function of the set of steps and values), commutative,
    idempotent. Memory: one step and one value.

    ``update(step, value)``, or ``update(steps, values)`` with steps (n,) and an array (n, ...) or a list of n values. There is
    a loop over the values of a list, and over those of an array that share the extreme step.

    Raises:
        TypeError: steps are not real numbers of at most 64 bits, or a value is not plain data.
        ValueError: a step is NaN or infinite; steps and values differ in length.

    Example:
        >>> start = First()
        >>> start.update(20, "b"); start.update(10, "a")
        >>> start.result(), start.step
        ('a', 10)
        >>> start.update([9, 8], [0.5, 0.25])
        >>> start.result()
        0.25
    """

    _sign = -1


@final
class Last(_ByStep):
    """The value that came with the largest step; in everything else like ``First``.

    Example:
        >>> rate = Last()
        >>> rate.update(100, 0.01); rate.update(50, 0.1)
        >>> rate.result(), rate.step
        (0.01, 100)
    """

    _sign = 1


def _values(value: Any, shape: tuple[int, ...], who: str) -> Any:
    """Return a list or an array of one plain value for each step."""
    n = shape[0] if shape else 1
    listed: Any = value if shape else [value]
    if hasattr(listed, "__array__"):
        listed = _plain(as_lossless(listed, who))
    if not isinstance(listed, list | tuple | np.ndarray):
        raise TypeError(f"{who}: got {n} steps and {short(value)}, expected an array (n, ...) or a list of as many values.")
    if len(listed) != n:
        raise ValueError(f"{who}: got {n} steps and {len(listed)} values, expected one value for each step.")
    if isinstance(listed, np.ndarray) and listed.dtype.kind in "biufUS":
        return listed
    for item in listed:
        if not is_plain(_plain(item)):
            raise TypeError(
                f"{who}: got the value {shown(item)} ({type(item).__name__}), expected plain data: None, bools, numbers, strings, "
                "bytes, arrays, and collections of them. Turn it into these first."
            )
    return listed


def _plain(value: Any) -> Any:
    """Return NumPy's single numbers and strings as Python's, bfloat16 as float32, and arrays in this machine's byte order."""
    if getattr(getattr(value, "dtype", None), "name", "") == "bfloat16":
        value = np.asarray(value, np.float32)
    if isinstance(value, np.ndarray) and not value.ndim and value.dtype != object:
        value = value[()]
    if isinstance(value, np.str_ | np.bytes_):
        return keys.canonical(value, "")
    if isinstance(value, np.generic):
        return value if value.dtype.kind in "mMV" else value.item()  # those may become numbers, or None
    if isinstance(value, np.ndarray) and not value.dtype.isnative:
        return value.astype(value.dtype.newbyteorder("="))
    return value


def _whole(step: float) -> int | float:
    """Return a whole step as an int, so that equal steps are one. By its bits: this thread may read a subnormal number as zero."""
    if isinstance(step, int):
        return int(step)
    units = exact.units_of(step)
    return step if units & ((1 << exact.UNIT_BITS) - 1) else units >> exact.UNIT_BITS


def _units(step: float) -> int:
    return step << exact.UNIT_BITS if isinstance(step, int) else exact.units_of(step)
