"""How do I write a state of my own, know that it merges right, and save it?

One line checks its laws; files and replicas follow.
"""

import sys
import tempfile

import mergeable as mg

try:
    from hypothesis import strategies as st
    from sklearn.datasets import load_diabetes

    from mergeable import laws
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install 'mergeable[laws]' scikit-learn")


@mg.register(name="examples.Worst")
class Worst(mg.State):  # the k largest errors with their rows; of two data sets, those among both
    def __init__(self, k=3):
        self.k, self.found = k, []  # pairs (error, row), the largest first

    @property
    def parameters(self):
        return {"k": self.k}

    def update(self, errors, rows):
        self.found = sorted([*self.found, *zip(errors, rows, strict=True)], reverse=True)[: self.k]

    def merge(self, other):
        self.found = sorted(self.found + other.found, reverse=True)[: self.k]

    def result(self):
        return [row for _, row in self.found]


class Inspect(mg.Metric):
    worst = Worst(k=5)

    def update_state(self, errors, rows):
        self.worst.update(errors, rows)

    def result(self):
        return self.worst.result()


batches = st.tuples(*[st.lists(st.integers(0, 9), min_size=3, max_size=3)] * 2)
print("laws that hold:", ", ".join(laws.check_state(Worst(), batches, others=[Worst(4)])))
x, y = load_diabetes(return_X_y=True)
errors = abs(y - 152 - 950 * x[:, 2]).tolist()
with tempfile.TemporaryDirectory() as folder:
    for i in range(4):
        metric = Inspect()
        metric.update_state(errors[i::4], range(i, 442, 4))
        metric.snapshot().save(f"{folder}/{i}.mg")
    merged = mg.merge(f"{folder}/{i}.mg" for i in range(4))
print("four files:", merged.result(Inspect), f"({merged.coverage})")
sys.exit("One pass differs." if merged.result(Inspect) != sorted(range(442), key=lambda i: -errors[i])[:5] else 0)
