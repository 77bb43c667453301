"""Each step of the studio that needs no network, by mouse and keyboard in a real browser: timing, order, names, comparing, locks, tabs."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from chart.formats.osz import write_osz
from mania4k.studio.sets.project import Project
from tests.eye_pages import busy_chart, song_file
from tests.studio_projects import (
    BACKSPACE,
    CONTROL,
    ENTER,
    ESCAPE,
    LEFT,
    LINES,
    RIGHT,
    SHIFT,
    STATE,
    TAB,
    chord,
    difficulty,
    open_ready,
    opened_studio,
    undo_until,
)

F3, F4 = "\ue033", "\ue034"
DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], arguments[1]));
document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
"""
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()
ON_WAVE = """
const canvas = document.getElementById("wave"), seconds = Number(document.getElementById("wave-zoom").value);
return (arguments[0] + mania.lagMs - (mania.clock.at() - seconds * 400)) / (seconds * 1000) * canvas.clientWidth - canvas.clientWidth / 2;"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with opened_studio(tmp_path_factory.mktemp("projects")) as both:
        yield both


@pytest.fixture
def step(opened):
    """(browser, folder, go to a step by a click); every change is undone with Ctrl+Z afterwards, and that is tested."""
    browser, folder = opened
    before = browser.run(STATE)
    yield browser, folder, lambda name: browser.click(f"#tabs [data-view={name}]")
    undo_until(browser, before)
    wanted = ("status of 400", "status of 409")  # what the tests provoke
    assert [line for line in browser.console_errors() if not any(words in line for words in wanted)] == []


def lines(browser):
    return browser.run("return studio.view.state.timing")


def waits_for_lines(browser, expected):
    browser.wait(
        f"const [got, wanted] = [studio.view.state.timing, {json.dumps(expected)}]; return got.length === wanted.length"
        " && got.every((line, n) => line.every((value, m) => Math.abs(value - wanted[n][m]) < 0.01))"
    )


def write_into(browser, selector, text):
    """Click a field, select what is in it, and type."""
    browser.click(selector)
    chord(browser, CONTROL, "a")
    browser.type(text)


# Timing


@pytest.mark.parametrize(
    ("button", "expected"),
    [
        ("[data-ratio='2']", [[100, 200, 4, 0]]),
        ("[data-ratio='0.5']", [[100, 800, 4, 0]]),
        ("[data-ratio='1.5']", [[100, 400 / 1.5, 4, 0]]),
        ("[data-ratio^='0.666']", [[100, 600, 4, 0]]),
        ("[data-beats='-1']", [[-300, 400, 4, 0]]),
        ("[data-beats='1']", [[500, 400, 4, 0]]),
        ("[data-beats='0.5']", [[300, 400, 4, 0]]),
        ("[data-ms='-10']", [[90, 400, 4, 0]]),
        ("[data-ms='1']", [[101, 400, 4, 0]]),
    ],
)
def test_a_button_corrects_the_timing(step, button, expected):
    browser, _, go = step
    go("timing")
    browser.click(f"#view-timing {button}")
    waits_for_lines(browser, expected)


def test_the_offset_follows_the_arrow_keys(step):
    browser, _, go = step
    go("timing")
    browser.click("#timing-heading")
    browser.type(RIGHT + RIGHT + LEFT)
    waits_for_lines(browser, [[101, 400, 4, 0]])
    chord(browser, SHIFT, LEFT)
    waits_for_lines(browser, [[91, 400, 4, 0]])


LATE_VIEWS = """
window.views = { asked: 0, arrived: 0 };
window.plainFetch = window.fetch;
window.fetch = async (address, ...rest) => {
  if (address === "view") views.asked += 1;
  const answer = await plainFetch(address, ...rest);
  if (address !== "view") return answer;
  await new Promise((done) => setTimeout(done, 300));
  views.arrived += 1;
  return answer;
};"""
"""As on a busy machine: the view of a revision arrives when the next change could have been made long ago."""


def test_changes_in_quick_succession_are_made_though_views_arrive_late(step):
    browser, _, go = step
    go("timing")
    browser.run(LATE_VIEWS)
    try:
        browser.click("#timing-heading")
        browser.type(RIGHT)
        browser.wait("return views.asked > views.arrived")
        browser.type(RIGHT)
        waits_for_lines(browser, [[102, 400, 4, 0]])
        browser.wait("return views.arrived > 0")
        browser.type(RIGHT)
        waits_for_lines(browser, [[103, 400, 4, 0]])
    finally:
        browser.run("window.fetch = plainFetch")


def test_metre_and_tempo_are_typed(step):
    browser, _, go = step
    go("timing")
    write_into(browser, "#metre", "3" + ENTER)
    waits_for_lines(browser, [[100, 400, 3, 0]])
    write_into(browser, "#bpm", "120" + ENTER)
    waits_for_lines(browser, [[100, 500, 3, 0]])


def test_the_beat_is_tapped(step):
    browser, _, go = step
    go("timing")
    browser.run("mania.clock.seek(4000)")
    browser.click("#wave-play")
    browser.wait("return mania.clock.at() > 4300")
    browser.run("document.activeElement.blur()")
    tap = [{"type": kind, "value": "t"} for kind in ("keyDown", "keyUp")]
    beats = [*tap, {"type": "pause", "duration": 300}] * 8
    browser._ask("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": beats}]})
    browser.click("#wave-play")
    taps = browser.run("return document.getElementById('tap-use').textContent")
    assert taps == "Use the 8 taps"
    browser.click("#tap-use")
    browser.wait("return studio.view.state.timing[0][1] !== 400")
    beat_ms = lines(browser)[0][1]
    assert 250 < beat_ms < 2000  # 0.3 s and what the browser takes
    assert lines(browser)[0][2] == 4


def test_red_lines_are_added_chosen_dragged_typed_and_removed(step):
    browser, _, go = step
    go("timing")
    browser.run("mania.clock.pause(); mania.clock.seek(9000)")
    here = browser.run("return Math.round(mania.nowMs)")
    browser.click("#line-add")
    waits_for_lines(browser, [LINES[0], [here, 400, 4, 0]])
    x = round(browser.run(ON_WAVE, here))
    browser.drag("#wave", (x, 20), (x + 60, 20))
    browser.wait("return studio.view.state.timing[1][0] > 9100")
    assert browser.run("return document.getElementById('line').value") == "1"
    write_into(browser, "#line-at", "9500" + ENTER)
    waits_for_lines(browser, [LINES[0], [9500, 400, 4, 0]])
    write_into(browser, "#bpm", "75" + ENTER)  # of the chosen line alone
    waits_for_lines(browser, [LINES[0], [9500, 800, 4, 0]])
    browser.click("#line-remove")
    waits_for_lines(browser, LINES)
    x = round(browser.run(ON_WAVE, 10_000))
    browser.click("#wave", (x, 20))
    browser.run(
        """document.getElementById("wave").dispatchEvent(new MouseEvent("dblclick", { clientX: 300, clientY: 300, bubbles: true }))"""
    )
    browser.wait("return studio.view.state.timing.length === 2")


def test_readings_of_the_beat_are_taken_and_sum_to_one(step):
    browser, _, go = step
    go("timing")
    assert sum(browser.run("return studio.view.analysis.candidates.map((one) => one.chance)")) == pytest.approx(1)
    pressed = (
        "return [...document.querySelectorAll('#candidates button')].map((one) => one.getAttribute('aria-pressed'))"
    )
    assert browser.run(pressed) == ["true", "false"]
    browser.click("#candidates li:nth-child(2) button")
    waits_for_lines(browser, [[100, 800, 4, 0]])
    assert browser.run(pressed) == ["false", "true"]


def test_the_metronome_clicks_over_the_song(step):
    browser, _, go = step
    go("timing")
    browser.run("""
      window.clicks = [];
      window.plainStart = AudioBufferSourceNode.prototype.start;
      AudioBufferSourceNode.prototype.start = function (...when) {
        if (this.buffer.duration < 0.1) window.clicks.push(mania.clock.sound.songMs(when[0]) - mania.lagMs);
        return plainStart.apply(this, when);
      };
      mania.clock.seek(2000);""")
    browser.click("#metronome")
    browser.click("#wave-play")
    try:
        browser.wait("return clicks.length > 4")
    finally:
        browser.click("#wave-play")
        browser.click("#metronome")
        browser.run("AudioBufferSourceNode.prototype.start = plainStart")
    off_ms = [abs((ms - 100 + 200) % 400 - 200) for ms in browser.run("return clicks")]
    assert max(off_ms) < 1  # a beat every 400 ms from 100 ms on


# Order


def order_of(folder):
    """The job that the page ordered: the one in the project's file that is not done."""
    jobs = json.loads((folder / "project.json").read_text())["jobs"]
    (spec,) = [job["spec"] for name, job in jobs.items() if job["spec"]["kind"] == "generate" and name != "four"]
    return spec["order"]


def test_a_difficulty_is_ordered_by_keyboard_and_the_job_is_cancelled(step):
    browser, folder, go = step
    go("order")
    browser.run(
        """const preset = document.getElementById("preset"); preset.value = "Streams"; preset.dispatchEvent(new Event("change"));"""
    )
    assert browser.run("return document.querySelectorAll('#orders tr').length") == 1
    write_into(
        browser, "#orders [name=stars]", f"4.5{TAB}25{TAB}120{TAB}{TAB}40{TAB}{TAB}{TAB}7{TAB}Mine{TAB}6{TAB}7.5"
    )
    assert browser.run("return document.querySelector('#orders [name=level]').value") == "Insane"
    browser.click("#order-write")
    browser.wait("return studio.view.jobs.some((job) => job.kind === 'generate' && job.id !== 'four')")
    ordered = order_of(folder)
    assert ordered == {
        "stars": 4.5,
        "holds": 0.25,
        "density": 1.2,
        "patterns": {"stream": 0.4},
        "style": "",
        "effort": "fast",
        "seed": 7,
        "name": "Mine",
        "hp": 6,
        "od": 7.5,
    }
    browser.wait("return [...document.querySelectorAll('#jobs button')].some((one) => one.textContent === 'Cancel')")
    browser.run("[...document.querySelectorAll('#jobs button')].find((one) => one.textContent === 'Cancel').focus()")
    browser.type(ENTER)
    browser.wait("return !studio.view.jobs.some((job) => ['waiting', 'running'].includes(job.status))")
    assert "Mine" not in [one["name"] for one in browser.run("return studio.view.state.difficulties")]


@pytest.mark.parametrize("name", ["A set for everyone", "A full spread", "Streams", "Holds", "Chordjacks"])
def test_presets_fill_the_form(step, name):
    browser, _, go = step
    go("order")
    rows = browser.run(
        """const preset = document.getElementById("preset"); preset.value = arguments[0]; preset.dispatchEvent(new Event("change"));
        return [...document.querySelectorAll("#orders tr")].map((row) => Number(row.querySelector("[name=stars]").value));""",
        name,
    )
    assert rows == browser.run("return studio.view.presets[arguments[0]].stars", name)


def test_a_level_fills_in_its_stars(step):
    browser, _, go = step
    go("order")
    browser.click("#order-more")
    row = "#orders tr:last-child"
    browser.run(f"document.querySelector('{row} [name=level]').focus()")
    browser.type("Ex")  # as one types to choose in a list
    assert browser.run(f"return document.querySelector('{row} [name=stars]').value") == "5.5"
    browser.click(f"{row} button")
    assert not browser.run(
        f"return [...document.querySelectorAll('{row} [name=stars]')].some((one) => one.value === '5.5')"
    )


def test_names_kiai_and_preview_are_typed_and_saved(step):
    browser, folder, go = step
    go("order")
    for name, text in (
        ("title_unicode", "朝"),
        ("source", "<b>x</b>"),
        ("tags", "a b"),
        ("kiai", "0:05-0:10.5"),
        ("preview_ms", "4000"),
    ):
        write_into(browser, f"#metadata [name={name}]", text)
    browser.type(ENTER)
    browser.wait("return document.getElementById('metadata-words').textContent === 'Saved.'")
    kept = Project.open(folder).state["metadata"]
    assert (kept["title_unicode"], kept["source"], kept["tags"]) == ("朝", "<b>x</b>", "a b")
    assert (kept["kiai"], kept["preview_ms"]) == ([[5000, 10500]], 4000)
    assert browser.run("return document.getElementById('title').textContent") == "朝"
    for name in ("preview_ms", "kiai"):  # chosen for one again
        write_into(browser, f"#metadata [name={name}]", BACKSPACE)
    browser.type(ENTER)
    browser.wait("return studio.view.state.metadata.preview_ms === -1 && studio.view.state.metadata.kiai === null")
    fields = "return ['preview_ms', 'kiai'].map((name) => document.querySelector(`#metadata [name=${name}]`).value)"
    assert browser.run(fields) == ["", ""]


def test_a_background_is_dropped_and_shown(step):
    browser, _, go = step
    go("order")
    browser.run(DROP, PNG, "cover.png")
    browser.wait("return (studio.view.state.metadata.background || '').endsWith('.png')")
    assert not browser.run("return document.getElementById('background-image').hidden")


# Compare, lock, keep


def test_versions_are_seen_in_place_and_one_is_taken(step):
    browser, _, go = step
    go("watch")
    browser.click("#player .difficulties label:nth-of-type(1)")
    browser.wait("return document.querySelectorAll('#versions input').length === 4", 60)
    digests = browser.run("return studio.view.versions.hard.digests")
    for number in range(3):
        browser.click(f"#versions label:nth-of-type({number + 2}) input")
        browser.wait(f"return mania.chart.digest === '{digests[number]}'")
    browser.run("document.querySelector('#versions input').focus()")
    browser.type(RIGHT)  # by keyboard: the next radio
    browser.wait(f"return mania.chart.digest === '{digests[0]}'")
    browser.click("#versions .accent")
    browser.wait(f"return studio.view.state.difficulties[0].chart === '{digests[0]}'")


def test_a_locked_section_stays_to_the_byte(step):
    browser, folder, go = step
    go("watch")
    before = difficulty(browser)
    box = "document.querySelector('#player .curves').getBoundingClientRect()"
    width = browser.run(f"return {box}.width")
    browser._ask(
        "actions", {"actions": [{"type": "key", "id": "keyboard", "actions": [{"type": "keyDown", "value": SHIFT}]}]}
    )
    browser.drag("#player .curves", (round(-0.4 * width), 0), (round(0.2 * width), 0))
    browser._ask(
        "actions", {"actions": [{"type": "key", "id": "keyboard", "actions": [{"type": "keyUp", "value": SHIFT}]}]}
    )
    browser.click("#lock")
    browser.wait("return studio.view.state.difficulties[0].locks.length === 1")
    (lock,) = difficulty(browser)["locks"]
    assert 1000 < lock[0] < 6000 < 14_000 < lock[1]
    go("edit")
    browser.run("mania.seekChart(8100); document.getElementById('roll').focus()")
    browser.type("1")
    browser.wait("return document.getElementById('message').textContent.includes('locked')")
    assert difficulty(browser)["chart"] == before["chart"]
    text = Project.open(folder).chart_text(before["chart"])
    (own,) = [path for path in folder.glob("*.osu") if "[Hard]" in path.name]
    section = text[text.index("[HitObjects]") :]
    assert own.read_text().endswith(section)


def test_versions_of_the_set_are_kept_side_by_side(step):
    browser, _, go = step
    go("watch")
    browser.click("#pin")
    browser.wait("return studio.view.pins.length >= 1")
    go("timing")
    browser.click("#view-timing [data-ratio='2']")
    waits_for_lines(browser, [[100, 200, 4, 0]])
    go("watch")
    browser.click("#set-versions button:last-child")
    waits_for_lines(browser, LINES)


def test_hp_od_and_name_of_a_difficulty_are_set(step):
    browser, folder, go = step
    go("out")
    write_into(browser, "#out-difficulties li:first-child input[aria-label^=HP]", f"6.5{TAB}")
    browser.wait("return studio.view.state.difficulties[0].hp === 6.5")
    browser.type("9" + ENTER)  # the focus went on to OD
    browser.wait("return studio.view.state.difficulties[0].od === 9")
    write_into(browser, "#out-difficulties li:first-child input:not([type])", "Harder" + ENTER)
    browser.wait("return studio.view.state.difficulties[0].name === 'Harder'")
    (path,) = [path for path in folder.glob("*.osu") if "[Harder]" in path.name]
    assert "OverallDifficulty:9" in path.read_text().replace(": ", ":")


VIEW_ARRIVES = """
const api = document.querySelector("script[src*='studio.js']").src.replace("studio.js", "api.js");
return import(api).then(({ refresh }) => refresh()).then(() => true);"""


@pytest.mark.parametrize("begun", ["Hard", "Ha"])  # as it is named, and not yet
def test_text_being_typed_stays_when_a_view_arrives(step, begun):
    browser, _, go = step
    go("out")
    field = "#out-difficulties li:first-child input:not([type])"
    write_into(browser, field, begun)
    assert browser.run(VIEW_ARRIVES)
    browser.type("Harder".removeprefix(begun) + TAB)
    browser.wait("return studio.view.state.difficulties[0].name === 'Harder'")
    assert browser.run("return document.activeElement.matches('#out-difficulties input[aria-label^=HP]')")


def test_a_removed_difficulty_comes_back_with_the_undo_button(step):
    browser, _, go = step
    go("out")
    browser.click("#out-difficulties li:first-child button")
    browser.wait("return studio.view.state.difficulties.length === 1")
    browser.click("#undo")
    browser.wait("return studio.view.state.difficulties.length === 2")
    browser.click("#redo")
    browser.wait("return studio.view.state.difficulties.length === 1")


def test_a_set_from_osu_is_dropped_back_in(step, tmp_path):
    browser, _, go = step
    go("out")
    chart = busy_chart(70, 9, name="Hard")
    audio = tmp_path / "a.ogg"
    audio.write_bytes(song_file(8).data)
    write_osz([replace(chart, metadata=replace(chart.metadata, version="Hard"))], audio, tmp_path / "back.osz")
    browser.run(DROP, base64.b64encode((tmp_path / "back.osz").read_bytes()).decode(), "back.osz")
    browser.wait("return mania.charts[0].notes.length === 70", 120)
    assert np.isclose(browser.run("return mania.charts[0].notes[0].start"), chart.time_ms[0], atol=1)


# The player's habits


def test_the_players_keys_work_in_the_studio_as_in_the_page(step):
    browser, _, go = step
    go("watch")
    browser.click("#player .difficulties label:nth-of-type(2)")
    before = browser.run("return [mania.nowMs, mania.settings.get('scroll')]")
    browser.type(RIGHT)  # after a click on a difficulty
    assert browser.run("return mania.nowMs") == pytest.approx(before[0] + 2000)
    browser.type(F4 + F4 + F3)
    assert browser.run("return mania.settings.get('scroll')") == before[1] + 1
    browser.type(" ")
    assert browser.run("return mania.clock.playing")
    browser.type(" ")
    browser.click("#play-yourself")
    browser.wait("return mania.playing.active && mania.nowMs > mania.chart.firstMs - 1000")
    browser.run("window.before = mania.playing.play")
    browser.type("`")  # retry
    assert browser.run("return mania.playing.active && mania.playing.play !== before")
    browser.run("mania.playing.touch(0, true, mania.chart.firstMs)")
    browser.wait("return mania.playing.play.until > 0", 60)
    browser.type(ESCAPE)
    assert browser.run("return [mania.playing.active, document.getElementById('results').hidden]") == [False, False]
    words = browser.run("return document.getElementById('result-rows').innerText")
    assert words.startswith("You")
    browser.click("#hit-sounds")
    assert browser.run("return mania.settings.get('hitSounds')")
    browser.click("#hit-sounds")
    browser.click("#wizard")
    browser.wait("return !document.getElementById('wizard-words').hidden")
    browser.type(ESCAPE)
    browser.wait("return document.getElementById('wizard-words').textContent.includes('nothing was changed')")
    browser.click("#player .difficulties label:nth-of-type(1)")


# Two tabs


def test_a_second_tab_sees_changes_and_a_late_one_is_refused_with_a_line(step):
    browser, _, go = step
    go("timing")
    address = browser.run("return location.href")
    with browser.second_tab() as (first, _):
        open_ready(browser, address)
        browser.click("#tabs [data-view=timing]")
        browser.click("#view-timing [data-ms='1']")
        waits_for_lines(browser, [[101, 400, 4, 0]])
        browser.use(first)
        waits_for_lines(browser, [[101, 400, 4, 0]])  # without being asked
        stale = browser.run("return studio.view.revision") - 1
        late = browser.run(
            """return import("./static/api.js").then(({ send }) => send("timing", { base: arguments[0], what: "offset", ms: 5 }))
            .then((made) => [made, document.getElementById("message").textContent]);""",
            stale,
        )
        assert late[0] is False
        assert "another tab" in late[1]
        assert lines(browser) == [[101, 400, 4, 0]]
