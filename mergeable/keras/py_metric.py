"""A metric in plain Python as a Keras metric, for Keras 3 and tf_keras."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import tensorflow as tf

from mergeable.errors import UnsupportedStrategy
from mergeable.exchange import join
from mergeable.keras.batch import Arguments, Batch, is_empty, rows_of_first
from mergeable.keras.batch_queue import Inlet
from mergeable.keras.call_site import Site, take_each
from mergeable.keras.caller import check_caller
from mergeable.keras.checkpoint import Checkpointed
from mergeable.keras.configuration import read, written
from mergeable.keras.graph_call import Traced, as_written, call_host, eagerly
from mergeable.keras.keras_metric import KerasMetric
from mergeable.keras.masks import folded
from mergeable.keras.packing import can_pack
from mergeable.keras.read import Read
from mergeable.keras.result_schedule import Schedule
from mergeable.metric import Metric
from mergeable.metric.arguments import check_instance, with_weights_it_takes
from mergeable.metric.internals import internals, nothing
from mergeable.metric.operations import reset, skip_update, update
from mergeable.metric.verbs import check_outside
from mergeable.state.hints import AS_INSTANCE, NoVariables, OfInstances
from mergeable.state.names import check_class, check_text, is_private, own_name, refuse
from mergeable.strategies import current
from mergeable.strategy import Replicas
from mergeable.wording import shown

P = TypeVar("P", bound="PyMetric")


class PyMetric(Read, Metric, NoVariables, Checkpointed, KerasMetric):
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

    _labels = Metric._labels | {"sync", "step_result", "step_failure", "hand_over"}

    _joined: bool | None = None
    """Whether Keras's constructor has run; False while it runs."""

    _takes_arrays = False
    """Whether an update takes arrays where tensors were."""

    def __new__(cls: type[P], /, *args: Any, **kwargs: Any) -> P:
        """Set up what needs no ``__init__``; refuse to be called with a batch, as a function."""
        if args and not tf.executing_eagerly() and all(map(tf.is_tensor, args)):
            check_instance(cls, args)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        check_text(type(self), name)
        self._join_keras(name=name, dtype=dtype, **kwargs)
        self.reset_state()
        self._join_job()

    def _join_keras(self, **kwargs: Any) -> None:
        if tf.keras.backend.backend() != "tensorflow":
            raise UnsupportedStrategy(
                f"{type(self).__name__}: got Keras with the backend {shown(tf.keras.backend.backend())}, expected 'tensorflow', whose "
                "steps can call Python on the host. Set KERAS_BACKEND=tensorflow, or use mergeable.Metric in a loop of your own."
            )
        if not tf.executing_eagerly():
            raise UnsupportedStrategy(
                f"{type(self).__name__}: got a metric that is made while a step is traced, expected one made before, because what "
                "this one takes would be lost. tf_keras does it for pss_evaluation_shards; leave that 0. It copies one metric for "
                "several outputs too: let a from_config of your own call super().from_config, or give each output a metric. "
                f"{AS_INSTANCE.format(type(self).__name__)}"
            )
        cls, names = type(self), keras_names()
        private = frozenset(filter(is_private, names))
        taken = private & (
            internals(self).declaration.states.keys() | (self.__dict__.keys() if self._joined is None else set())
        )
        if taken:
            refuse(cls, min(taken))
        check_class(cls, private)
        cls._names = cls._names | private
        self._construct(**kwargs)
        self.__dict__.update(_shown=None, _told=frozenset())

    def _construct(self, **kwargs: Any) -> None:
        self.__dict__["_joined"] = False
        try:
            KerasMetric.__init__(self, **kwargs)
        finally:
            self.__dict__["_joined"] = True

    if not TYPE_CHECKING:  # for a checker, any name would be an attribute

        def __getattr__(self, name: str) -> Any:
            if self._joined is None and name in keras_names():  # a constructor of the user's has not called ours
                arguments = internals(self).declaration.arguments
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
        from mergeable.keras.hosted import HostedMetric  # it is a PyMetric

        options: dict[str, Any] = {
            "sync": sync,
            "step_result": step_result,
            "step_failure": step_failure,
            "hand_over": hand_over,
        }
        return HostedMetric(metric, name=name, **options)

    @as_written
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take one batch and return the result.

        Raises:
            TypeError: it is called by the other Keras, which takes the metric for a function of one batch.
        """
        check_caller(self._who, KerasMetric)
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - Keras's signature
        """Raise ``TypeError``: the states of this metric are no variables, which Keras 3 could keep elsewhere."""
        raise TypeError(self._stateless("update_state"))

    def stateless_reset_state(self) -> Any:
        """Raise ``TypeError``, as ``stateless_update_state`` does."""
        raise TypeError(self._stateless("reset_state"))

    def _stateless(self, verb: str) -> str:
        return (
            f"{self._who}.stateless_{verb}: got a call that must not change the metric, expected {verb}, because its states are Python's "
            f"and no variables that somebody else could hold. Call {verb}, or use a copy of the metric."
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, in the forms that Keras writes into files."""
        return {**written(internals(self).declaration.arguments), "name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls: type[P], config: dict[str, Any]) -> P:
        """Return a fresh metric of these arguments; functions and objects are what they were.

        tf_keras calls it while it traces the first step, for each output of a model that shares one metric.

        Raises:
            TypeError: a file names a function or a class that is not registered with ``keras.saving.register_keras_serializable``.
        """
        lifts = not tf.executing_eagerly() and current().ordered
        with eagerly() if lifts else nullcontext():
            return cls._of_config(config)

    @classmethod
    def _of_config(cls: type[P], config: dict[str, Any]) -> P:
        return cls(**read(config))

    # Where there are several processes: the scope where the metric is built says so, or the step where it is traced.

    def _join_job(self) -> None:
        if self.sync not in ("epoch", "step"):
            raise ValueError(f"{self._who}.sync: got {shown(self.sync)}, expected 'epoch' or 'step'.")
        if self.hand_over not in ("now", "queued"):
            raise ValueError(f"{self._who}.hand_over: got {shown(self.hand_over)}, expected 'queued' or 'now'.")
        if self.step_failure not in ("nan", "raise"):
            raise ValueError(f"{self._who}.step_failure: got {shown(self.step_failure)}, expected 'nan' or 'raise'.")
        Schedule(self.step_result, self._who)
        try:
            self._replicas()
        except UnsupportedStrategy:  # said when a step is traced; a metric may be built anywhere
            return

    def _replicas(self) -> Replicas:
        replicas = current()
        if replicas.processes is not None:
            join(self._on_host(), replicas.processes)
        if not replicas.ordered:
            internals(self._on_host()).declaration.check_commutative(type(replicas).__name__)
        return replicas

    # What the verbs do when called from outside: here, and in a graph.

    @as_written
    def _dispatch_update_state(self, *args: Any, **kwargs: Any) -> None:
        check_outside(self._on_host(), "update_state")
        method = type(self._on_host()).update_state
        args, kwargs = folded(method, args, kwargs)
        kwargs = with_weights_it_takes(method, kwargs)
        replicas = self._replicas()
        replicas.meet(Batch(args, kwargs), lambda batches: self._take(replicas, replicas.distinct(batches)))

    @as_written
    def _dispatch_reset_state(self) -> None:
        if tf.executing_eagerly():
            check_outside(self._on_host(), "reset_state")
            reset(self._on_host())
        else:
            Traced.forget(self._on_host(), tf.compat.v1.get_default_graph())
            self._replicas().meet(None, self._reset_in_graph)

    def _reset_in_graph(self, _: list[None]) -> None:
        def act(metric: PyMetric, *_: tf.Tensor) -> list[Any]:
            reset(metric._on_host())
            return []

        call_host(self, act, self._inlet_here().order(current()), [])

    def _inlet_here(self) -> Inlet:
        """Return where steps leave batches for the metric on the host."""
        metric = self._on_host()
        inlet: Inlet | None = internals(metric).queue  # type: ignore[assignment]  # nobody else makes any
        if inlet is None:
            timed = self.sync == "epoch" or self.step_result != "auto"  # all processes of a job exchange in the same steps
            inlet = Inlet(metric, Schedule(self.step_result if timed else "always", self._who))
            internals(metric).queue = inlet
        return inlet

    def _take(self, replicas: Replicas, batches: list[Batch]) -> None:
        """Hand over the batches of all replicas."""
        if tf.executing_eagerly():
            with tf.device("/cpu:0"):
                for replica, batch in enumerate(batches):
                    self._take_one(replica, *batch.layout.arguments([tf.identity(t) for t in batch.tensors]))
            return
        traced = Traced(tf.compat.v1.get_default_graph(), self._structure())
        site = Site(batches, traced)
        tensors = [tensor for batch in batches for tensor in batch.tensors]
        inlet = self._inlet_here()
        in_queue = self.hand_over == "queued" and inlet.serves(replicas) and inlet.schedule.step_result != 1
        packs = bool(tensors) and can_pack([tensor.dtype for tensor in tensors])
        if in_queue and packs and site.structure.is_numeric and not internals(self._on_host()).undeclared:
            outputs = inlet.put(self, site, tensors, replicas)
        else:
            outputs = self._call(replicas, site, tensors)
        traced.keep(self._on_host(), outputs)

    def _call(self, replicas: Replicas, site: Site, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        """Have the step call the host with the batches of all replicas, and wait for it."""
        ticket = replicas.ticket()
        sizes = len(ticket), len(tensors)

        def act(metric: PyMetric, *arrived: tf.Tensor) -> list[np.ndarray]:
            inlet, start = metric._inlet_here(), len(arrived) - sizes[1]
            with replicas.admit(site, arrived[start - sizes[0] : start]) as first_slot:
                if first_slot is not None:
                    take_each(site.runs(metric, [[tensor] for tensor in arrived[start:]], range(1), first_slot))
            inlet.stepped()
            return inlet.result(metric, site)

        return call_host(self, act, [*self._inlet_here().order(replicas), *ticket, *tensors], site.structure.dtypes)

    def _take_one(
        self, replica: int, args: tuple[Any, ...], kwargs: dict[str, Any], then: Callable[[], None] = nothing
    ) -> None:
        if is_empty(args, kwargs):
            skip_update(self._on_host())
            then()
        else:
            self._host_update(replica, args, kwargs, then)

    def _take_joined(
        self,
        replica: int,  # noqa: ARG002 - a default
        args: tuple[Any, ...],  # noqa: ARG002 - a default
        kwargs: dict[str, Any],  # noqa: ARG002 - a default
        updates: int,  # noqa: ARG002 - a default
        then: Callable[[], None],  # noqa: ARG002 - a default
    ) -> bool:
        """Take the rows of several updates as one, if that does what taking them one by one does; return whether it was done."""
        return False

    def _host_update(
        self,
        replica: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        then: Callable[[], None],
        updates: int = 1,
    ) -> None:
        update(self, replica, args, kwargs, updates, rows_of_first(args), then=then)

    @staticmethod
    def _received(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:
        with tf.device("/cpu:0"):
            batch = Batch(args, kwargs)
            args, kwargs = batch.layout.arguments([tf.identity(t) for t in batch.tensors])
        return None if is_empty(args, kwargs) else (args, kwargs)

    @property
    def _who(self) -> str:
        return type(self).__name__

    # What is Keras's and what is the user's.

    def _set_plain(self, name: str, value: Any) -> None:
        if self._joined is False:
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


for _name in ("name", "variables"):
    _property = getattr(KerasMetric, _name, None)
    if isinstance(_property, property):
        setattr(PyMetric, _name, OfInstances(_property.fget, _property.fset, _property.fdel, _property.__doc__))


@functools.cache
def keras_names() -> frozenset[str]:
    """Return the attributes that Keras's constructor sets."""
    blank = PyMetric.__new__(PyMetric)
    before = frozenset(vars(blank))
    blank._construct(name="names")
    return frozenset(vars(blank)) - before - {"_joined"}
