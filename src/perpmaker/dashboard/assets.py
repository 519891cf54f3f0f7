"""The front end: the files of `static/`, read once at the start. Nothing else on the disk can be asked for."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import msgspec

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
_TEXT: Final = "text/plain; charset=utf-8"


class Asset(msgspec.Struct, frozen=True):
    content: bytes
    media_type: str
    etag: str


class Assets:
    """`page` is the digest of all files: a page that was made of others knows that it is out of date."""

    def __init__(self, folder: Traversable | None = None) -> None:
        self._files = dict(_walk(files("perpmaker.dashboard") / "static" if folder is None else folder, ""))
        together = "".join(f"{path}={asset.etag};" for path, asset in sorted(self._files.items()))
        self.page = hashlib.sha256(together.encode()).hexdigest()[:16]
        index = self._files["index.html"].content.replace(b"{{page}}", self.page.encode())
        self._files["index.html"] = _asset("index.html", index)

    def find(self, path: str) -> Asset | None:
        """Return the file of exactly this path below `static/`."""
        return self._files.get(path)

    def vendor(self) -> list[dict[str, Any]]:
        """Return what `vendor.json` says of the libraries that are shipped along."""
        packages: list[dict[str, Any]] = msgspec.json.decode(self._files["vendor/vendor.json"].content)
        return packages

    def style_hashes(self) -> list[str]:
        """Return the digests of styles that vendored libraries put into the page by themselves."""
        return [value for package in self.vendor() for value in package["style_csp"]]

    def digest(self, path: str) -> str:
        """Return the sha512 of a file as npm writes it."""
        return "sha512-" + base64.b64encode(hashlib.sha512(self._files[path].content).digest()).decode()

    def paths(self) -> list[str]:
        return sorted(self._files)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, _asset(entry.name, entry.read_bytes())))
    return found


def _asset(name: str, content: bytes) -> Asset:
    suffix = name[name.rfind(".") :] if "." in name else ""
    return Asset(content, _TYPES.get(suffix, _TEXT), f'"{hashlib.sha256(content).hexdigest()[:24]}"')
