"""The studio as a user has it: a real server, a real browser, mouse and keyboard from the dropped song to the .osz."""

import base64
import io
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mania4k
from chart.formats.osz import read_osz
from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets.project import Project
from mania4k.studio.work.worker import timing_text
from tests.browser import find_programs, headless
from tests.studio_server import served, short_song

LONG_S = 600.0
"""For work on a busy machine."""
DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], arguments[1]));
document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
"""
UP, LEFT, RIGHT, DELETE, CONTROL, SHIFT = "\ue013", "\ue012", "\ue014", "\ue017", "\ue009", "\ue008"


@pytest.fixture(scope="module")
def browser():
    programs = find_programs()
    if programs is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    with headless(programs, "--window-size=1366,900") as window:
        yield window


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    home = tmp_path_factory.mktemp("projects")
    with served(home) as (address, process):
        yield address, home, process


def chord(browser, *keys):
    """Keys held together, the last one struck."""
    steps = [{"type": "keyDown", "value": key} for key in keys] + [
        {"type": "keyUp", "value": key} for key in reversed(keys)
    ]
    browser._ask("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})


def state(browser):
    return browser.run("return studio.view.state")


def settled(browser):
    """Until the page shows what the server has."""
    browser.wait("return studio.view.jobs.every((job) => !['waiting', 'running'].includes(job.status))", LONG_S)


@pytest.fixture(scope="module")
def made(browser, studio):
    """A project with one difficulty, made with mouse and keyboard from the start page on; the later tests go on with it."""
    address, home, _ = studio
    browser.open(address)
    assert "Drop a song" in browser.run("return document.getElementById('start').innerText")
    assert browser.run("return !document.getElementById('demo').hidden")  # one click away
    browser.run(DROP, base64.b64encode(short_song()).decode(), "Short - 夜.wav")
    browser.wait("return (studio.view.analysis || {}).duration_ms > 0", LONG_S)
    browser.wait("return mania.clock.sound !== null", 60)
    browser.wait("return studio.alignedBy > 0 && studio.alignedBy === studio.view.analysis.marks.length", 60)
    browser.click("#tabs [data-view=order]")
    for _ in range(2):  # of the preset's three rows one is left
        browser.click("#orders tr:last-child button")
    for name, text in (("stars", "2.5"), ("density", "110")):
        browser.click(f"#orders [name={name}]")
        chord(browser, CONTROL, "a")
        browser.type(text)
    browser.click("#order-write")
    browser.wait("return document.getElementById('no-chart').innerText.includes('being written')", 60)
    browser.wait("return mania.chart.notes.length > 0", LONG_S)
    settled(browser)
    (folder,) = home.glob("*.studio")
    return browser, folder


def test_what_was_written_is_what_the_command_writes(made, tmp_path):
    browser, folder = made
    project = Project.open(folder)
    timing = tmp_path / "timing.txt"
    timing.write_text(timing_text(project.state["timing"]))
    written = mania4k.generate(
        project.song_path, stars=[2.5], density=1.1, effort="fast", seed=0, timing=timing, out=tmp_path / "set.osz"
    )
    (chart,) = read_osz(written.path).charts
    ours = note_lines.chart_of(project.chart_text(project.state["difficulties"][0]["chart"]))
    assert np.array_equal(ours.time_ms, chart.time_ms)
    assert np.array_equal(ours.column, chart.column)
    assert np.array_equal(ours.end_ms, chart.end_ms, equal_nan=True)
    assert browser.run("return mania.chart.notes.length") == len(chart)


def test_the_timing_is_corrected_by_mouse_and_keyboard(made):
    browser, _ = made
    browser.click("#tabs [data-view=timing]")
    before = state(browser)["timing"]
    chances = browser.run("return studio.view.analysis.candidates.map((one) => one.chance)")
    assert sum(chances) == pytest.approx(1)
    browser.run("document.getElementById('wave').focus()")
    browser.type(RIGHT + RIGHT + LEFT)
    browser.wait(f"return Math.abs(studio.view.state.timing[0][0] - {before[0][0] + 1}) < 1e-6")
    browser.click("[data-timing=scale][data-ratio='2']")
    browser.wait(f"return Math.abs(studio.view.state.timing[0][1] - {before[0][1] / 2}) < 1e-6")
    browser.run("mania.clock.seek(9000)")
    browser.click("#line-add")
    browser.wait("return studio.view.state.timing.length === 2")
    start = browser.run("return studio.view.state.timing[1][0]")
    x = browser.run("""
      const canvas = document.getElementById("wave"), seconds = Number(document.getElementById("wave-zoom").value);
      const now = mania.clock.at(), from = now - seconds * 400;
      return (studio.view.state.timing[1][0] + mania.lagMs - from) / (seconds * 1000) * canvas.clientWidth - canvas.clientWidth / 2;""")
    browser.drag("#wave", (round(x), 20), (round(x) + 60, 20))
    browser.wait(f"return Math.abs(studio.view.state.timing[1][0] - {start}) > 100")
    browser.type("t" * 6)
    assert browser.run("return !document.getElementById('tap-use').hidden")
    for _ in range(6):  # back to the analysis
        chord(browser, CONTROL, "z")
    browser.wait("return studio.view.state.timing.length === 1")
    browser.wait(f"return studio.view.state.timing[0][0] === {before[0][0]}")


def test_a_stretch_is_written_anew_three_times_and_one_is_taken(made):
    browser, folder = made
    browser.click("#tabs [data-view=watch]")
    before = Project.open(folder).state["difficulties"][0]
    text = Project.open(folder).chart_text(before["chart"])
    browser.run("document.activeElement.blur(); mania.seekChart(6000)")
    browser.type("[")
    browser.run("mania.seekChart(14000)")
    browser.type("]")
    browser.click("#rewrite")
    browser.wait("return !document.getElementById('versions').hidden", LONG_S)
    browser.wait("return document.querySelectorAll('#versions input').length === 4", 60)
    digests = browser.run("return Object.values(studio.view.versions)[0].digests")
    assert len({*digests, before["chart"]}) >= 3
    shown = browser.run("return mania.chart.digest")
    browser.click("#versions label:nth-of-type(3) input")
    browser.wait(f"return mania.chart.digest === '{digests[1]}'")  # seen and heard in place
    assert shown == before["chart"]
    browser.click("#versions .accent")
    browser.wait(f"return studio.view.state.difficulties[0].chart === '{digests[1]}'")
    new = Project.open(folder).chart_text(digests[1])
    outside = [
        line for line in text.splitlines() if line.count(",") >= 5 and not 6000 <= float(line.split(",")[2]) < 14000
    ]
    assert [line for line in outside if line in new.splitlines()] == outside
    chord(browser, CONTROL, "z")
    browser.wait(f"return studio.view.state.difficulties[0].chart === '{before['chart']}'")


def test_notes_are_edited_by_hand_and_the_review_follows(made):
    browser, folder = made
    browser.click("#tabs [data-view=edit]")
    browser.wait("return document.getElementById('edit-accuracy').textContent !== ''")
    end = browser.run("return mania.chart.lastMs")
    browser.run("mania.seekChart(arguments[0] + 2000); document.getElementById('roll').focus()", end)
    notes = browser.run("return mania.chart.notes.length")
    browser.type("1")
    browser.wait(f"return mania.chart.notes.length === {notes + 1}", 60)
    browser.type(UP + UP + "2")
    browser.wait(f"return mania.chart.notes.length === {notes + 2}", 60)
    middle = browser.run("return document.getElementById('roll').clientHeight") // 2
    browser.drag("#roll", (140, middle - 200), (140, middle - 330))  # upwards: a hold in the last column
    browser.wait(f"return mania.chart.notes.length === {notes + 3}", 60)
    assert browser.run("return mania.chart.notes.at(-1).hold")
    hand = Project.open(folder).state["difficulties"][0]["hand"]
    assert len(hand) == 3
    browser.type("m")
    browser.wait("return mania.chart.notes.at(-1).column === 0", 60)
    browser.type(DELETE)
    browser.wait(f"return mania.chart.notes.length === {notes + 2}", 60)
    seconds = browser.run("""
      const began = performance.now();
      return fetch(`page?chart=${mania.chart.digest}`).then((answer) => answer.json()).then(() => performance.now() - began);""")
    print(f"review and players of one chart: {seconds:.0f} ms")
    for _ in range(5):  # placed, placed, held, mirrored, deleted
        chord(browser, CONTROL, "z")
    browser.wait(f"return mania.chart.notes.length === {notes}", 60)


def test_a_locked_section_stays(made):
    browser, _ = made
    browser.click("#tabs [data-view=watch]")
    browser.run("document.activeElement.blur(); mania.seekChart(2000)")
    browser.type("[")
    browser.run("mania.seekChart(6000)")
    browser.type("]")
    browser.click("#lock")
    browser.wait("return studio.view.state.difficulties[0].locks.length === 1")
    browser.run("mania.seekChart(4000); studio.show('edit')")
    browser.run("document.getElementById('roll').focus()")
    digest = state(browser)["difficulties"][0]["chart"]
    browser.type("3")
    browser.wait("return document.getElementById('message').textContent.includes('locked')")
    assert state(browser)["difficulties"][0]["chart"] == digest
    browser.run("studio.show('watch')")
    browser.click("#unlock")
    browser.wait("return studio.view.state.difficulties[0].locks.length === 0")


def test_names_are_set_and_the_set_leaves_the_studio(made, tmp_path):
    browser, folder = made
    browser.click("#tabs [data-view=order]")
    browser.run("document.querySelector('#metadata [name=source]').value = '<img src=x onerror=\"window.hacked = 1\">'")
    browser.run("document.querySelector('#metadata [name=kiai]').value = '0:05-0:10'")
    browser.run("document.querySelector('#metadata [name=title_unicode]').value = '<b>夜</b>'")
    browser.click("#metadata [type=submit]")
    browser.wait("return (studio.view.state.metadata.kiai || []).length === 1")
    browser.click("#tabs [data-view=out]")
    browser.click("#pack")
    browser.wait("return !document.getElementById('out-osz').hidden", LONG_S)
    fetched = browser.run("return fetch('out/osz').then((answer) => answer.headers.get('content-disposition'))")
    assert fetched.startswith("attachment")
    (chart,) = read_osz(folder / "out" / "set.osz").charts
    assert chart.metadata.title_unicode == "<b>夜</b>"
    assert any(point.effects & 1 for point in chart.timing_points)
    assert (folder / "out" / "set.html").is_file()
    assert browser.run("return [document.getElementById('title').textContent, window.hacked]") == ["<b>夜</b>", None]


def test_two_tabs_do_not_overwrite_each_other(made):
    browser, _ = made
    address = browser.run("return location.href")
    with browser.second_tab() as (first, _):
        browser.open(address)
        stale = browser.run("return studio.view.revision")
        answer = """
          return fetch("do/timing", { method: "POST", body: JSON.stringify({ base: arguments[0], what: "offset", ms: 1 }) })
            .then((answer) => answer.status);"""
        assert browser.run(answer, stale) == 200
        assert browser.run(answer, stale) == 409
        browser.use(first)
        browser.wait(f"return studio.view.revision === {stale + 1}")  # from the server's event


def test_every_control_has_a_name_and_ids_are_single(made):
    browser, _ = made
    nameless = browser.run("""
      const name = (one) => one.getAttribute("aria-label") || one.textContent.trim() || one.title
        || (one.labels && one.labels[0] && one.labels[0].textContent.trim());
      return [...document.querySelectorAll("button, input, select, a[href], canvas")].filter((one) => !one.hidden && !name(one)).map((one) => one.outerHTML);""")
    assert nameless == []
    ids = browser.run("return [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    wanted = ("status of 400", "status of 409")  # what the tests above provoke
    assert [line for line in browser.console_errors() if not any(words in line for words in wanted)] == []


def test_a_killed_server_loses_nothing_and_names_what_it_had_not_finished(browser, tmp_path):
    song = tmp_path / "song.wav"
    song.write_bytes(short_song())
    with served(tmp_path, str(song)) as (address, process):
        browser.open(address)
        browser.wait("return (studio.view.analysis || {}).duration_ms > 0", LONG_S)
        browser.run("""
          return fetch("do/order", { method: "POST", body: JSON.stringify({ orders: [{ stars: 2 }] }) });""")
        browser.wait(
            "return studio.view.jobs.some((job) => job.kind === 'generate' && job.status === 'running')", LONG_S
        )
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        browser.leave()
    (folder,) = tmp_path.glob("*.studio")
    json.loads((folder / "project.json").read_text())
    with served(tmp_path, str(folder)) as (address, _):
        browser.open(address)
        assert "not finished" in browser.run("return document.getElementById('jobs').innerText")
        browser.click("#jobs button")  # go on
        browser.wait("return studio.view.state.difficulties.length === 1", LONG_S)
    browser.leave()


def test_home_holds_projects_alone(studio):
    _, home, _ = studio
    assert {path.suffix for path in Path(home).iterdir()} == {".studio"}


def test_a_song_that_only_browsers_decode_arrives_as_wav(browser, studio):
    address, _, _ = studio
    browser.open(address)
    heads = browser.run("""
      return import("./static/wav.js").then(({ wavOf, DECODED_HERE }) => {
        const buffer = new AudioBuffer({ length: 3, numberOfChannels: 2, sampleRate: 44100 });
        buffer.getChannelData(1).set([0.5, -2, 1]);
        return [DECODED_HERE.test("a.M4A"), DECODED_HERE.test("a.mp3"), [...new Uint8Array(wavOf(buffer))]];
      });""")
    assert heads[:2] == [True, False]
    samples, rate = soundfile.read(io.BytesIO(bytes(heads[2])), dtype="int16")
    assert rate == 44_100
    assert samples.tolist() == [[0, 16383], [0, -32767], [0, 32767]]


def test_doubt_is_said_where_the_sound_leaves_the_beats(browser, studio):
    address, _, _ = studio
    browser.open(address)
    found = browser.run("""
      return import("./static/doubts.js").then(({ onsetsOf, doubtsOf }) => {
        const rate = 44100, buffer = new AudioBuffer({ length: 40 * rate, numberOfChannels: 1, sampleRate: rate });
        const samples = buffer.getChannelData(0);
        for (let n = 0; n < samples.length; n++) samples[n] = 0.002 * Math.sin(n * 0.7);
        for (let beat = 0; beat < 98; beat++) {
          const ms = beat * 400 + (beat >= 50 ? 40 : 0); // from 20 s on the player is late
          for (let n = 0; n < 400; n++) samples[Math.round(ms * rate / 1000) + n] += 0.7 * Math.exp(-n / 80);
        }
        return onsetsOf(buffer).then((onsets) => [doubtsOf(onsets, [[0, 400, 4]]), doubtsOf(onsets, [[0, 400, 4], [20040, 400, 4]])]);
      });""")
    (doubt,), none = found
    assert doubt["byMs"] == pytest.approx(40, abs=6)
    assert doubt["fromMs"] == pytest.approx(20_000, abs=4_000)
    assert none == []


def test_an_m4a_is_decoded_by_the_browser_and_begins_a_project(browser, studio, tmp_path):
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("needs ffmpeg, to encode an m4a")
    (tmp_path / "song.wav").write_bytes(short_song())
    command = [
        ffmpeg,
        "-loglevel",
        "error",
        "-i",
        str(tmp_path / "song.wav"),
        "-c:a",
        "aac",
        str(tmp_path / "song.m4a"),
    ]
    subprocess.run(command, check=True)
    address, home, _ = studio
    browser.open(address)
    if browser.run("return studio.view.project"):
        browser.click("#close")
        browser.wait("return studio.view.project === null")
    browser.run(DROP, base64.b64encode((tmp_path / "song.m4a").read_bytes()).decode(), "An m4a.m4a")
    browser.wait("return studio.view.project === 'An m4a.studio'", 120)
    browser.click("#close")  # the analysis is not waited for
    browser.wait("return studio.view.project === null")
    decoded, rate = soundfile.read(home / "An m4a.studio" / "song.wav", dtype="float32")
    original, _ = soundfile.read(tmp_path / "song.wav", dtype="float32")
    assert rate == 44_100
    assert decoded.shape[0] == pytest.approx(original.shape[0], abs=0.1 * rate)
    ours, theirs = (samples if samples.ndim == 1 else samples.mean(1) for samples in (decoded, original))
    window = slice(5 * rate, 8 * rate)  # the same music, wherever the encoder's delay puts it
    spectra = np.fft.rfft(ours[window], 1 << 19), np.fft.rfft(theirs[window], 1 << 19)
    likeness = np.fft.irfft(spectra[0] * np.conj(spectra[1])).max()
    assert likeness > 0.9 * np.linalg.norm(ours[window]) * np.linalg.norm(theirs[window])


def test_a_broken_m4a_gets_a_line(browser, studio):
    browser.open(studio[0])
    browser.run(DROP, base64.b64encode(b"no music" * 100).decode(), "broken.m4a")
    browser.wait("return document.getElementById('message').textContent.includes('cannot decode it')")
    browser.console_errors()
