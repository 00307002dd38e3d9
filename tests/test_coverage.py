"""Which updates a result holds."""

import copy
import pickle

import pytest

from mergeable import Contribution, Coverage, DuplicateOrigin


def coverage(**origins):
    return Coverage({origin: Contribution(*numbers) for origin, numbers in origins.items()})


def test_totals():
    """Updates and rows add up over origins; replicas are sorted and distinct."""
    both = coverage(a=(2, 3, 30), b=(0, 1, 10), c=(2, 1, 1))
    assert (5, 41, (0, 2), 3) == (both.updates, both.rows, both.replicas, len(both))


def test_it_is_a_mapping():
    """Origins are keys, contributions values."""
    one = coverage(a=(0, 1, 2))
    assert (["a"], Contribution(0, 1, 2), True, False) == (list(one), one["a"], "a" in one, "b" in one)
    assert coverage(a=(0, 1, 2)) == one
    with pytest.raises(KeyError):
        one["b"]


def test_joined():
    """Joining gives a new coverage of both, and leaves both."""
    one, two = coverage(a=(0, 1, 2)), coverage(b=(1, 3, 4))
    assert coverage(a=(0, 1, 2), b=(1, 3, 4)) == one.joined(two)
    assert coverage(a=(0, 1, 2), b=(1, 3, 4)) == two.joined(one)
    assert (1, 1) == (len(one), len(two))
    assert one == one.joined(Coverage()) == Coverage().joined(one)


def test_a_shared_origin_is_refused():
    """An origin on both sides raises DuplicateOrigin that names it, its replica and its updates."""
    one, two = coverage(a=(0, 1, 2), b=(0, 1, 1)), coverage(b=(3, 7, 4))
    match = (
        r"^merge: the origin b \(replica 3, 7 updates\) came twice; its updates would count twice\. Merge each metric once, and "
        r"reset the merged one before it counts on\.$"
    )
    with pytest.raises(DuplicateOrigin, match=match):
        one.joined(two)
    assert (2, 1) == (len(one), len(two))


def test_it_does_not_change_with_its_source():
    """A later change of the mapping that it was made from does not show."""
    source = {"a": Contribution(0, 1, 1)}
    one = Coverage(source)
    source["b"] = Contribution(0, 1, 1)
    assert ["a"] == list(one)


@pytest.mark.parametrize(
    ("origins", "text"),
    [
        ({}, "no updates"),
        ({"a": (0, 1, 1)}, "1 update, 1 row, replica 0"),
        ({"a": (3, 2, 0)}, "2 updates, 0 rows, replica 3"),
        ({"a": (0, 1, 1), "b": (0, 1, 2)}, "2 updates, 3 rows, 2 origins, replica 0"),
        ({"a": (0, 1, 1), "b": (1, 1, 2)}, "2 updates, 3 rows, 2 origins, replicas 0 and 1"),
        ({"a": (5, 1, 1), "b": (1, 1, 2), "c": (0, 1, 1)}, "3 updates, 4 rows, 3 origins, replicas 0, 1 and 5"),
    ],
)
def test_texts(origins, text):
    """The text says how many updates, rows and origins, and which replicas."""
    one = coverage(**origins)
    assert (text, f"Coverage({text})") == (str(one), repr(one))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))], ids=["deepcopy", "pickle"])
def test_copies(copied):
    """Copies and pickles are equal."""
    one = coverage(a=(0, 1, 2), b=(1, 3, 4))
    assert one == copied(one)
    assert "Coverage(4 updates, 6 rows, 2 origins, replicas 0 and 1)" == repr(copied(one))


def test_a_contribution_does_not_change():
    """A contribution is a value."""
    with pytest.raises(AttributeError, match="cannot assign"):
        Contribution(0, 1, 2).updates = 3


def test_workers_are_named():
    """Where several workers took part, the text names them, and each contribution says where it is from."""
    one = Coverage({"a": Contribution(0, 2, 64), "b": Contribution(1, 2, 60, worker=2), "c": Contribution(0, 1, 4, worker=1)})

    assert "5 updates, 128 rows, 3 origins, replicas 0 and 1 of workers 0, 1 and 2" == str(one)
    assert (0, 1, 2) == one.workers
    assert ["replica 0", "replica 1 of worker 2", "replica 0 of worker 1"] == [c.where for c in one.values()]


def test_workers_that_give_one_name_hear_what_to_do():
    """Where two workers save what each alone holds under one name, the error says that each needs a name of its own."""
    one, other = (Coverage({str(w): Contribution(0, 1, 2, worker=w)}).named("x") for w in (0, 1))

    with pytest.raises(
        DuplicateOrigin,
        match=r"^merge: the origin x \(replica 0 of worker 1, 1 updates\) came twice; its updates would count twice\. Workers that "
        r"save with local=True each give what they save a name of its own\. Merge each metric once",
    ):
        one.joined(other)


def test_a_second_copy_is_named_with_its_worker():
    """The error of a double merge says on which worker the updates were made."""
    one = Coverage({"3f": Contribution(replica=1, updates=2, rows=64, worker=3)})

    with pytest.raises(DuplicateOrigin, match=r"the origin 3f \(replica 1 of worker 3, 2 updates\) came twice"):
        one.joined(one)
