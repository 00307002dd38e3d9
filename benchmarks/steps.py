"""What does a metric add to a training step?

A small classifier trains on rows that are in memory, without a metric, with metrics of Keras in the graph, with the PyMetric of
Keras 2 (in tf_keras), and with ours. All take turns, an epoch each; shown is what an epoch took longer than the epoch
without a metric of the same round, per step: the median of all rounds, and the ratio to what Keras's AUC adds.
"""

import argparse
import os
import statistics
import sys

os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")

import numpy as np
from timing import machine, seconds

try:
    import keras
    import tensorflow as tf
    import tf_keras
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from sklearn.metrics import roc_auc_score
except ImportError as error:
    sys.exit(f"This benchmark needs {error.name}, which is not installed: pip install 'mergeable[test]'")

import mergeable as mg
from mergeable import metrics
from mergeable.keras import AUROC, MetricCollection

FEATURES = 20


class AbsoluteError(mg.PyMetric):
    """The mean absolute error in Python."""

    total = mg.Sum()
    rows = mg.Count()

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002 - Keras gives it
        self.total += float(np.abs(y_true.numpy() - y_pred.numpy()).sum())
        self.rows += len(y_true)

    def result(self):
        return self.total / self.rows


class AbsoluteErrorOfKeras2(tf_keras.metrics.experimental.PyMetric):
    """The same for the PyMetric of Keras 2, which has no states."""

    def reset_state(self):
        self.total, self.rows = 0.0, 0

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002 - Keras gives it
        self.total += float(np.abs(y_true.numpy() - y_pred.numpy()).sum())
        self.rows += len(y_true)

    def result(self):
        return self.total / max(self.rows, 1)


class Shown(keras.metrics.Metric):
    """Nothing but values to show: what Keras and TensorFlow take for a metric that has so many of them."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def update_state(self, *_, **__):
        """Do nothing."""

    def result(self):
        return {f"e{i}": tf.constant(0.0) for i in range(self.values)}


class OfAllRows(mg.PyMetric):
    """Scikit-learn's ROC AUC of all rows so far."""

    rows = mg.Rows("y_true", "y_pred")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002 - Keras gives it
        self.rows.update(y_true.numpy().ravel(), y_pred.numpy().ravel())

    def result(self):
        return roc_auc_score(*self.rows.result().values()) if len(self.rows) else np.nan


class PlainError(mg.Metric):
    """The mean absolute error without a framework."""

    total = mg.Sum()
    rows = mg.Count()

    def update_state(self, y_true, y_pred):
        self.total += float(np.abs(y_true - y_pred).sum())
        self.rows += len(y_true)

    def result(self):
        return self.total / self.rows


def several(n):
    return lambda: [MetricCollection({f"e{i}": PlainError() for i in range(n)})]


def switched(make, **options):
    def build():
        metric = make()
        for name, value in options.items():
            setattr(metric, name, value)
        return [metric]

    return build


SUBJECTS = {  # name: metrics
    "Keras, 1 value shown, nothing done": lambda: [Shown(1)],
    "Keras, 4 values shown, nothing done": lambda: [Shown(4)],
    "Keras, 16 values shown, nothing done": lambda: [Shown(16)],
    "Keras MeanAbsoluteError": lambda: [keras.metrics.MeanAbsoluteError()],
    "Keras AUC": lambda: [keras.metrics.AUC()],
    "Keras F1Score": lambda: [keras.metrics.F1Score(threshold=0.5)],
    "ours, mean absolute error": lambda: [AbsoluteError()],
    "ours, the same, called in every step": switched(AbsoluteError, hand_over="now", step_result="always"),
    "ours, the same, shown at the end only": switched(AbsoluteError, step_result="never"),
    "ours, AUROC": lambda: [AUROC()],
    "ours, AUROC, called in every step": switched(AUROC, hand_over="now", step_result="always"),
    "ours, AUROC, shown at the end only": switched(AUROC, step_result="never"),
    "ours, Rows and scikit-learn's AUC": lambda: [OfAllRows()],
    "ours, collection of 1": several(1),
    "ours, collection of 4": several(4),
    "ours, collection of 16": several(16),
}


def compiled(library, metrics):
    layers = library.layers
    model = library.Sequential(
        [layers.Input((FEATURES,)), layers.Dense(32, activation="relu"), layers.Dense(1, activation="sigmoid")]
    )
    model.compile("sgd", "binary_crossentropy", metrics=metrics, jit_compile=False)
    return model


def measured(models, data, rounds):
    """Return the seconds of every epoch of each model, which take turns."""
    for model in models.values():
        model.fit(data, verbose=0, shuffle=False)
    times = {name: [] for name in models}
    for number in range(rounds):
        names = list(models)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            times[name].append(seconds(lambda: models[name].fit(data, verbose=0, shuffle=False)))  # noqa: B023 - called at once
    return times


def arithmetic(metrics, batch, steps=200):
    """Return the seconds that the updates of these metrics take by themselves, per batch."""
    y, p = np.ones((batch, 1), "float32"), np.full((batch, 1), 0.5, "float32")

    def run():
        for _ in range(steps):
            for metric in metrics:
                metric.update_state(y, p)

    return statistics.median(seconds(run) for _ in range(5)) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute, for a rough idea")
    parser.add_argument("--batch", type=int, nargs="*", default=[32, 256, 4096])
    parser.add_argument("--only", nargs="*", help="subjects, by parts of their names")
    options = parser.parse_args()
    rounds, steps = (3, 60) if options.quick else (24, 200)
    chosen = {n: make for n, make in SUBJECTS.items() if not options.only or any(part in n for part in options.only)}

    table = Table("added to a step, ms", box=box.MARKDOWN)
    for batch in options.batch:
        for title in (f"batch {batch}", "/ AUC"):
            table.add_column(title, justify="right")
    rows = {name: [] for name in ("no metric (the step itself)", *chosen, "Keras 2 PyMetric, mean absolute error")}
    for batch in options.batch:
        generator = np.random.default_rng(0)
        x = generator.normal(size=(batch, FEATURES)).astype("float32")
        y = (generator.random((batch, 1)) < 0.5).astype("float32")
        data = tf.data.Dataset.from_tensors((x, y)).repeat(steps)
        models = {"none": compiled(keras, []), **{name: compiled(keras, make()) for name, make in chosen.items()}}
        models["none of Keras 2"] = compiled(tf_keras, [])
        models["Keras 2 PyMetric, mean absolute error"] = compiled(tf_keras, [AbsoluteErrorOfKeras2(name="error")])
        times = measured(models, data, rounds)

        def added(name, times=times):
            base = times["none of Keras 2" if name.startswith("Keras 2") else "none"]
            return statistics.median(a - b for a, b in zip(times[name], base, strict=True)) / steps * 1e3

        auc = added("Keras AUC") if "Keras AUC" in times else float("nan")
        for name, cells in rows.items():
            if name.startswith("no metric"):
                cells += [f"{statistics.median(times['none']) / steps * 1e3:.2f}", ""]
            else:
                cells += [f"{added(name):.3f}", f"{added(name) / auc:.2f}"]
    for name, cells in rows.items():
        table.add_row(name, *cells)

    console = Console(width=130, highlight=False)
    console.print(machine("tensorflow", "keras", "tf_keras"))
    console.print(f"{rounds} rounds of epochs of {steps} steps.\n")
    console.print(table)
    for n in (1, 4, 16):
        cost = {b: arithmetic([PlainError() for _ in range(n)], b) for b in options.batch}
        console.print(
            f"updates of {n} mean absolute errors by themselves, ms: "
            + ", ".join(f"{b}: {c * 1e3:.3f}" for b, c in cost.items())
        )
    console.print(
        "AUROC by itself, ms: " + ", ".join(f"{b}: {arithmetic([metrics.AUROC()], b) * 1e3:.3f}" for b in options.batch)
    )


if __name__ == "__main__":
    main()
