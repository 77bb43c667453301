"""The studio on the screens that people have: the playfield is whole, nothing runs out of the window, F11 fills the screen."""

import pytest

from tests.studio_projects import (
    ALT,
    ENTER,
    ESCAPE,
    F11,
    chord,
    opened_studio,
)

SCREENS = {
    "1366 x 768": (1366, 768),
    "1366 x 768 with the browser's own bars": (1366, 630),
    "a phone held sideways": (844, 390),
    "a small phone held sideways": (667, 375),
    "a phone held upright": (390, 844),
    "1920 x 1080": (1920, 1080),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with opened_studio(tmp_path_factory.mktemp("projects"), waiting=False) as (window, _):
        yield window


@pytest.fixture
def browser(opened):
    yield opened
    opened.run("mania.playing.stop()")
    opened.any_screen()
    if opened.run("return document.fullscreenElement !== null"):
        opened.run("return document.exitFullscreen()")
    assert opened.console_errors() == []


def screen(browser, name):
    width, height = SCREENS[name]
    browser.screen(width, height, mobile=width < 900)
    return width, height


def box(browser, selector):
    return browser.run(
        """const { top, bottom, left, right, height } = document.querySelector(arguments[0]).getBoundingClientRect();
        return { top, bottom, left, right, height };""",
        selector,
    )


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize("step", ["timing", "order", "watch", "edit", "out"])
def test_no_step_runs_out_of_the_window_sideways(browser, name, step):
    width, _ = screen(browser, name)
    browser.click(f"#tabs [data-view={step}]")
    assert browser.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", SCREENS)
def test_the_playfield_is_whole(browser, name):
    width, height = screen(browser, name)
    browser.click("#tabs [data-view=watch]")
    if height < 500 or width < 500:
        browser.run("document.getElementById('stage').scrollIntoView()")  # a phone shows the playfield alone
    else:
        browser.run("scrollTo(0, 0)")
    canvas, stage = box(browser, "#stage-canvas"), box(browser, "#stage")
    assert canvas["top"] >= -1
    assert canvas["bottom"] <= height + 1
    assert canvas["right"] <= width
    assert canvas["height"] >= (0.42 if width > 500 else 0.3) * height
    if width > height:
        assert stage["bottom"] <= height + 1  # its buttons, too


@pytest.mark.parametrize("name", ["1366 x 768", "a phone held sideways"])
def test_the_roll_is_whole(browser, name):
    _, height = screen(browser, name)
    browser.click("#tabs [data-view=edit]")
    browser.run("document.getElementById('roll').scrollIntoView({ block: 'end' })")
    roll = box(browser, "#roll")
    assert roll["top"] >= -1
    assert roll["bottom"] <= height + 1


WHOLE = "return document.getElementById('stage-canvas').getBoundingClientRect().bottom <= innerHeight + 1"
"""The window becomes as large as the screen a moment after the playfield fills it."""


def filled(browser):
    return browser.run("return document.fullscreenElement === document.getElementById('stage')")


@pytest.mark.parametrize("press", ["the button", "F11", "Alt+Enter"])
def test_the_playfield_fills_the_screen_and_leaves_it_again(browser, press):
    browser.click("#tabs [data-view=watch]")
    browser.run("document.activeElement.blur()")

    def toggle():
        if press == "the button":
            browser.click("#fullscreen")
        elif press == "F11":
            browser.type(F11)
        else:
            chord(browser, ALT, ENTER)

    toggle()
    browser.wait("return document.fullscreenElement !== null")
    assert filled(browser)
    browser.wait(WHOLE)
    toggle()
    browser.wait("return document.fullscreenElement === null")


def test_one_plays_in_full_screen_and_keys_go_on_working(browser):
    browser.click("#tabs [data-view=watch]")
    browser.run("document.activeElement.blur()")
    browser.type(F11)
    browser.wait("return document.fullscreenElement !== null")
    browser.click("#play-yourself")
    browser.wait("return mania.playing.active")
    browser.wait("return mania.nowMs > mania.chart.firstMs - 50")
    browser.type("dfjk")
    assert filled(browser)
    browser.run("mania.playing.stop()")
    browser.type(F11)
    browser.wait("return document.fullscreenElement === null")


def test_f11_is_the_browsers_where_no_playfield_is_shown(browser):
    browser.click("#tabs [data-view=order]")
    taken = browser.run("""
      const event = new KeyboardEvent("keydown", { code: "F11", key: "F11", cancelable: true, bubbles: true });
      document.body.dispatchEvent(event);
      return event.defaultPrevented;""")
    assert not taken


def test_full_screen_on_a_phone_held_sideways_shows_field_and_counts(browser):
    _, height = screen(browser, "a phone held sideways")
    browser.click("#tabs [data-view=watch]")
    browser.click("#fullscreen")
    browser.wait("return document.fullscreenElement !== null")
    browser.wait(WHOLE)
    browser.wait(f"return document.getElementById('stage-canvas').getBoundingClientRect().height >= {0.9 * height}")
    canvas, counts = box(browser, "#stage-canvas"), box(browser, ".hud dl")
    assert counts["left"] >= canvas["right"] - 1
    browser.type(ESCAPE)
