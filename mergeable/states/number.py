"""Arithmetic on scalar states, as on ``tf.Variable``: operators, conversions and assignment."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike

from mergeable.numeric import exact
from mergeable.state import State
from mergeable.state.access import assign

Self = TypeVar("Self", bound="Number")


def as_written(number: Any) -> Fraction:
    """Return a finite number as the decimal that its user wrote, the shortest that stands for it: 0.1 is one tenth, in float32 too."""
    if isinstance(number, int):
        return Fraction(number)
    units = exact.units_of(number)
    if abs(units) < 1 << exact.MANTISSA_BITS:  # this thread may read it, and write it, as 0
        return Fraction(units, 1 << exact.UNIT_BITS)
    return Fraction(str(number))


class Number(NDArrayOperatorsMixin, State):
    """A state whose result is a number, or an array of numbers, and that computes as one.

    ``state / 2``, ``np.sqrt(state)``, ``float(state)`` and comparisons read the result; a division by an empty
    count is NaN, as in NumPy, and not an exception. ``state += x`` is ``state.update(x)``, or a merge where ``x``
    is an equal kind of state. Other assignments, ``metric.count = 0.`` or ``state *= 2``, replace the value.
    """

    if TYPE_CHECKING:  # both stand in one class, or pyright takes an assigned number for the type of the attribute

        def __get__(self: Self, metric: Any, cls: Any = None) -> Self: ...

        def __set__(self, metric: Any, value: ArrayLike | State) -> None: ...

    @abstractmethod
    def _assign_number(self, value: Any) -> None:
        """Replace the value by a number, or by an array of numbers."""

    def _assign(self, value: Any) -> None:
        """Take over the whole value of an equal kind of state; replace the value by anything else that is a number."""
        if type(value) is type(self):
            super()._assign(value)
        else:
            self._assign_number(value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", ())
        numbers = [x.__array__() if isinstance(x, Number) else np.asarray(x) if isinstance(x, State) else x for x in inputs]
        with np.errstate(divide="ignore", invalid="ignore"):
            value = getattr(ufunc, method)(*numbers, **kwargs)
        if not out:
            return value
        if isinstance(out[0], State):
            assign(out[0], value)
        else:
            out[0][...] = value
        return out[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.result(), dtype=dtype)

    def __iadd__(self: Self, other: Any) -> Self:  # the mixin's computes; this one accumulates
        if type(other) is type(self):
            self.merge(other)
        else:
            self.update(other)
        return self

    def __float__(self) -> float:
        return float(self.result())

    def __int__(self) -> int:
        return int(self.result())

    def __bool__(self) -> bool:
        return bool(self.result())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.result(), digits)

    def __format__(self, spec: str) -> str:
        return format(self.result(), spec)

    __hash__ = None  # type: ignore[assignment]  # equal numbers are not equal states, and states change
