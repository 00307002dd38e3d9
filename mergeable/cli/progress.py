"""How far a command is, on standard error, while a person waits there.

Not its job: to measure anything afterwards.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from mergeable.cli.printing import has_styles, is_terminal

Advance = Callable[[int, int], None]
"""Takes a number of files and of bytes that were done since."""

_SETTLED = 0.5
"""The seconds after which a rate says something."""


@contextlib.contextmanager
def progress(verb: str, files: int, size: int, *, noun: str = "files", quiet: bool = False) -> Iterator[Advance]:
    """Show a bar with the rate and the remaining time until the block ends; give what advances it."""
    if quiet or not is_terminal(sys.stderr) or os.environ.get("TERM") == "dumb":
        yield lambda _files, _size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            done = int(task.fields["files"])
            if noun != "files":
                return Text(f"{done:,} of {files:,} {noun}")
            return Text(rate(done, files, task.completed, size, task.elapsed or 0.0))

    styled = has_styles(sys.stderr)
    console = Console(file=sys.stderr, color_system="standard" if styled else None, no_color=not styled)
    columns: tuple[Any, ...] = (TextColumn(verb), BarColumn(bar_width=None), Rate(Column(no_wrap=True)))
    with Progress(*columns, console=console, transient=True, expand=True) as shown:
        task = shown.add_task(verb, total=size, files=0)
        done = 0

        def advance(more: int, read: int) -> None:
            nonlocal done
            done += more
            shown.update(task, advance=read, files=done)

        yield advance


def rate(done: int, files: int, read: float, size: int, seconds: float) -> str:
    """Return how much is done, how fast, and how long the rest will take."""
    text = f"{done:,} of {files:,} files"
    if not done or seconds < _SETTLED:
        return text
    text += f", {done / seconds:,.0f} files/s, {read / seconds / 1e6:,.1f} MB/s"
    left = seconds * (size - read) / read if read else 0.0
    return f"{text}, {int(left) // 60}:{int(left) % 60:02d} left"
