"""States made of states."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, final

import numpy as np

from mergeable import registry
from mergeable.plain import short
from mergeable.state import State
from mergeable.states import data, keys
from mergeable.states.arrays import as_items

K = TypeVar("K")
S = TypeVar("S", bound=State)


class _Product(State, Generic[K]):
    """Several states side by side: updated with the same batch, or one by one."""

    _undoes_updates = True  # each part does

    def __init__(self, parts: dict[K, State]) -> None:
        bad = {name: part for name, part in parts.items() if not isinstance(part, State)}
        if bad or not parts:
            raise TypeError(f"{type(self).__name__}: got {bad or 'no parts'}, expected states, as in Tuple(Sum(), Max()).")
        self._hold({name: part.empty() for name, part in parts.items()})

    def _hold(self, parts: dict[K, State]) -> None:
        """Take these states as the parts themselves: copies of copies, level by level, would take the square of the depth."""
        self._parts = parts
        self.exact = all(part.exact for part in parts.values())
        self.commutative = all(part.commutative for part in parts.values())
        self.idempotent = all(part.idempotent for part in parts.values())
        self.bounded = all(part.bounded for part in parts.values())

    @property
    def parameters(self) -> dict[str, Any]:
        """Of each part, its class and parameters."""
        return {str(name): (type(part).__name__, part.parameters) for name, part in self._parts.items()}

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Those of all parts."""
        return sum(_class(name).cells(inner) for name, inner in parameters.values())

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Give every part the same batch: all take it, or none."""
        with self._all_or_nothing():
            for part in self._parts.values():
                part.update(*args, **kwargs)

    def merge(self, other: _Product[K]) -> None:
        """Merge part by part: all parts, or none."""
        with self._all_or_nothing():
            for name, part in self._parts.items():
                part.merge_part(other._parts[name])

    def to_data(self) -> Any:
        """Return what every part gives."""
        return {str(name): part.to_data() for name, part in self._parts.items()}

    def from_data(self, saved: Any) -> None:
        """Let every part take over its own."""
        for part, found in zip(self._parts.values(), data.fields(saved, *map(str, self._parts)), strict=True):
            part.from_data(found)

    def __getitem__(self, name: K) -> State:
        return self._parts[name]

    def __setitem__(self, name: K, value: Any) -> None:
        _assign(self._parts, name, value)

    def __len__(self) -> int:
        return len(self._parts)

    def flush(self) -> None:
        """Take what waits in the parts' buffers into their values."""
        for part in self._parts.values():
            part.flush()

    def freeze(self) -> None:
        """Refuse changes from now on, in every part."""
        super().freeze()
        for part in self._parts.values():
            part.freeze()

    def savepoint(self) -> None:
        """Remember the value of every part."""
        super().savepoint()
        try:
            for part in self._parts.values():
                part.savepoint()
        except BaseException:
            self.commit()  # nothing was written yet
            raise

    def commit(self) -> None:
        """Forget the savepoint of every part."""
        super().commit()
        for part in self._parts.values():
            part.commit()

    def rollback(self) -> None:
        """Return every part to its savepoint."""
        super().rollback()
        for part in self._parts.values():
            part.rollback()

    def _undo_value(self) -> dict[str, Any]:
        return {**self._attributes(), "_parts": dict(self._parts)}  # the parts have savepoints of their own


@final
class Tuple(_Product[int]):
    """States in a row: ``Tuple(Sum(), Max())``. ``update(...)`` gives each part the same batch; ``t[0]`` is a part.

    Empty: every part empty. Exact, commutative, idempotent and bounded where every part is. ``result()`` is a tuple.

    Raises:
        TypeError: a part is not a state. IncompatibleStates: on merging tuples of other parts.

    Example:
        >>> from mergeable import Max, Sum
        >>> both = Tuple(Sum(), Max())
        >>> both.update([1.0, 2.0])
        >>> both[0] += 0.5
        >>> both.result()
        (3.5, 2.0)
    """

    def __init__(self, *states: State) -> None:
        super().__init__(dict(enumerate(states)))

    def _recipe(self) -> Any:
        return Tuple, tuple(part.empty() for part in self._parts.values())

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Tuple:
        """Return a tuple of such empty parts."""
        fresh = Tuple.__new__(Tuple)
        fresh._hold(_parts_of({i: parameters[str(i)] for i in range(len(parameters))}))
        return fresh

    def empty(self) -> Tuple:
        """Return a tuple of fresh identities."""
        return Tuple(*self._parts.values())

    def result(self) -> tuple[Any, ...]:
        """Return the results of the parts."""
        return tuple(part.result() for part in self._parts.values())


@final
class Dict(_Product[str]):
    """Named states: ``Dict(loss=Mean(), worst=Max())``. ``update(...)`` gives each part the same batch; ``d["loss"]`` is a part.

    Empty: every part empty. Exact, commutative, idempotent and bounded where every part is. ``result()`` is a dict.

    Raises:
        TypeError: a part is not a state. IncompatibleStates: on merging dicts of other parts.

    Example:
        >>> from mergeable import Max, Mean
        >>> loss = Dict(mean=Mean(), worst=Max())
        >>> loss.update([1.0, 2.0])
        >>> loss.result()
        {'mean': 1.5, 'worst': 2.0}
    """

    def __init__(self, /, **states: State) -> None:
        super().__init__(dict(states))

    def _recipe(self) -> Any:
        return functools.partial(Dict, **{name: part.empty() for name, part in self._parts.items()}), ()

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Dict:
        """Return a dict of such empty parts."""
        fresh = Dict.__new__(Dict)
        fresh._hold(_parts_of(parameters))
        return fresh

    def empty(self) -> Dict:
        """Return a dict of fresh identities."""
        return Dict(**self._parts)

    def result(self) -> dict[str, Any]:
        """Return the results of the parts by name."""
        return {name: part.result() for name, part in self._parts.items()}


@final
class Keyed(State, Generic[S]):
    """A state for each key that comes at run time: ``Keyed(Mean())``. Replicas may see different keys.

    ``keyed[key]`` is the state of one key, made when first asked for; ``keyed.update(keys, *batch)`` gives each key its
    rows. Keys as in ``Counter``. A key whose state took nothing counts as a key. Empty: no keys. Exact and commutative
    where the inner state is; never bounded. ``result()`` is a dict of keys to results, in the canonical order of the keys;
    keys that only their type tells apart, such as 1 and 1.0, do not fit in one dict and are refused there.
    Memory: a dict entry and a state for each key.

    Raises:
        TypeError: a key is not plain. ValueError: keys and batch differ in length.
        KeyError: a merged state is asked for a key that it does not have.
        IncompatibleStates: on merging with another inner state.

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
    _own = State._own | {"_touched"}

    def __init__(self, state: S) -> None:
        if not isinstance(state, State):
            raise TypeError(f"Keyed: got {state!r}, expected a state, as in Keyed(Mean()).")
        self._inner = state.empty()
        self._states: dict[keys.Canonical, S] = {}
        self.exact, self.commutative, self.idempotent = state.exact, state.commutative, state.idempotent

    @property
    def parameters(self) -> dict[str, Any]:
        """The inner state's class and parameters."""
        return {"state": (type(self._inner).__name__, self._inner.parameters)}

    def _recipe(self) -> Any:
        return Keyed, (self._inner,)

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Keyed[Any]:
        """Return an empty state for such an inner one."""
        name, inner = parameters["state"]
        return Keyed(_class(name).of(inner))

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Those of the inner state, by which each key's are made."""
        name, inner = parameters["state"]
        return _class(name).cells(inner)

    def empty(self) -> Keyed[S]:
        """Return a fresh identity for the same inner state, which nothing is ever written to, so that all share one."""
        fresh = Keyed.__new__(Keyed)
        fresh._inner, fresh._states = self._inner, {}
        fresh.exact, fresh.commutative, fresh.idempotent = self.exact, self.commutative, self.idempotent
        return fresh

    def update(self, keys_: Any, *batch: Any) -> None:
        """Give each key (n,) its rows of every array (n, ...) of the batch: all keys take theirs, or none."""
        labels = keys.canonical_list(keys_, "Keyed.update")
        arrays = [np.atleast_1d(as_items(column)) for column in batch]
        lengths = [len(a) for a in arrays]
        if any(n != len(labels) for n in lengths):
            raise ValueError(f"Keyed.update: got {len(labels)} keys and columns of lengths {lengths}, expected equal ones.")
        rows: dict[keys.Canonical, list[int]] = {}
        for i, label in enumerate(labels):
            rows.setdefault(label, []).append(i)
        with self._all_or_nothing():
            for label, index in rows.items():
                self._at(label).update(*(a[index] for a in arrays))

    def merge(self, other: Keyed[S]) -> None:
        """Merge key by key: all keys, or none."""
        with self._all_or_nothing():
            for label, state in other._states.items():
                self._at(label).merge_part(state)

    def result(self) -> dict[Any, Any]:
        """Return the results by key."""
        results: dict[Any, Any] = {}
        for label in keys.in_order(self._states):
            key = keys.plain(label)
            if key in results:
                raise ValueError(
                    f"Keyed.result: got the keys {next(k for k in results if k == key)!r} and {key!r}, which are two keys here "
                    "and one in a dict. Give keys of one type, or read keyed[key]."
                )
            results[key] = self._states[label].result()
        return results

    def to_data(self) -> Any:
        """Return the keys in their canonical order, and what the state of each gives."""
        found = keys.in_order(self._states)
        return {"keys": data.column(found), "states": [self._states[label].to_data() for label in found]}

    def from_data(self, saved: Any) -> None:
        """Take over keys and their states."""
        labels, states = data.fields(saved, "keys", "states")
        for label, found in data.distinct(data.keys_of(labels), data.listed(states, "states")).items():
            self._states[label] = self._inner.empty()
            self._states[label].from_data(found)

    def __getitem__(self, key: Any) -> S:
        label = keys.canonical(key, "Keyed")
        if self.__dict__.get("_frozen") and label not in self._states:
            raise KeyError(f"Keyed: no state has the key {key!r}; the keys are {list(self)[:10]!r}.")
        return self._at(label)

    def __setitem__(self, key: Any, value: Any) -> None:
        _assign(self, key, value)

    def __contains__(self, key: Any) -> bool:
        return keys.canonical(key, "Keyed") in self._states

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[Any]:
        return iter([keys.plain(label) for label in keys.in_order(self._states)])

    def flush(self) -> None:
        """Take what waits in the buffers into the values."""
        for state in self._states.values():
            state.flush()

    def freeze(self) -> None:
        """Refuse changes from now on, under every key."""
        super().freeze()
        for state in self._states.values():
            state.freeze()

    def savepoint(self) -> None:
        """Remember the value; each key's state is remembered when it is first touched."""
        super().savepoint()
        self._touched: dict[keys.Canonical, S] = {}

    def commit(self) -> None:
        """Forget the savepoint."""
        super().commit()
        for state in self.__dict__.pop("_touched", {}).values():
            state.commit()

    def rollback(self) -> None:
        """Return every key to the savepoint."""
        super().rollback()
        for state in self.__dict__.pop("_touched", {}).values():
            state.rollback()

    def _undo_value(self) -> dict[str, Any]:
        return {**self._attributes(), "_states": dict(self._states)}  # the states have savepoints of their own

    def _at(self, label: keys.Canonical) -> S:
        if label not in self._states:
            self._states[label] = self._inner.empty()
            self._record(lambda: self._states.pop(label, None))
        elif "_touched" in self.__dict__ and label not in self._touched:
            self._touched[label] = self._states[label]
            self._states[label].savepoint()
        return self._states[label]


def _assign(parts: Any, name: Any, value: Any) -> None:
    """Answer ``parts[name] = value``, which also ends ``parts[name] += value``."""
    part = parts[name]
    if value is not part:
        part.assign(value)


def _parts_of(parameters: dict[K, Any]) -> dict[K, State]:
    """Return empty parts of which a file names the classes and parameters."""
    if not parameters:
        raise ValueError("found no parts")
    return {part: _class(name).of(inner) for part, (name, inner) in parameters.items()}


def _class(name: str) -> type[State]:
    """Return the registered class of a part that a file names."""
    if type(name) is not str:
        raise ValueError(f"found the state class {short(name)}, expected a name")
    found = registry.found(name)
    if found is None or not issubclass(found, State):
        raise registry.NotRegistered(f"found the state class {name!r}, which is not registered")
    return found
