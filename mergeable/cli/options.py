"""Options that several commands have."""

from __future__ import annotations

import click

from mergeable.cli.named import checked_name

paths = click.argument("paths", nargs=-1, required=True, metavar="PATHS...")

modules = click.option(
    "-m",
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Import a module that registers classes (mergeable.register), from the current folder or installed. Repeatable.",
)

metric = click.option(
    "--metric",
    callback=checked_name,
    metavar="MODULE:CLASS",
    help="The metric's class, or an instance of it, where none is registered.",
)

allow_pickle = click.option(
    "--allow-pickle",
    is_flag=True,
    help="Read states that are pickled, which runs code that the file chooses. Only for files that you trust.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")
