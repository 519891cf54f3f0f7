"""`perpmaker new strategy NAME`: a working strategy to change, in a folder of the user's own."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import string
import sys
import tempfile
from pathlib import Path
from typing import Final

import click

import perpmaker
from perpmaker.errors import ConfigError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TEMPLATES: Final = Path(__file__).parent / "templates"
_IMPORTED: Final = frozenset({"Annotated", "Book", "Context", "Quote", "Sequence", "Strategy", "Subscription"})
"""What the strategy's file calls something else."""
_FILES: Final = {
    "{}.py": ("strategy.py.txt", "the strategy: its keys, and what it wants on each book"),
    "{}.toml": ("config.toml.txt", "its configuration for the practice exchange"),
    "test_{}.py": ("test.py.txt", "its test: alone, and in the engine on a simulated market"),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="NAME")
@click.option(
    "--folder", metavar="FOLDER", type=click.Path(path_type=Path),
    help="Where to write it; new, or empty. Default: strategies/NAME.",
)  # fmt: skip
def command(name: str, folder: Path | None) -> None:
    """Write a small working strategy with its test and its configuration into a folder of your own.

    NAME is the strategy's, in small letters, as my_maker. Nothing is overwritten. docs/tutorial/your-first-strategy.md goes
    through what is written.
    """
    check_name(name)
    target = Path("strategies", name) if folder is None else folder
    check_folder(target)
    write(target, {file.format(name): text_of(template, name) for file, (template, _) in _FILES.items()})
    click.echo(f"{target}:")
    width = max(len(file.format(name)) for file in _FILES)
    for file, (_, meaning) in _FILES.items():
        click.echo(f"  {file.format(name):{width}}  {meaning}")
    click.echo("What to do next:")
    for line in next_steps(target, name):
        click.echo(f"  {line}")


def check_name(name: str) -> None:
    """Raise ConfigError unless a Python module may have this name without hiding another."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"NAME {name!r}: allowed are small letters, digits and _, a letter first, at most 32, as my_maker"
        )
    if keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise ConfigError(f"NAME {name!r}: is a name of Python's own; choose another, as my_{name}")
    try:
        installed = importlib.util.find_spec(name)
    except ValueError:  # a module that is running without a specification
        return
    if installed is not None and installed.origin is not None:
        raise ConfigError(f"NAME {name!r}: is the name of an installed package, which it would hide; choose another")


def check_folder(folder: Path) -> None:
    """Raise ConfigError unless a new folder can be made there, outside of perpmaker itself."""
    package = Path(perpmaker.__file__).resolve().parent
    if folder.resolve().is_relative_to(package):
        raise ConfigError(f"--folder {folder}: is inside perpmaker itself, which an update replaces; choose your own")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder}: is there already, and nothing is overwritten; choose another NAME or --folder")


def text_of(template: str, name: str) -> str:
    """Return a template filled in."""
    text = string.Template((_TEMPLATES / template).read_text(encoding="utf-8"))
    return text.substitute(name=name, class_name=class_name(name))


def class_name(name: str) -> str:
    """Return the name of the class: my_maker -> MyMaker."""
    made = "".join(part.capitalize() for part in name.split("_"))
    return f"Own{made}" if made in _IMPORTED else made


def write(folder: Path, files: dict[str, str]) -> None:
    """Write a folder whole or not at all; ConfigError when it cannot be."""
    made: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8")
        made.replace(folder)
    except OSError as error:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        raise ConfigError(f"{folder}: cannot be written: {error.filename}: {error.strerror}") from error


def next_steps(folder: Path, name: str) -> list[str]:
    """Return what to type next: by `./run` from a checkout's folder, by the program's name from elsewhere."""
    checkout = Path(perpmaker.__file__).resolve().parents[2]
    has_run = (checkout / "run").is_file() and (checkout / "tests").is_dir()
    here = has_run and checkout == Path.cwd()
    program = "./run" if here else "perpmaker"
    tests = f"{program} test {folder}" if here else f"{checkout}/run test {folder.resolve()}"
    config = folder / f"{name}.toml"
    steps = {
        tests if has_run else f"{sys.executable} -m pytest {folder}": "run its test",
        f"{program} config show {config}": "see every key with its value",
        f"{program} up {config}": "trade on the practice exchange, with the dashboard",
    }
    width = max(map(len, steps))
    return [f"{step:{width}}  # {meaning}" for step, meaning in steps.items()]
