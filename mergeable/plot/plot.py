"""Pictures of merged states: one function that chooses a kind of picture for a state and draws it.

Not its job: to know metrics, files or workers, to compute a metric's value, or to open a window.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mergeable.coverage import Coverage
from mergeable.plot import drawing
from mergeable.state import State
from mergeable.states import (
    Calibration,
    ConfusionMatrix,
    Histogram,
    Keyed,
    LogLinearHistogram,
    RankQuantiles,
    Rows,
    ScoreHistogram,
)
from mergeable.states.combinators import answers_in
from mergeable.wording import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["KINDS", "plot", "possible"]


def plot(
    states: Mapping[str, State],
    *,
    title: str,
    coverage: Coverage,
    declared: Mapping[str, str] | None = None,
    kind: str | None = None,
    state: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one of the states and return the axes; the states stay as they are.

    ``kind`` is one of ``KINDS``; ``state`` names one of ``states``, or a part: ``pair[0]`` of a ``Tuple``, ``loss[mean]`` of a
    ``Dict``, ``by_label['cat']`` of a ``Keyed``, ``metrics[kappa][matrix]`` of a ``MetricCollection``. What is not given comes from ``declared`` (kinds, and the states that they draw,
    in order of preference), or else is the first of ``possible(states)``.

    Below the picture stands what it leaves out (NaN, values outside of the bins), and the coverage. A state that holds nothing
    gives axes that say "no data". Without ``ax`` the axes are those of a new figure, which pyplot does not know:
    ``axes.figure.savefig(path)`` writes it. A figure of yours without a layout gets matplotlib's constrained one.

    Raises:
        ValueError: the kind or the state is unknown, the kind cannot show the state, or no state can be drawn.
        TypeError: ``ax`` is not one axes.
        ImportError: matplotlib is missing, or scikit-learn, which draws all kinds but "histogram" and "quantiles".

    Example:
        >>> from mergeable import Coverage, Histogram
        >>> ages = Histogram([0, 18, 65, 120])
        >>> ages.update([3, 18, 70, 130, float("nan")])
        >>> axes = plot({"ages": ages}, title="Ages", coverage=Coverage())
        >>> axes.get_title(), axes.get_xlabel(), axes.get_ylabel()
        ('Ages', 'ages', 'count')
        >>> [text.get_text() for text in axes.texts]
        ['outside of the bins: 1 NaN, 1 above 120', 'no updates']
    """
    parts = dict(_parts(states))
    way, name = _chosen(parts, declared or {}, kind, state)
    drawn = parts[name]
    axes = drawing.axes_of(ax, way.size(drawn))
    notes = way.draw(axes, drawn, name)
    if name != axes.get_xlabel() and sum(type(part) is type(drawn) for part in parts.values()) > 1:
        notes = [f"state {name}", *notes]
    axes.set_title(drawing.wrapped(axes, title, 12), parse_math=False)
    axes.set_xlabel(drawing.wrapped(axes, axes.get_xlabel(), 10), parse_math=False)
    for text, colour in (("; ".join(notes), "black"), (str(coverage), "grey")):
        if text:
            drawing.write_below(axes, text, colour)
    return axes


def possible(states: Mapping[str, State]) -> list[tuple[str, str]]:
    """Return every kind with every name of a state that it can draw, in the order in which ``plot`` prefers them.

    Example:
        >>> from mergeable import ConfusionMatrix, Count, Rows
        >>> possible({"n": Count(), "length": Rows("length"), "matrix": ConfusionMatrix(2)})
        [('confusion matrix', 'matrix'), ('quantiles', 'length')]
    """
    return list(_possible(dict(_parts(states))))


# Which state is drawn, and as what.


def _parts(states: Mapping[str, State]) -> Iterator[tuple[str, State]]:
    for name, state in states.items():
        yield name, state
        yield from _parts({f"{name}[{key}]": part for key, part in answers_in(state).items()})
        if isinstance(state, Keyed):
            yield from _parts({"".join((name, "[", repr(key), "]")): state[key] for key in state})


def _possible(parts: Mapping[str, State]) -> Iterator[tuple[str, str]]:
    return ((kind, name) for kind in KINDS for name, part in parts.items() if _way(kind, part)[0])


def _way(kind: str, state: State) -> tuple[_Way | None, str]:
    """Return the way in which a kind shows a state; where there is none, None and a text that says what the state is."""
    way = next((way for way in _KINDS[kind] if isinstance(state, way.state)), None)
    unfit = way.unfit(state) if way else f"a {type(state).__name__}"
    return (None if unfit else way), unfit


def _chosen(parts: Mapping[str, State], declared: Mapping[str, str], kind: str | None, state: str | None) -> tuple[_Way, str]:
    """Return the way and the name of the state to draw; raise ``ValueError`` with the possible choices where there is none."""
    for known, name in declared.items():
        if known not in _KINDS or name not in parts:
            raise ValueError(
                f"plot: got the declared picture {shown(known)} of the state {shown(name)}, expected one of the kinds {_listed(KINDS)} and "
                f"one of the states {_listed(parts)}. Correct what the metric declares."
            )
    if kind is not None and kind not in _KINDS:
        raise ValueError(
            f"plot: got the kind {shown(kind)}, expected one of {_listed(KINDS)}. Choose one of them, or leave it out."
        )
    if state is not None and state not in parts:
        raise ValueError(
            f"plot: got the state {shown(state)}, expected one of {_listed(parts)}. Choose one of them, or leave it out."
        )
    if kind is None:
        kind = next((known for known, name in declared.items() if state in (None, name)), None)
    if state is None and kind is not None:
        state = declared.get(kind)
    names = list(parts) if state is None else [state]
    for tried, name in itertools.product(KINDS if kind is None else [kind], names):
        way, _ = _way(tried, parts[name])
        if way:
            return way, name
    found = _listed((f"{shown(name)}, {_way(kind or KINDS[-1], parts[name])[1]}" for name in names), "; ") or "(none)"
    expected = (
        " or ".join(way.needs for way in _KINDS[kind])
        if kind
        else "a Histogram, a ConfusionMatrix, a ScoreHistogram, a Calibration, a sketch of quantiles, or Rows with a column of numbers"
    )
    others = _listed((f"kind={shown(k)} with state={shown(n)}" for k, n in _possible(parts) if _within(n, state)), " or ")
    raise ValueError(
        f"plot: got {f'the kind {shown(kind)} and ' if kind else ''}the state{'s'[: len(names) != 1]} {found}, expected {expected}. "
        f"{f'Choose {others}' if others else 'Declare such a state in the metric'}."
    )


def _within(name: str, state: str | None) -> bool:
    return state is None or name == state or name.startswith(f"{state}[")


def _listed(texts: Iterable[str], mark: str = ", ") -> str:
    """Return the first texts (a ``Keyed`` has many), and how many more there are."""
    texts = list(texts)
    return mark.join(texts[:8] + [f"{len(texts) - 8} more"] * (len(texts) > 8))


# The kinds.


@dataclasses.dataclass(frozen=True)
class _Way:
    """One way to show a class of state: its needs in words, the drawing function, the check of a state, and a figure's size."""

    state: type[State]
    needs: str
    draw: Callable[[Axes, Any, str], list[str]]
    unfit: Callable[[Any], str] = lambda _: ""
    size: Callable[[Any], tuple[float, float]] = lambda _: (5.4, 5.4)


_PAIRS = "Rows of two columns, labels 0 and 1 and numeric scores"
_PROBABILITIES = "Rows of two columns, labels 0 and 1 and probabilities from 0 to 1"


def _wide(_: Any) -> tuple[float, float]:
    return 6.4, 4.4


_KINDS = {
    "histogram": [_Way(Histogram, "a Histogram", drawing.histogram, size=_wide)],
    "confusion matrix": [_Way(ConfusionMatrix, "a ConfusionMatrix", drawing.confusion, size=drawing.matrix_size)],
    "roc": [
        _Way(Rows, _PAIRS, drawing.roc, drawing.unfit_pairs),
        _Way(ScoreHistogram, "a ScoreHistogram", drawing.roc_of_bins),
    ],
    "precision recall": [
        _Way(Rows, _PAIRS, drawing.precision_recall, drawing.unfit_pairs),
        _Way(ScoreHistogram, "a ScoreHistogram", drawing.precision_recall_of_bins),
    ],
    "calibration": [
        _Way(Rows, _PROBABILITIES, drawing.calibration, drawing.unfit_probabilities),
        _Way(Calibration, "a Calibration", drawing.calibration_of_bins),
    ],
    "quantiles": [
        _Way(Rows, "Rows with a column of numbers", drawing.quantiles, drawing.unfit_numbers, _wide),
        _Way(LogLinearHistogram, "a LogLinearHistogram", drawing.quantiles_of_sketch, size=_wide),
        _Way(RankQuantiles, "a RankQuantiles", drawing.quantiles_of_sketch, size=_wide),
    ],
}
KINDS: tuple[str, ...] = tuple(_KINDS)
"""What can be drawn, in the order in which it is preferred."""
