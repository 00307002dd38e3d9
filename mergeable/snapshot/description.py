"""The description of a metric in a snapshot, and states of its classes: class and parameters must agree before snapshots merge.

Not its job: to know how it is written.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any, final

from mergeable import registry
from mergeable.encoding.plain import Unreadable, is_plain
from mergeable.errors import IncompatibleStates, SnapshotError
from mergeable.state import State
from mergeable.state.access import become, can_share, freeze, to_read
from mergeable.state.parameters import difference, differences, same
from mergeable.wording import brief, named, short, shown

_SCALARS = frozenset({type(None), bool, float, str})


@dataclasses.dataclass(frozen=True)
class Description:
    """What must agree before snapshots merge, or a metric takes one over."""

    metric: str
    name: str
    arguments: dict[str, Any]
    omitted: tuple[str, ...] = ()
    own_merge: bool = False
    plots: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls, metric_class: type, name: str, arguments: Mapping[str, Any], *, own_merge: bool, plots: Mapping[str, str]
    ) -> Any:
        """Return the description of a metric with these constructor arguments."""
        varying = {key: value for key, value in arguments.items() if key not in registry.LABELS}
        plain = {key: value for key, value in varying.items() if _is_stored(value)}
        omitted = tuple(sorted(varying.keys() - plain.keys()))
        return cls(registry.name_of(metric_class), name, plain, omitted, own_merge, dict(plots))

    @property
    def class_name(self) -> str:
        """The name of the class alone, without its module."""
        return self.metric.rpartition(":")[2]

    def check(self, other: Description, who: str, here: str = "here", there: str = "there") -> None:
        """Raise ``IncompatibleStates`` unless the other describes a metric of the same class and arguments."""
        _check(self.class_name, self.arguments, other, who, here, there)

    def check_fits(self, kind: type, arguments: Mapping[str, Any], who: str) -> None:
        """Raise ``IncompatibleStates`` unless this describes a metric of that class, which was built with these arguments."""
        varying = {key: value for key, value in arguments.items() if key not in registry.LABELS}
        _check(registry.name_of(kind).rpartition(":")[2], varying, self, who, "here", "there")


def _check(  # noqa: PLR0917 - two sides, and what to call them
    class_name: str, arguments: Mapping[str, Any], other: Description, who: str, here: str, there: str
) -> None:
    if class_name != other.class_name:
        raise IncompatibleStates(
            f"{who}: got a {named(other.class_name)}, expected a {named(class_name)}. Merge and restore metrics of one class."
        )
    for key in sorted(arguments.keys() & other.arguments.keys()):  # an argument that is new had no other value
        mine, theirs = arguments[key], other.arguments[key]
        if not same(mine, theirs) and is_plain(mine):
            raise IncompatibleStates(
                f"{who}: {difference(key, mine, theirs, here, there)}. Build the metric as it was when it was saved."
            )


@final
@dataclasses.dataclass(eq=False)
class Unbuilt:
    """A state that was read without a class for it: a metric in hand brings that.

    ``types`` are those of values that are pickled and were not read, ``make`` is the pickle of what makes such a state, and ``missing``
    the class that nobody knows here, its own or that of a part; empty where the state takes far more memory than its file.
    """

    class_name: str
    parameters: dict[str, Any]
    data: Any
    types: tuple[str, ...]
    make: bytes | None
    missing: str


def filled(prototype: State, parameters: Mapping[str, Any], data: Any, name: str) -> State:
    """Return the empty state of these parameters with what a file says; raise ``Unreadable`` where no such state has that value."""
    try:
        prototype.from_data(data)
        if not same(parameters, prototype.parameters):
            raise ValueError("the value changes the parameters")
    except Exception as error:  # what is no such value fails in its own way
        raise Unreadable(f"state {short(name)} holds what no {type(prototype).__name__} does ({brief(error)})") from error
    return prototype


def _check_alike(prototype: State, found: State | Unbuilt, name: str, who: str) -> None:
    """Raise ``IncompatibleStates`` unless a state has the prototype's class, by its name, and its parameters."""
    if type(found) is type(prototype) and same(prototype.parameters, found.parameters):
        return
    kind = registry.name_of(type(found)) if isinstance(found, State) else found.class_name
    if not registry.is_named(type(prototype), kind):
        raise IncompatibleStates(
            f"{who}: state {shown(name)} is a {type(prototype).__qualname__} here and a {named(kind.rpartition(':')[2])} there. Build the "
            "metric as it was when it was saved."
        )
    there = found.parameters if isinstance(found, Unbuilt) else as_saved(found.parameters)
    for text in differences(as_saved(prototype.parameters), there).values():
        raise IncompatibleStates(f"{who}: state {shown(name)}: {text}. Build the metric as it was when it was saved.")


def alike(prototypes: Mapping[str, State], states: Mapping[str, State | Unbuilt], who: str) -> dict[str, State]:
    """Return frozen states of the prototypes' classes that hold what these hold: these ones where readers can share them, or copies."""
    return {name: _like(prototypes[name], found, name, who) for name, found in states.items()}


def _like(prototype: State, found: State | Unbuilt, name: str, who: str) -> State:
    _check_alike(prototype, found, name, who)
    shared = to_read(found) if isinstance(found, State) and type(found) is type(prototype) else None
    if shared is not None:
        return shared
    state = prototype.empty()
    if isinstance(found, State):
        become(state, found)
    else:
        _fill(state, found, name, who)
    freeze(state)
    return state


def _fill(state: State, found: Unbuilt, name: str, who: str) -> None:
    if found.types:
        raise SnapshotError(
            f"{who}: state {shown(name)} is stored by pickle and was not read. Load the file with allow_pickle=True."
        )
    try:
        data = found.data if can_share(state) else copy.deepcopy(found.data)  # which the state may keep, and readers change
        filled(state, state.parameters, data, name)
    except Unreadable as error:
        raise SnapshotError(f"{who}: {error}. Save the snapshot again, or leave it out.") from error


def as_saved(value: Any) -> Any:
    """Return parameters as a file holds them: what is not plain data is there by its name. Where all is plain, they are the same object."""
    kind = type(value)
    if kind is dict:
        parts = {key: as_saved(part) for key, part in value.items()}
        return value if all(parts[key] is part for key, part in value.items()) else parts
    if kind in (list, tuple):
        items = kind(map(as_saved, value))
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value if _is_stored(value) else f"<{getattr(value, '__qualname__', kind.__qualname__)}>"


def _is_stored(value: Any) -> bool:
    """Return whether a file holds a value itself, and not its name."""
    return type(value) in _SCALARS or (type(value) is int and value.bit_length() < 64) or is_plain(value)
