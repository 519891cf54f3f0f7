"""Parent orders that people give: read from a command's words, checked, begun."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from perpmaker.engine.core.added import pair_on
from perpmaker.engine.core.execution_notices import bps, shown
from perpmaker.engine.core.executions import Executions
from perpmaker.engine.core.world import ENGINE_ITSELF, World
from perpmaker.model.execution import ExecutionReport, ParentOrder
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.quote import Peg, Sweep, algorithm_named, name_of

_WORDS: Final = frozenset({"instrument", "side", "qty", "algo", "account", "reduce_only"})
"""Arguments of the command itself; every other one is a parameter of the algorithm."""
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0", "")


class OneShots:
    """Begins parent orders under the id of their command. What is wrong with one is said in a sentence."""

    def __init__(self, world: World, executions: Executions) -> None:
        self._world = world
        self._executions = executions

    def begin(self, execution_id: str, arguments: Mapping[str, str]) -> ParentOrder | str:
        """Begin working; returns the order, or why not."""
        try:
            order = self._read(execution_id, arguments)
        except ValueError as error:
            return str(error)
        self._executions.begin(order, self._world.engine_ids.of(order.account))
        return order

    def is_repetition(self, execution_id: str, arguments: Mapping[str, str]) -> bool:
        """Whether this very order is at work or has ended: the same id and the same words are the same order."""
        report = self._executions.get(execution_id)
        if report is None or report.order.target_qty is not None:
            return False
        order = report.order
        try:
            qty = Decimal(arguments.get("qty", ""))
        except InvalidOperation:
            return False
        return qty.is_finite() and (order.instrument, order.side.value, order.qty) == (
            arguments.get("instrument", ""),
            arguments.get("side", "").lower(),
            qty,
        )

    def _read(self, execution_id: str, arguments: Mapping[str, str]) -> ParentOrder:
        rules = followed(self._world, arguments.get("instrument", ""))
        account = account_on(self._world, arguments.get("account", ""), rules)
        if self._executions.get(execution_id) is not None:
            raise ValueError(f"{execution_id} is the id of another parent order")
        other = self._executions.current((account, rules.instrument_id))
        if other is not None:
            working = other.order.execution_id
            raise ValueError(f"{rules.symbol} is being worked by parent order {working} already: stop that first")
        pair = pair_on(self._world, account, rules.instrument_id)
        if pair is not None:
            raise ValueError(f"{rules.symbol} is a leg of {pair}, whose position this would change: close that first")
        side = arguments.get("side", "").lower()
        if side not in ("buy", "sell"):
            raise ValueError(f"side must be buy or sell, not {side!r}")
        parameters = {key: value for key, value in arguments.items() if key not in _WORDS}
        algorithm = algorithm_named(arguments.get("algo", "") or "sweep", parameters)
        sweep = algorithm.take if isinstance(algorithm, Peg) else algorithm
        if isinstance(sweep, Sweep) and sweep.leftover == "unwind":
            raise ValueError("leftover unwind needs a pair, whose other leg is undone; a single order has hold or rest")
        return ParentOrder(
            execution_id=execution_id,
            account=account,
            strategy=ENGINE_ITSELF,
            instrument=rules.instrument_id,
            side=Side(side),
            qty=_qty(arguments.get("qty", ""), rules),
            algorithm=algorithm,
            reduce_only=_flag("reduce_only", arguments.get("reduce_only", "")),
        )


def followed(world: World, name: str) -> Instrument:
    """Return the rules of an instrument; ValueError, naming what there is, when the engine does not follow it."""
    rules = world.books.instrument(InstrumentId(name))
    if rules is None:
        known = ", ".join(world.instruments) or "no instrument yet"
        raise ValueError(f"this engine does not follow {name!r}; it follows {known}")
    return rules


def account_on(world: World, name: str, rules: Instrument) -> AccountId:
    """Return the account that trades an instrument: the one named, else the only one. ValueError says why there is none."""
    fitting = [spec.account for spec in world.spec.accounts if spec.exchange == rules.exchange]
    trading = [account for account in fitting if rules.instrument_id in world.traded(account)]
    if not name and len(trading) == 1:
        return trading[0]
    if name and name not in fitting:
        raise ValueError(f"account {name!r} does not trade on {rules.exchange}; {_list(fitting)}")
    if not name and len(fitting) != 1:
        raise ValueError(f"say which account trades {rules.symbol}: {_list(fitting)}")
    account = AccountId(name) if name else fitting[0]
    traded = world.traded(account)
    if rules.instrument_id not in traded:
        raise ValueError(
            f"{account} does not trade {rules.symbol} here; it trades {', '.join(traded) or 'nothing'}. To add it: "
            f'instruments = ["{rules.symbol}"] in [account.{account}] of the configuration'
        )
    return account


def describe(order: ParentOrder) -> str:
    """Return an order as a sentence."""
    return f"{order.side.value} {order.qty} {order.instrument} by {name_of(order.algorithm)}"


def summary(report: ExecutionReport) -> str:
    """Return a report as one line for people."""
    order = report.order
    parts = [f"{order.side.value} {report.filled_qty} of {order.qty} {order.instrument}"]
    if report.vwap is not None:
        parts.append(f"at {shown(report.vwap)} in {report.children} children, fees {shown(report.fees)}")
    if report.slippage_bps is not None and report.half_spread_bps is not None:
        parts.append(f"slippage {bps(report.slippage_bps)} bps beside half-spread {bps(report.half_spread_bps)} bps")
    if report.state == "ended" and report.ending is not None:
        parts.append(f"ended: {report.ending.value}{f' ({report.text})' if report.text else ''}")
    elif report.text:
        parts.append(report.text)
    return "; ".join(parts)


def _qty(text: str, rules: Instrument) -> Decimal:
    try:
        qty = Decimal(text)
        lots = rules.to_lots(qty)
    except (InvalidOperation, ValueError) as error:
        said = str(error) if isinstance(error, ValueError) else "not a number"
        raise ValueError(f"qty {text!r}: {said}") from None
    if lots <= 0 or qty < rules.min_qty:
        raise ValueError(f"qty must be at least {rules.min_qty} {rules.base}, not {text}")
    return qty


def _flag(name: str, text: str) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise ValueError(f"{name} must be true or false, not {text!r}")


def _list(accounts: list[AccountId]) -> str:
    return f"there is {', '.join(accounts)}" if accounts else "none is configured there"
