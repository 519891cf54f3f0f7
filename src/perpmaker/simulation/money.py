"""Executions, funding, margin and liquidation at the simulated venue."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Final

from perpmaker.model.events import Fill, FundingPaid, VenueStatus
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId
from perpmaker.model.order import NewOrder, Side, TimeInForce
from perpmaker.model.units import NS_PER_S
from perpmaker.simulation.account import SimulatedAccount, mark_of
from perpmaker.simulation.house import FUNDING, House
from perpmaker.simulation.market import Market
from perpmaker.simulation.order import ZERO, Execution, VenueOrder

_HOUR_NS: Final = 3_600 * NS_PER_S
_NOBODY: Final = ClientOrderId(0)
_VENUE: Final = StrategyId("")


class Money:
    """Books what happened and acts on what it means."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._funding_ns: dict[InstrumentId, int] = {}
        self._trades = self._payments = 0

    def settle(
        self, executions: Iterable[Execution], *, ending: tuple[VenueOrder, VenueStatus, str] | None = None
    ) -> None:
        """Book executions, tell fills, then orders, then positions, then look at what they mean for the accounts."""
        venue_ns = self._house.venue_ns
        touched: dict[int, VenueOrder] = {}
        held: dict[tuple[AccountId, InstrumentId], None] = {}
        for execution in executions:
            order = execution.order
            touched[order.number] = order
            if order.order.reduce_only and not self._is_reducing(execution):
                continue
            rate = self._house.settings.fees.taker if execution.is_taker else self._house.settings.fees.maker
            self._book(order, execution, rate, venue_ns)
            held[(order.order.account, order.order.instrument)] = None
        for order in touched.values():
            if ending is not None and order is ending[0]:
                self._house.close(order, ending[1], ending[2], venue_ns)
            elif order.leaves_lots:
                self._house.report(order, venue_ns)
            elif order.trimmed_lots:
                self._house.close(order, VenueStatus.CANCELED, "REDUCE_ONLY_LIMIT", venue_ns)
            else:
                self._house.close(order, VenueStatus.FILLED, "", venue_ns)
        for name, instrument in held:
            self._house.tell_position(name, instrument, venue_ns)
            self._trim_reduce_only(name, instrument, venue_ns)
        for name in dict.fromkeys(name for name, _ in held):
            self.judge_margin(self._house.accounts[name])

    def _is_reducing(self, execution: Execution) -> bool:
        """Cut an execution of a reduce-only order to what is still held; returns whether anything is left of it."""
        order = execution.order
        held = self._house.accounts[order.order.account].qty(order.order.instrument)
        closes = order.instrument.to_lots(max(-order.side.sign * held, ZERO))
        order.take_back(max(0, execution.lots - closes), execution.px_ticks)
        execution.lots = min(execution.lots, closes)
        return execution.lots > 0

    def _book(
        self, order: VenueOrder, execution: Execution, rate: Decimal, venue_ns: int, *, liquidation: bool = False
    ) -> None:
        account, market = self._house.accounts[order.order.account], self._house.markets[order.order.instrument]
        rules = market.instrument
        px, qty = rules.px(execution.px_ticks), rules.qty(execution.lots)
        fee, realized = account.book(rules, order.side, px, qty, rate)
        self._trades += 1
        recv_ns = self._house.recv_ns(account.account, venue_ns)
        fill = Fill(
            account=account.account,
            client_order_id=order.order.client_order_id,
            venue_order_id=order.venue_order_id,
            trade_id=TradeId(f"{self._house.mark}{self._trades}"),
            instrument=rules.instrument_id,
            side=order.side,
            px=px,
            qty=qty,
            fee=fee,
            fee_currency=rules.quote,
            is_taker=execution.is_taker,
            realized_pnl=realized,
            ts_event_ns=venue_ns,
            ts_recv_ns=recv_ns,
            is_liquidation=liquidation,
            mark_px=mark_of(market),
        )
        account.keep(fill)
        self._house.tell_at(recv_ns, fill)

    def _trim_reduce_only(self, name: AccountId, instrument: InstrumentId, venue_ns: int) -> None:
        """A position that shrank cuts the reduce-only orders that rest on it, the newest first."""
        resting = [
            o
            for o in self._house.accounts[name].live.values()
            if o.order.reduce_only and o.order.instrument == instrument and o.status is VenueStatus.OPEN
        ]
        if not resting:
            return
        held = self._house.accounts[name].qty(instrument)
        for side in Side:
            rules = self._house.markets[instrument].instrument
            left = rules.to_lots(max(-side.sign * held, ZERO))
            for order in resting:
                if order.side is not side:
                    continue
                kept = min(order.leaves_lots, left)
                left -= kept
                cut = order.leaves_lots - kept
                order.leaves_lots, order.trimmed_lots = kept, order.trimmed_lots + cut
                if not kept:
                    self._house.close(order, VenueStatus.CANCELED, "REDUCE_ONLY_LIMIT", venue_ns)
                elif cut:
                    self._house.report(order, venue_ns)

    def schedule_funding(self, market: Market) -> None:
        """Settle at the boundary the venue names, else at the multiples of the interval since 1970 in UTC."""
        if market.funding_rate is None:
            return
        name, interval_ns = market.instrument.instrument_id, market.instrument.funding_interval_h * _HOUR_NS
        due_ns = market.next_funding_ns
        if due_ns <= self._house.venue_ns:
            due_ns = (self._house.venue_ns // interval_ns + 1) * interval_ns
        if self._funding_ns.get(name) != due_ns:
            self._funding_ns[name] = due_ns
            self._house.actions.put(due_ns, partial(self._fund, name), FUNDING)

    def _fund(self, name: InstrumentId, venue_ns: int) -> None:
        market = self._house.markets[name]
        if self._funding_ns.get(name, 0) > venue_ns:
            return  # the venue named another time since
        mark_px, rate = mark_of(market), market.funding_rate
        for account in self._house.accounts.values():
            if account.qty(name) and mark_px is not None and rate is not None:
                amount = account.pay_funding(name, mark_px, rate)
                self._payments += 1
                recv_ns = self._house.recv_ns(account.account, venue_ns)
                payment = FundingPaid(
                    account=account.account,
                    instrument=name,
                    amount=amount,
                    currency=market.instrument.quote,
                    payment_id=f"{self._house.mark}{self._payments}",
                    ts_event_ns=venue_ns,
                    ts_recv_ns=recv_ns,
                )
                account.payments.append(payment)
                self._house.tell_at(recv_ns, payment)
                self.judge_margin(account)
        self.schedule_funding(market)

    def judge_margin(self, account: SimulatedAccount) -> None:
        """Liquidate an account whose equity is below its maintenance margin: orders cancelled, positions taken out."""
        needed = account.maintenance_margin(self._house.markets, self._house.settings.margin)
        if not needed or account.equity(self._house.markets) >= needed:
            return
        venue_ns = self._house.venue_ns
        account.liquidations += 1
        self._house.cancel_all(account.account, None, venue_ns, "LIQUIDATION")
        for name, position in list(account.positions.items()):
            if position.qty:
                self._take_out(account, self._house.markets[name], position.qty, venue_ns)
                self._house.tell_position(account.account, name, venue_ns)

    def _take_out(self, account: SimulatedAccount, market: Market, held: Decimal, venue_ns: int) -> None:
        """Close a position at what the book shows; what it does not show goes at the mark, as to an insurance fund."""
        side = Side.SELL if held > 0 else Side.BUY
        rules = market.instrument
        wanted = NewOrder(
            client_order_id=_NOBODY,
            account=account.account,
            strategy=_VENUE,
            instrument=rules.instrument_id,
            side=side,
            px=None,
            qty=abs(held),
            tif=TimeInForce.IOC,
            reduce_only=True,
        )
        order = VenueOrder(wanted, rules, 0, rules.to_lots(abs(held)), venue_ns)
        self._house.number(order)
        executions = market.take(order)
        mark_px = mark_of(market)
        if order.leaves_lots and mark_px is not None:
            lots, px_ticks = order.leaves_lots, rules.round_ticks(mark_px, side.opposite)
            order.execute(lots, px_ticks)
            executions.append(Execution(order, lots, px_ticks, is_taker=True))
        for execution in executions:
            self._book(order, execution, self._house.settings.fees.liquidation, venue_ns, liquidation=True)
