"""Reading BMS charts (`.bms`, `.bme`) that use four of the keys of player 1.

A chart's keys are not stated: its columns are the lanes that hold notes, from left to right, and a chart with more than four, or
with a scratch, is refused. Carried: notes, long notes (channels 51–59, #LNOBJ), BPM changes, STOPs, lengths of measures, names. Not
carried: key sounds, mines, hidden notes, pictures. The song is the background sample, if there is just one.
Of #RANDOM the first branch is read. Source: the BMS command memo, https://hitkey.nekokan.dyndns.info/cmds.htm.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chart.formats.imports.tempo_map import TempoMap
from chart.formats.parsing import (
    MAX_LINES,
    MAX_NOTES,
    LeftOut,
    failure,
    finite,
    other_game,
    read_bytes,
    shown,
    split_lines,
)
from chart.model import KEYS, Chart, Metadata
from chart.problems import MAX_BEAT_MS, MIN_BEAT_MS, require_valid
from runtime.errors import ChartFileError

logger = logging.getLogger(__name__)

BACKGROUND, LENGTH, BPM, EXTENDED_BPM, STOP = "01", "02", "03", "08", "09"
NOTES, LONG_NOTES = "1", "5"
"""First digit of the channels of player 1's notes; the second is the lane."""
SECOND_PLAYER = ("2", "6")
LANES = ("1", "2", "3", "4", "5", "8", "9")
"""Keys 1 to 7 from left to right; 6 is the scratch, 7 a free zone."""
DEFAULT_BPM = "130"
BEATS_A_MEASURE = 4.0
STOP_UNITS_A_BEAT = 48.0  # a STOP of 192 lasts a measure of four beats
SHORTEST_MEASURE, LONGEST_MEASURE = 1e-3, 1000.0
MAX_OBJECTS = 500_000
"""Most notes and key sounds of a file; the largest BMS have some 20,000."""
NOTHING = "00"

_OBJECTS = re.compile(r"#(\d{3})([0-9A-Za-z]{2}):\s*(\S*)")


@dataclass(frozen=True, slots=True)
class Placed:
    """One object of a channel."""

    measure: int
    part: float  # of the measure, 0 ≤ part < 1
    value: str  # two digits


@dataclass(frozen=True)
class Parts:
    """The lines of a file."""

    where: str
    headers: dict[str, str] = field(default_factory=dict)  # by name, as TITLE or WAV01
    channels: dict[str, list[Placed]] = field(default_factory=dict)
    lengths: dict[int, float] = field(default_factory=dict)  # of measures that are not 1 long

    def beats(self, channel: str) -> list[tuple[float, str]]:
        """Beat and value of the channel's objects, in order."""
        starts = self._starts()
        return sorted(
            (starts[one.measure] + one.part * BEATS_A_MEASURE * self.lengths.get(one.measure, 1.0), one.value)
            for one in self.channels.get(channel, ())
        )

    def _starts(self) -> list[float]:
        """[measure] the beat on which each measure begins."""
        starts = [0.0]
        for measure in range(1000):
            starts.append(starts[-1] + BEATS_A_MEASURE * self.lengths.get(measure, 1.0))
        return starts


def read_bms(path: Path) -> Chart:
    """The chart of a four-key BMS file."""
    path = Path(path)
    data = read_bytes(path)
    try:
        return parse_bms(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError:  # old files are in the code page of Japan
        return parse_bms(data.decode("cp932", errors="replace"), str(path))


def parse_bms(text: str, where: str) -> Chart:
    """The chart in the text of a BMS file; `where` names it in errors."""
    left_out = LeftOut(where)
    parts = _cut(text, where, left_out)
    notes = _notes(parts)
    tempo_map, song = _timing(parts, left_out)
    chart = tempo_map.chart(
        notes,
        where,
        metadata=_metadata(parts.headers),
        audio_filename=song,
        background=_text(parts.headers, "STAGEFILE").replace('"', ""),
    )
    left_out.report()
    require_valid(chart, where)
    return chart


def _cut(text: str, where: str, left_out: LeftOut) -> Parts:
    if text.count("\n") + text.count("\r") > MAX_LINES:
        raise failure(where, None, f"more than {MAX_LINES:,} lines", "is it a chart to be played?")
    parts, objects = Parts(where), 0
    for number, line in _chosen(split_lines(text)):
        if (found := _OBJECTS.match(line)) is None:
            name, _, value = line[1:].partition(" ")
            parts.headers[name.upper()] = value.strip()
        elif found[2] == LENGTH:
            try:
                length = finite(found[3], "length of a measure", where, number)
                parts.lengths[int(found[1])] = min(max(length, SHORTEST_MEASURE), LONGEST_MEASURE)
            except ChartFileError as error:
                left_out.add(error)
        else:
            placed = [*_placed(int(found[1]), found[3].upper())]
            parts.channels.setdefault(found[2].upper(), []).extend(placed)
            objects += len(placed)
        if objects > MAX_OBJECTS:
            raise failure(where, number, f"more than {MAX_OBJECTS:,} objects", "is it a chart to be played?")
    if not parts.channels:
        raise failure(where, None, "no line of objects, such as #00111:0100", "is it a BMS chart?")
    return parts


def _chosen(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Number and text of the lines that begin with #, of branches only the first."""
    skipped = 0
    for number, raw in enumerate(lines, 1):
        line = " ".join(raw.split())
        command = line[:7].upper()
        if command.startswith("#IF "):
            skipped += 1 if skipped or line[4:] != "1" else 0
        elif command.startswith(("#ENDIF", "#END IF")):
            skipped = max(skipped - 1, 0)
        elif line.startswith("#") and not skipped:
            yield number, line


def _placed(measure: int, text: str) -> Iterator[Placed]:
    """The objects of a line: pairs of digits, spread evenly over the measure."""
    count = len(text) // 2
    for index in range(count):
        value = text[2 * index : 2 * index + 2]
        if value != NOTHING:
            yield Placed(measure, index / count, value)


def _notes(parts: Parts) -> list[tuple[float, int, float]]:
    """Beat, column and beat of the end (nan = tap)."""
    used = {channel for channel, placed in parts.channels.items() if placed}
    if any(channel[0] in SECOND_PLAYER for channel in used):
        raise other_game(parts.where, None, "this is a chart for two players' keys", "only 4K charts are read")
    lanes = {channel[1] for channel in used if channel[0] in (NOTES, LONG_NOTES)}
    if not lanes <= set(LANES) or len(lanes) > KEYS:
        what = "with a scratch" if lanes - set(LANES) else f"for {len(lanes)} keys"
        raise other_game(parts.where, None, f"this is a chart {what}, not for {KEYS} keys", "only 4K charts are read")
    columns = LANES[:KEYS] if lanes <= set(LANES[:KEYS]) else [lane for lane in LANES if lane in lanes]
    found = []
    for column, lane in enumerate(columns):
        found += [(beat, column, end) for beat, end in _lane(parts, lane)]
    if len(found) > MAX_NOTES:
        raise failure(parts.where, None, f"more than {MAX_NOTES:,} notes", "is it a chart to be played?")
    return found


def _lane(parts: Parts, lane: str) -> Iterator[tuple[float, float]]:
    """Beat and end (nan = tap) of a lane's notes. A long note is a pair of objects, or ends with the object #LNOBJ."""
    ending = _text(parts.headers, "LNOBJ").upper()
    taps: list[tuple[float, float]] = []
    for beat, value in parts.beats(NOTES + lane):
        if value == ending and taps and math.isnan(taps[-1][1]):
            taps[-1] = (taps[-1][0], beat)
        elif value != ending:
            taps.append((beat, math.nan))
    yield from taps
    ends = [beat for beat, _ in parts.beats(LONG_NOTES + lane)]
    yield from zip(ends[::2], ends[1::2], strict=False)


def _timing(parts: Parts, left_out: LeftOut) -> tuple[TempoMap, str]:
    """The beats in ms of the song, and its file; where the song is made of many samples, ms from beat 0, and no file."""
    tempos = {0.0: _beat_ms(_text(parts.headers, "BPM") or DEFAULT_BPM, parts.where)}
    for channel in (BPM, EXTENDED_BPM):
        for beat, value in parts.beats(channel):
            try:
                text = str(int(value, 16)) if channel == BPM else _text(parts.headers, f"BPM{value}")
                tempos[beat] = _beat_ms(text, parts.where)
            except (ChartFileError, ValueError) as error:
                left_out.add(failure(parts.where, None, f"BPM “{shown(value)}” is not defined ({error})"))
    stops = _stops(parts, tempos, left_out)
    songs = parts.beats(BACKGROUND)
    tempo_map = TempoMap.of(tempos, stops, 0.0)
    if len(songs) != 1:
        logger.warning("%s: its music is made of %d samples, which are not carried", parts.where, len(songs))
        return tempo_map, ""
    begins_ms = float(tempo_map.time_at(np.array([songs[0][0]]), parts.where)[0])
    return TempoMap.of(tempos, stops, -begins_ms), _text(parts.headers, f"WAV{songs[0][1]}")


def _stops(parts: Parts, tempos: Mapping[float, float], left_out: LeftOut) -> dict[float, float]:
    """Stops by the beat at which they begin: their length in ms, at the tempo of that beat."""
    changes = sorted(tempos)
    found = {}
    for beat, value in parts.beats(STOP):
        try:
            units = finite(_text(parts.headers, f"STOP{value}"), f"STOP {shown(value)}", parts.where, None)
        except ChartFileError as error:
            left_out.add(error)
            continue
        tempo = tempos[changes[max(int(np.searchsorted(changes, beat, side="right")) - 1, 0)]]
        found[beat] = max(units, 0.0) / STOP_UNITS_A_BEAT * tempo
    return found


def _beat_ms(text: str, where: str) -> float:
    bpm = finite(text, "BPM", where, None)
    if bpm <= 0:
        raise failure(where, None, f"BPM is {bpm:g}", "a tempo must be above 0")
    return min(max(60_000.0 / bpm, MIN_BEAT_MS), MAX_BEAT_MS)


def _text(headers: Mapping[str, str], name: str) -> str:
    return " ".join(headers.get(name, "").split())


def _metadata(headers: Mapping[str, str]) -> Metadata:
    title, artist = _text(headers, "TITLE"), _text(headers, "ARTIST")
    level = _text(headers, "PLAYLEVEL")
    return Metadata(
        title=title,
        title_unicode=title,
        artist=artist,
        artist_unicode=artist,
        creator=_text(headers, "MAKER") or artist,
        version=_text(headers, "SUBTITLE") or (f"Level {level}" if level else ""),
    )
