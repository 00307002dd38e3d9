"""Drawing functions, one for each kind of picture, on matplotlib axes. Each returns the notes that stand below the picture.

Not its job: to choose what is drawn, or to know metrics and files.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeable.states import Calibration, ConfusionMatrix, Histogram, LogLinearHistogram, RankQuantiles, Rows, ScoreHistogram
from mergeable.wording import at_least, at_most, distinct_decimals, number, printable, rounded, share, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELLS = 20
"""Up to so many classes, a confusion matrix has its counts in its cells; above, a colour bar."""

_BINS = 10
"""The bins of a calibration curve, of equal width."""

_STEPS = 10_000
"""The most steps of a distribution, each of them lower than a pixel."""

_LEVELS = 1_000
"""The steps that are read from a sketch."""

_SMALL = 8
"""The font size, in points, of legends and of the lines below a picture."""

_BELOW = "_below"
"""What marks those lines among the texts of axes."""


def histogram(ax: Axes, histogram: Histogram, name: str) -> list[str]:
    """Draw bars of counts in bins."""
    counts, edges = histogram.result(), histogram.edges
    places = ("NaN", f"below {number(edges[0])}", f"above {number(edges[-1])}", "-inf", "inf")
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
        texts = distinct_decimals(edges, 4, rounded)
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


def confusion(ax: Axes, matrix: ConfusionMatrix, name: str) -> list[str]:
    """Draw a matrix of counts, true labels in rows."""
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
        text if len(text) <= room else f"{text[: room // 2]}…{text[-(room // 2) + 1 :]}"
        for text in map(_on_axes, matrix.labels)
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
        drawn = _display(display).from_predictions(labels, ranks, ax=ax, plot_chance_level=True)
        ax.set(xlabel=x, ylabel=y, aspect="auto")  # a square in a small place would leave none for the legend
        _curve_legend(ax, drawn, rows.columns[1])
        return notes

    return draw


roc = _curve("RocCurveDisplay", "False positive rate", "True positive rate")
precision_recall = _curve("PrecisionRecallDisplay", "Recall", "Precision")


def roc_of_bins(ax: Axes, scores: ScoreHistogram, name: str) -> list[str]:
    """Draw the ROC curve of scores in bins."""
    notes, is_drawn = _scored(ax, scores, name)
    if is_drawn:
        false, true, _ = scores.roc_curve()
        show = _display("RocCurveDisplay")(fpr=false, tpr=true, roc_auc=scores.roc_auc())
        show.plot(ax=ax, plot_chance_level=True)
        ax.set(xlabel="False positive rate", ylabel="True positive rate", aspect="auto")
        _curve_legend(ax, show, name)
    return notes


def precision_recall_of_bins(ax: Axes, scores: ScoreHistogram, name: str) -> list[str]:
    """Draw precision over recall of scores in bins."""
    notes, is_drawn = _scored(ax, scores, name)
    if is_drawn:
        precision, recall, _ = scores.precision_recall_curve()
        chance = float(precision[0])  # where all rows are called positive
        show = _display("PrecisionRecallDisplay")(
            precision, recall, average_precision=scores.pr_auc(), prevalence_pos_label=chance
        )
        show.plot(ax=ax, plot_chance_level=True)
        ax.set(xlabel="Recall", ylabel="Precision", aspect="auto")
        _curve_legend(ax, show, name)
    return notes


def _scored(ax: Axes, scores: ScoreHistogram, name: str) -> tuple[list[str], bool]:
    """Return the notes on scores, and whether they have a curve; where they have none, write so on the axes."""
    missing = sum(scores.n_nan)
    notes = [f"{missing:{_format(scores)}} NaN"] if missing else []
    value, low, high = scores.roc_auc_estimate()
    if math.isnan(value):
        return notes + _nothing(ax, name, "no curve: one label or none"), False
    return [*notes, f"AUC certainly from {at_least(low)} to {at_most(high)}"] if high > low else notes, True


def calibration_of_bins(ax: Axes, probabilities: Calibration, name: str) -> list[str]:
    """Draw how often label 1 came over the mean probability, in each bin."""
    observed, predicted, amounts = probabilities.curve()
    some = amounts > 0
    notes = [f"{probabilities.n_nan:{_format(probabilities)}} NaN"] if probabilities.n_nan else []
    if not some.any():
        return notes + _nothing(ax, name)
    _display("CalibrationDisplay")(observed[some], predicted[some], None).plot(ax=ax, name=_visible(name))
    ax.set(xlabel="Mean predicted probability", ylabel="Fraction of positives")
    _legend(ax)
    return [f"{probabilities.bins} bins of equal width, ECE {share(probabilities.ece(), 4)}", *notes]


def calibration(ax: Axes, rows: Rows, name: str) -> list[str]:
    """Draw how often label 1 came over the mean probability of rows, in bins."""
    labels, scores, notes = _pairs(rows)
    if not labels.size:
        return notes + _nothing(ax, name)
    show = _display("CalibrationDisplay").from_predictions
    show(labels, scores, n_bins=_BINS, pos_label=1, name=_visible(rows.columns[1]), ax=ax)
    ax.set(xlabel="Mean predicted probability", ylabel="Fraction of positives")
    _legend(ax)
    return [f"{_BINS} bins of equal width", *notes]


def quantiles_of_sketch(ax: Axes, sketch: LogLinearHistogram | RankQuantiles, name: str) -> list[str]:
    """Draw the share of items up to each value, read from a sketch."""
    notes = [f"{sketch.n_nan} NaN"] if sketch.n_nan else []
    if infinite := sum(sketch.n_infinite):
        notes.append(f"{infinite} infinite")
    if not sketch.n:
        return notes + _nothing(ax, name)
    levels = np.linspace(0, 1, _LEVELS + 1)
    ax.ecdf(sketch.quantile(levels), label=f"{_visible(name)} (median {rounded(sketch.quantile(0.5))})")
    ax.set(xlabel=name, ylabel="Share of rows up to this value", ylim=(-0.02, 1.02))
    ax.grid(visible=True, alpha=0.3)
    _legend(ax)
    error = (
        f"{at_most(sketch.relative_error)} of a value"
        if isinstance(sketch, LogLinearHistogram)
        else f"{at_most(sketch.rank_error)} of rank"
    )
    return [f"error at most {error}", *notes]


def quantiles(ax: Axes, rows: Rows, name: str) -> list[str]:
    """Draw the share of rows up to each value, for each column of numbers."""
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
            ax.ecdf(steps, label=f"{_visible(title)} (median {rounded(median)})")
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


def _format(state: Histogram | ConfusionMatrix | ScoreHistogram | Calibration) -> str:
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


def unfit_pairs(rows: Rows) -> str:
    """Return why rows are no labels and scores, or an empty text."""
    if len(rows.columns) != 2:
        return f"Rows of {len(rows.columns)} columns"
    columns = rows.result()
    for name, column in columns.items():
        if not _is_numeric(column):
            return f"Rows whose column {shown(name)} has not one number a row"
    labels = _as_floats(columns[rows.columns[0]])
    strange = labels[~np.isnan(labels) & (labels != 0) & (labels != 1)]
    return f"Rows whose column {shown(rows.columns[0])} holds {number(strange[0])}" if strange.size else ""


def unfit_probabilities(rows: Rows) -> str:
    """Return why rows are no labels and probabilities, or an empty text."""
    if unfit := unfit_pairs(rows):
        return unfit
    scores = _pairs(rows)[1]
    outside = scores[(scores < 0) | (scores > 1)]
    return f"Rows whose column {shown(rows.columns[1])} holds {number(outside[0])}" if outside.size else ""


def unfit_numbers(rows: Rows) -> str:
    """Return why rows have nothing to draw, or an empty text."""
    return "" if any(map(_is_numeric, rows.result().values())) else "Rows without a column of numbers"


# Axes, legends and lines of text.


def axes_of(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return these axes, or those of a new figure of a size in inches."""
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


def matrix_size(matrix: ConfusionMatrix) -> tuple[float, float]:
    """Return inches for cells that hold their counts, and for labels of up to 30 characters."""
    n, longest_label = len(matrix.labels), max((len(str(label)) for label in matrix.labels), default=0)
    cells = n * (max(0.3, 0.09 * _longest(matrix)) if n <= _CELLS else 0.3)
    side = float(np.clip(cells, 4.0, 12)) + 0.08 * min(longest_label, 30)
    return side + (1.4 if n <= _CELLS else 2.4), side + 1.4


def _on_axes(text: Any) -> str:
    """Return a text of a file's as a picture can hold it: an SVG with a control character is no XML."""
    return printable(str(text))


def _visible(name: str) -> str:
    name = _on_axes(name)
    return f" {name}" if name.startswith("_") else name  # legends leave out what begins with an underscore


def _curve_legend(ax: Axes, drawn: Any, name: str) -> None:
    """Label a curve with its area, and that of chance, in as many digits as tell them from 0 and 1."""
    is_roc = hasattr(drawn, "roc_auc")
    measure, area = ("AUC", drawn.roc_auc) if is_roc else ("AP", drawn.average_precision)
    drawn.line_.set_label(f"{_visible(name)} ({measure} = {share(area)})")
    chance = "0.5" if is_roc else share(drawn.prevalence_pos_label)
    drawn.chance_level_.set_label(f"Chance level ({measure} = {chance})")
    _legend(ax)


def _legend(ax: Axes) -> None:
    for text in ax.legend(loc="best", fontsize=_SMALL).get_texts():
        text.set_parse_math(False)  # a dollar in a name is a dollar


def wrapped(ax: Axes, text: str, size: float) -> str:
    """Return a text in at most three lines that are not longer than the axes are wide."""
    width = max(20, int(_extent(ax)[0] / (0.5 * size)))
    return textwrap.fill(_on_axes(text), width, max_lines=3, placeholder=" …")


def write_below(ax: Axes, text: str, colour: str) -> None:
    """Write a small line below the axes' label, and below the lines that are there already."""
    above = next((line for line in reversed(ax.texts) if line.get_label() == _BELOW), ax.xaxis.label)
    place: dict[str, Any] = {"xytext": (0, -3), "textcoords": "offset points", "ha": "center", "va": "top"}
    look: dict[str, Any] = {"fontsize": _SMALL, "color": colour, "label": _BELOW, "parse_math": False}
    ax.annotate(wrapped(ax, text, _SMALL), xy=(0.5, 0), xycoords=("axes fraction", above), **place, **look)
