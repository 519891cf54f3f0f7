"""Chromium, and pages that fail their test when anything goes wrong in their console.

`PERPMAKER_BROWSER_HOME=FOLDER` runs the tests of `test_any_stack.py` against the engine and the dashboard that run in
that home (`./run` uses `.perpmaker`), in place of the fake engine.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from tests.browser.stacks import FakeStack, RealStack, Stack

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 812}
TIMEOUT_MS = 30_000
expect.set_options(timeout=TIMEOUT_MS)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is absent")
        pytest.skip("chromium (Debian) is absent")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module", params=["fake", "real"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that the tests of a module share; they leave it quoting."""
    existing = os.environ.get("PERPMAKER_BROWSER_HOME")
    home = tmp_path_factory.mktemp("home")
    if existing:
        yield Stack(Path(existing).resolve())
    elif request.param == "fake":
        yield from fake(home)
    else:
        real = RealStack(home)
        try:
            real.wait_until_quoting()
            yield real
        finally:
            real.stop()


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[FakeStack]:
    """A fake stack of one test alone, which may break it."""
    yield from fake(tmp_path)


@pytest.fixture
def hostile_stack(tmp_path: Path) -> Iterator[FakeStack]:
    """A fake stack whose texts from the venue try to be markup."""
    yield from fake(tmp_path, hostile=True)


@pytest.fixture(scope="module")
def pair_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeStack]:
    """A fake stack whose engine runs pairs; the tests of a module share it."""
    yield from fake(tmp_path_factory.mktemp("pairs"), pairs=True)


def fake(home: Path, *, hostile: bool = False, pairs: bool = False) -> Iterator[FakeStack]:
    made = FakeStack(home, hostile=hostile, pairs=pairs)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open the entrance of a stack at a size, logged in, and wait for live numbers; nothing may be wrong in its console."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            wrong.append(f"{message.type}: {message.text}")

    def opened(stack: Stack, size: dict[str, int], *, expect_errors: bool = False) -> Page:
        context = browser.new_context(viewport=size, has_touch=size["width"] < 800, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        if not expect_errors:
            page.on("console", note)
        page.on("pageerror", lambda error: wrong.append(f"exception: {error}"))
        page.goto(stack.entrance)
        page.wait_for_selector("body[data-freshness=live] [data-testid=engine-state]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
