"""Between a project and the files of osu!: a dropped song or set fills it, its charts are written beside the song."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from chart.formats.osu_write import format_osu
from chart.formats.osz import chart_file_names, read_osz
from chart.formats.parsing import MAX_TEXT_BYTES, decode_as_the_game, shown
from chart.formats.safe_zip import open_archive, read_member
from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets.project import Project, State
from runtime.atomic_write import save_bytes
from runtime.errors import ChartFileError, ConfigError

FIELDS = {
    "title": "Title",
    "title_unicode": "TitleUnicode",
    "artist": "Artist",
    "artist_unicode": "ArtistUnicode",
    "creator": "Creator",
    "source": "Source",
    "tags": "Tags",
}
"""Of the set's metadata: the field of an `.osu` file."""
AUDIO_SUFFIXES = (".mp3", ".ogg", ".opus", ".flac", ".wav")


def fill_from_song(project: Project, path: Path, name: str) -> None:
    """Copy the song into an empty project; its names come from its tags when it is analysed."""
    file = f"song{Path(name).suffix.lower()}"
    shutil.copyfile(path, project.folder / file)
    project.commit("song", lambda state: state.update(song={"file": file, "name": name}))


def fill_from_set(project: Project, path: Path, name: str) -> None:
    """Take song, timing, names and charts of an `.osz` into an empty project."""
    beatmapset = read_osz(path)
    if not beatmapset.charts:
        reason = f" ({beatmapset.skipped[0].reason})" if beatmapset.skipped else ""
        raise ChartFileError(f"{name}: no osu!mania 4K chart in the set{reason}")
    first = beatmapset.charts[0]
    suffix = Path(first.audio_filename).suffix.lower()
    if suffix not in AUDIO_SUFFIXES:
        raise ChartFileError(f"{name}: its song “{shown(first.audio_filename)}” is no mp3, ogg, opus, flac or wav")
    save_bytes(project.folder / f"song{suffix}", beatmapset.read_audio())
    texts = charts_of_set(path, name)
    names = first.metadata
    lines = [[one.time_ms, one.beat_length_ms, one.meter, one.effects & ~1] for one in first.red_lines]

    def fill(state: State) -> None:
        state["song"] = {"file": f"song{suffix}", "name": name}
        state["timing"] = lines
        state["metadata"] = {key: getattr(names, key) for key in FIELDS if key != "tags"}
        state["metadata"]["tags"] = " ".join(names.tags)
        state["difficulties"] = [
            difficulty_of(version, project.store_chart(text), {}) for version, text in texts.items()
        ]

    project.commit("set", fill)


def charts_of_set(path: Path, name: str) -> dict[str, str]:
    """Difficulty name → the text of its chart, as the set has it; what is no 4K chart is left out."""
    texts: dict[str, str] = {}
    with open_archive(path) as archive:
        for member in archive.infolist():
            if not member.filename.lower().endswith(".osu"):
                continue
            try:
                text = decode_as_the_game(read_member(path, archive, member, MAX_TEXT_BYTES))
                text = "\n".join(text.splitlines()) + "\n"
                version = note_lines.chart_of(text).metadata.version or "Unnamed"
                note_lines.notes_of(text)
            except (ChartFileError, ConfigError, ValueError, IndexError):
                continue
            texts.setdefault(version, text)
    if not texts:
        raise ChartFileError(f"{name}: no osu!mania 4K chart in the set")
    return texts


def difficulty_of(name: str, digest: str, order: dict[str, Any], identity: str = "") -> dict[str, Any]:
    """A difficulty as states hold it."""
    identity = identity or hashlib.sha256(f"{name}{digest}".encode("utf-8", "replace")).hexdigest()[:8]
    return {"id": identity, "name": name, "chart": digest, "order": order, "locks": [], "hand": []}


def text_for_export(project: Project, one: dict[str, Any]) -> str:
    """A chart with the set's names and settings; what the user did not set stays as it was written."""
    state = project.state
    text = project.chart_text(one["chart"])
    fields = {FIELDS[key]: value for key, value in state["metadata"].items() if key in FIELDS and value}
    fields |= {"Version": one["name"], "AudioFilename": state["song"]["file"]}
    fields |= {
        field: f"{one[key]:g}" for key, field in (("hp", "HPDrainRate"), ("od", "OverallDifficulty")) if key in one
    }
    if state["metadata"].get("preview_ms", -1) >= 0:
        fields["PreviewTime"] = str(state["metadata"]["preview_ms"])
    text = note_lines.with_fields(text, fields)
    kiai = state["metadata"].get("kiai")
    return text if kiai is None else _with_kiai(text, kiai)


def _with_kiai(text: str, spans: list[list[float]]) -> str:
    from mapper.output.metadata import with_kiai

    chart = note_lines.chart_of(text)
    unlit = [replace(point, effects=point.effects & ~1) for point in chart.timing_points]
    points = with_kiai(unlit, [(start, end) for start, end in spans], chart.last_ms)
    return note_lines.with_timing(text, format_osu(replace(chart, timing_points=points)))


def materialise(project: Project) -> None:
    """Write the present charts beside the song, and remove those that are no more; files changed by others stay."""
    written: dict[str, str] = dict(project.data.get("written", {}))
    texts = [text_for_export(project, one) for one in project.state["difficulties"]]
    names = chart_file_names([note_lines.chart_of(text).metadata for text in texts])
    present = dict(zip(names, (text.encode("utf-8", "replace") for text in texts), strict=True))
    for name, digest in list(written.items()):
        if name not in present and _is_ours(project.folder / name, digest):
            (project.folder / name).unlink(missing_ok=True)
        if name not in present:
            del written[name]
    for name, data in present.items():
        path = project.folder / name
        if not path.exists() or _is_ours(path, written.get(name, "")):
            if written.get(name) != _digest(data) or not path.exists():
                save_bytes(path, data)
            written[name] = _digest(data)
    if written != project.data.get("written", {}):
        project.note(written=written)


def _is_ours(path: Path, digest: str) -> bool:
    return "/" not in path.name and path.is_file() and _digest(path.read_bytes()) == digest


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
