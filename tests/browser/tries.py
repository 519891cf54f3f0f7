"""Times that the page has to keep, on a machine that is not ours alone."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from playwright.sync_api import Page

from perpmaker.clock import WallClock
from perpmaker.model.units import NS_PER_MS

TRIES = 3
NOTE_BANNERS = """() => {
  window.noted = [];
  new MutationObserver(() => {
    const state = document.body.dataset.freshness;
    if (document.querySelector(`[data-testid=banner-${state}]`)) window.noted.push([state, Date.now()]);
  }).observe(document.body, { attributeFilter: ['data-freshness'] });
}"""
"""Has the page write down when it began to say that it is stale or gone: by its own clock; a test looks later."""


def quickest(attempt: Callable[[], float], bound_s: float) -> float:
    """Return the shortest time of up to three tries, of one that keeps the bound at once.

    What else the machine does can only lengthen a try; what the product itself needs is in all of them.
    """
    took_s = [attempt()]
    while min(took_s) > bound_s and len(took_s) < TRIES:
        took_s.append(attempt())
    return min(took_s)


def now_ms() -> float:
    """UTC by the clock that the browser's `Date.now` reads too."""
    return WallClock().now_ns() / NS_PER_MS


def noted_s(page: Page, state: str, since_ms: float) -> float:
    """From a moment until the page first said so, as `NOTE_BANNERS` has it note; infinite when it never did."""
    noted = page.evaluate("window.noted")
    return min(((at_ms - since_ms) / 1000 for said, at_ms in noted if said == state and at_ms >= since_ms), default=inf)
