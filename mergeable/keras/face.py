"""The face of a metric: a Keras metric whose verbs work on the metric that it holds, in eager code and in graphs."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

import numpy as np
import tensorflow as tf

from mergeable.errors import UnsupportedStrategy
from mergeable.exchange import join
from mergeable.keras.batch import Batch
from mergeable.keras.batch_queue import queue_of
from mergeable.keras.call_site import CallSite, update_each
from mergeable.keras.caller import check_caller
from mergeable.keras.checkpoint import Checkpointed
from mergeable.keras.configuration import read
from mergeable.keras.converter import Converter
from mergeable.keras.graph_call import TracedCall, as_written, call_host, eagerly
from mergeable.keras.keras_metric import KerasMetric
from mergeable.keras.logs import as_logged
from mergeable.keras.masks import folded
from mergeable.keras.options import NAMES, Options, check_option
from mergeable.keras.packing import can_pack
from mergeable.keras.results import EagerResult, graph_result
from mergeable.keras.step_values import structure_of
from mergeable.metric.arguments import with_weights_it_takes
from mergeable.metric.internals import internals
from mergeable.metric.operations import reset
from mergeable.metric.verbs import check_outside
from mergeable.state.hints import AS_INSTANCE, NoVariables, OfInstances
from mergeable.strategies import current
from mergeable.strategy import Replicas
from mergeable.wording import shown

F = TypeVar("F", bound="Face")


@final
class FaceState:
    """What is kept of one face: the metric that it holds, unless it is that itself, its options, and its last eager result.

    ``is_joined`` tells whether Keras's constructor has run: None before, False while it runs.
    """

    __slots__ = ("host", "is_joined", "options", "result")

    def __init__(self, host: Any = None, *, is_joined: bool | None = None) -> None:
        self.host, self.is_joined = host, is_joined
        self.options: Options | None = None
        self.result = EagerResult()


class Face(NoVariables, Checkpointed):
    """A Keras metric that holds a metric: Keras calls the face, and the states are the metric's.

    A class of faces derives from the Keras base class too, and says where its ``FaceState`` is.
    """

    empty_result: Any = None
    """An example of the result, for its structure, where ``result()`` fails on empty states, or finds keys as it goes. Of a dict,
    steps show the keys that it names, NaN where a result lacks one; other keys are shown when an epoch or ``evaluate`` ends."""

    sync: str = "epoch"
    """What ``result`` covers in a step, or another graph, where several processes work: ``"epoch"``, the rows of this process,
    or ``"step"``, all rows, at the price of an exchange in every step. An eager result covers all rows in either case."""

    step_result: str | int = "auto"
    """When a step computes the result that it shows: ``"always"``; an int n, in every n-th step; ``"never"``, which shows NaN; or
    ``"auto"``, in every step but those of Keras's own ``fit`` and ``evaluate``, which read results anew at their end: there for at
    most a tenth of the time that steps take, and four times a second. The first step after a reset computes it, but for
    ``"never"``; steps that do not show the last value. What an epoch or ``evaluate`` ends with, and every eager ``result``, is always
    computed."""

    step_failure: str = "nan"
    """What a step of a Keras model does where ``result`` raises, as a function of scikit-learn may before every class has come:
    ``"nan"``, it shows NaN, and a warning names the exception once; ``"raise"``, it raises. The end of an epoch or of ``evaluate``,
    eager code and functions of your own raise in either case."""

    hand_over: str = "queued"
    """When batches of a step in a graph reach ``update_state``: ``"now"``, in that step; or ``"queued"``, in order, when the
    states are next read, or when many wait. The results are the same bits."""

    _face_converter: ClassVar[Converter]

    name: str

    def _face_state(self) -> FaceState:
        raise NotImplementedError

    @property
    def _face_options(self) -> Options:
        face = self._face_state()
        if face.options is None:
            face.options = Options.of(self)
        return face.options

    def _set_option(self, name: str, value: Any) -> None:
        """Set an option, also for the graphs that were traced before."""
        check_option(type(self._host_metric()).__name__, name, value)
        object.__setattr__(self, name, value)
        if self._face_state().options is not None:
            setattr(self._face_options, name, value)

    # Where the metric comes to Keras.

    def _join_keras(self, **kwargs: Any) -> None:
        """Run the constructor of Keras's metric."""
        self._check_joins()
        self._construct(**kwargs)

    def _check_joins(self) -> None:
        """Raise ``UnsupportedStrategy`` where a metric is made that no step could update."""
        who = type(self._host_metric()).__name__
        if tf.keras.backend.backend() != "tensorflow":
            raise UnsupportedStrategy(
                f"{who}: got Keras with the backend {shown(tf.keras.backend.backend())}, expected 'tensorflow', whose "
                "steps can call Python on the host. Set KERAS_BACKEND=tensorflow, or use mergeable.Metric in a loop of your own."
            )
        if not tf.executing_eagerly():
            raise UnsupportedStrategy(
                f"{who}: got a metric that is made while a step is traced, expected one made before, because what "
                "this one takes would be lost. tf_keras does it for pss_evaluation_shards; leave that 0. It copies one metric for "
                "several outputs too: let a from_config of your own call super().from_config, or give each output a metric. "
                f"{AS_INSTANCE.format(type(self).__name__)}"
            )

    def _construct(self, **kwargs: Any) -> None:
        face = self._face_state()
        face.is_joined = False
        try:
            KerasMetric.__init__(self, **kwargs)  # type: ignore[arg-type]  # every class of faces derives from it
        finally:
            face.is_joined = True

    def _join_job(self) -> None:
        """Check the options, and join the processes of the scope where the metric is built; a step that is traced does it too."""
        for name in NAMES:
            check_option(type(self._host_metric()).__name__, name, getattr(self, name))
        try:
            self._replicas(self._host_metric())
        except UnsupportedStrategy:  # said when a step is traced; a metric may be built anywhere
            return

    @staticmethod
    def _replicas(metric: Any) -> Replicas:
        """Return the replicas of the strategy in force, whose processes the metric has joined."""
        replicas = current()
        if replicas.processes is not None:
            join(metric, replicas.processes)
        if not replicas.ordered:
            internals(metric).declaration.check_commutative(type(replicas).__name__)
        return replicas

    @classmethod
    def from_config(cls: type[F], config: dict[str, Any]) -> F:
        """Return a fresh metric of these arguments; functions and objects are what they were.

        tf_keras calls it while it traces the first step, for each output of a model that shares one metric.

        Raises:
            TypeError: a file names a function or a class that is not registered with ``keras.saving.register_keras_serializable``.
        """
        lifts = not tf.executing_eagerly() and current().ordered
        with eagerly() if lifts else nullcontext():
            return cls._of_config(config)

    @classmethod
    def _of_config(cls: type[F], config: dict[str, Any]) -> F:
        return cls(**read(config))

    # What Keras calls.

    @as_written
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take one batch and return the result.

        Raises:
            TypeError: it is called by the other Keras, which takes the metric for a function of one batch.
        """
        check_caller(type(self._host_metric()).__name__, KerasMetric)
        self.update_state(*args, **kwargs)
        return self.result()

    if TYPE_CHECKING:  # a class of faces writes these two, or derives from a metric that has them

        def update_state(self, *args: Any, **kwargs: Any) -> Any:
            """Take one batch."""

        def result(self) -> Any:
            """Return the result."""

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - Keras's signature
        """Raise ``TypeError``: the states of this metric are no variables, which Keras 3 could keep elsewhere."""
        raise TypeError(self._stateless("update_state"))

    def stateless_reset_state(self) -> Any:
        """Raise ``TypeError``, as ``stateless_update_state`` does."""
        raise TypeError(self._stateless("reset_state"))

    def _stateless(self, verb: str) -> str:
        return (
            f"{type(self._host_metric()).__name__}.stateless_{verb}: got a call that must not change the metric, expected {verb}, because its "
            f"states are Python's and no variables that somebody else could hold. Call {verb}, or use a copy of the metric."
        )

    # What the verbs do when called from outside: here, and in a graph.

    @as_written
    def _dispatch_update_state(self, *args: Any, **kwargs: Any) -> None:
        metric = self._host_metric()
        check_outside(metric, "update_state")
        method = type(metric).update_state
        args, kwargs = folded(method, args, kwargs)
        kwargs = with_weights_it_takes(method, kwargs)
        replicas = self._replicas(metric)
        replicas.meet(Batch(args, kwargs), lambda batches: self._take(metric, replicas, replicas.distinct(batches)))

    @as_written
    def _dispatch_result(self) -> Any:
        metric, face = self._host_metric(), self._face_state()
        check_outside(metric, "result")
        options, read = self._face_options, face.result.read if tf.executing_eagerly() else graph_result
        result = read(metric, options)
        return as_logged(self, metric, options, result, face.result.logged(result))

    @as_written
    def _dispatch_reset_state(self) -> None:
        metric = self._host_metric()
        if tf.executing_eagerly():
            check_outside(metric, "reset_state")
            reset(metric)
            return
        TracedCall.forget(metric, tf.compat.v1.get_default_graph())

        def act(metric: Any, *_: tf.Tensor) -> list[Any]:
            reset(metric)
            return []

        def reset_in_graph(_: list[None]) -> None:
            call_host(metric, act, queue_of(metric, self._face_options).order(current()), [])

        self._replicas(metric).meet(None, reset_in_graph)

    def _take(self, metric: Any, replicas: Replicas, batches: list[Batch]) -> None:
        """Hand over the batches of all replicas."""
        if tf.executing_eagerly():
            with tf.device("/cpu:0"):
                for replica, batch in enumerate(batches):
                    arguments = batch.layout.arguments([tf.identity(t) for t in batch.tensors])
                    self._face_converter.update(metric, replica, *arguments)
            return
        options = self._face_options
        traced = TracedCall(tf.compat.v1.get_default_graph(), structure_of(metric, options))
        call_site = CallSite(batches, traced, self._face_converter, options)
        tensors = [tensor for batch in batches for tensor in batch.tensors]
        queue = queue_of(metric, options)
        in_queue = options.hand_over == "queued" and queue.serves(replicas) and queue.schedule.step_result != 1
        packs = bool(tensors) and can_pack([tensor.dtype for tensor in tensors])
        if in_queue and packs and call_site.structure.is_numeric and not internals(metric).undeclared:
            outputs = queue.put(call_site, tensors, replicas)
        else:
            outputs = _call(metric, replicas, call_site, tensors)
        traced.keep(metric, outputs)


for _name in ("name", "variables"):
    _property = getattr(KerasMetric, _name, None)
    if isinstance(_property, property):
        setattr(Face, _name, OfInstances(_property.fget, _property.fset, _property.fdel, _property.__doc__))


def _call(metric: Any, replicas: Replicas, call_site: CallSite, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """Have the step call the host with the batches of all replicas, and wait for it."""
    ticket = replicas.ticket()
    sizes = len(ticket), len(tensors)

    def act(metric: Any, *arrived: tf.Tensor) -> list[np.ndarray]:
        queue, start = queue_of(metric, call_site.options), len(arrived) - sizes[1]
        with replicas.admit(call_site, arrived[start - sizes[0] : start]) as first_slot:
            if first_slot is not None:
                update_each(call_site.runs(metric, [[tensor] for tensor in arrived[start:]], range(1), first_slot))
        queue.stepped()
        return queue.result(call_site)

    inputs = [*queue_of(metric, call_site.options).order(replicas), *ticket, *tensors]
    return call_host(metric, act, inputs, call_site.structure.dtypes)
