"""The pieces of a merge: metrics, snapshots and files, read one after another into an accumulator.

Not its job: to know how a file looks, or what a state is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np

from mergeable.coverage import check_name
from mergeable.errors import DuplicateOrigin, MergeableError, SnapshotError
from mergeable.snapshot import disk
from mergeable.snapshot.accumulator import Accumulator
from mergeable.snapshot.contents import Contents, contents
from mergeable.snapshot.manifest import Known, read_contents
from mergeable.snapshot.snapshot import Snapshot
from mergeable.wording import short, shown, some

Piece = Any
"""A metric, a snapshot, or the path of one."""

LeftOut = Callable[[str, str], None]
"""Is told the name of a piece that was left out, and the reason."""

Progress = Callable[[int, int], None]
"""Is told the number of pieces, and of bytes, that were read since."""


@final
class PieceReader:
    """How pieces are read, in this process and in others."""

    def __init__(self, *, allow_pickle: bool, keep_going: bool, unique: Iterable[str] = ()) -> None:
        self._allow_pickle, self._keep_going, self._unique = allow_pickle, keep_going, sorted(unique)
        self._known: Known = {}

    def read(self, piece: Piece, *, peek: bool = False) -> tuple[Contents, int]:
        """Return what a piece holds, in which what is unique has names, and the bytes that it took."""
        found, size = self._read(piece, peek=peek)
        return (_with_names(found, self._unique, source_of(piece)) if self._unique else found), size

    def merge_into(self, accumulator: Accumulator, pieces: Iterable[Piece], left_out: LeftOut, progress: Progress) -> None:
        """Read pieces and merge them, one after another."""
        for piece in pieces:
            size = 0
            try:
                found, size = self.read(piece)
                accumulator.add(found, source_of(piece), undo=self._keep_going)
            except DuplicateOrigin:
                raise
            except (MergeableError, OSError) as error:
                if not self._keep_going:
                    raise
                accumulator.missing.append(source_of(piece))
                left_out(source_of(piece), str(error))
            progress(1, size)

    def _read(self, piece: Piece, *, peek: bool) -> tuple[Contents, int]:
        if isinstance(piece, Snapshot):
            return contents(piece), 0
        if isinstance(piece, str | os.PathLike):
            data = disk.read(piece, "merge")
            trusted = self._allow_pickle and not peek
            return read_contents(data, os.fspath(piece), trusted=trusted, peek=peek, known=self._known), len(data)
        if hasattr(piece, "snapshot"):
            return contents(piece.snapshot()), 0
        raise TypeError(f"merge: got {shown(piece)}, expected metrics, snapshots, or paths of files.")


def _with_names(found: Contents, unique: Sequence[str], source: str) -> Contents:
    """Return the contents with names for their pieces: what the metadata say of them under the keys in ``unique``."""
    who, keys = f"merge: {source}", ", ".join(unique)
    advice = f"Leave it out, or save it with metadata that have {keys}."
    pieces: dict[str, Iterable[str]] = {}
    for row in found.metadata:
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
        pieces[name] = [origin for origin in row["origins"] if origin in found.part.contributions]
    nameless = found.part.contributions.keys() - {origin for origins in pieces.values() for origin in origins}
    if nameless or not pieces:
        raise SnapshotError(f"{who}: got no metadata of {some(nameless) or 'it'}, expected {keys} for every origin. {advice}")
    return found.with_pieces(pieces)


def source_of(piece: Piece) -> str:
    """Return what an error or a report calls a piece."""
    return os.fspath(piece) if isinstance(piece, str | os.PathLike) else shown(piece)
