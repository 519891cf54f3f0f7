import asyncio
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import aiohttp
import argon2
import pytest
from tests.unit.dashboard.conftest import TIMEOUT_S

from perpmaker.dashboard.remote import Password, Remote, hash_password
from perpmaker.dashboard.server import serve
from perpmaker.errors import ConfigError

PASSWORD = "a long enough passphrase"


@pytest.mark.parametrize("weak", ["", "admin", "password", "aaaaaaaaaaaaaaaaaaaa", "short-but-odd"])
def test_a_weak_password_is_refused(weak: str) -> None:
    with pytest.raises(ConfigError, match="characters"):
        hash_password(weak)


async def test_only_the_password_matches_its_hash() -> None:
    password = Password(argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD))
    assert await password.matches(PASSWORD)
    assert not await password.matches(PASSWORD + " ")
    assert not await password.matches("")


async def test_behind_tls_the_password_opens_and_the_cookie_is_secure(tmp_path: Path) -> None:
    certificate, key = certificate_of(tmp_path)
    remote = Remote(certificate, key, hash_password(PASSWORD), ("127.0.0.1",))
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(tmp_path, 0, "127.0.0.1", ready.set_result, remote=remote, stop=stop))
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
    port = int(ready.result().split("#")[0].rstrip("/").rsplit(":", 1)[1])
    trusted = ssl.create_default_context(cafile=str(certificate))
    trusted.check_hostname = False
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as client:
        url = f"https://127.0.0.1:{port}"
        async with client.post(f"{url}/api/login", json={"token": "wrong"}) as response:
            assert response.status == 401
        async with client.post(f"{url}/api/login", json={"token": PASSWORD}) as response:
            assert response.status == 200
            assert "secure" in response.headers["Set-Cookie"].lower()
            assert "max-age" in response.headers["Strict-Transport-Security"]
        async with client.get(url, headers={"Host": f"evil.example:{port}"}) as response:
            assert response.status == 403
    stop.set()
    async with asyncio.timeout(TIMEOUT_S):
        await serving


def certificate_of(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of our own with Debian's openssl."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("openssl is absent")
        pytest.skip("openssl (Debian) is absent")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
