"""Pictures of merged states."""

import io
import itertools
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve
from sklearn.neighbors import KNeighborsClassifier

import mergeable as mg
from mergeable import ConfusionMatrix, Contribution, Count, Coverage, Dict, Histogram, Keyed, Rows, Sum, Tuple, wording
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric.internals import internals
from mergeable.metrics import AUROC
from mergeable.plot import KINDS, plot, possible
from mergeable.state.access import freeze
from tests.effort import HANG, some

COVERAGE = Coverage({"a": Contribution(0, 9, 300), "b": Contribution(1, 9, 269)})
PAIRS = "Rows of two columns, labels 0 and 1 and numeric scores or a ScoreHistogram"
ANY = "a Histogram, a ConfusionMatrix, a ScoreHistogram, a Calibration, a sketch of quantiles, or Rows with a column of numbers"


def fed(state, *batch):
    state.update(*batch)
    return state


def draw(states, **chosen):
    return plot(states, **{"title": "A title", "coverage": COVERAGE, **chosen})


def cancer(nan=0):
    """Return whether a tumour is benign, and a probability of it by its radius alone, with rows of NaN at the end."""
    x, y = load_breast_cancer(return_X_y=True)
    score = 1 / (1 + np.exp(3 * (x[:, 0] - x[:, 0].mean()) / x[:, 0].std()))
    return np.concatenate([y, [0] * nan]), np.concatenate([score, [np.nan] * nan])


def digits():
    x, y = load_digits(return_X_y=True)
    return fed(ConfusionMatrix(10), y[900:], KNeighborsClassifier(1).fit(x[:900], y[:900]).predict(x[900:]))


def progression():
    return fed(Histogram(range(0, 351, 25)), load_diabetes(return_X_y=True)[1])


def special():
    histogram = Histogram([0, 1, 2, 3], weighted=True)
    values = [0.5, 1.5, 1.5, np.nan, -7, 3.5, 4, -np.inf, np.inf]
    return fed(histogram, values, [0.5, 1, 2, 0.25, 3, 4, 5, 6, 7.5])


def diagonal(n, count=1):
    return fed(ConfusionMatrix(n), np.repeat(np.arange(n), count), np.repeat(np.arange(n), count))


def drawn_as(kind):
    """Return states that this kind shows, made of real data."""
    if kind == "histogram":
        return {"target": progression()}
    if kind == "confusion matrix":
        return {"matrix": digits()}
    return {"rows": fed(Rows("y_true", "y_pred"), *cancer())}


def texts(artists):
    return [artist.get_text() for artist in artists]


def below(ax):
    """Return the lines below the axes."""
    return [text for text in ax.texts if text.get_label() == "_below"]


def in_axes(ax):
    return [text for text in ax.texts if text.get_label() != "_below"]


def legend(ax):
    return texts(ax.get_legend().get_texts())


def same(expected, actual):
    return np.array_equal(np.asarray(expected, float), np.asarray(actual, float))


# What can be drawn, and what is.


def test_kinds():
    """The kinds have these names, in this order of preference."""
    assert ("histogram", "confusion matrix", "roc", "precision recall", "calibration", "quantiles") == KINDS


def test_possible():
    """Each kind comes with each state that it can show, parts of states included, in the order of kinds."""
    rows = fed(Rows("y_true", "y_pred"), [0, 1], [-2.0, 3.0])
    keyed = fed(Keyed(Histogram([0, 1])), ["cat"], [0.5])
    states = {"n": Count(), "logits": rows, "words": fed(Rows("word"), ["to"]), "vectors": fed(Rows("v"), [[1.0, 2.0]])}
    states |= {"pair": Tuple(Count(), ConfusionMatrix(2)), "loss": Dict(mean=Sum(), bins=Histogram([0, 1])), "by_label": keyed}
    expected = [
        *(("histogram", "loss[bins]"), ("histogram", "by_label['cat']"), ("confusion matrix", "pair[1]")),
        *(("roc", "logits"), ("precision recall", "logits"), ("quantiles", "logits")),
    ]
    assert expected == possible(states)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (([True, False], [1, 2]), ["roc", "precision recall", "quantiles"]),
        (([1.0, 0.0, np.nan], [0.5, 1.0, 0.0]), ["roc", "precision recall", "calibration", "quantiles"]),
        (([1, 0], [[0.5], [1.0]]), ["roc", "precision recall", "calibration", "quantiles"]),
        (([1, 0], [-0.5, 0.5]), ["roc", "precision recall", "quantiles"]),
        (([1, 2], [0.5, 0.5]), ["quantiles"]),
        (([1, 0], ["a", "b"]), ["quantiles"]),
        ((["a", "b"], ["a", "b"]), []),
        (([1, 0], [0.5, 0.5], [1.0, 1.0]), ["quantiles"]),
        (([], []), ["roc", "precision recall", "calibration", "quantiles"]),
    ],
)
def test_what_rows_can_show(columns, expected):
    """Labels of 0 and 1 beside scores make curves, probabilities calibration, and any column of numbers quantiles."""
    rows = fed(Rows(*"abc"[: len(columns)]), *columns)
    assert expected == [kind for kind, _ in possible({"rows": rows})]


def test_the_first_declared_kind_is_the_default():
    """Without a kind the first declared one is drawn, of its state; a kind or a state alone chooses its declaration."""
    rows, other = fed(Rows("y", "declared"), *cancer()), fed(Rows("y", "other"), *cancer())
    states = {"bins": progression(), "other": other, "rows": rows}
    declared = {"precision recall": "rows", "calibration": "rows", "histogram": "bins"}

    assert "Recall" == draw(states, declared=declared).get_xlabel()
    assert "declared" == legend(draw(states, declared=declared, kind="calibration"))[1]
    assert "bins" == draw(states, declared=declared, state="bins").get_xlabel()
    assert (
        "Mean predicted probability"
        == draw(states, declared={"roc": "other", "calibration": "rows"}, state="rows").get_xlabel()
    )
    assert ("False positive rate", "other (AUC = 0.94)") == (
        (ax := draw(states, declared=declared, state="other")).get_xlabel(),
        legend(ax)[0],
    )
    assert "other (AUC = 0.94)" == legend(draw(states, kind="roc"))[0]
    assert "bins" == draw(states).get_xlabel()


def test_a_picture_of_one_of_several_states_names_it():
    """Where another state is of the same class, a note says which one is drawn; the others are not mentioned."""
    assert "state b" == draw({"a": digits(), "b": digits()}, state="b").texts[-2].get_text()
    assert [str(COVERAGE)] == texts(below(draw({"a": digits(), "n": Count()})))


# The kinds.


def test_histogram():
    """The steps are the counts between the edges, the axes start at 0, and nothing is said where nothing is left out."""
    histogram = progression()
    ax = draw({"target": histogram}, title="Progression")
    values, edges, _ = ax.patches[0].get_data()

    assert same(histogram.result(), values)
    assert same(histogram.edges, edges)
    assert ("Progression", "target", "count") == (ax.get_title(), ax.get_xlabel(), ax.get_ylabel())
    assert (0, (0, 350)) == (ax.get_ylim()[0], ax.get_xlim())
    assert [str(COVERAGE)] == texts(ax.texts)


def test_weighted_histogram_with_special_values():
    """Weights are shown as they add up, and what lies outside of the bins is told with its weight."""
    ax = draw({"error": special()})

    assert same([0.5, 3, 0], ax.patches[0].get_data().values)
    assert "sum of weights" == ax.get_ylabel()
    assert ["outside of the bins: 0.25 NaN, 3 below 0, 9 above 3, 6 -inf, 7.5 inf", str(COVERAGE)] == texts(ax.texts)


def test_counts_are_told_in_full():
    """A large count outside of the bins has all its digits."""
    ax = draw({"bins": fed(Histogram([0, 1]), np.full(1_234_567, 2.0))})
    assert "outside of the bins: 1234567 above 1" == ax.texts[0].get_text()


def test_counts_are_whole_on_the_axis():
    """The axis of small counts has whole numbers; where all values are outside of the bins it goes up to 1."""
    one, none = draw({"bins": fed(Histogram([0, 1]), [0.5])}), draw({"bins": fed(Histogram([0, 1]), [np.nan])})

    assert [0, 1] == [tick for tick in one.get_yticks() if tick <= 1]
    assert ((0, 1), "outside of the bins: 1 NaN") == (none.get_ylim(), none.texts[0].get_text())


@pytest.mark.parametrize("edges", [[0.0, 0.001, 1.0, 1000.0], [0.0, 5e-324, 1e-323], [-1.7e308, 0.0, 1.7e308]], ids=str)
def test_bins_that_cannot_be_drawn_to_scale(edges):
    """Bins of very unequal, tiny or huge widths are drawn equally wide, with their edges written, and a note says so."""
    histogram = fed(Histogram(edges), [edges[0], edges[1], edges[1]])
    ax = draw({"bins": histogram})

    assert same(histogram.result(), ax.patches[0].get_data().values)
    assert same(range(len(edges)), ax.patches[0].get_data().edges)
    assert [f"{edge:.4g}" for edge in edges] == texts(ax.get_xticklabels())
    assert "bins drawn equally wide" == ax.texts[0].get_text()


def test_a_logarithmic_axis_stays():
    """Axes whose counts are to be logarithmic stay so."""
    ax = Figure().subplots()
    ax.set_yscale("log")
    assert "log" == draw({"target": progression()}, ax=ax).get_yscale()


def test_confusion_matrix():
    """Each cell has its count, each row and column its label, and there is no colour bar."""
    matrix = digits()
    ax = draw({"matrix": matrix})

    assert list(map(str, matrix.result().ravel())) == texts(in_axes(ax))
    assert list(map(str, range(10))) == texts(ax.get_xticklabels()) == texts(ax.get_yticklabels())
    assert ("Predicted label", "True label", []) == (ax.get_xlabel(), ax.get_ylabel(), ax.child_axes)
    assert same(matrix.result(), ax.images[0].get_array())


def test_weighted_confusion_matrix():
    """Cells of weights show six digits."""
    matrix = fed(ConfusionMatrix(["cat", "dog"], weighted=True), ["cat", "dog"], ["cat", "cat"], [0.5, 12.3456789])
    assert ["0.5", "0", "12.3457", "0"] == texts(in_axes(draw({"matrix": matrix})))


@pytest.mark.parametrize(("n", "size", "written"), [(20, None, True), (21, None, False), (20, 3, False)])
def test_large_confusion_matrices(n, size, written):
    """Above 20 classes, or where the counts would be too small to read, a colour bar says what the colours mean."""
    ax = draw({"matrix": diagonal(n, count=100)}, ax=None if size is None else Figure(figsize=(size, size)).subplots())

    assert (n * n if written else 0) == len(in_axes(ax))
    assert ([] if written else ["count"]) == [bar.get_ylabel() for bar in ax.child_axes]


def test_labels_are_written_where_there_is_room():
    """Of many labels as many are written as fit, and a note says how many; long ones are turned, and shortened in the middle."""
    ax = draw({"matrix": diagonal(200)})
    (step,) = {int(b) - int(a) for a, b in itertools.pairwise(texts(ax.get_yticklabels()))}
    assert step > 1
    assert (f"one label of {step} is written", []) == (below(ax)[0].get_text(), crowded(ax.figure))

    long = "class " + "x" * 90 + " end"
    ax = draw({"matrix": fed(ConfusionMatrix([long, "cat", *range(8)]), [long], ["cat"])})
    shortened, cat = texts(ax.get_yticklabels())[:2]
    assert ("class ", " end", "cat", True) == (shortened[:6], shortened[-4:], cat, "x…x" in shortened and len(shortened) < 40)
    assert {90.0} == {label.get_rotation() for label in ax.get_xticklabels()}
    assert ([], True) == (crowded(ax.figure), ax.get_window_extent().height > 0.5 * ax.figure.bbox.height)
    assert {0.0} == {label.get_rotation() for label in draw({"matrix": diagonal(10)}).get_xticklabels()}
    assert draw({"matrix": diagonal(10)}).figure.get_figwidth() + 2 < ax.figure.get_figwidth()


def test_equal_counts_can_be_read():
    """Where all counts are equal, their colour differs from the cells'."""
    ax = draw({"matrix": diagonal(1, count=7)})
    cell = ax.images[0].to_rgba(np.array(7.0))

    assert "7" == in_axes(ax)[0].get_text()
    assert max(abs(np.subtract(cell, in_axes(ax)[0].get_color()))) > 0.5


def test_roc():
    """The curve is scikit-learn's, beside the line of chance; the legend has the area and the column's name."""
    y, score = cancer()
    ax = draw({"rows": fed(Rows("y_true", "y_pred"), y, score)}, kind="roc")
    curve, chance = ax.lines
    fpr, tpr, _ = roc_curve(y, score)

    assert same((fpr, tpr), curve.get_data())
    assert same(((0, 1), (0, 1)), chance.get_data())
    assert [f"y_pred (AUC = {roc_auc_score(y, score):.2f})", "Chance level (AUC = 0.5)"] == legend(ax)
    assert ("False positive rate", "True positive rate", "auto") == (ax.get_xlabel(), ax.get_ylabel(), ax.get_aspect())
    assert {8} == {text.get_fontsize() for text in ax.get_legend().get_texts()}


def test_precision_recall():
    """The curve is scikit-learn's, beside the share of positives."""
    y, score = cancer()
    ax = draw({"rows": fed(Rows("y_true", "y_pred"), y, score)}, kind="precision recall")
    curve, chance = ax.lines
    precision, recall, _ = precision_recall_curve(y, score)

    assert same((recall, precision), curve.get_data())
    assert same([y.mean()] * 2, chance.get_ydata())
    assert ("Recall", "Precision") == (ax.get_xlabel(), ax.get_ylabel())


def test_calibration():
    """The points are scikit-learn's in ten bins, beside the diagonal."""
    rows = fed(Rows("y_true", "y_pred"), *cancer())
    ax = draw({"rows": rows}, kind="calibration")
    perfect, curve = ax.lines
    fraction, mean = calibration_curve(*rows.result().values(), n_bins=10)

    assert same((mean, fraction), curve.get_data())
    assert same(((0, 1), (0, 1)), perfect.get_data())
    assert ["Perfectly calibrated", "y_pred"] == legend(ax)
    assert ["10 bins of equal width", str(COVERAGE)] == texts(ax.texts)


def test_quantiles():
    """Each column of numbers has the steps of its distribution and its median; what is not drawn is told."""
    x, y = load_diabetes(return_X_y=True)
    bmi = np.where(np.arange(len(y)) < 3, np.nan, x[:, 2])
    rows = fed(Rows("bmi", "target", "name"), bmi, np.where(y > 300, np.inf, y), ["someone"] * len(y))
    ax = draw({"rows": rows})
    first, second = ax.lines

    assert same(np.sort(bmi[3:]), np.unique(first.get_xdata()).repeat(np.unique(bmi[3:], return_counts=True)[1]))
    assert 1 == first.get_ydata()[-1]
    assert same(np.mean(bmi[3:] <= bmi[10]), first.get_ydata()[first.get_xdata() == bmi[10]].max())
    assert same(np.mean(y <= 300), second.get_ydata()[np.isfinite(second.get_xdata())][-1])
    assert [f"bmi (median {np.median(bmi[3:]):.4g})", f"target (median {np.sort(y)[220]:.4g})"] == legend(ax)
    assert f"name is not drawn; 3 NaN in bmi; {(y > 300).sum()} infinite in target" == ax.texts[0].get_text()
    assert ("bmi, target", "Share of rows up to this value") == (ax.get_xlabel(), ax.get_ylabel())
    assert (-0.02, 1.02) == ax.get_ylim()


def test_quantiles_of_many_rows():
    """Of many rows so many steps are drawn that none can be seen."""
    values = np.random.default_rng(1).normal(size=100_000)
    x, y = draw({"rows": fed(Rows("x"), values)}).lines[0].get_data()

    assert 10_002 == len(x)
    assert np.abs(y[1:] - np.searchsorted(np.sort(values), x[1:], side="right") / 100_000).max() <= 1.01e-4


@pytest.mark.parametrize("kind", ["roc", "precision recall", "calibration"])
def test_rows_with_nan_are_counted(kind):
    """Rows with NaN are left out of the curve, and a note says how many there are."""
    ax = draw({"rows": fed(Rows("y_true", "y_pred"), *cancer(nan=2))}, kind=kind)
    without = draw({"rows": fed(Rows("y_true", "y_pred"), *cancer())}, kind=kind)

    assert [same(a.get_data(), b.get_data()) for a, b in zip(without.lines, ax.lines, strict=True)] == [True, True]
    assert below(ax)[0].get_text().endswith("2 of 571 rows left out (NaN)")


def test_infinite_scores():
    """Infinite scores have their place in the order of the scores."""
    infinite = fed(Rows("y", "s"), [1, 0, 0, 1, 1], [np.inf, -np.inf, 0.0, 0.5, -1.0])
    finite = fed(Rows("y", "s"), [1, 0, 0, 1, 1], [9.0, -9.0, 0.0, 0.5, -1.0])
    assert same(draw({"rows": finite}).lines[0].get_data(), draw({"rows": infinite}).lines[0].get_data())


EMPTY = [
    *[("histogram", Histogram([0, 1])), ("confusion matrix", ConfusionMatrix(3)), ("confusion matrix", ConfusionMatrix())],
    *[(kind, Rows("y", "s")) for kind in KINDS[2:]],
    ("quantiles", fed(Rows("x"), [np.nan, np.nan])),
    ("roc", fed(Rows("y", "s"), [1.0, np.nan], [np.nan, 0.5])),
]


@pytest.mark.parametrize(("kind", "state"), EMPTY, ids=lambda value: value if isinstance(value, str) else type(value).__name__)
def test_no_data(kind, state):
    """A state that holds nothing gives axes that say so, name the state, and count what was left out."""
    ax = draw({"nothing": state}, kind=kind, coverage=Coverage())

    assert ["no data"] == texts(in_axes(ax))
    assert ("A title", "nothing", "no updates") == (ax.get_title(), ax.get_xlabel(), ax.texts[-1].get_text())
    assert (isinstance(state, Rows) and len(state) > 0) == (len(below(ax)) == 2)


def test_one_label_makes_no_curve():
    """Where every label is the same, the axes say which; calibration needs but one."""
    states = {"rows": fed(Rows("y", "s"), [1, 1], [0.5, 0.75])}

    assert ["no curve: every label is 1"] == texts(in_axes(draw(states, kind="roc")))
    assert ["no curve: every label is 1"] == texts(in_axes(draw(states, kind="precision recall")))
    assert same(([0.5, 0.75], [1, 1]), draw(states, kind="calibration").lines[1].get_data())


# States, axes, figures and texts.


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_states_stay_as_they_are(kind, frozen):
    """Plotting changes no byte of a state, and draws merged copies, which cannot be changed."""
    states = drawn_as(kind)
    if frozen:
        freeze(next(iter(states.values())))
    before = {name: canonical_bytes(state) for name, state in states.items()}
    draw(states, kind=kind)
    assert before == {name: canonical_bytes(state) for name, state in states.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_files(kind, tmp_path):
    """A picture becomes a PNG file of many colours and a well-formed SVG file with its title, and pyplot holds no figure."""
    ax = draw(drawn_as(kind), kind=kind)
    ax.figure.savefig(tmp_path / "picture.png")
    ax.figure.savefig(tmp_path / "picture.svg")
    pixels = plt.imread(tmp_path / "picture.png")

    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 20
    assert "{http://www.w3.org/2000/svg}svg" == ET.parse(tmp_path / "picture.svg").getroot().tag
    assert "<!-- A title -->" in (tmp_path / "picture.svg").read_text()
    assert [] == plt.get_fignums()


def crowded(figure):
    """Return the texts of a figure that overlap, or that it cuts off."""
    figure.draw_without_rendering()
    shown = []
    for ax in figure.axes:
        shown += [ax.title, ax.xaxis.label, ax.yaxis.label, *below(ax)]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown += [
                tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_visible()
            ]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown if text.get_text()]
    cut = [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > figure.bbox.x1 or box.y1 > figure.bbox.y1]
    return cut + [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)]


LONG = fed(
    ConfusionMatrix([f"class number {i} of a few" for i in range(6)]),
    ["class number 3 of a few"] * 2,
    ["class number 4 of a few"] * 2,
)
MANY = Coverage({str(i): Contribution(i, 1, 10, worker=i) for i in range(60)})


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_overlaps(kind):
    """In a figure of its own, no text of a picture overlaps another or is cut off, however long title and coverage are."""
    assert [] == crowded(draw(drawn_as(kind), kind=kind, title="A rather long title " * 5, coverage=MANY).figure)


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_nothing_overlaps_in_a_grid(layout):
    """In a grid of subplots, of any layout, no text overlaps another or is cut off, and the axes that came are returned."""
    figure = Figure(figsize=(9, 8), layout=layout)
    axes = figure.subplots(2, 2)
    states = [{"rows": fed(Rows("y", "s"), *cancer(nan=3))}, {"long": LONG}, {"error": special()}, {"many": diagonal(30)}]
    for ax, state in zip(axes.flat, states, strict=True):
        assert ax is draw(state, ax=ax, coverage=MANY)

    assert [] == crowded(figure)
    assert "TightLayoutEngine" == type(figure.get_layout_engine()).__name__ or layout != "tight"


def test_texts_that_overlap_would_be_found():
    """Without a layout, the texts of a grid do overlap."""
    figure = Figure()
    for ax in figure.subplots(2, 2).flat:
        draw({"error": special()}, ax=ax)
    figure.set_layout_engine("none")
    assert [] != crowded(figure)


def test_subfigures():
    """Axes of a subfigure are drawn in."""
    figure = Figure()
    ax = figure.subfigures(1, 2)[1].subplots()
    draw({"matrix": digits()}, ax=ax)
    assert (100, []) == (len(in_axes(ax)), crowded(figure))


def test_two_curves():
    """A second picture in the same axes adds its curve, and its coverage below the first one's."""
    ax = draw({"rows": fed(Rows("y", "first"), *cancer())})
    draw({"rows": fed(Rows("y", "second"), *cancer())}, ax=ax, coverage=Coverage())

    assert ["first (AUC = 0.94)", "second (AUC = 0.94)"] == legend(ax)[::2]
    assert [str(COVERAGE), "no updates"] == texts(below(ax))
    assert [] == crowded(ax.figure)


def test_the_coverage_stands_below():
    """The coverage is a small grey line below the label of the axes, shortened where it is longer than three lines."""
    ax = draw({"target": progression()})
    ax.figure.draw_without_rendering()
    (line,) = below(ax)
    assert ("grey", 8, True) == (
        line.get_color(),
        line.get_fontsize(),
        line.get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0,
    )

    named = MANY.named("a night " * 20).named("another one " * 15)
    lines = below(draw({"target": progression()}, coverage=named))[0].get_text().split("\n")
    assert (3, True, "…") == (len(lines), str(named).startswith(lines[0]), lines[-1][-1])


def test_names_are_taken_literally():
    """Dollars and underscores in names are what they are, not mathematics and not hidden."""
    rows = fed(Rows("y", "_cost in $ and $"), *cancer())
    ax = draw({"rows": rows}, title="$x$", kind="quantiles")
    figure_texts = [ax.title, ax.xaxis.label, *ax.get_legend().get_texts()]

    assert [False] * 4 == [text.get_parse_math() for text in figure_texts]
    assert " _cost in $ and $ (AUC = 0.94)" == legend(draw({"rows": rows}))[0]
    labels = ["$a$", "$b$"]
    shown = draw({"matrix": fed(ConfusionMatrix(labels), labels, labels)})
    assert [False] * 4 == [text.get_parse_math() for text in [*shown.get_xticklabels(), *shown.get_yticklabels()]]


# Errors.

STATES = {
    "matrix": diagonal(2),
    "labels": fed(Rows("y", "s"), [0, 2], [0.5, 3.0]),
    "logits": fed(Rows("y", "s"), [0, 1], [0.5, 3.0]),
    "n": Count(),
    "pair": Tuple(Histogram([0, 1]), Sum()),
}
SEVEN = "; ".join(f"'many[{i}]', a Sum" for i in range(7))
NAMES = "matrix, labels, logits, n, pair, pair[0], pair[1]"
ERRORS = [
    ({"kind": "pie"}, f"the kind 'pie', expected one of {', '.join(KINDS)}. Choose one of them, or leave it out."),
    ({"state": "rows"}, f"the state 'rows', expected one of {NAMES}. Choose one of them, or leave it out."),
    (
        {"kind": "roc", "state": "matrix"},
        (
            f"the kind 'roc' and the state 'matrix', a ConfusionMatrix, expected {PAIRS}. Choose kind='confusion matrix' with "
            "state='matrix'."
        ),
    ),
    (
        {"kind": "roc", "state": "labels"},
        (
            f"the kind 'roc' and the state 'labels', Rows whose column 'y' holds 2, expected {PAIRS}. Choose kind='quantiles' with "
            "state='labels'."
        ),
    ),
    (
        {"kind": "calibration", "state": "logits"},
        (
            "the kind 'calibration' and the state 'logits', Rows whose column 's' holds 3, expected Rows of two columns, labels 0 "
            "and 1 and probabilities from 0 to 1 or a Calibration. Choose kind='roc' with state='logits' or kind='precision recall' with "
            "state='logits' or kind='quantiles' with state='logits'."
        ),
    ),
    ({"state": "n"}, f"the state 'n', a Count, expected {ANY}. Declare such a state in the metric."),
    ({"state": "pair"}, f"the state 'pair', a Tuple, expected {ANY}. Choose kind='histogram' with state='pair[0]'."),
    (
        {"declared": {"roc": "rows"}},
        (
            f"the declared picture 'roc' of the state 'rows', expected one of the kinds {', '.join(KINDS)} and one of the states "
            f"{NAMES}. Correct what the metric declares."
        ),
    ),
    (
        {"declared": {"pie": "matrix"}},
        (
            f"the declared picture 'pie' of the state 'matrix', expected one of the kinds {', '.join(KINDS)} and one of the states "
            f"{NAMES}. Correct what the metric declares."
        ),
    ),
    (
        {"declared": {"roc": "labels"}},
        (
            f"the kind 'roc' and the state 'labels', Rows whose column 'y' holds 2, expected {PAIRS}. Choose kind='quantiles' with "
            "state='labels'."
        ),
    ),
]


@pytest.mark.parametrize(("chosen", "text"), ERRORS, ids=[str(chosen) for chosen, _ in ERRORS])
def test_errors(chosen, text):
    """What cannot be drawn is refused with what came, what was expected and what to do; the axes that came stay empty."""
    ax = Figure().subplots()
    with pytest.raises(ValueError, match="plot: got") as refused:
        draw(STATES, ax=ax, **chosen)

    assert f"plot: got {text}" == str(refused.value)
    assert (False, [], "") == (ax.has_data(), list(ax.texts), ax.get_title())


@pytest.mark.parametrize(
    ("states", "chosen", "text"),
    [
        ({}, {}, f"the states (none), expected {ANY}. Declare such a state in the metric."),
        (
            {"n": Count(), "words": fed(Rows("w"), ["to"])},
            {},
            (
                f"the states 'n', a Count; 'words', Rows without a column of numbers, expected {ANY}. Declare such a state in the "
                "metric."
            ),
        ),
        (
            {"a": Rows("y", "s", "weight"), "b": fed(Rows("y", "s"), [1], [[1.0, 2.0]])},
            {"kind": "roc"},
            (
                f"the kind 'roc' and the states 'a', Rows of 3 columns; 'b', Rows whose column 's' has not one number a row, "
                f"expected {PAIRS}. Choose kind='quantiles' with state='a' or kind='quantiles' with state='b'."
            ),
        ),
        (
            {"many": fed(Keyed(Sum()), range(20), np.ones(20))},
            {},
            (f"the states 'many', a Keyed; {SEVEN}; 13 more, expected {ANY}. Declare such a state in the metric."),
        ),
    ],
    ids=["no states", "none fits", "kind without a state", "many states"],
)
def test_nothing_can_be_drawn(states, chosen, text):
    """Where no state can be drawn, the error says which there are, and what each of them is."""
    with pytest.raises(ValueError, match="plot: got") as refused:
        draw(states, **chosen)
    assert f"plot: got {text}" == str(refused.value)


def test_several_axes_are_refused():
    """An array of axes, as pyplot's subplots gives, is refused."""
    match = r"^plot: got ax of type ndarray, expected one Axes\. Give one of them, such as axes\[0, 0\]\.$"
    with pytest.raises(TypeError, match=match):
        draw({"target": progression()}, ax=Figure().subplots(2, 2))


def said_by(code):
    """Return what a fresh process prints."""
    command, root = [sys.executable, "-c", textwrap.dedent(code)], Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG, cwd=root)
    return run.stdout.strip()


def test_the_import_is_light():
    """``import mergeable.plot`` and ``possible`` load neither matplotlib nor scikit-learn."""
    code = """
    import sys
    import mergeable as mg, mergeable.plot
    print(mergeable.plot.possible({"bins": mg.Histogram([0, 1])}), {"matplotlib", "sklearn"} & set(sys.modules))
    """
    assert "[('histogram', 'bins')] set()" == said_by(code)


@pytest.mark.parametrize(
    ("module", "kind", "expected"),
    [
        ("matplotlib", "quantiles", "mergeable.plot needs matplotlib: pip install 'mergeable[plot]'"),
        ("sklearn", "roc", "mergeable.plot needs scikit-learn: pip install 'mergeable[plot]'"),
        ("sklearn", "calibration", "mergeable.plot needs scikit-learn: pip install 'mergeable[plot]'"),
        ("sklearn", "quantiles", "drawn"),
    ],
)
def test_missing_libraries(module, kind, expected):
    """Where a library is missing, the error says in one sentence what to install; quantiles need no scikit-learn."""
    code = f"""
    import sys
    sys.modules[{module!r}] = None
    import mergeable as mg
    from mergeable.plot import plot
    rows = mg.Rows("y", "s")
    rows.update([0, 1], [0.25, 0.5])
    try:
        plot({{"rows": rows}}, title="", coverage=mg.Coverage(), kind={kind!r})
        print("drawn")
    except ImportError as error:
        print(error)
    """
    assert expected == said_by(code)


class Ages(mg.Metric):
    """A metric that declares what is drawn of it."""

    bins = mg.Histogram([0.0, 1.0, 2.0])
    rows = mg.Rows("age")
    plots = {"quantiles": "rows"}

    def update_state(self, ages):
        self.bins.update(ages)
        self.rows.update(ages)

    def result(self):
        return len(self.rows)


@pytest.mark.parametrize("saved", [False, True])
def test_a_metric_and_its_snapshot_are_drawn_alike(saved):
    """plot() of a metric, and of a snapshot that was read without its class, shows the declared kind, or the one asked for."""
    metric = Ages(name="ages")
    metric.update_state([0.5, 1.5, 1.7])
    before = canonical_bytes(internals(metric).fold())
    drawn = mg.Snapshot.from_bytes(metric.snapshot().to_bytes()) if saved else metric
    bins = drawn.plot("histogram", "bins")

    assert "Share of rows up to this value" == drawn.plot().get_ylabel()
    assert [1, 2] == bins.patches[0].get_data().values.tolist()
    assert "ages" == bins.get_title()
    assert bins is drawn.plot(ax=bins)
    assert before == canonical_bytes(internals(metric).fold())


# Sketches.

DRAWN = np.random.default_rng(0)
LABELS = (DRAWN.random(500) < 0.4).astype(int)
SCORES = np.clip(0.3 * LABELS + 0.7 * DRAWN.random(500), 0, 1)


def sketched(state, *batch):
    state.update(*batch)
    return state


@pytest.mark.parametrize(
    ("kind", "state", "batch", "axis", "note"),
    [
        ("roc", mg.ScoreHistogram(), (LABELS, SCORES), "False positive rate", "AUC certainly from"),
        ("precision recall", mg.ScoreHistogram(), (LABELS, SCORES), "Recall", "AUC certainly from"),
        ("calibration", mg.Calibration(), (LABELS, SCORES), "Mean predicted probability", "15 bins of equal width, ECE 0."),
        ("quantiles", mg.LogLinearHistogram(), (SCORES,), "it", "error at most 0.0039 of a value"),
        ("quantiles", mg.RankQuantiles(), (SCORES,), "it", "error at most 0.0133 of rank"),
    ],
    ids=lambda x: x if isinstance(x, str) and " " not in x else None,
)
def test_sketches(kind, state, batch, axis, note):
    """Scores in bins, calibration and sketches of quantiles have the pictures of rows, and say what is certain, or "no data"."""
    assert (kind, "it") in possible({"it": state})
    axes = plot({"it": state.empty()}, title="t", coverage=mg.Coverage(), kind=kind)
    assert any(text.get_text().startswith(("no data", "no curve")) for text in axes.texts)
    axes = plot({"it": sketched(state.empty(), *batch)}, title="t", coverage=mg.Coverage(), kind=kind)
    assert axis == axes.get_xlabel()
    assert note in axes.texts[-2].get_text()
    assert axes.get_legend() is not None


def test_curves_of_bins_are_those_of_rows():
    """The ROC curve of bins has the area of the rows' curve."""
    from sklearn.metrics import auc

    rows = sketched(mg.Rows("y", "s"), LABELS, SCORES)
    bins = plot({"it": sketched(mg.ScoreHistogram(), LABELS, SCORES)}, title="t", coverage=mg.Coverage(), kind="roc")
    whole = plot({"it": rows}, title="t", coverage=mg.Coverage(), kind="roc")
    assert abs(auc(*bins.lines[0].get_data()) - auc(*whole.lines[0].get_data())) < 1e-3


def test_ready_made_metrics_say_what_they_are():
    """A ready-made metric and its snapshot have the picture that it declares."""
    metric = AUROC()
    metric.update_state(LABELS, SCORES)
    for holder in (metric, metric.snapshot()):
        assert "False positive rate" == holder.plot().get_xlabel()
        assert "Recall" == holder.plot(kind="precision recall").get_xlabel()


def test_missing_scores_are_told():
    """Scores and probabilities that are NaN, and infinite numbers, are told below the picture."""
    odd = np.where(np.arange(500) < 3, np.nan, SCORES)
    for kind, state, batch in [
        ("roc", mg.ScoreHistogram(), (LABELS, odd)),
        ("calibration", mg.Calibration(), (LABELS, odd)),
        ("quantiles", mg.LogLinearHistogram(), (odd,)),
    ]:
        axes = plot({"it": sketched(state, *batch)}, title="t", coverage=mg.Coverage(), kind=kind)
        assert "3 NaN" in axes.texts[-2].get_text()


# What a picture says is so.

NEAR = np.r_[np.zeros(500), np.ones(500)], np.r_[np.arange(499.0), 500.5, np.arange(500.0, 1000)]


@pytest.mark.parametrize("state", [Rows("y", "score"), mg.ScoreHistogram()], ids=["rows", "bins"])
@pytest.mark.parametrize(("kind", "measure"), [("roc", "AUC"), ("precision recall", "AP")])
def test_no_number_is_rounded_into_its_limit(state, kind, measure):
    """An area below 1 has as many digits as tell it from 1, one that is 1 has two, and so has what chance gives."""
    labels, scores = NEAR
    text, chance = legend(draw({"s": fed(state.empty(), labels, scores)}, kind=kind))
    value = float(re.search(rf"\({measure} = ([0-9.]+)\)", text)[1])
    assert 0.99 < value < 1
    assert f"Chance level ({measure} = {'0.5' if kind == 'roc' else '0.50'})" == chance
    text, _ = legend(draw({"s": fed(state.empty(), labels, np.arange(1000.0))}, kind=kind))
    assert f"({measure} = 1.00)" in text
    few = np.arange(1000) == 7
    _, chance = legend(draw({"s": fed(state.empty(), few, np.arange(1000.0))}, kind=kind))
    assert f"Chance level ({measure} = {'0.5' if kind == 'roc' else '0.001'})" == chance


def test_edges_are_told_apart():
    """Edges that are written have as many digits as tell them apart, and those that values lie outside of are whole."""
    edges = [0.0, 1e-9, 1234567.25, 1234567.5]
    axes = draw({"h": fed(mg.Histogram(edges), [1e9, -1.0, 5.0])})
    assert "outside of the bins: 1 below 0, 1 above 1234567.5" in " ".join(texts(axes.texts))
    assert ["0", "1e-09", "1234567.25", "1234567.5"] == [text.get_text() for text in axes.get_xticklabels()]


@pytest.mark.parametrize("low", [0.99996, 0.5, 1e-9])
def test_bounds_stay_bounds(low):
    """What is certain is rounded away from the value, and into no limit."""
    high = min(low + 3e-5, 0.999999)
    assert 0 < float(wording.at_least(low)) <= low
    assert high <= float(wording.at_most(high)) < 1


HOSTILE = ["\x1b[2J", "a\x00b", "\ud800", "\ufffe", "a\nb", "$x^", "<b>&--", "_under", "\x0b\x85\u2028", "\\frac{", ""]


@pytest.mark.parametrize("i", range(len(HOSTILE)))
def test_names_of_strangers_are_valid_in_pictures(i):
    """Whatever names say, of states, columns, labels, metrics and pieces, the SVG is XML, and shows no mathematics."""
    name = HOSTILE[i]
    states = {
        f"r{name}": fed(Rows(f"y{name}", f"s{name}"), [0, 1, 1], [0.1, 0.7, 0.2]),
        f"m{name}": fed(mg.ConfusionMatrix(), [f"a{name}", "b"], [f"c{name}", "b"]),
        f"h{name}": fed(mg.Histogram([0, 1]), [0.5]),
        f"b{name}": fed(mg.ScoreHistogram(), [0, 1], [0.1, 0.2]),
        f"q{name}": fed(mg.LogLinearHistogram(), [0.5]),
    }
    pictures = [*possible(states)]
    for kind, state in some(pictures, len(pictures) // 3, seed=i):
        axes = plot(states, title=f"t{name}", coverage=mg.Coverage({}, [f"p{name}"]), kind=kind, state=state)
        file = io.BytesIO()
        axes.figure.savefig(file, format="svg")
        ET.fromstring(file.getvalue())
