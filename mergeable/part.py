"""A part of what a metric holds: states by name, and which updates they cover."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mergeable.coverage import Contribution, Coverage, Side, check_distinct, drawn_origin
from mergeable.state import State
from mergeable.state.access import freeze, merge_unchecked, twin_of

States = dict[str, State]


class Part:
    """States by name, and the contributions that they hold by origin: what a replica, a snapshot or a process of a job brings.

    An origin is a random id, drawn at the first update after a reset; later updates count under it. ``undeclared`` are the values
    of attributes that updates have set and that no state holds: they travel with the part, and no merge of parts changes them.
    """

    def __init__(
        self,
        states: States,
        coverage: Mapping[str, Contribution] | None = None,
        origin: str | None = None,
        undeclared: Mapping[str, Any] | None = None,
    ) -> None:
        self.states = states
        self.contributions = dict(coverage or {})
        known = coverage if isinstance(coverage, Coverage) else Coverage()
        self.missing, self.names = known.missing, dict(known.names)
        self.origin = origin
        self.undeclared = dict(undeclared or {})

    @classmethod
    def empty(cls, prototypes: States) -> Part:
        """Return a part of fresh identities."""
        return cls({name: state.empty() for name, state in prototypes.items()})

    def copied(self) -> Part:
        """Return a part that holds the same, and that no later update of this one reaches."""
        return Part(copied(self.states), self.coverage, self.origin, deepcopy(self.undeclared))

    def replaced(self, name: str, state: State) -> Part:
        """Return a part that has another state of that name, and covers the same."""
        return Part({**self.states, name: state}, self.coverage, self.origin, self.undeclared)

    @property
    def coverage(self) -> Coverage:
        """What the states hold."""
        return Coverage(self.contributions, self.missing, self.names)

    @property
    def side(self) -> Side:
        """What ``check_distinct`` compares with another part's."""
        return self.contributions, self.names

    def merge(self, other: Part) -> None:
        """Take all that another part of such a metric has taken.

        Raises:
            DuplicateOrigin: the same updates would count twice; nothing was merged.
        """
        check_distinct(self.side, other.side)
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

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        self.__dict__.update({"undeclared": {}, **saved})  # version 0.1 has none


def merge_alike(states: States, others: States) -> None:
    """Merge into states those of the same names, whose classes and parameters are known to be the same."""
    for name, state in states.items():
        state.flush()
        others[name].flush()
        merge_unchecked(state, others[name])


def copied(states: States) -> States:
    """Return states that hold the same, and that no later update of these reaches."""
    return {name: twin_of(state) for name, state in states.items()}


def frozen(states: States) -> States:
    """Return states that refuse changes from now on."""
    freeze(*states.values())
    return states


Slot = Part  # the name in older pickles
