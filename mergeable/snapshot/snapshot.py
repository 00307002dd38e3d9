"""A snapshot: what a metric held at one moment, immutable, self-describing, and safe to read from anywhere.

``metric.snapshot()`` makes one, ``save`` and ``load`` are its file, which ``mergeable.snapshot.manifest`` describes.

Not its job: to know metrics, or to merge.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, final

from mergeable import registry
from mergeable.coverage import Coverage
from mergeable.encoding.archive import pack
from mergeable.encoding.plain import Unreadable, Writer
from mergeable.encoding.wire import Classes, pickled
from mergeable.errors import IncompatibleStates, SnapshotError, UndeclaredState
from mergeable.snapshot import disk
from mergeable.snapshot.description import Description, Unbuilt, like
from mergeable.snapshot.manifest import FIRST, FORMAT, NAMED, Known, Opening, PickledState, state_tree
from mergeable.state import State
from mergeable.state.access import become, freeze
from mergeable.version import __version__
from mergeable.wording import brief, named, shown, some

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

    def __init__(
        self,
        description: Description,
        states: Mapping[str, State | Unbuilt],
        coverage: Coverage,
        *,
        metadata: tuple[dict[str, Any], ...] = (),
        undeclared: Mapping[str, Any] | None = None,
        version: str = "",
        trusted: bool = True,
    ) -> None:
        self._description, self._states, self._coverage = description, dict(states), coverage
        self._metadata, self._undeclared = metadata, dict(undeclared or {})
        self._version = version or __version__
        self._trusted = trusted  # it is of this program, or of a file whose pickles may be read

    @property
    def metric(self) -> str:
        """The class of the metric: the name under which it is registered, or ``module:name``."""
        return self._description.metric

    @property
    def name(self) -> str:
        """The metric's own name."""
        return self._description.name

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments of the metric, but for its labels and those that are not plain data."""
        return dict(self._description.arguments)

    @property
    def version(self) -> str:
        """The version of this library that made it."""
        return self._version

    @property
    def coverage(self) -> Coverage:
        """Which updates it holds."""
        return self._coverage

    @property
    def origins(self) -> tuple[str, ...]:
        """The names of the pieces that it covers, and the ids of the origins that no name was given to."""
        return self._coverage.marks

    @property
    def metadata(self) -> tuple[dict[str, Any], ...]:
        """Your values, one dict for each snapshot that was merged into this; ``"origins"`` are those that it speaks of."""
        return tuple(dict(row) for row in self._metadata)

    @property
    def states(self) -> dict[str, State]:
        """Copies of the states by name, of which those are left out whose class is known to no one here."""
        found = {name: state.empty() for name, state in self._states.items() if isinstance(state, State)}
        for name, state in found.items():
            become(state, self._states[name])  # type: ignore[arg-type]  # these are states
        freeze(*found.values())
        return found

    def result(self, metric: Any = None) -> Any:
        """Return the metric's result.

        Args:
            metric: the metric's class, or an instance with the same arguments; not needed for a registered class.

        Raises:
            SnapshotError: no class of that name is registered, or its constructor needs what a file cannot hold.
            IncompatibleStates: the metric has another class, other arguments or other states.
            Whatever the metric's ``result`` raises.
        """
        return self._in(metric, "Snapshot.result")._folded_result()

    def plot(self, kind: str | None = None, state: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw what the snapshot holds; see ``mergeable.plot.plot``."""
        from mergeable.plot import plot

        return plot(
            self.states,
            title=self.name,
            coverage=self._coverage,
            declared=self._description.plots,
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
        writer = Writer(pickled)
        d = self._description
        tree = {
            "format": FORMAT,
            "version": NAMED if self._coverage.names else FIRST,
            "mergeable": self._version,
            "metric": {
                "class": d.metric,
                "name": d.name,
                "arguments": writer.tree(d.arguments),
                "omitted": list(d.omitted),
                "merge": "own" if d.own_merge else "derived",
                "plots": d.plots,
            },
            "states": {name: state_tree(writer, state) for name, state in self._states.items()},
            "undeclared": {name: writer.tree(value) for name, value in self._undeclared.items()},
            "coverage": self._coverage.to_data(),
            "metadata": [writer.tree(row) for row in self._metadata],
        }
        return pack(tree, writer.arrays)

    @classmethod
    def from_bytes(cls, data: bytes, *, allow_pickle: bool = False, source: str = "the bytes") -> Snapshot:
        """Return the snapshot that ``to_bytes`` gave.

        Raises:
            SnapshotError: the bytes are no such snapshot, whole and unchanged, or a part is pickled and ``allow_pickle`` is False.
        """
        return opened(data, source, trusted=allow_pickle)

    def __repr__(self) -> str:
        return f"<Snapshot of {named(self.metric.rpartition(':')[2])} {shown(self.name)} ({self._coverage})>"

    def _in(self, metric: Any, who: str) -> Any:
        """Return a metric that holds this snapshot."""
        if metric is None:
            metric = registry.found(self.metric)
            if metric is None or not hasattr(metric, "_holding"):
                raise SnapshotError(
                    f"{who}: got no metric, and no class of the name {shown(self.metric)} is registered. Pass the class, as in "
                    "result(MyMetric), or decorate it with mergeable.register and import its module."
                )
        if isinstance(metric, type):
            metric = self._built(metric, who)
        if not hasattr(metric, "_holding"):
            raise TypeError(f"{who}: got {shown(metric)}, expected a metric or its class.")
        return metric._holding(self, who)

    def _built(self, metric_class: type, who: str) -> Any:
        if hasattr(metric_class, "_holding") and not registry.is_named(metric_class, self.metric):
            raise IncompatibleStates(
                f"{who}: got a {named(self.metric.rpartition(':')[2])}, expected a {metric_class.__qualname__}. Pass the class that was saved."
            )
        if self._description.omitted:
            raise SnapshotError(
                f"{who}: got the class {metric_class.__name__}, whose constructor took {some(self._description.omitted)}, which "
                "a file cannot hold. Pass an instance that was built with it."
            )
        try:
            return registry.built(metric_class, self._description.arguments)
        except Exception as error:  # a constructor of the user's, with what a file says
            raise SnapshotError(
                f"{who}: {metric_class.__name__} could not be built with the arguments {shown(self._description.arguments)} "
                f"({type(error).__name__}: {brief(error)}). Pass an instance."
            ) from error

    def _states_like(self, prototypes: Mapping[str, State], who: str) -> dict[str, State]:
        """Return new states that hold what this holds, of the classes of the prototypes."""
        if prototypes.keys() != self._states.keys():
            raise IncompatibleStates(
                f"{who}: the states are {shown(sorted(prototypes))} here and {shown(sorted(self._states))} there."
            )
        return {name: like(prototypes[name], found, name, who) for name, found in self._states.items()}

    def _states_for(self, states: Mapping[str, State], who: str) -> dict[str, State]:
        """Return the states for a merge into those, which checks them: this snapshot's own ones where they were built."""
        if all(type(found) is type(states.get(name)) for name, found in self._states.items()):
            return dict(self._states)  # type: ignore[arg-type]  # all of them are states
        return self._states_like(states, who)

    def _named(self, pieces: Mapping[str, Iterable[str]]) -> Snapshot:
        """Return this snapshot with names for more of its pieces."""
        c = self._coverage
        coverage = Coverage(c, c.missing, {**c.names, **pieces})
        return Snapshot(
            self._description,
            self._states,
            coverage,
            metadata=self._metadata,
            undeclared=self._undeclared,
            version=self._version,
        )

    def _check_declared(self, who: str) -> None:
        if self._undeclared or self._description.own_merge:
            raise UndeclaredState(
                f"{who}: got a {named(self.metric.rpartition(':')[2])}, "
                + (
                    f"which holds values in attributes that are not declared as states ({some(self._undeclared)})"
                    if self._undeclared
                    else "which has a merge_state of its own"
                )
                + ". Merge it with metric.merge_state([...]), which knows how."
            )


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
    return opened(disk.read(path, "load"), os.fspath(path), trusted=allow_pickle)


def opened(
    data: bytes,
    source: str,
    *,
    trusted: bool,
    peek: bool = False,
    classes: Classes | None = None,
    known: Known | None = None,
) -> Snapshot:
    """Return the snapshot in bytes.

    ``peek`` leaves pickled states unread instead of refusing them; ``classes`` are the program's own that no name finds;
    ``known`` is a memory of what was found in files that are alike.
    """
    try:
        return Snapshot(**Opening(data, trusted=trusted, peek=peek, classes=classes, known=known).contents(), trusted=trusted)
    except Unreadable as error:
        raise SnapshotError(
            f"{source}: {error}. Expected a snapshot of mergeable, whole and unchanged; save it again, or leave it out."
        ) from error
    except PickledState as error:
        raise SnapshotError(
            f"{source}: {error}. Pass allow_pickle=True if you trust who wrote the file, because reading a pickle runs code that "
            "it chooses."
        ) from error
