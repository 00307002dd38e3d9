"""The contents of a snapshot, which rooms other than the user's code read: description, states, coverage, and the user's values.

Not its job: to know how they are written, or which metric takes them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, final

from mergeable import registry
from mergeable.coverage import Coverage
from mergeable.errors import IncompatibleStates, SnapshotError, UndeclaredState
from mergeable.holder import host_of
from mergeable.part import Part, States, frozen
from mergeable.snapshot.description import Description, Unbuilt, like
from mergeable.state import State
from mergeable.version import __version__
from mergeable.wording import brief, named, shown, some

ATTRIBUTE = "_contents"
"""The attribute of a snapshot that has its contents."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """What a snapshot holds. It never changes; whoever goes on with a state copies it.

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
        """Return new states that hold what these hold, of the classes of the prototypes.

        Raises:
            IncompatibleStates: the names, classes or parameters differ. SnapshotError: a state is damaged, or was not read.
        """
        states = self.states
        if prototypes.keys() != states.keys():
            raise IncompatibleStates(
                f"{who}: the states are {shown(sorted(prototypes))} here and {shown(sorted(states))} there."
            )
        return {name: like(prototypes[name], found, name, who) for name, found in states.items()}

    def frozen_states(self, prototypes: Mapping[str, State], who: str) -> States:
        """Return states for a reader, which refuse changes, as ``states_like``."""
        return frozen(self.states_like(prototypes, who))

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
    """Return the contents of a snapshot in the hands of a metric, which refuses those of another metric."""
    raise TypeError(f"{who}: got {shown(metric)}, expected a metric or its class.")


def takes(kind: type | None) -> bool:
    """Return whether a class is one of metrics, which take snapshots."""
    return kind is not None and taken.dispatch(kind) is not taken.dispatch(object)


def in_hand(metric: Any, found: Contents, who: str) -> Taken:
    """Return the contents in the hands of a metric: this one, or one of this class, or, for None, of the registered class.

    Raises:
        SnapshotError: no class of that name is registered, or its constructor needs what a file cannot hold.
        IncompatibleStates: the metric has another class, other arguments or other states.
    """
    metric, class_name = host_of(metric), found.description.metric
    if metric is None:
        metric = registry.found(class_name)
        if not takes(metric):
            raise SnapshotError(
                f"{who}: got no metric, and no class of the name {shown(class_name)} is registered. Pass the class, as in "
                "result(MyMetric), or decorate it with mergeable.register and import its module."
            )
    if isinstance(metric, type):
        metric = _built(metric, found.description, who)
    return taken(metric, found, who)


def _built(kind: type, description: Description, who: str) -> Any:
    """Return a metric of the class, with the arguments of the snapshot."""
    if takes(kind) and not registry.is_named(kind, description.metric):
        raise IncompatibleStates(
            f"{who}: got a {named(description.class_name)}, expected a {kind.__qualname__}. Pass the class that was saved."
        )
    if description.omitted:
        raise SnapshotError(
            f"{who}: got the class {kind.__name__}, whose constructor took {some(description.omitted)}, which "
            "a file cannot hold. Pass an instance that was built with it."
        )
    try:
        return registry.built(kind, description.arguments)
    except Exception as error:  # a constructor of the user's, with what a file says
        raise SnapshotError(
            f"{who}: {kind.__name__} could not be built with the arguments {shown(description.arguments)} "
            f"({type(error).__name__}: {brief(error)}). Pass an instance."
        ) from error
