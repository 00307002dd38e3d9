"""Messages of an exchange: the parts that metrics hold, merged, packed and unpacked, with digests of the sender's program."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mergeable import version
from mergeable.coverage import Coverage
from mergeable.encoding.wire import Classes, from_bytes, local_classes, to_bytes
from mergeable.errors import MergeableError
from mergeable.metric import Metric
from mergeable.metric.attempt import Named
from mergeable.part import Part
from mergeable.wording import brief


@dataclasses.dataclass
class Message:
    """The parts of a process's metrics, by the metric's number in the job, or of several processes, merged.

    ``program`` and ``parameters`` are digests of the sender's program and of each metric's parameters, ``undeclared`` the values of
    attributes that are no states. A message whose sender ``differs`` in its program, or has met a ``failure``, counts for that alone.
    """

    program: bytes
    parameters: dict[int, bytes]
    parts: dict[int, Part]
    undeclared: dict[int, dict[str, Any]]
    differs: bool = False
    failure: Exception | None = None


class Messenger:
    """Makes, merges, packs and unpacks the messages of one exchange of these metrics, by their numbers in the job.

    None of this raises. A failure goes into the message, so that all processes hear of it and none waits for ever.
    """

    def __init__(self, metrics: Mapping[int, Metric]) -> None:
        self._metrics = metrics
        self._classes: Classes | None = None

    def message(self, program: bytes, parameters: Mapping[int, bytes]) -> Message:
        """Return the message with what the metrics hold now; they stay as they are."""
        message = Message(program, dict(parameters), {}, {})
        try:
            for number, metric in self._metrics.items():
                message.parts[number], message.undeclared[number] = _held(metric)
        except Exception as error:  # users' merge functions raise anything
            message.failure = _portable(error)
        return message

    def merge(self, message: Message, other: Message) -> Message:
        """Return the first message with the other merged into it: the metrics that both have."""
        message.failure = message.failure or other.failure
        message.differs |= other.differs or (message.failure is None and message.program != other.program)
        for number in message.parts.keys() - other.parts.keys():
            del message.parts[number]
        message.differs |= any(message.parameters[number] != other.parameters[number] for number in message.parts)
        if not message.differs and message.failure is None:
            try:
                for number in message.parts:
                    self._merge(number, message, other)
            except Exception as error:  # users' merge functions raise anything
                message.failure = _portable(error)
        return message

    def _merge(self, number: int, message: Message, other: Message) -> None:
        metric, part, undeclared = self._metrics[number], message.parts[number], message.undeclared[number]
        if metric._merges_by_itself or undeclared or other.undeclared[number]:  # the user's merge, or its refusal
            merged = _holding(metric, part, undeclared)
            merged.merge_state([_holding(metric, other.parts[number], other.undeclared[number])])
            message.parts[number], message.undeclared[number] = merged._slot(0), merged._undeclared_values()
        else:
            with Named(metric, "merge_state"):
                part.merge(other.parts[number])

    def pack(self, message: Message) -> bytes:
        """Return the message as bytes that begin with this library's version."""
        about = (message.program, message.parameters, message.differs)
        parts = {} if message.differs or message.failure else message.parts
        try:
            contents = {number: (*_as_data(part), message.undeclared[number]) for number, part in parts.items()}
            return to_bytes((*about, message.failure, contents), _head())
        except Exception as error:  # users' states pickle or raise
            message.failure = _portable(error)
            return to_bytes((*about, message.failure, {}), _head())

    def unpack(self, data: bytes) -> Message:
        """Return the message that another process has packed, as far as this one has its metrics."""
        if not data.startswith(_head()):
            return Message(b"", {}, {}, {}, differs=True)
        try:
            if self._classes is None:
                self._classes = local_classes([metric._states for metric in self._metrics.values()])
            program, parameters, differs, failure, contents = from_bytes(data, self._classes, len(_head()))
            message = Message(program, parameters, {}, {}, differs, failure)
            for number, (states, coverage, undeclared) in contents.items():
                if number in self._metrics:
                    message.parts[number] = _part_like(self._metrics[number], states, coverage)
                    message.undeclared[number] = undeclared
        except Exception as error:  # unpickling runs users' code
            return Message(b"", {}, {}, {}, failure=_portable(error))
        return message

    def merged(self, message: Message) -> dict[int, Metric]:
        """Return metrics that hold the message's parts."""
        return {n: _holding(self._metrics[n], part, message.undeclared[n]) for n, part in message.parts.items()}


def _head() -> bytes:
    """Return the beginning of every message's bytes: this library's version."""
    return f"{version.__version__}\n".encode()


def _as_data(part: Part) -> tuple[dict[str, Any], Any]:
    return {name: state.to_data() for name, state in part.states.items()}, part.coverage.to_data()


def _part_like(metric: Metric, states: Mapping[str, Any], coverage: Any) -> Part:
    """Return the part that another process's metric holds, in states like those of the metric."""
    part = Part.empty(metric._states)
    for name, data in states.items():
        part.states[name].from_data(data)
    return Part(part.states, Coverage.from_data(coverage))


# A metric's part, and a metric of a part: the exchange knows nothing else of how a metric holds its states.


def _held(metric: Metric) -> tuple[Part, dict[str, Any]]:
    """Return, of all replicas, what a metric holds, and the values of attributes that are no states."""
    held = metric._detached()
    return held._slot(0), held._undeclared_values()


def _holding(metric: Metric, part: Part, undeclared: Mapping[str, Any]) -> Metric:
    """Return a metric like this one that holds a part."""
    found: Metric = metric._twin({0: part}, undeclared)
    return found


def _portable(error: Exception) -> Exception:
    """Return the exception, or a ``MergeableError`` with its text where the exception does not survive the way to another process."""
    try:
        from_bytes(to_bytes(error))
    except Exception:  # whatever its __reduce__ or its constructor raises
        error = MergeableError(f"{type(error).__name__}: {brief(error)}")
    return error
