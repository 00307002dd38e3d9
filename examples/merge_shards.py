"""How do I evaluate on several processes, and get what one process would say?

Each process fills a metric with its part of the rows and returns it; ``merge_state`` puts them together. No framework.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

import mergeable as mg

try:
    from sklearn.datasets import load_diabetes
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install scikit-learn")


class Errors(mg.Metric):
    squared = mg.Mean()
    spread = mg.Moments()
    worst = mg.ArgMax()

    def update_state(self, y_true, y_pred, patient):
        error = y_true - y_pred
        self.squared.update(error**2)
        self.spread.update(y_true)
        self.worst.update(abs(error), patient)

    def result(self):
        r2 = 1 - self.squared / self.spread.variance
        return {"r2": float(r2), "rmse": float(np.sqrt(self.squared)), "worst": self.worst.key}


def evaluate(rows):
    """Return a metric that holds these rows (n,) of the data; processes send it by pickle."""
    x, y = load_diabetes(return_X_y=True)
    predicted = 152 + 950 * x[:, 2]  # a line through the body mass index
    metric = Errors()
    for batch in np.array_split(rows, max(1, len(rows) // 32)):
        metric.update_state(y[batch], predicted[batch], batch)
    return metric


if __name__ == "__main__":
    rows = np.random.default_rng(0).permutation(442)
    shards = np.split(rows, [10, 200, 200])  # uneven ones, and one without rows
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        first, *others = pool.map(evaluate, shards)
    first.merge_state(others)
    alone = evaluate(np.arange(442))
    print("several processes:", first)
    print("one process:      ", alone)
    sys.exit("The two differ." if first.result() != alone.result() else 0)
