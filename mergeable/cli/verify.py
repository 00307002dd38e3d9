"""``mergeable verify``: every bit of every file, read and checked."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mergeable.cli import options
from mergeable.cli.command import Command
from mergeable.cli.files import PATHS, Reading, files_of, pickled_parts, total_bytes
from mergeable.cli.named import import_all
from mergeable.cli.printing import write, write_json
from mergeable.cli.progress import progress
from mergeable.cli.values import count, size
from mergeable.encoding.archive import Archive
from mergeable.snapshot.contents import contents

_HELP = f"""Check snapshot files: every checksum, every structure, every value of a class that is known here.

{PATHS} Each bad file is named on standard error. A state that is stored by pickle is checked by its checksum only, because
reading it would run code; one whose class is not known here is read as data. Exit status 0 where all files are good, 1 where one
is bad."""


@click.command(
    cls=Command,
    help=_HELP,
    short_help="Check every bit of snapshot files.",
    examples=(
        "mergeable verify shards",
        "mergeable verify 'runs/**/*.mg' --import my.metrics",
        "mergeable verify shards --json | jq -r '.bad[].file' | xargs rm",
    ),
)
@options.paths
@options.modules
@options.as_json
@click.option("-q", "--quiet", is_flag=True, help="Write only what is wrong.")
def verify(*, paths: Sequence[str], modules: Sequence[str], as_json: bool, quiet: bool) -> None:
    """Verify files; see the help above."""
    import_all(modules)
    names = files_of(paths)
    total = total_bytes(names)
    unread, unknown = 0, 0
    files = Reading(names)
    with progress("verifying", len(names), total, quiet=quiet) as advance:
        for _, data, snapshot in files:
            unread += len(pickled_parts(Archive(data).tree))
            unknown += sum(not state.types for state in contents(snapshot).unbuilt.values())
            advance(1, len(data))
    good, bad = len(names) - len(files.failed), files.failed
    if as_json:
        facts = {"files": len(names), "good": good, "bytes": total, "pickled": unread, "unknown": unknown}
        write_json({**facts, "bad": [{"file": file, "reason": reason} for file, reason in bad]})
    elif not quiet:
        write(f"{count(good, 'file')} good, {len(bad):,} bad, {size(total)}")
        if unread:
            write(f"{count(unread, 'state')} stored by pickle: checked by checksum only")
        if unknown:
            write(f"{count(unknown, 'state')} of classes that are not known here: read as data only")
    files.end()
