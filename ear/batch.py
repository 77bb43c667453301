"""Time a whole collection: `python -m ear.batch FOLDER -o report.jsonl`.

Every `.osz` and audio file below FOLDER gets a line of JSON: our red line, and for maps their own red line and
the verdict of the comparison. Songs are timed in parallel. A file that cannot be used is named with the reason; an existing
report is resumed, so that an interrupted run loses nothing and a second run only times new files.

Verdicts: `agrees`; `ratio` (half, double, 3:2 … of the map's tempo), `tempo`, `phase` (beats elsewhere), `downbeat`
(bars start elsewhere), each the first that differs; `unsure` where our confidence is below .2; `no map` for plain audio.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from chart.formats.find_file import AUDIO_SUFFIXES
from chart.formats.osz import Beatmapset, read_osz
from chart.model import Chart
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError, Mania4KError, OutputError
from runtime.progress import progress
from runtime.text import json_text
from runtime.workers import Workers, results, worker_options

if TYPE_CHECKING:
    from ear.audio.decode import Audio
    from ear.timing.model import Timing

UNSURE = 0.2
"""Below this confidence our timing is a guess, and no disagreement is claimed."""

TEMPO_TOLERANCE = 2e-4
PHASE_TOLERANCE_MS = 10.0
RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2.0, 3.0, 4.0)
RATIO_TOLERANCE = 2e-3


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """Settings by which a collection is timed."""

    checkpoint: str = "bundled"  # `none`: onsets alone
    workers: Workers = field(default_factory=Workers)


@dataclass(frozen=True, slots=True)
class SongReport:
    """A line of the report; times in ms on the audio's clock."""

    file: str
    verdict: str  # see the module; `failed` with a reason in `error`
    bpm: float = 0.0
    offset_ms: float = 0.0
    meter: int = 0
    red_lines: int = 0
    confidence: float = 0.0
    map_bpm: float | None = None
    phase_ms: float | None = None  # our beat after the map's, after the lag between notes and sound
    lag_ms: float | None = None
    error: str = ""


def songs_below(folder: Path) -> list[Path]:
    """Sets and audio files of a folder and those in it, sorted."""
    suffixes = AUDIO_SUFFIXES | {".osz"}
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())


def time_collection(folder: Path, report: Path, config: BatchConfig | None = None) -> list[SongReport]:
    """Time the files that are not in the report yet, adding a line for each; returns all lines."""
    config = config or BatchConfig()
    paths = songs_below(folder)
    if not paths:
        raise ConfigError(f"{folder}: holds no .osz and no audio files")
    known = {line.file: line for line in read_report(report)}
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    todo = [path for path in paths if names[path] not in known]
    try:
        cut_off = report.is_file() and not report.read_bytes().endswith(b"\n")
        with report.open("a", encoding="utf-8") as file:
            file.write("\n" if cut_off else "")
            for line in progress(_timed(todo, names, config), "timing", total=len(todo)):
                file.write(json_text(asdict(line)) + "\n")
                file.flush()
                known[line.file] = line
    except OSError as error:
        raise OutputError(f"{report}: cannot be written ({error.strerror or error}); choose another folder") from error
    return [known[name] for name in names.values()]


def read_report(path: Path) -> list[SongReport]:
    """The lines of a report; a last line cut off by an interruption is dropped."""
    if not path.is_file():
        return []
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        try:
            lines.append(SongReport(**json.loads(text)))
        except (ValueError, TypeError) as error:
            if not text.endswith("}"):
                continue
            raise ConfigError(f"{path}:{number}: is not a line of such a report; name another file with -o") from error
    return lines


def _timed(paths: Sequence[Path], names: dict[Path, str], config: BatchConfig) -> Iterator[SongReport]:
    """Reports as they are finished; in this process with one worker."""
    jobs = [(config, path, names[path]) for path in paths]
    yield from (line for _, line in results(_time_one, jobs, config.workers))


def _time_one(job: tuple[BatchConfig, Path, str]) -> SongReport:
    config, path, name = job
    return _timer(config)(path, name)


@lru_cache(maxsize=1)
def _timer(config: BatchConfig) -> Callable[[Path, str], SongReport]:
    """A function from a file to its report, with the network loaded once."""
    from ear.audio.decode import load_audio
    from ear.timing.estimate import find_timing
    from ear.tracker.tracker import load_beat_tracker

    tracker = None if config.checkpoint == "none" else load_beat_tracker(config.checkpoint, device="cpu")

    def time_song(path: Path, name: str) -> SongReport:
        try:
            beatmapset = read_osz(path) if path.suffix.lower() == ".osz" else None
            if beatmapset is not None and not beatmapset.charts:
                return SongReport(name, "failed", error="holds no 4K chart")
            audio = load_audio(beatmapset.read_audio() if beatmapset else path, name=path.name)
            timing = find_timing(audio, tracker(audio) if tracker else None)
            return _report(name, timing, audio, beatmapset)
        except Mania4KError as error:
            return SongReport(name, "failed", error=str(error))

    return time_song


def _report(name: str, timing: Timing, audio: Audio, beatmapset: Beatmapset | None) -> SongReport:
    ours: dict[str, Any] = {
        "bpm": round(timing.bpm, 4),
        "offset_ms": round(timing.offset_ms, 2),
        "meter": timing.meter,
        "red_lines": len(timing.points),
        "confidence": round(timing.confidence, 3),
    }
    if beatmapset is None:
        return SongReport(name, "no map", **ours)
    from ear.audio.clock import MIN_CONFIDENCE, SOURCE_LAG_MS
    from ear.audio.onset import estimate_lag_ms, onset_strength

    chart = max(beatmapset.charts, key=len)
    lag = estimate_lag_ms(onset_strength(audio.samples, audio.sample_rate), np.unique(chart.time_ms))
    lag_ms = lag.lag_ms if lag.confidence >= MIN_CONFIDENCE else SOURCE_LAG_MS["osu"]
    verdict, map_bpm, phase_ms = compare(timing, chart, lag_ms)
    return SongReport(
        name, verdict, **ours, map_bpm=round(map_bpm, 4), phase_ms=round(phase_ms, 2), lag_ms=round(lag_ms, 2)
    )


def compare(timing: Timing, chart: Chart, lag_ms: float) -> tuple[str, float, float]:
    """(verdict, the map's main tempo, our beat after the map's in ms) over the map's steadiest stretch."""
    from ear.fitting.fit_timing import main_red_line
    from ear.timing.model import beats_of

    line, end_ms, _ = main_red_line(chart)
    beats = beats_of(timing)
    number = np.arange(max(1, int((end_ms - line.time_ms) / line.beat_length_ms)))
    map_ms = line.time_ms + lag_ms + number * line.beat_length_ms  # [beat]
    right = np.searchsorted(beats.time_ms, map_ms).clip(1, beats.time_ms.size - 1)
    nearest = right - (map_ms - beats.time_ms[right - 1] < beats.time_ms[right] - map_ms)  # [beat] → our beat
    phase_ms = float(np.median(beats.time_ms[nearest] - map_ms))
    quotient = timing.bpm / line.bpm
    if timing.confidence < UNSURE:
        verdict = "unsure"
    elif abs(quotient - 1) > TEMPO_TOLERANCE:
        near = any(abs(quotient / ratio - 1) < RATIO_TOLERANCE for ratio in RATIOS)
        verdict = "ratio" if near else "tempo"
    elif abs(phase_ms) > PHASE_TOLERANCE_MS:
        verdict = "phase"
    else:
        same_bar = (beats.position[nearest] == 1) == (number % line.meter == 0)
        verdict = "agrees" if same_bar.mean() > 0.5 else "downbeat"
    return verdict, line.bpm, phase_ms


def summary(lines: Sequence[SongReport]) -> str:
    """Print the count of each verdict, and every song that does not agree."""
    counts = Counter(line.verdict for line in lines)
    head = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    rows = [f"{len(lines)} songs: {head}"]
    for line in sorted(lines, key=lambda line: (line.verdict, line.file)):
        if line.verdict == "failed":
            rows.append(f"failed    {line.file}: {line.error}")
        elif line.verdict not in ("agrees", "no map"):
            rows.append(
                f"{line.verdict:9} {line.file}: {line.bpm:g} BPM, the map {line.map_bpm:g}, "
                f"beat {line.phase_ms:+.1f} ms, confidence {line.confidence:.2f}"
            )
    return "\n".join(rows)


@click.command(cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Report (.jsonl).")
@click.option("--checkpoint", default="bundled", show_default=True, help="Beat network, or none.")
@worker_options(default=0)
def main(folder: Path, out: Path, checkpoint: str, workers: Workers) -> None:
    """Time all songs and maps in FOLDER and report where maps say otherwise."""
    use_utf8()
    lines = time_collection(folder, out, BatchConfig(checkpoint, workers))
    click.echo(summary(lines))
    failed = sum(line.verdict == "failed" for line in lines)
    if failed:
        raise ConfigError(f"{failed} of {len(lines)} files could not be used; they are named above")


if __name__ == "__main__":
    main()
