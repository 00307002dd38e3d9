"""A part of what a metric holds: states by name, and which updates they cover."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mergeable.coverage import Contribution, Coverage, Side, check_distinct, drawn_origin
from mergeable.state import State
from mergeable.state.access import freeze, merge_alike, to_read, twin_of

States = dict[str, State]


class Part:
    """States by name, and the contributions that they hold by origin: what a replica, a snapshot or a process of a job brings.

    An origin is a random id, drawn at the first update after a reset; later updates count under it. ``undeclared`` are the values
    of attributes that updates have set and that no state holds: they travel with the part, and no merge of parts changes them.
    """

    def __init__(
        self,
        states: States,
        coverage: Coverage | None = None,
        origin: str | None = None,
        undeclared: Mapping[str, Any] | None = None,
    ) -> None:
        self.states = states
        self.contributions: dict[str, Contribution] = {}
        self.missing: tuple[str, ...] = ()
        self.names: dict[str, tuple[str, ...]] = {}
        if coverage is not None:
            self.contributions, self.missing, self.names = coverage.facts()
        self.origin = origin
        self.undeclared = dict(undeclared or {})

    @classmethod
    def empty(cls, prototypes: States) -> Part:
        """Return a part of fresh identities."""
        return cls({name: state.empty() for name, state in prototypes.items()})

    def with_states(self, states: States) -> Part:
        """Return a part that has other states, and covers the same. The values of undeclared attributes are copied."""
        part = Part(states, None, self.origin, deepcopy(self.undeclared) if self.undeclared else None)
        part.contributions, part.missing, part.names = {**self.contributions}, self.missing, {**self.names}
        return part

    def copied(self) -> Part:
        """Return a part that holds the same, and that no later update of this one reaches."""
        return self.with_states({name: twin_of(state) for name, state in self.states.items()})

    def replaced(self, name: str, state: State) -> Part:
        """Return a part that has another state of that name, and covers the same."""
        return self.with_states({**self.states, name: state})

    def to_read(self) -> States:
        """Return the states of a part that nobody changes any more, for readers: they refuse changes."""
        found = {}
        for name, state in self.states.items():
            shared = to_read(state)
            if shared is None:
                shared = twin_of(state)
                freeze(shared)
            found[name] = shared
        return found

    def name(self, piece: str) -> None:
        """Give all that the part covers a name: from now on it is a piece."""
        self.names[piece] = tuple(sorted(self.contributions))

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
        if self.contributions or self.names:
            check_distinct(self.side, other.side)
        self.merge_distinct(other)

    def merge_distinct(self, other: Part) -> None:
        """Take all that another part of such a metric has taken, of which this one has nothing."""
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


Slot = Part  # the name in older pickles
