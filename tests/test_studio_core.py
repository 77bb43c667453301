"""The studio without a browser: projects, timing, notes, orders, and who may ask."""

import asyncio
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from chart.formats.osu_write import format_osu
from chart.formats.osz import read_osz, write_osz
from ear.audio import shared
from ear.audio.decode import BROWSER_SUFFIXES
from mania4k.studio import uploads
from mania4k.studio.pages import STATIC
from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets import order, timing
from mania4k.studio.sets.project import FILE, Project, StaleError
from mania4k.studio.sets.shelf import difficulty_of, materialise
from mania4k.studio.work.jobs import WorkerProcess
from mania4k.studio.work.packing import write_set
from mania4k.studio.work.worker import NICENESS, timing_text
from mapper.request import levels, options
from mapper.request.timing_file import read_timing
from runtime.errors import ConfigError
from tests.eye_pages import busy_chart, song_file
from tests.hostile_uploads import hostile_uploads
from tests.studio_server import Client, idle_desk, short_song

LINES = [[100.0, 400.0, 4, 0], [10_000.0, 375.0, 3, 0]]


@pytest.fixture
def client(tmp_path):
    client = Client(idle_desk(tmp_path))
    yield client
    client.close()


@pytest.fixture
def opened(client):
    """A project with a song, a timing and one difficulty."""
    assert client.drop("song.wav", short_song()).status == 200
    project = client.desk.project
    text = format_osu(busy_chart(60, 1, name="Hard"))
    one = difficulty_of("Hard", project.store_chart(text), {"stars": 3.0}, "abc")
    project.commit("test", lambda state: state.update(timing=LINES, difficulties=[one]))
    return client


def state(client):
    return client.ask("/view").json["state"]


# Timing


@pytest.mark.parametrize(
    ("what", "values", "expected"),
    [
        ("scale", {"ratio": 2}, [[100, 200, 4, 0], [10_000, 187.5, 3, 0]]),
        ("scale", {"ratio": 1.5}, [[100, 400 / 1.5, 4, 0], [10_000, 250, 3, 0]]),
        ("shift", {"beats": 0.5}, [[300, 400, 4, 0], [10_187.5, 375, 3, 0]]),
        ("offset", {"ms": -3}, [[97, 400, 4, 0], [9_997, 375, 3, 0]]),
        ("metre", {"metre": 3}, [[100, 400, 3, 0], [10_000, 375, 3, 0]]),
        ("bpm", {"index": 1, "bpm": 100}, [[100, 400, 4, 0], [10_000, 600, 3, 0]]),
        ("add", {"time_ms": 5_000}, [[100, 400, 4, 0], [5_000, 400, 4, 0], [10_000, 375, 3, 0]]),
        ("move", {"index": 1, "time_ms": 20}, [[20, 375, 3, 0], [100, 400, 4, 0]]),
        ("remove", {"index": 0}, [[10_000, 375, 3, 0]]),
        ("tap", {"times_ms": [50, 550, 1050, 2050, 2550]}, [[50, 500, 4, 0]]),
    ],
)
def test_a_timing_is_corrected(what, values, expected):
    assert timing.edit(LINES, what, values) == [pytest.approx(line) for line in expected]


@pytest.mark.parametrize(
    ("what", "values", "words"),
    [
        ("scale", {"ratio": 1e9}, "BPM is outside"),
        ("scale", {"ratio": 0}, "more than 0"),
        ("scale", {"ratio": "2"}, "ratio must be a number"),
        ("metre", {"metre": 0}, "beats a bar is outside"),
        ("remove", {"index": 7}, "no red line 7"),
        ("tap", {"times_ms": [1, 2, 3]}, "at least 4 beats"),
        ("tap", {"times_ms": [1, 1, 1, 1]}, "all at one time"),
        ("set", {"lines": [[0, -1, 4, 0]]}, "BPM is outside"),
        ("set", {"lines": [[0, 400, 4]]}, "needs a time"),
        ("system", {}, "no correction"),
    ],
)
def test_a_wrong_correction_is_refused(what, values, words):
    with pytest.raises(ConfigError, match=words):
        timing.edit(LINES, what, values)


def test_a_timing_reaches_the_command_to_the_last_bit(tmp_path):
    lines = [[1211.123456789012, 60_000 / 158.00123, 4, 0], [9_000.1, 400.3, 3, 8]]
    path = tmp_path / "timing.txt"
    path.write_text(timing_text(lines))
    read = [[one.time_ms, one.beat_length_ms, one.meter, one.effects] for one in read_timing(path)]
    assert read == lines


# Notes


def test_notes_that_are_not_changed_stay_to_the_byte():
    text = format_osu(busy_chart(80, 2)).replace(",0:0:0:0:", ",0:0:0:70:clap.wav")
    before = note_lines.notes_of(text)
    free = before[-1][0] + 5_000
    changed = note_lines.edited(text, [before[3]], [(free, 1, None), (free, 2, free + 300)], [])
    lines = set(text.splitlines())
    kept = [line for line in changed.splitlines() if line in lines]
    assert len(kept) == len(text.splitlines()) - 1
    assert len(note_lines.notes_of(changed)) == 81
    assert np.array_equal(note_lines.chart_of(changed).time_ms, [one[0] for one in note_lines.notes_of(changed)])


def test_a_locked_section_refuses_changes():
    text = format_osu(busy_chart(80, 2))
    before = note_lines.notes_of(text)
    lock = [before[10][0], before[20][0]]
    with pytest.raises(ConfigError, match="locked section"):
        note_lines.edited(text, [before[12]], [], [lock])
    assert note_lines.edited(text, [before[40]], [], [lock])


def test_a_rewritten_stretch_keeps_locks_and_notes_made_by_hand():
    old = [(n * 100, n % 4, None) for n in range(40)]
    new = [(n * 100 + 50, n % 4, None) for n in range(40)]
    merged = note_lines.merged(old, new, [1000, 3000], [[1500, 2000]], [(2500, 25 % 4, None)])
    assert [note for note in merged if 1500 <= note[0] < 2000] == old[15:20]
    assert old[25] in merged
    assert old[11] not in merged
    assert new[11] in merged
    assert [note for note in merged if not 1000 <= note[0] < 3000] == old[:10] + old[30:]


def test_clashing_notes_are_refused():
    text = format_osu(busy_chart(10, 1))
    first = note_lines.notes_of(text)[0]
    with pytest.raises(ConfigError, match="notes: "):
        note_lines.edited(text, [], [(first[0], first[1], first[0] + 40)], [])


# Projects


def test_everything_can_be_undone_and_redone(opened):
    assert opened.do("timing", what="offset", ms=5).json["state"]["timing"][0][0] == 105
    opened.do("difficulty", id="abc", name="Harder")
    opened.do("metadata", fields={"title_unicode": "夜"})
    for _ in range(3):
        assert opened.do("undo").status == 200
    now = state(opened)
    assert [now["timing"][0][0], now["difficulties"][0]["name"]] == [100, "Hard"]
    assert "title_unicode" not in now["metadata"]
    for _ in range(3):
        opened.do("redo")
    assert state(opened)["metadata"]["title_unicode"] == "夜"
    assert opened.do("redo").error == "nothing to redo"


def test_a_change_for_an_older_state_is_refused(opened):
    base = opened.ask("/view").json["revision"]
    assert opened.do("timing", what="offset", ms=5, base=base).status == 200
    late = opened.do("timing", what="offset", ms=7, base=base)
    assert late.status == 409
    assert "another tab" in late.error
    assert state(opened)["timing"][0][0] == 105


def test_a_project_is_opened_again_as_it_was(opened, tmp_path):
    opened.do("timing", what="scale", ratio=2)
    folder = opened.desk.project.folder
    again = Project.open(folder)
    assert again.state == opened.desk.project.state
    assert again.data["history"] == json.loads(json.dumps(opened.desk.project.data["history"]))
    with pytest.raises(ConfigError, match="is a project already"):
        Project.create(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "history": [], "at": 0}',
        '{"format": 1, "history": [{"state": {"song": {"file": "../x.mp3"}, "timing": [], "metadata": {}, "difficulties": []}}],'
        ' "at": 0, "revision": 1, "jobs": {}}',
        "[" * 100_000,
    ],
)
def test_a_broken_project_is_refused_with_a_word(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"project"):
        Project.open(tmp_path)


def test_difficulties_are_ordered_while_the_song_is_analysed(client):
    assert client.drop("song.wav", short_song()).status == 200
    assert client.ask("/view").json["state"]["timing"] == []
    assert client.do("order", orders=[{"stars": 3}]).status == 200  # its task is made after the analysis
    client.do("cancel", job="analyse")
    client.ask("/view")
    assert "timing is not known" in client.do("order", orders=[{"stars": 3}]).error


def test_a_killed_studio_names_its_unfinished_jobs(opened):
    opened.do("order", orders=[{"stars": 3}])
    folder = opened.desk.project.folder
    assert {"analyse"} < set(json.loads((folder / FILE).read_text())["jobs"])  # written before the work began
    other = Client(idle_desk(folder.parent))
    other.desk.open_folder(folder)
    jobs = other.ask("/view").json["jobs"]
    assert {job["status"] for job in jobs} == {"unfinished"}
    written = next(job for job in jobs if job["kind"] == "generate")
    assert "3 stars" in written["what"]
    again = other.do("again", job=written["id"]).json["jobs"]
    assert next(job for job in again if job["id"] == written["id"])["status"] in ("waiting", "running")
    assert other.do("cancel", job=written["id"]).status == 200
    other.close()


def test_a_studio_killed_before_it_analysed_the_song_does_so_when_opened_again(opened):
    folder = opened.desk.project.folder
    kept = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(kept | {"jobs": {}}))
    other = Client(idle_desk(folder.parent))
    assert [job["kind"] for job in other.do("open", name=folder.name).json["jobs"]] == ["analyse"]
    other.close()


def test_the_present_charts_lie_beside_the_song_and_foreign_changes_stay(opened):
    project = opened.desk.project
    materialise(project)
    (first,) = project.folder.glob("*.osu")
    assert "AudioFilename:song.wav" in first.read_text().replace(": ", ":")
    opened.do("difficulty", id="abc", name="Other")
    (second,) = project.folder.glob("*.osu")
    assert second != first
    second.write_text(second.read_text() + "//mine\n")
    opened.do("difficulty", id="abc", name="Third")
    assert second.read_text().endswith("//mine\n")
    assert len(list(project.folder.glob("*.osu"))) == 2


def test_stale_errors_differ_from_others():
    assert issubclass(StaleError, Exception)
    assert not issubclass(StaleError, ConfigError)


# Sets


def test_a_set_edited_in_osu_comes_back(opened, tmp_path):
    chart = busy_chart(70, 9, name="Hard")
    audio = tmp_path / "a.ogg"
    audio.write_bytes(song_file(8).data)
    other = replace(busy_chart(30, 3, name="New"), metadata=replace(chart.metadata, version="New"))
    path = tmp_path / "back.osz"
    write_osz([chart, other], audio, path)
    view = opened.drop("back.osz", path.read_bytes()).json
    names = {one["name"]: one["chart"] for one in view["state"]["difficulties"]}
    assert set(names) == {"Hard", "New"}
    assert len(note_lines.notes_of(opened.desk.project.chart_text(names["Hard"]))) == 70


def test_a_set_begins_a_project_and_leaves_it_again(client, tmp_path):
    chart = replace(busy_chart(50, 4, name="夜"), metadata=replace(busy_chart(1, 1).metadata, title="T", version="夜"))
    audio = tmp_path / "a.ogg"
    audio.write_bytes(song_file(8).data)
    path = tmp_path / "in.osz"
    write_osz([chart], audio, path)
    view = client.drop("in.osz", path.read_bytes()).json
    assert [one["name"] for one in view["state"]["difficulties"]] == ["夜"]
    assert view["state"]["timing"] == [[100.0, 400.0, 4, 0]]
    project = client.desk.project
    out = tmp_path / "out.osz"
    write_set(client.desk.texts(), project.song_path, None, out)
    (back,) = read_osz(out).charts
    assert np.array_equal(back.time_ms, np.rint(chart.time_ms))
    assert read_osz(out).read_audio() == song_file(8).data
    with zipfile.ZipFile(out) as archive:
        assert "audio.ogg" in archive.namelist()


# Who may ask


@pytest.mark.parametrize(
    ("path", "headers", "token"),
    [
        ("/", {}, ""),
        ("/", {}, "wrong"),
        ("/view", {}, "a-toke"),
        ("/view", {"host": "evil.example"}, "a-token"),
        ("/view", {"host": "127.0.0.1"}, "a-token"),
        ("/song", {"origin": "http://evil.example"}, "a-token"),
        ("/song", {"origin": "null"}, "a-token"),
        ("/song", {"origin": "http://127.0.0.1:9"}, "a-token"),
        ("/view", {"sec-fetch-site": "cross-site"}, "a-token"),
        ("/view", {"sec-fetch-site": "same-site"}, "a-token"),
    ],
)
@pytest.mark.parametrize("body", [None, b"{}"])
def test_foreign_requests_get_403(opened, path, headers, token, body):
    answer = opened.ask(path, body, headers, token)
    assert answer.status == 403
    assert b"403" in answer.body


def test_our_own_page_may_ask_and_every_answer_is_fenced(opened):
    answer = opened.ask("/view", headers={"origin": "http://127.0.0.1:4242", "sec-fetch-site": "same-origin"})
    assert answer.status == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../guard.py",
        "/static/%2e%2e%2fguard.py",
        "/static/studio.html",
        "/static/nothing.js",
        "/notes/../../project",
        "/notes/0123456789abcdef",
        "/out/osz",
        "/out/../project.json",
        "/project.json",
        "/etc/passwd",
    ],
)
def test_nothing_is_served_but_the_projects_own_files(opened, path):
    assert opened.ask(path).status in (400, 404)


# Hostile input


def test_fifty_hostile_uploads_get_a_line_each_and_leave_nothing(client, tmp_path):
    count = 0
    for name, data in hostile_uploads():
        answer = client.drop(name, data)
        assert answer.status == 400, (name, answer.body[:200])
        assert answer.error
        assert "\n" not in answer.error
        assert "Traceback" not in answer.error
        assert list(tmp_path.iterdir()) == [], name
        count += 1
    assert count >= 50


def test_songs_that_only_browsers_decode_are_sent_there(client, tmp_path):
    assert set(uploads.DECODED_BY_PAGE) == BROWSER_SUFFIXES
    script = (STATIC / "wav.js").read_text()
    assert "(" + "|".join(suffix.lstrip(".") for suffix in uploads.DECODED_BY_PAGE) + ")$/i" in script
    song = tmp_path / "song.m4a"
    song.write_bytes(b"\0\0\0 ftypM4A ")
    with pytest.raises(ConfigError, match="start `mania4k studio` and drop the song on its page"):
        client.desk.open_path(song)


def test_an_upload_that_is_too_large_is_refused_before_it_is_kept(client, monkeypatch):
    monkeypatch.setitem(uploads.LIMITS, ".wav", 1_000)
    assert "larger than 0.001 MB" in client.drop("x.wav", bytes(1_001)).error
    assert client.ask("/do/timing", bytes(uploads.MAX_JSON_BYTES + 1)).status == 400


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nonsense", b'{"base": NaN}', b"[" * 50_000, b'{"what": {"a": 1}}', b"\xff\xfe"]
)
@pytest.mark.parametrize(
    "name", ["timing", "order", "edit", "metadata", "lock", "rewrite", "take", "open", "pin", "none"]
)
def test_broken_requests_get_a_line(opened, name, body):
    answer = opened.ask(f"/do/{name}", body)
    if name == "pin" and answer.status == 200:
        return  # an empty request keeps the present version under a name of its own
    assert answer.status in (400, 404)
    assert "\n" not in answer.error


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stars": 99}, "stars: must be 0.5 to 10"),
        ({"stars": float("inf")}, "stars"),
        ({"stars": 3, "patterns": {"<b>": 0.5}}, "unknown"),
        ({"stars": 3, "style": "../x"}, "style"),
        ({"stars": 3, "effort": "max"}, "effort"),
        ({"stars": 3, "holds": 2}, "holds"),
        ({"stars": 3, "density": 1.7}, "density: must be 0.5 to 1.6"),
        ({"stars": 3, "name": "x" * 81}, "longer than 80"),
        ({"stars": 3, "seed": -1}, "seed"),
        ({"stars": True}, "stars"),
    ],
)
def test_orders_are_checked(values, words):
    with pytest.raises(ConfigError, match=words):
        order.checked_order(values)


def test_an_order_is_the_commands_request(tmp_path):
    checked = order.checked_order(
        {"stars": 3.5, "holds": 0.2, "density": 1.2, "patterns": {"stream": 0.4}, "seed": 7, "effort": "normal"}
    )
    config = order.config_of(checked, tmp_path / "s.ogg", tmp_path / "o.osz")
    assert (config.stars, config.holds, config.seed, config.effort) == ((3.5,), 0.2, 7, "normal")
    assert config.density == 1.2
    assert order.DENSITY_RANGE == options.DENSITY_RANGE
    assert {levels.LEVEL_NAMES[level]: stars for level, stars in levels.TYPICAL_STARS.items()} == order.LEVELS


def test_a_background_must_be_a_picture(opened):
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    view = opened.drop("bg.jpg", png).json  # by its contents, not by its name
    assert view["state"]["metadata"]["background"].endswith(".png")
    answer = opened.ask("/background")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")


# Workers


def test_the_process_that_writes_yields_to_the_page():
    """The command runs at the usual priority, the worker below it."""
    import os
    import subprocess
    import sys

    if sys.platform == "win32":
        pytest.skip("Windows has priority classes")
    code = "import os; from mania4k.studio.work import worker; worker.lower_priority(); print(os.nice(0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == min(os.nice(0) + NICENESS, 19)


def test_a_task_is_made_when_its_turn_comes():
    asyncio.run(_two_tasks())


async def _two_tasks():
    order = []

    class Process(WorkerProcess):
        def start(self):
            pass

        async def _answer(self, task, share):
            order.append(f"done {task['name']}")
            await asyncio.sleep(0)
            return {}

    def task(name):
        order.append(f"made {name}")
        return {"name": name}

    process = Process()
    await asyncio.gather(*(process.run(lambda name=name: task(name), lambda share: None) for name in "ab"))
    assert order == ["made a", "done a", "made b", "done b"]


def test_a_song_is_decoded_once_while_it_is_held(tmp_path, monkeypatch):
    path = tmp_path / "song.wav"
    path.write_bytes(short_song())
    held = shared.audio_of(path)
    monkeypatch.setattr(shared, "load_audio", lambda _: pytest.fail("decoded again"))
    assert shared.audio_of(path) is held
    monkeypatch.undo()
    path.write_bytes(short_song()[:-44_100])
    assert shared.audio_of(path) is not held
