"""A project: one song's set in the making, a folder on disk that survives a killed server.

    song.mp3              the song
    project.json          every state of the set up to now, and which of them is the present one
    charts/<digest>.osu   charts; a file is never changed, states name them by digest
    Artist - Title (mapper) [Hard].osu    the present charts, for osu! and for the other commands

A change makes a new state, so undo and redo work over everything. All files are replaced as wholes.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.atomic_write import save_bytes
from runtime.errors import ConfigError, Mania4KError

FORMAT = 1
FILE = "project.json"
MAX_HISTORY = 200
"""States that can be undone."""
MAX_PROJECT_BYTES = 50_000_000
STALE = "the set was changed meanwhile, perhaps in another tab; look at it and try again"
_DIGEST = re.compile(r"[0-9a-f]{16}")

State = dict[str, Any]
"""JSON: song, timing [[time_ms, beat_ms, metre]], metadata, difficulties; times are on osu!'s clock."""

BEGINNING = ("new project", "song", "set", "the song was analysed")
"""Changes that cannot be undone: without them there is nothing to work on."""
EMPTY_STATE: State = {"song": None, "timing": [], "metadata": {}, "difficulties": []}


class StaleError(Mania4KError):
    """The change was made to a state that is no longer the present one."""


class Project:
    """The project of a folder; `revision` counts every change, undoing included."""

    def __init__(self, folder: Path, data: dict[str, Any]) -> None:
        self.folder = folder
        self.data = data
        self.changed_at = self.revision  # since then difficulties were added at most

    @classmethod
    def create(cls, folder: Path) -> Project:
        """A new, empty project; the folder must not hold one."""
        if (folder / FILE).exists():
            raise ConfigError(f"{folder}: is a project already; open it with `mania4k studio {folder}`")
        (folder / "charts").mkdir(parents=True, exist_ok=True)
        first = {"what": "new project", "state": copy.deepcopy(EMPTY_STATE)}
        project = cls(
            folder, {"format": FORMAT, "revision": 0, "at": 0, "history": [first], "jobs": {}, "analysis": {}}
        )
        project.save()
        return project

    @classmethod
    def open(cls, folder: Path) -> Project:
        """The project of a folder, as it was left."""
        path = folder / FILE
        try:
            if path.stat().st_size > MAX_PROJECT_BYTES:
                raise ConfigError(f"{path}: larger than {MAX_PROJECT_BYTES / 1e6:g} MB; is it a project?")
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(f"{folder}: no project ({FILE} is missing); name a song to begin one") from error
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: cannot be read as a project ({error})") from error
        _check(data, path)
        (folder / "charts").mkdir(exist_ok=True)
        return cls(folder, data)

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder holds a project."""
        return (folder / FILE).is_file()

    @property
    def state(self) -> State:
        """The present state; change a copy and `commit` it."""
        state: State = self.data["history"][self.data["at"]]["state"]
        return state

    @property
    def revision(self) -> int:
        return int(self.data["revision"])

    @property
    def song_path(self) -> Path | None:
        """Path of the song; None while there is none."""
        song = self.state["song"]
        return self.folder / song["file"] if song else None

    def difficulty(self, identity: str) -> dict[str, Any]:
        """A difficulty of the present state by its id."""
        for one in self.state["difficulties"]:
            if one["id"] == identity:
                return dict(one)
        raise ConfigError(f"difficulty {identity[:20]}: is not in the set any more")

    def commit(self, what: str, change: Callable[[State], None], base: int | None = None, adds: bool = False) -> None:
        """Make `change` to a copy of the present state, keep it as the new one and write everything.

        base: the revision the change was made for; StaleError where another one came between.
        adds: the change adds a difficulty that was written, which no other change depends on: it does not come between.
        """
        if base is not None and not self.changed_at <= base <= self.revision:
            raise StaleError(STALE)
        state = copy.deepcopy(self.state)
        change(state)
        kept = self.data["history"][: self.data["at"] + 1][-(MAX_HISTORY - 1) :]
        self.data["history"] = [*kept, {"what": what, "state": state}]
        self.data["at"] = len(kept)
        self._changed(adds)

    @property
    def undoable(self) -> str:
        """What undo would undo; empty for nothing."""
        at = self.data["at"]
        what = str(self.data["history"][at]["what"])
        return what if at and what not in BEGINNING else ""

    def step(self, by: int, base: int | None = None) -> str:
        """Undo (−1) or redo (+1); returns what was undone or redone."""
        if base is not None and base != self.revision:
            raise StaleError(STALE)
        at = self.data["at"] + by
        if by < 0 and not self.undoable:
            raise ConfigError("nothing to undo")
        if at >= len(self.data["history"]):
            raise ConfigError("nothing to redo")
        what = self.data["history"][max(at, self.data["at"])]["what"]
        self.data["at"] = at
        self._changed()
        return str(what)

    def note(self, **fields: Any) -> None:
        """Store `jobs`, `analysis` or `versions` beside the states; undo leaves them as they are."""
        self.data |= fields
        self.save()

    def store_chart(self, text: str) -> str:
        """Keep a chart's text; returns its digest."""
        data = text.encode("utf-8")
        digest = hashlib.sha256(data).hexdigest()[:16]
        path = self.folder / "charts" / f"{digest}.osu"
        if not path.exists():
            save_bytes(path, data)
        return digest

    def chart_text(self, digest: str) -> str:
        """The text of a chart that was stored."""
        if not _DIGEST.fullmatch(digest):
            raise ConfigError("no chart of that name")
        try:
            return (self.folder / "charts" / f"{digest}.osu").read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{self.folder}/charts/{digest}.osu: cannot be read ({error.strerror})") from error

    def save(self) -> None:
        """Write project.json as a whole."""
        save_bytes(self.folder / FILE, json.dumps(self.data, ensure_ascii=False).encode("utf-8", "replace"))

    def _changed(self, adds: bool = False) -> None:
        self.data["revision"] += 1
        if not adds:
            self.changed_at = self.revision
        self.save()


def _check(data: Any, path: Path) -> None:
    """Raise ConfigError for what no version of this program wrote."""
    wrong = f"{path}: is not a project of this program"
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ConfigError(f"{wrong} (format {data.get('format') if isinstance(data, dict) else 'unknown'})")
    history, at = data.get("history"), data.get("at")
    if not isinstance(history, list) or not isinstance(at, int) or not 0 <= at < len(history):
        raise ConfigError(f"{wrong} (no history)")
    if not isinstance(data.get("revision"), int) or not isinstance(data.get("jobs"), dict):
        raise ConfigError(f"{wrong} (no revision)")
    for entry in history:
        state = entry.get("state") if isinstance(entry, dict) else None
        if not isinstance(state, dict) or set(EMPTY_STATE) - set(state):
            raise ConfigError(f"{wrong} (a state is broken)")
        song = state["song"]
        if song is not None and not re.fullmatch(r"song\.[a-z0-9]{2,5}", str(song.get("file"))):
            raise ConfigError(f"{wrong} (its song lies elsewhere)")
