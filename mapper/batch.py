"""A folder of songs in, a folder of `.osz` out: failures are named and skipped, existing sets are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mapper.output.tables import print_folder
from runtime.atomic_write import check_writable, save_bytes
from runtime.errors import AudioFileError, ConfigError, Mania4KError, OutputError
from runtime.progress import progress
from runtime.text import json_text
from runtime.workers import KILLED, Workers, results

SONG_SUFFIXES = frozenset({".mp3", ".ogg", ".opus", ".flac", ".wav"})
MAX_SONGS = 10_000


@dataclass(frozen=True)
class Outcome:
    """The result of one song."""

    song: str
    out: str
    error: str = ""
    report: dict[str, Any] | None = None


def generate_folder(
    folder: Path, out: Path | None, options: dict[str, Any], report_path: Path | None, workers: Workers
) -> None:
    """Write a set for every song under `folder`; raises one error with the count of those that failed at the end.

    Existing sets are kept, so that an interrupted run resumes.
    """
    if out is None:
        raise ConfigError(f"{folder}: is a folder; say with -o which folder its sets shall be written to")
    if report_path is not None:
        check_writable(report_path)
    todo = [(song, target) for song, target in _targets(folder, out) if not target.exists()]
    skipped = len(_targets(folder, out)) - len(todo)
    if skipped:
        click.echo(f"{skipped} sets are there already", err=True)
    outcomes = []
    jobs = [(song, target, options) for song, target in todo]
    for _, outcome in progress(results(_generate_one, jobs, workers, _lost), "songs", total=len(jobs)):
        outcomes.append(outcome)
        click.echo(f"error: {outcome.error}" if outcome.error else outcome.out, err=bool(outcome.error))
    if report_path is not None:
        save_bytes(report_path, (json_text([vars(one) for one in outcomes], indent=2) + "\n").encode())
    if outcomes:
        print_folder([(str(Path(one.song).relative_to(folder)), one.report) for one in outcomes])
    failed = [one for one in outcomes if one.error]
    if failed:
        raise AudioFileError(f"{len(failed)} of {len(todo)} songs could not be mapped (named above)")


def _targets(folder: Path, out: Path) -> list[tuple[Path, Path]]:
    """Every song with the set to write for it, in the same folders below `out`; two songs of a name keep their suffix."""
    songs = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SONG_SUFFIXES and path.is_file())
    if not songs:
        raise AudioFileError(f"{folder}: no songs in it ({' '.join(sorted(SONG_SUFFIXES))})")
    if len(songs) > MAX_SONGS:
        raise ConfigError(f"{folder}: {len(songs):,} songs, more than {MAX_SONGS:,}; map them folder by folder")
    plain = [out / song.relative_to(folder).with_suffix(".osz") for song in songs]
    names = [str(path).casefold() for path in plain]
    return [
        (song, path if names.count(name) == 1 else path.with_name(f"{song.name}.osz"))
        for song, path, name in zip(songs, plain, names, strict=True)
    ]


def _generate_one(job: tuple[Path, Path, dict[str, Any]]) -> Outcome:
    from mapper.pipeline import run
    from mapper.request.options import GenerateConfig

    song, target, options = job
    try:
        _make_folder(target.parent)
        result = run(GenerateConfig(song=song, out=target, **options))
    except Mania4KError as error:
        return Outcome(str(song), str(target), error=str(error))
    assert result.report is not None, "run always reports"
    return Outcome(str(song), str(target), report=json.loads(result.report.as_json()))


def _lost(job: tuple[Path, Path, dict[str, Any]]) -> Outcome:
    """The outcome of a song whose process was killed."""
    return Outcome(str(job[0]), str(job[1]), error=f"{job[0]}: its worker process was killed; {KILLED}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created: {error.strerror or error}") from error
