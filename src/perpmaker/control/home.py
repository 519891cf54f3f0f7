"""The home folder, and the files in `run/` by which the processes of one home find each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from perpmaker.errors import ConfigError, DataError


class RunFile(msgspec.Struct, frozen=True):
    """`run/NAME.json` of a living process: 0600, removed at its end; a stale one is known by its dead pid."""

    name: str
    pid: int
    urls: dict[str, str]
    token: str = ""
    started_ns: int = 0
    extra: dict[str, str] = {}


def find_home(option: str | None, environment: dict[str, str], working_folder: Path) -> Path:
    """Return the home: `--home`, else PERPMAKER_HOME, else the nearest `.perpmaker/` upward, else the XDG state folder.

    The folder is not created. Raises ConfigError when the option names something that is not a folder.
    """
    for source, value in (("--home", option), ("PERPMAKER_HOME", environment.get("PERPMAKER_HOME"))):
        if value:
            path = Path(value).expanduser().resolve()
            if path.exists() and not path.is_dir():
                raise ConfigError(f"{source} must name a folder; {path} is not one")
            return path
    for folder in (working_folder, *working_folder.parents):
        if (folder / ".perpmaker").is_dir():
            return (folder / ".perpmaker").resolve()
    state = environment.get("XDG_STATE_HOME") or str(
        Path(environment.get("HOME", "~")).expanduser() / ".local" / "state"
    )
    return Path(state) / "perpmaker"


def make_home(home: Path) -> Path:
    """Create the home and its folders, for its owner alone (0700), and return it."""
    for folder in (home, home / "run", home / "logs"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    return home


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` in one step, readable by its owner alone, safe against a kill or a power cut in the middle."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def published(home: Path, run_file: RunFile) -> Iterator[Path]:
    """Keep `run/NAME.json` there while this process serves."""
    path = make_home(home) / "run" / f"{run_file.name}.json"
    write_private(path, msgspec.json.encode(run_file))
    try:
        yield path
    finally:
        current = read_run_file(home, run_file.name)
        if current is None or current.pid == run_file.pid:
            path.unlink(missing_ok=True)


def read_run_file(home: Path, name: str) -> RunFile | None:
    """Return the file as written, alive or not; None when there is none. Raises DataError when it is broken."""
    path = home / "run" / f"{name}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunFile)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is not a run file of perpmaker ({error}); remove it if nothing runs") from error


def running(home: Path, name: str) -> RunFile | None:
    """Return the run file of a process that lives, else None."""
    run_file = read_run_file(home, name)
    return run_file if run_file is not None and _alive(run_file.pid) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
