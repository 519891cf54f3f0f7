"""Every command the documentation shows is one the command line takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.unit.docs.pages import ROOT, CommandLine, pages, quoted_lines, shell_lines

from perpmaker.cli.main import cli

SHOWN = [line for page in pages() for line in shell_lines(page)]
TEXTS = [*pages(), *sorted((ROOT / "configs").glob("*.toml")), *sorted((ROOT / "src").rglob("*.py"))]
QUOTED = [line for path in TEXTS for line in quoted_lines(path)]


def leaves(command: click.Command) -> Iterator[click.Command]:
    if not isinstance(command, click.Group):
        yield command
        return
    if command.invoke_without_command:
        yield command
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Commands as they are taken; none is carried out."""
    names: list[str] = []

    def note(**_values: object) -> None:
        context = click.get_current_context()
        if context.invoked_subcommand is None:
            names.append(context.command_path)

    for command in leaves(cli):
        monkeypatch.setattr(command, "callback", note)
    monkeypatch.setenv("PERPMAKER_HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return names


def take(line: CommandLine) -> None:
    arguments = line.arguments
    if arguments is None:
        return
    try:
        cli.main(arguments, prog_name="perpmaker", standalone_mode=False)
    except click.ClickException as error:
        pytest.fail(f"{line.place}: {line.text}: {error.format_message()}")


@pytest.mark.parametrize("line", SHOWN, ids=lambda line: f"{line.place} {line.text}")
def test_a_command_shown_in_a_page_is_taken(line: CommandLine, taken: list[str]) -> None:
    take(line)
    arguments = line.arguments
    assert arguments is None or arguments == ["--help"] or len(taken) == 1


@pytest.mark.parametrize("line", QUOTED, ids=lambda line: f"{line.place} {line.text}")
def test_a_command_named_in_a_sentence_is_taken(line: CommandLine, taken: list[str]) -> None:
    name = (line.arguments or [""])[0]
    if line.arguments == [name] and not name.startswith("-"):  # only named, without anything for it
        assert cli.get_command(click.Context(cli), name) is not None, f"{line.place}: {line.text}"
        return
    take(line)
    assert line.arguments is None or line.arguments == ["--help"] or len(taken) == 1


@pytest.mark.parametrize(
    "text", ["perpmaker fly", "perpmaker status --yaml", "./run export everything", "./run doctor"]
)
def test_a_wrong_command_would_be_found(text: str, taken: list[str]) -> None:
    with pytest.raises(pytest.fail.Exception, match="a page"):
        take(CommandLine("a page", text))


def test_the_readme_shows_the_two_commands_and_every_page_is_looked_at() -> None:
    shown = [line.text for line in shell_lines(ROOT / "README.md")]
    assert shown[:2] == ["./run", "./run test"]
    assert len(SHOWN) >= 15
    assert len(QUOTED) >= 10


@pytest.mark.parametrize("line", SHOWN, ids=lambda line: f"{line.place} {line.text}")
def test_a_configuration_shown_in_a_page_is_in_the_checkout(line: CommandLine) -> None:
    for word in line.arguments or []:
        if word.startswith("configs/"):
            assert (ROOT / word).is_file(), f"{line.place}: {word}"
