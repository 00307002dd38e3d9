"""A snapshot: what a metric held at one moment, immutable, self-describing, and safe to read from anywhere.

``metric.snapshot()`` makes one, ``save`` and ``load`` are its file. The file is a zip file (see ``mergeable.archive``) whose
``manifest.json`` is one JSON object; values in it, but for the plain members named here, are written as ``mergeable.plain`` says:

    format       "mergeable snapshot"
    version      1, the version of this format
    mergeable    the version of the library that wrote it
    metric       class (the registered name, or module:name), name, arguments of the constructor, omitted (those that are
                 not plain), merge ("derived", or "own" where the class has a merge_state of its own), plots
    states       by name: class, parameters, value, pickled (the types in it that are pickled), and for mergeable.state(...) make,
                 a pickle of its factory and merge function, which is read only where there is no metric in hand
    undeclared   attributes of the metric that are not declared, by name
    coverage     origins (by id: replica, worker, updates, rows) and missing (pieces that a merge left out)
    metadata     a list of the user's values, one for each snapshot that was merged, with the origins that it speaks of

A file never decides which code runs. Classes are those of the metric in hand or registered ones (``mergeable.register``), and
what is pickled is read only with ``allow_pickle=True``.

Not its job: to know metrics, or to merge.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import mergeable
from mergeable import registry
from mergeable.archive import Archive, pack
from mergeable.canonical import canonical_bytes
from mergeable.coverage import Coverage
from mergeable.errors import IncompatibleStates, SnapshotError, UndeclaredState
from mergeable.parameters import differences, same
from mergeable.plain import Pickled, Reader, Unreadable, Writer, is_plain
from mergeable.state import State
from mergeable.states.held import Held
from mergeable.wire import Classes, pickled, unpickled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Known = dict[str, tuple[str, dict[str, Any], State]]
"""By the state's name, the class, the parameters and an empty state of the last file."""

FORMAT = "mergeable snapshot"
VERSION = 1
SUFFIX = ".mg"

_LABELS = ("name", "dtype")
_MEMBERS = {"format", "version", "mergeable", "metric", "states", "undeclared", "coverage", "metadata"}
_ROOM = 2**20  # bytes that an empty state may take, whatever the size of the file that names it


@dataclasses.dataclass(frozen=True)
class Description:
    """What must agree before snapshots merge, or a metric takes one over."""

    metric: str
    name: str
    arguments: dict[str, Any]
    omitted: tuple[str, ...] = ()
    own_merge: bool = False
    plots: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls, metric_class: type, name: str, arguments: Mapping[str, Any], *, own_merge: bool, plots: Mapping[str, str]
    ) -> Any:
        """Return the description of a metric with these constructor arguments."""
        varying = {key: value for key, value in arguments.items() if key not in _LABELS}
        plain = {key: value for key, value in varying.items() if is_plain(value)}
        omitted = tuple(sorted(varying.keys() - plain.keys()))
        return cls(registry.name_of(metric_class), name, plain, omitted, own_merge, dict(plots))

    def check(self, other: Description, who: str, here: str = "here", there: str = "there") -> None:
        """Raise ``IncompatibleStates`` unless the other describes a metric of the same class and arguments."""
        names = [description.metric.rpartition(":")[2] for description in (self, other)]
        if names[0] != names[1]:
            raise IncompatibleStates(f"{who}: got a {names[1]}, expected a {names[0]}. Merge and restore metrics of one class.")
        for key in sorted(self.arguments.keys() & other.arguments.keys()):  # an argument that is new had no other value
            mine, theirs = self.arguments[key], other.arguments[key]
            if canonical_bytes(mine) != canonical_bytes(theirs):
                raise IncompatibleStates(
                    f"{who}: {key} is {mine!r} {here} and {theirs!r} {there}. Build the metric as it was when it was saved."
                )


@final
class Unbuilt:
    """A state that was read without a class for it: a metric in hand brings that."""

    def __init__(
        self, class_name: str, parameters: dict[str, Any], data: Any, types: tuple[str, ...], make: bytes | None
    ) -> None:
        self.class_name, self.parameters, self.data, self.types, self.make = class_name, parameters, data, types, make


@final
class Snapshot:
    """What a metric held at one moment: the fold of its states, and what that covers. It never changes.

    ``metric.snapshot()`` makes one, ``mergeable.load`` reads one, ``mergeable.merge`` makes one of several. Memory: that of the
    states. A file that was read takes at most 64 times its size while it is read, and one megabyte.

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
    ) -> None:
        self._description, self._states, self._coverage = description, dict(states), coverage
        self._metadata, self._undeclared = metadata, dict(undeclared or {})
        self._version = version or mergeable.__version__

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
        """The ids of the origins that it covers."""
        return tuple(sorted(self._coverage))

    @property
    def metadata(self) -> tuple[dict[str, Any], ...]:
        """Your values, one dict for each snapshot that was merged into this; ``"origins"`` are those that it speaks of."""
        return tuple(dict(row) for row in self._metadata)

    @property
    def states(self) -> dict[str, State]:
        """Copies of the states by name, of which those are left out whose class is known to no one here."""
        found = {name: state.empty() for name, state in self._states.items() if isinstance(state, State)}
        for name, state in found.items():
            state.become(self._states[name])  # type: ignore[arg-type]  # these are states
            state.freeze()
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

        Raises:
            OSError: the folder is missing, may not be written, or is full; an old file stays as it is.
        """
        target = Path(path)
        data = self.to_bytes()
        unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}.unfinished")
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def to_bytes(self) -> bytes:
        """Return the file's bytes. Equal snapshots are equal bytes.

        Raises:
            Whatever a state that neither is plain nor pickles raises.
        """
        writer = Writer(pickled)
        d = self._description
        tree = {
            "format": FORMAT,
            "version": VERSION,
            "mergeable": self._version,
            "metric": {
                "class": d.metric,
                "name": d.name,
                "arguments": writer.tree(d.arguments),
                "omitted": list(d.omitted),
                "merge": "own" if d.own_merge else "derived",
                "plots": d.plots,
            },
            "states": {name: _written(writer, state) for name, state in self._states.items()},
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
        return f"<Snapshot of {self.metric.rpartition(':')[2]} {self.name!r} ({self._coverage})>"

    def _in(self, metric: Any, who: str) -> Any:
        """Return a metric that holds this snapshot."""
        if metric is None:
            metric = registry.found(self.metric)
            if metric is None or not hasattr(metric, "_holding"):
                raise SnapshotError(
                    f"{who}: got no metric, and no class of the name {self.metric!r} is registered. Pass the class, as in "
                    "result(MyMetric), or decorate it with mergeable.register and import its module."
                )
        if isinstance(metric, type):
            metric = self._built(metric, who)
        if not hasattr(metric, "_holding"):
            raise TypeError(f"{who}: got {metric!r}, expected a metric or its class.")
        return metric._holding(self, who)

    def _built(self, metric_class: type, who: str) -> Any:
        if hasattr(metric_class, "_holding") and not registry.is_named(metric_class, self.metric):
            raise IncompatibleStates(
                f"{who}: got a {self.metric.rpartition(':')[2]}, expected a {metric_class.__qualname__}. Pass the class that was saved."
            )
        if self._description.omitted:
            raise SnapshotError(
                f"{who}: got the class {metric_class.__name__}, whose constructor took {', '.join(self._description.omitted)}, which "
                "a file cannot hold. Pass an instance that was built with it."
            )
        try:
            return metric_class(**self._description.arguments)
        except Exception as error:  # a constructor of the user's, with what a file says
            raise SnapshotError(
                f"{who}: {metric_class.__name__} could not be built with the arguments {self._description.arguments!r} "
                f"({type(error).__name__}: {error}). Pass an instance."
            ) from error

    def _states_like(self, prototypes: Mapping[str, State], who: str) -> dict[str, State]:
        """Return new states that hold what this holds, of the classes of the prototypes."""
        if prototypes.keys() != self._states.keys():
            raise IncompatibleStates(f"{who}: the states are {sorted(prototypes)} here and {sorted(self._states)} there.")
        return {name: _like(prototypes[name], found, name, who) for name, found in self._states.items()}

    def _states_for(self, states: Mapping[str, State], who: str) -> dict[str, State]:
        """Return the states for a merge into those, which checks them: this snapshot's own ones where they were built."""
        if all(type(found) is type(states.get(name)) for name, found in self._states.items()):
            return dict(self._states)  # type: ignore[arg-type]  # all of them are states
        return self._states_like(states, who)

    def _check_declared(self, who: str) -> None:
        if self._undeclared or self._description.own_merge:
            raise UndeclaredState(
                f"{who}: got a {self.metric.rpartition(':')[2]}, "
                + (
                    f"which holds values in attributes that are not declared as states ({', '.join(sorted(self._undeclared))})"
                    if self._undeclared
                    else "which has a merge_state of its own"
                )
                + ". Merge it with metric.merge_state([...]), which knows how."
            )


def load(path: str | os.PathLike[str], *, allow_pickle: bool = False) -> Snapshot:
    """Return the snapshot in a file.

    Args:
        path: a file that ``save`` wrote, with this version of the library or an older one.
        allow_pickle: read states that are pickled, which runs code that the file chooses. Only for files that you trust.

    Raises:
        OSError: there is no such file, or it cannot be read.
        SnapshotError: it is no snapshot, whole and unchanged; a part is pickled and ``allow_pickle`` is False; or it was written
            by a newer version.

    Example:
        >>> load("README.md")
        Traceback (most recent call last):
        mergeable.errors.SnapshotError: README.md: this is no zip file of mergeable. ...
    """
    return opened(Path(path).read_bytes(), os.fspath(path), trusted=allow_pickle)


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
        return _Opening(data, trusted=trusted, peek=peek, classes=classes, known=known).snapshot()
    except Unreadable as error:
        raise SnapshotError(
            f"{source}: {error}. Expected a snapshot of mergeable, whole and unchanged; save it again, or leave it out."
        ) from error
    except PickledState as error:
        raise SnapshotError(
            f"{source}: {error}. Pass allow_pickle=True if you trust who wrote the file, because reading a pickle runs code that "
            "it chooses."
        ) from error


class PickledState(Exception):
    """A part was pickled, and its source is not trusted."""


class _Opening:
    """Reads one file's bytes. Each method raises ``Unreadable`` for what is not as it should be."""

    def __init__(self, data: bytes, *, trusted: bool, peek: bool, classes: Classes | None, known: Known | None) -> None:
        archive = Archive(data)
        self._tree = archive.tree
        self._arrays = archive.arrays
        self._room = _ROOM + 16 * len(data)
        self._trusted, self._peek, self._classes = trusted, peek, classes
        self._skipped = False
        self._known = {} if known is None else known

    def snapshot(self) -> Snapshot:
        tree = self._tree
        if type(tree) is not dict or tree.get("format") != FORMAT:
            raise Unreadable("manifest.json does not say that this is a snapshot")
        version = tree.get("version")
        if type(version) is not int or not 1 <= version <= VERSION:
            raise Unreadable(
                f"it has version {version!r} of the format, and mergeable {mergeable.__version__} reads up to {VERSION}; a newer "
                "mergeable may have written it"
            )
        if tree.keys() != _MEMBERS or type(tree["mergeable"]) is not str:
            raise Unreadable(f"manifest.json has the members {sorted(tree)}")
        unpickle = functools.partial(unpickled, classes=self._classes) if self._trusted else None
        self._reader = Reader(self._arrays(), unpickle)
        description = self._description(_object(tree["metric"], "class", "name", "arguments", "omitted", "merge", "plots"))
        states = {name: self._state(name, found) for name, found in _dict(tree["states"]).items()}
        undeclared = dict(self._undeclared(_dict(tree["undeclared"])))
        coverage = _coverage(tree["coverage"])
        metadata = tuple(map(self._row, _list(tree["metadata"])))
        if not self._skipped:
            self._reader.finish()
        return Snapshot(description, states, coverage, metadata=metadata, undeclared=undeclared, version=tree["mergeable"])

    def _description(self, found: dict[str, Any]) -> Description:
        arguments = self._value("the arguments", found["arguments"])
        plots, omitted = _dict(found["plots"]), _list(found["omitted"])
        texts = (found["class"], found["name"], *plots.values(), *omitted)
        if (
            type(arguments) is not dict
            or not all(type(text) is str for text in texts)
            or found["merge"] not in ("own", "derived")
        ):
            raise Unreadable("manifest.json does not say which metric this is")
        return Description(found["class"], found["name"], arguments, tuple(omitted), found["merge"] == "own", plots)

    def _state(self, name: str, found: Any) -> State | Unbuilt:
        found = {"make": None, **_dict(found)}
        class_name, parameters, types, make = found.get("class"), found.get("parameters"), found.get("pickled"), found["make"]
        if found.keys() != {"class", "parameters", "value", "pickled", "make"} or type(class_name) is not str:
            raise Unreadable(f"state {name!r} is described by {sorted(found)}")
        if type(types) is not list or not all(type(text) is str for text in types):
            raise Unreadable(f"state {name!r} does not say what in it is pickled")
        parameters = self._value(f"the parameters of state {name!r}", parameters)
        if type(parameters) is not dict:
            raise Unreadable(f"state {name!r} has parameters that are no dict")
        try:
            data = self._value(f"state {name!r}", found["value"])
        except PickledState:
            if not self._peek:
                raise
            self._skipped = True
            return Unbuilt(class_name, parameters, None, tuple(types) or ("?",), None)
        code = None if make is None else self._reader.array(_object(make, "array")["array"]).tobytes()
        unbuilt = Unbuilt(class_name, parameters, data, (), code)
        prototype = self._prototype(name, unbuilt)
        return unbuilt if prototype is None else _filled(prototype, data, name)

    def _prototype(self, name: str, found: Unbuilt) -> State | None:
        """Return an empty state of a registered class, or None where a metric in hand must bring it."""
        if found.make is not None:
            return Held._made(found.make) if self._trusted else None
        class_name, parameters, known = self._known.get(name, ("", None, None))
        if known is not None and class_name == found.class_name and same(parameters, found.parameters):
            return known.empty()
        cls = registry.found(found.class_name)
        if cls is None or not issubclass(cls, State):
            return None
        try:
            if 8 * cls.cells(found.parameters) > self._room:
                raise Unreadable(
                    f"state {name!r} would take {8 * cls.cells(found.parameters)} bytes when empty, more than a file of this size "
                    "should; pass the metric in hand, as in metric.merge_state([path])"
                )
            prototype = cls.of(found.parameters)
        except registry.NotRegistered:
            return None
        except Unreadable:
            raise
        except Exception as error:  # what is no such parameter fails in its own way
            raise Unreadable(f"state {name!r} has parameters that no {found.class_name} has ({error})") from error
        if differences(_described(prototype.parameters), found.parameters):
            raise Unreadable(f"state {name!r} has parameters that no {found.class_name} has")
        self._known[name] = (found.class_name, found.parameters, prototype.empty())
        return prototype

    def _undeclared(self, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, tree in found.items():
            try:
                yield name, self._value(f"attribute {name!r}", tree)
            except PickledState:
                if not self._peek:
                    raise
                self._skipped = True
                yield name, None

    def _row(self, tree: Any) -> dict[str, Any]:
        row = self._value("the metadata", tree)
        if type(row) is not dict or type(row.get("origins")) is not list or not all(type(o) is str for o in row["origins"]):
            raise Unreadable("the metadata are no dicts with origins")
        return row

    def _value(self, what: str, tree: Any) -> Any:
        try:
            return self._reader.value(tree)
        except Pickled as error:
            raise PickledState(f"{what} is stored by pickle") from error
        except RecursionError as error:
            raise Unreadable(f"{what}: nests too deeply") from error
        except Unreadable as error:
            raise Unreadable(f"{what}: {error}") from error


def _filled(prototype: State, data: Any, name: str) -> State:
    """Return the empty state with what a file says; raise ``Unreadable`` where it is no value of such a state."""
    before = prototype.parameters
    try:
        prototype.from_data(data)
        if differences(before, prototype.parameters):
            raise ValueError("the value changes the parameters")
    except Exception as error:  # what is no such value fails in its own way
        raise Unreadable(f"state {name!r} holds what no {type(prototype).__name__} does ({error})") from error
    return prototype


def _like(prototype: State, found: State | Unbuilt, name: str, who: str) -> State:
    """Return a new state of the prototype's class that holds what was found."""
    kind = registry.name_of(type(found)) if isinstance(found, State) else found.class_name
    if not registry.is_named(type(prototype), kind):
        raise IncompatibleStates(
            f"{who}: state {name!r} is a {type(prototype).__qualname__} here and a {kind.rpartition(':')[2]} there. Build the "
            "metric as it was when it was saved."
        )
    there = found.parameters if isinstance(found, Unbuilt) else _described(found.parameters)
    for difference in differences(_described(prototype.parameters), there).values():
        raise IncompatibleStates(f"{who}: state {name!r}: {difference}. Build the metric as it was when it was saved.")
    state = prototype.empty()
    if isinstance(found, State):
        state.become(found)
        return state
    if found.types:
        raise SnapshotError(
            f"{who}: state {name!r} is stored by pickle and was not read. Load the file with allow_pickle=True."
        )
    try:
        return _filled(state, found.data, name)
    except Unreadable as error:
        raise SnapshotError(f"{who}: {error}. Save the snapshot again, or leave it out.") from error


def _written(writer: Writer, state: State | Unbuilt) -> dict[str, Any]:
    """Return a state's entry in the manifest."""
    parameters = state.parameters if isinstance(state, Unbuilt) else _described(state.parameters)
    if isinstance(state, Unbuilt):
        class_name, data, make = state.class_name, state.data, state.make
    else:
        class_name, data = registry.name_of(type(state)), state.to_data()
        make = state._making() if isinstance(state, Held) else None
        if differences(state.parameters, parameters):  # of which a file holds the names only
            class_name = f"{type(state).__module__}:{type(state).__qualname__}"
    before = len(writer.pickled)
    written = {"class": class_name, "parameters": writer.tree(parameters), "value": writer.tree(data)}
    written["pickled"] = writer.pickled[before:]
    if make is not None:
        written["make"] = writer.blob(make)
    return written


def _described(value: Any) -> Any:
    """Return parameters with the names of what is not plain data in its place."""
    if type(value) is dict:
        return {key: _described(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_described, value))
    return value if is_plain(value) else f"<{getattr(value, '__qualname__', type(value).__qualname__)}>"


def _coverage(tree: Any) -> Coverage:
    try:
        return Coverage.from_data(tree)
    except ValueError as error:
        raise Unreadable(f"the coverage is damaged ({error})") from error


def _dict(tree: Any) -> dict[str, Any]:
    if type(tree) is not dict:
        raise Unreadable(f"manifest.json holds a {type(tree).__name__} where an object should be")
    return tree


def _object(tree: Any, *names: str) -> dict[str, Any]:
    if _dict(tree).keys() != set(names):
        raise Unreadable(f"manifest.json holds an object with {sorted(tree)}, expected {', '.join(names)}")
    return _dict(tree)


def _list(tree: Any) -> list[Any]:
    if type(tree) is not list:
        raise Unreadable(f"manifest.json holds a {type(tree).__name__} where a list should be")
    return tree


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder last, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
