"""The contents of a snapshot, which rooms other than the user's code read: description, states, coverage, and the user's values.

Not its job: to know how they are written, or which metric takes them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, final

from mergeable import registry
from mergeable.coverage import Coverage
from mergeable.errors import IncompatibleStates, SnapshotError, UndeclaredState
from mergeable.holder import host_of
from mergeable.part import Part, States
from mergeable.snapshot.description import Description, Unbuilt, alike
from mergeable.state import State
from mergeable.version import __version__
from mergeable.wording import named, shown, some

ATTRIBUTE = "_contents"
"""The attribute of a snapshot that has its contents."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """What a snapshot holds. It never changes: those who read its states share them, frozen, and whoever goes on with one copies it.

    ``part`` has the states that were built, what all states cover, and the attributes that no state holds. ``unbuilt`` are the
    states that only a metric in hand can build, and ``order`` are then the names of all. ``metadata`` are the user's values, one dict
    for each snapshot that was merged. ``is_trusted`` says that they are of this program, or of a file whose pickles may be read.
    """

    description: Description
    part: Part
    unbuilt: Mapping[str, Unbuilt] = dataclasses.field(default_factory=dict)
    order: tuple[str, ...] = ()
    metadata: tuple[dict[str, Any], ...] = ()
    version: str = __version__
    is_trusted: bool = True

    @classmethod
    def of(
        cls,
        description: Description,
        states: Mapping[str, State | Unbuilt],
        coverage: Coverage,
        undeclared: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> Contents:
        """Return the contents with these states, of which some may be unbuilt."""
        built = {name: state for name, state in states.items() if isinstance(state, State)}
        unbuilt = {name: state for name, state in states.items() if isinstance(state, Unbuilt)}
        return cls(
            description, Part(built, coverage, undeclared=undeclared), unbuilt, tuple(states) if unbuilt else (), **facts
        )

    @functools.cached_property  # a merge of many names the same piece for each that gives way to it
    def coverage(self) -> Coverage:
        """Which updates the states hold."""
        return self.part.coverage

    @property
    def states(self) -> dict[str, State | Unbuilt]:
        """All states by name, in the order in which the metric declares them."""
        built: dict[str, Any] = self.part.states
        return {name: self.unbuilt.get(name) or built[name] for name in self.order} if self.unbuilt else {**built}

    def states_like(self, prototypes: Mapping[str, State], who: str) -> States:
        """Return frozen states that hold what these hold, of the classes of the prototypes; the snapshot shares those that it can.

        Raises:
            IncompatibleStates: the names, classes or parameters differ. SnapshotError: a state is damaged, or was not read.
        """
        states = self.states
        if prototypes.keys() != states.keys():
            raise IncompatibleStates(
                f"{who}: the states are {shown(sorted(prototypes))} here and {shown(sorted(states))} there."
            )
        return alike(prototypes, states, who)

    def states_to_merge(self, others: Mapping[str, State], who: str) -> States:
        """Return states for a merge into others, which compares their parameters: these ones where all of them were built."""
        states = self.part.states
        if not self.unbuilt and all(type(state) is type(others.get(name)) for name, state in states.items()):
            return states
        return self.states_like(others, who)

    def check_declared(self, who: str) -> None:
        """Raise ``UndeclaredState`` where the class has a merge of its own, or no declaration covers an attribute."""
        undeclared = self.part.undeclared
        if undeclared or self.description.own_merge:
            why = (
                f"which holds values in attributes that are not declared as states ({some(undeclared)})"
                if undeclared
                else "which has a merge_state of its own"
            )
            raise UndeclaredState(
                f"{who}: got a {named(self.description.class_name)}, {why}. Merge it with metric.merge_state([...]), which knows how."
            )

    def with_pieces(self, pieces: Mapping[str, Iterable[str]]) -> Contents:
        """Return the same contents with names for more of their pieces: the ids of its origins for each."""
        part = self.part
        coverage = Coverage(part.contributions, part.missing, {**part.names, **pieces})
        return dataclasses.replace(self, part=Part(part.states, coverage, part.origin, part.undeclared))


def contents(snapshot: Any) -> Contents:
    """Return the contents of a snapshot: the door for other rooms, beside what its users see."""
    found: Contents = vars(snapshot)[ATTRIBUTE]
    return found


class Taken(Protocol):
    """A snapshot in the hands of a metric that has found it to be of its class, arguments and states."""

    @property
    def states(self) -> States:
        """The states, of the metric's classes."""

    def result(self) -> Any:
        """Return the metric's result on them."""


@functools.singledispatch
def taken(metric: Any, found: Contents, who: str) -> Taken:  # noqa: ARG001 - the metric's room registers what uses them
    """Return the contents of a snapshot in the hands of a metric, or of a new one of the class that is given.

    The room of metrics registers what does so, which refuses the contents of another metric.
    """
    raise TypeError(f"{who}: got {shown(metric)}, expected a metric or its class.")


def takes(metric: Any) -> bool:
    """Return whether something is a metric, or a class of metrics, which take the contents of snapshots."""
    return _taken_by(metric) is not taken.dispatch(object)


def in_hand(metric: Any, found: Contents, who: str) -> Taken:
    """Return the contents in the hands of a metric: this one, or one of this class, or, for None, of the registered class.

    Raises:
        SnapshotError: no class of that name is registered, or its constructor needs what a file cannot hold.
        IncompatibleStates: the metric has another class, other arguments or other states.
    """
    metric = host_of(metric)
    if metric is None:
        class_name = found.description.metric
        metric = registry.found(class_name)
        if metric is None or not takes(metric):
            raise SnapshotError(
                f"{who}: got no metric, and no class of the name {shown(class_name)} is registered. Pass the class, as in "
                "result(MyMetric), or decorate it with mergeable.register and import its module."
            )
    return _taken_by(metric)(metric, found, who)


def _taken_by(metric: Any) -> Callable[[Any, Contents, str], Taken]:
    return taken.dispatch(metric if isinstance(metric, type) else type(metric))
