"""Tasks and results of jobs: a task goes to a worker, its result into the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets.project import Project, State
from mania4k.studio.sets.shelf import difficulty_of
from mania4k.studio.work.jobs import Job
from runtime.errors import ConfigError

if TYPE_CHECKING:
    from mania4k.studio.desk import Desk

TOLD_SHARE = 0.005
"""Steps in which progress is reported to the page."""


async def do_job(desk: Desk, job: Job) -> None:
    """Do a job and keep what came of it."""
    project = desk.opened()

    def share(value: float) -> None:
        if value - job.share >= TOLD_SHARE or value < job.share:
            job.share = value
            desk.tell({"kind": "job", "job": job.to_json()})

    def began() -> None:
        job.status = "running"
        desk.tell({"kind": "job", "job": job.to_json()})

    task: dict[str, Any] = {}

    def made() -> dict[str, Any]:
        task.update(task_of(desk, project, job.spec))
        return task

    result = await desk.heavy.run(made, share, began)
    if desk.project is not project:
        return  # closed meanwhile
    KEEP[job.spec["kind"]](desk, project, task, result)


def task_of(desk: Desk, project: Project, spec: dict[str, Any]) -> dict[str, Any]:
    """The worker's task for a job: its spec with all that it needs from the project, and of which revision that is."""
    task = {**spec, "song": str(project.song_path), "revision": project.revision}
    if spec["kind"] == "generate":
        if not project.state["timing"]:
            raise ConfigError("the song's timing is not known; have the song analysed first")
        task["timing"] = project.state["timing"]
    elif spec["kind"] == "rewrite":
        one = project.difficulty(spec["id"])
        task |= {"text": project.chart_text(one["chart"]), "locks": one["locks"], "hand": one["hand"]}
        task["before"] = one["chart"]
    elif spec["kind"] == "pack":
        (project.folder / "out").mkdir(exist_ok=True)
        background = project.state["metadata"].get("background", "")
        task |= {
            "texts": desk.texts(),
            "targets": [one["order"].get("stars") for one in project.state["difficulties"]],
            "background": str(project.folder / background) if background else "",
            "out": str(project.folder / "out" / "set.osz"),
        }
    return task


def _analysed(desk: Desk, project: Project, task: dict[str, Any], result: dict[str, Any]) -> None:
    project.note(analysis={**result, "lines": None})

    def fill(state: State) -> None:
        if not state["timing"]:  # else it came with the set, or was tapped meanwhile
            state["timing"] = result["lines"]
        names = state["metadata"]
        stem = state["song"]["name"].rsplit(".", 1)[0]
        artist, _, title = stem.rpartition(" - ")
        names.setdefault("title_unicode", result["title"] or title or stem)
        names.setdefault("artist_unicode", result["artist"] or artist or "Unknown Artist")
        for name in ("title", "artist"):
            names.setdefault(name, romanised(names[f"{name}_unicode"]))
        names.setdefault("creator", "mania4k")
        if result["cover"]:
            names.setdefault("background", result["cover"])

    desk.commit("the song was analysed", fill, None)


def romanised(text: str) -> str:
    """Latin letters without accents; empty where there are none, for the user to fill in."""
    import unicodedata

    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return plain if plain.isascii() else ""


def _generated(desk: Desk, project: Project, task: dict[str, Any], result: dict[str, Any]) -> None:
    text, order = result["text"], task["order"]
    version = order["name"] or note_lines.chart_of(text).metadata.version
    taken = {one["name"] for one in project.state["difficulties"] if one["id"] != task["id"]}
    name, number = version, 2
    while name in taken:
        name, number = f"{version} {number}", number + 1
    one = difficulty_of(name, project.store_chart(text), order, task["id"])
    one["report"] = result["report"]
    one |= {key: order[key] for key in ("hp", "od") if key in order}

    def add(state: State) -> None:
        others = [other for other in state["difficulties"] if other["id"] != task["id"]]
        state["difficulties"] = sorted([*others, one], key=_stars)

    desk.commit(f"{name} written", add, None, adds=True)


def _stars(one: dict[str, Any]) -> float:
    return float(one.get("report", {}).get("stars") or one["order"].get("stars") or 0.0)


def _rewritten(desk: Desk, project: Project, task: dict[str, Any], result: dict[str, Any]) -> None:
    digests = [project.store_chart(text) for text in result["texts"]]
    if not digests:
        raise ConfigError("no version was written")
    if project.difficulty(task["id"])["chart"] != task["before"]:
        raise ConfigError("the difficulty was changed while its versions were written; write them again")
    desk.versions[task["id"]] = {"span": task["span"], "digests": digests, "before": task["before"]}
    project.save()
    desk.tell({"kind": "state"})


def _packed(desk: Desk, project: Project, task: dict[str, Any], result: dict[str, Any]) -> None:
    project.note(packed={**result, "revision": task["revision"]})
    desk.tell({"kind": "state"})


KEEP = {"analyse": _analysed, "generate": _generated, "rewrite": _rewritten, "pack": _packed}
"""By kind of job."""
