"""The second venue of an exchange process: Backpack, with a core, accounts and a face of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from perpmaker.exchange.backpack.face import BackpackFace
from perpmaker.exchange.backpack.market import FEES, INSTRUMENTS, LIMITS, following_market, rate_market
from perpmaker.exchange.backpack.signing import new_credentials
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.market.simulator import SimulatedMarket
from perpmaker.exchange.core.pieces import Pieces, struct_pieces
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.faults import Faults
from perpmaker.exchange.state import VenueDocument

DEPOSIT: Final = Decimal(100_000)


class SecondVenue:
    """The venue and its keys; `open_face` before it is served."""

    face: BackpackFace

    def __init__(
        self,
        *,
        now_ns: int,
        accounts: int,
        owners: int | None,
        kept: VenueDocument | None,
        instruments: Sequence[Instrument] = INSTRUMENTS,
    ) -> None:
        known = () if kept is None else kept.credentials
        missing = range(len(known), accounts)
        self.credentials = (
            *known,
            *(new_credentials(number, secrets.token_bytes(32), owners=owners) for number in missing),
        )
        state, events = (b"", ()) if kept is None else (bytes(kept.venue), kept.events)
        self.venue = Venue.restore(state, instruments, now_ns=now_ns, fees=FEES, events=events, limits=LIMITS)
        for row in self.credentials:
            if row.account_id not in self.venue.sub_accounts():
                self.venue.open_account(
                    owner=row.owner, main_account=row.api_key, sub_account_id=row.account_id, deposit=DEPOSIT
                )

    def market(self, leading: Venue, leader: SimulatedMarket, *, seed: int, activity: float) -> SimulatedMarket:
        """Return what moves this venue: prices that follow the first venue's."""
        return following_market(self.venue, leading, leader, seed=seed, activity=activity)

    def rate(self, *, seed: int) -> SimulatedMarket:
        """Return what moves the conversion rate, when tapes move everything else."""
        return rate_market(self.venue, seed=seed)

    def open_face(self, faults: Faults, advance: Callable[[], None], settle: Callable[[], None]) -> None:
        self.face = BackpackFace(self.venue, self.credentials, faults, advance, settle)

    def document(self) -> Pieces:
        """The `VenueDocument` a restart needs; take the events first."""
        document = VenueDocument(self.credentials, msgspec.Raw(b"null"))
        return struct_pieces(document, {"venue": self.venue.state_pieces()})

    def ready_part(self, address: str) -> dict[str, Any]:
        """Its member of the ready line."""
        return {
            "rest": f"http://{address}",
            "ws": f"ws://{address}",
            "accounts": [
                {"owner": row.owner, "api_key": row.api_key, "secret": row.secret} for row in self.credentials
            ],
        }
