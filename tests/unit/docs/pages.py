"""The documentation as its tests read it: pages, command lines, links."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = ("./run", "perpmaker")
BOOTSTRAP = ("test", "setup")
"""What `./run` does itself (tools/bootstrap.py), before there is a command line."""


class CommandLine(NamedTuple):
    place: str
    text: str

    @property
    def arguments(self) -> list[str] | None:
        """What the command line is given; None when bootstrap answers it."""
        program, *arguments = shlex.split(self.text, comments=True)
        if program == "./run" and arguments[:1] and arguments[0] in BOOTSTRAP:
            return None
        return arguments or (["up", "configs/local.toml"] if program == "./run" else ["--help"])


class Link(NamedTuple):
    place: str
    page: Path
    target: str
    is_image: bool


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def shell_lines(page: Path) -> Iterator[CommandLine]:
    """Yield the lines of a page's ```sh blocks that start our program, continued lines joined."""
    inside, joined, start = False, "", 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = line.strip() == "```sh" and not inside
            continue
        if not inside:
            continue
        start = start if joined else number
        joined += line.rstrip("\\")
        if line.endswith("\\"):
            continue
        text, joined = joined.strip(), ""
        if text.split(" ")[0] in PROGRAMS:
            yield CommandLine(f"{named(page)}:{start}", text)


def quoted_lines(path: Path) -> Iterator[CommandLine]:
    """Yield commands named inside a text in backquotes; synopses (with brackets, bars, dots) are left out."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for found in re.finditer(r"`((?:\./run|perpmaker) [^`]+)`", line):
            if not re.search(r"[\[\]|…{}]|\.\.\.|COMMAND", found[1]):
                yield CommandLine(f"{named(path)}:{number}", found[1])


def links() -> Iterator[Link]:
    for page in pages():
        text = re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), page.read_text("utf-8"), flags=re.DOTALL)
        for number, line in enumerate(text.splitlines(), 1):
            for found in re.finditer(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", line):
                yield Link(f"{named(page)}:{number}", page, found[2], found[1] == "!")


def anchors(page: Path) -> set[str]:
    """The anchors a page's headings give: lower case, spaces as hyphens, other punctuation dropped."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def tracked(*folders: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=True, timeout=200
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """The text of a file, None for one that is not text (an image, a recording)."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
