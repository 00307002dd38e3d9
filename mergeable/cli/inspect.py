"""``mergeable inspect``: what stands in a file, whether or not its classes are known here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import numpy as np

from mergeable.cli import options
from mergeable.cli.command import Command
from mergeable.cli.files import PATHS, Reading, files_of, write_objects
from mergeable.cli.printing import write, write_table, write_title
from mergeable.cli.values import JSON_RULES, as_json, as_text, count, coverage_as_json, first, size
from mergeable.encoding.archive import Archive
from mergeable.encoding.plain import to_text
from mergeable.snapshot import Snapshot
from mergeable.snapshot.contents import contents
from mergeable.snapshot.description import Unbuilt
from mergeable.wording import shown

_HELP = f"""Show what stands in snapshot files: versions, metric, states, sizes, origins, metadata.

{PATHS} No class needs to be known and no pickle is read. Exit status 1 where a file is bad; the others are shown.

With --json one file that is named gives one object, and a folder, a pattern or several names give an array. {JSON_RULES}"""


@click.command(
    cls=Command,
    help=_HELP,
    short_help="Show what stands in snapshot files.",
    examples=(
        "mergeable inspect all.mg",
        "mergeable inspect all.mg --json | jq '.states[].bytes'",
        "mergeable inspect 'runs/*.mg' --json | jq 'map(.metric.class) | unique'",
    ),
)
@options.paths
@options.as_json
def inspect(*, paths: Sequence[str], as_json: bool) -> None:
    """Inspect files; see the help above."""
    objects = []
    files = Reading(files_of(paths))
    for i, (file, data, snapshot) in enumerate(files):
        if as_json:
            objects.append(contents_as_json(file, data, snapshot))
        else:
            write(*[""] * bool(i))
            _write(contents_as_json(file, data, snapshot), str(snapshot.coverage))
    if as_json:
        write_objects(objects, paths)
    files.end()


def contents_as_json(file: str, data: bytes, snapshot: Snapshot) -> dict[str, Any]:
    """Return all that a file says of itself, but for the values of its states."""
    archive = Archive(data)
    tree, arrays = archive.tree, archive.arrays()
    whole = contents(snapshot)
    description, built = whole.description, whole.states
    metric = {
        "class": snapshot.metric,
        "name": snapshot.name,
        "arguments": as_json(snapshot.arguments),
        "omitted": list(description.omitted),
        "merge": tree["metric"]["merge"],
        "plots": description.plots,
    }
    states = {name: _state(entry, built[name], arrays) for name, entry in tree["states"].items()}
    return {
        "file": file,
        "bytes": len(data),
        "format": tree["format"],
        "version": tree["version"],
        "mergeable": snapshot.version,
        "metric": metric,
        "states": states,
        "undeclared": {name: _bytes(value, arrays) for name, value in tree["undeclared"].items()},
        "entries": [*_entries(archive.sizes, arrays)],
        "coverage": coverage_as_json(snapshot.coverage),
        "metadata": as_json(snapshot.metadata),
    }


def _state(entry: dict[str, Any], state: Any, arrays: Sequence[np.ndarray]) -> dict[str, Any]:
    parameters = state.parameters
    return {
        "class": entry["class"],
        "known": not isinstance(state, Unbuilt),
        "parameters": as_json(parameters),
        "bytes": _bytes(entry["value"], arrays),
        "pickled": entry["pickled"],
    }


def _bytes(tree: Any, arrays: Sequence[np.ndarray]) -> int:
    """Return how many bytes a value takes: those of its text, and those of the arrays that it refers to."""
    return len(to_text(tree)) + sum(arrays[i].nbytes for i in _arrays(tree) if 0 <= i < len(arrays))


def _arrays(tree: Any) -> Iterator[int]:
    """Yield the numbers of the arrays that a value, written as ``mergeable.encoding.plain`` does, refers to."""
    if isinstance(tree, list):
        for part in tree:
            yield from _arrays(part)
    for tag, body in tree.items() if isinstance(tree, dict) else ():  # one member, which says what it is
        if tag in ("array", "bytes") and isinstance(body, int):
            yield body
        else:
            yield from _arrays([*body.values()] if tag == "dict" else body)


def _entries(sizes: dict[str, int], arrays: Sequence[np.ndarray]) -> Iterator[dict[str, Any]]:
    for i, (name, n) in enumerate(sizes.items()):
        array = {"dtype": arrays[i - 1].dtype.str, "shape": list(arrays[i - 1].shape)} if i else {}
        yield {"entry": name, "bytes": n, **array}


def _write(found: dict[str, Any], covers: str) -> None:
    metric = found["metric"]
    write_title(f"{found['file']}: {found['format']}, version {found['version']}, {size(found['bytes'])}")
    plots = [f"{kind} of {state}" for kind, state in metric["plots"].items()]
    undeclared = [f"{name} ({size(n)})" for name, n in found["undeclared"].items()]
    facts = {
        "written by": f"mergeable {found['mergeable']}",
        "metric": f"{metric['class']} {shown(metric['name'])}",
        "arguments": ", ".join(f"{name}={as_text(value)}" for name, value in metric["arguments"].items()),
        "not stored": ", ".join(f"{name}=" for name in metric["omitted"]),
        "merges": "by the merge_state of its class" if metric["merge"] == "own" else "",
        "plots": ", ".join(plots),
        "undeclared": ", ".join(undeclared),
        "covers": covers,
        "missing": first(found["coverage"]["missing"]),
        "metadata": _metadata(found["metadata"]),
    }
    write_table(("fact", "value"), ((name, text) for name, text in facts.items() if text))
    states = [
        (
            name,
            state["class"],
            ", ".join(f"{key}={as_text(value)}" for key, value in state["parameters"].items()),
            f"{state['bytes']:,}",
            ", ".join(state["pickled"]) or "no",
        )
        for name, state in found["states"].items()
    ]
    write("")
    write_table(("state", "class", "parameters", "bytes", "pickled"), states, right=[3])
    entries = [
        (entry["entry"], f"{entry['bytes']:,}", entry.get("dtype", ""), "x".join(map(str, entry.get("shape", []))))
        for entry in found["entries"]
    ]
    write("")
    write_table(("entry", "bytes", "dtype", "shape"), entries, right=[1])


def _metadata(rows: Sequence[dict[str, Any]]) -> str:
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "origins"]
    return f"{count(len(rows), 'row')} of {', '.join(keys)}" if rows else ""
