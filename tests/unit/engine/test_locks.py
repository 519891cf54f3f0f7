from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from perpmaker.engine.locks import Holder, held, holder_of, instrument_key, lock_folder, sub_account_key
from perpmaker.errors import ConfigError

KEY = sub_account_key("grvt", "prod", "123")


def holder(name: str = "first") -> Holder:
    return Holder(engine=name, pid=os.getpid(), home="/h", since="2026-01-01T00:00:00Z")


def test_a_second_engine_on_the_sub_account_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with (
        held(tmp_path, [KEY], holder()),
        pytest.raises(ConfigError, match=rf"sub-account grvt prod 123 is in use by engine 'first' \(pid {os.getpid()}"),
        held(tmp_path, [KEY], holder("second")),
    ):
        pass


def test_a_lock_is_free_again_after_its_holder_left(tmp_path: Path) -> None:
    with held(tmp_path, [KEY], holder()):
        pass
    with held(tmp_path, [KEY], holder("second")):
        pass


def test_all_locks_are_taken_or_none(tmp_path: Path) -> None:
    other = instrument_key("grvt", "prod", "BTC_USDT_Perp")
    with held(tmp_path, [KEY], holder()):
        with pytest.raises(ConfigError), held(tmp_path, [other, KEY], holder("second")):
            pass
        with held(tmp_path, [other], holder("third")):
            pass


@pytest.mark.parametrize(
    "other",
    [
        sub_account_key("grvt", "testnet", "123"),
        sub_account_key("grvt", "prod", "1231"),
        sub_account_key("backpack", "prod", "123"),
        sub_account_key("grvt", "prod", "123", "exchange-2"),
        instrument_key("grvt", "prod", "123"),
    ],
)
def test_different_things_do_not_exclude_each_other(tmp_path: Path, other: object) -> None:
    with held(tmp_path, [KEY], holder()), held(tmp_path, [other], holder()):  # type: ignore[list-item]
        pass


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    code = f"""
        import time
        from pathlib import Path
        from perpmaker.engine.locks import Holder, held, sub_account_key
        with held(Path({str(tmp_path)!r}), [sub_account_key("grvt", "prod", "123")], Holder("dead", 1, "/", "")):
            print("held", flush=True)
            time.sleep(60)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(ConfigError, match="engine 'dead'"), held(tmp_path, [KEY], holder()):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with held(tmp_path, [KEY], holder()):
        pass


def test_the_lock_folder_is_private_and_in_the_runtime_folder(tmp_path: Path) -> None:
    folder = lock_folder(tmp_path)
    assert folder == tmp_path / "perpmaker"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_lock_folder_that_others_could_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "perpmaker").mkdir(mode=0o755)
    (tmp_path / "perpmaker").chmod(0o755)
    with pytest.raises(ConfigError, match="0700"):
        lock_folder(tmp_path)


def test_a_symbolic_link_as_lock_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "perpmaker").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        lock_folder(tmp_path)


def test_who_holds_a_lock_can_be_asked_without_taking_it(tmp_path: Path) -> None:
    assert holder_of(tmp_path, KEY) is None
    with held(tmp_path, [KEY], holder()):
        assert holder_of(tmp_path, KEY) == holder()
    assert holder_of(tmp_path, KEY) is None
