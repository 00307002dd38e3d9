"""Messages of an exchange: the parts that metrics hold, merged, packed and unpacked, with digests of the sender's program."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mergeable import version
from mergeable.coverage import Coverage
from mergeable.encoding.wire import from_bytes, to_bytes
from mergeable.errors import MergeableError
from mergeable.metric import Metric
from mergeable.metric.internals import internals
from mergeable.metric.operations import merged_parts, own_part
from mergeable.part import Part, States
from mergeable.wording import brief


@dataclasses.dataclass
class Message:
    """The parts of a process's metrics, by the metric's number in the job, or of several processes, merged.

    ``program_digest`` stands for the sender's program, ``parameter_digests`` for the parameters of each metric. A message whose sender
    ``differs`` in its program, or has met a ``failure``, counts for that alone.
    """

    program_digest: bytes
    parameter_digests: dict[int, bytes]
    parts: dict[int, Part]
    differs: bool = False
    failure: Exception | None = None


class Messenger:
    """Makes, merges, packs and unpacks the messages of one exchange of these metrics, by their numbers in the job.

    None of this raises. A failure goes into the message, so that all processes hear of it and none waits for ever.
    """

    def __init__(self, metrics: Mapping[int, Metric]) -> None:
        self._metrics = metrics

    def message(self, program_digest: bytes, parameter_digests: Mapping[int, bytes]) -> Message:
        """Return a message with the current parts of the metrics, which stay as they are."""
        message = Message(program_digest, dict(parameter_digests), {})
        try:
            for number, metric in self._metrics.items():
                message.parts[number] = own_part(metric)
        except Exception as error:  # users' merge functions raise anything
            message.failure = _portable(error)
        return message

    def merge(self, message: Message, other: Message) -> Message:
        """Return the first message with the other merged into it: the metrics that both have."""
        message.failure = message.failure or other.failure
        message.differs |= other.differs or (message.failure is None and message.program_digest != other.program_digest)
        for number in message.parts.keys() - other.parts.keys():
            del message.parts[number]
        message.differs |= any(message.parameter_digests[number] != other.parameter_digests[number] for number in message.parts)
        if not message.differs and message.failure is None:
            try:
                for number, part in message.parts.items():
                    message.parts[number] = merged_parts(self._metrics[number], part, other.parts[number])
            except Exception as error:  # users' merge functions raise anything
                message.failure = _portable(error)
        return message

    def pack(self, message: Message) -> bytes:
        """Return the message as bytes that begin with this library's version."""
        about = (message.program_digest, message.parameter_digests, message.differs)
        parts = {} if message.differs or message.failure else message.parts
        try:
            return to_bytes((*about, message.failure, {number: _as_data(part) for number, part in parts.items()}), _head())
        except Exception as error:  # users' states pickle or raise
            message.failure = _portable(error)
            return to_bytes((*about, message.failure, {}), _head())

    def unpack(self, data: bytes) -> Message:
        """Return the message that another process has packed, as far as this one has its metrics."""
        if not data.startswith(_head()):
            return Message(b"", {}, {}, differs=True)
        try:
            own = [internals(metric).declaration.states for metric in self._metrics.values()]
            program_digest, parameter_digests, differs, failure, contents = from_bytes(data, own, len(_head()))
            message = Message(program_digest, parameter_digests, {}, differs, failure)
            for number, content in contents.items():
                if number in self._metrics:
                    message.parts[number] = _part(internals(self._metrics[number]).declaration.states, *content)
        except Exception as error:  # unpickling runs users' code
            return Message(b"", {}, {}, failure=_portable(error))
        return message


def _head() -> bytes:
    """Return the beginning of every message's bytes: this library's version."""
    return f"{version.__version__}\n".encode()


def _as_data(part: Part) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    return {name: state.to_data() for name, state in part.states.items()}, part.coverage.to_data(), part.undeclared


def _part(prototypes: States, states: Mapping[str, Any], coverage: Any, undeclared: Mapping[str, Any]) -> Part:
    """Return the part that another process's metric holds, in states like these."""
    fresh = {name: state.empty() for name, state in prototypes.items()}
    for name, data in states.items():
        fresh[name].from_data(data)
    return Part(fresh, Coverage.from_data(coverage), undeclared=undeclared)


def _portable(error: Exception) -> Exception:
    """Return the exception, or a ``MergeableError`` with its text where the exception does not survive the way to another process."""
    try:
        from_bytes(to_bytes(error))
    except Exception:  # whatever its __reduce__ or its constructor raises
        error = MergeableError(f"{type(error).__name__}: {brief(error)}")
    return error
