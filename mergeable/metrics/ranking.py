"""ROC AUC, from binned scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from mergeable.metric import Metric
from mergeable.numeric.estimate import Estimate
from mergeable.numeric.inputs import unweighted
from mergeable.registry import register
from mergeable.states import ScoreHistogram


@register
@final
class AUROC(Metric):
    """The area under the ROC curve: how often a row of label 1 has a higher score than one of label 0; ties count half.

    Scores fall into bins as fine for 0.001 and 0.999 as for 0.5 (``ScoreHistogram``, of which ``precision`` is a parameter), so the
    value is right also where all scores are small. ``estimate()`` has bounds that hold the value of the scores for certain.
    Empty, or one label only: NaN. Exact: the same bits however rows were cut into batches, replicas, workers and files.
    Memory: 64 bytes a bin, most often of 1,000 to 10,000 bins.

    ``update_state(y_true, y_pred, sample_weight=None)``: labels 0 and 1, and scores of any range, one for each label, as (n,) or
    (n, 1); weights need ``weighted=True``. Rows whose score is NaN are left out, and counted in ``metric.scores.n_nan``.

    Raises:
        ValueError: a label is neither 0 nor 1, shapes differ, or weights came without ``weighted=True``.

    Example:
        >>> from mergeable.metrics import AUROC
        >>> metric = AUROC()
        >>> metric.update_state([0, 0, 1, 1], [0.001, 0.004, 0.003, 0.008])
        >>> metric.result()
        0.75

    Source: Hanley and McNeil 1982.
    """

    joins = True
    _direction = "up"  # Keras's name for which way is better
    plots: ClassVar[Mapping[str, str]] = {"roc": "scores", "precision recall": "scores"}

    def __init__(self, precision: int = 7, weighted: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.scores = ScoreHistogram(precision, weighted=weighted)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take labels (n,) or (n, 1), a score for each, and, with ``weighted=True``, weights (n,)."""
        if sample_weight is not None and not self.scores.weighted:
            raise unweighted("AUROC.update_state", "metric counts rows", "Write AUROC(weighted=True)", "sample_weight")
        self.scores.update(y_true, y_pred, sample_weight)

    def result(self) -> float:
        """Return the area, a float that is rounded once; scores inside one bin are ties. NaN where a label is missing."""
        return self.scores.roc_auc()

    def estimate(self) -> Estimate:
        """Return ``Estimate(value, low, high)``, three floats: the area, and bounds that hold the scores' area for certain."""
        return self.scores.roc_auc_estimate()
