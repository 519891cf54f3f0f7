"""What a page has its reader write: new files, lines at the end of one, changes shown as a diff.

The sentence before a block names the file last, in backquotes. A ```python block is that file when the sentence ends with
its name, and with "at the end of" what is added to it; a ```diff block changes it, and its old lines are there once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple


class Block(NamedTuple):
    before: str
    """The sentence that introduces it."""
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that the sentence names last, "" for none."""
        named = re.findall(r"`([\w/.-]+\.(?:py|toml))`", self.before)
        return named[-1] if named else ""


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(_paragraph_before(text, match.start()), match[1], match[2]) for match in found]


def _paragraph_before(text: str, at: int) -> str:
    return text[:at].rstrip().rpartition("\n\n")[2]


def write_down(page: Path, folder: Path) -> list[Path]:
    """Do in `folder` what a page says; returns the files it made or changed."""
    touched = []
    for block in blocks(page):
        path = folder / block.file
        if not block.file or block.language not in ("python", "diff"):
            continue
        if block.language == "diff":
            path.write_text(changed(path.read_text(), block.text, f"{page.name}: {block.file}"))
        elif "at the end of" in block.before.lower():
            path.write_text(f"{path.read_text()}\n\n{block.text}")
        elif not block.before.endswith(f"`{block.file}`:"):
            continue  # shows a part of it
        else:
            assert not path.exists(), f"{page.name} writes {block.file} anew"
            path.write_text(block.text)
        touched.append(path)
    return list(dict.fromkeys(touched))


def changed(text: str, diff: str, place: str) -> str:
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(old) == 1, f"{place}: the lines to be changed are there {text.count(old)} times\n{old}"
    return text.replace(old, new)
