"""Quantiles, as sketches and histograms share them: shares of the items, their ranks, and the five-number summary."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np

from mergeable.numeric import inputs
from mergeable.numeric.inputs import as_float64
from mergeable.state import State
from mergeable.states.number import as_written


class Quantiles(State):
    """A state that knows the item of each rank, exactly or about."""

    @property
    @abstractmethod
    def n(self) -> int:
        """How many items came in, NaN excepted."""

    @abstractmethod
    def _items(self, shares: list[float]) -> list[float]:
        """Return the item of rank ceil(q n) for each q; NaN when there is no item."""

    def result(self) -> dict[str, Any]:
        """Return a dict: the number of items but for NaN, minimum, quartiles and maximum; NaN where there are none."""
        low, *quartiles, high = self._items([0.0, 0.25, 0.5, 0.75, 1.0])
        return {"n": self.n, "min": low, **dict(zip(("25%", "50%", "75%"), quartiles, strict=True)), "max": high}

    def quantile(self, q: Any) -> Any:
        """Return the quantile of q in [0, 1]: a float, or an array for an array; NaN when there is no item."""
        wanted = as_shares(q, f"{type(self).__name__}.quantile")
        values = self._items(wanted.ravel().tolist())
        return np.array(values, np.float64).reshape(wanted.shape) if wanted.shape else values[0]


def as_shares(q: Any, who: str) -> np.ndarray:
    """Return shares as a float64 array of the same shape; float16 and float32 ones as the decimals that their users wrote."""
    wanted = as_float64(q, who)
    if isinstance(q, np.ndarray | np.generic) and q.dtype.kind == "f" and q.dtype.itemsize < 8:
        wanted = np.array([float(str(share)) for share in np.ravel(q)]).reshape(wanted.shape)
    if np.isnan(wanted).any():
        raise ValueError(f"{who}: got q = nan, expected numbers from 0 to 1. Divide percentages by 100.")
    return inputs.as_shares(wanted, who, "q =", "Divide percentages by 100.")


def rank_of(share: float, n: int) -> int:
    """Return the rank, from 1 to n, of the smallest item that at least this share of n items do not exceed: exact for the decimal."""
    return min(max(1, math.ceil(as_written(share) * n)), n)
