"""The description of a metric in a snapshot, and states of its classes: class and parameters must agree before snapshots merge.

Not its job: to know how it is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, final

from mergeable import registry
from mergeable.encoding.plain import Unreadable, is_plain
from mergeable.errors import IncompatibleStates, SnapshotError
from mergeable.state import State
from mergeable.state.access import become
from mergeable.state.parameters import difference, differences, same
from mergeable.wording import brief, named, short, shown


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
        plain = {key: value for key, value in varying.items() if is_plain(value)}
        omitted = tuple(sorted(varying.keys() - plain.keys()))
        return cls(registry.name_of(metric_class), name, plain, omitted, own_merge, dict(plots))

    @property
    def class_name(self) -> str:
        """The name of the class alone, without its module."""
        return self.metric.rpartition(":")[2]

    def check(self, other: Description, who: str, here: str = "here", there: str = "there") -> None:
        """Raise ``IncompatibleStates`` unless the other describes a metric of the same class and arguments."""
        if self.class_name != other.class_name:
            raise IncompatibleStates(
                f"{who}: got a {named(other.class_name)}, expected a {named(self.class_name)}. Merge and restore metrics of one class."
            )
        for key in sorted(self.arguments.keys() & other.arguments.keys()):  # an argument that is new had no other value
            mine, theirs = self.arguments[key], other.arguments[key]
            if not same(mine, theirs):
                raise IncompatibleStates(
                    f"{who}: {difference(key, mine, theirs, here, there)}. Build the metric as it was when it was saved."
                )


@final
class Unbuilt:
    """A state that was read without a class for it: a metric in hand brings that.

    ``missing`` is the class that nobody knows here, its own or that of a part; empty where it takes far more memory than its file.
    """

    def __init__(
        self, class_name: str, parameters: dict[str, Any], data: Any, types: tuple[str, ...], make: bytes | None
    ) -> None:
        self.class_name, self.parameters, self.data, self.types, self.make = class_name, parameters, data, types, make
        self.missing = class_name


def filled(prototype: State, data: Any, name: str) -> State:
    """Return the empty state with what a file says; raise ``Unreadable`` where it is no value of such a state."""
    before = prototype.parameters
    try:
        prototype.from_data(data)
        if not same(before, prototype.parameters):
            raise ValueError("the value changes the parameters")
    except Exception as error:  # what is no such value fails in its own way
        raise Unreadable(f"state {short(name)} holds what no {type(prototype).__name__} does ({brief(error)})") from error
    return prototype


def check_alike(prototype: State, found: State | Unbuilt, name: str, who: str) -> None:
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


def like(prototype: State, found: State | Unbuilt, name: str, who: str) -> State:
    """Return a new state of the prototype's class that holds what was found."""
    check_alike(prototype, found, name, who)
    state = prototype.empty()
    if isinstance(found, State):
        become(state, found)
        return state
    if found.types:
        raise SnapshotError(
            f"{who}: state {shown(name)} is stored by pickle and was not read. Load the file with allow_pickle=True."
        )
    try:
        return filled(state, found.data, name)
    except Unreadable as error:
        raise SnapshotError(f"{who}: {error}. Save the snapshot again, or leave it out.") from error


def as_saved(value: Any) -> Any:
    """Return parameters as a file holds them: what is not plain data is there by its name."""
    if type(value) is dict:
        return {key: as_saved(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(as_saved, value))
    return value if is_plain(value) else f"<{getattr(value, '__qualname__', type(value).__qualname__)}>"
