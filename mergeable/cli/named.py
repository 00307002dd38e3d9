"""Things in modules of the user's, by name: the classes that files need, metrics, states and batches.

Not its job: to know what they are for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from mergeable.cli.command import Failure
from mergeable.holder import host_of
from mergeable.snapshot.contents import takes
from mergeable.wording import shown


def checked_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return an option's value where it has the form ``module:name``, and refuse it otherwise."""
    module, _, name = (value or "").partition(":")
    if value is not None and (not module or not name or ":" in name or module.endswith(".py")):
        raise click.BadParameter(f"got {shown(value)}, expected module:name, as in my.metrics:Accuracy.", ctx, param)
    return value


def import_all(modules: Iterable[str]) -> None:
    """Import modules by name, which may stand in the current folder."""
    for module in modules:
        imported(module)


def imported(name: str) -> ModuleType:
    """Return a module; the current folder is searched first, as by ``python -m``.

    Raises:
        Failure: there is none of this name, or running it failed.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            hint = f" Write {name.removesuffix('.py')}." if name.endswith(".py") else ""
            raise Failure(f"{name}: found no module of this name, in {here} or among what is installed.{hint}") from error
        raise Failure(f"{name}: importing it failed: {error}") from error
    except (Exception, SystemExit) as error:  # a module of the user's raises anything
        raise Failure(f"{name}: importing it failed: {type(error).__name__}: {error}") from error


def object_named(text: str) -> Any:
    """Return what ``module:name`` means.

    Raises:
        Failure: there is no such module, or nothing of this name in it.
    """
    module, _, name = text.partition(":")
    value: Any = imported(module)
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            raise Failure(f"{text}: {module} has no {name}. Names in it: {_names(module)}.") from error
    return value


def named_metric(text: str) -> Any:
    """Return a metric, or its class, by its name; raise ``Failure`` where it is something else."""
    found = object_named(text)
    if not takes(host_of(found)):
        raise Failure(f"{text}: got {shown(found)}, expected a metric or its class.")
    return found


def _names(module: str) -> str:
    own = [
        name
        for name, value in vars(sys.modules[module]).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module
    ]
    return ", ".join(sorted(own)[:20]) or "(none)"
