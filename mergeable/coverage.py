"""Which updates a result holds: what makes a double merge detectable, and a gap visible."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mergeable.errors import DuplicateOrigin
from mergeable.wording import shown

_FEW = 3
_MOST_LISTED = 32

LONGEST_NAME = 200
"""The most characters that a name of a piece has."""


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


Side = tuple[Mapping[str, Contribution], Mapping[str, Iterable[str]]]
"""One side of a merge: contributions by the ids of their origins, and the ids of each piece's origins by the piece's name."""


class Coverage(Mapping[str, Contribution]):
    """Origins, each a random id drawn at the first update after a reset, and what each gave.

    Origins that were saved under a name are a piece: ``pieces`` has the coverage of each by its name. What a job computes again, as
    a night's shard, has new ids and the old name, and two sides that share a name, or an id, hold the same updates.

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
        >>> a.named("night 1").joined(Coverage({"77": Contribution(0, 2, 64)}).named("night 1"))
        Traceback (most recent call last):
        mergeable.errors.DuplicateOrigin: merge: the origin night 1 (replica 0, 2 updates) came twice; ...
    """

    def __init__(
        self,
        contributions: Mapping[str, Contribution] | None = None,
        missing: Iterable[str] = (),
        pieces: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._contributions = dict(contributions or {})
        self._missing = tuple(sorted(missing))
        self.names = {name: tuple(sorted(origins)) for name, origins in sorted((pieces or {}).items())}
        """The ids of the origins of each piece, by the piece's name."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The pieces that a merge was told to leave out because they could not be read: here a gap is named."""
        return self._missing

    @property
    def pieces(self) -> dict[str, Coverage]:
        """The coverage of each piece that was given a name. Pieces may share origins."""
        return {name: self.piece(name) for name in self.names}

    def piece(self, name: str) -> Coverage:
        """Return the coverage of one piece."""
        return Coverage({origin: self._contributions[origin] for origin in self.names[name]})

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of the pieces, and the ids of the origins that no name was given to."""
        named = {origin for origins in self.names.values() for origin in origins}
        return tuple(sorted({*self.names, *(self._contributions.keys() - named)}))

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

    @property
    def where(self) -> str:
        """The replicas, and the workers where there are others than the first; "nowhere" without updates."""
        if not self:
            return "nowhere"
        return enumerated("replica", self.replicas) + (f" of {enumerated('worker', self.workers)}" if any(self.workers) else "")

    def joined(self, other: Coverage) -> Coverage:
        """Return the coverage of both; raise ``DuplicateOrigin`` where they share an origin or a piece's name."""
        check_distinct((self._contributions, self.names), (other._contributions, other.names))
        return Coverage(
            {**self._contributions, **other._contributions},
            {*self._missing, *other._missing},
            {**self.names, **other.names},
        )

    def named(self, name: str) -> Coverage:
        """Return this coverage as the piece of that name; pieces that it has keep their names."""
        return Coverage(self._contributions, self._missing, {**self.names, name: self._contributions})

    def holds(self, other: Coverage) -> bool:
        """Return whether this has all that the other has.

        That is each of its pieces' names, and of each of its origins as many updates, or its piece of that name with as many
        updates and rows.
        """
        if not other.names.keys() <= self.names.keys():
            return False
        renewed: set[str] = set()
        for name in other.names:
            mine, theirs = self.piece(name), other.piece(name)
            if mine.updates >= theirs.updates and mine.rows >= theirs.rows:
                renewed.update(theirs)
        return all(origin in renewed or (origin in self and self[origin].updates >= c.updates) for origin, c in other.items())

    def facts(self) -> tuple[dict[str, Contribution], tuple[str, ...], dict[str, tuple[str, ...]]]:
        """Return what this is made of: contributions by the ids of origins, missing pieces, and ids by the names of pieces."""
        return {**self._contributions}, self._missing, {**self.names}

    def to_data(self) -> Any:
        """Return the coverage as plain data."""
        origins = {origin: dataclasses.asdict(c) for origin, c in sorted(self._contributions.items())}
        pieces = {"pieces": {name: list(found) for name, found in self.names.items()}} if self.names else {}
        return {"origins": origins, "missing": list(self._missing), **pieces}

    @classmethod
    def from_data(cls, data: Any) -> Coverage:
        """Return the coverage that ``to_data`` gave; raise ``ValueError`` where it is none."""
        names = {field.name for field in dataclasses.fields(Contribution)}
        if type(data) is not dict or data.keys() - {"pieces"} != {"origins", "missing"} or type(data["origins"]) is not dict:
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
        pieces = data.get("pieces", {})
        if type(pieces) is not dict or not all(
            type(found) is list
            and all(type(o) is str and o in data["origins"] for o in found)
            and len(set(found)) == len(found)
            for found in pieces.values()
        ):
            raise ValueError("found pieces of other origins than those that it has")
        for mark in (*data["origins"], *pieces):
            check_name(mark)
        return cls({origin: Contribution(**facts) for origin, facts in data["origins"].items()}, data["missing"], pieces)

    def __getitem__(self, origin: str) -> Contribution:
        return self._contributions[origin]

    def __iter__(self) -> Iterator[str]:
        return iter(self._contributions)

    def __len__(self) -> int:
        return len(self._contributions)

    def __str__(self) -> str:
        return self._text

    @functools.cached_property  # a merge of many names the same piece for each that gives way to it
    def _text(self) -> str:
        names = [*map(shown, itertools.islice(self.names, _FEW))]
        names += [f"{len(self.names) - _FEW} more"] * (len(self.names) > _FEW)
        gap = [f"named {', '.join(names)}"] * bool(names)
        gap += [f"{_plural(len(self._missing), 'piece')} missing"] * bool(self._missing)
        if not self:
            return ", ".join(["no updates", *gap])
        parts = [_plural(self.updates, "update"), _plural(self.rows, "row")]
        if len(self) > 1:
            parts.append(_plural(len(self), "origin"))
        return ", ".join([*parts, self.where, *gap])

    def __repr__(self) -> str:
        return f"Coverage({self})"


def check_distinct(
    mine: Side,
    others: Side,
    places: Callable[[str], str] = lambda _: "",
    advice: str = "Merge each metric once, and reset the merged one before it counts on.",
) -> None:
    """Raise ``DuplicateOrigin`` where two sides hold the same updates: where they share a piece's name, or an origin's id.

    ``places`` returns where the two come from that share it, as in ``", in a.mg and in b.mg"``.
    """
    for known, found in zip(mine[::-1], others[::-1], strict=True):  # a name says more than an id
        if not known.keys().isdisjoint(found.keys()):
            mark = next(mark for mark in found if mark in known)
            a, b = (_marked(mark, *side) for side in (mine, others))
            hint = ""
            if a and b and {*a.workers}.isdisjoint(b.workers):
                hint = " Workers that save with local=True each give what they save a name of its own."
            raise DuplicateOrigin(
                f"merge: the origin {mark} ({b.where}, {b.updates} updates) came twice{places(mark)}; its updates would count twice.{hint} "
                f"{advice}"
            )


def _marked(mark: str, contributions: Mapping[str, Contribution], names: Mapping[str, Iterable[str]]) -> Coverage:
    """Return what a side holds of a piece, by its name, or of an origin, by its id."""
    return Coverage({origin: contributions[origin] for origin in names.get(mark, (mark,))})


def check_name(name: str, who: str = "") -> None:
    """Raise ``ValueError`` where a text is no name of a piece."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"{who}got the origin {shown(name[:40])} of {len(name)} characters, expected 1 to {LONGEST_NAME} printable ones with no space "
            "at either end, such as '2026-11-29/shard-03'."
        )


def drawn_origin() -> str:
    """Return a new origin's id: 64 random bits after the time, so that of two ids the larger one is the later one's."""
    return f"{time.time_ns() // 10**6:012x}{secrets.token_hex(8)}"


def enumerated(noun: str, numbers: Sequence[int]) -> str:
    """Return numbers as text: ``worker 1``, or ``workers 0, 1 and 2``; of many, the first ones, the last, and how many they are."""
    *others, last = map(shown, numbers)
    if len(numbers) > _MOST_LISTED:
        return f"{noun}s {', '.join(others[:_FEW])}, ... and {last} ({len(numbers):,} in all)"
    return f"{noun}s {', '.join(others)} and {last}" if others else f"{noun} {last}"


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
