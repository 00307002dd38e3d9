"""Tensors that become rows of bytes in a step come back as they were."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.keras import packing
from mergeable.metric.internals import internals

TYPES = sorted(packing._TYPES - {tf.string}, key=lambda kind: kind.name)


def taken_apart(batches, unknown_rank=False):
    """Return the columns of batches [(number, tensors)] that went through one graph for each place."""
    types, steps = {}, {}
    for number, tensors in batches:
        types.setdefault(number, [tensor.dtype for tensor in tensors])
        specs = [tf.TensorSpec(None if unknown_rank else [None] * len(t.shape), t.dtype) for t in tensors]
        if number not in steps:
            steps[number] = tf.function(
                lambda *given, number=number: packing.pack(number, given), input_signature=specs, autograph=False
            )
    rows = [steps[number](*tensors).numpy() for number, tensors in batches]
    packed, at, found = packing.Packed(np.concatenate(rows)), 0, []
    while at < len(packed):
        number = packed.number(at)
        columns, at = packed.columns(at, types[number])
        found.append((number, columns))
    return found


def as_bytes(array):
    return array.tobytes(), array.shape, array.dtype


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("unknown_rank", [False, True])
def test_every_type_and_shape_comes_back(kind, unknown_rank, rng):
    """Bit by bit, NaN and subnormal numbers too; also what has no values, no axes, or takes several rows."""
    for shape in [(), (1,), (3,), (2, 0), (7, 5), (packing.ROW_BYTES + 1,), (2, 1, 3)]:
        size = int(np.prod(shape)) * kind.size
        raw = np.frombuffer(rng.bytes(size), np.uint8)
        dtype = kind.as_numpy_dtype
        array = (raw % 2).astype(bool).reshape(shape) if kind == tf.bool else raw.view(dtype).reshape(shape)
        (_, [column]), *others = taken_apart([(0, [tf.constant(array)])] * 3, unknown_rank)
        assert not others
        for i in range(3):
            assert as_bytes(np.asarray(array)) == as_bytes(np.asarray(column[i]))
            assert as_bytes(np.asarray(array)) == as_bytes(np.asarray(packing.as_tensors(column)[i].numpy()))


def test_strings_come_back():
    """Of any length and number, with zero bytes inside and at the end."""
    texts = [b"", b"a", [b"\x00", b"b\x00"], [[b"long" * 2000], [b"x"]], np.zeros((0, 2), "S1")]
    batches = [(0, [tf.constant(text, tf.string), tf.constant(i)]) for i, text in enumerate(texts)]
    found = [[column[0] for column in columns] for _, columns in taken_apart(batches, unknown_rank=True)]

    assert len(texts) == len(found)
    for i, (text, (strings, number)) in enumerate(zip(texts, found, strict=True)):
        assert i == int(number)
        assert np.array(text, object).tolist() == np.asarray(strings.numpy(), object).tolist()
        assert np.shape(text) == tuple(strings.shape)


def test_batches_come_back_in_order_and_equal_shapes_together(rng):
    """Where place, shapes or size change a new run begins; one after the other all batches are there."""
    shapes = [(0, 2), (0, 2), (1, 2), (0, 2), (0, 3), (0, 3), (0, 5000), (0, 5000), (0, 2), (1, 2), (1, 2)]
    batches = [(number, [tf.constant(rng.normal(size=n)), tf.constant(n)]) for number, n in shapes]
    found = taken_apart(batches)

    assert [(0, 2), (1, 1), (0, 1), (0, 2), (0, 2), (0, 1), (1, 2)] == [(number, len(c[0])) for number, c in found]
    values = [value.tobytes() for _, columns in found for value in columns[0]]
    assert [batch[0].numpy().tobytes() for _, batch in batches] == values


def test_a_run_has_a_bound(monkeypatch):
    """Batches are taken apart in parts, at least one at a time."""
    monkeypatch.setattr(packing, "RUN_BYTES", 3 * packing.ROW_BYTES)
    small, large = tf.zeros(10), tf.zeros(10 * packing.ROW_BYTES)
    assert [3, 3, 1] == [len(columns[0]) for _, columns in taken_apart([(0, [small])] * 7)]
    assert [1, 1] == [len(columns[0]) for _, columns in taken_apart([(0, [large])] * 2)]


class Quantized(mg.PyMetric):
    """The sum of whole numbers that no row of bytes is made of."""

    total = mg.Sum()

    def update_state(self, values):
        self.total += float(tf.reduce_sum(tf.cast(values, tf.int32)).numpy())

    def result(self):
        return self.total.result()


def test_what_cannot_be_packed_is_handed_over_in_the_step():
    """The metric takes tensors of other types as ever."""
    assert not packing.can_pack([tf.float32, tf.qint8])
    metric = Quantized()
    step = tf.function(lambda values: metric.update_state(tf.bitcast(values, tf.qint8)))
    for _ in range(3):
        step(tf.constant([1, 2], tf.int8))

    assert internals(metric).queue is not None
    assert not internals(metric).queue._call_sites
    assert 9 == float(metric.result())
