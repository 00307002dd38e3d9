"""``mergeable check``: the laws on a state or a metric of the user's."""

from __future__ import annotations

import contextlib
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, final

import click

from mergeable.cli.command import Command, Failure, sentence, wants_traceback
from mergeable.cli.named import checked_name, import_all, object_named
from mergeable.cli.options import modules
from mergeable.cli.printing import complain, write_table
from mergeable.cli.progress import progress
from mergeable.metric import Metric
from mergeable.state import State
from mergeable.states.object_state import state as declare
from mergeable.wording import shown

Test = Callable[[Iterable[str]], object]
"""Tests laws by their names."""


@final
class _LawsOption(click.Option):
    """An option whose help has the names of the laws, which load hypothesis."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        with contextlib.suppress(ImportError):
            from mergeable.laws.rules import LAWS

            self.help = f"Default: all. {', '.join(LAWS)}."
        return super().get_help_record(ctx)


def _chosen(texts: Sequence[str]) -> list[str]:
    """Return the names of laws that an option has; all where it has none."""
    from mergeable.laws.rules import LAWS

    names = [name.strip() for text in texts for name in text.split(",")]
    for name in names:
        if name not in LAWS:
            ctx = click.get_current_context()
            param = next(param for param in ctx.command.params if isinstance(param, _LawsOption))
            raise click.BadParameter(f"got {shown(name)}, expected some of: {', '.join(LAWS)}.", ctx, param)
    return names or list(LAWS)


@click.command(
    cls=Command,
    short_help="Test the laws of a state or a metric of yours.",
    examples=(
        "mergeable check my.states:Longest",
        "mergeable check my.states:Longest --batches my.states:texts --examples 500",
        "mergeable check my.metrics:Accuracy --batches my.metrics:batches --laws 'batch split,any tree'",
    ),
)
@click.argument("subject", callback=checked_name, metavar="MODULE:NAME")
@click.option(
    "--batches",
    callback=checked_name,
    metavar="MODULE:NAME",
    help="A Hypothesis strategy for one batch, or a function that returns one. A metric needs it; the default for a state is "
    "arrays of difficult floats.",
)
@click.option(
    "--reference",
    callback=checked_name,
    metavar="MODULE:NAME",
    help="A function that gives the exact result for a list of batches.",
)
@click.option("--laws", cls=_LawsOption, multiple=True, metavar="LAW,...", help="Default: all.")
@click.option(
    "--examples", type=click.IntRange(min=1), help="How many inputs to try for each law. Default: 100, for a metric 50."
)
@modules
def check(
    *,
    subject: str,
    batches: str | None,
    reference: str | None,
    laws: Sequence[str],
    examples: int | None,
    modules: Sequence[str],
) -> None:
    """Test the laws of a state or a metric of yours: that every cut and every tree of merges gives one answer.

    NAME is a class that needs no arguments, an instance, or a declaration by mergeable.state. Exit status 0 where all laws hold,
    1 where one is broken, with the smallest input found that breaks it.
    """
    import mergeable.laws  # noqa: F401 - says what to install before anything else can fail

    names = _chosen(laws)
    import_all(modules)
    prototype = _prototype(subject, object_named(subject))
    if isinstance(prototype, Metric) and batches is None:
        raise click.UsageError(
            f"{subject} is a metric, whose batches only you know. Name a strategy with --batches MODULE:NAME."
        )
    how: dict[str, Any] = {"reference": None if reference is None else object_named(reference)}
    if examples is not None:
        how["examples"] = examples
    test = _test(prototype, None if batches is None else _strategy(batches), how)
    rows: list[tuple[str, str, str]] = []
    broken: list[str] = []
    errors: list[str] = []
    with _notes_elsewhere(), progress("testing", len(names), len(names), noun="laws") as advance:
        for law in names:
            verdict, text = _verdict(law, test)
            rows.append((law, verdict, _statement(law)))
            if text:
                (broken if verdict == "broken" else errors).append(text)
            advance(1, 1)
    write_table(("law", "verdict", "what it says"), rows)
    hint = "" if batches else " Name batches that it takes with --batches MODULE:NAME."
    for text in [*broken, *(f"{error}{hint}" for error in errors[:1])]:
        complain(*f"{subject}: {text}".split("\n"))
    if broken or errors:
        raise click.exceptions.Exit(1)


@contextlib.contextmanager
def _notes_elsewhere() -> Iterator[None]:
    """Let Hypothesis keep its notes in a folder that goes away, and not in the one where the user works."""
    from hypothesis import configuration

    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)


def _verdict(law: str, test: Test) -> tuple[str, str]:
    """Return what to write beside a law, and what broke it."""
    from mergeable.laws import NothingTested
    from mergeable.laws.rules import LawBroken

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # batches hold NaN, and nothing at all, on purpose
            test([law])
    except LawBroken as error:
        return "broken", f"{error}{_batches(error)}"
    except NothingTested as error:
        return error.reasons[law], ""
    except Exception as error:  # the user's code raises anything
        if wants_traceback():
            raise
        return "error", sentence(error)
    return "pass", ""


def _batches(error: Exception) -> str:
    """Return the smallest batches that break a law, as Hypothesis notes them, on a line of their own."""
    found = re.search(r"batches=(.*?),\n\s*seed=", "\n".join(getattr(error, "__notes__", [])), re.DOTALL)
    return "" if found is None else "\n  batches:    " + re.sub(r"\n\s*", " ", found[1])


def _test(prototype: State | Metric, strategy: Any, how: dict[str, Any]) -> Test:
    """Return the function that tests laws by their names."""
    from mergeable import laws

    if isinstance(prototype, Metric):
        return lambda names: laws.check_metric(prototype, strategy, laws=names, **how)
    return lambda names: laws.check_state(prototype, strategy, laws=names, **how)


def _prototype(name: str, subject: Any) -> State | Metric:
    """Return an instance, of a class if need be."""
    if isinstance(subject, Metric):
        return subject
    try:
        if isinstance(subject, type) and issubclass(subject, Metric):
            return subject()
        found: State = declare(subject)
    except TypeError as error:
        hint = ""
        if isinstance(subject, type) and issubclass(subject, State | Metric):
            hint = " If its constructor needs arguments, name an instance: a variable of the module that is one."
        raise Failure(f"{name}: {error}.{hint}".replace("..", ".")) from error
    return found


def _strategy(name: str) -> Any:
    from hypothesis.strategies import SearchStrategy

    found = object_named(name)
    made = found() if callable(found) and not isinstance(found, SearchStrategy) else found
    if not isinstance(made, SearchStrategy):
        raise Failure(
            f"{name}: got {shown(made)}, expected a Hypothesis strategy, such as strategies.lists(strategies.floats())."
        )
    return made


def _statement(law: str) -> str:
    from mergeable.laws.rules import LAWS

    text = (LAWS[law].__doc__ or "").partition("\n")[0].replace("``", "").removesuffix(".")
    return text[:1].lower() + text[1:]
