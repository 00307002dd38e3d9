"""``mergeable merge``: many files become one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import mergeable as library
from mergeable.cli import options
from mergeable.cli.command import Command, Failure, in_options, sentence
from mergeable.cli.files import PATHS, files_of, total_bytes
from mergeable.cli.named import import_all, named_metric
from mergeable.cli.printing import complain, is_terminal, say, write_bytes
from mergeable.cli.progress import progress
from mergeable.cli.values import count, size
from mergeable.errors import MergeableError
from mergeable.snapshot import Snapshot, disk

_MANY_FILES = 200
_MANY_BYTES = 64_000_000

_HELP = f"""Merge snapshot files into one.

{PATHS} Exact states end in the same bytes in any order and in any number of processes. Memory is that of two files for each
process.

OUT is replaced where it is there, whole or not at all, and is never an input: a folder or a pattern that has it is read without
it. A device or a pipe is written into. What killed saves have left unfinished beside the files is removed. What merged, what it covers and what was left out is written to standard error."""


@click.command(
    cls=Command,
    help=_HELP,
    short_help="Merge snapshot files into one.",
    examples=(
        "mergeable merge shards -o all.mg",
        "mergeable merge 'runs/**/*.mg' -o all.mg --keep-going -j 4",
        "mergeable merge shards -o all.mg --unique night,shard --on-duplicate newer",
        "mergeable merge shards -o - | mergeable show /dev/stdin",
    ),
)
@options.paths
@click.option("-o", "--output", required=True, metavar="OUT", help="The file to write; - is standard output.")
@click.option(
    "-j",
    "--processes",
    type=click.IntRange(min=1),
    help=f"How many processes read and merge. Default: one for each core where there are more than {_MANY_FILES} files or "
    f"{_MANY_BYTES // 10**6} MB, else 1.",
)
@click.option(
    "--keep-going",
    is_flag=True,
    help="Leave out files that cannot be read or do not fit the others, name them, also in what OUT covers, and exit with 0.",
)
@click.option(
    "--on-duplicate",
    type=click.Choice(["error", "newer"]),
    default="error",
    show_default=True,
    help="Where two files hold the same updates: stop, or leave out a file all of whose updates another one holds.",
)
@click.option(
    "--unique",
    metavar="NAME,...",
    help="Names in the metadata whose values tell pieces apart, such as night,shard: two pieces in which they are equal hold the "
    "same updates, whenever they were made.",
)
@options.allow_pickle
@options.modules
@options.metric
@click.option("-q", "--quiet", is_flag=True, help="Write only what is wrong.")
def merge(
    *,
    paths: Sequence[str],
    output: str,
    processes: int | None,
    keep_going: bool,
    on_duplicate: str,
    unique: str | None,
    allow_pickle: bool,
    modules: Sequence[str],
    metric: str | None,
    quiet: bool,
) -> None:
    """Merge files; see the help above."""
    start = time.perf_counter()
    _check_writable(output)
    import_all(modules)
    in_hand = None if metric is None else named_metric(metric)
    files = files_of(paths, output)
    total = total_bytes(files)
    for folder in {Path(file).parent for file in files}:
        disk.clear(folder)
    if processes is None:
        processes = _cores() if len(files) > _MANY_FILES or total > _MANY_BYTES else 1
    merged, left_out = _merged(
        files,
        total,
        quiet=quiet,
        metric=in_hand,
        allow_pickle=allow_pickle,
        on_duplicate=on_duplicate,
        unique=[name.strip() for name in (unique or "").split(",") if name.strip()],
        keep_going=keep_going,
        processes=processes,
    )
    _save(merged, output)
    if not quiet:
        seconds = time.perf_counter() - start
        of = f" of {len(files):,}" if left_out else ""
        where = "standard output" if output == "-" else output
        files_merged = f"{len(files) - left_out:,}{of} file{'' if len(files) == 1 else 's'}"
        say(f"merged {files_merged} ({size(total)}) in {seconds:.2f} s into {where}: {merged.coverage}")


def _merged(files: Sequence[str], total: int, *, quiet: bool, **how: Any) -> tuple[Snapshot, int]:
    """Return the merged snapshot, and how many files were left out; they are named, also where none remains."""
    left_out: list[tuple[str, str]] = []
    try:
        with progress("merging", len(files), total, quiet=quiet) as advance:
            merged = library.merge(files, progress=advance, report=lambda *reason: left_out.append(reason), **how)
    except ValueError as error:
        if isinstance(error, MergeableError) or len(left_out) < len(files):
            raise
        raise Failure(f"none of {count(len(files), 'file')} could be read") from error
    finally:
        for file, reason in left_out:
            complain(f"left out {file}: {in_options(reason).removeprefix(f'{file}: ')}")
    return merged, len(left_out)


def _check_writable(output: str) -> None:
    """Fail before any work where the output could not be written."""
    if output == "-":
        if is_terminal(sys.stdout):
            raise click.UsageError("The output is bytes, and standard output is a terminal. Redirect it, or name a file.")
        return
    target = disk.local(output, "merge")
    if disk.is_written_into(target):
        return
    folder = disk.replaced(target).parent if target.is_symlink() else target.parent
    if target.is_dir() or output.endswith(os.sep):
        raise Failure(f"{output}: is a folder, expected the name of a file to write.")
    if not folder.is_dir():
        raise Failure(f"{output}: there is no folder {folder}. Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Failure(f"{output}: the folder {folder} may not be written to.")


def _save(merged: Snapshot, output: str) -> None:
    if output == "-":
        write_bytes(merged.to_bytes())
        return
    try:
        merged.save(output)
    except OSError as error:
        raise Failure(sentence(error, output)) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
