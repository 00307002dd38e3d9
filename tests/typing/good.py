"""Metrics and states as users write them, with annotations: type checkers find nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mergeable as mg
from mergeable.metrics import AUROC

Floats = NDArray[np.float64]


@dataclass
class Longest:
    text: str = ""
    seen: list[str] = field(default_factory=list)

    def merge(self, other: Longest) -> None:
        self.text = max(self.text, other.text, key=len)


class OnTheClass(mg.Metric):
    total = mg.Sum()
    mean = mg.Mean()
    count = mg.Count()
    worst = mg.Max()
    buckets = mg.Histogram([0.0, 0.5, 1.0])
    rows = mg.Rows("y_true", "y_pred")
    words: set[str] = mg.state(set, merge=set.update)
    lengths: Counter[int] = mg.state(Counter, merge=Counter.update)
    longest = mg.state(Longest)
    by_group = mg.Keyed(mg.Mean())

    def update_state(self, y_true: Floats, y_pred: Floats, sample_weight: Floats | None = None) -> None:
        self.total += y_true
        self.total.update(y_true)
        self.mean.update(y_true, sample_weight)
        self.count += len(y_true)
        self.count.update(1)
        self.worst += y_pred
        self.buckets.update(y_true)
        self.rows.update(y_true, y_pred)
        self.by_group.update(["a"], [1.0])
        self.words |= {"a"}
        self.words.add("b")
        self.lengths.update([1])
        self.longest.text = "long"

    def result(self) -> float:
        if self.count > 0 and self.count != 3 and not self.words:
            return float(np.sqrt(self.total))
        return float(self.total / self.count) + float(round(self.total, 2)) + int(self.count) + len(self.longest.text)


class Assigned(mg.Metric):
    total = mg.Sum()
    count: mg.Count = mg.Count()  # its methods are known beside an assignment of a number, to pyright too

    def update_state(self, x: Floats) -> None:
        self.total += x
        self.count += len(x)
        self.count.update(1)

    def result(self) -> float:
        return float(self.total / self.count) + float(self.total)

    def restart(self) -> None:
        self.total = 0.0
        self.total += 1
        self.count = 0
        self.count.update(1)
        self.count -= 1
        self.count *= 2


class InTheConstructor(mg.Metric):
    count: mg.Count

    def __init__(self, bins: int = 200, name: str | None = None) -> None:
        super().__init__(name)
        self.scores = mg.ScoreHistogram(bins)
        self.buckets = mg.Histogram([0.0, 0.5, 1.0])
        self.total = mg.Sum()
        self.count = mg.Count()
        self.words: set[str] = mg.state(set, merge=set.update)
        self.add_state("more", mg.Sum())
        self.add_state("others", mg.state(set, merge=set.update))

    def update_state(self, labels: Sequence[int], scores: Floats) -> None:
        self.scores.update(np.asarray(labels), scores)
        self.buckets.update(scores)
        self.total += scores
        self.total.update(scores)
        self.count += len(labels)
        self.count.update(1)
        self.words.add("b")

    def restart(self) -> None:
        self.count = 0
        self.count += 1
        self.count.update(1)

    def result(self) -> dict[str, float]:
        return {"total": float(self.total / self.count), "words": len(self.words)}


class Derived(OnTheClass):
    def update_state(self, *args: Any, **kwargs: Any) -> None:
        super().update_state(*args, **kwargs)
        self.total += 1
        self.total.update(1.0)


class DerivedAssigned(Assigned):
    def restart(self) -> None:
        self.count = 3
        self.count.update(1)


class WithHalves(mg.Metric):
    right = mg.Count()
    rows = mg.Count()

    def prepare(self, xp: Any, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        right = y_true == xp.argmax(y_pred, axis=-1)
        return xp.sum(right), xp.size(right)

    def update_state(self, right: int, rows: int) -> None:
        self.right += right
        self.rows += rows

    def result(self) -> Any:
        return self.right / self.rows

    def reset_state(self) -> None:
        pass


class InKeras(mg.PyMetric):
    total = mg.Sum()
    count = mg.Count()
    buckets = mg.Histogram([0.0, 0.5, 1.0])

    def __init__(self, threshold: float = 0.5, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.total += float((y_pred.numpy() > self.threshold).sum())
        self.count += len(y_true)
        self.buckets.update(y_pred.numpy(), sample_weight)

    def result(self) -> float:
        return float(self.total / self.count)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class AssignedInKeras(mg.PyMetric):
    total = mg.Sum()
    count: mg.Count = mg.Count()
    worst: mg.Max

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.worst = mg.Max()
        self.buckets = mg.Histogram([0.0, 0.5, 1.0])

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        self.total += float(y_pred.numpy().sum())
        self.count.update(len(y_true))
        self.worst.update(y_pred.numpy())
        self.buckets.update(y_pred.numpy())

    def restart(self) -> None:
        self.total = 0.0
        self.total += 1
        self.count = 0
        self.count += 1
        self.worst = 0.0
        self.worst.update(1)

    def result(self) -> dict[str, float]:
        return {"mean": float(self.total / self.count), "worst": float(self.worst)}


class Worst(mg.State):
    exact = True
    idempotent = True

    def __init__(self, k: int = 3) -> None:
        self.k = k
        self.found: list[float] = []

    @property
    def parameters(self) -> dict[str, Any]:
        return {"k": self.k}

    def update(self, errors: Sequence[float]) -> None:
        self.found = sorted([*self.found, *errors])[-self.k :]

    def merge(self, other: Worst) -> None:
        self.update(other.found)

    def result(self) -> list[float]:
        return list(self.found)


class WithOwnState(mg.Metric):
    worst = Worst(k=5)

    def update_state(self, errors: Sequence[float]) -> None:
        self.worst.update(errors)

    def result(self) -> list[float]:
        return self.worst.result()


def show(*_: object) -> None:
    pass


def use() -> None:
    metric, other = OnTheClass(), OnTheClass(name="other")
    metric.update_state(np.zeros(3), np.ones(3))
    metric.merge_state([other])
    metric.total = 1.0
    metric.total += 2
    metric.total.update([1.0])
    value: float = metric.result()
    snapshot = metric.snapshot()
    snapshot.save("a.mg")
    again: mg.Snapshot = mg.load("a.mg")
    merged = mg.merge(["a.mg", again])
    show(value, merged.result(OnTheClass), merged.coverage, metric.coverage, metric.name)
    in_keras = InKeras(name="in_keras")
    in_keras.total = 0.0
    in_keras.total += 1
    in_keras.buckets.update([0.5])
    in_keras.reset_state()
    show(in_keras(np.zeros(3), np.zeros(3)), in_keras.name, in_keras.dtype, in_keras.result())
    hosted = mg.PyMetric.of(AUROC())
    both = mg.MetricCollection([OnTheClass(), InTheConstructor()])
    both.update_state(np.zeros(3), np.ones(3))
    show(hosted, both.result(), OnTheClass.total)
    total = mg.Sum()
    total.update([1.0, 2.0])
    total += mg.Sum()
    show(total + 1, 1 - total, total > 2, abs(float(total)), -total)
    parts = mg.Tuple(mg.Sum(), mg.state(set, merge=set.update))
    parts[0] += 1
    parts[0].update(1)
    named = mg.Dict(total=mg.Sum())
    named["total"] = mg.Sum()
