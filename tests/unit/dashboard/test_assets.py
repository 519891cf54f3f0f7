import re
from pathlib import Path

import perpmaker.dashboard
from perpmaker.dashboard.assets import Assets

STATIC = Path(perpmaker.dashboard.__file__).parent / "static"
OWN = [path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts]


def test_vendored_files_are_those_that_were_taken() -> None:
    assets = Assets()
    listed = {f"vendor/{path}": digest for package in assets.vendor() for path, digest in package["files"].items()}
    assert {path: assets.digest(path) for path in listed} == listed


def test_no_vendored_file_is_unlisted_and_each_package_brings_its_licence() -> None:
    assets = Assets()
    listed = {f"vendor/{path}" for package in assets.vendor() for path in package["files"]} | {"vendor/vendor.json"}
    assert {path for path in assets.paths() if path.startswith("vendor/")} == listed
    for package in assets.vendor():
        assert any(path.endswith("LICENSE") for path in package["files"])
        assert package["version"]
        assert package["integrity"].startswith("sha512-")


def test_the_charts_library_is_the_version_that_is_claimed_and_its_notice_is_shown() -> None:
    assets = Assets()
    [charts] = [package for package in assets.vendor() if package["package"] == "lightweight-charts"]
    script = next(path for path in charts["files"] if path.endswith(".mjs"))
    assert f"Lightweight Charts™ v{charts['version']}".encode() in assets.find(f"vendor/{script}").content  # type: ignore[union-attr]
    notice = (STATIC / "vendor/lightweight-charts/NOTICE").read_text().split("\n")[1].split(" https")[0]
    assert notice in (STATIC / "js/shell.js").read_text()
    assert "attributionLogo: true" in (STATIC / "js/charts.js").read_text()


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in OWN:
        for address in re.findall(r"(?:https?|wss?)://[^\s\"'`<>)]+", path.read_text()):
            allowed = ("https://www.tradingview.com/", "http://www.w3.org/2000/svg")
            assert address.startswith(allowed), f"{path.name}: {address}"


def test_the_page_builds_no_markup_and_no_code_from_text() -> None:
    for path in OWN:
        if path.suffix == ".js":
            found = re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySet|\beval\(|new Function",
                path.read_text(),
            )
            assert found is None, f"{path.name}: {found}"


def test_the_page_has_no_inline_script_or_style() -> None:
    index = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", index)


def test_only_files_of_the_front_end_can_be_found() -> None:
    assets = Assets()
    assert assets.find("js/app.js") is not None
    for path in ("../server.py", "js/../../server.py", "/etc/passwd", "js", "", "js/app.js/", "vendor\\vendor.json"):
        assert assets.find(path) is None


def test_the_digest_of_the_page_stands_in_the_page() -> None:
    assets = Assets()
    index = assets.find("index.html")
    assert index is not None
    assert f'data-page-digest="{assets.page}"'.encode() in index.content
