"""Environments of peers: made once, repaired, and absent when they cannot be had."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from benchmarks.peers import CLIENTS, HFT, NAUTILUS, Peer, PeerAbsent, prepare
from tools import bootstrap

ROOT = Path(__file__).resolve().parents[3]
THERE = Peer(".venv-peer", "peers-hft", ("json",))
BROKEN = Peer(".venv-peer", "peers-hft", ("no_such_module_anywhere",))


@pytest.fixture(autouse=True)
def _environments_are_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment is a link to this Python: what is tested is when one is made, not pip."""

    def create(venv: Path) -> None:
        bootstrap.python_in(venv).parent.mkdir(parents=True, exist_ok=True)
        bootstrap.python_in(venv).symlink_to(sys.executable)

    monkeypatch.setattr(bootstrap, "create", create)
    monkeypatch.setattr(bootstrap, "has_pip", lambda venv: bootstrap.python_in(venv).exists())


class Installing:
    def __init__(self) -> None:
        self.locks: list[str] = []
        self.error: str | None = None

    def __call__(self, venv: Path, lock: Path) -> None:
        self.locks.append(lock.name)
        if self.error is not None:
            sys.exit(self.error)


def test_an_environment_is_made_once_from_its_lock(tmp_path: Path) -> None:
    install = Installing()
    assert prepare(THERE, tmp_path, install) == prepare(THERE, tmp_path, install)
    assert install.locks == ["peers-hft.txt"]


def test_one_whose_set_up_was_cut_short_is_made_again(tmp_path: Path) -> None:
    install = Installing()
    prepare(THERE, tmp_path, install)
    (tmp_path / ".venv-peer" / "perpmaker.stamp").unlink()
    prepare(THERE, tmp_path, install)
    assert len(install.locks) == 2


def test_a_peer_that_cannot_be_installed_is_absent_and_says_why(tmp_path: Path) -> None:
    install = Installing()
    install.error = "no network"
    with pytest.raises(PeerAbsent, match="no network"):
        prepare(THERE, tmp_path, install)
    install.error = None
    assert prepare(THERE, tmp_path, install).exists()


def test_a_peer_that_does_not_import_is_absent_and_repaired_the_next_time(tmp_path: Path) -> None:
    install = Installing()
    for _ in range(2):
        with pytest.raises(PeerAbsent, match="no_such_module_anywhere"):
            prepare(BROKEN, tmp_path, install)
    assert len(install.locks) == 2


@pytest.mark.parametrize("peer", [CLIENTS, HFT, NAUTILUS])
def test_a_peers_lock_has_a_hash_for_every_package_and_no_address(peer: Peer) -> None:
    text = (ROOT / "requirements" / f"{peer.lock}.txt").read_text()
    pinned = re.findall(r"^[a-z0-9._-]+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 5
    assert "://" not in text
