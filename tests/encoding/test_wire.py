"""What travels between processes arrives as it was, with the receiver's own classes."""

import collections
import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mergeable.encoding.canonical import canonical_bytes
from mergeable.encoding.plain import Unreadable
from mergeable.encoding.wire import from_bytes, to_bytes
from tests import register
from tests.effort import HANG

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass
class Point:
    x: int


def double(x):
    return 2 * x


@pytest.mark.parametrize("name", register.ROWS)
def test_states_arrive_as_they_were(name):
    """Every state of the register, filled, arrives with the same bytes."""
    state = register.ROWS[name].fed()

    assert canonical_bytes(state) == canonical_bytes(from_bytes(to_bytes(state), state.empty()))


def test_classes_and_functions_travel_by_name():
    """What a name finds is the receiver's own."""
    assert Point is from_bytes(to_bytes(Point))
    assert double is from_bytes(to_bytes(double))
    assert Point(3) == from_bytes(to_bytes(Point(3)))


def test_what_was_made_in_a_function_travels_by_its_code():
    """A local class, a lambda and a closure arrive."""

    class Local:
        def __init__(self, n):
            self.n = n

    n = 3
    local, add = from_bytes(to_bytes((Local(1), lambda x: x + n)))

    assert (1, 7) == (local.n, add(4))


@pytest.mark.parametrize("place", ["main program", "function"])
def test_a_receiver_has_its_own_classes(place):
    """What two processes of one program exchange is of the receiver's class, also where no name finds that."""
    bag = """
    class Bag:
        def __init__(self):
            self.items = []
        def merge(self, other):
            assert type(other) is Bag
            self.items += other.items
    """
    body = textwrap.dedent(bag) + "bag = Bag()"
    if place == "function":
        body = f"def make():\n{textwrap.indent(body, '    ')}\n    return bag\nbag = make()"
    program = f"""
import sys
from mergeable.encoding.wire import from_bytes, to_bytes
{body}
bag.items.append(1)
if sys.argv[1:]:
    bag.merge(from_bytes(bytes.fromhex(sys.argv[1]), bag))
    print(bag.items)
else:
    print(to_bytes(bag).hex())
"""
    command = [sys.executable, "-c", program]
    sent = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=HANG).stdout.strip()
    received = subprocess.run(
        [*command, sent], capture_output=True, text=True, check=True, cwd=ROOT, timeout=HANG
    ).stdout.strip()

    assert "[1, 1]" == received


def test_types_without_a_module_of_their_own():
    """Built-in types that no name finds arrive as themselves."""
    values = [type(None), type(...), type(NotImplemented), int, collections.OrderedDict(a=1)]

    assert values == from_bytes(to_bytes(values))


def test_a_head_comes_first():
    """What is behind a head is read from there, and checked as it is without one."""
    value = {"array": np.arange(1000), "empty": np.zeros((3, 0)), "one": np.array(2.5), "text": np.array(["a", "bc"])}
    data = to_bytes(value, b"version 7\n")
    assert data.startswith(b"version 7\nPK")
    assert canonical_bytes(value) == canonical_bytes(from_bytes(data, start=10)) == canonical_bytes(from_bytes(to_bytes(value)))
    with pytest.raises(Unreadable, match="no zip file"):
        from_bytes(data)
    for i in range(10, len(data), 97):
        with pytest.raises(Unreadable):
            from_bytes(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :], start=10)
