"""An account of `mode = "paper"`: it has a name and no keys."""

from __future__ import annotations

import msgspec

from perpmaker.model.ids import AccountId


class PaperAccount(msgspec.Struct, frozen=True):
    account: AccountId

    @property
    def sub_account_id(self) -> str:
        return f"paper-{self.account}"
