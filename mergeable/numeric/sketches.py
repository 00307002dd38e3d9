"""The late import of ``datasketches``, which is an extra."""

from __future__ import annotations

from typing import Any


def library(who: str) -> Any:
    """Return the module ``datasketches``, imported late.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import datasketches
    except ImportError as error:
        raise ImportError(f"mergeable.{who} needs datasketches: pip install 'mergeable[sketches]'") from error
    return datasketches
