"""grvt-pysdk's raw clients: typed requests, strictly typed replies. `sync` or `async` is the second argument."""

from __future__ import annotations

import inspect
import random
import sys
import time
from typing import Any

from pysdk import grvt_raw_types as types
from pysdk.grvt_raw_async import GrvtRawAsync
from pysdk.grvt_raw_base import GrvtApiConfig, GrvtError
from pysdk.grvt_raw_env import GrvtEnv
from pysdk.grvt_raw_signing import sign_order
from pysdk.grvt_raw_sync import GrvtRawSync
from pysdk_urls import QUIET

from scenario import INSTRUMENT, main


class Raw:
    has_streams = streams_each_fill = False

    def __init__(self, kind: type) -> None:
        self._kind = kind

    async def start(self, line: dict[str, Any]) -> list[str]:
        account = line["accounts"][0]
        self.sub = account["sub_account_id"]
        self.config = GrvtApiConfig(GrvtEnv.TESTNET, self.sub, account["private_key"], account["api_key"], QUIET)
        self.api = self._kind(self.config)
        self.api.md_rpc, self.api.td_rpc = line["market_data"], line["trades"]
        self.api.env.edge.rpc_endpoint = line["edge"]
        listed = (
            await self.ask(self.api.get_all_instruments_v1, types.ApiGetAllInstrumentsRequest(is_active=True))
        ).result
        self.instruments = {row.instrument: row for row in listed}
        await self.read_everything()
        await self.wait_for_a_price()
        return list(self.instruments)

    async def ask(self, call: Any, request: Any) -> Any:
        """Call either client; an error or a reply that does not parse ends the script."""
        reply = call(request)
        reply = await reply if inspect.isawaitable(reply) else reply
        if isinstance(reply, GrvtError):
            raise SystemExit(f"{call.__name__}: {reply}")
        return reply

    async def read_everything(self) -> None:
        """Replies the scenario has no use for, but that the typed client must be able to parse."""
        api, one = self.api, {"instrument": INSTRUMENT}
        interval, kind = types.CandlestickInterval.CI_1_M, types.CandlestickType.TRADE
        for call, request in (
            (api.get_instrument_v1, types.ApiGetInstrumentRequest(**one)),
            (api.get_filtered_instruments_v1, types.ApiGetFilteredInstrumentsRequest(limit=10)),
            (api.mini_ticker_v1, types.ApiMiniTickerRequest(**one)),
            (api.ticker_v1, types.ApiTickerRequest(**one)),
            (api.trade_v1, types.ApiTradeRequest(**one, limit=50)),
            (api.trade_history_v1, types.ApiTradeHistoryRequest(**one)),
            (api.candlestick_v1, types.ApiCandlestickRequest(**one, interval=interval, type=kind)),
            (api.funding_rate_v1, types.ApiFundingRateRequest(**one)),
            (api.order_history_v1, types.ApiOrderHistoryRequest(self.sub)),
            (api.sub_account_history_v1, types.ApiSubAccountHistoryRequest(self.sub)),
            (api.aggregated_account_summary_v1, types.EmptyRequest()),
            (api.funding_account_summary_v1, types.EmptyRequest()),
            (api.cancel_on_disconnect_v1, types.ApiCancelOnDisconnectRequest(self.sub, "0")),
        ):
            await self.ask(call, request)

    async def balance(self) -> str:
        summary = await self.ask(self.api.sub_account_summary_v1, types.ApiSubAccountSummaryRequest(self.sub))
        return summary.result.spot_balances[0].balance

    async def touch(self) -> tuple[str, str]:
        request = types.ApiOrderbookLevelsRequest(INSTRUMENT, 10)
        book = (await self.ask(self.api.orderbook_levels_v1, request)).result
        return book.bids[0].price, book.asks[0].price

    async def wait_for_a_price(self) -> None:
        """An order that waits is read back with its trigger, and cancelled."""
        tpsl = types.TPSLOrderMetadata(types.TriggerBy.LAST, "900000.0", close_position=False)
        wanted = types.TriggerOrderMetadata(types.TriggerType.STOP_LOSS, tpsl)
        number = await self.send(self.order("buy", "0.002", "900000.0", trigger=wanted))
        (waiting,) = (await self.ask(self.api.open_orders_v1, types.ApiOpenOrdersRequest(self.sub))).result
        if (waiting.metadata.trigger, waiting.state.status) != (wanted, types.OrderStatus.OPEN):
            raise SystemExit(f"waits for no price: {waiting}")
        await self.cancel(number)

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        return await self.send(self.order(side, qty, px, post_only=post_only, reduce_only=reduce_only))

    def order(self, side: str, qty: str, px: str | None, *, trigger: Any = None, **terms: bool) -> Any:
        number = random.getrandbits(32)
        expiration = str(time.time_ns() + 3_600_000_000_000)  # noqa: TID251 (a program of its own)
        return types.Order(
            sub_account_id=self.sub,
            time_in_force=types.TimeInForce.GOOD_TILL_TIME,
            legs=[types.OrderLeg(INSTRUMENT, qty, side == "buy", px or "0")],
            signature=types.Signature("", "", "", 0, expiration, number),
            metadata=types.OrderMetadata(str((1 << 63) + number), trigger=trigger),
            is_market=px is None,
            **terms,
        )

    async def send(self, order: Any) -> str:
        signed = sign_order(order, self.config, self.api.account, self.instruments)
        reply = await self.ask(self.api.create_order_v1, types.ApiCreateOrderRequest(signed))
        return reply.result.metadata.client_order_id

    async def cancel(self, client_order_id: str) -> None:
        request = types.ApiCancelOrderRequest(self.sub, client_order_id=client_order_id)
        await self.ask(self.api.cancel_order_v1, request)

    async def cancel_all(self) -> None:
        await self.ask(self.api.cancel_all_orders_v1, types.ApiCancelAllOrdersRequest(self.sub))

    async def open_orders(self) -> list[str]:
        reply = await self.ask(self.api.open_orders_v1, types.ApiOpenOrdersRequest(self.sub))
        return [order.metadata.client_order_id for order in reply.result]

    async def position(self) -> str:
        reply = await self.ask(self.api.positions_v1, types.ApiPositionsRequest(self.sub))
        return reply.result[0].size if reply.result else "0"

    async def fills(self) -> list[dict[str, str]]:
        reply = await self.ask(self.api.fill_history_v1, types.ApiFillHistoryRequest(self.sub))
        return [
            {
                "trade_id": row.trade_id,
                "px": row.price,
                "qty": row.size,
                "fee": row.fee,
                "client_order_id": row.client_order_id,
            }
            for row in reply.result
        ]

    def streamed(self) -> dict[str, list[str]]:
        return {}

    async def stop(self) -> None:
        closing = self.api._session.close()
        if inspect.isawaitable(closing):
            await closing


if __name__ == "__main__":
    main(Raw(GrvtRawSync if sys.argv[2] == "sync" else GrvtRawAsync))
