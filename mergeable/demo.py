"""The program of ``mergeable demo``: eight shards, eight processes, eight files, and the answer of one process, to the bit.

The data are scikit-learn's: 569 tumours, malignant or benign. A logistic regression learns from one half and is evaluated on
the other. Its weights travel to the processes, and each row's sum is taken alone and rounded once, so that a probability does
not depend on the rows beside it.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.snapshot.pool import interrupts_held

SHARDS = 8
BATCH = 16
CLASSES = ("malignant", "benign")

_LEAST = 2.0**-53  # a probability that was rounded to 0

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], None]
"""Takes a header and rows."""

Model = tuple[list[float], float]
"""A weight for each feature, and the intercept."""


@mg.register(name="mergeable.demo.Diagnosis")
class Diagnosis(mg.Metric):
    """What probabilities of a benign tumour are worth: AUROC from all rows, accuracy from a matrix, and the mean log loss."""

    plots: ClassVar = {"roc": "rows", "confusion matrix": "matrix", "histogram": "probabilities"}

    rows = mg.Rows("benign", "probability")
    matrix = mg.ConfusionMatrix(CLASSES)
    losses = mg.Mean()
    probabilities = mg.Histogram([i / 10 for i in range(11)])

    def update_state(self, y_true: np.ndarray, probability: np.ndarray) -> None:
        """Take labels (n,), 1 for benign, and probabilities (n,)."""
        self.rows.update(y_true, probability)
        self.matrix.update([CLASSES[label] for label in y_true], [CLASSES[int(p >= 0.5)] for p in probability])
        self.losses.update(
            [-math.log(max(p if label else 1 - p, _LEAST)) for label, p in zip(y_true, probability, strict=True)]
        )
        self.probabilities.update(probability)

    def result(self) -> dict[str, float]:
        """Return the three numbers."""
        matrix = self.matrix.result()
        return {
            "auroc": auroc(*self.rows.result().values()),
            "accuracy": float(matrix.trace() / matrix.sum()) if matrix.any() else math.nan,
            "log loss": float(self.losses.result()),
        }


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return how often a row of label 1 has a higher score than one of label 0; equal scores are half of it."""
    low, high = np.sort(scores[labels == 0]), scores[labels == 1]
    pairs = low.size * high.size
    twice = np.searchsorted(low, high, "left").sum() + np.searchsorted(low, high, "right").sum()
    return float(twice / (2 * pairs)) if pairs else math.nan


def evaluate(model: Model, features: np.ndarray, labels: np.ndarray) -> Diagnosis:
    """Return a metric that has taken rows (n, 30), batch by batch."""
    metric = Diagnosis()
    weights, intercept = model
    for start in range(0, len(labels), BATCH):
        batch = features[start : start + BATCH]
        logits = [math.fsum([intercept, *(w * x for w, x in zip(weights, row.tolist(), strict=True))]) for row in batch]
        metric.update_state(labels[start : start + BATCH], np.array([1 / (1 + math.exp(-logit)) for logit in logits]))
    return metric


def write_shard(model: Model, features: np.ndarray, labels: np.ndarray, shard: int, path: Path) -> None:
    """Evaluate one shard and write its file: the work of one process."""
    evaluate(model, features, labels).snapshot({"shard": shard}).save(path)


def run(folder: Path, say: Callable[..., None], table: Table) -> bool:
    """Show shards, merge and refusals, with files in a folder; return whether bits agreed and damage was refused."""
    model, features, labels, learnt_from = learn()
    say(
        f"{learnt_from + len(labels)} tumours, of scikit-learn's breast cancer data: a model learns from {learnt_from}, and "
        f"{len(labels)} are evaluated",
        f"in {SHARDS} shards, each in a process of its own that writes a file.",
        "",
    )
    (folder / "shards").mkdir(exist_ok=True)
    cuts = np.array_split(np.arange(len(labels)), SHARDS)
    paths = [folder / "shards" / f"{i}.mg" for i in range(SHARDS)]
    jobs = [(model, features[cut], labels[cut], i, path) for i, (cut, path) in enumerate(zip(cuts, paths, strict=True))]
    processes = _in_processes(jobs)
    merged = mg.merge(paths)
    merged.save(folder / "all.mg")
    alone = evaluate(model, features, labels)
    results = [mg.load(path).result() for path in paths]
    mean = {name: sum(result[name] for result in results) / SHARDS for name in results[0]}
    rows = [
        (f"shards/{path.name}", str(process), str(len(cut)), *map(repr, result.values()))
        for path, process, cut, result in zip(paths, processes, cuts, results, strict=True)
    ]
    rows.append(("the mean of them", "", "", *map(repr, mean.values())))
    rows.append(("all.mg, merged", "", str(merged.coverage.rows), *map(repr, merged.result().values())))
    rows.append(("one process", str(os.getpid()), str(alone.coverage.rows), *map(repr, alone.result().values())))
    table(("", "process", "rows", *mean), rows)
    same = canonical_bytes(merged.states) == canonical_bytes(alone.snapshot().states) and merged.result() == alone.result()
    say("", f"the states of all.mg and of one process: {'the same bits' if same else 'NOT the same bits'}")
    damaged = bytearray(paths[5].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / "damaged.mg").write_bytes(damaged)
    twice = _refused("a shard given twice", lambda: mg.merge([*paths, paths[3]]), folder, say)
    flipped = _refused("a shard with one bit flipped", lambda: mg.merge([folder / "damaged.mg"]), folder, say)
    return same and twice and flipped


def commands(folder: str) -> list[str]:
    """Return commands to try on the files in a folder."""
    return [
        f"mergeable merge {folder}/shards -o {folder}/all.mg",
        f"mergeable show {folder}/all.mg -m mergeable.demo",
        f"mergeable inspect {folder}/all.mg",
        f"mergeable verify {folder}/shards {folder}/damaged.mg",
        f"mergeable plot {folder}/all.mg -o {folder}/roc.png",
        "mergeable check mergeable:Sum",
    ]


def learn() -> tuple[Model, np.ndarray, np.ndarray, int]:
    """Return a model, the features (n, 30) and labels (n,) that it has not seen, and how many it has."""
    try:
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise ImportError("demo needs scikit-learn: pip install 'mergeable[plot]'") from error
    features, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    seen, unseen = np.array_split(order, [len(labels) // 2])
    features = (features - features[seen].mean(axis=0)) / features[seen].std(axis=0)
    fitted = LogisticRegression(C=0.1).fit(features[seen], labels[seen])
    return (fitted.coef_[0].tolist(), float(fitted.intercept_[0])), features[unseen], labels[unseen], len(seen)


def _in_processes(jobs: Sequence[tuple[Any, ...]]) -> list[int]:
    """Do each job in a process of its own, two at a time, and return the ids of the processes."""

    def start(job: tuple[Any, ...]) -> int:
        process = multiprocessing.get_context("spawn").Process(target=write_shard, args=job)
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"the process of shard {job[3]} ended with {process.exitcode}")
        return process.pid or 0

    with ThreadPoolExecutor(2) as threads:
        with interrupts_held():
            started = [threads.submit(start, job) for job in jobs]
        try:
            return [future.result() for future in started]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _refused(what: str, call: Callable[[], Any], folder: Path, say: Callable[..., None]) -> bool:
    try:
        call()
    except mg.MergeableError as error:
        reason = str(error).partition(". ")[0].removeprefix("merge: ").replace(f"{folder}{os.sep}", "")
        say(f"{what}: refused", f"  {reason}")
        return True
    say(f"{what}: NOT refused")
    return False
