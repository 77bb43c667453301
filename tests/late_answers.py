"""Answers of the studio's server that a test holds back or lets fail, so that the order of events is the test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.browser import Browser

CATCH = """
window.caught = { faults: [], held: [], asked: {}, rules: [], later: [], plain: window.fetch, soon: window.setTimeout };
// What is to be done in a second or more waits for the test.
window.setTimeout = (act, ms, ...rest) => (ms >= 1000 ? caught.later.push(act) : caught.soon.call(window, act, ms, ...rest));
addEventListener("unhandledrejection", ({ reason }) => caught.faults.push(String(reason)));
addEventListener("error", ({ message }) => caught.faults.push(message));
window.fetch = async (address, ...rest) => {
  const rule = caught.rules.find((one) => String(address).startsWith(one.prefix));
  if (!rule) return caught.plain.call(window, address, ...rest);
  caught.asked[rule.prefix] = (caught.asked[rule.prefix] || 0) + 1;
  if (rule.fails === caught.asked[rule.prefix]) throw new TypeError("Failed to fetch");
  const answer = await caught.plain.call(window, address, ...rest);
  if (rule.holds) await new Promise((release) => caught.held.push(release));
  return answer;
};
"""
LET_GO = "window.fetch = caught.plain; window.setTimeout = caught.soon"
HOLD = "caught.rules.push({ prefix: arguments[0], holds: true })"
FAIL = "caught.rules.push({ prefix: arguments[0], fails: arguments[1] })"
HOLDS = "return caught.held.length > 0"
RELEASE = "caught.rules = []; for (const release of caught.held.splice(0)) release()"
LATER = "for (const act of caught.later.splice(0)) act()"
WAITS = "return caught.later.length > 0"
VIEW_ARRIVES = "return import('./static/api.js').then(({ refresh }) => refresh()).then(() => true)"
"""The view is read again, as after any change of another tab or a job."""


@contextmanager
def caught(browser: Browser, *rules: str) -> Iterator[None]:
    """Pages that are opened meanwhile catch their requests; `rules` are JavaScript objects that hold from the page's start."""
    browser.devtools("Page.enable")
    source = CATCH + "".join(f"caught.rules.push({rule});" for rule in rules)
    script = browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
    try:
        yield
    finally:
        browser.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def faults(browser: Browser) -> list[str]:
    """Errors of the page that nobody caught."""
    return list(browser.run("return caught.faults"))


def from_elsewhere(browser: Browser, name: str, values: str) -> None:
    """A change of another tab; `values` is a JavaScript object. The server says so to the page."""
    revision = browser.run("return studio.view.revision")
    made = browser.run(
        f"return caught.plain.call(window, 'do/{name}', {{ method: 'POST', body: JSON.stringify({values}) }}).then((answer) => answer.ok)"
    )
    assert made
    browser.wait(f"return studio.view.revision > {revision}")
