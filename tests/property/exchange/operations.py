"""Random days at the exchange: clients and simulated flow doing whatever the protocol lets them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import (
    NANO,
    Event,
    InstrumentFilter,
    Leg,
    OrderRequest,
    Side,
    Signature,
    TimeInForce,
    TriggerBy,
    TriggerRequest,
    TriggerType,
)
from perpmaker.exchange.core.venue import Order, Venue, VenueLimits

START_NS = 1_700_000_000 * NANO
ACCOUNTS = (11, 12, 21)
"""11 and 12 have one owner."""
BTC, ETH = DEFAULT_INSTRUMENTS[0].name, DEFAULT_INSTRUMENTS[1].name
CENTRE = {BTC: 600_000, ETH: 260_000}
LIMITS = VenueLimits(max_open_orders=12)

Operation = tuple[str, dict[str, Any]]

_KINDS: dict[str, dict[str, Any]] = {
    "resting": {},
    "post_only": {"post_only": True},
    "passive": {"post_only": True},
    "ioc": {"time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL},
    "fok": {"time_in_force": TimeInForce.FILL_OR_KILL},
    "market": {"is_market": True},
    "rpi": {"time_in_force": TimeInForce.RETAIL_PRICE_IMPROVEMENT},
    "closing": {"reduce_only": True},
    "closing_maker": {"reduce_only": True, "post_only": True},
    "closing_market": {"reduce_only": True, "is_market": True},
}
_WEIGHTS = (
    ("create", 10),
    ("flow_limit", 5),
    ("flow_take", 5),
    ("flow_reduce", 1),
    ("cancel", 2),
    ("cancel_all", 1),
    ("replace", 2),
    ("wait", 2),
    ("pair", 1),
    ("group", 2),
    ("index", 2),
    ("mark", 1),
    ("fund", 1),
    ("disconnect", 1),
)
_NAMES = [name for name, weight in _WEIGHTS for _ in range(weight)]


def plan(seed: int, length: int) -> list[Operation]:
    """A day of `length` operations, drawn so that most orders are valid and many meet."""
    rng = Rng(seed)
    return [_operation(rng, _choice(rng, _NAMES)) for _ in range(length)]


operations = st.builds(plan, st.integers(0, 2**63), st.integers(1, 150))


def _choice(rng: Rng, options: Sequence[Any]) -> Any:
    return options[rng.below(len(options))]


def _operation(rng: Rng, name: str) -> Operation:
    account = _choice(rng, ACCOUNTS)
    instrument = _choice(rng, (BTC, BTC, BTC, ETH))
    match name:
        case "create":
            return name, _client_order(rng) | {"waits": rng.chance(0.8)}
        case "replace":
            return name, {"order": _client_order(rng), "picks": [rng.below(50) for _ in range(rng.below(4))]}
        case "flow_limit" | "flow_take":
            return name, _flow_order(rng, instrument)
        case "flow_reduce":
            return name, {"pick": rng.below(50), "leaves": rng.below(8)}
        case "cancel":
            return name, {"account": account, "pick": rng.below(50)}
        case "cancel_all":
            return name, {"account": account, "name": instrument}
        case "wait":
            return name, {"ms": _choice(rng, (1, 10, 25, 200, 3_000, 3_600_000))}
        case "pair":
            return name, {"orders": [_client_order(rng, always=True) for _ in range(2)]}
        case "group":
            kind = _choice(rng, ("resting", "post_only", "passive", "ioc", "market"))
            parent = _client_order(rng) | {"kind": kind, "trigger": None}
            return name, {"parent": parent, "exits": [_trigger(rng) for _ in range(rng.between(1, 2))]}
        case "index" | "mark":
            return name, {"name": instrument, "offset": rng.between(-4, 4)}
        case "fund":
            return name, {"rate_cb": rng.between(-3_000, 3_000)}
        case _:
            return name, {"account": account, "ms": _choice(rng, (0, 0, 2_000))}


def _client_order(rng: Rng, *, always: bool = False) -> dict[str, Any]:
    """`always`: with a trigger; else every fourth has one."""
    return {
        "account": _choice(rng, ACCOUNTS),
        "name": _choice(rng, (BTC, BTC, BTC, ETH)),
        "side": _choice(rng, tuple(Side)),
        "offset": rng.between(-4, 4),
        "lots": _choice(rng, (2, 3, 5, 7, 10, 30, 1_500)),
        "kind": _choice(rng, tuple(_KINDS)),
        "expires_s": _choice(rng, (1, 60, 3_600)),
        "retail": rng.chance(0.5),
        "builder_fee_cb": _choice(rng, (0, 100)),
        "trigger": _trigger(rng) if always or rng.chance(0.25) else None,
    }


def _trigger(rng: Rng) -> tuple[TriggerType, TriggerBy, int]:
    """Type, source and how many ticks the level is from the centre: as far as the index or, by trades, as orders go."""
    by = _choice(rng, tuple(TriggerBy))
    reach = 4 if by in {TriggerBy.LAST, TriggerBy.MID} else 40
    return _choice(rng, tuple(TriggerType)), by, rng.between(-reach, reach)


def _flow_order(rng: Rng, instrument: str) -> dict[str, Any]:
    return {
        "name": instrument,
        "side": _choice(rng, tuple(Side)),
        "offset": rng.between(-4, 4),
        "lots": rng.between(1, 15),
        "post_only": rng.chance(0.5),
        "rpi": rng.chance(0.3),
        "retail": rng.chance(0.5),
    }


class Day:
    """Carries operations out; `events` are all there were."""

    def __init__(self) -> None:
        self.venue = Venue(DEFAULT_INSTRUMENTS, now_ns=START_NS, limits=LIMITS)
        for account, owner in zip(ACCOUNTS, ("alice", "alice", "bob"), strict=True):
            self.venue.open_account(
                owner=owner, main_account=f"0x{owner}", sub_account_id=account, deposit=Decimal("20000.5")
            )
        self.flow = [self.venue.add_participant(f"flow {n}") for n in range(2)]
        self.resting: list[Order] = []
        self.events: list[Event] = []
        self._nonce = 0
        for name in (BTC, ETH):
            for step in range(1, 4):
                for side in Side:
                    self._flow_limit(name, side, -side * step, 8, post_only=True, rpi=False, retail=False)

    def run(self, day_plan: list[Operation]) -> Day:
        for operation in day_plan:
            self.do(operation)
        return self

    def do(self, operation: Operation) -> None:
        name, arguments = operation
        getattr(self, f"_{name}")(**arguments)
        self.events += self.venue.take_events()

    def _request(
        self,
        account: int,
        name: str,
        side: Side,
        offset: int,
        lots: int,
        kind: str,
        expires_s: int,
        retail: bool,
        builder_fee_cb: int,
        trigger: tuple[TriggerType, TriggerBy, int] | None,
    ) -> OrderRequest:
        self._nonce += 1
        terms = _KINDS[kind]
        held = [position for sub_account in ACCOUNTS for position in self.venue.positions(sub_account)]
        if terms.get("reduce_only") and held:
            closed = held[offset % len(held)]
            account, name = closed.sub_account_id, closed.instrument
            side, lots = (Side.SELL if closed.qty_lots > 0 else Side.BUY), min(lots, abs(closed.qty_lots))
        rules = self.venue.instrument(name)
        assert rules is not None
        if kind in {"passive", "closing_maker"}:
            offset = -side * abs(offset)
        limit_px = None if terms.get("is_market") else Decimal((CENTRE[name] + offset) * rules.tick_nano) / NANO
        return OrderRequest(
            account,
            (Leg(name, side, Decimal(lots * rules.lot_nano) / NANO, limit_px),),
            Signature("0xs", "0x1", "0x" + "ab" * 32, 27, self.venue.now_ns + expires_s * NANO, self._nonce),
            self._nonce,
            retail=retail,
            builder="0xb" if builder_fee_cb else "0x00",
            builder_fee_cb=builder_fee_cb,
            trigger=None if trigger is None else self._wanted_trigger(name, *trigger),
            **terms,
        )

    def _wanted_trigger(self, name: str, kind: TriggerType, by: TriggerBy, offset: int) -> TriggerRequest:
        rules = self.venue.instrument(name)
        assert rules is not None
        return TriggerRequest(kind, by, Decimal((CENTRE[name] + offset) * rules.tick_nano) / NANO)

    def _create(self, *, waits: bool, **arguments: Any) -> None:
        self.venue.create_order(self._request(**arguments))
        if waits:
            self._wait(25)

    def _replace(self, order: dict[str, Any], picks: list[int]) -> None:
        arguments = {key: value for key, value in order.items() if key != "waits"}
        request = self._request(**arguments)
        cancels = [self._picked(request.sub_account_id, pick) for pick in picks]
        self.venue.bulk_orders(request.sub_account_id, [request], cancel_client_order_ids=cancels)

    def _pair(self, orders: list[dict[str, Any]]) -> None:
        """A take-profit and a stop-loss of one account, side and size."""
        first, second = orders
        _, by, offset = first["trigger"]
        profit = self._request(**first | {"trigger": (TriggerType.TAKE_PROFIT, by, offset)})
        loss = self._request(
            **first | {"trigger": (TriggerType.STOP_LOSS, *second["trigger"][1:]), "kind": second["kind"]}
        )
        self.venue.bulk_orders(profit.sub_account_id, [profit, loss])

    def _group(self, parent: dict[str, Any], exits: list[tuple[TriggerType, TriggerBy, int]]) -> None:
        """An order, and one or two triggers against it that wait for it; as large as it, and reduce-only when nobody
        holds anything (`_request` picks a position to close else)."""
        first = self._request(**parent)
        held = any(self.venue.positions(account) for account in ACCOUNTS)
        closing = parent | {"side": parent["side"].opposite, "kind": "market" if held else "closing_market"}
        kinds = (TriggerType.STOP_LOSS, TriggerType.TAKE_PROFIT)
        against = [
            self._request(**closing | {"trigger": (kind, by, offset)})
            for kind, (_, by, offset) in zip(kinds, exits, strict=False)
        ]
        self.venue.bulk_orders(first.sub_account_id, [*against, first])

    def _cancel(self, account: int, pick: int) -> None:
        self.venue.cancel_order(account, client_order_id=self._picked(account, pick))

    def _picked(self, account: int, pick: int) -> int:
        """The client id of one of the account's orders; the next one to come when it has none."""
        active = self.venue.open_orders(account)
        return active[pick % len(active)].terms.client_order_id if active else self._nonce + 1

    def _cancel_all(self, account: int, name: str) -> None:
        self.venue.cancel_all(account, InstrumentFilter(instruments=(name,)))

    def _flow_limit(
        self, name: str, side: Side, offset: int, lots: int, post_only: bool, rpi: bool, retail: bool
    ) -> None:
        px = CENTRE[name] + offset
        order = self.venue.flow_limit(self.flow[0], name, side, px, lots, post_only=post_only, rpi=rpi, retail=retail)
        if order is not None:
            self.resting.append(order)

    def _flow_take(self, name: str, side: Side, offset: int, lots: int, retail: bool, **_: Any) -> None:
        self.venue.flow_take(self.flow[1], name, side, lots, limit_ticks=CENTRE[name] + offset, retail=retail)

    def _flow_reduce(self, pick: int, leaves: int) -> None:
        if self.resting:
            self.venue.flow_reduce(self.resting[pick % len(self.resting)], leaves)

    def _wait(self, ms: int) -> None:
        self.venue.advance(self.venue.now_ns + ms * 1_000_000)

    def _index(self, name: str, offset: int) -> None:
        rules = self.venue.instrument(name)
        assert rules is not None
        self.venue.set_index(name, (CENTRE[name] + 10 * offset) * rules.tick_nano)

    def _mark(self, name: str, offset: int) -> None:
        rules = self.venue.instrument(name)
        assert rules is not None
        self.venue.set_mark(name, (CENTRE[name] + 10 * offset) * rules.tick_nano if offset else None)

    def _fund(self, rate_cb: int) -> None:
        self.venue.pay_funding(rate_cb=rate_cb)

    def _disconnect(self, account: int, ms: int) -> None:
        self.venue.cancel_on_disconnect(account, ms)
