"""The pictures of docs/images that show the report page and the studio, taken from this build in a headless Chromium.

    python -m bench.screenshots docs/images
    python -m bench.screenshots /tmp/pictures --only studio

The demo song, one difficulty a job; every picture is named for what it shows. Look at each before it is committed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

import mania4k
from chart.formats.osu_write import format_osu
from mania4k.studio.work.packing import page_song_of, write_page_of
from runtime.command import Command, use_utf8
from tests.browser import Browser, find_programs, headless
from tests.studio_server import DEMO_SONG, served

WORK_S = 900.0
STARS = (2.5, 3.5)
WIDE, TALL, NARROW, SIDEWAYS, LAPTOP = (1366, 1000), (1366, 900), (430, 1180), (844, 390), (1366, 768)
HEARD = "return document.body.classList.contains('heard')"
CALM_MS = 400
"""For fades and layout to end."""

OWN_PLAY = """
const { chart } = mania;
mania.playing.start();
const touches = chart.notes.flatMap((note) => {
  const at = note.start + ((note.index * 37) % 31) - 9, until = note.hold ? note.end + 8 : at + 60;
  return [[at, note.column, true], [until, note.column, false]];
}).sort((a, b) => a[0] - b[0] || a[2] - b[2]);
for (const [ms, column, down] of touches) mania.playing.touch(column, down, ms);
mania.playing.finish();
"""


class Camera:
    """Takes pictures of a browser's window into a folder."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.folder = folder

    def size(self, screen: tuple[int, int]) -> None:
        """Give the window another size."""
        width, height = screen
        self.browser.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 900
        )
        time.sleep(CALM_MS / 1000)

    def take(self, name: str) -> None:
        """A picture of what is seen now."""
        self.browser.run("document.activeElement.blur()")
        time.sleep(CALM_MS / 1000)
        self.browser.picture(self.folder / f"{name}.png")
        click.echo(name)


def take_report_page(camera: Camera, folder: Path) -> None:
    """The report page of a set: light, with a play of one's own, narrow, on a phone held sideways."""
    browser = camera.browser
    mania4k_page = folder / "set.html"
    written = mania4k.generate(DEMO_SONG, stars=list(STARS), effort="fast", out=folder / "set.osz")
    texts = [format_osu(chart) for chart in written.charts]
    write_page_of(texts, DEMO_SONG, mania4k_page, page_song_of(DEMO_SONG), list(STARS))
    camera.size(WIDE)
    browser.open(mania4k_page)
    browser.wait(HEARD)
    browser.run("mania.showChart(mania.charts.length - 1); mania.seekChart(30000)")
    camera.take("page-light")
    browser.run("mania.settings.set('theme', 'dark')")
    browser.run(OWN_PLAY)
    browser.run("mania.seekChart(40000); document.getElementById('results').scrollIntoView({ block: 'center' })")
    camera.take("page-own-play-dark")
    browser.run("document.getElementById('results').hidden = true; scrollTo(0, 0)")
    camera.size(NARROW)
    camera.take("page-narrow-dark")
    browser.run("mania.settings.set('theme', 'light')")
    camera.size(SIDEWAYS)
    browser.run("document.getElementById('stage').scrollIntoView()")
    camera.take("page-phone")
    browser.run("localStorage.clear()")


def take_studio(camera: Camera, folder: Path) -> None:
    """Each step of the studio."""
    browser = camera.browser
    with served(folder) as (address, _):
        camera.size(LAPTOP)
        browser.open(address)
        camera.take("studio-start")
        browser.click("#demo")
        browser.wait("return (studio.view.analysis || {}).duration_ms > 0", WORK_S)
        browser.wait("return mania.clock.sound !== null", WORK_S)
        browser.run("mania.clock.seek(9000)")
        camera.take("studio-timing")
        browser.click("#tabs [data-view=order]")
        camera.take("studio-order")
        browser.click("#order-write")
        browser.wait("return studio.view.state.difficulties.length === 3 && mania.charts.length === 3", WORK_S)
        take_watching(camera)
        browser.run("mania.seekChart(20000)")
        browser.click("#tabs [data-view=edit]")
        browser.run("document.getElementById('roll').focus(); mania.seekChart(18000)")
        browser.type("[")
        browser.run("mania.seekChart(18800)")
        browser.type("]")
        camera.take("studio-edit")
        browser.click("#tabs [data-view=out]")
        browser.click("#pack")
        browser.wait("return !document.getElementById('out-osz').hidden", WORK_S)
        camera.take("studio-export")
        browser.leave()


def take_watching(camera: Camera) -> None:
    """A stretch with its three versions; the same step on a phone held sideways."""
    browser = camera.browser
    browser.click("#player .difficulties label:last-of-type")
    browser.run("document.activeElement.blur(); mania.seekChart(18000)")
    browser.type("[")
    browser.run("mania.seekChart(26000)")
    browser.type("]")
    browser.click("#rewrite")
    browser.wait("return document.querySelectorAll('#versions input').length === 4", WORK_S)
    browser.click("#versions label:nth-of-type(3) input")
    browser.wait("return document.getElementById('jobs').children.length === 0", WORK_S)
    browser.run("mania.seekChart(20000); scrollTo(0, 0)")
    camera.take("studio-watch")
    camera.size(SIDEWAYS)
    browser.run("document.getElementById('stage').scrollIntoView()")
    camera.take("studio-phone")
    camera.size(LAPTOP)
    browser.click("#versions button:last-child")


KINDS: dict[str, Callable[[Camera, Path], None]] = {"page": take_report_page, "studio": take_studio}


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--only", type=click.Choice(sorted(KINDS)))
def main(folder: Path, only: str | None) -> None:
    """Take the pictures into FOLDER."""
    use_utf8()
    programs = find_programs()
    if programs is None:
        raise click.ClickException("needs chromium and chromedriver")
    for kind, take in KINDS.items():
        if only in (None, kind):
            with tempfile.TemporaryDirectory() as work, headless(programs, "--window-size=1366,1000") as browser:
                take(Camera(browser, folder), Path(work))


if __name__ == "__main__":
    main()
