"""Group by with a bounded number of groups: a state for each slice, for the overflow, and for all rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, final

import numpy as np

from mergeable.numeric import hashes, keys
from mergeable.numeric.conversion import objects
from mergeable.numeric.row_batch import RowBatch, present
from mergeable.state.access import merge_unchecked, place_of_weights
from mergeable.state.parameters import as_whole, is_whole_number
from mergeable.state.signature import Place, behind
from mergeable.states.combinators import PART, Product, Tuple, cells_of, empty_of, inner_of, signature_of
from mergeable.states.keyed import Keyed, drop, state_at, states_of
from mergeable.states.sums import Count
from mergeable.wording import shown


class Slices(NamedTuple):
    """The result of a ``Sliced``: of all rows, of each slice by key, and of the rows that have no slice of their own."""

    overall: Any
    slices: dict[Any, Any]
    overflow: Any


@final
class Sliced(Product[str]):
    """A state, or a metric, for each slice and for all rows: ``Sliced(Mean(), by=0)``. Slices are found at run time.

    ``by`` says where the slices' keys come from: None, the first argument of ``update``, which the inner state does not get; a
    whole number or a name, that argument of the batch, which it does get; or a function of the batch that returns keys (n,).
    Keys as in ``Counter``. A row of weight 0 (of ``weights``, or a metric's ``sample_weight``) is not there, and has no slice.

    At most ``max_slices`` have a state of their own: those whose keys have the smallest hashes, whatever came first, so that the
    result depends on no order and a kept slice is complete. The rows of all others share the overflow. Which slices are kept is
    random, and the same in every process; take ``max_slices`` above what you expect, or a ``by`` that groups rare keys.

    Empty: no slices. Exact, commutative and bounded where the inner state is.
    Memory: ``max_slices`` + 1 inner states, with buffers as in ``Keyed``. An update costs one of the inner state for each key in the batch.

    Raises:
        TypeError: keys are none, or what came is no state and no metric.
        ValueError: keys and batch differ in length, ``max_slices`` is below 1, or states nest too deeply (see ``Tuple``).

    Example:
        >>> from mergeable import Mean, Sliced
        >>> loss = Sliced(Mean(), max_slices=100)
        >>> loss.update(["de", "fr", "de"], [1.0, 5.0, 2.0])
        >>> loss.result().slices
        {'de': 1.5, 'fr': 5.0}
        >>> round(loss.result().overall, 3), loss.n_overflowed
        (2.667, 0)
    """

    def __init__(self, state: Any, by: Any = None, max_slices: int = 1000) -> None:
        inner = inner_of(state, "Sliced")
        if not (by is None or is_whole_number(by) or isinstance(by, str) or callable(by)):
            raise TypeError(f"Sliced: got by={shown(by)}, expected None, the place or the name of an argument, or a function.")
        self.by = int(by) if isinstance(by, np.integer) else by
        self.max_slices = as_whole(max_slices, "Sliced: got max_slices={}", 1)
        each = Tuple(Count(), inner)
        self._hold({"kept": Keyed(each), "overflow": each})
        self.bounded = inner.bounded

    @property
    def _kept(self) -> Keyed[Tuple]:
        return self._parts["kept"]  # type: ignore[return-value]  # so it was made

    @property
    def _overflow(self) -> Tuple:
        return self._parts["overflow"]  # type: ignore[return-value]  # so it was made

    @property
    def parameters(self) -> dict[str, Any]:
        """The inner state's class and parameters, ``by`` and ``max_slices``."""
        return {"state": signature_of(self._overflow[1]), "by": self.by, "max_slices": self.max_slices}

    def _recipe(self) -> Any:
        return Sliced, (self._overflow[1].empty(), self.by, self.max_slices)

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Sliced:
        """Return an empty state whose inner state has these parameters."""
        return Sliced(empty_of(parameters["state"]), parameters["by"], parameters["max_slices"])

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return twice the numbers that the inner state allocates, because ``result`` makes another one, and some more."""
        return 2 * cells_of(parameters["state"]) + 7 * PART

    def update(self, *batch: Any, **named: Any) -> None:
        """Give every slice its rows of a batch: arrays (n, ...), in order or by name."""
        batch, named = present(self._place_of_weights(), batch, named)
        found, batch = self._keys_of(batch, named)
        labels = keys.canonical_list(found, "Sliced.update")
        columns, rows = RowBatch(batch, named, len(labels), "Sliced.update"), keys.places(labels)

        def give(to: Tuple, index: list[int]) -> None:
            to[0].update(len(index))
            columns.give(to[1], index)

        with self._all_or_nothing():
            dropped = self._make_room(rows)
            for label, index in rows.items():
                if label not in dropped:
                    give(state_at(self._kept, label, "Sliced.update"), index)
            other = sorted(i for label in dropped for i in rows[label])
            if other:
                give(self._overflow, other)

    def _place_of_weights(self) -> Place | None:
        place = place_of_weights(self._overflow[1])
        return behind(place) if self.by is None else place

    def merge(self, other: Sliced) -> None:  # type: ignore[override]  # of this class
        """Merge slice by slice. Slices for which there is no room go to the overflow."""
        who = "Sliced.merge" if len(self._kept) else ""  # an empty one takes what older files may hold
        kept = states_of(other._kept)
        with self._all_or_nothing():
            dropped = self._make_room(kept)
            for label, state in kept.items():
                merge_unchecked(self._overflow if label in dropped else state_at(self._kept, label, who), state)
            merge_unchecked(self._overflow, other._overflow)

    def result(self) -> Slices:
        """Return the results of all rows, of each slice in the canonical order of the keys, and of the overflow."""
        slices = {key: result for key, (_, result) in self._kept.result().items()}
        return Slices(self.overall(), slices, self._overflow[1].result())

    def overall(self) -> Any:
        """Return the result of all rows."""
        self.flush()
        merged, kept = self._overflow[1].empty(), states_of(self._kept)
        for label in keys.in_order(kept):
            merge_unchecked(merged, kept[label][1])
        merge_unchecked(merged, self._overflow[1])
        return merged.result()

    def sizes(self) -> dict[Any, int]:
        """Return how many rows each slice has."""
        return {key: size for key, (size, _) in self._kept.result().items()}

    @property
    def n_overflowed(self) -> int:
        """How many rows are in no slice of their own."""
        return int(self._overflow[0].result())

    def __getitem__(self, key: Any) -> Any:
        """Return the inner state of a slice."""
        label, kept = keys.canonical(key, "Sliced"), states_of(self._kept)
        if label not in kept:
            raise KeyError(f"Sliced: no slice has the key {shown(key)}; the keys are {shown(list(self._kept)[:10])}.")
        return kept[label][1]

    def __len__(self) -> int:
        return len(self._kept)

    def from_data(self, saved: Any) -> None:
        """Take over the slices and the overflow."""
        super().from_data(saved)
        if len(self._kept) > self.max_slices or (self.n_overflowed and len(self._kept) < self.max_slices):
            raise ValueError(f"found {len(self._kept)} slices and an overflow, expected {self.max_slices} slices before one")
        if any(not state[0].result() for state in states_of(self._kept).values()):
            raise ValueError("found a slice without rows")

    def _keys_of(self, batch: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        """Return the keys (n,) of a batch, and the arguments of the inner state's update."""
        if callable(self.by):
            return self.by(*batch, **named), batch
        place: Any = 0 if self.by is None else self.by
        try:
            found = named[place] if isinstance(place, str) else batch[place]
        except (KeyError, IndexError) as error:
            raise TypeError(
                f"Sliced.update: got {len(batch)} arguments in order and {shown(sorted(named))} by name, expected one for by={shown(self.by)}, which "
                "holds the keys of the slices."
            ) from error
        return found, batch[1:] if self.by is None else batch

    def _make_room(self, new: Collection[keys.Canonical]) -> set[keys.Canonical]:
        """Return the new keys that get no slice. Slices that give way to others go to the overflow."""
        kept = states_of(self._kept)
        if len(kept.keys() | new) <= self.max_slices:
            return set()
        last = set(_ranked(kept.keys() | new)[self.max_slices :])
        for label in last & kept.keys():
            dropped = drop(self._kept, label)
            self._overflow.merge(dropped)
        return last & set(new)


def _ranked(labels: Collection[keys.Canonical]) -> list[keys.Canonical]:
    """Return keys in the order that decides which have slices: that of their hashes, and of the keys where two are alike."""
    ranks = dict(zip(labels, hashes.of_keys(objects(labels), 0).tolist(), strict=True))
    return sorted(labels, key=lambda label: (ranks[label], keys.order(label)))
