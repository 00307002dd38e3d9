"""Keras metrics that hold a metric without a framework: any one, and a class of its own for a metric's class."""

from __future__ import annotations

import copy
import inspect
from abc import ABCMeta
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

import tensorflow as tf

from mergeable.keras.configuration import read, written
from mergeable.keras.converter import ARRAYS
from mergeable.keras.face import Face, FaceState
from mergeable.keras.graph_call import as_written
from mergeable.keras.keras_metric import KerasMetric, keras_names
from mergeable.keras.options import ARGUMENTS, NAMES
from mergeable.metric import Metric
from mergeable.metric.arguments import accepts
from mergeable.metric.internals import ATTRIBUTE, internals
from mergeable.metric.operations import configured
from mergeable.registry import subclasses
from mergeable.state import State
from mergeable.state.hints import AS_INSTANCE
from mergeable.state.names import FACTS
from mergeable.wording import shown


@tf.keras.utils.register_keras_serializable("mergeable")  # a model that holds one loads without custom_objects
class HostedMetric(Face, KerasMetric):
    """What ``PyMetric.of`` returns: a Keras metric that holds ``metric``, hands it batches as NumPy arrays, and shows its result.

    What else is asked of it or set is the metric's, where that has it.
    """

    _face_converter = ARRAYS

    def __new__(cls, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG004 - as of any constructor
        """Set up the face's state; tf_keras's own ``__new__`` would wrap the verbs."""
        self = object.__new__(cls)
        self.__dict__[ATTRIBUTE] = FaceState()
        return self

    def __init__(
        self,
        metric: Metric,
        name: str | None = None,
        dtype: Any = None,
        *,
        sync: str = "epoch",
        step_result: str | int = "auto",
        step_failure: str = "nan",
        hand_over: str = "queued",
    ) -> None:
        if not isinstance(metric, Metric) or isinstance(metric, Face):
            raise TypeError(
                f"PyMetric.of: got {type(metric).__name__}, expected a mergeable.Metric. A PyMetric is a Keras metric already."
            )
        options = {"sync": sync, "step_result": step_result, "step_failure": step_failure, "hand_over": hand_over}
        self._hold(metric, name, dtype, options)

    def _hold(self, metric: Metric, name: str | None, dtype: Any, options: Mapping[str, Any]) -> None:
        self._face_state().host = metric
        self._join_keras(name=name or metric.name, dtype=dtype)
        if hasattr(metric, "_direction"):
            self._direction = metric._direction  # noqa: SLF001 - Keras's callbacks look for it, to know which way is better
        for option, value in options.items():
            self._set_option(option, value)
        self._join_job()

    def _face_state(self) -> FaceState:
        face: FaceState = self.__dict__[ATTRIBUTE]
        return face

    def _host_metric(self) -> Any:
        return self._face_state().host

    @property
    def metric(self) -> Any:
        """The metric that is held; it is shared, not copied."""
        return self._host_metric()

    # The verbs of Keras and of metrics.

    @as_written
    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Have the metric take one batch, as NumPy arrays."""
        self._dispatch_update_state(*args, **kwargs)

    @as_written
    def result(self) -> Any:
        """Return the metric's result as tensors."""
        return self._dispatch_result()

    @as_written
    def reset_state(self) -> None:
        """Reset the metric."""
        self._dispatch_reset_state()

    def merge_state(self, metrics: Iterable[Any]) -> None:
        """Have the metric take all that other metrics, snapshots, or the files at these paths hold."""
        self._host_metric().merge_state(metrics)

    # Attributes: an option is the face's, and what the metric has is the metric's.

    def __getattr__(self, name: str) -> Any:
        face = self.__dict__.get(ATTRIBUTE)
        if face is None or face.host is None or name.startswith("_"):
            raise AttributeError(f"{shown(type(self).__name__)} object has no attribute {shown(name)}")
        return getattr(face.host, name)

    def __setattr__(self, name: str, value: Any) -> None:
        face = self._face_state()
        host = face.host
        if name in NAMES:
            self._set_option(name, value)
        elif face.is_joined is False or name.startswith("_") or name in keras_names() or hasattr(type(self), name):
            super().__setattr__(name, value)
        elif isinstance(value, State) or name in FACTS or name in internals(host).declaration.states or name in vars(host):
            setattr(host, name, value)
        else:
            object.__setattr__(self, name, value)

    # Copies, pickles and configurations: the metric, and what the face has beside it.

    def __reduce__(self) -> Any:
        return _face_of, (type(self), self.metric, self._chosen())

    def __copy__(self) -> HostedMetric:
        return copy.deepcopy(self)  # a shallow copy would share the metric

    def __deepcopy__(self, memo: dict[int, Any]) -> HostedMetric:
        twin = _face_of(type(self), copy.deepcopy(self.metric, memo), self._chosen())
        memo[id(self)] = twin
        return twin

    def __setstate__(self, saved: Mapping[str, Any]) -> None:
        """Read a pickle of version 0.1, in which these metrics were ``Metric`` objects with attributes."""
        plain = saved["plain"]
        self._hold(plain["metric"], **saved["keras"], options={name: plain[name] for name in NAMES if name in plain})

    def _chosen(self) -> dict[str, Any]:
        """Return the name, the dtype, and the options that were set on this metric; the others are those of the class."""
        options = {name: self.__dict__[name] for name in NAMES if name in self.__dict__}
        return {"name": self.name, "dtype": self.dtype, **options}

    def __repr__(self) -> str:
        return f"PyMetric.of({shown(self.metric)})"

    def __str__(self) -> str:
        return repr(self)

    def get_config(self) -> dict[str, Any]:
        """Return the metric's class, by name, its constructor's arguments, and the options."""
        return {
            "metric": _full_name(type(self.metric)),
            "arguments": written(internals(self.metric).declaration.arguments),
            **self._own_config(),
        }

    def _own_config(self) -> dict[str, Any]:
        """Return the part of a configuration that is the face's."""
        return {"name": self.name, "dtype": self.dtype, **{name: getattr(self, name) for name in ARGUMENTS}}

    @classmethod
    def _of_config(cls, config: dict[str, Any]) -> Any:
        """Return a fresh metric of the class that the configuration names; the class must be defined already."""
        known = {_full_name(found): found for found in subclasses(Metric)}
        if config["metric"] not in known:
            raise TypeError(
                f"PyMetric.of: got a configuration of {config['metric']}, expected a metric class that is defined here. Import "
                "the module that defines it first; a configuration does not decide what is imported."
            )
        return _face_of(cls, configured(known[config["metric"]], read(config["arguments"])), config)


def _face_of(cls: type[HostedMetric], metric: Metric, labels: Mapping[str, Any]) -> HostedMetric:
    """Return a Keras metric that holds a metric, with the name, dtype and options among these values."""
    made: HostedMetric = cls.__new__(cls)
    options = {name: labels[name] for name in NAMES if name in labels}
    made._hold(metric, labels.get("name"), labels.get("dtype"), options)  # noqa: SLF001 - a constructor of the class above
    return made


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


class ReadyMade(HostedMetric):
    """A Keras metric of one class of metrics: its constructor takes that class's arguments, ``dtype`` and the options."""

    metric_class: ClassVar[type[Metric]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        if any(map(tf.is_tensor, args)):
            raise TypeError(f"{cls.__name__}: got a batch, expected to make a metric. {AS_INSTANCE.format(cls.__name__)}")
        try:
            bound = inspect.signature(cls).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}: {error}. Write {cls.__name__}{inspect.signature(cls)}.") from None
        own = {name: bound.arguments.pop(name) for name in ("dtype", *ARGUMENTS) if name in bound.arguments}
        metric = self.metric_class(*bound.args, **bound.kwargs)
        self._hold(metric, None, own.pop("dtype", None), own)

    def __repr__(self) -> str:
        return repr(self.metric)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, in the forms that Keras writes into files."""
        return {**written(internals(self.metric).declaration.arguments), **self._own_config()}

    @classmethod
    def _of_config(cls, config: dict[str, Any]) -> Any:
        arguments = {name: value for name, value in config.items() if name not in ("dtype", *ARGUMENTS)}
        return _face_of(cls, configured(cls.metric_class, read(arguments)), config)


def ready_made(metric_class: type[Metric], module: str) -> type[ReadyMade]:
    """Return the Keras class of a class of metrics, under the same name: its constructor, page and configuration are derived.

    ``module`` is where users import the metric's class from.
    """
    name = metric_class.__name__
    own = {
        "metric_class": metric_class,
        "__module__": "mergeable.keras",
        "__qualname__": name,
        "__doc__": _page(metric_class, module),
    }
    made: Any = type(name, (ReadyMade,), own)
    made.__signature__ = _signature(metric_class)
    cast(ABCMeta, metric_class).register(made)
    registered: type[ReadyMade] = tf.keras.utils.register_keras_serializable("mergeable")(made)
    return registered


def _signature(metric_class: type[Metric]) -> inspect.Signature:
    signature = inspect.signature(metric_class.__init__)
    first, *parameters = signature.parameters.values()  # without self
    kind = inspect.Parameter.KEYWORD_ONLY
    more = [inspect.Parameter("dtype", kind, default=None)]
    more += [inspect.Parameter(name, kind, default=getattr(Face, name)) for name in ARGUMENTS]
    return signature.replace(parameters=[*parameters, *more], return_annotation=first.empty)


_PAGE = """``{module}.{name}`` as a Keras metric, for ``compile`` and loops of your own.

The constructor takes the metric's arguments, ``dtype``, and the options of ``PyMetric``: ``sync``, ``step_result``,
``step_failure`` and ``hand_over``. ``result()`` returns tensors; whatever else is asked of it is the metric's, and ``metric.metric`` is
the metric itself.{weights} Callbacks of Keras 3 know whether more or less is better, where the metric says so; those of tf_keras go by
the name alone, so give them ``mode``.

{text}"""


def _page(metric_class: type[Metric], module: str) -> str:
    weights = ""
    if accepts(metric_class.__init__, "weighted"):
        weights = " In ``weighted_metrics``, or where a layer masks, pass ``weighted=True``."
    name = metric_class.__name__
    return _PAGE.format(module=module, name=name, weights=weights, text=inspect.getdoc(metric_class))
