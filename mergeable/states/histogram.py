"""Histograms with fixed bin edges."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from mergeable.numeric import exact
from mergeable.numeric.inputs import as_float64, as_weighted, flat, unweighted
from mergeable.state import State
from mergeable.states.sums import Count, Sum, add_at, check_weights
from mergeable.wording import shown

_BELOW, _ABOVE, _NAN, _MINUS, _PLUS = range(-5, 0)


@final
class Histogram(State):
    """Counts of values in fixed bins, with further cells for values below and above, NaN and the infinities.

    Bin i holds edges[i] <= x < edges[i + 1]; the last one holds its upper edge too, as in NumPy. Edges (k + 1,) are
    finite and increase. Empty: all counts 0. Exact, commutative. Values are compared by their bits.
    Memory: 8 (k + 5) bytes (``weighted``: up to 290 bytes a cell), plus a buffer of at most 128 KiB.

    ``update(values, weights=None)``: values of any shape; weights as in ``Mean`` need ``Histogram(edges,
    weighted=True)``, whose cells are exact sums.

    Raises:
        ValueError: edges do not increase, or weights came to a histogram that counts.
        IncompatibleStates: on merging histograms with other edges.
        OverflowError: a count would pass 2**63 - 1.

    Example:
        >>> ages = Histogram([0, 18, 65, 120])
        >>> ages.update([3, 18, 70, 130, float("nan")])
        >>> ages.result().tolist()
        [1, 1, 1]
        >>> ages.n_below, ages.n_above, ages.n_nan
        (0, 1, 1)
    """

    _undoes_updates = True
    _mutated = ("_cells",)

    def __init__(self, edges: Sequence[float] | np.ndarray, weighted: bool = False) -> None:
        bounds = flat(as_float64(edges, "Histogram"))
        keys = exact.order_keys(bounds)
        if keys.size < 2 or not np.isfinite(bounds).all() or not (keys[1:] > keys[:-1]).all():
            wrong = np.flatnonzero(~np.isfinite(bounds[1:]) | (keys[1:] <= keys[:-1]))[:1]
            bad = f", of which {bounds[wrong[0]]} and {bounds[wrong[0] + 1]} follow one another" if wrong.size else ""
            raise ValueError(f"Histogram: got edges {shown(edges)}{bad}, expected at least two finite numbers that increase.")
        self.edges, self._cuts, self._cell_of = _plan(keys.tobytes())
        self.weighted = bool(weighted)
        cells = self._cell_of.size - 1  # NaN lie beyond either end
        self._cells: Count | Sum = Sum((cells,)) if weighted else Count((cells,))

    @property
    def parameters(self) -> dict[str, Any]:
        """``edges`` and ``weighted``."""
        return {"edges": self.edges, "weighted": self.weighted}

    def empty(self) -> Histogram:
        """Return a fresh identity with the same edges, which are not checked again."""
        fresh: Histogram = Histogram.__new__(Histogram)
        fresh.edges, fresh.weighted, fresh._cuts, fresh._cell_of = self.edges, self.weighted, self._cuts, self._cell_of
        fresh._cells = self._cells.empty()
        return fresh

    def update(self, values: Any, weights: Any = None) -> None:
        """Take values of any shape, each with a weight (default 1)."""
        if weights is not None and not self.weighted:
            raise unweighted("Histogram.update", "histogram counts", "Declare Histogram(edges, weighted=True)")
        self.buffer(*as_weighted(values, weights, "Histogram.update"))

    def absorb(self, values: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take buffered values (n,) and weights (n,)."""
        keys = exact.order_keys(values)
        if isinstance(self._cells, Count) and keys.size > self._cuts.size:  # then cuts are found faster among sorted keys
            keys.sort()
            passed = np.concatenate([[0], np.searchsorted(keys, self._cuts), [keys.size]])
            add_at(self._cells, self._cell_of, np.diff(passed))
            return
        add_at(self._cells, self._cell_of[np.searchsorted(self._cuts, keys, side="right")], weights)

    def merge(self, other: Histogram) -> None:
        """Add the other's cells."""
        self._cells.merge(other._cells)  # type: ignore[arg-type]  # both are of one kind: equal parameters

    def to_data(self) -> Any:
        """Return the cells: the bins, then below, above, NaN, -inf and inf."""
        self.flush()
        return self._cells.to_data()

    def from_data(self, saved: Any) -> None:
        """Take over the cells."""
        self._cells.from_data(saved)
        check_weights(self._cells)

    def result(self) -> np.ndarray:
        """Return the counts (k,) of the bins: int64, or float64 where weighted."""
        counts: np.ndarray = self._cells.result()[:_BELOW]
        return counts

    @property
    def n_below(self) -> Any:
        """How many values were below the first edge, -inf excepted: a count, or their weight."""
        return self._cell(_BELOW)

    @property
    def n_above(self) -> Any:
        """How many values were above the last edge, inf excepted: a count, or their weight."""
        return self._cell(_ABOVE)

    @property
    def n_nan(self) -> Any:
        """How many values were NaN: a count, or their weight."""
        return self._cell(_NAN)

    @property
    def n_infinite(self) -> tuple[Any, Any]:
        """How many values were -inf, and how many inf: counts, or their weights."""
        return self._cell(_MINUS), self._cell(_PLUS)

    def _cell(self, index: int) -> Any:
        self.flush()
        return self._cells.result()[index].item()


@functools.lru_cache(maxsize=64)
def _plan(edges: bytes) -> tuple[tuple[float, ...], np.ndarray, np.ndarray]:
    """Return edges, given by their order keys, the order keys of all cuts, and the cell of a value by how many cuts it has passed.

    Histograms of equal edges share them, so that it takes no time to see that they are equal.
    """
    keys = np.frombuffer(edges, np.int64)
    minus, plus = exact.key_of_value(-math.inf), exact.key_of_value(math.inf)
    upper = keys[-1:] + 1  # the last bin holds its upper edge
    cuts = np.concatenate([[minus, minus + 1], keys[:-1], upper, [plus, plus + 1]])  # NaN lie beyond either end
    cells = keys.size - 1 + 5
    cell_of = np.concatenate([[_NAN, _MINUS, _BELOW], np.arange(cells - 5), [_ABOVE, _PLUS, _NAN]]) % cells
    return tuple(exact.values_of_keys(keys).tolist()), cuts, cell_of
