"""A headless Chromium, driven over pipes with its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from tests.support.time_limit import TimeLimit

CHROMIUM = shutil.which("chromium")
_SECONDS = 30.0
_OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
    "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars", "--password-store=basic",
    "--disable-breakpad", "--disable-crash-reporter",
    # The test's own authority signed the certificates, and the browser cannot be told of it.
    "--ignore-certificate-errors",
)  # fmt: skip


@dataclass
class Browser:
    """The browser. Commands go out on one pipe, answers and events come in on the other, each with a zero byte."""

    to: int
    from_: int
    _last: int = 0
    _rest: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def send(self, method: str, session: str = "", **values: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": values} | ({"sessionId": session} if session else {})
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait_for(self, event: str, session: str) -> dict[str, Any]:
        """Return the next event of this kind."""
        while True:
            for at, seen in enumerate(self.events):
                if seen.get("method") == event and seen.get("sessionId") == session:
                    del self.events[: at + 1]
                    values: dict[str, Any] = seen["params"]
                    return values
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        limit = TimeLimit(_SECONDS)
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self.from_], [], [], 1)
            if ready:
                piece = os.read(self.from_, 1 << 20)
                assert piece, "the browser has ended"
                self._rest += piece
            else:
                assert not limit.passed(), "the browser does not answer"
        message, _, self._rest = self._rest.partition(b"\0")
        read: dict[str, Any] = json.loads(message)
        return read

    @contextlib.contextmanager
    def tab(
        self,
        width: int,
        height: int,
        *,
        dark: bool = False,
        language: str = "en",
        scripts: bool = True,
        scale: int = 2,
    ) -> Iterator[Tab]:
        """Open a tab of a phone with cookies of its own."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.send(f"{domain}.enable")
        tab.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=True)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.send("Emulation.setEmulatedMedia", features=[scheme])
        tab.send("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        tab.allow_scripts(scripts)
        try:
            yield tab
        finally:
            self.send("Target.disposeBrowserContext", browserContextId=context)


@dataclass
class Tab:
    """One tab."""

    browser: Browser = field(repr=False)
    session: str
    scripts: bool = True

    def send(self, method: str, **values: Any) -> dict[str, Any]:
        return self.browser.send(method, self.session, **values)

    def allow_scripts(self, allowed: bool) -> None:
        """Run the scripts of pages from now on, or none."""
        self.scripts = allowed
        self.send("Emulation.setScriptExecutionDisabled", value=not allowed)

    def open(self, address: str) -> None:
        """Type an address, and wait for the page."""
        self.browser.events.clear()
        self.send("Page.navigate", url=address)
        self.loaded()

    def loaded(self) -> None:
        """Wait until the next page is there."""
        self.browser.wait_for("Page.loadEventFired", self.session)

    def reload(self) -> None:
        self.browser.events.clear()
        self.send("Page.reload")
        self.loaded()

    def tap(self, selector: str, *, leads_on: bool = True) -> None:
        """Tap the middle of an element, and wait for the page to which it leads."""
        node = self.send("DOM.querySelector", nodeId=self._document, selector=selector)["nodeId"]
        assert node, (selector, self.html)
        self.send("DOM.scrollIntoViewIfNeeded", nodeId=node)
        box = self.send("DOM.getBoxModel", nodeId=node)["model"]["border"]
        x, y = (box[0] + box[4]) / 2, (box[1] + box[5]) / 2
        self.browser.events.clear()
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        if leads_on:
            self.loaded()

    def type(self, text: str) -> None:
        """Type into the field that has the focus."""
        self.send("Input.insertText", text=text)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """Return the page as a PNG, in its whole height."""
        return base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def axe(self) -> list[str]:
        """Return what axe finds wrong with the page. A page whose scripts did not run gets only this one."""
        allowed = self.scripts
        self.allow_scripts(True)
        self.evaluate((files("axe_core_python") / "axe.min.js").read_text("utf-8") + ";0")
        found = self.evaluate("axe.run(document).then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))")
        self.allow_scripts(allowed)
        assert isinstance(found, list)
        return found

    @property
    def html(self) -> str:
        """The source of the page as it is now."""
        return str(self.send("DOM.getOuterHTML", nodeId=self._document)["outerHTML"])

    @property
    def _document(self) -> int:
        return int(self.send("DOM.getDocument", depth=0)["root"]["nodeId"])


@contextlib.contextmanager
def running_browser(place: Path) -> Iterator[Browser]:
    """Run a browser whose profile is in this folder."""
    assert CHROMIUM
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # It reads from descriptor 3 and writes to 4.
    shell = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@"'
    command = ["bash", "-c", shell, "chromium", CHROMIUM, *_OPTIONS, f"--user-data-dir={place}"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        command,
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        os.close(ours_out)
        os.close(ours_in)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
