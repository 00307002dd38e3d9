"""Re-entrant verbs: a metric's class has one method for calls from outside and from the user's code.

The name under which a class has a method says which verb it is, and not the method's own name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

from mergeable.errors import MergeableError, UnsupportedStrategy
from mergeable.metric.internals import ATTRIBUTE, internals
from mergeable.state.names import VERBS
from mergeable.wording import shown

F = TypeVar("F", bound=Callable[..., Any])

tracers: list[Callable[[], bool]] = []
"""What says, of frameworks that are loaded, whether code runs now to be recorded, once for many calls."""


def check_not_recorded(metric: Any, name: str) -> None:
    """Raise ``UnsupportedStrategy`` where a framework records the metric's code: its updates would run once."""
    if any(is_recording() for is_recording in tracers):
        who = f"{type(metric).__name__}.{internals(metric).verb}"
        raise UnsupportedStrategy(
            f"{who}: got {shown(name)} used in a tf.function, expected it outside, in Python that runs at every call: TensorFlow runs the "
            "function once, when it traces, and later updates would be lost. Let the function return what the metric takes."
        )


def hosted(method: F, verb: str | None = None) -> F:
    """Make a verb of a metric callable from both sides.

    Called from outside, it goes through the metric's dispatch, which finds the slot, takes the lock and undoes a failure.
    Called from inside, by the dispatch or by ``super()``, it is the method as written. Another verb is refused there.
    """
    verb = verb or method.__name__
    dispatch = f"_dispatch_{verb}"

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        inner = self.__dict__[ATTRIBUTE]
        if inner.view is not None and inner.lock._is_owned():
            if inner.verb != verb:
                check_outside(self, verb)
            return method(self, *args, **kwargs)
        return getattr(self, dispatch)(*args, **kwargs)

    call.__hosted__ = True  # type: ignore[attr-defined]  # a mark of ours, so that no method is wrapped twice
    return cast(F, call)


def check_outside(metric: Any, verb: str) -> None:
    """Raise ``MergeableError`` where the metric's own code runs, in which a verb would find half of an update."""
    inner = metric.__dict__[ATTRIBUTE]
    if inner.runs_user_code:
        running = inner.verb
        raise MergeableError(
            f"{type(metric).__name__}.{verb}: called inside of {running}, expected a call when that has ended, because a {running} is "
            f"done, or undone, as a whole. Call {verb} from outside; what both verbs need goes into a method of its own."
        )


def are_hosted(cls: Any) -> bool:
    """Return whether the verbs of a class are callable from both sides."""
    return all(hasattr(getattr(cls, verb), "__hosted__") for verb in VERBS)


def host_verbs(cls: Any, kind: type) -> None:
    """Make the verbs of a class callable from both sides, however it came to them.

    A function of any name, a partial method, a static one, a property that returns a function: each is called as Python calls it. A
    verb of a base class that is none of this kind, a mixin, stays as it is; the class gets one that leads to it.
    """
    for verb in VERBS:
        bases = (base for base in cls.__mro__ if verb in vars(base))
        base = next(base for base in bases if not hasattr(vars(base)[verb], "__leads_on__"))
        found = vars(base)[verb]
        if hasattr(found, "__hosted__"):
            continue
        if issubclass(base, kind):
            setattr(base, verb, hosted(as_method(found, f"{base.__name__}.{verb}"), verb))
        else:
            setattr(cls, verb, _leading_on(cls, found, verb))


def _leading_on(cls: type, found: Any, verb: str) -> Any:
    method = as_method(found, f"{cls.__name__}.{verb}")

    @functools.wraps(method)
    def inherited(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(cls, self), verb)(*args, **kwargs)

    call: Any = hosted(inherited, verb)
    call.__leads_on__ = True
    return call


def as_method(found: Any, who: str) -> Callable[..., Any]:
    """Return a function of ``self`` for an attribute of a class that is called as a method.

    Raises:
        TypeError: it cannot be called.
    """
    written = getattr(found, "python_function", None)  # what tf.function traces once, and would then leave out
    if isinstance(written, FunctionType):
        found = written
    if isinstance(found, FunctionType):
        return found
    is_bound = hasattr(type(found), "__get__")
    if not is_bound and not callable(found):
        raise TypeError(f"{who}: got {shown(found)}, expected a method. Write def {who.rpartition('.')[2]}(self, ...).")

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (found.__get__(self, type(self)) if is_bound else found)(*args, **kwargs)

    method.__name__, method.__qualname__ = who.rpartition(".")[2], who
    try:
        signature = inspect.signature(found.__get__(None, object) if is_bound else found)
        parameters = list(signature.parameters.values())
        if not isinstance(found, functools.partialmethod):  # which has self among them
            parameters.insert(0, inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY))
        method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # inspect reads it
    except (TypeError, ValueError):  # nobody knows before it is called: anything
        pass
    return method
