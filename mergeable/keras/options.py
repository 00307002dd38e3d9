"""The options of a Keras metric: what its results cover in a step, when a step computes them, and when batches are taken."""

from __future__ import annotations

import dataclasses
from typing import Any

from mergeable.keras.result_schedule import Schedule
from mergeable.wording import shown


@dataclasses.dataclass
class Options:
    """The options of one Keras metric, which the call sites of its graphs read at every call; ``Face`` says what each does."""

    sync: str = "epoch"
    step_result: str | int = "auto"
    step_failure: str = "nan"
    hand_over: str = "queued"
    empty_result: Any = None
    warned: set[type] = dataclasses.field(default_factory=set, compare=False, repr=False)
    """The types of exceptions that a warning has named: each is named once."""

    @classmethod
    def of(cls, face: Any) -> Options:
        """Return those that a metric has as attributes, of its class or of its own."""
        return cls(**{name: getattr(face, name) for name in NAMES})


NAMES = ("sync", "step_result", "step_failure", "hand_over", "empty_result")

ARGUMENTS = NAMES[:-1]
"""The options that a constructor takes; ``empty_result`` is set on the class."""


def check_option(who: str, name: str, value: Any) -> None:
    """Raise ``ValueError`` unless an option may have this value."""
    if name == "sync" and value not in ("epoch", "step"):
        raise ValueError(f"{who}.sync: got {shown(value)}, expected 'epoch' or 'step'.")
    if name == "hand_over" and value not in ("now", "queued"):
        raise ValueError(f"{who}.hand_over: got {shown(value)}, expected 'queued' or 'now'.")
    if name == "step_failure" and value not in ("nan", "raise"):
        raise ValueError(f"{who}.step_failure: got {shown(value)}, expected 'nan' or 'raise'.")
    if name == "step_result":
        Schedule(value, who)
