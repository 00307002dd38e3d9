"""Snapshots of a metric: taken, restored, merged, and read for their results.

Not its job: to know how a metric holds its states, which is ``Metric``, whose base class this is, or how files look.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, final

from mergeable import registry
from mergeable.coverage import check_name
from mergeable.encoding.plain import is_plain
from mergeable.errors import IncompatibleStates, SnapshotError
from mergeable.metric.internals import internals
from mergeable.metric.operations import fill, own_part, read_on, take_over, twin, whole_part
from mergeable.metric.user_code import note
from mergeable.metric.verbs import check_outside
from mergeable.part import Part
from mergeable.snapshot import Snapshot, load
from mergeable.snapshot.contents import Contents, Taken, contents, taken
from mergeable.snapshot.description import Description
from mergeable.snapshot.merging import merge
from mergeable.wording import brief, named, short, shown, some

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Saveable:
    """A metric that is saved, restored, merged from files and drawn."""

    plots: ClassVar[Mapping[str, str]] = {}
    """Kinds of plots, in the order of preference, and the name of the state that each shows: ``{"roc": "rows"}``."""

    def snapshot(
        self: Any, metadata: Mapping[str, Any] | None = None, *, local: bool = False, origin: str | None = None
    ) -> Snapshot:
        """Return what the metric holds now, as an immutable snapshot.

        Where several processes work, it holds what all of them hold, so every process must call this, as ``result``, also where
        only one of them saves it: where one calls it alone, it waits for the others and raises. ``local=True`` waits for nobody.

        Args:
            metadata: values of yours that are plain data, such as a run's id, a dataset's name, a step.
            local: what this process alone holds, without an exchange. The local snapshots of all processes merge into the
                whole one.
            origin: a name for all that the snapshot holds, such as ``"2026-11-29/shard-03"``: 1 to 200 printable characters. What a
                job computes again and gives the same name is the same piece, and merging both is refused. With ``local`` each
                process gives a name of its own. Names that were restored or merged stay.

        Raises:
            TypeError: a value among the metadata is not plain data, or its name is ``"origins"``; the origin is no text.
            ValueError: the origin is no such name.
            UndeclaredState, ExchangeTimeout: as ``result`` of several processes.

        Example:
            >>> import mergeable as mg
            >>> class Rows(mg.Metric):
            ...     rows = mg.Count()
            ...     def update_state(self, x):
            ...         self.rows += len(x)
            ...     def result(self):
            ...         return self.rows.result()
            >>> monday, tuesday = Rows(), Rows()
            >>> monday.update_state([1, 2]); tuesday.update_state([3])
            >>> both = mg.merge([monday.snapshot({"day": "mon"}), tuesday.snapshot({"day": "tue"})])
            >>> both.result(Rows), sorted(row["day"] for row in both.metadata)
            (3, ['mon', 'tue'])
            >>> again = Rows()
            >>> again.update_state([1, 2])
            >>> mg.merge([metric.snapshot(origin="monday") for metric in (monday, again)])
            Traceback (most recent call last):
            mergeable.errors.DuplicateOrigin: merge: the origin monday (replica 0, 1 updates) came twice, in ... and in ...; ...
        """
        check_outside(self, "snapshot")
        if origin is not None:
            who = f"{type(self).__name__}.snapshot: "
            if not isinstance(origin, str):
                raise TypeError(f"{who}got the origin {shown(origin)}, expected a str, such as '2026-11-29/shard-03'.")
            check_name(origin, who)
        row = dict(metadata or {})
        for key, value in row.items():
            if not isinstance(key, str) or key == "origins" or not is_plain(value):
                raise TypeError(
                    f"{type(self).__name__}.snapshot: got the metadata {shown(key)}: {shown(value)}, expected strings other than 'origins', "
                    "with numbers, strings, arrays, or lists and dicts of them."
                )
        part = own_part(self) if local else whole_part(self)
        part.origin = None  # under which the metric counts on, and the snapshot does not
        if origin is not None:
            part.name(str.__str__(origin))
        rows = ({**row, "origins": sorted(part.contributions)},) if row else ()
        arguments = internals(self).declaration.arguments
        description = Description.of(type(self), self.name, arguments, own_merge=self._merges_by_itself, plots=self.plots)
        return Snapshot(Contents(description, part, metadata=rows))

    def restore(self: Any, snapshot: Snapshot | str | os.PathLike[str]) -> None:
        """Take over what a snapshot, or the file at a path, holds, whatever this metric held.

        It counts once, however many replicas and processes there are: every process restores the same snapshot. The coverage
        goes on, and what comes after has origins of its own.

        Raises:
            IncompatibleStates: it is of another class, or has other arguments or states. SnapshotError, OSError: as ``load``.
            Nothing changes then.
        """
        check_outside(self, "restore")
        if not is_saved(snapshot):
            raise TypeError(f"{type(self).__name__}.restore: got {shown(snapshot)}, expected a snapshot or the path of one.")
        saved = snapshot if isinstance(snapshot, Snapshot) else load(snapshot)
        who = f"{type(self).__name__}: restoring what mergeable {saved.version} saved"
        take_over(self, self._part_of(contents(saved), who))

    def plot(self: Any, kind: str | None = None, state: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw what the metric holds, and return the matplotlib axes; see ``mergeable.plot.plot``.

        Where several processes work, every one must call this, as ``snapshot``.
        """
        drawn: Axes = self.snapshot().plot(kind, state, ax)
        return drawn

    def _part_of(self: Any, found: Contents, who: str) -> Part:
        """Return what a snapshot holds, as such a metric holds it. States are shared with the snapshot, and refuse changes."""
        declaration = internals(self).declaration
        found.description.check_fits(type(self), declaration.arguments, who)
        part = found.part.with_states(found.states_like(declaration.states, who))
        for name in part.undeclared:
            self._check_undeclared(name, found, who)
        return part

    def _holding(self: Any, part: Part) -> Any:
        """Return a metric like this one that holds what a snapshot does."""
        made = twin(self, part)
        if internals(self).undeclared - part.undeclared.keys():
            take_over(made, part)  # an older version of the class had none of these: they are as after a reset
        return made

    def _check_undeclared(self: Any, name: str, found: Contents, who: str) -> None:
        """Raise ``SnapshotError`` unless a file may set this attribute, which no declaration covers.

        It may set what updates or resets of this metric have set. What a trusted source brings may also be new, or the constructor's,
        as of a metric whose first update is still to come. Names with two underscores in front belong to Python's protocols: nobody may set those.
        """
        undeclared = internals(self).undeclared
        is_own = name in undeclared
        inner = self.__dict__.keys() - self._plain_attributes().keys() | self._labels
        is_part = hasattr(type(self), name) or name in inner or name in internals(self).declaration.states
        if name.startswith("__") or (is_part and not is_own):
            raise SnapshotError(
                f"{who}: got the attribute {short(name)}, which is a part of the class and no value that updates set. The file is "
                "damaged or of another version of the class."
            )
        if not is_own and not found.is_trusted:
            raise SnapshotError(
                f"{who}: got the attribute {short(name)}, expected only attributes that this {type(self).__name__} has set by itself "
                f"({some(undeclared) or 'none'}), because a file chooses no names. Set it in reset_state too, which is called at "
                "construction, or load the file with allow_pickle=True if you trust who wrote it."
            )

    def _pieces(self: Any, pieces: Iterable[Any], who: str) -> list[Any]:
        """Return metrics for what ``merge_state`` got; neighbouring files become one metric, one at a time in memory."""
        found: list[Any] = []
        for saved, run in itertools.groupby(pieces, is_saved):
            if not saved:
                found.extend(run)
            elif self._merges_by_itself:
                snapshots = (piece if isinstance(piece, Snapshot) else load(piece) for piece in run)
                found.extend(self._holding(self._part_of(contents(snapshot), who)) for snapshot in snapshots)
            else:
                found.append(self._holding(self._part_of(contents(merge(run, metric=self)), who)))
        return found


@final
class _Reader:
    """What a snapshot holds, in the hands of a metric."""

    def __init__(self, metric: Any, part: Part) -> None:
        self._metric, self.states = metric, part.states

    def result(self) -> Any:
        try:
            return read_on(self._metric, self.states)
        except Exception as error:
            note(error, self._metric, "result")
            raise


@taken.register(Saveable)
def _taken(metric: Any, found: Contents, who: str) -> Taken:
    is_new = isinstance(metric, type)
    host = built(metric, found.description, who) if is_new else metric
    part = host._part_of(found, who)
    if is_new:
        fill(host, part)
    return _Reader(host if is_new else host._holding(part), part)


def built(kind: type, description: Description, who: str) -> Any:
    """Return a new metric of the class, with the arguments of a snapshot.

    Raises:
        IncompatibleStates: the snapshot is of another class. SnapshotError: the constructor needs what a file cannot hold, or refuses.
    """
    if not registry.is_named(kind, description.metric):
        raise IncompatibleStates(
            f"{who}: got a {named(description.class_name)}, expected a {kind.__qualname__}. Pass the class that was saved."
        )
    if description.omitted:
        raise SnapshotError(
            f"{who}: got the class {kind.__name__}, whose constructor took {some(description.omitted)}, which "
            "a file cannot hold. Pass an instance that was built with it."
        )
    try:
        return registry.built(kind, description.arguments)
    except Exception as error:  # a constructor of the user's, with what a file says
        raise SnapshotError(
            f"{who}: {kind.__name__} could not be built with the arguments {shown(description.arguments)} "
            f"({type(error).__name__}: {brief(error)}). Pass an instance."
        ) from error


def is_saved(piece: Any) -> bool:
    """Return whether a piece is a snapshot or the path of one."""
    return isinstance(piece, Snapshot | str | os.PathLike)
