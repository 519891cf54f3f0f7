"""eth-account without a side effect of importing it.

A package it pulls in (py_ecc) lifts Python's recursion limit to 100,000. With that, a body of 100,000 open brackets does
not raise RecursionError in the JSON decoder any more: it overflows the C stack and kills the process.
"""

from __future__ import annotations

import sys

_limit = sys.getrecursionlimit()

from eth_account import Account  # noqa: E402
from eth_account.messages import SignableMessage, encode_typed_data  # noqa: E402

sys.setrecursionlimit(_limit)

__all__ = ["Account", "SignableMessage", "encode_typed_data"]
