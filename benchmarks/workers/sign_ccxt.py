"""ccxt, unmodified, with its default builder fee: create_order with the network's answer kept from the first call."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "interop" / "clients"))

import ccxt
from ccxt_rest import SYMBOL, options
from turns import serve


def main() -> None:
    api = ccxt.grvt({**options(json.loads(sys.argv[1])), "enableRateLimit": False})
    api.load_markets()

    def create(number: int) -> object:
        return api.create_order(SYMBOL, "limit", "buy", 0.01, 59000.0 + number % 1000, {"postOnly": True})

    fetch, kept = api.fetch, []

    def keep(*arguments: object, **more: object) -> object:
        kept.append(fetch(*arguments, **more))
        return kept[-1]

    api.fetch = keep
    create(0)
    answer = kept[-1]
    api.fetch = lambda *_arguments, **_more: answer
    serve({"create": create}, version=f"ccxt {ccxt.__version__}")


main()
