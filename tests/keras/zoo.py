"""Metrics that the tests with Keras share."""

import collections

import numpy as np
from sklearn.metrics import jaccard_score

import mergeable as mg
from mergeable.metric.internals import internals


def flat(tensor):
    return np.asarray(tensor).reshape(-1)


class Everything(mg.PyMetric):
    """One state of each kind, and a result that shows all of them."""

    rows = mg.Count()
    total = mg.Sum()
    mean = mg.Mean()
    spread = mg.Moments()
    best = mg.Max()
    least = mg.Min()
    worst = mg.ArgMax()
    histogram = mg.Histogram([-2, -1, 0, 0.5, 2])
    confusion = mg.ConfusionMatrix(2)
    labels = mg.ConfusionMatrix()
    words = mg.Counter()
    seen = mg.Set()
    kept = mg.Rows("y_true", "y_pred")
    per_label = mg.Keyed(mg.Mean())
    pair = mg.Tuple(mg.Sum(), mg.Max())
    vocabulary = mg.state(set, merge=set.update)
    lengths = mg.state(collections.Counter, merge=collections.Counter.update)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y, p = flat(y_true), flat(y_pred)
        weights = None if sample_weight is None else flat(sample_weight)
        words = [f"w{v:.1f}" for v in p]
        self.rows += len(y)
        self.total += p
        self.mean.update(p, weights)
        self.spread.update(p, weights)
        self.best += p
        self.least += p
        self.worst.update(p, words)
        self.histogram.update(p)
        self.confusion.update(y, p > 0.5)  # not 0: the thread of a step may take 1e-40 for 0
        self.labels.update(y, np.where(p > 0.5, "up", "down"))
        self.words.update(words)
        self.seen.update(words)
        self.kept.update(y, p)
        self.per_label.update(y, p)
        self.pair.update(p)
        self.vocabulary |= set(words)
        self.lengths.update(map(len, words))

    def result(self):
        kept = self.kept.result()
        return {
            "rows": self.rows.result(),
            "total": self.total.result(),
            "mean": self.mean.result(),
            "std": self.spread.std,
            "best": self.best.result(),
            "least": self.least.result(),
            "worst": self.worst.value,
            "histogram": self.histogram.result(),
            "confusion": self.confusion.result(),
            "words": self.words.total,
            "seen": len(self.seen),
            "kept": {"first": kept["y_pred"][0] if len(kept["y_pred"]) else np.nan, "rows": len(self.kept)},
            "pair": self.pair.result()[0],
            "vocabulary": len(self.vocabulary),
            "lengths": sum(self.lengths.values()),
        }

    def contents(self):
        """Everything that the merged states hold, not only what a step can show."""
        return {name: state.result() for name, state in internals(self).fold().items()}


class BleuLike(mg.PyMetric):
    """Clipped counts over counts, for the corpus: the pair of counters behind BLEU."""

    matches = mg.Counter()
    totals = mg.Counter()

    def update_state(self, y_true, y_pred, sample_weight=None):
        for reference, candidate in zip(flat(y_true), flat(y_pred), strict=True):
            expected, got = (collections.Counter(str(int(abs(v) * 1000))) for v in (reference, candidate))
            self.matches.update(dict(expected & got))
            self.totals.update(dict(got))

    def result(self):
        return self.matches.total / max(self.totals.total, 1)


class JaccardAsDocumented(mg.PyMetric):
    """The example of the Keras 2 documentation, word for word but for its base class and thresholds."""

    def __init__(self, name="jaccard_score", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.jaccard_sum += jaccard_score(y_pred, y_true, average="macro")
        self.count += 1

    def reset_state(self):
        self.jaccard_sum = 0.0
        self.count = 0.0

    def result(self):
        return self.jaccard_sum / self.count


class JaccardDeclared(mg.PyMetric):
    """The same, declared: no reset_state, and it merges."""

    jaccard_sum = mg.Sum()
    count = mg.Count()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.jaccard_sum += jaccard_score(y_true, y_pred, average="macro")
        self.count += 1

    def result(self):
        return self.jaccard_sum / self.count


class RowCount(mg.PyMetric):
    """Counts rows and the calls of its methods."""

    rows = mg.Count()
    scratch = ("updates", "results")
    updates = 0
    results = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        type(self).updates += 1
        self.rows += len(y_true)

    def result(self):
        type(self).results += 1
        return self.rows.result()


class Total(mg.PyMetric):
    """The exact sum of predictions, weighted where weights come."""

    total = mg.Sum()

    def update_state(self, y_true, y_pred, sample_weight=None):
        p = flat(y_pred).astype(np.float64)
        self.total += p if sample_weight is None else p * np.broadcast_to(flat(sample_weight), p.shape)

    def result(self):
        return self.total.result()
