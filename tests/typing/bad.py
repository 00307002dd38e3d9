"""Mistakes as users make them. At the end of its line, each says which type checkers find it."""

from __future__ import annotations

from typing import Any

import mergeable as mg


class Mistakes(mg.Metric):
    total = mg.Sum()
    buckets = mg.Histogram([0.0, 0.5, 1.0])
    words: set[str] = mg.state(set, merge=set.update)

    def update_state(self, x: Any) -> None:
        self.totl += 1  # error: mypy; pyright where reportUninitializedInstanceVariable is on
        self.total.updat(x)  # error: mypy, pyright
        self.buckets.updat(x)  # error: mypy, pyright
        self.buckets[0] = 1  # error: mypy, pyright
        self.words.ad("a")  # error: mypy, pyright
        self.words.add(1)  # error: mypy, pyright

    def result(self) -> float:
        return self.totel + float(self.total)  # error: mypy, pyright


class Operators(mg.Metric):
    buckets = mg.Histogram([0.0, 0.5, 1.0])

    def update_state(self, x: Any) -> None:
        self.buckets += 1  # error: mypy, pyright

    def result(self) -> float:
        return 0.0


class InKeras(mg.PyMetric):
    total = mg.Sum()
    buckets = mg.Histogram([0.0, 0.5, 1.0])

    def update_state(self, x: Any) -> None:
        self.totl += 1  # error: mypy; pyright where reportUninitializedInstanceVariable is on
        self.buckets.updat(x)  # error: mypy, pyright
        self.buckets += 1  # error: mypy, pyright

    def result(self) -> float:
        return self.totel + float(self.total)  # error: mypy, pyright


class InTheConstructor(mg.Metric):
    count: mg.Count

    def __init__(self) -> None:
        super().__init__()
        self.scores = mg.ScoreHistogram(100, bin=3)  # error: mypy, pyright
        self.count = mg.Count()

    def update_state(self, x: Any) -> None:
        self.scores.updat(x)  # error: mypy, pyright
        self.count = None  # error: mypy, pyright
        self.count.updat(1)  # error: mypy, pyright
        self.cout += 1  # error: mypy; pyright where reportUninitializedInstanceVariable is on

    def result(self) -> float:
        return 0.0


class InTheConstructorOfKeras(mg.PyMetric):
    def __init__(self) -> None:
        super().__init__()
        self.scores = mg.ScoreHistogram(100)

    def update_state(self, x: Any) -> None:
        self.scores.updat(x)  # error: mypy, pyright
        self.score += 1  # error: mypy; pyright where reportUninitializedInstanceVariable is on

    def result(self) -> float:
        return 0.0


def use(metric: Operators) -> None:
    Mistakes().total = None  # error: mypy, pyright
    Mistakes().words = 3  # error: mypy, pyright
    metric.buckets = 3  # error: mypy, pyright
    metric.totl = 1  # error: mypy, pyright
    InKeras().buckets = 3  # error: mypy, pyright
    InKeras().total = None  # error: mypy, pyright
    InKeras().totle = 1  # error: mypy, pyright
    metric.updat_state(1)  # error: mypy, pyright
    metric(1)  # error: mypy, pyright
    mg.merge(3)  # error: mypy, pyright
    mg.Summ()  # error: mypy, pyright
    mg.Histogram()  # error: mypy, pyright
    mg.Sum().updat(1)  # error: mypy, pyright
