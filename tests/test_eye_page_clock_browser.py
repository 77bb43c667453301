"""The page's clock against its sound, in a real browser: clicks of every kind of file, from the start and after jumps."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ear.audio.decode import load_audio
from eye.page import write_page
from eye.rendering.page_song import SongFile, analyse_song
from tests.browser import find_programs, headless
from tests.click_tracks import RATE, RECIPES, clicks_in, delay_ms, encoded
from tests.eye_pages import busy_chart, review_of

SEEKS_MS = (0, 5900, 1234, 4000, 6700, 5555)
ALLOWED_MS = 3.0
CLICK_MS = 0.3
"""Most by which a codec moves the peak of a click."""
RATES = (22_050, 44_100, 48_000)
"""Hz. LAME's delay is counted in samples of the file's own rate."""
CASES = [(kind, rate) for rate in RATES for kind in RECIPES if rate == RATE or kind.startswith("mp3")]
"""Kinds and rates of the page's test; `bench.sync` measures all of them."""

RENDER = """
(async (fromMs, rate) => {
  const { buffer, shiftMs } = mania.clock.sound;
  const context = new OfflineAudioContext(1, 2.5 * buffer.sampleRate, buffer.sampleRate);
  const sound = new BufferSound(buffer, shiftMs, context);
  sound.gain = context.createGain();
  sound.gain.connect(context.destination);
  sound.start(fromMs, rate);
  clearInterval(sound.feeding);
  const samples = (await context.startRendering()).getChannelData(0);
  const clicks = [];
  for (let n = 1; n < samples.length - 1; n++) {
    if (Math.abs(samples[n]) < 0.35) continue;
    let peak = n;
    for (; n < samples.length && n < peak + 0.1 * buffer.sampleRate; n++) if (Math.abs(samples[n]) > Math.abs(samples[peak])) peak = n;
    clicks.push(sound.songMs(peak / buffer.sampleRate));
  }
  return clicks;
})
"""

RECORDER = """
class Recorder extends AudioWorkletProcessor {
  process([[samples]]) {
    if (samples) samples.forEach((value, n) => { if (Math.abs(value) > 0.35) this.port.postMessage((currentFrame + n) / sampleRate); });
    return true;
  }
}
registerProcessor("recorder", Recorder);
"""

LISTEN = """
(async (code, seeks) => {
  const { clock } = mania, { sound } = clock;
  await sound.wake();
  await sound.context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(code)}`);
  const recorder = new AudioWorkletNode(sound.context, "recorder");
  sound.gain.connect(recorder).connect(sound.context.destination);
  const results = [];
  for (const ms of seeks) {
    clock.seek(ms);
    const clicks = [], off = [];
    recorder.port.onmessage = ({ data }) => { if (sound.from && data >= sound.from.at) clicks.push(sound.songMs(data)); }; // not late of the place before
    clock.play();
    for (let n = 0; n < 60; n++) {
      await new Promise((done) => setTimeout(done, 25));
      clock.tick();
      const wall = performance.now(), heard = sound.heardAt(wall);
      if (n > 20 && heard !== null) off.push(clock.at(wall) - heard);
    }
    clock.pause();
    results.push({ clicks, off });
  }
  return results;
})
"""

DECODED = """
(async () => {
  const { buffer } = mania.clock.sound, samples = buffer.getChannelData(0), clicks = [];
  for (let n = 1; n < samples.length; n++) {
    if (Math.abs(samples[n]) < 0.35) continue;
    let peak = n;
    for (const end = n + 0.1 * buffer.sampleRate; n < samples.length && n < end; n++) if (Math.abs(samples[n]) > Math.abs(samples[peak])) peak = n;
    clicks.push(peak * 1000 / buffer.sampleRate);
  }
  return clicks;
})
"""

ELEMENT = """
(async (code, url, seeks) => {
  const context = new AudioContext();
  await context.resume();
  await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(code)}`);
  const audio = new Audio(url), recorder = new AudioWorkletNode(context, "recorder");
  context.createMediaElementSource(audio).connect(recorder).connect(context.destination);
  await new Promise((done) => audio.addEventListener("canplaythrough", done, { once: true }));
  const results = [];
  for (const ms of seeks) {
    const times = [], ahead = [];
    recorder.port.onmessage = ({ data }) => times.push(data);
    audio.currentTime = ms / 1000;
    await audio.play();
    for (let n = 0; n < 70; n++) {
      await new Promise((done) => setTimeout(done, 25));
      ahead.push(audio.currentTime - context.currentTime);
    }
    audio.pause();
    ahead.sort((a, b) => a - b);
    results.push(times.map((time) => (time + ahead[ahead.length >> 1]) * 1000));
  }
  return results;
})
"""


@pytest.fixture(scope="module")
def browser():
    programs = find_programs()
    if programs is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    with headless(programs) as window:
        window.devtools("Page.enable")
        window.devtools("Page.setBypassCSP", enabled=True)
        yield window


def page_of(kind: str, folder, rate=RATE):
    """(page, [click] ms as our decoder has them) of a click track."""
    return page_with(encoded_or_skip(kind, folder, rate), folder)


def encoded_or_skip(kind: str, folder, rate) -> Path:
    """The click track in that way; skips the test where its encoder is not installed."""
    file = encoded(kind, folder, rate)
    if file is None:
        pytest.skip("needs the encoder (Debian: apt-get install lame vorbis-tools opus-tools ffmpeg)")
    return file


def page_with(file: Path, folder: Path):
    """(page, [click] ms as our decoder has them) of a file."""
    chart = busy_chart(40, 1)
    song = SongFile(file.name, file.read_bytes())
    page_song = analyse_song(song, chart, 0.0)
    page = write_page([chart], [review_of(chart)], song, folder / "page.html", page_song=page_song)
    audio = load_audio(file)
    return page, clicks_in(audio.samples, audio.sample_rate)


def evaluated(browser, script: str, *arguments):
    """The result of an async function of the page."""
    call = f"({script})({', '.join(json.dumps(one) for one in arguments)})"
    answer = browser.devtools("Runtime.evaluate", expression=call, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return answer["result"]["value"]


def opened(browser, page) -> None:
    browser.leave()
    browser.open(page)
    browser.wait("return document.body.classList.contains('heard')")


def off_ms(seen, clicks) -> float:
    """The largest distance of a click from the nearest that should be there."""
    assert seen, "no click was heard"
    return float(max(np.abs(clicks - one).min() for one in seen))


@pytest.mark.parametrize(("kind", "rate"), CASES)
def test_every_kind_of_file_keeps_the_pages_clock(browser, tmp_path, kind, rate):
    page, clicks = page_of(kind, tmp_path, rate)
    opened(browser, page)
    # Into a cut Vorbis file libsndfile leaps after the first second, in which no clock can be right.
    first_ms = 1100 if kind == "vorbis, cut" else 0
    worst = [off_ms(evaluated(browser, RENDER, max(ms, first_ms), 1), clicks) for ms in SEEKS_MS]
    print(f"{kind}: worst {max(worst):.2f} ms, shift {browser.run('return mania.clock.sound.shiftMs'):.2f} ms")
    assert max(worst) <= ALLOWED_MS


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", [kind for kind in RECIPES if kind != "vorbis, cut"])
def test_our_clock_is_the_encoded_tracks_plus_the_files_delay(tmp_path, kind, rate):
    file = encoded_or_skip(kind, tmp_path, rate)
    audio = load_audio(file)
    samples, _ = soundfile.read(tmp_path / "clicks.wav", dtype="float32", always_2d=True)
    wanted = clicks_in(samples[:, 0], rate) + delay_ms(kind, file)
    found = clicks_in(audio.samples, audio.sample_rate)
    assert found.size == wanted.size
    # Peaks of a click lie within a sample or two; a delay in samples of another rate would be 2 to 25 ms off.
    assert np.abs(found - wanted).max() <= CLICK_MS


@pytest.mark.parametrize("kind", ["mp3 of varying rate", "vorbis"])
def test_sound_is_where_the_clock_says(browser, tmp_path, kind):
    page, clicks = page_of(kind, tmp_path)
    opened(browser, page)
    for found in evaluated(browser, LISTEN, RECORDER, SEEKS_MS):
        assert off_ms(found["clicks"], clicks) <= ALLOWED_MS
        print(f"{kind}: clock against sound, worst {np.abs(found['off']).max():.2f} ms")
        assert np.median(np.abs(found["off"])) <= ALLOWED_MS


@pytest.mark.parametrize("rate", [0.75, 1.5])
def test_another_speed_keeps_the_clock_within_a_grain(browser, tmp_path, rate):
    """Grains move by up to 6 ms of the song to fit, as in the browsers' own stretching."""
    page, clicks = page_of("wav", tmp_path)
    opened(browser, page)
    for ms in SEEKS_MS[:3]:
        assert off_ms(evaluated(browser, RENDER, ms, rate), clicks) <= 12


def element_off_ms(browser, file: Path) -> list[float]:
    """[seek] median by which clicks sound off the place that a media element tells after it."""
    url = f"data:audio/mpeg;base64,{base64.b64encode(file.read_bytes()).decode()}"
    samples, rate = soundfile.read(file.parent / "clicks.wav", dtype="float32", always_2d=True)
    clicks = clicks_in(samples[:, 0], rate)
    found = evaluated(browser, ELEMENT, RECORDER, url, SEEKS_MS)
    nearest = [[one - clicks[np.abs(clicks - one).argmin()] for one in seen] for seen in found]
    return [float(np.median(off)) for off in nearest]


def test_a_media_element_does_not_know_where_it_is_after_a_jump(browser, tmp_path):
    """Why the page decodes its song: if this fails, Chromium knows, and `docs/known-differences.md` has a row to drop."""
    page, _ = page_of("mp3 of varying rate", tmp_path)
    opened(browser, page)
    start, *jumped = element_off_ms(browser, tmp_path / "mp3-of-varying-rate.mp3")
    print(f"off the clock from the start {start:.0f} ms, after jumps {np.round(jumped)}")
    assert max(abs(one - start) for one in jumped) > 15


def test_chromium_keeps_the_decoders_delay_that_libsndfile_drops(browser, tmp_path):
    page, _ = page_of("mp3 without encoder delay", tmp_path)
    opened(browser, page)
    samples, rate = soundfile.read(tmp_path / "mp3-without-encoder-delay.mp3", dtype="float32", always_2d=True)
    late_ms = np.array(evaluated(browser, DECODED)) - clicks_in(samples[:, 0], rate)
    assert late_ms == pytest.approx(529 * 1000 / rate, abs=0.1)
