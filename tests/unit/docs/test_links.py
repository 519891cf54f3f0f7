"""Pages lead where they say."""

from __future__ import annotations

import re

import pytest
from tests.unit.docs.pages import ROOT, Link, anchors, links, named, pages, tracked

LINKS = [link for link in links() if not re.match(r"[a-z]+:", link.target)]


@pytest.mark.parametrize("link", [link for link in LINKS if not link.is_image], ids=lambda link: f"{link[0]} {link[2]}")
def test_a_link_between_pages_resolves(link: Link) -> None:
    path, _, anchor = link.target.partition("#")
    target = (link.page.parent / path).resolve() if path else link.page
    assert target.is_relative_to(ROOT), f"{link.place} leads out of the repository"
    assert target.exists(), f"{link.place}: {link.target} is not there"
    if anchor:
        assert anchor in anchors(target), f"{link.place}: {named(target)} has no heading for #{anchor}"


def test_every_image_of_a_page_is_in_the_repository() -> None:
    """Holds from the first committed image on: before that no page can show one."""
    images = {path.resolve() for path in tracked("docs/images")}
    if not images:
        return
    shown = {(link.page.parent / link.target).resolve() for link in LINKS if link.is_image}
    assert sorted(map(named, shown - images)) == []
    assert sorted(map(named, images - shown)) == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        todo += [(page.parent / link.target.partition("#")[0]).resolve() for link in LINKS if link.page == page]
    assert sorted(map(named, set(pages()) - reached)) == []
