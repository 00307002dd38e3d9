"""Many snapshots become one, in the memory of two: a stream of pieces, one after another or on all cores.

Not its job: to know how a file looks, or what a state is.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process, resource_tracker
from typing import Any

import numpy as np

from mergeable.coverage import Contribution, Coverage, check_name, twice
from mergeable.encoding.wire import from_bytes, to_bytes
from mergeable.errors import DuplicateOrigin, IncompatibleStates, MergeableError, SnapshotError
from mergeable.snapshot import disk
from mergeable.snapshot.description import Description, Unbuilt
from mergeable.snapshot.manifest import Known
from mergeable.snapshot.snapshot import Snapshot, opened
from mergeable.state import State
from mergeable.state.undo import commit, rollback, savepoint
from mergeable.wording import brief, short, shown, some

Piece = Any
"""A metric, a snapshot, or the path of one."""

Report = Callable[[str, str], None]
Progress = Callable[[int, int], None]

CHUNK = 64
"""How many files a core merges before it gives away what it has."""


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
    report: Report | None = None,
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
    options = Options(allow_pickle=allow_pickle, keep_going=keep_going, unique=unique)
    told = report or _say_nothing
    count = progress or _say_nothing
    merging = Merging(metric, gives_way=on_duplicate == "newer")
    if on_duplicate == "newer":
        pieces = _newest(list(pieces), options, told)
    if processes == 1:
        merging.take(pieces, options, told, count)
    else:
        _in_processes(merging, list(pieces), options, told, count, processes=processes)
    return merging.snapshot()


class Options:
    """How pieces are read, which other processes are told too."""

    def __init__(self, *, allow_pickle: bool, keep_going: bool, unique: Iterable[str] = ()) -> None:
        self.allow_pickle, self.keep_going, self._unique = allow_pickle, keep_going, sorted(unique)
        self._known: Known = {}

    def read(self, piece: Piece, *, peek: bool = False) -> tuple[Snapshot, int]:
        """Return a piece as a snapshot, in which what is unique has names, and the bytes that it took."""
        snapshot, size = self._read(piece, peek=peek)
        return (_named(snapshot, self._unique, source_of(piece)) if self._unique else snapshot), size

    def _read(self, piece: Piece, *, peek: bool) -> tuple[Snapshot, int]:
        if isinstance(piece, Snapshot):
            return piece, 0
        if isinstance(piece, str | os.PathLike):
            data = disk.read(piece, "merge")
            trusted = self.allow_pickle and not peek
            return opened(data, os.fspath(piece), trusted=trusted, peek=peek, known=self._known), len(data)
        if hasattr(piece, "snapshot"):
            return piece.snapshot(), 0
        raise TypeError(f"merge: got {shown(piece)}, expected metrics, snapshots, or paths of files.")


class Merging:
    """A snapshot in the making; a metric in hand brings the classes that no registry knows."""

    def __init__(self, metric: Any = None, *, gives_way: bool = False) -> None:
        self._metric, self._gives_way = metric, gives_way
        self._description: Description | None = None
        self._first = ""
        self._states: dict[str, State] = {}
        self._contributions: dict[str, Contribution] = {}
        self._names: dict[str, Iterable[str]] = {}
        self._sources: dict[str, str] = {}  # of origins' ids and of pieces' names
        self._missing: list[str] = []
        self._metadata: list[dict[str, Any]] = []

    @property
    def has_begun(self) -> bool:
        """Whether it knows what the other pieces must be like."""
        return self._description is not None

    def empty(self) -> Merging:
        """Return an empty one that takes what this one takes."""
        fresh = Merging(gives_way=self._gives_way)
        fresh._description, fresh._first = self._description, self._first
        fresh._states = {name: state.empty() for name, state in self._states.items()}
        return fresh

    def take(self, pieces: Iterable[Piece], options: Options, report: Report, progress: Progress) -> None:
        """Merge pieces, one after another."""
        for piece in pieces:
            size = 0
            try:
                snapshot, size = options.read(piece)
                self.add(snapshot, source_of(piece), undo=options.keep_going)
            except DuplicateOrigin:
                raise
            except (MergeableError, OSError) as error:
                if not options.keep_going:
                    raise
                self._missing.append(source_of(piece))
                report(source_of(piece), str(error))
            progress(1, size)

    def add(self, snapshot: Snapshot, source: str, *, undo: bool = False) -> None:
        """Merge one snapshot; with ``undo`` this stays as it was where that fails."""
        snapshot._check_declared(f"merge: {source}")
        if self._description is None:
            self._begin(snapshot, source)
        else:
            self._description.check(snapshot._description, f"merge: {source}", f"in {self._first}", "in this one")
        sources = dict.fromkeys([*snapshot.coverage, *snapshot.coverage.names], source)
        self._check_distinct(snapshot.coverage, sources)
        self._merge_states(snapshot._states_for(self._states, f"merge: {source}"), source, undo=undo)
        self._contributions.update(snapshot.coverage)
        self._names.update(snapshot.coverage.names)
        self._sources.update(sources)
        self._missing.extend(snapshot.coverage.missing)
        self._metadata.extend(snapshot._metadata)

    def join(self, other: Merging) -> None:
        """Merge what another process has merged."""
        self._check_distinct(other._coverage(), other._sources)
        self._merge_states(other._states, "the pieces of a process", undo=False)
        self._contributions.update(other._contributions)
        self._names.update(other._names)
        self._sources.update(other._sources)
        self._missing.extend(other._missing)
        self._metadata.extend(other._metadata)

    def snapshot(self) -> Snapshot:
        """Return what was merged."""
        if self._description is None:
            raise ValueError(
                f"merge: got {len(self._missing)} pieces, of which none could be read, expected one or more that can."
                if self._missing
                else "merge: got no pieces, expected one or more. Look at the pattern or the folder that they come from."
            )
        coverage = self._coverage()
        rows = tuple(sorted(self._metadata, key=lambda row: row["origins"]))
        return Snapshot(self._description, self._states, coverage, metadata=rows)

    def _coverage(self) -> Coverage:
        return Coverage(dict(sorted(self._contributions.items())), self._missing, self._names)

    def _begin(self, snapshot: Snapshot, source: str) -> None:
        if self._metric is not None:
            prototypes: Mapping[str, State] = snapshot._in(self._metric, f"merge: {source}")._states
        else:
            unknown = {
                n: found.missing or found.class_name for n, found in snapshot._states.items() if isinstance(found, Unbuilt)
            }
            if unknown:
                raise SnapshotError(
                    f"merge: {source}: these states cannot be built, as their classes are not registered, or as they take far more "
                    f"memory than their file: {some(unknown)} (of {some({*unknown.values()})}). Pass "
                    "metric=MyMetric, register the classes with mergeable.register, or, for mergeable.state(...), pass "
                    "allow_pickle=True if you trust the files."
                )
            prototypes = {name: found for name, found in snapshot._states.items() if isinstance(found, State)}
        snapshot._states_for(prototypes, f"merge: {source}")
        self._states = {name: state.empty() for name, state in prototypes.items()}
        self._description, self._first = snapshot._description, source

    def _check_distinct(self, coverage: Coverage, sources: Mapping[str, str]) -> None:
        for mark in reversed([mark for mark in sources if mark in self._sources]):  # a name says more than an id
            text = twice(mark, self._coverage(), coverage, f", in {self._sources[mark]} and in {sources[mark]}")
            advice = (
                "Neither has all that the other has, so none is the newer one; leave one out."
                if self._gives_way
                else "Leave one out, or let the newer one win with on_duplicate='newer'."
            )
            raise DuplicateOrigin(f"merge: {text} {advice}")

    def _merge_states(self, states: Mapping[str, State], source: str, *, undo: bool) -> None:
        saved: list[State] = []
        try:
            for state in self._states.values() if undo else ():
                savepoint(state)
                saved.append(state)
            for name, state in self._states.items():
                state.merge(states[name])
        except Exception as error:  # a merge of the user's raises anything
            rollback(*saved)
            raise IncompatibleStates(
                f"merge: {source} does not fit {self._first}: {type(error).__name__}: {brief(error)}"
            ) from error
        commit(*saved)


# Which pieces give way to newer ones.


def _newest(pieces: Sequence[Piece], options: Options, report: Report) -> list[Piece]:
    """Return the pieces without those that another one covers; pieces that cannot be read stay, and fail where they are read."""
    coverages: list[Coverage] = []
    for piece in pieces:
        try:
            coverages.append(options.read(piece, peek=True)[0].coverage)
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
            report(source_of(piece), f"{source_of(pieces[newer])} covers it")
    return kept


def _gives_way(i: int, j: int, coverages: Sequence[Coverage]) -> bool:
    """Return whether piece j holds all that piece i does; of two that hold as much, the one stays that began later, or the first."""
    old, new = coverages[i], coverages[j]
    if not new.holds(old):
        return False
    return not old.holds(new) or (sorted(new, reverse=True), i) > (sorted(old, reverse=True), j)


def _named(snapshot: Snapshot, unique: Sequence[str], source: str) -> Snapshot:
    """Return the snapshot with names for its pieces: what its metadata say of them under the keys in ``unique``."""
    who, keys = f"merge: {source}", ", ".join(unique)
    advice = f"Leave it out, or save it with metadata that have {keys}."
    pieces: dict[str, Iterable[str]] = {}
    for row in snapshot.metadata:
        values = {key: row[key].item() if isinstance(row.get(key), np.generic) else row.get(key) for key in unique}
        for key, value in values.items():
            if type(value) not in (str, int, float, bool):
                raise SnapshotError(
                    f"{who}: got {short(value)} for {key} in the metadata, expected a text or a number. {advice}"
                )
        name = ", ".join("=".join((key, repr(value))) for key, value in values.items())
        try:
            check_name(name)
        except ValueError as error:
            raise SnapshotError(f"{who}: {error} Name fewer values or shorter ones with unique.") from None
        if name in pieces:
            raise DuplicateOrigin(
                f"{who} holds two pieces with {name}; their updates would count twice. Leave it out, or merge it anew."
            )
        pieces[name] = [origin for origin in row["origins"] if origin in snapshot.coverage]
    nameless = snapshot.coverage.keys() - {origin for origins in pieces.values() for origin in origins}
    if nameless or not pieces:
        raise SnapshotError(f"{who}: got no metadata of {some(nameless) or 'it'}, expected {keys} for every origin. {advice}")
    return snapshot._named(pieces)


# On several cores.


def _in_processes(
    merging: Merging, pieces: Sequence[Piece], options: Options, report: Report, progress: Progress, *, processes: int
) -> None:
    """Merge chunks of files in other processes, and then what they give, in the order of the pieces."""
    rest = iter(pieces)
    while not merging.has_begun:  # every process then compares with the same piece
        first = list(itertools.islice(rest, 1))
        if not first:
            return
        merging.take(first, options, report, progress)
    like = to_bytes(merging.empty())
    size = max(1, min(CHUNK, len(pieces) // (4 * processes)))
    waiting: deque[Future[bytes]] = deque()

    def collect(most: int) -> None:
        while len(waiting) > most:
            part, left_out, sizes = from_bytes(waiting.popleft().result())
            merging.join(part)
            for source, reason in left_out:
                report(source, reason)
            progress(*sizes)

    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        try:
            for are_files, run in itertools.groupby(rest, lambda piece: isinstance(piece, str | os.PathLike)):
                if not are_files:
                    collect(0)
                    merging.take(run, options, report, progress)
                while chunk := list(itertools.islice(run, size)):
                    with interrupts_held():  # submit starts the processes
                        waiting.append(pool.submit(_merged, like, chunk, options))
                    collect(2 * processes)
            collect(0)
        except BrokenProcessPool as error:
            raise MergeableError(
                f"merge: one of processes={processes} ended by itself. A program that starts processes keeps its main part under "
                'if __name__ == "__main__":. If it does, there may not have been enough memory; pass processes=1.'
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _merged(like: bytes, chunk: Sequence[str | os.PathLike[str]], options: Options) -> bytes:
    """Merge files in this process, and return what they make, what was left out, and how much was read."""
    merging: Merging = from_bytes(like)
    left_out: list[tuple[str, str]] = []
    sizes: list[int] = []
    merging.take(chunk, options, lambda *reason: left_out.append(reason), lambda _, size: sizes.append(size))
    return to_bytes((merging, left_out, (len(sizes), sum(sizes))))


def end_with_parent() -> None:
    """Let this process end with the one that started it, also where that was killed: it would wait for work for ever."""
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back in this thread: processes that start now never see it, and the one that waits for them ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # whose start would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def source_of(piece: Piece) -> str:
    """Return what an error or a report calls a piece."""
    return os.fspath(piece) if isinstance(piece, str | os.PathLike) else shown(piece)


def _say_nothing(*_: Any) -> None:
    pass
