"""A picture of an engine for tests of what is shown: small, and changed by hand."""

from __future__ import annotations

from perpmaker.control.messages import (
    BookRows,
    CandleRow,
    CommandAnswer,
    CommandRequest,
    EquityPoint,
    FillRow,
    LogLine,
    PnlSplit,
    Status,
)

NOW_NS = 1_700_000_000_000_000_000


def status(**changes: object) -> Status:
    values: dict[str, object] = {
        "state": "running",
        "reason": "",
        "venue": "grvt",
        "env": "local",
        "mode": "live",
        "engine": "local 1",
        "version": "0",
        "ts_ns": str(NOW_NS),
        "started_ns": str(NOW_NS),
        "currency": "USDT",
        "equity": "100000",
        "balance": "100000",
        "peak_equity": "100000",
        "day_pnl": "0",
        "drawdown_frac": 0.0,
        "positions": [],
        "open_orders": [],
        "fills_total": 0,
        "volume": "0",
        "pnl": PnlSplit("0", "0", "0", "0", "0"),
        "books": {},
        "strategies": [],
        "latency_us": {},
        "links": {},
        "rate_budget": {},
        "kill_latched": False,
        "orders_sent": 0,
        "orders_refused": {},
        "clock_offset_ms": None,
        "warnings": [],
        "journal_path": "",
    }
    return Status(**{**values, **changes})  # type: ignore[arg-type]


def fill(number: int) -> FillRow:
    return FillRow(
        number, str(NOW_NS), "main", "btc", "BTC", "buy", "1", "1", "0", False, "0", "1", "9", f"trade {number}"
    )


class Picture:
    """A ControlSource that shows what a test put in."""

    def __init__(self) -> None:
        self.fills: list[FillRow] = []
        self.lines: list[LogLine] = []
        self.points: list[EquityPoint] = []
        self.candles: dict[str, list[CandleRow]] = {}
        self.commands: list[tuple[CommandRequest, str]] = []
        self.equity = "100000"

    def status(self) -> Status:
        return status(equity=self.equity)

    def books(self) -> dict[str, BookRows]:
        return {}

    def last_fills(self, limit: int) -> list[FillRow]:
        return self.fills[::-1][:limit]

    def fills_after(self, number: int) -> list[FillRow]:
        return [row for row in self.fills if row.number > number]

    def logs_after(self, number: int) -> list[LogLine]:
        return [line for line in self.lines if line.number > number]

    def equity_after(self, number: int) -> tuple[list[EquityPoint], int]:
        return self.points[number:], len(self.points)

    def candles_after(self, open_s: dict[str, int]) -> dict[str, list[CandleRow]]:
        return {name: [row for row in rows if row.open_s >= open_s.get(name, 0)] for name, rows in self.candles.items()}

    def metrics(self) -> str:
        return "perpmaker_up 1\n"

    async def command(self, request: CommandRequest, peer: str) -> CommandAnswer:
        self.commands.append((request, peer))
        return CommandAnswer(request.command_id, "done", "as asked")

    def now_ns(self) -> int:
        return NOW_NS
