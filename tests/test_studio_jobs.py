"""What comes between: changes, undoing and closing while the studio's jobs are at work."""

import asyncio

import pytest

from chart.formats.osu_write import format_osu
from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets.project import Project
from mania4k.studio.sets.shelf import difficulty_of
from mania4k.studio.work.jobs import JobError
from tests.eye_pages import busy_chart
from tests.studio_projects import LINES, analysis
from tests.studio_server import Client, NoWorker, idle_desk, short_song

TAPS = [50, 550, 1050, 1550, 2050]


class ToldWorker(NoWorker):
    """Stands for a worker process: a task is done when the test says so."""

    def __init__(self):
        self.asked = asyncio.Queue()
        self.answers = asyncio.Queue()

    async def run(self, task, share, began=lambda: None):
        began()
        self.asked.put_nowait(task())
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Work:
    """A desk with one difficulty and a worker that waits for `does`."""

    def __init__(self, home):
        self.client = Client(idle_desk(home))
        self.desk = self.client.desk
        self.worker = self.desk.heavy = ToldWorker()
        self.events = asyncio.Queue()
        self.desk.listeners.add(self.events)

    def begin(self):
        """A song whose analysis has begun."""
        assert self.client.drop("song.wav", short_song()).status == 200
        self.client.ask("/view")
        return self

    def until_asked(self):
        """The worker's next task."""
        return self.client.loop.run_until_complete(asyncio.wait_for(self.worker.asked.get(), 60))

    def does(self, answer):
        """The worker's task ends with a result or an error, and what follows is done."""

        async def done():
            open_ones = [job.task for job in self.desk.jobs.all.values() if job.task and not job.task.done()]
            self.worker.answers.put_nowait(answer)
            await asyncio.wait(open_ones, return_when=asyncio.FIRST_COMPLETED)

        self.client.loop.run_until_complete(done())

    def new_events(self):
        """Events since last asked."""
        return [self.events.get_nowait() for _ in range(self.events.qsize())]

    @property
    def view(self):
        return self.client.ask("/view").json

    def job(self, identity):
        return next(one for one in self.view["jobs"] if one["id"] == identity)


@pytest.fixture
def analysing(tmp_path):
    work = Work(tmp_path).begin()
    work.until_asked()
    yield work
    work.client.close()


@pytest.fixture
def work(analysing):
    """With a timing and a difficulty."""
    analysing.does(analysis() | {"lines": LINES})
    project = analysing.desk.project
    text = format_osu(busy_chart(60, 1, name="Hard"))
    one = difficulty_of("Hard", project.store_chart(text), {"stars": 3.0}, "abc")
    project.commit("test", lambda state: state.update(difficulties=[one]))
    analysing.new_events()
    return analysing


def generated():
    return {"text": format_osu(busy_chart(80, 2, name="Insane")), "report": {"stars": 4.0}}


def test_a_timing_tapped_while_the_song_is_analysed_stays(analysing):
    assert analysing.client.do("timing", what="tap", times_ms=TAPS).status == 200
    analysing.does(analysis() | {"lines": LINES})
    assert analysing.view["state"]["timing"] == [[50, 500, 4, 0]]
    assert analysing.view["state"]["metadata"]["title_unicode"] == "song"


def test_a_cancelled_analysis_is_begun_again(analysing):
    assert analysing.client.do("cancel", job="analyse").status == 200
    assert analysing.job("analyse")["status"] == "cancelled"
    assert analysing.client.do("analyse").status == 200
    analysing.until_asked()
    assert "at work already" in analysing.client.do("analyse").error
    analysing.does(analysis() | {"lines": LINES})
    assert analysing.view["state"]["timing"] == LINES


def test_undo_leaves_the_song_and_its_analysis(analysing):
    assert analysing.client.do("undo").error == "nothing to undo"
    analysing.does(analysis() | {"lines": LINES})
    assert analysing.view["undo"] == ""
    assert analysing.client.do("undo").error == "nothing to undo"
    analysing.client.do("timing", what="offset", ms=5)
    assert analysing.view["undo"] == "timing: offset"
    assert analysing.client.do("undo").status == 200
    assert analysing.view["state"]["timing"] == LINES


def test_a_red_line_before_the_beat_is_known_gets_a_line(analysing):
    assert "not known yet" in analysing.client.do("timing", what="add", time_ms=500).error


def test_a_change_is_made_though_a_difficulty_was_written_meanwhile(work):
    base = work.view["revision"]
    work.client.do("order", orders=[{"stars": 4}])
    work.until_asked()
    work.does(generated())
    assert len(work.view["state"]["difficulties"]) == 2
    assert work.client.do("timing", what="offset", ms=5, base=base).status == 200
    assert len(work.view["state"]["difficulties"]) == 2
    assert work.client.do("timing", what="offset", ms=5, base=base).status == 409  # that one was another's change


def test_undo_is_refused_where_a_difficulty_was_written_meanwhile(work):
    work.client.do("timing", what="offset", ms=5)
    base = work.view["revision"]
    work.client.do("order", orders=[{"stars": 4}])
    work.until_asked()
    work.does(generated())
    assert work.client.do("undo", base=base).status == 409  # it would take the difficulty, not the offset
    assert len(work.view["state"]["difficulties"]) == 2


def test_versions_of_a_difficulty_that_was_changed_meanwhile_are_not_offered(work):
    assert work.client.do("rewrite", id="abc", span=[2000, 6000]).status == 200
    task = work.until_asked()
    added = work.client.do("edit", id="abc", add=[[20_100, 0, None]])
    assert added.status == 200
    work.does({"texts": [task["text"]]})
    assert "changed while its versions were written" in work.job("abc-rewrite")["error"]
    assert work.view["versions"] == {}
    (one,) = work.view["state"]["difficulties"]
    assert (20_100, 0, None) in note_lines.notes_of(work.desk.project.chart_text(one["chart"]))


def test_versions_of_an_unchanged_difficulty_are_offered(work):
    work.client.do("rewrite", id="abc", span=[2000, 6000])
    task = work.until_asked()
    work.does({"texts": [task["text"]]})
    assert work.view["versions"]["abc"]["span"] == [2000, 6000]


def test_a_set_changed_while_it_is_packed_is_to_be_packed_again(work):
    work.client.do("pack")
    work.until_asked()
    work.client.do("difficulty", id="abc", name="Harder")
    work.does({"osz": "set.osz", "page": "set.html"})
    assert work.view["packed"]["revision"] < work.view["revision"]
    work.client.do("pack")
    work.until_asked()
    work.does({"osz": "set.osz", "page": "set.html"})
    assert work.view["packed"]["revision"] == work.view["revision"]


def test_work_that_is_begun_is_not_begun_twice(work):
    work.client.do("pack")
    work.until_asked()
    assert "at work already" in work.client.do("pack").error
    work.does({"osz": "set.osz", "page": "set.html"})
    assert work.client.do("pack").status == 200


def test_a_packed_set_that_is_gone_gets_a_line(work):
    work.client.do("pack")
    work.until_asked()
    work.does({"osz": "set.osz", "page": "set.html"})
    assert "pack it again" in work.client.ask("/out/osz").error


@pytest.mark.parametrize("error", [JobError("out of memory"), OSError("disk full"), KeyError("fault of ours")])
def test_the_page_reads_the_view_again_when_a_job_ends_however_it_ends(work, error):
    work.client.do("pack")
    work.until_asked()
    work.new_events()
    work.does(error)
    kinds = [event["kind"] for event in work.new_events()]
    assert kinds == ["job", "state"]
    assert work.job("pack")["status"] == "failed"
    assert str(error.args[0]) in work.job("pack")["error"]


def test_the_page_is_not_told_of_jobs_of_a_project_that_was_closed(work):
    work.client.do("pack")
    work.until_asked()
    folder = work.desk.project.folder
    work.new_events()
    work.client.do("close")
    work.client.ask("/view")
    assert [event["kind"] for event in work.new_events()] == ["state"]
    assert set(Project.open(folder).data["jobs"]) == {"pack"}  # and it can be gone on with


def test_a_project_is_opened_by_its_name(work):
    work.client.do("close")
    listed = work.view["projects"]
    assert work.client.do("open", name=listed[0]).json["project"] == listed[0]
    assert "no such project" in work.client.do("open", name="../other.studio").error
    assert "no such project" in work.client.do("open", name=["x"]).error
