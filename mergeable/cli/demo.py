"""``mergeable demo``: the library on real data, in some seconds."""

from __future__ import annotations

import tempfile

import click

from mergeable.cli.command import Command, Failure
from mergeable.cli.printing import write, write_table
from mergeable.snapshot import disk


@click.command(
    cls=Command,
    short_help="See shards merge, on real data, without TensorFlow.",
    examples=("mergeable demo", "mergeable demo --folder trial", "mergeable show trial/all.mg -m mergeable.demo"),
)
@click.option(
    "--folder", type=click.Path(file_okay=False), help="Keep the files there. Default: a folder that is deleted again."
)
def demo(folder: str | None) -> None:
    """See shards merge, on real data, without TensorFlow.

    Eight processes, two at a time, evaluate a model on scikit-learn's breast cancer data and write a snapshot file each. The files
    are merged and compared with one process, to the bit; a shard given twice and a flipped bit are refused. Exit status 1 where any
    of this were not so.
    """
    from mergeable import demo as room

    with tempfile.TemporaryDirectory() as temporary:
        place = disk.local(folder or temporary, "demo")
        place.mkdir(parents=True, exist_ok=True)
        right = room.run(place, write, write_table)
    write("", "Try next:")
    kept = folder or "trial"
    if folder is None:
        write(f"  mergeable demo --folder {kept}")
    for command in room.commands(kept):
        write(f"  {command}")
    if not right:
        raise Failure("demo: something above is not as it should be.")
