"""How do I evaluate shards on a cluster, keep a file of each, and get one answer?

Eight processes evaluate a part of the digits each and save a snapshot; ``mergeable.merge`` reads the files into one.
"""

import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import mergeable as mg

try:
    from sklearn.datasets import load_digits
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install scikit-learn")

SHARDS = 8


@mg.register(name="examples.Digits")  # so that a file is enough: load(path).result()
class Digits(mg.Metric):
    matrix = mg.ConfusionMatrix(10)
    distance = mg.Mean()

    def update_state(self, y_true, y_pred, distance):
        self.matrix.update(y_true, y_pred)
        self.distance.update(distance)

    def result(self):
        matrix = self.matrix.result()
        return {"accuracy": float(matrix.trace() / matrix.sum()), "distance": self.distance.result()}


def evaluate(rows):
    """Return a metric that holds these rows (n,): each image is taken for the digit whose mean image is nearest."""
    metric, (images, labels) = Digits(), load_digits(return_X_y=True)
    means = np.stack([images[labels == digit].mean(axis=0) for digit in range(10)])
    for batch in np.array_split(rows, max(1, len(rows) // 64)):
        distances = np.linalg.norm(images[batch, None] - means, axis=2)
        metric.update_state(labels[batch], distances.argmin(axis=1), distances.min(axis=1))
    return metric


def save(folder, shard):
    evaluate(np.arange(shard, 1797, SHARDS)).snapshot({"shard": shard}).save(Path(folder) / f"shard-{shard}.mg")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        with get_context("spawn").Pool(SHARDS) as processes:
            processes.starmap(save, [(folder, shard) for shard in range(SHARDS)], chunksize=1)
        merged = mg.merge(sorted(Path(folder).glob("*.mg")))
    print("eight files:", merged.result(), f"({merged.coverage})", "shards", [row["shard"] for row in merged.metadata])
    alone = evaluate(np.arange(1797)).result()
    print("one process:", alone)
    sys.exit("The two differ." if merged.result() != alone else 0)
