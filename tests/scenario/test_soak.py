"""Two minutes of the long run: whatever happened meanwhile, journal, store and exchange agree at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.soak import soak


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.timeout(400)
def test_after_two_minutes_nothing_is_left_over_and_all_books_agree(tmp_path: Path) -> None:
    """Memory is not judged: what is bounded is still filling (`python -m benchmarks soak` takes half an hour for that)."""
    done = soak(tmp_path / "home", minutes=2, warm_up=1)
    assert done.problems(memory=False) == []
    assert done.fills > 20
    assert done.samples[-1].events > 5_000
