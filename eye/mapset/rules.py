"""Rules about a whole set: spread, names, timing, song, background, files, preview and kiai.

Sources: osu! wiki, Ranking criteria (simplified: https://osu.ppy.sh/wiki/en/Ranking_criteria/Simplified_ranking_criteria) and the
checks of Mapset Verifier (https://github.com/Naxesss/MapsetVerifier), which each rule names. A problem is one there, too. Generated
maps may not be ranked whatever these rules say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from chart.analysis.snap import beats_at, snap_beats
from chart.formats.find_file import key_of
from chart.model import Chart
from eye.critique.types import Finding, Severity, clock
from eye.mapset.facts import TEXT_SUFFIXES, MapsetFacts, mapset_facts
from reward.rules.criteria import Level, level_of

LOWEST_BY_LENGTH = ((150_000, Level.NORMAL), (195_000, Level.HARD), (240_000, Level.INSANE))
"""(ms of play, hardest level that the easiest difficulty of a shorter map may have): CheckLowestDiff, osu!mania."""
BREAKS_COUNT_MS = 30_000
"""So much of the breaks of the hardest difficulty counts as play."""
LEVEL_WORDS = ("beginner", "easy", "normal", "hard", "insane", "expert")
LEAST_KBPS, MOST_KBPS, MOST_OGG_KBPS = 128, 192, 208  # CheckBitrate
SONG_FORMATS = ("mp3", "ogg")  # CheckAudioFormat
MOST_PIXELS, LEAST_PIXELS = (2560, 1440), (1024, 640)  # CheckBgResolution
MOST_PICTURE_BYTES = round(2.5 * 1024**2)
KIAI = 1  # bit of a timing point's effects
KIAI_WARNED_MS, KIAI_NOTED_MS = 10.0, 1.0  # CheckKiaiUnsnap
MOST_UNUSED = 0.2  # CheckAudioUsage
SAME_NAMES = ("title", "title_unicode", "artist", "artist_unicode", "creator", "source", "tags")
IGNORED_FILES = frozenset({"thumbs.db", "desktop.ini"})
SHOWN_FILES = 5

_HIT_SOUND = re.compile(r"(?:normal|soft|drum|taiko-\w+)-(?:hit|slider)\w*?\d*\.(?:wav|ogg|mp3)")
_SKIN = re.compile(
    r"(?:mania-|comboburst|scorebar|hit\d|pause-|menu-|section-|fail-|play-|inputoverlay|score-|combo-|count|go\.|ready\.)"
)


def review_mapset(path: Path) -> list[Finding]:
    """Findings about the set in an `.osz`, problems first. Raises `ChartFileError` where there is no 4K chart in it."""
    return findings_of(mapset_facts(path))


def findings_of(facts: MapsetFacts) -> list[Finding]:
    """Findings of every rule, problems first."""
    found = [finding for rule in RULES for finding in rule(facts)]
    return sorted(found, key=lambda finding: ("problem", "warning", "note").index(finding.severity))


def _remark(severity: Severity, kind: str, reason: str, suggestion: str, time_ms: float = 0.0) -> Finding:
    return Finding(time_ms, time_ms, severity, f"set/{kind}", reason, suggestion)


def _name(chart: Chart) -> str:
    return f"“{chart.metadata.version}”"


def _spread(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckLowestDiff, and that no level is left out between two (ranking criteria, Spread)."""
    levels = [level_of(rating) for rating in facts.stars]
    for index, chart in enumerate(facts.charts):
        play_ms = _play_ms(chart, is_hardest=index == len(facts.charts) - 1)
        allowed = next((level for limit_ms, level in LOWEST_BY_LENGTH if play_ms < limit_ms), Level.EXPERT_PLUS)
        if levels[0] > allowed:
            reason = f"The easiest difficulty, {_name(facts.charts[0])}, is {_label(levels[0])}; {clock(play_ms)} of {_name(chart)} ask for {_label(allowed)} or easier."
            yield _remark("problem", "lowest-difficulty", reason, f"Add a difficulty of {_label(allowed)} or easier.")
            break
    for easier, harder in pairwise(levels):
        if harder - easier > 1 and easier < Level.EXPERT:
            missing = " and ".join(_label(Level(level)) for level in range(easier + 1, min(harder, Level.EXPERT + 1)))
            yield _remark("problem", "spread-gap", f"{missing} is left out of the spread.", f"Add {missing}.")


def _play_ms(chart: Chart, is_hardest: bool) -> float:
    """From the first note to the last; of the hardest chart breaks beyond half a minute do not count."""
    if not len(chart):
        return 0.0
    play_ms = chart.last_ms - float(chart.time_ms[0])
    breaks_ms = sum(end - start for start, end in chart.breaks)
    return play_ms - max(breaks_ms - BREAKS_COUNT_MS, 0.0) if is_hardest else play_ms


def _label(level: Level) -> str:
    return level.name.title().replace("_Plus", "+")


def _difficulty_names(facts: MapsetFacts) -> Iterator[Finding]:
    """Names tell the order (ranking criteria, Spread), and no two are alike."""
    names = [chart.metadata.version.strip().casefold() for chart in facts.charts]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield _remark(
            "problem", "same-name", f"{names.count(name)} difficulties are called “{name}”.", "Name each its own."
        )
    ranked = [(LEVEL_WORDS.index(word), name) for name in names for word in LEVEL_WORDS if word in name.split()]
    for (rank, name), (next_rank, harder) in pairwise(ranked):
        if rank > next_rank:
            reason = f"“{harder}” is harder than “{name}”, by their names it should be the other way."
            yield _remark("problem", "name-order", reason, "Rename one, or change its difficulty.")


def _same_timing(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckInconsistentLines: all difficulties have the red lines of the hardest."""
    wanted = _lines(facts.charts[-1])
    for chart in facts.charts[:-1]:
        other = wanted ^ _lines(chart)
        if other:
            first_ms = min(line[0] for line in other)
            reason = f"{_name(chart)} and {_name(facts.charts[-1])} differ in {len(other)} red lines, first at {clock(first_ms)}."
            yield _remark(
                "problem", "timing-differs", reason, "Copy the red lines of one to the other.", float(first_ms)
            )


def _lines(chart: Chart) -> set[tuple[int, float, int]]:
    return {(round(line.time_ms), round(line.beat_length_ms, 3), line.meter) for line in chart.red_lines}


def _same_metadata(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckInconsistentMetadata."""
    for field in SAME_NAMES:
        if len({getattr(chart.metadata, field) for chart in facts.charts}) > 1:
            what = field.replace("_", " ")
            yield _remark(
                "problem", "metadata-differs", f"The difficulties differ in {what}.", f"Give all the same {what}."
            )


def _song(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckAudioFormat, CheckBitrate, CheckAudioUsage."""
    sound = facts.sound
    if sound is None:
        yield _remark(
            "problem",
            "song-missing",
            "No file of the set has the song's name.",
            "Put the song in, or correct AudioFilename.",
        )
        return
    if sound.format not in SONG_FORMATS:
        what = f"is {sound.format}" if sound.format else "cannot be read"
        yield _remark(
            "problem", "song-format", f"The song {what}; mp3 and Ogg Vorbis are allowed.", "Convert it to one of them."
        )
    most = MOST_OGG_KBPS if sound.format == "ogg" else MOST_KBPS
    kbps = round(sound.kbps) if math.isfinite(sound.kbps) else LEAST_KBPS
    if sound.format in SONG_FORMATS and not LEAST_KBPS <= kbps <= most:
        advice = "Encode it anew from a better source." if kbps < LEAST_KBPS else "Encode it anew."
        yield _remark("problem", "bit-rate", f"The song has {kbps} kbit/s; {LEAST_KBPS} to {most} are allowed.", advice)
    last_ms = max(chart.last_ms for chart in facts.charts)
    if sound.duration_ms > 0 and last_ms < (1 - MOST_UNUSED) * sound.duration_ms:
        unused = 1 - last_ms / sound.duration_ms
        reason = f"{unused:.0%} of the song come after the last note."
        yield _remark("warning", "song-unused", reason, "Chart the rest, or cut the song.", last_ms)


def _background(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckBgPresence, CheckBgResolution."""
    bare = [_name(chart) for chart in facts.charts if not chart.background]
    if bare:
        yield _remark("problem", "no-background", f"{', '.join(bare)} without a background.", "Add one.")
    elif not facts.pictures:
        yield _remark(
            "problem", "no-background", "The background is not in the set.", "Put it in, or correct its name."
        )
    for picture in facts.pictures:
        if picture.size > MOST_PICTURE_BYTES:
            reason = f"“{picture.name}” has {picture.size / 1024**2:.1f} MB; 2.5 are allowed."
            yield _remark("problem", "background-bytes", reason, "Save it with more compression.")
        if picture.pixels is None:
            continue
        size = f"“{picture.name}” has {picture.pixels[0]} × {picture.pixels[1]} pixels"
        if any(given > most for given, most in zip(picture.pixels, MOST_PIXELS, strict=True)):
            yield _remark("problem", "background-size", f"{size}; 2560 × 1440 are allowed.", "Scale it down.")
        elif any(given < least for given, least in zip(picture.pixels, LEAST_PIXELS, strict=True)):
            yield _remark("warning", "background-size", f"{size}; below 1024 × 640 looks coarse.", "Find a larger one.")


def _files(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckUnusedFiles, CheckZeroBytes. Files of a skin and hit sounds are used by their names."""
    empty = [one.name for one in facts.files if not one.size]
    if empty:
        yield _remark("problem", "empty-file", f"Empty: {_listed(empty)}.", "Remove or replace them.")
    unused = [one.name for one in facts.files if facts.mentions and not _is_used(one.name, facts.mentions)]
    if unused:
        yield _remark("problem", "unused-file", f"Used by no chart or storyboard: {_listed(unused)}.", "Remove them.")


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
    more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
    return ", ".join(f"“{name}”" for name in names[:SHOWN_FILES]) + more


def _preview(facts: MapsetFacts) -> Iterator[Finding]:
    """CheckPreview."""
    points = [chart.preview_ms for chart in facts.charts]
    if -1 in points:
        missing = ", ".join(_name(chart) for chart in facts.charts if chart.preview_ms == -1)
        yield _remark(
            "problem", "no-preview", f"The preview point is not set in {missing}.", "Set it where the chorus begins."
        )
    elif len(set(points)) > 1:
        yield _remark(
            "problem", "preview-differs", "The difficulties differ in their preview point.", "Give all the same."
        )


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
                reason = f"Kiai of {_name(chart)} begins {off:.0f} ms off the grid."
                yield _remark(severity, "kiai-unsnapped", reason, "Move its green line to a beat.", time_ms)


RULES = (_spread, _difficulty_names, _same_timing, _same_metadata, _song, _background, _files, _preview, _kiai)
