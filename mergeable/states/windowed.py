"""A moving window: the last steps, or the last seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from mergeable.numeric.conversion import as_lossless
from mergeable.numeric.inputs import is_number
from mergeable.numeric.row_batch import check_columns, present
from mergeable.state.access import merge_unchecked, place_of_weights
from mergeable.state.signature import Place, behind
from mergeable.states.combinators import PART, Product, Tuple, cells_of, empty_of, inner_of, signature_of
from mergeable.states.keyed import Keyed, drop, state_at, states_of
from mergeable.states.number import as_written
from mergeable.states.sums import Count
from mergeable.wording import shown


@final
class Windowed(Product[str]):
    """A state, or a metric, over a moving window: ``Windowed(Mean(), last=100)`` holds the last 100 steps, whoever took them.

    ``update(step, *batch)`` takes a batch at a step, or at a time in seconds; ``every`` is the width of one bucket of them. Widths and
    times are decimals as they are written, so that 0.3 begins the bucket 3 of width 0.1. The
    window holds the ``last / every`` buckets up to the largest that came anywhere, so a merge moves it on. Rows that are older, also
    where they come late, are dropped and counted in ``n_dropped``. A batch without rows, or with rows of weight 0 (of
    ``weights``, or a metric's ``sample_weight``) alone, moves nothing.

    Empty: no steps. Exact, commutative and bounded where the inner state is.
    Memory: ``last / every`` inner states.

    Raises:
        TypeError: what came is no state and no metric. ValueError: a step is no finite number below 2**53, or ``last`` is no whole
            number of times ``every``.

    Example:
        >>> from mergeable import Mean, Windowed
        >>> recent = Windowed(Mean(), last=3)
        >>> for step in range(10):
        ...     recent.update(step, step)
        >>> recent.result(), recent.n_dropped
        (8.0, 7)
        >>> minute = Windowed(Mean(), last=60.0, every=1.0)
        >>> minute.update(1_700_000_000.25, 0.5)
        >>> minute.result()
        0.5
    """

    def __init__(self, state: Any, last: float, every: float = 1) -> None:
        inner = inner_of(state, "Windowed")
        if not all(map(_is_width, (last, every))) or not _is_whole(last / every):
            raise ValueError(
                f"Windowed: got last={shown(last)} and every={shown(every)}, expected numbers above 0, of which the first is a whole number of "
                "times the second."
            )
        self.last, self.every, self._inner = _plain(last), _plain(every), inner
        self._width = as_written(self.every)
        self._hold({"steps": Keyed(Tuple(Count(), inner)), "dropped": Count()})
        self.bounded = inner.bounded

    @property
    def _steps(self) -> Keyed[Tuple]:
        return self._parts["steps"]  # type: ignore[return-value]  # so it was made

    @property
    def parameters(self) -> dict[str, Any]:
        """The inner state's class and parameters, ``last`` and ``every``."""
        return {"state": signature_of(self._inner), "last": self.last, "every": self.every}

    def _recipe(self) -> Any:
        return Windowed, (self._inner, self.last, self.every)

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Windowed:
        """Return an empty state whose inner state has these parameters."""
        return Windowed(empty_of(parameters["state"]), parameters["last"], parameters["every"])

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return how many numbers the inner state allocates, from which each step's state is made, and some more."""
        return cells_of(parameters["state"]) + 7 * PART

    def update(self, step: Any, *batch: Any, **named: Any) -> None:
        """Take a batch, arrays (n, ...), at one step or time."""
        check_columns(self._inner, batch, named, "Windowed.update", "step")
        batch, named = present(place_of_weights(self._inner), batch, named)
        bucket, rows = self._bucket(step), _rows(*batch, *named.values())
        if not rows:
            return
        with self._all_or_nothing():
            if bucket <= self._over():
                self._parts["dropped"].update(rows)
                return
            at = state_at(self._steps, bucket)
            at[0].update(rows)
            at[1].update(*batch, **named)
            self._move_on()

    def _place_of_weights(self) -> Place | None:
        return behind(place_of_weights(self._inner))

    def merge(self, other: Any) -> None:
        """Merge step by step, and move on to the later window."""
        with self._all_or_nothing():
            super().merge(other)
            self._move_on()

    def result(self) -> Any:
        """Return the inner state's result of all rows in the window."""
        merged = self._inner.empty()
        for bucket in sorted(self._buckets):
            merge_unchecked(merged, self._buckets[bucket][1])
        return merged.result()

    @property
    def n_dropped(self) -> int:
        """How many rows belong to steps before the window."""
        return int(self._parts["dropped"].result())

    @property
    def newest(self) -> float | None:
        """The first step, or time, of the newest bucket; None before the first update."""
        if not self._buckets:
            return None
        first = max(self._buckets) * self._width
        return int(first) if isinstance(self.every, int) else float(first)

    def from_data(self, saved: Any) -> None:
        """Take over the steps."""
        super().from_data(saved)
        found = self._buckets
        if not all(type(bucket) is int and abs(bucket) < 2**53 for bucket in found) or (not found and self.n_dropped):
            raise ValueError("found steps that are no whole numbers")
        if (found and min(found) <= self._over()) or not all(state[0].result() for state in found.values()):
            raise ValueError("found steps outside of the window, or without rows")

    def _bucket(self, step: Any) -> int:
        number = as_lossless(step, "Windowed.update")
        if not number.shape and number.dtype.kind in "iuf" and np.isfinite(number):
            bucket = math.floor(as_written(_plain(number[()])) / self._width)
            if abs(bucket) < 2**53:
                return bucket
        raise ValueError(f"Windowed.update: got the step {shown(step)}, expected one finite number below 2**53.")

    @property
    def _buckets(self) -> Mapping[int, Tuple]:
        return states_of(self._steps)  # type: ignore[return-value]  # whose keys are whole numbers here

    def _over(self) -> float:
        """Return the newest bucket before the window."""
        return max(self._buckets) - round(self.last / self.every) if self._buckets else -math.inf

    def _move_on(self) -> None:
        """Drop the steps before the window."""
        over = self._over()
        for bucket in [bucket for bucket in self._buckets if bucket <= over]:
            self._parts["dropped"].merge(drop(self._steps, bucket)[0])


def _is_width(number: Any) -> bool:
    return is_number(number) and bool(0 < number < math.inf)


def _plain(number: Any) -> float:
    """Return a number of Python's or NumPy's as Python's; that of a narrow float as the decimal that its user wrote."""
    if isinstance(number, int | np.integer):
        return int(number)
    return float(number) if isinstance(number, float) else float(str(number))


def _rows(*batch: Any) -> int:
    """Return how many rows a batch has; one number is one row."""
    return len(batch[0]) if batch and np.ndim(batch[0]) else 1


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-9 * number and 1 <= number < 2**31
