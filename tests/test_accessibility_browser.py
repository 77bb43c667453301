"""Accessibility in a real browser: axe-core over the studio and the report page, the keyboard reaches all, the focus is seen."""

import base64

import pytest

from eye.page import write_page
from tests.axe_core import axe_source, grave_faults
from tests.browser import headless
from tests.eye_pages import busy_chart, review_of, song_file
from tests.studio_projects import ENTER, RIGHT, TAB, programs_or_skip, ready_project
from tests.studio_server import served

STEPS = ("timing", "order", "watch", "edit", "out")
THEMES = ("light", "dark")
FOCUS_SEEN = """
const node = document.activeElement;
const outlined = (one) => one && getComputedStyle(one).outlineStyle !== "none" && parseFloat(getComputedStyle(one).outlineWidth) > 0;
const seen = outlined(node) || outlined(node.nextElementSibling) || outlined(node.previousElementSibling) || outlined(node.closest("label"));
const box = node.getBoundingClientRect();
return { id: node.id || node.outerHTML.slice(0, 90), seen, body: node === document.body,
  inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth };
"""
REACHABLE = """
return [...document.querySelectorAll("button, input, select, a[href], [tabindex='0']")]
  .filter((one) => one.checkVisibility() && !one.disabled && !one.closest("fieldset:disabled")
    && !(one.type === "radio" && !one.checked && document.querySelector(`[name="${one.name}"]:checked`))).length;
"""


@pytest.fixture(scope="module")
def axe(request):
    return axe_source(request.config)


@pytest.fixture(scope="module")
def browser():
    with headless(programs_or_skip(), "--window-size=1366,900") as window:
        yield window


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    home = tmp_path_factory.mktemp("projects")
    ready_project(home)
    with served(home) as (address, _):
        yield address


@pytest.fixture
def start(browser, address):
    browser.open(address)
    if browser.run("return studio.view.project"):
        browser.click("#close")
    browser.wait("return !document.getElementById('start').hidden && studio.view.project === null")
    return browser


@pytest.fixture
def project(start):
    start.click("#projects button")
    start.wait("return mania.chart.notes.length > 0 && mania.clock.sound !== null", 300)
    return start


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    charts = [busy_chart(120, 1, name="One"), busy_chart(150, 2, name="Two")]
    reviews = [review_of(charts[0], 3.0), review_of(charts[1], 3.5)]
    return write_page(charts, reviews, song_file(), tmp_path_factory.mktemp("report") / "page.html")


def themed(browser):
    for theme in THEMES:
        browser.run("mania.settings.set('theme', arguments[0])", theme)
        yield theme
    browser.run("mania.settings.set('theme', 'auto')")


def test_the_start_page_has_no_grave_fault(start, axe):
    for theme in themed(start):
        assert grave_faults(start, axe) == [], theme


def test_a_press_counts_though_the_list_is_drawn_anew_under_it(start):
    place = start.press("#projects button")
    start.run("return import('./static/api.js').then(({ refresh }) => refresh()).then(() => true)")
    start.release(place)
    start.wait("return studio.view.project !== null")


@pytest.mark.parametrize("step", STEPS)
def test_no_step_has_a_grave_fault(project, axe, step):
    project.click(f"#tabs [data-view={step}]")
    if step == "watch":  # with versions to choose from, a stretch and a job that was not finished
        project.wait("return document.querySelectorAll('#versions input').length === 4", 60)
        project.run("document.activeElement.blur(); mania.seekChart(3000)")
        project.type("[")
        project.run("mania.seekChart(7000)")
        project.type("]")
    assert project.run("return document.querySelectorAll('#jobs button').length") == 2
    for theme in themed(project):
        assert grave_faults(project, axe) == [], theme


def test_messages_results_and_doubts_have_no_grave_fault(project, axe):
    project.run("import('./static/api.js').then(({ say }) => say('Something went wrong.'))")
    project.run("mania.playing.start(); mania.playing.finish()")
    project.click("#tabs [data-view=watch]")
    project.run(
        "document.getElementById('results').hidden = false; document.getElementById('wizard-words').hidden = false"
    )
    for theme in themed(project):
        assert grave_faults(project, axe) == [], theme
    project.click("#tabs [data-view=timing]")
    project.run("""document.getElementById("doubts-words").hidden = false; document.getElementById("tap-use").hidden = false;
      document.getElementById("doubts").append(make("li", {}, make("button", { type: "button", text: "0:03-0:09: the sound is 20 ms later" })));""")
    assert grave_faults(project, axe) == []


def test_a_song_without_a_timing_has_no_grave_fault(project, axe):
    project.run("document.getElementById('corrections').disabled = true")
    project.click("#tabs [data-view=timing]")
    assert project.run(
        "return [...document.querySelectorAll('#corrections button:not([hidden])')].every((one) => one.checkVisibility())"
    )
    assert grave_faults(project, axe) == []


def test_the_report_page_has_no_grave_fault(browser, page, axe):
    browser.open(page)
    browser.wait("return document.body.classList.contains('heard')")
    for theme in themed(browser):
        assert grave_faults(browser, axe) == [], theme
    browser.run("mania.playing.start(); mania.playing.finish(); document.getElementById('results').hidden = false")
    assert grave_faults(browser, axe) == []
    browser.leave()


@pytest.mark.parametrize("step", ["start", *STEPS])
def test_tab_reaches_every_control_and_the_focus_is_seen(request, step):
    browser = request.getfixturevalue("start" if step == "start" else "project")
    if step != "start":
        browser.click(f"#tabs [data-view={step}]")
    browser.run("scrollTo(0, 0); document.querySelector('.skip').focus()")
    reached, unseen = ["skip"], []
    for _ in range(300):
        browser.type(TAB)
        now = browser.run(FOCUS_SEEN)
        if now["body"] or "Skip to the work" in now["id"]:
            break  # round again
        reached.append(now["id"])
        if not (now["seen"] and now["inView"]):
            unseen.append(now["id"])
    assert unseen == []
    assert browser.run(REACHABLE) <= len(reached) < 300


def test_steps_are_taken_with_the_keyboard_alone(project):
    project.run("document.querySelector('#tabs [data-view=watch]').focus()")
    project.type(TAB + ENTER)
    assert project.run("return studio.shown") == "edit"
    project.run("document.querySelector('#tabs [data-view=timing]').focus()")
    project.type(ENTER)
    project.run("document.getElementById('wave').focus()")
    before = project.run("return studio.view.state.timing[0][0]")
    project.type(RIGHT)
    project.wait(f"return studio.view.state.timing[0][0] === {before + 1}")
    project.run("document.getElementById('undo').focus()")
    project.type(ENTER)
    project.wait(f"return studio.view.state.timing[0][0] === {before}")


def test_a_job_that_goes_on_leaves_the_focus_where_it_is(project):
    project.run("document.querySelector('#jobs button').focus()")
    kept = project.run("""return import("./static/jobs.js").then(({ showJob }) => {
      const job = { ...studio.view.jobs[0] };
      showJob({ ...job, share: 0.25 });
      return document.activeElement.closest("#jobs") !== null; });""")
    assert kept


def test_a_picture_that_is_no_picture_is_said_aloud(project):
    project.run(
        """
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0))], "x.png"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));""",
        base64.b64encode(b"no picture").decode(),
    )
    project.wait("return document.getElementById('message').textContent.includes('no JPEG or PNG')")
    assert project.run("return document.getElementById('message').getAttribute('role')") == "alert"
