"""Answers that come late, not at all, or after another project was opened; lists that are drawn anew while they are used."""

import pytest

from mania4k.studio.sets.project import Project
from tests.browser import STEP_S, headless
from tests.late_answers import FAIL, HOLD, HOLDS, LATER, RELEASE, VIEW_ARRIVES, WAITS, caught, faults, from_elsewhere
from tests.studio_projects import (
    BACKSPACE,
    CONTROL,
    ESCAPE,
    RIGHT,
    STATE,
    TAB,
    chord,
    open_ready,
    programs_or_skip,
    ready_project,
    undo,
    undo_until,
)
from tests.studio_server import served, short_song

READY, OTHER = "Ready.studio", "Other.studio"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
SHOWN = "return document.getElementById('roll').dataset.chart === arguments[0]"
STRETCH = "return document.getElementById('stretch-words').textContent"
SELECTED = "return document.getElementById('edit-words').textContent"
ALL = """
document.getElementById("roll").dispatchEvent(new KeyboardEvent("keydown", { key: "a", ctrlKey: true, bubbles: true }));
return document.getElementById("edit-words").textContent === "60 selected";"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """(browser, address, folder) of a studio with two projects, one of them without difficulties."""
    home = tmp_path_factory.mktemp("projects")
    folder = ready_project(home)
    other = Project.create(home / OTHER)
    (other.folder / "song.wav").write_bytes(short_song()[: 44 + 4 * 44_100 * 4])
    names = {"title_unicode": "Other", "background": "background.png"}
    ready = Project.open(folder)
    lines = ready.state["timing"]
    song = {"file": "song.wav", "name": "other.wav"}
    other.commit("song", lambda state: state.update(song=song, timing=lines, metadata=names))
    other.note(analysis=ready.data["analysis"])
    ready.commit("background", lambda state: state["metadata"].update(background="background.png"))
    for project in (other, ready):
        (project.folder / "background.png").write_bytes(PNG)
    with served(home) as (address, _), headless(programs_or_skip(), "--window-size=1366,900") as browser:
        yield browser, address, folder


@pytest.fixture
def fresh(studio):
    """(browser, open(*rules)): the page opened anew with the first project, its requests caught; afterwards that is as it was."""
    browser, address, _ = studio
    scripts = []

    def opened(*rules):
        browser.open(address)
        if browser.run("return studio.view.project") != READY:
            go_to(browser, READY)
        before.append(browser.run(STATE))
        script = caught(browser, *rules)
        script.__enter__()
        scripts.append(script)
        browser.open(address)
        return browser

    before = []
    yield opened
    for script in scripts:
        script.__exit__(None, None, None)
    browser.open(address)
    if browser.run("return studio.view.project") != READY:
        go_to(browser, READY)
    undo_until(browser, before[0])
    browser.leave()


def go_to(browser, name):
    """Open another project through the start page."""
    if browser.run("return studio.view.project"):
        browser.click("#close")
        browser.wait("return studio.view.project === null")
    place = f"[...document.querySelectorAll('#projects button')].find((one) => '{name}'.startsWith(one.textContent))"
    browser.wait(f"return {place} !== undefined")
    browser.run(f"{place}.click()")
    browser.wait(f"return studio.view.project === '{name}'")


@pytest.fixture
def page(fresh, studio):
    """The browser, with the first project's charts and song on the page."""
    browser = fresh()
    open_ready(browser, studio[1])
    yield browser
    assert faults(browser) == []


def write_into(browser, selector, text):
    browser.click(selector)
    chord(browser, CONTROL, "a")
    browser.type(text)


def own_chart(browser):
    return browser.run("return studio.view.state.difficulties.find((one) => one.id === 'hard').chart")


def edits(browser):
    """The first difficulty's notes are on the roll."""
    browser.click("#tabs [data-view=edit]")
    browser.wait(SHOWN, STEP_S, own_chart(browser))
    browser.run("document.getElementById('roll').focus()")


# Another project


def test_nothing_of_a_project_is_left_when_another_is_opened(page):
    page.click("#tabs [data-view=timing]")
    page.run("document.activeElement.blur(); mania.clock.seek(9000)")
    page.type("tttt")
    assert not page.run("return document.getElementById('tap-use').hidden")
    page.click("#tabs [data-view=watch]")
    page.run("document.activeElement.blur()")
    page.type("[")
    assert page.run(STRETCH).startswith("from 0:")
    page.click("#tabs [data-view=edit]")
    page.wait("return document.getElementById('edit-difficulty').value === 'hard'")
    go_to(page, OTHER)
    assert page.run("return [mania.chart.notes.length, mania.clock.at()]") == [0, 0]
    assert page.run("return document.getElementById('tap-use').hidden")
    assert "Other.studio" in page.run("return decodeURIComponent(document.getElementById('background-image').src)")
    for step in ("edit", "out"):  # where there is nothing, the way to something
        page.click(f"#tabs [data-view={step}]")
        shown = page.run(
            f"return [...document.querySelectorAll('#view-{step} *')].filter((one) => one.checkVisibility()).map((one) => one.id)"
        )
        assert "roll" not in shown
        assert "pack" not in shown
        assert page.run(f"return document.querySelector('#view-{step} [data-view=order]').checkVisibility()")
    page.click("#tabs [data-view=edit]")
    page.run("document.activeElement.blur()")
    chord(page, CONTROL, "a")
    assert page.run(SELECTED) == "0 selected"
    page.wait("return mania.clock.sound !== null")
    assert page.run("return mania.clock.durationMs") < 5000
    go_to(page, READY)
    page.wait("return mania.chart.notes.length > 0")
    assert page.run(STRETCH).startswith("Mark its ends")


def test_charts_that_arrive_when_the_project_was_closed_do_no_harm(fresh):
    browser = fresh("{ prefix: 'page?', holds: true }")
    browser.wait(HOLDS)
    browser.click("#close")
    browser.wait("return studio.view.project === null")
    browser.run(RELEASE)
    browser.run(VIEW_ARRIVES)
    assert faults(browser) == []
    assert browser.run("return mania.chart.notes.length") == 0


def test_charts_that_did_not_arrive_are_not_asked_for_when_the_project_was_closed(fresh):
    browser = fresh("{ prefix: 'page?', fails: 1 }")
    browser.wait(WAITS)
    browser.click("#close")
    browser.wait("return studio.view.project === null")
    browser.run(LATER)  # the time until the next try is over
    browser.run(VIEW_ARRIVES)
    assert faults(browser) == []


def test_a_song_that_did_not_arrive_is_asked_for_again(fresh):
    browser = fresh("{ prefix: 'song', fails: 1 }")
    browser.wait(WAITS)
    browser.run(LATER)
    browser.wait("return mania.clock.sound !== null")
    assert browser.run("return document.getElementById('message').textContent") == ""


# The player


def test_names_that_are_typed_stay_when_a_view_arrives(page, studio):
    page.click("#tabs [data-view=order]")
    write_into(page, "#metadata [name=source]", "A game")
    write_into(page, "#metadata [name=tags]", "one two")
    assert page.run(VIEW_ARRIVES)
    page.click("#metadata [type=submit]")
    page.wait("return document.getElementById('metadata-words').textContent === 'Saved.'")
    kept = Project.open(studio[2]).state["metadata"]
    assert (kept["source"], kept["tags"]) == ("A game", "one two")


def test_the_version_that_is_looked_at_stays_when_another_difficulty_changes(page):
    page.click("#tabs [data-view=watch]")
    page.wait("return document.querySelectorAll('#versions input').length === 4")
    digests = page.run("return studio.view.versions.hard.digests")
    page.click("#versions label:nth-of-type(3) input")
    page.wait(f"return mania.chart.digest === '{digests[1]}'")
    from_elsewhere(page, "difficulty", "{ id: 'insane', name: 'Wild' }")
    page.wait("return document.querySelector('#player .difficulties').textContent.includes('Wild')")
    assert page.run("return mania.chart.digest") == digests[1]
    assert page.run("return document.querySelector('#versions input:checked').value") == "2"


def test_what_is_mended_is_what_is_watched(page):
    page.click("#tabs [data-view=watch]")
    page.wait("return document.querySelectorAll('#versions input').length === 4")
    page.click("#tabs [data-view=edit]")
    page.run("""const select = document.getElementById("edit-difficulty"); select.value = "insane";
      select.dispatchEvent(new Event("change"));""")
    page.wait("return mania.chart.id === 'insane'")
    page.click("#tabs [data-view=watch]")
    assert page.run("return document.getElementById('versions').hidden")  # they are the other difficulty's


def test_versions_that_did_not_arrive_are_asked_for_again(fresh):
    browser = fresh("{ prefix: 'page?', fails: 2 }")  # the first are the charts
    browser.click("#tabs [data-view=watch]")
    browser.wait(WAITS)
    browser.run(LATER)
    browser.wait("return document.querySelectorAll('#versions input').length === 4")


def test_a_play_of_ones_own_goes_on_when_another_difficulty_changes(page):
    page.click("#tabs [data-view=watch]")
    page.run("mania.playing.start(); window.played = mania.playing.play")
    from_elsewhere(page, "difficulty", "{ id: 'insane', name: 'Wild' }")
    page.wait("return document.querySelector('#player .difficulties').textContent.includes('Wild')")
    assert page.run("return mania.playing.play === played")
    page.type(ESCAPE)


def test_the_difficulty_that_is_pressed_is_shown_though_those_before_it_go(page):
    page.click("#tabs [data-view=watch]")
    place = page.press("#player .difficulties label:nth-of-type(2)")
    from_elsewhere(page, "difficulty", "{ id: 'hard', remove: true }")
    page.wait("return mania.charts.length === 1")
    page.release(place)
    page.wait("return document.querySelectorAll('#player .difficulties input').length === 1")
    assert page.run("return [mania.chart.id, document.querySelector('#player .difficulties input').checked]") == [
        "insane",
        True,
    ]


def test_two_presses_on_the_offset_wizard_begin_it_once(page):
    page.click("#tabs [data-view=watch]")
    begun = page.run("""
      window.begun = 0;
      window.AudioContext = class extends AudioContext { constructor(...how) { super(...how); window.begun += 1; } };
      document.getElementById("wizard").click();
      document.getElementById("wizard").click();
      return window.begun;""")
    assert begun == 1
    page.wait("return !document.getElementById('wizard-words').hidden")
    page.type(ESCAPE)
    page.wait("return document.getElementById('wizard-words').textContent.includes('nothing was changed')")


# Lists


def test_the_focus_stays_with_its_difficulty_when_those_before_it_go(page):
    page.click("#tabs [data-view=out]")
    page.run("document.querySelector('[aria-label=\"HP of Insane\"]').focus()")
    from_elsewhere(page, "difficulty", "{ id: 'hard', remove: true }")
    page.wait("return document.querySelectorAll('#out-difficulties li').length === 1")
    assert page.run("return document.activeElement.getAttribute('aria-label')") == "HP of Insane"


def test_the_space_bar_counts_though_the_list_is_drawn_anew_under_it(page):
    page.click("#tabs [data-view=out]")
    page.run("document.querySelector('#out-difficulties li:first-child button').focus()")

    def key(kind):
        page._ask(
            "actions", {"actions": [{"type": "key", "id": "keyboard", "actions": [{"type": kind, "value": " "}]}]}
        )

    key("keyDown")
    assert page.run(VIEW_ARRIVES)
    key("keyUp")
    page.wait("return studio.view.state.difficulties.length === 1")


def test_the_button_of_a_job_stays_when_its_turn_comes(page):
    stays = page.run("""return import("./static/jobs.js").then(({ showJob }) => {
      const job = { id: "test", what: "a test", kind: "pack", status: "waiting", share: 0, error: "" };
      showJob(job);
      const cancel = document.querySelector("[data-job=test] button");
      cancel.focus();
      showJob({ ...job, status: "running" });
      const same = document.activeElement === cancel && document.querySelector("[data-job=test]").textContent.startsWith("a test0");
      showJob({ ...job, status: "failed", error: "no" });
      return [same, document.activeElement.textContent]; });""")
    assert stays == [True, "Go on"]


@pytest.mark.parametrize(("step", "select"), [("timing", "line"), ("edit", "edit-difficulty")])
def test_a_list_to_choose_from_is_not_drawn_anew_while_it_may_be_open(page, step, select):
    page.click(f"#tabs [data-view={step}]")
    page.run(f"window.before = document.getElementById('{select}').options[0]")
    assert page.run(VIEW_ARRIVES)
    page.run("dispatchEvent(new Event('charts'))")  # as when a review has come
    assert page.run(f"return document.getElementById('{select}').options[0] === before")


def test_two_clicks_are_one_order(page):
    page.click("#tabs [data-view=watch]")
    pins = page.run("return studio.view.pins.length")
    page.run(HOLD, "do/pin")
    page.click("#pin")
    page.wait(HOLDS)
    page.click("#pin")
    page.run(RELEASE)
    page.wait(f"return studio.view.pins.length > {pins}")
    assert page.run(VIEW_ARRIVES)  # in turn with the changes
    assert page.run("return studio.view.pins.length") == pins + 1


def test_a_fault_in_the_page_does_not_end_its_talk_with_the_server(page):
    page.click("#tabs [data-view=timing]")
    page.run("""return import("./static/api.js").then(({ onView, refresh }) => {
      let broken = true;
      onView(() => { if (broken) { broken = false; throw new Error("a fault of ours"); } });
      return refresh().catch(() => true); });""")
    page.run("document.activeElement.blur()")
    page.type(RIGHT)
    page.wait("return studio.view.state.timing[0][0] === 101")


# Timing


def test_a_double_click_adds_a_red_line_where_it_was(page):
    page.click("#tabs [data-view=timing]")
    page.run("mania.clock.seek(5000)")
    x, y, wanted = page.run("""
      const canvas = document.getElementById("wave");
      canvas.scrollIntoView({ block: "center" });
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const seconds = Number(document.getElementById("wave-zoom").value), x = Math.round(left + 0.7 * width);
      return [x, Math.round(top + height / 2), mania.clock.at() + ((x - left) / width - 0.4) * seconds * 1000 - mania.lagMs];""")
    clicks = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp") * 2]
    mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
    page._ask("actions", {"actions": [mouse | {"actions": [{"type": "pointerMove", "x": x, "y": y}, *clicks]}]})
    page.wait("return studio.view.state.timing.length === 2")
    assert page.run("return studio.view.state.timing[1][0]") == pytest.approx(wanted, abs=15)


def test_a_number_that_is_cleared_comes_back(page):
    page.click("#tabs [data-view=timing]")
    revision = page.run("return studio.view.revision")
    write_into(page, "#line-at", BACKSPACE + TAB)
    assert page.run(VIEW_ARRIVES)  # in turn with the changes
    assert page.run("return [studio.view.revision, document.getElementById('line-at').value]") == [revision, "100"]


# Edit


def test_another_difficultys_notes_are_not_shown_while_its_own_are_on_their_way(page):
    edits(page)
    page.run(HOLD, "notes/")
    page.run("""const select = document.getElementById("edit-difficulty"); select.value = "insane";
      select.dispatchEvent(new Event("change"));""")
    page.wait(HOLDS)
    chord(page, CONTROL, "a")
    assert page.run(SELECTED) == "0 selected"
    page.run(RELEASE)
    page.wait("return document.getElementById('roll').dataset.chart !== ''")
    chord(page, CONTROL, "a")
    assert page.run(SELECTED) == "90 selected"


def test_notes_that_arrive_late_do_not_change_the_difficulty_that_is_watched_meanwhile(page):
    page.run(HOLD, "notes/")
    page.click("#tabs [data-view=edit]")
    page.wait(HOLDS)
    page.click("#tabs [data-view=watch]")
    page.click("#player .difficulties label:nth-of-type(2)")
    assert page.run("return mania.chart.id") == "insane"
    page.run(RELEASE)
    page.wait("return document.getElementById('roll').dataset.chart !== ''")  # the late notes were taken
    assert page.run("return mania.chart.id") == "insane"


def test_notes_that_did_not_arrive_are_asked_for_again(page):
    page.run(FAIL, "notes/", 1)
    page.click("#tabs [data-view=edit]")
    page.wait(WAITS)
    page.run(LATER)
    page.wait(ALL)


def test_what_is_undone_leaves_the_roll_though_the_review_is_late(page):
    edits(page)
    before = own_chart(page)
    page.run("mania.seekChart(20100)")
    page.type("1")
    page.wait("return mania.chart.notes.length === 61")
    page.run(HOLD, "page?")
    page.type("2")
    page.wait("return studio.view.state.difficulties[0].hand.length === 2")
    undo(page, 2)
    assert own_chart(page) == before
    page.wait(SHOWN, STEP_S, before)
    assert page.run(ALL)
    page.run(RELEASE)
