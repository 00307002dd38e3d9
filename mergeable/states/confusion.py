"""Confusion matrices: how often each label was predicted for each true label."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, Literal, final

import numpy as np

from mergeable.numeric import exact, keys, saved_values
from mergeable.numeric.conversion import as_items, objects
from mergeable.numeric.inputs import as_float64, is_zero, unweighted, weighed
from mergeable.state import State
from mergeable.state.parameters import as_whole
from mergeable.states.counting import add_counts, counts_of, set_counts
from mergeable.states.sums import Count, Sum, add_at, check_weights
from mergeable.wording import repeated, short, shown

_LAYOUTS = ("rows", "cells", "one-hot")


@final
class ConfusionMatrix(State):
    """Counts of (true label, predicted label): the sufficient statistic of accuracy, F1, kappa, MCC, Jaccard and more.

    ``classes``: n for the labels 0 to n - 1; or the labels in order (integers or strings); or None for labels that are
    not known before, which are then kept in a canonical order (numbers, then strings). Labels from TensorFlow's strings
    (bytes) are read as UTF-8; whole floats are integers. Empty: all counts 0. Exact, commutative.
    Memory: 8 n**2 bytes; with None it grows with the distinct pairs (``bounded`` is False).

    ``update(y_true, y_pred, weights=None)``: one label each for every row, (n,) or (n, 1); weights need ``weighted=True``, whose cells are
    exact sums. ``layout`` says how else labels come: ``"cells"`` are arrays of any one shape in which every cell is a label, as of pixels and
    tokens; ``"one-hot"`` are rows (n, k) with a single 1, at the place of the class, or plain labels (n,).

    Raises:
        ValueError: a label is NaN, not whole or not among the classes; shapes differ, or are not of the layout; weights came to a
            matrix that counts.
        IncompatibleStates: on merging matrices of other classes.
        OverflowError: a count would pass 2**63 - 1.

    Example:
        >>> matrix = ConfusionMatrix(["cat", "dog"])
        >>> matrix.update(["cat", "dog", "dog"], ["cat", "cat", "dog"])
        >>> matrix.result().tolist()
        [[1, 0], [1, 1]]
        >>> found = ConfusionMatrix()
        >>> found.update([b"b", b"a"], ["a", "a"])
        >>> found.labels, found.result().tolist()
        (('a', 'b'), [[1, 0], [1, 0]])
    """

    _undoes_updates = True
    _mutated = ("_cells",)

    def __init__(
        self,
        classes: int | Sequence[Any] | None = None,
        weighted: bool = False,
        layout: Literal["rows", "cells", "one-hot"] = "rows",
    ) -> None:
        if layout not in _LAYOUTS:
            raise ValueError(f"ConfusionMatrix: got layout={shown(layout)}, expected one of {', '.join(map(repr, _LAYOUTS))}.")
        self.layout = layout
        labels: Sequence[Any] | None = classes  # type: ignore[assignment]  # but for a number
        if isinstance(classes, int | float | complex | str | bytes | np.generic):
            labels = range(as_whole(classes, "ConfusionMatrix: got {} classes", 1))
        self.weighted = bool(weighted)
        self.bounded = labels is not None
        self._classes = None if labels is None else tuple(_label(label) for label in labels)
        self._plain = None if self._classes is None else tuple(map(keys.plain, self._classes))
        if self._classes is not None and len(set(self._classes)) != len(self._classes):
            raise ValueError(
                f"ConfusionMatrix: got the classes {shown(classes)}, of which {shown(keys.plain(repeated(self._classes)))} comes twice, expected labels that differ."
            )
        self._counted = self._classes == tuple(range(len(self._classes or ())))
        self._cells: dict[Any, Any] | Count | Sum = {}
        if self._classes is not None:
            shape = (len(self._classes),) * 2
            self._cells = Sum(shape) if weighted else Count(shape)

    @property
    def parameters(self) -> dict[str, Any]:
        """``classes`` (None, or the labels) and ``weighted``; the layout says how labels come, and not what is counted."""
        return {"classes": self._plain, "weighted": self.weighted}

    def _recipe(self) -> Any:
        return ConfusionMatrix, (self._plain, self.weighted, self.layout)

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return one number for each pair of declared classes."""
        classes = parameters["classes"]
        if classes is not None and type(classes) is not tuple:
            raise ValueError(f"found the classes {short(classes)}, expected None or a tuple of labels")
        return len(classes or ()) ** 2

    @property
    def labels(self) -> tuple[Any, ...]:
        """The labels of the rows and columns of ``result()``."""
        return tuple(map(keys.plain, self._labels())) if self._plain is None else self._plain

    def empty(self) -> ConfusionMatrix:
        """Return a fresh identity with the same classes, which are not checked again."""
        fresh = ConfusionMatrix(weighted=self.weighted, layout=self.layout)
        fresh.bounded, fresh._classes, fresh._plain, fresh._counted = self.bounded, self._classes, self._plain, self._counted
        fresh._cells = {} if isinstance(self._cells, dict) else self._cells.empty()
        return fresh

    def update(self, y_true: Any, y_pred: Any, weights: Any = None) -> None:
        """Take true and predicted labels, both (n,) unless ``layout`` says otherwise, each pair with a weight (default 1)."""
        if weights is not None and not self.weighted:
            raise unweighted("ConfusionMatrix.update", "matrix counts", "Declare ConfusionMatrix(classes, weighted=True)")
        weight = None
        if weights is not None:
            shape = np.shape(y_true)
            if self.layout == "rows":  # before cells of weight 0 are left out, after which others would look like rows
                _check_rows(shape, "y_true")
            shape = shape if self.layout == "cells" else shape[:1]
            (y_true, y_pred), weight = weighed((y_true, y_pred), weights, "ConfusionMatrix.update", shape)
        true, pred = as_items(y_true, "ConfusionMatrix.update"), as_items(y_pred, "ConfusionMatrix.update")
        if self.layout == "one-hot":
            true, pred = self._of_one_hot(true, "y_true"), self._of_one_hot(pred, "y_pred")
        if true.size != pred.size or (true.ndim and pred.ndim and true.shape[0] != pred.shape[0]):
            raise ValueError(
                f"ConfusionMatrix.update: got y_true of shape {true.shape} and y_pred of shape {pred.shape}, expected one "
                "predicted label for each true one. Take argmax of scores first."
            )
        if self.layout != "cells":
            _check_rows(true.shape, "y_true")
            _check_rows(pred.shape, "y_pred")
        rows, columns = self._indices(true, "y_true"), self._indices(pred, "y_pred")
        if isinstance(self._cells, dict):
            cells, amounts = self._cells, self._pair_amounts(rows, columns, weight)
            if self._is_recorded:
                before = counts_of(cells, amounts)
                self._record(lambda: set_counts(self._cells, before))  # type: ignore[arg-type]  # a dict here
            add_counts(cells, amounts)
        else:
            places = rows * len(self._classes or ()) + columns
            self.buffer(*((places,) if weight is None else (places, weight)))

    def absorb(self, places: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take buffered flat places (n,) of pairs among the declared classes, and weights (n,)."""
        add_at(self._cells, places, weights)  # type: ignore[arg-type]  # no dict: the classes are declared

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the other's cells."""
        if isinstance(self._cells, dict):
            add_counts(self._cells, other._cells)  # type: ignore[arg-type]  # both are dicts: equal parameters
        else:
            self._cells.merge(other._cells)  # type: ignore[arg-type]  # both are of one kind: equal parameters

    def to_data(self) -> Any:
        """Return the cells; where no labels are declared, the pairs that came and their amounts."""
        self.flush()
        if not isinstance(self._cells, dict):
            return self._cells.to_data()
        pairs = sorted(self._cells, key=lambda pair: tuple(map(keys.order, pair)))
        amounts = saved_values.packed([self._cells[pair] for pair in pairs])
        return {
            "true": saved_values.column(t for t, _ in pairs),
            "pred": saved_values.column(p for _, p in pairs),
            "amounts": amounts,
        }

    def from_data(self, saved: Any) -> None:
        """Take over the cells."""
        if not isinstance(self._cells, dict):
            self._cells.from_data(saved)
            check_weights(self._cells)
            return
        true, pred, amounts = saved_values.fields(saved, "true", "pred", "amounts")
        pairs = list(zip(saved_values.keys_of(true), saved_values.keys_of(pred), strict=True))
        most = saved_values.LARGEST_SUM if self.weighted else saved_values.INT64_MAX
        self._cells = saved_values.distinct(pairs, saved_values.wholes(amounts, len(pairs), 1, most))
        if not {type(label) for pair in pairs for label in pair} <= {int, str}:
            raise ValueError("found labels that are neither whole numbers nor strings")

    def result(self) -> np.ndarray:
        """Return the matrix (n, n), true labels in rows, in the order of ``labels``: int64, or float64 where weighted."""
        if not isinstance(self._cells, dict):
            matrix: np.ndarray = self._cells.result()
            return matrix
        place = {label: i for i, label in enumerate(self._labels())}
        matrix = np.zeros((len(place),) * 2, np.float64 if self.weighted else np.int64)
        for (true, pred), amount in self._cells.items():
            matrix[place[true], place[pred]] = exact.to_float(amount, 1 << exact.UNIT_BITS) if self.weighted else amount
        return matrix

    def _labels(self) -> list[keys.Canonical]:
        if self._classes is not None:
            return list(self._classes)
        return sorted({label for pair in self._cells for label in pair}, key=keys.order)  # type: ignore[union-attr]  # a dict here

    def _of_one_hot(self, labels: np.ndarray, name: str) -> np.ndarray:
        """Return the labels (n,) of one-hot rows (n, k); plain labels stay as they are."""
        if labels.ndim < 2:
            return labels
        k = labels.shape[-1] if self._plain is None else len(self._plain)
        fits = labels.shape[1:] == (k,) and labels.dtype.kind in "biuf"
        ones = np.asarray(labels == 1) if fits else np.zeros((1, 1), bool)
        if not fits or not ((ones | is_zero(labels)).all() and (ones.sum(axis=1) == 1).all()):
            raise ValueError(
                f"ConfusionMatrix.update: got {name} of shape {labels.shape}, expected one-hot rows (n, {k}), each with a single 1 and zeros. "
                "Take argmax of scores first."
            )
        places = ones.argmax(axis=1)
        found: np.ndarray = places if self._plain is None or self._counted else objects(self._plain)[places]
        return found

    def _indices(self, labels: np.ndarray, name: str) -> Any:
        """Return the places (n,) of the labels among the classes, or the canonical labels where no classes are declared."""
        flat = labels.ravel()
        if flat.dtype.kind in "iub" and self._classes is not None and self._counted:
            places = flat.astype(np.int64, copy=False)
            if int(places.view(np.uint64).max(initial=0)) < len(self._classes):  # which negative ones are not
                return places
        inverse: np.ndarray | None
        if flat.dtype.kind == "f":  # by bits: a thread that flushes subnormal numbers would call them equal
            bits, inverse = np.unique(as_float64(flat, "ConfusionMatrix.update").view(np.int64), return_inverse=True)
            values = bits.view(np.float64)
        else:
            values, inverse = np.unique(flat, return_inverse=True) if flat.dtype.kind in "biuUS" else (flat, None)
        found = [_label(value, name) for value in keys.plain_list(values, "ConfusionMatrix.update")]
        if self._classes is not None:
            place = {label: i for i, label in enumerate(self._classes)}
            for label in found:
                if label not in place:
                    raise ValueError(
                        f"ConfusionMatrix.update: got the label {shown(keys.plain(label))} in {name}, expected one of "
                        f"{shown(self.parameters['classes'])}. Declare it, or declare ConfusionMatrix() for labels that are not "
                        "known before."
                    )
            places = np.array([place[label] for label in found], np.int64)
            return places if inverse is None else places[inverse.ravel()]
        return found if inverse is None else [found[i] for i in inverse.ravel().tolist()]

    def _pair_amounts(self, rows: Any, columns: Any, weight: np.ndarray | None) -> dict[Any, int]:
        one = 1 << exact.UNIT_BITS if self.weighted else 1
        amounts = [one] * len(rows) if weight is None else [exact.units_of(w) for w in weight.tolist()]
        pairs: dict[Any, int] = {}
        for true, pred, amount in zip(rows, columns, amounts, strict=True):
            pairs[true, pred] = pairs.get((true, pred), 0) + amount
        return pairs


def matrix_of(matrix: ConfusionMatrix, labels: Sequence[Any]) -> np.ndarray:
    """Return the matrix (n, n) of n labels, float64: NaN in the rows and columns of labels that never came and were not declared."""
    found, here = matrix.result(), {label: i for i, label in enumerate(matrix.labels)}
    cells = np.full((len(labels),) * 2, np.nan)
    places = [i for i, label in enumerate(labels) if label in here]
    mine = [here[labels[i]] for i in places]
    cells[np.ix_(places, places)] = found[np.ix_(mine, mine)]
    return cells


def _check_rows(shape: tuple[int, ...], name: str) -> None:
    if math.prod(shape) != math.prod(shape[:1]):
        raise ValueError(
            f"ConfusionMatrix.update: got {name} of shape {shape}, expected one label for each row, (n,) or (n, 1). Take argmax of "
            'one-hot rows or scores first, or declare ConfusionMatrix(..., layout="one-hot"), or layout="cells" where every cell is a label.'
        )


def _label(value: Any, name: str = "classes") -> keys.Canonical:
    """Return a label's canonical form: bytes are UTF-8 strings, whole floats and bools are integers."""
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):  # what is no text is refused below
            value = bytes(value).decode()
    if isinstance(value, np.generic) and not isinstance(value, str | np.datetime64 | np.timedelta64):
        value = value.item()
    if isinstance(value, float) and math.isfinite(value) and exact.is_whole(value):
        value = int(value)
    if isinstance(value, int | str):
        return keys.canonical(int(value) if isinstance(value, bool) else value, "ConfusionMatrix")
    raise ValueError(
        f"ConfusionMatrix: got the label {shown(value)} in {name}, expected whole numbers or strings. "
        "Drop rows without a label, take argmax or a threshold of scores first, and turn other labels into their text."
    )
