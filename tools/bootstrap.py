"""Make `.venv` what the lock says, then become the program asked for. Standard library only.

The stamp in a virtual environment is the hash of its lock and of the Python that made it, written last: an unchanged
tree starts at once, a changed lock repairs itself, and a set-up that was cut short is done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "0.13.8"
CORE, RESEARCH, DEV, CLIENTS = "core", "research", "dev", "clients"
EACH_INCLUDES_THE_LAST = (CORE, RESEARCH, DEV)
NEED_RESEARCH = frozenset({"backtest", "data", "parity", "record", "signals", "tape", "train", "tune"})
"""Commands that read tapes or search; trading itself needs none of those packages."""
NEED_RESEARCH_TOO = (["report", "gate"],)

SCRIPT = """from perpmaker.__main__ import main

if __name__ == "__main__":
    main()
"""
"""The command `perpmaker`. Worker processes read it again, under another name: there it must do nothing."""


def main(argv: list[str]) -> None:
    if argv[:1] == ["test"]:
        environment(".venv", DEV)
        if other_clients_run(argv[1:]):
            environment(".venv-clients", CLIENTS)
        os.chdir(ROOT)
        become(".venv", ["-m", "tests", *argv[1:]])
    if argv[:1] == ["setup"]:  # for image builds and CI caches: install, start nothing
        wanted = argv[1] if argv[1:] else CORE
        if wanted not in EACH_INCLUDES_THE_LAST or argv[2:]:
            sys.exit(f"setup: {' '.join(argv[1:])!r} is none of {', '.join(EACH_INCLUDES_THE_LAST)}.")
        environment(".venv", wanted)
        return
    environment(".venv", RESEARCH if research_needed(argv) else CORE)
    if "PERPMAKER_HOME" not in os.environ:
        home = ROOT / ".perpmaker"
        home.mkdir(mode=0o700, exist_ok=True)
        os.environ["PERPMAKER_HOME"] = str(home)
    become(".venv", ["-m", "perpmaker", *(argv or ["up", str(ROOT / "configs" / "local.toml")])])


def research_needed(argv: list[str]) -> bool:
    on_tape = argv[:1] == ["init"] and any(word.partition("=")[0] == "--tape" for word in argv)
    return bool(NEED_RESEARCH & set(argv[:1])) or argv[:2] in NEED_RESEARCH_TOO or on_tape


def other_clients_run(arguments: list[str]) -> bool:
    """Say whether tests of other people's clients may be among those asked for: the tests of one's own strategy are not."""
    places = [(ROOT / word.partition("::")[0]).resolve() for word in arguments if not word.startswith("-")]
    places = [place for place in places if place.exists()]
    interop = ROOT / "tests" / "interop"
    return not places or any(interop.is_relative_to(place) or place.is_relative_to(interop) for place in places)


def environment(name: str, lock: str) -> None:
    """Bring virtual environment `name` to what its lock says; one that holds more is kept, never downgraded."""
    venv = ROOT / name
    enough = EACH_INCLUDES_THE_LAST[EACH_INCLUDES_THE_LAST.index(lock) :] if lock != CLIENTS else (lock,)
    with locked(ROOT / f"{name}.lock"):
        have = read(venv / "perpmaker.stamp")
        if have in [stamp(kind) for kind in enough] and python_in(venv).exists():
            return
        kind = have.partition(":")[0] if have else ""
        if kind in enough:
            lock = kind  # the lock changed under an environment that holds more: bring that one up to date
        print(f"Setting up {name} ({lock}); this is needed once, and again when the lock changes.", file=sys.stderr)
        (venv / "perpmaker.stamp").unlink(missing_ok=True)
        if have is None or not has_pip(venv):
            create(venv)
        install(venv, ROOT / "requirements" / f"{lock}.txt")
        if lock != CLIENTS:
            link_sources(venv)
        (venv / "perpmaker.stamp").write_text(stamp(lock))


def stamp(lock: str) -> str:
    content = (ROOT / "requirements" / f"{lock}.txt").read_bytes() + Path(__file__).read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:32]
    return f"{lock}:{digest}:{sys.version_info.major}.{sys.version_info.minor}:{sys.base_prefix}:{ROOT}"


def create(venv: Path) -> None:
    if venv.exists():
        shutil.rmtree(venv)
    command = [sys.executable, "-m", "venv", str(venv)]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            f"{made.stdout}\nPython {version} could not create a virtual environment. "
            f"On Debian and Ubuntu: apt install python3-venv (or python{version}-venv), then run this again."
        )


def has_pip(venv: Path) -> bool:
    command = [str(python_in(venv)), "-m", "pip", "--version"]
    try:
        pip = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return False
    return pip.returncode == 0


def install(venv: Path, lock: Path) -> None:
    """Install exactly the locked files, by uv where it has a wheel for this machine, else by pip."""
    python = str(python_in(venv))
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if waited_for([*pip, "--only-binary", ":all:", f"uv=={UV}"], stderr=subprocess.DEVNULL) == 0:
        tool = str(python_in(venv).with_name("uv.exe" if os.name == "nt" else "uv"))
        sync = [tool, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", python, str(lock)]
        if waited_for(sync) == 0:
            return
        print("uv could not install the locked packages; trying pip.", file=sys.stderr)
        create(venv)
    if waited_for([*pip, "--require-hashes", "--no-deps", "-r", str(lock)]) != 0:
        sys.exit(f"The packages of {lock.name} could not be installed (see above). Run this again to go on.")


def waited_for(command: list[str], stderr: int | None = None) -> int:
    """Run what says nothing for long; on a terminal the seconds go by meanwhile, so that nobody takes it for dead."""
    began = time.monotonic()
    with subprocess.Popen(command, stderr=stderr) as process:
        while True:
            try:
                code = process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                if sys.stderr.isatty():
                    print(f"\r  {time.monotonic() - began:.0f} s ", end="", file=sys.stderr, flush=True)
                continue
            if sys.stderr.isatty():
                print("\r" + 12 * " " + "\r", end="", file=sys.stderr, flush=True)
            return code


def link_sources(venv: Path) -> None:
    """Make `perpmaker` importable and runnable from the checkout, as an editable installation would."""
    query = [str(python_in(venv)), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    purelib = Path(subprocess.run(query, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    (purelib / "perpmaker.pth").write_text(f"{ROOT / 'src'}\n")
    script = python_in(venv).with_name("perpmaker")
    script.write_text(f"#!{python_in(venv)}\n{SCRIPT}")
    script.chmod(0o755)


def python_in(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


@contextlib.contextmanager
def locked(path: Path):  # type: ignore[no-untyped-def]
    """Two set-ups at once wait for each other."""
    with path.open("w") as handle:
        if os.name == "posix":
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def become(venv: str, arguments: list[str]) -> None:
    python = str(python_in(ROOT / venv))
    if os.name == "nt":
        sys.exit(subprocess.run([python, *arguments], check=False).returncode)
    os.execv(python, [python, *arguments])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
