"""Group by: a state for each key that comes at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, final, overload

from mergeable.errors import IncompatibleStates
from mergeable.numeric import keys, saved_values
from mergeable.numeric.inputs import as_rows
from mergeable.numeric.row_batch import check_columns, present
from mergeable.state import State
from mergeable.state.access import can_share, freeze, is_frozen, limit_buffer, merge_unchecked, place_of_weights, trial_of
from mergeable.state.signature import Place, behind
from mergeable.state.undo import commit, rollback, savepoint
from mergeable.states.combinators import assign_part, cells_of, empty_of, inner_of, one_more, signature_of
from mergeable.wording import shown

S = TypeVar("S", bound=State)
_APART = (str, bytes)  # keys that equal none of another type


@final
class Keyed(State, Generic[S]):
    """A state for each key that comes at run time: ``Keyed(Mean())``. Replicas may see different keys.

    ``state`` may be a metric. Bounded: ``Sliced``.

    ``keyed[key]`` is the state of one key, made when first asked for; ``keyed.update(keys, *batch)`` gives each key its
    rows; one of weight 0 (of ``weights``, or a metric's ``sample_weight``) is not there. Keys as in ``Counter``. A key whose state took
    nothing counts as a key. Empty: no keys. Exact and commutative
    where the inner state is; never bounded. ``result()`` is a dict of keys to results, in the canonical order of the keys;
    a key that only its type tells from another one, such as 1.0 from 1, does not fit in one dict and is refused when it comes.
    Memory: a dict entry and a state for each key. The buffer of the i-th key's state takes at most 128 KiB / i, or 8 KiB where that is
    more.

    Raises:
        TypeError: a key is not plain. ValueError: keys and batch differ in length, or states nest too deeply (see ``Tuple``).
        KeyError: a merged state is asked for a key that it does not have.
        IncompatibleStates: on merging with another inner state, or where keys of both only differ in their type.

    Example:
        >>> from mergeable import Mean
        >>> by_label = Keyed(Mean())
        >>> by_label.update(["cat", "dog", "cat"], [1.0, 5.0, 2.0])
        >>> by_label["owl"] += 3.0
        >>> by_label.result()
        {'cat': 1.5, 'dog': 5.0, 'owl': 3.0}
    """

    bounded = False
    _undoes_updates = True
    _own = frozenset({"_touched", "_apart"})

    @overload
    def __init__(self, state: S) -> None: ...

    @overload
    def __init__(self: Keyed[Any], state: Any) -> None: ...  # a metric, or what stands for the state of an object

    def __init__(self, state: Any) -> None:
        self._inner: S = inner_of(state, "Keyed")  # type: ignore[assignment]  # a metric's state where a metric came
        self._states: dict[keys.Canonical, S] = {}
        self._mixed = False  # whether some keys may be neither whole numbers nor text
        self._levels = one_more(self, self._inner)
        self.exact, self.commutative, self.idempotent = self._inner.exact, self._inner.commutative, self._inner.idempotent

    @property
    def parameters(self) -> dict[str, Any]:
        """The inner state's class and parameters."""
        return {"state": signature_of(self._inner)}

    def _recipe(self) -> Any:
        return Keyed, (self._inner,)

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Keyed[Any]:
        """Return an empty state whose inner state has these parameters."""
        return Keyed(empty_of(parameters["state"]))

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return how many numbers the inner state allocates; the states of keys are made from it."""
        return cells_of(parameters["state"])

    def empty(self) -> Keyed[S]:
        """Return a fresh identity. It shares the inner state, which nothing writes to."""
        fresh: Keyed[S] = Keyed.__new__(Keyed)
        fresh._inner, fresh._states, fresh._mixed, fresh._levels = self._inner, {}, False, self._levels
        fresh.exact, fresh.commutative, fresh.idempotent = self.exact, self.commutative, self.idempotent
        return fresh

    def _trial(self) -> Keyed[Any]:
        return Keyed(trial_of(self._inner))

    def update(self, keys_: Any, *columns: Any) -> None:
        """Give each key (n,) its rows of every array (n, ...) of the batch: all keys take theirs, or none."""
        check_columns(self._inner, columns, {}, "Keyed.update", "keys")
        (keys_, *batch), _ = present(self._place_of_weights(), (keys_, *columns), {})
        labels = keys.canonical_list(keys_, "Keyed.update")
        arrays = as_rows(batch, len(labels), "Keyed.update")
        with self._all_or_nothing():
            for label, index in keys.places(labels).items():
                self._at(label).update(*(a[index] for a in arrays))

    def _place_of_weights(self) -> Place | None:
        return behind(place_of_weights(self._inner))

    def merge(self, other: Keyed[S]) -> None:
        """Merge key by key: all keys, or none."""
        who = "Keyed.merge" if self._states else ""  # an empty one takes what older files may hold
        with self._all_or_nothing():
            for label, state in other._states.items():
                merge_unchecked(self._at(label, who), state)

    def result(self) -> dict[Any, Any]:
        """Return a dict of keys to results, in the canonical order of the keys."""
        results: dict[Any, Any] = {}
        for label in keys.in_order(self._states):
            key = keys.member(label)
            if key in results:
                raise ValueError(
                    f"Keyed.result: got the keys {shown(next(k for k in results if k == key))} and {shown(key)}, which are two keys here "
                    "and one in a dict. Give keys of one type, or read keyed[key]."
                )
            results[key] = self._states[label].result()
        return results

    def to_data(self) -> Any:
        """Return the keys in their canonical order, and the data of the state of each."""
        found = keys.in_order(self._states)
        return {"keys": saved_values.column(found), "states": [self._states[label].to_data() for label in found]}

    def from_data(self, saved: Any) -> None:
        """Take over the keys and their states."""
        labels, states = saved_values.fields(saved, "keys", "states")
        for label, found in saved_values.distinct(saved_values.keys_of(labels), saved_values.listed(states, "states")).items():
            self._mixed = self._mixed or type(label) is tuple
            self._states[label] = self._fresh()
            self._states[label].from_data(found)

    def __getitem__(self, key: Any) -> S:
        label = keys.canonical(key, "Keyed")
        if is_frozen(self) and label not in self._states:
            raise KeyError(f"Keyed: no state has the key {shown(key)}; the keys are {shown(list(self)[:10])}.")
        return self._at(label)

    def __setitem__(self, key: Any, value: Any) -> None:
        assign_part(self, key, value)

    def __contains__(self, key: Any) -> bool:
        return keys.canonical(key, "Keyed") in self._states

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[Any]:
        return iter([keys.plain(label) for label in keys.in_order(self._states)])

    def flush(self) -> None:
        """Absorb the batches that wait in the buffers of all keys' states."""
        for state in self._states.values():
            state.flush()

    def _freeze(self) -> None:
        """Refuse changes from now on, under every key."""
        super()._freeze()
        freeze(*self._states.values())

    def _can_share(self) -> bool:
        return can_share(self._inner)

    def _savepoint(self) -> None:
        """Remember the value. A key's state gets a savepoint when it is first touched."""
        super()._savepoint()
        self._touched: dict[keys.Canonical, S] = {}

    def _commit(self) -> None:
        """Forget the savepoint."""
        commit(*self.__dict__.get("_touched", {}).values())
        self.__dict__.pop("_touched", None)
        super()._commit()

    def _rollback(self) -> None:
        """Return every key to the savepoint."""
        super()._rollback()
        rollback(*self.__dict__.get("_touched", {}).values())
        self.__dict__.pop("_touched", None)

    def _undo_value(self) -> dict[str, Any]:
        return {**self._attributes(), "_states": dict(self._states)}  # the states have savepoints of their own

    def _fresh(self) -> S:
        """Return an empty state for one key more. The more keys there are, the smaller is its buffer."""
        fresh = self._inner.empty()
        limit_buffer(self._limit // (len(self._states) + 1), fresh)
        return fresh

    def _return(self, label: keys.Canonical, state: S) -> None:
        self._states[label] = state
        self.__dict__.pop("_apart", None)

    def _check_apart(self, label: keys.Canonical, who: str) -> None:
        """Refuse a key that Python calls equal to another one, such as 1.0 to 1: a dict of results cannot have both."""
        self._mixed = self._mixed or type(label) is tuple
        if type(label) in _APART or not self._mixed:
            return
        states, known = self.__dict__.get("_apart", (None, {}))
        if states is not self._states:
            known = {keys.member(other): other for other in self._states if type(other) not in _APART}
            self._apart = self._states, known
        key = keys.member(label)
        other = known.setdefault(key, label)
        if other != label and other in self._states:
            raise (IncompatibleStates if who.endswith("merge") else ValueError)(
                f"{who}: got the key {shown(key)} beside {shown(keys.plain(other))}, expected keys that differ in more than their "
                "type, because the results are one dict. Give keys of one type; a column with gaps makes floats of whole numbers."
            )
        known[key] = label

    def _at(self, label: keys.Canonical, who: str = "Keyed.update") -> S:
        if label not in self._states:
            if who:
                self._check_apart(label, who)
            else:
                self._mixed = True
                self.__dict__.pop("_apart", None)
            self._record(lambda: self._states.pop(label, None))
            self._states[label] = self._fresh()
        elif "_touched" in self.__dict__ and label not in self._touched:
            self._touched[label] = self._states[label]
            savepoint(self._states[label])
        return self._states[label]

    def _drop(self, label: keys.Canonical) -> S:
        state = self._at(label)
        self._record(lambda: self._return(label, state))
        del self._states[label]
        return state


def states_of(keyed: Keyed[S]) -> Mapping[keys.Canonical, S]:
    """Return the state of each key, by the key's canonical form; to be read only."""
    return keyed._states


def state_at(keyed: Keyed[S], label: keys.Canonical, who: str = "Keyed.update") -> S:
    """Return the state of a key's canonical form, made when first asked for; ``who`` refuses one that equals a key of another type."""
    return keyed._at(label, who)


def drop(keyed: Keyed[S], label: keys.Canonical) -> S:
    """Remove a key, and return its state."""
    return keyed._drop(label)
