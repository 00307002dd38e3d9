"""Counters of keys, the most common keys, and sets of keys, all exact."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, final

from mergeable.numeric import keys, saved_values
from mergeable.state import State
from mergeable.state.parameters import as_whole
from mergeable.wording import shown

_TOO_MANY = 1 << 4096  # at once: what a file holds in all


class _Counted(State):
    """How often each key came, in a dict of canonical keys."""

    bounded = False
    _undoes_updates = True
    _mutated = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[keys.Canonical, int] = {}

    @property
    def total(self) -> int:
        """The sum of all counts."""
        return sum(self._counts.values())

    def update(self, items: Any) -> None:
        """Count keys (n,), or add the counts of a mapping of keys to whole numbers."""
        counts = counted(items, f"{type(self).__name__}.update")
        if self._is_recorded:
            before = counts_of(self._counts, counts)
            self._record(lambda: set_counts(self._counts, before))
        add_counts(self._counts, counts)

    def merge(self, other: _Counted) -> None:
        """Add the other's counts."""
        add_counts(self._counts, other._counts)

    def to_data(self) -> Any:
        """Return the keys in their canonical order, and their counts."""
        found = keys.in_order(self._counts)
        return {"keys": saved_values.column(found), "counts": saved_values.packed([self._counts[key] for key in found])}

    def from_data(self, saved: Any) -> None:
        """Take over keys and their counts."""
        found, counts = saved_values.fields(saved, "keys", "counts")
        self._counts = saved_values.distinct(saved_values.keys_of(found), saved_values.wholes(counts, low=1))

    def most_common(self, n: int | None = None) -> list[tuple[Any, int]]:
        """Return the n most common keys with their counts; ties in the canonical order of the keys."""
        return [(keys.plain(key), count) for key, count in ranked(self._counts)[:n]]

    def __getitem__(self, key: Any) -> int:
        return self._counts.get(keys.canonical(key, type(self).__name__), 0)

    def __contains__(self, key: Any) -> bool:
        return keys.canonical(key, type(self).__name__) in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def __iter__(self) -> Iterator[Any]:
        return iter([keys.plain(key) for key in keys.in_order(self._counts)])


@final
class Counter(_Counted):
    """How often each key came: an exact multiset. Memory grows with the distinct keys; ``bounded`` is False.

    Keys are None, bools, numbers, strings, bytes, dates, datetimes, UUIDs and tuples of them, told apart by type (1, 1.0 and "1" are
    three keys) and never by Python's ``hash()``. A ``datetime64`` is the date or datetime that it stands for. Counts are Python ints, without a limit. Empty: no keys. Exact, commutative.
    Memory: about 150 bytes a key. The bounded alternative for numbers is ``Histogram``.

    ``update(keys)``: a list or an array of keys, or a mapping of keys to whole numbers not below 0.

    Raises:
        TypeError: a key is not plain, or a single string came where a list was expected.
        ValueError: a mapping's count is negative or not whole.

    Example:
        >>> words = Counter()
        >>> words.update(["to", "be", "or", "not", "to", "be"])
        >>> words.update({"be": 2})
        >>> words["be"], words["that"], words.total
        (4, 0, 8)
        >>> words.most_common(2)
        [('be', 4), ('to', 2)]
    """

    def result(self) -> dict[Any, int]:
        """Return a dict of keys to counts, in the canonical order of the keys. Equal keys (1 and 1.0) add up in it."""
        return by_plain_key(self._counts)


@final
class TopK(_Counted):
    """The k keys that came most often, from exact counts of all keys. Memory grows with the distinct keys; ``bounded`` is False.

    Keys and counts as in ``Counter``, whose other methods it has. Ties go to the smaller key in the canonical order. Empty: no
    keys. Exact, commutative. Memory: about 150 bytes for each distinct key, also for those that are not among the k: no smaller
    state has exact ones. Bounded alternatives: ``FrequentItems``, and ``CountMin`` for keys that are known when it is read.

    ``update(keys)``: a list or an array of keys, or a mapping of keys to whole numbers not below 0.

    Raises:
        TypeError: a key is not plain, or a single string came where a list was expected.
        ValueError: a mapping's count is negative or not whole, or k is not a whole number of at least 1.
        IncompatibleStates: on merging with another k.

    Example:
        >>> words = TopK(2)
        >>> words.update(["to", "be", "or", "not", "to", "be"])
        >>> words.update({"that": 3})
        >>> words.result()
        [('that', 3), ('be', 2)]
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = as_whole(k, "TopK: got k = {}", 1)

    @property
    def parameters(self) -> dict[str, Any]:
        """``k``."""
        return {"k": self.k}

    def result(self) -> list[tuple[Any, int]]:
        """Return the k most common keys with their counts, the most common first."""
        return self.most_common(self.k)


@final
class Set(State):
    """The set of keys that came. Memory grows with the distinct keys; ``bounded`` is False.

    Keys as in ``Counter``. Empty: no keys. Exact, commutative, idempotent. Memory: about 150 bytes a key.

    Raises:
        TypeError: a key is not plain, or a single string came where a list was expected.

    Example:
        >>> seen = Set()
        >>> seen.update(["b", "a", "b"])
        >>> "a" in seen, len(seen), seen.result()
        (True, 2, ['a', 'b'])
    """

    idempotent = True
    bounded = False
    _undoes_updates = True
    _mutated = ("_keys",)

    def __init__(self) -> None:
        self._keys: set[keys.Canonical] = set()

    def update(self, items: Any) -> None:
        """Add keys (n,)."""
        new = keys.tally(items, "Set.update").keys() - self._keys
        self._record(lambda: self._keys.difference_update(new))
        self._keys |= new

    def add(self, item: Any) -> None:
        """Add one key."""
        self.update([item])

    def merge(self, other: Set) -> None:
        """Add the other's keys."""
        self._keys |= other._keys

    def result(self) -> list[Any]:
        """Return the keys in their canonical order."""
        return [keys.plain(key) for key in keys.in_order(self._keys)]

    def to_data(self) -> Any:
        """Return the keys in their canonical order."""
        return {"keys": saved_values.column(keys.in_order(self._keys))}

    def from_data(self, saved: Any) -> None:
        """Take over the keys."""
        (found,) = saved_values.fields(saved, "keys")
        labels = saved_values.keys_of(found)
        self._keys = set(saved_values.distinct(labels, labels))

    def __contains__(self, key: Any) -> bool:
        return keys.canonical(key, "Set") in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.result())


def counted(items: Any, who: str) -> dict[keys.Canonical, int]:
    """Return how often each key comes, in a list or an array of keys or in a mapping of keys to counts."""
    if not isinstance(items, Mapping):
        return keys.tally(items, who)
    bad = {k: n for k, n in items.items() if not hasattr(n, "__index__") or not 0 <= n < _TOO_MANY}
    if bad:
        raise ValueError(f"{who}: got the counts {shown(bad)}, expected whole numbers not below 0, of at most 4,096 bits.")
    counts: dict[keys.Canonical, int] = {}
    for key, n in items.items():  # several NaNs are several keys of a dict, and one here
        add_counts(counts, {keys.canonical(key, who): int(n)} if n else {})
    return counts


def ranked(counts: dict[keys.Canonical, int]) -> list[tuple[keys.Canonical, int]]:
    """Return keys with their counts, the largest first; ties in the canonical order of the keys."""
    return sorted(counts.items(), key=lambda item: (-item[1], keys.order(item[0])))


def by_plain_key(counts: dict[keys.Canonical, int]) -> dict[Any, int]:
    """Return counts by plain Python keys, in the canonical order of the keys. Equal keys (1 and 1.0) add up."""
    found: dict[Any, int] = {}
    for key in keys.in_order(counts):
        add_counts(found, {keys.member(key): counts[key]})
    return found


def add_counts(counts: dict[Any, int], more: dict[Any, int]) -> None:
    """Add amounts key by key."""
    if not counts:
        counts.update(more)
        return
    before = map(counts.get, more, itertools.repeat(0))
    counts.update(zip(more, map(operator.add, before, more.values()), strict=True))


def counts_of(counts: dict[Any, int], keys_: Iterable[Any]) -> dict[Any, int]:
    """Return the counts of these keys, 0 where one has none."""
    return {key: counts.get(key, 0) for key in keys_}


def set_counts(counts: dict[Any, int], before: dict[Any, int]) -> None:
    """Undo ``add_counts``: the keys have the counts that they had; those that had none go."""
    for key, count in before.items():
        if count:
            counts[key] = count
        else:
            counts.pop(key, None)
