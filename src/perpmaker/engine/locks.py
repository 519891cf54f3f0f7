"""Locks that keep a second engine off the same sub-account or instrument, machine wide for this user.

They are flock(2) locks on files in a folder of the user's own: the kernel frees them when the process ends, however it
ends. The file's text says who holds it, for the error message alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from perpmaker.errors import ConfigError


class LockKey(msgspec.Struct, frozen=True, order=True):
    """What is locked, in words: ("sub-account", "grvt", "prod", "123"). Equal keys exclude each other."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(part for part in self.parts if part)

    @property
    def file_name(self) -> str:
        digest = hashlib.blake2b("\0".join(self.parts).encode(), digest_size=6).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9]+", "-", str(self))[:80].strip("-")
        return f"{readable}-{digest}.lock"


def sub_account_key(venue: str, env: str, sub_account_id: str, exchange_instance: str = "") -> LockKey:
    return LockKey(("sub-account", venue, env, sub_account_id, exchange_instance))


def instrument_key(venue: str, env: str, instrument: str, exchange_instance: str = "") -> LockKey:
    return LockKey(("instrument", venue, env, instrument, exchange_instance))


def journal_key(folder: Path) -> LockKey:
    return LockKey(("journal", str(folder.resolve())))


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock."""

    engine: str
    pid: int
    home: str
    since: str


def lock_folder(runtime: Path) -> Path:
    """Return the user's own lock folder, made if need be, in `runtime` or, without one, in /tmp.

    Raises ConfigError when somebody else could write there.
    """
    temporary = Path(f"/tmp/perpmaker-{os.getuid()}")  # noqa: S108 (its owner and mode are checked below)
    folder = runtime / "perpmaker" if runtime.is_dir() else temporary
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigError(f"the lock folder {folder} cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(
            f"the lock folder {folder} must be a folder of your own that nobody else can open (mode 0700)"
        )
    return folder


def holder_of(folder: Path, key: LockKey) -> Holder | None:
    """Return who holds a lock now, None when nobody does or who does has not written down who it is yet."""
    try:
        descriptor = os.open(folder / key.file_name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(os.pread(descriptor, 4096, 0))
    finally:
        os.close(descriptor)
    return None


@contextmanager
def held(folder: Path, keys: Iterable[LockKey], holder: Holder) -> Iterator[None]:
    """Hold all of the locks or none; raise ConfigError naming the first one that is taken, and who has it."""
    with ExitStack() as stack:
        for key in sorted(set(keys)):
            stack.enter_context(_held_one(folder / key.file_name, key, holder))
        yield


@contextmanager
def _held_one(path: Path, key: LockKey, holder: Holder) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{key} is in use by {_described(os.pread(descriptor, 4096, 0))}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(holder), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _holder(content: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(content, type=Holder)
    except msgspec.DecodeError:
        return None


def _described(content: bytes) -> str:
    other = _holder(content)
    if other is None:
        return "another engine that is just starting or stopping"
    return f"engine {other.engine!r} (pid {other.pid}, home {other.home}, since {other.since}); stop it first"
