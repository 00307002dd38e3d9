"""The states of one replica, and which updates they hold."""

from __future__ import annotations

from collections.abc import Mapping

from mergeable.coverage import Contribution, Coverage, check_distinct, drawn_origin
from mergeable.state import State

States = dict[str, State]

RESTORED = -1
"""The slot of what was restored: before those of all replicas. Every process of a job has it, and the first one brings it."""


class Slot:
    """The states of one replica by name, and the contributions that they hold by origin.

    An origin is a random id, drawn at the first update after a reset; later updates count under it.
    """

    def __init__(self, states: States, coverage: Mapping[str, Contribution] | None = None, origin: str | None = None) -> None:
        self.states = states
        self.contributions = dict(coverage or {})
        known = coverage if isinstance(coverage, Coverage) else Coverage()
        self.missing, self.names = known.missing, dict(known.names)
        self.origin = origin

    @classmethod
    def empty(cls, prototypes: States) -> Slot:
        """Return a slot of fresh identities."""
        return cls({name: state.empty() for name, state in prototypes.items()})

    def copied(self) -> Slot:
        """Return a slot that holds the same, and that no later update of this one reaches."""
        states = {name: state.empty() for name, state in self.states.items()}
        for name, state in states.items():
            state.become(self.states[name])
        return Slot(states, self.coverage, self.origin)

    def replaced(self, name: str, state: State) -> Slot:
        """Return a slot that has another state of that name, and covers the same."""
        return Slot({**self.states, name: state}, self.coverage, self.origin)

    @property
    def coverage(self) -> Coverage:
        """What the states hold."""
        return Coverage(self.contributions, self.missing, self.names)

    def merge(self, other: Slot) -> None:
        """Take all that another slot of such a metric has taken.

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
        state.merge_part(others[name])
