"""A metric in plain Python as a Keras metric, for Keras 3 and tf_keras."""

from __future__ import annotations

import copy
from abc import ABCMeta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import tensorflow as tf

from mergeable.keras.batch import Arguments, Batch, is_empty
from mergeable.keras.configuration import written
from mergeable.keras.converter import TENSORS
from mergeable.keras.face import Face, FaceState
from mergeable.keras.hosted import HostedMetric
from mergeable.keras.keras_metric import KerasMetric, keras_names
from mergeable.keras.options import ARGUMENTS, NAMES
from mergeable.metric import Metric
from mergeable.metric.arguments import check_instance
from mergeable.metric.internals import ATTRIBUTE, internals
from mergeable.registry import LABELS
from mergeable.state.names import check_class, check_text, is_private, own_name, refuse

P = TypeVar("P", bound="PyMetric")


class PyMetric(Face, Metric, KerasMetric):
    """A Keras metric whose ``update_state`` and ``result`` run in Python on the host, under any strategy but a TPU's.

    A drop-in for ``tf.keras.metrics.experimental.PyMetric``, which Keras 3 dropped, that also merges. Declare states on the
    class (or with ``add_state``), and ``reset_state``, ``merge_state``, pickling, copies and distribution are derived.

    ``update_state`` gets eager tensors on the CPU, in the structure that was passed; a batch without rows, as replicas get
    when the last batch is short, is not handed over. What a layer's mask on the predictions hides has weight 0 in
    ``sample_weight``, as in Keras's own metrics. ``result`` reads the fold of all replicas and returns a number, an
    array, or a dict (also nested) of them. In a graph, a step leaves the batches of all replicas in a queue (``hand_over``), and
    shows the result of all of them as of a step that computed it (``step_result``). Results are float64.

    Where several processes work, ``result`` outside of a step is that of all of them, on each: every process must call it.
    One exchange brings all metrics that were updated, so those read next cost none.

    The structure of a result must be known when a step is traced. It is learnt from ``result()`` on empty states; where that
    raises, it is one number, unless the class declares ``empty_result``, an example.

    In Keras's logs every value has a name of its own: that of the metric and the keys of a dict, joined by ``_``. Lists of numbers are
    arrays there. In code, ``result()`` gives what ``result`` returns.

    Raises:
        UnsupportedStrategy: when a step is traced for XLA or a TPU; when Keras has another backend.
        ExchangeTimeout: a process did not come to the exchange. IncompatibleStates: processes run different programs.
        Whatever ``update_state`` and ``result`` raise, as itself, with a note that names the metric, the method and the
            replica. A failed update leaves the states as they were.

    Example:
        >>> import mergeable as mg
        >>> class Accuracy(mg.PyMetric):
        ...     right = mg.Count()
        ...     rows = mg.Count()
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.right += int((y_true.numpy() == y_pred.numpy()).sum())
        ...         self.rows += len(y_true)
        ...     def result(self):
        ...         return self.right / self.rows
        >>> metric = Accuracy()
        >>> metric.update_state([1, 0, 1], [1, 1, 1])
        >>> float(metric.result())
        0.6666666666666666
    """

    _labels = LABELS.union(ARGUMENTS)

    _face_converter = TENSORS

    def __new__(cls: type[P], /, *args: Any, **kwargs: Any) -> P:
        """Set up what needs no ``__init__``; refuse to be called with a batch, as a function."""
        if args and not tf.executing_eagerly() and all(map(tf.is_tensor, args)):
            check_instance(cls, args)
        self = super().__new__(cls, *args, **kwargs)
        internals(self).face = FaceState()
        return self

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        check_text(type(self), name)
        self._join_keras(name=name, dtype=dtype, **kwargs)
        self.reset_state()
        self._join_job()

    def _host_metric(self) -> Any:
        return self

    def _face_state(self) -> FaceState:
        inner = internals(self)
        if inner.face is None:  # a copy, which has all that Keras's constructor set
            inner.face = FaceState(is_joined=True)
        face: FaceState = inner.face
        return face

    def _join_keras(self, **kwargs: Any) -> None:
        self._check_joins()
        cls, names = type(self), keras_names()
        private = frozenset(filter(is_private, names))
        set_before = set() if self._face_state().is_joined else self.__dict__.keys() - {ATTRIBUTE}
        taken = private & (internals(self).declaration.states.keys() | set_before)
        if taken:
            refuse(cls, min(taken))
        check_class(cls, private)
        cls._names = cls._names | private
        self._construct(**kwargs)

    if not TYPE_CHECKING:  # for a checker, any name would be an attribute

        def __getattr__(self, name: str) -> Any:
            inner = self.__dict__.get(ATTRIBUTE)
            face = None if inner is None else inner.face
            if face is not None and face.is_joined is None and name in keras_names():
                arguments = inner.declaration.arguments  # a constructor of the user's has not called ours
                with tf.init_scope():
                    self._join_keras(name=own_name(type(self), arguments), dtype=arguments.get("dtype"))
                self._join_job()
                return getattr(self, name)
            return super().__getattr__(name)

    @staticmethod
    def of(
        metric: Metric,
        name: str | None = None,
        *,
        sync: str = "epoch",
        step_result: str | int = "auto",
        step_failure: str = "nan",
        hand_over: str = "queued",
    ) -> PyMetric:
        """Return a metric without a framework as a Keras metric; it is shared, not copied.

        Its ``update_state`` gets NumPy arrays. ``sync``, ``step_result``, ``step_failure`` and ``hand_over`` are what they
        are in ``PyMetric``.

        Raises:
            TypeError: ``metric`` is not a ``mergeable.Metric``.

        Example:
            >>> import mergeable as mg
            >>> class Worst(mg.Metric):
            ...     worst = mg.Max()
            ...     def update_state(self, y_true, y_pred):
            ...         self.worst += abs(y_true - y_pred)
            ...     def result(self):
            ...         return self.worst.result()
            >>> metric = PyMetric.of(Worst())
            >>> metric.update_state([1.0, 2.0], [1.5, 2.0])
            >>> float(metric.result())
            0.5
        """
        hosted = HostedMetric(metric, name, sync=sync, step_result=step_result, step_failure=step_failure, hand_over=hand_over)
        return cast(PyMetric, hosted)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, in the forms that Keras writes into files."""
        return {**written(internals(self).declaration.arguments), "name": self.name, "dtype": self.dtype}

    @staticmethod
    def _received(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:
        with tf.device("/cpu:0"):
            batch = Batch(args, kwargs)
            args, kwargs = batch.layout.arguments([tf.identity(t) for t in batch.tensors])
        return None if is_empty(args, kwargs) else (args, kwargs)

    # What is Keras's and what is the user's.

    def _set_plain(self, name: str, value: Any) -> None:
        if name in NAMES:
            self._set_option(name, value)
        elif self._face_state().is_joined is False:
            super()._set_plain(name, value)
        else:
            object.__setattr__(self, name, value)  # Keras would wrap lists and dicts to track them

    def _plain_attributes(self) -> dict[str, Any]:
        theirs = keras_names() | self._names
        plain = super()._plain_attributes()
        return {k: v for k, v in plain.items() if k not in theirs and not k.startswith("_self_")}  # these are TensorFlow's

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "keras": {"name": self.name, "dtype": self.dtype}}

    def __setstate__(self, saved: dict[str, Any]) -> None:  # type: ignore[override]  # a dict is what __getstate__ gives
        self._join_keras(**saved["keras"])
        super().__setstate__({name: value for name, value in saved.items() if name != "keras"})

    def __deepcopy__(self, memo: dict[int, Any]) -> PyMetric:
        twin: PyMetric = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin


cast(ABCMeta, PyMetric).register(HostedMetric)  # which has all that a PyMetric has
