"""What is committed speaks of the project alone: no registry, no machine, no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.docs.pages import ROOT, named, text_of, tracked

# Put together here, so that this file is no finding itself.
HOSTS = (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))
REGISTRIES = re.compile("|".join([r"\.".join(host) for host in HOSTS] + ["artifac" + "tory"]), re.IGNORECASE)
PERSONAL = "|".join(("work", "root", "Users", "tmp/s"))
MACHINE_PATHS = re.compile(rf"(?<![\w.$}}~/-])/(?:{PERSONAL})/")
TEXTS = [(path, text) for path in tracked() if (text := text_of(path)) is not None]


def found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{named(path)}:{number}: {line.strip()[:100]}"
        for path, text in TEXTS
        if "vendor" not in path.parts
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_registry() -> None:
    assert found(REGISTRIES) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert found(MACHINE_PATHS) == []
    if len(ROOT.parts) > 2:
        assert found(re.compile(re.escape(f"{ROOT}/"))) == []


@pytest.mark.parametrize("path", tracked("requirements", ".ci", "run", "tools"), ids=named)
def test_set_up_needs_no_address(path: Path) -> None:
    text = text_of(path)
    assert text is not None
    assert re.findall(r"https?://\S+|^--?(?:index-url|extra-index-url|find-links|i)\b.*", text, re.MULTILINE) == []


def test_the_search_sees_what_it_looks_for() -> None:
    assert REGISTRIES.search("https://" + "pypi" + ".org/x")
    assert MACHINE_PATHS.search("see " + "/" + "root/x")
    assert len(TEXTS) > 200


def test_markdown_code_blocks_name_their_language_and_close() -> None:
    for path, text in TEXTS:
        if path.suffix == ".md":
            fences = re.findall(r"^```(.*)$", text, re.MULTILINE)
            assert len(fences) % 2 == 0, named(path)
            assert all(not name for name in fences[1::2]), named(path)
