"""When the same clicks sound, as each decoder has them: `python -m bench.sync [--rates 44100 48000] [--songs FOLDER] [--no-browser]`.

A click track is encoded in every way that songs come in (`tests.click_tracks`), at each sampling rate, and decoded by our reader, by
libsndfile itself, by FFmpeg and by Chromium; then the report page plays it. Each figure is the median of a click's time less its time
in the file that was encoded, in ms and in samples of the file's rate; fewer clicks than were put in are named. `page` is the largest
distance of a played click from our clock, on which notes are drawn. With `--songs`: the lag of osu! maps by codec, with the 95 %
interval of its median. Encoders and FFmpeg: apt-get install ffmpeg lame vorbis-tools opus-tools; what is not installed is left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from bench.report import print_json
from ear.audio.clock import MIN_CONFIDENCE, lags_by_source
from ear.audio.decode import load_audio
from runtime.errors import Mania4KError
from tests.browser import Browser, find_programs, headless
from tests.click_tracks import RECIPES, clicks_in, encoded
from tests.test_eye_page_clock_browser import DECODED, RENDER, SEEKS_MS, evaluated, off_ms, opened, page_with

RATES = (22_050, 32_000, 44_100, 48_000, 96_000)
CUT = "vorbis, cut"
"""It begins wherever a page of it did, so that its clicks are compared with FFmpeg's."""
LEAP_MS = 1100.0
"""Into a cut Vorbis file libsndfile leaps after its first second, in which no clock can be right."""
NEAR_MS = 120.0
"""A click belongs to the one that was put in within this."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Delay of the clicks in a decoder's output."""

    ms: float
    found: int  # clicks
    of: int

    def shown(self, rate: int) -> str:
        """In ms and samples; clicks that are lost."""
        lost = "" if self.found == self.of else f", {self.found} of {self.of} clicks"
        return f"{self.ms:+.2f} ms ({self.ms * rate / 1000:+.0f}){lost}"


def delay_of(found: NDArray[np.float64], true: NDArray[np.float64]) -> Delay:
    """The median over the clicks that were put in; [click] ms both."""
    nearest = np.array([found[np.abs(found - one).argmin()] - one for one in true]) if found.size else np.zeros(0)
    near = nearest[np.abs(nearest) <= NEAR_MS]
    return Delay(float(np.median(near)) if near.size else float("nan"), int(near.size), int(true.size))


def by_ffmpeg(path: Path) -> NDArray[np.float64]:
    """[click] ms as FFmpeg decodes the file."""
    asked = [
        "ffprobe",
        "-v",
        "error",
        "-select_streams",
        "a:0",
        "-show_entries",
        "stream=sample_rate",
        "-of",
        "default=nk=1:nw=1",
    ]
    rate = int(subprocess.run([*asked, path], capture_output=True, check=True, text=True).stdout.split()[0])
    command = ["ffmpeg", "-v", "error", "-i", path, "-map", "0:a:0", "-ac", "1", "-f", "f32le", "-"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return clicks_in(np.frombuffer(data, "<f4"), rate)


def by_libsndfile(path: Path) -> NDArray[np.float64]:
    """[click] ms as libsndfile decodes the file at once."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return clicks_in(samples[:, 0], rate)


def by_ours(path: Path) -> NDArray[np.float64]:
    """[click] ms as this project decodes the file."""
    audio = load_audio(path)
    return clicks_in(audio.samples, audio.sample_rate)


def in_browser(browser: Browser, path: Path, kind: str, folder: Path) -> tuple[NDArray[np.float64], float]:
    """([click] ms as Chromium decodes the file, largest ms by which the page plays a click off our clock)."""
    page, clicks = page_with(path, folder)
    opened(browser, page)
    decoded = np.array(evaluated(browser, DECODED))
    first_ms = LEAP_MS if kind == CUT else 0.0
    return decoded, max(off_ms(evaluated(browser, RENDER, max(ms, first_ms), 1), clicks) for ms in SEEKS_MS)


def measure(kind: str, rate: int, folder: Path, browser: Browser | None) -> dict[str, object] | None:
    """One row of the table; None where the encoder is not installed or refuses the rate."""
    try:
        path = encoded(kind, folder, rate)
    except subprocess.CalledProcessError:
        return None
    if path is None:
        return None
    samples, _ = soundfile.read(folder / "clicks.wav", dtype="float32", always_2d=True)
    true = by_ffmpeg(path) if kind == CUT else clicks_in(samples[:, 0], rate)
    decoders = {"ours": by_ours, "libsndfile": by_libsndfile} | (
        {"FFmpeg": by_ffmpeg} if shutil.which("ffmpeg") else {}
    )
    row: dict[str, object] = {"kind": kind, "rate": rate}
    own_rate = soundfile.info(path).samplerate  # LAME and Opus do not keep every rate
    for name, decode in decoders.items():
        try:
            row[name] = delay_of(decode(path), true).shown(own_rate)
        except (soundfile.LibsndfileError, Mania4KError, subprocess.CalledProcessError) as error:
            row[name] = f"refused: {str(error)[:60]}"
    if browser is not None:
        decoded, page_ms = in_browser(browser, path, kind, folder)
        row |= {"Chromium": delay_of(decoded, true).shown(own_rate), "page": round(page_ms, 2)}
    return row


@contextmanager
def a_browser(wanted: bool) -> Iterator[Browser | None]:
    """Chromium, or None with a word where it is not installed."""
    programs = find_programs() if wanted else None
    if programs is None:
        if wanted:
            click.echo("without Chromium (Debian: apt-get install chromium chromium-driver)", err=True)
        yield None
        return
    with headless(programs) as browser:
        browser.devtools("Page.enable")
        browser.devtools("Page.setBypassCSP", enabled=True)
        yield browser


def lag_intervals(songs: Path) -> dict[str, dict[str, float]]:
    """Lag of the sound after the notes by source and codec: median, 95 % interval by bootstrap, songs."""
    rng = np.random.default_rng(0)
    found = {}
    for source, lags in sorted(lags_by_source(songs, by_codec=True).items()):
        sure = np.array([lag.lag_ms for lag in lags if lag.confidence >= MIN_CONFIDENCE])
        if sure.size:
            medians = np.median(rng.choice(sure, (2000, sure.size)), axis=1)
            low, high = np.quantile(medians, [0.025, 0.975]).round(1).tolist()
            found[source] = {
                "median_ms": round(float(np.median(sure)), 1),
                "low": low,
                "high": high,
                "songs": sure.size,
            }
    return found


@click.command()
@click.option("--rates", default=" ".join(map(str, RATES)), show_default=True, help="Sampling rates in Hz.")
@click.option("--kinds", default="", help="Only kinds of files whose name contains this.")
@click.option(
    "--songs", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Maps whose lag is measured."
)
@click.option("--no-browser", is_flag=True, help="Leave Chromium out.")
def main(rates: str, kinds: str, songs: Path | None, no_browser: bool) -> None:
    """Print when each decoder has the same clicks."""
    if shutil.which("ffmpeg") is None:
        click.echo("without FFmpeg (Debian: apt-get install ffmpeg)", err=True)
    rows, skipped = [], []
    with a_browser(not no_browser) as browser, tempfile.TemporaryDirectory() as folder:
        for kind in (kind for kind in RECIPES if kinds in kind):
            for rate in map(int, rates.split()):
                row = measure(kind, rate, Path(folder), browser)
                if row is None:
                    skipped.append(f"{kind} at {rate}")
                else:
                    rows.append(row)
                    click.echo(json.dumps(row))
    if skipped:
        click.echo(f"not encoded here: {', '.join(skipped)}", err=True)
    pages = [float(str(row["page"])) for row in rows if "page" in row]
    found = {"files": len(rows), "worst_page_ms": max(pages, default=None)}
    print_json("sync", found | ({"lag": lag_intervals(songs)} if songs else {}))


if __name__ == "__main__":
    main()
