"""Bytes on the disk: read from a path, and written whole or not at all.

A save writes a file of its own beside the target, ``.NAME.XXXXXXXXXXXXXXXX.unfinished``, and renames it. It holds a lock on that file
while it lives, so whoever gets the lock of such a file knows that its writer was killed, and removes it. The first eight of the 16
digits tell the machine, because locks may not reach other ones.

Not its job: to know what the bytes say.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mergeable.errors import SnapshotError
from mergeable.wording import shown

try:
    import fcntl
except ImportError:  # Windows, which does not remove a file that is open either
    fcntl = None  # type: ignore[assignment]

LONGEST_FILE_NAME = 255
"""The most bytes that a file's name has, on all systems that are common."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # with one slash where it was a pathlib.Path; C:/ is a folder
_UNFINISHED = re.compile(r"\..*\.([0-9a-f]{8})[0-9a-f]{8}\.unfinished", re.DOTALL)
_LOST = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
_DAY = 86_400


def local(path: str | os.PathLike[str], who: str) -> Path:
    """Return the path of a file on this machine.

    Raises:
        TypeError: it is no path. SnapshotError: it is an address, as of a bucket, or has a NUL.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(
            f"{who}: got {shown(path)}, expected the path of a file, a str or a pathlib.Path. A snapshot's bytes are snapshot.to_bytes(), "
            "and Snapshot.from_bytes(...) reads them."
        )
    text = os.fspath(path)
    if _ADDRESS.match(text):
        raise SnapshotError(
            f"{text}: this is an address, expected the path of a file on this machine. Mount it or copy the file, "
            "or give a library for it snapshot.to_bytes(), which Snapshot.from_bytes(...) reads."
        )
    if "\0" in text:
        raise SnapshotError(f"{shown(text)}: this has a NUL, expected the path of a file.")
    return Path(path)


def read(path: str | os.PathLike[str], who: str) -> bytes:
    """Return all bytes of a file, or of what can be read like one."""
    return local(path, who).read_bytes()


def is_written_into(path: Path) -> bool:
    """Return whether a path names a device, a pipe or a descriptor of this process, which are never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISDIR(mode) and (not stat.S_ISREG(mode) or _descriptor(path) is not None)


def replaced(path: Path) -> Path:
    """Return the file that a save to a path replaces: the end of its links, whether it is there or not."""
    return Path(os.path.realpath(path))


def write(path: str | os.PathLike[str], data: bytes, who: str) -> None:
    """Write a file, whole or not at all: whatever ends this process, the old file is there or the new one.

    Links are followed, and the file's mode is kept. What is no file but a device, a pipe or a descriptor is written into; a pipe
    waits for its reader.

    Raises:
        OSError: the folder is missing, may not be written, or is full; an old file stays as it is. It names the path.
        TypeError, SnapshotError: as ``local``.
    """
    target = local(path, who)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if is_written_into(target):
            with _opened(target) as file:
                file.write(data)
        else:
            _replace(replaced(target), data)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def clear(folder: Path, name: str | None = None) -> None:
    """Remove from a folder what saves have left unfinished, of one name or of all, whose processes were killed.

    What a process holds that is alive stays, also on another machine: there it must be a day old and unlocked.
    """
    if fcntl is None:
        return
    prefix = None if name is None else _beginning(name)
    with contextlib.suppress(OSError):  # who may not list the folder leaves what is there
        for found in [found for found in os.listdir(folder) if found.endswith(".unfinished")]:  # noqa: PTH208 - half the time
            match = _UNFINISHED.fullmatch(found)
            if match and (prefix is None or (found.startswith(prefix) and len(found) == len(prefix) + 27)):
                with contextlib.suppress(OSError):
                    _remove(folder / found, ours=match[1] == _machine())


def as_file_name(text: str, longest: int = 200) -> str:
    """Return a text as a part of a file's name: ``val/auroc`` is ``val%2Fauroc``. Texts that differ give parts that differ.

    What cannot stand in a name, and ``%``, is its bytes in hexadecimal; of what takes more bytes the end is a digest.
    """
    quoted = "".join(
        c if c.isprintable() and c not in "/%" else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogatepass"))
        for c in text
    )
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    return _cut(quoted, longest)


def _cut(name: str, longest: int) -> str:
    data = os.fsencode(name)
    if len(data) <= longest:
        return name
    digest = hashlib.blake2b(data, digest_size=8).hexdigest()
    return data[: longest - 17].decode("utf-8", "ignore") + "~" + digest


def _descriptor(path: Path) -> int | None:
    """Return the number of the descriptor of this process that a path names, as /dev/stdout does, or None."""
    own = {Path("/dev/fd"), Path(os.path.realpath("/proc/self/fd"))}
    for _ in range(40):  # as many links as Linux follows
        folder = Path(os.path.realpath(path.parent))
        if folder in own and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = folder / path.readlink()
    return None


def _opened(target: Path) -> IO[bytes]:
    number = _descriptor(target)  # whose place in a file goes on where it is
    return target.open("wb") if number is None else os.fdopen(os.dup(number), "wb")


def _replace(target: Path, data: bytes) -> None:
    clear(target.parent, target.name)
    with _unfinished(target) as (path, file):
        with contextlib.suppress(FileNotFoundError):
            _keep(target.stat(), file.fileno())
        file.write(data)
        file.flush()
        _sync(file.fileno())
        path.replace(target)
    try:
        handle = os.open(target.parent, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        _sync(handle)  # makes the name last
    finally:
        os.close(handle)


@contextlib.contextmanager
def _unfinished(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Yield a new locked file beside the target, which is removed where the block fails."""
    while True:
        path = target.with_name(f"{_beginning(target.name)}{_machine()}{secrets.token_hex(4)}.unfinished")
        with path.open("xb") as file:
            try:
                if not _locked(file):  # another save took it for one that was left
                    continue
                yield path, file
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            return


def _locked(file: IO[bytes]) -> bool:
    """Lock a file that was opened; return whether it is this process's, where the system can lock."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return Path(file.name).exists()


def _remove(path: Path, *, ours: bool) -> None:
    """Remove a file where nobody holds its lock."""
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        info = os.fstat(file.fileno())
        if (ours or time.time() - info.st_mtime > _DAY) and os.path.samestat(info, path.stat()):  # it was not renamed meanwhile
            path.unlink()


def _beginning(name: str) -> str:
    return f".{_cut(name, LONGEST_FILE_NAME - 29)}."


@functools.cache
def _machine() -> str:
    """Return eight digits that tell this machine, whose processes see one another's locks, from others."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        text = platform.node()
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _keep(before: os.stat_result, handle: int) -> None:
    """Give a new file the owner and the mode of the old one, as far as this user may."""
    if not hasattr(os, "fchmod"):  # Windows
        return
    with contextlib.suppress(OSError):
        os.fchown(handle, before.st_uid, before.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(handle, stat.S_IMODE(before.st_mode))


def _sync(handle: int) -> None:
    """Let the system write to the disk, where it can: network shares cannot always."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in _LOST:
            raise
