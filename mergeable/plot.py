"""Pictures of merged states: one function that draws each of them as what it is.

Not its job: to know metrics, files or workers, to compute a metric's value, or to open a window.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeable.coverage import Coverage
from mergeable.state import State
from mergeable.states import ConfusionMatrix, Dict, Histogram, Keyed, Rows, Tuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["KINDS", "plot", "possible"]

_CELLS = 20
"""Up to so many classes, a confusion matrix has its counts in its cells; above, a colour bar."""

_BINS = 10
"""The bins of a calibration curve, of equal width."""

_STEPS = 10_000
"""The most steps of a distribution, each of them lower than a pixel."""

_SMALL = 8
"""The font size, in points, of legends and of the lines below a picture."""

_BELOW = "_below"
"""What marks those lines among the texts of axes."""


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
    ``Dict``, ``by_label['cat']`` of a ``Keyed``. What is not given comes from ``declared`` (kinds, and the states that they draw,
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
    kind, name = _chosen(parts, declared or {}, kind, state)
    drawn = parts[name]
    axes = _axes(ax, _KINDS[kind].size(drawn))
    notes = _KINDS[kind].draw(axes, drawn, name)
    if name != axes.get_xlabel() and sum(type(part) is type(drawn) for part in parts.values()) > 1:
        notes = [f"state {name}", *notes]
    axes.set_title(_wrapped(axes, title, 12), parse_math=False)
    axes.set_xlabel(_wrapped(axes, axes.get_xlabel(), 10), parse_math=False)
    for text, colour in (("; ".join(notes), "black"), (str(coverage), "grey")):
        if text:
            _write_below(axes, text, colour)
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
        if isinstance(state, Dict | Tuple):
            yield from _parts({f"{name}[{key}]": part for key, part in state._parts.items()})
        elif isinstance(state, Keyed):
            yield from _parts({f"{name}[{key!r}]": state[key] for key in state})


def _possible(parts: Mapping[str, State]) -> Iterator[tuple[str, str]]:
    return ((kind, name) for kind in KINDS for name, part in parts.items() if not _unfit(kind, part))


def _unfit(kind: str, state: State) -> str:
    """Return what a state is that this kind cannot show, or an empty text where it can."""
    return _KINDS[kind].unfit(state) if isinstance(state, _KINDS[kind].state) else f"a {type(state).__name__}"


def _chosen(parts: Mapping[str, State], declared: Mapping[str, str], kind: str | None, state: str | None) -> tuple[str, str]:
    """Return the kind and the name of the state to draw, or raise and say what could be drawn."""
    for known, name in declared.items():
        if known not in _KINDS or name not in parts:
            raise ValueError(
                f"plot: got the declared picture {known!r} of the state {name!r}, expected one of the kinds {_listed(KINDS)} and "
                f"one of the states {_listed(parts)}. Correct what the metric declares."
            )
    if kind is not None and kind not in _KINDS:
        raise ValueError(f"plot: got the kind {kind!r}, expected one of {_listed(KINDS)}. Choose one of them, or leave it out.")
    if state is not None and state not in parts:
        raise ValueError(
            f"plot: got the state {state!r}, expected one of {_listed(parts)}. Choose one of them, or leave it out."
        )
    if kind is None:
        kind = next((known for known, name in declared.items() if state in (None, name)), None)
    if state is None and kind is not None:
        state = declared.get(kind)
    names = list(parts) if state is None else [state]
    for tried, name in itertools.product(KINDS if kind is None else [kind], names):
        if not _unfit(tried, parts[name]):
            return tried, name
    found = _listed((f"{name!r}, {_unfit(kind or KINDS[-1], parts[name])}" for name in names), "; ") or "(none)"
    expected = _KINDS[kind].needs if kind else "a Histogram, a ConfusionMatrix or Rows with a column of numbers"
    others = _listed((f"kind={k!r} with state={n!r}" for k, n in _possible(parts) if _within(n, state)), " or ")
    raise ValueError(
        f"plot: got {f'the kind {kind!r} and ' if kind else ''}the state{'s'[: len(names) != 1]} {found}, expected {expected}. "
        f"{f'Choose {others}' if others else 'Declare such a state in the metric'}."
    )


def _within(name: str, state: str | None) -> bool:
    return state is None or name == state or name.startswith(f"{state}[")


def _listed(texts: Iterable[str], mark: str = ", ") -> str:
    """Return the first texts (a ``Keyed`` has many), and how many more there are."""
    texts = list(texts)
    return mark.join(texts[:8] + [f"{len(texts) - 8} more"] * (len(texts) > 8))


# How each kind is drawn. Each function returns what there is to say below the picture.


def _histogram(ax: Axes, histogram: Histogram, name: str) -> list[str]:
    counts, edges = histogram.result(), histogram.edges
    places = ("NaN", f"below {edges[0]:g}", f"above {edges[-1]:g}", "-inf", "inf")
    amounts = (histogram.n_nan, histogram.n_below, histogram.n_above, *histogram.n_infinite)
    outside = [f"{amount:{_format(histogram)}} {place}" for amount, place in zip(amounts, places, strict=True) if amount]
    if not counts.any() and not outside:
        return _nothing(ax, name)
    notes = [f"outside of the bins: {', '.join(outside)}"] if outside else []
    bounds = np.array(edges)
    with np.errstate(all="ignore"):
        widths = np.diff(bounds)
        visible = widths.max() < 50 * widths.min() and 1e-280 < widths.sum() < 1e300  # beyond, axes of matplotlib fail
    if not visible:
        bounds = np.arange(len(edges), dtype=np.float64)
        texts = [f"{edge:.4g}" for edge in edges]
        step = math.ceil(len(edges) * max(map(len, texts)) * 8 / _extent(ax)[0])
        ax.set_xticks(range(0, len(edges), step), texts[::step])
        notes = ["bins drawn equally wide", *notes]
    bars = ax.stairs(counts, bounds, fill=True, alpha=0.6, linewidth=1)
    bars.set_edgecolor(bars.get_facecolor())
    ax.set(xlabel=name, ylabel=_measure(histogram))
    ax.margins(x=0)
    if ax.get_yscale() == "linear":
        ax.set_ylim(0, None if counts.any() else 1)
        ax.locator_params(axis="y", integer=not histogram.weighted)
    return notes


def _confusion(ax: Axes, matrix: ConfusionMatrix, name: str) -> list[str]:
    counts, n = matrix.result(), len(matrix.labels)
    if not counts.any():
        return _nothing(ax, name)
    side = 0.8 * min(_extent(ax))
    cell = side / n
    size = cell / max(0.65 * _longest(matrix), 1.1)
    written = n <= _CELLS and size > 4  # points, below which nobody reads
    show = _display("ConfusionMatrixDisplay")(counts).plot
    shown = show(
        ax=ax,
        cmap="Blues",
        colorbar=False,
        include_values=written,
        values_format=_format(matrix),
        text_kw={"fontsize": min(size, 10)},
        im_kw={"vmin": 0} if (counts == counts[0, 0]).all() else {},  # or equal counts are white on white
    )
    if not written:
        ax.figure.colorbar(shown.im_, cax=ax.inset_axes((1.03, 0, 0.04, 1)), label=_measure(matrix))
    step = math.ceil(_SMALL / cell)
    size = float(np.clip(0.8 * cell * step, 6, 10))
    room = int(max(8, 0.6 * side / size))
    texts = [
        text if len(text) <= room else f"{text[: room // 2]}…{text[-(room // 2) + 1 :]}" for text in map(str, matrix.labels)
    ]
    turned = 0.7 * size * max(map(len, texts)) > cell * step
    ax.set_xticks(range(0, n, step), texts[::step], rotation=90 if turned else 0, fontsize=size, parse_math=False)
    ax.set_yticks(range(0, n, step), texts[::step], fontsize=size, parse_math=False)
    return [f"one label of {step} is written"] if step > 1 else []


def _curve(display: str, x: str, y: str) -> Callable[[Axes, Any, str], list[str]]:
    """Return the function that draws a curve which only the order of the scores decides."""

    def draw(ax: Axes, rows: Rows, name: str) -> list[str]:
        labels, scores, notes = _pairs(rows)
        if np.unique(labels).size < 2:
            return notes + _nothing(ax, name, f"no curve: every label is {labels[0]}" if labels.size else "no data")
        ranks = np.unique(scores, return_inverse=True)[1]  # scikit-learn refuses infinite scores
        _display(display).from_predictions(labels, ranks, name=_visible(rows.columns[1]), ax=ax, plot_chance_level=True)
        ax.set(xlabel=x, ylabel=y, aspect="auto")  # a square in a small place would leave none for the legend
        _legend(ax)
        return notes

    return draw


def _calibration(ax: Axes, rows: Rows, name: str) -> list[str]:
    labels, scores, notes = _pairs(rows)
    if not labels.size:
        return notes + _nothing(ax, name)
    show = _display("CalibrationDisplay").from_predictions
    show(labels, scores, n_bins=_BINS, pos_label=1, name=_visible(rows.columns[1]), ax=ax)
    ax.set(xlabel="Mean predicted probability", ylabel="Fraction of positives")
    _legend(ax)
    return [f"{_BINS} bins of equal width", *notes]


def _quantiles(ax: Axes, rows: Rows, name: str) -> list[str]:
    columns = rows.result()
    numeric = {title: _as_floats(column) for title, column in columns.items() if _is_numeric(column)}
    known = {title: values[~np.isnan(values)] for title, values in numeric.items()}
    notes = [f"{title} is not drawn" for title in columns if title not in numeric]
    notes += [f"{n} NaN in {title}" for title, values in numeric.items() if (n := values.size - known[title].size)]
    notes += [f"{n} infinite in {title}" for title, values in known.items() if (n := int(np.isinf(values).sum()))]
    if not any(values.size for values in known.values()):
        return notes + _nothing(ax, name)
    for title, values in known.items():
        if values.size:
            median = np.quantile(values, 0.5, method="inverted_cdf")
            levels = np.linspace(0, 1, _STEPS + 1)
            steps = values if values.size <= _STEPS else np.quantile(values, levels, method="inverted_cdf")
            ax.ecdf(steps, label=f"{_visible(title)} (median {median:.4g})")
    ax.set(xlabel=", ".join(numeric), ylabel="Share of rows up to this value", ylim=(-0.02, 1.02))
    ax.grid(visible=True, alpha=0.3)
    _legend(ax)
    return notes


def _nothing(ax: Axes, name: str, text: str = "no data") -> list[str]:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center")
    ax.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    ax.set(xlabel=name)
    return []


# What states hold.


def _format(state: Histogram | ConfusionMatrix) -> str:
    return ".6g" if state.weighted else "d"


def _measure(state: Histogram | ConfusionMatrix) -> str:
    return "sum of weights" if state.weighted else "count"


def _longest(matrix: ConfusionMatrix) -> int:
    return max((len(format(count, _format(matrix))) for count in matrix.result().ravel().tolist()), default=0)


def _is_numeric(column: np.ndarray) -> bool:
    """Return whether a column has one number a row, as (n,) or (n, 1)."""
    return column.dtype.kind in "biuf" and math.prod(column.shape[1:]) == 1


def _as_floats(column: np.ndarray) -> np.ndarray:
    return column.reshape(-1).astype(np.float64)


def _pairs(rows: Rows) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return labels (n,), scores (n,), and a note of the rows left out because one of the two is NaN."""
    labels, scores = map(_as_floats, rows.result().values())
    known = ~(np.isnan(labels) | np.isnan(scores))
    notes = [] if known.all() else [f"{int((~known).sum())} of {known.size} rows left out (NaN)"]
    return labels[known].astype(np.int64), scores[known], notes


def _unfit_pairs(rows: Rows) -> str:
    if len(rows.columns) != 2:
        return f"Rows of {len(rows.columns)} columns"
    columns = rows.result()
    for name, column in columns.items():
        if not _is_numeric(column):
            return f"Rows whose column {name!r} has not one number a row"
    labels = _as_floats(columns[rows.columns[0]])
    strange = labels[~np.isnan(labels) & (labels != 0) & (labels != 1)]
    return f"Rows whose column {rows.columns[0]!r} holds {strange[0]:g}" if strange.size else ""


def _unfit_probabilities(rows: Rows) -> str:
    if unfit := _unfit_pairs(rows):
        return unfit
    scores = _pairs(rows)[1]
    outside = scores[(scores < 0) | (scores > 1)]
    return f"Rows whose column {rows.columns[1]!r} holds {outside[0]:g}" if outside.size else ""


def _unfit_numbers(rows: Rows) -> str:
    return "" if any(map(_is_numeric, rows.result().values())) else "Rows without a column of numbers"


# Axes, legends and lines of text.


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    try:
        from matplotlib.axes import Axes
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("mergeable.plot needs matplotlib: pip install 'mergeable[plot]'") from error
    if ax is None:
        ax = Figure(figsize=size).subplots()
    if not isinstance(ax, Axes):
        raise TypeError(f"plot: got ax of type {type(ax).__name__}, expected one Axes. Give one of them, such as axes[0, 0].")
    figure = ax.figure.figure  # of a subfigure, the whole figure
    if figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained")  # or what stands below the axes is cut off
    return ax


def _display(name: str) -> Any:
    try:
        from sklearn import calibration, metrics
    except ImportError as error:
        raise ImportError("mergeable.plot needs scikit-learn: pip install 'mergeable[plot]'") from error
    return getattr(calibration if name == "CalibrationDisplay" else metrics, name)


def _extent(ax: Axes) -> tuple[float, float]:
    """Return the width and height of axes in points, before a layout makes room for labels."""
    box, scale = ax.get_window_extent(), 72 / ax.figure.dpi
    return box.width * scale, box.height * scale


def _matrix_size(matrix: ConfusionMatrix) -> tuple[float, float]:
    """Return inches for cells that hold their counts, and for labels of up to 30 characters."""
    n, longest_label = len(matrix.labels), max((len(str(label)) for label in matrix.labels), default=0)
    cells = n * (max(0.3, 0.09 * _longest(matrix)) if n <= _CELLS else 0.3)
    side = float(np.clip(cells, 4.0, 12)) + 0.08 * min(longest_label, 30)
    return side + (1.4 if n <= _CELLS else 2.4), side + 1.4


def _visible(name: str) -> str:
    return f" {name}" if name.startswith("_") else name  # legends leave out what begins with an underscore


def _legend(ax: Axes) -> None:
    for text in ax.legend(loc="best", fontsize=_SMALL).get_texts():
        text.set_parse_math(False)  # a dollar in a name is a dollar


def _wrapped(ax: Axes, text: str, size: float) -> str:
    """Return a text in at most three lines that are not longer than the axes are wide."""
    width = max(20, int(_extent(ax)[0] / (0.5 * size)))
    return "\n".join(textwrap.fill(line, width, max_lines=3, placeholder=" …") for line in text.splitlines())


def _write_below(ax: Axes, text: str, colour: str) -> None:
    """Write a small line below the axes' label, and below the lines that are there already."""
    above = next((line for line in reversed(ax.texts) if line.get_label() == _BELOW), ax.xaxis.label)
    place: dict[str, Any] = {"xytext": (0, -3), "textcoords": "offset points", "ha": "center", "va": "top"}
    look: dict[str, Any] = {"fontsize": _SMALL, "color": colour, "label": _BELOW, "parse_math": False}
    ax.annotate(_wrapped(ax, text, _SMALL), xy=(0.5, 0), xycoords=("axes fraction", above), **place, **look)


@dataclasses.dataclass(frozen=True)
class _Kind:
    """The class of state that a kind shows, what it needs in words, how it is drawn, what is unfit, and a figure's size."""

    state: type[State]
    needs: str
    draw: Callable[[Axes, Any, str], list[str]]
    unfit: Callable[[Any], str] = lambda _: ""
    size: Callable[[Any], tuple[float, float]] = lambda _: (5.4, 5.4)


_PAIRS = "Rows of two columns, labels 0 and 1 and numeric scores"
_PROBABILITIES = "Rows of two columns, labels 0 and 1 and probabilities from 0 to 1"
_ROC = _curve("RocCurveDisplay", "False positive rate", "True positive rate")
_PRECISION_RECALL = _curve("PrecisionRecallDisplay", "Recall", "Precision")
_KINDS = {
    "histogram": _Kind(Histogram, "a Histogram", _histogram, size=lambda _: (6.4, 4.4)),
    "confusion matrix": _Kind(ConfusionMatrix, "a ConfusionMatrix", _confusion, size=_matrix_size),
    "roc": _Kind(Rows, _PAIRS, _ROC, _unfit_pairs),
    "precision recall": _Kind(Rows, _PAIRS, _PRECISION_RECALL, _unfit_pairs),
    "calibration": _Kind(Rows, _PROBABILITIES, _calibration, _unfit_probabilities),
    "quantiles": _Kind(Rows, "Rows with a column of numbers", _quantiles, _unfit_numbers, lambda _: (6.4, 4.4)),
}
KINDS: tuple[str, ...] = tuple(_KINDS)
"""What can be drawn, in the order in which it is preferred."""
