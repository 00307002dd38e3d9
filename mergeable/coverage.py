"""Which updates a result holds: what makes a double merge detectable, and a gap visible."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mergeable.errors import DuplicateOrigin


@dataclasses.dataclass(frozen=True)
class Contribution:
    """What one origin gave: how many updates and rows, on which replica of which worker (a process of a job)."""

    replica: int
    updates: int
    rows: int
    worker: int = 0

    @property
    def where(self) -> str:
        """The replica, and the worker where that is not the first."""
        return f"replica {self.replica}" + (f" of worker {self.worker}" if self.worker else "")


class Coverage(Mapping[str, Contribution]):
    """Origins, each a random id drawn at the first update after a reset, and what each gave.

    Example:
        >>> a = Coverage({"3f": Contribution(replica=0, updates=2, rows=64)})
        >>> b = Coverage({"9c": Contribution(replica=1, updates=1, rows=32)})
        >>> both = a.joined(b)
        >>> both
        Coverage(3 updates, 96 rows, 2 origins, replicas 0 and 1)
        >>> both.joined(a)
        Traceback (most recent call last):
        mergeable.errors.DuplicateOrigin: merge: the origin 3f (replica 0, 2 updates) came twice; its updates would count \
twice. Merge each metric once, and reset the merged one before it counts on.
    """

    def __init__(self, contributions: Mapping[str, Contribution] | None = None, missing: Iterable[str] = ()) -> None:
        self._contributions = dict(contributions or {})
        self._missing = tuple(sorted(missing))

    @property
    def missing(self) -> tuple[str, ...]:
        """The pieces that a merge was told to leave out because they could not be read: here a gap is named."""
        return self._missing

    @property
    def updates(self) -> int:
        """The number of updates of all origins."""
        return sum(c.updates for c in self.values())

    @property
    def rows(self) -> int:
        """The number of rows (first axis of the first array of each update) of all origins."""
        return sum(c.rows for c in self.values())

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replicas that took part, counted in their workers."""
        return tuple(sorted({c.replica for c in self.values()}))

    @property
    def workers(self) -> tuple[int, ...]:
        """The workers that took part."""
        return tuple(sorted({c.worker for c in self.values()}))

    def joined(self, other: Coverage) -> Coverage:
        """Return the coverage of both; raise ``DuplicateOrigin`` where they share an origin."""
        check_distinct(self._contributions, other._contributions)
        return Coverage({**self._contributions, **other._contributions}, {*self._missing, *other._missing})

    def to_data(self) -> Any:
        """Return the coverage as plain data."""
        origins = {origin: dataclasses.asdict(c) for origin, c in sorted(self._contributions.items())}
        return {"origins": origins, "missing": list(self._missing)}

    @classmethod
    def from_data(cls, data: Any) -> Coverage:
        """Return the coverage that ``to_data`` gave; raise ``ValueError`` where it is none."""
        names = {field.name for field in dataclasses.fields(Contribution)}
        if type(data) is not dict or data.keys() != {"origins", "missing"} or type(data["origins"]) is not dict:
            raise ValueError("found no coverage")
        for origin in data["origins"].values():
            if (
                type(origin) is not dict
                or origin.keys() != names
                or not all(type(n) is int and n >= 0 for n in origin.values())
            ):
                raise ValueError("found an origin that says something else than its replica, worker, updates and rows")
        if type(data["missing"]) is not list or not all(type(name) is str for name in data["missing"]):
            raise ValueError("found no list of missing pieces")
        return cls({origin: Contribution(**facts) for origin, facts in data["origins"].items()}, data["missing"])

    def __getitem__(self, origin: str) -> Contribution:
        return self._contributions[origin]

    def __iter__(self) -> Iterator[str]:
        return iter(self._contributions)

    def __len__(self) -> int:
        return len(self._contributions)

    def __str__(self) -> str:
        gap = [f"{_plural(len(self._missing), 'piece')} missing"] if self._missing else []
        if not self:
            return ", ".join(["no updates", *gap])
        parts = [_plural(self.updates, "update"), _plural(self.rows, "row")]
        if len(self) > 1:
            parts.append(_plural(len(self), "origin"))
        parts.append(listed("replica", self.replicas))
        if any(self.workers):
            parts[-1] += f" of {listed('worker', self.workers)}"
        return ", ".join(parts + gap)

    def __repr__(self) -> str:
        return f"Coverage({self})"


def check_distinct(mine: Mapping[str, Contribution], others: Mapping[str, Contribution]) -> None:
    """Raise ``DuplicateOrigin`` where two sides hold the same updates."""
    few, many = sorted((mine, others), key=len)
    for origin in few:
        if origin in many:
            c = others[origin]
            raise DuplicateOrigin(
                f"merge: the origin {origin} ({c.where}, {c.updates} updates) came twice; its updates would count "
                "twice. Merge each metric once, and reset the merged one before it counts on."
            )


def listed(noun: str, numbers: Sequence[int]) -> str:
    """Return numbers as text: ``worker 1``, or ``workers 0, 1 and 2``."""
    *others, last = map(str, numbers)
    return f"{noun}s {', '.join(others)} and {last}" if others else f"{noun} {last}"


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
