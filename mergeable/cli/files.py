"""Which files a command means, and what stands in them.

Not its job: to know what a command does with them.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import click

from mergeable.cli.command import Failure, sentence
from mergeable.cli.printing import complain, write_json
from mergeable.errors import MergeableError
from mergeable.snapshot import SUFFIX, Snapshot, disk, read_snapshot

PATHS = f"PATHS are files, folders (their *{SUFFIX} files, in order) and quoted patterns ('runs/**/*{SUFFIX}')."


def files_of(paths: Sequence[str], output: str | None = None) -> list[str]:
    """Return the files that the arguments of a command mean, without its output.

    Raises:
        Failure: a folder or a pattern has none. UsageError: the output is named as an input.
    """
    own = None if output is None else os.path.realpath(output)
    files: list[str] = []
    for path in paths:
        disk.local(path, "read")
        if means_several(path):
            all_files = _several(path)
            several = [file for file in all_files if os.path.realpath(file) != own]
            if not several:
                what = f"no *{SUFFIX} files in this folder" if Path(path).is_dir() else "no file matches"
                raise Failure(f"{path}: {what}{' but the output' if all_files else ''}")
            files.extend(several)
        elif os.path.realpath(path) == own:
            raise click.UsageError(f"{path} is an input and the output. Write to another file.")
        else:
            files.append(path)
    return files


def means_several(path: str) -> bool:
    """Return whether an argument is a folder or a pattern, and not the name of a file."""
    return Path(path).is_dir() or (glob.has_magic(path) and not os.path.lexists(path))


def total_bytes(files: Sequence[str]) -> int:
    """Return the size of all files that are there."""
    return sum(file.stat().st_size for file in map(Path, files) if file.exists())


def read_file(path: str, *, allow_pickle: bool = False) -> tuple[bytes, Snapshot]:
    """Return a file's bytes and its snapshot, in which states that are pickled are left unread unless that is allowed."""
    data = disk.read(path, "read")
    return data, read_snapshot(data, path, trusted=allow_pickle, peek=True)


def pickled_parts(tree: Any) -> list[str]:
    """Return the names of the states and attributes in a manifest that are stored by pickle, even in part."""
    parts = {name: [state["parameters"], state["value"]] for name, state in tree["states"].items()}
    return [name for name, part in {**parts, **tree["undeclared"]}.items() if _has_pickle(part)]


def write_objects(objects: Sequence[Any], paths: Sequence[str]) -> None:
    """Write an object for each file as JSON: an array, but one object alone where one file was named."""
    if len(paths) > 1 or means_several(paths[0]):
        write_json(objects)
    elif objects:
        write_json(objects[0])


@final
class Reading:
    """The snapshots of files, one after another; a bad file is named, and the others are read."""

    def __init__(self, files: Sequence[str], *, allow_pickle: bool = False) -> None:
        self._files, self._allow_pickle = files, allow_pickle
        self.failed: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[tuple[str, bytes, Snapshot]]:
        for file in self._files:
            try:
                data, snapshot = read_file(file, allow_pickle=self._allow_pickle)
            except (MergeableError, OSError) as error:
                self.fail(file, sentence(error, file))
            else:
                yield file, data, snapshot

    def fail(self, file: str, text: str) -> None:
        """Complain of a file."""
        self.failed.append((file, text))
        complain(text)

    def end(self) -> None:
        """End the command with 1 where a file was bad."""
        if self.failed:
            raise click.exceptions.Exit(1)


def _several(path: str) -> list[str]:
    if Path(path).is_dir():
        return _in_folder(path)
    found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - a pattern may be absolute
    files = [file for match in found for file in (_in_folder(match) if Path(match).is_dir() else [match])]
    return list({os.path.realpath(file): file for file in reversed(files)}.values())[::-1]  # ** finds some twice


def _in_folder(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(SUFFIX) and not entry.is_dir()]
    return [str(Path(folder, name)) for name in sorted(names) if not name.startswith(".")]


def _has_pickle(tree: Any) -> bool:
    """Return whether a value, written as ``mergeable.encoding.plain`` does, has a pickle in it."""
    if isinstance(tree, list):
        return any(map(_has_pickle, tree))
    for tag, body in tree.items() if isinstance(tree, dict) else ():  # one member, which says what it is
        if tag == "pickle" or _has_pickle([*body.values()] if tag == "dict" else body if isinstance(body, list) else None):
            return True
    return False
