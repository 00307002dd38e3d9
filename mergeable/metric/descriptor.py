"""The data descriptor of a declared state on a metric's class."""

from __future__ import annotations

from typing import Any, final

from mergeable.metric.internals import ATTRIBUTE
from mergeable.metric.verbs import check_not_recorded, tracers
from mergeable.registry import LABELS
from mergeable.state import State
from mergeable.state.access import freeze, view
from mergeable.wording import shown


@final
class Declared:
    """A declared state on the class of a metric: on a metric, the state of this replica in ``update_state``, else the merged one.

    The class itself shows the empty state, which refuses changes.
    """

    __slots__ = ("name", "state")

    def __init__(self, name: str, state: State) -> None:
        self.name, self.state = name, state.empty()
        freeze(self.state)

    def __get__(self, metric: Any, owner: type | None = None) -> Any:
        return self.state if metric is None else read(metric, self.name)

    def __set__(self, metric: Any, value: Any) -> None:
        metric._write_declared(self.name, value)

    def __delete__(self, metric: Any) -> None:
        raise AttributeError(
            f"{type(metric).__name__}.{self.name}: got a deletion, expected none, because a metric keeps its states."
        )


def read(metric: Any, name: str) -> Any:
    """Return a state of a metric: that of this replica where the user's code reads it in a verb, else the merged one, which refuses changes.

    Raises:
        AttributeError: it was not declared. UnsupportedStrategy: a framework records the code that reads it.
    """
    inner = metric.__dict__[ATTRIBUTE]
    if name not in inner.declaration.states:
        raise AttributeError(f"{shown(type(metric).__name__)} object has no attribute {shown(name)}")
    if inner.view is None or not inner.lock._is_owned():
        return view(inner.fold(name)[name])
    if tracers:
        check_not_recorded(metric, name)
    return view(inner.view[name])


def declare(cls: type, kind: type) -> None:
    """Put descriptors on a new class of metrics (``kind``) for its states, and for the states of mixins that are no metrics.

    Raises:
        TypeError: a base class has another attribute of that name.
    """
    mixins = [base for base in cls.__mro__[1:] if not issubclass(base, kind)]
    for base in (*reversed(mixins), cls):
        for name, state in [(name, value) for name, value in vars(base).items() if isinstance(value, State)]:
            if base is not cls and found(cls, name) is not state:
                continue  # another base has it first
            others = (vars(other)[name] for other in cls.__mro__[1:] if name in vars(other))
            if name in LABELS or any(not isinstance(other, Declared | State) for other in others):
                raise TypeError(f"{cls.__name__}.{name}: a base class has an attribute of that name; choose another.")
            vars(base).get("__annotations__", {}).pop(name, None)  # a dataclass would take it for a field
            setattr(cls, name, Declared(name, state))


def found(cls: type, name: str) -> Any:
    """Return the attribute of a class or its bases as it stands there, without calling a descriptor; None where there is none."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def declared_states(cls: type) -> dict[str, State]:
    """Return the empty states of a class and of its bases by name, the bases' first."""
    every = [vars(base).items() for base in reversed(cls.__mro__)]
    return {name: value.state for items in every for name, value in items if isinstance(value, Declared)}
