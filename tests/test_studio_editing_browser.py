"""Notes by hand in a real browser: a stretch is copied, cut, pasted, mirrored and moved, with the keyboard and the mouse."""

import pytest

from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets.project import Project
from tests.late_answers import CATCH, HOLD, HOLDS, LET_GO, RELEASE
from tests.studio_projects import (
    CONTROL,
    DELETE,
    ESCAPE,
    SHIFT,
    STATE,
    chord,
    difficulty,
    opened_studio,
    undo_until,
)

BEAT_MS = 400
START_MS = 1600
"""On the grid, before the first note."""
FREE_MS = 20_100
"""On the grid, behind the last note."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with opened_studio(tmp_path_factory.mktemp("projects"), waiting=False) as both:
        yield both


@pytest.fixture
def editing(opened):
    browser, folder = opened
    browser.click("#tabs [data-view=edit]")
    browser.run(HARD)
    browser.run("document.getElementById('roll').focus()")
    in_step(browser)
    before = browser.run(STATE)
    yield browser, folder
    browser.type(ESCAPE)
    browser.run("studio.app.clock.pause()")
    undo_until(browser, before)
    wanted = ("status of 400",)
    assert [line for line in browser.console_errors() if not any(words in line for words in wanted)] == []


HARD = """
const select = document.getElementById("edit-difficulty");
select.value = "hard";
select.dispatchEvent(new Event("change"));"""


def in_step(browser):
    """Until the roll shows the notes that the server has."""
    browser.wait("""
      const chosen = document.getElementById("edit-difficulty").value;
      return document.getElementById("roll").dataset.chart === studio.view.state.difficulties.find((one) => one.id === chosen).chart;""")


def notes_of(folder):
    project = Project.open(folder)
    return note_lines.notes_of(project.chart_text(project.difficulty("hard")["chart"]))


def changed(browser, before):
    browser.wait(f"return studio.view.state.difficulties[0].chart !== '{before['chart']}'")


def select_stretch(browser, start_ms, end_ms):
    browser.run("mania.seekChart(arguments[0])", start_ms)
    browser.type("[")
    browser.run("mania.seekChart(arguments[0])", end_ms)
    browser.type("]")


def test_a_stretch_is_copied_and_pasted_where_the_line_is(editing):
    browser, folder = editing
    before, notes = difficulty(browser), notes_of(folder)
    select_stretch(browser, START_MS, START_MS + 4 * BEAT_MS)
    stretch = [note for note in notes if note[0] <= START_MS + 4 * BEAT_MS]
    assert stretch
    assert browser.run("return document.getElementById('edit-words').textContent") == f"{len(stretch)} selected"
    chord(browser, CONTROL, "c")
    browser.run("mania.seekChart(arguments[0])", FREE_MS)
    chord(browser, CONTROL, "v")
    changed(browser, before)
    by = FREE_MS - stretch[0][0]
    copied = [(start + by, column, None if end is None else end + by) for start, column, end in stretch]
    assert set(notes_of(folder)) == set(notes) | set(copied)
    assert [tuple(note) for note in difficulty(browser)["hand"]] == sorted(copied, key=lambda note: note[:2])


def test_pasting_with_shift_gives_the_mirror(editing):
    browser, folder = editing
    before, notes = difficulty(browser), notes_of(folder)
    select_stretch(browser, START_MS, START_MS + 2 * BEAT_MS)
    chord(browser, CONTROL, "c")
    browser.run("mania.seekChart(arguments[0])", FREE_MS)
    chord(browser, CONTROL, SHIFT, "v")
    changed(browser, before)
    stretch = [note for note in notes if note[0] <= START_MS + 2 * BEAT_MS]
    new = sorted(set(notes_of(folder)) - set(notes))
    assert [column for _, column, _ in new] == [
        column for _, column, _ in sorted((start, 3 - column, end) for start, column, end in stretch)
    ]


def test_a_stretch_is_cut_and_comes_back_elsewhere(editing):
    browser, folder = editing
    before, notes = difficulty(browser), notes_of(folder)
    select_stretch(browser, START_MS, START_MS + 3 * BEAT_MS)
    chord(browser, CONTROL, "x")
    changed(browser, before)
    left = notes_of(folder)
    cut = sorted(set(notes) - set(left))
    assert cut
    assert all(note[0] <= START_MS + 3 * BEAT_MS for note in cut)
    middle = difficulty(browser)
    browser.run("mania.seekChart(arguments[0])", FREE_MS)
    chord(browser, CONTROL, "v")
    changed(browser, middle)
    by = FREE_MS - cut[0][0]
    assert set(notes_of(folder)) - set(left) == {
        (start + by, column, None if end is None else end + by) for start, column, end in cut
    }


def test_a_selection_is_mirrored_with_its_key_and_its_button(editing):
    browser, folder = editing
    before, notes = difficulty(browser), notes_of(folder)
    chord(browser, CONTROL, "a")
    browser.type("m")
    changed(browser, before)
    assert sorted(notes_of(folder)) == sorted((start, 3 - column, end) for start, column, end in notes)
    middle = difficulty(browser)
    browser.click("#edit-mirror")  # what was mirrored is still selected
    changed(browser, middle)
    assert notes_of(folder) == notes


def test_buttons_copy_cut_paste_and_delete_without_a_keyboard(editing):
    browser, folder = editing
    before, notes = difficulty(browser), notes_of(folder)
    select_stretch(browser, START_MS, START_MS + BEAT_MS)
    browser.click("#edit-copy")
    browser.run("mania.seekChart(arguments[0])", FREE_MS)
    browser.click("#edit-paste")
    changed(browser, before)
    middle = difficulty(browser)
    browser.click("#edit-cut")  # the pasted notes are the selection
    changed(browser, middle)
    assert notes_of(folder) == notes


@pytest.mark.parametrize("reread", [False, True], ids=["alone", "while_the_notes_are_read_again"])
def test_dragging_one_note_of_a_selection_moves_all_of_it(editing, reread):
    browser, folder = editing
    before, notes = difficulty(browser), notes_of(folder)
    browser.run("mania.seekChart(arguments[0])", FREE_MS)
    browser.type("1")
    changed(browser, before)
    in_step(browser)
    if reread:
        browser.run(CATCH)
        browser.run(HOLD, "notes/")
    browser.type("2")
    browser.wait("return studio.view.state.difficulties[0].hand.length === 2")
    select_stretch(browser, FREE_MS, FREE_MS)
    placed = difficulty(browser)
    y = round(browser.run("return document.getElementById('roll').clientHeight / 2 - 60"))
    centre = browser.press("#roll", (-140, y))
    if reread:
        browser.wait(HOLDS)
        browser.run(RELEASE)
        in_step(browser)
        browser.run(LET_GO)
    # two columns to the right, a beat later
    browser.release((centre[0] - 140 + 190, centre[1] + y - round(BEAT_MS * 0.28)))
    changed(browser, placed)
    assert set(notes_of(folder)) - set(notes) == {(FREE_MS + BEAT_MS, 2, None), (FREE_MS + BEAT_MS, 3, None)}
    moved = difficulty(browser)
    browser.type(DELETE)
    changed(browser, moved)
    assert notes_of(folder) == notes


def test_notes_in_quick_succession_stay_though_the_notes_are_read_late(editing):
    browser, folder = editing
    notes = notes_of(folder)
    browser.run(LATE_NOTES)
    try:
        browser.run("mania.seekChart(arguments[0])", FREE_MS)
        browser.type("1")
        browser.wait("return readings.begun > 0")
        browser.type("2")
        browser.wait("return studio.view.state.difficulties[0].hand.length === 2")
        browser.wait("return readings.done > 0")
        browser.type("2")  # once more: it goes
        browser.wait("return studio.view.state.difficulties[0].hand.length === 1")
    finally:
        browser.run("window.fetch = plainFetch")
    assert set(notes_of(folder)) - set(notes) == {(FREE_MS, 0, None)}


LATE_NOTES = """
window.readings = { begun: 0, done: 0 };
window.plainFetch = window.fetch;
window.fetch = async (address, ...rest) => {
  const answer = await plainFetch(address, ...rest);
  if (!String(address).startsWith("notes/")) return answer;
  const text = await answer.text();
  await new Promise((done) => setTimeout(done, 300 * ++readings.begun));
  setTimeout(() => { readings.done += 1; }); // when they have been taken
  return new Response(text, { status: answer.status });
};"""
"""As on a busy machine: the notes of a chart arrive when the next one was placed long ago."""


def test_the_difficulty_that_was_watched_is_the_one_that_is_edited(editing):
    browser, _ = editing
    browser.click("#tabs [data-view=watch]")
    browser.click("#player .difficulties label:nth-of-type(2)")
    browser.click("#tabs [data-view=edit]")
    assert browser.run("return document.getElementById('edit-difficulty').value") == "insane"
    browser.run(HARD)
    browser.wait("return mania.chart.id === 'hard'")


def test_the_review_follows_an_edit(editing):
    browser, folder = editing
    before = difficulty(browser)
    browser.run("mania.seekChart(arguments[0])", FREE_MS)
    browser.type("1")
    changed(browser, before)
    browser.wait(f"return mania.chart.notes.length === {len(notes_of(folder))}")
    browser.wait(
        f"return document.getElementById('edit-accuracy').textContent.includes('{len(notes_of(folder))} notes')"
    )
