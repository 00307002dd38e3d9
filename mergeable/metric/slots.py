"""Slots: the states of each replica, folded in the order of the replicas.

Not its job: to run a user's code, or to keep two threads apart.
"""

from __future__ import annotations

from typing import final

from mergeable.coverage import Coverage
from mergeable.part import Part, States
from mergeable.state import State
from mergeable.state.access import freeze, merge_alike

RESTORED = -1
"""The slot of what was restored: before those of all replicas. Every process of a job has it, and the first one brings it."""


@final
class Slots:
    """The parts of a metric's replicas by the replica's number; ``states`` are the declared ones, always empty.

    Example:
        >>> import mergeable as mg
        >>> slots = Slots({"total": mg.Sum()})
        >>> slots.part(1).states["total"].update(2.0); slots.part(0).states["total"].update(1.0)
        >>> slots.fold()["total"].result()
        3.0
    """

    __slots__ = ("parts", "states")

    def __init__(self, states: States, parts: dict[int, Part] | None = None) -> None:
        self.states = states
        self.parts: dict[int, Part] = {} if parts is None else parts

    def part(self, replica: int) -> Part:
        """Return the part of a replica."""
        found = self.parts.get(replica)
        if found is None:
            found = self.parts[replica] = Part.empty(self.states)
        return found

    def fold(self, *names: str) -> States:
        """Return fresh states, for readers, into which the parts are merged, in the order of the replicas: all of them, or those named.

        They refuse changes, which would be lost.
        """
        merged = {name: self.states[name].empty() for name in names or self.states}
        for _, part in sorted(self.parts.items()):
            merge_alike(merged, part.states)  # all parts have states with the parameters of these
        freeze(*merged.values())
        return merged

    def folded(self, *, without_restored: bool = False) -> Part:
        """Return the fold of all parts as one fresh part; the restored part may be left out, which another process then adds."""
        merged = Part.empty(self.states)
        for replica, part in sorted(self.parts.items()):
            if not (without_restored and replica == RESTORED):
                merged.merge(part)
        merged.origin = self.part(0).origin  # updates after a merge count on under it
        return merged

    def joined_to(self, joined: Part | None) -> Part | None:
        """Return a part into which these parts are merged, or a copy of them where it is None."""
        for _, part in sorted(self.parts.items()):
            if joined is None:
                joined = part.copied()
            else:
                joined.merge(part)
        return joined

    def copied(self) -> dict[int, Part]:
        """Return copies of the parts, by replica."""
        return {replica: part.copied() for replica, part in self.parts.items()}

    def coverage(self) -> Coverage:
        """Return which updates the parts hold."""
        coverage = Coverage()
        for _, part in sorted(self.parts.items()):
            coverage = coverage.joined(part.coverage)
        return coverage

    def declare(self, name: str, state: State) -> None:
        """Add an empty state of that name to every part."""
        for part in self.parts.values():
            part.states[name] = state.empty()
        self.states[name] = state.empty()

    def replace(self, name: str, state: State) -> None:
        """Put a state under that name into the first replica's part, and empty ones into the others."""
        first = self.part(0)
        self.parts = {
            replica: part.replaced(name, state if part is first else state.empty()) for replica, part in self.parts.items()
        }
