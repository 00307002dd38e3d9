"""What goes to standard output and standard error: plain text in a pipe or a file, some bold letters on a terminal.

Texts come as lines, so that what a file, a path or an error says begins no line of its own.

Not its job: to know what the text says.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, TextIO

from mergeable.wording import printable

NO_READER = 141
"""The exit status where the reader of a pipe went away: 128 and the number of SIGPIPE."""

_ENDLESS = 1_000_000  # columns of a line in a pipe, where nothing needs to be cut


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person reads what is written there."""
    return stream is not None and not stream.closed and stream.isatty()


def has_styles(stream: TextIO | None) -> bool:
    """Return whether escape codes are welcome there."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (is_terminal(stream) and os.environ.get("TERM") not in ("dumb", "unknown"))


class Block(str):
    """A cell of a table that is made here and has several lines; what any other text has of them becomes an escape."""

    __slots__ = ()


def write(*lines: str) -> None:
    """Write lines to standard output, now; a character that has no place in a line becomes an escape."""
    _write("".join(f"{printable(line)}\n" for line in lines))


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output, now and all of them, or end the command."""
    rest = memoryview(data)
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard output")
    try:
        while rest:
            rest = rest[sys.stdout.buffer.write(rest) :]  # an unbuffered stream takes a part
        sys.stdout.buffer.flush()
    except OSError as error:
        _drop_the_rest()
        if isinstance(error, BrokenPipeError):  # as in ``mergeable show ... | head``
            raise SystemExit(NO_READER) from None
        raise OSError(error.errno, error.strerror, "standard output") from None


def write_json(value: Any) -> None:
    """Write a value as JSON, all in ASCII, for readers in any language."""
    write(*json.dumps(value, indent=2, allow_nan=False).split("\n"))


def say(*lines: str) -> None:
    """Write lines to standard error."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # there is no better place to complain
            sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
            sys.stderr.flush()


def complain(text: str, *lines: str) -> None:
    """Write what is wrong to standard error, and lines that belong to it."""
    say(f"mergeable: {text}", *lines)


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> None:
    """Write rows in columns, those in ``right`` flush right, and the header in bold."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for i, title in enumerate(header):
        table.add_column(Text(printable(title)), justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text("\n".join(map(printable, cell.split("\n") if isinstance(cell, Block) else [cell]))) for cell in row)
        )
    styled = has_styles(sys.stdout)
    width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else _ENDLESS
    file = io.StringIO()
    colours: Literal["standard"] | None = "standard" if styled else None
    Console(file=file, width=width, force_terminal=styled, color_system=colours, legacy_windows=False).print(table)
    _write("".join(line.rstrip() + "\n" for line in file.getvalue().splitlines()))


def write_title(text: str) -> None:
    """Write a line in bold."""
    line = printable(text)
    _write(f"\x1b[1m{line}\x1b[0m\n" if has_styles(sys.stdout) else f"{line}\n")


def _write(text: str) -> None:
    if sys.stdout is not None:
        write_bytes(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def _drop_the_rest() -> None:
    """Let what could not be written go nowhere, or Python would try again at its end, and complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
