"""Products of states: several states, updated and merged side by side as one state."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, final

from mergeable import registry
from mergeable.numeric import saved_values
from mergeable.state import State
from mergeable.state.access import (
    assign,
    can_share,
    freeze,
    levels_of,
    limit_buffer,
    merge_unchecked,
    place_of_weights,
    trial_of,
)
from mergeable.state.signature import Place
from mergeable.state.undo import commit, rollback, savepoint
from mergeable.wording import short, shown

K = TypeVar("K")

MAX_LEVELS = 15
"""How deep states stand inside one another: files hold no deeper ones, and each of them takes time and memory."""

PART = 24
"""Numbers whose room a state takes inside another one, beside its own."""


class Product(State, Generic[K]):
    """Several states side by side, as one state: updated with the same batch, or part by part."""

    _parts_stand_alone: ClassVar[bool] = False
    """Whether each part is an answer of its own, and no replicate or slice of one."""

    _undoes_updates = True  # each part does

    def __init__(self, parts: dict[K, State]) -> None:
        bad = {name: part for name, part in parts.items() if not isinstance(part, State)}
        if bad or not parts:
            raise TypeError(f"{type(self).__name__}: got {bad or 'no parts'}, expected states, as in Tuple(Sum(), Max()).")
        self._hold({name: part.empty() for name, part in parts.items()})

    def _hold(self, parts: dict[K, State]) -> None:
        """Make these states the parts, without a copy: copies at each level of states would take the square of their depth."""
        self._parts = parts
        self.exact = all(part.exact for part in parts.values())
        self.commutative = all(part.commutative for part in parts.values())
        self.idempotent = all(part.idempotent for part in parts.values())
        self.bounded = all(part.bounded for part in parts.values())
        self._levels = one_more(self, *parts.values())

    @property
    def parameters(self) -> dict[str, Any]:
        """The class and the parameters of each part."""
        return {str(name): signature_of(part) for name, part in self._parts.items()}

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return how many numbers all parts allocate."""
        return sum(map(cells_of, parameters.values()))

    def empty(self) -> Any:
        """Return a fresh identity with the same parameters, made part by part. Attributes that nothing writes to are shared."""
        fresh: Product[K] = type(self).__new__(type(self))
        fresh.__dict__.update({name: value for name, value in self.__dict__.items() if name not in self._own})
        fresh._parts = {name: part.empty() for name, part in self._parts.items()}
        return fresh

    def _trial(self) -> Any:
        fresh: Product[K] = self.empty()
        fresh._parts = {name: trial_of(part) for name, part in self._parts.items()}
        return fresh

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Give every part the same batch: all take it, or none."""
        with self._all_or_nothing():
            for part in self._parts.values():
                part.update(*args, **kwargs)

    def _place_of_weights(self) -> Place | None:
        """Return which argument of an update holds weights, where all parts agree on it."""
        places = {place_of_weights(part) for part in self._parts.values()}
        return places.pop() if len(places) == 1 else None

    def merge(self, other: Product[K]) -> None:
        """Merge part by part: all parts, or none."""
        with self._all_or_nothing():
            for name, part in self._parts.items():
                merge_unchecked(part, other._parts[name])

    def to_data(self) -> Any:
        """Return the data of each part, by name."""
        return {str(name): part.to_data() for name, part in self._parts.items()}

    def from_data(self, saved: Any) -> None:
        """Let every part take over its data."""
        for part, found in zip(self._parts.values(), saved_values.fields(saved, *map(str, self._parts)), strict=True):
            part.from_data(found)

    def __getitem__(self, name: K) -> Any:
        return self._parts[name]

    def __setitem__(self, name: K, value: Any) -> None:
        assign_part(self._parts, name, value)

    def __len__(self) -> int:
        return len(self._parts)

    def _limit_buffer(self, nbytes: int) -> None:
        """Let at most so many bytes wait in all parts together, but at least 8 KiB in each."""
        limit_buffer(nbytes // len(self._parts), *self._parts.values())

    def flush(self) -> None:
        """Absorb the batches that wait in the buffers of the parts."""
        for part in self._parts.values():
            part.flush()

    def _freeze(self) -> None:
        """Refuse changes from now on, in every part."""
        super()._freeze()
        freeze(*self._parts.values())

    def _can_share(self) -> bool:
        return super()._can_share() and all(map(can_share, self._parts.values()))

    def _savepoint(self) -> None:
        """Remember the value of every part."""
        super()._savepoint()
        try:
            savepoint(*self._parts.values())
        except BaseException:
            self._commit()  # nothing was written yet
            raise

    def _commit(self) -> None:
        """Forget the savepoint of every part."""
        commit(*self._parts.values())
        super()._commit()

    def _rollback(self) -> None:
        """Return every part to its savepoint."""
        super()._rollback()
        rollback(*self._parts.values())

    def _undo_value(self) -> dict[str, Any]:
        return {**self._attributes(), "_parts": dict(self._parts)}  # the parts have savepoints of their own


@final
class Tuple(Product[int]):
    """States in a row: ``Tuple(Sum(), Max())``. ``update(...)`` gives each part the same batch; ``t[0]`` is a part.

    Empty: every part empty. Exact, commutative, idempotent and bounded where every part is. ``result()`` is a tuple.
    States stand inside one another at most 15 deep, where a ``Sliced`` and a ``Windowed`` count as three.

    Raises:
        TypeError: a part is not a state. ValueError: they nest too deeply. IncompatibleStates: on merging tuples of other parts.

    Example:
        >>> from mergeable import Max, Sum
        >>> both = Tuple(Sum(), Max())
        >>> both.update([1.0, 2.0])
        >>> both[0] += 0.5
        >>> both.result()
        (3.5, 2.0)
    """

    _parts_stand_alone = True

    def __init__(self, *states: Any) -> None:
        super().__init__(dict(enumerate(states)))

    def _recipe(self) -> Any:
        return Tuple, tuple(part.empty() for part in self._parts.values())

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Tuple:
        """Return a tuple of empty parts with these parameters."""
        fresh: Tuple = Tuple.__new__(Tuple)
        fresh._hold(_empty_parts({i: parameters[str(i)] for i in range(len(parameters))}))
        return fresh

    def result(self) -> tuple[Any, ...]:
        """Return the results of the parts."""
        return tuple(part.result() for part in self._parts.values())


@final
class Dict(Product[str]):
    """Named states: ``Dict(loss=Mean(), worst=Max())``. ``update(...)`` gives each part the same batch; ``d["loss"]`` is a part.

    Empty: every part empty. Exact, commutative, idempotent and bounded where every part is. ``result()`` is a dict.
    States stand inside one another at most 15 deep, where a ``Sliced`` and a ``Windowed`` count as three.

    Raises:
        TypeError: a part is not a state. ValueError: they nest too deeply. IncompatibleStates: on merging dicts of other parts.

    Example:
        >>> from mergeable import Max, Mean
        >>> loss = Dict(mean=Mean(), worst=Max())
        >>> loss.update([1.0, 2.0])
        >>> loss.result()
        {'mean': 1.5, 'worst': 2.0}
    """

    _parts_stand_alone = True

    def __init__(self, /, **states: Any) -> None:
        super().__init__(dict(states))

    def _recipe(self) -> Any:
        return functools.partial(Dict, **{name: part.empty() for name, part in self._parts.items()}), ()

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Dict:
        """Return a dict of empty parts with these parameters."""
        fresh: Dict = Dict.__new__(Dict)
        fresh._hold(_empty_parts(parameters))
        return fresh

    def result(self) -> dict[str, Any]:
        """Return the results of the parts by name."""
        return {name: part.result() for name, part in self._parts.items()}


def parts_of(product: Product[K]) -> Mapping[K, State]:
    """Return the parts of a state by name; to be read only."""
    return product._parts


def answers_in(state: State) -> Mapping[Any, State]:
    """Return the parts of a state that are answers of their own, by name: not the replicates or slices of one answer."""
    return state._parts if isinstance(state, Product) and state._parts_stand_alone else {}


def assign_part(parts: Any, name: Any, value: Any) -> None:
    """Answer ``parts[name] = value``, with which also ``parts[name] += value`` ends."""
    part = parts[name]
    if value is not part:
        assign(part, value)


def _empty_parts(parameters: dict[K, Any]) -> dict[K, State]:
    """Return empty parts with the classes and parameters that a file names."""
    if not parameters:
        raise ValueError("found no parts")
    return {part: empty_of(found) for part, found in parameters.items()}


def inner_of(found: Any, who: str) -> State:
    """Return an empty inner state for a state made of states, from a state or a metric of the user's."""
    if isinstance(found, State):
        return found.empty()
    if hasattr(found, "as_state"):
        made: State = found.as_state()
        return made
    raise TypeError(f"{who}: got {shown(found)}, expected a state or a metric, as in {who}(Mean()).")


def one_more(outer: State, *inner: State) -> int:
    """Return how many levels of states a state has: one more than the deepest of its inner states."""
    levels = 1 + max(map(levels_of, inner), default=0)
    if levels > MAX_LEVELS:
        raise ValueError(
            f"{type(outer).__name__}: got states that stand {levels} deep inside one another, expected at most {MAX_LEVELS}, which files "
            "hold. Put them side by side, in a Tuple or a Dict, or give each key a tuple of what the levels tell apart."
        )
    return levels


def signature_of(state: State) -> tuple[str, dict[str, Any]]:
    """Return the class's name and the parameters of a state, which stand for it in the parameters of a state around it."""
    return registry.label_of(type(state)), state.parameters


def empty_of(found: Any) -> State:
    """Return the empty state of a signature."""
    name, parameters = found
    return _class(name).of(parameters)


def cells_of(found: Any) -> int:
    """Return how many numbers the empty state of a signature allocates inside another state."""
    name, parameters = found
    return PART + _class(name).cells(parameters)


def _class(name: str) -> type[State]:
    """Return the registered class of a part that a file names."""
    if type(name) is not str:
        raise ValueError(f"found the state class {short(name)}, expected a name")
    found = registry.found(name)
    if found is None or not issubclass(found, State):
        raise registry.NotRegistered(f"found the state class {shown(name)}, which is not registered", name)
    return found
