"""Bytes go where a path points: files whole or not at all, devices and pipes written into, addresses refused."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import mergeable as mg
from mergeable.snapshot import disk
from tests.effort import HANG
from tests.snapshot.test_snapshot import spread

ROOT = Path(__file__).parents[2]
HERE = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def snapshot():
    return spread().snapshot()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_link_is_followed(tmp_path, snapshot):
    """Saving to a link, also through several and to a file that is not there yet, writes the file at its end."""
    (tmp_path / "store").mkdir()
    (tmp_path / "latest.mg").symlink_to(Path("store", "link.mg"))
    (tmp_path / "store" / "link.mg").symlink_to("real.mg")
    for _ in range(2):
        snapshot.save(tmp_path / "latest.mg")
        assert [True, True, False] == [
            path.is_symlink() for path in (tmp_path / "latest.mg", *sorted((tmp_path / "store").iterdir()))
        ]
        assert snapshot.to_bytes() == (tmp_path / "store" / "real.mg").read_bytes()


def test_the_mode_stays(tmp_path, snapshot):
    """A file that is replaced keeps its mode, whatever the process's mask is."""
    path = tmp_path / "a.mg"
    snapshot.save(path)
    for mode in (0o660, 0o604):
        path.chmod(mode)
        before = os.umask(0o077)
        try:
            snapshot.save(path)
        finally:
            os.umask(before)
        assert mode == stat.S_IMODE(path.stat().st_mode)


def test_a_pipe_and_a_device_are_written_into(tmp_path, snapshot):
    """A reader at the other end of a pipe, or a terminal, gets the bytes; /dev/null stays what it is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(mg.load(pipe)))
    reader.start()
    snapshot.save(pipe)
    reader.join(HANG)
    assert [snapshot.to_bytes()] == [back.to_bytes() for back in read]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)

    null = Path(os.devnull)
    (tmp_path / "null").symlink_to(null)
    for path in (null, tmp_path / "null"):
        assert disk.is_written_into(path)  # or the next line could end this machine's /dev/null
        snapshot.save(path)
    assert stat.S_ISCHR(null.stat().st_mode)
    assert ["null", "pipe"] == names(tmp_path)


SAVE = "import sys; from tests.snapshot.test_snapshot import spread; print(1, flush=True); spread().snapshot().save(sys.argv[1]); print(2)"


@pytest.mark.parametrize(
    ("path", "into"), [("/dev/stdout", "a pipe"), ("/dev/fd/1", "a file"), ("/proc/self/fd/1", "a file"), ("link", "a file")]
)
def test_a_descriptor_is_written_into(tmp_path, path, into):
    """What names standard output gets the bytes between what was written before and after, be it a pipe or a file."""
    if not os.path.lexists(path) and path != "link":
        pytest.skip("this system has no such name")
    (tmp_path / "link").symlink_to("/dev/stdout")
    command = [sys.executable, "-c", SAVE, path]
    if into == "a file":
        with (tmp_path / "out").open("wb") as file:
            subprocess.run(command, env=HERE, cwd=tmp_path, stdout=file, check=True, timeout=HANG)
        out = (tmp_path / "out").read_bytes()
    else:
        out = subprocess.run(command, env=HERE, cwd=tmp_path, capture_output=True, check=True, timeout=HANG).stdout

    assert (b"1\n", b"2\n") == (out[:2], out[-2:])
    assert spread().snapshot().result() == mg.Snapshot.from_bytes(out[2:-2]).result()


def test_what_cannot_be_written_is_named(tmp_path, snapshot):
    """A folder as the target, or one that is missing, is an error that names the path, and nothing is left."""
    (tmp_path / "folder").mkdir()
    for path, error in ((tmp_path / "folder", IsADirectoryError), (tmp_path / "no" / "a.mg", FileNotFoundError)):
        with pytest.raises(error) as caught:
            snapshot.save(path)
        assert str(path) == caught.value.filename
    assert ["folder"] == names(tmp_path)


def test_a_folder_that_does_not_sync(tmp_path, monkeypatch, snapshot):
    """Where a share cannot sync its folders, the file is there all the same; an error of the disk is one."""
    sync = os.fsync

    def failing(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(codes[-1], os.strerror(codes.pop()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    codes = [errno.EIO, errno.EINVAL, errno.ENOTSUP, errno.EACCES]
    for _ in range(3):
        snapshot.save(tmp_path / "a.mg")
    assert snapshot.to_bytes() == (tmp_path / "a.mg").read_bytes()
    with pytest.raises(OSError, match="error"):
        snapshot.save(tmp_path / "a.mg")


ADDRESSES = ["gs://bucket/a.mg", "s3://b/a.mg", "file:///a.mg", "hdfs://h:1/a", "https://h/a.mg", Path("gs://bucket/a.mg")]


@pytest.mark.parametrize("path", ADDRESSES, ids=str)
def test_addresses_are_refused_by_name(tmp_path, monkeypatch, snapshot, path):
    """An address is no path: every verb says so, and makes no folder of its name."""
    monkeypatch.chdir(tmp_path)
    metric = spread()
    verbs = [
        lambda: snapshot.save(path),
        lambda: mg.load(path),
        lambda: mg.merge([snapshot, path]),
        lambda: mg.merge([path], on_duplicate="newer"),
        lambda: metric.restore(path),
        lambda: metric.merge_state([path]),
    ]
    for verb in verbs:
        with pytest.raises(
            mg.SnapshotError, match=r"^(gs|s3|file|hdfs|https):/.*: this is an address, expected the path of a file"
        ):
            verb()
    assert [] == names(tmp_path)


def test_what_is_no_path_is_refused(tmp_path, snapshot):
    """An open file, bytes and a NUL are no paths."""
    with (
        (tmp_path / "a").open("wb") as file,
        pytest.raises(TypeError, match=r"^Snapshot\.save: got <.*, expected the path of a file, a str or a pathlib\.Path"),
    ):
        snapshot.save(file)
    with pytest.raises(TypeError, match=r"^load: got b'a\.mg', expected the path of a file"):
        mg.load(b"a.mg")
    with pytest.raises(mg.SnapshotError, match="this has a NUL"):
        mg.load("a\0.mg")


@pytest.mark.parametrize("n", [200, 230, 250, 255])
def test_long_names(tmp_path, snapshot, n):
    """A name as long as the system allows is saved to, and what was left beside it is found again."""
    path = tmp_path / ("é" * (n // 2) + "x" * (n % 2))
    snapshot.save(path)
    left = tmp_path / f"{disk._beginning(path.name)}{disk._machine()}00000000.unfinished"
    left.touch()
    snapshot.save(path)
    assert [path.name] == names(tmp_path)


def test_texts_as_parts_of_names():
    """What no name can have is written in hexadecimal, what is long is cut, and texts that differ stay different."""
    plain = ["auroc", "acc@1", "top 5", "été", "a..b", "x" * 200]
    quoted = {"val/auroc": "val%2Fauroc", "..": "%2E.", "100%": "100%25", "a\0\n": "a%00%0A", "\ud800": "%ED%A0%80", "": ""}
    assert plain == [*map(disk.as_file_name, plain)]
    assert list(quoted.values()) == [*map(disk.as_file_name, quoted)]
    for char in ("x", "é", "/", "\n"):
        texts = [char * n for n in range(190, 300)]
        parts = [*map(disk.as_file_name, texts)]
        assert len(texts) == len({*parts})
        assert max(len(os.fsencode(name)) for name in parts) <= 200


# What killed saves have left.

HELD = """
import sys
from pathlib import Path
from mergeable.snapshot import disk
with disk._unfinished(Path(sys.argv[1])) as (path, file):
    print(path.name, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_save_left_is_removed(tmp_path, snapshot):
    """The next save to a name removes what is left of killed ones to that name; what is being written stays, and other names'."""
    saves = {}
    for name in ("a.mg", "a.mg", "b.mg"):
        process = subprocess.Popen(
            [sys.executable, "-c", HELD, tmp_path / name], env=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        saves[process.stdout.readline().strip()] = process
    left, written, others = saves
    for name in (left, others):
        saves[name].kill()
        saves[name].wait(HANG)
    try:
        snapshot.save(tmp_path / "a.mg")
        assert sorted(["a.mg", written, others]) == names(tmp_path)
        disk.clear(tmp_path)
        assert sorted(["a.mg", written]) == names(tmp_path)
    finally:
        saves[written].communicate("", timeout=HANG)


def test_what_another_machine_writes_stays(tmp_path, snapshot):
    """Locks may not reach another machine: what may be a save under way there stays until it is a day old."""
    mine, young, old = (tmp_path / f".a.mg.{digits}.unfinished" for digits in (disk._machine() + "0" * 8, "0" * 16, "1" * 16))
    for path in (mine, young, old, tmp_path / ".a.mg.txt.unfinished", tmp_path / ".a.mg.0.unfinished"):
        path.touch()
    os.utime(old, (0, 0))
    snapshot.save(tmp_path / "a.mg")
    assert sorted([young.name, ".a.mg.txt.unfinished", ".a.mg.0.unfinished", "a.mg"]) == names(tmp_path)
