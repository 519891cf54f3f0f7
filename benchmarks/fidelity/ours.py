"""The fixed orders at our simulated venue."""

from __future__ import annotations

from decimal import Decimal

from benchmarks.fidelity.plan import ENTRY_NS, RESPONSE_NS, Fills, Planned, Play, Shown

from perpmaker.model.events import Event, Fill
from perpmaker.model.ids import AccountId, ClientOrderId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder, Side, TimeInForce
from perpmaker.model.units import NS_PER_S
from perpmaker.simulation import (
    Chance,
    ConstantLatency,
    MarginRules,
    QueueModel,
    SimulatedVenue,
    Timeline,
    VenueSettings,
)

MAIN = AccountId("main")


def fills_of(play: Play, rules: Instrument, queue: QueueModel, exponent: int = 3) -> Fills:
    """Play the market with nothing between us and the matching but latency and the queue model."""
    settings = VenueSettings(
        queue_model=queue,
        queue_exponent=exponent,
        speed_bump_ns=0,
        orders_per_s=1_000_000,
        orders_burst=1_000_000,
        max_open_orders=1_000_000,
        margin=MarginRules(1_000_000_000, Decimal(0)),
    )
    venue = SimulatedVenue(settings, ConstantLatency(ENTRY_NS, RESPONSE_NS), Chance(1))
    venue.list_instrument(rules)
    venue.open_account(MAIN, Decimal(10**15), rules.quote)
    heard: list[Event] = []
    line = Timeline({rules.exchange: venue}, heard.append, play.market[0].ts_event_ns)
    waiting = _requests(play)
    for event in play.market:
        _send_until(event, waiting, venue, line, rules)
        line.feed(event)
    line.advance(line.now_ns + 3_600 * NS_PER_S)
    found: Fills = {}
    for one in heard:
        if isinstance(one, Fill):
            px, lots = rules.to_ticks(one.px), rules.to_lots(one.qty)
            fills = found.setdefault(one.client_order_id, [])
            if fills and fills[-1][0] == one.ts_event_ns:
                lots += fills.pop()[2]
            fills.append((one.ts_event_ns, px, lots))
    return found


def _requests(play: Play) -> list[tuple[int, int, Planned]]:
    """(time, 1 for an order and 0 for its cancel, order), last first."""
    wanted = [(one.sent_ns, 1, one) for one in play.orders]
    wanted += [(one.sent_ns + one.life_ns, 0, one) for one in play.orders if one.post_only]
    return sorted(wanted, key=lambda request: (request[0], -request[1], request[2].number), reverse=True)


def _send_until(
    event: Shown, waiting: list[tuple[int, int, Planned]], venue: SimulatedVenue, line: Timeline, rules: Instrument
) -> None:
    while waiting and waiting[-1][0] < event.ts_recv_ns:
        at_ns, is_new, one = waiting.pop()
        line.advance(at_ns)
        if is_new:
            venue.submit(MAIN, [_order(one, rules)], at_ns)
        else:
            venue.cancel(MAIN, [CancelOrder(MAIN, rules.instrument_id, ClientOrderId(one.number))], at_ns)
        line.advance(at_ns)


def _order(one: Planned, rules: Instrument) -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId(one.number),
        account=MAIN,
        strategy=StrategyId("plan"),
        instrument=rules.instrument_id,
        side=Side.BUY if one.side > 0 else Side.SELL,
        px=rules.px(one.px),
        qty=rules.qty(one.lots),
        tif=TimeInForce.GTT if one.post_only else TimeInForce.IOC,
        post_only=one.post_only,
        expire_ns=one.sent_ns + 3_600 * NS_PER_S,
    )
