"""Heavy hitters: the most frequent keys in a bounded number of counters, by Misra and Gries."""

from __future__ import annotations

from typing import Any, final

from mergeable.numeric import keys, saved_values
from mergeable.numeric.estimate import Estimate
from mergeable.state import State
from mergeable.state.parameters import as_whole
from mergeable.states.counting import add_counts, by_plain_key, counted, counts_of, ranked, set_counts

_MOST_K = 1 << 20


@final
class FrequentItems(State):
    """The most frequent keys and how often they came, in at most ``k`` counters: the summary of Misra and Gries.

    Where there are more than k keys, the count of the (k + 1)-th most frequent one is taken from all of them, and those with none left
    go; ``max_error`` is what was taken in all. A key that has a counter came at least as often as that says, and at most
    ``max_error`` more; one that has none came at most ``max_error`` times. Up to k keys every count is exact. Empty: no keys.
    Approximate (``exact`` is False): with more keys than k, counts depend on batches and merges, within the bound; two states
    that merge give the same bytes in either order. For exact counts, in memory that grows with the keys: ``Counter``.

    ``update(keys)``: as in ``Counter``: a list or an array of keys, told apart by type, or a mapping of keys to whole numbers.
    ``k`` is from 1 to 2**20. Memory: about 300 bytes a counter, and the keys. Error, always: at most total / (k + 1), 0.1 % of all
    for k = 1024, in any tree of merges; every key that came more often than that has a counter.

    Raises:
        TypeError: a key is not plain, or a single string came where a list was expected.
        ValueError: a mapping's count is negative or not whole.

    Example:
        >>> words = FrequentItems(k=2)
        >>> words.update(["to", "be", "or", "not", "to", "be", "to"])
        >>> words.top(1)
        [('to', Estimate(value=3, low=2, high=3))]
        >>> words.estimate("or"), words.max_error
        (Estimate(value=0, low=0, high=1), 1)

    Source: Misra and Gries 1982; Agarwal, Cormode, Huang, Phillips, Wei and Yi 2012 (merges keep the bound).
    """

    exact = False
    _undoes_updates = True
    _mutated = ("_counts",)

    def __init__(self, k: int = 1024) -> None:
        self.k = as_whole(k, "FrequentItems: got k = {}", 1, _MOST_K)
        self._total = 0
        self._taken = 0  # from each key that has a counter, if it had it all along
        self._counts: dict[keys.Canonical, int] = {}  # up to 2 k of them wait to be reduced to k

    @property
    def parameters(self) -> dict[str, Any]:
        """``k``."""
        return {"k": self.k}

    @property
    def total(self) -> int:
        """How many keys came in; a key that comes again counts again."""
        return self._total

    @property
    def max_error(self) -> int:
        """The largest error of a count."""
        self.flush()
        return self._taken

    def update(self, items: Any) -> None:
        """Count keys (n,), or add the counts of a mapping of keys to whole numbers."""
        counts = counted(items, "FrequentItems.update")
        if self._is_recorded:
            total, before = self._total, counts_of(self._counts, counts)
            self._record(lambda: self._return_to(total, before))
        self._add(counts)
        if len(self._counts) > 2 * self.k:
            self.flush()

    def merge(self, other: FrequentItems) -> None:
        """Add the other's counters, and reduce them to k."""
        self._total += other._total - sum(other._counts.values())
        self._taken += other._taken
        self._add(other._counts)
        self.flush()

    def flush(self) -> None:
        """Reduce the counters to k."""
        if len(self._counts) <= self.k:
            return
        self._before_write()
        least = sorted(self._counts.values(), reverse=True)[self.k]
        counts = {key: count - least for key, count in self._counts.items() if count > least}
        self.__dict__.update(_counts=counts, _taken=self._taken + least)  # in one write

    def result(self) -> dict[Any, int]:
        """Return a dict of keys to estimated counts, in the keys' canonical order. Equal keys (1 and 1.0) add up in it."""
        return by_plain_key({key: count + self._taken for key, count in self._counts.items()})

    def top(self, n: int | None = None) -> list[tuple[Any, Estimate]]:
        """Return the n most frequent keys, each with an ``Estimate`` that always holds its count; ties in the keys' order."""
        self.flush()
        most = ranked(self._counts)[:n]
        return [(keys.plain(key), Estimate(count + self._taken, count, count + self._taken)) for key, count in most]

    def estimate(self, key: Any) -> Estimate:
        """Return an ``Estimate`` that holds a key's count always; its value is 0 where the key has no counter."""
        self.flush()
        count = self._counts.get(keys.canonical(key, "FrequentItems.estimate"), 0)
        return Estimate(count + self._taken if count else 0, count, count + self._taken)

    def to_data(self) -> Any:
        """Return the total, the largest error, and the keys with counters in their canonical order, with their counts."""
        self.flush()
        found = keys.in_order(self._counts)
        counts = saved_values.packed([self._counts[key] for key in found])
        return {"total": self._total, "max_error": self._taken, "keys": saved_values.column(found), "counts": counts}

    def from_data(self, saved: Any) -> None:
        """Take over the counters."""
        total, taken, found, counts = saved_values.fields(saved, "total", "max_error", "keys", "counts")
        counters = saved_values.distinct(saved_values.keys_of(found), saved_values.wholes(counts, low=1))
        lost = saved_values.whole(total) - sum(counters.values())
        if len(counters) > self.k:
            raise ValueError(f"found {len(counters)} counters, expected at most {self.k}")
        if lost < saved_values.whole(taken) * (self.k + 1) or (lost and not taken):
            raise ValueError("found counts that do not add up to the total and what was taken from them")
        self._total, self._taken, self._counts = total, taken, counters

    def __len__(self) -> int:
        self.flush()
        return len(self._counts)

    def _add(self, counts: dict[keys.Canonical, int]) -> None:
        self._total += sum(counts.values())
        add_counts(self._counts, counts)

    def _return_to(self, total: int, before: dict[keys.Canonical, int]) -> None:
        self._total = total
        set_counts(self._counts, before)
