"""Progress of a parent order: a line a child as it ends, and a bar while somebody watches a terminal."""

from __future__ import annotations

from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from perpmaker.cli.execution_text import child_line

if TYPE_CHECKING:
    from perpmaker.control.messages import ExecutionRow


class Progress:
    """Told the parent order's row again and again; says what is new."""

    def __init__(self, console: Console, arguments: dict[str, str]) -> None:
        self._console = console
        self._told = 0
        self._waited = ""
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[filled]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        description = f"{arguments['side']} {arguments['qty']} {arguments['instrument']}"
        self._task = self._bar.add_task(description, total=float(arguments["qty"]), filled="", text="")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def wait(self, what: str) -> None:
        """Say what is waited for before the order begins, each thing once."""
        if what != self._waited:
            self._waited = what
            self._print(f"waiting for {what}")

    def tell(self, row: ExecutionRow) -> None:
        """Say which children have ended since the last time."""
        for child in row.last_children:
            if child.number > self._told and child.is_over:
                self._told = child.number
                self._print(child_line(child, row))
        self._bar.update(
            self._task,
            completed=float(Decimal(row.filled)),
            filled=f"{row.filled}/{row.qty}",
            text=row.text if row.state != "ended" else row.reason,
        )

    def _print(self, text: str) -> None:
        """Print at once, also into a file or a pipe."""
        self._console.print(text, soft_wrap=True, markup=False)
        self._console.file.flush()
