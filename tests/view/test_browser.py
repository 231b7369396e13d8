"""What a real browser makes of it: nothing hostile runs, pictures load, and a field lights its bytes and bits up."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

import packetlab as pl
from packetlab.view import display
from tests.conftest import need
from tests.view.cells import cell, html_of
from tests.view.test_display import THINGS
from tests.view.test_ladder import talked

pytestmark = pytest.mark.slow

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
    "--window-size=1200,1200",
]
LIT = "rgb(255, 213, 74)"


class Page:
    """A page in a browser, by the Chrome DevTools Protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.number = 0

    def ask(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv(timeout=30))
            if answer.get("id") == self.number:
                return answer["result"]

    def run(self, script: str) -> Any:
        """Return what a script gives; a promise is waited for."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    def show(self, path: Path) -> None:
        self.ask("Page.navigate", url=path.as_uri())
        loaded = (
            "new Promise(done => document.readyState == 'complete' ? done(1) : addEventListener('load', () => done(1)))"
        )
        while self.run("location.href") != path.as_uri():
            time.sleep(0.01)
        self.run(loaded)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    name = next(filter(shutil.which, ["chromium", "google-chrome"]), "chromium")
    need(name)
    command = [name, *FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as browser:
        assert browser.stderr is not None
        try:
            port = next(found[1] for line in browser.stderr if (found := re.search(r"ws://127\.0\.0\.1:(\d+)/", line)))
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                targets = json.load(answer)
            address = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
            with connect(address, max_size=None) as socket:
                made = Page(socket)
                made.ask("Page.enable")
                yield made
        finally:
            browser.terminate()
            browser.stderr.close()


def written(folder: Path, *bodies: str) -> Path:
    path = folder / "page.html"
    watch = "<script>window.ran = []; window.alert = what => ran.push(what)</script>"
    path.write_text(f"<!doctype html><meta charset='utf-8'>{watch}{''.join(bodies)}", encoding="utf-8")
    return path


def test_nothing_hostile_runs_and_every_picture_loads(page: Page, tmp_path: Path) -> None:
    network = talked()
    network.host('"><img src=x onerror=alert(1)>')
    ladder = pl.ladder(network, {"10.0.0.1": "<script>alert(1)</script>"})
    page.show(written(tmp_path, *map(display.html_of, THINGS.values()), html_of(network), cell(ladder)["text/html"]))
    page.run("Promise.all([...document.images].map(image => image.decode()))")
    assert page.run("[...document.images].map(image => image.naturalWidth > 300)") == [True, True]
    assert page.run("window.ran") == []
    assert page.run("document.scripts.length") == 1
    assert page.run("document.body.innerText.includes('<script>alert(1)</script>')")


def lit(page: Page) -> list[str]:
    return page.run(
        "[...document.querySelectorAll('[class]')].filter(each => getComputedStyle(each).backgroundColor == "
        f"'{LIT}').map(each => each.tagName + ' ' + each.textContent)"
    )  # type: ignore[no-any-return]


def test_a_field_under_the_mouse_lights_its_bytes_and_bits_up_and_no_others(page: Page, tmp_path: Path) -> None:
    packet = THINGS["packet"]
    page.show(written(tmp_path, html_of(packet), html_of(packet.replace(pl.IPv4, ttl=9))))
    page.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert lit(page) == []
    where = page.run(
        "(row => { row.scrollIntoView(); const box = row.getBoundingClientRect(); return [box.x + 9, box.y + 5] })"
        "([...document.querySelectorAll('tr')].find(row => row.textContent.startsWith('data_offset')))"
    )
    page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=where[0], y=where[1])
    row, *others = lit(page)
    assert row.startswith("TR data_offset")
    assert others == ["SPAN 70", "SPAN p", "SPAN 0111", "SPAN data_offset"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_follow_light_and_dark(page: Page, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "ladder.svg"
    pl.ladder(talked()).save(path)
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.show(path)
    paper, ink = page.run("['.p', '.x'].map(kind => getComputedStyle(document.querySelector(kind)).fill)")
    assert (paper, ink) == {
        "light": ("rgb(255, 255, 255)", "rgb(31, 35, 40)"), "dark": ("rgb(21, 24, 28)", "rgb(230, 237, 243)"),
    }[scheme]  # fmt: skip
