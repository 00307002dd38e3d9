"""Modules that have moved: an import of the old name, as pickles and saved models hold it, finds the module where it is now."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "collection": "metric.collection",
    "description": "snapshot.description",
    "plain": "encoding.plain",
    "slot": "part",
    "states.collections": "states.counting",
    "states.estimate": "numeric.estimate",
    "states.held": "states.object_state",
    "states.keys": "numeric.keys",
    "states.nested": "metric.as_state",
    "wire": "encoding.wire",
}
"""The modules of version 0.1 whose classes and functions a pickle may name, and where they are."""


class _Moved(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002 - importlib's signature
        package, _, old = name.partition(".")
        return ModuleSpec(name, self) if package == "mergeable" and old in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        new = MOVED[module.__name__.partition(".")[2]]
        sys.modules[module.__name__] = importlib.import_module(f"mergeable.{new}")


sys.meta_path.append(_Moved())
