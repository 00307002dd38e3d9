"""One command: its errors are sentences, its exit statuses those of Unix, and its help ends with examples.

Not its job: to know what any command does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import IO, Any, NoReturn, final

import click

from mergeable.cli.printing import complain, say
from mergeable.errors import MergeableError

INTERRUPTED = 130

_TRACEBACK = "mergeable.traceback"

_WORDS = (
    (r"^merge: ", ""),
    (r"^\[Errno \d+\] ([^:]*): .*", r"\1"),
    (r"on_duplicate='newer'", "--on-duplicate newer"),
    (r"shorter ones with unique", "shorter ones with --unique"),
    (
        r"Pass metric=MyMetric, register the classes with mergeable\.register, or",
        "Pass --metric MODULE:CLASS, import the module that registers them with --import MODULE, or",
    ),
    (r"Load the file with allow_pickle=True", "Pass --allow-pickle if you trust who wrote the file"),
    (r"allow_pickle=True", "--allow-pickle"),
    (r"[Pp]ass the metric in hand, as in metric\.merge_state\(\[path\]\)", "pass --metric MODULE:CLASS"),
    (r"Merge it with metric\.merge_state", "Merge it in Python with metric.merge_state"),
    (r"Pass an instance( that was built with it)?", r"Name an instance\1 with --metric MODULE:NAME"),
    (r"Pass the class that was saved", "Name the class that was saved"),
    (
        r"^one of processes=(\d+) ended.*",
        r"one of \1 processes ended by itself; perhaps there was not enough memory. Pass --processes 1.",
    ),
    (r"kind='([^']*)' with state=('[^']*'|\"[^\"]*\")", r"--kind '\1' --state \2"),
    (r"mergeable\.plot needs", "plot needs"),
    (r"mergeable\.laws needs", "check needs"),
)
"""What the library says of its arguments, and what that is here."""


@final
class Failure(click.ClickException):
    """A command that failed: the text is shown as it is."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - click's signature
        """Write the text to standard error."""
        complain(self.message)


@final
class Group(click.Group):
    """The commands, in the order in which they were added; wrong usage is told in our way."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands."""
        return list(self.commands)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command that the arguments name, and exit."""
        try:
            status = super().main(*args, **{**extra, "standalone_mode": False})
        except click.UsageError as error:
            if error.message:
                _tell_usage(error)
            else:  # no command at all, which shows the help
                error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort:
            complain("aborted")
            sys.exit(1)
        sys.exit(status if isinstance(status, int) else 0)


def _tell_usage(error: click.UsageError) -> None:
    """Write what click would, in which a path is written as it came, as lines that are printable."""
    if error.ctx is not None:
        say(
            *error.ctx.get_usage().splitlines(),
            f"Try '{error.ctx.command_path} {error.ctx.help_option_names[0]}' for help.",
            "",
        )
    say(f"Error: {error.format_message()}")


@final
class Command(click.Command):
    """A command of ``mergeable``."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._examples = examples
        self.params.append(click.Option(["--traceback"], is_flag=True, hidden=True, envvar="MERGEABLE_TRACEBACK"))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whatever it raises ends it with a sentence and a status."""
        ctx.meta[_TRACEBACK] = traceback = ctx.params.pop("traceback")
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("interrupted")
            ctx.exit(INTERRUPTED)
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            cause = error.__cause__ if isinstance(error, Failure) else error
            if traceback and cause is not None and not isinstance(cause, click.ClickException):
                raise cause from None
            if isinstance(error, click.ClickException):
                raise
            raise Failure(sentence(error)) from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples, each on a line of its own."""
        with formatter.section("Examples"):
            for example in self._examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def wants_traceback() -> bool:
    """Return whether an error of the user's code is to be raised rather than told, and so ends the command."""
    return bool(click.get_current_context().meta[_TRACEBACK])


def sentence(error: BaseException, source: str = "") -> str:
    """Return an error as a sentence that speaks of options; one that is no error of this library has its class's name.

    ``source`` is the file that it is about, where the error may not say so.
    """
    if isinstance(error, OSError) and error.strerror:
        where, text = source or error.filename or "", error.strerror
        return f"{where}: {text}" if where else text
    known = isinstance(error, MergeableError | ImportError | click.ClickException)
    text = in_options(str(error)) if known else f"{type(error).__name__}: {error}".removesuffix(": ")
    return text if not source or text.startswith(f"{source}: ") else f"{source}: {text}"


def in_options(text: str) -> str:
    """Return a text of the library, with the options of the commands in the place of arguments."""
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    return text
