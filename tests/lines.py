"""Interrupts at chosen lines of this library."""

import random
import sys
from pathlib import Path

import mergeable as mg

OURS = str(Path(mg.__file__).parent)


class Lines:
    """Notes the lines of this library that the block runs, and raises ``KeyboardInterrupt`` at the n-th."""

    def __init__(self, n=0):
        self.n, self.found = n, []

    def __enter__(self):
        sys.settrace(self.trace)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def trace(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            self.found.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.found) == self.n:
                raise KeyboardInterrupt
        return self.trace


def interrupted(act, metric, n):
    """Run a verb of a metric that is interrupted at the n-th line; return the line, or None where fewer came."""
    try:
        with Lines(n) as lines:
            act(metric)
    except KeyboardInterrupt:
        return lines.found[-1]
    return None


def times(act, metric):
    """Run a verb of a metric, and return when each line that it runs comes, at one of the times when it does."""
    with Lines() as lines:
        act(metric)
    found = {}
    for n, line in enumerate(lines.found, 1):
        found.setdefault(line, []).append(n)
    draw = random.Random(0)
    return sorted(map(draw.choice, found.values()))
