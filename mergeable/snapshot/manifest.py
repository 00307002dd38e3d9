"""The manifest of a snapshot, written and read: ``manifest.json`` in a file that nobody vouches for.

A snapshot is a zip file (``mergeable.encoding.archive``) whose ``manifest.json`` is one JSON object; values in it, but for the plain members
named here, are written as ``mergeable.encoding.plain`` says:

    format       "mergeable snapshot"
    version      the version of this format: 2 where pieces have names, else 1
    mergeable    the version of the library that wrote it
    metric       class (the registered name, or module:name), name, arguments of the constructor, omitted (those that are
                 not plain), merge ("derived", or "own" where the class has a merge_state of its own), plots
    states       by name: class, parameters, value, pickled (the types in it that are pickled), and for mergeable.state(...) make,
                 a pickle of its factory and merge function, which is read only where there is no metric in hand
    undeclared   attributes of the metric that are not declared, by name
    coverage     origins (by id: replica, worker, updates, rows), missing (pieces that a merge left out), and, from version 2 on, pieces
                 (by the name that the user gave: the ids of its origins)
    metadata     a list of the user's values, one for each snapshot that was merged, with the origins that it speaks of

A file never decides which code runs. Classes are those of the metric in hand or registered ones (``mergeable.register``), and
what is pickled is read only from a source that is trusted.

Not its job: to know metrics, or where the bytes lie.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, TypeGuard

from mergeable import registry
from mergeable.coverage import Coverage
from mergeable.encoding.archive import Archive, seal
from mergeable.encoding.plain import Pickled, Reader, Unreadable, Writer
from mergeable.encoding.wire import Classes, pickled, unpickled
from mergeable.errors import SnapshotError
from mergeable.snapshot.contents import Contents
from mergeable.snapshot.description import Description, Unbuilt, as_saved, filled
from mergeable.state import State
from mergeable.state.parameters import same
from mergeable.states.object_state import ObjectState, code_of, made_from
from mergeable.version import __version__
from mergeable.wording import brief, short, some

Known = dict[str, tuple[str, dict[str, Any], dict[str, Any], State]]
"""By the state's name, the class and the parameters in the last file, and those and an empty state that were made of them."""

FORMAT = "mergeable snapshot"
FIRST, NAMED = 1, 2

_MEMBERS = {"format", "version", "mergeable", "metric", "states", "undeclared", "coverage", "metadata"}
_ROOM = 2**19  # bytes that all states of a file may take when they are empty, whatever its size


class PickledState(Exception):
    """A part was pickled, and its source is not trusted."""


class _NoPrototype(Exception):
    """Nobody can make an empty state but a metric in hand; ``missing`` is the class that nobody knows here."""

    def __init__(self, missing: str) -> None:
        self.missing = missing


def read_contents(
    data: bytes,
    source: str,
    *,
    trusted: bool,
    peek: bool = False,
    classes: Classes | None = None,
    known: Known | None = None,
) -> Contents:
    """Return the contents of a snapshot from its file's bytes.

    ``peek`` leaves pickled states unread instead of refusing them; ``classes`` are the program's own that no name finds;
    ``known`` remembers the states of the last file, since those of the next one are alike.

    Raises:
        SnapshotError: the bytes are no snapshot, whole and unchanged, or a part is pickled and its source is not trusted.
    """
    try:
        return _ContentsReader(data, trusted=trusted, peek=peek, classes=classes, known=known).contents()
    except Unreadable as error:
        raise SnapshotError(
            f"{source}: {error}. Expected a snapshot of mergeable, whole and unchanged; save it again, or leave it out."
        ) from error
    except PickledState as error:
        raise SnapshotError(
            f"{source}: {error}. Pass allow_pickle=True if you trust who wrote the file, because reading a pickle runs code that "
            "it chooses."
        ) from error


def write_contents(contents: Contents) -> bytes:
    """Return the bytes of a file with these contents. Equal contents are equal bytes.

    Raises:
        Whatever a state that neither is plain nor pickles raises.
    """
    writer = Writer(pickled)
    description, part = contents.description, contents.part
    tree = {
        "format": FORMAT,
        "version": NAMED if part.names else FIRST,
        "mergeable": contents.version,
        "metric": {
            "class": description.metric,
            "name": description.name,
            "arguments": writer.tree(description.arguments),
            "omitted": list(description.omitted),
            "merge": "own" if description.own_merge else "derived",
            "plots": description.plots,
        },
        "states": {name: _state_tree(writer, state) for name, state in contents.states.items()},
        "undeclared": {name: writer.tree(value) for name, value in part.undeclared.items()},
        "coverage": part.coverage.to_data(),
        "metadata": [writer.tree(row) for row in contents.metadata],
    }
    return seal(tree, writer.arrays)


class _ContentsReader:
    """Reads one file's bytes. Each method raises ``Unreadable`` for what is not as it should be."""

    def __init__(self, data: bytes, *, trusted: bool, peek: bool, classes: Classes | None, known: Known | None) -> None:
        archive = Archive(data)
        self._tree = archive.tree
        self._arrays = archive.arrays
        self._room = _ROOM + 4 * len(data)  # no save writes a number of a state in less than two bytes
        self._trusted, self._peek, self._classes = trusted, peek, classes
        self._skipped = False
        self._known = known

    def contents(self) -> Contents:
        """Return what the file holds."""
        tree = self._tree
        if type(tree) is not dict or tree.get("format") != FORMAT:
            raise Unreadable("manifest.json does not say that this is a snapshot")
        version = tree.get("version")
        if type(version) is not int or not FIRST <= version <= NAMED:
            newer = "; upgrade mergeable to read what a newer one wrote" if type(version) is int and version > NAMED else ""
            raise Unreadable(
                f"it has version {short(version)} of the format, and mergeable {__version__} reads up to {NAMED}{newer}"
            )
        if tree.keys() != _MEMBERS or type(tree["mergeable"]) is not str:
            raise Unreadable(f"manifest.json has the members {some(tree)}, expected {', '.join(sorted(_MEMBERS))}")
        unpickle = functools.partial(unpickled, classes=self._classes) if self._trusted else None
        self._reader = Reader(self._arrays(), unpickle)
        description = self._description(_object(tree["metric"], "class", "name", "arguments", "omitted", "merge", "plots"))
        states = {name: self._state(name, found) for name, found in _dict(tree["states"]).items()}
        undeclared = dict(self._undeclared(_dict(tree["undeclared"])))
        coverage = _coverage(tree["coverage"])
        if version == FIRST and coverage.names:
            raise Unreadable(f"the coverage has names of pieces, which version {FIRST} of the format does not know")
        metadata = tuple(map(self._row, _list(tree["metadata"])))
        if not self._skipped:
            self._reader.finish()
        return Contents.of(
            description, states, coverage, undeclared, metadata=metadata, version=tree["mergeable"], is_trusted=self._trusted
        )

    def _description(self, found: dict[str, Any]) -> Description:
        arguments = self._value("the arguments", found["arguments"])
        plots, omitted = _dict(found["plots"]), _list(found["omitted"])
        texts = (found["class"], found["name"], *plots.values(), *omitted)
        if not _is_named(arguments) or not all(type(text) is str for text in texts) or found["merge"] not in ("own", "derived"):
            raise Unreadable("manifest.json does not say which metric this is")
        return Description(found["class"], found["name"], arguments, tuple(omitted), found["merge"] == "own", plots)

    def _state(self, name: str, found: Any) -> State | Unbuilt:
        found = {"make": None, **_dict(found)}
        class_name, parameters, types, make = found.get("class"), found.get("parameters"), found.get("pickled"), found["make"]
        if found.keys() != {"class", "parameters", "value", "pickled", "make"} or type(class_name) is not str:
            raise Unreadable(f"state {short(name)} is described by {some(found)}, expected class, parameters, value, pickled")
        if type(types) is not list or not all(type(text) is str for text in types):
            raise Unreadable(f"state {short(name)} does not say what in it is pickled")
        parameters = self._value("the parameters of state", parameters, name)
        if not _is_named(parameters):
            raise Unreadable(f"state {short(name)} has parameters that are no dict of names")
        try:
            data = self._value("state", found["value"], name)
        except PickledState:
            if not self._peek:
                raise
            self._skipped = True
            return Unbuilt(class_name, parameters, None, tuple(types) or ("?",), None, class_name)
        code = None if make is None else self._reader.array(_object(make, "array")["array"]).tobytes()
        try:
            if code is not None:
                prototype, own = self._made(name, class_name, code)
            else:
                prototype, own = self._prototype(name, class_name, parameters)
        except _NoPrototype as error:
            return Unbuilt(class_name, parameters, data, (), code, error.missing)
        return filled(prototype, own, data, name)

    def _prototype(self, name: str, class_name: str, parameters: dict[str, Any]) -> tuple[State, dict[str, Any]]:
        """Return an empty state of a registered class, and its parameters.

        Raises:
            _NoPrototype: only a metric in hand can bring it. That is also so where the states would be far larger than the file: those of a
                metric have the size that they have.
        """
        if self._known is not None and name in self._known:
            known_name, saved, own, known = self._known[name]
            if known_name == class_name and same(saved, parameters):
                return known.empty(), own
        cls = registry.found(class_name)
        if cls is None or not issubclass(cls, State):
            raise _NoPrototype(class_name)
        try:
            size = 8 * cls.cells(parameters)
            if size > self._room:
                raise _NoPrototype("")
            self._room -= size
            prototype = cls.of(parameters)
            own = prototype.parameters
        except _NoPrototype:
            raise
        except registry.NotRegistered as error:
            raise _NoPrototype(error.missing) from error
        except Exception as error:  # what is no such parameter fails in its own way
            raise Unreadable(f"state {short(name)} has parameters that no {class_name} has ({brief(error)})") from error
        if not same(own, parameters) and not same(as_saved(own), parameters):
            raise Unreadable(f"state {short(name)} has parameters that no {class_name} has")
        if self._known is not None:
            self._known[name] = (class_name, parameters, own, prototype.empty())
        return prototype, own

    def _made(self, name: str, class_name: str, make: bytes) -> tuple[State, dict[str, Any]]:
        if not self._trusted:
            raise _NoPrototype(class_name)
        try:
            made = made_from(make)
        except Exception as error:  # a pickle fails in many ways
            raise Unreadable(
                f"state {short(name)} is made by what cannot be read ({type(error).__name__}: {brief(error)})"
            ) from error
        return made, made.parameters

    def _undeclared(self, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, tree in found.items():
            try:
                yield name, self._value("attribute", tree, name)
            except PickledState:
                if not self._peek:
                    raise
                self._skipped = True
                yield name, None

    def _row(self, tree: Any) -> dict[str, Any]:
        row = self._value("the metadata", tree)
        if not _is_named(row) or type(row.get("origins")) is not list or not all(type(o) is str for o in row["origins"]):
            raise Unreadable("the metadata are no dicts with origins")
        return row

    def _value(self, what: str, tree: Any, *names: str) -> Any:
        try:
            return self._reader.value(tree)
        except Unreadable as error:
            what = " ".join([what, *map(short, names)])
            if isinstance(error, Pickled):
                raise PickledState(f"{what} is stored by pickle") from error
            raise Unreadable(f"{what}: {error}") from error


def _state_tree(writer: Writer, state: State | Unbuilt) -> dict[str, Any]:
    """Return a state's entry in the manifest."""
    own = state.parameters
    if isinstance(state, Unbuilt):
        class_name, parameters, data, make = state.class_name, own, state.data, state.make
    else:
        class_name, parameters, data = registry.name_of(type(state)), as_saved(own), state.to_data()
        make = code_of(state) if isinstance(state, ObjectState) else None
        if parameters is not own:  # some of which a file holds the names only
            class_name = f"{type(state).__module__}:{type(state).__qualname__}"
    before = len(writer.pickled)
    written = {"class": class_name, "parameters": writer.tree(parameters), "value": writer.tree(data)}
    written["pickled"] = writer.pickled[before:]
    if make is not None:
        written["make"] = writer.blob(make)
    return written


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
        raise Unreadable(f"manifest.json holds an object with {some(tree)}, expected {', '.join(names)}")
    return _dict(tree)


def _is_named(value: Any) -> TypeGuard[dict[str, Any]]:
    return type(value) is dict and all(type(key) is str for key in value)


def _list(tree: Any) -> list[Any]:
    if type(tree) is not list:
        raise Unreadable(f"manifest.json holds a {type(tree).__name__} where a list should be")
    return tree
