"""A headless Chromium for tests, driven over WebDriver with nothing but the standard library.

On Debian and Ubuntu: apt-get install chromium chromium-driver. Tests that ask for it are skipped where it is missing.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
)
START_S = 60.0
STEP_S = 60.0
MIDDLE = """
const box = document.querySelector(arguments[0]).getBoundingClientRect();
return [box.left + box.width / 2, box.top + box.height / 2];"""


class Browser:
    """One window; `close` ends it."""

    def __init__(self, session: str) -> None:
        self.session = session

    def _ask(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        return _request(f"{self.session}/{path}", body, method)

    def open(self, page: Path | str) -> None:
        """Load a file from disk, or an address, and wait until the page is ready."""
        self._ask("url", {"url": page if isinstance(page, str) else page.resolve().as_uri()})
        self.wait("return document.body.classList.contains('ready')")

    def leave(self) -> None:
        """Go to an empty page and forget what was logged."""
        self._ask("url", {"url": "about:blank"})
        self.console_errors()
        self.requests()

    def run(self, script: str, *arguments: Any) -> Any:
        """Result of the script; `arguments[0]` … are the arguments."""
        return self._ask("execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, seconds: float = STEP_S, *arguments: Any) -> None:
        """Until the script returns something true."""
        end = time.monotonic() + seconds
        while not self.run(script, *arguments):
            assert time.monotonic() < end, f"not within {seconds:g} s: {script}"
            time.sleep(0.02)

    def type(self, keys: str) -> None:
        """Press keys one after another, as a keyboard would; WebDriver's code points stand for special keys."""
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def click(self, selector: str, offset: tuple[int, int] = (0, 0)) -> None:
        """Click the middle of an element with the mouse, or `offset` px from there, as a hand would."""
        self.drag(selector, offset, offset)

    def drag(self, selector: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press the mouse `start` px from the middle of an element and let go at `end`."""
        place = self.press(selector, start)
        self.release((place[0] + end[0], place[1] + end[1]))

    def press(self, selector: str, offset: tuple[int, int] = (0, 0)) -> tuple[int, int]:
        """Press the mouse `offset` px from the middle of an element, once it is there and stands still; returns that middle."""
        self.wait("return document.querySelector(arguments[0]) !== null", STEP_S, selector)
        self.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", selector)
        before, (x, y) = None, self.run(MIDDLE, selector)
        end = time.monotonic() + STEP_S
        while before != (x, y):  # a list above it may be drawn just now
            assert time.monotonic() < end, f"{selector} does not stand still"
            time.sleep(0.03)  # a frame or two
            before, (x, y) = (x, y), self.run(MIDDLE, selector)
        self._mouse({"type": "pointerMove", "x": round(x + offset[0]), "y": round(y + offset[1])}, "pointerDown")
        return round(x), round(y)

    def release(self, place: tuple[int, int]) -> None:
        """Let go of the mouse at a place of the window, in px."""
        self._mouse({"type": "pointerMove", "x": place[0], "y": place[1]}, "pointerUp")

    def _mouse(self, move: dict[str, Any], then: str) -> None:
        steps = [move, {"type": then, "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps}
        self._ask("actions", {"actions": [mouse]})

    def resize(self, width: int, height: int) -> None:
        self._ask("window/rect", {"width": width, "height": height})

    def screen(self, width: int, height: int, mobile: bool = False) -> None:
        """A screen of that many px, until `any_screen`."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        self.wait("return innerWidth === arguments[0] && innerHeight === arguments[1]", STEP_S, width, height)

    def any_screen(self) -> None:
        self.devtools("Emulation.clearDeviceMetricsOverride")

    @contextmanager
    def second_tab(self) -> Iterator[tuple[str, str]]:
        """(this window, a new tab, in which one is); afterwards that is closed and one is back here."""
        first = self._ask("window")
        second = self._ask("window/new", {"type": "tab"})["handle"]
        self.use(second)
        try:
            yield first, second
        finally:
            self.use(second)
            self._ask("window", method="DELETE")
            self.use(first)

    def use(self, window: str) -> None:
        """Go on in another window."""
        self._ask("window", {"handle": window})

    def picture(self, path: Path) -> None:
        """A PNG of the window."""
        path.write_bytes(base64.b64decode(self._ask("screenshot")))

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._ask("goog/cdp/execute", {"cmd": command, "params": parameters})

    def console_errors(self) -> list[str]:
        """Warnings and errors of the console since last asked."""
        return [entry["message"] for entry in self._log("browser") if entry["level"] in ("WARNING", "SEVERE")]

    def requests(self) -> list[str]:
        """Addresses requested since last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return self._ask("se/log", {"type": kind})


def find_programs() -> tuple[str, str] | None:
    """(browser, driver), or None where one is missing."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@contextmanager
def headless(programs: tuple[str, str], *more: str) -> Iterator[Browser]:
    """A browser with an empty profile of its own, gone at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = subprocess.Popen([programs[1], f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            browser = _start(f"http://127.0.0.1:{port}", programs[0], [*ARGUMENTS, f"--user-data-dir={profile}", *more])
            try:
                yield browser
            finally:
                with contextlib.suppress(OSError):
                    _request(browser.session, method="DELETE")
        finally:
            driver.terminate()
            driver.wait()


def _start(address: str, binary: str, arguments: list[str]) -> Browser:
    end = time.monotonic() + START_S
    while True:
        try:
            if _request(f"{address}/status")["ready"]:
                break
        except OSError:
            assert time.monotonic() < end, "chromedriver did not start"
        time.sleep(0.05)
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": binary, "args": arguments},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }
    session = _request(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})
    browser = Browser(f"{address}/session/{session['sessionId']}")
    browser.leave()  # what the browser's own first page logged is not ours
    return browser


def _request(address: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=STEP_S) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(json.load(error)["value"]["message"]) from None
