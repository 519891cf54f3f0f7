"""Make the reference pages that follow from the code: command line, configuration, refusals.

    .venv/bin/python tools/make_reference.py

A test (`tests/unit/docs/test_reference.py`) holds the committed pages equal to what this makes.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from perpmaker import config
from perpmaker.cli.main import COMMANDS, EXIT_CODES, cli
from perpmaker.risk.codes import MEANING
from perpmaker.strategies.registry import STRATEGIES, params_schema
from perpmaker.strategies.schema import KeySchema

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
MADE = "*Made from the code by `tools/make_reference.py`; change it there.*"
BEFORE_THE_GATE = {
    "BLOCKED": "the engine takes no new risk at all, for the reason in the text (the journal cannot be written, ...)",
    "PAUSED": "the strategy is paused or stopping",
}
"""Refusals the engine itself gives to orders that never reach the gate."""


def main() -> None:
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}")


def pages() -> dict[str, str]:
    """Return the text of every generated page by its file name."""
    return {
        "cli.md": command_line_page(),
        "configuration.md": configuration_page(),
        "refusals.md": refusals_page(),
    }


# The command line


def command_line_page() -> str:
    parts = [
        "# Command line",
        MADE,
        "`./run COMMAND ...` in a checkout is `perpmaker COMMAND ...` with the home folder `.perpmaker` of the checkout. "
        "`./run` alone is `perpmaker up configs/local.toml`; `./run test` runs the tests, `./run setup` only installs.",
        _table(("command", "does"), ((f"[{name}](#perpmaker-{name})", text) for name, text in COMMANDS.items())),
        "## Options before the command",
        _parameters(cli),
        "## Exit codes",
        _table(("code", "means"), exit_codes()),
        "What to do about each: [errors, refusals and exit codes](../explanation/errors.md).",
    ]
    for name, command in leaf_commands():
        parts += [
            f"## perpmaker {name}",
            _help(command),
            f"```text\n{_usage(name, command)}\n```",
            _parameters(command),
        ]
    return _joined(parts)


def exit_codes() -> list[tuple[str, str]]:
    """Return number and meaning as `perpmaker --help` lists them."""
    text = " ".join(EXIT_CODES.replace("\b", " ").split())
    return re.findall(r"(\d+) ([^;.]+)[;.]", text)


def leaf_commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its words, in the order of `--help`."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is None:
            raise LookupError(name)
        yield from _leaves(name, command)


def _leaves(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is None:
                raise LookupError(f"{words} {name}")
            yield from _leaves(f"{words} {name}", inner)


def _usage(words: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"perpmaker {words}")
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _parameters(command: click.Command) -> str:
    context = click.Context(command)
    rows = [
        (f"`{_spelled(parameter)}`", _value(parameter), _default(parameter, context), _meaning(parameter))
        for parameter in command.get_params(context)
        if parameter.name != "help"
    ]
    return _table(("option", "value", "default", "meaning"), rows) if rows else ""


def _spelled(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return ", ".join([*parameter.opts, *parameter.secondary_opts])
    return (parameter.metavar or (parameter.name or "").upper()).strip("[]")


def _value(parameter: click.Parameter) -> str:
    """Return what may be given, "" for a flag."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return ""
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return " or ".join(str(choice) for choice in kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        least = f"above {kind.min:g}" if kind.min_open else f"{kind.min:g}"
        return f"{least}{'' if kind.min_open else ' or more'}" if kind.max is None else f"{least} to {kind.max:g}"
    if isinstance(parameter, click.Option) and parameter.metavar:
        return parameter.metavar
    words = "a folder" if getattr(kind, "file_okay", True) is False else kind.name.replace("file", "a file")
    return f"{words}; may be repeated" if parameter.multiple else words


def _default(parameter: click.Parameter, context: click.Context) -> str:
    if parameter.required:
        return "required"
    value = parameter.get_default(context)
    flag = isinstance(parameter, click.Option) and parameter.is_flag
    return "" if flag or not isinstance(value, str | int | float) or value == "" else str(value)


def _meaning(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return parameter.help or ""
    return _ARGUMENTS[_spelled(parameter)]


_ARGUMENTS = {
    "ANSWER": "The answer.",
    "CONFIG": "The configuration file.",
    "CANDLES": "The candles.",
    "FOLDER": "Where to.",
    "NAME": "Its name.",
    "OUTPUT": "What to write.",
    "PAIR": "A pair's name.",
    "PATH": "A tape, a folder of them, or another recording.",
    "PATH...": "Tapes, folders of them, or other recordings.",
    "SESSION": "A recorded session.",
    "TAPE": "The tape.",
    "WHAT": "What of it.",
}
"""What the arguments of commands are, by the names they are shown under."""


# Configuration


def configuration_page() -> str:
    sections: list[tuple[str, type[config.Section]]] = [
        ("At the top", config.Config),
        ("[account.NAME]", config.AccountSection),
        ("[risk]", config.RiskSection),
        ("[engine]", config.EngineSection),
        ("[journal]", config.JournalSection),
        ("[control]", config.ControlSection),
        ("[dashboard]", config.DashboardSection),
        ("[exchange]", config.ExchangeSection),
        ("[simulation]", config.SimulationSection),
        ("[[simulation.brackets]]", config.MarginBracketSection),
        ("[tune]", config.TuneSection),
        ("[tune.vary]", config.TuneRange),
        ("[[strategy]]", config.StrategySection),
    ]
    parts = [
        "# Configuration",
        MADE,
        "TOML. `perpmaker config check FILE` names every problem of a file at once; `perpmaker config show FILE` shows "
        "every key with its value. Unknown keys are errors. `configs/local.toml` is a file to start from.",
        "A variable overrides a key: `PERPMAKER__RISK__MAX_LOSS=20`, `PERPMAKER__MODE=live`. Keys of strategies cannot be "
        "overridden this way.",
    ]
    for title, section in sections:
        parts += [f"## {_code_title(title)}", _doc(section) if section is not config.Config else "", _keys(section)]
    parts += [
        "Which further keys there are depends on `kind`. A dot in a name is a table: `quoting.model` is `model` in "
        "`[strategy.quoting]`.",
    ]
    for kind, strategy in STRATEGIES.items():
        rows = [row for row in params_schema(kind) if row.name != "instrument"]
        parts += [f'## kind = "{kind}"', _first_line(strategy), _strategy_keys(rows)]
    parts += ["## Credentials", _credentials()]
    return _joined(parts)


def _code_title(title: str) -> str:
    return f"`{title}`" if title.startswith("[") else title


def _keys(section: type[config.Section]) -> str:
    schema = section.model_json_schema()
    docs = key_docs(section)
    rows = []
    for name, field in section.model_fields.items():
        spec = schema["properties"][name]
        if "$ref" in spec or name in (
            {"account", "strategy"} if section is config.Config else {"params", "vary", "brackets"}
        ):
            continue  # sections of their own
        default = "required" if field.is_required() else f"`{_toml(field.default)}`"
        rows.append((f"`{name}`", allowed(spec), default, docs[name]))
    return _table(("key", "allowed", "default", "meaning"), rows)


def allowed(spec: dict[str, Any]) -> str:
    """Say in words what a JSON schema of one key allows."""
    kinds = [kind for kind in spec.get("anyOf", [spec]) if kind.get("type") != "null"]
    inner = kinds[0].get("anyOf", [{}])[0]  # an exact number that may be left out
    merged = {**inner, **kinds[0], **{key: value for key, value in spec.items() if key != "anyOf"}}
    if "const" in merged or "enum" in merged:
        return " or ".join(f"`{_toml(value)}`" for value in merged.get("enum", [merged.get("const")]))
    if merged["type"] == "array":
        return "a list of texts"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
    bounds = [
        f"{sign} {merged[key]}"
        for sign, keys in ((">=", ("minimum", "ge")), (">", ("exclusiveMinimum", "gt")), ("<=", ("maximum", "le")))
        for key in keys
        if key in merged
    ]
    pattern = f" `{merged['pattern']}`" if "pattern" in merged else ""
    return f"{words[merged['type']]}{pattern} {' and '.join(bounds)}".strip()


def key_docs(section: type[config.Section]) -> dict[str, str]:
    """Return the sentence below each key of a section, as the source has it."""
    docs: dict[str, str] = {}
    for owner in reversed(section.__mro__):
        if not (isinstance(owner, type) and issubclass(owner, config.Section)):
            continue
        body = ast.parse(inspect.getsource(owner)).body[0]
        if not isinstance(body, ast.ClassDef):
            continue
        for before, after in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
            ):
                docs[before.target.id] = _one_line(ast.literal_eval(after.value))
    return docs


def _strategy_keys(rows: Sequence[KeySchema]) -> str:
    return _table(
        ("key", "allowed", "default", "meaning"),
        (
            (f"`{row.name}`", row.allowed, "required" if row.default is None else f"`{_plain(row.default)}`", row.doc)
            for row in rows
        ),
    )


def _credentials() -> str:
    return (
        "For every `env` but local, from the environment, else from a `.env` that nobody else can read (mode 0600), in the "
        'home folder or the working folder. They never stand in this file. With `credentials = "X"` each name ends in '
        "`_X`.\n\n"
        + _table(
            ("variable", "is"),
            (
                ("`GRVT_API_KEY`", "the API key"),
                ("`GRVT_PRIVATE_KEY`", "the private key that signs"),
                ("`GRVT_TRADING_ACCOUNT_ID`", "the sub-account's number"),
            ),
        )
    )


# Refusals


def refusals_page() -> str:
    return _joined(
        [
            "# Refusals",
            MADE,
            "Every order passes one gate. What it refuses never reaches a venue: the order ends as `DENIED`, with one of "
            "these codes and a sentence with the figures, in the log, the journal, the page and the strategy's `on_order`. "
            "Limits are keys of [`[risk]`](configuration.md). Cancels never pass the gate.",
            _table(("code", "means"), ((f"`{code.value}`", meaning) for code, meaning in MEANING.items())),
            "Given by the engine before the gate is asked:",
            _table(("code", "means"), ((f"`{code}`", meaning) for code, meaning in BEFORE_THE_GATE.items())),
            "A command that is refused ends with exit code 6 and the reason as text: "
            "[errors, refusals and exit codes](../explanation/errors.md).",
        ]
    )


# Text


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _doc(owner: type) -> str:
    return inspect.cleandoc(owner.__doc__ or "")


def _first_line(owner: type) -> str:
    return _doc(owner).split("\n\n")[0]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _plain(shown: str) -> str:
    return shown.replace("'", '"')


def _toml(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    main()
