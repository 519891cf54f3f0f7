"""What stands between an order that comes in and the engine: signature, signer, session, builder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from perpmaker.exchange.accounts import Credentials
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.schema import Message
from perpmaker.exchange.grvt.sessions import Session
from perpmaker.exchange.grvt.signatures import SignatureVerifier, builder_of, order_body


class Builder(msgspec.Struct, frozen=True):
    """A builder that a main account lets charge a fee; rates in percent."""

    address: str
    max_futures_fee: Decimal
    max_spot_fee: Decimal


class Creations:
    """Admits orders to the engine, in the order of checks of protocol page §12; the core drops repeated payloads."""

    def __init__(self, venue: Venue, verifier: SignatureVerifier, credentials: Iterable[Credentials]) -> None:
        self._venue = venue
        self._verifier = verifier
        rows = tuple(credentials)
        self._signers = {int(row.sub_account_id): row.signer for row in rows}
        self._mains = {row.signer: row.main_account for row in rows}
        self._assets = {row.name: (row.asset_id, row.base_decimals) for row in venue.instruments}

    def admit(self, order: Message, session: Session, builders: Mapping[str, Builder]) -> None:
        """Raise ApiError unless the order may go to the engine."""
        if not order["legs"]:
            raise ApiError(2040)
        if any(leg["instrument"] not in self._assets for leg in order["legs"]):
            raise ApiError(2061)
        kind, body = order_body(order, self._assets)
        self._verifier.check(kind, body, order["signature"], self._venue.now_ns)
        self.check_signer(order["signature"]["signer"], order["sub_account_id"], session)
        _check_builder(order, builders)

    def check_signer(self, signer: str, sub_account_id: int, session: Session) -> None:
        """Raise ApiError unless `signer` may act for the sub-account, and the session may too."""
        if signer not in self._mains:
            raise ApiError(2000)
        if sub_account_id not in self._venue.sub_accounts(session.main_account):
            raise ApiError(2003)
        if self._mains[signer] != session.main_account:
            raise ApiError(2000)
        if self._signers.get(sub_account_id) != signer:
            raise ApiError(1400)


def _check_builder(order: Message, builders: Mapping[str, Builder]) -> None:
    address = builder_of(order)
    if address is None:
        return
    fee = order.get("builder_fee", Decimal(0))
    if address not in builders:
        raise ApiError(7504)
    if fee > builders[address].max_futures_fee:
        raise ApiError(7500)
    if fee < 0:
        raise ApiError(7501)
