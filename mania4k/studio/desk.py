"""The desk: the project that is open, its jobs, and everything that the page may ask of them.

Every change names the revision it was made for; one that comes too late is refused, so two tabs do not overwrite each other.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mania4k.studio import uploads
from mania4k.studio.sets import order
from mania4k.studio.sets.project import Project, State
from mania4k.studio.sets.shelf import materialise, text_for_export
from mania4k.studio.work.jobs import Job, Jobs, WorkerProcess
from runtime.errors import ConfigError

SUFFIX = ".studio"
MAX_LISTED = 50
DEMO_SONG = Path(__file__).resolve().parents[2] / "examples" / "demo_song.ogg"


class Desk:
    """State of the server; every method raises Mania4KError with one line for the user."""

    def __init__(self, home: Path, do_job: Callable[[Desk, Job], Awaitable[None]]) -> None:
        """`do_job` does a job and puts its result into the project (`mania4k.studio.results`)."""
        self.home = home
        self.do_job = do_job
        self.project: Project | None = None
        self.jobs: Jobs | None = None
        self.heavy, self.quick = WorkerProcess(yields=True), WorkerProcess()
        self.preparing: asyncio.Task[Any] | None = None
        self.prepared: Path | None = None
        self.listeners: set[asyncio.Queue[dict[str, Any]]] = set()

    # Projects

    def open_path(self, path: Path) -> None:
        """Open a project's folder, or begin one for a song or set of this computer."""
        if path.is_dir():
            self.open_folder(path)
        else:
            self.new_from_file(path)

    def open_folder(self, folder: Path) -> None:
        """Work on the project of a folder."""
        self._use(Project.open(folder))
        self._analyse_unless_begun()

    def open_listed(self, name: Any) -> None:
        """Work on one of the projects that the start page lists, by its name: their order changes as they are used."""
        if name not in self.listed():
            raise ConfigError("there is no such project")
        self.open_folder(self.home / name)

    def listed(self) -> list[str]:
        """Names of the projects in the home folder, the latest first."""
        folders = [one for one in self.home.glob(f"*{SUFFIX}") if Project.is_in(one)]
        folders.sort(key=lambda folder: -(folder / "project.json").stat().st_mtime)
        return [folder.name for folder in folders[:MAX_LISTED]]

    def new_from_bytes(self, name: str, data: bytes) -> None:
        """A new project for a song or a set that was dropped."""
        suffix = uploads.suffix_of(name, (*uploads.SONGS, *uploads.SETS))
        if len(data) > uploads.LIMITS[suffix]:
            raise ConfigError(f"{name}: larger than {uploads.LIMITS[suffix] / 1e6:g} MB")
        folder = self._free_folder(Path(name).stem)
        staged = uploads.save_upload(self.home, f".mania4k-{secrets.token_hex(8)}", suffix, data)
        try:
            self.new_from_file(staged, name, folder)
        finally:
            staged.unlink(missing_ok=True)

    def new_from_file(self, path: Path, name: str | None = None, folder: Path | None = None) -> None:
        """A new project for a song or set on this computer."""
        name = name or path.name
        suffix = uploads.suffix_of(name, (*uploads.SONGS, *uploads.SETS))
        from mania4k.studio.sets.shelf import fill_from_set, fill_from_song

        folder = folder or self._free_folder(Path(name).stem)
        fill = fill_from_set if suffix in uploads.SETS else fill_from_song
        filled = folder.with_name(f".mania4k-{secrets.token_hex(8)}")  # a project is there with its song, or not at all
        try:
            fill(Project.create(filled), path, name)
            filled.rename(folder)
        except BaseException:
            shutil.rmtree(filled, ignore_errors=True)
            raise
        self.open_folder(folder)

    def _analyse_unless_begun(self) -> None:
        """Analyse a new project's song; also where the studio was killed before that began."""
        project = self.opened()
        begun = any(job.spec["kind"] == "analyse" for job in self.present_jobs().all.values())
        if project.state["song"] and not project.data["analysis"] and not begun:
            self.analyse()

    def analyse(self) -> None:
        """Analyse the song; a timing that is there stays."""
        self.present_jobs().add("analyse", "analysing the song", {"kind": "analyse"})

    def new_demo(self) -> None:
        """A new project for the demo song."""
        if not DEMO_SONG.is_file():
            raise ConfigError("the demo song is not installed; drop a song of your own")
        self.new_from_file(DEMO_SONG)

    def close(self) -> None:
        """Back to the start page; what runs is kept as unfinished."""
        if self.jobs is not None:
            self.jobs.stop()
        self.project = self.jobs = None
        self.tell({"kind": "state"})

    def _free_folder(self, stem: str) -> Path:
        plain = re.sub(r"[^\w\- ]+", " ", stem).strip()[:60].strip() or "song"
        number = 1
        while (folder := self.home / f"{plain}{f' {number}' * (number > 1)}{SUFFIX}").exists():
            number += 1
        return folder

    def _use(self, project: Project) -> None:
        self.close()
        self.project = project
        keep: Callable[[], None] = lambda: project.note(jobs=jobs.kept())  # noqa: E731
        jobs = Jobs(self._do, keep, lambda job: self._job_changed(jobs, job))
        jobs.restore(project.data["jobs"])
        self.jobs = jobs
        self.heavy.start()
        self.quick.start()
        self.tell({"kind": "state"})

    def _job_changed(self, jobs: Jobs, job: Job) -> None:
        """Tell the page of a job of the open project. A view that is on its way may be older: at a job's end it is read again."""
        if jobs is not self.jobs:
            return
        self.tell({"kind": "job", "job": job.to_json()})
        if not jobs.is_open(job.identity):
            self.tell({"kind": "state"})

    def opened(self) -> Project:
        if self.project is None:
            raise ConfigError("no song is open; drop one on the start page")
        return self.project

    def present_jobs(self) -> Jobs:
        self.opened()
        assert self.jobs is not None, "opened together"
        return self.jobs

    # What the page sees

    def view(self) -> dict[str, Any]:
        """Everything but the notes."""
        if self.project is None or self.jobs is None:
            return {"project": None, "projects": self.listed(), "demo": DEMO_SONG.is_file(), "revision": 0}
        data = self.project.data
        history, at = data["history"], data["at"]
        return {
            "project": self.project.folder.name,
            "revision": self.project.revision,
            "state": self.project.state,
            "analysis": data["analysis"],
            "undo": self.project.undoable,
            "redo": history[at + 1]["what"] if at + 1 < len(history) else "",
            "jobs": [job.to_json() for job in self.jobs.all.values()],
            "versions": self.versions,
            "presets": order.PRESETS,
            "levels": order.LEVELS,
            "pins": [pin["name"] for pin in data.get("pins", [])],
            "packed": data.get("packed"),
        }

    @property
    def versions(self) -> dict[str, dict[str, Any]]:
        """Difficulty → {span, digests, before}: versions of a stretch that wait to be chosen from."""
        waiting: dict[str, dict[str, Any]] = self.opened().data.setdefault("versions", {})
        return waiting

    def tell(self, event: dict[str, Any]) -> None:
        """Send an event to every open browser tab."""
        for queue in self.listeners:
            queue.put_nowait(event)

    def commit(self, what: str, change: Callable[[State], None], base: Any, adds: bool = False) -> None:
        """Change the set; see Project.commit."""
        project = self.opened()
        project.commit(what, change, base if isinstance(base, int) else None, adds)
        self._written()

    def step(self, by: int, base: Any) -> None:
        """Undo (`by` below 0) or redo (above 0) one change."""
        self.opened().step(by, base if isinstance(base, int) else None)
        self._written()

    def _written(self) -> None:
        project = self.opened()
        materialise(project)
        self.tell({"kind": "state"})

    async def page(self, texts: list[str]) -> dict[str, Any]:
        """The player's data of charts."""
        project = self.opened()
        targets: list[float | None] = [None] * len(texts)
        task = {"kind": "page", "song": str(project.song_path), "texts": texts, "targets": targets}
        return await self.quick.run(lambda: task, lambda share: None)

    def prepare_review(self) -> None:
        """Have the song analysed for reviews while its timing is found and its first difficulty is written."""
        song = self.opened().song_path
        if song is None or song == self.prepared:
            return
        self.prepared = song
        task = {"kind": "prepare", "song": str(song)}
        self.preparing = asyncio.get_running_loop().create_task(self.quick.run(lambda: task, lambda share: None))
        self.preparing.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # a review says what is wrong

    async def _do(self, job: Job) -> None:
        await self.do_job(self, job)

    def texts(self) -> list[str]:
        """The present charts as they leave the studio."""
        project = self.opened()
        return [text_for_export(project, one) for one in project.state["difficulties"]]

    def stop(self) -> None:
        """End the worker processes and all that is open."""
        if self.preparing is not None:
            self.preparing.cancel()
        if self.jobs is not None:
            self.jobs.stop()
        self.heavy.stop()
        self.quick.stop()
