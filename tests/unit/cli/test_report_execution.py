"""`perpmaker report execution` from a journal on disk: tables, JSON, picture, what it says when there is nothing."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from tests.unit.engine.chronicle import written
from tests.unit.engine.test_executions import execute, idle_rig

from perpmaker.cli import report
from perpmaker.cli.main import cli
from perpmaker.engine.folders import engine_folder, journal_folder
from perpmaker.engine.records import Record
from perpmaker.errors import PerpmakerError


@pytest.fixture(scope="module")
def records() -> list[Record]:
    rig = idle_rig()
    execute(rig)
    rig.run(1)
    execute(rig, command_id="order-02", side="sell", qty="0.004")
    return rig.journal


@pytest.fixture
def home(tmp_path: Path, records: list[Record]) -> Path:
    written(journal_folder(engine_folder(tmp_path, "test", "local")), records).close()
    return tmp_path


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(report.command, ["execution", *arguments], obj=home, catch_exceptions=True)


def test_the_tables_tell_orders_groups_and_children(home: Path) -> None:
    done = run(home)
    assert done.exit_code == 0, done.output
    for said in (
        "2 ended (done 2)",
        "buy 0.01 BTC_USDT_Perp",
        "sell 0.004",
        "Venue",
        "Hour of the beginning",
        "of shown",
    ):
        assert said in done.output
    assert max(map(len, done.output.splitlines())) <= 80


def test_the_newest_orders_alone_are_listed(home: Path) -> None:
    listed = run(home, "--last", "1").output
    assert "The newest 1 of 2 orders" in listed
    assert "buy 0.01" not in listed


def test_the_picture_is_a_file_of_its_own_beside_the_tables(home: Path, tmp_path: Path) -> None:
    done = run(home, "--svg", str(tmp_path / "execution.svg"))
    assert "2 ended" in done.output
    assert "execution.svg" in done.output
    assert (tmp_path / "execution.svg").read_text().startswith("<svg")
    assert json.loads(run(home, "--json", "--svg", str(tmp_path / "again.svg")).output)["engine"] == "test-local"
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "execution.svg").read_bytes()


def test_a_picture_that_cannot_be_written_is_told_by_its_option(home: Path, tmp_path: Path) -> None:
    with pytest.raises(PerpmakerError, match="--svg: the folder .* does not exist"):
        _raise(run(home, "--svg", str(tmp_path / "nowhere" / "execution.svg")))


def test_json_holds_every_order_and_child(home: Path) -> None:
    found = json.loads(run(home, "--json").output)
    assert [order["filled_qty"] for order in found["orders"]] == ["0.010", "0.004"]
    assert [len(order["children"]) for order in found["orders"]] == [1, 1]
    assert (found["whole"]["orders"], found["by_venue"][0]["name"], len(found["by_hour"])) == (2, "grvt", 24)


@pytest.mark.parametrize(
    "outside", [("--from", "2030-01-01"), ("--to", "2001-01-01T00:00"), ("--instrument", "SOL_USDT_Perp")]
)
def test_nothing_within_the_bounds_is_said_so(home: Path, outside: tuple[str, ...]) -> None:
    with pytest.raises(PerpmakerError, match="none of the 2 parent orders") as caught:
        _raise(run(home, *outside))
    assert caught.value.exit_code == 1


def test_a_journal_without_parent_orders_is_said_so(tmp_path: Path) -> None:
    written(journal_folder(engine_folder(tmp_path, "test", "local")), []).close()
    with pytest.raises(PerpmakerError, match="tells of no parent order"):
        _raise(run(tmp_path))


def test_a_wrong_time_is_a_usage_error(home: Path) -> None:
    done = run(home, "--from", "yesterday")
    assert done.exit_code == 2
    assert "2026-11-21" not in done.output
    assert "%Y-%m-%d" in done.output


def test_the_group_lists_its_reports() -> None:
    context = click.Context(cli)
    group = cli.get_command(context, "report")
    assert isinstance(group, click.Group)
    assert "execution" in group.list_commands(context)
    assert group.get_command(context, "fly") is None


def _raise(done: Result) -> None:
    assert done.exception is not None
    raise done.exception
