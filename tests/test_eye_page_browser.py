"""The page in a real browser: it loads from disk, asks nobody for anything, plays, and judges as `agents` does."""

import hashlib
import http.server
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from agents import judge
from agents.judgement.judge import TOTALS
from chart.model import Metadata
from eye.page import write_page
from eye.rendering.page_song import SongFile
from tests.browser import Browser, find_programs, headless
from tests.eye_pages import (
    Events,
    busy_chart,
    grades_text,
    late_events,
    presses_from,
    review_of,
    sloppy_events,
    song_file,
)

HOSTILE = "</script><script>window.hacked = 1</script>\"'&<img src=x onerror='window.hacked = 1'>"
LARGE = 5000
SHOWN = ("accuracy", "accuracy_320", "max_combo", "health")
HEARD = "return document.body.classList.contains('heard')"

PLAY = """
const [events, rate] = arguments;
const { clock, settings, playing } = mania;
settings.set("rate", rate);
let wall = 0;
clock.manual = () => wall;
const goTo = (ms) => { wall = clock.anchorAt + (ms + mania.lagMs - clock.anchorMs) / clock.rate; };
playing.start();
let now = mania.nowMs;
const keys = settings.get("keys");
for (const [ms, column, down] of events) {
  for (; now < ms; now += 16) { goTo(now); playing.tick(now); }
  goTo(ms);
  dispatchEvent(new KeyboardEvent(down ? "keydown" : "keyup", { code: keys[column].code, bubbles: true }));
}
for (let left = 0; playing.active && left < 1000; left++, now += 16) { goTo(now); playing.tick(now); }
clock.manual = null;
settings.set("rate", 1);
const cells = [...document.querySelectorAll("#result-rows .you td")].map((cell) => cell.textContent);
return { active: playing.active, grades: [...mania.finished.outcome.grade].join(""), cells };
"""

DRAW_ALL_OVER = """
mania.frames = [];
for (let n = 0; n < 300; n++) { mania.clock.seek(n * mania.durationMs / 300); mania.show(); }
const costs = mania.frames.map((frame) => frame.cost).sort((a, b) => a - b);
mania.frames = null;
return costs;
"""


@pytest.fixture(scope="module")
def charts():
    named = Metadata(
        title=HOSTILE, title_unicode="夜に咲く " + HOSTILE, artist="A", artist_unicode="誰か", version=HOSTILE
    )
    return [
        replace(busy_chart(350, 1, name="Holds", hold_share=0.5), metadata=named),
        busy_chart(300, 2, name="Lenient", od=2.5),
        busy_chart(LARGE, 3, name="Large", hold_share=0.1),
    ]


@pytest.fixture(scope="module")
def page(charts, tmp_path_factory) -> Path:
    reviews = [review_of(chart, stars) for chart, stars in zip(charts, (3.0, 3.5, 5.0), strict=True)]
    return write_page(charts, reviews, song_file(), tmp_path_factory.mktemp("頁") / "夜 & 咲く.html")


@pytest.fixture(scope="module")
def browser():
    programs = find_programs()
    if programs is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    with headless(programs) as window:
        yield window


@pytest.fixture
def opened(browser, page) -> Browser:
    browser.leave()
    browser.open(page)
    browser.wait(HEARD)
    yield browser
    assert browser.console_errors() == []
    assert [address.split(":")[0] for address in browser.requests()] == ["file"]


def play(browser: Browser, events: Events, rate: float = 1.0) -> dict:
    result = browser.run(PLAY, events, rate)
    assert not result["active"], "the play must end by itself"
    return result


def expect_as_agents(browser: Browser, chart, events: Events, rate: float = 1.0, mods: str = "") -> None:
    judged = judge(chart, presses_from(events), mods)
    result = play(browser, events, rate)
    assert result["grades"] == grades_text(judged.grade[0])
    counts = [str(int(count)) for count in judged.totals[0, :6]]
    assert result["cells"][3:9] == counts
    stable, with_320, combo, health = (judged.totals[0, TOTALS.index(name)] for name in SHOWN)
    assert result["cells"][:3] == [
        f"{letter_of(stable)} {stable * 100:.2f} %",
        f"{with_320 * 100:.2f} %",
        f"{combo:.0f}×",
    ]
    assert float(result["cells"][9]) == pytest.approx(10 * judged.totals[0, 14], abs=0.51)
    assert float(result["cells"][10].split(" ")[0]) == pytest.approx(judged.totals[0, 13], abs=0.051)
    if health > 0:  # the game ends there; our bar stays at 0 and may rise again
        assert browser.run("return mania.finished.outcome.health.at(-1)") == pytest.approx(health, abs=1e-6)


def letter_of(accuracy: float) -> str:
    """osu!mania's letter, as the wiki has it."""
    if accuracy == 1:
        return "SS"
    return next(
        (letter for above, letter in ((0.95, "S"), (0.9, "A"), (0.8, "B"), (0.7, "C")) if accuracy > above), "D"
    )


def test_a_perfect_play_is_all_max(opened, charts):
    result = play(opened, late_events(charts[0], 0))
    assert result["grades"] == "0" * len(charts[0])
    notes = str(len(charts[0]))
    assert result["cells"][:9] == ["SS 100.00 %", "100.00 %", f"{notes}×", notes, "0", "0", "0", "0", "0"]


@pytest.mark.parametrize("number", [0, 1])
def test_plays_are_judged_as_agents_does(opened, charts, number):
    opened.run("mania.showChart(arguments[0])", number)
    chart = charts[number]
    for late in (30, -30, 90):
        expect_as_agents(opened, chart, late_events(chart, late))
    for seed in range(4):
        expect_as_agents(opened, chart, sloppy_events(chart, seed))
    expect_as_agents(opened, chart, sloppy_events(chart, 9), 1.5, "DT")
    expect_as_agents(opened, chart, sloppy_events(chart, 10), 0.75, "HT")


def test_a_script_may_play_without_waiting_for_the_song(opened, charts):
    events = sloppy_events(charts[0], 20)
    grades = opened.run(
        """
      mania.playing.start();
      for (const [ms, column, down] of arguments[0]) mania.playing.touch(column, down, ms);
      mania.playing.finish();
      return [...mania.finished.outcome.grade].join("");""",
        events,
    )
    assert grades == grades_text(judge(charts[0], presses_from(events)).grade[0])


def test_it_shows_hostile_names_as_text(opened):
    shown = opened.run("""
      return { hacked: window.hacked, title: document.querySelector("h1").textContent, tab: document.title,
        lang: document.querySelector("h1").lang, images: document.images.length,
        difficulty: document.querySelector(".difficulties b").textContent, name: mania.charts[0].name };""")
    assert shown["hacked"] is None
    assert shown["images"] == 0
    assert shown["title"] == "夜に咲く " + HOSTILE
    assert shown["tab"] == shown["title"] + " - mania4k"
    assert shown["difficulty"] == shown["name"] == HOSTILE
    assert shown["lang"] == "ja"


def test_the_song_arrives_byte_for_byte(opened):
    digest = opened.run("""
      return embeddedAudio("song-bytes").arrayBuffer().then((bytes) => crypto.subtle.digest("SHA-256", bytes))
        .then((hash) => [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join(""));""")
    assert digest == hashlib.sha256(song_file().data).hexdigest()


def test_it_plays_and_seeks_in_time_with_the_song(opened):
    opened.run("document.getElementById('play').click()")
    opened.wait("return mania.clock.at() > 1500 && mania.clock.sound.heardAt(performance.now()) !== null")
    opened.wait(
        "const now = performance.now(); return Math.abs(mania.clock.at(now) - mania.clock.sound.heardAt(now)) < 10"
    )
    target, now = opened.run("mania.openFinding(0); return [mania.chart.findings[0].start_ms, mania.nowMs]")
    assert now == pytest.approx(target - 200, abs=50)
    opened.wait("return mania.nowMs > arguments[0]", 60, target)
    opened.run("mania.toggle()")
    stood = opened.run("return mania.nowMs")
    assert opened.run("return [mania.clock.sound.from === null, mania.nowMs]") == [True, stood]


def test_it_switches_difficulties(opened):
    opened.run("document.querySelector('input[name=difficulty][value=\"2\"]').click()")
    seen = opened.run("""return [mania.chart.name, document.querySelectorAll("#levels tr").length,
      document.querySelectorAll("#pins button").length, document.querySelectorAll("#findings li").length]""")
    assert seen == ["Large", 5, 3, 2]
    ratings = opened.run("return [mania.chart.ratings, document.getElementById('ratings').textContent]")
    assert ratings[1] == f"Level for 96 %: {', '.join(f'{name} {at:.1f} ± {sd:.1f}' for name, at, sd in ratings[0])}."
    assert [name for name, *_ in ratings[0]] == ["overall", "stream"]
    before = opened.run("mania.seekChart(60000); mania.show(); return document.getElementById('accuracy').textContent")
    opened.run("document.getElementById('level-0').click(); mania.show()")
    after = opened.run(
        "return [document.getElementById('who').textContent, document.getElementById('accuracy').textContent]"
    )
    assert after[0] == "Player of level 3.0"
    assert after[1] != before


def test_simulated_players_counts_are_those_of_agents(opened):
    shown, stored = opened.run("""
      mania.seekChart(mania.chart.lastMs + 900); mania.show();
      const shown = GRADES.map((_, grade) => Number(document.getElementById(`count-${grade}`).textContent));
      const stored = GRADES.map((_, grade) => [...mania.level.grade].filter((one) => Number(one) === grade).length);
      return [shown, stored];""")
    assert shown == stored
    assert sum(shown) == 350


def test_real_keys_play_it_and_escape_ends_it(opened):
    opened.run("document.getElementById('play-yourself').click()")
    opened.wait("return mania.playing.active && mania.nowMs > mania.chart.firstMs - 100")
    for _ in range(12):
        opened.type("dfjk")
    opened.wait("return mania.playing.play.until > 3")
    opened.type("\ue00c")
    opened.wait("return !mania.playing.active")
    pressed = opened.run("return [...mania.finished.outcome.error].filter((error) => !Number.isNaN(error)).length")
    assert pressed > 0
    assert opened.run("return document.getElementById('live').textContent").startswith("Your play: ")
    assert opened.run("return document.activeElement.id") == "results"


def test_a_finger_on_a_column_is_a_key(opened):
    opened.run("document.getElementById('play-yourself').click()")
    seen = opened.run("""
      const { canvas } = mania.stage, box = canvas.getBoundingClientRect();
      const touch = (kind) => canvas.dispatchEvent(new PointerEvent(kind, { pointerId: 1, clientX: box.left + 0.6 * box.width,
        clientY: box.top + 9 }));
      canvas.setPointerCapture = () => {};
      touch("pointerdown");
      const held = [...mania.playing.play.down];
      touch("pointerup");
      const free = [...mania.playing.play.down];
      mania.playing.stop();
      return [held, free];""")
    assert seen == [[False, False, True, False], [False] * 4]


def test_keys_can_be_changed_and_are_remembered(opened, page):
    opened.run("document.querySelector('[data-column=\"0\"]').focus(); document.activeElement.click()")
    opened.type("x")
    assert opened.run("return mania.settings.get('keys').map((key) => key.code)") == ["KeyX", "KeyF", "KeyJ", "KeyK"]
    opened.open(page)
    assert opened.run("return mania.view.keys") == ["X", "F", "J", "K"]
    opened.run('localStorage.setItem(STORED_AS, \'{"keys": [1], "scroll": "fast", "theme": "pink"}\')')
    opened.open(page)
    assert opened.run("return [mania.view.keys, mania.settings.get('scroll')]") == [["D", "F", "J", "K"], 24]
    opened.run("localStorage.clear()")
    opened.requests()
    opened.open(page)


def test_every_control_has_a_name_and_takes_the_focus(opened):
    nameless = opened.run("""
      const controls = [...document.querySelectorAll("button, input, a[href], [tabindex='0']")]
        .filter((one) => one.checkVisibility());
      const name = (one) => one.getAttribute("aria-label") || one.textContent.trim() || (one.labels && one.labels[0]
        && one.labels[0].textContent.trim());
      return [controls.length, controls.filter((one) => !name(one)).map((one) => one.outerHTML),
        controls.filter((one) => { one.focus(); return document.activeElement !== one; }).map((one) => one.outerHTML)];""")
    assert nameless[0] > 30
    assert nameless[1:] == [[], []]


def test_the_timeline_is_a_slider_for_the_keyboard(opened):
    opened.run("mania.seekChart(5000); mania.show(); document.getElementById('timeline-canvas').focus()")
    opened.type("\ue014\ue014")  # right
    assert opened.run("mania.show(); return Math.round(mania.nowMs)") == 7000
    assert opened.run("return document.getElementById('timeline-canvas').getAttribute('aria-valuetext')").startswith(
        "0:07 of "
    )
    opened.type("\ue011")  # home
    assert opened.run("return mania.nowMs") == 0


def test_light_and_dark_follow_the_switch_and_motion_the_system(opened):
    opened.devtools(
        "Emulation.setEmulatedMedia",
        features=[
            {"name": "prefers-color-scheme", "value": "dark"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ],
    )
    opened.wait("return document.documentElement.dataset.theme === 'dark'")
    assert opened.run("return mania.theme.reducedMotion")
    ground = "return getComputedStyle(document.body).backgroundColor"
    dark = opened.run(ground)
    opened.run("document.querySelector('input[value=light]').click()")
    assert opened.run(ground) != dark
    opened.run("document.querySelector('input[value=auto]').click()")
    assert opened.run(ground) == dark
    opened.devtools("Emulation.setEmulatedMedia", features=[])


def test_5000_notes_are_drawn_well_within_a_frame(opened):
    """At 60 frames a second a frame has 16.7 ms. Only the median is bounded: a busy machine interrupts some draws."""
    opened.run("mania.showChart(2); mania.settings.set('scroll', 12)")
    costs = opened.run(DRAW_ALL_OVER)
    opened.run("mania.settings.set('scroll', 24)")
    print(f"a moment of {LARGE} notes drawn: p50 {costs[150]:.2f} ms, p95 {costs[285]:.2f} ms, most {costs[-1]:.2f} ms")
    assert costs[150] < 4


def test_the_song_may_lie_beside_the_page(browser, charts, tmp_path):
    chart, song = charts[1], SongFile("My song#1.OGG", song_file(6).data)
    page = write_page([chart], [review_of(chart)], song, tmp_path / "a b#.html", audio_beside=True)
    assert (tmp_path / "a b#.ogg").read_bytes() == song.data
    browser.leave()
    browser.open(page)
    browser.wait(HEARD)
    browser.run("mania.toggle()")
    browser.wait("return mania.clock.sound.audio.currentTime > 0.2")
    assert browser.console_errors() == []
    assert {address.split(":")[0] for address in browser.requests()} == {"file"}


def test_without_music_it_still_runs(browser, charts, tmp_path):
    browser.leave()
    browser.open(write_page([charts[1]], [review_of(charts[1])], None, tmp_path / "silent.html"))
    browser.wait(HEARD)
    browser.run("mania.toggle()")
    browser.wait("return mania.nowMs > 300")
    assert browser.run("return document.getElementById('no-audio').textContent") == "This page has no music."
    assert browser.console_errors() == []


def test_an_empty_chart_is_shown(browser, tmp_path):
    chart = busy_chart(0, 0)
    browser.leave()
    browser.open(write_page([chart], [review_of(chart, 0.0)], None, tmp_path / "empty.html"))
    browser.run("mania.toggle(); mania.show()")
    assert browser.console_errors() == []


class Utf8Server(http.server.SimpleHTTPRequestHandler):
    """A server that calls every page UTF-8, as many do."""

    extensions_map = {".html": "text/html; charset=utf-8"}  # noqa: RUF012 (as the base class has it)

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_insists_on_utf8_costs_the_music_alone(browser, charts, tmp_path):
    write_page([charts[1]], [review_of(charts[1])], song_file(6), tmp_path / "page.html")
    with http.server.ThreadingHTTPServer(("localhost", 0), partial(Utf8Server, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.leave()
        browser.open(f"http://localhost:{server.server_port}/page.html")
        browser.wait(HEARD)
        words = browser.run("mania.toggle(); return document.getElementById('no-audio').textContent")
        server.shutdown()
    assert "served with another encoding" in words
