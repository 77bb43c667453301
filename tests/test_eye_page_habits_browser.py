"""Habits of osu! players in the page: keys that keep working, accuracy, retry, small screens."""

import pytest

from eye.page import write_page
from tests.browser import Browser, find_programs, headless
from tests.eye_pages import busy_chart, review_of, song_file

HEARD = "return document.body.classList.contains('heard')"
F3, F4, F11 = "\ue033", "\ue034", "\ue03b"
RIGHT = "\ue014"
ESCAPE = "\ue00c"
SCREENS = {"1366 x 768 with the browser's own bars": (1366, 630), "a phone held sideways": (844, 390)}


@pytest.fixture(scope="module")
def browser():
    programs = find_programs()
    if programs is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    with headless(programs) as window:
        yield window


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    charts = [busy_chart(200, 1, name="One"), busy_chart(300, 2, name="Two")]
    reviews = [review_of(charts[0], 3.0), review_of(charts[1], 3.5)]
    return write_page(charts, reviews, song_file(), tmp_path_factory.mktemp("habits") / "page.html")


@pytest.fixture
def opened(browser, page) -> Browser:
    browser.leave()
    browser.open(page)
    browser.wait(HEARD)
    yield browser
    browser.run("mania.playing.stop(); mania.clock.pause(); localStorage.clear()")
    assert browser.console_errors() == []


@pytest.mark.parametrize("clicked", [".difficulties label:nth-of-type(2)", "#level-1", "#back", "#rate"])
def test_space_and_arrows_go_on_working_after_a_click(opened, clicked):
    opened.click(clicked)
    before = opened.run("return mania.nowMs")
    opened.type(RIGHT)
    assert opened.run("return mania.nowMs") == pytest.approx(before + 2000)
    opened.type(" ")
    assert opened.run("return mania.clock.playing")
    opened.type(" ")
    assert not opened.run("return mania.clock.playing")


def test_the_keyboard_still_chooses_among_difficulties(opened):
    opened.run("document.querySelector('input[name=difficulty]').focus()")
    opened.type(RIGHT)
    assert opened.run("return mania.chart.name") == "Two"
    assert opened.run("return mania.nowMs") < 100  # the song did not move


def test_f3_and_f4_change_the_scroll_speed_in_a_play_too(opened):
    opened.type(F4 + F4 + F3)
    assert opened.run("return mania.settings.get('scroll')") == 25
    opened.run("mania.playing.start()")
    opened.type(F4)
    assert opened.run("return [mania.settings.get('scroll'), mania.playing.active]") == [26, True]


def test_the_retry_key_begins_again_where_the_play_began(opened):
    opened.run("mania.playing.start(9000)")
    opened.wait("return mania.nowMs > 7500")
    before, after, started = opened.run("""
      const before = mania.nowMs;
      dispatchEvent(new KeyboardEvent("keydown", { code: "Backquote" }));
      return [before, mania.nowMs, mania.playing.startedFrom];""")
    assert started == 9000
    assert after < before
    assert after == pytest.approx(7000, abs=200)
    opened.type(ESCAPE)
    assert not opened.run("return mania.playing.active")


def test_accuracy_and_letter_are_stables_and_the_other_is_named(opened):
    seen = opened.run("""return [accuracyOf([9, 1, 0, 0, 0, 0]), accuracyOf([9, 1, 0, 0, 0, 0], WORTH_320),
      [1, 0.99, 0.95, 0.91, 0.85, 0.75, 0.5].map(letterOf), document.querySelector(".accuracy small").innerText]""")
    assert seen[0] == 1
    assert seen[1] == pytest.approx((9 * 320 + 300) / 3200)
    assert seen[2] == ["SS", "S", "A", "A", "B", "C", "D"]
    assert seen[3].startswith("MAX = 320: ")


def test_hit_sounds_can_be_switched_on(opened):
    opened.click("#hit-sounds")
    counted = opened.run("""
      let struck = 0;
      mania.clock.sound.click = () => { struck += 1; };
      mania.clock.sound.context = new AudioContext();
      mania.playing.start();
      mania.playing.touch(1, true, mania.chart.firstMs);
      return struck;""")
    assert counted == 1


def test_the_offset_wizard_takes_the_median_of_steady_presses(opened):
    late = "const presses = Array.from({ length: 16 }, (_, n) => (n + 3) * 600 + arguments[0] + (n % 3 - 1) * 12);"
    assert opened.run(f"{late} return wizardOffset(presses)", 37) == 37
    assert opened.run(f"{late} return wizardOffset(presses)", -20) == -20
    assert opened.run("return wizardOffset([600, 1200, 1800])") is None


def test_the_wizard_runs_to_its_end(opened):
    opened.click("#wizard")
    opened.wait("return !document.getElementById('wizard-words').hidden")
    opened.type("xx" + ESCAPE)
    assert "Too few presses" in opened.run("return document.getElementById('wizard-words').textContent")


@pytest.mark.parametrize("screen", SCREENS)
def test_the_playfield_is_whole_on_small_screens(opened, screen):
    width, height = SCREENS[screen]
    opened.screen(width, height)
    box = opened.run("""
      if (innerHeight < 500) document.getElementById("stage").scrollIntoView(); // a phone shows the playfield alone
      else scrollTo(0, 0);
      const { top, bottom, left, right } = document.getElementById("stage").getBoundingClientRect();
      const canvas = document.getElementById("stage-canvas").getBoundingClientRect();
      return { top, bottom, left, right, tall: canvas.height, wide: canvas.width, scrolls: document.documentElement.scrollWidth };""")
    opened.any_screen()
    assert box["top"] >= -1
    assert box["bottom"] <= height + 1
    assert box["right"] <= width
    assert box["tall"] >= 0.45 * height
    assert box["scrolls"] <= width


@pytest.mark.parametrize("press", ["button", F11])
def test_the_playfield_fills_the_screen_by_button_and_by_f11(opened, press):
    def toggle():
        if press == "button":
            opened.click("#fullscreen")
        else:
            opened.type(press)

    toggle()
    opened.wait("return document.fullscreenElement === document.getElementById('stage')")
    opened.wait("""const { bottom, height } = document.getElementById("stage-canvas").getBoundingClientRect();
      return bottom <= innerHeight + 1 && height > 0.4 * innerHeight""")
    toggle()
    opened.wait("return document.fullscreenElement === null")


def test_buttons_keep_their_words_on_one_line_and_sections_lie_in_the_song(opened):
    tall = opened.run("return ['back', 'forward', 'play'].map((id) => document.getElementById(id).offsetHeight)")
    assert max(tall) - min(tall) <= 2
    sections = opened.run("return mania.chart.sections.map((one) => [one.start_ms, one.end_ms])")
    end = opened.run("return mania.durationMs")
    assert sections
    assert all(0 <= first < last <= end for first, last in sections)


def test_the_table_of_players_agrees_with_the_sentence_above(opened):
    curve, required, levels = opened.run(
        "return [mania.chart.accuracyBySkill, mania.chart.required, mania.chart.levels.map((one) => [one.level, one.accuracy])]"
    )
    assert curve
    at = opened.run("return levelFor(arguments[0], 0.96)", curve)
    for level, accuracy in levels:
        assert (accuracy >= 0.96) == (level >= at - 1e-6), (level, accuracy, required)
