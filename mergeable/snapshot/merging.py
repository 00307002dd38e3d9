"""The merge of many: snapshots, files and metrics become one snapshot, in the memory of two.

Not its job: to know how a file looks, or what a state is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from mergeable.coverage import Coverage
from mergeable.errors import MergeableError
from mergeable.snapshot.accumulator import Accumulator
from mergeable.snapshot.pieces import LeftOut, Piece, PieceReader, Progress, source_of
from mergeable.snapshot.pool import merge_in_processes
from mergeable.snapshot.snapshot import Snapshot
from mergeable.wording import shown


def merge(
    pieces: Iterable[Piece],
    *,
    metric: Any = None,
    allow_pickle: bool = False,
    on_duplicate: str = "error",
    unique: Iterable[str] = (),
    keep_going: bool = False,
    processes: int = 1,
    progress: Progress | None = None,
    report: LeftOut | None = None,
) -> Snapshot:
    """Return the snapshot of all that the pieces hold, which stay as they are.

    Pieces are read one after another, so memory is that of two of them, and of the coverage: some 500 bytes for each origin.
    Exact states end in the same bytes in any order, in any number of processes, and merged at once or in steps.

    Args:
        pieces: metrics, snapshots and paths of files, in any mixture; at least one.
        metric: the metric's class, or an instance with the same arguments, for states whose classes are not registered.
        allow_pickle: as in ``load``.
        on_duplicate: what to do where two pieces share an origin, by its id or by the name that the user gave. ``"error"``: raise
            ``DuplicateOrigin``. ``"newer"``: leave out a piece where another one covers all its origins with as many updates or
            more, and, where only the name is the same, as many rows; of two that do so to each other, the one stays that began
            later. The pieces are read twice then.
        unique: names of values in the metadata that tell pieces apart, such as ``["night", "shard"]``: where they are equal, the
            piece is the same, as if it had been saved with ``origin="night='2026-11-29', shard=3"``, which the merged one has too.
        keep_going: leave out pieces that cannot be read or do not fit the others, and name them in ``coverage.missing``.
        processes: how many processes read and merge files at a time. With more than 1 a program needs
            ``if __name__ == "__main__":``, as for ``multiprocessing``.
        progress: called now and then with the number of pieces and the bytes that were read since.
        report: called with the name of each piece that was left out, and the reason.

    Raises:
        ValueError: there are no pieces, or ``on_duplicate`` is neither.
        DuplicateOrigin: two pieces hold the same updates, or one holds two that ``unique`` finds to be the same. IncompatibleStates: two are of other metrics, arguments or states.
        SnapshotError, OSError: a file cannot be read. UndeclaredState: the metric has a merge of its own; use ``merge_state``.

    Example:
        >>> import mergeable as mg
        >>> class Total(mg.Metric):
        ...     total = mg.Sum()
        ...     def update_state(self, x):
        ...         self.total += x
        ...     def result(self):
        ...         return self.total.result()
        >>> parts = [Total() for _ in range(3)]
        >>> for part, x in zip(parts, [1e16, 1.0, -1e16]):
        ...     part.update_state(x)
        >>> merge(parts).result(Total)
        1.0
        >>> merge([parts[0], parts[0]])
        Traceback (most recent call last):
        mergeable.errors.DuplicateOrigin: merge: the origin ... (replica 0, 1 updates) came twice, in ... and ...; ...
    """
    if isinstance(pieces, str | os.PathLike | Snapshot) or hasattr(pieces, "merge_state"):
        raise TypeError(f"merge: got one piece, {shown(pieces)}, expected a list of them. Write merge([...]).")
    if on_duplicate not in ("error", "newer"):
        raise ValueError(f"merge: got on_duplicate={shown(on_duplicate)}, expected 'error' or 'newer'.")
    if processes < 1:
        raise ValueError(f"merge: got processes={shown(processes)}, expected at least 1.")
    if isinstance(unique, str):
        raise TypeError(f"merge: got unique={shown(unique)}, expected a list of names. Write unique=[{shown(unique)}].")
    unique = list(unique)
    if not all(isinstance(key, str) for key in unique):
        raise TypeError(
            f"merge: got unique={shown(unique)}, expected names of values in the metadata, such as ['night', 'shard']."
        )
    reader = PieceReader(allow_pickle=allow_pickle, keep_going=keep_going, unique=unique)
    left_out = report or _say_nothing
    count = progress or _say_nothing
    accumulator = Accumulator(metric, gives_way=on_duplicate == "newer")
    if on_duplicate == "newer":
        pieces = _newest(list(pieces), reader, left_out)
    if processes == 1:
        reader.merge_into(accumulator, pieces, left_out, count)
    else:
        merge_in_processes(accumulator, list(pieces), reader, left_out, count, processes=processes)
    return Snapshot(accumulator.contents())


def _newest(pieces: Sequence[Piece], reader: PieceReader, left_out: LeftOut) -> list[Piece]:
    """Return the pieces without those that another one covers; pieces that cannot be read stay, and fail where they are read."""
    coverages: list[Coverage] = []
    for piece in pieces:
        try:
            coverages.append(reader.read(piece, peek=True)[0].coverage)
        except (MergeableError, OSError):
            coverages.append(Coverage())
    holders: dict[str, list[int]] = {}
    for i, coverage in enumerate(coverages):
        for mark in (*coverage.names, *coverage):
            holders.setdefault(mark, []).append(i)
    kept = []
    for i, piece in enumerate(pieces):
        first = next(iter((*coverages[i].names, *coverages[i])), None)  # who holds all of it holds its first name
        rivals = [] if first is None else holders[first]
        newer = next((j for j in rivals if j != i and _gives_way(i, j, coverages)), None)
        if newer is None:
            kept.append(piece)
        else:
            left_out(source_of(piece), f"{source_of(pieces[newer])} covers it")
    return kept


def _gives_way(i: int, j: int, coverages: Sequence[Coverage]) -> bool:
    """Return whether piece j holds all that piece i does; of two that hold as much, the one stays that began later, or the first."""
    old, new = coverages[i], coverages[j]
    if not new.holds(old):
        return False
    return not old.holds(new) or (sorted(new, reverse=True), i) > (sorted(old, reverse=True), j)


def _say_nothing(*_: Any) -> None:
    pass
