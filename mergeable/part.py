"""A part of what a metric holds: states by name, and which updates they cover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergeable.coverage import Contribution, Coverage, check_distinct, drawn_origin
from mergeable.state import State
from mergeable.state.access import become, merge_unchecked

States = dict[str, State]


class Part:
    """States by name, and the contributions that they hold by origin: what a replica, a snapshot or a process of a job brings.

    An origin is a random id, drawn at the first update after a reset; later updates count under it.
    """

    def __init__(
        self,
        states: States,
        coverage: Mapping[str, Contribution] | None = None,
        origin: str | None = None,
        undeclared: Mapping[str, Any] | None = None,
    ) -> None:
        self.states = states
        self.undeclared = dict(undeclared or {})
        self.contributions = dict(coverage or {})
        known = coverage if isinstance(coverage, Coverage) else Coverage()
        self.missing, self.names = known.missing, dict(known.names)
        self.origin = origin

    @classmethod
    def empty(cls, prototypes: States) -> Part:
        """Return a part of fresh identities."""
        return cls({name: state.empty() for name, state in prototypes.items()})

    def copied(self) -> Part:
        """Return a part that holds the same, and that no later update of this one reaches."""
        states = {name: state.empty() for name, state in self.states.items()}
        for name, state in states.items():
            become(state, self.states[name])
        return Part(states, self.coverage, self.origin)

    def replaced(self, name: str, state: State) -> Part:
        """Return a part that has another state of that name, and covers the same."""
        return Part({**self.states, name: state}, self.coverage, self.origin)

    @property
    def coverage(self) -> Coverage:
        """What the states hold."""
        return Coverage(self.contributions, self.missing, self.names)

    def merge(self, other: Part) -> None:
        """Take all that another part of such a metric has taken.

        Raises:
            DuplicateOrigin: the same updates would count twice; nothing was merged.
        """
        apart = self.names.keys().isdisjoint(other.names.keys())
        if not apart or not self.contributions.keys().isdisjoint(other.contributions.keys()):
            check_distinct(self.coverage, other.coverage)  # which copies them, so not at every merge of many
        merge_alike(self.states, other.states)
        self.contributions |= other.contributions
        self.names |= other.names
        if other.missing:
            self.missing = tuple(sorted({*self.missing, *other.missing}))

    def count(self, replica: int, rows: int, worker: int = 0, updates: int = 1) -> None:
        """Count updates of so many rows."""
        if self.origin is None:
            self.origin = drawn_origin()
        before = self.contributions.get(self.origin)
        self.contributions[self.origin] = (
            Contribution(before.replica, before.updates + updates, before.rows + rows, before.worker)
            if before
            else Contribution(replica, updates, rows, worker)
        )


def merge_alike(states: States, others: States) -> None:
    """Merge into states those of the same names, whose classes and parameters are known to be the same."""
    for name, state in states.items():
        state.flush()
        others[name].flush()
        merge_unchecked(state, others[name])


Slot = Part  # the name in older pickles
