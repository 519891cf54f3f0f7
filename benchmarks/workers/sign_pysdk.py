"""grvt-pysdk, unmodified: GrvtCcxt.create_order with the network's answer kept from the first call."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "interop" / "clients"))

from pysdk.grvt_ccxt import GrvtCcxt
from pysdk.grvt_ccxt_env import GrvtEnv
from pysdk_urls import QUIET, point_at
from turns import serve

INSTRUMENT = "BTC_USDT_Perp"


def main() -> None:
    api = GrvtCcxt(GrvtEnv.TESTNET, QUIET, point_at(json.loads(sys.argv[1])))

    def create(number: int) -> object:
        px = f"{59000 + number % 1000}.0"
        return api.create_order(INSTRUMENT, "limit", "buy", "0.010", px, {"post_only": True})

    post, kept = api._session.post, []

    def keep(*arguments: object, **options: object) -> object:
        kept.append(post(*arguments, **options))
        return kept[-1]

    api._session.post = keep
    if not create(0):
        raise SystemExit("the first order was refused")
    answer = kept[-1]
    api._session.post = lambda *_arguments, **_options: answer
    cases = {"create": create}
    if not os.environ.get("ECC_BACKEND_CLASS"):
        import coincurve

        key = coincurve.PrivateKey(hashlib.sha256(b"benchmark").digest())
        digest = hashlib.sha256(b"1").digest()
        cases["curve"] = lambda _number: key.sign_recoverable(digest, hasher=None)
    serve(cases, version=f"grvt-pysdk {version('grvt-pysdk')}")


main()
