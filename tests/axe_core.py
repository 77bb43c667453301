"""axe-core, the accessibility checker, installed by npm into pytest's cache: its code is none of ours and is not kept here."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Browser

VERSION = "4.14.1"
INSTALL_S = 120.0
GRAVE = ("serious", "critical")

COLOURS_ARE_THERE = "return document.getAnimations().every((one) => !(one instanceof CSSTransition))"
"""A colour on its way from one theme to the next has no contrast of its own."""
CHECK = """
window.axeFound = null;
axe.run(document, { resultTypes: ["violations"] }).then(
  ({ violations, passes }) => { window.axeFound = { violations, passed: passes.length }; },
  (error) => { window.axeFound = { violations: [{ id: String(error), impact: "critical", nodes: [] }], passed: 0 }; });
"""


@cache
def _install(folder: Path) -> Path:
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("needs npm, to install axe-core")
        command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                [*command, f"axe-core@{VERSION}"], capture_output=True, text=True, timeout=INSTALL_S, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install axe-core within {INSTALL_S:g} s")
        if done.returncode or not script.is_file():
            pytest.skip(f"npm cannot install axe-core {VERSION}: {done.stderr.strip().splitlines()[-1:]}")
    return script


def axe_source(config: pytest.Config) -> str:
    """The checker's script; skips where npm or its registry cannot be had."""
    return _install(config.cache.mkdir(f"axe-core-{VERSION}")).read_text(encoding="utf-8")


def faults(browser: Browser, source: str) -> list[dict[str, Any]]:
    """Violations of any impact in the page as it is now: {impact, id, nodes: [html]}."""
    browser.wait(COLOURS_ARE_THERE)
    browser.run(f"if (!window.axe) {{ {source} }}; {CHECK}")
    browser.wait("return window.axeFound !== null", 180)
    assert browser.run("return window.axeFound.passed") > 5, "axe looked at something"
    return browser.run("""return window.axeFound.violations.map(({ impact, id, nodes }) => ({ impact, id,
      nodes: nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)}: ${failureSummary}`) }));""")


def grave_faults(browser: Browser, source: str) -> list[dict[str, Any]]:
    """Serious and critical ones."""
    return [fault for fault in faults(browser, source) if fault["impact"] in GRAVE]
