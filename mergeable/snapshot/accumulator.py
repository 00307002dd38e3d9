"""A merge of many snapshots in progress: an accumulator takes one after another, and has the memory of one.

Not its job: to read files, or to know what a state is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, final

from mergeable.coverage import Coverage, check_distinct
from mergeable.errors import IncompatibleStates, SnapshotError
from mergeable.part import Part, States
from mergeable.snapshot.contents import Contents, in_hand
from mergeable.snapshot.description import Description
from mergeable.state.access import check_mergeable
from mergeable.state.undo import commit, rollback, savepoint
from mergeable.wording import brief, some


@final
class Accumulator:
    """What was merged so far; a metric brings the classes that no registry knows.

    The first snapshot decides what the others must be like. ``missing`` are the names of pieces that were left out, as often as they were.
    """

    def __init__(self, metric: Any = None, *, gives_way: bool = False) -> None:
        self._metric = metric
        self._gives_way = gives_way
        self._description: Description | None = None
        self._first = ""
        self._part = Part({})
        self._sources: dict[str, str] = {}  # of origins' ids and of pieces' names
        self._metadata: list[dict[str, Any]] = []
        self.missing: list[str] = []

    @property
    def has_begun(self) -> bool:
        """Whether it knows what the other pieces must be like."""
        return self._description is not None

    def empty(self) -> Accumulator:
        """Return an empty one that takes what this one takes."""
        fresh = Accumulator(gives_way=self._gives_way)
        fresh._description, fresh._first = self._description, self._first
        fresh._part = Part.empty(self._part.states)
        return fresh

    def add(self, found: Contents, source: str, *, undo: bool = False) -> None:
        """Merge one snapshot; with ``undo`` this stays as it was where that fails."""
        who = f"merge: {source}"
        found.check_declared(who)
        if self._description is None:
            self._begin(found, source)
        else:
            self._description.check(found.description, who, f"in {self._first}", "in this one")
        part = found.part
        sources = dict.fromkeys([*part.contributions, *part.names], source)
        self._check_distinct(part, sources)
        states = found.states_to_merge(self._part.states, who)
        if part.missing or states is not part.states:
            part = part.with_states(states)
            part.missing = ()  # as often as they are missing, they are kept below
        self._merge(part, source, undo=undo)
        self._sources |= sources
        self.missing += found.part.missing
        self._metadata += found.metadata

    def join(self, other: Accumulator) -> None:
        """Merge what another process has merged."""
        self._check_distinct(other._part, other._sources)
        self._merge(other._part, "the pieces of a process", undo=False)
        self._sources |= other._sources
        self.missing += other.missing
        self._metadata += other._metadata

    def contents(self) -> Contents:
        """Return what was merged."""
        if self._description is None:
            raise ValueError(
                f"merge: got {len(self.missing)} pieces, of which none could be read, expected one or more that can."
                if self.missing
                else "merge: got no pieces, expected one or more. Look at the pattern or the folder that they come from."
            )
        part = self._part
        coverage = Coverage(dict(sorted(part.contributions.items())), self.missing, part.names)
        rows = tuple(sorted(self._metadata, key=lambda row: row["origins"]))
        return Contents(self._description, Part(part.states, coverage), metadata=rows)

    def _begin(self, found: Contents, source: str) -> None:
        who = f"merge: {source}"
        if self._metric is not None:
            prototypes = in_hand(self._metric, found, who).states
        elif found.unbuilt:
            unknown = {name: state.missing or state.class_name for name, state in found.unbuilt.items()}
            raise SnapshotError(
                f"{who}: these states cannot be built, as their classes are not registered, or as they take far more "
                f"memory than their file: {some(unknown)} (of {some({*unknown.values()})}). Pass "
                "metric=MyMetric, register the classes with mergeable.register, or, for mergeable.state(...), pass "
                "allow_pickle=True if you trust the files."
            )
        else:
            prototypes = found.part.states
        found.states_to_merge(prototypes, who)
        self._part = Part.empty(prototypes)
        self._description, self._first = found.description, source

    def _check_distinct(self, part: Part, sources: Mapping[str, str]) -> None:
        check_distinct(
            self._part.side,
            part.side,
            lambda mark: f", in {self._sources[mark]} and in {sources[mark]}",
            "Neither has all that the other has, so none is the newer one; leave one out."
            if self._gives_way
            else "Leave one out, or let the newer one win with on_duplicate='newer'.",
        )

    def _merge(self, part: Part, source: str, *, undo: bool) -> None:
        try:
            for name, state in self._part.states.items():
                check_mergeable(state, part.states[name])
            if undo:
                with _undone(self._part.states):
                    self._part.merge_distinct(part)
            else:
                self._part.merge_distinct(part)
        except Exception as error:  # a merge of the user's raises anything
            raise IncompatibleStates(
                f"merge: {source} does not fit {self._first}: {type(error).__name__}: {brief(error)}"
            ) from error


@contextlib.contextmanager
def _undone(states: States) -> Iterator[None]:
    """Undo what the block has merged into the states where it raises."""
    try:
        savepoint(*states.values())
        yield
    except BaseException:
        rollback(*states.values())
        raise
    commit(*states.values())
