"""What travels in an exchange: metrics, each folded into one slot, and digests of the program that made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergeable import version
from mergeable.coverage import Coverage
from mergeable.encoding.wire import Classes, from_bytes, local_classes, to_bytes
from mergeable.errors import MergeableError
from mergeable.metric import Metric
from mergeable.part import Part
from mergeable.wording import brief


class Parcel:
    """The metrics of a process by their number in the job, ready to be merged with those of other processes.

    Merging never raises: a parcel of another program, and a failure, are passed on in place of metrics, so that all processes
    learn of them and none waits for ever.
    """

    def __init__(self, program: bytes, parameters: Mapping[int, bytes], metrics: Mapping[int, Metric]) -> None:
        self.program = program
        self.parameters = dict(parameters)
        self.metrics = dict(metrics)
        self.differs = False
        self.failure: Exception | None = None

    @classmethod
    def of(cls, program: bytes, parameters: Mapping[int, bytes], metrics: Mapping[int, Metric]) -> Parcel:
        """Return the parcel of the metrics as they are now; they stay as they are."""
        parcel = cls(program, parameters, {})
        try:
            parcel.metrics = {number: metric._detached() for number, metric in metrics.items()}
        except Exception as error:  # users' merge functions raise anything
            parcel.failure = _portable(error)
        return parcel

    def merged(self, other: Parcel) -> Parcel:
        """Return this parcel with the other merged into it: the metrics that both have."""
        self.failure = self.failure or other.failure
        self.differs |= other.differs or (self.failure is None and self.program != other.program)
        for number in self.metrics.keys() - other.metrics.keys():
            del self.metrics[number]
        self.differs |= any(self.parameters[number] != other.parameters[number] for number in self.metrics)
        if not self.differs and self.failure is None:
            try:
                for number, metric in self.metrics.items():
                    metric._dispatch_merge_state([other.metrics[number]])
            except Exception as error:  # users' merge functions raise anything
                self.failure = _portable(error)
        return self

    def pack(self) -> bytes:
        """Return the parcel as bytes that begin with this library's version."""
        about = (self.program, self.parameters, self.differs)
        metrics = {} if self.differs or self.failure else self.metrics
        try:
            return to_bytes((*about, self.failure, {number: _content(metric) for number, metric in metrics.items()}), _head())
        except Exception as error:  # users' states pickle or raise
            self.failure = _portable(error)
            return to_bytes((*about, self.failure, {}), _head())


class Opener:
    """Opens parcels of other processes with the classes of the metrics that this one has."""

    def __init__(self, metrics: Mapping[int, Metric]) -> None:
        self._metrics = metrics
        self._classes: Classes | None = None

    def unpack(self, data: bytes) -> Parcel:
        """Return what ``Parcel.pack`` took."""
        if not data.startswith(_head()):
            stranger = Parcel(b"", {}, {})
            stranger.differs = True
            return stranger
        try:
            if self._classes is None:
                self._classes = local_classes([metric._states for metric in self._metrics.values()])
            program, parameters, differs, failure, contents = from_bytes(data, self._classes, len(_head()))
            metrics = {
                number: _metric(self._metrics[number], *content)
                for number, content in contents.items()
                if number in self._metrics
            }
        except Exception as error:  # unpickling runs users' code
            program, parameters, differs, failure, metrics = b"", {}, False, _portable(error), {}
        parcel = Parcel(program, parameters, metrics)
        parcel.differs, parcel.failure = differs, failure
        return parcel


def _head() -> bytes:
    """Return what the bytes of a parcel begin with: this library's version."""
    return f"{version.__version__}\n".encode()


def _content(metric: Metric) -> tuple[Any, ...]:
    slot = metric._slot(0)
    return {name: s.to_data() for name, s in slot.states.items()}, slot.coverage.to_data(), metric._undeclared_values()


def _metric(metric: Metric, states: dict[str, Any], coverage: Any, undeclared: dict[str, Any]) -> Metric:
    """Return a metric like one of this process that holds what another one's does."""
    fresh = {name: state.empty() for name, state in metric._states.items()}
    for name, data in states.items():
        fresh[name].from_data(data)
    twin: Metric = metric._twin({0: Part(fresh, Coverage.from_data(coverage))}, undeclared)
    return twin


def _portable(error: Exception) -> Exception:
    """Return the exception, or one of ours with its text where it does not survive the way to another process."""
    try:
        from_bytes(to_bytes(error))
    except Exception:  # whatever its __reduce__ or its constructor raises
        error = MergeableError(f"{type(error).__name__}: {brief(error)}")
    return error
