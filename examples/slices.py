"""Where is my model worst, and how sure is that?

Accuracy by digit with 95 % intervals: from one process, and from 8 shards in any order.
"""

import sys

import mergeable as mg

try:
    from sklearn.datasets import load_digits
    from sklearn.naive_bayes import GaussianNB
except ImportError as error:
    sys.exit(f"This example needs {error.name}, which is not installed: pip install scikit-learn")


class Accuracy(mg.Metric):
    right = mg.Mean()

    def update_state(self, y_true, y_pred):
        self.right.update(y_true == y_pred)

    def result(self):
        return self.right.result()


class ByDigit(mg.Metric):
    accuracy = mg.Sliced(mg.Bootstrap(Accuracy(), replicates=100), by=1, max_slices=10)

    def update_state(self, rows, y_true, y_pred):
        self.accuracy.update(rows, y_true, y_pred)

    def result(self):
        return {digit: self.accuracy[digit].estimate(0.95) for digit in range(10)}


def main():
    digits = load_digits()
    x, y_true = digits.data, digits.target
    y_pred = GaussianNB().fit(x[:600], y_true[:600]).predict(x)
    rows = range(len(y_true))

    whole = ByDigit()
    whole.update_state(rows, y_true, y_pred)
    shards = [ByDigit() for _ in range(8)]
    for i, shard in enumerate(shards):
        shard.update_state(rows[i::8], y_true[i::8], y_pred[i::8])
    merged = shards.pop()
    merged.merge_state(shards)

    for digit, (value, low, high) in sorted(merged.result().items(), key=lambda item: item[1].value):
        print(f"digit {digit}: {value:.3f}, between {low:.3f} and {high:.3f}")
    print("the same from one process:", whole.result() == merged.result())


if __name__ == "__main__":
    main()
