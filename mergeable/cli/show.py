"""``mergeable show``: what a file's metric says, and what that covers."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import click

from mergeable import registry
from mergeable.cli import options
from mergeable.cli.command import Command, Failure, in_options, sentence, wants_traceback
from mergeable.cli.files import PATHS, Reading, files_of, pickled_parts, write_objects
from mergeable.cli.named import import_all, named_metric
from mergeable.cli.printing import write, write_table, write_title
from mergeable.cli.values import JSON_RULES, as_json, as_text, coverage_as_json, first, flat
from mergeable.encoding.archive import Archive
from mergeable.errors import MergeableError
from mergeable.snapshot import Snapshot
from mergeable.snapshot.contents import contents, in_hand
from mergeable.snapshot.description import Unbuilt
from mergeable.wording import shown

_ROWS = 20
"""The most rows of metadata that a table has."""

_UNREAD = "not read, because stored by pickle: {}. Pass --allow-pickle if you trust who wrote the file; reading it runs code."

_HELP = f"""Show the results and coverage of snapshot files.

{PATHS} A result is computed by the metric's class, which --import registers or --metric names; where neither does, the result
of each state is shown. Exit status 1 where a file is bad or a result fails; the others are shown.

With --json one file that is named gives one object, and a folder, a pattern or several names give an array. {JSON_RULES}
A "result" that was not computed is null, and "states" has the results of the states."""


@click.command(
    cls=Command,
    help=_HELP,
    short_help="Show the results and coverage of snapshot files.",
    examples=(
        "mergeable show all.mg",
        "mergeable show all.mg -m my.metrics",
        "mergeable show 'runs/*.mg' --metric my.metrics:Accuracy",
        "mergeable show all.mg --json | jq .result",
    ),
)
@options.paths
@options.modules
@options.metric
@options.allow_pickle
@options.as_json
def show(*, paths: Sequence[str], modules: Sequence[str], metric: str | None, allow_pickle: bool, as_json: bool) -> None:
    """Show files; see the help above."""
    import_all(modules)
    chosen = None if metric is None else named_metric(metric)
    shown: list[dict[str, Any]] = []
    files = Reading(files_of(paths), allow_pickle=allow_pickle)
    for i, (file, data, snapshot) in enumerate(files):
        unread = [] if allow_pickle else pickled_parts(Archive(data).tree)
        try:
            view = View.of(file, snapshot, chosen, unread)
        except Failure as error:
            if wants_traceback():
                raise
            files.fail(file, error.message)
            continue
        if as_json:
            shown.append(view.as_json())
        else:
            write(*[""] * bool(i))
            view.write()
    if as_json:
        write_objects(shown, paths)
    files.end()


@dataclasses.dataclass(frozen=True)
class View:
    """What is shown of a file: the result of its metric, or, and why, those of its states."""

    file: str
    snapshot: Snapshot
    result: Any
    no_result: str
    states: dict[str, Shown]

    @classmethod
    def of(cls, file: str, snapshot: Snapshot, metric: Any, unread: Sequence[str]) -> View:
        """Return the view of a file; raise ``Failure`` where the result fails, or cannot be computed by the metric given.

        ``unread`` are the names of the states and attributes that are pickled.
        """
        why = "" if metric is not None else _no_result(snapshot, unread)
        if why:
            return cls(file, snapshot, None, why, dict(_states(snapshot)))
        if unread and registry.is_named(metric if isinstance(metric, type) else type(metric), snapshot.metric):
            raise Failure(f"{file}: {_UNREAD.format(first(map(repr, unread)))}")
        try:
            read = in_hand(metric, contents(snapshot), "show")
        except (MergeableError, TypeError) as error:
            text = in_options(str(error)).removeprefix("show: ")
            if metric is not None:
                raise Failure(f"{file}: {text}") from error
            return cls(file, snapshot, None, text, dict(_states(snapshot)))
        try:
            return cls(file, snapshot, read.result(), "", {})
        except Exception as error:  # the user's code raises anything
            raise Failure(sentence(error, file)) from error

    def as_json(self) -> dict[str, Any]:
        """Return the view as JSON."""
        s = self.snapshot
        view: dict[str, Any] = {"file": self.file, "metric": s.metric, "name": s.name, "mergeable": s.version}
        view["result"] = as_json(self.result)
        if self.no_result:
            view["no_result"] = self.no_result
            view["states"] = {name: shown.as_json() for name, shown in self.states.items()}
        return {**view, "coverage": coverage_as_json(s.coverage), "metadata": as_json(s.metadata)}

    def write(self) -> None:
        """Write the view as tables."""
        s = self.snapshot
        write_title(f"{self.file}: {s.metric.rpartition(':')[2]} {shown(s.name)}")
        write(str(s.coverage))
        if s.coverage.missing:
            write(f"missing: {first(s.coverage.missing)}")
        if self.no_result:
            write(f"no result: {self.no_result}", "")
            rows = (
                (name, shown.kind, f"({shown.no_result})" if shown.no_result else as_text(shown.result))
                for name, shown in self.states.items()
            )
            write_table(("state", "class", "result"), rows)
        else:
            write("")
            parts = flat(self.result)
            write_table(("result", "value"), ((name or s.name, as_text(part)) for name, part in parts))
        _write_metadata(s)


@dataclasses.dataclass(frozen=True)
class Shown:
    """What is shown of a state: its class and its result, or why there is none."""

    kind: str
    result: Any
    no_result: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        why = {"no_result": self.no_result} if self.no_result else {}
        return {"class": self.kind, "result": as_json(self.result), **why}


def _no_result(snapshot: Snapshot, unread: Sequence[str]) -> str:
    """Return why the file alone gives no result, or an empty text."""
    module, _, name = snapshot.metric.rpartition(":")
    if registry.found(snapshot.metric) is None:
        importable = module not in ("", "__main__") and "<locals>" not in name
        how = f"--metric {snapshot.metric}" if importable else "--metric MODULE:CLASS"
        return f"no class named {name} is known here; --import the module that registers it, or name it, as in {how}."
    return _UNREAD.format(first(map(repr, unread))) if unread else ""


def _states(snapshot: Snapshot) -> Iterator[tuple[str, Shown]]:
    built = snapshot.states
    for name, state in contents(snapshot).states.items():
        if isinstance(state, Unbuilt):
            kind = state.class_name.rpartition(":")[2]
            missing = state.missing.rpartition(":")[2]
            why = f"no class named {missing} is known here" if missing else "it takes far more memory than its file"
            if state.types or state.make is not None:
                why = f"{'' if state.types else 'its factory is '}stored by pickle, not read"
            yield name, Shown(kind, None, why)
            continue
        try:
            yield name, Shown(registry.label_of(type(state)), built[name].result(), "")
        except Exception as error:  # an empty state may have no result
            yield name, Shown(registry.label_of(type(state)), None, f"{type(error).__name__}: {error}")


def _write_metadata(snapshot: Snapshot) -> None:
    """Write the user's values, and how much each row of them speaks of."""
    metadata = [*snapshot.metadata]
    keys = [key for key in dict.fromkeys(key for row in metadata for key in row) if key != "origins"]
    if not keys:
        return
    with contextlib.suppress(TypeError, ValueError):  # values that have no order stay as they came
        metadata.sort(key=lambda row: [row[key] for key in keys if key in row])
    rows = []
    for row in metadata[:_ROWS]:
        covered = [snapshot.coverage[origin] for origin in row["origins"] if origin in snapshot.coverage]
        values = [as_text(row[key]) if key in row else "" for key in keys]
        rows.append((*values, f"{sum(c.updates for c in covered):,}", f"{sum(c.rows for c in covered):,}"))
    write("")
    write_table((*keys, "updates", "rows"), rows, right=[len(keys), len(keys) + 1])
    if len(metadata) > _ROWS:
        write(f"and {len(metadata) - _ROWS} more; --json has all")
