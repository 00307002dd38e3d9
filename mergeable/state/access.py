"""Access to a state for its holder: read and write it by name, copy, freeze, merge without checks.

A metric holds its states, and a state made of states holds its parts. A class of states overrides hooks, methods with an underscore, and
only this room calls these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mergeable.state.copy_on_write import copied
from mergeable.state.signature import Place
from mergeable.state.state import State

S = TypeVar("S", bound=State)


def view(state: State) -> Any:
    """Return the object that user code reads under the state's name: the state itself, or the object that it stands for."""
    return state._view()


def assign(state: State, value: Any) -> None:
    """Answer ``metric.name = value`` or ``parts[name] = value``: take over a copy of a state's value, or a number.

    Raises:
        TypeError: the value is no state, and this state no number.
        IncompatibleStates: the value is a state of another class or with other parameters.
    """
    state._assign(value)


def become(state: State, other: State) -> None:
    """Replace a state's value by a copy of the value of another state of the same class and parameters."""
    state._become(other)


def twin_of(state: S) -> S:
    """Return a copy of a state. Large arrays are shared until one of the two writes to them."""
    twin: S = copied(state)
    return twin


def check_mergeable(state: State, other: Any, verb: str = "merge") -> None:
    """Raise ``IncompatibleStates`` unless ``other`` has this state's class and parameters."""
    state._check_mergeable(other, verb)


def merge_unchecked(state: State, other: State) -> None:
    """Merge without checks: the caller has compared the parameters, and flushed both states."""
    state._merge_unchecked(other)


def merge_alike(states: Mapping[Any, State], others: Mapping[Any, State]) -> None:
    """Merge into states those of the same names, whose classes and parameters are known to be the same; buffers are taken first."""
    for name, state in states.items():
        state.flush()
        others[name].flush()
        state._merge_unchecked(others[name])


def freeze(*states: State) -> None:
    """Refuse changes of states from now on: they are merged copies, and a change would be lost."""
    for state in states:
        state._freeze()


def is_frozen(state: State) -> bool:
    """Return whether a state refuses changes."""
    return bool(state.__dict__.get("_frozen"))


def to_read(state: S) -> S | None:
    """Return a state that nobody changes any more, frozen, for readers; None where they could change it, and need a copy."""
    if not state._can_share():
        return None
    if not is_frozen(state):
        state._freeze()
    return state


def can_share(state: State) -> bool:
    """Return whether ``to_read`` gives readers the state itself."""
    return state._can_share()


def limit_buffer(nbytes: int, *states: State) -> None:
    """Let at most so many bytes wait in each state's buffer, but at least 8 KiB: it is one of many states side by side."""
    for state in states:
        state._limit_buffer(nbytes)


def trial_of(state: State) -> State:
    """Return an empty state that refuses the updates that this one refuses, and may be smaller."""
    return state._trial()


def update_of(state: State) -> tuple[type, Callable[..., Any]]:
    """Return the class and the method that take an update of a state: the state's, or those of the metric inside."""
    return state._update_of()


def place_of_weights(state: State) -> Place | None:
    """Return the place of the weights among the arguments of a state's update; None where it takes none."""
    return state._place_of_weights()


def levels_of(state: State) -> int:
    """Return how many levels of states stand inside a state: 0 where there are none."""
    return state._levels
