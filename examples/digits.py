"""Does a metric in plain Python say the same on four replicas as on one, to the last bit?

A small Keras model learns scikit-learn's handwritten digits under MirroredStrategy, with metrics in Python in every step.
Then Keras evaluates its predictions without a strategy and with one, and scikit-learn does in one pass.
"""

# ruff: noqa: ARG002  # Keras passes a sample_weight to every metric
import argparse
import os
import sys

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # or TensorFlow begins with a notice

try:
    import numpy as np
    import tensorflow as tf
    from rich.console import Console
    from rich.table import Table
    from sklearn.datasets import load_digits
    from sklearn.metrics import jaccard_score, precision_recall_fscore_support, roc_auc_score
    from sklearn.model_selection import train_test_split
except ImportError as error:
    sys.exit(f"This demo needs {error.name}, which is not installed: pip install 'mergeable[demo]'")

import mergeable as mg

BATCH = 64  # the 450 test rows then end in a batch of 2, too few for 4 replicas


class BatchJaccard(mg.PyMetric):  # the example of Keras's documentation: a mean over batches
    total = mg.Sum()
    count = mg.Count()

    def update_state(self, y_true, y_pred, sample_weight=None):
        label, _, probability = unpack(y_true, y_pred)
        self.total += jaccard_score(label, probability.argmax(axis=1), average="macro")
        self.count += 1

    def result(self):
        return self.total / self.count


class Jaccard(mg.PyMetric):  # the same score, read from what does add up
    matrix = mg.ConfusionMatrix(10)

    def update_state(self, y_true, y_pred, sample_weight=None):
        label, _, probability = unpack(y_true, y_pred)
        self.matrix.update(label, probability.argmax(axis=1))

    def result(self):
        right, true, predicted = margins(self.matrix.result())
        return np.mean(right / np.maximum(true + predicted - right, 1))


class Report(Jaccard):  # several values from one matrix, some of them for each class
    def result(self):
        right, true, predicted = margins(self.matrix.result())
        f1 = np.mean(2 * right / np.maximum(true + predicted, 1))
        return {"f1": f1, "precision": right / np.maximum(predicted, 1), "recall": right / np.maximum(true, 1)}


class Auroc(mg.PyMetric):  # exact, so it needs every row
    rows = mg.Rows("label", "probability")

    def update_state(self, y_true, y_pred, sample_weight=None):
        label, _, probability = unpack(y_true, y_pred)
        self.rows.update(label, probability)

    def result(self):
        label, probability = self.rows.result().values()
        if len(np.unique(label)) < 10:  # not defined until each class was seen
            return np.nan
        return roc_auc_score(label, probability, multi_class="ovr", average="macro")


class Hard(mg.PyMetric):  # which examples give their true class less than half of the probability
    ids = mg.Set()

    def update_state(self, y_true, y_pred, sample_weight=None):
        label, row, probability = unpack(y_true, y_pred)
        self.ids.update(row[probability[np.arange(len(row)), label] < 0.5])

    def result(self):
        return len(self.ids)


def unpack(y_true, y_pred):
    return *y_true.numpy().T, y_pred.numpy()  # labels (n,), rows of the data set (n,), probabilities (n, 10)


def margins(matrix):
    return matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)


def build(strategy, *layers):
    cross_entropy = tf.keras.losses.sparse_categorical_crossentropy
    with strategy.scope():
        model = tf.keras.Sequential(layers)
        metrics = [BatchJaccard("batch_jaccard"), Jaccard("jaccard"), Auroc("auroc"), Report("report"), Hard("hard")]
        model.compile(tf.keras.optimizers.Adam(0.01), lambda y, p: cross_entropy(y[:, 0], p), metrics=metrics)
    return model, metrics


def evaluate(strategy, y_true, probability):
    model, metrics = build(strategy, tf.keras.Input((10,)), tf.keras.layers.Activation("linear"))
    values = model.evaluate(probability, y_true, batch_size=BATCH, verbose=0, return_dict=True)
    return values | {"hard ids": metrics[-1].ids.result()}, metrics


def one_pass(y_true, probability):
    label, row = y_true.T
    predicted = probability.argmax(axis=1)
    hard = sorted(row[probability[np.arange(len(row)), label] < 0.5])
    jaccard = jaccard_score(label, predicted, average="macro")
    auroc = roc_auc_score(label, probability, multi_class="ovr", average="macro")
    precision, recall, f1, _ = precision_recall_fscore_support(label, predicted)
    values = {"batch_jaccard": jaccard, "jaccard": jaccard, "auroc": auroc, "report_f1": f1.mean()}
    return values | {"report_precision": precision, "report_recall": recall, "hard": len(hard), "hard ids": hard}


def main():
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--replicas", type=int, default=4, choices=(2, 4, 8), help="default 4")
    n = parser.parse_args().replicas
    console = Console(highlight=False)
    tf.get_logger().setLevel("ERROR")
    tf.keras.utils.set_random_seed(0)
    devices = [tf.config.LogicalDeviceConfiguration()] * n
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    mirrored = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(n)])

    images, labels = load_digits(return_X_y=True)
    y = np.stack([labels, np.arange(len(labels))], axis=1)  # the row's number travels beside the label
    x_train, x_test, y_train, y_test = train_test_split(images / 16, y, test_size=0.25, random_state=0)
    dense = tf.keras.layers.Dense
    model, _ = build(mirrored, tf.keras.Input((64,)), dense(64, "relu"), dense(10, "softmax"))
    with console.status("") as status:  # the values of every step; Keras prints those of the epoch
        show = "step {} of this epoch: auroc {auroc:.4f}, jaccard {jaccard:.4f}, hard {hard:.0f}".format
        live = tf.keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: status.update(show(i + 1, **logs)))
        model.fit(x_train, y_train, batch_size=BATCH, epochs=4, verbose=2, callbacks=[live])

    probability = model.predict(x_test, batch_size=BATCH, verbose=0)
    one, (on_one, *_) = evaluate(tf.distribute.get_strategy(), y_test, probability)
    many, (on_many, *_, hard) = evaluate(mirrored, y_test, probability)
    console.print(
        "\nMatrix products round differently when batches have other sizes, so the model predicts once, and a model without "
        f"weights is evaluated on its {len(y_test)} predictions, in batches of {BATCH}: the last one has {len(y_test) % BATCH} "
        f"rows and leaves {n - 2} of {n} replicas with none."
    )
    table = Table("metric", "1 replica", f"{n} replicas", "one pass", "same bits")
    wrong = []
    for name, whole in one_pass(y_test, probability).items():
        values = [np.asarray(value, np.float64) for value in (one[name], many[name], whole)]
        same = len({value.tobytes() for value in values}) == 1
        if same == (name == "batch_jaccard"):
            wrong.append(name)
        cells = (f"{value.size} values" if value.ndim else f"{value:.12g}" for value in values)
        table.add_row(name, *cells, "yes" if same else "no")
    console.print(table)
    console.print(
        f"batch_jaccard is a mean over batches: {on_one.count} on one replica, {on_many.count} on {n}, and 1 in one pass. Its "
        "states merge exactly, but its value depends on where the rows were cut. jaccard reads the same score from a matrix."
    )
    for name in ("precision", "recall"):
        console.print(f"\n{name} of the digits 0 to 9:", *(f"{value:.2f}" for value in many[f"report_{name}"]), end="")
    console.print(f"\nhard examples: {', '.join(map(str, many['hard ids']))}\ncovered: {hard.coverage!r}")
    sys.exit(f"These do not compare as they should: {', '.join(wrong)}." if wrong else 0)


if __name__ == "__main__":
    main()
