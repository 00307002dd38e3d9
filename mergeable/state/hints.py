"""Errors with the correct code, where a state is used as a number or a dict, or a metric as a function or a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any

from mergeable.wording import shown

AS_INSTANCE = "If Keras made it, of a class among its metrics, write an instance: metrics=[{}()]."

_SIGNS = {
    "add": "+=",
    "sub": "-=",
    "mul": "*=",
    "matmul": "@=",
    "truediv": "/=",
    "floordiv": "//=",
    "mod": "%=",
    "pow": "**=",
    "and": "&=",
    "or": "|=",
    "xor": "^=",
    "lshift": "<<=",
    "rshift": ">>=",
}


class Hints:
    """The operators that states do not have; a state that has one defines it."""

    update: Any

    if not TYPE_CHECKING:  # whom these refusals would tell that states have such operators

        def __setitem__(self, key: Any, value: Any) -> None:
            raise TypeError(f"{_name(self)}: got an assignment to [{shown(key)}], expected an update. {_write(self)}")

        def __delitem__(self, key: Any) -> None:
            raise TypeError(
                f"{_name(self)}: got a deletion of [{shown(key)}], expected an update; a state keeps what it took. {_write(self)}"
            )


def _augmented(name: str, sign: str) -> Callable[[Any, Any], Any]:
    def refuse(self: Any, other: Any) -> Any:
        if any(f"__{name}__" in vars(base) for base in type(self).__mro__):
            return NotImplemented  # Python tries that
        raise TypeError(
            f"{_name(self)}: got {sign} {type(other).__name__}, expected an update, because it is no number. {_write(self)}"
        )

    return refuse


for _operator, _sign in _SIGNS.items():
    setattr(Hints, f"__i{_operator}__", _augmented(_operator, _sign))


class NoFunction:
    """A metric without a framework, which is no function of a batch."""

    if not TYPE_CHECKING:  # as above

        def __call__(self, *_: Any, **__: Any) -> Any:
            """Refuse: a metric without a framework is no function of a batch, as Keras would take it to be.

            Raises:
                TypeError: always.
            """
            raise TypeError(
                f"{type(self).__name__}: got a call, as of a function, expected update_state and result. Where Keras called it, write "
                "metrics=[mergeable.PyMetric.of(metric)], which makes a Keras metric of it."
            )


class NoVariables:
    """A metric, which has declared states and no variables."""

    def add_weight(self, *_: Any, **__: Any) -> Any:
        """Refuse: a variable would be none of the states that merge, copies and files hold.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"{type(self).__name__}.add_weight: got a variable, expected a declared state, because variables do not merge in Python. "
            "Write total = mergeable.Sum() on the class, or self.add_state('total', mergeable.Sum()) in __init__."
        )

    add_variable = add_weight


class OfInstances(property):
    """A property of metrics that their class has not: tf_keras asks a class for it that ``compile`` was given."""

    def __get__(self, metric: Any, cls: type | None = None) -> Any:
        if metric is None:
            raise AttributeError("got the class of a metric, expected a metric. Write it with parentheses.")
        return super().__get__(metric, cls)


def check_declared_facts(cls: type) -> None:
    """Raise ``TypeError`` where a class of states has a method in the place of a fact: a method is true whatever it returns."""
    if isinstance(vars(cls).get("parameters"), FunctionType | staticmethod | classmethod):
        raise TypeError(
            f"{cls.__name__}.parameters: got a method, expected a property, which is read without a call. Write @property above it."
        )
    for fact in ("exact", "commutative", "idempotent", "bounded"):
        value = vars(cls).get(fact, True)
        if not isinstance(value, bool) and (callable(value) or not hasattr(type(value), "__get__")):
            raise TypeError(
                f"{cls.__name__}.{fact}: got {shown(value)}, expected True or False. Write {fact} = False, for instance."
            )


def check_no_classes(cls: type, attributes: Mapping[str, Any]) -> None:
    """Raise ``TypeError`` where a metric has the class of a state in the place of a state."""
    for name, value in attributes.items():
        if isinstance(value, type) and issubclass(value, Hints) and value.__qualname__ != f"{cls.__qualname__}.{name}":
            raise TypeError(
                f"{cls.__name__}.{name}: got the class {value.__name__}, expected a state. Write {name} = {value.__name__}(...), with "
                "parentheses."
            )


def _name(state: Any) -> str:
    return type(state).__name__


def _write(state: Any) -> str:
    parameters = [str(parameter) for parameter in inspect.signature(type(state).update).parameters.values()][1:]
    return f"Write .update({', '.join(parameter.partition(':')[0] for parameter in parameters)})."
