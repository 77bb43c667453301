"""Rules about a whole set: its difficulties (`eye.mapset.spread`), song, background, files and kiai.

Sources: osu! wiki, Ranking criteria (simplified: https://osu.ppy.sh/wiki/en/Ranking_criteria/Simplified_ranking_criteria) and the
checks of Mapset Verifier (https://github.com/Naxesss/MapsetVerifier), which each rule names. A problem is one there, too. Generated
maps may not be ranked whatever these rules say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from chart.analysis.snap import beats_at, snap_beats
from chart.formats.find_file import key_of
from chart.formats.osz import Beatmapset
from eye.critique.types import Finding, Severity
from eye.mapset.facts import TEXT_SUFFIXES, MapsetFacts, mapset_facts
from eye.mapset.remarks import joined, name_of, remark
from eye.mapset.spread import difficulty_names, lines_at_once, preview, shared_metadata, shared_timing, spread

LEAST_KBPS, MOST_KBPS, MOST_OGG_KBPS = 128, 192, 208  # CheckBitrate
SONG_FORMATS = ("mp3", "ogg")  # CheckAudioFormat
FORMAT_NAMES = {"oggopus": "Ogg Opus", "wave": "WAV", "flac": "FLAC", "oggflac": "Ogg FLAC", "mp4": "MP4", "aac": "AAC"}
MOST_PIXELS, LEAST_PIXELS = (2560, 1440), (1024, 640)  # CheckBgResolution
MOST_PICTURE_BYTES = round(2.5 * 1024**2)
KIAI = 1  # bit of a timing point's effects
KIAI_WARNED_MS, KIAI_NOTED_MS = 10.0, 1.0  # CheckKiaiUnsnap
MOST_UNUSED = 0.2  # CheckAudioUsage
IGNORED_FILES = frozenset({"thumbs.db", "desktop.ini"})
SHOWN_FILES = 5

_HIT_SOUND = re.compile(r"(?:normal|soft|drum|taiko-\w+)-(?:hit|slider)\w*?\d*\.(?:wav|ogg|mp3)")
_SKIN = re.compile(
    r"(?:mania-|comboburst|scorebar|hit\d|pause-|menu-|section-|fail-|play-|inputoverlay|score-|combo-|count|go\.|ready\.)"
)


def review_mapset(path: Path, beatmapset: Beatmapset | None = None) -> list[Finding]:
    """Findings about the set in an `.osz`, problems first; `beatmapset` are its charts, where they are read already.

    Raises `ChartFileError` where there is no 4K chart in it.
    """
    return findings_of(mapset_facts(path, beatmapset))


def findings_of(facts: MapsetFacts) -> list[Finding]:
    """Findings of every rule, problems first."""
    found = [finding for rule in RULES for finding in rule(facts)]
    return sorted(found, key=lambda finding: ("problem", "warning", "note").index(finding.severity))


def _song(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckAudioFormat, CheckBitrate, CheckAudioUsage."""
    sound = facts.sound
    if sound is None:
        yield remark(
            "problem",
            "song-missing",
            "No file of the set has the song's name.",
            "Put the song in, or correct AudioFilename.",
        )
        return
    if sound.format not in SONG_FORMATS:
        format_name = FORMAT_NAMES.get(sound.format, sound.format)
        what = f"is {format_name}" if format_name else "cannot be read"
        yield remark(
            "problem", "song-format", f"The song {what}; mp3 and Ogg Vorbis are allowed.", "Convert it to one of them."
        )
    most = MOST_OGG_KBPS if sound.format == "ogg" else MOST_KBPS
    kbps = round(sound.kbps) if math.isfinite(sound.kbps) else LEAST_KBPS
    if sound.format in SONG_FORMATS and not LEAST_KBPS <= kbps <= most:
        advice = "Encode it anew from a better source." if kbps < LEAST_KBPS else "Encode it anew."
        yield remark("problem", "bit-rate", f"The song has {kbps} kbit/s; {LEAST_KBPS} to {most} are allowed.", advice)
    last_ms = max(chart.last_ms for chart in facts.charts)
    if sound.duration_ms > 0 and last_ms < (1 - MOST_UNUSED) * sound.duration_ms:
        unused = 1 - last_ms / sound.duration_ms
        reason = f"{unused:.0%} of the song comes after the last note."
        yield remark("warning", "song-unused", reason, "Chart the rest, or cut the song.", last_ms)


def _background(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckBgPresence, CheckBgResolution."""
    bare = [name_of(chart) for chart in facts.charts if not chart.background]
    if bare:
        yield remark(
            "problem",
            "no-background",
            f"{joined(bare)} {'has' if len(bare) == 1 else 'have'} no background.",
            "Add one.",
        )
    elif not facts.pictures:
        yield remark("problem", "no-background", "The background is not in the set.", "Put it in, or correct its name.")
    for picture in facts.pictures:
        if picture.size > MOST_PICTURE_BYTES:
            reason = f"“{picture.name}” has {picture.size / 1024**2:.1f} MB; at most 2.5 are allowed."
            yield remark("problem", "background-bytes", reason, "Save it with more compression.")
        if picture.pixels is None:
            continue
        size = f"“{picture.name}” has {picture.pixels[0]} × {picture.pixels[1]} pixels"
        if any(given > most for given, most in zip(picture.pixels, MOST_PIXELS, strict=True)):
            yield remark("problem", "background-size", f"{size}; at most 2560 × 1440 are allowed.", "Scale it down.")
        elif any(given < least for given, least in zip(picture.pixels, LEAST_PIXELS, strict=True)):
            yield remark("warning", "background-size", f"{size}; below 1024 × 640 looks coarse.", "Find a larger one.")


def _files(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckUnusedFiles, CheckZeroBytes. Files of a skin and hit sounds are used by their names."""
    empty = [one.name for one in facts.files if not one.size]
    if empty:
        yield remark(
            "problem",
            "empty-file",
            f"{_listed(empty)} {'is' if len(empty) == 1 else 'are'} empty.",
            "Remove or replace them.",
        )
    unused = [one.name for one in facts.files if facts.mentions and not _is_used(one.name, facts.mentions)]
    if unused:
        yield remark("problem", "unused-file", f"Used by no chart or storyboard: {_listed(unused)}.", "Remove them.")


def _is_used(name: str, mentions: str) -> bool:
    path = PurePosixPath(key_of(name))
    if (
        path.suffix in TEXT_SUFFIXES
        or path.name in IGNORED_FILES
        or _HIT_SOUND.fullmatch(path.name)
        or _SKIN.match(path.name)
    ):
        return True
    # Storyboards leave suffixes out, and animations number their files.
    return path.as_posix() in mentions or path.stem.rstrip("0123456789") + path.suffix in mentions


def _listed(names: list[str]) -> str:
    shown = [f"“{name}”" for name in names[:SHOWN_FILES]]
    return joined(shown + ([f"{len(names) - SHOWN_FILES} more"] if len(names) > SHOWN_FILES else []))


def _kiai(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckKiaiUnsnap: where kiai begins."""
    for chart in facts.charts:
        begins, is_on = [], False
        for point in chart.timing_points:
            begins += [point.time_ms] if point.effects & KIAI and not is_on else []
            is_on = bool(point.effects & KIAI)
        place = beats_at(np.array(begins, dtype=np.float64), chart.red_lines)
        off_ms = np.abs(snap_beats(place.phase, place.beat_ms).error_ms)
        for time_ms, off in zip(begins, off_ms.tolist(), strict=True):
            if off >= KIAI_NOTED_MS:
                severity: Severity = "warning" if off >= KIAI_WARNED_MS else "note"
                reason = f"Kiai of {name_of(chart)} begins {off:.0f} ms off the grid."
                yield remark(severity, "kiai-unsnapped", reason, "Move its green line to a beat.", time_ms)


RULES = (
    spread,
    difficulty_names,
    shared_timing,
    lines_at_once,
    shared_metadata,
    _song,
    _background,
    _files,
    preview,
    _kiai,
)
