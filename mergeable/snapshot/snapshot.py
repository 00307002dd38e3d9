"""A snapshot as its users see it: what a metric held at one moment, immutable, self-describing, and safe to read from anywhere.

``metric.snapshot()`` makes one, ``save`` and ``load`` are its file, which ``mergeable.snapshot.manifest`` describes. Other rooms read
``mergeable.snapshot.contents``.

Not its job: to know metrics, or to merge.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, final

from mergeable.coverage import Coverage
from mergeable.snapshot import disk
from mergeable.snapshot.contents import ATTRIBUTE, Contents, in_hand
from mergeable.snapshot.manifest import read_contents, write_contents
from mergeable.state import State
from mergeable.wording import named, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIX = ".mg"


@final
class Snapshot:
    """What a metric held at one moment: the fold of its states, and what that covers. It never changes.

    ``metric.snapshot()`` makes one, ``mergeable.load`` reads one, ``mergeable.merge`` makes one of several. Memory: that of the
    states. A file takes at most 64 times its size while it is read, and one megabyte, and at most 8 calls in Python for each byte,
    and 100,000 more; results take what their states say.

    Example:
        >>> import mergeable as mg, tempfile
        >>> class Worst(mg.Metric):
        ...     worst = mg.Max()
        ...     def update_state(self, x):
        ...         self.worst += x
        ...     def result(self):
        ...         return self.worst.result()
        >>> metric = Worst()
        >>> metric.update_state([0.5, 2.0])
        >>> path = tempfile.mkdtemp() + "/monday.mg"
        >>> metric.snapshot(metadata={"day": "monday"}).save(path)
        >>> saved = mg.load(path)
        >>> saved
        <Snapshot of Worst 'worst' (1 update, 2 rows, replica 0)>
        >>> saved.result(Worst), saved.metadata[0]["day"]
        (2.0, 'monday')
        >>> saved.result()
        Traceback (most recent call last):
        mergeable.errors.SnapshotError: Snapshot.result: got no metric, and no class of the name ... is registered. ...
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    @property
    def metric(self) -> str:
        """The class of the metric: the name under which it is registered, or ``module:name``."""
        return self._contents.description.metric

    @property
    def name(self) -> str:
        """The metric's own name."""
        return self._contents.description.name

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments of the metric, but for its labels and those that are not plain data."""
        return dict(self._contents.description.arguments)

    @property
    def version(self) -> str:
        """The version of this library that made it."""
        return self._contents.version

    @property
    def coverage(self) -> Coverage:
        """Which updates it holds."""
        return self._contents.coverage

    @property
    def origins(self) -> tuple[str, ...]:
        """The names of the pieces that it covers, and the ids of the origins that no name was given to."""
        return self.coverage.marks

    @property
    def metadata(self) -> tuple[dict[str, Any], ...]:
        """Your values, one dict for each snapshot that was merged into this; ``"origins"`` are those that it speaks of."""
        return tuple(dict(row) for row in self._contents.metadata)

    @property
    def states(self) -> dict[str, State]:
        """The states by name, which refuse changes. Those are left out whose class is known to no one here."""
        return self._contents.part.to_read()

    def result(self, metric: Any = None) -> Any:
        """Return the metric's result.

        Args:
            metric: the metric's class, or an instance with the same arguments; not needed for a registered class.

        Raises:
            SnapshotError: no class of that name is registered, or its constructor needs what a file cannot hold.
            IncompatibleStates: the metric has another class, other arguments or other states.
            Whatever the metric's ``result`` raises.
        """
        return in_hand(metric, self._contents, "Snapshot.result").result()

    def plot(self, kind: str | None = None, state: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw what the snapshot holds; see ``mergeable.plot.plot``."""
        from mergeable.plot import plot

        return plot(
            self.states,
            title=self.name,
            coverage=self.coverage,
            declared=self._contents.description.plots,
            kind=kind,
            state=state,
            ax=ax,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, whole or not at all: whatever ends this process, the old file is there or the new one.

        A link is followed, and the mode of an old file stays. What is no file but a device, a pipe or a descriptor
        (``/dev/stdout``) is written into; a pipe waits for its reader.

        Raises:
            OSError: the folder is missing, may not be written, or is full; an old file stays as it is.
            SnapshotError: the path is an address, such as ``gs://bucket/a.mg``. TypeError: it is no path.
        """
        disk.write(path, self.to_bytes(), "Snapshot.save")

    def to_bytes(self) -> bytes:
        """Return the file's bytes. Equal snapshots are equal bytes.

        Raises:
            Whatever a state that neither is plain nor pickles raises.
        """
        return write_contents(self._contents)

    @classmethod
    def from_bytes(cls, data: bytes, *, allow_pickle: bool = False, source: str = "the bytes") -> Snapshot:
        """Return the snapshot that ``to_bytes`` gave.

        Raises:
            SnapshotError: the bytes are no such snapshot, whole and unchanged, or a part is pickled and ``allow_pickle`` is False.
        """
        return read_snapshot(data, source, trusted=allow_pickle)

    def __repr__(self) -> str:
        class_name = self._contents.description.class_name
        return f"<Snapshot of {named(class_name)} {shown(self.name)} ({self.coverage})>"

    def __setstate__(self, saved: dict[str, Any]) -> None:
        if ATTRIBUTE not in saved:  # a pickle of version 0.1
            kept = {name.removeprefix("_"): value for name, value in saved.items()}
            trusted = kept.pop("trusted")
            saved = {ATTRIBUTE: Contents.of(**kept, is_trusted=trusted)}
        self.__dict__.update(saved)


def load(path: str | os.PathLike[str], *, allow_pickle: bool = False) -> Snapshot:
    """Return the snapshot in a file, which may be a stranger's: it decides on no class, attribute or code.

    Args:
        path: a file that ``save`` wrote, with this version of the library or an older one.
        allow_pickle: read states that are pickled, which runs code that the file chooses. Only for files that you trust.

    Raises:
        OSError: there is no such file, or it cannot be read.
        SnapshotError: the path is an address; it is no snapshot, whole and unchanged; a part is pickled and ``allow_pickle`` is False; or it was written
            by a newer version.

    Example:
        >>> load("README.md")
        Traceback (most recent call last):
        mergeable.errors.SnapshotError: README.md: this is no zip file of mergeable. ...
    """
    return read_snapshot(disk.read(path, "load"), os.fspath(path), trusted=allow_pickle)


def read_snapshot(data: bytes, source: str, **how: Any) -> Snapshot:
    """Return the snapshot in bytes; see ``mergeable.snapshot.manifest.read_contents``."""
    return Snapshot(read_contents(data, source, **how))
